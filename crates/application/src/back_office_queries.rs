//! Reading what administrators see to.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use jangteo_domain::{Coupon, CouponId, RepositoryError, Store, StoreId, UserId};

use crate::queries::{Page, PageRequest};
use crate::trail::Subject;

/// A change on the trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeView {
    /// Identity; later ones are larger.
    pub id: i64,
    /// Who made it.
    pub actor: UserId,
    /// What was done.
    pub action: String,
    /// To what kind of thing.
    pub subject: Subject,
    /// To which one.
    pub subject_id: i64,
    /// JSON: as it was.
    pub before: Option<String>,
    /// JSON: as it is since.
    pub after: Option<String>,
    /// The request's W3C trace id.
    pub trace_id: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// Which changes to list; all of them, where nothing is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChangeFilter {
    /// Of this kind of thing.
    pub subject: Option<Subject>,
    /// Of this one.
    pub subject_id: Option<i64>,
    /// Made by this administrator.
    pub actor: Option<UserId>,
}

/// What administrators see to, and who did what to it.
#[async_trait]
pub trait BackOfficeQueries: Send + Sync {
    /// Stores by their ids, those that were deleted only if asked for.
    async fn stores(&self, with_deleted: bool, page: PageRequest) -> Result<Page<Store>, RepositoryError>;

    /// One store, deleted or not.
    async fn store(&self, id: StoreId) -> Result<Option<Store>, RepositoryError>;

    /// All coupons there ever were, by their ids.
    async fn all_coupons(&self, page: PageRequest) -> Result<Page<Coupon>, RepositoryError>;

    /// One coupon, retired or not.
    async fn coupon(&self, id: CouponId) -> Result<Option<Coupon>, RepositoryError>;

    /// What was changed, latest first.
    async fn changes(
        &self,
        which: ChangeFilter,
        page: PageRequest,
    ) -> Result<Page<ChangeView>, RepositoryError>;
}
