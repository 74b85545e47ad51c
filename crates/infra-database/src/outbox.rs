//! Events waiting for the data platform: how they get there. [`crate::outbox_leases`] is how they leave.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use jangteo_application::outbox::{OutboxMessage, OutboxRepository};
use jangteo_domain::RepositoryError;
use sea_orm::sea_query::{Expr, Func};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, DbBackend, EntityTrait, NotSet, QueryFilter, QueryOrder, QuerySelect,
};

use crate::entity::{installation, outbox};
use crate::error::failed;
use crate::literal::moment_value;
use crate::rows::aggregate;
use crate::statement::padded;
use crate::transaction::Transaction;

#[async_trait]
impl OutboxRepository for Transaction {
    async fn append(&mut self, messages: &[OutboxMessage]) -> Result<(), RepositoryError> {
        let rows: Vec<_> = messages.iter().map(row).collect::<Result<_, _>>()?;
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
            let purge = outbox::Entity::delete_many().filter(outbox::Column::Id.is_in(list));
            purge.exec(transaction).await.map_err(failed)?;
        }
        if let Some(until) = old.iter().map(|(_, created_at)| *created_at).max() {
            self.note_purged(until);
        }
        Ok(old.len())
    }
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

fn row(message: &OutboxMessage) -> Result<outbox::ActiveModel, RepositoryError> {
    let sequence = i32::try_from(message.sequence).map_err(|error| RepositoryError::Backend(error.into()))?;
    Ok(outbox::ActiveModel {
        id: NotSet,
        aggregate: Set(aggregate(message.aggregate).to_owned()),
        aggregate_id: Set(message.aggregate_id),
        sequence: Set(sequence),
        event_type: Set(message.event_type.name().to_owned()),
        payload: Set(message.payload.clone()),
        status: NotSet,
        attempts: NotSet,
        status_at: Set(Some(message.at)),
        last_error: NotSet,
        created_at: Set(message.at),
    })
}
