//! What is measured, in which order, and what came of it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::books;
use crate::databases::{BenchDatabase, Databases};
use crate::floor::Floor;
use crate::load::{Load, Traffic};
use crate::machine::{Busy, CpuTime};
use crate::measure::{Figures, Lengths, Tally, median_by};
use crate::scenario::{Backend, Mix};
use crate::server::{Memory, Server, audit};

/// Connections to try for the floor; the best counts.
const FLOOR_CONNECTIONS: [usize; 3] = [16, 32, 64];

/// More clients than usual.
const CROWD: usize = 256;

/// A part of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Part {
    /// Orders over the whole catalogue, on MariaDB.
    Spread,
    /// Orders that all want one product, on MariaDB.
    Hot,
    /// Orders over the whole catalogue, on SQLite.
    Sqlite,
    /// One order at a time, on both.
    Rest,
    /// The catalogue's first page.
    Products,
}

/// One measurement on a fresh database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// The classic way.
    Floor {
        /// Where.
        backend: Backend,
        /// What.
        mix: Mix,
        /// How many at a time.
        connections: usize,
    },
    /// Jangteo.
    Server {
        /// Where.
        backend: Backend,
        /// What.
        traffic: Traffic,
        /// How many at a time.
        clients: usize,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Floor { backend, mix, .. } => write!(f, "floor, {backend}, {mix}"),
            Self::Server { backend, traffic, .. } => write!(f, "Jangteo, {backend}, {traffic}"),
        }
    }
}

impl Step {
    /// Connections or clients.
    pub(crate) fn at_a_time(self) -> usize {
        match self {
            Self::Floor { connections, .. } => connections,
            Self::Server { clients, .. } => clients,
        }
    }
}

impl Part {
    /// Every part.
    pub(crate) const ALL: [Self; 5] = [Self::Spread, Self::Hot, Self::Sqlite, Self::Rest, Self::Products];

    /// What is measured for it, with that many clients.
    pub(crate) fn steps(self, clients: usize) -> Vec<Step> {
        use Backend::{Mysql, Sqlite};
        match self {
            Self::Spread => {
                let traffic = Traffic::Orders { mix: Mix::Spread, keyed: true };
                let keyed = Step::Server { backend: Mysql, traffic, clients };
                [against_floors(Mix::Spread, clients), vec![keyed, orders(Mysql, Mix::Spread, CROWD)]]
                    .concat()
            }
            Self::Hot => [against_floors(Mix::Hot, clients), against_floors(Mix::HotAlone, clients)].concat(),
            Self::Sqlite => {
                let floor = Step::Floor { backend: Sqlite, mix: Mix::Spread, connections: 1 };
                vec![floor, orders(Sqlite, Mix::Spread, clients)]
            }
            Self::Rest => vec![orders(Mysql, Mix::Spread, 1), orders(Sqlite, Mix::Spread, 1)],
            Self::Products => vec![Step::Server { backend: Mysql, traffic: Traffic::Catalogue, clients }],
        }
    }
}

/// Jangteo and each floor, on MariaDB.
fn against_floors(mix: Mix, clients: usize) -> Vec<Step> {
    let backend = Backend::Mysql;
    let floors = FLOOR_CONNECTIONS.map(|connections| Step::Floor { backend, mix, connections });
    floors.into_iter().chain([orders(backend, mix, clients)]).collect()
}

/// Orders without keys on Jangteo.
pub(crate) fn orders(backend: Backend, mix: Mix, clients: usize) -> Step {
    Step::Server { backend, traffic: Traffic::Orders { mix, keyed: false }, clients }
}

/// What came of a step.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// Rate and latency.
    pub(crate) figures: Figures,
    /// Of the server at the end of the load.
    pub(crate) memory: Option<Memory>,
    /// Processors in use, warm-up included.
    pub(crate) busy: Option<Busy>,
}

impl Outcome {
    /// The run with the middle rate, with the bad answers of all.
    fn median(runs: Vec<Self>) -> Option<Self> {
        let mut bad = BTreeMap::new();
        for (&answer, &count) in runs.iter().flat_map(|run| &run.figures.bad) {
            *bad.entry(answer).or_default() += count;
        }
        let mut median = median_by(runs, |run| run.figures.rate)?;
        median.figures.bad = bad;
        Some(median)
    }
}

