//! What the shop does without being asked: scheduled jobs.

use std::sync::Arc;
use std::time::Duration;

use jangteo_application::Clock;
use jangteo_application::jobs::{
    ExpireCoupons, Holder, Job, JobLeases, PurgeKeys, Scheduler, SchedulerSettings,
};
use jangteo_infra_database::Store;

use crate::config::Settings;

/// Connections for writing that it uses at a time: one a job.
pub(crate) const CONNECTIONS: u32 = 2;
/// How many intervals a lease lasts: by one of them the clocks of instances may differ.
const LEASE: u32 = 2;

/// The jobs of this process, running. Any number of processes may have them.
pub(crate) struct Worker {
    scheduler: Scheduler,
}

impl Worker {
    /// Starts on the current Tokio runtime.
    pub(crate) fn start(settings: &Settings, store: &Store, clock: &Arc<dyn Clock>) -> Self {
        let jobs: Vec<Box<dyn Job>> = vec![Box::new(ExpireCoupons), Box::new(PurgeKeys)];
        let leases: Arc<dyn JobLeases> = Arc::new(store.clone());
        let interval = Duration::from_millis(settings.job_interval_ms.get());
        let settings = SchedulerSettings { holder: this_process(), interval, lease: interval * LEASE };
        Self { scheduler: Scheduler::start(jobs, &leases, clock, &settings) }
    }

    /// Finishes what is under way, and leaves the rest to other instances.
    pub(crate) async fn drain(&self) {
        self.scheduler.drain().await;
    }
}

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
