//! Customers on their way through a shop that is started for them.

use anyhow::{Context, Result};

use super::{Bench, Outcome};
use crate::books::Told;
use crate::journeys::{Scenario, Shop, Visit};
use crate::load::Pace;
use crate::machine::CpuTime;
use crate::measure::on_own_thread;
use crate::scenario::Backend;
use crate::server::Settings;
use crate::watch::{Sights, Watch};

impl Bench {
    pub(super) async fn visit(&self, scenario: Scenario, clients: usize) -> Result<Outcome> {
        let database = self.databases.fresh(Backend::Mysql).await?;
        let server = self.start_server(&database, &Settings::new()).await?;
        let visit = Visit { scenario, clients, pace: Pace::Unbounded, lengths: self.lengths };
        let watch = Watch::start(Sights::of_load(Some(server.address))).await?;
        let (before, address) = (CpuTime::now(), server.address);
        let visiting =
            on_own_thread(move || async move { visit.run(&Shop::of_the_benchmark(address)?).await });
        let log = visiting.await.with_context(|| format!("the server's log:{}", server.last_words()))?;
        let busy = CpuTime::busy_since(before);
        let samples = watch.stop(log.began()).await?;
        let (figures, breakdown, timeline) = (log.figures(scenario), Some(log.breakdown()), log.timeline());
        let memory = server.memory();
        let outcome = Outcome { figures, breakdown, timeline, samples, memory, busy, ..Outcome::default() };
        server.stop().await?;
        self.check_told(&database, Told::to(&log)).await?;
        Ok(outcome)
    }
}
