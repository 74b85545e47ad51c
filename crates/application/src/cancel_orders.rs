//! Cancelling orders that were not shipped.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use jangteo_domain::cancellation::{CancelReason, CancelRefusal, Cancellation, Occasion, cancel};
use jangteo_domain::order::WrongStatus;
use jangteo_domain::{Money, Order, OrderId, RepositoryError, UserId};
use serde::{Deserialize, Serialize};

use crate::cache::StockLeft;
use crate::idempotency::Fingerprint;
use crate::ids::Sequence;
use crate::operation::{Operation, Outcome, Work};
use crate::outbox::OutboxMessage;
use crate::placed_orders;
use crate::snapshot::{MoneyText, OrderSnapshot, StatusSnapshot, from_json, to_json};
use crate::trail::{Administrator, TrailEntry, order_changed};
use crate::unit_of_work::UnitOfWork;

/// Stock, wallet, coupon, order, payment, ledger, sales figures and event change back together or not at all.
#[derive(Debug, Clone, Copy, Default)]
pub struct CancelOrders;

/// Cancel one order.
#[derive(Debug, Clone)]
pub struct Cancel {
    /// The order as it was read, not locked.
    pub order: Order,
    /// Who asks: the customer or an administrator.
    pub by: UserId,
    /// The administrator, if it is not the customer who asks.
    pub administrator: Option<Administrator>,
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
        let orders: Vec<&Order> = commands.iter().map(|command| &command.order).collect();
        let mut placed = placed_orders::lock(work, &orders).await?;
        let before = placed.orders.clone();
        let requests =
            commands.iter().map(|command| (command.order.id, Occasion::Asked(command.reason.as_ref())));
        let verdicts = cancel(&mut placed, requests, work.now);
        let cancelled: Vec<&Cancellation> = verdicts.iter().flatten().collect();
        if !cancelled.is_empty() {
            store(work.uow, &cancelled, work.now).await?;
        }
        let traces = traces(commands, &before, &verdicts);
        if !traces.is_empty() {
            work.uow.trail().append(&traces).await?;
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
            // Nobody asks whether an order is overdue.
            Err(CancelRefusal::NotOverdue) => return None,
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

/// Writes down what was taken back.
pub(crate) async fn store(
    uow: &mut dyn UnitOfWork,
    cancelled: &[&Cancellation],
    now: DateTime<Utc>,
) -> Result<(), RepositoryError> {
    let orders: Vec<Order> = cancelled.iter().map(|cancelled| cancelled.order.clone()).collect();
    let payments: Vec<_> = cancelled.iter().map(|cancelled| cancelled.payment.clone()).collect();
    let ledger: Vec<_> = cancelled.iter().filter_map(|cancelled| cancelled.ledger.clone()).collect();
    let returned: Vec<_> = cancelled.iter().flat_map(|cancelled| cancelled.returned.clone()).collect();
    let restorations: Vec<_> = cancelled.iter().filter_map(|cancelled| cancelled.restoration).collect();
    let waited = cancelled.iter().filter(|cancelled| cancelled.was_held);
    let waited: BTreeSet<OrderId> = waited.map(|cancelled| cancelled.order.id).collect();
    let events: Vec<_> =
        cancelled.iter().map(|cancelled| OutboxMessage::order_cancelled(cancelled)).collect();
    uow.orders().advance(&orders, now).await?;
    if !waited.is_empty() {
        uow.orders().end_holds(&waited).await?;
    }
    uow.orders().change_payments(&payments).await?;
    if !ledger.is_empty() {
        uow.wallets().post(&ledger).await?;
    }
    uow.products().post(&returned).await?;
    if !restorations.is_empty() {
        uow.coupons().restore(&restorations).await?;
    }
    uow.outbox().append(&events).await
}

/// What administrators cancelled, for the trail.
fn traces(
    commands: &[&Cancel],
    before: &BTreeMap<OrderId, Order>,
    verdicts: &[Result<Cancellation, CancelRefusal>],
) -> Vec<TrailEntry> {
    let pairs = commands.iter().zip(verdicts);
    pairs
        .filter_map(|(command, verdict)| {
            let (by, cancelled) = (command.administrator.as_ref()?, verdict.as_ref().ok()?);
            let after = &cancelled.order;
            Some(order_changed(by, CancelOrders::NAME, &before[&after.id], after, cancelled.payment.at))
        })
        .collect()
}

fn refund(cancellation: Cancellation) -> Refund {
    let Cancellation { order, returned, balance, .. } = cancellation;
    let left = StockLeft::after(&returned, order.id);
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
