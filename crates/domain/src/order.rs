//! Orders.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::coupon::CouponCode;
use crate::payment::PaymentChange;
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
    /// How many events told of it: the sequence of the last.
    pub events: u32,
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

/// Where an order stands does not allow the change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the order is {0:?}")]
pub struct WrongStatus(pub OrderStatus);

/// Each change is told in an event of its own.
impl Order {
    /// Hands a paid order to the carrier.
    ///
    /// # Errors
    /// [`WrongStatus`] unless it is [`OrderStatus::Paid`].
    pub fn ship(self) -> Result<Self, WrongStatus> {
        self.advance(OrderStatus::Paid, OrderStatus::Shipping)
    }

    /// Notes that an order on its way has arrived.
    ///
    /// # Errors
    /// [`WrongStatus`] unless it is [`OrderStatus::Shipping`].
    pub fn deliver(self) -> Result<Self, WrongStatus> {
        self.advance(OrderStatus::Shipping, OrderStatus::Delivered)
    }

    /// Cancels a paid order. [`crate::cancellation::cancel`] does all that goes with it.
    ///
    /// # Errors
    /// [`WrongStatus`] unless it is [`OrderStatus::Paid`].
    pub fn cancel(self) -> Result<Self, WrongStatus> {
        self.advance(OrderStatus::Paid, OrderStatus::Cancelled)
    }

    fn advance(self, from: OrderStatus, to: OrderStatus) -> Result<Self, WrongStatus> {
        match self.status == from {
            true => Ok(Self { status: to, events: self.events + 1, ..self }),
            false => Err(WrongStatus(self.status)),
        }
    }
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

    /// These orders, locked until the unit of work ends.
    ///
    /// MUST lock rows in ascending id order; absent ids are omitted.
    async fn lock_many(
        &mut self,
        orders: &BTreeSet<OrderId>,
    ) -> Result<BTreeMap<OrderId, Order>, RepositoryError>;

    /// The payments of orders that are locked; orders without one are omitted.
    async fn payments(
        &mut self,
        orders: &BTreeSet<OrderId>,
    ) -> Result<BTreeMap<OrderId, Payment>, RepositoryError>;

    /// Stores where orders stand since a moment, and how many events told of them: one more than before. An order that
    /// changed twice is there twice.
    ///
    /// MUST fail with [`RepositoryError::Conflict`] when the events of an order are not those that were known.
    async fn advance(&mut self, orders: &[Order], at: DateTime<Utc>) -> Result<(), RepositoryError>;

    /// Stores that payments were cancelled, with their history.
    ///
    /// MUST fail with [`RepositoryError::Conflict`] when one is not in the state COMPLETED.
    async fn cancel_payments(&mut self, changes: &[PaymentChange]) -> Result<(), RepositoryError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(lines: &[(i64, i64)]) -> Result<OrderRequest, OrderLinesError> {
        let lines =
            lines.iter().map(|&(product, pieces)| (ProductId(product), Quantity::new(pieces).unwrap()));
        OrderRequest::new(UserId(1), lines, None)
    }

    fn order(status: OrderStatus) -> Order {
        let (total, discount, paid) = (Money::ZERO, Money::ZERO, Money::ZERO);
        let (id, user, created_at) = (OrderId(1), UserId(1), DateTime::UNIX_EPOCH);
        Order {
            id,
            user,
            status,
            lines: Vec::new(),
            total,
            discount,
            paid,
            coupon: None,
            created_at,
            events: 1,
        }
    }

    #[test]
    fn a_paid_order_is_shipped_and_delivered_or_cancelled_and_nothing_else_happens() {
        use OrderStatus::{Cancelled, Delivered, Paid, Pending, Shipping};
        for from in [Pending, Paid, Shipping, Delivered, Cancelled] {
            for (change, allowed, to) in [
                (Order::ship as fn(Order) -> Result<Order, WrongStatus>, Paid, Shipping),
                (Order::deliver, Shipping, Delivered),
                (Order::cancel, Paid, Cancelled),
            ] {
                let changed = change(order(from)).map(|order| (order.status, order.events));
                let expected = if from == allowed { Ok((to, 2)) } else { Err(WrongStatus(from)) };
                assert_eq!(changed, expected, "from {from:?} to {to:?}");
            }
        }
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
