use std::sync::Mutex;

use async_trait::async_trait;
use futures::future::{join, join_all};
use jangteo_domain::UserId;
use tokio::sync::Semaphore;

use super::*;
use crate::idempotency::Fingerprint;
use crate::ids::Sequence;
use crate::mocks::{Counting, MockedUnitOfWork, Prepared, Stopped, backend, conflict, transient};
use crate::operation::{Outcome, Work};

/// An operation on nothing: what happens to a command is its text.
#[derive(Default, Clone)]
struct Script {
    /// The batches as they were decided.
    batches: Arc<Mutex<Vec<Vec<&'static str>>>>,
    /// Closed while a test fills the queue.
    held: Option<Arc<Semaphore>>,
    /// How long deciding takes.
    takes: Duration,
}

#[async_trait]
impl Operation for Script {
    const NAME: &'static str = "script";
    const IDS: Option<Sequence> = None;
    type Command = &'static str;
    type Success = &'static str;
    type Refusal = &'static str;

    fn customer(_: &&'static str) -> Option<UserId> {
        None
    }

    fn fingerprint(command: &&'static str) -> Fingerprint {
        Fingerprint::of(command)
    }

    async fn decide(
        &self,
        _: &mut Work<'_>,
        commands: &[&&'static str],
    ) -> Result<Vec<Outcome<Self>>, RepositoryError> {
        self.batches.lock().unwrap().push(commands.iter().map(|command| **command).collect());
        if let Some(held) = &self.held {
            drop(held.acquire().await);
        }
        if !self.takes.is_zero() {
            tokio::time::sleep(self.takes).await;
        }
        if commands.contains(&&"panic") {
            panic!("as the script says");
        }
        if commands.contains(&&"poison") {
            return Err(backend());
        }
        Ok(commands
            .iter()
            .map(|&&command| if command == "refuse" { Err(command) } else { Ok(command) })
            .collect())
    }

    fn record(_: &Outcome<Self>) -> Option<String> {
        unreachable!("no command has a key")
    }

    fn replay(_: &str) -> Result<Outcome<Self>, serde_json::Error> {
        unreachable!("no command has a key")
    }
}

impl Script {
    fn holding() -> (Self, Arc<Semaphore>) {
        let held = Arc::new(Semaphore::new(0));
        (Self { held: Some(Arc::clone(&held)), ..Self::default() }, held)
    }

    fn batches(&self) -> Vec<Vec<&'static str>> {
        self.batches.lock().unwrap().clone()
    }

    fn start(&self, database: &Arc<Prepared>, settings: BatcherSettings) -> Arc<Batcher<Self>> {
        let executor =
            Executor::new(self.clone(), database.clone(), Arc::new(Counting::default()), Arc::new(Stopped));
        Arc::new(Batcher::start(executor, settings))
    }
}

fn settings() -> BatcherSettings {
    BatcherSettings { batch_size: 4, queue_length: 8, lanes: 1, deadline: Duration::from_secs(5) }
}

async fn submit(batcher: &Batcher<Script>, command: &'static str) -> Reply<Script> {
    batcher.submit(Submission { command, key: None }).await
}

fn succeeded(reply: &Reply<Script>) -> bool {
    reply.as_ref().is_ok_and(|answer| answer.outcome.is_ok())
}

#[tokio::test]
async fn at_rest_a_batch_is_one_command() {
    let (script, database) = (Script::default(), Prepared::new([]));
    let batcher = script.start(&database, settings());
    assert!(succeeded(&submit(&batcher, "a").await));
    assert!(!succeeded(&submit(&batcher, "refuse").await));
    assert_eq!(script.batches(), [["a"], ["refuse"]]);
    assert_eq!(database.commits(), 2);
}

#[tokio::test]
async fn commands_that_wait_share_the_next_transaction_in_arrival_order() {
    let (script, held) = Script::holding();
    let database = Prepared::new([]);
    let batcher = script.start(&database, settings());
    let release = async {
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        held.add_permits(100);
    };
    let all = join_all(["a", "b", "c", "d", "e", "f", "g"].map(|command| {
        let batcher = Arc::clone(&batcher);
        async move {
            if command != "a" {
                tokio::task::yield_now().await;
            }
            submit(&batcher, command).await
        }
    }));
    let (replies, ()) = join(all, release).await;
    assert!(replies.iter().all(succeeded));
    let batches = script.batches();
    assert_eq!(batches.concat(), ["a", "b", "c", "d", "e", "f", "g"]);
    assert!(batches.iter().all(|batch| batch.len() <= 4) && batches.len() < 7, "{batches:?}");
    assert_eq!(database.commits(), batches.len());
}

/// Asks again and again, a moment after each answer: another one each.
async fn ask_again(batcher: Arc<Batcher<Script>>, moment: Duration, times: usize) {
    for _ in 0..times {
        assert!(succeeded(&submit(&batcher, "a").await));
        tokio::time::sleep(moment).await;
    }
}

/// Twenty callers who each ask three times; how large the batches were.
async fn sizes_of_a_crowds_batches(takes: Duration) -> Vec<usize> {
    let script = Script { takes, ..Script::default() };
    let settings = BatcherSettings { batch_size: 64, queue_length: 64, ..settings() };
    let batcher = script.start(&Prepared::new([]), settings);
    join_all((0..20).map(|n| ask_again(Arc::clone(&batcher), Duration::from_millis(n % 2), 3))).await;
    script.batches().iter().map(Vec::len).collect()
}

