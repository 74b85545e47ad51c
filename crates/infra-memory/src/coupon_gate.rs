//! What is known about coupons.

use async_trait::async_trait;
use jangteo_application::CouponGate;
use jangteo_domain::coupon::ClaimRefusal;
use jangteo_domain::{CouponCode, UserId};
use moka::sync::Cache;

/// Coupons that are remembered to be sold out.
const SOLD_OUT: u64 = 10_000;
/// Claims that are remembered as repeated.
const HOLDERS: u64 = 200_000;

/// Remembers who holds what and what is sold out. Both stay true once they are: a coupon is never taken back, and
/// counters only grow.
pub struct MemoryCouponGate {
    sold_out: Cache<CouponCode, ()>,
    holders: Cache<(CouponCode, UserId), ()>,
}

impl MemoryCouponGate {
    /// A gate that knows nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self { sold_out: Cache::new(SOLD_OUT), holders: Cache::new(HOLDERS) }
    }
}

impl Default for MemoryCouponGate {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl CouponGate for MemoryCouponGate {
    async fn refusal(&self, code: &CouponCode, user: UserId) -> Option<ClaimRefusal> {
        if self.holders.contains_key(&(code.clone(), user)) {
            return Some(ClaimRefusal::AlreadyClaimed);
        }
        self.sold_out.contains_key(code).then_some(ClaimRefusal::SoldOut)
    }

    async fn learn(&self, code: &CouponCode, user: UserId, refusal: Option<ClaimRefusal>) {
        match refusal {
            None | Some(ClaimRefusal::AlreadyClaimed) => self.holders.insert((code.clone(), user), ()),
            Some(ClaimRefusal::SoldOut) => self.sold_out.insert(code.clone(), ()),
            Some(ClaimRefusal::Unknown | ClaimRefusal::NotStarted(_) | ClaimRefusal::Ended(_)) => {}
        }
    }
}
