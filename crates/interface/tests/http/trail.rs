//! The trail of what administrators changed.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, SOCKS, Shop, assert_refused, on_both_databases};

on_both_databases! {
    changes_are_told_latest_first
    changes_are_found_by_subject_and_by_administrator
    what_is_redelivered_is_on_the_trail
    changes_that_cannot_be_asked_for
}

const CHANGES: &str = "/api/v1/admin/changes";
const STORES: &str = "/api/v1/admin/stores";
const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

async fn changes(shop: &Shop, query: &str) -> Vec<Value> {
    let list = Answer::of(shop.managed(&format!("{CHANGES}{query}"))).await.expect(200);
    list.body["content"].as_array().unwrap().clone()
}

async fn create(shop: &Shop, by: i64, name: &str) -> Value {
    let request = shop.post(by, STORES, &json!({"name": name})).header("X-User-Role", "ADMIN");
    let traced = request.header("traceparent", format!("00-{TRACE_ID}-00f067aa0ba902b7-01"));
    Answer::of(traced).await.expect(201).body["id"].take()
}

async fn changes_are_told_latest_first(shop: &Shop) {
    assert_eq!(changes(shop, "").await, Vec::<Value>::new());
    let (first, second) = (create(shop, 900, "A").await, create(shop, 900, "B").await);
    let all = changes(shop, "").await;
    assert_eq!((&all[0]["subjectId"], &all[1]["subjectId"]), (&second, &first));
    let told = &all[1];
    assert_eq!((&told["action"], &told["subject"]), (&json!("create-store"), &json!("store")));
    assert_eq!((&told["actorId"], &told["traceId"]), (&json!(900), &json!(TRACE_ID)));
    assert_eq!((&told["before"], &told["after"]["name"]), (&Value::Null, &json!("A")));
    assert!(told["createdAt"].as_str().unwrap().ends_with('Z'));
    let page = Answer::of(shop.managed(&format!("{CHANGES}?page=1&size=1"))).await.expect(200).body;
    assert_eq!((&page["content"][0], &page["totalElements"]), (told, &json!(2)));
}

async fn changes_are_found_by_subject_and_by_administrator(shop: &Shop) {
    let (first, second) = (create(shop, 900, "A").await, create(shop, 901, "B").await);
    let found = async |query: String| -> Vec<Value> {
        changes(shop, &query).await.iter().map(|change| change["subjectId"].clone()).collect()
    };
    assert_eq!(found(format!("?subject=store&id={first}")).await, [first.clone()]);
    assert_eq!(found("?actor=901".to_owned()).await, [second.clone()]);
    assert_eq!(found("?subject=store".to_owned()).await, [second.clone(), first.clone()]);
    for none in [format!("?subject=coupon&id={first}"), format!("?subject=store&id={first}&actor=901")] {
        assert_eq!(found(none).await, Vec::<Value>::new());
    }
}

async fn what_is_redelivered_is_on_the_trail(shop: &Shop) {
    Answer::of(shop.order(1, &[(SOCKS, 1)])).await.expect(201);
    // Nothing was given up, and nothing was sent.
    let retry = shop.manage("/api/v1/admin/outbox/retry", &json!({"status": "DEAD"}));
    assert_eq!(Answer::of(retry).await.expect(200).body["events"], 0);
    assert_eq!(changes(shop, "").await, Vec::<Value>::new());
    let store = crate::support::store(&shop.database.url).await;
    let events = crate::support::give_up_all(&store).await;
    store.close().await;
    let path = format!("/api/v1/admin/outbox/{}/retry", events[0]);
    for _ in 0..2 {
        let keyed = shop.manage(&path, &json!(null)).header("Idempotency-Key", "once");
        Answer::of(keyed).await.expect(200);
    }
    let all = changes(shop, "?subject=event").await;
    assert_eq!(all.len(), 1, "a retry is told once: {all:?}");
    assert_eq!((&all[0]["action"], &all[0]["subjectId"]), (&json!("retry-event"), &json!(events[0])));
    assert_eq!((&all[0]["actorId"], &all[0]["after"]), (&json!(1), &json!({"events": 1})));
}

async fn changes_that_cannot_be_asked_for(shop: &Shop) {
    for (query, field) in [
        ("?subject=shop", "subject"),
        ("?subject=", "subject"),
        ("?subject=store&subject=store", "subject"),
        ("?id=7", "subject"),
        ("?subject=store&id=0", "id"),
        ("?actor=me", "actor"),
        ("?page=-1", "page"),
        ("?size=101", "size"),
        ("?sort=id", "sort"),
    ] {
        let refused = Answer::of(shop.managed(&format!("{CHANGES}{query}"))).await;
        assert_refused(&refused, 400, "VALIDATION_ERROR", &[field]);
    }
    let other = Answer::of(shop.request(Method::DELETE, CHANGES)).await;
    assert_refused(&other, 405, "METHOD_NOT_ALLOWED", &[]);
}
