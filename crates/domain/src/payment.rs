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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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
    /// Why.
    pub reason: Option<PaymentReason>,
    /// When.
    pub at: DateTime<Utc>,
}

/// Why a payment changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaymentReason {
    /// The wallet did not cover it.
    InsufficientBalance,
    /// It was not made in time.
    HoldExpired,
    /// Its order was cancelled before.
    OrderCancelled,
    /// What was said when the order was cancelled.
    Said(CancelReason),
}

impl PaymentReason {
    /// As it is stored and shown.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::InsufficientBalance => "INSUFFICIENT_BALANCE",
            Self::HoldExpired => "HOLD_EXPIRED",
            Self::OrderCancelled => "ORDER_CANCELLED",
            Self::Said(words) => words.as_str(),
        }
    }
}

/// Where a payment stands does not allow the change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the payment is {0:?}")]
pub struct WrongPaymentStatus(pub PaymentStatus);

impl Payment {
    /// A payment that was made at once.
    #[must_use]
    pub fn completed(order: OrderId, amount: Money, now: DateTime<Utc>) -> Self {
        let (status, paid_at) = (PaymentStatus::Completed, Some(now));
        Self { order, amount, status, created_at: now, paid_at, changes: 1 }
    }

    /// A payment that is to be made later.
    #[must_use]
    pub fn pending(order: OrderId, amount: Money, now: DateTime<Utc>) -> Self {
        let status = PaymentStatus::Pending;
        Self { order, amount, status, created_at: now, paid_at: None, changes: 0 }
    }

    /// Notes that it was made.
    ///
    /// # Errors
    /// [`WrongPaymentStatus`] when it was made before; it is then unchanged.
    pub fn complete(&mut self, now: DateTime<Utc>) -> Result<PaymentChange, WrongPaymentStatus> {
        let change = self.change(&UNPAID, PaymentStatus::Completed, None, now)?;
        self.paid_at = Some(now);
        Ok(change)
    }

    /// Notes that it came to nothing. It may be tried again as long as its order waits for it.
    ///
    /// # Errors
    /// [`WrongPaymentStatus`] when it was made; it is then unchanged.
    pub fn fail(
        &mut self,
        reason: PaymentReason,
        now: DateTime<Utc>,
    ) -> Result<PaymentChange, WrongPaymentStatus> {
        self.change(&UNPAID, PaymentStatus::Failed, Some(reason), now)
    }

    /// Notes that it was refunded.
    ///
    /// # Errors
    /// [`WrongPaymentStatus`] unless it was made; it is then unchanged.
    pub fn cancel(
        &mut self,
        reason: Option<PaymentReason>,
        now: DateTime<Utc>,
    ) -> Result<PaymentChange, WrongPaymentStatus> {
        self.change(&[PaymentStatus::Completed], PaymentStatus::Cancelled, reason, now)
    }

    fn change(
        &mut self,
        allowed: &[PaymentStatus],
        to: PaymentStatus,
        reason: Option<PaymentReason>,
        at: DateTime<Utc>,
    ) -> Result<PaymentChange, WrongPaymentStatus> {
        let from = self.status;
        if !allowed.contains(&from) {
            return Err(WrongPaymentStatus(from));
        }
        self.status = to;
        self.changes += 1;
        Ok(PaymentChange { order: self.order, sequence: self.changes, from, to, reason, at })
    }
}

const UNPAID: [PaymentStatus; 2] = [PaymentStatus::Pending, PaymentStatus::Failed];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payment_is_cancelled_once() {
        let at = DateTime::UNIX_EPOCH;
        let mut payment = Payment::completed(OrderId(1), Money::from_minor(1_00), at);
        let said = PaymentReason::Said("too late".parse().unwrap());
        let change = payment.cancel(Some(said), at).unwrap();
        assert_eq!((change.sequence, change.from), (2, PaymentStatus::Completed));
        assert_eq!(payment.status, PaymentStatus::Cancelled);
        assert_eq!(payment.cancel(None, at), Err(WrongPaymentStatus(PaymentStatus::Cancelled)));
    }

    #[test]
    fn a_payment_that_failed_may_be_tried_again_until_it_is_made() {
        let at = DateTime::UNIX_EPOCH;
        let mut payment = Payment::pending(OrderId(1), Money::from_minor(1_00), at);
        assert_eq!(payment.cancel(None, at), Err(WrongPaymentStatus(PaymentStatus::Pending)));
        for sequence in [1, 2] {
            let change = payment.fail(PaymentReason::InsufficientBalance, at).unwrap();
            assert_eq!((change.sequence, change.to), (sequence, PaymentStatus::Failed));
        }
        let change = payment.complete(at).unwrap();
        assert_eq!((change.sequence, change.from, payment.paid_at), (3, PaymentStatus::Failed, Some(at)));
        assert_eq!(payment.complete(at), Err(WrongPaymentStatus(PaymentStatus::Completed)));
        let late = payment.fail(PaymentReason::HoldExpired, at);
        assert_eq!(late, Err(WrongPaymentStatus(PaymentStatus::Completed)));
    }
}
