//! Events on their way to the data platform: who delivers which, and what became of them.
//!
//! A lease is the moment when it ends, in `status_at`: no other has the same, since the next can only begin after it.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use jangteo_application::outbox::{FailedEvent, Leased, Outbox, Settlement, StoredEvent};
use jangteo_domain::RepositoryError;
use sea_orm::sea_query::{
    Alias, Expr, ExprTrait, LockBehavior, LockType, Query, SelectStatement, SimpleExpr,
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    UpdateMany,
};

use crate::entity::outbox::{Column, Entity, Model};
use crate::error::{Corrupt, commit_failed, failed};
use crate::literal::moment_value;
use crate::rows::read_aggregate;
use crate::script::Script;
use crate::store::Store;

/// The most ids in one list.
const LONGEST: usize = 1000;

#[async_trait]
impl Outbox for Store {
    /// Events that failed come first: they are older than those that were never tried.
    async fn lease(
        &self,
        at_most: usize,
        now: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<Leased, RepositoryError> {
        let transaction = self.begin_writing().await?;
        let mut rows = due(&transaction, "FAILED", at_most, now).await?;
        rows.extend(due(&transaction, "PENDING", at_most - rows.len(), now).await?);
        let mut script = Script::new(transaction.get_database_backend());
        for list in rows.chunks(LONGEST) {
            let lease = Entity::update_many().col_expr(Column::StatusAt, script.moment(until));
            script.update(lease.filter(Column::Id.is_in(list.iter().map(|row| row.id))), list.len());
        }
        script.run(&transaction).await?;
        transaction.commit().await.map_err(commit_failed)?;
        let events = rows.into_iter().map(StoredEvent::try_from).collect::<Result<_, _>>()?;
        Ok(Leased { until, events })
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

/// Locks events that are due, each the first of its aggregate that is not sent. Those that others are about to take are
/// passed over; on SQLite there are no others.
async fn due(
    transaction: &DatabaseTransaction,
    status: &str,
    at_most: usize,
    now: DateTime<Utc>,
) -> Result<Vec<Model>, RepositoryError> {
    let due = Entity::find()
        .filter(Column::Status.eq(status))
        .filter(Column::StatusAt.lte(moment_value(transaction.get_database_backend(), now)))
        .filter(Column::Sequence.eq(1).or(Expr::exists(earlier_and_not_sent()).not()))
        .order_by_asc(Column::StatusAt)
        .limit(at_most as u64)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
    due.all(transaction).await.map_err(failed)
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
        .filter(Expr::col(Column::Status).is_in(["PENDING", "FAILED", "DEAD"]))
}

fn failure(script: &mut Script, event: &FailedEvent, now: DateTime<Utc>) -> UpdateMany<Entity> {
    let status = if event.retry_at.is_some() { "FAILED" } else { "DEAD" };
    let status_at = script.moment(event.retry_at.unwrap_or(now));
    Entity::update_many()
        .col_expr(Column::Status, Expr::val(status))
        .col_expr(Column::Attempts, Expr::col(Column::Attempts).add(1))
        .col_expr(Column::LastError, script.text(&event.error))
        .col_expr(Column::StatusAt, status_at)
}

/// Nobody has taken it since, retried or delivered it.
fn under(script: &mut Script, lease: DateTime<Utc>) -> SimpleExpr {
    Expr::col(Column::StatusAt).eq(script.moment(lease)).and(Column::Status.is_in(["PENDING", "FAILED"]))
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
