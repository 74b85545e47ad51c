//! What is measured, in which order, and what came of it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::future::try_join;
use jangteo_testkit::{RedisOptions, RedisServer};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::books::{self, Told};
use crate::databases::{BenchDatabase, Databases};
use crate::events::{self, Demand, Events, Trial};
use crate::floor::Floor;
use crate::journeys::{Breakdown, Scenario};
use crate::load::{Load, Pace, Traffic};
use crate::machine::{Busy, CpuTime, Memory};
use crate::measure::{Figures, Lengths, Tally, median_by};
use crate::progress::Progress;
use crate::scenario::{Backend, Mix};
use crate::server::{Server, Settings, audit};
use crate::stampede::{self, ATTEMPTS, Counter, Crowd, Gate, Shop, Way};
use crate::timeline::Timeline;
use crate::watch::{Samples, Sights, Watch};

mod baselines;
mod visits;

/// Connections to try for the floor; the best counts.
const FLOOR_CONNECTIONS: [usize; 3] = [16, 32, 64];

/// More clients than usual.
pub(crate) const CROWD: usize = 256;

/// A quota that nobody uses up, and that has to be counted all the same.
const UNREACHABLE: &str = "1000000/1s";

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
    /// The catalogue's first page, with its cache and without.
    Products,
    /// More customers than coupons, all at once, on MariaDB.
    Coupons,
    /// Orders while Redis is there, and when it hangs, on MariaDB.
    Frozen,
    /// Orders while their events are delivered, and while the data platform is down, on MariaDB.
    Events,
    /// Wallets are charged, on MariaDB.
    Charges,
    /// From the cart to the paid order, and a day of everything, on MariaDB.
    Journeys,
    /// How soon a server answers after its start, and how much memory it takes then.
    Start,
    /// Everything with more and more orders of the past, on MariaDB. Takes long: only when it is asked for.
    Growth,
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
        /// With which settings.
        setup: Setup,
        /// How many at a time.
        clients: usize,
    },
    /// A crowd that wants a coupon, on MariaDB.
    Stampede {
        /// How claims are decided.
        way: Way,
        /// How many at a time.
        at_a_time: usize,
    },
    /// Orders and their events, on MariaDB.
    Events {
        /// What is tried.
        trial: Trial,
        /// How many orders at a time.
        clients: usize,
    },
    /// The classic way to charge wallets, on MariaDB.
    ChargeFloor {
        /// How many at a time.
        connections: usize,
    },
    /// Customers on their way through the shop, on MariaDB.
    Journeys {
        /// What for.
        scenario: Scenario,
        /// How many at a time.
        clients: usize,
    },
    /// HTTP with nothing behind it.
    Bare {
        /// What.
        traffic: Traffic,
        /// How many at a time.
        clients: usize,
    },
    /// Jangteo's batches with no HTTP before them.
    Engine {
        /// Where.
        backend: Backend,
        /// What.
        mix: Mix,
        /// How many at a time.
        tasks: usize,
    },
    /// A server that starts, and nobody asks for anything.
    Start {
        /// Where.
        backend: Backend,
    },
}

/// How a server is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Setup {
    /// As it ships.
    Default,
    /// Products are always fresh.
    Uncached,
    /// Each request asks Redis whether it is one too many.
    Limited {
        /// Whether Redis hangs from soon after measuring began.
        freezes: bool,
    },
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "",
            Self::Uncached => ", not cached",
            Self::Limited { freezes: false } => ", rate limits in Redis",
            Self::Limited { freezes: true } => ", rate limits in Redis, which freezes",
        })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Floor { backend, mix, .. } => write!(f, "floor, {backend}, {mix}"),
            Self::Server { backend, traffic, setup, .. } => {
                write!(f, "Jangteo, {backend}, {traffic}{setup}")
            }
            Self::Stampede { way, .. } => write!(f, "coupons, {way}"),
            Self::Events { trial, .. } => write!(f, "events, {trial}"),
            Self::ChargeFloor { .. } => f.write_str("floor, MariaDB, charges"),
            Self::Journeys { scenario, .. } => write!(f, "Jangteo, MariaDB, {scenario}"),
            Self::Bare { traffic, .. } => write!(f, "bare server, {traffic}"),
            Self::Engine { backend, mix, .. } => write!(f, "engine without HTTP, {backend}, {mix}"),
            Self::Start { backend } => write!(f, "start, {backend}"),
        }
    }
}

