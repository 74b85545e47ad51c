//! The payment of an order.

use chrono::{DateTime, Utc};

use crate::{Money, OrderId};

/// The one payment of an order, from the wallet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// The order; a payment has no other identity.
    pub order: OrderId,
    /// What was paid.
    pub amount: Money,
    /// Where it stands.
    pub status: PaymentStatus,
    /// When it was started.
    pub created_at: DateTime<Utc>,
    /// When it was completed.
    pub paid_at: Option<DateTime<Utc>>,
}

/// Where a payment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaymentStatus {
    /// Not paid yet.
    Pending,
    /// Paid.
    Completed,
}

impl Payment {
    /// A payment that was made at once.
    #[must_use]
    pub fn completed(order: OrderId, amount: Money, now: DateTime<Utc>) -> Self {
        Self { order, amount, status: PaymentStatus::Completed, created_at: now, paid_at: Some(now) }
    }
}
