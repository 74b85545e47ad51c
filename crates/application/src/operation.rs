//! Write operations: how a batch of commands is decided in one unit of work, each key once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use jangteo_domain::{RepositoryError, UserId, Wallet};

use crate::clock::Clock;
use crate::idempotency::{Fingerprint, IdempotencyKey, IdempotencyRecord, ScopedKey};
use crate::ids::{IdAllocator, Sequence};
use crate::unit_of_work::{Database, UnitOfWork};

/// A kind of write command.
#[async_trait]
pub trait Operation: Send + Sync + 'static {
    /// Names the operation in metrics and logs, and in idempotency keys unless [`Operation::key_scope`] differs.
    const NAME: &'static str;
    /// Everything that [`Operation::key_scope`] names.
    const KEY_SCOPES: &'static [&'static str] = &[Self::NAME];
    /// What the accepted commands need ids of, one each.
    const IDS: Option<Sequence>;
    /// What else they need ids of, for parts of what they create: as many as [`Operation::parts`] says.
    const PART_IDS: Option<Sequence> = None;

    /// What is asked for.
    type Command: Send + Sync + 'static;
    /// What an accepted command comes to.
    type Success: Clone + Send + Sync + 'static;
    /// Why a command is refused by a rule of the shop.
    type Refusal: Clone + Send + Sync + 'static;

    /// The customer whose wallet is locked; `None` when no wallet is concerned.
    fn customer(command: &Self::Command) -> Option<UserId>;

    /// Where the command's key belongs: who asks, unless that is not a customer yet, and for what.
    fn key_scope(command: &Self::Command) -> (Option<UserId>, &'static str) {
        (Self::customer(command), Self::NAME)
    }

    /// How many ids of [`Operation::PART_IDS`] the command needs.
    fn parts(_: &Self::Command) -> usize {
        0
    }

    /// A hash over everything that the command asks for.
    fn fingerprint(command: &Self::Command) -> Fingerprint;

    /// Decides the commands in arrival order and writes what the accepted ones come to.
    async fn decide(
        &self,
        work: &mut Work<'_>,
        commands: &[&Self::Command],
    ) -> Result<Vec<Outcome<Self>>, RepositoryError>;

    /// Writes an outcome down for a later [`Operation::replay`]. A command that could never be accepted is not
    /// recorded: whoever corrects it may use its key.
    fn record(outcome: &Outcome<Self>) -> Option<String>;

    /// Reads an outcome that [`Operation::record`] wrote.
    fn replay(record: &str) -> Result<Outcome<Self>, serde_json::Error>;
}

/// What a rule of the shop makes of a command.
pub type Outcome<O> = Result<<O as Operation>::Success, <O as Operation>::Refusal>;

/// What deciding a batch has at hand.
pub struct Work<'a> {
    /// The transaction.
    pub uow: &'a mut dyn UnitOfWork,
    /// The wallets of the commands' customers, locked; every customer has one.
    pub wallets: BTreeMap<UserId, Wallet>,
    /// Ids of [`Operation::IDS`], at least one for each command.
    pub ids: std::vec::IntoIter<i64>,
    /// Ids of [`Operation::PART_IDS`], as many as the commands need.
    pub part_ids: std::vec::IntoIter<i64>,
    /// The time at which everything in the batch happens.
    pub now: DateTime<Utc>,
}

/// A command as a client sent it.
#[derive(Debug, Clone)]
pub struct Submission<C> {
    /// What is asked for.
    pub command: C,
    /// The client's key, if it wants retries to be safe.
    pub key: Option<IdempotencyKey>,
}

/// A decided command.
pub struct Answer<O: Operation> {
    /// What it came to.
    pub outcome: Outcome<O>,
    /// Whether it was decided earlier, for a request with the same key.
    pub replayed: bool,
}

impl<O: Operation> Clone for Answer<O> {
    fn clone(&self) -> Self {
        Self { outcome: self.outcome.clone(), replayed: self.replayed }
    }
}

