//! Exports: everything there is of something, as of one moment, however much it is.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use jangteo_domain::order::OrderStatus;
use jangteo_domain::wallet::LedgerKind;
use jangteo_domain::{Money, OrderId, ProductId, RepositoryError, UserId, VariantId};

/// How many exports may run at a time.
pub const AT_ONCE: u32 = 2;

/// From a moment up to another, which is not part of it; either may be left open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    /// Its first moment.
    pub from: Option<DateTime<Utc>>,
    /// The first moment after it.
    pub to: Option<DateTime<Utc>>,
}

/// Which orders to export.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OrdersToExport {
    /// When they were placed.
    pub placed: Span,
    /// Where they stand.
    pub status: Option<OrderStatus>,
}

/// Which ledger entries to export.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EntriesToExport {
    /// When money moved.
    pub at: Span,
    /// Whose.
    pub user: Option<UserId>,
}

/// A line of an order, with what the whole order came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportedLine {
    /// The order.
    pub order: OrderId,
    /// The customer.
    pub user: UserId,
    /// Where the order stands.
    pub status: OrderStatus,
    /// When it was placed.
    pub placed_at: DateTime<Utc>,
    /// When it was paid, if it was.
    pub paid_at: Option<DateTime<Utc>>,
    /// The product.
    pub product: ProductId,
    /// Its name when it was ordered.
    pub name: String,
    /// The variant, if the product has any.
    pub variant: Option<VariantId>,
    /// Its name when it was ordered.
    pub variant_name: Option<String>,
    /// The price of one piece when it was ordered.
    pub unit_price: Money,
    /// Pieces.
    pub quantity: i64,
    /// What they came to.
    pub subtotal: Money,
    /// The sum of the order's lines.
    pub total: Money,
    /// What the coupon took off the order.
    pub discount: Money,
    /// What was to be paid for the order.
    pub paid: Money,
    /// The code of the coupon.
    pub coupon: Option<String>,
}

/// A movement of money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportedEntry {
    /// Identity; later ones are larger.
    pub id: i64,
    /// Whose wallet.
    pub user: UserId,
    /// Why money moved.
    pub kind: LedgerKind,
    /// Signed.
    pub amount: Money,
    /// The balance after it.
    pub balance_after: Money,
    /// The order that was paid or refunded.
    pub order: Option<OrderId>,
    /// Why, in somebody's words.
    pub reason: Option<String>,
    /// When.
    pub at: DateTime<Utc>,
}

/// The rows of an export, a portion at a time. Dropping it ends the export.
#[async_trait]
pub trait Export<R>: Send {
    /// The next rows; none when there are no more.
    ///
    /// A portion MUST NOT grow with the export.
    async fn next(&mut self) -> Result<Vec<R>, RepositoryError>;
}

/// Where exports are read from.
///
/// Every row MUST be as it was when the export began. An export MUST NOT hold up who writes, nor take a connection from
/// who reads.
#[async_trait]
pub trait Exports: Send + Sync {
    /// Begins an export of orders, by ascending ids.
    async fn orders(&self, which: OrdersToExport) -> Result<Box<dyn Export<ExportedLine>>, RepositoryError>;

    /// Begins an export of ledger entries, by ascending ids.
    async fn entries(
        &self,
        which: EntriesToExport,
    ) -> Result<Box<dyn Export<ExportedEntry>>, RepositoryError>;
}
