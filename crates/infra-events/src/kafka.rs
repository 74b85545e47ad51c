//! Events in a Kafka topic.
//!
//! librdkafka keeps messages in a queue of its own, sends them again by itself, and says once of each what became of it.
//! An event is reported as failed only when its message has left that queue: it might arrive after a later one of the
//! same order otherwise.

use std::mem;
use std::pin::pin;
use std::slice;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jangteo_application::EventSink;
use jangteo_application::cloud_event::CloudEvent;
use jangteo_application::event_sink::PublishError;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{DeliveryFuture, FutureProducer, FutureRecord, Producer, PurgeConfig};
use tokio::task::spawn_blocking;
use tokio::time::{timeout, timeout_at};

use crate::{ConnectError, Headers, KafkaTopic, SinkSettings};

mod client;
mod failure;
mod properties;
mod topic;
mod troubles;

pub use properties::{KafkaProperties, KafkaPropertyError};

use client::Clients;
use failure::{cause, cause_within, is_refusal, may_be_a_neighbours, silence_of};
use troubles::{Listener, Troubles};

/// They travel together, and are written down together.
const EVENTS: usize = 500;

const CONTENT_TYPE: &str = "application/cloudevents+json; charset=UTF-8";

/// Writes events to a topic.
pub(crate) struct KafkaSink {
    topic: String,
    headers: Headers,
    timeout: Duration,
    clients: Clients,
    troubles: Arc<Troubles>,
    current: Mutex<Current>,
}

/// The producer, until it has lost its way.
#[derive(Clone)]
struct Current {
    number: u32,
    producer: FutureProducer<Listener>,
    /// When they were last heard of, the brokers were there, and the topic.
    met: bool,
}

/// One call of the sink.
struct Round {
    /// Nothing is begun any more.
    ends: Instant,
    /// What is still under way is given up: librdkafka looks at its clock once a second, which may be too late.
    purged: Instant,
}

impl Round {
    fn new(timeout: Duration) -> Self {
        let begun = Instant::now();
        Self { ends: begun + timeout, purged: begun + timeout * 7 / 4 }
    }
}

