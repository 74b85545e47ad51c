//! What operators see of events, and delivering them again.

use std::sync::Arc;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use jangteo_application::operation::Submission;
use jangteo_application::outbox::{EventStatus, FailedEvent, Leased, Outbox, Settlement};
use jangteo_application::outbox_queries::{Backlog, HourOfOrders, OutboxQueries, Period};
use jangteo_application::place_orders::PlaceOrders;
use jangteo_application::queries::PageRequest;
use jangteo_application::redelivery::{Redelivered, Redelivery, RedeliveryRefusal};
use jangteo_application::{Database, Redeliverer, SystemClock};
use jangteo_infra_database::Store;

use crate::support::{Shop, administrator, append, event, now, order, request};

crate::on_both_databases! {
    events_are_listed_by_status_the_latest_first
    all_events_are_listed_as_they_were_stored
    an_event_is_shown_with_its_payload
    the_backlog_is_counted_and_its_oldest_event_found
    a_dead_event_is_delivered_again_from_its_first_attempt
    a_sent_event_is_not_retried_and_one_that_waits_keeps_its_place
    all_dead_events_are_delivered_again_and_no_others
    a_period_is_sent_again_with_what_came_later_of_its_orders
    events_are_found_by_when_they_happened_though_clocks_differ
    what_was_sent_again_is_purged_in_its_order
    orders_of_a_period_are_counted_by_the_hour_and_listed_by_their_ids
    a_request_is_done_once_by_its_key
}

async fn lease(store: &Store, at: DateTime<Utc>) -> Leased {
    store.lease(1000, at, at + TimeDelta::seconds(30)).await.unwrap()
}

/// Events of these orders, one each: the first is sent, the second failed, the third was given up, the others wait.
async fn one_of_each(shop: &Shop, orders: i64) -> DateTime<Utc> {
    let now = now().trunc_subsecs(0);
    let events: Vec<_> =
        (1..=orders).map(|order| event(order, 1, now - TimeDelta::seconds(60 - order))).collect();
    append(&shop.store, &events).await;
    let leased = shop.store.lease(3, now, now + TimeDelta::seconds(30)).await.unwrap();
    let failed = |place: usize, retry_at| FailedEvent {
        id: leased.events[place].id,
        error: "503 Service Unavailable".into(),
        attempts: 1,
        retry_at,
    };
    let settlement = Settlement {
        sent: vec![leased.events[0].id],
        failed: vec![failed(1, Some(now + TimeDelta::seconds(5))), failed(2, None)],
        returned: Vec::new(),
    };
    shop.store.settle(&leased, &settlement, now).await.unwrap();
    now
}

async fn send_all(store: &Store, at: DateTime<Utc>) {
    loop {
        let leased = lease(store, now() + TimeDelta::seconds(1)).await;
        if leased.events.is_empty() {
            return;
        }
        let sent = leased.events.iter().map(|event| event.id).collect();
        let settlement = Settlement { sent, ..Settlement::default() };
        store.settle(&leased, &settlement, at).await.unwrap();
    }
}

const FIRST: PageRequest = PageRequest { page: 0, size: 100 };

/// The ids outside of the events of a page, and their total.
async fn names(store: &Store, status: Option<EventStatus>, page: PageRequest) -> (Vec<String>, u64) {
    let page = store.events(status, page).await.unwrap();
    (page.content.into_iter().map(|event| event.name.id).collect(), page.total)
}

async fn redeliver(store: &Store, command: Redelivery, key: Option<&str>) -> (Redelivered, bool) {
    let store = Arc::new(store.clone());
    let redeliverer = Redeliverer::here(store.clone(), store, Arc::new(SystemClock));
    let asked = Submission { command, key: key.map(|key| key.parse().unwrap()) };
    let answer = redeliverer.redeliver(administrator(), asked).await.unwrap();
    (answer.outcome, answer.replayed)
}

/// How many events there are of a status.
async fn count(shop: &Shop, status: EventStatus) -> i64 {
    shop.count(&format!("SELECT COUNT(*) FROM outbox WHERE status = '{}'", status.name())).await
}