/// Why a command was not decided.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WriteError {
    /// The customer does not exist.
    #[error("customer {0} does not exist")]
    UnknownUser(UserId),
    /// The idempotency key belongs to another request.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// Too many commands are waiting. Nothing was executed.
    #[error("too many commands are waiting")]
    Overloaded,
    /// The command waited too long. Nothing was executed.
    #[error("the command waited too long")]
    DeadlinePassed,
    /// The shop is closing. Nothing was executed.
    #[error("the shop is closing")]
    ShuttingDown,
    /// The database failed, or the code did. Nothing was executed.
    #[error("deciding the command failed")]
    Failed(#[source] Arc<RepositoryError>),
    /// The database failed while committing; a retry with the same key tells what became of the command.
    #[error("it is not known whether the command was executed")]
    Unknown(#[source] Arc<RepositoryError>),
    /// A stored outcome cannot be read.
    #[error("the stored outcome cannot be read")]
    Unreadable(#[source] Arc<serde_json::Error>),
}

/// What the caller of one command gets.
pub type Reply<O> = Result<Answer<O>, WriteError>;

/// Decides batches of one operation.
pub struct Executor<O> {
    operation: O,
    database: Arc<dyn Database>,
    ids: Arc<dyn IdAllocator>,
    clock: Arc<dyn Clock>,
}

impl<O: Operation> Executor<O> {
    /// An executor over these ports.
    pub fn new(
        operation: O,
        database: Arc<dyn Database>,
        ids: Arc<dyn IdAllocator>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { operation, database, ids, clock }
    }

    /// Decides commands in arrival order in one unit of work, flushed, which the caller has yet to commit.
    pub async fn execute(
        &self,
        submissions: &[&Submission<O::Command>],
    ) -> Result<(Vec<Reply<O>>, Box<dyn UnitOfWork>), RepositoryError> {
        let ids = self.reserve(O::IDS, submissions.len()).await?;
        let parts = submissions.iter().map(|submission| O::parts(&submission.command)).sum();
        let part_ids = self.reserve(O::PART_IDS, parts).await?;
        let mut uow = self.database.begin().await?;
        let customers: BTreeSet<UserId> =
            submissions.iter().filter_map(|submission| O::customer(&submission.command)).collect();
        let wallets = match customers.is_empty() {
            true => BTreeMap::new(),
            false => uow.wallets().lock_many(&customers).await?,
        };
        let mut desk = Desk::<O>::open(submissions);
        let keys = desk.keys();
        if !keys.is_empty() {
            desk.recognise(&uow.idempotency().find_many(&keys).await?);
        }
        desk.turn_away_strangers(&wallets);
        let (fresh, commands) = desk.fresh();
        let (ids, part_ids) = (ids.into_iter(), part_ids.into_iter());
        let mut work = Work { uow: uow.as_mut(), wallets, ids, part_ids, now: self.clock.now() };
        if !commands.is_empty() {
            let outcomes = self.operation.decide(&mut work, &commands).await?;
            debug_assert_eq!(outcomes.len(), commands.len());
            desk.settle(&fresh, outcomes);
        }
        let now = work.now;
        self.give_back(O::IDS, work.ids);
        self.give_back(O::PART_IDS, work.part_ids);
        let records = desk.records(&fresh, now);
        if !records.is_empty() {
            uow.idempotency().insert_many(&records).await?;
        }
        uow.flush().await?;
        Ok((desk.into_replies(), uow))
    }

    async fn reserve(&self, sequence: Option<Sequence>, count: usize) -> Result<Vec<i64>, RepositoryError> {
        match sequence {
            Some(sequence) if count > 0 => self.ids.reserve(sequence, count).await,
            Some(_) | None => Ok(Vec::new()),
        }
    }

    fn give_back(&self, sequence: Option<Sequence>, unused: std::vec::IntoIter<i64>) {
        if let Some(sequence) = sequence {
            self.ids.give_back(sequence, unused.collect());
        }
    }
}

/// Sorts a batch: who is unknown, whose key is known, who repeats a neighbour, who is to be decided.
struct Desk<'a, O: Operation> {
    submissions: &'a [&'a Submission<O::Command>],
    replies: Vec<Option<Reply<O>>>,
    /// What each submission with a key asks for.
    keyed: BTreeMap<usize, (ScopedKey, Fingerprint)>,
    /// Submissions that get the reply of an earlier one with the same key.
    repeats: BTreeMap<usize, usize>,
}

