//! Scheduled jobs: housekeeping that one instance does for all of them.
//!
//! Every instance tries at its interval. The one that gets the job's [`Lease`] runs it, batch by batch, until nothing is
//! left; the others find the lease taken and try again later. An instance that dies is missed until its lease runs out.
//!
//! A lease is a matter of the clock, and clocks are wrong and processes pause, so it decides only who makes the effort.
//! What may be written is decided by the fence: it grows whenever the lease changes hands, and every batch checks it
//! inside its own transaction. Whoever was replaced without noticing gets [`LeaseLost`] and has written nothing.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::FutureExt;
use futures::future::join_all;
use jangteo_domain::RepositoryError;
use metrics::{counter, histogram};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::clock::Clock;
use crate::unit_of_work::UnitOfWork;

mod expire_coupons;
mod expire_orders;
mod purge_events;
mod purge_keys;

pub use expire_coupons::ExpireCoupons;
pub use expire_orders::ExpireOrders;
pub use purge_events::PurgeEvents;
pub use purge_keys::PurgeKeys;

/// Work that has to be done now and then, and does no harm when it is done again.
#[async_trait]
pub trait Job: Send + Sync {
    /// Names the job in its lease, metrics and logs: at most 32 characters.
    fn name(&self) -> &'static str;

    /// Does a part of it that takes well under a second, and says how many rows that were. 0 ends the run.
    async fn batch(&self, uow: &mut dyn UnitOfWork, now: DateTime<Utc>) -> Result<usize, RepositoryError>;
}

/// An instance among those on one database; no two have the same name. At most 100 characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder(pub String);

/// The right to run a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Which job.
    pub job: &'static str,
    /// Who has it.
    pub holder: Holder,
    /// How often it has changed hands.
    pub fence: i64,
}

/// Another instance took the job over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("another instance took {job} over: the lease with fence {fence} is lost")]
pub struct LeaseLost {
    /// Which job.
    pub job: &'static str,
    /// The fence of the lease that is lost.
    pub fence: i64,
}

