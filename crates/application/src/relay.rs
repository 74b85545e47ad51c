//! Delivers what is in the outbox.
//!
//! A relay leases events, publishes them, and writes down what became of them, round after round; nothing of that
//! happens within a transaction of the shop. Any number of relays may run. One that dies is missed until its lease
//! ends; its events may then arrive twice, under the same ids.
//!
//! An event that fails is tried again later, ever more seldom, and given up after so many attempts: an administrator
//! finds it in the outbox as DEAD. It holds back later events of its own order, and no others. A platform that is down
//! is not the fault of the events, though: the `Breaker` finds out, and while it is open, attempts do not count.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::FutureExt;
use jangteo_domain::RepositoryError;
use metrics::{counter, gauge, histogram};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::clock::Clock;
use crate::cloud_event::CloudEvent;
use crate::event_sink::{EventSink, PublishError};
use crate::outbox::{FailedEvent, Leased, Outbox, Settlement, StoredEvent};

mod breaker;

use breaker::Breaker;

/// How a relay works.
#[derive(Debug, Clone)]
pub struct RelaySettings {
    /// Names the shop in its events: a URI.
    pub source: String,
    /// After so many an event is given up.
    pub max_attempts: u32,
    /// How often to look for events that others have appended.
    pub poll: Duration,
    /// How long the platform may take to answer.
    pub timeout: Duration,
}

impl RelaySettings {
    /// Longer than publishing may take.
    fn publishing(&self) -> Duration {
        self.timeout * 2 + Duration::from_secs(1)
    }

    /// Longer than publishing and writing down may take: by the rest, clocks may differ.
    fn lease(&self) -> Duration {
        self.publishing() + Duration::from_secs(5)
    }
}

/// After events that were not a full batch, more are gathered first: each round costs two transactions, however few
/// events it has.
const GATHERING: Duration = Duration::from_millis(100);
/// The longest pause before an event's second attempt, and before any.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// Between attempts to write down what became of events that were published.
const SETTLING_PAUSE: Duration = Duration::from_millis(250);
/// What is kept of an error, in characters.
const LONGEST_ERROR: usize = 500;

/// What a relay believes of the platform.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RelayStatus {
    /// The platform is down: it is asked by single events only, and others wait.
    pub breaker_open: bool,
}

/// Delivers events in the background.
pub struct Relay {
    closing: watch::Sender<bool>,
    status: watch::Receiver<RelayStatus>,
    running: Mutex<Option<JoinHandle<()>>>,
}

impl Relay {
    /// Starts on the current Tokio runtime.
    #[must_use]
    pub fn start(
        outbox: Arc<dyn Outbox>,
        sink: Arc<dyn EventSink>,
        clock: Arc<dyn Clock>,
        settings: RelaySettings,
    ) -> Self {
        let (closing, closed) = watch::channel(false);
        let (tell, status) = watch::channel(RelayStatus::default());
        let rounds = Rounds { outbox, sink, clock, settings, closed, tell, breaker: Breaker::Unknown };
        Self { closing, status, running: Mutex::new(Some(tokio::spawn(rounds.run()))) }
    }

    /// As of its last round.
    #[must_use]
    pub fn status(&self) -> RelayStatus {
        *self.status.borrow()
    }

    /// Delivers what is due, unless the platform is down, and ends.
    pub async fn drain(&self) {
        self.closing.send_replace(true);
        if let Some(running) = self.running.lock().await.take() {
            drop(running.await);
        }
    }
}

/// What a round came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Round {
    /// As many events as there can be: there may be more.
    Full,
    /// Some.
    Some,
    /// None were due.
    Empty,
}

struct Rounds {
    outbox: Arc<dyn Outbox>,
    sink: Arc<dyn EventSink>,
    clock: Arc<dyn Clock>,
    settings: RelaySettings,
    closed: watch::Receiver<bool>,
    tell: watch::Sender<RelayStatus>,
    breaker: Breaker,
}

