//! The catalogue as those see it who keep it: products, what they are sold as, their pictures, and what comes into stock.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::{Money, ProductId, RepositoryError, StoreId, VariantId};

mod texts;

pub use texts::{Description, ImageUrl, ProductName, StockReason, TextError, VariantName};

/// What a product is, its stock and variants apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductDetails {
    /// Who sells it.
    pub store: StoreId,
    /// Name.
    pub name: ProductName,
    /// Description.
    pub description: Description,
    /// Price of one piece; of a product with variants the lowest of the active ones.
    pub price: Money,
    /// Whether it is on sale.
    pub active: bool,
}

/// What a variant is, its stock apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariantDetails {
    /// Unique within the product.
    pub name: VariantName,
    /// Price of one piece.
    pub price: Money,
    /// Whether it is on sale.
    pub active: bool,
}

/// What a product is sold as: a size, a colour. It is never deleted, as orders and movements name it: it is no longer
/// active.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    /// Identity.
    pub id: VariantId,
    /// What it is.
    pub details: VariantDetails,
    /// Pieces left; never negative.
    pub stock: i64,
}

/// A product as those see it who keep the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagedProduct {
    /// Identity.
    pub id: ProductId,
    /// What it is.
    pub details: ProductDetails,
    /// Pieces left; the sum of its variants' if it has any, whether they are active or not.
    pub stock: i64,
    /// What it is sold as, by ascending ids; nothing if it is sold as such.
    pub variants: Vec<Variant>,
    /// Its pictures in sequence.
    pub images: Vec<ImageUrl>,
    /// Pieces sold so far.
    pub sales_volume: i64,
    /// Counts what administrators changed, but for stock.
    pub version: i32,
    /// When it came into the catalogue.
    pub created_at: DateTime<Utc>,
    /// When an administrator last changed it.
    pub updated_at: DateTime<Utc>,
    /// When it was taken out of the catalogue.
    pub deleted_at: Option<DateTime<Utc>>,
}

/// What is to be different about a product; the rest stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProductChanges {
    /// Who sells it.
    pub store: Option<StoreId>,
    /// Name.
    pub name: Option<ProductName>,
    /// Description.
    pub description: Option<Description>,
    /// Price.
    pub price: Option<Money>,
    /// Whether it is on sale.
    pub active: Option<bool>,
}

/// What is to be different about a variant; the rest stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VariantChanges {
    /// Name.
    pub name: Option<VariantName>,
    /// Price.
    pub price: Option<Money>,
    /// Whether it is on sale.
    pub active: Option<bool>,
}

/// Why a product or a variant cannot be changed like this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChangeRefusal {
    /// It was taken out of the catalogue.
    #[error("the product was deleted")]
    Deleted,
    /// The price of a product with variants is theirs.
    #[error("the price is that of the variants")]
    PricedByVariants,
    /// The pieces of a product with variants belong to them, and these belong to the product as such.
    #[error("the product has {stock} pieces of its own")]
    OwnStock {
        /// How many.
        stock: i64,
    },
    /// It has no such variant.
    #[error("the product has no such variant")]
    UnknownVariant,
    /// Another variant of the product is called like this.
    #[error("another variant has this name")]
    NameTaken,
    /// It has as many as it can have.
    #[error("a product has at most {} variants", ManagedProduct::MOST_VARIANTS)]
    TooManyVariants,
    /// More pieces than can be kept: the product has room for so many more.
    #[error("there is room for {room} more")]
    TooManyPieces {
        /// Pieces that fit in.
        room: i64,
    },
}

/// Why stock cannot be changed like this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StockRefusal {
    /// The product was taken out of the catalogue.
    #[error("the product was deleted")]
    Deleted,
    /// It is sold as variants: one must be named.
    #[error("a variant must be named")]
    VariantNeeded,
    /// It is sold as such: none can be named.
    #[error("the product has no variants")]
    NoVariants,
    /// It has no such variant.
    #[error("the product has no such variant")]
    UnknownVariant,
    /// Fewer pieces are left than are to be taken out.
    #[error("{requested} to be taken out, {available} left")]
    Short {
        /// Pieces to be taken out.
        requested: i64,
        /// Pieces left.
        available: i64,
    },
    /// More pieces than can be kept: the product has room for so many more.
    #[error("there is room for {room} more")]
    TooMany {
        /// Pieces that fit in.
        room: i64,
    },
}

impl ManagedProduct {
    /// The most variants that a product has, inactive ones included.
    pub const MOST_VARIANTS: usize = 100;
    /// The most pictures.
    pub const MOST_IMAGES: usize = 20;
    /// The most pieces that one movement brings in or takes out, and that administrators let a product have.
    pub const MOST_PIECES: i64 = 1_000_000_000;

