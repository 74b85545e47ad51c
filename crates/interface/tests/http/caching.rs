//! Reads that are answered from memory, or from what all instances share.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use jangteo_testkit::{MysqlServer, RedisOptions, RedisServer, ServerOptions};
use serde_json::json;
use sqlx::{Connection, Executor, MySqlConnection};
use tokio::task::spawn_blocking;

use crate::support::{Answer, SHIRT, Shop};

/// A Redis of a test's own.
pub(crate) async fn redis() -> RedisServer {
    spawn_blocking(|| RedisServer::start(RedisOptions::default())).await.expect("no panic").expect("a Redis")
}

/// A database server that writes down what it is asked.
async fn talkative_server() -> (MysqlServer, MySqlConnection) {
    let server = spawn_blocking(|| MysqlServer::start(ServerOptions::default())).await;
    let server = server.expect("no panic").expect("a MariaDB");
    let mut connection = MySqlConnection::connect(server.url()).await.expect("it answers");
    connection.execute("SET GLOBAL log_output = 'TABLE'").await.expect("a setting");
    connection.execute("SET GLOBAL general_log = ON").await.expect("a setting");
    (server, connection)
}

/// How often a table was asked for.
async fn questions(connection: &mut MySqlConnection, table: &str) -> i64 {
    let count = "SELECT COUNT(*) FROM mysql.general_log WHERE command_type IN ('Execute', 'Query') \
                 AND argument LIKE CONCAT('SELECT%', ?, '%') AND argument NOT LIKE '%general_log%'";
    sqlx::query_scalar(count).bind(table).fetch_one(connection).await.expect("a count")
}

