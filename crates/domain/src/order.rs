//! Orders.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};

use crate::coupon::CouponCode;
use crate::payment::PaymentChange;
use crate::product::Sku;
use crate::{Money, OrderId, Payment, Quantity, RepositoryError, UserCouponId, UserId};

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
    /// What was paid, or is to be.
    pub paid: Money,
    /// The coupon that was used.
    pub coupon: Option<AppliedCoupon>,
    /// When it was placed.
    pub created_at: DateTime<Utc>,
    /// When it was paid.
    pub paid_at: Option<DateTime<Utc>>,
    /// Until when its pieces are held for it: while it waits to be paid.
    pub held_until: Option<DateTime<Utc>>,
    /// How many events told of it: the sequence of the last.
    pub events: u32,
}

/// One thing that was ordered, as it was when the order was placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderLine {
    /// What.
    pub sku: Sku,
    /// The product's name then.
    pub name: String,
    /// The variant's name then, if it was sold as one.
    pub variant_name: Option<String>,
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

/// Why an order was not paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotPayable {
    /// It does not wait to be paid.
    #[error(transparent)]
    Status(#[from] WrongStatus),
    /// It has waited too long.
    #[error("its pieces were held until {0}")]
    TooLate(DateTime<Utc>),
}

/// Each change is told in an event of its own.
impl Order {
    /// Pays an order that waits for it. [`crate::deferred::pay`] does all that goes with it.
    ///
    /// # Errors
    /// [`NotPayable`] unless it is [`OrderStatus::Pending`] and still held.
    pub fn pay(self, now: DateTime<Utc>) -> Result<Self, NotPayable> {
        match self.held_until {
            Some(until) if self.status == OrderStatus::Pending && until <= now => {
                Err(NotPayable::TooLate(until))
            }
            _ => {
                let paid = self.advance(&[OrderStatus::Pending], OrderStatus::Paid)?;
                Ok(Self { paid_at: Some(now), held_until: None, ..paid })
            }
        }
    }

    /// Hands a paid order to the carrier.
    ///
    /// # Errors
    /// [`WrongStatus`] unless it is [`OrderStatus::Paid`].
    pub fn ship(self) -> Result<Self, WrongStatus> {
        self.advance(&[OrderStatus::Paid], OrderStatus::Shipping)
    }

    /// Notes that an order on its way has arrived.
    ///
    /// # Errors
    /// [`WrongStatus`] unless it is [`OrderStatus::Shipping`].
    pub fn deliver(self) -> Result<Self, WrongStatus> {
        self.advance(&[OrderStatus::Shipping], OrderStatus::Delivered)
    }

    /// Cancels an order that was not shipped. [`crate::cancellation::cancel`] does all that goes with it.
    ///
    /// # Errors
    /// [`WrongStatus`] unless it is [`OrderStatus::Pending`] or [`OrderStatus::Paid`].
    pub fn cancel(self) -> Result<Self, WrongStatus> {
        let cancelled = self.advance(&[OrderStatus::Pending, OrderStatus::Paid], OrderStatus::Cancelled)?;
        Ok(Self { held_until: None, ..cancelled })
    }

    fn advance(self, from: &[OrderStatus], to: OrderStatus) -> Result<Self, WrongStatus> {
        match from.contains(&self.status) {
            true => Ok(Self { status: to, events: self.events + 1, ..self }),
            false => Err(WrongStatus(self.status)),
        }
    }
}

/// When an order is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Terms {
    /// At once, or it is refused.
    Immediate,
    /// Later: its pieces are held that long, and its coupon is used.
    Deferred {
        /// How long.
        hold: TimeDelta,
    },
}

/// What a customer asks for: 1 to [`OrderRequest::MAX_LINES`] lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderRequest {
    /// The customer.
    pub user: UserId,
    /// What, each once, in the order asked for.
    lines: Vec<(Sku, Quantity)>,
    /// The coupon to use.
    pub coupon: Option<CouponCode>,
    /// When it is paid.
    pub terms: Terms,
}

/// Why lines cannot make an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OrderLinesError {
    /// None, or more than [`OrderRequest::MAX_LINES`].
    #[error("an order has 1 to {} lines", OrderRequest::MAX_LINES)]
    Count,
    /// The lines for one thing add up to more than [`Quantity::MAX`] pieces.
    #[error("more than {max} pieces of product {product}", product = _0.product, max = Quantity::MAX)]
    TooMany(Sku),
}

impl OrderRequest {
    /// The most lines an order can have.
    pub const MAX_LINES: usize = 100;

    /// Adds up the lines for the same thing, before anything else is checked. It is to be paid at once.
    ///
    /// # Errors
    /// [`OrderLinesError`].
    pub fn new(
        user: UserId,
        lines: impl IntoIterator<Item = (impl Into<Sku>, Quantity)>,
        coupon: Option<CouponCode>,
    ) -> Result<Self, OrderLinesError> {
        let mut merged: Vec<(Sku, Quantity)> = Vec::new();
        let mut places = BTreeMap::new();
        let mut count = 0;
        for (sku, quantity) in lines {
            let sku = sku.into();
            count += 1;
            let place = *places.entry(sku).or_insert(merged.len());
            match merged.get_mut(place) {
                Some((_, sum)) => {
                    *sum = sum.checked_add(quantity).map_err(|_| OrderLinesError::TooMany(sku))?;
                }
                None => merged.push((sku, quantity)),
            }
        }
        match (1..=Self::MAX_LINES).contains(&count) {
            true => Ok(Self { user, lines: merged, coupon, terms: Terms::Immediate }),
            false => Err(OrderLinesError::Count),
        }
    }

