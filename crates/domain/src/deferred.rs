//! Paying orders that were placed to be paid later.
//!
//! [`pay`] is a pure function, as [`crate::checkout::settle`] is: whoever runs the shop loads (and locks) what the orders touch
//! into [`PlacedOrders`], calls it, and stores what comes back. Their pieces were held and their coupons used when they were
//! placed; what is left is the wallet, and that the pieces are sold now.

use chrono::{DateTime, Utc};

use crate::order::{NotPayable, Order};
use crate::payment::{PaymentChange, PaymentReason};
use crate::placed_orders::PlacedOrders;
use crate::product::{StockMovement, StockMovementKind};
use crate::wallet::{InsufficientBalance, LedgerEntry};
use crate::{Money, OrderId};

/// An order that was paid, with everything that has to be stored with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LatePayment {
    /// The order.
    pub order: Order,
    /// What happened to its payment.
    pub payment: PaymentChange,
    /// What moved in the wallet; nothing when the order costs nothing.
    pub ledger: Option<LedgerEntry>,
    /// What moved in the stocks: what was held is released and sold.
    pub movements: Vec<StockMovement>,
    /// The customer's balance right after it.
    pub balance: Money,
}

/// Why an order was not paid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PayRefusal {
    /// It does not wait to be paid, or no longer.
    NotPayable(NotPayable),
    /// The wallet does not cover it. That is noted, and it may be tried again.
    Unaffordable {
        /// What is missing.
        short: InsufficientBalance,
        /// What happened to its payment.
        payment: PaymentChange,
    },
}

/// Pays orders, in the order in which that was asked for, each on what its predecessors left. An order is paid once: asked
/// for again it is refused.
///
/// # Panics
/// When an order, or something that it refers to, is missing in `placed`.
pub fn pay(
    placed: &mut PlacedOrders,
    requests: impl IntoIterator<Item = OrderId>,
    now: DateTime<Utc>,
) -> Vec<Result<LatePayment, PayRefusal>> {
    requests.into_iter().map(|order| pay_one(placed, order, now)).collect()
}

fn pay_one(placed: &mut PlacedOrders, id: OrderId, now: DateTime<Utc>) -> Result<LatePayment, PayRefusal> {
    let order = placed.orders[&id].clone().pay(now).map_err(PayRefusal::NotPayable)?;
    let wallet = placed.wallets.get_mut(&order.user).expect("a customer has a wallet");
    let payment = placed.payments.get_mut(&id).expect("an order has a payment");
    let ledger = match wallet.debit(payment.amount, id, now) {
        Ok(ledger) => ledger,
        Err(short) => {
            let failed = payment.fail(PaymentReason::InsufficientBalance, now);
            let payment = failed.expect("an order that waits has no completed payment");
            return Err(PayRefusal::Unaffordable { short, payment });
        }
    };
    let balance = wallet.balance;
    let payment = payment.complete(now).expect("an order that waits has no completed payment");
    let mut movements = placed.put_back(&order, StockMovementKind::Release, now);
    movements.extend(placed.sell(&order, now));
    placed.orders.insert(id, order.clone());
    Ok(LatePayment { order, payment, ledger, movements, balance })
}
