//! Coupons as administrators see to them, and claims meanwhile.

use std::time::{Duration, Instant};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use futures::future::{join, join_all};
use jangteo_application::seeding::{SeedPlan, Seeder};
use jangteo_application::{Clock, SystemClock};
use jangteo_domain::Money;
use jangteo_domain::user::Profile;
use jangteo_testkit::{RedisOptions, RedisServer, TestDatabase};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use crate::support::{Answer, Instance, SHIRT, Shop, assert_refused, items, on_both_databases, store};

on_both_databases! {
    a_coupon_is_created_changed_and_retired
    what_was_issued_settles_some_terms
    what_customers_hold_keeps_its_validity
    a_new_minimum_counts_for_the_next_order
    a_code_can_change_and_be_had_by_another_until_one_was_issued
    of_many_administrators_who_saw_the_same_version_one_changes_it
    a_retry_gets_the_same_answer
    what_changes_nothing_is_no_change
    coupons_are_for_administrators
    coupons_that_cannot_be
    changes_that_cannot_be
    a_sold_out_coupon_can_be_claimed_again_once_there_are_more
    claims_while_the_quantity_is_raised
    claims_while_the_quantity_is_lowered_to_what_was_issued
    claims_while_the_coupon_is_retired
    another_instance_notices_within_a_second
}

/// Runs tests again with a gate in Redis.
macro_rules! with_redis {
    ($($name:ident)*) => {
        mod with_redis_on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::in_shop_with_redis(jangteo_testkit::sqlite().await, super::$name).await;
            })*
        }

        mod with_redis_on_mysql {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::in_shop_with_redis(jangteo_testkit::mysql().await, super::$name).await;
            })*
        }
    };
}

with_redis! {
    a_sold_out_coupon_can_be_claimed_again_once_there_are_more
    claims_while_the_quantity_is_raised
    claims_while_the_quantity_is_lowered_to_what_was_issued
    claims_while_the_coupon_is_retired
    another_instance_notices_within_a_second
}

const COUPONS: &str = "/api/v1/admin/coupons";
/// How long what was changed elsewhere may be overlooked, with some time for a machine that has much to do.
const NOTICED: Duration = Duration::from_millis(1_500);

async fn redis() -> RedisServer {
    let redis = spawn_blocking(|| RedisServer::start(RedisOptions::default())).await.expect("no panic");
    redis.unwrap_or_else(|reason| panic!("{reason}"))
}

async fn open_with_redis(database: TestDatabase, redis: &RedisServer) -> Shop {
    Shop::open_with(database, |settings| settings.redis_url = Some(redis.url().parse().unwrap())).await
}

async fn in_shop_with_redis(database: TestDatabase, test: impl AsyncFnOnce(&Shop)) {
    let redis = redis().await;
    let shop = open_with_redis(database, &redis).await;
    test(&shop).await;
    shop.close().await;
}