/// Why a job stopped before nothing was left. What its earlier batches committed stays.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// It is another instance's now.
    #[error(transparent)]
    LeaseLost(#[from] LeaseLost),
    /// The database failed, or the job did.
    #[error("the job failed")]
    Failed(#[from] RepositoryError),
}

/// Leases, as stored.
///
/// The moments come from the instances' clocks. An instance whose clock is ahead takes a lease over as much too early,
/// one whose clock is behind as much too late. Neither harms the data, thanks to the fence; it costs a run that is cut
/// short, or a longer wait. How far clocks may differ before that happens is said at [`SchedulerSettings::lease`].
#[async_trait]
pub trait JobLeases: Send + Sync {
    /// Takes the lease until a moment, or prolongs it; `None` when another instance has it.
    ///
    /// MUST increase the fence whenever the lease changes hands, and never let it fall. MUST give a lease that nobody
    /// has, or that ended at `now` or before, to one instance only.
    async fn acquire(
        &self,
        job: &'static str,
        holder: &Holder,
        now: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<Option<Lease>, RepositoryError>;

    /// Begins a unit of work that can only be committed while the lease is its holder's, and prolongs the lease with it.
    ///
    /// MUST refuse with [`LeaseLost`] when the lease has another holder or fence, and MUST keep it from changing hands
    /// until the unit of work ends.
    async fn begin_under(&self, lease: &Lease, until: DateTime<Utc>)
    -> Result<Box<dyn UnitOfWork>, JobError>;

    /// Lets the next instance have it at once. Does nothing to a lease that is lost.
    async fn give_back(&self, lease: &Lease) -> Result<(), RepositoryError>;
}

/// When jobs run, and as whom.
#[derive(Debug, Clone)]
pub struct SchedulerSettings {
    /// This instance.
    pub holder: Holder,
    /// How often each job is tried.
    pub interval: Duration,
    /// How long a lease lasts after it was taken or prolonged. By as much as it is longer than the interval, clocks may
    /// differ without an instance taking a job over from one that is alive.
    pub lease: Duration,
}

/// Runs jobs on this instance, whenever it has their leases.
pub struct Scheduler {
    closing: watch::Sender<bool>,
    turns: Mutex<Vec<JoinHandle<()>>>,
}

impl Scheduler {
    /// Tries each job at once and then at the interval, on the current Tokio runtime.
    #[must_use]
    pub fn start(
        jobs: Vec<Box<dyn Job>>,
        leases: &Arc<dyn JobLeases>,
        clock: &Arc<dyn Clock>,
        settings: &SchedulerSettings,
    ) -> Self {
        let (closing, closed) = watch::channel(false);
        let turn = |job| Turn {
            job,
            leases: Arc::clone(leases),
            clock: Arc::clone(clock),
            settings: settings.clone(),
            closed: closed.clone(),
            lease: None,
        };
        let turns = jobs.into_iter().map(|job| tokio::spawn(turn(job).take())).collect();
        Self { closing, turns: Mutex::new(turns) }
    }

    /// Begins nothing new, finishes the batches under way, and gives the leases back.
    pub async fn drain(&self) {
        self.closing.send_replace(true);
        join_all(self.turns.lock().await.drain(..)).await;
    }
}

/// One job on this instance.
struct Turn {
    job: Box<dyn Job>,
    leases: Arc<dyn JobLeases>,
    clock: Arc<dyn Clock>,
    settings: SchedulerSettings,
    closed: watch::Receiver<bool>,
    lease: Option<Lease>,
}

impl Turn {
    async fn take(mut self) {
        let mut ticks = interval(self.settings.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = self.closed.wait_for(|closed| *closed) => break,
                _ = ticks.tick() => {}
            }
            self.attempt().await;
        }
        self.give_back().await;
    }

    /// A panic is this run's failure, not the end of the job.
    async fn attempt(&mut self) {
        let (job, started) = (self.job.name(), Instant::now());
        let running = AssertUnwindSafe(self.run()).catch_unwind().await;
        let run = running.unwrap_or_else(|_| Err(RepositoryError::Backend("it panicked".into()).into()));
        let result = tell(job, &run);
        counter!("jangteo_job_runs_total", "job" => job, "result" => result).increment(1);
        if !matches!(run, Ok(None)) {
            histogram!("jangteo_job_seconds", "job" => job).record(started.elapsed().as_secs_f64());
        }
    }

    /// Runs the job until nothing is left, and says how many rows that were; nothing when another instance has it.
    async fn run(&mut self) -> Result<Option<usize>, JobError> {
        let now = self.clock.now();
        let until = now + self.settings.lease;
        let holder = &self.settings.holder;
        self.lease = self.leases.acquire(self.job.name(), holder, now, until).await?;
        let Some(lease) = &self.lease else { return Ok(None) };
        let mut rows = 0;
        while !*self.closed.borrow() {
            match self.batch(lease).await? {
                0 => break,
                more => rows += more,
            }
        }
        Ok(Some(rows))
    }

    async fn batch(&self, lease: &Lease) -> Result<usize, JobError> {
        let now = self.clock.now();
        let mut uow = self.leases.begin_under(lease, now + self.settings.lease).await?;
        let rows = self.job.batch(uow.as_mut(), now).await?;
        uow.commit().await?;
        counter!("jangteo_job_rows_total", "job" => self.job.name()).increment(rows as u64);
        Ok(rows)
    }

    async fn give_back(&self) {
        let Some(lease) = &self.lease else { return };
        if let Err(error) = self.leases.give_back(lease).await {
            tracing::warn!(job = lease.job, cause = ?error, "a job's lease was not given back: it runs out by itself");
        }
    }
}

/// Logs how a run ended, and names that for the metrics.
fn tell(job: &'static str, run: &Result<Option<usize>, JobError>) -> &'static str {
    match run {
        Ok(None) => "elsewhere",
        Ok(Some(0)) => "done",
        Ok(Some(rows)) => {
            tracing::info!(job, rows, "a job is done");
            "done"
        }
        Err(JobError::LeaseLost(LeaseLost { fence, .. })) => {
            tracing::warn!(job, fence, "another instance took a job over: the rest is left to it");
            "lease_lost"
        }
        Err(JobError::Failed(error)) => {
            tracing::error!(job, cause = ?error, "a job failed: it is tried again at the next interval");
            "failed"
        }
    }
}

#[cfg(test)]
mod tests;
