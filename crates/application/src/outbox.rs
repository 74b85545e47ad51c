//! Events for the data platform: written in the transaction that they tell of, kept until they are delivered.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use jangteo_domain::coupon::UserCoupon;
use jangteo_domain::{CouponCode, Order, RepositoryError};
use serde_json::json;

use crate::snapshot::{Moment, OrderSnapshot};

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
    /// An order was cancelled, and what was paid for it refunded.
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
    /// An order was paid: the first event of every order that is paid at once.
    #[must_use]
    pub fn order_paid(order: &Order) -> Self {
        Self {
            aggregate: Aggregate::Order,
            aggregate_id: order.id.0,
            sequence: 1,
            event_type: EventType::OrderPaid,
            payload: OrderSnapshot::from(order).to_json(),
            at: order.created_at,
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
