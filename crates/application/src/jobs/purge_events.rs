use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use jangteo_domain::RepositoryError;

use super::Job;
use crate::unit_of_work::UnitOfWork;

/// Forgets events that the data platform has had for long.
#[derive(Debug, Clone, Copy)]
pub struct PurgeEvents {
    /// How long events are kept after they were sent.
    pub retention: TimeDelta,
}

const BATCH: usize = 500;

#[async_trait]
impl Job for PurgeEvents {
    fn name(&self) -> &'static str {
        "purge-sent-events"
    }

    async fn batch(&self, uow: &mut dyn UnitOfWork, now: DateTime<Utc>) -> Result<usize, RepositoryError> {
        uow.outbox().purge_sent(now - self.retention, BATCH).await
    }
}
