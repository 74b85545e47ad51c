//! The catalogue: products with a price and real stock.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::{Money, OrderId, ProductId, Quantity, RepositoryError, VariantId};

/// Something that can be bought: a product that is sold as such, or one of its variants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sku {
    /// The product.
    pub product: ProductId,
    /// Which of its variants; none of a product that is sold as such.
    pub variant: Option<VariantId>,
}

impl From<ProductId> for Sku {
    fn from(product: ProductId) -> Self {
        Self { product, variant: None }
    }
}

/// What deciding an order needs to know of a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// Identity.
    pub id: ProductId,
    /// Name, copied into orders.
    pub name: String,
    /// Price of one piece, copied into orders. Variants have their own.
    pub price: Money,
    /// Pieces that can be sold; never negative. Those of all variants together.
    pub stock: i64,
    /// What it is sold as, if not as such: at least those that somebody asks for.
    pub variants: Option<BTreeMap<VariantId, Variant>>,
}

/// One of the things that a product is sold as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    /// Identity.
    pub id: VariantId,
    /// The name of the option, copied into orders.
    pub name: String,
    /// Price of one piece, copied into orders.
    pub price: Money,
    /// Pieces that can be sold; never negative.
    pub stock: i64,
}

/// Why nothing of a product can be sold as it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum NotSold {
    /// It does not exist or is not on sale.
    #[error("it is not on sale")]
    UnknownProduct,
    /// It has no such variant on sale.
    #[error("there is no such variant on sale")]
    UnknownVariant,
    /// It is sold as variants only, and none was named.
    #[error("a variant has to be named")]
    VariantRequired,
}

/// Fewer pieces are left than were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("product {product}: {requested} asked for, {available} left", product = sku.product)]
pub struct OutOfStock {
    /// Of what.
    pub sku: Sku,
    /// Pieces asked for.
    pub requested: Quantity,
    /// Pieces left.
    pub available: i64,
}

/// One movement of stock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StockMovement {
    /// Of what.
    pub sku: Sku,
    /// Why stock moved.
    pub kind: StockMovementKind,
    /// Signed: what was added to the stock.
    pub quantity: i64,
    /// The stock of the product once it was added.
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
    Return {
        /// When they were sold: the sales figures of that hour were too high.
        sold_at: DateTime<Utc>,
    },
    /// Received from a supplier.
    Receive,
    /// Held for an order that waits to be paid.
    Hold,
    /// Held no longer: the order was paid, and sells them, or it was given up.
    Release,
    /// Written off: they came back to a product that is sold as variants by now, and are none of them.
    WriteOff,
}

impl Product {
    /// What is sold under a name, at a price.
    ///
    /// # Errors
    /// [`NotSold`].
    pub fn offer(&self, variant: Option<VariantId>) -> Result<Offer<'_>, NotSold> {
        match (&self.variants, variant) {
            (None, None) => Ok(Offer { variant: None, price: self.price, stock: self.stock }),
            (None, Some(_)) => Err(NotSold::UnknownVariant),
            (Some(_), None) => Err(NotSold::VariantRequired),
            (Some(variants), Some(id)) => {
                let variant = variants.get(&id).ok_or(NotSold::UnknownVariant)?;
                Ok(Offer { variant: Some(variant), price: variant.price, stock: variant.stock })
            }
        }
    }

    /// Takes pieces out of the stock, to sell or to hold them.
    ///
    /// # Errors
    /// [`OutOfStock`]; the product is then unchanged.
    ///
    /// # Panics
    /// When it is not sold as this variant.
    pub fn take(
        &mut self,
        (variant, quantity): (Option<VariantId>, Quantity),
        kind: StockMovementKind,
        order: OrderId,
        now: DateTime<Utc>,
    ) -> Result<StockMovement, OutOfStock> {
        self.offer(variant).expect("it is sold as this").has(self.id, quantity)?;
        Ok(self.moved(variant, -quantity.get(), kind, order, now))
    }

    /// Puts pieces that an order had taken back into the stock.
    ///
    /// # Panics
    /// When it was not sold as this variant.
    pub fn put_back(
        &mut self,
        (variant, quantity): (Option<VariantId>, Quantity),
        kind: StockMovementKind,
        order: OrderId,
        now: DateTime<Utc>,
    ) -> StockMovement {
        self.moved(variant, quantity.get(), kind, order, now)
    }

    /// Sells pieces that were just put back.
    pub(crate) fn sell_again(
        &mut self,
        (variant, quantity): (Option<VariantId>, Quantity),
        order: OrderId,
        now: DateTime<Utc>,
    ) -> StockMovement {
        self.moved(variant, -quantity.get(), StockMovementKind::Sale, order, now)
    }

    /// Writes off pieces that were just put back and belong to no variant, if the product is sold as variants by now: nobody
    /// could buy them. Whoever has them receives them as a variant.
    pub(crate) fn write_off(
        &mut self,
        (variant, quantity): (Option<VariantId>, Quantity),
        order: OrderId,
        now: DateTime<Utc>,
    ) -> Option<StockMovement> {
        (variant.is_none() && self.variants.is_some()).then(|| {
            let movement = self.moved(None, -quantity.get(), StockMovementKind::WriteOff, order, now);
            StockMovement { order: None, ..movement }
        })
    }

    fn moved(
        &mut self,
        variant: Option<VariantId>,
        quantity: i64,
        kind: StockMovementKind,
        order: OrderId,
        at: DateTime<Utc>,
    ) -> StockMovement {
        self.stock += quantity;
        if let Some(id) = variant {
            let variant = self.variants.as_mut().and_then(|variants| variants.get_mut(&id));
            variant.expect("it has this variant").stock += quantity;
        }
        let sku = Sku { product: self.id, variant };
        StockMovement { sku, kind, quantity, stock_after: self.stock, order: Some(order), at }
    }
}

