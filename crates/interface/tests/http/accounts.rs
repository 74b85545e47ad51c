//! Customers who change and leave, and administrators who have them do so.

use futures::future::{join, join_all};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::{Answer, SHIRT, Shop, assert_refused, on_both_databases};

on_both_databases! {
    customers_change_what_they_told
    an_address_belongs_to_one_customer
    a_change_that_is_none_is_refused
    whoever_has_money_or_open_orders_stays
    who_has_left_is_unknown_from_then_on
    leaving_is_answered_again_to_the_same_key
    who_leaves_while_they_buy_does_one_of_both
    administrators_find_customers
    administrators_change_what_they_saw
    administrators_close_accounts
}

const ME: &str = "/api/v1/users/me";

fn keyed(request: RequestBuilder, key: &str) -> RequestBuilder {
    request.header("Idempotency-Key", key)
}

fn change(shop: &Shop, user: i64, body: &Value) -> RequestBuilder {
    shop.request(Method::PATCH, ME).header("X-User-Id", user).json(body)
}

fn leave(shop: &Shop, user: i64) -> RequestBuilder {
    shop.request(Method::DELETE, ME).header("X-User-Id", user)
}

fn administer(shop: &Shop, method: Method, path: &str) -> RequestBuilder {
    shop.request(method, path).header("X-User-Id", 900).header("X-User-Role", "ADMIN")
}

/// The change and everybody's books, which it must not touch.
async fn customers_change_what_they_told(shop: &Shop) {
    let before = shop.books().await;
    let body = json!({"name": "  김미나 ", "email": "MINA@example.com", "phone": "010-1234-5678"});
    let changed = Answer::of(keyed(change(shop, 1, &body), "k")).await.expect(200);
    assert_eq!(
        (&changed.body["name"], &changed.body["email"]),
        (&json!("김미나"), &json!("mina@example.com"))
    );
    let seen = Answer::of(shop.mine(ME)).await.expect(200);
    assert_eq!(seen.text, changed.text);
    let removed = Answer::of(change(shop, 1, &json!({"phone": null}))).await.expect(200);
    assert_eq!((&removed.body["phone"], &removed.body["name"]), (&Value::Null, &json!("김미나")));
    let again = Answer::of(keyed(change(shop, 1, &body), "k")).await.expect(200);
    assert_eq!((again.header("idempotency-replayed"), &again.text), (Some("true"), &changed.text));
    assert_eq!(Answer::of(shop.mine(ME)).await.body["phone"], Value::Null, "nothing happens twice");
    let other = Answer::of(keyed(change(shop, 1, &json!({"phone": null})), "k")).await;
    assert_refused(&other, 409, "CONFLICT", &[]);
    // What needs escaping anywhere.
    let odd = json!({"name": r#"O'Neil \ "x" ; -- %_?"#});
    let changed = Answer::of(change(shop, 2, &odd)).await.expect(200);
    assert_eq!(changed.body["name"], odd["name"]);
    assert_eq!(shop.books().await, before);
}

async fn an_address_belongs_to_one_customer(shop: &Shop) {
    let address = |user: i64, email: &str| change(shop, user, &json!({"email": email}));
    let taken = Answer::of(address(1, "Customer2@example.com")).await;
    assert_refused(&taken, 409, "CONFLICT", &["email"]);
    assert_eq!(taken.body["details"][0]["code"], "EMAIL_TAKEN");
    // One's own is no other's.
    Answer::of(address(1, "customer1@example.com")).await.expect(200);
    let answers = join_all((1..=3).map(|user| Answer::of(address(user, "wanted@example.com")))).await;
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 409).count(), 2, "{statuses:?}");
}

async fn a_change_that_is_none_is_refused(shop: &Shop) {
    for (body, fields) in [
        (json!({}), &["body"][..]),
        (json!({"name": null}), &["name"]),
        (json!({"name": " ", "email": "nobody", "phone": "call me"}), &["name", "email", "phone"]),
        (json!({"name": "a\u{7}b"}), &["name"]),
        (json!({"name": "x".repeat(101)}), &["name"]),
        (json!({"name": 7}), &["name"]),
        (json!({"role": "ADMIN"}), &["role"]),
        (json!({"id": 2, "name": "x"}), &["id"]),
    ] {
        assert_refused(&Answer::of(change(shop, 1, &body)).await, 400, "VALIDATION_ERROR", fields);
        let path = "/api/v1/admin/users/1";
        let managed = administer(shop, Method::PATCH, path).json(&body);
        assert_refused(&Answer::of(managed).await, 400, "VALIDATION_ERROR", fields);
    }
    assert_eq!(Answer::of(shop.mine(ME)).await.body["name"], "Customer 1");
    assert_refused(&Answer::of(change(shop, 77, &json!({"name": "x"}))).await, 404, "NOT_FOUND", &[]);
}

