//! How long callers wait for Redis when it hangs.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta};
use jangteo_application::CouponGate;
use jangteo_application::coupon_gate::{Admission, GateAway};
use jangteo_domain::UserId;
use jangteo_infra_redis::{Redis, RedisCouponGate, RedisSettings};
use jangteo_testkit::{RedisOptions, RedisServer};

const TIMEOUT: Duration = Duration::from_millis(400);

async fn gate(url: &str, timeout: Duration) -> RedisCouponGate {
    let url = url.parse().expect("a URL");
    let settings = RedisSettings { url, timeout, namespace: "patience".to_owned() };
    let redis = Redis::start(settings).await.expect("it can be set up");
    RedisCouponGate::new(redis, TimeDelta::seconds(5))
}

/// A request asks several times, one after the other: for its address, its user, its place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_hangs_is_waited_for_once() {
    let mut server = RedisServer::start(RedisOptions::default()).unwrap_or_else(|reason| panic!("{reason}"));
    let gate = gate(server.url(), TIMEOUT).await;
    let code = "RUSH".parse().expect("a code");
    let now = DateTime::from_timestamp_secs(4_000_000_000).expect("a time");
    let admit = async || gate.admit(&code, None, UserId(1), now).await;
    assert_eq!(admit().await, Ok(Admission::Closed));

    server.freeze();
    let begun = Instant::now();
    for _ in 0..5 {
        assert_eq!(admit().await, Err(GateAway));
    }
    let waited = begun.elapsed();
    assert!(waited > TIMEOUT && waited < TIMEOUT * 19 / 10, "{waited:?}");

    server.thaw();
    while admit().await.is_err() {
        assert!(begun.elapsed() < TIMEOUT * 50, "it is not used any more");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(admit().await, Ok(Admission::Closed));
}

/// The client has a shorter patience of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_may_take_as_long_as_is_set() {
    for (cluster, scheme) in [(false, "redis://"), (true, "redis-cluster://")] {
        let options = RedisOptions { cluster, ..RedisOptions::default() };
        let mut server = RedisServer::start(options).unwrap_or_else(|reason| panic!("{reason}"));
        let gate = gate(&server.url().replace("redis://", scheme), TIMEOUT * 5).await;
        let code = "RUSH".parse().expect("a code");
        let now = DateTime::from_timestamp_secs(4_000_000_000).expect("a time");
        server.freeze();
        let (admission, ()) = tokio::join!(gate.admit(&code, None, UserId(1), now), async {
            tokio::time::sleep(TIMEOUT * 2).await;
            server.thaw();
        });
        assert_eq!(admission, Ok(Admission::Closed), "{scheme}");
    }
}