impl<'a, O: Operation> Desk<'a, O> {
    fn open(submissions: &'a [&'a Submission<O::Command>]) -> Self {
        let replies = submissions.iter().map(|_| None).collect();
        let mut keyed = BTreeMap::new();
        for (index, submission) in submissions.iter().enumerate() {
            if let Some(key) = submission.key.clone() {
                let (user, operation) = O::key_scope(&submission.command);
                debug_assert!(O::KEY_SCOPES.contains(&operation), "{operation} is among the scopes");
                let key = ScopedKey { user, operation, key };
                keyed.insert(index, (key, O::fingerprint(&submission.command)));
            }
        }
        Self { submissions, replies, keyed, repeats: BTreeMap::new() }
    }

    fn keys(&self) -> BTreeSet<ScopedKey> {
        self.keyed.values().map(|(key, _)| key.clone()).collect()
    }

    /// Answers those whose key was seen before: in an earlier batch, or earlier in this one.
    fn recognise(&mut self, known: &BTreeMap<ScopedKey, IdempotencyRecord>) {
        let mut first: BTreeMap<&ScopedKey, usize> = BTreeMap::new();
        for (&index, (key, fingerprint)) in &self.keyed {
            if let Some(record) = known.get(key) {
                self.replies[index] = Some(match record.fingerprint == *fingerprint {
                    true => stored_reply(&record.outcome),
                    false => Err(WriteError::KeyReused),
                });
            } else if let Some(earlier) = first.get(key) {
                match self.keyed[earlier].1 == *fingerprint {
                    true => drop(self.repeats.insert(index, *earlier)),
                    false => self.replies[index] = Some(Err(WriteError::KeyReused)),
                }
            } else {
                first.insert(key, index);
            }
        }
    }

    /// Answers those who are not customers. After the keys were looked up: who has left since, perhaps with this very
    /// request, still gets the answer that was given then.
    fn turn_away_strangers(&mut self, wallets: &BTreeMap<UserId, Wallet>) {
        for (index, submission) in self.submissions.iter().enumerate() {
            let stranger = O::customer(&submission.command).filter(|user| !wallets.contains_key(user));
            if let Some(unknown) = stranger.filter(|_| self.replies[index].is_none()) {
                self.replies[index] = Some(Err(WriteError::UnknownUser(unknown)));
                self.repeats.remove(&index);
            }
        }
    }

    /// Those that have to be decided.
    fn fresh(&self) -> (Vec<usize>, Vec<&'a O::Command>) {
        (0..self.submissions.len())
            .filter(|index| self.replies[*index].is_none() && !self.repeats.contains_key(index))
            .map(|index| (index, &self.submissions[index].command))
            .unzip()
    }

    fn settle(&mut self, fresh: &[usize], outcomes: Vec<Outcome<O>>) {
        for (&index, outcome) in fresh.iter().zip(outcomes) {
            self.replies[index] = Some(Ok(Answer { outcome, replayed: false }));
        }
    }

    /// What has to be written down of the decided ones.
    fn records(&self, fresh: &[usize], at: DateTime<Utc>) -> Vec<(ScopedKey, IdempotencyRecord)> {
        fresh
            .iter()
            .filter_map(|index| {
                let (key, fingerprint) = self.keyed.get(index)?.clone();
                let answer = self.replies[*index].as_ref()?.as_ref().ok()?;
                let outcome = O::record(&answer.outcome)?;
                Some((key, IdempotencyRecord { fingerprint, outcome, at }))
            })
            .collect()
    }

    fn into_replies(mut self) -> Vec<Reply<O>> {
        for (&index, &earlier) in &self.repeats {
            let reply = self.replies[earlier].clone();
            self.replies[index] = reply.map(|reply| reply.map(|answer| Answer { replayed: true, ..answer }));
        }
        self.replies.into_iter().map(|reply| reply.expect("every submission is replied to")).collect()
    }
}

fn stored_reply<O: Operation>(outcome: &str) -> Reply<O> {
    match O::replay(outcome) {
        Ok(outcome) => Ok(Answer { outcome, replayed: true }),
        Err(error) => Err(WriteError::Unreadable(Arc::new(error))),
    }
}

#[cfg(test)]
mod tests;
