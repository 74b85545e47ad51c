//! Reading without a transaction.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use jangteo_domain::cart::CartView;
use jangteo_domain::coupon::UserCouponState;
use jangteo_domain::order::OrderStatus;
use jangteo_domain::payment::PaymentStatus;
use jangteo_domain::wallet::LedgerKind;
use jangteo_domain::{
    Coupon, CouponCode, CouponId, Money, Order, OrderId, ProductId, RepositoryError, StoreId, User, UserId,
    VariantId, Wallet,
};

/// Which page of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PageRequest {
    /// From 0.
    pub page: u32,
    /// Entries on a page.
    pub size: u32,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The entries.
    pub content: Vec<T>,
    /// Which page.
    pub request: PageRequest,
    /// Entries on all pages.
    pub total: u64,
}

/// What products can be sorted by; ids break ties, in the same direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProductSort {
    /// When they came into the catalogue.
    CreatedAt,
    /// Their price.
    Price,
    /// Their name.
    Name,
    /// How often they were sold.
    SalesVolume,
}

/// Up or down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Smallest first.
    Ascending,
    /// Largest first.
    Descending,
}

/// Words, all of which are in the name or the description of what is looked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Search(Arc<BTreeSet<String>>);

impl Search {
    /// The words of a text, in whatever order they stand; nothing if there are none.
    #[must_use]
    pub fn words_of(text: &str) -> Option<Self> {
        let words: BTreeSet<String> = text.split_whitespace().map(str::to_owned).collect();
        (!words.is_empty()).then(|| Self(Arc::new(words)))
    }

    /// The words.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl fmt::Display for Search {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> = self.words().collect();
        f.write_str(&words.join(" "))
    }
}

/// Which products to list. Only those on sale are listed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ProductList {
    /// What to look for.
    pub search: Option<Search>,
    /// Those of this store.
    pub store: Option<StoreId>,
    /// Those that are in stock, or those that are not.
    pub in_stock: Option<bool>,
    /// Which page.
    pub page: PageRequest,
    /// Sorted by what.
    pub sort: ProductSort,
    /// In which direction.
    pub direction: Direction,
}

/// A product on sale, as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductView {
    /// Identity.
    pub id: ProductId,
    /// Who sells it.
    pub store: StoreId,
    /// The seller's name.
    pub store_name: String,
    /// Name.
    pub name: String,
    /// Price of one piece; of a product with variants the lowest of them.
    pub price: Money,
    /// Pieces left, those of its variants together.
    pub stock: i64,
    /// Pieces sold so far.
    pub sales_volume: i64,
    /// When it came into the catalogue.
    pub created_at: DateTime<Utc>,
}

/// A product on sale with all that is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductDetail {
    /// What lists show of it.
    pub product: ProductView,
    /// Description.
    pub description: String,
    /// Where its pictures are, in sequence.
    pub images: Vec<String>,
    /// What it is sold as, by ascending ids; nothing if it is sold as such.
    pub variants: Vec<VariantView>,
}

/// A variant on sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariantView {
    /// Identity.
    pub id: VariantId,
    /// Name.
    pub name: String,
    /// Price of one piece.
    pub price: Money,
    /// Pieces left.
    pub stock: i64,
}

/// A product that sold well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PopularProduct {
    /// Identity.
    pub id: ProductId,
    /// Name.
    pub name: String,
    /// Price of one piece.
    pub price: Money,
    /// Pieces sold, in the time that was asked for.
    pub sold: i64,
}

/// Products that sold well, best first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PopularProducts {
    /// The products.
    pub products: Vec<PopularProduct>,
    /// As of when.
    pub generated_at: DateTime<Utc>,
}

/// What everybody may see.
#[async_trait]
pub trait CatalogueQueries: Send + Sync {
    /// Products on sale.
    async fn products(&self, list: ProductList) -> Result<Page<ProductView>, RepositoryError>;

    /// One product on sale.
    async fn product(&self, id: ProductId) -> Result<Option<ProductDetail>, RepositoryError>;

    /// The `limit` products on sale that sold most pieces in the last `days` days, reaching back to the hour that
    /// contains the beginning.
    async fn popular(&self, days: u32, limit: u32) -> Result<PopularProducts, RepositoryError>;

    /// The `limit` products on sale that sold most pieces ever; ids break ties, and what never sold is left out.
    async fn best_sellers(&self, limit: u32) -> Result<PopularProducts, RepositoryError>;

    /// Coupons on offer: those that can be claimed now or later, sold-out ones included. What ends first comes first,
    /// and ids break ties.
    async fn coupon_offers(&self, page: PageRequest) -> Result<Page<Coupon>, RepositoryError>;