impl Step {
    /// Connections or clients.
    pub(crate) fn at_a_time(self) -> usize {
        match self {
            Self::Floor { connections, .. } => connections,
            Self::Server { clients, .. } => clients,
            Self::Stampede { at_a_time, .. } => at_a_time,
            Self::Events { clients, .. } | Self::Journeys { clients, .. } | Self::Bare { clients, .. } => {
                clients
            }
            Self::ChargeFloor { connections } => connections,
            Self::Engine { tasks, .. } => tasks,
            Self::Start { .. } => 0,
        }
    }
}

impl Step {
    /// Whether it is done without Jangteo.
    pub(crate) fn is_floor(self) -> bool {
        match self {
            Self::Floor { .. } | Self::ChargeFloor { .. } => true,
            Self::Server { .. }
            | Self::Events { .. }
            | Self::Journeys { .. }
            | Self::Bare { .. }
            | Self::Engine { .. }
            | Self::Start { .. } => false,
            Self::Stampede { way, .. } => matches!(way, Way::RowLock | Way::RedisLock),
        }
    }

    /// Whether it cannot be done without a broker.
    pub(crate) fn needs_kafka(self) -> bool {
        matches!(self, Self::Events { trial, .. } if trial.needs_kafka())
    }
}

impl Part {
    /// Every part that is measured unless one is asked for.
    pub(crate) const ALL: [Self; 11] = [
        Self::Spread,
        Self::Hot,
        Self::Sqlite,
        Self::Rest,
        Self::Products,
        Self::Coupons,
        Self::Frozen,
        Self::Events,
        Self::Charges,
        Self::Journeys,
        Self::Start,
    ];

    /// What is measured for it, with that many clients.
    pub(crate) fn steps(self, clients: usize) -> Vec<Step> {
        use Backend::{Mysql, Sqlite};
        match self {
            Self::Spread => {
                let traffic = Traffic::Orders { mix: Mix::Spread, keyed: true };
                let keyed = Step::Server { backend: Mysql, traffic, setup: Setup::Default, clients };
                let crowd = orders(Mysql, Mix::Spread, CROWD);
                let bare =
                    Step::Bare { traffic: Traffic::Orders { mix: Mix::Spread, keyed: false }, clients };
                let engine = Step::Engine { backend: Mysql, mix: Mix::Spread, tasks: clients };
                [against_floors(Mix::Spread, clients), vec![engine, bare, keyed, crowd]].concat()
            }
            Self::Hot => [against_floors(Mix::Hot, clients), against_floors(Mix::HotAlone, clients)].concat(),
            Self::Sqlite => {
                let floor = Step::Floor { backend: Sqlite, mix: Mix::Spread, connections: 1 };
                let engine = Step::Engine { backend: Sqlite, mix: Mix::Spread, tasks: clients };
                vec![floor, orders(Sqlite, Mix::Spread, clients), engine]
            }
            Self::Rest => vec![orders(Mysql, Mix::Spread, 1), orders(Sqlite, Mix::Spread, 1)],
            Self::Products => {
                let bare = Step::Bare { traffic: Traffic::Catalogue, clients };
                vec![catalogue(Setup::Uncached, clients), catalogue(Setup::Default, clients), bare]
            }
            Self::Coupons => stampedes(clients),
            Self::Frozen => [false, true].map(|freezes| limited_orders(freezes, clients)).to_vec(),
            Self::Events => Trial::all().into_iter().map(|trial| Step::Events { trial, clients }).collect(),
            Self::Charges => {
                let floors = FLOOR_CONNECTIONS.map(|connections| Step::ChargeFloor { connections });
                floors.into_iter().chain([charges(clients)]).collect()
            }
            Self::Journeys => [Scenario::CartToPaid, Scenario::Mixed]
                .map(|scenario| Step::Journeys { scenario, clients })
                .to_vec(),
            Self::Start => [Mysql, Sqlite].map(|backend| Step::Start { backend }).to_vec(),
            // It is one measurement on one database.
            Self::Growth => Vec::new(),
        }
    }
}

