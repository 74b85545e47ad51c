//! What else there is to compare with: the classic way to charge wallets, HTTP with nothing behind it, the engine without
//! HTTP, and a server that nobody asks for anything.

use std::time::Duration;

use anyhow::Result;
use tokio::time::sleep;

use super::{Bench, Outcome};
use crate::bare::BareServer;
use crate::books::Told;
use crate::engine::Engine;
use crate::floor::ChargeFloor;
use crate::load::{Load, Pace, Traffic};
use crate::machine::CpuTime;
use crate::scenario::{Backend, Mix};
use crate::server::Settings;
use crate::watch::{Sights, Watch};

/// How long a server that has started is left alone before its memory is looked at.
const SETTLING: Duration = Duration::from_secs(1);

impl Bench {
    pub(super) async fn charge(&self, connections: usize) -> Result<Outcome> {
        let database = self.databases.fresh(Backend::Mysql).await?;
        let (database_url, lengths) = (database.url.clone(), self.lengths);
        let watch = Watch::start(Sights::of_load(None)).await?;
        let before = CpuTime::now();
        let tally = ChargeFloor { database_url, connections, lengths }.run().await?;
        let busy = CpuTime::busy_since(before);
        let samples = watch.stop(tally.began()).await?;
        self.check_told(&database, Told::by(Traffic::Charges, tally.good())).await?;
        let (figures, timeline) = (tally.figures(), tally.timeline());
        Ok(Outcome { figures, timeline, samples, busy, ..Outcome::default() })
    }

    pub(super) async fn load_bare_server(&self, traffic: Traffic, clients: usize) -> Result<Outcome> {
        let server = BareServer::start(self).await?;
        let watch = Watch::start(Sights::of_load(None)).await?;
        let before = CpuTime::now();
        let (pace, lengths) = (Pace::Unbounded, self.lengths);
        let tally = Load { server: server.address, clients, traffic, pace, lengths }.run().await?;
        let busy = CpuTime::busy_since(before);
        let samples = watch.stop(tally.began()).await?;
        server.stop().await?;
        let (figures, timeline) = (tally.figures(), tally.timeline());
        Ok(Outcome { figures, timeline, samples, busy, ..Outcome::default() })
    }

    pub(super) async fn run_engine(&self, backend: Backend, mix: Mix, tasks: usize) -> Result<Outcome> {
        let database = self.databases.fresh(backend).await?;
        let (database_url, lengths) = (database.url.clone(), self.lengths);
        let watch = Watch::start(Sights::of_load(None).and_stock(&database)).await?;
        let before = CpuTime::now();
        let tally = Engine { database_url, mix, tasks, lengths }.run().await?;
        let busy = CpuTime::busy_since(before);
        let samples = watch.stop(tally.began()).await?;
        self.check(&database, tally.good()).await?;
        let (figures, timeline) = (tally.figures(), tally.timeline());
        Ok(Outcome { figures, timeline, samples, busy, ..Outcome::default() })
    }

    pub(super) async fn start(&self, backend: Backend) -> Result<Outcome> {
        let database = self.databases.fresh(backend).await?;
        let server = self.start_server(&database, &Settings::new()).await?;
        sleep(SETTLING).await;
        let (first_answer, memory) = (Some(server.first_answer), server.memory());
        server.stop().await?;
        Ok(Outcome { first_answer, memory, ..Outcome::default() })
    }
}
