//! What the shop does without being asked: it delivers events and runs scheduled jobs.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use chrono::TimeDelta;
use jangteo_application::jobs::{
    ExpireCoupons, ExpireOrders, Holder, Job, JobLeases, PurgeEvents, PurgeKeys, Scheduler, SchedulerSettings,
};
use jangteo_application::outbox::Outbox;
use jangteo_application::outbox_queries::Backlog;
use jangteo_application::relay::RelayStatus;
use jangteo_application::{Clock, EventSink, OutboxWatch, Relay, RelaySettings};
use jangteo_infra_database::Store;
use jangteo_infra_events::{SinkSettings, connect};

use crate::config::Settings;

/// Connections for writing that it uses at a time: one a job, and one for the relay.
pub(crate) const CONNECTIONS: u32 = 5;
/// How often a job is tried within the time in which it has to be done. When the instance that does it dies, the lease has to
/// end and another one has to try, all within that time.
const TRIES: u32 = 4;
/// How many tries a lease lasts: by the time of one of them the clocks of instances may differ.
const LEASE: u32 = 2;

/// How often what is not delivered is looked at: each look costs the database up to some 50 ms when that is much.
const WATCHING: Duration = Duration::from_secs(5);

/// The relay and the jobs of this process, running. Any number of processes may have them.
pub(crate) struct Worker {
    scheduler: Scheduler,
    relay: Relay,
    watch: OutboxWatch,
}

/// How delivering events goes, as this process knows without asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Delivery {
    pub(crate) relay: RelayStatus,
    /// None before it was looked at.
    pub(crate) backlog: Option<Backlog>,
}

impl Worker {
    /// Starts on the current Tokio runtime.
    ///
    /// # Errors
    /// When the database does not tell its name, which events carry.
    pub(crate) async fn start(
        settings: &Settings,
        store: &Store,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        let relay = relay(settings, store, clock).await?;
        let watch = OutboxWatch::start(Arc::new(store.clone()), Arc::clone(clock), WATCHING);
        Ok(Self { relay, watch, scheduler: scheduler(settings, store, clock) })
    }

    pub(crate) fn delivery(&self) -> Delivery {
        Delivery { relay: self.relay.status(), backlog: self.watch.latest() }
    }

    /// Finishes the jobs' batches under way, delivers what is due, and leaves the rest to other instances.
    pub(crate) async fn drain(&self) {
        tokio::join!(self.scheduler.drain(), self.relay.drain());
        self.watch.stop();
    }
}

fn scheduler(settings: &Settings, store: &Store, clock: &Arc<dyn Clock>) -> Scheduler {
    let retention = TimeDelta::hours(settings.events_retention_hours.into());
    let jobs: Vec<Box<dyn Job>> = vec![
        Box::new(ExpireOrders::default()),
        Box::new(ExpireCoupons),
        Box::new(PurgeKeys),
        Box::new(PurgeEvents { retention }),
    ];
    let leases: Arc<dyn JobLeases> = Arc::new(store.clone());
    let interval = Duration::from_millis(settings.job_interval_ms.get()) / TRIES;
    let settings = SchedulerSettings { holder: this_process(), interval, lease: interval * LEASE };
    Scheduler::start(jobs, &leases, clock, &settings)
}

async fn relay(settings: &Settings, store: &Store, clock: &Arc<dyn Clock>) -> anyhow::Result<Relay> {
    let sink = sink(settings, clock)?;
    let settings = RelaySettings {
        source: format!("urn:jangteo:{}", store.installation().await.context(NO_NAME)?),
        max_attempts: settings.events_max_attempts.get(),
        poll: Duration::from_millis(settings.events_poll_ms.get()),
        timeout: Duration::from_millis(settings.events_timeout_ms.get()),
    };
    let outbox: Arc<dyn Outbox> = Arc::new(store.clone());
    Ok(Relay::start(outbox, sink, Arc::clone(clock), settings))
}

fn sink(settings: &Settings, clock: &Arc<dyn Clock>) -> anyhow::Result<Arc<dyn EventSink>> {
    let platform = SinkSettings {
        destination: settings.events.clone(),
        headers: settings.events_headers.clone(),
        timeout: Duration::from_millis(settings.events_timeout_ms.get()),
        http_batch: settings.events_http_batch,
        http_secret: settings.events_http_secret.clone(),
        kafka: settings.events_kafka.clone(),
    };
    let connected = connect(&platform, Arc::clone(clock));
    let sink = connected.with_context(|| format!("events cannot be sent to {}", settings.events))?;
    tracing::info!(platform = %settings.events, "events are sent");
    Ok(sink)
}

const NO_NAME: &str = "the database does not tell its name, which events carry";

/// The machine and the process, for people, and a number that no other process has: in containers, the rest may be the
/// same everywhere.
fn this_process() -> Holder {
    let machine: String = gethostname::gethostname().to_string_lossy().chars().take(64).collect();
    Holder(format!("{machine}/{}/{:016x}", std::process::id(), rand::random::<u64>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_holders_are_the_same_and_each_fits_its_column() {
        let (one, two) = (this_process(), this_process());
        assert_ne!(one, two);
        assert!(one.0.contains(&format!("/{}/", std::process::id())) && one.0.chars().count() <= 100);
    }
}