#[tokio::test(start_paused = true)]
async fn those_who_were_answered_together_share_the_next_batch_too() {
    let sizes = sizes_of_a_crowds_batches(Duration::from_millis(8)).await;
    assert!(sizes.iter().filter(|size| **size == 20).count() >= 2, "{sizes:?}");
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_crowd_where_batches_are_quick() {
    let sizes = sizes_of_a_crowds_batches(Duration::from_millis(1)).await;
    assert!(sizes.iter().skip(1).all(|size| *size < 20), "{sizes:?}");
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_long_for_a_crowd_that_does_not_come_again() {
    let script = Script { takes: Duration::from_millis(8), ..Script::default() };
    let settings = BatcherSettings { batch_size: 64, queue_length: 64, ..settings() };
    let batcher = script.start(&Prepared::new([]), settings);
    join_all((0..20).map(|_| submit(&batcher, "a"))).await;
    let begun = Instant::now();
    for _ in 0..10 {
        assert!(succeeded(&submit(&batcher, "a").await));
    }
    assert!(begun.elapsed() <= Duration::from_millis(10 * 8 + 8), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let (script, held) = Script::holding();
    let batcher = script.start(&Prepared::new([]), BatcherSettings { queue_length: 2, ..settings() });
    let mut calls: Vec<_> = (0..6)
        .map(|_| {
            let batcher = Arc::clone(&batcher);
            tokio::spawn(async move { submit(&batcher, "a").await })
        })
        .collect();
    tokio::task::yield_now().await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    held.add_permits(100);
    let mut refused = 0;
    for call in calls.drain(..) {
        match call.await.unwrap() {
            Ok(_) => {}
            Err(WriteError::Overloaded) => refused += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert!((1..6).contains(&refused), "{refused}");
}

#[tokio::test]
async fn a_command_past_its_deadline_is_not_executed() {
    let (script, held) = Script::holding();
    let batcher = script
        .start(&Prepared::new([]), BatcherSettings { deadline: Duration::from_millis(30), ..settings() });
    let late = async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        submit(&batcher, "late").await
    };
    let release = async {
        tokio::time::sleep(Duration::from_millis(80)).await;
        held.add_permits(100);
    };
    let (first, (late, ())) = join(submit(&batcher, "first"), join(late, release)).await;
    assert!(succeeded(&first));
    assert!(matches!(late, Err(WriteError::DeadlinePassed)));
    assert_eq!(script.batches(), [["first"]]);
}

#[tokio::test]
async fn a_deadlock_is_tried_again_and_reaches_no_caller() {
    let deadlocked = MockedUnitOfWork { commit_fails: Some(transient()), ..MockedUnitOfWork::default() };
    let database = Prepared::new([Err(transient()), Ok(deadlocked)]);
    let batcher = Script::default().start(&database, settings());
    assert!(succeeded(&submit(&batcher, "a").await));
    assert_eq!((database.begun(), database.commits()), (3, 1));
}

#[tokio::test]
async fn a_database_that_stays_away_is_reported() {
    let database = Prepared::new((0..ATTEMPTS).map(|_| Err(transient())));
    let batcher = Script::default().start(&database, settings());
    assert!(matches!(submit(&batcher, "a").await, Err(WriteError::Failed(_))));
    assert_eq!(database.begun(), ATTEMPTS as usize);
}

#[tokio::test]
async fn a_commit_of_unknown_outcome_is_never_tried_again() {
    let unknown = MockedUnitOfWork { commit_fails: Some(backend()), ..MockedUnitOfWork::default() };
    let database = Prepared::new([Ok(unknown)]);
    let batcher = Script::default().start(&database, settings());
    assert!(matches!(submit(&batcher, "a").await, Err(WriteError::Unknown(_))));
    assert_eq!(database.begun(), 1);
}

/// Queues the commands behind one that is held, so that they make one batch.
async fn together<const N: usize>(
    script: Script,
    held: Arc<Semaphore>,
    database: &Arc<Prepared>,
    commands: [&'static str; N],
) -> Vec<Reply<Script>> {
    let batcher = script.start(database, settings());
    let release = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        held.add_permits(100);
    };
    let rest = async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        join_all(commands.map(|command| submit(&batcher, command))).await
    };
    let (_, (replies, ())) = join(submit(&batcher, "first"), join(rest, release)).await;
    replies
}

#[tokio::test]
async fn after_a_conflict_each_command_runs_alone() {
    let (script, held) = Script::holding();
    let conflicting = MockedUnitOfWork { commit_fails: Some(conflict()), ..MockedUnitOfWork::default() };
    let database = Prepared::new([Ok(MockedUnitOfWork::default()), Ok(conflicting)]);
    let replies = together(script.clone(), held, &database, ["a", "b"]).await;
    assert!(replies.iter().all(succeeded));
    assert_eq!(script.batches(), [vec!["first"], vec!["a", "b"], vec!["a"], vec!["b"]]);
}

#[tokio::test]
async fn a_command_that_the_database_will_not_take_does_not_harm_its_neighbours() {
    for harmful in ["poison", "panic"] {
        let (script, held) = Script::holding();
        let replies = together(script, held, &Prepared::new([]), ["a", harmful, "b"]).await;
        assert!(succeeded(&replies[0]) && succeeded(&replies[2]));
        assert!(matches!(replies[1], Err(WriteError::Failed(_))));
    }
}

#[tokio::test]
async fn draining_answers_those_who_wait_and_refuses_the_rest() {
    let (script, held) = Script::holding();
    let batcher = script.start(&Prepared::new([]), settings());
    let waiting: Vec<_> = (0..6)
        .map(|_| {
            let batcher = Arc::clone(&batcher);
            tokio::spawn(async move { submit(&batcher, "a").await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(20)).await;
    held.add_permits(100);
    batcher.drain().await;
    assert!(matches!(submit(&batcher, "b").await, Err(WriteError::ShuttingDown)));
    for call in waiting {
        assert!(succeeded(&call.await.unwrap()));
    }
}
