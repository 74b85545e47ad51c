//! What instances cache together.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use deadpool_redis::redis::{self, Script};
use jangteo_application::cache::{CacheKey, CachedText, Maker, SharedCache};

use crate::client::Redis;

/// How long somebody may take to make a value before another is asked to. Those who wait for one whose process died have
/// more patience than that: one of them makes it for the others.
const MAKING_MS: u64 = 400;

/// The clock of the server that keeps a key.
static TIME: LazyLock<Script> = LazyLock::new(|| Script::new("return redis.call('TIME')"));

/// Keeps values in Redis for as long as they may be shown.
pub struct RedisCache(Redis);

impl RedisCache {
    /// A cache that all instances on the same database share.
    #[must_use]
    pub fn new(redis: Redis) -> Self {
        Self(redis)
    }

    fn keys(&self, key: &CacheKey) -> (String, String) {
        (self.0.key(&format!("cache:{{{key}}}")), self.0.key(&format!("cache:{{{key}}}:making")))
    }

    /// A moment to come, in milliseconds of the clock of the server that keeps a key: whatever is to last until then does,
    /// however long it takes to be written.
    async fn moment(&self, key: &str, at: Instant) -> Option<u64> {
        let (seconds, micros): (u64, u64) = self.0.script(TIME.prepare_invoke().key(key)).await.ok()?;
        let remaining = at.checked_duration_since(Instant::now())?;
        let from_now = u64::try_from(remaining.as_millis()).ok()?;
        (seconds * 1_000 + micros / 1_000).checked_add(from_now)
    }
}

#[async_trait]
impl SharedCache for RedisCache {
    async fn get(&self, key: &CacheKey) -> Option<CachedText> {
        let (key, _) = self.keys(key);
        let mut pipeline = redis::pipe();
        pipeline.atomic().get(&key).pttl(&key);
        let (text, remaining): (Option<String>, i64) = self.0.pipeline(&pipeline).await.ok()?;
        let remaining = Duration::from_millis(u64::try_from(remaining).ok()?);
        Some(CachedText { text: text?, remaining })
    }

    async fn maker(&self, key: &CacheKey) -> Maker {
        let (_, making) = self.keys(key);
        let mut set = redis::cmd("SET");
        set.arg(making).arg(1).arg("NX").arg("PX").arg(MAKING_MS);
        match self.0.command::<Option<String>>(&set).await {
            Ok(None) => Maker::Other,
            Ok(Some(_)) | Err(_) => Maker::Caller,
        }
    }

    async fn made(&self, key: &CacheKey, value: Option<&CachedText>) {
        let begun = Instant::now();
        let (key, making) = self.keys(key);
        let mut pipeline = redis::pipe();
        if let Some(CachedText { text, remaining }) = value
            && let Some(until) = self.moment(&key, begun + *remaining).await
        {
            pipeline.cmd("SET").arg(&key).arg(text).arg("PXAT").arg(until).ignore();
        }
        pipeline.del(&making).ignore();
        // Who cannot keep it has it all the same.
        let _ = self.0.pipeline::<()>(&pipeline).await;
    }
}
