//! The events of orders that were made up: as if they had been delivered at once, and those that are older than events
//! are kept had been purged.

use std::ops::Range;

use chrono::{DateTime, Utc};
use jangteo_application::outbox::{EventStatus, OutboxMessage};
use jangteo_domain::cancellation::Cancellation;
use jangteo_domain::order::OrderStatus;
use jangteo_domain::payment::{PaymentChange, PaymentStatus};
use jangteo_domain::wallet::{LedgerEntry, LedgerKind};
use jangteo_domain::{Money, Order, RepositoryError};
use sea_orm::ActiveValue::Set;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};

use crate::entity::{orders, outbox};
use crate::error::failed;
use crate::literal::moment_value;
use crate::order_details::with_details;
use crate::outbox::event_row;
use crate::script::Script;

/// Orders that are read at a time.
const PORTION: u64 = 1000;

/// Writes the events since a moment of the orders with these ids, in the order of time.
pub(super) async fn write(
    transaction: &DatabaseTransaction,
    mut ids: Range<i64>,
    since: DateTime<Utc>,
) -> Result<(), RepositoryError> {
    let mut events = Vec::new();
    loop {
        let rows = told_since(transaction, ids.clone(), since).await?;
        let Some(last) = rows.last() else { break };
        ids.start = last.id + 1;
        let changed: Vec<DateTime<Utc>> = rows.iter().map(|row| row.updated_at).collect();
        for (order, changed) in with_details(transaction, rows).await?.into_iter().zip(changed) {
            events.extend(events_of(order, changed).into_iter().filter(|event| event.at > since));
        }
    }
    events.sort_by_key(|event| event.at);
    let mut script = Script::new(transaction.get_database_backend());
    let rows = events.iter().map(delivered).collect::<Result<Vec<_>, _>>()?;
    script.insert(rows);
    script.run(transaction).await
}

/// The first orders of which something happened since.
async fn told_since(
    transaction: &DatabaseTransaction,
    ids: Range<i64>,
    since: DateTime<Utc>,
) -> Result<Vec<orders::Model>, RepositoryError> {
    let since = moment_value(transaction.get_database_backend(), since);
    let rows = orders::Entity::find()
        .filter(orders::Column::Id.gte(ids.start))
        .filter(orders::Column::Id.lt(ids.end))
        .filter(orders::Column::UpdatedAt.gt(since))
        .order_by_asc(orders::Column::Id)
        .limit(PORTION);
    rows.all(transaction).await.map_err(failed)
}

/// Those that are so recent are paid, or cancelled since.
fn events_of(order: Order, changed: DateTime<Utc>) -> Vec<OutboxMessage> {
    let paid = Order { status: OrderStatus::Paid, events: 1, ..order.clone() };
    let mut events = vec![OutboxMessage::order_paid(&paid)];
    if order.status == OrderStatus::Cancelled {
        events.push(OutboxMessage::order_cancelled(&cancellation(order, changed)));
    }
    events
}

fn cancellation(order: Order, at: DateTime<Utc>) -> Cancellation {
    let payment = PaymentChange {
        order: order.id,
        sequence: 2,
        from: PaymentStatus::Completed,
        to: PaymentStatus::Cancelled,
        reason: None,
        at,
    };
    let refund = LedgerEntry {
        user: order.user,
        kind: LedgerKind::Refund,
        amount: order.paid,
        balance_after: order.paid,
        order: Some(order.id),
        reason: None,
        at,
    };
    Cancellation {
        order,
        payment,
        ledger: Some(refund),
        returned: Vec::new(),
        restoration: None,
        was_held: false,
        balance: Money::ZERO,
    }
}

fn delivered(event: &OutboxMessage) -> Result<outbox::ActiveModel, RepositoryError> {
    let status = Set(EventStatus::Sent.name().to_owned());
    Ok(outbox::ActiveModel { status, attempts: Set(1), ..event_row(event)? })
}
