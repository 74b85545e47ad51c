use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use jangteo_domain::RepositoryError;

use super::Job;
use crate::unit_of_work::UnitOfWork;

/// Forgets outcomes by idempotency key that no retry asks for any more.
#[derive(Debug, Clone, Copy, Default)]
pub struct PurgeKeys;

/// How long a retry is sure to get the first answer.
const KEPT: TimeDelta = TimeDelta::hours(24);
const BATCH: usize = 500;

#[async_trait]
impl Job for PurgeKeys {
    fn name(&self) -> &'static str {
        "purge-idempotency-keys"
    }

    async fn batch(&self, uow: &mut dyn UnitOfWork, now: DateTime<Utc>) -> Result<usize, RepositoryError> {
        uow.idempotency().purge(now - KEPT, BATCH).await
    }
}
