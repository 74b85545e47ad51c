//! Events from a Kafka topic.
//!
//! The topic is read from its beginning, and from nowhere else: there is no group of consumers that would remember for
//! us how far we came. What we know ourselves is the last message of each partition. When the brokers were away, that
//! message is read once more, because a broker that lost everything counts its messages anew: if it is another one now,
//! or gone, the topic is read from its beginning again.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use chrono::{DateTime, Utc};
use jangteo_application::Clock;
use jangteo_infra_events::KafkaTopic;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::{Message, TopicPartitionList};
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::event::{self, Event, Form};
use super::intake::{Accounts, Intake, NotKept, Receipt};
use progress::{Progress, Record, Replaced, Seen};

mod progress;

/// How long brokers may take to say something about a topic.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between attempts to read.
const PAUSE: Duration = Duration::from_millis(500);
/// How long to wait for a message before looking whether it is time to stop.
const SILENCE: Duration = Duration::from_millis(250);
/// Messages that are taken in together at most.
const GROUP: usize = 1000;

/// What is read, and where it goes.
pub(super) struct Reader {
    pub(super) topic: KafkaTopic,
    pub(super) intake: Intake,
    pub(super) accounts: Accounts,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) stopping: watch::Receiver<bool>,
}

/// Why reading broke off.
#[derive(Debug, thiserror::Error)]
enum Interruption {
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    #[error("there is no such topic yet")]
    NoTopic,
    #[error(transparent)]
    Replaced(#[from] Replaced),
}

impl Reader {
    /// Reads in a thread of its own, until it is told to stop.
    pub(super) fn start(self) -> io::Result<JoinHandle<()>> {
        let runtime = Handle::current();
        let reading = Reading { reader: self, runtime, progress: Progress::default(), told: None };
        thread::Builder::new().name("kafka".to_owned()).spawn(|| reading.run())
    }
}

struct Reading {
    reader: Reader,
    runtime: Handle,
    progress: Progress,
    /// What the log has said last: that it is read, or that it cannot be.
    told: Option<bool>,
}

impl Reading {
    fn run(mut self) {
        while !self.stopping() {
            let Err(interruption) = self.read() else { return };
            match interruption {
                Interruption::Replaced(_) => {
                    let topic = &self.reader.topic;
                    tracing::warn!(%topic, "the topic was replaced: it is read from its beginning");
                    self.progress = Progress::default();
                }
                Interruption::NoTopic | Interruption::Kafka(_) => self.tell_away(&interruption),
            }
            thread::sleep(PAUSE);
        }
    }

    fn stopping(&self) -> bool {
        *self.reader.stopping.borrow()
    }

    fn tell_away(&mut self, interruption: &Interruption) {
        if self.told.replace(false) != Some(false) {
            let topic = &self.reader.topic;
            tracing::warn!(%topic, cause = %interruption, "Kafka cannot be read: it is tried again");
        }
    }

    fn tell_reading(&mut self, partitions: usize) {
        if self.told.replace(true) != Some(true) {
            tracing::info!(topic = %self.reader.topic, partitions, "reading Kafka");
        }
    }

    /// Reads on from where it was, until it is stopped.
    ///
    /// A client that lost its brokers is given up at once: it would go on with what it knows of a topic that may be
    /// another one when they are back. Asked for a topic by an id that it does not know, a broker can give an answer
    /// that librdkafka 2.12 does not survive.
    fn read(&mut self) -> Result<(), Interruption> {
        let consumer = consumer(&self.reader.topic)?;
        let partitions = self.partitions(&consumer)?;
        self.assign(&consumer, &partitions)?;
        self.tell_reading(partitions.len());
        while !self.stopping() {
            self.take(gather(&consumer)?)?;
        }
        Ok(())
    }

