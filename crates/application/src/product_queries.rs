//! What those who keep the catalogue read of it.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use jangteo_domain::catalogue::ManagedProduct;
use jangteo_domain::{Money, OrderId, ProductId, RepositoryError, StoreId, VariantId};

use crate::queries::{Direction, Page, PageRequest, ProductSort, Search};

/// Which products to list, on sale or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagedList {
    /// What to look for.
    pub search: Option<Search>,
    /// Those of this store.
    pub store: Option<StoreId>,
    /// Those that are active, or those that are not.
    pub active: Option<bool>,
    /// Those that were deleted, or those that were not.
    pub deleted: bool,
    /// Which page.
    pub page: PageRequest,
    /// Sorted by what; ids break ties, in the same direction.
    pub sort: ProductSort,
    /// In which direction.
    pub direction: Direction,
}

/// A product as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagedView {
    /// Identity.
    pub id: ProductId,
    /// Who sells it.
    pub store: StoreId,
    /// Name.
    pub name: String,
    /// Price of one piece; of a product with variants the lowest of the active ones.
    pub price: Money,
    /// Pieces left, those of its variants together.
    pub stock: i64,
    /// Whether it is sold as variants.
    pub has_variants: bool,
    /// Whether it is on sale.
    pub active: bool,
    /// Pieces sold so far.
    pub sales_volume: i64,
    /// Counts what administrators changed.
    pub version: i32,
    /// When it came into the catalogue.
    pub created_at: DateTime<Utc>,
    /// When an administrator last changed it.
    pub updated_at: DateTime<Utc>,
    /// When it was taken out of the catalogue.
    pub deleted_at: Option<DateTime<Utc>>,
}

/// Why stock moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StockChange {
    /// Sold by an order.
    Sale,
    /// Returned by an order that was cancelled.
    Return,
    /// Received from a supplier.
    Receive,
    /// Counted anew, broken, lost, found.
    Adjust,
    /// Held for an order that is not paid yet.
    Hold,
    /// No longer held: the order was not paid.
    Release,
}

/// A movement of a product's stock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StockLine {
    /// Identity; later ones are larger.
    pub id: i64,
    /// Why stock moved.
    pub change: StockChange,
    /// Signed: what was added to the stock.
    pub quantity: i64,
    /// The product's stock once it was added.
    pub stock_after: i64,
    /// The variant, of a product that has any.
    pub variant: Option<VariantId>,
    /// The order that moved it.
    pub order: Option<OrderId>,
    /// Why, in somebody's words.
    pub reason: Option<String>,
    /// When.
    pub at: DateTime<Utc>,
}

/// Reads the catalogue as it is, inactive and deleted products included.
#[async_trait]
pub trait ManagedCatalogue: Send + Sync {
    /// Products.
    async fn managed_products(&self, list: ManagedList) -> Result<Page<ManagedView>, RepositoryError>;

    /// One product with everything there is of it.
    async fn managed_product(&self, id: ProductId) -> Result<Option<ManagedProduct>, RepositoryError>;

    /// What moved in a product's stock, latest first; nothing for an unknown product. The total stops at
    /// [`MOST_COUNTED`](crate::outbox_queries::MOST_COUNTED).
    async fn stock_movements(
        &self,
        product: ProductId,
        page: PageRequest,
    ) -> Result<Option<Page<StockLine>>, RepositoryError>;
}
