//! Events on their way to the data platform: who delivers which, and what became of them.
//!
//! A lease is the moment when it ends, in `status_at`: no other has the same, since the next can only begin after it.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use jangteo_application::outbox::{EventStatus, FailedEvent, Leased, Outbox, Settlement, StoredEvent};
use jangteo_domain::RepositoryError;
use sea_orm::sea_query::{
    Alias, Expr, ExprTrait, LockBehavior, LockType, Query, SelectStatement, SimpleExpr,
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, Select, UpdateMany,
};

use crate::entity::outbox::{Column, Entity, Model};
use crate::error::{Corrupt, commit_failed, failed};
use crate::literal::moment_value;
use crate::outbox::has_status;
use crate::rows::read_aggregate;
use crate::script::Script;
use crate::statement::padded;
use crate::store::Store;

/// The most ids in one list.
const LONGEST: usize = 1000;

#[async_trait]
impl Outbox for Store {
    /// Half of the places are for events that failed, so that however many they are, new ones get through; and when there
    /// is one place, new ones go first.
    ///
    /// A look comes before: who finds nothing due, which is what most do at rest, keeps nobody from writing.
    async fn lease(
        &self,
        at_most: usize,
        now: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<Leased, RepositoryError> {
        if !self.has_due(now).await? {
            return Ok(Leased { until, events: Vec::new() });
        }
        let transaction = self.begin_writing().await?;
        let mut rows = due(&transaction, EventStatus::Failed, at_most / 2, now).await?;
        rows.extend(due(&transaction, EventStatus::Pending, at_most - rows.len(), now).await?);
        if rows.is_empty() {
            rows = due(&transaction, EventStatus::Failed, at_most, now).await?;
        }
        pass_over_later(&transaction, &mut rows).await?;
        let mut script = Script::new(transaction.get_database_backend());
        for list in rows.chunks(LONGEST) {
            let lease = Entity::update_many().col_expr(Column::StatusAt, script.moment(until));
            script.update(lease.filter(Column::Id.is_in(list.iter().map(|row| row.id))), list.len());
        }
        script.run(&transaction).await?;
        transaction.commit().await.map_err(commit_failed)?;
        Ok(Leased { until, events: rows.into_iter().filter_map(readable).collect() })
    }

    async fn settle(
        &self,
        lease: &Leased,
        settlement: &Settlement,
        now: DateTime<Utc>,
    ) -> Result<(), RepositoryError> {
        let transaction = self.begin_writing().await?;
        let mut script = Script::new(transaction.get_database_backend());
        for list in settlement.sent.chunks(LONGEST) {
            let sent = sent(&mut script, now);
            script.update_any(sent.filter(Column::Id.is_in(list.iter().copied())));
        }
        for event in &settlement.failed {
            let failure = failure(&mut script, event, now);
            let under = under(&mut script, lease.until);
            script.update_any(failure.filter(Column::Id.eq(event.id)).filter(under));
        }
        for list in settlement.returned.chunks(LONGEST) {
            let returned = Entity::update_many().col_expr(Column::StatusAt, Expr::col(Column::CreatedAt));
            let under = under(&mut script, lease.until);
            script.update_any(returned.filter(Column::Id.is_in(list.iter().copied())).filter(under));
        }
        script.run(&transaction).await?;
        transaction.commit().await.map_err(commit_failed)
    }

    async fn appended(&self) {
        self.news().notified().await;
    }
}

impl Store {
    async fn has_due(&self, now: DateTime<Utc>) -> Result<bool, RepositoryError> {
        for status in [EventStatus::Pending, EventStatus::Failed] {
            let due = select_due(self.readers().get_database_backend(), status, now).limit(1);
            let due = due.select_only().column(Column::Id).into_tuple::<i64>();
            if due.one(self.readers()).await.map_err(failed)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Locks events that are due. Those that others are about to take are passed over; on SQLite there are no others.
async fn due(
    transaction: &DatabaseTransaction,
    status: EventStatus,
    at_most: usize,
    now: DateTime<Utc>,
) -> Result<Vec<Model>, RepositoryError> {
    let due = select_due(transaction.get_database_backend(), status, now)
        .limit(at_most as u64)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
    due.all(transaction).await.map_err(failed)
}

/// Each is the first of its aggregate that is not sent.
fn select_due(backend: DbBackend, status: EventStatus, now: DateTime<Utc>) -> Select<Entity> {
    Entity::find()
        .filter(Column::Status.eq(status.name()))
        .filter(Column::StatusAt.lte(moment_value(backend, now)))
        .filter(Column::Sequence.eq(1).or(Expr::exists(earlier_and_not_sent()).not()))
        .order_by_asc(Column::StatusAt)
}

/// The rows that were locked are as they are now, and the query within saw the others as they were when it began. What
/// was appended in between may come before one of these.
async fn pass_over_later(
    transaction: &DatabaseTransaction,
    rows: &mut Vec<Model>,
) -> Result<(), RepositoryError> {
    let later: Vec<i64> = rows.iter().filter(|row| row.sequence > 1).map(|row| row.id).collect();
    for list in padded(later) {
        let too_early = Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(Column::Id.is_in(list))
            .filter(Expr::exists(earlier_and_not_sent()));
        let too_early: Vec<i64> = too_early.into_tuple().all(transaction).await.map_err(failed)?;
        rows.retain(|row| !too_early.contains(&row.id));
    }
    Ok(())
}

/// One that cannot be read keeps no other from being delivered. It stays where it is, and is found again when the lease
/// ends.
fn readable(row: Model) -> Option<StoredEvent> {
    StoredEvent::try_from(row)
        .inspect_err(|corrupt| tracing::error!(%corrupt, "an event cannot be delivered"))
        .ok()
}

fn earlier_and_not_sent() -> SelectStatement {
    let earlier = Alias::new("earlier");
    let of = |column: Column| Expr::col((earlier.clone(), column));
    let event = |column: Column| Expr::col((Entity, column));
    Query::select()
        .expr(Expr::val(1))
        .from_as(Entity, earlier.clone())
        .and_where(of(Column::Aggregate).eq(event(Column::Aggregate)))
        .and_where(of(Column::AggregateId).eq(event(Column::AggregateId)))
        .and_where(of(Column::Sequence).lt(event(Column::Sequence)))
        .and_where(of(Column::Status).ne("SENT"))
        .take()
}

/// Whoever has the lease by now: the platform has the event. Sent twice, it was sent when it was sent first.
fn sent(script: &mut Script, now: DateTime<Utc>) -> UpdateMany<Entity> {
    Entity::update_many()
        .col_expr(Column::Status, Expr::val("SENT"))
        .col_expr(Column::Attempts, Expr::col(Column::Attempts).add(1))
        .col_expr(Column::LastError, Expr::cust("NULL"))
        .col_expr(Column::StatusAt, script.moment(now))
        .filter(has_status(
            Expr::col(Column::Status),
            &[EventStatus::Pending, EventStatus::Failed, EventStatus::Dead],
        ))
}

fn failure(script: &mut Script, event: &FailedEvent, now: DateTime<Utc>) -> UpdateMany<Entity> {
    let status = if event.retry_at.is_some() { EventStatus::Failed } else { EventStatus::Dead };
    let status_at = script.moment(event.retry_at.unwrap_or(now));
    Entity::update_many()
        .col_expr(Column::Status, Expr::val(status.name()))
        .col_expr(Column::Attempts, Expr::val(i64::from(event.attempts)))
        .col_expr(Column::LastError, script.text(&event.error))
        .col_expr(Column::StatusAt, status_at)
}

/// Nobody has taken it since, retried or delivered it.
fn under(script: &mut Script, lease: DateTime<Utc>) -> SimpleExpr {
    let waiting = has_status(Expr::col(Column::Status), &[EventStatus::Pending, EventStatus::Failed]);
    Expr::col(Column::StatusAt).eq(script.moment(lease)).and(waiting)
}

impl TryFrom<Model> for StoredEvent {
    type Error = Corrupt;

    fn try_from(row: Model) -> Result<Self, Corrupt> {
        let attempts = u32::try_from(row.attempts).map_err(|_| Corrupt::new("outbox", "attempts", row.id))?;
        Ok(Self {
            id: row.id,
            aggregate: read_aggregate(row.id, &row.aggregate)?,
            aggregate_id: row.aggregate_id,
            sequence: row.sequence.into(),
            event_type: row.event_type,
            payload: row.payload,
            at: row.created_at,
            attempts,
        })
    }
}
