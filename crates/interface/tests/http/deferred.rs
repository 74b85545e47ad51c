//! Orders that are paid later, and their payments.

use std::time::Duration;

use futures::future::{join_all, join3};
use jangteo::Settings;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::support::{Answer, SHIRT, SOCKS, Shop, assert_refused, items, on_both_databases};

on_both_databases! {
    an_order_is_held_and_paid
    a_payment_that_fails_is_noted_and_may_be_tried_again
    what_was_held_is_given_back_when_it_is_cancelled
    only_the_customer_and_administrators_pay_and_see_the_payment
    terms_variants_and_ids_that_are_none
    a_retry_gets_the_same_answer
    many_who_pay_an_order_pay_it_once
    an_order_is_paid_and_cancelled_at_the_same_time
}

fn deferred(shop: &Shop, user: i64, lines: &[(i64, i64)]) -> RequestBuilder {
    shop.post(user, "/api/v1/orders", &json!({"items": items(lines), "payment": "DEFERRED"}))
}

async fn waiting(shop: &Shop, user: i64, lines: &[(i64, i64)]) -> Value {
    Answer::of(deferred(shop, user, lines)).await.expect(201).body["orderId"].take()
}

fn pay(shop: &Shop, user: i64, order: &Value) -> RequestBuilder {
    shop.request(Method::POST, &format!("/api/v1/orders/{order}/pay")).header("X-User-Id", user)
}

async fn payment(shop: &Shop, user: i64, order: &Value) -> Answer {
    Answer::of(shop.get(&format!("/api/v1/orders/{order}/payment")).header("X-User-Id", user)).await
}

async fn an_order_is_held_and_paid(shop: &Shop) {
    let placed = Answer::of(deferred(shop, 1, &[(SHIRT, 2)])).await.expect(201);
    assert_eq!(placed.body["status"], "PENDING");
    assert!(placed.body["heldUntil"].is_string() && placed.body["paidAt"].is_null());
    let order = &placed.body["orderId"];
    assert_eq!(placed.header("location").unwrap(), format!("/api/v1/orders/{order}"));
    assert_eq!((shop.stock(SHIRT).await, shop.balance(1).await), (json!(8), json!(100_000.0)));
    let listed = Answer::of(shop.mine("/api/v1/orders?status=PENDING")).await;
    assert_eq!(listed.body["content"][0]["heldUntil"], placed.body["heldUntil"]);
    let paid = Answer::of(pay(shop, 1, order)).await.expect(200);
    assert_eq!((&paid.body["status"], &paid.body["userPointBalance"]), (&json!("PAID"), &json!(60_200.0)));
    assert!(paid.body["heldUntil"].is_null() && paid.body["paidAt"].is_string());
    let payment = payment(shop, 1, order).await.expect(200);
    let step = &payment.body["history"][0];
    assert_eq!(
        (&step["from"], &step["to"], &step["reason"]),
        (&json!("PENDING"), &json!("COMPLETED"), &Value::Null)
    );
    assert_eq!((&payment.body["method"], &payment.body["amount"]), (&json!("POINT"), &json!(39_800.0)));
    assert_refused(&Answer::of(pay(shop, 1, order)).await, 409, "CONFLICT", &["status"]);
    Answer::of(shop.administer(order, "ship")).await.expect(200);
}

async fn a_payment_that_fails_is_noted_and_may_be_tried_again(shop: &Shop) {
    let order = waiting(shop, 3, &[(SOCKS, 1)]).await;
    let refused = Answer::of(pay(shop, 3, &order)).await;
    assert_refused(&refused, 409, "INSUFFICIENT_BALANCE", &["paidAmount"]);
    assert_eq!(refused.body["details"][0]["required"], 5_000.5);
    let failed = payment(shop, 3, &order).await.expect(200);
    assert_eq!(
        (&failed.body["status"], &failed.body["failureReason"]),
        (&json!("FAILED"), &json!("INSUFFICIENT_BALANCE"))
    );
    let seen = Answer::of(shop.get(&format!("/api/v1/orders/{order}")).header("X-User-Id", 3)).await;
    assert_eq!(seen.body["status"], "PENDING");
    Answer::of(shop.post(3, "/api/v1/wallets/charge", &json!({"amount": 6000}))).await.expect(200);
    Answer::of(pay(shop, 3, &order)).await.expect(200);
    let paid = payment(shop, 3, &order).await.expect(200);
    assert_eq!((&paid.body["status"], &paid.body["failureReason"]), (&json!("COMPLETED"), &Value::Null));
    assert_eq!(paid.body["history"].as_array().unwrap().len(), 2);
}

