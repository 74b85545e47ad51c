use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex as StdMutex;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use tokio::sync::Notify;

use super::*;
use crate::clock::SystemClock;
use crate::outbox::Aggregate;

/// An outbox in memory, of events of orders.
#[derive(Default)]
struct Shelf {
    rows: StdMutex<BTreeMap<i64, Row>>,
    news: Notify,
    away: AtomicBool,
}

#[derive(Debug, Clone)]
struct Row {
    event: StoredEvent,
    status: &'static str,
    due_at: Option<DateTime<Utc>>,
    error: Option<String>,
}

impl Shelf {
    fn with(events: impl IntoIterator<Item = (i64, i64)>) -> Arc<Self> {
        let shelf = Arc::new(Self::default());
        for (order, sequence) in events {
            shelf.put(order, sequence, "{}");
        }
        shelf
    }

    fn put(&self, order: i64, sequence: i64, payload: &str) {
        let mut rows = self.rows.lock().unwrap();
        let id = rows.len() as i64 + 1;
        let at = SystemClock.now();
        let event = StoredEvent {
            id,
            aggregate: Aggregate::Order,
            aggregate_id: order,
            sequence,
            event_type: "order.paid".into(),
            payload: payload.into(),
            at,
            attempts: 0,
        };
        rows.insert(id, Row { event, status: "PENDING", due_at: Some(at), error: None });
        self.news.notify_one();
    }

    fn row(&self, id: i64) -> Row {
        self.rows.lock().unwrap()[&id].clone()
    }

    async fn until(&self, what: impl Fn(&BTreeMap<i64, Row>) -> bool) {
        let reached = async {
            while !what(&self.rows.lock().unwrap()) {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(30), reached).await.expect("it comes to that in time");
    }

    async fn until_all_are(&self, status: &str) {
        self.until(|rows| rows.values().all(|row| row.status == status)).await;
    }
}

#[async_trait]
impl Outbox for Shelf {
    async fn lease(
        &self,
        at_most: usize,
        now: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<Leased, RepositoryError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(RepositoryError::Transient("away".into()));
        }
        let mut rows = self.rows.lock().unwrap();
        let unsent: BTreeSet<(i64, i64)> = rows
            .values()
            .filter(|row| row.status != "SENT")
            .map(|row| (row.event.aggregate_id, row.event.sequence))
            .collect();
        let is_first = |event: &StoredEvent| {
            unsent.range((event.aggregate_id, 0)..).next() == Some(&(event.aggregate_id, event.sequence))
        };
        let due = rows.values_mut().filter(|row| row.due_at.is_some_and(|due_at| due_at <= now));
        let mut due: Vec<_> = due.filter(|row| row.status != "SENT" && is_first(&row.event)).collect();
        due.sort_by_key(|row| (row.status == "FAILED", row.due_at));
        let events = due
            .into_iter()
            .take(at_most)
            .map(|row| {
                row.due_at = Some(until);
                row.event.clone()
            })
            .collect();
        Ok(Leased { until, events })
    }

    async fn settle(
        &self,
        lease: &Leased,
        settlement: &Settlement,
        _: DateTime<Utc>,
    ) -> Result<(), RepositoryError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(RepositoryError::Transient("away".into()));
        }
        let mut rows = self.rows.lock().unwrap();
        for id in &settlement.sent {
            rows.get_mut(id).unwrap().status = "SENT";
        }
        for failed in &settlement.failed {
            let row = rows.get_mut(&failed.id).unwrap();
            assert_eq!(row.due_at, Some(lease.until));
            row.status = if failed.retry_at.is_some() { "FAILED" } else { "DEAD" };
            row.event.attempts = failed.attempts;
            row.due_at = failed.retry_at;
            row.error = Some(failed.error.clone());
        }
        for id in &settlement.returned {
            let row = rows.get_mut(id).unwrap();
            row.due_at = Some(row.event.at);
        }
        Ok(())
    }

    async fn appended(&self) {
        self.news.notified().await;
    }
}