/// What is sold under a name, at a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer<'a> {
    /// The variant, if the product is sold as variants.
    pub variant: Option<&'a Variant>,
    /// Price of one piece.
    pub price: Money,
    /// Pieces left.
    pub stock: i64,
}

impl Offer<'_> {
    /// Whether the stock has that many pieces.
    ///
    /// # Errors
    /// [`OutOfStock`] when it has not.
    pub fn has(&self, product: ProductId, requested: Quantity) -> Result<(), OutOfStock> {
        let sku = Sku { product, variant: self.variant.map(|variant| variant.id) };
        match requested.get() <= self.stock {
            true => Ok(()),
            false => Err(OutOfStock { sku, requested, available: self.stock }),
        }
    }
}

/// Products as stored.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait ProductRepository: Send {
    /// These products with the variants that are named, locked until the unit of work ends.
    ///
    /// MUST lock rows in ascending id order, products before variants; absent, inactive and deleted products and variants
    /// are omitted.
    async fn lock_many(
        &mut self,
        skus: &BTreeSet<Sku>,
    ) -> Result<BTreeMap<ProductId, Product>, RepositoryError>;

    /// As [`ProductRepository::lock_many`], not locked: as they are at this moment, and not for longer.
    async fn find_many(
        &mut self,
        skus: &BTreeSet<Sku>,
    ) -> Result<BTreeMap<ProductId, Product>, RepositoryError>;

    /// As [`ProductRepository::lock_many`], on sale or not: what was sold once can be returned.
    ///
    /// MUST lock rows in ascending id order, products before variants; absent ones are omitted.
    async fn lock_sold(
        &mut self,
        skus: &BTreeSet<Sku>,
    ) -> Result<BTreeMap<ProductId, Product>, RepositoryError>;

    /// Appends movements, in order, and moves the stocks by them. Sales are added to each product's sales volume and to the
    /// sales figures of the hour; what is returned is taken out of the volume and of the figures of the hour in which it
    /// was sold.
    ///
    /// MUST fail with [`RepositoryError::Conflict`] rather than let a stock become negative, or take back more than was
    /// sold.
    async fn post(&mut self, movements: &[StockMovement]) -> Result<(), RepositoryError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIRT: ProductId = ProductId(1);
    const SMALL: VariantId = VariantId(7);

    fn shirt(variants: Option<i64>) -> Product {
        let small = |stock| Variant { id: SMALL, name: "S".into(), price: Money::from_minor(5_00), stock };
        Product {
            id: SHIRT,
            name: "Shirt".into(),
            price: Money::from_minor(4_00),
            stock: 10,
            variants: variants.map(|stock| BTreeMap::from([(SMALL, small(stock))])),
        }
    }

    #[test]
    fn a_product_with_variants_is_sold_as_one_of_them_only() {
        assert_eq!(shirt(None).offer(None).unwrap().price, Money::from_minor(4_00));
        assert_eq!(shirt(None).offer(Some(SMALL)), Err(NotSold::UnknownVariant));
        assert_eq!(shirt(Some(3)).offer(None), Err(NotSold::VariantRequired));
        assert_eq!(shirt(Some(3)).offer(Some(VariantId(8))), Err(NotSold::UnknownVariant));
        assert_eq!(shirt(Some(3)).offer(Some(SMALL)).unwrap().price, Money::from_minor(5_00));
    }

    #[test]
    fn pieces_that_come_back_to_a_product_with_variants_without_being_one_are_written_off() {
        let (at, order, two) = (DateTime::UNIX_EPOCH, OrderId(1), (None, Quantity::new(2).unwrap()));
        let mut as_such = shirt(None);
        as_such.put_back(two, StockMovementKind::Release, order, at);
        assert_eq!((as_such.write_off(two, order, at), as_such.stock), (None, 12));
        let mut by_now = shirt(Some(10));
        by_now.put_back(two, StockMovementKind::Release, order, at);
        let written_off = by_now.write_off(two, order, at).unwrap();
        assert_eq!((written_off.quantity, written_off.order, by_now.stock), (-2, None, 10));
    }

    #[test]
    fn pieces_of_a_variant_are_pieces_of_its_product() {
        let mut shirt = shirt(Some(3));
        let (at, pieces) = (DateTime::UNIX_EPOCH, |pieces| Quantity::new(pieces).unwrap());
        let take = |shirt: &mut Product, quantity| {
            shirt.take((Some(SMALL), quantity), StockMovementKind::Hold, OrderId(1), at)
        };
        let movement = take(&mut shirt, pieces(2)).unwrap();
        assert_eq!((movement.quantity, movement.stock_after), (-2, 8));
        assert_eq!(shirt.offer(Some(SMALL)).unwrap().stock, 1);
        let short = take(&mut shirt, pieces(2)).unwrap_err();
        assert_eq!((short.available, short.sku.variant), (1, Some(SMALL)));
        shirt.put_back((Some(SMALL), pieces(2)), StockMovementKind::Release, OrderId(1), at);
        assert_eq!((shirt.stock, shirt.offer(Some(SMALL)).unwrap().stock), (10, 3));
    }
}