impl Rounds {
    async fn run(mut self) {
        loop {
            let round = AssertUnwindSafe(self.round()).catch_unwind().await;
            let round = round.unwrap_or_else(|_| Err(RepositoryError::Backend("it panicked".into())));
            let breaker_open = self.breaker.is_open();
            gauge!("jangteo_relay_breaker_open").set(f64::from(u8::from(breaker_open)));
            self.tell.send_replace(RelayStatus { breaker_open });
            let closing = *self.closed.borrow();
            match round {
                Ok(Round::Full) if !self.breaker.is_open() => {}
                Ok(Round::Some) if !self.breaker.is_open() && closing => {}
                _ if closing => return,
                Ok(Round::Full | Round::Some) => self.rest(GATHERING).await,
                Ok(Round::Empty) => self.wait().await,
                Err(error) => {
                    tracing::error!(cause = ?error, "events could not be relayed: it is tried again");
                    self.rest(self.settings.poll.max(SETTLING_PAUSE)).await;
                }
            }
        }
    }

    /// Until there may be events. Stopping ends it, but not the pause that a platform is given.
    async fn wait(&mut self) {
        tokio::select! {
            _ = self.closed.wait_for(|closed| *closed) => {}
            () = self.outbox.appended() => {}
            () = sleep(self.settings.poll) => {}
        }
    }

    async fn rest(&mut self, pause: Duration) {
        let until = Instant::now() + pause;
        let until = self.breaker.closed_again().unwrap_or(until).max(until);
        tokio::select! {
            _ = self.closed.wait_for(|closed| *closed) => {}
            () = sleep_until(until) => {}
        }
    }

    async fn round(&mut self) -> Result<Round, RepositoryError> {
        let trial = self.breaker.wants_a_trial();
        let at_most = if trial { 1 } else { self.sink.batch() };
        let now = self.clock.now();
        let leased = self.outbox.lease(at_most, now, now + self.settings.lease()).await?;
        if leased.events.is_empty() {
            return Ok(Round::Empty);
        }
        let outcomes = self.publish(&leased.events).await;
        let settlement = self.settlement(&leased.events, outcomes, trial);
        self.settle(&leased, &settlement).await?;
        Ok(if leased.events.len() < at_most { Round::Some } else { Round::Full })
    }

    /// What no receiver could read is refused here; it keeps nothing else from being sent.
    async fn publish(&mut self, events: &[StoredEvent]) -> Vec<Result<(), PublishError>> {
        let started = Instant::now();
        let mut readable = Vec::with_capacity(events.len());
        let mut outcomes: Vec<_> = events
            .iter()
            .map(|event| match CloudEvent::new(event, &self.settings.source) {
                Ok(event) => {
                    readable.push(event);
                    None
                }
                Err(malformed) => Some(Err(PublishError::Refused(malformed.to_string()))),
            })
            .collect();
        let published = match readable.is_empty() {
            true => Vec::new(),
            false => self.send(&readable).await,
        };
        self.learn(&published);
        let mut published = published.into_iter();
        let unanswered = || Err(PublishError::Failed("the sink did not say what became of it".into()));
        let outcomes = outcomes
            .iter_mut()
            .map(|known| known.take().or_else(|| published.next()).unwrap_or_else(unanswered));
        let outcomes = outcomes.collect();
        histogram!("jangteo_relay_publish_seconds", "sink" => self.sink.name())
            .record(started.elapsed().as_secs_f64());
        outcomes
    }

    async fn send(&self, events: &[CloudEvent]) -> Vec<Result<(), PublishError>> {
        histogram!("jangteo_relay_batch_size", "sink" => self.sink.name()).record(events.len() as f64);
        let late = |_| vec![Err(PublishError::Failed("no answer in time".into())); events.len()];
        timeout(self.settings.publishing(), self.sink.publish(events)).await.unwrap_or_else(late)
    }

