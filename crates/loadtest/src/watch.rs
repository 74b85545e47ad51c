//! Keeps an eye on a server while it is under load: a few times a second it asks the server for its metrics, the kernel
//! for processors and memory, and the database for one row. That is all it costs those that are measured.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use http_body_util::Full;
use hyper::header::HOST;
use hyper::{Request, StatusCode};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::databases::BenchDatabase;
use crate::load::Connection;
use crate::machine::{Busy, CpuTime, Family};
use crate::scenario::HOT_PRODUCT;
use crate::timeline::Timeline;

mod metrics;

use metrics::Metrics;

/// Between two looks at a load.
const OFTEN: Duration = Duration::from_millis(250);
/// Between two looks at a stampede, which is over soon.
const VERY_OFTEN: Duration = Duration::from_millis(100);
/// A server that says nothing for so long is asked the next time.
const PATIENCE: Duration = Duration::from_secs(1);

/// What to look at, and how often.
#[derive(Clone, Copy)]
pub(crate) struct Sights<'a> {
    server: Option<SocketAddr>,
    stock: Option<&'a BenchDatabase>,
    every: Duration,
}

impl<'a> Sights<'a> {
    /// Of a load: processors, and what a server says of itself.
    pub(crate) fn of_load(server: Option<SocketAddr>) -> Self {
        Self { server, stock: None, every: OFTEN }
    }

    /// Of a stampede.
    pub(crate) fn of_stampede(server: Option<SocketAddr>) -> Self {
        Self { server, stock: None, every: VERY_OFTEN }
    }

    /// And the stock of the hot product.
    #[must_use]
    pub(crate) fn and_stock(self, database: &'a BenchDatabase) -> Self {
        Self { stock: Some(database), ..self }
    }
}

/// Somebody who looks, until told to stop or dropped.
pub(crate) struct Watch {
    stop: oneshot::Sender<()>,
    looking: JoinHandle<Vec<Look>>,
}

impl Watch {
    /// Begins on the current runtime, which is not that of the load.
    pub(crate) async fn start(sights: Sights<'_>) -> Result<Self> {
        let stock = match sights.stock {
            Some(database) => Some(database.connect().await?),
            None => None,
        };
        let watcher = Watcher { family: Family::now(), server: sights.server, connection: None, stock };
        let (stop, stopped) = oneshot::channel();
        Ok(Self { stop, looking: tokio::spawn(watcher.keep_looking(sights.every, stopped)) })
    }

    /// What was seen since that moment, at which the run began.
    pub(crate) async fn stop(self, began: Instant) -> Result<Samples> {
        drop(self.stop);
        let looks = self.looking.await.context("looking at the run panicked")?;
        Ok(Samples::of(&looks, began))
    }
}

struct Watcher {
    family: Family,
    server: Option<SocketAddr>,
    connection: Option<Connection>,
    stock: Option<DatabaseConnection>,
}

/// What is to be seen at a moment; all of it is counted from the start of whoever was asked.
struct Look {
    at: Instant,
    used: Option<CpuTime>,
    resident_kib: Option<u64>,
    metrics: Option<Metrics>,
    stock: Option<i64>,
}

impl Watcher {
    async fn keep_looking(mut self, every: Duration, mut stopped: oneshot::Receiver<()>) -> Vec<Look> {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut looks = Vec::new();
        loop {
            tokio::select! {
                biased;
                _ = &mut stopped => break,
                _ = ticks.tick() => looks.push(self.look().await),
            }
        }
        // What one saw just now shows in the last one.
        looks.pop_if(|look| look.at.elapsed() < every / 2);
        looks.push(self.look().await);
        looks
    }

    async fn look(&mut self) -> Look {
        let metrics = timeout(PATIENCE, self.metrics()).await.ok().flatten();
        let stock = self.stock_left().await;
        let (at, used) = (Instant::now(), self.family.cpu_time());
        Look { at, used, resident_kib: self.family.resident_kib(), metrics, stock }
    }

    async fn metrics(&mut self) -> Option<Metrics> {
        let server = self.server?;
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(server).await.ok()?,
        };
        let request = Request::get("/metrics").header(HOST, server.to_string()).body(Full::default()).ok()?;
        let (status, text) = connection.fetch(request).await.ok()?;
        self.connection = Some(connection);
        (status == StatusCode::OK).then(|| Metrics::parse(&String::from_utf8_lossy(&text)))
    }

    /// One row by its key, without a lock.
    async fn stock_left(&self) -> Option<i64> {
        let connection = self.stock.as_ref()?;
        let sql = format!("SELECT stock FROM products WHERE id = {HOT_PRODUCT}");
        let statement = Statement::from_string(connection.get_database_backend(), sql);
        connection.query_one_raw(statement).await.ok()??.try_get_by_index(0).ok()
    }
}

