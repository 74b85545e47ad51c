//! Who made how many requests to all instances together.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use deadpool_redis::redis::Script;
use jangteo_application::RateLimiter;
use jangteo_application::rate_limit::{Decision, Quota, RateKey, Subject};

use crate::client::Redis;

static TAKE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("rate_limit.lua")));

/// Counts in Redis, by GCRA.
pub struct RedisRateLimiter {
    redis: Redis,
    otherwise: Arc<dyn RateLimiter>,
}

impl RedisRateLimiter {
    /// A limiter that asks `otherwise` while Redis is away.
    #[must_use]
    pub fn new(redis: Redis, otherwise: Arc<dyn RateLimiter>) -> Self {
        Self { redis, otherwise }
    }

    fn key(&self, key: &RateKey) -> String {
        let (class, kind) = (key.class.name(), key.subject.kind());
        match key.subject {
            Subject::User(user) => self.redis.key(&format!("rate:{class}:{kind}:{user}")),
            Subject::Address(network) => self.redis.key(&format!("rate:{class}:{kind}:{network}")),
        }
    }
}

#[async_trait]
impl RateLimiter for RedisRateLimiter {
    async fn check(&self, key: &RateKey, quota: Quota) -> Decision {
        let interval = micros(quota.interval());
        let mut script = TAKE.prepare_invoke();
        script.key(self.key(key)).arg(interval).arg(interval.saturating_mul(quota.requests.get().into()));
        match self.redis.script::<(u8, u32, u64, u64)>(&script).await {
            Ok((allowed, remaining, reset, retry_after)) => Decision {
                remaining,
                reset: Duration::from_micros(reset),
                retry_after: (allowed == 0).then(|| Duration::from_micros(retry_after)),
            },
            Err(_) => self.otherwise.check(key, quota).await,
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