    /// One that nobody has seen yet, sold as such.
    ///
    /// # Errors
    /// [`ChangeRefusal::TooManyPieces`].
    pub fn new(
        id: ProductId,
        details: ProductDetails,
        images: Vec<ImageUrl>,
        stock: i64,
        now: DateTime<Utc>,
    ) -> Result<Self, ChangeRefusal> {
        let mut product = Self {
            id,
            details,
            stock: 0,
            variants: Vec::new(),
            images,
            sales_volume: 0,
            version: 1,
            created_at: now,
            updated_at: now,
            deleted_at: None,
        };
        product.must_have_room_for(stock)?;
        product.stock = stock;
        Ok(product)
    }

    /// Makes it different.
    ///
    /// # Errors
    /// [`ChangeRefusal`]; the product is then unchanged.
    pub fn change(&mut self, changes: ProductChanges) -> Result<(), ChangeRefusal> {
        self.must_be_there()?;
        let ProductChanges { store, name, description, price, active } = changes;
        if price.is_some_and(|price| price != self.details.price) && !self.variants.is_empty() {
            return Err(ChangeRefusal::PricedByVariants);
        }
        let before = self.details.clone();
        self.details = ProductDetails {
            store: store.unwrap_or(before.store),
            name: name.unwrap_or(before.name),
            description: description.unwrap_or(before.description),
            price: price.unwrap_or(before.price),
            active: active.unwrap_or(before.active),
        };
        Ok(())
    }

    /// Takes it out of the catalogue.
    ///
    /// # Errors
    /// [`ChangeRefusal::Deleted`] when it was before.
    pub fn delete(&mut self, now: DateTime<Utc>) -> Result<(), ChangeRefusal> {
        self.must_be_there()?;
        self.deleted_at = Some(now);
        Ok(())
    }

    /// Has it show other pictures.
    ///
    /// # Errors
    /// [`ChangeRefusal::Deleted`].
    pub fn show(&mut self, images: Vec<ImageUrl>) -> Result<(), ChangeRefusal> {
        self.must_be_there()?;
        self.images = images;
        Ok(())
    }

    /// Has it sold as one thing more, of which so many pieces were received. From the first one on its pieces belong to
    /// variants.
    ///
    /// # Errors
    /// [`ChangeRefusal`]; the product is then unchanged.
    pub fn add_variant(
        &mut self,
        id: VariantId,
        details: VariantDetails,
        stock: i64,
    ) -> Result<(), ChangeRefusal> {
        self.must_be_there()?;
        if self.variants.is_empty() && self.stock > 0 {
            return Err(ChangeRefusal::OwnStock { stock: self.stock });
        }
        if self.variants.len() >= Self::MOST_VARIANTS {
            return Err(ChangeRefusal::TooManyVariants);
        }
        self.name_must_be_free(&details.name, None)?;
        self.must_have_room_for(stock)?;
        self.variants.push(Variant { id, details, stock });
        self.stock += stock;
        self.show_lowest_price();
        Ok(())
    }

    /// Makes a variant different.
    ///
    /// # Errors
    /// [`ChangeRefusal`]; the product is then unchanged.
    pub fn change_variant(&mut self, id: VariantId, changes: VariantChanges) -> Result<(), ChangeRefusal> {
        self.must_be_there()?;
        let place = self.place_of(id).ok_or(ChangeRefusal::UnknownVariant)?;
        let VariantChanges { name, price, active } = changes;
        if let Some(name) = &name {
            self.name_must_be_free(name, Some(id))?;
        }
        let before = self.variants[place].details.clone();
        self.variants[place].details = VariantDetails {
            name: name.unwrap_or(before.name),
            price: price.unwrap_or(before.price),
            active: active.unwrap_or(before.active),
        };
        self.show_lowest_price();
        Ok(())
    }

    /// Adds pieces to the stock, or takes them out of it.
    ///
    /// # Errors
    /// [`StockRefusal`]; the product is then unchanged.
    pub fn adjust(&mut self, variant: Option<VariantId>, quantity: i64) -> Result<(), StockRefusal> {
        if self.deleted_at.is_some() {
            return Err(StockRefusal::Deleted);
        }
        let place = match (variant, self.variants.is_empty()) {
            (None, true) => None,
            (None, false) => return Err(StockRefusal::VariantNeeded),
            (Some(_), true) => return Err(StockRefusal::NoVariants),
            (Some(id), false) => Some(self.place_of(id).ok_or(StockRefusal::UnknownVariant)?),
        };
        let available = place.map_or(self.stock, |place| self.variants[place].stock);
        if quantity < 0 && available < quantity.saturating_neg() {
            return Err(StockRefusal::Short { requested: quantity.saturating_neg(), available });
        }
        let room = self.room();
        if quantity > room {
            return Err(StockRefusal::TooMany { room });
        }
        if let Some(place) = place {
            self.variants[place].stock += quantity;
        }
        self.stock += quantity;
        Ok(())
    }