/// A platform in memory.
#[derive(Default)]
struct Platform {
    got: StdMutex<Vec<String>>,
    calls: StdMutex<Vec<usize>>,
    down: AtomicBool,
    panics: AtomicBool,
    refuses: StdMutex<BTreeSet<String>>,
    chokes_on: StdMutex<BTreeSet<String>>,
}

impl Platform {
    fn got(&self) -> Vec<String> {
        self.got.lock().unwrap().clone()
    }
}

#[async_trait]
impl EventSink for Platform {
    fn name(&self) -> &'static str {
        "test"
    }

    fn batch(&self) -> usize {
        10
    }

    async fn publish(&self, events: &[CloudEvent]) -> Vec<Result<(), PublishError>> {
        self.calls.lock().unwrap().push(events.len());
        assert!(!self.panics.swap(false, Ordering::SeqCst), "as it was told to");
        let take = |event: &CloudEvent| {
            let chokes = self.chokes_on.lock().unwrap().contains(&event.id);
            if chokes || self.down.load(Ordering::SeqCst) {
                return Err(PublishError::Failed("down".into()));
            }
            if self.refuses.lock().unwrap().contains(&event.id) {
                return Err(PublishError::Refused("poison".into()));
            }
            self.got.lock().unwrap().push(event.id.clone());
            Ok(())
        };
        events.iter().map(take).collect()
    }
}

fn settings(max_attempts: u32) -> RelaySettings {
    RelaySettings {
        source: "urn:test".into(),
        max_attempts,
        poll: Duration::from_millis(50),
        timeout: Duration::from_secs(1),
    }
}

fn relay(shelf: &Arc<Shelf>, platform: &Arc<Platform>, max_attempts: u32) -> Relay {
    Relay::start(shelf.clone(), platform.clone(), Arc::new(SystemClock), settings(max_attempts))
}

#[tokio::test]
async fn events_of_an_order_are_sent_in_their_sequence() {
    let shelf = Shelf::with([(1, 1), (2, 1), (1, 2), (1, 3)]);
    let platform = Arc::new(Platform::default());
    let relay = relay(&shelf, &platform, 3);
    shelf.until_all_are("SENT").await;
    relay.drain().await;
    assert_eq!(platform.got(), ["order-1-1", "order-2-1", "order-1-2", "order-1-3"]);
}

#[tokio::test]
async fn what_was_appended_is_sent_at_once() {
    let (shelf, platform) = (Shelf::with([]), Arc::new(Platform::default()));
    let hourly = RelaySettings { poll: Duration::from_secs(3600), ..settings(3) };
    let relay = Relay::start(shelf.clone(), platform.clone(), Arc::new(SystemClock), hourly);
    sleep(Duration::from_millis(50)).await;
    shelf.put(1, 1, "{}");
    shelf.until_all_are("SENT").await;
    relay.drain().await;
}

#[tokio::test]
async fn a_poisoned_event_is_given_up_and_holds_back_its_own_order_only() {
    let shelf = Shelf::with([(1, 1), (1, 2), (2, 1)]);
    let platform = Arc::new(Platform::default());
    platform.refuses.lock().unwrap().insert("order-1-1".into());
    let relay = relay(&shelf, &platform, 3);
    shelf.until(|rows| rows[&1].status == "DEAD").await;
    relay.drain().await;
    assert_eq!(platform.got(), ["order-2-1"]);
    let poison = shelf.row(1);
    assert_eq!((poison.event.attempts, poison.due_at), (3, None));
    assert_eq!(poison.error.unwrap(), "refused: poison");
    assert_eq!(shelf.row(2).status, "PENDING");
}

#[tokio::test]
async fn an_event_that_is_not_json_is_given_up_without_being_sent() {
    let shelf = Shelf::with([]);
    shelf.put(1, 1, "{not json");
    shelf.put(2, 1, "{}");
    let platform = Arc::new(Platform::default());
    let relay = relay(&shelf, &platform, 2);
    shelf.until(|rows| rows[&1].status == "DEAD" && rows[&2].status == "SENT").await;
    relay.drain().await;
    assert_eq!(platform.got(), ["order-2-1"]);
    assert!(shelf.row(1).error.unwrap().contains("not JSON"));
}