async fn whoever_has_money_or_open_orders_stays(shop: &Shop) {
    for _ in 0..2 {
        Answer::of(shop.order(1, &[(SHIRT, 1)])).await.expect(201);
    }
    let order = Answer::of(shop.order(1, &[(SHIRT, 1)])).await.body["orderId"].take();
    Answer::of(shop.administer(&order, "ship")).await.expect(200);
    let before = shop.books().await;
    let refused = Answer::of(keyed(leave(shop, 1), "k").header("Accept-Language", "en")).await;
    assert_refused(&refused, 409, "CONFLICT", &["balance", "orders", "orders"]);
    let details = &refused.body["details"];
    assert_eq!((&details[0]["code"], &details[0]["available"]), (&json!("BALANCE_LEFT"), &json!(40300.0)));
    let reasons = details.as_array().unwrap()[1..].iter().map(|detail| detail["reason"].as_str().unwrap());
    let mut reasons: Vec<&str> = reasons.collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["There are orders that are PAID: 2.", "There are orders that are SHIPPING: 1."]);
    let again = Answer::of(keyed(leave(shop, 1), "k")).await;
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_refused(&again, 409, "CONFLICT", &["balance", "orders", "orders"]);
    assert_eq!(shop.books().await, before);
}

async fn who_has_left_is_unknown_from_then_on(shop: &Shop) {
    Answer::of(change(shop, 3, &json!({"phone": "010-1234-5678"}))).await.expect(200);
    Answer::of(shop.claim(3, "WELCOME10")).await.expect(200);
    Answer::of(shop.post(3, "/api/v1/wallets/charge", &json!({"amount": 100}))).await.expect(200);
    let cancelled = Answer::of(shop.post(3, "/api/v1/wallets/charge", &json!({"amount": 19_800}))).await;
    cancelled.expect(200);
    let order = Answer::of(shop.order(3, &[(SHIRT, 1)])).await.expect(201).body["orderId"].take();
    for step in ["ship", "deliver"] {
        Answer::of(shop.administer(&order, step)).await.expect(200);
    }
    let left = Answer::of(leave(shop, 3)).await.expect(204);
    assert_eq!(left.text, "");
    let as_them = |request: RequestBuilder| request.header("X-User-Id", 3);
    for path in [
        ME,
        "/api/v1/wallets",
        "/api/v1/wallets/ledger",
        "/api/v1/orders",
        "/api/v1/users/3/coupons",
        "/api/v1/users/3/coupons/history",
        &format!("/api/v1/orders/{order}"),
    ] {
        assert_refused(&Answer::of(as_them(shop.get(path))).await, 404, "NOT_FOUND", &[]);
    }
    for request in [
        shop.order(3, &[(SHIRT, 1)]),
        shop.post(3, "/api/v1/wallets/charge", &json!({"amount": 100})),
        shop.claim(3, "FLASH5000"),
        shop.cancel(3, &order),
        change(shop, 3, &json!({"name": "x"})),
        leave(shop, 3),
    ] {
        assert_refused(&Answer::of(request).await, 404, "NOT_FOUND", &[]);
    }
    for path in ["/api/v1/admin/users/3", "/api/v1/users/3/coupons"] {
        assert_refused(&Answer::of(administer(shop, Method::GET, path)).await, 404, "NOT_FOUND", &[]);
    }
    // The address is never another's, and the order stays in the books.
    let newcomer = shop.request(Method::POST, "/api/v1/users");
    let newcomer = newcomer.json(&json!({"name": "Another", "email": "customer3@example.com"}));
    assert_refused(&Answer::of(newcomer).await, 409, "CONFLICT", &["email"]);
    Answer::of(administer(shop, Method::GET, &format!("/api/v1/orders/{order}"))).await.expect(200);
}

async fn leaving_is_answered_again_to_the_same_key(shop: &Shop) {
    Answer::of(keyed(leave(shop, 3), "bye")).await.expect(204);
    for _ in 0..2 {
        let again = Answer::of(keyed(leave(shop, 3), "bye")).await.expect(204);
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
    }
    assert_refused(&Answer::of(keyed(leave(shop, 3), "other")).await, 404, "NOT_FOUND", &[]);
    let as_them = shop.get("/api/v1/idempotency-keys/bye").header("X-User-Id", 3);
    let kept = Answer::of(as_them).await.expect(200);
    assert_eq!(
        (&kept.body["operations"][0]["status"], &kept.body["operations"][0]["body"]),
        (&json!(204), &Value::Null)
    );
}

