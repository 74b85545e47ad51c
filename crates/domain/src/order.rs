//! Orders.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::coupon::CouponCode;
use crate::{Money, OrderId, Payment, ProductId, Quantity, RepositoryError, UserCouponId, UserId};

/// A customer's order. `total - discount = paid`, and nothing is negative.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Identity.
    pub id: OrderId,
    /// The customer.
    pub user: UserId,
    /// Where it stands.
    pub status: OrderStatus,
    /// What was ordered.
    pub lines: Vec<OrderLine>,
    /// The sum of the lines.
    pub total: Money,
    /// What the coupon took off.
    pub discount: Money,
    /// What was paid.
    pub paid: Money,
    /// The coupon that was used.
    pub coupon: Option<AppliedCoupon>,
    /// When it was placed.
    pub created_at: DateTime<Utc>,
}

/// One product of an order, as it was when the order was placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderLine {
    /// The product.
    pub product: ProductId,
    /// Its name then.
    pub name: String,
    /// The price of one piece then.
    pub unit_price: Money,
    /// Pieces.
    pub quantity: Quantity,
    /// `unit_price` times `quantity`.
    pub subtotal: Money,
}

/// The coupon used on an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedCoupon {
    /// The customer's copy of it.
    pub user_coupon: UserCouponId,
    /// Its code.
    pub code: CouponCode,
}

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderStatus {
    /// Placed, to be paid.
    Pending,
    /// Paid.
    Paid,
    /// On its way.
    Shipping,
    /// Arrived.
    Delivered,
    /// Cancelled.
    Cancelled,
}

/// What a customer asks for: 1 to [`OrderRequest::MAX_LINES`] lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderRequest {
    /// The customer.
    pub user: UserId,
    /// The products, each once, in the order asked for.
    lines: Vec<(ProductId, Quantity)>,
    /// The coupon to use.
    pub coupon: Option<CouponCode>,
}

/// Why lines cannot make an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OrderLinesError {
    /// None, or more than [`OrderRequest::MAX_LINES`].
    #[error("an order has 1 to {} lines", OrderRequest::MAX_LINES)]
    Count,
    /// The lines of one product add up to more than [`Quantity::MAX`] pieces.
    #[error("more than {max} pieces of product {0}", max = Quantity::MAX)]
    TooMany(ProductId),
}

impl OrderRequest {
    /// The most lines an order can have.
    pub const MAX_LINES: usize = 100;

    /// Adds up the lines of the same product, before anything else is checked.
    ///
    /// # Errors
    /// [`OrderLinesError`].
    pub fn new(
        user: UserId,
        lines: impl IntoIterator<Item = (ProductId, Quantity)>,
        coupon: Option<CouponCode>,
    ) -> Result<Self, OrderLinesError> {
        let mut merged: Vec<(ProductId, Quantity)> = Vec::new();
        let mut places = BTreeMap::new();
        let mut count = 0;
        for (product, quantity) in lines {
            count += 1;
            let place = *places.entry(product).or_insert(merged.len());
            match merged.get_mut(place) {
                Some((_, sum)) => {
                    *sum = sum.checked_add(quantity).map_err(|_| OrderLinesError::TooMany(product))?;
                }
                None => merged.push((product, quantity)),
            }
        }
        match (1..=Self::MAX_LINES).contains(&count) {
            true => Ok(Self { user, lines: merged, coupon }),
            false => Err(OrderLinesError::Count),
        }
    }

    /// The products, each once, in the order asked for.
    #[must_use]
    pub fn lines(&self) -> &[(ProductId, Quantity)] {
        &self.lines
    }
}

/// Orders as stored.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait OrderRepository: Send {
    /// Stores new orders with their lines.
    async fn insert_many(&mut self, orders: &[Order]) -> Result<(), RepositoryError>;

    /// Stores completed payments with their history. MUST fail with [`RepositoryError::Conflict`] when an order
    /// has one already.
    async fn pay_many(&mut self, payments: &[Payment]) -> Result<(), RepositoryError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(lines: &[(i64, i64)]) -> Result<OrderRequest, OrderLinesError> {
        let lines =
            lines.iter().map(|&(product, pieces)| (ProductId(product), Quantity::new(pieces).unwrap()));
        OrderRequest::new(UserId(1), lines, None)
    }

    #[test]
    fn lines_of_the_same_product_are_added_up() {
        let request = request(&[(7, 1), (3, 2), (7, 4)]).unwrap();
        let lines: Vec<_> =
            request.lines().iter().map(|(product, pieces)| (product.0, pieces.get())).collect();
        assert_eq!(lines, [(7, 5), (3, 2)]);
    }

    #[test]
    fn an_order_has_1_to_100_lines_of_at_most_a_million_pieces() {
        assert_eq!(request(&[]), Err(OrderLinesError::Count));
        assert!(request(&[(1, 1); 100]).is_ok());
        assert_eq!(request(&[(1, 1); 101]), Err(OrderLinesError::Count));
        assert_eq!(request(&[(1, 1_000_000), (1, 1)]), Err(OrderLinesError::TooMany(ProductId(1))));
    }
}
