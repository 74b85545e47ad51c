//! Ids handed out in blocks, so that rows can be written together with what refers to them.

use async_trait::async_trait;
use jangteo_domain::RepositoryError;

/// What ids are handed out for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sequence {
    /// Customers.
    Users,
    /// Stores.
    Stores,
    /// Products.
    Products,
    /// Variants of products.
    Variants,
    /// Coupons.
    Coupons,
    /// Orders.
    Orders,
    /// Customers' copies of coupons.
    UserCoupons,
}

impl Sequence {
    /// Every sequence.
    pub const ALL: [Self; 7] = [
        Self::Users,
        Self::Stores,
        Self::Products,
        Self::Variants,
        Self::Coupons,
        Self::Orders,
        Self::UserCoupons,
    ];

    /// The name under which it is stored.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Stores => "stores",
            Self::Products => "products",
            Self::Variants => "variants",
            Self::Coupons => "coupons",
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