async fn events_are_listed_by_status_the_latest_first(shop: Shop) {
    let now = one_of_each(&shop, 8).await;
    let page = |page| PageRequest { page, size: 2 };
    let pending = async |number| names(&shop.store, Some(EventStatus::Pending), page(number)).await;
    assert_eq!(pending(0).await, (vec!["order-8-1".into(), "order-7-1".into()], 5));
    assert_eq!(pending(2).await, (vec!["order-4-1".into()], 5));
    assert_eq!(pending(3).await, (Vec::new(), 5));
    let only = async |status| {
        let page = shop.store.events(Some(status), FIRST).await.unwrap();
        assert_eq!((page.total, page.content.len()), (1, 1));
        page.content.into_iter().next().unwrap()
    };
    let sent = only(EventStatus::Sent).await;
    assert_eq!((sent.name.id.as_str(), sent.status, sent.attempts), ("order-1-1", EventStatus::Sent, 1));
    assert_eq!((sent.sent_at, sent.next_attempt_at, sent.last_error), (Some(now), None, None));
    let failed = only(EventStatus::Failed).await;
    assert_eq!(failed.name.event_type, "jangteo.order.paid.v1");
    assert_eq!((failed.name.subject.as_str(), failed.sequence), ("orders/2", 1));
    assert_eq!((failed.at, failed.sent_at), (now - TimeDelta::seconds(58), None));
    assert_eq!(failed.next_attempt_at, Some(now + TimeDelta::seconds(5)));
    assert_eq!(failed.last_error.as_deref(), Some("503 Service Unavailable"));
    let dead = only(EventStatus::Dead).await;
    assert_eq!((dead.name.id.as_str(), dead.next_attempt_at), ("order-3-1", None));
}

async fn all_events_are_listed_as_they_were_stored(shop: Shop) {
    one_of_each(&shop, 4).await;
    let (all, total) = names(&shop.store, None, FIRST).await;
    assert_eq!((all.join(" ").as_str(), total), ("order-4-1 order-3-1 order-2-1 order-1-1", 4));
}