async fn what_was_held_is_given_back_when_it_is_cancelled(shop: &Shop) {
    Answer::of(shop.claim(1, "WELCOME10")).await.expect(200);
    let body = json!({"items": items(&[(SHIRT, 10)]), "couponCode": "WELCOME10", "payment": "DEFERRED"});
    let dear = Answer::of(shop.post(1, "/api/v1/orders", &body)).await.expect(201);
    assert_eq!(dear.body["discountAmount"], 19_900.0, "more than the balance may wait");
    assert_refused(&Answer::of(shop.order(2, &[(SHIRT, 1)])).await, 409, "OUT_OF_STOCK", &["items[0].qty"]);
    let used = Answer::of(shop.mine("/api/v1/users/1/coupons")).await;
    assert_eq!(used.body["coupons"][0]["status"], "USED");
    let cancelled = Answer::of(shop.cancel(1, &dear.body["orderId"])).await.expect(200);
    assert_eq!(
        (&cancelled.body["status"], &cancelled.body["userPointBalance"]),
        (&json!("CANCELLED"), &json!(100_000.0))
    );
    Answer::of(shop.order(2, &[(SHIRT, 1)])).await.expect(201);
    let back = Answer::of(shop.mine("/api/v1/users/1/coupons")).await;
    assert_eq!(back.body["coupons"][0]["status"], "CLAIMED");
    let failed = payment(shop, 1, &dear.body["orderId"]).await.expect(200);
    assert_eq!(failed.body["failureReason"], "ORDER_CANCELLED");
    assert_refused(&Answer::of(pay(shop, 1, &dear.body["orderId"])).await, 409, "CONFLICT", &["status"]);
}

async fn only_the_customer_and_administrators_pay_and_see_the_payment(shop: &Shop) {
    let order = waiting(shop, 1, &[(SOCKS, 1)]).await;
    let before = shop.books().await;
    assert_refused(&Answer::of(pay(shop, 2, &order)).await, 404, "NOT_FOUND", &[]);
    assert_refused(&payment(shop, 2, &order).await, 404, "NOT_FOUND", &[]);
    assert_refused(&Answer::of(pay(shop, 1, &json!(987_654))).await, 404, "NOT_FOUND", &[]);
    assert_refused(&Answer::of(pay(shop, 1, &json!("x"))).await, 400, "VALIDATION_ERROR", &["id"]);
    let nobody = shop.request(Method::POST, &format!("/api/v1/orders/{order}/pay"));
    assert_refused(&Answer::of(nobody).await, 401, "UNAUTHORIZED", &["X-User-Id"]);
    assert_eq!(shop.books().await, before);
    Answer::of(pay(shop, 900, &order).header("X-User-Role", "ADMIN")).await.expect(200);
    assert_eq!(shop.balance(1).await, 94_999.5, "the customer's wallet pays");
    let trail = Answer::of(shop.managed("/api/v1/admin/changes?subject=order")).await.expect(200);
    let entry = &trail.body["content"][0];
    assert_eq!((&entry["action"], &entry["id"]), (&json!("pay-order"), &order), "{entry}");
    assert_eq!((&entry["before"]["status"], &entry["after"]["status"]), (&json!("PENDING"), &json!("PAID")));
}

