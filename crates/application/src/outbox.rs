//! Events for the data platform, written in the transaction that they tell of.

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

/// One event, ready to be delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxMessage {
    /// What kind of thing it is about.
    pub aggregate: Aggregate,
    /// Which one.
    pub aggregate_id: i64,
    /// 1, 2, 3... without gaps for each aggregate.
    pub sequence: u32,
    /// What happened.
    pub event_type: &'static str,
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
            event_type: "order.paid",
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
            event_type: "coupon.issued",
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

/// Events as stored until they are delivered.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait OutboxRepository: Send {
    /// Appends events. MUST fail with [`RepositoryError::Conflict`] when an aggregate has an event of that sequence
    /// number already.
    async fn append(&mut self, messages: &[OutboxMessage]) -> Result<(), RepositoryError>;
}
