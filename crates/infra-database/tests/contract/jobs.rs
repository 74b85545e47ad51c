//! Scheduled jobs and their leases.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::{join, join_all};
use jangteo_application::claim_coupons::ClaimCoupons;
use jangteo_application::idempotency::{Fingerprint, IdempotencyRecord, ScopedKey};
use jangteo_application::jobs::{
    ExpireCoupons, Holder, Job, JobError, JobLeases, Lease, LeaseLost, PurgeKeys, Scheduler,
    SchedulerSettings,
};
use jangteo_application::outbox::OutboxMessage;
use jangteo_application::place_orders::PlaceOrders;
use jangteo_application::{Clock, Database, SystemClock};
use jangteo_domain::coupon::{CouponFault, UserCoupon, UserCouponState};
use jangteo_domain::{CouponId, UserCouponId, UserId};
use jangteo_infra_database::Store;

use crate::support::{Shop, batcher, claim, code, order, request};

crate::on_both_databases! {
    coupons_expire_in_batches_each_with_its_history
    a_coupon_expires_at_its_moment_and_not_before
    a_coupon_is_used_or_expires_and_never_both
    outcomes_are_forgotten_after_a_day_in_batches
    of_many_instances_one_gets_a_lease
    a_lease_is_prolonged_by_its_holder_and_taken_over_when_it_is_over
    a_lease_that_was_given_back_is_free_at_once
    whoever_was_replaced_writes_nothing
    nobody_takes_over_while_a_batch_is_written
    two_instances_expire_each_coupon_once
}

const TEST: &str = "test";

fn holder(name: &str) -> Holder {
    Holder(name.into())
}

fn now() -> DateTime<Utc> {
    SystemClock.now()
}

/// When no coupon of [`Shop::stocked`] is valid any more.
fn later() -> DateTime<Utc> {
    now() + TimeDelta::days(8)
}

/// Takes the lease at this second of a test, for ten seconds.
async fn acquire(store: &Store, name: &str, second: i64) -> Option<Lease> {
    let at = |second| DateTime::UNIX_EPOCH + TimeDelta::seconds(second);
    store.acquire(TEST, &holder(name), at(second), at(second + 10)).await.unwrap()
}

/// Runs a job to its end, and says how many rows each batch was.
async fn run(store: &Store, job: &dyn Job, now: DateTime<Utc>) -> Vec<usize> {
    let until = now + TimeDelta::minutes(1);
    let lease = store.acquire(job.name(), &holder("one"), now, until).await.unwrap().expect("it is free");
    let mut batches = Vec::new();
    while batches.last() != Some(&0) {
        let mut uow = store.begin_under(&lease, until).await.unwrap();
        batches.push(job.batch(uow.as_mut(), now).await.unwrap());
        uow.commit().await.unwrap();
    }
    batches
}

async fn everybody_claims(shop: &Shop, users: i64) {
    let claims = shop.batcher(ClaimCoupons);
    let claimed = join_all((1..=users).map(|user| claim(&claims, user, "TENTH"))).await;
    assert!(claimed.iter().flatten().filter(|answer| answer.outcome.is_ok()).count() == claimed.len());
}

const EXPIRED: &str = "SELECT COUNT(*) FROM user_coupons WHERE status = 'EXPIRED'";
const EXPIRIES: &str = "SELECT COUNT(*) FROM coupon_history WHERE action = 'EXPIRED'";

async fn coupons_expire_in_batches_each_with_its_history(shop: Shop) {
    let shop = shop.stocked(1203, 1, 10, 2000).await;
    everybody_claims(&shop, 1203).await;
    let orders = shop.batcher(PlaceOrders);
    for user in [1, 600, 1203] {
        assert!(order(&orders, request(user, &[(1, 1)], Some("TENTH"))).await.unwrap().outcome.is_ok());
    }
    assert_eq!(run(&shop.store, &ExpireCoupons, now()).await, [0]);
    assert_eq!(run(&shop.store, &ExpireCoupons, later()).await, [500, 500, 200, 0]);
    assert_eq!((shop.count(EXPIRED).await, shop.count(EXPIRIES).await), (1200, 1200));
    let refused = order(&orders, request(2, &[(1, 1)], Some("TENTH"))).await.unwrap().outcome.unwrap_err();
    assert_eq!(refused.coupon, Some(CouponFault::Expired));
    shop.assert_audit_is_clean().await;
}

