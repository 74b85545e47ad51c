//! Events waiting for the data platform: how they get there, and there again. [`crate::outbox_leases`] is how they leave.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use jangteo_application::outbox::{EventStatus, OutboxMessage, OutboxRepository};
use jangteo_domain::RepositoryError;
use sea_orm::sea_query::{Expr, ExprTrait, Func, SimpleExpr};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, DbBackend, EntityTrait, NotSet, QueryFilter, QueryOrder, QuerySelect,
};

use crate::entity::{installation, outbox};
use crate::error::failed;
use crate::literal::moment_value;
use crate::rows::{aggregate, read_event_status, sequence};
use crate::statement::padded;
use crate::transaction::Transaction;

#[async_trait]
impl OutboxRepository for Transaction {
    async fn append(&mut self, messages: &[OutboxMessage]) -> Result<(), RepositoryError> {
        let rows: Vec<_> = messages.iter().map(event_row).collect::<Result<_, _>>()?;
        self.writes.insert(rows);
        self.appends = true;
        Ok(())
    }

    /// The ids first, from the index: a DELETE by time might wait for events that are being delivered.
    async fn purge_sent(
        &mut self,
        sent_before: DateTime<Utc>,
        at_most: usize,
    ) -> Result<usize, RepositoryError> {
        let sent_before = moment_value(self.writes.backend(), sent_before);
        let transaction = self.up_to_date().await?;
        let old: Vec<(i64, DateTime<Utc>)> = outbox::Entity::find()
            .select_only()
            .columns([outbox::Column::Id, outbox::Column::CreatedAt])
            .filter(outbox::Column::Status.eq("SENT"))
            .filter(outbox::Column::StatusAt.lt(sent_before))
            .order_by_asc(outbox::Column::StatusAt)
            .limit(at_most as u64)
            .into_tuple()
            .all(transaction)
            .await
            .map_err(failed)?;
        for list in padded(old.iter().map(|(id, _)| *id)) {
            // One of them may just have been asked for again.
            let sent = has_status(Expr::col(outbox::Column::Status), &[EventStatus::Sent]);
            let purge = outbox::Entity::delete_many().filter(outbox::Column::Id.is_in(list)).filter(sent);
            purge.exec(transaction).await.map_err(failed)?;
        }
        if let Some(until) = old.iter().map(|(_, created_at)| *created_at).max() {
            self.note_purged(until);
        }
        Ok(old.len())
    }

    async fn lock_status(&mut self, id: i64) -> Result<Option<EventStatus>, RepositoryError> {
        let event = outbox::Entity::find_by_id(id).lock_exclusive();
        let status = event.select_only().column(outbox::Column::Status).into_tuple::<String>();
        let status = status.one(self.up_to_date().await?).await.map_err(failed)?;
        Ok(status.map(|status| read_event_status(id, &status)).transpose()?)
    }

    /// What waits already keeps its place; the error of the last attempt stays, for whoever looks.
    async fn deliver_again(
        &mut self,
        ids: &[i64],
        only: &[EventStatus],
        now: DateTime<Utc>,
    ) -> Result<usize, RepositoryError> {
        let now = moment_value(self.writes.backend(), now);
        let transaction = self.up_to_date().await?;
        let mut again = 0;
        for list in padded(ids.iter().copied()) {
            let update = outbox::Entity::update_many()
                .col_expr(outbox::Column::Status, Expr::val(EventStatus::Pending.name()))
                .col_expr(outbox::Column::Attempts, Expr::val(0))
                .col_expr(outbox::Column::StatusAt, Expr::val(now.clone()))
                .filter(outbox::Column::Id.is_in(list))
                .filter(has_status(Expr::col(outbox::Column::Status), only));
            again += update.exec(transaction).await.map_err(failed)?.rows_affected;
        }
        self.appends = true;
        usize::try_from(again).map_err(|error| RepositoryError::Backend(error.into()))
    }
}

/// In a form that no index serves: whoever asks knows the rows by their ids, and MariaDB might rather find, and lock, all
/// that have the status.
pub(crate) fn has_status(status: SimpleExpr, one_of: &[EventStatus]) -> SimpleExpr {
    let names = one_of.iter().map(|status| status.name());
    SimpleExpr::from(Func::coalesce([status, Expr::val("")])).is_in(names)
}

impl Transaction {
    /// The audit must know which events need not be there any more.
    fn note_purged(&mut self, until: DateTime<Utc>) {
        let larger = match self.writes.backend() {
            DbBackend::MySql => "GREATEST",
            _ => "MAX",
        };
        let until = self.writes.moment(until);
        let before = Func::coalesce([Expr::col(installation::Column::EventsPurgedUntil), until.clone()]);
        let later = Func::cust(larger).args([before.into(), until]);
        // The same moment again changes no row.
        self.writes.update_any(
            installation::Entity::update_many()
                .col_expr(installation::Column::EventsPurgedUntil, later.into()),
        );
    }
}

/// As it is stored at first.
pub(crate) fn event_row(message: &OutboxMessage) -> Result<outbox::ActiveModel, RepositoryError> {
    Ok(outbox::ActiveModel {
        id: NotSet,
        aggregate: Set(aggregate(message.aggregate).to_owned()),
        aggregate_id: Set(message.aggregate_id),
        sequence: Set(sequence(message.sequence)?),
        event_type: Set(message.event_type.name().to_owned()),
        payload: Set(message.payload.clone()),
        status: NotSet,
        attempts: NotSet,
        status_at: Set(Some(message.at)),
        last_error: NotSet,
        created_at: Set(message.at),
    })
}
