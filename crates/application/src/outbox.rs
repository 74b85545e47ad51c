//! Events for the data platform: written in the transaction that they tell of, kept until they are delivered.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use jangteo_domain::cancellation::Cancellation;
use jangteo_domain::coupon::UserCoupon;
use jangteo_domain::payment::PaymentReason;
use jangteo_domain::{CouponCode, Money, Order, RepositoryError};
use serde::Serialize;
use serde_json::json;

use crate::snapshot::{Moment, MoneyText, OrderSnapshot, to_json};

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregate {
    /// An order.
    Order,
    /// A customer's copy of a coupon.
    UserCoupon,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventType {
    /// An order was paid.
    OrderPaid,
    /// An order was cancelled, and what was paid for it, if anything, refunded.
    OrderCancelled,
    /// An order was handed to the carrier.
    OrderShipped,
    /// An order arrived.
    OrderDelivered,
    /// A coupon was issued to a customer.
    CouponIssued,
}

impl EventType {
    /// Its name where events are stored and sent.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OrderPaid => "order.paid",
            Self::OrderCancelled => "order.cancelled",
            Self::OrderShipped => "order.shipped",
            Self::OrderDelivered => "order.delivered",
            Self::CouponIssued => "coupon.issued",
        }
    }
}

/// Where an event is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventStatus {
    /// It waits, or is being sent.
    Pending,
    /// The platform has it.
    Sent,
    /// It was sent in vain, and will be sent again.
    Failed,
    /// It was given up.
    Dead,
}

impl EventStatus {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Sent, Self::Failed, Self::Dead];

    /// Its name where events are stored and shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Sent => "SENT",
            Self::Failed => "FAILED",
            Self::Dead => "DEAD",
        }
    }

    /// The status of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}

/// One event, ready to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxMessage {
    /// What kind of thing it is about.
    pub aggregate: Aggregate,
    /// Which one.
    pub aggregate_id: i64,
    /// 1, 2, 3... without gaps for each aggregate.
    pub sequence: u32,
    /// What happened.
    pub event_type: EventType,
    /// JSON: the thing in full, as committed.
    pub payload: String,
    /// When.
    pub at: DateTime<Utc>,
}

impl OutboxMessage {
    /// An order was paid: its first event.
    ///
    /// # Panics
    /// When it was not.
    #[must_use]
    pub fn order_paid(order: &Order) -> Self {
        let at = order.paid_at.expect("a paid order was paid at some time");
        Self::of_order(EventType::OrderPaid, order, &OrderSnapshot::from(order), at)
    }

    /// An order was handed to the carrier.
    #[must_use]
    pub fn order_shipped(order: &Order, at: DateTime<Utc>) -> Self {
        let shipped = Shipped { order: OrderSnapshot::from(order), shipped_at: Moment(at) };
        Self::of_order(EventType::OrderShipped, order, &shipped, at)
    }

    /// An order arrived.
    #[must_use]
    pub fn order_delivered(order: &Order, at: DateTime<Utc>) -> Self {
        let delivered = Delivered { order: OrderSnapshot::from(order), delivered_at: Moment(at) };
        Self::of_order(EventType::OrderDelivered, order, &delivered, at)
    }

    /// An order was cancelled.
    #[must_use]
    pub fn order_cancelled(cancellation: &Cancellation) -> Self {
        let (order, payment) = (&cancellation.order, &cancellation.payment);
        let cancelled = Cancelled {
            order: OrderSnapshot::from(order),
            cancelled_at: Moment(payment.at),
            refunded_amount: MoneyText(
                cancellation.ledger.as_ref().map_or(Money::ZERO, |refund| refund.amount),
            ),
            reason: payment.reason.as_ref().map(PaymentReason::as_str),
        };
        Self::of_order(EventType::OrderCancelled, order, &cancelled, payment.at)
    }

    /// The last of the events that the order counts.
    fn of_order(event_type: EventType, order: &Order, payload: &impl Serialize, at: DateTime<Utc>) -> Self {
        Self {
            aggregate: Aggregate::Order,
            aggregate_id: order.id.0,
            sequence: order.events,
            event_type,
            payload: to_json(payload),
            at,
        }
    }

