use async_trait::async_trait;
use chrono::{DateTime, Utc};
use jangteo_domain::{RepositoryError, UserCouponId};

use super::Job;
use crate::unit_of_work::UnitOfWork;

/// Marks customers' coupons as expired that were not used in time.
///
/// Orders refuse them from the moment on at which their validity ends, whether or not this has run. One that is being
/// used is left out: the order's clock may still have found it valid.
#[derive(Debug, Clone, Copy, Default)]
pub struct ExpireCoupons;

const BATCH: usize = 500;

#[async_trait]
impl Job for ExpireCoupons {
    fn name(&self) -> &'static str {
        "expire-coupons"
    }

    async fn batch(&self, uow: &mut dyn UnitOfWork, now: DateTime<Utc>) -> Result<usize, RepositoryError> {
        let mut due = uow.coupons().lock_due(now, BATCH).await?;
        for coupon in &mut due {
            coupon.expire(now).map_err(|refusal| RepositoryError::Backend(refusal.into()))?;
        }
        let expired: Vec<UserCouponId> = due.iter().map(|coupon| coupon.id).collect();
        if !expired.is_empty() {
            uow.coupons().expire(&expired, now).await?;
        }
        Ok(expired.len())
    }
}
