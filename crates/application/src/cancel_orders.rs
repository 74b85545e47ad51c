//! Cancelling orders that were paid.

use std::collections::BTreeSet;

use async_trait::async_trait;
use jangteo_domain::cancellation::{CancelReason, CancelRefusal, Cancellation, Returns, cancel};
use jangteo_domain::order::WrongStatus;
use jangteo_domain::{
    CouponCode, CouponId, Money, Order, OrderId, ProductId, RepositoryError, UserCoupon, UserId,
};
use serde::{Deserialize, Serialize};

use crate::cache::StockLeft;
use crate::idempotency::Fingerprint;
use crate::ids::Sequence;
use crate::operation::{Operation, Outcome, Work};
use crate::outbox::OutboxMessage;
use crate::snapshot::{MoneyText, OrderSnapshot, StatusSnapshot, from_json, to_json};

/// Stock, wallet, coupon, order, payment, ledger, sales figures and event change back together or not at all.
#[derive(Debug, Clone, Copy, Default)]
pub struct CancelOrders;

/// Cancel one order.
#[derive(Debug, Clone)]
pub struct Cancel {
    /// The order as it was read, not locked. What has to be locked is known from it: its customer, products and coupon
    /// never change. Where it stands does, and is looked at again.
    pub order: Order,
    /// Who asks: the customer or an administrator.
    pub by: UserId,
    /// Why.
    pub reason: Option<CancelReason>,
}

/// What whoever cancels an order gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    /// The order, cancelled.
    pub order: Order,
    /// The customer's balance right after it.
    pub balance: Money,
    /// What there is of its products since; nothing when it is told again.
    pub left: Vec<StockLeft>,
}

#[async_trait]
impl Operation for CancelOrders {
    const NAME: &'static str = "cancel-order";
    const IDS: Option<Sequence> = None;

    type Command = Cancel;
    type Success = Refund;
    type Refusal = CancelRefusal;

    fn customer(cancel: &Cancel) -> Option<UserId> {
        Some(cancel.order.user)
    }

    /// An administrator's keys are not the customer's.
    fn key_scope(cancel: &Cancel) -> (Option<UserId>, &'static str) {
        (Some(cancel.by), Self::NAME)
    }

    fn fingerprint(cancel: &Cancel) -> Fingerprint {
        Fingerprint::of(&(cancel.order.id.0, cancel.reason.as_ref().map(CancelReason::as_str)))
    }

    async fn decide(
        &self,
        work: &mut Work<'_>,
        commands: &[&Cancel],
    ) -> Result<Vec<Outcome<Self>>, RepositoryError> {
        let mut returns = load(work, commands).await?;
        let requests = commands.iter().map(|command| (command.order.id, command.reason.as_ref()));
        let verdicts = cancel(&mut returns, requests, work.now);
        let cancelled: Vec<&Cancellation> = verdicts.iter().flatten().collect();
        if !cancelled.is_empty() {
            store(work, &cancelled).await?;
        }
        Ok(verdicts.into_iter().map(|verdict| verdict.map(refund)).collect())
    }

    fn record(outcome: &Outcome<Self>) -> Option<String> {
        Some(to_json(&match outcome {
            Ok(refund) => Record::Cancelled {
                order: OrderSnapshot::from(&refund.order),
                events: refund.order.events,
                balance: MoneyText(refund.balance),
            },
            Err(CancelRefusal::Status(WrongStatus(status))) => Record::Status((*status).into()),
            Err(CancelRefusal::BalanceTooLarge) => Record::BalanceTooLarge,
        }))
    }

    fn replay(record: &str) -> Result<Outcome<Self>, serde_json::Error> {
        Ok(match from_json(record)? {
            Record::Cancelled { order, events, balance } => {
                Ok(Refund { order: order.into_order(events)?, balance: balance.0, left: Vec::new() })
            }
            Record::Status(status) => Err(WrongStatus(status.into()).into()),
            Record::BalanceTooLarge => Err(CancelRefusal::BalanceTooLarge),
        })
    }
}

