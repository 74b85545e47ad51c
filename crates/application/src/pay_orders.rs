//! Paying orders that were placed to be paid later.

use std::collections::BTreeSet;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use jangteo_domain::deferred::{LatePayment, PayRefusal, pay};
use jangteo_domain::order::{NotPayable, WrongStatus};
use jangteo_domain::payment::PaymentChange;
use jangteo_domain::wallet::InsufficientBalance;
use jangteo_domain::{Money, Order, OrderId, RepositoryError, UserId};
use serde::{Deserialize, Serialize};

use crate::cache::StockLeft;
use crate::idempotency::Fingerprint;
use crate::ids::Sequence;
use crate::operation::{Operation, Outcome, Work};
use crate::outbox::OutboxMessage;
use crate::placed_orders;
use crate::snapshot::{Moment, MoneyText, OrderSnapshot, StatusSnapshot, from_json, to_json};
use crate::trail::{Administrator, TrailEntry, order_changed};

/// Wallet, order, payment, ledger, sales figures and event change together or not at all. An attempt that fails for want
/// of money is written down with the payment.
#[derive(Debug, Clone, Copy, Default)]
pub struct PayOrders;

/// Pay one order.
#[derive(Debug, Clone)]
pub struct Pay {
    /// The order as it was read, not locked.
    pub order: Order,
    /// Who asks: the customer or an administrator.
    pub by: UserId,
    /// The administrator, if it is not the customer who asks.
    pub administrator: Option<Administrator>,
}

/// What whoever pays an order gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LateReceipt {
    /// The order, paid.
    pub order: Order,
    /// The customer's balance right after it.
    pub balance: Money,
    /// What there is of its products; nothing when it is told again.
    pub left: Vec<StockLeft>,
}

