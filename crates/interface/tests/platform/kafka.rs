//! Events that come from a Kafka topic.

use std::time::{Duration, Instant};

use futures::future::join_all;
use jangteo::PlatformSettings;
use jangteo_infra_events::KafkaTopic;
use jangteo_testkit::{KafkaOptions, KafkaServer};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde_json::{Value, json};

use crate::running::{Running, event, settings};

/// A topic of the test's own.
struct Topic<'a> {
    brokers: &'a str,
    name: &'a str,
}

impl Topic<'_> {
    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.brokers).set("message.timeout.ms", "20000");
        config
    }

    async fn create(&self, partitions: i32) {
        let admin: AdminClient<DefaultClientContext> = self.config().create().expect("an administrator");
        let topic = NewTopic::new(self.name, partitions, TopicReplication::Fixed(1));
        let created = admin.create_topics([&topic], &AdminOptions::new()).await.expect("an answer");
        created[0].as_ref().expect("it is created");
    }

    async fn send(&self, events: &[Value]) {
        let texts: Vec<String> = events.iter().map(Value::to_string).collect();
        self.send_texts(&texts).await;
    }

    /// With one key for all events of an order, so that these stay in one partition.
    async fn send_texts(&self, texts: &[String]) {
        let producer: FutureProducer = self.config().set("linger.ms", "5").create().expect("a producer");
        let key = |text: &str| serde_json::from_str::<Value>(text).map(|event| event["subject"].to_string());
        let sent = texts.iter().map(async |text| {
            let key = key(text).unwrap_or_default();
            let record = FutureRecord::to(self.name).key(&key).payload(text);
            producer.send(record, Duration::from_secs(20)).await.expect("it is delivered");
        });
        join_all(sent).await;
    }

    async fn platform(&self) -> Running {
        let kafka = KafkaTopic { brokers: self.brokers.to_owned(), topic: self.name.to_owned() };
        Running::with(PlatformSettings { kafka: Some(kafka), ..settings() }).await
    }
}

/// Waits until the platform's summary has such counts.
async fn until(platform: &Running, counts: &[(&str, u64)]) -> Value {
    let begun = Instant::now();
    loop {
        let summary = platform.summary().await;
        if counts.iter().all(|(name, count)| summary[name] == *count) {
            return summary;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{counts:?}: {summary}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn orders(numbers: std::ops::Range<u32>) -> Vec<Value> {
    numbers.flat_map(|order| [event(order, 1), event(order, 2)]).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_is_read_from_its_beginning_and_what_is_no_event_is_left_out() {
    let topic = Topic { brokers: KafkaServer::shared().await.brokers(), name: "platform-from-the-beginning" };
    topic.create(3).await;
    topic.send(&orders(0..500)).await;
    topic.send_texts(&["no event".to_owned(), event(0, 1).to_string()]).await;
    let platform = topic.platform().await;
    until(&platform, &[("events", 1000), ("orders", 500), ("duplicates", 1), ("unreadable", 1)]).await;
    topic.send(&orders(500..600)).await;
    let summary = until(&platform, &[("events", 1200), ("orders", 600), ("duplicates", 1)]).await;
    assert_eq!((&summary["gaps"]["count"], &summary["outOfOrder"]["count"]), (&json!(0), &json!(0)));
    assert_eq!(platform.get("/orders/550").await.expect(200)["events"][1]["event"], event(550, 2));
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_comes_later_is_waited_for() {
    let kafka = tokio::task::spawn_blocking(|| KafkaServer::start(KafkaOptions::default()));
    let mut kafka = kafka.await.expect("no panic").expect("a broker");
    let brokers = kafka.brokers().to_owned();
    kafka.kill();
    let topic = Topic { brokers: &brokers, name: "events" };
    let platform = topic.platform().await;
    platform.deliver(&event(1, 1)).await.expect(200);
    tokio::time::sleep(Duration::from_millis(500)).await;
    kafka.restart();
    tokio::time::sleep(Duration::from_millis(500)).await;
    topic.send(&[event(1, 1), event(1, 2)]).await;
    // Whichever way it comes, it is the same event.
    until(&platform, &[("events", 2), ("duplicates", 1)]).await;
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_lost_everything_is_read_anew() {
    let kafka = tokio::task::spawn_blocking(|| KafkaServer::start(KafkaOptions::default()));
    let mut kafka = kafka.await.expect("no panic").expect("a broker");
    let brokers = kafka.brokers().to_owned();
    let topic = Topic { brokers: &brokers, name: "events" };
    topic.create(1).await;
    topic.send(&orders(0..10)).await;
    let platform = topic.platform().await;
    until(&platform, &[("events", 20)]).await;
    // Fewer messages than were read before, as many, and more: whatever their numbers, none is taken for an old one.
    for (round, length) in [(1, 5), (2, 5), (3, 20)] {
        let before = platform.summary().await["events"].as_u64().expect("a number");
        kafka.kill();
        kafka.restart();
        topic.create(1).await;
        topic.send(&orders(round * 100..round * 100 + length)).await;
        let summary = until(&platform, &[("events", before + 2 * u64::from(length))]).await;
        assert_eq!((&summary["duplicates"], &summary["gaps"]["count"]), (&json!(0), &json!(0)), "{summary}");
    }
    platform.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn brokers_that_are_away_keep_it_from_nothing_else() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let brokers = nobody.local_addr().expect("its address").to_string();
    drop(nobody);
    let platform = Topic { brokers: &brokers, name: "events" }.platform().await;
    platform.deliver(&event(1, 1)).await.expect(200);
    let stopping = Instant::now();
    platform.stop().await;
    assert!(stopping.elapsed() < Duration::from_secs(5));
}
