//! Events in Kafka, on a real broker that is killed and frozen, and on one that refuses what it is told to.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jangteo_application::cloud_event::CloudEvent;
use jangteo_application::event_sink::PublishError;
use jangteo_application::{EventSink, SystemClock};
use jangteo_infra_events::{ConnectError, Headers, KafkaProperties, SinkSettings, connect};
use jangteo_testkit::{KafkaOptions, KafkaServer};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Headers as _};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

/// Long enough for any answer on a busy machine.
const PATIENT: Duration = Duration::from_secs(20);

fn settings(brokers: &str, topic: &str) -> SinkSettings {
    SinkSettings {
        destination: format!("kafka://{brokers}/{topic}").parse().expect("a URL"),
        headers: Headers::default(),
        timeout: PATIENT,
        http_batch: NonZeroUsize::MIN,
        http_secret: None,
        kafka: KafkaProperties::default(),
    }
}

fn with(properties: &[(&str, &str)], settings: SinkSettings) -> SinkSettings {
    let owned = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
    let kafka = properties.iter().map(owned).collect::<Vec<_>>().try_into().expect("known properties");
    SinkSettings { kafka, ..settings }
}

fn sink(settings: &SinkSettings) -> Arc<dyn EventSink> {
    connect(settings, Arc::new(SystemClock)).expect("sound settings")
}

fn start() -> KafkaServer {
    KafkaServer::start(KafkaOptions::default()).unwrap_or_else(|reason| panic!("{reason}"))
}

fn event(order: usize) -> CloudEvent {
    let id = format!("order-{order}-1");
    let json = format!("{{\"id\":\"{id}\",\"name\":\"셔츠\"}}");
    CloudEvent { id, key: order.to_string(), event_type: "jangteo.order.paid.v1".to_owned(), json }
}

fn events(number: usize) -> Vec<CloudEvent> {
    (1..=number).map(event).collect()
}

/// What a consumer gets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Got {
    key: String,
    json: String,
    headers: Vec<(String, String)>,
}

impl Got {
    fn from(message: &BorrowedMessage<'_>) -> Self {
        let text =
            |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap_or_default().to_vec()).expect("UTF-8");
        let headers = message.headers().expect("headers");
        let headers = headers.iter().map(|header| (header.key.to_owned(), text(header.value)));
        Self { key: text(message.key()), json: text(message.payload()), headers: headers.collect() }
    }
}

/// All that is in the topic, by key.
fn read(brokers: &str, topic: &str) -> Vec<Got> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "test")
        .set("enable.partition.eof", "true")
        .create()
        .expect("a consumer");
    let metadata = consumer.fetch_metadata(Some(topic), PATIENT).expect("metadata");
    let mut partitions = TopicPartitionList::new();
    for partition in metadata.topics()[0].partitions() {
        partitions.add_partition_offset(topic, partition.id(), Offset::Beginning).expect("an offset");
    }
    consumer.assign(&partitions).expect("assigned");
    let (mut got, mut unfinished) = (Vec::new(), partitions.count());
    while unfinished > 0 {
        match consumer.poll(PATIENT).expect("the broker goes on") {
            Ok(message) => got.push(Got::from(&message)),
            Err(rdkafka::error::KafkaError::PartitionEOF(_)) => unfinished -= 1,
            Err(error) => panic!("{error}"),
        }
    }
    got.sort_unstable();
    got
}

