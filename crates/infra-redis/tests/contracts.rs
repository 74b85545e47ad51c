//! The contracts of the ports, on a real Redis.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use jangteo_application::contracts;
use jangteo_application::rate_limit::{Decision, Quota, RateKey, RateLimiter};
use jangteo_infra_redis::{Redis, RedisCouponGate, RedisRateLimiter, RedisSettings};
use jangteo_testkit::RedisServer;

async fn redis() -> Redis {
    let url = RedisServer::shared().await.url().parse().expect("a URL");
    let settings = RedisSettings { url, timeout: Duration::from_secs(5), namespace: "contracts".to_owned() };
    Redis::start(settings).await.expect("it can be set up")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_coupon_gate_keeps_its_contract() {
    contracts::coupon_gate(Arc::new(RedisCouponGate::new(redis().await, TimeDelta::seconds(5)))).await;
}

/// Redis is there: nothing else has to count.
struct Unused;

#[async_trait::async_trait]
impl RateLimiter for Unused {
    async fn check(&self, _: &RateKey, _: Quota) -> Decision {
        panic!("Redis was away");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_rate_limiter_keeps_its_contract() {
    contracts::rate_limits(Arc::new(RedisRateLimiter::new(redis().await, Arc::new(Unused)))).await;
}
