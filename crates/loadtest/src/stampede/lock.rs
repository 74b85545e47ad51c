use std::time::Duration;

use anyhow::Result;
use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{self, AsyncConnectionConfig, Client, Script};
use tokio::time::sleep;

/// When the lock of a holder that died is free again: long enough for a claim on the busiest machine.
const HELD_AT_MOST_MS: u64 = 10_000;
/// Pauses between attempts, which double.
const SHORTEST_PAUSE_MS: u64 = 1;
const LONGEST_PAUSE_MS: u64 = 16;

/// Deletes the lock if it is the caller's: it may be somebody else's by now.
const RELEASE: &str =
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";

/// A lock in Redis, as it is widely made: `SET NX PX` until it succeeds, and a script that compares and deletes.
pub(super) struct Lock {
    redis: MultiplexedConnection,
    release: Script,
}

impl Lock {
    pub(super) async fn new(redis_url: &str) -> Result<Self> {
        let patient = AsyncConnectionConfig::new().set_response_timeout(None);
        let client = Client::open(redis_url)?;
        let redis = client.get_multiplexed_async_connection_with_config(&patient).await?;
        Ok(Self { redis, release: Script::new(RELEASE) })
    }

    /// Waits for the lock. The token proves who has it.
    pub(super) async fn acquire(&mut self, coupon: &str) -> Result<u64> {
        let token: u64 = rand::random();
        let mut set = redis::cmd("SET");
        set.arg(key(coupon)).arg(token).arg("NX").arg("PX").arg(HELD_AT_MOST_MS);
        let mut pause = SHORTEST_PAUSE_MS;
        while set.query_async::<Option<String>>(&mut self.redis).await?.is_none() {
            // Of any length up to the pause, so that those who wait do not all come back at once.
            sleep(Duration::from_micros(rand::random_range(1..=pause * 1000))).await;
            pause = LONGEST_PAUSE_MS.min(pause * 2);
        }
        Ok(token)
    }

    pub(super) async fn release(&mut self, coupon: &str, token: u64) -> Result<()> {
        let mut release = self.release.prepare_invoke();
        Ok(release.key(key(coupon)).arg(token).invoke_async(&mut self.redis).await?)
    }
}

fn key(coupon: &str) -> String {
    format!("lock:coupon:{coupon}")
}
