//! The events for the data platform, as administrators see and redeliver them.

use std::time::Duration;

use chrono::TimeDelta;
use jangteo_application::outbox::{FailedEvent, Outbox, Settlement};
use jangteo_application::{Clock, SystemClock};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, SHIRT, SOCKS, Shop, assert_refused, on_both_databases, store};

on_both_databases! {
    events_are_listed_by_status_and_in_pages
    one_event_is_shown_with_what_it_carries
    a_dead_event_is_retried_and_delivered
    all_dead_events_are_retried_at_once
    an_event_that_was_sent_is_not_retried_and_is_sent_again_with_its_period
    a_key_is_good_for_one_redelivery
    the_summary_counts_orders_and_events_and_what_is_not_delivered
    the_orders_that_a_platform_must_have_are_listed
    the_outbox_is_for_administrators
    what_cannot_be_asked_for_is_refused
}

const OUTBOX: &str = "/api/v1/admin/outbox";

async fn sell(shop: &Shop, orders: usize) -> Vec<i64> {
    let mut ids = Vec::new();
    for _ in 0..orders {
        let placed = Answer::of(shop.order(1, &[(SOCKS, 1)])).await.expect(201);
        ids.push(placed.body["orderId"].as_i64().unwrap());
    }
    ids
}

/// The first event is sent, the next is failed, and those after it are given up, so many in all.
async fn deliver(shop: &Shop, events: usize) {
    let store = store(&shop.database.url).await;
    let now = SystemClock.now();
    let leased = store.lease(events, now, now + TimeDelta::seconds(30)).await.unwrap();
    assert_eq!(leased.events.len(), events);
    let failed = leased.events[1..].iter().zip(0..).map(|(event, place)| FailedEvent {
        id: event.id,
        error: "503 Service Unavailable".into(),
        attempts: 1,
        retry_at: (place == 0).then(|| now + TimeDelta::hours(1)),
    });
    let settlement =
        Settlement { sent: vec![leased.events[0].id], failed: failed.collect(), returned: Vec::new() };
    store.settle(&leased, &settlement, now).await.unwrap();
    store.close().await;
}

async fn list(shop: &Shop, status: &str) -> Vec<Value> {
    let listed = Answer::of(shop.managed(&format!("{OUTBOX}?status={status}"))).await.expect(200);
    listed.body["content"].as_array().unwrap().clone()
}