    fn learn(&mut self, outcomes: &[Result<(), PublishError>]) {
        let was_open = self.breaker.is_open();
        self.breaker.learn(outcomes);
        let sink = self.sink.name();
        match (was_open, self.breaker.is_open()) {
            (false, true) => {
                let cause = outcomes.iter().find_map(|outcome| outcome.as_ref().err());
                let cause = cause.map(tracing::field::display);
                tracing::warn!(sink, cause, "the data platform is down: events wait, purchases go on");
            }
            (true, false) => tracing::info!(sink, "the data platform is back"),
            _ => {}
        }
    }

    fn settlement(
        &self,
        events: &[StoredEvent],
        outcomes: Vec<Result<(), PublishError>>,
        trial: bool,
    ) -> Settlement {
        let now = self.clock.now();
        let mut settlement = Settlement::default();
        for (event, outcome) in events.iter().zip(outcomes) {
            match outcome {
                Ok(()) => {
                    let waited = (now - event.at).to_std().unwrap_or_default();
                    histogram!("jangteo_event_delivery_seconds").record(waited.as_secs_f64());
                    settlement.sent.push(event.id);
                }
                Err(PublishError::NotTried) => settlement.returned.push(event.id),
                // Nobody was there to take it, most likely. All the same the next trial is another event's.
                Err(PublishError::Failed(error)) if trial => {
                    count("returned", 1);
                    let attempts = event.attempts;
                    let retry_at = Some(now + pause(attempts + 1));
                    settlement.failed.push(FailedEvent {
                        id: event.id,
                        error: shown(&error),
                        attempts,
                        retry_at,
                    });
                }
                Err(error) => settlement.failed.push(self.failed(event, &error, now)),
            }
        }
        count("sent", settlement.sent.len());
        count("returned", settlement.returned.len());
        settlement
    }

    fn failed(&self, event: &StoredEvent, error: &PublishError, now: DateTime<Utc>) -> FailedEvent {
        let attempts = event.attempts + 1;
        // Several relays may each try in vain before they know that the platform is down.
        let to_blame = matches!(error, PublishError::Refused(_)) || self.breaker.is_sure();
        let last = attempts >= self.settings.max_attempts && to_blame;
        let (aggregate, sequence) = (event.aggregate, event.sequence);
        let id = event.aggregate_id;
        if last {
            tracing::error!(?aggregate, id, sequence, attempts, %error, "an event is given up: see the outbox");
        } else {
            tracing::debug!(?aggregate, id, sequence, attempts, %error, "an event was not delivered");
        }
        count(if last { "dead" } else { "failed" }, 1);
        FailedEvent {
            id: event.id,
            error: shown(&error.to_string()),
            attempts,
            retry_at: (!last).then(|| now + pause(attempts)),
        }
    }

    /// What is not written down in time happens again: so it is tried until the lease is over.
    async fn settle(&mut self, lease: &Leased, settlement: &Settlement) -> Result<(), RepositoryError> {
        loop {
            let now = self.clock.now();
            match self.outbox.settle(lease, settlement, now).await {
                Err(error) if now < lease.until => {
                    tracing::warn!(cause = ?error, "what became of events was not written down: it is tried again");
                    sleep(SETTLING_PAUSE).await;
                }
                settled => return settled,
            }
        }
    }
}

fn shown(error: &str) -> String {
    error.chars().take(LONGEST_ERROR).collect()
}

/// Exponential with full jitter.
fn pause(attempts: u32) -> TimeDelta {
    let doublings = attempts.saturating_sub(1).min(16);
    let longest = (FIRST_PAUSE * 2_u32.pow(doublings)).min(LONGEST_PAUSE);
    TimeDelta::from_std(longest.mul_f64(rand::random::<f64>())).unwrap_or(TimeDelta::MAX)
}

fn count(result: &'static str, events: usize) {
    counter!("jangteo_relay_events_total", "result" => result).increment(events as u64);
}

#[cfg(test)]
mod tests;
