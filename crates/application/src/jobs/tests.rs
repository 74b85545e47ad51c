use std::collections::BTreeMap;
use std::sync::Mutex as StdMutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::TimeDelta;
use jangteo_domain::coupon::{UserCoupon, UserCouponState};
use jangteo_domain::{CouponId, UserCouponId, UserId};
use mockall::predicate::eq;
use tokio::sync::Semaphore;
use tokio::time::sleep;

use super::*;
use crate::mocks::{MockedUnitOfWork, Stopped, transient};

const INTERVAL: Duration = Duration::from_secs(60);
const LEASE: Duration = Duration::from_secs(120);

/// A clock that goes as fast as the paused time of a test.
struct Paused(Instant);

impl Clock for Paused {
    fn now(&self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + self.0.elapsed()
    }
}

#[derive(Clone)]
struct Stored {
    holder: Holder,
    fence: i64,
    until: DateTime<Utc>,
}

/// Leases as a database would keep them, and how many batches were committed under them.
#[derive(Default)]
struct Leases {
    stored: StdMutex<BTreeMap<&'static str, Stored>>,
    commits: Arc<AtomicUsize>,
}

impl Leases {
    fn stored(&self) -> Stored {
        self.stored.lock().unwrap()[COUNTING].clone()
    }

    /// As an instance does that takes a running one for dead.
    fn take_over(&self) {
        let mut stored = self.stored.lock().unwrap();
        let fence = stored[COUNTING].fence + 1;
        stored.insert(COUNTING, Stored { holder: holder("other"), fence, until: DateTime::<Utc>::MAX_UTC });
    }