/// How to measure.
pub(crate) struct Bench {
    /// Where databases come from.
    pub(crate) databases: Databases,
    /// The server's program; without it only floors are measured.
    pub(crate) server: Option<PathBuf>,
    /// For how long.
    pub(crate) lengths: Lengths,
}

impl Bench {
    /// Takes each step as often as asked, round by round, so that a slow minute of the machine hits floor and
    /// server alike; the medians.
    pub(crate) async fn run(&self, steps: &[Step], rounds: usize) -> Result<Vec<(Step, Outcome)>> {
        let mut runs: Vec<Vec<Outcome>> = vec![Vec::new(); steps.len()];
        for round in 1..=rounds {
            for (number, (step, runs)) in steps.iter().zip(&mut runs).enumerate() {
                eprint!(
                    "[{}/{} round {round}/{rounds}] {step}, {} at a time: ",
                    number + 1,
                    steps.len(),
                    step.at_a_time()
                );
                let outcome = self.measure(*step).await.with_context(|| step.to_string())?;
                eprintln!(
                    "{:.0}/s, p99 {:.1} ms",
                    outcome.figures.rate,
                    outcome.figures.p99.as_secs_f64() * 1e3
                );
                runs.push(outcome);
            }
        }
        Ok(steps.iter().zip(runs).filter_map(|(step, runs)| Some((*step, Outcome::median(runs)?))).collect())
    }

    async fn measure(&self, step: Step) -> Result<Outcome> {
        match step {
            Step::Floor { backend, mix, connections } => {
                let database = self.databases.fresh(backend).await?;
                let lengths = self.lengths;
                let floor = Floor { database_url: database.url.clone(), backend, mix, connections, lengths };
                let before = CpuTime::now();
                let tally = floor.run().await?;
                let busy = CpuTime::busy_since(before);
                self.check(&database, tally.good()).await?;
                Ok(Outcome { figures: tally.figures(), memory: None, busy })
            }
            Step::Server { backend, traffic, clients } => {
                let database = self.databases.fresh(backend).await?;
                let (tally, outcome) = self.load_server(&database, traffic, clients).await?;
                let orders = if traffic == Traffic::Catalogue { 0 } else { tally.good() };
                self.check(&database, orders).await?;
                Ok(outcome)
            }
        }
    }

    async fn load_server(
        &self,
        database: &BenchDatabase,
        traffic: Traffic,
        clients: usize,
    ) -> Result<(Tally, Outcome)> {
        let binary = self.server.as_ref().context("there is no server to measure")?;
        let server = Server::start(binary, &database.url).await?;
        let before = CpuTime::now();
        let load = Load { server: server.address, clients, traffic, lengths: self.lengths };
        let tally = load.run().await.with_context(|| format!("the server's log:{}", server.last_words()))?;
        let busy = CpuTime::busy_since(before);
        let outcome = Outcome { figures: tally.figures(), memory: server.memory(), busy };
        server.stop().await?;
        Ok((tally, outcome))
    }

    /// By our own rules and by Jangteo's.
    async fn check(&self, database: &BenchDatabase, orders: u64) -> Result<()> {
        let connection = database.connect().await?;
        books::check(&connection, orders).await?;
        connection.close().await?;
        match &self.server {
            Some(binary) => audit(binary, &database.url).await,
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Answer;

    #[test]
    fn the_median_run_answers_for_the_bad_answers_of_all() {
        let run = |rate, lost| {
            let bad = [(Answer::Lost, lost)].into();
            Outcome { figures: Figures { rate, bad, ..Figures::default() }, ..Outcome::default() }
        };
        let median = Outcome::median(vec![run(30.0, 1), run(10.0, 2), run(20.0, 3)]).unwrap();
        assert_eq!(median.figures.rate, 20.0);
        assert_eq!(median.figures.bad[&Answer::Lost], 6);
    }
}
