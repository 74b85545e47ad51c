//! More than the shop can take: it says so at once, and does nothing of what it refused.

use std::collections::BTreeSet;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use jangteo::Settings;
use jangteo_application::Database;
use jangteo_domain::UserId;
use jangteo_testkit::TestDatabase;

use crate::support::{Answer, SHIRT, Shop, assert_refused, store};

/// One command is executed and one waits.
fn tiny(settings: &mut Settings) {
    settings.batch_size = NonZeroUsize::MIN;
    settings.batch_queue_length = NonZeroUsize::MIN;
    settings.batch_lanes = NonZeroU32::MIN;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_refuses_at_once_on_sqlite() {
    a_full_queue_refuses_at_once(jangteo_testkit::sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_refuses_at_once_on_mysql() {
    a_full_queue_refuses_at_once(jangteo_testkit::mysql().await).await;
}

async fn a_full_queue_refuses_at_once(database: TestDatabase) {
    let shop = Shop::open_with(database, tiny).await;
    let elsewhere = store(&shop.database.url).await;
    let mut lock = elsewhere.begin().await.unwrap();
    lock.wallets().lock_many(&BTreeSet::from([UserId(1)])).await.unwrap();

    let mut orders = tokio::task::JoinSet::new();
    for _ in 0..6 {
        orders.spawn(Answer::of(shop.order(1, &[(SHIRT, 1)])));
    }
    for _ in 0..4 {
        let refused = orders.join_next().await.unwrap().unwrap();
        assert_eq!(refused.header("Retry-After"), Some("1"));
        assert_refused(&refused, 503, "SERVICE_UNAVAILABLE", &[]);
    }
    drop(lock);
    // The fifth too was refused if it came before the first was taken from the queue.
    let placed = orders.join_all().await.iter().filter(|answer| answer.status == 201).count();
    assert!((1..=2).contains(&placed), "{placed}");
    assert_eq!(shop.stock(SHIRT).await, 10 - placed);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waited_too_long_is_refused_unexecuted() {
    let shop = Shop::open_with(jangteo_testkit::mysql().await, |settings| {
        settings.batch_lanes = NonZeroU32::MIN;
        settings.batch_deadline_ms = 500;
    })
    .await;
    let elsewhere = store(&shop.database.url).await;
    let mut lock = elsewhere.begin().await.unwrap();
    lock.wallets().lock_many(&BTreeSet::from([UserId(1)])).await.unwrap();

    let executed = tokio::spawn(Answer::of(shop.order(1, &[(SHIRT, 1)])));
    tokio::time::sleep(Duration::from_millis(250)).await;
    let waiting = tokio::spawn(Answer::of(shop.order(2, &[(SHIRT, 1)])));
    tokio::time::sleep(Duration::from_millis(1000)).await;
    drop(lock);
    executed.await.unwrap().expect(201);
    assert_refused(&waiting.await.unwrap(), 503, "SERVICE_UNAVAILABLE", &[]);
    assert_eq!(shop.stock(SHIRT).await, 9);
    shop.close().await;
}