impl KafkaSink {
    pub(crate) fn new(topic: KafkaTopic, settings: &SinkSettings) -> Result<Self, ConnectError> {
        let troubles = Arc::new(Troubles::default());
        let clients = Clients::new(&topic, &settings.kafka, Arc::clone(&troubles));
        let producer = clients.producer(settings.timeout);
        let producer = producer.map_err(|error| ConnectError::Kafka(cause(&error)))?;
        let current = Mutex::new(Current { number: 0, producer, met: false });
        let SinkSettings { headers, timeout, .. } = settings;
        Ok(Self {
            topic: topic.topic,
            headers: headers.clone(),
            timeout: *timeout,
            clients,
            troubles,
            current,
        })
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Messages for a topic that does not exist wait like those for brokers that are away: nobody would create it.
    async fn meet(&self, current: &Current) -> Result<(), PublishError> {
        if current.met {
            return Ok(());
        }
        let within = self.timeout / 2;
        let meeting = topic::ensure(&self.topic, &current.producer, &self.clients, within);
        let met = timeout(within, meeting).await;
        met.unwrap_or_else(|_| Err(silence_of(within))).map_err(|reason| self.failed(reason))
    }

    async fn send_all(
        &self,
        producer: &FutureProducer<Listener>,
        events: &[CloudEvent],
        round: &Round,
    ) -> Vec<Result<(), PublishError>> {
        let reports = self.send(producer, events, round).await;
        let mut outcomes = Vec::with_capacity(events.len());
        let mut failed = false;
        for (event, report) in events.iter().zip(reports) {
            let outcome = match report {
                Err(error) if events.len() > 1 && may_be_a_neighbours(&error) => {
                    if failed || Instant::now() > round.ends {
                        Err(PublishError::NotTried)
                    } else {
                        self.send_alone(producer, event, round).await
                    }
                }
                report => report.map_err(|error| self.judge(&error)),
            };
            failed |= matches!(outcome, Err(PublishError::Failed(_)));
            outcomes.push(outcome);
        }
        outcomes
    }

    async fn send_alone(
        &self,
        producer: &FutureProducer<Listener>,
        event: &CloudEvent,
        round: &Round,
    ) -> Result<(), PublishError> {
        let report = self.send(producer, slice::from_ref(event), round).await.pop();
        report.unwrap_or(Err(KafkaError::Canceled)).map_err(|error| self.judge(&error))
    }

    /// Ends when librdkafka is done with all of them.
    async fn send(
        &self,
        producer: &FutureProducer<Listener>,
        events: &[CloudEvent],
        round: &Round,
    ) -> Vec<KafkaResult<()>> {
        let queued: Vec<_> = events.iter().map(|event| self.queue(producer, event)).collect();
        let mut reporting = pin!(async {
            let mut reports = Vec::with_capacity(queued.len());
            for delivery in queued {
                reports.push(report(delivery).await);
            }
            reports
        });
        if let Ok(reports) = timeout_at(round.purged.into(), &mut reporting).await {
            return reports;
        }
        producer.purge(PurgeConfig::default().queue().inflight());
        reporting.await
    }

    fn queue(&self, producer: &FutureProducer<Listener>, event: &CloudEvent) -> KafkaResult<DeliveryFuture> {
        let record =
            FutureRecord::to(&self.topic).key(&event.key).payload(&event.json).headers(self.headers(event));
        producer.send_result(record).map_err(|(error, _)| error)
    }

    fn headers(&self, event: &CloudEvent) -> OwnedHeaders {
        let headers = OwnedHeaders::new_with_capacity(3 + self.headers.iter().len())
            .insert(Header { key: "content-type", value: Some(CONTENT_TYPE) })
            .insert(Header { key: "ce_id", value: Some(&event.id) })
            .insert(Header { key: "ce_type", value: Some(&event.event_type) });
        self.headers.iter().fold(headers, |headers, (name, value)| {
            headers.insert(Header { key: name.as_str(), value: Some(value.as_bytes()) })
        })
    }

    fn judge(&self, error: &KafkaError) -> PublishError {
        match is_refusal(error) {
            true => PublishError::Refused(cause(error)),
            false => self.failed(cause_within(self.timeout, error)),
        }
    }

    fn failed(&self, reason: String) -> PublishError {
        PublishError::Failed(match self.troubles.last() {
            Some(trouble) => format!("{reason}; {trouble}"),
            None => reason,
        })
    }

    /// What became of events that were sent. One that failed may have arrived all the same, or never will, and brokers
    /// may have come back with another past: a producer, which numbers its messages, may not cope with that. The next
    /// one begins anew.
    ///
    /// Where messages were refused, librdkafka refuses the next by itself until it has asked for the topic again.
    fn learn(&self, used: Current, outcomes: &[Result<(), PublishError>]) {
        let failure = outcomes.iter().find_map(|outcome| match outcome {
            Err(PublishError::Failed(reason)) => Some(reason),
            _ => None,
        });
        if let Some(reason) = failure {
            return self.replace(used, reason);
        }
        self.troubles.over();
        let mut current = self.current();
        if current.number == used.number {
            current.met = outcomes.iter().all(Result::is_ok);
        }
    }

    fn replace(&self, used: Current, reason: &str) {
        tracing::debug!(reason, "a new Kafka producer takes over");
        let producer = match self.clients.producer(self.timeout) {
            Ok(producer) => producer,
            Err(error) => return tracing::error!(error = cause(&error), "there is no new Kafka producer"),
        };
        let mut current = self.current();
        if current.number == used.number {
            let next = Current { number: used.number.wrapping_add(1), producer, met: false };
            let last = mem::replace(&mut *current, next);
            // It waits for its threads.
            drop(spawn_blocking(move || drop((used, last))));
        }
    }
}

#[async_trait]
impl EventSink for KafkaSink {
    fn name(&self) -> &'static str {
        "kafka"
    }

    fn batch(&self) -> usize {
        EVENTS
    }

    async fn publish(&self, events: &[CloudEvent]) -> Vec<Result<(), PublishError>> {
        let round = Round::new(self.timeout);
        let current = self.current().clone();
        if let Err(error) = self.meet(&current).await {
            let mut outcomes = vec![Err(PublishError::NotTried); events.len()];
            outcomes.iter_mut().take(1).for_each(|first| *first = Err(error.clone()));
            return outcomes;
        }
        let outcomes = self.send_all(&current.producer, events, &round).await;
        self.learn(current, &outcomes);
        outcomes
    }
}

async fn report(delivery: KafkaResult<DeliveryFuture>) -> KafkaResult<()> {
    match delivery?.await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err((error, _))) => Err(error),
        Err(_) => Err(KafkaError::Canceled),
    }
}
