//! Delivering events again that the platform has not got, or has lost.
//!
//! It could not be an [`Operation`](crate::Operation): after an incident there may be millions, and one transaction for
//! all of them would keep purchases waiting. So it goes in parts, each a unit of work, and the outcome is written down
//! under the caller's key with the last of them. Should it break off in between, the rest waits for whoever asks again;
//! no part does harm when it is done twice, since the platform drops the events that it has. Who asked for what is on the
//! trail with the first part that delivers any again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use jangteo_domain::RepositoryError;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::idempotency::{Fingerprint, IdempotencyRecord, ScopedKey};
use crate::operation::{Submission, WriteError};
use crate::outbox::EventStatus;
use crate::outbox_queries::{OutboxQueries, Period};
use crate::snapshot::{Moment, from_json, to_json};
use crate::trail::{Administrator, Subject, TrailEntry};
use crate::unit_of_work::{Database, UnitOfWork};

/// How many events a unit of work takes: it is over in well under a second.
const PART: usize = 500;
/// How often a part is tried and for how long, and the longest pause before the second time.
const ATTEMPTS: u32 = 8;
const PATIENCE: Duration = Duration::from_secs(3);
const FIRST_PAUSE: Duration = Duration::from_millis(5);

const RETRY_ONE: &str = "retry-event";
const RETRY: &str = "retry-events";
const RESEND: &str = "resend-events";

/// Which events are to be delivered again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redelivery {
    /// This one, which failed or was given up.
    Event(i64),
    /// All that failed, without waiting for their next attempt.
    Failed,
    /// All that were given up.
    Dead,
    /// All that happened in a period and were sent, with those that were sent after them of the same order or coupon.
    Sent(Period),
}

impl Redelivery {
    /// What it is called in idempotency keys.
    pub const KEY_SCOPES: [&'static str; 3] = [RETRY_ONE, RETRY, RESEND];

    /// Whether a key of this scope was for one event.
    #[must_use]
    pub fn is_of_one_event(scope: &str) -> bool {
        scope == RETRY_ONE
    }

    /// Names it in idempotency keys and logs.
    fn name(self) -> &'static str {
        match self {
            Self::Event(_) => RETRY_ONE,
            Self::Failed | Self::Dead => RETRY,
            Self::Sent(_) => RESEND,
        }
    }

    /// Reads an outcome that was written down under a key.
    ///
    /// # Errors
    /// When it is not one.
    pub fn replay(record: &str) -> Result<Redelivered, serde_json::Error> {
        from_json(record)
    }

    fn fingerprint(self) -> Fingerprint {
        match self {
            Self::Event(id) => Fingerprint::of(&id),
            Self::Failed => Fingerprint::of(&EventStatus::Failed.name()),
            Self::Dead => Fingerprint::of(&EventStatus::Dead.name()),
            Self::Sent(Period { from, to }) => Fingerprint::of(&(Moment(from), Moment(to))),
        }
    }

    /// What is as it is looked for.
    fn only(self) -> &'static [EventStatus] {
        match self {
            Self::Event(_) => &[EventStatus::Failed, EventStatus::Dead],
            Self::Failed => &[EventStatus::Failed],
            Self::Dead => &[EventStatus::Dead],
            Self::Sent(_) => &[EventStatus::Sent],
        }
    }

    /// What the trail says of it.
    fn entry(self, by: &Administrator, events: usize, now: DateTime<Utc>) -> TrailEntry {
        let (id, asked) = match self {
            Self::Event(id) => (id, AskedSnapshot { events, ..AskedSnapshot::default() }),
            Self::Failed => (EVERY, AskedSnapshot::all_that_are(EventStatus::Failed, events)),
            Self::Dead => (EVERY, AskedSnapshot::all_that_are(EventStatus::Dead, events)),
            Self::Sent(Period { from, to }) => {
                let (from, to) = (Some(Moment(from)), Some(Moment(to)));
                (EVERY, AskedSnapshot { from, to, events, status: None })
            }
        };
        TrailEntry::new(by, self.name(), (Subject::Event, id), (None, Some(&asked)), now)
    }
}

/// In the place of an event's id: many were asked for.
const EVERY: i64 = 0;

/// What was asked for, and how many events that were.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct AskedSnapshot {
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<Moment>,
    events: usize,
}

impl AskedSnapshot {
    fn all_that_are(status: EventStatus, events: usize) -> Self {
        Self { status: Some(status.name()), events, ..Self::default() }
    }
}