/// Each floor, then Jangteo with less and less before the database, and with keys, which the database alone knows.
fn stampedes(clients: usize) -> Vec<Step> {
    let floors = [Way::RowLock, Way::RedisLock]
        .into_iter()
        .flat_map(|way| FLOOR_CONNECTIONS.map(|connections| Step::Stampede { way, at_a_time: connections }));
    let gates = [Gate::Redis, Gate::Memory, Gate::Frozen].map(|gate| claims(gate, false, CROWD));
    floors
        .chain([claims(Gate::Redis, false, clients)])
        .chain(gates)
        .chain([claims(Gate::Redis, true, CROWD)])
        .collect()
}

/// The catalogue's first page on Jangteo.
pub(crate) fn catalogue(setup: Setup, clients: usize) -> Step {
    Step::Server { backend: Backend::Mysql, traffic: Traffic::Catalogue, setup, clients }
}

/// Charges on Jangteo.
pub(crate) fn charges(clients: usize) -> Step {
    Step::Server { backend: Backend::Mysql, traffic: Traffic::Charges, setup: Setup::Default, clients }
}

/// Orders on Jangteo that ask Redis first.
pub(crate) fn limited_orders(freezes: bool, clients: usize) -> Step {
    let traffic = Traffic::Orders { mix: Mix::Spread, keyed: false };
    Step::Server { backend: Backend::Mysql, traffic, setup: Setup::Limited { freezes }, clients }
}

/// A stampede on Jangteo.
pub(crate) fn claims(gate: Gate, keyed: bool, clients: usize) -> Step {
    Step::Stampede { way: Way::Jangteo { gate, keyed }, at_a_time: clients }
}

/// Jangteo and each floor, on MariaDB.
fn against_floors(mix: Mix, clients: usize) -> Vec<Step> {
    let backend = Backend::Mysql;
    let floors = FLOOR_CONNECTIONS.map(|connections| Step::Floor { backend, mix, connections });
    floors.into_iter().chain([orders(backend, mix, clients)]).collect()
}

/// Orders without keys on Jangteo.
pub(crate) fn orders(backend: Backend, mix: Mix, clients: usize) -> Step {
    let traffic = Traffic::Orders { mix, keyed: false };
    Step::Server { backend, traffic, setup: Setup::Default, clients }
}

/// What came of a step.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// Rate and latency.
    pub(crate) figures: Figures,
    /// Of several kinds of requests.
    pub(crate) breakdown: Option<Breakdown>,
    /// Of a stampede.
    pub(crate) crowd: Option<Crowd>,
    /// Of the server at the end of the load.
    pub(crate) memory: Option<Memory>,
    /// Processors in use; the warm-up is included unless it is a stampede's. Of a backlog, while it is delivered.
    pub(crate) busy: Option<Busy>,
    /// What became of events, where that was measured.
    pub(crate) events: Option<Events>,
    /// How long after its start a server answered; nothing where that is not what was measured.
    pub(crate) first_answer: Option<Duration>,
    /// How it went.
    pub(crate) timeline: Timeline,
    /// What was seen of the server and the machine meanwhile.
    pub(crate) samples: Samples,
    /// Every round, to compare with those of another step in the same round.
    pub(crate) rounds: Vec<Round>,
    /// Which of them all the other figures are from, from 0.
    pub(crate) middle: usize,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(first_answer) = self.first_answer {
            return write!(f, "first answer after {} ms", first_answer.as_millis());
        }
        let Figures { rate, p99, .. } = &self.figures;
        write!(f, "{rate:.0}/s, p99 {:.1} ms", p99.as_secs_f64() * 1e3)?;
        let Some(Events { waiting, drained_in: Some(drained_in), .. }) = self.events else { return Ok(()) };
        write!(f, "; {waiting} events delivered in {:.2} s", drained_in.as_secs_f64())
    }
}

/// Of one step in one round.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Round {
    /// Good answers a second.
    pub(crate) rate: f64,
    /// Latency that half of them kept.
    pub(crate) median: Duration,
    /// Latency that 99% of them kept.
    pub(crate) p99: Duration,
    /// The longest of all.
    pub(crate) longest: Duration,
    /// How it went.
    pub(crate) timeline: Timeline,
}

