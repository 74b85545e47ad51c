//! A shop that shares its gate and its limits in Redis, and Redis that is out of reach.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures::future::join_all;
use jangteo::Settings;
use jangteo::config::Switch;
use jangteo_testkit::{RedisOptions, RedisServer};
use tokio::task::spawn_blocking;

use crate::support::{Answer, SHIRT, Shop, assert_refused};

const TIMEOUT: Duration = Duration::from_millis(400);

async fn shop_with_redis(change: impl FnOnce(&mut Settings)) -> (Shop, RedisServer) {
    let redis = spawn_blocking(|| RedisServer::start(RedisOptions::default())).await.expect("no panic");
    let redis = redis.unwrap_or_else(|reason| panic!("{reason}"));
    let with_redis = |settings: &mut Settings| {
        settings.redis_url = Some(redis.url().parse().unwrap());
        settings.redis_timeout_ms = (TIMEOUT.as_millis() as u64).try_into().unwrap();
        change(settings);
    };
    let shop = Shop::open_with(jangteo_testkit::sqlite().await, with_redis).await;
    (shop, redis)
}

/// What is kept of coupons.
fn coupon_keys(redis: &RedisServer) -> BTreeSet<String> {
    redis.keys().into_iter().filter(|key| key != "jangteo:probe" && !key.contains(":rate:")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_coupon_leaves_nothing_in_redis() {
    let (shop, redis) = shop_with_redis(|settings| {
        settings.rate_limit = Some(Switch::On);
        settings.rate_limit_user_claims = "500/10s".parse().unwrap();
    })
    .await;
    let (longest, endless, braces) = ("X".repeat(65), "X".repeat(10_000), "%7B%7D".repeat(10));
    let codes = [
        "NOSUCH",
        "nosuch",
        &longest,
        &endless,
        &braces,
        "%7BWELCOME10%7D",
        "WELCOME10%00",
        "%00",
        "*",
        "WELCOME*",
        "WELCOME10%2F",
        "%2E%2E%2Fcoupons",
        "%F0%9F%8E%9F",
        "WELCOME10%0D%0AFLUSHALL",
        "%FF",
        "%20",
        // Its window is closed.
        "OVER",
    ];
    for code in codes {
        for key in [None, Some("a-key")] {
            let claim = shop.claim(1, code);
            let claim = key
                .into_iter()
                .fold(claim, |claim, key| claim.header("Idempotency-Key", format!("{key}-{code:.50}")));
            assert_refused(&Answer::of(claim).await, 400, "COUPON_INVALID", &["code"]);
            assert_eq!(coupon_keys(&redis), BTreeSet::new(), "{code}");
        }
    }
    assert!(!redis.keys().is_empty(), "requests are counted there");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_place_of_a_customer_who_does_not_exist_is_given_to_another() {
    let (shop, redis) = shop_with_redis(|_| ()).await;
    for customer in [77, 78, 9_223_372_036_854_775_807] {
        assert_refused(&Answer::of(shop.claim(customer, "FLASH5000")).await, 404, "NOT_FOUND", &[]);
        // The place comes back behind the caller's back.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(coupon_keys(&redis).iter().all(|key| key.contains(":coupon:{FLASH5000}:")));
    assert_eq!(Answer::of(shop.claim(1, "FLASH5000")).await.expect(200).body["ticket"], 1);
    assert_refused(&Answer::of(shop.claim(2, "FLASH5000")).await, 409, "COUPON_SOLD_OUT", &["code"]);
    assert_refused(&Answer::of(shop.claim(2, "LATER")).await, 400, "COUPON_INVALID", &["code"]);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_redis_hangs_nobody_waits_for_it_twice() {
    let (shop, mut redis) = shop_with_redis(|settings| settings.rate_limit = Some(Switch::On)).await;
    Answer::of(shop.order(2, &[(SHIRT, 1)])).await.expect(201);
    redis.freeze();
    let orders = join_all((0..5).map(async |_| {
        let begun = Instant::now();
        (Answer::of(shop.order(1, &[(SHIRT, 1)])).await, begun.elapsed())
    }));
    for (placed, waited) in orders.await {
        placed.expect(201);
        assert!(waited < TIMEOUT * 19 / 10, "{waited:?}");
    }
    for user in 1..=3 {
        let begun = Instant::now();
        Answer::of(shop.claim(user, "WELCOME10")).await.expect(200);
        assert!(begun.elapsed() < TIMEOUT, "{:?}", begun.elapsed());
    }
    assert_refused(&Answer::of(shop.claim(1, "WELCOME10")).await, 409, "COUPON_ALREADY_CLAIMED", &["code"]);
    redis.thaw();
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_go_on_without_redis_and_through_it_when_it_is_back() {
    let (shop, mut redis) = shop_with_redis(|_| ()).await;
    Answer::of(shop.claim(1, "WELCOME10")).await.expect(200);
    let redis_is = async || {
        let health = Answer::of(shop.get("/health/ready")).await.expect(200);
        health.body["components"]["redis"]["status"].clone()
    };
    assert_eq!(redis_is().await, "UP");
    redis.kill();
    assert_eq!(Answer::of(shop.claim(2, "WELCOME10")).await.expect(200).body["ticket"], 101);
    assert_refused(&Answer::of(shop.claim(2, "WELCOME10")).await, 409, "COUPON_ALREADY_CLAIMED", &["code"]);
    assert_refused(&Answer::of(shop.claim(1, "NOSUCH")).await, 400, "COUPON_INVALID", &["code"]);
    assert_eq!(redis_is().await, "DOWN", "and the shop is ready all the same");
    redis.restart();
    let begun = Instant::now();
    while coupon_keys(&redis).is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it is not used any more");
        assert_refused(
            &Answer::of(shop.claim(2, "WELCOME10")).await,
            409,
            "COUPON_ALREADY_CLAIMED",
            &["code"],
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(Answer::of(shop.claim(3, "WELCOME10")).await.expect(200).body["ticket"], 102);
    shop.close().await;
}
