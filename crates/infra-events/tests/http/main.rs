//! Events over HTTP, on a real server.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use jangteo_application::cloud_event::CloudEvent;
use jangteo_application::event_sink::PublishError;
use jangteo_application::{Clock, EventSink};
use jangteo_infra_events::{Headers, KafkaProperties, SinkSettings, connect};

mod platform;

use platform::{Answer, Platform, answer};

/// Long enough for any answer on a busy machine.
const PATIENT: Duration = Duration::from_secs(20);
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

struct Noon;

impl Clock for Noon {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_secs(1_800_000_000).expect("a time")
    }
}

fn settings(url: &str) -> SinkSettings {
    SinkSettings {
        destination: url.parse().expect("a URL"),
        headers: Headers::default(),
        timeout: PATIENT,
        http_batch: NonZeroUsize::MIN,
        http_secret: None,
        kafka: KafkaProperties::default(),
    }
}

fn sink(settings: &SinkSettings) -> Arc<dyn EventSink> {
    connect(settings, Arc::new(Noon)).expect("sound settings")
}

fn in_batches_of(most: usize, url: &str) -> Arc<dyn EventSink> {
    sink(&SinkSettings { http_batch: NonZeroUsize::new(most).expect("some"), ..settings(url) })
}

fn impatient(url: &str) -> Arc<dyn EventSink> {
    sink(&SinkSettings { timeout: Duration::from_secs(1), ..settings(url) })
}

fn event(order: usize) -> CloudEvent {
    let id = format!("order-{order}-1");
    let json = format!("{{\"id\":\"{id}\",\"name\":\"셔츠\"}}");
    CloudEvent { id, key: order.to_string(), event_type: "jangteo.order.paid.v1".to_owned(), json }
}

fn events(number: usize) -> Vec<CloudEvent> {
    (1..=number).map(event).collect()
}

fn refused(reason: &str) -> Result<(), PublishError> {
    Err(PublishError::Refused(reason.to_owned()))
}

fn failed(reason: &str) -> Result<(), PublishError> {
    Err(PublishError::Failed(reason.to_owned()))
}

fn failures(outcomes: &[Result<(), PublishError>]) -> usize {
    outcomes.iter().filter(|outcome| matches!(outcome, Err(PublishError::Failed(_)))).count()
}

fn not_tried(outcomes: &[Result<(), PublishError>]) -> usize {
    outcomes.iter().filter(|outcome| **outcome == Err(PublishError::NotTried)).count()
}

/// HMAC as RFC 2104 has it.
fn hmac_sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
    use sha2::{Digest, Sha256};
    let pad = |with: u8| (0..64).map(|at| key.get(at).unwrap_or(&0) ^ with).collect::<Vec<u8>>();
    let inner = Sha256::digest([&pad(0x36)[..], message].concat());
    Sha256::digest([&pad(0x5c)[..], &inner[..]].concat()).to_vec()
}

#[tokio::test]
async fn an_event_is_posted_as_it_is_with_its_id_and_signed() {
    let platform = Platform::that_says(204).await;
    let url = platform.url() + "?shop=1";
    let headers = vec![("X-Shop".to_owned(), "서울".to_owned())];
    let signed = SinkSettings {
        headers: headers.try_into().unwrap(),
        http_secret: Some(SECRET.parse().unwrap()),
        ..settings(&url)
    };
    assert_eq!(sink(&signed).publish(&[event(7)]).await, [Ok(())]);
    let [got] = &platform.got()[..] else { panic!("one request") };
    assert_eq!((got.path.as_str(), &got.body), ("/events?shop=1", &event(7).json));
    assert_eq!(got.header("content-type"), "application/cloudevents+json; charset=utf-8");
    assert_eq!(got.headers["x-shop"], "서울".as_bytes());
    assert_eq!(got.header("webhook-id"), "order-7-1");
    assert_eq!(got.header("webhook-timestamp"), "1800000000");
    let key = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, &SECRET[6..]).unwrap();
    let signature = hmac_sha256(&key, format!("order-7-1.1800000000.{}", got.body).as_bytes());
    let signature = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, signature);
    assert_eq!(got.header("webhook-signature"), format!("v1,{signature}"));
}