    /// The same, to be paid on these terms.
    #[must_use]
    pub fn on(self, terms: Terms) -> Self {
        Self { terms, ..self }
    }

    /// What, each once, in the order asked for.
    #[must_use]
    pub fn lines(&self) -> &[(Sku, Quantity)] {
        &self.lines
    }
}

/// Orders as stored.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait OrderRepository: Send {
    /// Stores new orders with their lines, and until when they are held.
    async fn insert_many(&mut self, orders: &[Order]) -> Result<(), RepositoryError>;

    /// Stores new payments, and that they were completed if they were. MUST fail with [`RepositoryError::Conflict`] when an
    /// order has one already.
    async fn insert_payments(&mut self, payments: &[Payment]) -> Result<(), RepositoryError>;

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

    /// Stores what happened to payments, in order. One that changed twice is there twice.
    ///
    /// MUST fail with [`RepositoryError::Conflict`] when one is not in the state from which it changed.
    async fn change_payments(&mut self, changes: &[PaymentChange]) -> Result<(), RepositoryError>;

    /// Forgets until when orders were held.
    ///
    /// MUST fail with [`RepositoryError::Conflict`] when one is not held.
    async fn end_holds(&mut self, orders: &BTreeSet<OrderId>) -> Result<(), RepositoryError>;

    /// Orders that were held until a moment or before, those first that have waited longest, at most so many after those
    /// passed over. They are not locked.
    async fn overdue(
        &mut self,
        now: DateTime<Utc>,
        pass_over: usize,
        at_most: usize,
    ) -> Result<Vec<Order>, RepositoryError>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ProductId, VariantId};

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
            paid_at: None,
            held_until: None,
            events: 1,
        }
    }

    #[test]
    fn a_paid_order_is_shipped_and_delivered_or_cancelled_and_nothing_else_happens() {
        use OrderStatus::{Cancelled, Delivered, Paid, Pending, Shipping};
        for from in [Pending, Paid, Shipping, Delivered, Cancelled] {
            for (change, allowed, to) in [
                (Order::ship as fn(Order) -> Result<Order, WrongStatus>, &[Paid][..], Shipping),
                (Order::deliver, &[Shipping], Delivered),
                (Order::cancel, &[Pending, Paid], Cancelled),
            ] {
                let changed = change(order(from)).map(|order| (order.status, order.events));
                let expected = if allowed.contains(&from) { Ok((to, 2)) } else { Err(WrongStatus(from)) };
                assert_eq!(changed, expected, "from {from:?} to {to:?}");
            }
        }
    }

    #[test]
    fn an_order_is_paid_once_and_until_its_hold_ends() {
        let until = DateTime::UNIX_EPOCH + TimeDelta::minutes(15);
        let waiting = || Order { held_until: Some(until), ..order(OrderStatus::Pending) };
        let just_in_time = until - TimeDelta::microseconds(1);
        let paid = waiting().pay(just_in_time).unwrap();
        assert_eq!(
            (paid.status, paid.paid_at, paid.held_until),
            (OrderStatus::Paid, Some(just_in_time), None)
        );
        assert_eq!(paid.pay(just_in_time), Err(WrongStatus(OrderStatus::Paid).into()));
        assert_eq!(waiting().pay(until), Err(NotPayable::TooLate(until)));
        let cancelled = waiting().cancel().unwrap();
        assert_eq!(cancelled.pay(just_in_time), Err(WrongStatus(OrderStatus::Cancelled).into()));
    }

    #[test]
    fn lines_of_the_same_product_are_added_up() {
        let request = request(&[(7, 1), (3, 2), (7, 4)]).unwrap();
        let lines: Vec<_> =
            request.lines().iter().map(|(sku, pieces)| (sku.product.0, pieces.get())).collect();
        assert_eq!(lines, [(7, 5), (3, 2)]);
    }

    #[test]
    fn variants_of_a_product_are_lines_of_their_own() {
        let shirt = |variant| Sku { product: ProductId(1), variant };
        let (small, large) = (shirt(Some(VariantId(1))), shirt(Some(VariantId(2))));
        let one = Quantity::new(1).unwrap();
        let lines = [(small, one), (large, one), (small, one), (shirt(None), one)];
        let request = OrderRequest::new(UserId(1), lines, None).unwrap();
        let pieces: Vec<_> = request.lines().iter().map(|(sku, pieces)| (*sku, pieces.get())).collect();
        assert_eq!(pieces, [(small, 2), (large, 1), (shirt(None), 1)]);
    }

    #[test]
    fn an_order_has_1_to_100_lines_of_at_most_a_million_pieces() {
        assert_eq!(request(&[]), Err(OrderLinesError::Count));
        assert!(request(&[(1, 1); 100]).is_ok());
        assert_eq!(request(&[(1, 1); 101]), Err(OrderLinesError::Count));
        assert_eq!(request(&[(1, 1_000_000), (1, 1)]), Err(OrderLinesError::TooMany(ProductId(1).into())));
    }
}