    /// One coupon, also when it is over.
    async fn coupon_offer(&self, code: CouponCode) -> Result<Option<Coupon>, RepositoryError>;
}

/// A movement of money as the customer sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerLine {
    /// Identity; later ones are larger.
    pub id: i64,
    /// Why money moved.
    pub kind: LedgerKind,
    /// Signed.
    pub amount: Money,
    /// The balance after it.
    pub balance_after: Money,
    /// The order that was paid or refunded.
    pub order: Option<OrderId>,
    /// Why an administrator corrected the balance.
    pub reason: Option<String>,
    /// When.
    pub at: DateTime<Utc>,
}

/// A coupon as its holder sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldCoupon {
    /// Which coupon.
    pub coupon: CouponId,
    /// Its code.
    pub code: CouponCode,
    /// Its title.
    pub name: String,
    /// Whether it still can be used. What was not used in time counts as expired, recorded or not.
    pub state: UserCouponState,
    /// When it was claimed.
    pub claimed_at: DateTime<Utc>,
    /// From when it can no longer be used, if ever.
    pub expires_at: Option<DateTime<Utc>>,
}

/// What can happen to a customer's coupon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CouponChange {
    /// The customer claimed it.
    Issued,
    /// It was used on an order.
    Used,
    /// Its order was cancelled, and it can be used again.
    Restored,
    /// It was not used in time.
    Expired,
}

/// Something that happened to a customer's coupon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CouponHistoryLine {
    /// Identity; later ones are larger.
    pub id: i64,
    /// Which coupon.
    pub coupon: CouponId,
    /// Its code.
    pub code: CouponCode,
    /// What happened.
    pub change: CouponChange,
    /// The order that caused it.
    pub order: Option<OrderId>,
    /// When.
    pub at: DateTime<Utc>,
}

/// A payment, and all that happened to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentView {
    /// The order.
    pub order: OrderId,
    /// What was paid, or is to be.
    pub amount: Money,
    /// Where it stands.
    pub status: PaymentStatus,
    /// Why the last attempt came to nothing, if it did.
    pub failure_reason: Option<String>,
    /// When it was started.
    pub created_at: DateTime<Utc>,
    /// When it was made.
    pub paid_at: Option<DateTime<Utc>>,
    /// When it was refunded.
    pub cancelled_at: Option<DateTime<Utc>>,
    /// What happened, the first first.
    pub history: Vec<PaymentStep>,
}

/// Something that happened to a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentStep {
    /// Where it stood.
    pub from: PaymentStatus,
    /// Where it stands since.
    pub to: PaymentStatus,
    /// Why, if that was said.
    pub reason: Option<String>,
    /// When.
    pub at: DateTime<Utc>,
}

/// What belongs to one customer.
#[async_trait]
pub trait CustomerQueries: Send + Sync {
    /// The customer.
    async fn user(&self, user: UserId) -> Result<Option<User>, RepositoryError>;

    /// The wallet; `None` for an unknown customer.
    async fn wallet(&self, user: UserId) -> Result<Option<Wallet>, RepositoryError>;

    /// What moved in the wallet, latest first.
    async fn ledger(&self, user: UserId, page: PageRequest) -> Result<Page<LedgerLine>, RepositoryError>;

    /// The customer's coupons, in the order they were claimed.
    async fn coupons(&self, user: UserId) -> Result<Vec<HeldCoupon>, RepositoryError>;

    /// What happened to the customer's coupons, latest first.
    async fn coupon_history(
        &self,
        user: UserId,
        page: PageRequest,
    ) -> Result<Page<CouponHistoryLine>, RepositoryError>;

    /// The customer's cart, at today's prices; an empty one for an unknown customer.
    async fn cart(&self, user: UserId) -> Result<CartView, RepositoryError>;

    /// The customer's orders, latest first.
    async fn orders(
        &self,
        user: UserId,
        status: Option<OrderStatus>,
        page: PageRequest,
    ) -> Result<Page<Order>, RepositoryError>;

    /// One order, whoever placed it.
    async fn order(&self, order: OrderId) -> Result<Option<Order>, RepositoryError>;

    /// The payment of an order, whoever placed it.
    async fn payment(&self, order: OrderId) -> Result<Option<PaymentView>, RepositoryError>;
}

/// Whether the database answers.
#[async_trait]
pub trait Readiness: Send + Sync {
    /// Asks it something trivial.
    async fn check(&self) -> Result<(), RepositoryError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_words_are_the_same_search() {
        let search = |text: &str| Search::words_of(text).map(|search| search.to_string());
        assert_eq!(search("  면\t티셔츠 면 "), Some("면 티셔츠".to_owned()));
        assert_eq!(Search::words_of("b a"), Search::words_of("a b"));
        assert_eq!(search(" \n "), None);
    }
}
