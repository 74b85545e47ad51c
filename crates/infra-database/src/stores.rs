//! Stores.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use jangteo_domain::store::{StoreName, StoreRepository};
use jangteo_domain::{RepositoryError, Store, StoreId};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::entity::{products, stores};
use crate::error::{Corrupt, failed};
use crate::statement::padded;
use crate::transaction::Transaction;

#[async_trait]
impl StoreRepository for Transaction {
    async fn lock_many(
        &mut self,
        stores: &BTreeSet<StoreId>,
    ) -> Result<BTreeMap<StoreId, Store>, RepositoryError> {
        let transaction = self.up_to_date().await?;
        let mut locked = BTreeMap::new();
        for list in padded(stores.iter().map(|store| store.0)) {
            let rows = stores::Entity::find()
                .filter(stores::Column::Id.is_in(list))
                .order_by_asc(stores::Column::Id)
                .lock_exclusive()
                .all(transaction)
                .await
                .map_err(failed)?;
            for row in rows {
                locked.insert(StoreId(row.id), Store::try_from(row)?);
            }
        }
        Ok(locked)
    }

    async fn owners(
        &mut self,
        names: &BTreeSet<StoreName>,
    ) -> Result<BTreeMap<StoreName, StoreId>, RepositoryError> {
        let transaction = self.up_to_date().await?;
        let mut owners = BTreeMap::new();
        for list in padded(names.iter().map(StoreName::as_str)) {
            let rows = stores::Entity::find().filter(stores::Column::Name.is_in(list));
            for row in rows.all(transaction).await.map_err(failed)? {
                let owner = Store::try_from(row)?;
                owners.insert(owner.name, owner.id);
            }
        }
        Ok(owners)
    }

    /// READ COMMITTED sees what was committed before it is asked, and so before the lock was got.
    async fn with_products(
        &mut self,
        stores: &BTreeSet<StoreId>,
    ) -> Result<BTreeSet<StoreId>, RepositoryError> {
        let transaction = self.up_to_date().await?;
        let mut found = BTreeSet::new();
        for list in padded(stores.iter().map(|store| store.0)) {
            let sellers = products::Entity::find()
                .select_only()
                .column(products::Column::StoreId)
                .distinct()
                .filter(products::Column::StoreId.is_in(list))
                .filter(products::Column::DeletedAt.is_null());
            let sellers: Vec<i64> = sellers.into_tuple().all(transaction).await.map_err(failed)?;
            found.extend(sellers.into_iter().map(StoreId));
        }
        Ok(found)
    }

    async fn insert(&mut self, store: &Store) -> Result<(), RepositoryError> {
        self.writes.insert([stores::ActiveModel {
            id: Set(store.id.0),
            name: Set(store.name.to_string()),
            created_at: Set(store.created_at),
            updated_at: Set(store.updated_at),
            deleted_at: Set(store.deleted_at),
            version: Set(store.version),
        }]);
        Ok(())
    }

    async fn update(&mut self, store: &Store) -> Result<(), RepositoryError> {
        let name = self.writes.text(store.name.as_str());
        let (updated_at, deleted_at) =
            (self.writes.moment(store.updated_at), self.writes.moment_or_null(store.deleted_at));
        let update = stores::Entity::update_many()
            .col_expr(stores::Column::Name, name)
            .col_expr(stores::Column::UpdatedAt, updated_at)
            .col_expr(stores::Column::DeletedAt, deleted_at)
            .col_expr(stores::Column::Version, Expr::val(store.version))
            .filter(stores::Column::Id.eq(store.id.0))
            .filter(Expr::col(stores::Column::Version).eq(store.version - 1));
        self.writes.update(update, 1);
        Ok(())
    }
}

impl TryFrom<stores::Model> for Store {
    type Error = Corrupt;

    fn try_from(row: stores::Model) -> Result<Self, Corrupt> {
        Ok(Self {
            id: StoreId(row.id),
            name: row.name.parse().map_err(|_| Corrupt::new("stores", "name", row.id))?,
            created_at: row.created_at,
            updated_at: row.updated_at,
            deleted_at: row.deleted_at,
            version: row.version,
        })
    }
}
