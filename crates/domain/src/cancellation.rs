//! Taking sales back.
//!
//! [`cancel`] is a pure function, the counterpart of [`crate::checkout::settle`]: whoever runs the shop loads (and locks)
//! what the orders touch into [`Returns`], calls it, and stores the [`Cancellation`]s that come back. A refused request
//! changes nothing and does not disturb its neighbours.

use std::collections::BTreeMap;
use std::str::FromStr;

use chrono::{DateTime, Utc};

use crate::coupon::{Restoration, UserCoupon, UserCouponState};
use crate::order::{Order, WrongStatus};
use crate::payment::{Payment, PaymentChange};
use crate::product::{Product, Returned};
use crate::wallet::{LedgerEntry, Wallet};
use crate::{Money, OrderId, ProductId, UserCouponId, UserId};

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

/// Everything that a list of cancellations touches, as it is now. Whatever an order in it refers to is in it too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Returns {
    /// The orders.
    pub orders: BTreeMap<OrderId, Order>,
    /// Their payments.
    pub payments: BTreeMap<OrderId, Payment>,
    /// The wallets of their customers.
    pub wallets: BTreeMap<UserId, Wallet>,
    /// What was sold, whether it is still on sale or not.
    pub products: BTreeMap<ProductId, Product>,
    /// The coupons that were used.
    pub held: BTreeMap<UserCouponId, UserCoupon>,
}

/// An order that was cancelled, with everything that has to be stored with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancellation {
    /// The order.
    pub order: Order,
    /// What happened to its payment.
    pub payment: PaymentChange,
    /// What moved in the wallet; nothing when the order had cost nothing.
    pub ledger: Option<LedgerEntry>,
    /// What moved in the stocks, a movement a line.
    pub returned: Vec<Returned>,
    /// The coupon that was given back.
    pub restoration: Option<Restoration>,
    /// The customer's balance right after it.
    pub balance: Money,
}

/// Why an order was not cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CancelRefusal {
    /// It cannot be cancelled where it stands.
    #[error(transparent)]
    Status(#[from] WrongStatus),
    /// The refund would pass what can be counted.
    #[error("the balance would pass what can be counted")]
    BalanceTooLarge,
}

/// Cancels orders, in the order in which that was asked for, each on what its predecessors left. An order is cancelled
/// once: asked for again it is refused.
///
/// # Panics
/// When an order, or something that it refers to, is missing in `returns`.
pub fn cancel<'a>(
    returns: &mut Returns,
    requests: impl IntoIterator<Item = (OrderId, Option<&'a CancelReason>)>,
    now: DateTime<Utc>,
) -> Vec<Result<Cancellation, CancelRefusal>> {
    requests.into_iter().map(|(order, reason)| returns.take_back(order, reason, now)).collect()
}

impl Returns {
    fn take_back(
        &mut self,
        id: OrderId,
        reason: Option<&CancelReason>,
        now: DateTime<Utc>,
    ) -> Result<Cancellation, CancelRefusal> {
        let order = self.orders[&id].clone().cancel()?;
        let payment = self.payments.get_mut(&id).expect("a paid order has a payment");
        let wallet = self.wallets.get_mut(&order.user).expect("a customer has a wallet");
        let ledger = wallet.refund(payment.amount, id, now).map_err(|_| CancelRefusal::BalanceTooLarge)?;
        // Nothing can be refused any more.
        let balance = wallet.balance;
        let sold_at = payment.paid_at.expect("a paid order was paid at some time");
        let payment = payment.cancel(reason.cloned(), now).expect("a paid order has a completed payment");
        let returned = self.put_back(&order, sold_at, now);
        let restoration = self.restore(&order, now);
        self.orders.insert(id, order.clone());
        Ok(Cancellation { order, payment, ledger, returned, restoration, balance })
    }

    fn put_back(&mut self, order: &Order, sold_at: DateTime<Utc>, now: DateTime<Utc>) -> Vec<Returned> {
        let lines = order.lines.iter();
        lines
            .map(|line| {
                let product = self.products.get_mut(&line.product).expect("what was sold is there");
                Returned { movement: product.put_back(line.quantity, order.id, now), sold_at }
            })
            .collect()
    }

    fn restore(&mut self, order: &Order, now: DateTime<Utc>) -> Option<Restoration> {
        let user_coupon = order.coupon.as_ref()?.user_coupon;
        let held = self.held.get_mut(&user_coupon).expect("a coupon that was used is there");
        held.restore(now).expect("the coupon of a paid order is used");
        let expired = held.state == UserCouponState::Expired;
        Some(Restoration { user_coupon, order: order.id, expired, at: now })
    }
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