/// Why an event is not delivered again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RedeliveryRefusal {
    /// There is none, or it was kept long enough.
    Unknown,
    /// The platform has it.
    Sent,
}

/// How many events are delivered again; of one that waits anyway, none.
pub type Redelivered = Result<u64, RedeliveryRefusal>;

/// What whoever asked is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RedeliveryAnswer {
    /// What it came to.
    pub outcome: Redelivered,
    /// Whether it was done earlier, for a request with the same key.
    pub replayed: bool,
}

/// Delivers events again.
pub struct Redeliverer {
    parts: Arc<Parts>,
    home: Handle,
}

impl Redeliverer {
    /// Works on the current Tokio runtime.
    #[must_use]
    pub fn here(database: Arc<dyn Database>, outbox: Arc<dyn OutboxQueries>, clock: Arc<dyn Clock>) -> Self {
        Self { parts: Arc::new(Parts { database, outbox, clock }), home: Handle::current() }
    }

    /// Has them delivered again, to the last, though the caller may go away.
    ///
    /// # Errors
    /// [`WriteError`]; unless nothing was executed, asking again does the rest.
    pub async fn redeliver(
        &self,
        by: Administrator,
        asked: Submission<Redelivery>,
    ) -> Result<RedeliveryAnswer, WriteError> {
        let parts = Arc::clone(&self.parts);
        let operation = asked.command.name();
        let answer = self.home.spawn(async move { parts.redeliver(&by, asked).await }).await;
        let answer = answer.unwrap_or_else(|panic| Err(Failure::At(RepositoryError::Backend(panic.into()))));
        answer.map_err(|failure| {
            if let Failure::At(cause) | Failure::Halfway(cause) = &failure {
                tracing::error!(operation, ?cause, "events could not be delivered again");
            }
            failure.into()
        })
    }
}

/// Why a part was not written.
#[derive(Debug)]
enum Failure {
    /// The key belongs to another request.
    KeyReused,
    /// The outcome under the key cannot be read.
    Unreadable(serde_json::Error),
    /// Before the commit, or in one that surely wrote nothing.
    At(RepositoryError),
    /// While committing, or after other parts: some may have been written.
    Halfway(RepositoryError),
}

impl From<RepositoryError> for Failure {
    fn from(error: RepositoryError) -> Self {
        Self::At(error)
    }
}

impl From<Failure> for WriteError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::KeyReused => Self::KeyReused,
            Failure::Unreadable(error) => Self::Unreadable(Arc::new(error)),
            Failure::At(error) => Self::Failed(Arc::new(error)),
            Failure::Halfway(error) => Self::Unknown(Arc::new(error)),
        }
    }
}

/// A key and what was asked for under it.
type Keyed = (ScopedKey, Fingerprint);

/// What is done in one unit of work.
struct Part<'a> {
    ids: &'a [i64],
    /// What the parts before it came to.
    done: u64,
    /// For the trail: the first part that delivers any again leaves it there.
    entry: &'a TrailEntry,
    /// The last part has it.
    keyed: Option<&'a Keyed>,
}

struct Parts {
    database: Arc<dyn Database>,
    outbox: Arc<dyn OutboxQueries>,
    clock: Arc<dyn Clock>,
}

impl Parts {
    async fn redeliver(
        &self,
        by: &Administrator,
        asked: Submission<Redelivery>,
    ) -> Result<RedeliveryAnswer, Failure> {
        let Submission { command, key } = asked;
        let scoped = |key| ScopedKey { user: Some(by.user), operation: command.name(), key };
        let keyed = key.map(|key| (scoped(key), command.fingerprint()));
        if let Some(outcome) = patiently(|| self.known(keyed.as_ref())).await? {
            return Ok(RedeliveryAnswer { outcome, replayed: true });
        }
        let ids = patiently(|| self.ids(command)).await?;
        // There is a last part, if an empty one: it has the key.
        let last = ids.len().saturating_sub(1) / PART * PART;
        let entry = command.entry(by, ids.len(), self.clock.now());
        let mut done = 0;
        for ids in ids[..last].chunks(PART) {
            let part = Part { ids, done, entry: &entry, keyed: None };
            done = self.write(command, &part).await?.unwrap_or(done);
        }
        let part = Part { ids: &ids[last..], done, entry: &entry, keyed: keyed.as_ref() };
        match self.write(command, &part).await {
            // Somebody was first with the same key.
            Err(Failure::At(RepositoryError::Conflict(conflict))) => {
                match self.known(keyed.as_ref()).await? {
                    Some(outcome) => Ok(RedeliveryAnswer { outcome, replayed: true }),
                    None => Err(Failure::At(RepositoryError::Conflict(conflict))),
                }
            }
            written => Ok(RedeliveryAnswer { outcome: written?, replayed: false }),
        }
    }

