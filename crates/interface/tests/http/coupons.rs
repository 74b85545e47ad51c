//! Coupons as guests and as their holders see them, and best sellers.

use chrono::DateTime;
use jangteo_application::seeding::{SeedCoupon, SeedPlan, Seeder};
use jangteo_domain::coupon::Discount;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, SHIRT, SOCKS, SOLD_OUT, Shop, assert_refused, items, on_both_databases, store};

on_both_databases! {
    guests_see_the_coupons_on_offer
    a_coupon_is_seen_by_its_code_also_when_it_is_over
    every_term_of_a_coupon_is_shown
    what_remains_counts_down_until_it_is_sold_out
    coupons_are_listed_by_status
    what_happened_to_coupons_is_told_latest_first
    the_history_is_seen_by_its_customer_and_administrators
    codes_that_no_coupon_has
    pages_and_statuses_that_do_not_exist
    reads_answer_to_head_without_a_body
    best_sellers_are_those_that_sold_most
}

const OFFERS: &str = "/api/v1/coupons";
const HISTORY: &str = "/api/v1/users/1/coupons/history";

fn codes(answer: &Answer, list: &str) -> Vec<String> {
    let coupons = answer.body[list].as_array().unwrap_or_else(|| panic!("{}", answer.text));
    coupons.iter().map(|coupon| coupon["code"].as_str().expect("a code").to_owned()).collect()
}

