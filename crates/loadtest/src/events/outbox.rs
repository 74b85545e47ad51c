use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use tokio::time::sleep;

use super::Platform;
use crate::databases::BenchDatabase;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);
/// For so long the platform may get nothing before it is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// The events of a shop that were not delivered yet.
pub(super) struct Outbox {
    connection: DatabaseConnection,
}

impl Outbox {
    pub(super) async fn of(database: &BenchDatabase) -> Result<Self> {
        Ok(Self { connection: database.connect().await? })
    }

    /// How many wait.
    pub(super) async fn waiting(&self) -> Result<u64> {
        let count = "SELECT COUNT(*) FROM outbox WHERE status <> 'SENT'";
        let statement = Statement::from_string(self.connection.get_database_backend(), count);
        let row = self.connection.query_one_raw(statement).await?.context("there is no answer to a COUNT")?;
        Ok(u64::try_from(row.try_get_by_index::<i64>(0)?)?)
    }

    /// Waits until the platform has so many events, and the outbox knows. The check fails when there is nothing to wait
    /// for any more.
    pub(super) async fn drained(
        &self,
        platform: &Platform,
        events: u64,
        mut check: impl FnMut() -> Result<()>,
    ) -> Result<()> {
        let (mut arrived, mut last_arrival) = (0, Instant::now());
        // The platform is asked first: that costs the database nothing.
        while arrived < events || self.waiting().await? > 0 {
            check()?;
            ensure!(
                last_arrival.elapsed() < PATIENCE,
                "of {events} events {arrived} arrived, {} wait in the outbox, and for {} s there was no news:{}",
                self.waiting().await?,
                PATIENCE.as_secs(),
                platform.last_words()
            );
            sleep(PAUSE).await;
            let now_arrived = platform.summary().await?.events;
            if now_arrived > arrived {
                (arrived, last_arrival) = (now_arrived, Instant::now());
            }
        }
        Ok(())
    }

    pub(super) async fn close(self) -> Result<()> {
        Ok(self.connection.close().await?)
    }
}