    /// A coupon was issued to a customer.
    #[must_use]
    pub fn coupon_issued(issued: &UserCoupon, code: &CouponCode) -> Self {
        Self {
            aggregate: Aggregate::UserCoupon,
            aggregate_id: issued.id.0,
            sequence: 1,
            event_type: EventType::CouponIssued,
            payload: json!({
                "userCouponId": issued.id.0,
                "couponId": issued.coupon.0,
                "code": code.as_str(),
                "userId": issued.user.0,
                "ticket": issued.ticket,
                "claimedAt": Moment(issued.claimed_at),
                "expiresAt": issued.expires_at.map(Moment),
            })
            .to_string(),
            at: issued.claimed_at,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shipped {
    #[serde(flatten)]
    order: OrderSnapshot,
    shipped_at: Moment,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Delivered {
    #[serde(flatten)]
    order: OrderSnapshot,
    delivered_at: Moment,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Cancelled<'a> {
    #[serde(flatten)]
    order: OrderSnapshot,
    cancelled_at: Moment,
    /// What the customer got back, into the wallet.
    refunded_amount: MoneyText,
    reason: Option<&'a str>,
}

/// Where events are written, within the transaction that they tell of.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait OutboxRepository: Send {
    /// Appends events. MUST fail with [`RepositoryError::Conflict`] when an aggregate has an event of that sequence
    /// number already.
    async fn append(&mut self, messages: &[OutboxMessage]) -> Result<(), RepositoryError>;

    /// Forgets events that were sent before a moment, at most so many, and says how many those were.
    async fn purge_sent(
        &mut self,
        sent_before: DateTime<Utc>,
        at_most: usize,
    ) -> Result<usize, RepositoryError>;

    /// Where an event is, which it stays until the unit of work ends; `None` when there is none.
    async fn lock_status(&mut self, id: i64) -> Result<Option<EventStatus>, RepositoryError>;

    /// Has events delivered as if they had never been tried, from now on: those of them that have one of these statuses.
    /// Says how many those were. MUST leave the others as they are.
    async fn deliver_again(
        &mut self,
        ids: &[i64],
        only: &[EventStatus],
        now: DateTime<Utc>,
    ) -> Result<usize, RepositoryError>;
}

/// An event as it is stored. Nothing of it has been looked into: whatever it holds, it can be taken and given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its row.
    pub id: i64,
    /// What kind of thing it is about.
    pub aggregate: Aggregate,
    /// Which one.
    pub aggregate_id: i64,
    /// 1, 2, 3... without gaps for each aggregate.
    pub sequence: i64,
    /// What happened, by its name.
    pub event_type: String,
    /// JSON, if it is as it should be.
    pub payload: String,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// How often it was sent in vain.
    pub attempts: u32,
}

/// Events that are one relay's to deliver, until a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leased {
    /// When they are anybody's again. Also tells the lease apart from those before and after it.
    pub until: DateTime<Utc>,
    /// The events, the oldest first, each of another aggregate.
    pub events: Vec<StoredEvent>,
}

/// What became of leased events, by their ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settlement {
    /// The platform has them.
    pub sent: Vec<i64>,

    /// The platform has not got them.
    pub failed: Vec<FailedEvent>,
    /// They were not tried: they wait as before.
    pub returned: Vec<i64>,
}

/// An attempt that came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedEvent {
    /// The event.
    pub id: i64,
    /// Why, for people.
    pub error: String,
    /// How many attempts count against it by now.
    pub attempts: u32,
    /// When to try again; never, when it was the last attempt.
    pub retry_at: Option<DateTime<Utc>>,
}

