//! Shipping and delivering orders that were paid.

use std::collections::BTreeSet;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use jangteo_domain::order::WrongStatus;
use jangteo_domain::{Order, OrderId, RepositoryError, UserId};
use serde::{Deserialize, Serialize};

use crate::idempotency::Fingerprint;
use crate::ids::Sequence;
use crate::operation::{Operation, Outcome, Work};
use crate::outbox::OutboxMessage;
use crate::snapshot::{OrderSnapshot, StatusSnapshot, from_json, to_json};
use crate::trail::{Administrator, order_changed};

/// Notes where orders are on their way to the customer, each step with its event.
#[derive(Debug, Clone, Copy, Default)]
pub struct FulfilOrders;

/// Take an order one step further.
#[derive(Debug, Clone)]
pub struct Fulfil {
    /// Which.
    pub order: OrderId,
    /// The step.
    pub step: Step,
    /// The administrator who says so.
    pub by: Administrator,
}

/// A step on the way to the customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A paid order is handed to the carrier.
    Ship,
    /// An order on its way arrives.
    Deliver,
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Self::Ship => SHIP,
            Self::Deliver => DELIVER,
        }
    }
}

/// Why an order was not taken a step further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FulfilRefusal {
    /// There is no such order.
    #[error("there is no such order")]
    Unknown,
    /// It cannot take the step where it stands.
    #[error(transparent)]
    Status(#[from] WrongStatus),
}

const SHIP: &str = "ship-order";
const DELIVER: &str = "deliver-order";

#[async_trait]
impl Operation for FulfilOrders {
    const NAME: &'static str = "fulfil-order";
    const KEY_SCOPES: &'static [&'static str] = &[SHIP, DELIVER];
    const IDS: Option<Sequence> = None;

    type Command = Fulfil;
    type Success = Order;
    type Refusal = FulfilRefusal;

    /// No money moves.
    fn customer(_: &Fulfil) -> Option<UserId> {
        None
    }

    /// Shipping is one thing and delivering another, though both are decided here.
    fn key_scope(fulfil: &Fulfil) -> (Option<UserId>, &'static str) {
        (Some(fulfil.by.user), fulfil.step.name())
    }

    fn fingerprint(fulfil: &Fulfil) -> Fingerprint {
        Fingerprint::of(&fulfil.order.0)
    }

    async fn decide(
        &self,
        work: &mut Work<'_>,
        commands: &[&Fulfil],
    ) -> Result<Vec<Outcome<Self>>, RepositoryError> {
        let ids: BTreeSet<OrderId> = commands.iter().map(|command| command.order).collect();
        let mut orders = work.uow.orders().lock_many(&ids).await?;
        let (mut changed, mut events, mut traces) = (Vec::new(), Vec::new(), Vec::new());
        let outcomes = commands
            .iter()
            .map(|command| {
                let order = orders.get_mut(&command.order).ok_or(FulfilRefusal::Unknown)?;
                let (after, event) = advance(order, command.step, work.now)?;
                traces.push(order_changed(&command.by, command.step.name(), order, &after, work.now));
                order.clone_from(&after);
                changed.push(after.clone());
                events.push(event);
                Ok(after)
            })
            .collect();
        if !changed.is_empty() {
            work.uow.orders().advance(&changed, work.now).await?;
            work.uow.outbox().append(&events).await?;
            work.uow.trail().append(&traces).await?;
        }
        Ok(outcomes)
    }

    fn record(outcome: &Outcome<Self>) -> Option<String> {
        let record = match outcome {
            Ok(order) => Record::Done { order: OrderSnapshot::from(order), events: order.events },
            Err(FulfilRefusal::Unknown) => return None,
            Err(FulfilRefusal::Status(WrongStatus(status))) => Record::Status((*status).into()),
        };
        Some(to_json(&record))
    }

    fn replay(record: &str) -> Result<Outcome<Self>, serde_json::Error> {
        Ok(match from_json(record)? {
            Record::Done { order, events } => Ok(order.into_order(events)?),
            Record::Status(status) => Err(WrongStatus(status.into()).into()),
        })
    }
}

/// The order after the step, and what tells of it.
fn advance(order: &Order, step: Step, now: DateTime<Utc>) -> Result<(Order, OutboxMessage), WrongStatus> {
    let order = order.clone();
    let (order, tell): (_, fn(&Order, DateTime<Utc>) -> OutboxMessage) = match step {
        Step::Ship => (order.ship()?, OutboxMessage::order_shipped),
        Step::Deliver => (order.deliver()?, OutboxMessage::order_delivered),
    };
    let event = tell(&order, now);
    Ok((order, event))
}

/// How an outcome is written down.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Record {
    Done { order: OrderSnapshot, events: u32 },
    Status(StatusSnapshot),
}
