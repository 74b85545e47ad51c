//! Counting answers and their latency while a window is open.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

use crate::timeline::{Slices, Timeline};

/// How long a slice of a load is at first: short enough to show a hiccup, long enough for a p99 of it.
const SLICE: Duration = Duration::from_millis(250);

/// See [`good_so_far`].
static GOOD: AtomicU64 = AtomicU64::new(0);

/// Good answers to anything in this process, for whoever wants to see how it goes meanwhile.
pub(crate) fn good_so_far() -> u64 {
    GOOD.load(Ordering::Relaxed)
}

/// One more of them.
pub(crate) fn count_good() {
    GOOD.fetch_add(1, Ordering::Relaxed);
}

/// For how long to load before and while measuring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lengths {
    /// Not measured.
    pub(crate) warm_up: Duration,
    /// Measured.
    pub(crate) measured: Duration,
}

/// When answers count.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    began: Instant,
    opens: Instant,
    closes: Instant,
}

impl Window {
    /// Opens after the warm-up, which begins now.
    pub(crate) fn after_warm_up(lengths: Lengths) -> Self {
        let began = Instant::now();
        let opens = began + lengths.warm_up;
        Self { began, opens, closes: opens + lengths.measured }
    }

    /// Whether it is time to stop.
    pub(crate) fn is_over(&self) -> bool {
        self.closes_by(Instant::now())
    }

    /// Whether it is closed at that moment, and stays so.
    pub(crate) fn closes_by(&self, moment: Instant) -> bool {
        moment >= self.closes
    }

    fn contains(&self, moment: Instant) -> bool {
        (self.opens..self.closes).contains(&moment)
    }

    fn seconds(&self) -> f64 {
        (self.closes - self.opens).as_secs_f64()
    }
}

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Answer {
    /// What was asked for.
    Good,
    /// Another HTTP status.
    Status(u16),
    /// The connection broke.
    Lost,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Good => f.write_str("good"),
            Self::Status(status) => write!(f, "status {status}"),
            Self::Lost => f.write_str("connection lost"),
        }
    }
}

/// Every answer of a run.
#[derive(Debug)]
pub(crate) struct Tally {
    window: Window,
    /// Microseconds of the good answers in the window.
    latencies: Histogram<u64>,
    /// All until the window closes, the warm-up's included; none when they are in another tally, too.
    slices: Option<Slices>,
    /// All of them, the warm-up's included.
    answers: BTreeMap<Answer, u64>,
    /// How often a transaction was tried again.
    retries: u64,
}

impl Tally {
    /// Nothing yet.
    pub(crate) fn new(window: Window) -> Self {
        Self { slices: Some(Slices::new(window.began, SLICE)), ..Self::aside(window) }
    }

    /// Nothing yet, of answers that are in another tally, too.
    pub(crate) fn aside(window: Window) -> Self {
        Self { window, latencies: histogram(), slices: None, answers: BTreeMap::new(), retries: 0 }
    }

    /// Counts an answer that came just now.
    pub(crate) fn add(&mut self, answer: Answer, asked: Instant) {
        let now = Instant::now();
        self.count(answer, now, now - asked);
        if answer == Answer::Good && self.window.contains(now) {
            self.latencies.saturating_record(micros(now - asked));
        }
    }

    /// Counts an answer that came just now to who wanted to ask at that moment. What counts is whether that was in the
    /// window: an answer that is late is no reason to leave it out.
    pub(crate) fn add_arrival(&mut self, answer: Answer, due: Instant) {
        let now = Instant::now();
        self.count(answer, now, now - due);
        if answer == Answer::Good && self.window.contains(due) {
            self.latencies.saturating_record(micros(now - due));
        }
    }

    fn count(&mut self, answer: Answer, now: Instant, latency: Duration) {
        *self.answers.entry(answer).or_default() += 1;
        let Some(slices) = &mut self.slices else { return };
        if answer == Answer::Good {
            count_good();
        }
        if self.window.closes_by(now) {
            return;
        }
        match answer {
            Answer::Good => slices.add_good(now, latency),
            Answer::Status(_) | Answer::Lost => slices.add_bad(now),
        }
    }