#[tokio::test]
async fn while_the_platform_is_down_single_events_ask_for_it_and_none_is_given_up() {
    let shelf = Shelf::with((1..=20).map(|order| (order, 1)));
    let platform = Arc::new(Platform::default());
    platform.down.store(true, Ordering::SeqCst);
    let relay = relay(&shelf, &platform, 2);
    let asked = async {
        while platform.calls.lock().unwrap().len() < 4 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(10), asked).await.unwrap();
    assert_eq!(platform.calls.lock().unwrap()[..4], [1, 1, 1, 1]);
    let attempts =
        |shelf: &Shelf| shelf.rows.lock().unwrap().values().map(|row| row.event.attempts).collect::<Vec<_>>();
    assert_eq!(attempts(&shelf).iter().sum::<u32>(), 0);
    assert!(relay.status().breaker_open);
    platform.down.store(false, Ordering::SeqCst);
    shelf.until_all_are("SENT").await;
    relay.drain().await;
    assert_eq!(platform.got().len(), 20);
    assert!(!relay.status().breaker_open);
}

#[tokio::test]
async fn an_event_that_nobody_can_take_keeps_no_other_from_being_sent() {
    let shelf = Shelf::with([(1, 1)]);
    let platform = Arc::new(Platform::default());
    platform.chokes_on.lock().unwrap().insert("order-1-1".into());
    let relay = relay(&shelf, &platform, 2);
    let opened = async {
        while !relay.status().breaker_open {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(10), opened).await.expect("alone, it looks like an outage");
    for order in 2.. {
        shelf.put(order, 1, "{}");
        shelf.until(|rows| rows[&order].status == "SENT").await;
        if shelf.row(1).status == "DEAD" {
            break;
        }
    }
    assert_eq!(shelf.row(1).event.attempts, 2);
    relay.drain().await;
}

#[tokio::test]
async fn a_database_that_is_away_is_waited_for() {
    let shelf = Shelf::with([(1, 1)]);
    shelf.away.store(true, Ordering::SeqCst);
    let platform = Arc::new(Platform::default());
    let relay = relay(&shelf, &platform, 2);
    sleep(Duration::from_millis(100)).await;
    assert!(platform.got().is_empty());
    shelf.away.store(false, Ordering::SeqCst);
    shelf.until_all_are("SENT").await;
    relay.drain().await;
}

#[tokio::test]
async fn a_sink_that_panics_ends_its_round_only() {
    let shelf = Shelf::with([(1, 1)]);
    let platform = Arc::new(Platform::default());
    platform.panics.store(true, Ordering::SeqCst);
    let relay = relay(&shelf, &platform, 2);
    sleep(Duration::from_millis(100)).await;
    shelf.put(2, 1, "{}");
    shelf.until(|rows| rows[&2].status == "SENT").await;
    relay.drain().await;
    assert_eq!(shelf.row(1).status, "PENDING", "its lease runs out by itself");
}

#[tokio::test]
async fn stopping_delivers_what_is_due_unless_the_platform_is_down() {
    let shelf = Shelf::with((1..=35).map(|order| (order, 1)));
    let platform = Arc::new(Platform::default());
    relay(&shelf, &platform, 2).drain().await;
    assert_eq!(platform.got().len(), 35);

    let shelf = Shelf::with((1..=35).map(|order| (order, 1)));
    platform.down.store(true, Ordering::SeqCst);
    timeout(Duration::from_secs(1), relay(&shelf, &platform, 2).drain()).await.expect("it ends");
}

#[test]
fn pauses_grow_to_five_minutes_and_are_left_to_chance() {
    for attempts in 1..100 {
        let longest = TimeDelta::seconds(2_i64.pow((attempts - 1).min(16)).min(300));
        assert!(pause(attempts) >= TimeDelta::zero() && pause(attempts) <= longest);
    }
    let drawn: BTreeSet<TimeDelta> = (0..20).map(|_| pause(20)).collect();
    assert!(drawn.len() > 10, "{drawn:?}");
}
