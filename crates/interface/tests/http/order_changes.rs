use futures::future::{join, join_all};
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::support::{Answer, SHIRT, SOCKS, Shop, assert_refused, items, on_both_databases};

on_both_databases! {
    a_cancelled_order_gives_everything_back
    an_order_is_shipped_and_delivered
    an_order_that_cannot_change_is_refused_with_its_state
    only_the_customer_and_administrators_cancel
    only_administrators_ship_and_deliver
    reasons_that_are_none
    a_retry_gets_the_same_answer
    many_who_cancel_an_order_refund_it_once
    an_order_is_shipped_or_cancelled_and_never_both
    an_order_is_cancelled_while_the_last_pieces_are_sold
}

async fn placed(shop: &Shop, user: i64, lines: &[(i64, i64)]) -> Value {
    Answer::of(shop.order(user, lines)).await.expect(201).body["orderId"].take()
}

fn keyed(request: RequestBuilder, key: &str) -> RequestBuilder {
    request.header("Idempotency-Key", key)
}

/// Refused for where it stands.
#[track_caller]
fn assert_stands(answer: &Answer, status: &str) {
    assert_refused(answer, 409, "CONFLICT", &["status"]);
    assert_eq!(answer.body["details"][0]["code"], "ORDER_STATUS");
    for text in [&answer.body["message"], &answer.body["details"][0]["reason"]] {
        assert!(text.as_str().unwrap().contains(status), "{text}");
    }
}

