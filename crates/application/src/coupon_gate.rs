//! The gate before coupon claims.

use async_trait::async_trait;
use jangteo_domain::coupon::ClaimRefusal;
use jangteo_domain::{CouponCode, UserId};

/// Remembers what the database said, so that a stampede of losers does not reach it. It decides nothing: it may
/// forget everything at any moment.
#[async_trait]
pub trait CouponGate: Send + Sync {
    /// Why the database is sure to refuse this claim; `None` when it has to be asked.
    async fn refusal(&self, code: &CouponCode, user: UserId) -> Option<ClaimRefusal>;

    /// What the database said of a claim: its refusal, or `None` when the coupon was issued.
    async fn learn(&self, code: &CouponCode, user: UserId, refusal: Option<ClaimRefusal>);
}
