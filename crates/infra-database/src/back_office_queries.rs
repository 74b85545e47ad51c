//! What administrators see to, and who did what to it.

use async_trait::async_trait;
use jangteo_application::back_office_queries::{BackOfficeQueries, ChangeFilter, ChangeView};
use jangteo_application::queries::{Page, PageRequest};
use jangteo_application::trail::Subject;
use jangteo_domain::{Coupon, CouponId, RepositoryError, StoreId, UserId};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};

use crate::entity::{admin_changes, coupons, stores};
use crate::error::{Corrupt, failed};
use crate::store::Store;

#[async_trait]
impl BackOfficeQueries for Store {
    async fn stores(
        &self,
        with_deleted: bool,
        page: PageRequest,
    ) -> Result<Page<jangteo_domain::Store>, RepositoryError> {
        let stores = match with_deleted {
            true => stores::Entity::find(),
            false => stores::Entity::find().filter(stores::Column::DeletedAt.is_null()),
        };
        self.page_of(stores.order_by_asc(stores::Column::Id), page, jangteo_domain::Store::try_from).await
    }

    async fn store(&self, id: StoreId) -> Result<Option<jangteo_domain::Store>, RepositoryError> {
        let row = stores::Entity::find_by_id(id.0).one(self.readers()).await.map_err(failed)?;
        Ok(row.map(jangteo_domain::Store::try_from).transpose()?)
    }

    async fn all_coupons(&self, page: PageRequest) -> Result<Page<Coupon>, RepositoryError> {
        let coupons = coupons::Entity::find().order_by_asc(coupons::Column::Id);
        self.page_of(coupons, page, Coupon::try_from).await
    }

    async fn coupon(&self, id: CouponId) -> Result<Option<Coupon>, RepositoryError> {
        let row = coupons::Entity::find_by_id(id.0).one(self.readers()).await.map_err(failed)?;
        Ok(row.map(Coupon::try_from).transpose()?)
    }

    async fn changes(
        &self,
        which: ChangeFilter,
        page: PageRequest,
    ) -> Result<Page<ChangeView>, RepositoryError> {
        let mut changes = admin_changes::Entity::find();
        if let Some(subject) = which.subject {
            changes = changes.filter(admin_changes::Column::Subject.eq(subject.name()));
        }
        if let Some(id) = which.subject_id {
            changes = changes.filter(admin_changes::Column::SubjectId.eq(id));
        }
        if let Some(actor) = which.actor {
            changes = changes.filter(admin_changes::Column::ActorId.eq(actor.0));
        }
        self.page_of(changes.order_by_desc(admin_changes::Column::Id), page, change_view).await
    }
}

fn change_view(row: admin_changes::Model) -> Result<ChangeView, Corrupt> {
    Ok(ChangeView {
        subject: Subject::named(&row.subject)
            .ok_or_else(|| Corrupt::new("admin_changes", "subject", row.id))?,
        id: row.id,
        actor: UserId(row.actor_id),
        action: row.action,
        subject_id: row.subject_id,
        before: row.before_json,
        after: row.after_json,
        trace_id: row.trace_id,
        at: row.created_at,
    })
}