    /// One of its variants.
    #[must_use]
    pub fn variant(&self, id: VariantId) -> Option<&Variant> {
        self.place_of(id).map(|place| &self.variants[place])
    }

    /// Returned orders may have brought it above the most.
    fn room(&self) -> i64 {
        (Self::MOST_PIECES - self.stock).max(0)
    }

    fn must_have_room_for(&self, pieces: i64) -> Result<(), ChangeRefusal> {
        let room = self.room();
        if pieces > room { Err(ChangeRefusal::TooManyPieces { room }) } else { Ok(()) }
    }

    fn place_of(&self, id: VariantId) -> Option<usize> {
        self.variants.iter().position(|variant| variant.id == id)
    }

    fn must_be_there(&self) -> Result<(), ChangeRefusal> {
        if self.deleted_at.is_some() { Err(ChangeRefusal::Deleted) } else { Ok(()) }
    }

    fn name_must_be_free(&self, name: &VariantName, whose: Option<VariantId>) -> Result<(), ChangeRefusal> {
        let taken = |variant: &Variant| variant.details.name == *name && Some(variant.id) != whose;
        if self.variants.iter().any(taken) { Err(ChangeRefusal::NameTaken) } else { Ok(()) }
    }

    /// While none is active, it stays what it was.
    fn show_lowest_price(&mut self) {
        let active = self.variants.iter().filter(|variant| variant.details.active);
        if let Some(lowest) = active.map(|variant| variant.details.price).min() {
            self.details.price = lowest;
        }
    }
}

/// What administrators move stock for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdjustmentKind {
    /// Received from a supplier.
    Receive,
    /// Counted anew, broken, lost, found.
    Adjust,
}

/// A movement of stock that no order caused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StockAdjustment {
    /// The product.
    pub product: ProductId,
    /// The variant, of a product that has any.
    pub variant: Option<VariantId>,
    /// What for.
    pub kind: AdjustmentKind,
    /// Signed: what was added to the stock. Not zero.
    pub quantity: i64,
    /// The product's stock once it was added.
    pub stock_after: i64,
    /// Why; not needed for what a product has from the beginning.
    pub reason: Option<StockReason>,
}

/// What administrators changed, together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CatalogueChanges {
    /// New products.
    pub created: Vec<ManagedProduct>,
    /// Products as they are now, their variants apart.
    pub changed: Vec<ManagedProduct>,
    /// New variants.
    pub new_variants: Vec<(ProductId, Variant)>,
    /// Variants as they are now.
    pub changed_variants: Vec<Variant>,
    /// Products whose pictures are others now, all of them.
    pub images: Vec<(ProductId, Vec<ImageUrl>)>,
    /// Movements of stock, in order.
    pub adjustments: Vec<StockAdjustment>,
}

