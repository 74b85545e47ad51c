//! Redis in trouble: frozen, killed, flushed, behind a sentinel, as a cluster.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use jangteo_application::cache::{CacheKey, Maker, SharedCache};
use jangteo_application::contracts;
use jangteo_application::coupon_gate::{Admission, CouponGate, Edition, GateAway, Opening};
use jangteo_domain::{CouponCode, CouponId, UserId};
use jangteo_infra_redis::{Redis, RedisCache, RedisCouponGate, RedisSettings};
use jangteo_testkit::{RedisOptions, RedisServer, Sentinel};

const TIMEOUT: Duration = Duration::from_millis(200);

async fn redis(url: &str) -> Redis {
    let url = url.parse().expect("a URL");
    let settings = RedisSettings { url, timeout: TIMEOUT, namespace: "outage".to_owned() };
    Redis::start(settings).await.expect("it can be set up")
}

async fn gate(url: &str) -> Arc<RedisCouponGate> {
    Arc::new(RedisCouponGate::new(redis(url).await, TimeDelta::seconds(5)))
}

fn start(options: RedisOptions) -> RedisServer {
    RedisServer::start(options).expect("a Redis")
}

fn code() -> CouponCode {
    "FLASH".parse().expect("a code")
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_secs(4_000_000_000).expect("a time")
}

fn edition() -> Edition {
    Edition { coupon: CouponId(1), version: 1 }
}

fn opening() -> Opening {
    Opening {
        edition: edition(),
        starts_at: now() - TimeDelta::hours(1),
        ends_at: now() + TimeDelta::hours(1),
        tickets: 1..1001,
        holders: [].into(),
        opened_at: now(),
    }
}

/// Asks until Redis is used again.
async fn until_it_is_back(gate: &RedisCouponGate) -> Admission {
    for _ in 0..100 {
        match gate.admit(&code(), Some(edition()), UserId(1), now()).await {
            Ok(admission) => return admission,
            Err(GateAway) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
    panic!("it was not used again");
}

#[tokio::test]
async fn a_frozen_redis_costs_a_few_callers_a_moment_and_the_others_nothing() {
    let mut server = start(RedisOptions::default());
    let gate = gate(server.url()).await;
    gate.open(&code(), &opening()).await.unwrap();
    server.freeze();
    let begun = Instant::now();
    let mut waited = 0;
    for user in 0..100 {
        let asked = Instant::now();
        assert_eq!(gate.admit(&code(), Some(edition()), UserId(user), now()).await, Err(GateAway));
        waited += usize::from(asked.elapsed() >= TIMEOUT);
    }
    assert!((1..=4).contains(&waited), "{waited} waited");
    assert!(begun.elapsed() < TIMEOUT * 6, "{:?}", begun.elapsed());
    server.thaw();
    assert!(matches!(until_it_is_back(&gate).await, Admission::Admitted { .. }), "it forgot nothing");
}

#[tokio::test]
async fn a_killed_redis_fails_at_once_and_is_used_again_when_it_is_back() {
    let mut server = start(RedisOptions::default());
    let gate = gate(server.url()).await;
    gate.open(&code(), &opening()).await.unwrap();
    server.kill();
    let begun = Instant::now();
    for user in 0..100 {
        assert_eq!(gate.admit(&code(), Some(edition()), UserId(user), now()).await, Err(GateAway));
    }
    assert!(begun.elapsed() < TIMEOUT * 3, "{:?}", begun.elapsed());
    server.restart();
    assert_eq!(until_it_is_back(&gate).await, Admission::Closed, "it forgot everything");
}

#[tokio::test]
async fn a_redis_that_is_not_there_yet_is_used_once_it_is() {
    let mut server = start(RedisOptions::default());
    server.kill();
    let gate = gate(server.url()).await;
    assert_eq!(gate.admit(&code(), Some(edition()), UserId(1), now()).await, Err(GateAway));
    server.restart();
    assert_eq!(until_it_is_back(&gate).await, Admission::Closed);
}

#[tokio::test]
async fn a_redis_that_may_not_run_scripts_does_everything_else() {
    let server = start(RedisOptions::default());
    let redis = redis(server.url()).await;
    let (gate, cache) = (RedisCouponGate::new(redis.clone(), TimeDelta::seconds(5)), RedisCache::new(redis));
    let address = server.url().trim_start_matches("redis://").trim_end_matches('/');
    let mut administrator = BufReader::new(TcpStream::connect(address).unwrap());
    administrator.get_mut().write_all(b"ACL SETUSER default -@scripting\r\n").unwrap();
    let mut answer = String::new();
    administrator.read_line(&mut answer).unwrap();
    assert_eq!(answer.trim_end(), "+OK");
    let key = CacheKey::BestSellers { limit: 10 };
    assert_eq!(cache.maker(&key).await, Maker::Caller);
    for user in 0..10 {
        assert_eq!(gate.admit(&code(), Some(edition()), UserId(user), now()).await, Err(GateAway));
        assert_eq!(cache.maker(&key).await, Maker::Other, "the first, as it remembers");
    }
}

#[tokio::test]
async fn in_a_cluster_the_keys_of_a_coupon_are_together() {
    let server = start(RedisOptions { cluster: true, ..RedisOptions::default() });
    contracts::coupon_gate(gate(&server.url().replace("redis://", "redis-cluster://")).await).await;
}

#[tokio::test]
async fn a_sentinel_tells_where_it_is() {
    let server = start(RedisOptions::default());
    let sentinel = Sentinel::start(&server, "shop").expect("a sentinel");
    contracts::coupon_gate(gate(&format!("redis-sentinel://{}#shop", sentinel.address())).await).await;
}