fn moment(days: i64) -> String {
    let moment: DateTime<Utc> = SystemClock.now() + TimeDelta::days(days);
    moment.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// A tenth off, without an end.
fn tenth(code: &str, quantity: i64) -> Value {
    json!({
        "code": code,
        "name": "A tenth off",
        "type": "PERCENT",
        "value": 10,
        "claimStartsAt": moment(-1),
        "claimEndsAt": moment(1),
        "totalQuantity": quantity,
    })
}

fn say(shop: &Shop, method: Method, path: &str) -> RequestBuilder {
    shop.request(method, path).header("X-User-Id", 900).header("X-User-Role", "ADMIN")
}

fn create(shop: &Shop, coupon: &Value) -> RequestBuilder {
    say(shop, Method::POST, COUPONS).json(coupon)
}

fn change(shop: &Shop, id: &Value, change: Value) -> RequestBuilder {
    say(shop, Method::PATCH, &format!("{COUPONS}/{id}")).json(&change)
}

fn retire(shop: &Shop, id: &Value) -> RequestBuilder {
    say(shop, Method::DELETE, &format!("{COUPONS}/{id}"))
}

async fn created(shop: &Shop, coupon: &Value) -> Value {
    Answer::of(create(shop, coupon)).await.expect(201).body["couponId"].take()
}

async fn seen(shop: &Shop, id: &Value) -> Value {
    Answer::of(say(shop, Method::GET, &format!("{COUPONS}/{id}"))).await.expect(200).body
}

async fn trail(shop: &Shop, id: &Value) -> Vec<Value> {
    let path = format!("/api/v1/admin/changes?subject=coupon&id={id}");
    Answer::of(shop.managed(&path)).await.expect(200).body["content"].as_array().unwrap().clone()
}

/// So many customers in all.
async fn with_customers(shop: &Shop, customers: usize) {
    let customer = |number: usize| {
        let name = format!("Customer {number}").parse().unwrap();
        let email = format!("customer{number}@example.com").parse().unwrap();
        (Profile { name, email, phone: None }, Money::from_minor(10_000_000))
    };
    let plan = SeedPlan { users: (1..=customers).map(customer).collect(), ..SeedPlan::default() };
    let store = store(&shop.database.url).await;
    store.seed(&plan, &|_| {}).await.expect("it can be filled");
    store.close().await;
}

fn claim_at(shop: &Shop, instance: Option<&Instance>, user: i64, code: &str) -> RequestBuilder {
    let site = instance.map_or(shop.site.as_str(), |instance| instance.site.as_str());
    let path = format!("{site}/api/v1/coupons/{code}/claim");
    shop.client.request(Method::POST, path).header("X-User-Id", user)
}

/// Everybody claims at once, every other at the other instance; how many got one.
async fn rush(shop: &Shop, other: &Instance, users: impl IntoIterator<Item = i64>, code: &str) -> usize {
    let claims = users.into_iter().map(|user| {
        let instance = (user % 2 == 0).then_some(other);
        Answer::of(claim_at(shop, instance, user, code))
    });
    let answers = join_all(claims).await;
    let known = ["COUPON_SOLD_OUT", "COUPON_ALREADY_CLAIMED", "COUPON_INVALID"];
    for refused in answers.iter().filter(|answer| answer.status != 200) {
        let code = refused.body["error"].as_str().unwrap_or_default();
        assert!(known.contains(&code), "{}", refused.text);
    }
    answers.iter().filter(|answer| answer.status == 200).count()
}

#[track_caller]
fn assert_conflict(answer: &Answer, details: &[(&str, &str)]) {
    let fields: Vec<&str> = details.iter().map(|(field, _)| *field).collect();
    assert_refused(answer, 409, "CONFLICT", &fields);
    for (place, (_, code)) in details.iter().enumerate() {
        assert_eq!(answer.body["details"][place]["code"], *code, "{}", answer.text);
    }
}

async fn a_coupon_is_created_changed_and_retired(shop: &Shop) {
    let coupon = json!({
        "code": "spring-5000",
        "name": " 봄맞이 ",
        "type": "FIXED",
        "value": "5000.50",
        "minOrderAmount": 20000,
        "maxDiscount": null,
        "claimStartsAt": "2025-11-09T09:00:00+09:00",
        "claimEndsAt": moment(1),
        "validDays": 30,
        "totalQuantity": 3,
    });
    let created = Answer::of(create(shop, &coupon)).await.expect(201);
    let id = &created.body["couponId"];
    assert_eq!(created.header("location"), Some(format!("{COUPONS}/{id}").as_str()));
    assert_eq!(created.header("etag"), Some("\"1\""));
    let ends = &created.body["claimEndsAt"];
    let expected = format!(
        r#"{{"couponId":{id},"code":"SPRING-5000","name":"봄맞이","type":"FIXED","value":5000.50,"minOrderAmount":20000.00,"maxDiscount":null,"claimStartsAt":"2025-11-09T00:00:00Z","claimEndsAt":{ends},"validUntil":null,"validDays":30,"totalQuantity":3,"issuedQuantity":0,"remaining":3,"nextTicket":1,"status":"OPEN","retiredAt":null,"version":1}}"#
    );
    assert_eq!(created.text, expected);
    assert_eq!(seen(shop, id).await, created.body);
    Answer::of(shop.claim(1, "spring-5000")).await.expect(200);

    let to = json!({"name": "O'Neill \\", "totalQuantity": 4, "validDays": null, "maxDiscount": 100.5,
        "validUntil": "2999-12-31T00:00:00Z", "minOrderAmount": 0});
    let changed = Answer::of(change(shop, id, to).header("If-Match", "\"1\"")).await.expect(200);
    assert_eq!(changed.header("etag"), Some("\"2\""));
    for (field, value) in [
        ("name", json!("O'Neill \\")),
        ("totalQuantity", json!(4)),
        ("issuedQuantity", json!(1)),
        ("validDays", Value::Null),
        ("maxDiscount", json!(100.5)),
        ("validUntil", json!("2999-12-31T00:00:00Z")),
        ("minOrderAmount", json!(0.0)),
        ("claimEndsAt", ends.clone()),
        ("version", json!(2)),
    ] {
        assert_eq!(changed.body[field], value, "{field} in {}", changed.text);
    }
    assert_eq!(seen(shop, id).await, changed.body);

    let stale = Answer::of(retire(shop, id).header("If-Match", "\"1\"")).await;
    assert_refused(&stale, 412, "PRECONDITION_FAILED", &["If-Match"]);
    Answer::of(retire(shop, id).header("If-Match", "\"2\"")).await.expect(204);
    let retired = seen(shop, id).await;
    assert_eq!((&retired["status"], &retired["version"]), (&json!("ENDED"), &json!(3)));
    assert!(retired["retiredAt"].is_string());
    assert_conflict(&Answer::of(retire(shop, id)).await, &[("id", "RETIRED")]);
    assert_conflict(&Answer::of(change(shop, id, json!({"name": "New"}))).await, &[("id", "RETIRED")]);
    let offers = Answer::of(shop.get("/api/v1/coupons")).await.expect(200);
    assert!(!offers.text.contains("SPRING-5000"), "{}", offers.text);
    let offer = Answer::of(shop.get("/api/v1/coupons/SPRING-5000")).await.expect(200);
    assert_eq!(offer.body["status"], "ENDED");
    let all = Answer::of(shop.managed(COUPONS)).await.expect(200).body;
    assert_eq!((&all["totalElements"], &all["content"][4]["couponId"]), (&json!(5), id));

    let late = Answer::of(shop.claim(2, "SPRING-5000")).await;
    assert_refused(&late, 400, "COUPON_INVALID", &["code"]);
    assert_eq!(late.body["details"][0]["code"], "COUPON_ENDED");
    let order = json!({"items": items(&[(SHIRT, 1)]), "couponCode": "SPRING-5000"});
    let paid = Answer::of(shop.post(1, "/api/v1/orders", &order)).await.expect(201);
    assert_eq!(paid.body["discountAmount"], 100.5, "what was issued is good, and the maximum counts");

    let trail = trail(shop, id).await;
    let actions: Vec<&Value> = trail.iter().map(|change| &change["action"]).collect();
    assert_eq!(actions, ["retire-coupon", "change-coupon", "create-coupon"]);
    assert_eq!((&trail[2]["before"], &trail[2]["after"]["totalQuantity"]), (&Value::Null, &json!(3)));
    assert_eq!(
        (&trail[1]["before"]["totalQuantity"], &trail[1]["after"]["totalQuantity"]),
        (&json!(3), &json!(4))
    );
    assert_eq!(trail[1]["after"]["discount"], json!({"fixed": "5000.50"}));
    assert!(trail[0]["after"]["retiredAt"].is_string());
}

async fn what_was_issued_settles_some_terms(shop: &Shop) {
    let id = created(shop, &tenth("SETTLED", 5)).await;
    Answer::of(change(shop, &id, json!({"type": "FIXED", "value": 7}))).await.expect(200);
    Answer::of(change(shop, &id, json!({"type": "PERCENT", "value": 10}))).await.expect(200);
    for user in 1..=2 {
        Answer::of(shop.claim(user, "SETTLED")).await.expect(200);
    }
    let before = seen(shop, &id).await;
    let all = json!({"code": "OTHER", "type": "FIXED", "value": 7, "totalQuantity": 1, "name": "New"});
    let refused = Answer::of(change(shop, &id, all)).await;
    let settled = [
        ("code", "COUPON_ISSUED"),
        ("type", "COUPON_ISSUED"),
        ("value", "COUPON_ISSUED"),
        ("totalQuantity", "BELOW_ISSUED"),
    ];
    assert_conflict(&refused, &settled);
    assert_eq!(seen(shop, &id).await, before);
    // The same again is no change of theirs.
    let same = json!({"code": "settled", "type": "PERCENT", "value": "10.00", "totalQuantity": 2});
    Answer::of(change(shop, &id, same)).await.expect(200);
    assert_refused(&Answer::of(shop.claim(3, "SETTLED")).await, 409, "COUPON_SOLD_OUT", &["code"]);
}

async fn what_customers_hold_keeps_its_validity(shop: &Shop) {
    let mut coupon = tenth("VALID", 5);
    coupon["validDays"] = json!(30);
    let id = created(shop, &coupon).await;
    let first = Answer::of(shop.claim(1, "VALID")).await.expect(200).body["expiresAt"].take();
    Answer::of(change(shop, &id, json!({"validDays": 1}))).await.expect(200);
    let second = Answer::of(shop.claim(2, "VALID")).await.expect(200).body["expiresAt"].take();
    Answer::of(change(shop, &id, json!({"validDays": null}))).await.expect(200);
    let third = Answer::of(shop.claim(3, "VALID")).await.expect(200);
    assert!(second.as_str().unwrap() < first.as_str().unwrap());
    assert!(third.body.get("expiresAt").is_none(), "{}", third.text);
    let held = Answer::of(shop.mine("/api/v1/users/1/coupons")).await.expect(200);
    assert_eq!(held.body["coupons"][0]["expiresAt"], first);
}

async fn a_new_minimum_counts_for_the_next_order(shop: &Shop) {
    let id = created(shop, &tenth("MINIMUM", 5)).await;
    Answer::of(shop.claim(1, "MINIMUM")).await.expect(200);
    Answer::of(change(shop, &id, json!({"minOrderAmount": 50000}))).await.expect(200);
    let order = json!({"items": items(&[(SHIRT, 1)]), "couponCode": "MINIMUM"});
    let refused = Answer::of(shop.post(1, "/api/v1/orders", &order)).await;
    assert_refused(&refused, 400, "COUPON_INVALID", &["couponCode"]);
    Answer::of(change(shop, &id, json!({"minOrderAmount": 0, "maxDiscount": 5}))).await.expect(200);
    let paid = Answer::of(shop.post(1, "/api/v1/orders", &order)).await.expect(201);
    assert_eq!(paid.body["discountAmount"], 5.0);
}

async fn a_code_can_change_and_be_had_by_another_until_one_was_issued(shop: &Shop) {
    let id = created(shop, &tenth("FIRST", 5)).await;
    // Its gate is open: who does not exist gets nothing.
    assert_refused(&Answer::of(shop.claim(77, "FIRST")).await, 404, "NOT_FOUND", &[]);
    assert_conflict(&Answer::of(create(shop, &tenth("first", 5))).await, &[("code", "CODE_TAKEN")]);
    Answer::of(change(shop, &id, json!({"code": "SECOND"}))).await.expect(200);
    assert_conflict(
        &Answer::of(change(shop, &id, json!({"code": "WELCOME10"}))).await,
        &[("code", "CODE_TAKEN")],
    );
    assert_eq!(Answer::of(shop.claim(1, "SECOND")).await.expect(200).body["couponId"], id);
    tokio::time::sleep(NOTICED).await;
    assert_refused(&Answer::of(shop.claim(1, "FIRST")).await, 400, "COUPON_INVALID", &["code"]);
    let other = created(shop, &tenth("FIRST", 1)).await;
    let claimed = Answer::of(shop.claim(1, "FIRST")).await.expect(200).body;
    assert_eq!((&claimed["couponId"], &claimed["ticket"]), (&other, &json!(1)));
    assert_refused(&Answer::of(shop.claim(2, "FIRST")).await, 409, "COUPON_SOLD_OUT", &["code"]);
}

async fn of_many_administrators_who_saw_the_same_version_one_changes_it(shop: &Shop) {
    let other = shop.second_instance().await;
    let id = created(shop, &tenth("RACE", 5)).await;
    for version in 1..=5 {
        let changes = (0..8).map(|n| {
            let site = if n % 2 == 0 { &shop.site } else { &other.site };
            let request = shop.client.request(Method::PATCH, format!("{site}{COUPONS}/{id}"));
            let request = request.header("X-User-Id", 900 + n).header("X-User-Role", "ADMIN");
            let request = request.json(&json!({"totalQuantity": version * 100 + n}));
            Answer::of(request.header("If-Match", format!("\"{version}\"")))
        });
        let answers = join_all(changes).await;
        let (done, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
        assert_eq!(done.len(), 1, "{answers:?}");
        for late in refused {
            assert_refused(late, 412, "PRECONDITION_FAILED", &["If-Match"]);
        }
        assert_eq!(seen(shop, &id).await, done[0].body);
    }
    assert_eq!(trail(shop, &id).await.len(), 6);
    other.end().await;
}

async fn a_retry_gets_the_same_answer(shop: &Shop) {
    let keyed = |request: RequestBuilder| request.header("Idempotency-Key", "key");
    let coupon = tenth("KEYED", 5);
    let first = Answer::of(keyed(create(shop, &coupon))).await.expect(201);
    let id = &first.body["couponId"];
    let again = Answer::of(keyed(create(shop, &coupon))).await.expect(201);
    assert_eq!((&again.text, again.header("idempotency-replayed")), (&first.text, Some("true")));
    for name in ["location", "etag"] {
        assert_eq!(again.header(name), first.header(name));
    }
    assert_refused(&Answer::of(keyed(create(shop, &tenth("OTHER", 5)))).await, 409, "CONFLICT", &[]);
    let to_none = || keyed(change(shop, id, json!({"validDays": null, "totalQuantity": 9})));
    let changed = Answer::of(to_none()).await.expect(200);
    assert_eq!(Answer::of(to_none()).await.expect(200).text, changed.text);
    let not_named = keyed(change(shop, id, json!({"totalQuantity": 9})));
    assert_refused(&Answer::of(not_named).await, 409, "CONFLICT", &[]);
    Answer::of(shop.claim(1, "KEYED")).await.expect(200);
    let settled =
        || change(shop, id, json!({"code": "NEW", "totalQuantity": 8})).header("Idempotency-Key", "no");
    for replayed in [None, Some("true")] {
        let refused = Answer::of(settled()).await;
        assert_conflict(&refused, &[("code", "COUPON_ISSUED")]);
        assert_eq!(refused.header("idempotency-replayed"), replayed);
    }
    for replayed in [None, Some("true")] {
        let retired = Answer::of(keyed(retire(shop, id))).await.expect(204);
        assert_eq!(retired.header("idempotency-replayed"), replayed);
    }
    assert_eq!(trail(shop, id).await.len(), 3);
}

async fn what_changes_nothing_is_no_change(shop: &Shop) {
    let coupon = tenth("SAME", 5);
    let id = created(shop, &coupon).await;
    for nothing in [json!({}), coupon] {
        let same = Answer::of(change(shop, &id, nothing)).await.expect(200);
        assert_eq!(same.header("etag"), Some("\"1\""), "{}", same.text);
    }
    assert_eq!(trail(shop, &id).await.len(), 1);
}

async fn coupons_are_for_administrators(shop: &Shop) {
    let one = format!("{COUPONS}/1");
    for (method, path) in [
        (Method::GET, COUPONS),
        (Method::POST, COUPONS),
        (Method::GET, one.as_str()),
        (Method::PATCH, &one),
        (Method::DELETE, &one),
    ] {
        let ask = || shop.request(method.clone(), path).json(&json!({"name": "Mine"}));
        assert_refused(&Answer::of(ask()).await, 401, "UNAUTHORIZED", &["X-User-Id"]);
        assert_refused(&Answer::of(ask().header("X-User-Id", 1)).await, 403, "FORBIDDEN", &[]);
    }
    assert_eq!(seen(shop, &json!(1)).await["version"], 1);
}

async fn coupons_that_cannot_be(shop: &Shop) {
    let refused = async |field: &str, value: Value| {
        let mut coupon = tenth("WRONG", 5);
        coupon[field] = value.clone();
        let refused = Answer::of(create(shop, &coupon)).await;
        assert_eq!(
            (refused.status.as_u16(), refused.fields()),
            (400, vec![field]),
            "{value}: {}",
            refused.text
        );
    };
    for value in [json!(""), json!("a b"), json!("쿠폰"), json!("x".repeat(65)), json!(null), json!(5)] {
        refused("code", value).await;
    }
    for value in [json!(""), json!("two\nlines"), json!("nul\u{0}"), json!("가".repeat(101)), json!(null)] {
        refused("name", value).await;
    }
    for value in [json!("fixed"), json!(""), json!(null)] {
        refused("type", value).await;
    }
    for value in [json!(0), json!(-1), json!(100.01), json!(1.001), json!("x"), json!(1e30), json!(null)] {
        refused("value", value).await;
    }
    for value in [json!(-0.01), json!("x"), json!(null)] {
        refused("minOrderAmount", value).await;
    }
    for value in [json!(0), json!(-5), json!("x")] {
        refused("maxDiscount", value).await;
    }
    for value in [json!("tomorrow"), json!("10000-01-01T00:00:00Z"), json!(5), json!(null)] {
        refused("claimEndsAt", value).await;
    }
    refused("claimEndsAt", json!(moment(-2))).await;
    refused("validUntil", json!(moment(-2))).await;
    for value in [json!(0), json!(36_501), json!(1.5), json!("30"), json!(-1)] {
        refused("validDays", value).await;
    }
    for value in [json!(0), json!(-1), json!(1.5), json!(1_000_000_000_001_i64), json!(1e19), json!(null)] {
        refused("totalQuantity", value).await;
    }
    refused("ticket", json!(5)).await;
    let nothing = Answer::of(create(shop, &json!({}))).await;
    let required = ["code", "name", "type", "value", "claimStartsAt", "claimEndsAt", "totalQuantity"];
    assert_refused(&nothing, 400, "VALIDATION_ERROR", &required);
    let all = Answer::of(shop.managed(COUPONS)).await.expect(200);
    assert_eq!(all.body["totalElements"], 4);
}

async fn changes_that_cannot_be(shop: &Shop) {
    let id = created(shop, &tenth("CHANGE", 5)).await;
    for (to, fields) in [
        (
            json!({"name": null, "totalQuantity": 0, "maxDiscount": -1}),
            vec!["name", "maxDiscount", "totalQuantity"],
        ),
        (json!({"value": 101}), vec!["value"]),
        (json!({"claimStartsAt": moment(3)}), vec!["claimEndsAt"]),
        (json!({"claimEndsAt": moment(-3), "validUntil": moment(-3)}), vec!["claimEndsAt", "validUntil"]),
        (json!({"couponId": 5}), vec!["couponId"]),
        (json!(["x"]), vec!["body"]),
    ] {
        let refused = Answer::of(change(shop, &id, to)).await;
        assert_refused(&refused, 400, "VALIDATION_ERROR", &fields);
    }
    let malformed = change(shop, &id, json!({"name": "B"})).header("If-Match", "1");
    assert_refused(&Answer::of(malformed).await, 400, "VALIDATION_ERROR", &["If-Match"]);
    let unknown = json!(987_654);
    assert_refused(&Answer::of(change(shop, &unknown, json!({}))).await, 404, "NOT_FOUND", &[]);
    assert_refused(&Answer::of(retire(shop, &unknown)).await, 404, "NOT_FOUND", &[]);
    let none = Answer::of(say(shop, Method::GET, &format!("{COUPONS}/0"))).await;
    assert_refused(&none, 400, "VALIDATION_ERROR", &["id"]);
    assert_eq!(seen(shop, &id).await["version"], 1);
}

async fn a_sold_out_coupon_can_be_claimed_again_once_there_are_more(shop: &Shop) {
    let id = created(shop, &tenth("MORE", 1)).await;
    Answer::of(shop.claim(1, "MORE")).await.expect(200);
    for _ in 0..2 {
        assert_refused(&Answer::of(shop.claim(2, "MORE")).await, 409, "COUPON_SOLD_OUT", &["code"]);
    }
    Answer::of(change(shop, &id, json!({"totalQuantity": 2}))).await.expect(200);
    assert_refused(&Answer::of(shop.claim(1, "MORE")).await, 409, "COUPON_ALREADY_CLAIMED", &["code"]);
    Answer::of(shop.claim(2, "MORE")).await.expect(200);
    assert_refused(&Answer::of(shop.claim(3, "MORE")).await, 409, "COUPON_SOLD_OUT", &["code"]);
    // And a window that is moved.
    Answer::of(change(
        shop,
        &id,
        json!({"totalQuantity": 3, "claimStartsAt": moment(0), "claimEndsAt": moment(2)}),
    ))
    .await
    .expect(200);
    tokio::time::sleep(Duration::from_secs(1)).await;
    Answer::of(change(shop, &id, json!({"claimEndsAt": moment(0)}))).await.expect(200);
    let late = Answer::of(shop.claim(3, "MORE")).await;
    assert_refused(&late, 400, "COUPON_INVALID", &["code"]);
    Answer::of(change(shop, &id, json!({"claimEndsAt": moment(1)}))).await.expect(200);
    Answer::of(shop.claim(3, "MORE")).await.expect(200);
}

async fn claims_while_the_quantity_is_raised(shop: &Shop) {
    with_customers(shop, 40).await;
    let other = shop.second_instance().await;
    let id = created(shop, &tenth("RAISED", 5)).await;
    let raise = async {
        for quantity in [10, 15, 20] {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Answer::of(change(shop, &id, json!({"totalQuantity": quantity}))).await.expect(200);
        }
    };
    let (mut got, ()) = join(rush(shop, &other, 1..=40, "RAISED"), raise).await;
    tokio::time::sleep(NOTICED).await;
    got += rush(shop, &other, 1..=40, "RAISED").await;
    let coupon = seen(shop, &id).await;
    assert_eq!((got, &coupon["issuedQuantity"], &coupon["remaining"]), (20, &json!(20), &json!(0)));
    assert_eq!(rush(shop, &other, 1..=40, "RAISED").await, 0);
    other.end().await;
}

async fn claims_while_the_quantity_is_lowered_to_what_was_issued(shop: &Shop) {
    with_customers(shop, 40).await;
    let other = shop.second_instance().await;
    let id = created(shop, &tenth("LOWERED", 30)).await;
    let lower = async {
        loop {
            let issued = seen(shop, &id).await["issuedQuantity"].as_i64().unwrap().max(1);
            let lowered = Answer::of(change(shop, &id, json!({"totalQuantity": issued}))).await;
            if lowered.status == 200 {
                return issued;
            }
            assert_conflict(&lowered, &[("totalQuantity", "BELOW_ISSUED")]);
        }
    };
    let (got, quantity) = join(rush(shop, &other, 1..=40, "LOWERED"), lower).await;
    tokio::time::sleep(NOTICED).await;
    let got = got + rush(shop, &other, 1..=40, "LOWERED").await;
    let coupon = seen(shop, &id).await;
    assert_eq!((got as i64, &coupon["issuedQuantity"]), (quantity, &json!(quantity)));
    other.end().await;
}

async fn claims_while_the_coupon_is_retired(shop: &Shop) {
    with_customers(shop, 40).await;
    let other = shop.second_instance().await;
    let id = created(shop, &tenth("RETIRED", 30)).await;
    Answer::of(shop.claim(1, "RETIRED")).await.expect(200);
    let taking_off = async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        Answer::of(retire(shop, &id)).await.expect(204);
        // From now on nobody gets one here, and at no instance anybody for whom the database would have to lie.
        for user in 38..=40 {
            let late = Answer::of(shop.claim(user, "RETIRED")).await;
            assert_refused(&late, 400, "COUPON_INVALID", &["code"]);
        }
    };
    let (got, ()) = join(rush(shop, &other, 1..=37, "RETIRED"), taking_off).await;
    let coupon = seen(shop, &id).await;
    assert_eq!(coupon["issuedQuantity"], json!(got + 1));
    assert_eq!(rush(shop, &other, 1..=40, "RETIRED").await, 0);
    assert_eq!(seen(shop, &id).await, coupon);
    let order = json!({"items": items(&[(SHIRT, 1)]), "couponCode": "RETIRED"});
    Answer::of(shop.post(1, "/api/v1/orders", &order)).await.expect(201);
    other.end().await;
}

async fn another_instance_notices_within_a_second(shop: &Shop) {
    let other = shop.second_instance().await;
    let id = created(shop, &tenth("ELSEWHERE", 1)).await;
    Answer::of(claim_at(shop, Some(&other), 1, "ELSEWHERE")).await.expect(200);
    let claim = async |user| Answer::of(claim_at(shop, Some(&other), user, "ELSEWHERE")).await;
    for _ in 0..3 {
        assert_refused(&claim(2).await, 409, "COUPON_SOLD_OUT", &["code"]);
    }
    Answer::of(change(shop, &id, json!({"totalQuantity": 2}))).await.expect(200);
    let changed = Instant::now();
    while claim(2).await.status != 200 {
        assert!(changed.elapsed() < NOTICED, "it says that it is sold out");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Answer::of(retire(shop, &id)).await.expect(204);
    let retired = Instant::now();
    while claim(3).await.body["error"] != "COUPON_INVALID" {
        assert!(retired.elapsed() < NOTICED, "it does not know that it is over");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    other.end().await;
}

/// The gate in Redis refuses, and whoever made the change does not even know that there is one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_that_nobody_closed_is_noticed_to_be_out_of_date() {
    let redis = redis().await;
    let shop = open_with_redis(jangteo_testkit::sqlite().await, &redis).await;
    let id = created(&shop, &tenth("UNTOLD", 1)).await;
    Answer::of(shop.claim(1, "UNTOLD")).await.expect(200);
    assert_refused(&Answer::of(shop.claim(2, "UNTOLD")).await, 409, "COUPON_SOLD_OUT", &["code"]);
    let without_redis = shop.instance_with(|settings| settings.redis_url = None).await;
    let path = format!("{}{COUPONS}/{id}", without_redis.site);
    let raise = shop.client.request(Method::PATCH, path).json(&json!({"totalQuantity": 2}));
    Answer::of(raise.header("X-User-Id", 900).header("X-User-Role", "ADMIN")).await.expect(200);
    let changed = Instant::now();
    while Answer::of(shop.claim(2, "UNTOLD")).await.status != 200 {
        assert!(changed.elapsed() < NOTICED, "it says that it is sold out");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    without_redis.end().await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_while_redis_hangs_counts_then_and_afterwards() {
    let mut redis = redis().await;
    let shop = open_with_redis(jangteo_testkit::sqlite().await, &redis).await;
    let id = created(&shop, &tenth("FROZEN", 1)).await;
    Answer::of(shop.claim(1, "FROZEN")).await.expect(200);
    assert_refused(&Answer::of(shop.claim(2, "FROZEN")).await, 409, "COUPON_SOLD_OUT", &["code"]);
    redis.freeze();
    Answer::of(change(&shop, &id, json!({"totalQuantity": 2}))).await.expect(200);
    Answer::of(shop.claim(2, "FROZEN")).await.expect(200);
    redis.thaw();
    Answer::of(change(&shop, &id, json!({"totalQuantity": 3}))).await.expect(200);
    Answer::of(shop.claim(3, "FROZEN")).await.expect(200);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_a_change_counts_all_the_same() {
    let mut redis = redis().await;
    let shop = open_with_redis(jangteo_testkit::sqlite().await, &redis).await;
    redis.kill();
    a_sold_out_coupon_can_be_claimed_again_once_there_are_more(&shop).await;
    shop.close().await;
}
