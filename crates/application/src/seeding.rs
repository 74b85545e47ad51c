//! Filling an empty shop, for demos and load tests.

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use jangteo_domain::coupon::{CouponDraft, Discount};
use jangteo_domain::user::Profile;
use jangteo_domain::wallet::WalletPolicy;
use jangteo_domain::{CouponCode, Money, RepositoryError};

/// What a shop should have. Ids are given by place: the first customer is 1, the first product is 1. What is there
/// already stays as it is.
#[derive(Debug, Clone, Default)]
pub struct SeedPlan {
    /// Customers with what their wallets are charged with at first.
    pub users: Vec<(Profile, Money)>,
    /// Products.
    pub products: Vec<SeedProduct>,
    /// Coupons.
    pub coupons: Vec<SeedCoupon>,
    /// Orders of the past. Customers and products that are created with them were there before the first.
    pub orders: Option<PastOrders>,
}

/// Orders that were placed, paid and delivered some time ago, by all customers, of all products without variants.
///
/// They begin when the last thing happened in the shop, at most some days ago, and end now. Customers charge their wallets
/// for them, and products receive what is sold.
#[derive(Debug, Clone)]
pub struct PastOrders {
    /// Orders there should be, of any kind.
    pub total: u64,
    /// How many days they go back at most.
    pub days: u32,
    /// Orders in a transaction: one that is cut off leaves a shop with fewer orders, whose books balance.
    pub at_a_time: u32,
    /// What the customers who ordered have left at least, as far as their wallets may hold it.
    pub balance: Money,
    /// What wallets may hold.
    pub wallet: WalletPolicy,
    /// For how long events are kept: those from before were purged.
    pub events_kept_for: TimeDelta,
}

/// A product to put into the catalogue.
#[derive(Debug, Clone)]
pub struct SeedProduct {
    /// Name.
    pub name: String,
    /// Description.
    pub description: String,
    /// Price of one piece.
    pub price: Money,
    /// Pieces received at first.
    pub stock: i64,
}

/// A coupon to put on offer.
#[derive(Debug, Clone)]
pub struct SeedCoupon {
    /// Its code.
    pub code: CouponCode,
    /// A title for people.
    pub name: String,
    /// What it takes off.
    pub discount: Discount,
    /// The least total that it can be used on.
    pub min_order_amount: Money,
    /// The most it takes off.
    pub max_discount: Option<Money>,
    /// From when it can be claimed.
    pub claim_starts_at: DateTime<Utc>,
    /// Until when it can be claimed.
    pub claim_ends_at: DateTime<Utc>,
    /// Until when a claimed one can be used, whenever it was claimed.
    pub valid_until: Option<DateTime<Utc>>,
    /// For how many days after the claim it can be used: 1 to [`SeedCoupon::MAX_VALID_DAYS`].
    pub valid_days: Option<u32>,
    /// How many are issued at most.
    pub total_quantity: i64,
}

impl SeedCoupon {
    /// As of every coupon.
    pub const MAX_VALID_DAYS: u32 = CouponDraft::MAX_VALID_DAYS;
}

/// How far seeding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeedProgress {
    /// What is being created: "users", "products", "coupons" or "orders".
    pub what: &'static str,
    /// How many are there, found or created.
    pub done: usize,
    /// How many there should be.
    pub total: usize,
}

/// What seeding created, beside what was there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SeedReport {
    /// Customers.
    pub users: usize,
    /// Products.
    pub products: usize,
    /// Coupons.
    pub coupons: usize,
    /// Orders.
    pub orders: usize,
}

/// Fills a shop.
#[async_trait]
pub trait Seeder: Send + Sync {
    /// Whether the shop has neither customers nor products.
    async fn is_empty(&self) -> Result<bool, RepositoryError>;

    /// Creates what the plan has and the shop lacks, in batches, telling how far it is.
    async fn seed(
        &self,
        plan: &SeedPlan,
        progress: &(dyn Fn(SeedProgress) + Send + Sync),
    ) -> Result<SeedReport, RepositoryError>;
}
