//! More requests than somebody may make.

use std::time::Duration;

use jangteo::Settings;
use jangteo::config::Switch;
use reqwest::{Method, RequestBuilder};
use serde_json::json;

use crate::support::{Answer, SHIRT, Shop, assert_refused};

/// A shop that limits requests; nothing comes back while a test runs, unless it says so.
async fn limited_shop(change: impl FnOnce(&mut Settings)) -> Shop {
    let limit = |settings: &mut Settings| {
        settings.rate_limit = Some(Switch::On);
        settings.rate_limit_user_writes = "3/10m".parse().unwrap();
        change(settings);
    };
    Shop::open_with(jangteo_testkit::sqlite().await, limit).await
}

/// Requests come from behind a proxy.
fn behind_a_proxy(settings: &mut Settings) {
    settings.trusted_proxies = "127.0.0.0/8, 10.0.0.0/8".parse().unwrap();
    settings.rate_limit_address_reads = "2/10m".parse().unwrap();
}

/// For tests in the end of which nothing may be read any more, the audit neither.
async fn close_unaudited(shop: Shop) {
    shop.stop.stop();
    shop.running.await.expect("no panic").expect("a clean end");
}

fn charge(shop: &Shop, user: i64) -> RequestBuilder {
    shop.post(user, "/api/v1/wallets/charge", &json!({"amount": 1}))
}

fn forwarded_for(request: RequestBuilder, addresses: &str) -> RequestBuilder {
    request.header("X-Forwarded-For", addresses)
}

async fn use_up_writes(shop: &Shop, user: i64) {
    for _ in 0..3 {
        Answer::of(charge(shop, user)).await.expect(200);
    }
}

