use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta};
use jangteo_domain::UserId;
use mockall::predicate::eq;

use super::*;
use crate::mocks::{MockedUnitOfWork, Prepared, Stopped, backend, conflict, transient};
use crate::outbox_queries::MockOutboxQueries;

fn dead(ids: impl IntoIterator<Item = i64>) -> MockOutboxQueries {
    let ids: Vec<i64> = ids.into_iter().collect();
    let mut outbox = MockOutboxQueries::new();
    outbox.expect_ids_of().with(eq(EventStatus::Dead)).returning(move |_| Ok(ids.clone()));
    outbox
}

fn redeliverer(database: &Arc<Prepared>, outbox: MockOutboxQueries) -> Redeliverer {
    Redeliverer::here(database.clone(), Arc::new(outbox), Arc::new(Stopped))
}

async fn redeliver(
    redeliverer: &Redeliverer,
    command: Redelivery,
    key: Option<&str>,
) -> Result<RedeliveryAnswer, WriteError> {
    let key = key.map(|key| key.parse().unwrap());
    let by = Administrator { user: UserId(1), trace_id: "0".repeat(32) };
    redeliverer.redeliver(by, Submission { command, key }).await
}

fn answer(outcome: Redelivered) -> RedeliveryAnswer {
    RedeliveryAnswer { outcome, replayed: false }
}

/// Delivers all it is given again, and tells the trail.
fn begins(events: usize) -> MockedUnitOfWork {
    let mut uow = writes(events);
    uow.trail.expect_append().times(1).returning(|_| Ok(()));
    uow
}

/// Delivers all it is given again.
fn writes(events: usize) -> MockedUnitOfWork {
    let mut uow = MockedUnitOfWork::default();
    uow.outbox
        .expect_deliver_again()
        .withf(move |ids, _, _| ids.len() == events)
        .returning(|ids, _, _| Ok(ids.len()));
    uow
}

fn has(status: Option<EventStatus>) -> MockedUnitOfWork {
    let mut uow = MockedUnitOfWork::default();
    uow.outbox.expect_lock_status().with(eq(7)).returning(move |_| Ok(status));
    uow
}

/// Knows what was asked for under each key.
fn knows(fingerprint: Fingerprint, outcome: &str) -> MockedUnitOfWork {
    let (mut uow, outcome) = (MockedUnitOfWork::default(), outcome.to_owned());
    uow.idempotency.expect_find_many().returning(move |keys| {
        let (fingerprint, outcome) = (fingerprint.clone(), outcome.clone());
        let record = IdempotencyRecord { fingerprint, outcome, at: DateTime::UNIX_EPOCH };
        Ok(keys.iter().map(|key| (key.clone(), record.clone())).collect())
    });
    uow
}

fn knows_nothing() -> MockedUnitOfWork {
    let mut uow = MockedUnitOfWork::default();
    uow.idempotency.expect_find_many().returning(|_| Ok(BTreeMap::new()));
    uow
}

#[tokio::test]
async fn many_events_go_in_parts_and_each_part_is_tried_again_by_itself() {
    let database = Prepared::new([Ok(begins(500)), Err(transient()), Ok(writes(500)), Ok(writes(200))]);
    let redeliverer = redeliverer(&database, dead(1..=1200));
    assert_eq!(redeliver(&redeliverer, Redelivery::Dead, None).await.unwrap(), answer(Ok(1200)));
    assert_eq!(database.commits(), 3);
}

