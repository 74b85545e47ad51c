//! Taking back what orders did, whether they were paid or wait for it.
//!
//! [`cancel`] is a pure function, the counterpart of [`crate::checkout::settle`]: whoever runs the shop loads (and locks)
//! what the orders touch into [`PlacedOrders`], calls it, and stores the [`Cancellation`]s that come back. A refused request
//! changes nothing and does not disturb its neighbours.

use std::str::FromStr;

use chrono::{DateTime, Utc};

use crate::coupon::{Restoration, UserCouponState};
use crate::order::{Order, WrongStatus};
use crate::payment::{PaymentChange, PaymentReason};
use crate::placed_orders::PlacedOrders;
use crate::product::{StockMovement, StockMovementKind};
use crate::wallet::LedgerEntry;
use crate::{Money, OrderId};

/// Why an order is cancelled, in somebody's words: 1 to [`CancelReason::LONGEST`] characters, without surrounding white
/// space and control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CancelReason(String);

/// A text that cannot be a [`CancelReason`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a reason has 1 to {} characters and no line breaks", CancelReason::LONGEST)]
pub struct CancelReasonError;

impl CancelReason {
    /// The most characters.
    pub const LONGEST: usize = 200;

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CancelReason {
    type Err = CancelReasonError;

    fn from_str(text: &str) -> Result<Self, CancelReasonError> {
        let text = text.trim();
        let fits = (1..=Self::LONGEST).contains(&text.chars().count());
        match fits && !text.chars().any(char::is_control) {
            true => Ok(Self(text.to_owned())),
            false => Err(CancelReasonError),
        }
    }
}

/// Why orders are cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion<'a> {
    /// Somebody asked for it, perhaps saying why.
    Asked(Option<&'a CancelReason>),
    /// It was not paid in time.
    Overdue,
}

/// An order that was cancelled, with everything that has to be stored with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancellation {
    /// The order.
    pub order: Order,
    /// What happened to its payment.
    pub payment: PaymentChange,
    /// What moved in the wallet; nothing when nothing had been paid.
    pub ledger: Option<LedgerEntry>,
    /// What moved in the stocks, a movement a line.
    pub returned: Vec<StockMovement>,
    /// The coupon that was given back.
    pub restoration: Option<Restoration>,
    /// Whether it had waited to be paid, and its pieces were held for it.
    pub was_held: bool,
    /// The customer's balance right after it.
    pub balance: Money,
}

/// Why an order was not cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CancelRefusal {
    /// It cannot be cancelled where it stands.
    #[error(transparent)]
    Status(#[from] WrongStatus),
    /// It is not overdue.
    #[error("there is still time to pay the order")]
    NotOverdue,
    /// The refund would pass what can be counted.
    #[error("the balance would pass what can be counted")]
    BalanceTooLarge,
}

/// Cancels orders, in the order in which that was asked for, each on what its predecessors left. An order is cancelled
/// once: asked for again it is refused.
///
/// # Panics
/// When an order, or something that it refers to, is missing in `placed`.
pub fn cancel<'a>(
    placed: &mut PlacedOrders,
    requests: impl IntoIterator<Item = (OrderId, Occasion<'a>)>,
    now: DateTime<Utc>,
) -> Vec<Result<Cancellation, CancelRefusal>> {
    requests.into_iter().map(|(order, occasion)| take_back(placed, order, occasion, now)).collect()
}

fn take_back(
    placed: &mut PlacedOrders,
    id: OrderId,
    occasion: Occasion<'_>,
    now: DateTime<Utc>,
) -> Result<Cancellation, CancelRefusal> {
    let before = &placed.orders[&id];
    let order = before.clone().cancel()?;
    let held_until = before.held_until;
    if occasion == Occasion::Overdue && held_until.is_none_or(|until| until > now) {
        return Err(CancelRefusal::NotOverdue);
    }
    let wallet = placed.wallets.get_mut(&order.user).expect("a customer has a wallet");
    let payment = placed.payments.get_mut(&id).expect("an order has a payment");
    let (ledger, payment, kind) = match payment.paid_at {
        Some(sold_at) => {
            let refund = wallet.refund(payment.amount, id, now);
            // Nothing can be refused any more.
            let refund = refund.map_err(|_| CancelRefusal::BalanceTooLarge)?;
            let change = payment.cancel(said(occasion), now).expect("a paid order has a completed payment");
            (refund, change, StockMovementKind::Return { sold_at })
        }
        None => {
            let reason = said(occasion).unwrap_or(PaymentReason::OrderCancelled);
            let change = payment.fail(reason, now).expect("an order that waits has no completed payment");
            (None, change, StockMovementKind::Release)
        }
    };
    let balance = wallet.balance;
    let returned = placed.put_back(&order, kind, now);
    let restoration = restore(placed, &order, now);
    placed.orders.insert(id, order.clone());
    Ok(Cancellation {
        order,
        payment,
        ledger,
        returned,
        restoration,
        was_held: held_until.is_some(),
        balance,
    })
}

fn said(occasion: Occasion<'_>) -> Option<PaymentReason> {
    match occasion {
        Occasion::Asked(words) => words.cloned().map(PaymentReason::Said),
        Occasion::Overdue => Some(PaymentReason::HoldExpired),
    }
}

fn restore(placed: &mut PlacedOrders, order: &Order, now: DateTime<Utc>) -> Option<Restoration> {
    let user_coupon = order.coupon.as_ref()?.user_coupon;
    let held = placed.held.get_mut(&user_coupon).expect("a coupon that was used is there");
    held.restore(now).expect("the coupon of an order that stands is used");
    let expired = held.state == UserCouponState::Expired;
    Some(Restoration { user_coupon, order: order.id, expired, at: now })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_a_line_of_up_to_200_characters() {
        assert_eq!("  너무 늦어요 ".parse::<CancelReason>().unwrap().as_str(), "너무 늦어요");
        assert!("늦".repeat(200).parse::<CancelReason>().is_ok());
        for text in ["", "  ", "two\nlines", &"x".repeat(201)] {
            assert_eq!(text.parse::<CancelReason>(), Err(CancelReasonError), "{text:?}");
        }
    }
}