const POPULAR: &str = "/api/v1/stats/popular-products";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_who_ask_two_cold_instances_at_once_are_one_query() {
    let (server, mut log) = talkative_server().await;
    let redis = redis().await;
    let shop = Shop::open_with(server.database().await, |settings| {
        settings.redis_url = Some(redis.url().parse().unwrap());
        settings.redis_timeout_ms = 5_000.try_into().unwrap();
        settings.popular_cache_ms = 60_000;
    })
    .await;
    Answer::of(shop.order(1, &[(SHIRT, 2)])).await.expect(201);
    let other = shop.second_instance().await;
    let asking = (0..500).map(|n| {
        let site = if n % 2 == 0 { &shop.site } else { &other.site };
        Answer::of(shop.client.get(format!("{site}{POPULAR}")))
    });
    let answers = join_all(asking).await;
    for answer in &answers {
        assert_eq!((answer.status.as_u16(), &answer.text), (200, &answers[0].text));
    }
    assert_eq!(answers[0].body["products"][0]["soldQty"], 2);
    assert_eq!(questions(&mut log, "hourly_sales").await, 1);
    other.end().await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_shows_what_it_sold_and_took_back_at_once_and_others_within_a_second() {
    let redis = redis().await;
    let shop = Shop::open_with(jangteo_testkit::mysql().await, |settings| {
        settings.redis_url = Some(redis.url().parse().unwrap());
        settings.redis_timeout_ms = 5_000.try_into().unwrap();
        settings.product_cache_ms = 1_000;
    })
    .await;
    let other = shop.second_instance().await;
    let at = async |site: &str| {
        let page =
            Answer::of(shop.client.get(format!("{site}/api/v1/products?sort=createdAt,asc"))).await.body;
        let product = Answer::of(shop.client.get(format!("{site}/api/v1/products/{SHIRT}"))).await.body;
        let listed =
            page["content"].as_array().unwrap().iter().find(|product| product["id"] == SHIRT).unwrap();
        assert_eq!(listed["stock"], product["stock"]);
        assert_eq!(listed["salesVolume"], product["salesVolume"]);
        (product["stock"].as_i64().unwrap(), product["salesVolume"].as_i64().unwrap())
    };
    for site in [&shop.site, &other.site] {
        assert_eq!(at(site).await, (10, 0));
    }
    for bought in 1..=4 {
        Answer::of(shop.order(1, &[(SHIRT, 1)])).await.expect(201);
        assert_eq!(at(&shop.site).await, (10 - bought, bought));
    }
    let last = Answer::of(shop.mine("/api/v1/orders?size=1")).await.body["content"][0]["orderId"].take();
    Answer::of(shop.cancel(1, &last)).await.expect(200);
    assert_eq!(at(&shop.site).await, (7, 3));
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    assert_eq!(at(&other.site).await, (7, 3));
    other.end().await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_shows_what_administrators_changed_at_once_and_others_within_a_second() {
    let redis = redis().await;
    let shop = Shop::open_with(jangteo_testkit::mysql().await, |settings| {
        settings.redis_url = Some(redis.url().parse().unwrap());
        settings.redis_timeout_ms = 5_000.try_into().unwrap();
        settings.product_cache_ms = 1_000;
    })
    .await;
    let other = shop.second_instance().await;
    let at = async |site: &str| {
        let read =
            async |path: &str| Answer::of(shop.client.get(format!("{site}/api/v1/products{path}"))).await;
        let product = read(&format!("/{SHIRT}")).await;
        let listed = [read("?size=50").await, read("?q=description").await].map(|page| {
            let page = page.expect(200).body["content"].take();
            let listed = page.as_array().unwrap().iter().find(|product| product["id"] == SHIRT);
            listed.map(|product| (product["name"].clone(), product["stock"].clone()))
        });
        let seen =
            (product.status == 200).then(|| (product.body["name"].clone(), product.body["stock"].clone()));
        assert_eq!(listed, [seen.clone(), seen.clone()]);
        seen
    };
    let path = format!("/api/v1/admin/products/{SHIRT}");
    let patch = |body: serde_json::Value| {
        let request = shop.request(reqwest::Method::PATCH, &path).json(&body);
        request.header("X-User-Id", 900).header("X-User-Role", "ADMIN")
    };
    let before = at(&other.site).await;
    assert_eq!(at(&shop.site).await, before);
    for n in 0..3 {
        Answer::of(patch(json!({"name": format!("Shirt {n}")}))).await.expect(200);
        let received = json!({"quantity": 5, "kind": "RECEIVE", "reason": "a new batch"});
        Answer::of(shop.manage(&format!("{path}/stock"), &received)).await.expect(200);
        assert_eq!(at(&shop.site).await, Some((json!(format!("Shirt {n}")), json!(15 + 5 * n))));
    }
    Answer::of(patch(json!({"active": false}))).await.expect(200);
    assert_eq!(at(&shop.site).await, None);
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    assert_eq!(at(&other.site).await, None);
    Answer::of(patch(json!({"active": true}))).await.expect(200);
    assert_eq!(at(&shop.site).await, Some((json!("Shirt 2"), json!(25))));
    other.end().await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_everything_is_read_all_the_same() {
    let mut redis = redis().await;
    let shop = Shop::open_with(jangteo_testkit::sqlite().await, |settings| {
        settings.redis_url = Some(redis.url().parse().unwrap());
        settings.product_cache_ms = 1_000;
        settings.popular_cache_ms = 60_000;
    })
    .await;
    let shop = Arc::new(shop);
    let read_everything = async || {
        for path in [
            "/api/v1/products",
            "/api/v1/products/1",
            POPULAR,
            "/api/v1/coupons",
            "/api/v1/stats/best-sellers",
        ] {
            Answer::of(shop.get(path)).await.expect(200);
        }
    };
    read_everything().await;
    redis.freeze();
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    read_everything().await;
    redis.thaw();
    redis.kill();
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    read_everything().await;
    let ordered = shop.post(1, "/api/v1/orders", &json!({"items": [{"productId": SHIRT, "qty": 1}]}));
    Answer::of(ordered).await.expect(201);
    let Some(shop) = Arc::into_inner(shop) else { panic!("nobody else has the shop") };
    shop.close().await;
}
