//! Events on their way to the data platform: leases, what becomes of them, purging.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;
use jangteo_application::Database;
use jangteo_application::outbox::{Aggregate, FailedEvent, Leased, Outbox, Settlement, StoredEvent};
use jangteo_application::place_orders::PlaceOrders;
use jangteo_infra_database::Store;

use crate::support::{Shop, append, event, now, order, request};

crate::on_both_databases! {
    the_oldest_events_are_leased_first_and_once
    of_many_relays_each_gets_events_of_its_own_in_their_sequence
    an_event_waits_for_those_before_it_in_its_order
    a_lease_that_is_over_is_taken_over
    what_was_sent_is_sent_whoever_has_the_lease
    who_lost_the_lease_writes_no_failure
    a_failed_event_waits_for_its_next_attempt
    a_dead_event_is_nobodys_and_holds_back_its_order
    returned_events_wait_in_their_old_place
    sent_events_are_purged_in_batches_when_they_were_kept_long_enough
    a_commit_with_events_wakes_the_relay_and_one_without_does_not
    the_text_of_an_error_may_hold_anything
    however_many_failed_new_events_get_through
    an_event_that_cannot_be_read_keeps_back_no_other
}

/// One event of each of so many orders, a second apart, the last of them now.
async fn append_many(store: &Store, orders: i64) -> DateTime<Utc> {
    let now = now();
    let events: Vec<_> =
        (1..=orders).map(|order| event(order, 1, now - TimeDelta::seconds(orders - order))).collect();
    append(store, &events).await;
    now
}

async fn lease(store: &Store, at_most: usize, at: DateTime<Utc>) -> Leased {
    store.lease(at_most, at, at + TimeDelta::seconds(30)).await.unwrap()
}

fn about(leased: &Leased) -> Vec<(i64, i64)> {
    leased.events.iter().map(|event| (event.aggregate_id, event.sequence)).collect()
}

fn ids(leased: &Leased) -> Vec<i64> {
    leased.events.iter().map(|event| event.id).collect()
}

fn sent(leased: &Leased) -> Settlement {
    Settlement { sent: ids(leased), ..Settlement::default() }
}

fn failed(event: &StoredEvent, retry_at: Option<DateTime<Utc>>) -> Settlement {
    let error = "503 Service Unavailable".to_owned();
    Settlement {
        failed: vec![FailedEvent { id: event.id, error, attempts: event.attempts + 1, retry_at }],
        ..Settlement::default()
    }
}

