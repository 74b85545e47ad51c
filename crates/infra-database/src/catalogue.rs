//! Products as administrators change them.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use jangteo_domain::catalogue::{
    AdjustmentKind, CatalogueChanges, CatalogueRepository, ImageUrl, ManagedProduct, ProductDetails,
    StockAdjustment, Variant, VariantDetails,
};
use jangteo_domain::{Money, ProductId, RepositoryError, StoreId, VariantId};
use sea_orm::sea_query::{Expr, SimpleExpr};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, EntityTrait, NotSet, QueryFilter, QueryOrder, QuerySelect, UpdateMany,
};

use crate::entity::{product_images, products, stock_movements, stores, variants};
use crate::error::{Corrupt, failed};
use crate::rows::sequence;
use crate::statement::padded;
use crate::transaction::Transaction;

#[async_trait]
impl CatalogueRepository for Transaction {
    async fn lock_stores(
        &mut self,
        stores: &BTreeSet<StoreId>,
    ) -> Result<BTreeSet<StoreId>, RepositoryError> {
        let transaction = self.up_to_date().await?;
        let mut locked = BTreeSet::new();
        for list in padded(stores.iter().map(|store| store.0)) {
            let ids: Vec<i64> = stores::Entity::find()
                .select_only()
                .column(stores::Column::Id)
                .filter(stores::Column::Id.is_in(list))
                .filter(stores::Column::DeletedAt.is_null())
                .order_by_asc(stores::Column::Id)
                .lock_exclusive()
                .into_tuple()
                .all(transaction)
                .await
                .map_err(failed)?;
            locked.extend(ids.into_iter().map(StoreId));
        }
        Ok(locked)
    }

    async fn lock_managed(
        &mut self,
        products: &BTreeSet<ProductId>,
    ) -> Result<BTreeMap<ProductId, ManagedProduct>, RepositoryError> {
        let transaction = self.up_to_date().await?;
        let mut rows = Vec::new();
        let mut details = Details::default();
        let lists = padded(products.iter().map(|product| product.0));
        for list in &lists {
            let select = products::Entity::find().filter(products::Column::Id.is_in(list.iter().copied()));
            let locked = select.order_by_asc(products::Column::Id).lock_exclusive().all(transaction).await;
            rows.extend(locked.map_err(failed)?);
        }
        for list in &lists {
            let select =
                variants::Entity::find().filter(variants::Column::ProductId.is_in(list.iter().copied()));
            let locked = select.order_by_asc(variants::Column::Id).lock_exclusive().all(transaction).await;
            details.add_variants(locked.map_err(failed)?)?;
            let select = product_images::Entity::find()
                .filter(product_images::Column::ProductId.is_in(list.iter().copied()));
            let images = select.order_by_asc(product_images::Column::Sequence).all(transaction).await;
            details.add_images(images.map_err(failed)?)?;
        }
        let products = rows.into_iter().map(|row| details.complete(row).map(|product| (product.id, product)));
        Ok(products.collect::<Result<_, Corrupt>>()?)
    }

    async fn store(&mut self, changes: &CatalogueChanges, now: DateTime<Utc>) -> Result<(), RepositoryError> {
        let CatalogueChanges { created, changed, new_variants, changed_variants, images, adjustments } =
            changes;
        self.writes.insert(created.iter().map(product_row));
        for product in changed {
            let update = self.change_of(product);
            self.writes.update(update, 1);
        }
        let created_variants =
            created.iter().flat_map(|product| product.variants.iter().map(|variant| (product.id, variant)));
        let new_variants = new_variants.iter().map(|(product, variant)| (*product, variant));
        let new_variants = created_variants.chain(new_variants);
        self.writes.insert(new_variants.map(|(product, variant)| variant_row(product, variant, now)));
        for variant in changed_variants {
            let update = self.change_of_variant(variant, now);
            self.writes.update(update, 1);
        }
        self.writes.insert(adjustments.iter().map(|adjustment| movement_row(adjustment, now)));
        for product in created {
            self.writes.insert(image_rows(product.id, &product.images, now)?);
        }
        self.replace_images(images, now).await
    }
}

impl Transaction {
    /// Everything about it but what orders write: its sales volume.
    fn change_of(&mut self, product: &ManagedProduct) -> UpdateMany<products::Entity> {
        use products::Column;
        let ProductDetails { store, name, description, price, active } = &product.details;
        let deleted_at = self.writes.moment_or_null(product.deleted_at);
        products::Entity::update_many()
            .col_expr(Column::StoreId, Expr::val(store.0))
            .col_expr(Column::Name, self.writes.text(name.as_str()))
            .col_expr(Column::Description, self.writes.text(description.as_str()))
            .col_expr(Column::Price, Expr::val(price.minor()))
            .col_expr(Column::Active, truth(*active))
            .col_expr(Column::Stock, Expr::val(product.stock))
            .col_expr(Column::HasVariants, truth(!product.variants.is_empty()))
            .col_expr(Column::Version, Expr::val(product.version))
            .col_expr(Column::UpdatedAt, self.writes.moment(product.updated_at))
            .col_expr(Column::DeletedAt, deleted_at)
            .filter(Column::Id.eq(product.id.0))
    }

