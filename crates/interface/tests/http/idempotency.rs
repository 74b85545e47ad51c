use reqwest::{Method, RequestBuilder};
use serde_json::json;

use crate::support::{Answer, SHIRT, SOCKS, Shop, assert_refused, on_both_databases};

on_both_databases! {
    a_retry_gets_the_same_answer_and_nothing_happens_twice
    a_refusal_is_replayed_too
    a_key_belongs_to_one_request
    a_key_belongs_to_one_user_and_one_operation
    a_malformed_key_is_refused
    an_invalid_request_does_not_use_up_its_key
    simultaneous_retries_get_one_answer
}

fn keyed(request: RequestBuilder, key: &str) -> RequestBuilder {
    request.header("Idempotency-Key", key)
}

async fn a_retry_gets_the_same_answer_and_nothing_happens_twice(shop: &Shop) {
    let mina = json!({"name": "Mina", "email": "mina@example.com"});
    let requests = || {
        [
            shop.order(1, &[(SHIRT, 1), (SOCKS, 1)]),
            shop.post(1, "/api/v1/wallets/charge", &json!({"amount": "500.50"})),
            shop.claim(1, "WELCOME10"),
            shop.request(Method::POST, "/api/v1/users").json(&mina),
        ]
    };
    for (first, retry) in requests().into_iter().zip(requests()) {
        let first = Answer::of(keyed(first, "key-1")).await;
        assert!(
            first.status.is_success() && first.header("idempotency-replayed").is_none(),
            "{}",
            first.text
        );
        let before = shop.books().await;
        // The quoted form of the header is the same key.
        let replayed = Answer::of(keyed(retry, "\"key-1\"")).await;
        assert_eq!((replayed.status, &replayed.text), (first.status, &first.text));
        assert_eq!(replayed.header("idempotency-replayed"), Some("true"));
        assert_eq!(replayed.header("location"), first.header("location"));
        assert_eq!(shop.books().await, before);
    }
}

async fn a_refusal_is_replayed_too(shop: &Shop) {
    let order = || keyed(shop.order(3, &[(SOCKS, 1)]), "refused");
    let refused = Answer::of(order()).await;
    assert_refused(&refused, 409, "INSUFFICIENT_BALANCE", &["items"]);
    Answer::of(shop.post(3, "/api/v1/wallets/charge", &json!({"amount": 10000}))).await.expect(200);
    let replayed = Answer::of(order()).await;
    assert_refused(&replayed, 409, "INSUFFICIENT_BALANCE", &["items"]);
    assert_eq!(replayed.header("idempotency-replayed"), Some("true"));
    assert_eq!(replayed.body["details"], refused.body["details"]);
    Answer::of(keyed(shop.order(3, &[(SOCKS, 1)]), "another")).await.expect(201);
}

async fn a_key_belongs_to_one_request(shop: &Shop) {
    Answer::of(keyed(shop.order(1, &[(SOCKS, 1)]), "mine")).await.expect(201);
    let before = shop.books().await;
    let other = Answer::of(keyed(shop.order(1, &[(SOCKS, 2)]), "mine")).await;
    assert_refused(&other, 409, "CONFLICT", &[]);
    assert_eq!(shop.books().await, before);
    // The same request, spelled otherwise.
    let same = r#"{ "couponCode": null, "items": [ { "qty": 1, "productId": 2 } ] }"#;
    let same = Answer::of(keyed(shop.post_text("/api/v1/orders", same), "mine")).await.expect(201);
    assert_eq!(same.header("idempotency-replayed"), Some("true"));
}

async fn a_key_belongs_to_one_user_and_one_operation(shop: &Shop) {
    let charge = |user| keyed(shop.post(user, "/api/v1/wallets/charge", &json!({"amount": 1})), "shared");
    for user in [1, 2] {
        let charged = Answer::of(charge(user)).await.expect(200);
        assert!(charged.header("idempotency-replayed").is_none());
    }
    let order = Answer::of(keyed(shop.order(1, &[(SOCKS, 1)]), "shared")).await.expect(201);
    assert!(order.header("idempotency-replayed").is_none());
}

async fn a_malformed_key_is_refused(shop: &Shop) {
    let before = shop.books().await;
    let longest = "x".repeat(256);
    let keys = [b"".as_slice(), b"\"\"", b"a b", "키".as_bytes(), longest.as_bytes()];
    for key in keys {
        let paths =
            ["/api/v1/orders", "/api/v1/wallets/charge", "/api/v1/coupons/WELCOME10/claim", "/api/v1/users"];
        for path in paths {
            let request = shop.post_text(path, "{}").header("Idempotency-Key", key);
            let refused = Answer::of(request).await;
            assert_refused(&refused, 400, "VALIDATION_ERROR", &["Idempotency-Key"]);
        }
    }
    let twice = keyed(keyed(shop.order(1, &[(SOCKS, 1)]), "a"), "b");
    assert_refused(&Answer::of(twice).await, 400, "VALIDATION_ERROR", &["Idempotency-Key"]);
    assert_eq!(shop.books().await, before);
    let longest_allowed = "x".repeat(255);
    Answer::of(keyed(shop.order(1, &[(SOCKS, 1)]), &longest_allowed)).await.expect(201);
}

async fn an_invalid_request_does_not_use_up_its_key(shop: &Shop) {
    let invalid = Answer::of(keyed(shop.order(1, &[(SOCKS, 0)]), "once")).await;
    assert_refused(&invalid, 400, "VALIDATION_ERROR", &["items[0].qty"]);
    Answer::of(keyed(shop.order(1, &[(SOCKS, 1)]), "once")).await.expect(201);
    let charge = |amount| keyed(shop.post(1, "/api/v1/wallets/charge", &json!({"amount": amount})), "once");
    assert_refused(&Answer::of(charge("0.99")).await, 400, "VALIDATION_ERROR", &["amount"]);
    Answer::of(charge("1.00")).await.expect(200);
}

async fn simultaneous_retries_get_one_answer(shop: &Shop) {
    let order = || Answer::of(keyed(shop.order(1, &[(SOCKS, 1)]), "at-once"));
    let answers = futures::future::join_all((0..16).map(|_| order())).await;
    let first = &answers[0];
    assert!(answers.iter().all(|answer| answer.status == 201 && answer.text == first.text));
    let replayed = answers.iter().filter(|answer| answer.header("idempotency-replayed").is_some()).count();
    assert_eq!(replayed, 15);
    assert_eq!(shop.stock(SOCKS).await, 4);
}