/// Publishes one event until it is taken, and says how often that was tried.
async fn until_taken(sink: &Arc<dyn EventSink>, event: CloudEvent) -> usize {
    let mut last = None;
    for attempt in 1..=100 {
        match &sink.publish(std::slice::from_ref(&event)).await[..] {
            [Ok(())] => return attempt,
            [Err(PublishError::Failed(reason))] => {
                last = Some(reason.clone());
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            outcome => panic!("{outcome:?}"),
        }
    }
    panic!("it was never taken: {last:?}");
}

fn reason(outcome: &Result<(), PublishError>) -> &str {
    match outcome {
        Err(PublishError::Failed(reason) | PublishError::Refused(reason)) => reason,
        Ok(()) | Err(PublishError::NotTried) => "",
    }
}

#[tokio::test]
async fn an_event_is_a_message_with_its_key_and_headers() {
    let brokers = KafkaServer::shared().await.brokers();
    let headers = vec![("X-Shop".to_owned(), "서울".to_owned())];
    let settings = SinkSettings { headers: headers.try_into().unwrap(), ..settings(brokers, "headers") };
    let sink = sink(&settings);
    assert_eq!(sink.publish(&[event(7)]).await, [Ok(())]);
    assert_eq!(sink.publish(&events(6)).await, vec![Ok(()); 6]);
    let got = read(brokers, "headers");
    assert_eq!(got.iter().map(|got| &*got.key).collect::<String>(), "1234567");
    let headers = [
        ("content-type", "application/cloudevents+json; charset=UTF-8"),
        ("ce_id", "order-7-1"),
        ("ce_type", "jangteo.order.paid.v1"),
        ("x-shop", "서울"),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    assert_eq!(got[6], Got { key: "7".to_owned(), json: event(7).json, headers });
}

#[tokio::test]
async fn a_topic_that_the_brokers_do_not_create_by_themselves_is_created() {
    let brokers = KafkaServer::shared().await.brokers();
    let unasked = [("allow.auto.create.topics", "false")];
    let sink = sink(&with(&unasked, settings(brokers, "created")));
    assert_eq!(sink.publish(&events(3)).await, vec![Ok(()); 3]);
    assert_eq!(read(brokers, "created").len(), 3);
}

#[tokio::test]
async fn brokers_that_are_not_there_yet_stop_nobody_from_starting() {
    let mut server = start();
    server.kill();
    let sink = sink(&SinkSettings { timeout: Duration::from_secs(1), ..settings(server.brokers(), "later") });
    let begun = Instant::now();
    let outcomes = sink.publish(&events(10)).await;
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert!(reason(&outcomes[0]).contains("Connection refused"), "{outcomes:?}");
    assert!(outcomes[1..].iter().all(|outcome| *outcome == Err(PublishError::NotTried)), "{outcomes:?}");
    server.restart();
    until_taken(&sink, event(1)).await;
}

#[tokio::test]
async fn brokers_that_come_back_empty_are_used_again() {
    let mut server = start();
    let sink = sink(&SinkSettings { timeout: Duration::from_secs(2), ..settings(server.brokers(), "again") });
    assert_eq!(sink.publish(&events(500)).await, vec![Ok(()); 500]);
    server.kill();
    let begun = Instant::now();
    let outcomes = sink.publish(&events(500)).await;
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(PublishError::Failed(_)))), "{outcomes:?}");
    server.restart();
    until_taken(&sink, event(1)).await;
    assert_eq!(sink.publish(&events(500)).await, vec![Ok(()); 500]);
    assert_eq!(read(server.brokers(), "again").len(), 501);
}

#[tokio::test]
async fn of_every_event_it_is_known_what_became_of_it_when_a_broker_dies() {
    let mut server = start();
    let sink = sink(&SinkSettings { timeout: Duration::from_secs(2), ..settings(server.brokers(), "dies") });
    until_taken(&sink, event(0)).await;
    let publishing = tokio::spawn({
        let sink = Arc::clone(&sink);
        async move {
            let mut outcomes = Vec::new();
            for _ in 0..20 {
                outcomes.extend(sink.publish(&events(500)).await);
            }
            outcomes
        }
    });
    tokio::time::sleep(Duration::from_millis(30)).await;
    server.kill();
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.restart();
    let outcomes = publishing.await.expect("no panic");
    let known =
        |outcome: &&Result<(), PublishError>| matches!(outcome, Ok(()) | Err(PublishError::Failed(_)));
    assert_eq!(outcomes.iter().filter(known).count(), 20 * 500);
    until_taken(&sink, event(1)).await;
}