    fn change_of_variant(&mut self, variant: &Variant, now: DateTime<Utc>) -> UpdateMany<variants::Entity> {
        use variants::Column;
        let VariantDetails { name, price, active } = &variant.details;
        variants::Entity::update_many()
            .col_expr(Column::Name, self.writes.text(name.as_str()))
            .col_expr(Column::Price, Expr::val(price.minor()))
            .col_expr(Column::Active, truth(*active))
            .col_expr(Column::Stock, Expr::val(variant.stock))
            .col_expr(Column::UpdatedAt, self.writes.moment(now))
            .filter(Column::Id.eq(variant.id.0))
    }

    async fn replace_images(
        &mut self,
        images: &[(ProductId, Vec<ImageUrl>)],
        now: DateTime<Utc>,
    ) -> Result<(), RepositoryError> {
        for list in padded(images.iter().map(|(product, _)| product.0)) {
            let transaction = self.up_to_date().await?;
            let delete = product_images::Entity::delete_many()
                .filter(product_images::Column::ProductId.is_in(list))
                .exec(transaction);
            delete.await.map_err(failed)?;
        }
        for (product, images) in images {
            self.writes.insert(image_rows(*product, images, now)?);
        }
        Ok(())
    }
}

/// As both databases store it.
fn truth(truth: bool) -> SimpleExpr {
    Expr::val(i32::from(truth))
}

fn product_row(product: &ManagedProduct) -> products::ActiveModel {
    let ProductDetails { store, name, description, price, active } = &product.details;
    products::ActiveModel {
        id: Set(product.id.0),
        store_id: Set(store.0),
        name: Set(name.to_string()),
        description: Set(description.to_string()),
        price: Set(price.minor()),
        stock: Set(product.stock),
        active: Set(*active),
        sales_volume: Set(product.sales_volume),
        created_at: Set(product.created_at),
        updated_at: Set(product.updated_at),
        deleted_at: Set(product.deleted_at),
        version: Set(product.version),
        has_variants: Set(!product.variants.is_empty()),
    }
}

fn variant_row(product: ProductId, variant: &Variant, now: DateTime<Utc>) -> variants::ActiveModel {
    let VariantDetails { name, price, active } = &variant.details;
    variants::ActiveModel {
        id: Set(variant.id.0),
        product_id: Set(product.0),
        name: Set(name.to_string()),
        price: Set(price.minor()),
        stock: Set(variant.stock),
        active: Set(*active),
        created_at: Set(now),
        updated_at: Set(now),
    }
}

fn image_rows(
    product: ProductId,
    images: &[ImageUrl],
    now: DateTime<Utc>,
) -> Result<Vec<product_images::ActiveModel>, RepositoryError> {
    let rows = (1..).zip(images).map(|(number, url)| {
        let (product_id, sequence) = (Set(product.0), Set(sequence(number)?));
        let (url, created_at) = (Set(url.to_string()), Set(now));
        Ok(product_images::ActiveModel { product_id, sequence, url, created_at })
    });
    rows.collect()
}

fn movement_row(adjustment: &StockAdjustment, now: DateTime<Utc>) -> stock_movements::ActiveModel {
    let kind = match adjustment.kind {
        AdjustmentKind::Receive => "RECEIVE",
        AdjustmentKind::Adjust => "ADJUST",
    };
    stock_movements::ActiveModel {
        id: NotSet,
        product_id: Set(adjustment.product.0),
        kind: Set(kind.to_owned()),
        quantity: Set(adjustment.quantity),
        stock_after: Set(adjustment.stock_after),
        order_id: Set(None),
        reason: Set(adjustment.reason.as_ref().map(ToString::to_string)),
        created_at: Set(now),
        variant_id: Set(adjustment.variant.map(|variant| variant.0)),
    }
}

/// What belongs to products, by product.
#[derive(Default)]
pub(crate) struct Details {
    variants: BTreeMap<i64, Vec<Variant>>,
    images: BTreeMap<i64, Vec<ImageUrl>>,
}

impl Details {
    /// In the order in which they are to be shown.
    pub(crate) fn add_variants(&mut self, rows: Vec<variants::Model>) -> Result<(), Corrupt> {
        for row in rows {
            let name = row.name.parse().map_err(|_| Corrupt::new("variants", "name", row.id))?;
            let details = VariantDetails { name, price: Money::from_minor(row.price), active: row.active };
            let variant = Variant { id: VariantId(row.id), details, stock: row.stock };
            self.variants.entry(row.product_id).or_default().push(variant);
        }
        Ok(())
    }

    /// In sequence.
    pub(crate) fn add_images(&mut self, rows: Vec<product_images::Model>) -> Result<(), Corrupt> {
        for row in rows {
            let url = row.url.parse().map_err(|_| Corrupt::new("product_images", "url", row.product_id))?;
            self.images.entry(row.product_id).or_default().push(url);
        }
        Ok(())
    }

    /// The product with what belongs to it.
    pub(crate) fn complete(&mut self, row: products::Model) -> Result<ManagedProduct, Corrupt> {
        let corrupt = |column| Corrupt::new("products", column, row.id);
        Ok(ManagedProduct {
            id: ProductId(row.id),
            details: ProductDetails {
                store: StoreId(row.store_id),
                name: row.name.parse().map_err(|_| corrupt("name"))?,
                description: row.description.parse().map_err(|_| corrupt("description"))?,
                price: Money::from_minor(row.price),
                active: row.active,
            },
            stock: row.stock,
            variants: self.variants.remove(&row.id).unwrap_or_default(),
            images: self.images.remove(&row.id).unwrap_or_default(),
            sales_volume: row.sales_volume,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
            deleted_at: row.deleted_at,
        })
    }
}