/// What was seen of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Samples {
    /// One after the other.
    pub(crate) samples: Vec<Sample>,
    /// How large the batches of the run were, of each operation of the server.
    pub(crate) batch_sizes: Vec<BatchSizes>,
}

/// What was seen at a moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Sample {
    /// Seconds since the run began.
    pub(crate) at_s: f64,
    /// Processors in use since the sample before.
    pub(crate) processors: Option<Busy>,
    /// What the server has in memory, in KiB.
    pub(crate) resident_kib: Option<u64>,
    /// What the server decided since the sample before.
    pub(crate) batches: Vec<Batches>,
    /// Events that were delivered since the run began.
    pub(crate) events_sent: Option<u64>,
    /// Pieces of the hot product that are left.
    pub(crate) stock: Option<i64>,
}

/// What an operation did in a slice of time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Batches {
    /// Which.
    pub(crate) operation: String,
    /// How many batches it decided.
    pub(crate) batches: u64,
    /// How many commands were in them.
    pub(crate) commands: u64,
    /// How many commands waited when the last one was taken from the queue.
    pub(crate) queued: u64,
}

impl Batches {
    /// Commands in a batch on average.
    pub(crate) fn mean(&self) -> f64 {
        self.commands as f64 / self.batches as f64
    }
}

/// How large an operation's batches were.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BatchSizes {
    /// Which.
    pub(crate) operation: String,
    /// From small to large, each above the bound of the one before.
    pub(crate) sizes: Vec<Size>,
}

/// Batches of about the same size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Size {
    /// Commands in each, at most; nothing where there is no bound.
    pub(crate) at_most: Option<u64>,
    /// How many there were.
    pub(crate) batches: u64,
}

impl Samples {
    /// The last look before the run is what the first one in it is compared with.
    fn of(looks: &[Look], began: Instant) -> Self {
        let before = looks.iter().rposition(|look| look.at <= began).unwrap_or(0);
        let looks = &looks[before.min(looks.len())..];
        let Some(first) = looks.first() else { return Self::default() };
        let samples = looks.windows(2).map(|pair| Sample::of(first, &pair[0], &pair[1], began));
        Self { samples: samples.collect(), batch_sizes: batch_sizes(first, looks) }
    }

    /// Seconds, and pieces of the hot product that were left then.
    pub(crate) fn stock(&self) -> impl Iterator<Item = (f64, i64)> {
        self.samples.iter().filter_map(|sample| Some((sample.at_s, sample.stock?)))
    }

    /// Events that were not delivered yet, when every good answer of a run makes one.
    pub(crate) fn events_waiting(&self, timeline: &Timeline) -> Vec<(f64, f64)> {
        let placed_by = |at_s: f64| -> f64 {
            let share = |from_s: f64, to_s: f64| ((at_s - from_s) / (to_s - from_s)).clamp(0.0, 1.0);
            timeline.placed().map(|it| it.slice.good as f64 * share(it.from_s, it.to_s)).sum()
        };
        let sent = self.samples.iter().filter_map(|sample| Some((sample.at_s, sample.events_sent?)));
        sent.map(|(at_s, sent)| (at_s, (placed_by(at_s) - sent as f64).max(0.0))).collect()
    }
}

impl Sample {
    fn of(first: &Look, before: &Look, now: &Look, began: Instant) -> Self {
        let used = now.used.zip(before.used);
        let metrics = now.metrics.as_ref();
        let sent = |look: &Look| look.metrics.as_ref()?.events_sent;
        Self {
            at_s: now.at.saturating_duration_since(began).as_secs_f64(),
            processors: used.map(|(now, before)| now.busy_from(before)),
            resident_kib: now.resident_kib,
            batches: metrics
                .zip(before.metrics.as_ref())
                .map(|(now, before)| now.since(before))
                .unwrap_or_default(),
            events_sent: sent(now).map(|sent_now| sent_now.saturating_sub(sent(first).unwrap_or_default())),
            stock: now.stock,
        }
    }
}

fn batch_sizes(first: &Look, looks: &[Look]) -> Vec<BatchSizes> {
    let last = looks.iter().rev().find_map(|look| look.metrics.as_ref());
    last.zip(first.metrics.as_ref()).map(|(last, first)| last.sizes_since(first)).unwrap_or_default()
}
