//! Events waiting for the data platform.

use async_trait::async_trait;
use jangteo_application::outbox::{Aggregate, OutboxMessage, OutboxRepository};
use jangteo_domain::RepositoryError;
use sea_orm::{ActiveValue::Set, NotSet};

use crate::entity::outbox;
use crate::transaction::Transaction;

#[async_trait]
impl OutboxRepository for Transaction {
    async fn append(&mut self, messages: &[OutboxMessage]) -> Result<(), RepositoryError> {
        self.writes.insert(messages.iter().map(row));
        Ok(())
    }
}

fn row(message: &OutboxMessage) -> outbox::ActiveModel {
    outbox::ActiveModel {
        id: NotSet,
        aggregate: Set(match message.aggregate {
            Aggregate::Order => "order".to_owned(),
            Aggregate::UserCoupon => "user_coupon".to_owned(),
        }),
        aggregate_id: Set(message.aggregate_id),
        sequence: Set(i32::try_from(message.sequence).unwrap_or(i32::MAX)),
        event_type: Set(message.event_type.to_owned()),
        payload: Set(message.payload.clone()),
        status: NotSet,
        attempts: NotSet,
        created_at: Set(message.at),
        sent_at: NotSet,
    }
}