    /// Counts a transaction that has to be tried again.
    pub(crate) fn add_retry(&mut self) {
        self.retries += 1;
    }

    /// Those of both.
    #[must_use]
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.latencies.add(other.latencies).expect("both have the same bounds");
        self.slices = self.slices.zip(other.slices).map(|(slices, other)| slices.and(other));
        for (answer, count) in other.answers {
            *self.answers.entry(answer).or_default() += count;
        }
        self.retries += other.retries;
        self
    }

    /// How many answers were good, the warm-up's included.
    pub(crate) fn good(&self) -> u64 {
        self.answers.get(&Answer::Good).copied().unwrap_or_default()
    }

    /// When the run began, with its warm-up.
    pub(crate) fn began(&self) -> Instant {
        self.window.began
    }

    /// How it went, from there until the window closed.
    pub(crate) fn timeline(&self) -> Timeline {
        let Window { began, opens, closes } = self.window;
        let slices = self.slices.clone().unwrap_or_else(|| Slices::new(began, SLICE));
        slices.timeline(opens - began, closes)
    }

    /// The figures.
    pub(crate) fn figures(&self) -> Figures {
        Figures {
            rate: self.latencies.len() as f64 / self.window.seconds(),
            retries: self.retries,
            bad: self
                .answers
                .iter()
                .filter(|(answer, _)| **answer != Answer::Good)
                .map(|(&a, &n)| (a, n))
                .collect(),
            ..Figures::of(&self.latencies)
        }
    }
}

/// What a run comes to.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Figures {
    /// Good answers a second.
    pub(crate) rate: f64,
    /// Latency that half of them kept.
    pub(crate) median: Duration,
    /// Latency that 99% of them kept.
    pub(crate) p99: Duration,
    /// The longest of all.
    pub(crate) longest: Duration,
    /// Transactions that were tried again.
    pub(crate) retries: u64,
    /// Every other answer.
    pub(crate) bad: BTreeMap<Answer, u64>,
}

impl Figures {
    /// Those that follow from latencies in microseconds.
    pub(crate) fn of(latencies: &Histogram<u64>) -> Self {
        let percentile = |percent| Duration::from_micros(latencies.value_at_percentile(percent));
        Self {
            median: percentile(50.0),
            p99: percentile(99.0),
            longest: Duration::from_micros(latencies.max()),
            ..Self::default()
        }
    }
}

/// The longest latency that is told from a longer one: a minute.
pub(crate) const MICROS_AT_MOST: u64 = 60_000_000;

/// Of microseconds.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, MICROS_AT_MOST, 3).expect("the bounds are valid")
}

/// For a [`histogram`].
pub(crate) fn micros(latency: Duration) -> u64 {
    u64::try_from(latency.as_micros()).unwrap_or(u64::MAX)
}

/// The middle one, or the lower of the two in the middle; nothing of nothing.
pub(crate) fn median_by<T, K: PartialOrd>(mut values: Vec<T>, key: impl Fn(&T) -> K) -> Option<T> {
    values.sort_by(|a, b| key(a).partial_cmp(&key(b)).unwrap_or(std::cmp::Ordering::Equal));
    let middle = values.len().checked_sub(1)? / 2;
    values.into_iter().nth(middle)
}

/// Runs load on a thread with a runtime of its own, which costs less than sharing one among threads.
pub(crate) async fn on_own_thread<F, Fut, T>(load: F) -> Result<T>
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = Result<T>>,
    T: Send + 'static,
{
    let (sender, receiver) = oneshot::channel();
    let run = move || {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(load())
    };
    thread::Builder::new().name("load".to_owned()).spawn(move || drop(sender.send(run())))?;
    receiver.await.context("the load panicked")?
}