impl Round {
    fn of(run: &Outcome) -> Self {
        let Figures { rate, median, p99, longest, .. } = run.figures;
        Self { rate, median, p99, longest, timeline: run.timeline.clone() }
    }
}

impl Outcome {
    /// The run in the middle, with the bad answers of all.
    fn median(step: Step, runs: Vec<Self>) -> Option<Self> {
        let mut bad = BTreeMap::new();
        for (&answer, &count) in runs.iter().flat_map(|run| &run.figures.bad) {
            *bad.entry(answer).or_default() += count;
        }
        let rounds = runs.iter().map(Round::of).collect();
        let runs = runs.into_iter().enumerate().collect();
        let (middle, mut median) = median_by(runs, |(_, run)| run.rank(step))?;
        median.figures.bad = bad;
        (median.rounds, median.middle) = (rounds, middle);
        Some(median)
    }

    /// What it is that the run in the middle has the middle of: what the step is about.
    fn rank(&self, step: Step) -> f64 {
        match step {
            Step::Events { trial: Trial::Purchases { demand: Demand::Half, .. }, .. } => {
                self.figures.p99.as_secs_f64()
            }
            Step::Events { trial: Trial::Backlog { .. }, .. } => {
                self.events.as_ref().and_then(Events::draining_rate).unwrap_or_default()
            }
            Step::Start { .. } => self.first_answer.unwrap_or_default().as_secs_f64(),
            Step::Floor { .. }
            | Step::Server { .. }
            | Step::Stampede { .. }
            | Step::Events { .. }
            | Step::ChargeFloor { .. }
            | Step::Journeys { .. }
            | Step::Bare { .. }
            | Step::Engine { .. } => self.figures.rate,
        }
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
        let mut progress = Progress::over(steps.len() * rounds);
        for round in 1..=rounds {
            for (number, step) in steps.iter().enumerate() {
                let of_rounds = if rounds > 1 { format!("round {round}, ") } else { String::new() };
                progress.begin(format!("{of_rounds}{step}, {} at a time", step.at_a_time()));
                let of_this_round = steps.iter().copied().zip(&runs[..number]);
                let of_this_round = of_this_round.filter_map(|(step, runs)| Some((step, runs.last()?)));
                let half_load = events::half_load(of_this_round);
                let outcome = self.measure(*step, half_load).await.with_context(|| step.to_string())?;
                progress.end(&outcome.to_string());
                runs[number].push(outcome);
            }
        }
        let medians = steps.iter().zip(runs).map(|(step, runs)| Some((*step, Outcome::median(*step, runs)?)));
        Ok(medians.flatten().collect())
    }

    async fn measure(&self, step: Step, half_load: Option<f64>) -> Result<Outcome> {
        match step {
            Step::Floor { backend, mix, connections } => {
                let database = self.databases.fresh(backend).await?;
                let lengths = self.lengths;
                let floor = Floor { database_url: database.url.clone(), backend, mix, connections, lengths };
                let watch = Watch::start(Sights::of_load(None).and_stock(&database)).await?;
                let before = CpuTime::now();
                let tally = floor.run().await?;
                let busy = CpuTime::busy_since(before);
                let samples = watch.stop(tally.began()).await?;
                self.check(&database, tally.good()).await?;
                let (figures, timeline) = (tally.figures(), tally.timeline());
                Ok(Outcome { figures, timeline, samples, busy, ..Outcome::default() })
            }
            Step::Server { backend, traffic, setup, clients } => {
                let database = self.databases.fresh(backend).await?;
                let (tally, outcome) = self.load_server(&database, traffic, setup, clients).await?;
                self.check_told(&database, Told::by(traffic, tally.good())).await?;
                Ok(outcome)
            }
            Step::Stampede { way, at_a_time } => {
                let database = self.databases.fresh(Backend::Mysql).await?;
                let outcome = match way {
                    Way::RowLock | Way::RedisLock => self.rush_to_tills(&database, way, at_a_time).await?,
                    Way::Jangteo { gate, keyed } => {
                        self.rush_to_server(&database, gate, keyed, at_a_time).await?
                    }
                };
                self.check_stampede(&database, &outcome).await?;
                Ok(outcome)
            }
            Step::Events { trial, clients } => events::run(self, trial, clients, half_load).await,
            Step::ChargeFloor { connections } => self.charge(connections).await,
            Step::Journeys { scenario, clients } => self.visit(scenario, clients).await,
            Step::Bare { traffic, clients } => self.load_bare_server(traffic, clients).await,
            Step::Engine { backend, mix, tasks } => self.run_engine(backend, mix, tasks).await,
            Step::Start { backend } => self.start(backend).await,
        }
    }

