//! A platform that behaves badly, as told, and one that wants signatures.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jangteo::PlatformSettings;
use jangteo_application::{Clock, SystemClock};
use serde_json::json;
use sha2::Sha256;

use crate::running::{Answer, Running, event, settings};

#[tokio::test]
async fn told_to_fail_it_keeps_nothing_until_told_otherwise() {
    let platform = Running::start().await;
    platform.behave(json!({"mode": "fail"})).await.expect(200);
    platform.deliver(&event(1, 1)).await.expect_refusal(500, "told to answer 500");
    platform.behave(json!({"mode": "fail", "status": 429, "every": 2})).await.expect(200);
    platform.deliver(&event(1, 1)).await.expect(200);
    platform.deliver(&event(1, 2)).await.expect_refusal(429, "429");
    let told = platform.get("/behaviour").await.expect(200);
    assert_eq!(told, json!({"mode": "fail", "status": 429, "every": 2}));
    platform.behave(json!({"mode": "ok"})).await.expect(200);
    platform.deliver(&event(1, 2)).await.expect(200);
    let summary = platform.summary().await;
    assert_eq!((&summary["received"], &summary["duplicates"]), (&json!(2), &json!(0)));
    platform.stop().await;
}

#[tokio::test]
async fn told_to_stall_it_keeps_nothing_and_answers_nobody() {
    let platform = Running::start().await;
    platform.behave(json!({"mode": "stall"})).await.expect(200);
    let request = platform.post("application/json", event(1, 1).to_string());
    let given_up = request.timeout(Duration::from_millis(200)).send().await.expect_err("no answer");
    assert!(given_up.is_timeout(), "{given_up}");
    assert_eq!(platform.summary().await["received"], 0);

    let request = platform.post("application/json", event(1, 1).to_string()).send();
    let waiting = tokio::spawn(request);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let stopping = Instant::now();
    platform.stop().await;
    assert!(stopping.elapsed() < Duration::from_secs(2), "whoever waits does not keep it from stopping");
    drop(waiting.await);
}

#[tokio::test]
async fn told_to_be_slow_it_keeps_the_event_whether_or_not_anybody_waits() {
    let platform = Running::start().await;
    platform.behave(json!({"mode": "slow", "delayMs": 300})).await.expect(200);
    let request = platform.post("application/json", event(1, 1).to_string());
    assert!(request.timeout(Duration::from_millis(100)).send().await.is_err());
    let asked = Instant::now();
    let receipt = platform.deliver(&event(1, 1)).await.expect(200);
    assert_eq!(receipt["duplicates"], 1);
    assert!(asked.elapsed() >= Duration::from_millis(300));
    platform.stop().await;
}

#[tokio::test]
async fn told_to_refuse_an_event_it_refuses_the_whole_batch_with_it() {
    let platform = Running::start().await;
    platform.behave(json!({"mode": "refuse", "events": ["order-5-1"]})).await.expect(200);
    platform.deliver(&event(5, 1)).await.expect_refusal(400, "order-5-1");
    platform.deliver_all(&[event(4, 1), event(5, 1)]).await.expect_refusal(400, "order-5-1");
    platform.deliver_all(&[event(4, 1), event(6, 1)]).await.expect(200);
    assert_eq!(platform.summary().await["received"], 2);
    platform.stop().await;
}

#[tokio::test]
async fn told_nonsense_it_says_what_is_wrong_and_goes_on_as_before() {
    let platform = Running::start().await;
    platform.behave(json!({"mode": "sulk"})).await.expect_refusal(400, "sulk");
    platform.behave(json!({"mode": "fail", "status": 200})).await.expect_refusal(400, "300 to 599");
    assert_eq!(platform.get("/behaviour").await.expect(200), json!({"mode": "ok"}));
    platform.stop().await;
}

#[tokio::test]
async fn with_a_secret_it_believes_only_what_is_signed_with_it() {
    let secret = Some("whsec_YSBzZWNyZXQ=".to_owned());
    let platform = Running::with(PlatformSettings { secret, ..settings() }).await;
    platform.deliver(&event(1, 1)).await.expect_refusal(401, "`webhook-id`");
    for (key, status) in [("another secret", 401), ("a secret", 200)] {
        let (body, now) = (event(1, 1).to_string(), SystemClock.now().timestamp().to_string());
        let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("a key");
        mac.update(format!("order-1-1.{now}.{body}").as_bytes());
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        let request = platform.post("application/cloudevents+json", body);
        let request = request.header("webhook-id", "order-1-1").header("webhook-timestamp", now);
        let answer = request.header("webhook-signature", format!("v1,{signature}")).send().await;
        Answer::of(answer.expect("an answer")).await.expect(status);
    }
    assert_eq!(platform.summary().await["received"], 1);
    platform.stop().await;
}