async fn a_cancelled_order_gives_everything_back(shop: &Shop) {
    Answer::of(shop.claim(1, "WELCOME10")).await.expect(200);
    let order = json!({"items": items(&[(SHIRT, 3), (SOCKS, 1)]), "couponCode": "WELCOME10"});
    let paid = Answer::of(shop.post(1, "/api/v1/orders", &order)).await.expect(201);
    let because = json!({"reason": "마음이 바뀌었어요"});
    let path = format!("/api/v1/orders/{}/cancel", paid.body["orderId"]);
    let cancelled = Answer::of(shop.post(1, &path, &because)).await.expect(200);
    let expected = paid.text.replace(r#""status":"PAID""#, r#""status":"CANCELLED""#);
    let balance = format!(r#""userPointBalance":{:.2}"#, paid.body["userPointBalance"].as_f64().unwrap());
    assert_eq!(cancelled.text, expected.replace(&balance, r#""userPointBalance":100000.00"#));

    assert_eq!(shop.balance(1).await, 100_000.0);
    assert_eq!((shop.stock(SHIRT).await, shop.stock(SOCKS).await), (json!(10), json!(5)));
    let ledger = Answer::of(shop.mine("/api/v1/wallets/ledger")).await.body["content"][0].take();
    assert_eq!((&ledger["kind"], &ledger["orderId"]), (&json!("REFUND"), &paid.body["orderId"]));
    let coupons = Answer::of(shop.mine("/api/v1/users/1/coupons")).await;
    assert_eq!(coupons.body["coupons"][0]["status"], "CLAIMED");
    let popular = Answer::of(shop.get("/api/v1/stats/popular-products")).await;
    assert_eq!(popular.body["products"], json!([]));
    let listed = Answer::of(shop.mine("/api/v1/orders?status=CANCELLED")).await;
    assert_eq!(listed.body["content"][0]["orderId"], paid.body["orderId"]);
    // The coupon can be used again.
    Answer::of(shop.post(1, "/api/v1/orders", &order)).await.expect(201);
}

async fn an_order_is_shipped_and_delivered(shop: &Shop) {
    let order = placed(shop, 1, &[(SHIRT, 1)]).await;
    for (change, status) in [("ship", "SHIPPING"), ("deliver", "DELIVERED")] {
        let changed = Answer::of(shop.administer(&order, change)).await.expect(200);
        assert_eq!(changed.body["status"], status);
        assert!(changed.body["userPointBalance"].is_null());
        let seen = Answer::of(shop.mine(&format!("/api/v1/orders/{order}"))).await.expect(200);
        assert_eq!(seen.text, changed.text);
    }
}

async fn an_order_that_cannot_change_is_refused_with_its_state(shop: &Shop) {
    let order = placed(shop, 1, &[(SHIRT, 1)]).await;
    assert_stands(&Answer::of(shop.administer(&order, "deliver")).await, "PAID");
    Answer::of(shop.administer(&order, "ship")).await.expect(200);
    let before = shop.books().await;
    assert_stands(&Answer::of(shop.administer(&order, "ship")).await, "SHIPPING");
    assert_stands(&Answer::of(shop.cancel(1, &order)).await, "SHIPPING");
    assert_eq!(shop.books().await, before);
    Answer::of(shop.administer(&order, "deliver")).await.expect(200);
    assert_stands(&Answer::of(shop.administer(&order, "deliver")).await, "DELIVERED");
    assert_stands(&Answer::of(shop.cancel(1, &order)).await, "DELIVERED");

    let order = placed(shop, 1, &[(SHIRT, 1)]).await;
    Answer::of(shop.cancel(1, &order)).await.expect(200);
    let before = shop.books().await;
    assert_stands(&Answer::of(shop.cancel(1, &order)).await, "CANCELLED");
    assert_stands(&Answer::of(shop.administer(&order, "ship")).await, "CANCELLED");
    let english = Answer::of(shop.cancel(1, &order).header("Accept-Language", "en")).await;
    assert_eq!(english.body["message"], "The order is CANCELLED, which does not allow this.");
    assert_eq!(shop.books().await, before);
}

async fn only_the_customer_and_administrators_cancel(shop: &Shop) {
    let order = placed(shop, 1, &[(SOCKS, 1)]).await;
    let before = shop.books().await;
    assert_refused(&Answer::of(shop.cancel(2, &order)).await, 404, "NOT_FOUND", &[]);
    assert_refused(&Answer::of(shop.cancel(900, &order)).await, 404, "NOT_FOUND", &[]);
    assert_refused(&Answer::of(shop.cancel(1, &json!(987_654))).await, 404, "NOT_FOUND", &[]);
    let nobody = shop.request(reqwest::Method::POST, &format!("/api/v1/orders/{order}/cancel"));
    assert_refused(&Answer::of(nobody).await, 401, "UNAUTHORIZED", &["X-User-Id"]);
    assert_refused(&Answer::of(shop.cancel(1, &json!("x"))).await, 400, "VALIDATION_ERROR", &["id"]);
    assert_eq!(shop.books().await, before);
    // An administrator who is not even a customer.
    let cancelled = Answer::of(shop.cancel(900, &order).header("X-User-Role", "ADMIN")).await.expect(200);
    assert!(cancelled.text.contains(r#""userPointBalance":100000.00"#), "{}", cancelled.text);
}

async fn only_administrators_ship_and_deliver(shop: &Shop) {
    let order = placed(shop, 1, &[(SOCKS, 1)]).await;
    for change in ["ship", "deliver"] {
        let path = format!("/api/v1/admin/orders/{order}/{change}");
        let mine = shop.request(reqwest::Method::POST, &path).header("X-User-Id", 1);
        assert_refused(&Answer::of(mine).await, 403, "FORBIDDEN", &[]);
        let nobody = shop.request(reqwest::Method::POST, &path);
        assert_refused(&Answer::of(nobody).await, 401, "UNAUTHORIZED", &["X-User-Id"]);
        assert_refused(&Answer::of(shop.administer(&json!(987_654), change)).await, 404, "NOT_FOUND", &[]);
        assert_refused(
            &Answer::of(shop.administer(&json!(0), change)).await,
            400,
            "VALIDATION_ERROR",
            &["id"],
        );
    }
    let seen = Answer::of(shop.mine(&format!("/api/v1/orders/{order}"))).await;
    assert_eq!(seen.body["status"], "PAID");
}

async fn reasons_that_are_none(shop: &Shop) {
    let order = placed(shop, 1, &[(SOCKS, 1)]).await;
    let before = shop.books().await;
    let path = format!("/api/v1/orders/{order}/cancel");
    for reason in [json!(""), json!("  "), json!("two\nlines"), json!("x".repeat(201))] {
        let refused = Answer::of(shop.post(1, &path, &json!({"reason": reason}))).await;
        assert_refused(&refused, 400, "VALIDATION_ERROR", &["reason"]);
        assert_eq!(refused.body["details"][0]["code"], "NOT_A_LINE");
    }
    for (text, field) in
        [(r#"{"reason":5}"#, "reason"), (r#"{"why":"x"}"#, "why"), ("[]", "body"), ("{", "body")]
    {
        assert_refused(&Answer::of(shop.post_text(&path, text)).await, 400, "VALIDATION_ERROR", &[field]);
    }
    let plain = shop.cancel(1, &order).body("reason").header("Content-Type", "text/plain");
    assert_refused(&Answer::of(plain).await, 415, "UNSUPPORTED_MEDIA_TYPE", &[]);
    let long = format!(r#"{{"reason":"{}"}}"#, "x".repeat(20_000));
    assert_refused(&Answer::of(shop.post_text(&path, long)).await, 413, "PAYLOAD_TOO_LARGE", &[]);
    assert_eq!(shop.books().await, before);
    // None is needed, and none is the same however it is said.
    for none in ["", "null", "{}", r#"{"reason":null}"#] {
        let cancelled = Answer::of(keyed(shop.post_text(&path, none), "none")).await.expect(200);
        assert_eq!(cancelled.body["status"], "CANCELLED");
    }
}

async fn a_retry_gets_the_same_answer(shop: &Shop) {
    let one = placed(shop, 1, &[(SHIRT, 1)]).await;
    let other = placed(shop, 1, &[(SHIRT, 1)]).await;
    let requests =
        || [shop.cancel(1, &one), shop.administer(&other, "ship"), shop.administer(&other, "deliver")];
    for (first, retry) in requests().into_iter().zip(requests()) {
        let first = Answer::of(keyed(first, "key")).await.expect(200);
        assert!(first.header("idempotency-replayed").is_none());
        let before = shop.books().await;
        let replayed = Answer::of(keyed(retry, "key")).await.expect(200);
        assert_eq!((&replayed.text, replayed.header("idempotency-replayed")), (&first.text, Some("true")));
        assert_eq!(shop.books().await, before);
    }
    let refused = Answer::of(keyed(shop.cancel(1, &other), "late")).await;
    assert_stands(&refused, "DELIVERED");
    let again = Answer::of(keyed(shop.cancel(1, &other), "late")).await;
    assert_stands(&again, "DELIVERED");
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    for another in [shop.cancel(1, &other), shop.administer(&one, "ship")] {
        assert_refused(&Answer::of(keyed(another, "key")).await, 409, "CONFLICT", &[]);
    }
}

async fn many_who_cancel_an_order_refund_it_once(shop: &Shop) {
    let order = placed(shop, 1, &[(SHIRT, 2), (SOCKS, 1)]).await;
    let by = |n: usize| match n % 2 {
        0 => shop.cancel(1, &order),
        _ => shop.cancel(900, &order).header("X-User-Role", "ADMIN"),
    };
    let answers = join_all((0..16).map(|n| Answer::of(by(n)))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    for refused in answers.iter().filter(|answer| answer.status != 200) {
        assert_stands(refused, "CANCELLED");
    }
    let retries = join_all((0..16).map(|_| Answer::of(keyed(shop.cancel(1, &order), "at-once")))).await;
    assert_eq!(retries.iter().filter(|answer| answer.header("idempotency-replayed").is_none()).count(), 1);
    assert_eq!(shop.balance(1).await, 100_000.0);
    assert_eq!((shop.stock(SHIRT).await, shop.stock(SOCKS).await), (json!(10), json!(5)));
}

async fn an_order_is_shipped_or_cancelled_and_never_both(shop: &Shop) {
    for _ in 0..5 {
        let order = placed(shop, 1, &[(SHIRT, 1)]).await;
        let (cancelled, shipped) =
            join(Answer::of(shop.cancel(1, &order)), Answer::of(shop.administer(&order, "ship"))).await;
        match cancelled.status.as_u16() {
            200 => assert_stands(&shipped, "CANCELLED"),
            _ => {
                assert_stands(&cancelled, "SHIPPING");
                assert_eq!(shipped.expect(200).body["status"], "SHIPPING");
            }
        }
    }
}

async fn an_order_is_cancelled_while_the_last_pieces_are_sold(shop: &Shop) {
    let order = placed(shop, 1, &[(SOCKS, 5)]).await;
    let buying = join_all((0..10).map(|_| Answer::of(shop.order(2, &[(SOCKS, 1)]))));
    let (cancelled, bought) = join(Answer::of(shop.cancel(1, &order)), buying).await;
    cancelled.expect(200);
    let sold = bought.iter().filter(|answer| answer.status == 201).count();
    assert!(sold <= 5 && bought.iter().all(|answer| [201, 409].contains(&answer.status.as_u16())));
    assert_eq!(shop.stock(SOCKS).await, json!(5 - sold));
}