    async fn load_server(
        &self,
        database: &BenchDatabase,
        traffic: Traffic,
        setup: Setup,
        clients: usize,
    ) -> Result<(Tally, Outcome)> {
        let mut redis = match setup {
            Setup::Default | Setup::Uncached => None,
            Setup::Limited { .. } => Some(start_redis().await?),
        };
        let server = self.start_server(database, &setup.settings(redis.as_ref())).await?;
        let sights = Sights::of_load(Some(server.address));
        let sells = traffic != Traffic::Catalogue;
        let watch = Watch::start(if sells { sights.and_stock(database) } else { sights }).await?;
        let before = CpuTime::now();
        let (pace, lengths) = (Pace::Unbounded, self.lengths);
        let load = Load { server: server.address, clients, traffic, pace, lengths };
        let freezing = async {
            if let (Setup::Limited { freezes: true }, Some(redis)) = (setup, &mut redis) {
                sleep(self.lengths.warm_up + self.lengths.measured / 10).await;
                redis.freeze();
            }
            Ok(())
        };
        let (tally, ()) = try_join(load.run(), freezing)
            .await
            .with_context(|| format!("the server's log:{}", server.last_words()))?;
        let busy = CpuTime::busy_since(before);
        let samples = watch.stop(tally.began()).await?;
        let (figures, timeline, memory) = (tally.figures(), tally.timeline(), server.memory());
        let outcome = Outcome { figures, timeline, samples, memory, busy, ..Outcome::default() };
        server.stop().await?;
        Ok((tally, outcome))
    }

    /// On a free port.
    pub(crate) async fn start_server(&self, database: &BenchDatabase, settings: &Settings) -> Result<Server> {
        let binary = self.server.as_ref().context("there is no server to measure")?;
        Server::start(binary, &database.url, &[], settings).await
    }

    async fn rush_to_tills(&self, database: &BenchDatabase, way: Way, tills: usize) -> Result<Outcome> {
        let redis = if way == Way::RedisLock { Some(start_redis().await?) } else { None };
        let counter = Counter {
            database_url: database.url.clone(),
            redis_url: redis.as_ref().map(|redis| redis.url().to_owned()),
            last_id: Arc::default(),
        };
        let watch = Watch::start(Sights::of_stampede(None)).await?;
        let (tally, busy) = stampede::at_tills(counter, tills).await?;
        let samples = watch.stop(tally.opened()).await?;
        let (figures, crowd, timeline) = (tally.figures(), Some(tally.crowd()), tally.timeline());
        Ok(Outcome { figures, crowd, timeline, samples, busy, ..Outcome::default() })
    }

    async fn rush_to_server(
        &self,
        database: &BenchDatabase,
        gate: Gate,
        keyed: bool,
        clients: usize,
    ) -> Result<Outcome> {
        let mut redis = if gate == Gate::Memory { None } else { Some(start_redis().await?) };
        let server = self.start_server(database, &at_redis(redis.as_ref())).await?;
        if let (Gate::Frozen, Some(redis)) = (gate, &mut redis) {
            redis.freeze();
        }
        let watch = Watch::start(Sights::of_stampede(Some(server.address))).await?;
        let shop = Shop { server: server.address, keyed };
        let (tally, busy) = stampede::over_http(shop, clients)
            .await
            .with_context(|| format!("the server's log:{}", server.last_words()))?;
        let samples = watch.stop(tally.opened()).await?;
        let (figures, crowd, timeline) = (tally.figures(), Some(tally.crowd()), tally.timeline());
        let memory = server.memory();
        let outcome = Outcome { figures, crowd, timeline, samples, memory, busy, ..Outcome::default() };
        server.stop().await?;
        Ok(outcome)
    }

