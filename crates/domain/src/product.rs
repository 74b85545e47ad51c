//! The catalogue: products with a price and real stock.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::{Money, OrderId, ProductId, Quantity, RepositoryError};

/// What deciding an order needs to know of a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// Identity.
    pub id: ProductId,
    /// Name, copied into orders.
    pub name: String,
    /// Price of one piece, copied into orders.
    pub price: Money,
    /// Pieces that can be sold; never negative.
    pub stock: i64,
}

/// Fewer pieces are left than were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("product {product}: {requested} asked for, {available} left")]
pub struct OutOfStock {
    /// The product.
    pub product: ProductId,
    /// Pieces asked for.
    pub requested: Quantity,
    /// Pieces left.
    pub available: i64,
}

/// One movement of stock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StockMovement {
    /// The product.
    pub product: ProductId,
    /// Why stock moved.
    pub kind: StockMovementKind,
    /// Signed: what was added to the stock.
    pub quantity: i64,
    /// The stock once it was added.
    pub stock_after: i64,
    /// The order that took or returned the pieces.
    pub order: Option<OrderId>,
    /// When.
    pub at: DateTime<Utc>,
}

/// Why stock moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StockMovementKind {
    /// Sold by an order.
    Sale,
    /// Returned by an order that was cancelled.
    Return,
    /// Received from a supplier.
    Receive,
}

impl Product {
    /// Whether the stock has that many pieces.
    ///
    /// # Errors
    /// [`OutOfStock`] when it has not.
    pub fn has(&self, requested: Quantity) -> Result<(), OutOfStock> {
        match requested.get() <= self.stock {
            true => Ok(()),
            false => Err(OutOfStock { product: self.id, requested, available: self.stock }),
        }
    }

    /// Takes sold pieces out of the stock.
    ///
    /// # Errors
    /// [`OutOfStock`]; the product is then unchanged.
    pub fn take_stock(
        &mut self,
        quantity: Quantity,
        order: OrderId,
        now: DateTime<Utc>,
    ) -> Result<StockMovement, OutOfStock> {
        self.has(quantity)?;
        self.stock -= quantity.get();
        Ok(StockMovement {
            product: self.id,
            kind: StockMovementKind::Sale,
            quantity: -quantity.get(),
            stock_after: self.stock,
            order: Some(order),
            at: now,
        })
    }

    /// Puts pieces that an order had taken back into the stock.
    pub fn put_back(&mut self, quantity: Quantity, order: OrderId, now: DateTime<Utc>) -> StockMovement {
        self.stock += quantity.get();
        StockMovement {
            product: self.id,
            kind: StockMovementKind::Return,
            quantity: quantity.get(),
            stock_after: self.stock,
            order: Some(order),
            at: now,
        }
    }
}

/// Pieces of a sale that was taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Returned {
    /// How they moved.
    pub movement: StockMovement,
    /// When they were sold: the sales figures of that hour were too high.
    pub sold_at: DateTime<Utc>,
}

/// Products as stored.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait ProductRepository: Send {
    /// These products, locked until the unit of work ends.
    ///
    /// MUST lock rows in ascending id order; absent, inactive and deleted products are omitted.
    async fn lock_many(
        &mut self,
        products: &BTreeSet<ProductId>,
    ) -> Result<BTreeMap<ProductId, Product>, RepositoryError>;

    /// Records sales, in order: appends the movements, takes the pieces out of the stocks, adds them to each
    /// product's sales volume and to the sales figures of the hour.
    ///
    /// MUST fail with [`RepositoryError::Conflict`] rather than let a stock become negative.
    async fn sell(&mut self, sales: &[StockMovement]) -> Result<(), RepositoryError>;

    /// These products, on sale or not, locked until the unit of work ends: what was sold once can be returned.
    ///
    /// MUST lock rows in ascending id order; absent products are omitted.
    async fn lock_sold(
        &mut self,
        products: &BTreeSet<ProductId>,
    ) -> Result<BTreeMap<ProductId, Product>, RepositoryError>;

    /// Takes sales back, in order: appends the movements, puts the pieces back into the stocks, takes them out of each
    /// product's sales volume and out of the sales figures of the hours in which they were sold.
    ///
    /// MUST fail with [`RepositoryError::Conflict`] rather than take back more than was sold.
    async fn take_back(&mut self, returned: &[Returned]) -> Result<(), RepositoryError>;
}
