//! Events that come over HTTP, and what is told of them.

use std::path::Path;

use futures::future::join_all;
use jangteo::PlatformSettings;
use jangteo_application::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::running::{Answer, Running, event, settings};

fn in_file(file: &Path) -> PlatformSettings {
    PlatformSettings { file: Some(file.to_owned()), ..settings() }
}

#[tokio::test]
async fn an_event_is_kept_once_however_often_it_comes() {
    let platform = Running::start().await;
    for duplicates in [0, 1, 1] {
        let receipt = platform.deliver(&event(1, 1)).await.expect(200);
        assert_eq!(receipt, json!({"received": 1, "duplicates": duplicates}));
    }
    let batch = [event(1, 1), event(1, 2), event(2, 1), event(2, 1)];
    let receipt = platform.deliver_all(&batch).await.expect(200);
    assert_eq!(receipt, json!({"received": 4, "duplicates": 2}));

    let summary = platform.summary().await;
    assert_eq!((&summary["received"], &summary["duplicates"]), (&json!(7), &json!(4)));
    assert_eq!((&summary["events"], &summary["orders"]), (&json!(3), &json!(2)));
    assert_eq!(summary["byType"], json!({"jangteo.order.paid.v1": 2, "jangteo.order.shipped.v1": 1}));
    assert!(summary["delivery"]["p99"].as_f64().is_some_and(|delay| delay > 0.0), "{summary}");
    platform.stop().await;
}

#[tokio::test]
async fn gaps_and_disorder_are_told() {
    let platform = Running::start().await;
    let events = [event(1, 1), event(1, 4), event(1, 3), event(2, 2)];
    platform.deliver_all(&events).await.expect(200);
    let summary = platform.summary().await;
    let gaps =
        [json!({"subject": "orders/1", "missing": [2]}), json!({"subject": "orders/2", "missing": [1]})];
    assert_eq!(summary["gaps"], json!({"count": 2, "first": gaps}));
    let early = json!({"subject": "orders/1", "sequence": 4, "before": 3});
    assert_eq!(summary["outOfOrder"], json!({"count": 1, "first": [early]}));
    platform.stop().await;
}

#[tokio::test]
async fn the_events_of_an_order_are_shown_as_they_came() {
    let folder = tempfile::tempdir().expect("a folder");
    for settings in [settings(), in_file(&folder.path().join("events.db"))] {
        let platform = Running::with(settings).await;
        for sequence in [1, 3] {
            platform.deliver(&event(5, sequence)).await.expect(200);
        }
        platform.deliver(&event(55, 1)).await.expect(200);
        let order = platform.get("/orders/5").await.expect(200);
        assert_eq!((&order["subject"], &order["missing"]), (&json!("orders/5"), &json!([2])));
        let events: Vec<&Value> =
            order["events"].as_array().expect("a list").iter().map(|kept| &kept["event"]).collect();
        assert_eq!(events, [&event(5, 1), &event(5, 3)]);
        assert!(order["events"][0]["receivedAt"].as_str().is_some_and(|at| at.ends_with('Z')), "{order}");
        platform.get("/orders/6").await.expect_refusal(404, "orders/6");
        platform.stop().await;
    }
}

#[tokio::test]
async fn orders_are_counted_by_the_hour_they_were_created_in() {
    let platform = Running::start().await;
    let now = SystemClock.now();
    let mut today = event(3, 1);
    today["data"]["createdAt"] = json!(now.to_rfc3339());
    platform.deliver_all(&[event(1, 1), event(1, 2), event(2, 1), today]).await.expect(200);
    let hour = "from=2025-11-09T12:00:00Z&to=2025-11-09T13:00:00Z";
    assert_eq!(
        platform.get(&format!("/completeness?{hour}")).await.expect(200),
        json!({
            "from": "2025-11-09T12:00:00Z", "to": "2025-11-09T13:00:00Z", "orders": 2, "events": 3,
            "hours": [{"from": "2025-11-09T12:00:00Z", "orders": 2, "events": 3}],
        })
    );
    let last_day = platform.get("/completeness").await.expect(200);
    assert_eq!((&last_day["orders"], &last_day["events"]), (&json!(1), &json!(1)), "{last_day}");
    platform.get("/completeness?from=noon").await.expect_refusal(400, "`from`");
    platform.get("/completeness?since=noon").await.expect_refusal(400, "since");
    platform.stop().await;
}

#[tokio::test]
async fn what_is_no_event_is_refused_and_so_is_its_batch() {
    let platform = Running::start().await;
    let mut nameless = event(2, 1);
    nameless["id"] = json!(null);
    platform.deliver(&nameless).await.expect_refusal(400, "line 1");
    platform.deliver_all(&[event(1, 1), nameless]).await.expect_refusal(400, "line 1");
    let sent = |media_type: &str, body: String| platform.post(media_type, body).send();
    let answer = sent("text/plain", event(1, 1).to_string()).await.expect("an answer");
    Answer::of(answer).await.expect_refusal(415, "application/cloudevents+json");
    let answer = sent("application/cloudevents+json", json!([event(1, 1)]).to_string()).await;
    Answer::of(answer.expect("an answer")).await.expect_refusal(400, "expected an object");
    assert_eq!(platform.summary().await["received"], 0);
    for body in [event(1, 1), json!([event(1, 2)])] {
        let answer = sent("application/json", body.to_string()).await;
        Answer::of(answer.expect("an answer")).await.expect(200);
    }
    assert_eq!(platform.summary().await["events"], 2);
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_keeps_events_that_come_at_once_over_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("events.db");
    let platform = Running::with(in_file(&file)).await;
    let each_twice = (0..200).map(async |number| {
        let events = [1, 2, 3].map(|sequence| event(number / 2, sequence));
        platform.deliver_all(&events).await.expect(200)
    });
    assert!(join_all(each_twice).await.iter().all(|receipt| receipt["received"] == 3));
    let before = platform.summary().await;
    assert_eq!((&before["events"], &before["duplicates"]), (&json!(300), &json!(300)));
    platform.stop().await;

    let platform = Running::with(in_file(&file)).await;
    assert_eq!(platform.summary().await, before);
    let receipt = platform.deliver(&event(7, 1)).await.expect(200);
    assert_eq!(receipt["duplicates"], 1);
    platform.stop().await;
}