/// A whole second: SQLite compares texts, and there are shorter ones for it.
async fn a_coupon_expires_at_its_moment_and_not_before(shop: Shop) {
    let shop = shop.stocked(1, 1, 1, 1).await;
    let end = DateTime::from_timestamp(now().timestamp() + 60, 0).unwrap();
    let coupon = UserCoupon {
        id: UserCouponId(1),
        user: UserId(1),
        coupon: CouponId(1),
        ticket: 1,
        claimed_at: now(),
        expires_at: Some(end),
        state: UserCouponState::Claimed,
    };
    let mut uow = shop.store.begin().await.unwrap();
    uow.outbox().append(&[OutboxMessage::coupon_issued(&coupon, &code("TENTH"))]).await.unwrap();
    uow.coupons().issue(&[coupon]).await.unwrap();
    uow.commit().await.unwrap();
    assert_eq!(run(&shop.store, &ExpireCoupons, end - TimeDelta::microseconds(1)).await, [0]);
    assert_eq!(run(&shop.store, &ExpireCoupons, end).await, [1, 0]);
    shop.assert_audit_is_clean().await;
}

/// Expires a few, so that many transactions meet those of the orders, until none is left.
async fn expire_all(store: &Store) {
    loop {
        let mut uow = store.begin().await.unwrap();
        let due = uow.coupons().lock_due(later(), 3).await.unwrap();
        let due: Vec<_> = due.iter().map(|coupon| coupon.id).collect();
        uow.coupons().expire(&due, later()).await.unwrap();
        uow.commit().await.unwrap();
        if due.is_empty() {
            return;
        }
    }
}

async fn a_coupon_is_used_or_expires_and_never_both(shop: Shop) {
    const ROUNDS: i64 = 12;
    const USERS: i64 = 25;
    let shop = shop.stocked(ROUNDS * USERS, 2, 10_000, ROUNDS * USERS).await;
    let other = shop.second_instance().await;
    let claims = shop.batcher(ClaimCoupons);
    let (here, there) = (shop.batcher(PlaceOrders), batcher(&other, PlaceOrders));
    let mut used = 0;
    for round in 0..ROUNDS {
        let users = round * USERS + 1..=(round + 1) * USERS;
        for claimed in join_all(users.clone().map(|user| claim(&claims, user, "TENTH"))).await {
            assert!(claimed.unwrap().outcome.is_ok());
        }
        let placed = join_all(users.rev().map(|user| {
            let orders = if user % 2 == 0 { &here } else { &there };
            order(orders, request(user, &[(1 + user % 2, 1)], Some("TENTH")))
        }));
        let (placed, ()) = join(placed, expire_all(&other)).await;
        for answer in placed {
            match answer.expect("no deadlock reaches a customer").outcome {
                Ok(_) => used += 1,
                Err(refusal) => assert_eq!(refusal.coupon, Some(CouponFault::Expired)),
            }
        }
    }
    assert!((1..300).contains(&used), "{used} of 300: they did not meet");
    // What an order had locked while its round ended was used, or is still to expire.
    expire_all(&shop.store).await;
    assert_eq!((shop.count(EXPIRED).await, shop.count(EXPIRIES).await), (300 - used, 300 - used));
    assert_eq!(shop.count("SELECT COUNT(*) FROM user_coupons WHERE status = 'USED'").await, used);
    shop.assert_audit_is_clean().await;
}

async fn outcomes_are_forgotten_after_a_day_in_batches(shop: Shop) {
    let shop = shop.stocked(2, 1, 1, 1).await;
    let (now, day) = (now(), TimeDelta::days(1));
    let outcome = |number: i64, at| {
        let user = (number % 3 > 0).then_some(UserId(number % 3));
        let key = ScopedKey { user, operation: "order", key: format!("key-{number}").parse().unwrap() };
        let fingerprint = Fingerprint("0".repeat(64));
        (key, IdempotencyRecord { fingerprint, outcome: "{}".into(), at })
    };
    let old = (0..1200).map(|n| outcome(n, now - day - TimeDelta::milliseconds(1 + n % 40)));
    let young = [outcome(9000, now - day), outcome(9001, now)];
    let all: Vec<_> = old.chain(young.clone()).collect();
    let mut uow = shop.store.begin().await.unwrap();
    uow.idempotency().insert_many(&all).await.unwrap();
    uow.commit().await.unwrap();

    assert_eq!(run(&shop.store, &PurgeKeys, now).await, [500, 500, 200, 0]);
    let keys: BTreeSet<_> = all.into_iter().map(|(key, _)| key).collect();
    let left = shop.store.begin().await.unwrap().idempotency().find_many(&keys).await.unwrap();
    assert_eq!(left.into_iter().collect::<Vec<_>>(), young);
}

async fn of_many_instances_one_gets_a_lease(shop: Shop) {
    let other = shop.second_instance().await;
    for (round, second) in (1..).zip([0, 10, 20, 30]) {
        let names: Vec<String> = (0..8).map(|n| format!("instance {n} of round {round}")).collect();
        let stores = [&shop.store, &other].into_iter().cycle();
        let tries = names.iter().zip(stores).map(|(name, store)| acquire(store, name, second));
        let fences: Vec<_> = join_all(tries).await.into_iter().flatten().map(|lease| lease.fence).collect();
        assert_eq!(fences, [round]);
    }
}

