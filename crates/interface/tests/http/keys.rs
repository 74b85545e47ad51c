//! What became of requests whose answers were lost.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::{Answer, SHIRT, SOLD_OUT, Shop, assert_refused, on_both_databases};

on_both_databases! {
    a_key_tells_what_a_retry_would_get
    refusals_are_told_too
    a_key_tells_only_whom_it_belongs_to
    every_kind_of_request_has_its_answer
}

fn keyed(request: RequestBuilder, key: &str) -> RequestBuilder {
    request.header("Idempotency-Key", key)
}

fn asked(shop: &Shop, user: i64, key: &str) -> RequestBuilder {
    shop.get(&format!("/api/v1/idempotency-keys/{key}")).header("X-User-Id", user)
}

/// What was decided under the key: each operation with its status and body.
async fn decided(shop: &Shop, user: i64, key: &str) -> Vec<(String, u64, Value)> {
    let answer = Answer::of(asked(shop, user, key)).await.expect(200);
    let operations = answer.body["operations"].as_array().unwrap();
    let told = operations.iter().map(|told| {
        assert!(told["decidedAt"].as_str().is_some_and(|at| at.ends_with('Z')), "{}", answer.text);
        (
            told["operation"].as_str().unwrap().to_owned(),
            told["status"].as_u64().unwrap(),
            told["body"].clone(),
        )
    });
    told.collect()
}

async fn a_key_tells_what_a_retry_would_get(shop: &Shop) {
    let order = || keyed(shop.order(1, &[(SHIRT, 2)]), "lost/1%");
    let placed = Answer::of(order()).await.expect(201);
    let charge = || keyed(shop.post(1, "/api/v1/wallets/charge", &json!({"amount": "500.50"})), "lost/1%");
    let charged = Answer::of(charge()).await.expect(200);
    let told = Answer::of(asked(shop, 1, "lost%2F1%25")).await.expect(200);
    assert_eq!(told.body["key"], "lost/1%");
    // To the letter: money has its two decimals here, too.
    for body in [&placed.text, &charged.text] {
        assert!(told.text.contains(&format!(r#""body":{body}"#)), "{}", told.text);
    }
    let told: Vec<_> = decided(shop, 1, "lost%2F1%25").await;
    let expected = [("charge-wallet", 200, &charged.body), ("place-order", 201, &placed.body)];
    assert_eq!(told, expected.map(|(name, status, body)| (name.to_owned(), status, body.clone())));
    let retried = Answer::of(order()).await.expect(201);
    assert_eq!(retried.body, told[1].2);
}

async fn refusals_are_told_too(shop: &Shop) {
    let order = || keyed(shop.order(1, &[(SHIRT, 1), (SOLD_OUT, 3)]), "k").header("Accept-Language", "en");
    let refused = Answer::of(order()).await.expect(409);
    let told = Answer::of(asked(shop, 1, "k").header("Accept-Language", "en")).await.expect(200);
    let told = &told.body["operations"][0];
    assert_eq!((&told["operation"], &told["status"]), (&json!("place-order"), &json!(409)));
    for field in ["error", "message"] {
        assert_eq!(told["body"][field], refused.body[field]);
    }
    let (detail, original) = (&told["body"]["details"][0], &refused.body["details"][0]);
    assert_eq!((&detail["field"], &original["field"]), (&json!("items"), &json!("items[1].qty")));
    for figure in ["productId", "requested", "available", "reason"] {
        assert_eq!(detail[figure], original[figure]);
    }
}

async fn a_key_tells_only_whom_it_belongs_to(shop: &Shop) {
    Answer::of(keyed(shop.claim(1, "WELCOME10"), "mine")).await.expect(200);
    let mina = json!({"name": "Mina", "email": "mina@example.com"});
    let registered = keyed(shop.request(Method::POST, "/api/v1/users").json(&mina), "nobody's");
    Answer::of(registered).await.expect(201);
    for (user, key) in [(2, "mine"), (1, "another"), (1, "nobody's"), (77, "mine")] {
        assert_refused(&Answer::of(asked(shop, user, key)).await, 404, "NOT_FOUND", &[]);
    }
    let administrator = asked(shop, 900, "mine").header("X-User-Role", "ADMIN");
    assert_refused(&Answer::of(administrator).await, 404, "NOT_FOUND", &[]);
    for malformed in ["a%20b", "%ED%82%A4", &"x".repeat(256)] {
        assert_refused(&Answer::of(asked(shop, 1, malformed)).await, 400, "VALIDATION_ERROR", &["key"]);
    }
    let nobody = shop.get("/api/v1/idempotency-keys/mine");
    assert_refused(&Answer::of(nobody).await, 401, "UNAUTHORIZED", &["X-User-Id"]);
}

async fn every_kind_of_request_has_its_answer(shop: &Shop) {
    let order = Answer::of(shop.order(1, &[(SHIRT, 1)])).await.body["orderId"].take();
    let other = Answer::of(shop.order(1, &[(SHIRT, 1)])).await.body["orderId"].take();
    let managed = |method, path: &str| {
        shop.request(method, path).header("X-User-Id", 900).header("X-User-Role", "ADMIN")
    };
    let due = json!({"status": "DEAD"});
    let again = json!({"from": "2025-01-01T00:00:00Z", "to": "2025-01-02T00:00:00Z"});
    for (user, name, request) in [
        (1, "cancel-order", shop.cancel(1, &other)),
        (1, "claim-coupon", shop.claim(1, "WELCOME10")),
        (
            1,
            "change-me",
            shop.request(Method::PATCH, "/api/v1/users/me")
                .header("X-User-Id", 1)
                .json(&json!({"name": "M"})),
        ),
        (1, "leave", shop.request(Method::DELETE, "/api/v1/users/me").header("X-User-Id", 1)),
        (900, "ship-order", shop.administer(&order, "ship")),
        (900, "deliver-order", shop.administer(&order, "deliver")),
        (900, "change-user", managed(Method::PATCH, "/api/v1/admin/users/2").json(&json!({"name": "J"}))),
        (900, "close-user", managed(Method::DELETE, "/api/v1/admin/users/3")),
        (900, "retry-event", managed(Method::POST, "/api/v1/admin/outbox/1/retry")),
        (900, "retry-events", managed(Method::POST, "/api/v1/admin/outbox/retry").json(&due)),
        (900, "resend-events", managed(Method::POST, "/api/v1/admin/outbox/resend").json(&again)),
    ] {
        let first = Answer::of(keyed(request, name)).await;
        let told = decided(shop, user, name).await;
        assert_eq!(
            (told[0].0.as_str(), told[0].1),
            (name, u64::from(first.status.as_u16())),
            "{}",
            first.text
        );
        let told = &told[0].2;
        if first.status.is_success() && name != "retry-event" {
            assert_eq!(*told, first.body, "{name}");
        } else {
            assert_eq!(told["error"], first.body["error"], "{name}");
        }
    }
}
