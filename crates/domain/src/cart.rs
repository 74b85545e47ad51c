//! Carts: what customers mean to order. Nothing is held for a cart; prices and stocks are those of the moment at which it is
//! looked at, and again those of the moment at which it is ordered.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::order::Terms;
use crate::product::{NotSold, OutOfStock};
use crate::{CartItemId, CouponCode, Money, OrderRequest, Product, Quantity, RepositoryError, Sku, UserId};

/// A line of a cart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CartLine {
    /// Identity; later ones are larger.
    pub id: CartItemId,
    /// What. There is one line for it.
    pub sku: Sku,
    /// How many pieces.
    pub quantity: Quantity,
}

/// A customer's cart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cart {
    /// Whose.
    pub user: UserId,
    /// At most [`Cart::MAX_LINES`], by ascending id.
    pub lines: Vec<CartLine>,
}

/// What is to be written when a cart changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CartEdit {
    /// A new line.
    Insert {
        /// Whose cart.
        user: UserId,
        /// What.
        sku: Sku,
        /// How many pieces.
        quantity: Quantity,
    },
    /// A line has so many pieces now.
    Change {
        /// Which line.
        item: CartItemId,
        /// How many pieces.
        quantity: Quantity,
    },
    /// A line is gone.
    Remove {
        /// Which line.
        item: CartItemId,
    },
}

/// Why a cart was not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CartRefusal {
    /// The cart has no such line.
    #[error("the cart has no such line")]
    UnknownItem,
    /// The product is not sold, or not as it was asked for.
    #[error("product {product}: {1}", product = _0.product)]
    NotSold(Sku, NotSold),
    /// The pieces add up to more than [`Quantity::MAX`].
    #[error("more than {max} pieces of product {product}", product = _0.product, max = Quantity::MAX)]
    TooMany(Sku),
    /// Fewer pieces are left than the line would have.
    #[error(transparent)]
    Short(#[from] OutOfStock),
    /// It has [`Cart::MAX_LINES`] lines already.
    #[error("a cart has at most {} lines", Cart::MAX_LINES)]
    Full,
}

/// Lines of a cart, as the order that they make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CartOrder {
    /// The order.
    pub request: OrderRequest,
    /// The lines, as many as the order has and in the same sequence.
    pub lines: Vec<CartLine>,
}

/// Why lines of a cart make no order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoOrder {
    /// There are none.
    #[error("the cart is empty")]
    Empty,
    /// These were chosen and are not there.
    #[error("the cart has no such lines")]
    UnknownItems(BTreeSet<CartItemId>),
}

impl Cart {
    /// The most lines a cart can have: what an order can.
    pub const MAX_LINES: usize = OrderRequest::MAX_LINES;

    /// Adds pieces to those that there are. `product` is what is on sale under the id, with the variant that is named.
    ///
    /// # Errors
    /// [`CartRefusal`].
    pub fn add(
        &self,
        (sku, quantity): (Sku, Quantity),
        product: Option<&Product>,
    ) -> Result<CartEdit, CartRefusal> {
        match self.lines.iter().find(|line| line.sku == sku) {
            Some(line) => {
                let sum = line.quantity.checked_add(quantity).map_err(|_| CartRefusal::TooMany(sku))?;
                check(sku, sum, product)?;
                Ok(CartEdit::Change { item: line.id, quantity: sum })
            }
            None => {
                check(sku, quantity, product)?;
                match self.lines.len() < Self::MAX_LINES {
                    true => Ok(CartEdit::Insert { user: self.user, sku, quantity }),
                    false => Err(CartRefusal::Full),
                }
            }
        }
    }

    /// Gives a line another number of pieces. `product` is as in [`Cart::add`].
    ///
    /// # Errors
    /// [`CartRefusal`].
    pub fn set_quantity(
        &self,
        (item, quantity): (CartItemId, Quantity),
        product: Option<&Product>,
    ) -> Result<CartEdit, CartRefusal> {
        let line = self.line(item).ok_or(CartRefusal::UnknownItem)?;
        check(line.sku, quantity, product)?;
        Ok(CartEdit::Change { item, quantity })
    }

    /// Takes a line out.
    ///
    /// # Errors
    /// [`CartRefusal::UnknownItem`].
    pub fn remove(&self, item: CartItemId) -> Result<CartEdit, CartRefusal> {
        let line = self.line(item).ok_or(CartRefusal::UnknownItem)?;
        Ok(CartEdit::Remove { item: line.id })
    }

    /// The order that the chosen lines make, or all.
    ///
    /// # Errors
    /// [`NoOrder`].
    ///
    /// # Panics
    /// When the cart has more lines than it can have, or two for the same thing.
    pub fn order(
        &self,
        chosen: Option<&BTreeSet<CartItemId>>,
        coupon: Option<CouponCode>,
        terms: Terms,
    ) -> Result<CartOrder, NoOrder> {
        let unknown: BTreeSet<CartItemId> =
            chosen.into_iter().flatten().copied().filter(|item| self.line(*item).is_none()).collect();
        if !unknown.is_empty() {
            return Err(NoOrder::UnknownItems(unknown));
        }
        let is_chosen = |line: &&CartLine| chosen.is_none_or(|chosen| chosen.contains(&line.id));
        let lines: Vec<CartLine> = self.lines.iter().filter(is_chosen).copied().collect();
        if lines.is_empty() {
            return Err(NoOrder::Empty);
        }
        let ordered = lines.iter().map(|line| (line.sku, line.quantity));
        let request = OrderRequest::new(self.user, ordered, coupon).expect("a cart's lines make an order");
        Ok(CartOrder { request: request.on(terms), lines })
    }