async fn guests_see_the_coupons_on_offer(shop: &Shop) {
    let all = Answer::of(shop.get(OFFERS)).await.expect(200);
    assert_eq!(codes(&all, "content"), ["WELCOME10", "FLASH5000", "LATER"]);
    let first = &all.body["content"][0];
    let (id, starts, ends) = (&first["couponId"], &first["claimStartsAt"], &first["claimEndsAt"]);
    let welcome = format!(
        r#"{{"couponId":{id},"code":"WELCOME10","name":"The coupon WELCOME10","type":"PERCENT","value":10.00,"minOrderAmount":0.00,"claimStartsAt":{starts},"claimEndsAt":{ends},"totalQuantity":100,"remaining":100,"status":"OPEN"}}"#
    );
    assert!(starts.as_str().unwrap() < ends.as_str().unwrap(), "{}", all.text);
    assert!(all.text.contains(&welcome), "{}", all.text);
    let flash = r#""type":"FIXED","value":5000.00,"minOrderAmount":20000.00,"claimStartsAt""#;
    assert!(all.text.contains(flash), "{}", all.text);
    assert_eq!(all.body["content"][2]["status"], "UPCOMING");
    assert!(all.text.ends_with(r#"],"page":0,"size":20,"totalElements":3,"totalPages":1}"#), "{}", all.text);
    let page = Answer::of(shop.get("/api/v1/coupons?page=1&size=1")).await.expect(200);
    assert_eq!(codes(&page, "content"), ["FLASH5000"]);
    assert_eq!((&page.body["totalElements"], &page.body["totalPages"]), (&json!(3), &json!(3)));
    let beyond = Answer::of(shop.get("/api/v1/coupons?page=7")).await.expect(200);
    assert!(codes(&beyond, "content").is_empty());
}

async fn a_coupon_is_seen_by_its_code_also_when_it_is_over(shop: &Shop) {
    let all = Answer::of(shop.get(OFFERS)).await.expect(200);
    for (code, status) in
        [("welcome10", "OPEN"), ("FLASH5000", "OPEN"), ("LATER", "UPCOMING"), ("OVER", "ENDED")]
    {
        let one = Answer::of(shop.get(&format!("{OFFERS}/{code}"))).await.expect(200);
        assert_eq!((&one.body["code"], &one.body["status"]), (&json!(code.to_uppercase()), &json!(status)));
        let listed = all.body["content"].as_array().unwrap().contains(&one.body);
        assert_eq!(listed, status != "ENDED", "{}", one.text);
    }
}

/// On a coupon that has all of them.
async fn every_term_of_a_coupon_is_shown(shop: &Shop) {
    let moment = |text: &str| DateTime::parse_from_rfc3339(text).unwrap().to_utc();
    let full = SeedCoupon {
        code: "FULL".parse().unwrap(),
        name: "블랙 프라이데이".to_owned(),
        discount: Discount::Percent("12.5".parse().unwrap()),
        min_order_amount: "20000".parse().unwrap(),
        max_discount: Some("10000.50".parse().unwrap()),
        claim_starts_at: moment("2026-01-01T00:00:00Z"),
        claim_ends_at: moment("2999-01-01T00:00:00Z"),
        valid_until: Some(moment("2999-12-31T23:59:59Z")),
        valid_days: Some(30),
        total_quantity: 7,
    };
    let store = store(&shop.database.url).await;
    store.seed(&SeedPlan { coupons: vec![full], ..SeedPlan::default() }, &|_| {}).await.expect("seeds");
    store.close().await;
    let full = Answer::of(shop.get("/api/v1/coupons/FULL")).await.expect(200);
    let id = &full.body["couponId"];
    assert_eq!(
        full.text,
        format!(
            r#"{{"couponId":{id},"code":"FULL","name":"블랙 프라이데이","type":"PERCENT","value":12.50,"minOrderAmount":20000.00,"maxDiscount":10000.50,"claimStartsAt":"2026-01-01T00:00:00Z","claimEndsAt":"2999-01-01T00:00:00Z","validUntil":"2999-12-31T23:59:59Z","validDays":30,"totalQuantity":7,"remaining":7,"status":"OPEN"}}"#
        )
    );
}

async fn what_remains_counts_down_until_it_is_sold_out(shop: &Shop) {
    let seen = async |code: &str| {
        let one = Answer::of(shop.get(&format!("{OFFERS}/{code}"))).await.expect(200).body;
        (one["totalQuantity"].clone(), one["remaining"].clone(), one["status"].clone())
    };
    for user in [1, 2] {
        Answer::of(shop.claim(user, "WELCOME10")).await.expect(200);
    }
    Answer::of(shop.claim(1, "WELCOME10")).await.expect(409);
    assert_eq!(seen("WELCOME10").await, (json!(100), json!(98), json!("OPEN")));
    Answer::of(shop.claim(1, "FLASH5000")).await.expect(200);
    Answer::of(shop.claim(2, "FLASH5000")).await.expect(409);
    assert_eq!(seen("FLASH5000").await, (json!(1), json!(0), json!("SOLD_OUT")));
    let all = Answer::of(shop.get(OFFERS)).await.expect(200);
    assert_eq!(codes(&all, "content"), ["WELCOME10", "FLASH5000", "LATER"]);
    assert!(all.text.contains(r#""totalQuantity":1,"remaining":0,"status":"SOLD_OUT""#), "{}", all.text);
}

async fn coupons_are_listed_by_status(shop: &Shop) {
    for code in ["WELCOME10", "FLASH5000"] {
        Answer::of(shop.claim(1, code)).await.expect(200);
    }
    let order = json!({"items": items(&[(SHIRT, 1)]), "couponCode": "WELCOME10"});
    Answer::of(shop.post(1, "/api/v1/orders", &order)).await.expect(201);
    let of = async |user: i64, query: &str| {
        let coupons = shop.get(&format!("/api/v1/users/{user}/coupons{query}")).header("X-User-Id", user);
        codes(&Answer::of(coupons).await.expect(200), "coupons")
    };
    assert_eq!(of(1, "").await, ["WELCOME10", "FLASH5000"]);
    assert_eq!(of(1, "?status=CLAIMED").await, ["FLASH5000"]);
    assert_eq!(of(1, "?status=USED").await, ["WELCOME10"]);
    for (user, query) in [(1, "?status=EXPIRED"), (2, ""), (2, "?status=USED")] {
        assert!(of(user, query).await.is_empty(), "{query} of {user}");
    }
}

async fn what_happened_to_coupons_is_told_latest_first(shop: &Shop) {
    Answer::of(shop.claim(2, "WELCOME10")).await.expect(200);
    for code in ["WELCOME10", "FLASH5000"] {
        Answer::of(shop.claim(1, code)).await.expect(200);
    }
    let order = json!({"items": items(&[(SHIRT, 1)]), "couponCode": "WELCOME10"});
    let order = Answer::of(shop.post(1, "/api/v1/orders", &order)).await.expect(201);
    let history = Answer::of(shop.mine(HISTORY)).await.expect(200);
    let [used, issued, first] = &history.body["content"].as_array().unwrap()[..] else {
        panic!("{}", history.text)
    };
    let line = |line: &Value, code: &str, action: &str, order: &Value| {
        let (id, coupon, at) = (&line["id"], &line["couponId"], &line["createdAt"]);
        format!(
            r#"{{"id":{id},"couponId":{coupon},"code":"{code}","action":"{action}","orderId":{order},"createdAt":{at}}}"#
        )
    };
    let lines = [
        line(used, "WELCOME10", "USED", &order.body["orderId"]),
        line(issued, "FLASH5000", "ISSUED", &Value::Null),
        line(first, "WELCOME10", "ISSUED", &Value::Null),
    ];
    let expected = lines.join(",");
    assert_eq!(
        history.text,
        format!(r#"{{"content":[{expected}],"page":0,"size":20,"totalElements":3,"totalPages":1}}"#)
    );
    let second = Answer::of(shop.mine(&format!("{HISTORY}?page=1&size=2"))).await.expect(200);
    assert_eq!(second.body["content"], json!([first]));
    assert_eq!((&second.body["totalElements"], &second.body["totalPages"]), (&json!(3), &json!(2)));
}

async fn the_history_is_seen_by_its_customer_and_administrators(shop: &Shop) {
    Answer::of(shop.claim(1, "WELCOME10")).await.expect(200);
    let by = async |user: i64, path: &str| Answer::of(shop.get(path).header("X-User-Id", user)).await;
    assert_refused(&by(2, HISTORY).await, 403, "FORBIDDEN", &[]);
    assert_refused(&by(2, "/api/v1/users/77/coupons/history").await, 403, "FORBIDDEN", &[]);
    assert_refused(&by(77, "/api/v1/users/77/coupons/history").await, 404, "NOT_FOUND", &[]);
    assert_eq!(by(2, "/api/v1/users/2/coupons/history").await.expect(200).body["totalElements"], 0);
    let administrator = |path: &str| shop.get(path).header("X-User-Id", 2).header("X-User-Role", "ADMIN");
    assert_eq!(Answer::of(administrator(HISTORY)).await.expect(200).body["totalElements"], 1);
    for path in ["/api/v1/users/77/coupons/history", "/api/v1/users/77/coupons?status=USED"] {
        assert_refused(&Answer::of(administrator(path)).await, 404, "NOT_FOUND", &[]);
    }
    assert_refused(&Answer::of(shop.get(HISTORY)).await, 401, "UNAUTHORIZED", &["X-User-Id"]);
}

async fn codes_that_no_coupon_has(shop: &Shop) {
    let longest = "X".repeat(65);
    for code in ["NOSUCH", "%EC%BF%A0%ED%8F%B0", "%FF", "a%20b", "%27%3B--", "%00", "%2F", &longest] {
        let answer = Answer::of(shop.get(&format!("{OFFERS}/{code}"))).await;
        assert_refused(&answer, 404, "NOT_FOUND", &[]);
        assert_eq!(answer.body["message"], "존재하지 않는 쿠폰입니다.", "{code}");
    }
    let english = shop.get("/api/v1/coupons/NOSUCH").header("Accept-Language", "en");
    assert_eq!(Answer::of(english).await.body["message"], "There is no such coupon.");
}

async fn pages_and_statuses_that_do_not_exist(shop: &Shop) {
    let refused = async |path: String, field: &str| {
        assert_refused(&Answer::of(shop.mine(&path)).await, 400, "VALIDATION_ERROR", &[field]);
    };
    for path in [OFFERS, HISTORY] {
        for value in ["-1", "x", "", "1.0", "99999999999999999999"] {
            refused(format!("{path}?page={value}"), "page").await;
        }
        for value in ["0", "101", "-1", ""] {
            refused(format!("{path}?size={value}"), "size").await;
        }
        refused(format!("{path}?page=0&page=1"), "page").await;
        refused(format!("{path}?sort=code"), "sort").await;
    }
    for value in ["claimed", "ISSUED", "LOST", "", "CLAIMED,USED"] {
        refused(format!("/api/v1/users/1/coupons?status={value}"), "status").await;
    }
    refused("/api/v1/users/1/coupons?status=USED&status=USED".to_owned(), "status").await;
    refused("/api/v1/users/1/coupons?page=0".to_owned(), "page").await;
    for value in ["0", "51", "-1", "ten", ""] {
        refused(format!("/api/v1/stats/best-sellers?limit={value}"), "limit").await;
    }
    refused("/api/v1/stats/best-sellers?days=3".to_owned(), "days").await;
    for id in ["abc", "0", "-1", "9223372036854775808"] {
        refused(format!("/api/v1/users/{id}/coupons/history"), "userId").await;
    }
}

async fn reads_answer_to_head_without_a_body(shop: &Shop) {
    for path in [OFFERS, "/api/v1/coupons/OVER", HISTORY, "/api/v1/stats/best-sellers"] {
        let head = Answer::of(shop.request(Method::HEAD, path).header("X-User-Id", 1)).await.expect(200);
        let get = Answer::of(shop.mine(path)).await.expect(200);
        assert_eq!((head.text.as_str(), head.header("content-type")), ("", get.header("content-type")));
        let other = Answer::of(shop.request(Method::DELETE, path).header("X-User-Id", 1)).await;
        assert_refused(&other, 405, "METHOD_NOT_ALLOWED", &[]);
        assert_eq!(other.header("allow"), Some("GET, HEAD"), "{path}");
    }
    let unknown = shop.request(Method::HEAD, "/api/v1/coupons/NOSUCH");
    assert_eq!(Answer::of(unknown).await.expect(404).text, "");
}

async fn best_sellers_are_those_that_sold_most(shop: &Shop) {
    let none = Answer::of(shop.get("/api/v1/stats/best-sellers")).await.expect(200);
    assert_eq!((&none.body["limit"], &none.body["products"]), (&json!(10), &json!([])));
    Answer::of(shop.order(1, &[(SHIRT, 2), (SOCKS, 2)])).await.expect(201);
    Answer::of(shop.order(1, &[(SOLD_OUT, 1)])).await.expect(409);
    let best = Answer::of(shop.get("/api/v1/stats/best-sellers?limit=50")).await.expect(200);
    let at = &best.body["generatedAt"];
    assert_eq!(
        best.text,
        format!(
            r#"{{"limit":50,"products":[{{"productId":1,"name":"유기농 면 티셔츠","price":19900.00,"soldQty":2}},{{"productId":2,"name":"양말","price":5000.50,"soldQty":2}}],"generatedAt":{at}}}"#
        )
    );
    Answer::of(shop.order(1, &[(SOCKS, 1)])).await.expect(201);
    let first = Answer::of(shop.get("/api/v1/stats/best-sellers?limit=1")).await.expect(200);
    assert_eq!(
        first.body["products"],
        json!([{"productId": 2, "name": "양말", "price": 5000.5, "soldQty": 3}])
    );
}
