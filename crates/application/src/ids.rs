//! Ids handed out in blocks, so that rows can be written together with what refers to them.

use async_trait::async_trait;
use jangteo_domain::RepositoryError;

/// What ids are handed out for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sequence {
    /// Customers.
    Users,
    /// Orders.
    Orders,
    /// Customers' copies of coupons.
    UserCoupons,
}

impl Sequence {
    /// Every sequence.
    pub const ALL: [Self; 3] = [Self::Users, Self::Orders, Self::UserCoupons];

    /// The name under which it is stored.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Orders => "orders",
            Self::UserCoupons => "user_coupons",
        }
    }
}

/// Hands out ids that nobody else gets.
#[async_trait]
pub trait IdAllocator: Send + Sync {
    /// Takes `count` ids, ascending. MUST NOT be called inside a unit of work: it may need a transaction of its
    /// own, and an embedded database has only one.
    async fn reserve(&self, sequence: Sequence, count: usize) -> Result<Vec<i64>, RepositoryError>;

    /// Puts back ids that were reserved and not used, so that refusals do not leave gaps.
    fn give_back(&self, sequence: Sequence, unused: Vec<i64>);
}