async fn until_sent(shop: &Shop, events: usize) {
    for _ in 0..200 {
        if list(shop, "SENT").await.len() == events {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("they were not delivered in time");
}

async fn events_are_listed_by_status_and_in_pages(shop: &Shop) {
    let orders = sell(shop, 5).await;
    deliver(shop, 3).await;
    let dead = list(shop, "DEAD").await;
    let event = dead[0].clone();
    assert_eq!(dead.len(), 1);
    assert_eq!(event["eventId"], format!("order-{}-1", orders[2]));
    assert_eq!(event["subject"], format!("orders/{}", orders[2]));
    assert_eq!((&event["type"], &event["sequence"]), (&json!("jangteo.order.paid.v1"), &json!(1)));
    assert_eq!((&event["status"], &event["attempts"]), (&json!("DEAD"), &json!(1)));
    assert_eq!(event["lastError"], "503 Service Unavailable");
    assert_eq!((&event["nextAttemptAt"], &event["sentAt"]), (&Value::Null, &Value::Null));
    assert!(event["createdAt"].as_str().unwrap().ends_with('Z'));
    assert!(list(shop, "FAILED").await[0]["nextAttemptAt"].is_string());
    assert!(list(shop, "SENT").await[0]["sentAt"].is_string());
    let page = format!("{OUTBOX}?status=PENDING&page=1&size=1");
    let page = Answer::of(shop.managed(&page)).await.expect(200).body;
    assert_eq!(page["content"][0]["subject"], format!("orders/{}", orders[3]));
    assert_eq!(
        (&page["page"], &page["totalElements"], &page["totalPages"]),
        (&json!(1), &json!(2), &json!(2))
    );
    let all = Answer::of(shop.managed(OUTBOX)).await.expect(200).body;
    assert_eq!(all["totalElements"], 5);
    assert_eq!(all["content"][0]["subject"], format!("orders/{}", orders[4]));
}

async fn one_event_is_shown_with_what_it_carries(shop: &Shop) {
    let placed = Answer::of(shop.order(1, &[(SHIRT, 1)])).await.expect(201).body;
    let listed = list(shop, "PENDING").await.remove(0);
    let path = format!("{OUTBOX}/{}", listed["id"]);
    let mut event = Answer::of(shop.managed(&path)).await.expect(200).body;
    let data = event["data"].take();
    assert_eq!((&data["orderId"], &data["paidAmount"]), (&placed["orderId"], &json!("19900.00")));
    event.as_object_mut().unwrap().remove("data");
    assert_eq!(event, listed);
    assert_refused(&Answer::of(shop.managed(&format!("{OUTBOX}/999999"))).await, 404, "NOT_FOUND", &[]);
}

async fn a_dead_event_is_retried_and_delivered(shop: &Shop) {
    sell(shop, 3).await;
    deliver(shop, 3).await;
    let dead = list(shop, "DEAD").await.remove(0);
    let path = format!("{OUTBOX}/{}", dead["id"]);
    let retry = async || Answer::of(shop.manage(&format!("{path}/retry"), &json!(null))).await;
    let retried = retry().await.expect(200);
    assert_eq!(retried.body, json!({"id": dead["id"], "status": "PENDING"}));
    assert_eq!(retry().await.expect(200).body, retried.body, "it waits already");
    let event = Answer::of(shop.managed(&path)).await.expect(200).body;
    assert_eq!((&event["status"], &event["attempts"]), (&json!("PENDING"), &json!(0)));
    let instance = shop.instance_with_worker().await;
    until_sent(shop, 2).await;
    assert_eq!(Answer::of(shop.managed(&path)).await.expect(200).body["status"], "SENT");
    instance.end().await;
    assert_refused(
        &Answer::of(shop.manage(&format!("{OUTBOX}/999999/retry"), &json!(null))).await,
        404,
        "NOT_FOUND",
        &[],
    );
}

async fn all_dead_events_are_retried_at_once(shop: &Shop) {
    sell(shop, 5).await;
    deliver(shop, 5).await;
    let retry = async |status: &str| {
        let retried = shop.manage(&format!("{OUTBOX}/retry"), &json!({"status": status}));
        Answer::of(retried).await.expect(200).body["events"].clone()
    };
    assert_eq!(
        (retry("DEAD").await, retry("DEAD").await, retry("FAILED").await),
        (3.into(), 0.into(), 1.into())
    );
    let instance = shop.instance_with_worker().await;
    until_sent(shop, 5).await;
    instance.end().await;
}

async fn an_event_that_was_sent_is_not_retried_and_is_sent_again_with_its_period(shop: &Shop) {
    sell(shop, 2).await;
    deliver(shop, 2).await;
    let sent = list(shop, "SENT").await.remove(0);
    let retried = shop.manage(&format!("{OUTBOX}/{}/retry", sent["id"]), &json!(null));
    let refused = Answer::of(retried.header("Accept-Language", "en")).await;
    assert_refused(&refused, 409, "CONFLICT", &[]);
    assert!(refused.body["message"].as_str().unwrap().contains("SENT"), "{}", refused.text);
    let now = SystemClock.now();
    let resend = async |from: i64, to: i64| {
        let moment = |seconds| (now + TimeDelta::seconds(seconds)).format("%Y-%m-%dT%H:%M:%SZ").to_string();
        let period = json!({"from": moment(from), "to": moment(to)});
        Answer::of(shop.manage(&format!("{OUTBOX}/resend"), &period)).await.expect(200).body["events"].clone()
    };
    assert_eq!((resend(-3600, -600).await, list(shop, "SENT").await.len()), (0.into(), 1));
    assert_eq!((resend(-600, 600).await, list(shop, "SENT").await.len()), (1.into(), 0));
    let again = list(shop, "PENDING").await.remove(0);
    assert_eq!((&again["eventId"], &again["attempts"]), (&sent["eventId"], &json!(0)));
    let instance = shop.instance_with_worker().await;
    until_sent(shop, 1).await;
    instance.end().await;
}

async fn a_key_is_good_for_one_redelivery(shop: &Shop) {
    sell(shop, 3).await;
    deliver(shop, 3).await;
    let retry = async |status: &str| {
        let retried = shop.manage(&format!("{OUTBOX}/retry"), &json!({"status": status}));
        Answer::of(retried.header("Idempotency-Key", "incident-7")).await
    };
    let first = retry("DEAD").await.expect(200);
    assert!(first.header("idempotency-replayed").is_none());
    let again = retry("DEAD").await.expect(200);
    assert_eq!((again.text, first.body["events"].clone()), (first.text, 1.into()));
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_refused(&retry("FAILED").await, 409, "CONFLICT", &[]);
    assert_eq!(list(shop, "FAILED").await.len(), 1);
    let malformed = shop.manage(&format!("{OUTBOX}/retry"), &json!({"status": "DEAD"}));
    let malformed = Answer::of(malformed.header("Idempotency-Key", "a b")).await;
    assert_refused(&malformed, 400, "VALIDATION_ERROR", &["Idempotency-Key"]);
}

async fn the_summary_counts_orders_and_events_and_what_is_not_delivered(shop: &Shop) {
    sell(shop, 5).await;
    deliver(shop, 3).await;
    let summary = Answer::of(shop.managed(&format!("{OUTBOX}/summary"))).await.expect(200).body;
    let now = SystemClock.now() + TimeDelta::minutes(1);
    let moment = |hours| (now - TimeDelta::hours(hours)).format("%Y-%m-%dT%H:%M:%SZ");
    let figures = |body: &Value| (body["orders"].clone(), body["events"].clone());
    // Its own end is this very second, which may be that of the orders.
    assert!(summary["orders"].as_i64().unwrap() <= 5);
    let summary = format!("{OUTBOX}/summary?from={}&to={}", moment(2), moment(0));
    let summary = Answer::of(shop.managed(&summary)).await.expect(200).body;
    assert_eq!(figures(&summary), (5.into(), 5.into()), "{summary}");
    let hours = summary["hours"].as_array().unwrap();
    assert_eq!(hours.iter().map(|hour| hour["orders"].as_i64().unwrap()).sum::<i64>(), 5);
    assert!(hours.iter().all(|hour| hour["from"].as_str().unwrap().ends_with(":00:00Z")), "{summary}");
    assert_eq!(summary["from"], moment(2).to_string());
    let outbox = &summary["outbox"];
    assert_eq!((&outbox["pending"], &outbox["failed"], &outbox["dead"]), (&json!(2), &json!(1), &json!(1)));
    assert!(outbox["oldestPendingAt"].is_string());
    let earlier = format!("{OUTBOX}/summary?to={}", moment(1));
    let earlier = Answer::of(shop.managed(&earlier)).await.expect(200).body;
    assert_eq!((figures(&earlier), &earlier["hours"]), ((0.into(), 0.into()), &json!([])));
}

async fn the_orders_that_a_platform_must_have_are_listed(shop: &Shop) {
    let orders = sell(shop, 5).await;
    let to = (SystemClock.now() + TimeDelta::minutes(1)).format("%Y-%m-%dT%H:%M:%SZ");
    let page = async |page: usize| {
        let path = format!("{OUTBOX}/orders?to={to}&page={page}&size=3");
        Answer::of(shop.managed(&path)).await.expect(200).body
    };
    let (first, second) = (page(0).await, page(1).await);
    assert_eq!((&first["totalElements"], &first["size"]), (&json!(5), &json!(3)));
    let listed = [&first, &second].map(|page| page["content"].as_array().unwrap().clone()).concat();
    for (told, order) in listed.iter().zip(&orders) {
        assert_eq!((&told["orderId"], &told["events"]), (&json!(order), &json!(1)));
        assert!(told["createdAt"].is_string());
    }
    assert_eq!(listed.len(), 5);
}

async fn the_outbox_is_for_administrators(shop: &Shop) {
    let gets = ["", "/1", "/summary", "/orders"].map(|path| (Method::GET, path, json!(null)));
    let posts = [
        ("/1/retry", json!(null)),
        ("/retry", json!({"status": "DEAD"})),
        ("/resend", json!({"from": "2025-11-09T12:00:00Z", "to": "2025-11-09T13:00:00Z"})),
    ];
    let posts = posts.map(|(path, body)| (Method::POST, path, body));
    for (method, path, body) in gets.into_iter().chain(posts) {
        let request = || shop.request(method.clone(), &format!("{OUTBOX}{path}")).json(&body);
        let customer = Answer::of(request().header("X-User-Id", 1)).await;
        assert_refused(&customer, 403, "FORBIDDEN", &[]);
        let nobody = Answer::of(request().header("X-User-Role", "ADMIN")).await;
        assert_refused(&nobody, 401, "UNAUTHORIZED", &["X-User-Id"]);
    }
}

async fn what_cannot_be_asked_for_is_refused(shop: &Shop) {
    for (query, fields) in [
        ("?status=LOST", &["status"][..]),
        ("?status=SENT&status=DEAD", &["status"]),
        ("?status=x&size=101&page=-1", &["page", "size", "status"]),
        ("?order=1", &["order"]),
        ("/0", &["id"]),
        ("/latest", &["id"]),
        ("/summary?from=yesterday&to=2025-13-01T00:00:00Z", &["from", "to"]),
        ("/summary?from=2025-11-09T12:00:00Z", &["to"]),
        ("/summary?from=2025-11-09T12:00:00Z&to=2025-11-09T12:00:00Z", &["to"]),
        ("/orders?size=1001", &["size"]),
        ("/orders?from=0", &["from"]),
    ] {
        let mut refused = Answer::of(shop.managed(&format!("{OUTBOX}{query}"))).await;
        if let Some(details) = refused.body["details"].as_array_mut() {
            details.sort_by_key(|detail| detail["field"].to_string());
        }
        assert_refused(&refused, 400, "VALIDATION_ERROR", fields);
    }
    for (path, body, fields) in [
        ("/retry", json!({}), &["status"][..]),
        ("/retry", json!({"status": "SENT"}), &["status"]),
        ("/retry", json!({"status": 3}), &["status"]),
        ("/retry", json!({"status": "DEAD", "at": 1}), &["at"]),
        ("/resend", json!({}), &["from", "to"]),
        ("/resend", json!({"from": "2025-11-09T12:00:00Z", "to": "noon"}), &["to"]),
        ("/resend", json!({"from": "2025-11-09T12:00:00Z", "to": "2025-11-09T11:00:00Z"}), &["to"]),
        ("/resend", json!({"from": "2025-10-09T11:59:59Z", "to": "2025-11-09T12:00:00Z"}), &["to"]),
        ("/x/retry", json!({}), &["id"]),
    ] {
        let refused = Answer::of(shop.manage(&format!("{OUTBOX}{path}"), &body)).await;
        assert_refused(&refused, 400, "VALIDATION_ERROR", fields);
    }
    let refused = Answer::of(shop.managed(&format!("{OUTBOX}/retry"))).await;
    assert_refused(&refused, 405, "METHOD_NOT_ALLOWED", &[]);
}