#[tokio::test]
async fn frozen_brokers_cost_twice_their_time_at_most() {
    let mut server = start();
    let sink =
        sink(&SinkSettings { timeout: Duration::from_secs(1), ..settings(server.brokers(), "frozen") });
    until_taken(&sink, event(0)).await;
    server.freeze();
    for _ in 0..3 {
        let begun = Instant::now();
        let outcomes = sink.publish(&events(500)).await;
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        assert!(matches!(outcomes[0], Err(PublishError::Failed(_))), "{outcomes:?}");
        assert!(outcomes.iter().all(Result::is_err), "{outcomes:?}");
    }
    server.thaw();
    until_taken(&sink, event(1)).await;
    assert_eq!(sink.publish(&events(500)).await, vec![Ok(()); 500]);
}

#[tokio::test]
async fn an_event_that_is_too_large_is_refused_and_its_neighbours_are_not() {
    let brokers = KafkaServer::shared().await.brokers();
    let sink = sink(&settings(brokers, "large"));
    let mut events = events(10);
    events[4].json = format!("\"{}\"", "x".repeat(2_000_000));
    let outcomes = sink.publish(&events).await;
    assert!(matches!(outcomes[4], Err(PublishError::Refused(_))), "{:?}", outcomes[4]);
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 9);
    assert_eq!(read(brokers, "large").len(), 9);
}

/// A cluster that answers as it is told, with a topic of one partition.
fn mock() -> (MockCluster<'static, DefaultProducerContext>, Arc<dyn EventSink>) {
    let cluster = MockCluster::new(1).expect("a cluster");
    cluster.create_topic("orders", 1, 1).expect("a topic");
    let sink = sink(&settings(&cluster.bootstrap_servers(), "orders"));
    (cluster, sink)
}

fn refuse(cluster: &MockCluster<'static, DefaultProducerContext>, errors: &[RDKafkaRespErr]) {
    cluster.request_errors(RDKafkaApiKey::Produce, errors);
}

#[tokio::test]
async fn of_a_batch_that_the_brokers_refuse_only_the_guilty_event_fails() {
    let (cluster, sink) = mock();
    assert_eq!(sink.publish(&events(2)).await, [Ok(()), Ok(())]);
    for error in [
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_RECORD,
    ] {
        // All together, and then the first alone.
        refuse(&cluster, &[error, error]);
        let outcomes = sink.publish(&events(4)).await;
        assert!(matches!(outcomes[0], Err(PublishError::Refused(_))), "{error:?}: {outcomes:?}");
        assert_eq!(outcomes[1..], [Ok(()), Ok(()), Ok(())], "{error:?}");
    }
}

#[tokio::test]
async fn that_the_topic_may_not_be_written_to_is_no_events_fault() {
    let (cluster, sink) = mock();
    refuse(&cluster, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED]);
    let outcomes = sink.publish(&events(3)).await;
    let failed =
        Err(PublishError::Failed("TopicAuthorizationFailed (Broker: Topic authorization failed)".to_owned()));
    assert_eq!(outcomes, vec![failed; 3]);
    assert_eq!(sink.publish(&events(3)).await, vec![Ok(()); 3]);
}

#[tokio::test]
async fn a_producer_that_lost_its_way_is_replaced() {
    let (cluster, sink) = mock();
    assert_eq!(sink.publish(&events(3)).await, vec![Ok(()); 3]);
    refuse(&cluster, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER; 10]);
    let outcomes = sink.publish(&events(3)).await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(PublishError::Failed(_)))), "{outcomes:?}");
    cluster.clear_request_errors(RDKafkaApiKey::Produce);
    assert_eq!(until_taken(&sink, event(4)).await, 1);
}

#[tokio::test]
async fn what_librdkafka_does_not_take_together_is_told_at_the_start() {
    let contradiction = with(&[("linger.ms", "60000")], settings("127.0.0.1:1", "orders"));
    let Err(ConnectError::Kafka(problem)) = connect(&contradiction, Arc::new(SystemClock)) else {
        panic!("messages would be too late before they are sent");
    };
    assert!(problem.contains("linger.ms"), "{problem}");
}