async fn a_lease_is_prolonged_by_its_holder_and_taken_over_when_it_is_over(shop: Shop) {
    let other = shop.second_instance().await;
    assert_eq!(acquire(&shop.store, "one", 0).await.unwrap().fence, 1);
    assert_eq!(acquire(&other, "two", 9).await, None);
    assert_eq!(acquire(&shop.store, "one", 9).await.unwrap().fence, 1);
    assert_eq!(acquire(&other, "two", 18).await, None);
    assert_eq!(acquire(&other, "two", 19).await.unwrap().fence, 2);
    assert_eq!(acquire(&shop.store, "one", 20).await, None);
    // Late, and nobody wanted it in the meantime.
    assert_eq!(acquire(&other, "two", 100).await.unwrap().fence, 2);
}

async fn a_lease_that_was_given_back_is_free_at_once(shop: Shop) {
    let first = acquire(&shop.store, "one", 0).await.unwrap();
    shop.store.give_back(&first).await.unwrap();
    let second = acquire(&shop.store, "two", 1).await.unwrap();
    assert_eq!(second.fence, 2);
    // It is not the first one's to give any more.
    shop.store.give_back(&first).await.unwrap();
    assert_eq!(acquire(&shop.store, "one", 2).await, None);
    shop.store.give_back(&second).await.unwrap();
    assert_eq!(acquire(&shop.store, "one", 3).await.unwrap().fence, 3);
}

fn is_lost(begun: Result<impl Sized, JobError>, fence: i64) -> bool {
    matches!(begun, Err(JobError::LeaseLost(lost)) if lost == LeaseLost { job: TEST, fence })
}

async fn whoever_was_replaced_writes_nothing(shop: Shop) {
    let other = shop.second_instance().await;
    let until = DateTime::UNIX_EPOCH + TimeDelta::seconds(30);
    let paused = acquire(&shop.store, "one", 0).await.unwrap();
    let current = acquire(&other, "two", 10).await.unwrap();
    assert!(is_lost(shop.store.begin_under(&paused, until).await, 1));
    // The same name again is another lease.
    other.give_back(&current).await.unwrap();
    assert_eq!(acquire(&shop.store, "one", 11).await.unwrap().fence, 3);
    assert!(is_lost(shop.store.begin_under(&paused, until).await, 1));
    assert!(is_lost(other.begin_under(&current, until).await, 2));
}

async fn nobody_takes_over_while_a_batch_is_written(shop: Shop) {
    let other = shop.second_instance().await;
    let until = |second| DateTime::UNIX_EPOCH + TimeDelta::seconds(second);
    let slow = acquire(&shop.store, "one", 0).await.unwrap();

    let uow = shop.store.begin_under(&slow, until(40)).await.unwrap();
    let committing = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        uow.commit().await
    };
    let (taken, committed) = join(acquire(&other, "two", 30), committing).await;
    assert_eq!((taken, committed.is_ok()), (None, true));

    let uow = shop.store.begin_under(&slow, until(60)).await.unwrap();
    let failing = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        drop(uow);
    };
    let (taken, ()) = join(acquire(&other, "two", 50), failing).await;
    assert_eq!(taken.unwrap().fence, 2);
    assert!(is_lost(shop.store.begin_under(&slow, until(70)).await, 1));
}

/// A clock by which no coupon is valid any more.
struct Ahead;

impl Clock for Ahead {
    fn now(&self) -> DateTime<Utc> {
        later()
    }
}

async fn two_instances_expire_each_coupon_once(shop: Shop) {
    let shop = shop.stocked(1100, 1, 1, 1100).await;
    everybody_claims(&shop, 1100).await;
    let start = |name, store: Store| {
        let (leases, clock): (Arc<dyn JobLeases>, Arc<dyn Clock>) = (Arc::new(store), Arc::new(Ahead));
        let jobs: Vec<Box<dyn Job>> = vec![Box::new(ExpireCoupons), Box::new(PurgeKeys)];
        // So short that it is over in the middle of a batch.
        let (interval, lease) = (Duration::from_millis(20), Duration::from_millis(1));
        let settings = SchedulerSettings { holder: holder(name), interval, lease };
        Scheduler::start(jobs, &leases, &clock, &settings)
    };
    let schedulers = [start("one", shop.store.clone()), start("two", shop.second_instance().await)];
    let finished = async {
        while shop.count(EXPIRED).await < 1100 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), finished).await.expect("all expire");
    join_all(schedulers.iter().map(Scheduler::drain)).await;
    assert_eq!(shop.count(EXPIRIES).await, 1100);
    shop.assert_audit_is_clean().await;
}