/// Why an order was not paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotPaid {
    /// It does not wait to be paid, or no longer.
    #[error(transparent)]
    NotPayable(#[from] NotPayable),
    /// The wallet does not cover it.
    #[error(transparent)]
    Unaffordable(#[from] InsufficientBalance),
}

#[async_trait]
impl Operation for PayOrders {
    const NAME: &'static str = "pay-order";
    const IDS: Option<Sequence> = None;

    type Command = Pay;
    type Success = LateReceipt;
    type Refusal = NotPaid;

    fn customer(pay: &Pay) -> Option<UserId> {
        Some(pay.order.user)
    }

    /// An administrator's keys are not the customer's.
    fn key_scope(pay: &Pay) -> (Option<UserId>, &'static str) {
        (Some(pay.by), Self::NAME)
    }

    fn fingerprint(pay: &Pay) -> Fingerprint {
        Fingerprint::of(&pay.order.id.0)
    }

    async fn decide(
        &self,
        work: &mut Work<'_>,
        commands: &[&Pay],
    ) -> Result<Vec<Outcome<Self>>, RepositoryError> {
        let orders: Vec<&Order> = commands.iter().map(|command| &command.order).collect();
        let mut placed = placed_orders::lock(work, &orders).await?;
        let verdicts = pay(&mut placed, orders.iter().map(|order| order.id), work.now);
        store(work, &verdicts).await?;
        let traces = traces(commands, &verdicts, work.now);
        if !traces.is_empty() {
            work.uow.trail().append(&traces).await?;
        }
        Ok(verdicts.into_iter().map(outcome).collect())
    }

    fn record(outcome: &Outcome<Self>) -> Option<String> {
        Some(to_json(&match outcome {
            Ok(receipt) => Record::Paid {
                order: OrderSnapshot::from(&receipt.order),
                events: receipt.order.events,
                balance: MoneyText(receipt.balance),
            },
            Err(NotPaid::NotPayable(NotPayable::Status(WrongStatus(status)))) => {
                Record::Status((*status).into())
            }
            Err(NotPaid::NotPayable(NotPayable::TooLate(until))) => Record::TooLate(Moment(*until)),
            Err(NotPaid::Unaffordable(short)) => {
                Record::Unaffordable(MoneyText(short.required), MoneyText(short.available))
            }
        }))
    }

    fn replay(record: &str) -> Result<Outcome<Self>, serde_json::Error> {
        Ok(match from_json(record)? {
            Record::Paid { order, events, balance } => {
                Ok(LateReceipt { order: order.into_order(events)?, balance: balance.0, left: Vec::new() })
            }
            Record::Status(status) => Err(NotPayable::from(WrongStatus(status.into())).into()),
            Record::TooLate(until) => Err(NotPayable::TooLate(until.0).into()),
            Record::Unaffordable(required, available) => {
                Err(InsufficientBalance { required: required.0, available: available.0 }.into())
            }
        })
    }
}

async fn store(
    work: &mut Work<'_>,
    verdicts: &[Result<LatePayment, PayRefusal>],
) -> Result<(), RepositoryError> {
    let payments: Vec<PaymentChange> = verdicts.iter().filter_map(payment_change).cloned().collect();
    if !payments.is_empty() {
        work.uow.orders().change_payments(&payments).await?;
    }
    let paid: Vec<&LatePayment> = verdicts.iter().flatten().collect();
    if paid.is_empty() {
        return Ok(());
    }
    let orders: Vec<Order> = paid.iter().map(|paid| paid.order.clone()).collect();
    let ids: BTreeSet<OrderId> = orders.iter().map(|order| order.id).collect();
    let ledger: Vec<_> = paid.iter().filter_map(|paid| paid.ledger.clone()).collect();
    let movements: Vec<_> = paid.iter().flat_map(|paid| paid.movements.clone()).collect();
    let events: Vec<_> = orders.iter().map(OutboxMessage::order_paid).collect();
    work.uow.orders().advance(&orders, work.now).await?;
    work.uow.orders().end_holds(&ids).await?;
    if !ledger.is_empty() {
        work.uow.wallets().post(&ledger).await?;
    }
    work.uow.products().post(&movements).await?;
    work.uow.outbox().append(&events).await
}

/// What administrators paid for customers, and what they tried to, for the trail.
fn traces(
    commands: &[&Pay],
    verdicts: &[Result<LatePayment, PayRefusal>],
    now: DateTime<Utc>,
) -> Vec<TrailEntry> {
    let pairs = commands.iter().zip(verdicts);
    pairs
        .filter_map(|(command, verdict)| {
            let (by, before) = (command.administrator.as_ref()?, &command.order);
            let after = match verdict {
                Ok(paid) => &paid.order,
                // The payment is what changed.
                Err(PayRefusal::Unaffordable { .. }) => before,
                Err(PayRefusal::NotPayable(_)) => return None,
            };
            Some(order_changed(by, PayOrders::NAME, before, after, now))
        })
        .collect()
}

fn payment_change(verdict: &Result<LatePayment, PayRefusal>) -> Option<&PaymentChange> {
    match verdict {
        Ok(paid) => Some(&paid.payment),
        Err(PayRefusal::Unaffordable { payment, .. }) => Some(payment),
        Err(PayRefusal::NotPayable(_)) => None,
    }
}

fn outcome(verdict: Result<LatePayment, PayRefusal>) -> Outcome<PayOrders> {
    match verdict {
        Ok(LatePayment { order, movements, balance, .. }) => {
            let left = StockLeft::after(&movements, order.id);
            Ok(LateReceipt { order, balance, left })
        }
        Err(PayRefusal::NotPayable(refused)) => Err(refused.into()),
        Err(PayRefusal::Unaffordable { short, .. }) => Err(short.into()),
    }
}

/// How an outcome is written down.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Record {
    Paid { order: OrderSnapshot, events: u32, balance: MoneyText },
    Status(StatusSnapshot),
    TooLate(Moment),
    Unaffordable(MoneyText, MoneyText),
}