/// Events that wait to be delivered, as relays see them. Any number of relays may.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Takes the oldest events that are due, at most so many.
    ///
    /// MUST give an event to one relay only until the lease ends, and then to the next that asks. MUST pass over an
    /// event while an earlier one of its aggregate has not been sent.
    async fn lease(
        &self,
        at_most: usize,
        now: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<Leased, RepositoryError>;

    /// Writes down what became of them.
    ///
    /// MUST note as sent whatever was sent, whoever has the lease meanwhile; MUST leave alone what failed or was
    /// returned when it is no longer under this lease.
    async fn settle(
        &self,
        lease: &Leased,
        settlement: &Settlement,
        now: DateTime<Utc>,
    ) -> Result<(), RepositoryError>;

    /// Returns when this process has appended events since it was last asked. One relay in the process may wait.
    async fn appended(&self);
}

#[cfg(test)]
mod tests {
    use jangteo_domain::order::{OrderLine, OrderStatus};
    use jangteo_domain::{Money, OrderId, Payment, ProductId, Quantity, UserId, Wallet};
    use serde_json::Value;

    use super::*;

    fn paid() -> Order {
        let line = OrderLine {
            sku: ProductId(101).into(),
            name: "Shirt".into(),
            variant_name: None,
            unit_price: Money::from_minor(10_00),
            quantity: Quantity::new(1).unwrap(),
            subtotal: Money::from_minor(10_00),
        };
        Order {
            id: OrderId(5551),
            user: UserId(1),
            status: OrderStatus::Paid,
            lines: vec![line],
            total: Money::from_minor(10_00),
            discount: Money::ZERO,
            paid: Money::from_minor(10_00),
            coupon: None,
            created_at: DateTime::UNIX_EPOCH,
            paid_at: Some(DateTime::UNIX_EPOCH),
            held_until: None,
            events: 1,
        }
    }

    fn later() -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(1)
    }

    /// The order with its new status is in each; this is the rest of it.
    fn added(message: &OutboxMessage, status: &str) -> Value {
        let mut data: Value = serde_json::from_str(&message.payload).unwrap();
        let mut order: Value = serde_json::from_str(&OutboxMessage::order_paid(&paid()).payload).unwrap();
        order["status"] = status.into();
        for (field, value) in order.as_object().unwrap() {
            assert_eq!(data.as_object_mut().unwrap().remove(field).as_ref(), Some(value), "{field}");
        }
        data
    }

    fn cancelled(reason: Option<&str>) -> OutboxMessage {
        let reason = reason.map(|reason| PaymentReason::Said(reason.parse().unwrap()));
        let amount = Money::from_minor(10_00);
        let payment =
            Payment::completed(OrderId(5551), amount, DateTime::UNIX_EPOCH).cancel(reason, later()).unwrap();
        let order = paid().cancel().unwrap();
        let mut wallet = Wallet { user: UserId(1), balance: Money::ZERO };
        let ledger = wallet.refund(amount, order.id, later()).unwrap();
        let (returned, restoration) = (Vec::new(), None);
        OutboxMessage::order_cancelled(&Cancellation {
            order,
            payment,
            ledger,
            returned,
            restoration,
            was_held: false,
            balance: wallet.balance,
        })
    }

    #[test]
    fn each_change_of_an_order_is_told_with_the_order_and_what_is_new() {
        let shipping = paid().ship().unwrap();
        let shipped = OutboxMessage::order_shipped(&shipping, later());
        let delivered = OutboxMessage::order_delivered(&shipping.deliver().unwrap(), later());
        let at = "1970-01-01T00:00:01.000000Z";
        assert_eq!(added(&shipped, "SHIPPING"), json!({"shippedAt": at}));
        assert_eq!(added(&delivered, "DELIVERED"), json!({"deliveredAt": at}));
        let cancelled_for = |reason| json!({"cancelledAt": at, "refundedAmount": "10.00", "reason": reason});
        assert_eq!(added(&cancelled(Some("late")), "CANCELLED"), cancelled_for(Some("late")));
        assert_eq!(added(&cancelled(None), "CANCELLED"), cancelled_for(None));
        assert_eq!([shipped.sequence, delivered.sequence, cancelled(None).sequence], [2, 3, 2]);
        assert_eq!([shipped.at, delivered.at, cancelled(None).at], [later(); 3]);
    }
}