/// Locks what the orders touch, in the order that everybody locks: wallets, which are locked already, products, coupons,
/// and the orders last.
async fn load(work: &mut Work<'_>, commands: &[&Cancel]) -> Result<Returns, RepositoryError> {
    let products: BTreeSet<ProductId> =
        commands.iter().flat_map(|command| &command.order.lines).map(|line| line.product).collect();
    let wallets = std::mem::take(&mut work.wallets);
    let products = work.uow.products().lock_sold(&products).await?;
    let held = lock_coupons(work, commands).await?;
    let ids: BTreeSet<OrderId> = commands.iter().map(|command| command.order.id).collect();
    let orders = work.uow.orders().lock_many(&ids).await?;
    if !commands.iter().all(|command| is_the_same(&command.order, orders.get(&command.order.id))) {
        return Err(RepositoryError::Conflict("an order is not the one that was read".into()));
    }
    let payments = work.uow.orders().payments(&ids).await?;
    let held = held.into_iter().map(|held| (held.id, held)).collect();
    Ok(Returns { orders, payments, wallets, products, held })
}

/// The customers' copies of the coupons that the orders used.
async fn lock_coupons(work: &mut Work<'_>, commands: &[&Cancel]) -> Result<Vec<UserCoupon>, RepositoryError> {
    let used: Vec<(UserId, &CouponCode)> = commands
        .iter()
        .filter_map(|command| Some((command.order.user, &command.order.coupon.as_ref()?.code)))
        .collect();
    if used.is_empty() {
        return Ok(Vec::new());
    }
    let codes: BTreeSet<CouponCode> = used.iter().map(|(_, code)| (*code).clone()).collect();
    let coupons = work.uow.coupons().find_many(&codes).await?;
    let holders: BTreeSet<(UserId, CouponId)> =
        used.iter().filter_map(|(user, code)| Some((*user, coupons.get(*code)?.id))).collect();
    let held = work.uow.coupons().lock_held(&holders).await?;
    Ok(held.into_values().collect())
}

/// Whether all that was locked for an order is what it needs: nothing of it has changed but where it stands.
fn is_the_same(read: &Order, locked: Option<&Order>) -> bool {
    locked.is_some_and(|locked| {
        Order { status: locked.status, events: locked.events, ..read.clone() } == *locked
    })
}

async fn store(work: &mut Work<'_>, cancelled: &[&Cancellation]) -> Result<(), RepositoryError> {
    let orders: Vec<Order> = cancelled.iter().map(|cancelled| cancelled.order.clone()).collect();
    let payments: Vec<_> = cancelled.iter().map(|cancelled| cancelled.payment.clone()).collect();
    let ledger: Vec<_> = cancelled.iter().filter_map(|cancelled| cancelled.ledger.clone()).collect();
    let returned: Vec<_> = cancelled.iter().flat_map(|cancelled| cancelled.returned.clone()).collect();
    let restorations: Vec<_> = cancelled.iter().filter_map(|cancelled| cancelled.restoration).collect();
    let events: Vec<_> =
        cancelled.iter().map(|cancelled| OutboxMessage::order_cancelled(cancelled)).collect();
    work.uow.orders().advance(&orders, work.now).await?;
    work.uow.orders().cancel_payments(&payments).await?;
    if !ledger.is_empty() {
        work.uow.wallets().post(&ledger).await?;
    }
    work.uow.products().take_back(&returned).await?;
    if !restorations.is_empty() {
        work.uow.coupons().restore(&restorations).await?;
    }
    work.uow.outbox().append(&events).await
}

fn refund(cancellation: Cancellation) -> Refund {
    let Cancellation { order, payment, returned, balance, .. } = cancellation;
    let left = returned.iter().map(|returned| StockLeft {
        product: returned.movement.product,
        stock: returned.movement.stock_after,
        decided: (payment.at, order.id),
    });
    let left = left.collect();
    Refund { order, balance, left }
}

/// How an outcome is written down.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Record {
    Cancelled { order: OrderSnapshot, events: u32, balance: MoneyText },
    Status(StatusSnapshot),
    BalanceTooLarge,
}

#[cfg(test)]
mod tests;