    async fn ids(&self, command: Redelivery) -> Result<Vec<i64>, Failure> {
        Ok(match command {
            Redelivery::Event(id) => vec![id],
            Redelivery::Failed => self.outbox.ids_of(EventStatus::Failed).await?,
            Redelivery::Dead => self.outbox.ids_of(EventStatus::Dead).await?,
            Redelivery::Sent(period) => self.outbox.sent_ids(period).await?,
        })
    }

    /// What became of an earlier request with the same key.
    async fn known(&self, keyed: Option<&Keyed>) -> Result<Option<Redelivered>, Failure> {
        let Some((key, fingerprint)) = keyed else { return Ok(None) };
        let mut uow = self.database.begin().await?;
        let found = uow.idempotency().find_many(&BTreeSet::from([key.clone()])).await?;
        match found.get(key) {
            None => Ok(None),
            Some(record) if record.fingerprint != *fingerprint => Err(Failure::KeyReused),
            Some(record) => from_json(&record.outcome).map(Some).map_err(Failure::Unreadable),
        }
    }

    async fn write(&self, command: Redelivery, part: &Part<'_>) -> Result<Redelivered, Failure> {
        let written = patiently(|| self.try_to_write(command, part)).await;
        written.map_err(|failure| match failure {
            Failure::At(error @ (RepositoryError::Transient(_) | RepositoryError::Backend(_)))
                if part.done > 0 =>
            {
                Failure::Halfway(error)
            }
            failure => failure,
        })
    }

    async fn try_to_write(&self, command: Redelivery, part: &Part<'_>) -> Result<Redelivered, Failure> {
        let mut uow = self.database.begin().await?;
        let now = self.clock.now();
        let status = match command {
            Redelivery::Event(id) => Some(uow.outbox().lock_status(id).await?),
            Redelivery::Failed | Redelivery::Dead | Redelivery::Sent(_) => None,
        };
        let outcome = match status {
            // It may come yet, and the key is good for it then.
            Some(None) => return Ok(Err(RedeliveryRefusal::Unknown)),
            Some(Some(EventStatus::Sent)) => Err(RedeliveryRefusal::Sent),
            _ => {
                let again = uow.outbox().deliver_again(part.ids, command.only(), now).await?;
                if again > 0 && part.done == 0 {
                    uow.trail().append(std::slice::from_ref(part.entry)).await?;
                }
                Ok(part.done + again as u64)
            }
        };
        if let Some((key, fingerprint)) = part.keyed {
            let (fingerprint, outcome) = (fingerprint.clone(), to_json(&outcome));
            let record = IdempotencyRecord { fingerprint, outcome, at: now };
            uow.idempotency().insert_many(&[(key.clone(), record)]).await?;
        }
        commit(uow).await?;
        Ok(outcome)
    }
}

/// Tries again what surely wrote nothing and may well succeed.
async fn patiently<T, F: Future<Output = Result<T, Failure>>>(work: impl Fn() -> F) -> Result<T, Failure> {
    let begun = Instant::now();
    let mut attempt = 1;
    loop {
        match work().await {
            Err(Failure::At(RepositoryError::Transient(_)))
                if attempt < ATTEMPTS && begun.elapsed() < PATIENCE =>
            {
                tokio::time::sleep((FIRST_PAUSE * 2_u32.pow(attempt - 1)).mul_f64(rand::random::<f64>()))
                    .await;
                attempt += 1;
            }
            done => return done,
        }
    }
}

/// Of a commit that fails otherwise than so, it is not known what it wrote.
async fn commit(uow: Box<dyn UnitOfWork>) -> Result<(), Failure> {
    uow.commit().await.map_err(|error| match error {
        RepositoryError::Transient(_) | RepositoryError::Conflict(_) => Failure::At(error),
        RepositoryError::Backend(_) => Failure::Halfway(error),
    })
}

#[cfg(test)]
mod tests;
