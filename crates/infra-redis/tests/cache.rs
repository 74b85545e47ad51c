//! What instances cache together in Redis.

use std::time::Duration;

use jangteo_application::cache::{CacheKey, CachedText, Maker, SharedCache};
use jangteo_infra_redis::{Redis, RedisCache, RedisSettings};
use jangteo_testkit::{RedisOptions, RedisServer};
use tokio::time::sleep;

const TIMEOUT: Duration = Duration::from_millis(200);
const KEY: CacheKey = CacheKey::BestSellers { limit: 10 };

fn server(options: RedisOptions) -> RedisServer {
    RedisServer::start(options).expect("a Redis")
}

async fn cache(url: &str) -> RedisCache {
    let url = url.parse().expect("a URL");
    let settings = RedisSettings { url, timeout: TIMEOUT, namespace: "cache".to_owned() };
    RedisCache::new(Redis::start(settings).await.expect("it can be set up"))
}

fn text(remaining: Duration) -> CachedText {
    CachedText { text: "[]".to_owned(), remaining }
}

async fn is_kept_for_as_long_as_it_may_be_shown(cache: &RedisCache) {
    let remaining = Duration::from_millis(400);
    assert_eq!(cache.get(&KEY).await, None);
    cache.made(&KEY, Some(&text(remaining))).await;
    let found = cache.get(&KEY).await.expect("it was kept");
    assert_eq!(found.text, "[]");
    assert!(found.remaining <= remaining && found.remaining > remaining / 2, "{found:?}");
    sleep(remaining).await;
    assert_eq!(cache.get(&KEY).await, None);
}

#[tokio::test]
async fn a_value_is_kept_for_as_long_as_it_may_be_shown() {
    let server = server(RedisOptions::default());
    is_kept_for_as_long_as_it_may_be_shown(&cache(server.url()).await).await;
}

#[tokio::test]
async fn and_in_a_cluster() {
    let server = server(RedisOptions { cluster: true, ..RedisOptions::default() });
    let url = server.url().replace("redis://", "redis-cluster://");
    is_kept_for_as_long_as_it_may_be_shown(&cache(&url).await).await;
}

/// What was sent is read when it goes on.
#[tokio::test]
async fn a_redis_that_hung_keeps_nothing_that_is_too_old() {
    let mut server = server(RedisOptions::default());
    let cache = cache(server.url()).await;
    assert_eq!(cache.get(&KEY).await, None);
    server.freeze();
    cache.made(&KEY, Some(&text(Duration::from_secs(1)))).await;
    sleep(Duration::from_secs(1)).await;
    server.thaw();
    let again = RedisCache::new(redis_once_it_answers(server.url()).await);
    assert_eq!(again.get(&KEY).await, None);
}

async fn redis_once_it_answers(url: &str) -> Redis {
    let url = url.parse().expect("a URL");
    let settings = RedisSettings { url, timeout: Duration::from_secs(5), namespace: "cache".to_owned() };
    Redis::start(settings).await.expect("it can be set up")
}

#[tokio::test]
async fn another_makes_what_somebody_did_not_finish() {
    let server = server(RedisOptions::default());
    let cache = cache(server.url()).await;
    assert_eq!(cache.maker(&KEY).await, Maker::Caller);
    assert_eq!(cache.maker(&KEY).await, Maker::Other);
    sleep(Duration::from_millis(450)).await;
    assert_eq!(cache.maker(&KEY).await, Maker::Caller, "before those who wait lose their patience");
    cache.made(&KEY, None).await;
    assert_eq!(cache.maker(&KEY).await, Maker::Caller);
}