/// The audit in the end finds what is done by halves.
async fn who_leaves_while_they_buy_does_one_of_both(shop: &Shop) {
    for n in 0..6 {
        let email = format!("racer{n}@example.com");
        let racer =
            shop.request(Method::POST, "/api/v1/users").json(&json!({"name": "Racer", "email": email}));
        let id = Answer::of(racer).await.expect(201).body["id"].as_i64().unwrap();
        let charge = shop.post(id, "/api/v1/wallets/charge", &json!({"amount": 100}));
        let (left, charged) = join(Answer::of(leave(shop, id)), Answer::of(charge)).await;
        let statuses = (left.status.as_u16(), charged.status.as_u16());
        assert!([(204, 404), (409, 200)].contains(&statuses), "{statuses:?}");
        let at_once = join_all((0..4).map(|_| Answer::of(leave(shop, id)))).await;
        let gone = at_once.iter().filter(|answer| answer.status == 204).count();
        assert_eq!(gone, 0, "either gone already, or kept by the money");
    }
}

async fn administrators_find_customers(shop: &Shop) {
    for (name, email) in
        [("Minho", "ho@example.com"), ("100% Kim_", "kim@example.com"), ("Jun", "minjun@example.com")]
    {
        let user = shop.request(Method::POST, "/api/v1/users").json(&json!({"name": name, "email": email}));
        Answer::of(user).await.expect(201);
    }
    let find = async |query: &str| -> Vec<String> {
        let found = Answer::of(administer(shop, Method::GET, &format!("/api/v1/admin/users{query}"))).await;
        let names = found.expect(200).body["content"].as_array().unwrap().clone();
        names.iter().map(|user| user["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(find("?q=MIN").await, ["Jun", "Minho"]);
    assert_eq!(find("?q=100%25").await, ["100% Kim_"]);
    assert!(find("?q=%25").await.is_empty() && find("?q=_").await.is_empty());
    assert_eq!(find("?q=customer&size=2&page=1").await, ["Customer 1"]);
    assert_eq!(find("").await.len(), 6);
    Answer::of(leave(shop, 3)).await.expect(204);
    assert_eq!(find("?q=customer").await, ["Customer 2", "Customer 1"]);
    let bad = administer(shop, Method::GET, "/api/v1/admin/users?q=&name=x");
    assert_refused(&Answer::of(bad).await, 400, "VALIDATION_ERROR", &["q", "name"]);
    assert_refused(&Answer::of(shop.mine("/api/v1/admin/users")).await, 403, "FORBIDDEN", &[]);
}

async fn administrators_change_what_they_saw(shop: &Shop) {
    let path = "/api/v1/admin/users/2";
    let seen = Answer::of(administer(shop, Method::GET, path)).await.expect(200);
    assert_eq!((seen.header("etag"), &seen.body["version"]), (Some("\"1\""), &json!(1)));
    let rename = |tag: &str, name: &str| {
        administer(shop, Method::PATCH, path).header("If-Match", tag).json(&json!({"name": name}))
    };
    let changed = Answer::of(keyed(rename("\"1\"", "First"), "k")).await.expect(200);
    assert_eq!((changed.header("etag"), &changed.body["name"]), (Some("\"2\""), &json!("First")));
    assert_refused(&Answer::of(rename("\"1\"", "Second")).await, 412, "PRECONDITION_FAILED", &["If-Match"]);
    let again = Answer::of(keyed(rename("\"1\"", "First"), "k")).await.expect(200);
    assert_eq!((again.header("etag"), again.header("idempotency-replayed")), (Some("\"2\""), Some("true")));
    // What customers change counts too: it might be undone unseen.
    Answer::of(change(shop, 2, &json!({"name": "Themselves"}))).await.expect(200);
    assert_refused(&Answer::of(rename("\"2\"", "Second")).await, 412, "PRECONDITION_FAILED", &["If-Match"]);
    // The same again is no change.
    let same = Answer::of(administer(shop, Method::PATCH, path).json(&json!({"name": "Themselves"}))).await;
    assert_eq!(same.expect(200).header("etag"), Some("\"3\""));
    let unknown = administer(shop, Method::PATCH, "/api/v1/admin/users/77").json(&json!({"name": "x"}));
    assert_refused(&Answer::of(unknown).await, 404, "NOT_FOUND", &[]);
    let malformed = rename("1", "x");
    assert_refused(&Answer::of(malformed).await, 400, "VALIDATION_ERROR", &["If-Match"]);
}

async fn administrators_close_accounts(shop: &Shop) {
    let close = |user: i64| administer(shop, Method::DELETE, &format!("/api/v1/admin/users/{user}"));
    assert_refused(&Answer::of(close(1)).await, 409, "CONFLICT", &["balance"]);
    let stale = close(3).header("If-Match", "\"9\"");
    assert_refused(&Answer::of(stale).await, 412, "PRECONDITION_FAILED", &["If-Match"]);
    Answer::of(keyed(close(3).header("If-Match", "\"1\""), "k")).await.expect(204);
    let again = Answer::of(keyed(close(3).header("If-Match", "\"1\""), "k")).await.expect(204);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_refused(&Answer::of(close(3)).await, 404, "NOT_FOUND", &[]);
}