#[tokio::test]
async fn the_outcome_is_written_down_with_the_last_part() {
    let mut last = writes(1);
    last.idempotency
        .expect_insert_many()
        .withf(|records| records[0].1.outcome == r#"{"Ok":501}"#)
        .returning(|_| Ok(()));
    let database = Prepared::new([Ok(knows_nothing()), Ok(begins(500)), Ok(last)]);
    let redeliverer = redeliverer(&database, dead(1..=501));
    assert_eq!(redeliver(&redeliverer, Redelivery::Dead, Some("key")).await.unwrap(), answer(Ok(501)));
    assert_eq!(database.commits(), 2);
}

#[tokio::test]
async fn what_was_asked_for_under_the_same_key_is_not_done_again() {
    let known = || Ok(knows(Redelivery::Dead.fingerprint(), r#"{"Ok":501}"#));
    let database = Prepared::new([known(), known()]);
    let redeliverer = redeliverer(&database, MockOutboxQueries::new());
    let replayed = RedeliveryAnswer { outcome: Ok(501), replayed: true };
    assert_eq!(redeliver(&redeliverer, Redelivery::Dead, Some("key")).await.unwrap(), replayed);
    let other = redeliver(&redeliverer, Redelivery::Failed, Some("key")).await;
    assert!(matches!(other, Err(WriteError::KeyReused)));
    assert_eq!(database.commits(), 0);
}

#[tokio::test]
async fn of_two_requests_with_one_key_the_second_gets_the_answer_of_the_first() {
    let mut second = begins(1);
    second.idempotency.expect_insert_many().returning(|_| Ok(()));
    second.commit_fails = Some(conflict());
    let first = knows(Redelivery::Dead.fingerprint(), r#"{"Ok":1}"#);
    let database = Prepared::new([Ok(knows_nothing()), Ok(second), Ok(first)]);
    let redeliverer = redeliverer(&database, dead([1]));
    let replayed = RedeliveryAnswer { outcome: Ok(1), replayed: true };
    assert_eq!(redeliver(&redeliverer, Redelivery::Dead, Some("key")).await.unwrap(), replayed);
}

#[tokio::test]
async fn one_event_is_delivered_again_unless_it_is_unknown_or_sent() {
    let mut given_up = has(Some(EventStatus::Dead));
    given_up.outbox.expect_deliver_again().returning(|_, _, _| Ok(1));
    given_up
        .trail
        .expect_append()
        .withf(|told| (told[0].action, told[0].subject, told[0].id) == ("retry-event", Subject::Event, 7))
        .returning(|_| Ok(()));
    let sent = has(Some(EventStatus::Sent));
    let database = Prepared::new([Ok(given_up), Ok(sent), Ok(has(None))]);
    let redeliverer = redeliverer(&database, MockOutboxQueries::new());
    let retry = async || redeliver(&redeliverer, Redelivery::Event(7), None).await.unwrap().outcome;
    assert_eq!(retry().await, Ok(1));
    assert_eq!(retry().await, Err(RedeliveryRefusal::Sent));
    assert_eq!(retry().await, Err(RedeliveryRefusal::Unknown));
}

#[tokio::test]
async fn nobody_is_told_that_nothing_happened_when_something_may_have() {
    let lost = MockedUnitOfWork { commit_fails: Some(backend()), ..begins(3) };
    let first = Prepared::new([Ok(lost)]);
    let unknown = redeliver(&redeliverer(&first, dead(1..=3)), Redelivery::Dead, None).await;
    assert!(matches!(unknown, Err(WriteError::Unknown(_))));
    let second = Prepared::new([Ok(begins(500)), Err(backend())]);
    let unknown = redeliver(&redeliverer(&second, dead(1..=600)), Redelivery::Dead, None).await;
    assert!(matches!(unknown, Err(WriteError::Unknown(_))));
    let third = Prepared::new([Err(backend())]);
    let failed = redeliver(&redeliverer(&third, dead(1..=3)), Redelivery::Dead, None).await;
    assert!(matches!(failed, Err(WriteError::Failed(_))));
}

#[test]
fn what_is_asked_for_differs_in_its_fingerprint() {
    let period = |seconds| {
        let from = DateTime::UNIX_EPOCH;
        Redelivery::Sent(Period { from, to: from + TimeDelta::seconds(seconds) })
    };
    let all = [
        Redelivery::Event(1),
        Redelivery::Event(2),
        Redelivery::Failed,
        Redelivery::Dead,
        period(1),
        period(2),
    ];
    let fingerprints: BTreeSet<Fingerprint> = all.iter().map(|asked| asked.fingerprint()).collect();
    assert_eq!(fingerprints.len(), all.len());
}

#[tokio::test]
async fn what_waits_anyway_leaves_no_trail() {
    let mut waiting = has(Some(EventStatus::Pending));
    waiting.outbox.expect_deliver_again().returning(|_, _, _| Ok(0));
    let database = Prepared::new([Ok(waiting), Ok(writes(0))]);
    let redeliverer = redeliverer(&database, dead([]));
    assert_eq!(redeliver(&redeliverer, Redelivery::Event(7), None).await.unwrap(), answer(Ok(0)));
    assert_eq!(redeliver(&redeliverer, Redelivery::Dead, None).await.unwrap(), answer(Ok(0)));
}
