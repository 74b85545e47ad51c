//! Redis behind TLS, with an authority that only this test trusts.

use jangteo_testkit::{RedisOptions, RedisServer};
use serde_json::json;
use tokio::task::spawn_blocking;

use crate::server::Program;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_used_over_tls_by_who_trusts_its_authority() {
    let options = RedisOptions { tls: true, ..RedisOptions::default() };
    let redis =
        spawn_blocking(move || RedisServer::start(options)).await.expect("no panic").expect("a Redis");
    let authority = redis.ca_file().expect("it has one").to_str().expect("a path").to_owned();
    let database = jangteo_testkit::sqlite().await;
    let shop = || Program::new(&database.url).with("JANGTEO_REDIS_URL", redis.url());
    let (trusting, doubting) = (shop().with("SSL_CERT_FILE", &authority), shop());
    trusting.run(&["migrate", "up"]);
    trusting.run(&["seed", "--users", "1", "--coupon", "RUSH:PERCENT:10:1"]);

    let server = trusting.serve().await;
    assert!(server.metrics().await.contains("jangteo_redis_up 1"), "{}", server.log());
    let claimed = server.post(1, "/api/v1/coupons/RUSH/claim", json!({}), None).await.expect("an answer");
    assert_eq!(claimed.0, 200);
    drop(server);

    let server = doubting.serve().await;
    assert!(server.metrics().await.contains("jangteo_redis_up 0"));
    assert_eq!(server.log().matches("Redis is away").count(), 1, "{}", server.log());
}