async fn an_event_is_shown_with_its_payload(shop: Shop) {
    one_of_each(&shop, 4).await;
    let listed = shop.store.events(Some(EventStatus::Dead), FIRST).await.unwrap().content.remove(0);
    let (event, payload) = shop.store.event(listed.id).await.unwrap().expect("it is there");
    assert_eq!((event, payload.as_str()), (listed, r#"{"order":3}"#));
    assert_eq!(shop.store.event(999).await.unwrap(), None);
}

async fn the_backlog_is_counted_and_its_oldest_event_found(shop: Shop) {
    assert_eq!(shop.store.backlog().await.unwrap(), Backlog::default());
    let now = one_of_each(&shop, 6).await;
    let oldest = |order: i64| Some(now - TimeDelta::seconds(60 - order));
    let backlog = Backlog { pending: 3, failed: 1, dead: 1, oldest: oldest(2) };
    assert_eq!(shop.store.backlog().await.unwrap(), backlog);
    shop.tamper("DELETE FROM outbox WHERE status = 'FAILED'").await;
    let waiting = Backlog { failed: 0, oldest: oldest(4), ..backlog };
    assert_eq!(shop.store.backlog().await.unwrap(), waiting);
    // What is being sent is not delivered yet either.
    let leased = shop.store.lease(1, now, now + TimeDelta::seconds(30)).await.unwrap();
    assert_eq!(leased.events[0].aggregate_id, 4);
    assert_eq!(shop.store.backlog().await.unwrap(), waiting);
    let settlement = Settlement { sent: vec![leased.events[0].id], ..Settlement::default() };
    shop.store.settle(&leased, &settlement, now).await.unwrap();
    let left = Backlog { pending: 2, oldest: oldest(5), ..waiting };
    assert_eq!(shop.store.backlog().await.unwrap(), left);
}

async fn a_dead_event_is_delivered_again_from_its_first_attempt(shop: Shop) {
    one_of_each(&shop, 3).await;
    let dead = shop.store.events(Some(EventStatus::Dead), FIRST).await.unwrap().content.remove(0);
    // Appending woke it.
    shop.store.appended().await;
    assert_eq!(redeliver(&shop.store, Redelivery::Event(dead.id), None).await, (Ok(1), false));
    let woken = tokio::time::timeout(std::time::Duration::from_secs(5), shop.store.appended());
    woken.await.expect("the relay is woken");
    let leased = lease(&shop.store, now()).await;
    assert_eq!(
        leased.events.iter().map(|event| (event.id, event.attempts)).collect::<Vec<_>>(),
        [(dead.id, 0)]
    );
    let (event, _) = shop.store.event(dead.id).await.unwrap().unwrap();
    assert_eq!(event.last_error.as_deref(), Some("503 Service Unavailable"), "why it had been given up");
}

async fn a_sent_event_is_not_retried_and_one_that_waits_keeps_its_place(shop: Shop) {
    one_of_each(&shop, 4).await;
    let id = async |status| shop.store.events(Some(status), FIRST).await.unwrap().content[0].id;
    let (sent, waiting) = (id(EventStatus::Sent).await, id(EventStatus::Pending).await);
    let before = shop.store.event(waiting).await.unwrap();
    assert_eq!(redeliver(&shop.store, Redelivery::Event(sent), None).await.0, Err(RedeliveryRefusal::Sent));
    assert_eq!(redeliver(&shop.store, Redelivery::Event(waiting), None).await.0, Ok(0));
    assert_eq!(redeliver(&shop.store, Redelivery::Event(999), None).await.0, Err(RedeliveryRefusal::Unknown));
    assert_eq!(shop.store.event(waiting).await.unwrap(), before);
    assert_eq!(count(&shop, EventStatus::Sent).await, 1);
}

async fn all_dead_events_are_delivered_again_and_no_others(shop: Shop) {
    let at = now() - TimeDelta::hours(1);
    let events: Vec<_> = (1..=1300).map(|order| event(order, 1, at)).collect();
    append(&shop.store, &events).await;
    shop.tamper("UPDATE outbox SET status = 'DEAD', attempts = 10 WHERE aggregate_id > 99").await;
    shop.tamper("UPDATE outbox SET status = 'FAILED', attempts = 3 WHERE aggregate_id < 10").await;
    assert_eq!(redeliver(&shop.store, Redelivery::Dead, None).await.0, Ok(1201));
    assert_eq!((count(&shop, EventStatus::Dead).await, count(&shop, EventStatus::Failed).await), (0, 9));
    assert_eq!(redeliver(&shop.store, Redelivery::Failed, None).await.0, Ok(9));
    assert_eq!(redeliver(&shop.store, Redelivery::Failed, None).await.0, Ok(0));
    assert_eq!(
        shop.count("SELECT COUNT(*) FROM outbox WHERE status = 'PENDING' AND attempts = 0").await,
        1300
    );
}

async fn a_period_is_sent_again_with_what_came_later_of_its_orders(shop: Shop) {
    let begin = now() - TimeDelta::hours(3);
    let at = |minutes| begin + TimeDelta::minutes(minutes);
    let told = [(1, 1, 0), (2, 1, 30), (3, 1, 31), (1, 2, 32), (2, 2, 60), (3, 2, 90), (4, 1, 91)];
    let events = told.map(|(order, sequence, minutes)| event(order, sequence, at(minutes)));
    append(&shop.store, &events).await;
    send_all(&shop.store, now()).await;
    let period = Period { from: at(30), to: at(60) };
    let mut sent: Vec<String> = Vec::new();
    for id in shop.store.sent_ids(period).await.unwrap() {
        sent.push(shop.store.event(id).await.unwrap().expect("it is there").0.name.id);
    }
    assert_eq!(sent, ["order-2-1", "order-3-1", "order-1-2", "order-2-2", "order-3-2"]);
    assert_eq!(redeliver(&shop.store, Redelivery::Sent(period), None).await.0, Ok(5));
    assert_eq!((count(&shop, EventStatus::Pending).await, count(&shop, EventStatus::Sent).await), (5, 2));
    let first = lease(&shop.store, now()).await;
    let about: Vec<_> = first.events.iter().map(|event| (event.aggregate_id, event.sequence)).collect();
    assert_eq!(about, [(2, 1), (3, 1), (1, 2)], "the oldest first, and of each order the first");
    assert_eq!(shop.count("SELECT COUNT(*) FROM outbox WHERE status = 'PENDING' AND attempts = 0").await, 5);
    assert_eq!(redeliver(&shop.store, Redelivery::Sent(period), None).await.0, Ok(0), "they wait already");
}

async fn events_are_found_by_when_they_happened_though_clocks_differ(shop: Shop) {
    let begin = now() - TimeDelta::days(1);
    // One a minute; every third by a clock that is four minutes behind, every seventh by one four minutes ahead.
    let at = |n: i64| {
        let wrong = 4 * i64::from(n % 7 == 0) - 4 * i64::from(n % 3 == 0);
        begin + TimeDelta::minutes(n + wrong)
    };
    let events: Vec<_> = (1..=600).map(|n| event(n, 1, at(n))).collect();
    for events in events.chunks(50) {
        append(&shop.store, events).await;
    }
    // Ids with gaps, as rolled back transactions leave them.
    shop.tamper("DELETE FROM outbox WHERE id BETWEEN 200 AND 280 OR id < 40").await;
    send_all(&shop.store, now()).await;
    for (from, to) in [(0, 60), (100, 130), (195, 290), (299, 300), (590, 700), (-90, 20), (700, 800)] {
        let period = Period { from: begin + TimeDelta::minutes(from), to: begin + TimeDelta::minutes(to) };
        let expected = (1..=600).filter(|n| (period.from..period.to).contains(&at(*n)));
        let expected = expected.filter(|n| *n >= 40 && !(200..=280).contains(n)).count();
        assert_eq!(shop.store.sent_ids(period).await.unwrap().len(), expected, "{from} to {to}");
    }
}

async fn what_was_sent_again_is_purged_in_its_order(shop: Shop) {
    let shop = shop.stocked(1, 1, 100, 1).await;
    let orders = shop.batcher(PlaceOrders);
    let placed = order(&orders, request(1, &[(1, 1)], None)).await.unwrap().outcome.unwrap().order;
    append(&shop.store, &[event(placed.id.0, 2, now() + TimeDelta::seconds(1))]).await;
    shop.tamper("UPDATE orders SET events = 2").await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let purged = async |at| {
        let mut uow = shop.store.begin().await.unwrap();
        let purged = uow.outbox().purge_sent(at, 10).await.unwrap();
        uow.commit().await.unwrap();
        purged
    };
    let (first, second) = (now() + TimeDelta::hours(1), now() + TimeDelta::hours(2));
    send_all(&shop.store, first).await;
    // Only the first of its two events happened then.
    let period = Period { from: placed.created_at, to: placed.created_at + TimeDelta::milliseconds(1) };
    assert_eq!(redeliver(&shop.store, Redelivery::Sent(period), None).await.0, Ok(2));
    send_all(&shop.store, second).await;
    assert_eq!(purged(first + TimeDelta::minutes(1)).await, 0);
    shop.assert_audit_is_clean().await;
    assert_eq!(purged(second + TimeDelta::minutes(1)).await, 2);
    shop.assert_audit_is_clean().await;
}

async fn orders_of_a_period_are_counted_by_the_hour_and_listed_by_their_ids(shop: Shop) {
    let shop = shop.stocked(1, 1, 100, 1).await;
    let orders = shop.batcher(PlaceOrders);
    let mut ids = Vec::new();
    for _ in 0..6 {
        let placed = order(&orders, request(1, &[(1, 1)], None)).await.unwrap().outcome.unwrap();
        ids.push(placed.order.id.0);
    }
    // Whole seconds too; the fourth has no event, the fifth was placed by an instance that had its ids for long.
    let times =
        ["10:00:00.000000", "10:59:59.999999", "11:00:00.000000", "11:30:00.000000", "10:30:00.500000"];
    for (id, time) in ids.iter().zip(times) {
        let date = "2026-11-20";
        let at = match shop.store.kind() {
            jangteo_infra_database::DatabaseKind::Sqlite => format!("{date}T{time}+00:00"),
            jangteo_infra_database::DatabaseKind::MySql => format!("{date} {time}"),
        };
        shop.tamper(&format!("UPDATE orders SET created_at = '{at}' WHERE id = {id}")).await;
    }
    shop.tamper(&format!("UPDATE orders SET events = 3 WHERE id = {}", ids[1])).await;
    shop.tamper(&format!("UPDATE orders SET events = 0 WHERE id = {}", ids[3])).await;
    let at = |time: &str| format!("2026-11-20T{time}Z").parse::<DateTime<Utc>>().unwrap();
    let hours = async |from, to| shop.store.told_hours(Period { from: at(from), to: at(to) }).await.unwrap();
    let hour = |from, orders, events| HourOfOrders { from: at(from), orders, events };
    assert_eq!(hours("10:00:00", "12:00:00").await, [hour("10:00:00", 3, 5), hour("11:00:00", 1, 1)]);
    assert_eq!(hours("10:00:00", "11:00:00").await, [hour("10:00:00", 3, 5)]);
    assert_eq!(hours("10:00:01", "11:00:01").await, [hour("10:00:00", 2, 4), hour("11:00:00", 1, 1)]);
    assert_eq!(hours("12:00:00", "13:00:00").await, []);
    let listed = async |page, size| {
        let period = Period { from: at("10:00:00"), to: at("12:00:00") };
        let page = shop.store.told_orders(period, PageRequest { page, size }).await.unwrap();
        (page.content.iter().map(|told| (told.order.0, told.events)).collect::<Vec<_>>(), page.total)
    };
    assert_eq!(listed(0, 3).await, (vec![(ids[0], 1), (ids[1], 3), (ids[2], 1)], 4));
    assert_eq!(listed(1, 3).await, (vec![(ids[4], 1)], 4));
}

async fn a_request_is_done_once_by_its_key(shop: Shop) {
    let at = now();
    append(&shop.store, &[event(1, 1, at), event(2, 1, at)]).await;
    send_all(&shop.store, at).await;
    let period = Period { from: at - TimeDelta::minutes(1), to: at + TimeDelta::minutes(1) };
    let resend = async || redeliver(&shop.store, Redelivery::Sent(period), Some("again")).await;
    assert_eq!(resend().await, (Ok(2), false));
    send_all(&shop.store, at).await;
    assert_eq!(resend().await, (Ok(2), true));
    assert_eq!(count(&shop, EventStatus::Sent).await, 2);
    let id = shop.store.events(None, FIRST).await.unwrap().content[0].id;
    let retry = async || redeliver(&shop.store, Redelivery::Event(id), Some("again")).await;
    assert_eq!(
        (retry().await, retry().await),
        ((Err(RedeliveryRefusal::Sent), false), (Err(RedeliveryRefusal::Sent), true))
    );
}
