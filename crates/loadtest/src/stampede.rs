//! The stampede: everybody wants one of a few coupons at the same moment. How soon all of them have their answers,
//! winners and losers, in the ways that shops do it.

use std::cell::RefCell;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::available_parallelism;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use futures::future::{try_join, try_join_all};
use rand::seq::SliceRandom;
use tokio::sync::Barrier;

use crate::floor::share_of;
use crate::machine::{Busy, CpuTime};
use crate::measure::{Answer, on_own_thread};
use crate::scenario::{COUPONS_TO_WARM_UP, STAMPEDE, USERS, WARM_UP};

mod client;
mod lock;
mod tally;
mod till;

use client::Client;
pub(crate) use client::Shop;
pub(crate) use tally::{Crowd, Share, Tally};
pub(crate) use till::Counter;
use till::Till;

/// Attempts of customers who make one more: impatient, or with a client that tries again.
const REPEATS: usize = 5_000;

/// All attempts.
pub(crate) const ATTEMPTS: usize = USERS as usize + REPEATS;

/// How claims are decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    /// The classic way and the floor: each claim locks the coupon's row.
    RowLock,
    /// A lock in Redis around each claim.
    RedisLock,
    /// Jangteo, over HTTP.
    Jangteo {
        /// What is before the database.
        gate: Gate,
        /// Whether each claim has an `Idempotency-Key`.
        keyed: bool,
    },
}

/// What is before the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Gate {
    /// The gate that instances share.
    Redis,
    /// The gate of a single instance.
    Memory,
    /// Nothing: Redis hangs.
    Frozen,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RowLock => f.write_str("row lock for each claim"),
            Self::RedisLock => f.write_str("lock in Redis around each claim"),
            Self::Jangteo { gate, keyed: false } => write!(f, "Jangteo, {gate}"),
            Self::Jangteo { gate, keyed: true } => write!(f, "Jangteo, {gate}, with idempotency keys"),
        }
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Redis => "gate in Redis",
            Self::Memory => "gate in process",
            Self::Frozen => "Redis frozen",
        })
    }
}

/// One customer's attempt to get a coupon.
#[derive(Clone, Copy, Debug)]
struct Attempt {
    code: &'static str,
    user: i64,
    number: usize,
}

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The customer has the coupon now.
    Won,
    /// All were issued, or the customer had it before.
    Refused,
    /// Neither is known.
    Failed(Answer),
}

/// Somebody with a connection, who makes one attempt after the other for whoever is next.
trait Claimant: Sized {
    /// What it takes.
    type Means: Clone + Send + 'static;

    async fn arrive(means: &Self::Means) -> Result<Self>;
    async fn claim(&mut self, attempt: Attempt) -> Result<Fate>;
}

/// Customers, one after the other.
struct Queue {
    code: &'static str,
    users: Vec<i64>,
    next: AtomicUsize,
}

impl Queue {
    fn new(code: &'static str, users: Vec<i64>) -> Self {
        Self { code, users, next: AtomicUsize::new(0) }
    }

    /// For a coupon of which there are enough: makes connections and prepares statements.
    fn to_warm_up() -> Self {
        Self::new(WARM_UP, (1..=COUPONS_TO_WARM_UP).collect())
    }

    /// Every customer once and some of them again, in any order.
    fn of_all() -> Self {
        let again = (0..REPEATS).map(|_| rand::random_range(1..=USERS));
        let mut users: Vec<i64> = (1..=USERS).chain(again).collect();
        users.shuffle(&mut rand::rng());
        Self::new(STAMPEDE, users)
    }

    fn next(&self) -> Option<Attempt> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        Some(Attempt { code: self.code, user: *self.users.get(number)?, number })
    }
}

/// What claimants have in common.
struct Square {
    to_warm_up: Queue,
    all: Queue,
    /// Everybody is here and warm.
    gathered: Barrier,
    /// Everybody may go.
    open: Barrier,
    /// When the first of them did.
    opened: OnceLock<Instant>,
}

/// Clients claim from a server, with all the load on one thread.
pub(crate) async fn over_http(shop: Shop, clients: usize) -> Result<(Tally, Option<Busy>)> {
    run::<Client>(shop, clients, 1).await
}

/// Tills claim straight from the database, on a thread for each processor, as the floor of orders.
pub(crate) async fn at_tills(counter: Counter, tills: usize) -> Result<(Tally, Option<Busy>)> {
    let threads = available_parallelism()?.get().min(tills);
    run::<Till>(counter, tills, threads).await
}

/// Has so many claimants, on so many threads, make all attempts. When this returns, all were answered.
async fn run<C>(means: C::Means, claimants: usize, threads: usize) -> Result<(Tally, Option<Busy>)>
where
    C: Claimant + 'static,
{
    let square = Arc::new(Square {
        to_warm_up: Queue::to_warm_up(),
        all: Queue::of_all(),
        gathered: Barrier::new(claimants + 1),
        open: Barrier::new(claimants + 1),
        opened: OnceLock::new(),
    });
    let shares = (0..threads).map(|thread| {
        let (means, square) = (means.clone(), Arc::clone(&square));
        let claimants = share_of(claimants, thread, threads);
        on_own_thread(move || async move {
            let tally = RefCell::new(None);
            try_join_all((0..claimants).map(|_| rush::<C>(&means, &square, &tally))).await?;
            Ok(tally.into_inner())
        })
    });
    let opening = async {
        square.gathered.wait().await;
        let before = CpuTime::now();
        square.open.wait().await;
        Ok(before)
    };
    let (tallies, before) = try_join(try_join_all(shares), opening).await?;
    let busy = CpuTime::busy_since(before);
    let tally = tallies.into_iter().flatten().reduce(Tally::and).context("nobody came")?;
    Ok((tally, busy))
}

/// The tally begins when the first may go.
async fn rush<C: Claimant>(means: &C::Means, square: &Square, tally: &RefCell<Option<Tally>>) -> Result<()> {
    let mut claimant = C::arrive(means).await?;
    while let Some(attempt) = square.to_warm_up.next() {
        let fate = claimant.claim(attempt).await?;
        ensure!(fate == Fate::Won, "a coupon was refused of which there are enough: {fate:?}");
    }
    square.gathered.wait().await;
    square.open.wait().await;
    let opened = *square.opened.get_or_init(Instant::now);
    while let Some(attempt) = square.all.next() {
        let asked = Instant::now();
        let fate = claimant.claim(attempt).await?;
        tally.borrow_mut().get_or_insert_with(|| Tally::new(opened)).add(fate, asked);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_tries_and_some_try_again() {
        let queue = Queue::of_all();
        let mut attempts = vec![0; USERS as usize + 1];
        while let Some(attempt) = queue.next() {
            attempts[attempt.user as usize] += 1;
        }
        assert!(attempts[1..].iter().all(|attempts| *attempts >= 1));
        assert_eq!(attempts.iter().sum::<usize>(), ATTEMPTS);
    }
}