    fn partitions(&self, consumer: &BaseConsumer<Quiet>) -> Result<Vec<i32>, Interruption> {
        let metadata = consumer.fetch_metadata(Some(&self.reader.topic.topic), PATIENCE)?;
        let topic = metadata.topics().iter().find(|topic| topic.name() == self.reader.topic.topic);
        let mut partitions: Vec<i32> =
            topic.into_iter().flat_map(|topic| topic.partitions()).map(|partition| partition.id()).collect();
        partitions.sort_unstable();
        if partitions.is_empty() { Err(Interruption::NoTopic) } else { Ok(partitions) }
    }

    fn assign(&mut self, consumer: &BaseConsumer<Quiet>, partitions: &[i32]) -> Result<(), Interruption> {
        let topic = &self.reader.topic.topic;
        let mut assignment = TopicPartitionList::new();
        for partition in partitions {
            let (first, end) = consumer.fetch_watermarks(topic, *partition, PATIENCE)?;
            let offset = self.progress.resume(*partition, first..end);
            assignment.add_partition_offset(topic, *partition, offset)?;
        }
        Ok(consumer.assign(&assignment)?)
    }

    fn take(&mut self, records: Vec<Record>) -> Result<(), Interruption> {
        let received_at = self.reader.clock.now();
        let mut events = Vec::with_capacity(records.len());
        for record in &records {
            if self.progress.is_new(record)? {
                match event::read(&record.seen.payload, Form::One) {
                    Ok(read) => events.extend(read),
                    Err(error) => {
                        let (partition, offset) = (record.partition, record.seen.offset);
                        tracing::warn!(partition, offset, %error, "a message is no event");
                        self.reader.accounts.read().count_unreadable();
                    }
                }
            }
        }
        while !events.is_empty() && self.hand_over(&events, received_at).is_err() {
            if self.stopping() {
                return Ok(());
            }
            thread::sleep(PAUSE);
        }
        self.progress.advance(records);
        Ok(())
    }

    fn hand_over(&self, events: &[Event], received_at: DateTime<Utc>) -> Result<Receipt, NotKept> {
        self.runtime.block_on(self.reader.intake.take(events.to_vec(), received_at))
    }
}

/// All that is there, once something is.
fn gather(consumer: &BaseConsumer<Quiet>) -> KafkaResult<Vec<Record>> {
    let mut records = Vec::new();
    let mut patience = SILENCE;
    while records.len() < GROUP
        && let Some(message) = consumer.poll(patience)
    {
        patience = Duration::ZERO;
        match message {
            Ok(message) => records.push(record(&message)),
            Err(error) if is_about_one_broker(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(records)
}

fn record(message: &BorrowedMessage) -> Record {
    let seen = Seen {
        offset: message.offset(),
        timestamp: message.timestamp().to_millis(),
        payload: message.payload().unwrap_or_default().to_vec(),
    };
    Record { partition: message.partition(), seen }
}

/// There are others, or else all are away, which is an error of its own.
fn is_about_one_broker(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{BrokerTransportFailure, OperationTimedOut, Resolve};
    matches!(error, KafkaError::MessageConsumption(BrokerTransportFailure | OperationTimedOut | Resolve))
}

fn consumer(topic: &KafkaTopic) -> KafkaResult<BaseConsumer<Quiet>> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &topic.brokers)
        .set("client.id", "jangteo-platform")
        // It must have a name, and is never joined.
        .set("group.id", "jangteo-platform")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "earliest")
        // What was fetched ahead comes before the news that the brokers are away.
        .set("queued.min.messages", "1000")
        .set("fetch.message.max.bytes", "262144")
        // Else it rests for a second each time that so much is there.
        .set("fetch.queue.backoff.ms", "10")
        .set_log_level(RDKafkaLogLevel::Debug);
    BaseConsumer::from_config_and_context(&config, Quiet)
}

/// The reader itself says in the log when brokers are away: librdkafka would say it at every attempt.
struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, _: RDKafkaLogLevel, about: &str, line: &str) {
        tracing::debug!(target: "librdkafka", about, "{line}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "librdkafka", %error, "{reason}");
    }
}

impl ConsumerContext for Quiet {}