fn seconds(answer: &Answer) -> u64 {
    answer.header("retry-after").expect("a time to wait").parse().expect("whole seconds")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_over_quota_is_refused_and_others_are_served() {
    let shop = limited_shop(|_| ()).await;
    for left in ["2", "1", "0"] {
        let charged = Answer::of(charge(&shop, 1)).await.expect(200);
        let policy = r#""user-writes";q=3;w=600, "address-writes";q=500;w=10"#;
        assert_eq!(charged.header("ratelimit-policy"), Some(policy));
        let limit = charged.header("ratelimit").unwrap();
        assert!(limit.starts_with(&format!(r#""user-writes";r={left};t="#)), "{limit}");
        assert!(limit.contains(r#", "address-writes";r=4"#), "{limit}");
        assert_eq!(charged.header("retry-after"), None);
    }
    let before = shop.books().await;
    let refused = Answer::of(charge(&shop, 1).header("Accept-Language", "en")).await;
    assert_refused(&refused, 429, "RATE_LIMITED", &[]);
    let wait = seconds(&refused);
    assert!((190..=200).contains(&wait), "{wait}");
    assert_eq!(
        refused.body["message"],
        format!("There are too many requests; please try again in {wait} s.")
    );
    assert_eq!(refused.header("content-language"), Some("en"));
    let limit = refused.header("ratelimit").unwrap();
    assert!(limit.starts_with(&format!(r#""user-writes";r=0;t={wait}, "address-writes";r=4"#)), "{limit}");
    assert!(refused.header("ratelimit-policy").is_some());
    assert_eq!(shop.books().await, before);
    Answer::of(charge(&shop, 2)).await.expect(200);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_writes_and_claims_have_quotas_of_their_own() {
    let shop = limited_shop(|settings| settings.rate_limit_user_claims = "1/10m".parse().unwrap()).await;
    use_up_writes(&shop, 1).await;
    assert_refused(&Answer::of(charge(&shop, 1)).await, 429, "RATE_LIMITED", &[]);
    let claimed = Answer::of(shop.claim(1, "WELCOME10")).await.expect(200);
    assert!(claimed.header("ratelimit").unwrap().starts_with(r#""user-claims";r=0;"#));
    assert_refused(&Answer::of(shop.claim(1, "FLASH5000")).await, 429, "RATE_LIMITED", &[]);
    let wallet = Answer::of(shop.mine("/api/v1/wallets")).await.expect(200);
    let policy = r#""user-reads";q=200;w=10, "address-reads";q=2000;w=10"#;
    assert_eq!(wallet.header("ratelimit-policy"), Some(policy));
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_changes_nothing_and_leaves_its_key_usable() {
    let shop = limited_shop(|settings| settings.rate_limit_user_writes = "1/2s".parse().unwrap()).await;
    let before = shop.books().await;
    let order = || shop.order(1, &[(SHIRT, 1)]).header("Idempotency-Key", "later");
    // An invalid request counts, and changes nothing either.
    assert_refused(&Answer::of(shop.order(1, &[])).await, 400, "VALIDATION_ERROR", &["items"]);
    let refused = Answer::of(order()).await;
    assert_refused(&refused, 429, "RATE_LIMITED", &[]);
    let wait = seconds(&refused);
    assert!((1..=2).contains(&wait), "{wait}");
    assert_eq!(shop.books().await, before);
    tokio::time::sleep(Duration::from_secs(wait)).await;
    let placed = Answer::of(order()).await.expect(201);
    assert_eq!(placed.header("idempotency-replayed"), None);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_is_not_even_read() {
    let shop = limited_shop(|_| ()).await;
    let nonsense = || shop.post_text("/api/v1/orders", "{");
    for _ in 0..3 {
        let invalid = Answer::of(nonsense()).await;
        assert_refused(&invalid, 400, "VALIDATION_ERROR", &["body"]);
        assert!(invalid.header("ratelimit").is_some());
    }
    assert_refused(&Answer::of(nonsense()).await, 429, "RATE_LIMITED", &[]);
    let long = Answer::of(shop.post_text("/api/v1/orders", vec![b' '; 100_000])).await;
    assert_refused(&long, 429, "RATE_LIMITED", &[]);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_over_quota_is_refused_whoever_asks() {
    let shop = limited_shop(|settings| settings.rate_limit_address_writes = "2/10m".parse().unwrap()).await;
    for user in [1, 2] {
        Answer::of(charge(&shop, user)).await.expect(200);
    }
    let refused = Answer::of(charge(&shop, 3)).await;
    assert_refused(&refused, 429, "RATE_LIMITED", &[]);
    // The user's own quota was not touched.
    assert_eq!(refused.header("ratelimit-policy"), Some(r#""address-writes";q=2;w=600"#));
    assert!(refused.header("ratelimit").unwrap().starts_with(r#""address-writes";r=0;t="#));
    // Nor does it help to name nobody, or nobody properly.
    let nobody = shop.request(Method::POST, "/api/v1/orders").header("X-User-Id", "mina");
    assert_refused(&Answer::of(nobody).await, 429, "RATE_LIMITED", &[]);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trusted_proxy_is_believed_for_whom_it_asks() {
    let shop = limited_shop(behind_a_proxy).await;
    let products = |addresses| Answer::of(forwarded_for(shop.get("/api/v1/products"), addresses));
    for _ in 0..2 {
        products("203.0.113.1").await.expect(200);
    }
    // Inventing addresses, or coming through another proxy as well, does not help.
    for still_the_same in ["203.0.113.1", "198.51.100.9, 203.0.113.1", "198.51.100.9, 203.0.113.1, 10.0.0.7"]
    {
        assert_refused(&products(still_the_same).await, 429, "RATE_LIMITED", &[]);
    }
    let another = products("203.0.113.1, 198.51.100.9").await.expect(200);
    assert!(another.header("ratelimit").unwrap().starts_with(r#""address-reads";r=1;t="#));
    for address in ["2001:db8:1:2::1", "2001:db8:1:2::2"] {
        products(address).await.expect(200);
    }
    assert_refused(&products("2001:db8:1:2::3").await, 429, "RATE_LIMITED", &[]);
    products("2001:db8:1:3::1").await.expect(200);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn anybody_else_is_not_believed() {
    let behind_another = |settings: &mut Settings| {
        behind_a_proxy(settings);
        settings.trusted_proxies = "10.0.0.0/8".parse().unwrap();
    };
    let shop = limited_shop(behind_another).await;
    for address in ["203.0.113.1", "203.0.113.2"] {
        Answer::of(forwarded_for(shop.get("/api/v1/products"), address)).await.expect(200);
    }
    let refused = Answer::of(forwarded_for(shop.get("/api/v1/products"), "203.0.113.3")).await;
    assert_refused(&refused, 429, "RATE_LIMITED", &[]);
    close_unaudited(shop).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_runs_the_shop_always_answers_and_counts_what_was_refused() {
    let shop = limited_shop(|settings| settings.rate_limit_address_reads = "1/10m".parse().unwrap()).await;
    Answer::of(shop.mine("/api/v1/products")).await.expect(200);
    for path in
        ["/health/live", "/health/ready", "/actuator/health", "/metrics", "/openapi.json", "/swagger-ui/"]
    {
        for _ in 0..4 {
            let answer = Answer::of(shop.get(path)).await.expect(200);
            assert_eq!(
                (answer.header("ratelimit"), answer.header("ratelimit-policy")),
                (None, None),
                "{path}"
            );
        }
    }
    use_up_writes(&shop, 1).await;
    assert_refused(&Answer::of(charge(&shop, 1)).await, 429, "RATE_LIMITED", &[]);
    assert_refused(&Answer::of(shop.get("/api/v1/products")).await, 429, "RATE_LIMITED", &[]);
    let metrics = Answer::of(shop.get("/metrics")).await.expect(200).text;
    for line in [
        r#"jangteo_rate_limited_total{class="writes",subject="user"}"#,
        r#"jangteo_rate_limited_total{class="reads",subject="address"}"#,
        r#"jangteo_http_request_seconds_count{method="POST",route="/api/v1/wallets/charge",status="429"}"#,
    ] {
        assert!(metrics.contains(line), "{line} in\n{metrics}");
    }
    close_unaudited(shop).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_loopback_nothing_is_limited_unless_it_is_said() {
    let strict = |settings: &mut Settings| {
        settings.rate_limit_user_reads = "1/10m".parse().unwrap();
        settings.rate_limit_address_reads = "1/10m".parse().unwrap();
    };
    let shop = Shop::open_with(jangteo_testkit::sqlite().await, strict).await;
    for _ in 0..3 {
        let answer = Answer::of(shop.mine("/api/v1/products")).await.expect(200);
        assert_eq!((answer.header("ratelimit"), answer.header("ratelimit-policy")), (None, None));
    }
    shop.close().await;
}