#[tokio::test]
async fn user_and_password_of_the_url_are_basic_authentication_and_are_not_told() {
    let platform = Platform::that_says(204).await;
    let url = platform.url().replace("http://", "http://shop:se%40cret@");
    assert_eq!(sink(&settings(&url)).publish(&[event(1)]).await, [Ok(())]);
    let got = &platform.got()[0];
    assert_eq!(got.header("authorization"), "Basic c2hvcDpzZUBjcmV0");
    assert!(!got.headers.contains_key("webhook-signature"));
    let gone = sink(&settings("http://shop:secret@127.0.0.1:1/events")).publish(&[event(1)]).await;
    let [Err(PublishError::Failed(reason))] = &gone[..] else { panic!("{gone:?}") };
    assert!(reason.starts_with("no connection: ") && !reason.contains("secret"), "{reason}");
}

#[tokio::test]
async fn many_events_share_a_few_connections() {
    let platform = Platform::that_says(200).await;
    let sink = sink(&settings(&platform.url()));
    assert!(sink.batch() > 64);
    for _ in 0..3 {
        assert_eq!(sink.publish(&events(sink.batch())).await, vec![Ok(()); sink.batch()]);
    }
    assert_eq!(platform.got().len(), 3 * sink.batch());
    assert!(platform.connections() <= 64, "{}", platform.connections());
}

#[tokio::test]
async fn a_connection_is_used_again_whatever_the_answer_was() {
    let platform = Platform::start(|got| match got.header("webhook-id") {
        "order-1-1" => answer(200, "thank you ".repeat(1000)),
        "order-2-1" => answer(422, "no ".repeat(1000)),
        "order-3-1" => answer(500, "not now"),
        _ => answer(202, ""),
    })
    .await;
    let sink = sink(&settings(&platform.url()));
    for order in 1..=4 {
        sink.publish(&[event(order)]).await;
    }
    assert_eq!((platform.got().len(), platform.connections()), (4, 1));
}