    fn commits(&self) -> usize {
        self.commits.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl JobLeases for Leases {
    async fn acquire(
        &self,
        job: &'static str,
        holder: &Holder,
        now: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<Option<Lease>, RepositoryError> {
        let mut stored = self.stored.lock().unwrap();
        let fence = match stored.get(job) {
            None => 1,
            Some(own) if own.holder == *holder => own.fence,
            Some(over) if over.until <= now => over.fence + 1,
            Some(_) => return Ok(None),
        };
        stored.insert(job, Stored { holder: holder.clone(), fence, until });
        Ok(Some(Lease { job, holder: holder.clone(), fence }))
    }

    async fn begin_under(
        &self,
        lease: &Lease,
        until: DateTime<Utc>,
    ) -> Result<Box<dyn UnitOfWork>, JobError> {
        let mut stored = self.stored.lock().unwrap();
        match stored.get_mut(lease.job) {
            Some(row) if row.holder == lease.holder && row.fence == lease.fence => row.until = until,
            _ => return Err(LeaseLost { job: lease.job, fence: lease.fence }.into()),
        }
        let commits = Arc::clone(&self.commits);
        Ok(Box::new(MockedUnitOfWork { commits, ..MockedUnitOfWork::default() }))
    }

    async fn give_back(&self, lease: &Lease) -> Result<(), RepositoryError> {
        self.stored.lock().unwrap().get_mut(lease.job).unwrap().until = DateTime::UNIX_EPOCH;
        Ok(())
    }
}

const COUNTING: &str = "counting";

/// A job with this many rows left, of which a batch does three.
#[derive(Clone, Default)]
struct Counting {
    left: Arc<AtomicUsize>,
    batches: Arc<AtomicUsize>,
    /// What the next batch does instead, if anything.
    fails: Arc<StdMutex<Option<Failure>>>,
    /// Closed while a test looks on.
    held: Option<Arc<Semaphore>>,
}

enum Failure {
    OfTheDatabase,
    Panic,
}

#[async_trait]
impl Job for Counting {
    fn name(&self) -> &'static str {
        COUNTING
    }

    async fn batch(&self, _: &mut dyn UnitOfWork, _: DateTime<Utc>) -> Result<usize, RepositoryError> {
        self.batches.fetch_add(1, Ordering::SeqCst);
        if let Some(held) = &self.held {
            held.acquire().await.unwrap().forget();
        }
        let failure = self.fails.lock().unwrap().take();
        match failure {
            Some(Failure::OfTheDatabase) => return Err(transient()),
            Some(Failure::Panic) => panic!("as the test wants"),
            None => {}
        }
        let rows = self.left.load(Ordering::SeqCst).min(3);
        self.left.fetch_sub(rows, Ordering::SeqCst);
        Ok(rows)
    }
}

impl Counting {
    fn of(rows: usize) -> Self {
        Self { left: Arc::new(rows.into()), ..Self::default() }
    }

    fn left(&self) -> usize {
        self.left.load(Ordering::SeqCst)
    }

    fn batches(&self) -> usize {
        self.batches.load(Ordering::SeqCst)
    }
}

fn holder(name: &str) -> Holder {
    Holder(name.into())
}

fn start(name: &str, job: &Counting, leases: &Arc<Leases>) -> Scheduler {
    let settings = SchedulerSettings { holder: holder(name), interval: INTERVAL, lease: LEASE };
    let leases: Arc<dyn JobLeases> = leases.clone();
    let clock: Arc<dyn Clock> = Arc::new(Paused(Instant::now()));
    Scheduler::start(vec![Box::new(job.clone())], &leases, &clock, &settings)
}

#[tokio::test(start_paused = true)]
async fn a_job_runs_in_batches_until_nothing_is_left_and_again_at_the_interval() {
    let (job, leases) = (Counting::of(8), Arc::default());
    let _scheduler = start("one", &job, &leases);
    sleep(INTERVAL / 2).await;
    assert_eq!((job.left(), job.batches(), leases.commits()), (0, 4, 4));
    job.left.store(1, Ordering::SeqCst);
    sleep(INTERVAL).await;
    assert_eq!((job.left(), job.batches()), (0, 6));
    assert_eq!(leases.stored().fence, 1, "it kept its lease");
}

#[tokio::test(start_paused = true)]
async fn of_many_instances_one_runs_a_job() {
    let leases = Arc::default();
    let jobs = [Counting::of(3), Counting::of(3), Counting::of(3)];
    let _schedulers: Vec<_> =
        ["one", "two", "three"].iter().zip(&jobs).map(|(name, job)| start(name, job, &leases)).collect();
    sleep(INTERVAL * 10 - INTERVAL / 2).await;
    let batches: Vec<_> = jobs.iter().map(Counting::batches).collect();
    assert_eq!(batches, [11, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn the_job_of_an_instance_that_died_is_taken_over_when_its_lease_is_over() {
    let leases = Arc::default();
    let (dead, alive) = (Counting::of(3), Counting::of(3));
    let scheduler = start("one", &dead, &leases);
    let _other = start("two", &alive, &leases);
    sleep(INTERVAL / 2).await;
    scheduler.turns.lock().await.drain(..).for_each(|turn| turn.abort());
    sleep(INTERVAL).await;
    assert_eq!((dead.left(), alive.left()), (0, 3));
    sleep(INTERVAL).await;
    assert_eq!(alive.left(), 0);
    assert_eq!((leases.stored().fence, leases.stored().holder), (2, holder("two")));
}

#[tokio::test(start_paused = true)]
async fn whoever_was_replaced_stops_and_waits_for_the_lease() {
    let held = Arc::new(Semaphore::new(1));
    let job = Counting { held: Some(Arc::clone(&held)), ..Counting::of(100) };
    let leases = Arc::default();
    let _scheduler = start("one", &job, &leases);
    sleep(INTERVAL / 2).await;
    assert_eq!(leases.commits(), 1);
    leases.take_over();
    held.add_permits(1000);
    sleep(INTERVAL * 5).await;
    // The batch under way had the lease; a database would have kept the other instance waiting for it.
    assert_eq!((job.batches(), leases.commits()), (2, 2));
    assert_eq!((leases.stored().fence, leases.stored().holder), (2, holder("other")));
}

#[tokio::test(start_paused = true)]
async fn what_failed_is_tried_again_at_the_next_interval() {
    for failure in [Failure::OfTheDatabase, Failure::Panic] {
        let (job, leases) = (Counting::of(3), Arc::default());
        *job.fails.lock().unwrap() = Some(failure);
        let _scheduler = start("one", &job, &leases);
        sleep(INTERVAL / 2).await;
        assert_eq!((job.left(), job.batches(), leases.commits()), (3, 1, 0));
        sleep(INTERVAL).await;
        assert_eq!((job.left(), job.batches()), (0, 3));
    }
}

#[tokio::test(start_paused = true)]
async fn draining_finishes_the_batch_under_way_and_gives_the_lease_back() {
    let held = Arc::new(Semaphore::new(0));
    let job = Counting { held: Some(Arc::clone(&held)), ..Counting::of(100) };
    let leases = Arc::default();
    let scheduler = start("one", &job, &leases);
    sleep(INTERVAL / 2).await;
    let release = async {
        sleep(Duration::from_secs(1)).await;
        held.add_permits(100);
    };
    futures::future::join(scheduler.drain(), release).await;
    assert_eq!((job.left(), leases.commits()), (97, 1));
    let _next = start("two", &Counting::of(1), &leases);
    sleep(Duration::from_secs(1)).await;
    assert_eq!((leases.stored().fence, leases.stored().holder), (2, holder("two")));
}

#[tokio::test(start_paused = true)]
async fn a_scheduler_without_a_lease_drains_at_once() {
    let leases = Arc::default();
    let (one, two) =
        (start("one", &Counting::default(), &leases), start("two", &Counting::default(), &leases));
    sleep(INTERVAL / 2).await;
    two.drain().await;
    assert_eq!(leases.stored().holder, holder("one"));
    one.drain().await;
    assert_eq!(leases.stored().until, DateTime::<Utc>::UNIX_EPOCH);
}

fn claimed(id: i64, expires_at: DateTime<Utc>) -> UserCoupon {
    UserCoupon {
        id: UserCouponId(id),
        user: UserId(id),
        coupon: CouponId(1),
        ticket: id,
        claimed_at: DateTime::UNIX_EPOCH - TimeDelta::days(7),
        expires_at: Some(expires_at),
        state: UserCouponState::Claimed,
    }
}

#[tokio::test]
async fn coupons_that_are_due_expire_together() {
    let (now, mut uow) = (Stopped.now(), MockedUnitOfWork::default());
    uow.coupons
        .expect_lock_due()
        .with(eq(now), eq(500))
        .returning(move |_, _| Ok(vec![claimed(3, now), claimed(5, now - TimeDelta::days(1))]));
    uow.coupons
        .expect_expire()
        .times(1)
        .withf(move |ids, at| *ids == [UserCouponId(3), UserCouponId(5)] && *at == now)
        .returning(|_, _| Ok(()));
    assert_eq!(ExpireCoupons.batch(&mut uow, now).await.unwrap(), 2);
}

#[tokio::test]
async fn without_coupons_that_are_due_nothing_is_written() {
    let mut uow = MockedUnitOfWork::default();
    uow.coupons.expect_lock_due().returning(|_, _| Ok(Vec::new()));
    assert_eq!(ExpireCoupons.batch(&mut uow, Stopped.now()).await.unwrap(), 0);
}

#[tokio::test]
async fn a_coupon_that_is_not_due_does_not_expire_whatever_the_database_says() {
    let (now, mut uow) = (Stopped.now(), MockedUnitOfWork::default());
    uow.coupons.expect_lock_due().returning(move |_, _| Ok(vec![claimed(1, now + TimeDelta::seconds(1))]));
    assert!(ExpireCoupons.batch(&mut uow, now).await.is_err());
}

#[tokio::test]
async fn keys_are_kept_for_a_day() {
    let (now, mut uow) = (Stopped.now(), MockedUnitOfWork::default());
    let purge = uow.idempotency.expect_purge().with(eq(now - TimeDelta::days(1)), eq(500));
    purge.returning(|_, _| Ok(7));
    assert_eq!(PurgeKeys.batch(&mut uow, now).await.unwrap(), 7);
}
