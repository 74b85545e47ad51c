use async_trait::async_trait;
use chrono::{DateTime, Utc};
use jangteo_domain::RepositoryError;

use super::Job;
use crate::unit_of_work::UnitOfWork;

/// Forgets events that the data platform has had for long.
#[derive(Debug, Clone, Copy, Default)]
pub struct PurgeEvents;

const BATCH: usize = 500;

#[async_trait]
impl Job for PurgeEvents {
    fn name(&self) -> &'static str {
        "purge-sent-events"
    }

    async fn batch(&self, uow: &mut dyn UnitOfWork, now: DateTime<Utc>) -> Result<usize, RepositoryError> {
        uow.outbox().purge_sent(now, BATCH).await
    }
}