#[tokio::test]
async fn each_answer_is_yes_or_later_or_no() {
    let later = [300, 304, 401, 403, 404, 405, 408, 425, 429, 451, 500, 502, 503, 504, 599];
    let no = [400, 409, 410, 413, 415, 422];
    let platform = Platform::start(|got| answer(got.header("x-status").parse().unwrap(), "because")).await;
    for (statuses, kind) in [(&[200, 201, 202, 204][..], 0), (&later[..], 1), (&no[..], 2)] {
        for status in statuses {
            let headers = vec![("x-status".to_owned(), status.to_string())];
            let headers = headers.try_into().unwrap();
            let outcome =
                sink(&SinkSettings { headers, ..settings(&platform.url()) }).publish(&[event(1)]).await;
            match (&outcome[..], kind) {
                ([Ok(())], 0) => {}
                ([Err(PublishError::Failed(reason))], 1) | ([Err(PublishError::Refused(reason))], 2) => {
                    assert!(reason.starts_with(&status.to_string()), "{status}: {reason}");
                }
                _ => panic!("{status}: {outcome:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_refusal_tells_why_in_a_few_words_and_harms_nobody_else() {
    let platform = Platform::start(|got| match got.header("webhook-id") {
        "order-2-1" => answer(422, format!("  bad\n{}", "주".repeat(300))),
        "order-3-1" => answer(400, ""),
        _ => answer(200, ""),
    })
    .await;
    let outcomes = sink(&settings(&platform.url())).publish(&events(100)).await;
    let reason = format!("422 Unprocessable Entity: bad {}", "주".repeat(196));
    assert_eq!(outcomes[..4], [Ok(()), refused(&reason), refused("400 Bad Request"), Ok(())]);
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 98);
}

#[tokio::test]
async fn after_a_failure_no_more_are_sent() {
    let platform = Platform::start(|_| answer(503, "back soon")).await;
    let outcomes = sink(&settings(&platform.url())).publish(&events(256)).await;
    assert_eq!(outcomes[0], failed("503 Service Unavailable: back soon"));
    assert_eq!(failures(&outcomes), platform.got().len());
    assert!(failures(&outcomes) <= 64);
    assert_eq!(not_tried(&outcomes), 256 - failures(&outcomes));
}

#[tokio::test]
async fn a_platform_that_is_not_there_fails_at_once() {
    let begun = Instant::now();
    let outcomes = sink(&settings("http://127.0.0.1:1/events")).publish(&events(256)).await;
    let [Err(PublishError::Failed(reason)), ..] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert!(reason.contains("Connection refused"), "{reason}");
    assert_eq!(failures(&outcomes) + not_tried(&outcomes), 256);
    assert!(begun.elapsed() < PATIENT / 2);
}

#[tokio::test]
async fn a_platform_that_does_not_answer_costs_twice_its_time_at_most() {
    let silent = |_: &_| Answer { after: Duration::from_secs(60), ..answer(200, "") };
    let platform = Platform::start(silent).await;
    let begun = Instant::now();
    let outcomes = impatient(&platform.url()).publish(&events(256)).await;
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(outcomes[0], failed("no answer within 1000 ms"));
    assert!(not_tried(&outcomes) >= 256 - 64);
}

#[tokio::test]
async fn a_slow_platform_is_given_as_many_as_it_can_take_in_time() {
    let slow = |_: &_| Answer { after: Duration::from_millis(450), ..answer(200, "") };
    let platform = Platform::start(slow).await;
    let begun = Instant::now();
    let outcomes = impatient(&platform.url()).publish(&events(256)).await;
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(failures(&outcomes), 0);
    assert!((1..256).contains(&not_tried(&outcomes)), "{}", not_tried(&outcomes));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Platform::that_says(200).await;
    let url = elsewhere.url();
    let platform =
        Platform::start(move |_| Answer { headers: vec![("location", url.clone())], ..answer(307, "") })
            .await;
    let outcomes = sink(&settings(&platform.url())).publish(&[event(1)]).await;
    assert_eq!(outcomes, [Err(PublishError::Failed("307 Temporary Redirect".into()))]);
    assert!(elsewhere.got().is_empty());
}

#[tokio::test]
async fn events_go_in_batches_to_who_takes_them() {
    let platform = Platform::that_says(200).await;
    let sink = in_batches_of(100, &platform.url());
    assert_eq!(sink.publish(&events(250)).await, vec![Ok(()); 250]);
    assert_eq!(sink.publish(&[event(7)]).await, [Ok(())]);
    let got = platform.got();
    let mut sizes: Vec<_> = got.iter().map(|got| got.body.matches("\"id\":").count()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 50, 100, 100]);
    for got in &got {
        assert_eq!(got.header("content-type"), "application/cloudevents-batch+json; charset=utf-8");
        assert!(got.body.starts_with("[{") && got.body.ends_with("}]"));
        assert!(got.header("webhook-id").starts_with("order-"));
    }
    assert_eq!(got[3].body, format!("[{}]", event(7).json));
}

#[tokio::test]
async fn of_a_batch_that_is_refused_only_the_guilty_event_fails() {
    let platform = Platform::start(|got| match got.body.contains("order-5-1") {
        true => answer(422, "not the fifth"),
        false => answer(200, ""),
    })
    .await;
    let outcomes = in_batches_of(10, &platform.url()).publish(&events(30)).await;
    let mut expected = vec![Ok(()); 30];
    expected[4] = refused("422 Unprocessable Entity: not the fifth");
    assert_eq!(outcomes, expected);
    assert_eq!(platform.got().len(), 3 + 10);
}

#[tokio::test]
async fn a_batch_that_fails_is_not_taken_apart() {
    let platform = Platform::that_says(500).await;
    let outcomes = in_batches_of(10, &platform.url()).publish(&events(10)).await;
    assert_eq!(outcomes, vec![failed("500 Internal Server Error"); 10]);
    assert_eq!(platform.got().len(), 1);
}