    /// Takes lines out that were ordered.
    pub fn take(&mut self, ordered: &[CartLine]) {
        self.lines.retain(|line| !ordered.contains(line));
    }

    /// The line of this id.
    #[must_use]
    pub fn line(&self, item: CartItemId) -> Option<&CartLine> {
        self.lines.iter().find(|line| line.id == item)
    }
}

/// Whether so many pieces could be ordered at this moment.
fn check(sku: Sku, quantity: Quantity, product: Option<&Product>) -> Result<(), CartRefusal> {
    let product = product.ok_or(CartRefusal::NotSold(sku, NotSold::UnknownProduct))?;
    let offer = product.offer(sku.variant).map_err(|not_sold| CartRefusal::NotSold(sku, not_sold))?;
    Ok(offer.has(sku.product, quantity)?)
}

/// A cart as its customer sees it, at today's prices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CartView {
    /// The lines, by ascending id.
    pub lines: Vec<CartLineView>,
    /// What those lines come to that could be ordered.
    pub total: Money,
}

/// A line of a cart as its customer sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CartLineView {
    /// What, and how many pieces.
    pub line: CartLine,
    /// The product's name.
    pub name: String,
    /// The variant's name.
    pub variant_name: Option<String>,
    /// Today's price of one piece.
    pub unit_price: Money,
    /// Pieces left.
    pub stock: i64,
    /// Where the product's first picture is.
    pub image_url: Option<String>,
    /// Why it cannot be ordered.
    pub fault: Option<CartFault>,
}

/// Why a line of a cart cannot be ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CartFault {
    /// The product is no longer on sale.
    UnknownProduct,
    /// The product is no longer sold as this variant.
    UnknownVariant,
    /// The product is sold as variants only by now.
    VariantRequired,
    /// Fewer pieces are left.
    Short,
    /// With those before it, it costs more than can be counted.
    TooLarge,
}

impl From<NotSold> for CartFault {
    fn from(not_sold: NotSold) -> Self {
        match not_sold {
            NotSold::UnknownProduct => Self::UnknownProduct,
            NotSold::UnknownVariant => Self::UnknownVariant,
            NotSold::VariantRequired => Self::VariantRequired,
        }
    }
}

impl CartView {
    /// Adds up lines whose only faults, if any, are that they are not sold; finds the other faults.
    #[must_use]
    pub fn of(lines: impl IntoIterator<Item = CartLineView>) -> Self {
        let mut total = Money::ZERO;
        let lines = lines.into_iter().map(|line| {
            let sum = line.subtotal().and_then(|subtotal| total.checked_add(subtotal).ok());
            let fault = match (line.fault, sum) {
                (Some(fault), _) => Some(fault),
                (None, _) if line.line.quantity.get() > line.stock => Some(CartFault::Short),
                (None, None) => Some(CartFault::TooLarge),
                (None, Some(sum)) => {
                    total = sum;
                    None
                }
            };
            CartLineView { fault, ..line }
        });
        let lines = lines.collect();
        Self { lines, total }
    }
}

impl CartLineView {
    /// The price of all pieces, unless it is more than can be counted.
    #[must_use]
    pub fn subtotal(&self) -> Option<Money> {
        self.unit_price.checked_mul(self.line.quantity).ok()
    }
}

/// Carts as stored.
///
/// There are no locks on carts: a customer's wallet stands for the cart as well. Whoever calls any of this MUST have locked the
/// wallets of the customers concerned in the same unit of work, and then nobody else changes their carts.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait CartRepository: Send {
    /// The carts of these customers.
    ///
    /// MUST have one for everybody who is asked for, an empty one for who has put nothing in, with lines by ascending id.
    async fn load_many(
        &mut self,
        users: &BTreeSet<UserId>,
    ) -> Result<BTreeMap<UserId, Cart>, RepositoryError>;

    /// The same carts as their customers see them, what was written before included.
    async fn show_many(
        &mut self,
        users: &BTreeSet<UserId>,
    ) -> Result<BTreeMap<UserId, CartView>, RepositoryError>;

    /// Stores changes. Those of a unit of work that are not shown in between MUST concern different lines.
    ///
    /// MUST fail with [`RepositoryError::Conflict`] when a line to change or to remove is not there, or a line for the same
    /// thing is there already.
    async fn apply(&mut self, edits: &[CartEdit], at: DateTime<Utc>) -> Result<(), RepositoryError>;

    /// Empties the carts of these customers.
    async fn clear(&mut self, users: &BTreeSet<UserId>) -> Result<(), RepositoryError>;
}

#[cfg(test)]
mod tests;
