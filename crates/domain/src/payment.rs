//! The payment of an order.

use chrono::{DateTime, Utc};

use crate::cancellation::CancelReason;
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
    /// How often it changed: the sequence of the last entry of its history.
    pub changes: u32,
}

/// Where a payment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaymentStatus {
    /// Not paid yet.
    Pending,
    /// Paid.
    Completed,
    /// The last attempt to pay came to nothing.
    Failed,
    /// Paid, and refunded since.
    Cancelled,
}

/// One entry of a payment's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentChange {
    /// The order.
    pub order: OrderId,
    /// 1, 2, 3... without gaps for each payment.
    pub sequence: u32,
    /// Where it stood.
    pub from: PaymentStatus,
    /// Where it stands since.
    pub to: PaymentStatus,
    /// Why, if somebody said so.
    pub reason: Option<CancelReason>,
    /// When.
    pub at: DateTime<Utc>,
}

/// Only what was paid can be refunded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the payment is {0:?}")]
pub struct NotCompleted(pub PaymentStatus);

impl Payment {
    /// A payment that was made at once.
    #[must_use]
    pub fn completed(order: OrderId, amount: Money, now: DateTime<Utc>) -> Self {
        let (status, paid_at) = (PaymentStatus::Completed, Some(now));
        Self { order, amount, status, created_at: now, paid_at, changes: 1 }
    }

    /// Notes that it was refunded.
    ///
    /// # Errors
    /// [`NotCompleted`]; it is then unchanged.
    pub fn cancel(
        &mut self,
        reason: Option<CancelReason>,
        now: DateTime<Utc>,
    ) -> Result<PaymentChange, NotCompleted> {
        let from = self.status;
        if from != PaymentStatus::Completed {
            return Err(NotCompleted(from));
        }
        self.status = PaymentStatus::Cancelled;
        self.changes += 1;
        Ok(PaymentChange {
            order: self.order,
            sequence: self.changes,
            from,
            to: self.status,
            reason,
            at: now,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payment_is_cancelled_once() {
        let at = DateTime::UNIX_EPOCH;
        let mut payment = Payment::completed(OrderId(1), Money::from_minor(1_00), at);
        let change = payment.cancel(Some("too late".parse().unwrap()), at).unwrap();
        assert_eq!((change.sequence, change.from), (2, PaymentStatus::Completed));
        assert_eq!(payment.status, PaymentStatus::Cancelled);
        assert_eq!(payment.cancel(None, at), Err(NotCompleted(PaymentStatus::Cancelled)));
    }
}
