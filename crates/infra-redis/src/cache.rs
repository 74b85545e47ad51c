//! What instances cache together.

use std::time::Duration;

use async_trait::async_trait;
use deadpool_redis::redis;
use jangteo_application::cache::{CacheKey, CachedText, Maker, SharedCache};

use crate::client::Redis;

/// How long somebody may take to make a value before another is asked to.
const MAKING_MS: u64 = 2_000;

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
}

#[async_trait]
impl SharedCache for RedisCache {
    async fn get(&self, key: &CacheKey) -> Option<CachedText> {
        let (key, _) = self.keys(key);
        let mut pipeline = redis::pipe();
        pipeline.get(&key).pttl(&key);
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
        let (key, making) = self.keys(key);
        let mut pipeline = redis::pipe();
        if let Some(CachedText { text, remaining }) = value {
            let milliseconds = u64::try_from(remaining.as_millis()).unwrap_or(u64::MAX);
            if milliseconds > 0 {
                pipeline.pset_ex(&key, text, milliseconds).ignore();
            }
        }
        pipeline.del(&making).ignore();
        // Who cannot keep it has it all the same.
        let _ = self.0.pipeline::<()>(&pipeline).await;
    }
}