/// Products as administrators change them.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait CatalogueRepository: Send {
    /// Those of the stores that are there and not deleted, locked until the unit of work ends.
    ///
    /// MUST lock rows in ascending id order; it is called before products are locked.
    async fn lock_stores(&mut self, stores: &BTreeSet<StoreId>)
    -> Result<BTreeSet<StoreId>, RepositoryError>;

    /// These products, deleted ones included, and their variants, locked until the unit of work ends.
    ///
    /// MUST lock products, then variants, in ascending id order; absent products are omitted.
    async fn lock_managed(
        &mut self,
        products: &BTreeSet<ProductId>,
    ) -> Result<BTreeMap<ProductId, ManagedProduct>, RepositoryError>;

    /// Stores changes of products that are locked or new.
    ///
    /// MUST fail with [`RepositoryError::Conflict`] rather than give two variants of a product the same name.
    async fn store(&mut self, changes: &CatalogueChanges, now: DateTime<Utc>) -> Result<(), RepositoryError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(stock: i64) -> ManagedProduct {
        let details = ProductDetails {
            store: StoreId(1),
            name: "Shirt".parse().unwrap(),
            description: "Cotton".parse().unwrap(),
            price: Money::from_minor(10_00),
            active: true,
        };
        ManagedProduct::new(ProductId(1), details, Vec::new(), stock, DateTime::UNIX_EPOCH).unwrap()
    }

    fn variant(name: &str, minor: i64) -> VariantDetails {
        VariantDetails { name: name.parse().unwrap(), price: Money::from_minor(minor), active: true }
    }

    #[test]
    fn a_product_with_pieces_of_its_own_gets_no_variants() {
        let mut shirt = product(3);
        let refused = shirt.add_variant(VariantId(1), variant("S", 9_00), 0);
        assert_eq!(refused, Err(ChangeRefusal::OwnStock { stock: 3 }));
        assert_eq!(shirt, product(3));
        shirt.adjust(None, -3).unwrap();
        shirt.add_variant(VariantId(1), variant("S", 9_00), 0).unwrap();
        assert_eq!(shirt.adjust(None, 1), Err(StockRefusal::VariantNeeded));
        assert_eq!(shirt.adjust(Some(VariantId(9)), 1), Err(StockRefusal::UnknownVariant));
        shirt.adjust(Some(VariantId(1)), 5).unwrap();
        // The second one is added though there are pieces: they belong to the first.
        shirt.add_variant(VariantId(2), variant("M", 12_00), 2).unwrap();
        let room = ManagedProduct::MOST_PIECES - 7;
        let refused = shirt.add_variant(VariantId(3), variant("L", 1_00), room + 1);
        assert_eq!(refused, Err(ChangeRefusal::TooManyPieces { room }));
        assert_eq!((shirt.stock, shirt.variants[0].stock, shirt.variants[1].stock), (7, 5, 2));
    }

    #[test]
    fn the_price_shown_is_the_lowest_of_the_active_variants() {
        let mut shirt = product(0);
        shirt.add_variant(VariantId(1), variant("S", 9_00), 0).unwrap();
        shirt.add_variant(VariantId(2), variant("M", 12_00), 0).unwrap();
        assert_eq!(shirt.details.price, Money::from_minor(9_00));
        let inactive = || VariantChanges { active: Some(false), ..VariantChanges::default() };
        shirt.change_variant(VariantId(1), inactive()).unwrap();
        assert_eq!(shirt.details.price, Money::from_minor(12_00));
        shirt.change_variant(VariantId(2), inactive()).unwrap();
        assert_eq!(shirt.details.price, Money::from_minor(12_00));
        let price =
            |minor| ProductChanges { price: Some(Money::from_minor(minor)), ..ProductChanges::default() };
        assert_eq!(shirt.change(price(8_00)), Err(ChangeRefusal::PricedByVariants));
        assert_eq!(shirt.change(price(12_00)), Ok(()));
    }

    #[test]
    fn the_name_of_a_variant_is_its_own() {
        let mut shirt = product(0);
        shirt.add_variant(VariantId(1), VariantDetails { active: false, ..variant("S", 1_00) }, 0).unwrap();
        assert_eq!(shirt.add_variant(VariantId(2), variant(" S ", 1_00), 0), Err(ChangeRefusal::NameTaken));
        shirt.add_variant(VariantId(2), variant("M", 1_00), 0).unwrap();
        let called =
            |name: &str| VariantChanges { name: Some(name.parse().unwrap()), ..VariantChanges::default() };
        assert_eq!(shirt.change_variant(VariantId(2), called("S")), Err(ChangeRefusal::NameTaken));
        assert_eq!(shirt.change_variant(VariantId(1), called("S")), Ok(()));
        assert_eq!(shirt.change_variant(VariantId(3), called("L")), Err(ChangeRefusal::UnknownVariant));
    }

    #[test]
    fn stock_stays_within_its_bounds() {
        let mut shirt = product(3);
        assert_eq!(shirt.adjust(None, -4), Err(StockRefusal::Short { requested: 4, available: 3 }));
        assert_eq!(shirt.adjust(Some(VariantId(1)), 1), Err(StockRefusal::NoVariants));
        let room = ManagedProduct::MOST_PIECES - 3;
        assert_eq!(shirt.adjust(None, room + 1), Err(StockRefusal::TooMany { room }));
        assert_eq!(
            shirt.adjust(None, i64::MIN),
            Err(StockRefusal::Short { requested: i64::MAX, available: 3 })
        );
        assert_eq!(shirt.adjust(None, i64::MAX), Err(StockRefusal::TooMany { room }));
        assert_eq!(shirt, product(3));
        shirt.adjust(None, room).unwrap();
        assert_eq!(shirt.stock, ManagedProduct::MOST_PIECES);
    }

    #[test]
    fn what_was_deleted_is_not_changed() {
        let mut shirt = product(0);
        shirt.delete(DateTime::UNIX_EPOCH).unwrap();
        let deleted = shirt.clone();
        assert_eq!(shirt.change(ProductChanges::default()), Err(ChangeRefusal::Deleted));
        assert_eq!(shirt.delete(DateTime::UNIX_EPOCH), Err(ChangeRefusal::Deleted));
        assert_eq!(shirt.show(Vec::new()), Err(ChangeRefusal::Deleted));
        assert_eq!(shirt.add_variant(VariantId(1), variant("S", 1), 0), Err(ChangeRefusal::Deleted));
        assert_eq!(
            shirt.change_variant(VariantId(1), VariantChanges::default()),
            Err(ChangeRefusal::Deleted)
        );
        assert_eq!(shirt.adjust(None, 1), Err(StockRefusal::Deleted));
        assert_eq!(shirt, deleted);
    }
}