async fn the_oldest_events_are_leased_first_and_once(shop: Shop) {
    let now = append_many(&shop.store, 5).await;
    let first = lease(&shop.store, 3, now).await;
    assert_eq!(about(&first), [(1, 1), (2, 1), (3, 1)]);
    let StoredEvent { event_type, payload, at, attempts, aggregate, .. } = first.events[0].clone();
    assert_eq!((event_type.as_str(), payload.as_str(), attempts), ("order.paid", r#"{"order":1}"#, 0));
    assert_eq!((aggregate, at), (Aggregate::Order, now - TimeDelta::seconds(4)));
    assert_eq!(about(&lease(&shop.store, 3, now).await), [(4, 1), (5, 1)]);
    assert!(lease(&shop.store, 3, now).await.events.is_empty());
}

async fn of_many_relays_each_gets_events_of_its_own_in_their_sequence(shop: Shop) {
    let now = now();
    let events: Vec<_> =
        (1..=3).flat_map(|sequence| (1..=100).map(move |order| event(order, sequence, now))).collect();
    append(&shop.store, &events).await;
    let second = shop.second_instance().await;
    let published = Mutex::new(Vec::new());
    let relay = async |store: &Store| {
        while published.lock().unwrap().len() < events.len() {
            let leased = lease(store, 7, now).await;
            published.lock().unwrap().extend(about(&leased));
            store.settle(&leased, &sent(&leased), now).await.unwrap();
        }
    };
    let relays = join_all([&shop.store, &second, &shop.store, &second].map(relay));
    tokio::time::timeout(Duration::from_secs(60), relays).await.expect("all are published");
    let published = published.into_inner().unwrap();
    for order in 1..=100 {
        let of_order = published.iter().filter(|(about, _)| *about == order);
        assert!(of_order.map(|(_, sequence)| *sequence).eq(1..=3), "order {order}: {published:?}");
    }
    assert_eq!(shop.count("SELECT COUNT(*) FROM outbox WHERE status = 'SENT' AND attempts = 1").await, 300);
}

async fn an_event_waits_for_those_before_it_in_its_order(shop: Shop) {
    let now = now();
    append(&shop.store, &[event(1, 1, now), event(1, 2, now), event(2, 1, now), event(1, 3, now)]).await;
    let first = lease(&shop.store, 10, now).await;
    assert_eq!(about(&first), [(1, 1), (2, 1)]);
    assert!(lease(&shop.store, 10, now).await.events.is_empty());
    shop.store.settle(&first, &sent(&first), now).await.unwrap();
    let second = lease(&shop.store, 10, now).await;
    assert_eq!(about(&second), [(1, 2)]);
    shop.store.settle(&second, &sent(&second), now).await.unwrap();
    assert_eq!(about(&lease(&shop.store, 10, now).await), [(1, 3)]);
}

async fn a_lease_that_is_over_is_taken_over(shop: Shop) {
    let now = append_many(&shop.store, 2).await;
    let lost = lease(&shop.store, 10, now).await;
    assert!(lease(&shop.store, 10, lost.until - TimeDelta::microseconds(1)).await.events.is_empty());
    assert_eq!(ids(&lease(&shop.store, 10, lost.until).await), ids(&lost));
}

async fn what_was_sent_is_sent_whoever_has_the_lease(shop: Shop) {
    let now = append_many(&shop.store, 1).await;
    let lost = lease(&shop.store, 10, now).await;
    let taken = lease(&shop.store, 10, lost.until).await;
    shop.store.settle(&lost, &sent(&lost), now).await.unwrap();
    shop.store.settle(&taken, &failed(&taken.events[0], None), now).await.unwrap();
    assert_eq!(shop.count("SELECT COUNT(*) FROM outbox WHERE status = 'SENT'").await, 1);
    shop.store.settle(&taken, &sent(&taken), now).await.unwrap();
    assert_eq!(shop.count("SELECT attempts FROM outbox").await, 1, "noted once");
}

async fn who_lost_the_lease_writes_no_failure(shop: Shop) {
    let now = append_many(&shop.store, 1).await;
    let lost = lease(&shop.store, 10, now).await;
    let taken = lease(&shop.store, 10, lost.until).await;
    shop.store.settle(&lost, &failed(&lost.events[0], None), now).await.unwrap();
    let returned = Settlement { returned: ids(&lost), ..Settlement::default() };
    shop.store.settle(&lost, &returned, now).await.unwrap();
    let untouched = "SELECT COUNT(*) FROM outbox WHERE status = 'PENDING' AND attempts = 0";
    assert_eq!(shop.count(untouched).await, 1);
    assert!(lease(&shop.store, 10, lost.until).await.events.is_empty(), "the other still has it");
    shop.store.settle(&taken, &sent(&taken), now).await.unwrap();
}

async fn a_failed_event_waits_for_its_next_attempt(shop: Shop) {
    let now = append_many(&shop.store, 2).await;
    let leased = lease(&shop.store, 1, now).await;
    let later = now + TimeDelta::seconds(5);
    shop.store.settle(&leased, &failed(&leased.events[0], Some(later)), now).await.unwrap();
    let stored = "SELECT COUNT(*) FROM outbox WHERE status = 'FAILED' AND attempts = 1 \
                  AND last_error = '503 Service Unavailable'";
    assert_eq!(shop.count(stored).await, 1);
    assert_eq!(about(&lease(&shop.store, 10, now).await), [(2, 1)], "others go on");
    let again = lease(&shop.store, 10, later).await;
    assert_eq!((about(&again), again.events[0].attempts), (vec![(1, 1)], 1));
    shop.store.settle(&again, &sent(&again), later).await.unwrap();
    let delivered =
        "SELECT COUNT(*) FROM outbox WHERE status = 'SENT' AND attempts = 2 AND last_error IS NULL";
    assert_eq!(shop.count(delivered).await, 1);
}

async fn a_dead_event_is_nobodys_and_holds_back_its_order(shop: Shop) {
    let now = now();
    append(&shop.store, &[event(1, 1, now), event(1, 2, now), event(2, 1, now)]).await;
    let leased = lease(&shop.store, 1, now).await;
    shop.store.settle(&leased, &failed(&leased.events[0], None), now).await.unwrap();
    assert_eq!(about(&lease(&shop.store, 10, now + TimeDelta::days(365)).await), [(2, 1)]);
}

async fn returned_events_wait_in_their_old_place(shop: Shop) {
    let now = append_many(&shop.store, 3).await;
    let leased = lease(&shop.store, 2, now).await;
    let returned = Settlement { returned: ids(&leased), ..Settlement::default() };
    shop.store.settle(&leased, &returned, now).await.unwrap();
    let again = lease(&shop.store, 10, now).await;
    assert_eq!(about(&again), [(1, 1), (2, 1), (3, 1)]);
    assert!(again.events.iter().all(|event| event.attempts == 0));
}

async fn sent_events_are_purged_in_batches_when_they_were_kept_long_enough(shop: Shop) {
    let shop = shop.stocked(1, 1, 100, 1).await;
    let orders = shop.batcher(PlaceOrders);
    for _ in 0..5 {
        assert!(order(&orders, request(1, &[(1, 1)], None)).await.unwrap().outcome.is_ok());
    }
    let now = now();
    let leased = lease(&shop.store, 3, now).await;
    shop.store.settle(&leased, &sent(&leased), now).await.unwrap();
    let purge = async |sent_before| {
        let mut uow = shop.store.begin().await.unwrap();
        let purged = uow.outbox().purge_sent(sent_before, 2).await.unwrap();
        uow.commit().await.unwrap();
        purged
    };
    assert_eq!(purge(now).await, 0);
    let later = now + TimeDelta::microseconds(1);
    assert_eq!((purge(later).await, purge(later).await, purge(later).await), (2, 1, 0));
    assert_eq!(shop.count("SELECT COUNT(*) FROM outbox").await, 2);
    shop.assert_audit_is_clean().await;
    let gone = format!("DELETE FROM outbox WHERE id = {}", lease(&shop.store, 2, now).await.events[1].id);
    shop.tamper(&gone).await;
    let report = jangteo_application::Audit::audit(&shop.store).await.unwrap();
    assert!(!report.is_clean(), "the youngest was not purged: somebody took it away");
}

async fn a_commit_with_events_wakes_the_relay_and_one_without_does_not(shop: Shop) {
    let store = Arc::new(shop.store.clone());
    let woken = async || tokio::time::timeout(Duration::from_millis(50), store.appended()).await.is_ok();
    store.begin().await.unwrap().commit().await.unwrap();
    assert!(!woken().await);
    let mut abandoned = store.begin().await.unwrap();
    abandoned.outbox().append(&[event(1, 1, now())]).await.unwrap();
    abandoned.flush().await.unwrap();
    drop(abandoned);
    assert!(!woken().await);
    append_many(&shop.store, 1).await;
    assert!(woken().await);
    assert!(!woken().await);
}

async fn the_text_of_an_error_may_hold_anything(shop: Shop) {
    let now = append_many(&shop.store, 1).await;
    let leased = lease(&shop.store, 1, now).await;
    let error = "'; DROP TABLE outbox; -- \\ ? \u{0} 장터 \"".to_owned();
    let failed = FailedEvent { id: leased.events[0].id, error: error.clone(), attempts: 1, retry_at: None };
    let settlement = Settlement { failed: vec![failed], ..Settlement::default() };
    shop.store.settle(&leased, &settlement, now).await.unwrap();
    let stored = "SELECT LENGTH(HEX(last_error)) FROM outbox";
    assert_eq!(shop.count(stored).await, 2 * error.len() as i64);
}

async fn however_many_failed_new_events_get_through(shop: Shop) {
    let now = append_many(&shop.store, 30).await;
    shop.tamper("UPDATE outbox SET status = 'FAILED', attempts = 1 WHERE aggregate_id <= 20").await;
    let leased = lease(&shop.store, 10, now).await;
    let failed = leased.events.iter().filter(|event| event.attempts > 0).count();
    assert_eq!((failed, leased.events.len()), (5, 10));
    assert_eq!(about(&lease(&shop.store, 1, now).await), [(26, 1)], "a single place is for a new one");
}

async fn an_event_that_cannot_be_read_keeps_back_no_other(shop: Shop) {
    let now = append_many(&shop.store, 3).await;
    shop.tamper("UPDATE outbox SET attempts = -1 WHERE aggregate_id = 1").await;
    assert_eq!(about(&lease(&shop.store, 10, now).await), [(2, 1), (3, 1)]);
}