    /// Every coupon was issued, to those who were told so and to nobody else.
    async fn check_stampede(&self, database: &BenchDatabase, outcome: &Outcome) -> Result<()> {
        let crowd = outcome.crowd.unwrap_or_default();
        let answered = crowd.winners.count + crowd.losers.count;
        ensure!(
            answered == ATTEMPTS as u64,
            "of {ATTEMPTS} attempts {answered} were answered: {:?}",
            outcome.figures.bad
        );
        let connection = database.connect().await?;
        books::check_coupons(&connection, crowd.winners.count).await?;
        connection.close().await?;
        self.check(database, 0).await
    }

    /// As [`check`](Self::check), and that there is whatever else customers were told.
    async fn check_told(&self, database: &BenchDatabase, told: Told) -> Result<()> {
        let connection = database.connect().await?;
        books::check_told(&connection, told).await?;
        connection.close().await?;
        self.check(database, told.orders).await
    }

    /// By our own rules and by Jangteo's.
    pub(crate) async fn check(&self, database: &BenchDatabase, orders: u64) -> Result<()> {
        let connection = database.connect().await?;
        books::check(&connection, orders).await?;
        connection.close().await?;
        match &self.server {
            Some(binary) => audit(binary, &database.url).await,
            None => Ok(()),
        }
    }
}

impl Setup {
    fn settings(self, redis: Option<&RedisServer>) -> Settings {
        let mut settings = at_redis(redis);
        match self {
            Self::Default => {}
            Self::Uncached => {
                settings.insert("JANGTEO_PRODUCT_CACHE_MS", "0".to_owned());
            }
            Self::Limited { .. } => {
                settings.insert("JANGTEO_RATE_LIMIT", "on".to_owned());
                for quota in ["JANGTEO_RATE_LIMIT_USER_WRITES", "JANGTEO_RATE_LIMIT_ADDRESS_WRITES"] {
                    settings.insert(quota, UNREACHABLE.to_owned());
                }
            }
        }
        settings
    }
}

fn at_redis(redis: Option<&RedisServer>) -> Settings {
    redis.map(|redis| ("JANGTEO_REDIS_URL", redis.url().to_owned())).into_iter().collect()
}

/// An empty one.
async fn start_redis() -> Result<RedisServer> {
    Ok(spawn_blocking(|| RedisServer::start(RedisOptions::default())).await??)
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
        let step = orders(Backend::Mysql, Mix::Spread, 64);
        let median = Outcome::median(step, vec![run(30.0, 1), run(10.0, 2), run(20.0, 3)]).unwrap();
        assert_eq!((median.figures.rate, median.middle), (20.0, 2));
        assert_eq!(median.figures.bad[&Answer::Lost], 6);
        assert_eq!(median.rounds.iter().map(|round| round.rate).collect::<Vec<_>>(), [30.0, 10.0, 20.0]);
    }

    #[test]
    fn every_part_is_measured_and_each_against_something() {
        for part in Part::ALL {
            assert!(!part.steps(64).is_empty(), "{part:?}");
        }
        let spread = Part::Spread.steps(64);
        assert!(spread.contains(&Step::Engine { backend: Backend::Mysql, mix: Mix::Spread, tasks: 64 }));
        let floors = Part::Charges.steps(64).into_iter().filter(|step| step.is_floor()).count();
        assert_eq!(floors, FLOOR_CONNECTIONS.len());
    }

    #[test]
    fn where_the_rate_is_given_the_median_is_that_of_the_p99() {
        let run = |rate, p99| {
            let p99 = Duration::from_millis(p99);
            Outcome { figures: Figures { rate, p99, ..Figures::default() }, ..Outcome::default() }
        };
        let trial = Trial::Purchases { relay: events::Relay::Absent, demand: Demand::Half };
        let runs = vec![run(30.0, 7), run(10.0, 9), run(20.0, 5)];
        let median = Outcome::median(Step::Events { trial, clients: 64 }, runs).unwrap();
        assert_eq!(median.figures.p99, Duration::from_millis(7));
    }
}
