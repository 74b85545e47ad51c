//! What administrators changed.

use async_trait::async_trait;
use jangteo_application::trail::{TrailEntry, TrailRepository};
use jangteo_domain::RepositoryError;
use sea_orm::{ActiveValue::Set, NotSet};

use crate::entity::admin_changes;
use crate::transaction::Transaction;

#[async_trait]
impl TrailRepository for Transaction {
    async fn append(&mut self, entries: &[TrailEntry]) -> Result<(), RepositoryError> {
        self.writes.insert(entries.iter().map(row));
        Ok(())
    }
}

fn row(entry: &TrailEntry) -> admin_changes::ActiveModel {
    admin_changes::ActiveModel {
        id: NotSet,
        actor_id: Set(entry.by.user.0),
        action: Set(entry.action.to_owned()),
        subject: Set(entry.subject.name().to_owned()),
        subject_id: Set(entry.id),
        before_json: Set(entry.before.clone()),
        after_json: Set(entry.after.clone()),
        trace_id: Set(entry.by.trace_id.clone()),
        created_at: Set(entry.at),
    }
}