async fn terms_variants_and_ids_that_are_none(shop: &Shop) {
    let before = shop.books().await;
    let one = |line: Value, payment: Value| json!({"items": [line], "payment": payment});
    let line = || json!({"productId": SHIRT, "qty": 1});
    for payment in [json!("LATER"), json!("deferred"), json!(""), json!(5)] {
        let answer = Answer::of(shop.post(1, "/api/v1/orders", &one(line(), payment))).await;
        assert_refused(&answer, 400, "VALIDATION_ERROR", &["payment"]);
    }
    for variant in [json!(0), json!(-1), json!(1.5), json!("1"), json!(9_223_372_036_854_775_807_u64 as f64)]
    {
        let line = json!({"productId": SHIRT, "variantId": variant, "qty": 1});
        let answer = Answer::of(shop.post(1, "/api/v1/orders", &one(line, json!("DEFERRED")))).await;
        assert_refused(&answer, 400, "VALIDATION_ERROR", &["items[0].variantId"]);
    }
    let of_none = json!({"productId": SHIRT, "variantId": 7, "qty": 1});
    let answer = Answer::of(shop.post(1, "/api/v1/orders", &one(of_none, json!("IMMEDIATE")))).await;
    assert_refused(&answer, 404, "NOT_FOUND", &["items[0].variantId"]);
    let detail = &answer.body["details"][0];
    assert_eq!((&detail["code"], &detail["variantId"]), (&json!("UNKNOWN_VARIANT"), &json!(7)));
    assert_refused(
        &Answer::of(deferred(shop, 1, &[(SHIRT, 11)])).await,
        409,
        "OUT_OF_STOCK",
        &["items[0].qty"],
    );
    assert_eq!(shop.books().await, before);
}

async fn a_retry_gets_the_same_answer(shop: &Shop) {
    let keyed = |request: RequestBuilder| request.header("Idempotency-Key", "k");
    let first = Answer::of(keyed(deferred(shop, 1, &[(SOCKS, 1)]))).await.expect(201);
    let again = Answer::of(keyed(deferred(shop, 1, &[(SOCKS, 1)]))).await.expect(201);
    assert_eq!((&again.text, again.header("idempotency-replayed")), (&first.text, Some("true")));
    let at_once = Answer::of(keyed(shop.order(1, &[(SOCKS, 1)]))).await;
    assert_refused(&at_once, 409, "CONFLICT", &[]);
    let order = &first.body["orderId"];
    let paid = Answer::of(keyed(pay(shop, 1, order))).await.expect(200);
    let again = Answer::of(keyed(pay(shop, 1, order))).await.expect(200);
    assert_eq!((&again.text, again.header("idempotency-replayed")), (&paid.text, Some("true")));
}

async fn many_who_pay_an_order_pay_it_once(shop: &Shop) {
    let order = waiting(shop, 1, &[(SHIRT, 2)]).await;
    let answers = join_all((0..30).map(|_| Answer::of(pay(shop, 1, &order)))).await;
    let paid = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!((paid, answers.iter().filter(|answer| answer.status == 409).count()), (1, 29));
    assert_eq!(shop.balance(1).await, 60_200.0);
}

async fn an_order_is_paid_and_cancelled_at_the_same_time(shop: &Shop) {
    for _ in 0..10 {
        let order = waiting(shop, 1, &[(SHIRT, 1)]).await;
        let (paid, cancelled, again) = join3(
            Answer::of(pay(shop, 1, &order)),
            Answer::of(shop.cancel(1, &order)),
            Answer::of(shop.cancel(1, &order)),
        )
        .await;
        // Whoever pays first is refunded by whoever cancels then.
        let cancels = [&cancelled, &again].into_iter().filter(|answer| answer.status == 200).count();
        assert_eq!(cancels, 1, "{} {}", cancelled.text, again.text);
        assert!(paid.status == 200 || paid.status == 409, "{}", paid.text);
        assert_eq!((shop.balance(1).await, shop.stock(SHIRT).await), (json!(100_000.0), json!(10)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_paid_in_time_is_given_back() {
    let soon = |settings: &mut Settings| {
        settings.order_hold_ms = 300.try_into().unwrap();
        settings.job_interval_ms = 400.try_into().unwrap();
    };
    let shop = Shop::open_with(jangteo_testkit::sqlite().await, soon).await;
    let order = waiting(&shop, 1, &[(SHIRT, 1)]).await;
    sleep(Duration::from_millis(320)).await;
    // Nobody does the jobs yet.
    let late = Answer::of(pay(&shop, 1, &order)).await;
    assert_refused(&late, 409, "CONFLICT", &["heldUntil"]);
    assert_eq!(late.body["details"][0]["code"], "HOLD_ENDED");
    let worker = shop.instance_with_worker().await;
    let path = format!("/api/v1/orders/{order}");
    let given_back = async {
        while Answer::of(shop.mine(&path)).await.body["status"] != "CANCELLED" {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(20), given_back).await.expect("it expires");
    assert_eq!(shop.stock(SHIRT).await, 10);
    worker.end().await;
    shop.close().await;
}
