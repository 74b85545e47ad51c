//! Orders and their events: whether purchases wait for the data platform, and whether events keep up with purchases.

use std::fmt;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use jangteo_testkit::{KafkaOptions, KafkaServer};
use tokio::net::TcpSocket;
use tokio::task::spawn_blocking;

use crate::bench::{Bench, Outcome, Step};
use crate::databases::BenchDatabase;
use crate::load::{Load, Pace, Traffic};
use crate::machine::CpuTime;
use crate::measure::{Lengths, Tally};
use crate::scenario::{Backend, Mix};
use crate::server::{Program, Server, Settings};
use crate::watch::{Sights, Watch};

mod outbox;
mod platform;

use outbox::Outbox;
pub(crate) use platform::Delivery;
use platform::Platform;

/// Of the rate at saturation.
const HALF: f64 = 0.5;

/// Events in a request, where they are sent in batches.
const BATCH: &str = "100";

/// What is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trial {
    /// Orders are placed while their events are delivered, or cannot be.
    Purchases {
        /// What becomes of the events.
        relay: Relay,
        /// How many orders.
        demand: Demand,
    },
    /// Orders are placed while nobody delivers events; then workers deliver what has piled up.
    Backlog {
        /// How they are delivered.
        channel: Channel,
        /// How many workers there are.
        workers: usize,
    },
}

/// What becomes of events while orders are placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Relay {
    /// Nobody delivers them.
    Absent,
    /// The server delivers them to a platform that is up.
    To(Channel),
    /// The server tries to deliver them over HTTP, one by one.
    InVain(Outage),
}

/// How events are delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Channel {
    /// A request for each event.
    Http,
    /// A request for many.
    HttpBatches,
    /// By way of a broker.
    Kafka,
}

/// How a platform is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outage {
    /// Nobody listens.
    Refuses,
    /// It answers that it has failed.
    Fails,
    /// It takes requests and never answers.
    Hangs,
}

/// How many orders customers want to place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Demand {
    /// As many as the server takes.
    Saturating,
    /// Half of what it takes in the slowest of the saturated trials of the round, at fixed moments.
    Half,
}

impl Trial {
    /// All of them. Those at saturation come first: they tell how much half of it is.
    pub(crate) fn all() -> Vec<Self> {
        let purchases = |demand| Relay::ALL.into_iter().map(move |relay| Self::Purchases { relay, demand });
        let backlogs = Channel::ALL
            .into_iter()
            .flat_map(|channel| [1, 2].map(|workers| Self::Backlog { channel, workers }));
        purchases(Demand::Saturating).chain(purchases(Demand::Half)).chain(backlogs).collect()
    }

    /// Whether it cannot be tried without a broker.
    pub(crate) fn needs_kafka(self) -> bool {
        match self {
            Self::Purchases { relay, .. } => relay == Relay::To(Channel::Kafka),
            Self::Backlog { channel, .. } => channel == Channel::Kafka,
        }
    }
}

impl Relay {
    const ALL: [Self; 7] = [
        Self::Absent,
        Self::To(Channel::Http),
        Self::To(Channel::HttpBatches),
        Self::To(Channel::Kafka),
        Self::InVain(Outage::Refuses),
        Self::InVain(Outage::Fails),
        Self::InVain(Outage::Hangs),
    ];
}

impl Channel {
    /// Every one.
    pub(crate) const ALL: [Self; 3] = [Self::Http, Self::HttpBatches, Self::Kafka];
}

impl Outage {
    /// Every one.
    pub(crate) const ALL: [Self; 3] = [Self::Refuses, Self::Fails, Self::Hangs];
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Purchases { relay, demand } => write!(f, "{relay}, {demand}"),
            Self::Backlog { channel, workers: 1 } => write!(f, "backlog, 1 worker, {channel}"),
            Self::Backlog { channel, workers } => write!(f, "backlog, {workers} workers, {channel}"),
        }
    }
}

impl fmt::Display for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("no relay"),
            Self::To(channel) => write!(f, "{channel}"),
            Self::InVain(outage) => write!(f, "platform {outage}"),
        }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "HTTP",
            Self::HttpBatches => "HTTP in batches",
            Self::Kafka => "Kafka",
        })
    }
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refuses => "refuses connections",
            Self::Fails => "answers 500",
            Self::Hangs => "hangs",
        })
    }
}

impl fmt::Display for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Saturating => "saturated",
            Self::Half => "half load",
        })
    }
}

/// What became of the events of a trial.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Events {
    /// How many were not delivered when the last order was answered.
    pub(crate) waiting: u64,
    /// How long it then took until all of them were; nothing when there was no platform to deliver them to.
    pub(crate) drained_in: Option<Duration>,
    /// From the event to its arrival, by the platform's own figures.
    pub(crate) delivery: Option<Delivery>,
    /// Events that arrived more than once.
    pub(crate) duplicates: u64,
}

impl Events {
    /// Events delivered per second once no orders were placed any more.
    pub(crate) fn draining_rate(&self) -> Option<f64> {
        Some(self.waiting as f64 / self.drained_in?.as_secs_f64())
    }
}

/// Half of what was placed in the slowest of the saturated trials.
pub(crate) fn half_load<'a>(done: impl Iterator<Item = (Step, &'a Outcome)>) -> Option<f64> {
    let saturated = done.filter(|(step, _)| {
        let Step::Events { trial: Trial::Purchases { demand, .. }, .. } = step else { return false };
        *demand == Demand::Saturating
    });
    Some(HALF * saturated.map(|(_, outcome)| outcome.figures.rate).min_by(f64::total_cmp)?)
}

/// Tries it. `half_load` is the orders per second that count as half of what the server takes.
pub(crate) async fn run(
    bench: &Bench,
    trial: Trial,
    clients: usize,
    half_load: Option<f64>,
) -> Result<Outcome> {
    let database = bench.databases.fresh(Backend::Mysql).await?;
    let binary = bench.server.as_ref().context("there is no server to measure")?;
    let outbox = Outbox::of(&database).await?;
    let shop = Shop { binary, database: &database, outbox: &outbox, lengths: bench.lengths, clients };
    let (placed, outcome) = match trial {
        Trial::Purchases { relay, demand } => {
            let pace = match demand {
                Demand::Saturating => Pace::Unbounded,
                Demand::Half => Pace::PerSecond(half_load.context("nothing was measured at saturation")?),
            };
            shop.sell(relay, pace).await?
        }
        Trial::Backlog { channel, workers } => shop.sell_and_deliver_later(channel, workers).await?,
    };
    outbox.close().await?;
    bench.check(&database, placed).await?;
    Ok(outcome)
}

/// A shop with a database and no server yet.
#[derive(Clone, Copy)]
struct Shop<'a> {
    binary: &'a Path,
    database: &'a BenchDatabase,
    outbox: &'a Outbox,
    lengths: Lengths,
    clients: usize,
}

impl Shop<'_> {
    /// How many orders were placed, and what came of the trial.
    async fn sell(self, relay: Relay, pace: Pace) -> Result<(u64, Outcome)> {
        let destination = Destination::of(relay, self.binary).await?;
        let flags: &[&str] = if relay == Relay::Absent { &["--no-worker"] } else { &[] };
        let mut server = Server::start(self.binary, &self.database.url, flags, &destination.settings).await?;
        let mut placed = 0;
        if let Relay::To(_) = relay {
            placed += self.introduce(&server, &destination).await?;
        }
        let watch = Watch::start(Sights::of_load(Some(server.address))).await?;
        let before = CpuTime::now();
        let tally = self.load(&server, pace).await?;
        let busy = CpuTime::busy_since(before);
        let samples = watch.stop(tally.began()).await?;
        placed += tally.good();
        let waiting = self.outbox.waiting().await?;
        let events = if let Relay::To(_) = relay {
            self.deliver(&destination, placed, Instant::now(), || server.check()).await?
        } else {
            ensure!(waiting == placed, "{placed} orders were placed, and {waiting} events wait");
            Events::default()
        };
        let events = Some(Events { waiting, ..events });
        let (figures, timeline, memory) = (tally.figures(), tally.timeline(), server.memory());
        let outcome = Outcome { figures, timeline, samples, memory, busy, events, ..Outcome::default() };
        server.stop().await?;
        Ok((placed, outcome))
    }

    /// Orders without a relay; the figures are theirs, and the processors in use those while the events are delivered.
    async fn sell_and_deliver_later(self, channel: Channel, workers: usize) -> Result<(u64, Outcome)> {
        let destination = Destination::of(Relay::To(channel), self.binary).await?;
        let server =
            Server::start(self.binary, &self.database.url, &["--no-worker"], &Settings::new()).await?;
        let watch = Watch::start(Sights::of_load(Some(server.address))).await?;
        let tally = self.load(&server, Pace::Unbounded).await?;
        let samples = watch.stop(tally.began()).await?;
        server.stop().await?;
        let placed = tally.good();
        let waiting = self.outbox.waiting().await?;
        ensure!(waiting == placed, "{placed} orders were placed, and {waiting} events wait");

        let before = CpuTime::now();
        let started = Instant::now();
        let mut workers: Vec<Program> =
            (0..workers).map(|_| self.worker(&destination)).collect::<Result<_>>()?;
        let all_work = || workers.iter_mut().try_for_each(Program::check);
        let events = self.deliver(&destination, placed, started, all_work).await?;
        let busy = CpuTime::busy_since(before);
        for worker in workers {
            worker.stop().await?;
        }
        let events = Some(Events { waiting, ..events });
        let (figures, timeline) = (tally.figures(), tally.timeline());
        Ok((placed, Outcome { figures, timeline, samples, busy, events, ..Outcome::default() }))
    }

    /// Waits until the platform has the events of so many orders, each once, as long as the check holds.
    async fn deliver(
        self,
        destination: &Destination,
        orders: u64,
        started: Instant,
        check: impl FnMut() -> Result<()>,
    ) -> Result<Events> {
        let platform = destination.platform.as_ref().context("events have somewhere to go")?;
        self.outbox.drained(platform, orders, check).await?;
        let drained_in = Some(started.elapsed());
        let summary = platform.summary().await?;
        summary.check(orders)?;
        let (delivery, duplicates) = (Some(summary.delivery()), summary.duplicates);
        Ok(Events { drained_in, delivery, duplicates, ..Events::default() })
    }

    /// The first event makes connections, and a topic perhaps. That happens once in the life of a platform.
    async fn introduce(self, server: &Server, destination: &Destination) -> Result<u64> {
        const A_MOMENT: Duration = Duration::from_millis(100);
        let lengths = Lengths { warm_up: Duration::ZERO, measured: A_MOMENT };
        let once = Pace::PerSecond(1.0 / A_MOMENT.as_secs_f64());
        let first = Self { lengths, ..self }.load(server, once).await?.good();
        self.deliver(destination, first, Instant::now(), || Ok(())).await?;
        Ok(first)
    }

    async fn load(self, server: &Server, pace: Pace) -> Result<Tally> {
        let traffic = Traffic::Orders { mix: Mix::Spread, keyed: false };
        let Self { clients, lengths, .. } = self;
        let load = Load { server: server.address, clients, traffic, pace, lengths };
        load.run().await.with_context(|| format!("the server's log:{}", server.last_words()))
    }

    fn worker(self, destination: &Destination) -> Result<Program> {
        Program::start("a worker", self.binary, |command| {
            command.arg("worker").env("JANGTEO_DATABASE_URL", &self.database.url);
            command.envs(&destination.settings);
        })
    }
}

/// Where events go. It is gone when this is dropped.
struct Destination {
    /// Tell a server to send them there.
    settings: Settings,
    platform: Option<Platform>,
    // Never read: it keeps the broker up.
    _broker: Option<KafkaServer>,
    // Never read: it keeps others from listening on a port.
    _silence: Option<TcpSocket>,
}

impl Destination {
    async fn of(relay: Relay, binary: &Path) -> Result<Self> {
        let mut settings = Settings::new();
        let (mut broker, mut silence) = (None, None);
        let platform = match relay {
            Relay::Absent => None,
            Relay::To(Channel::Http) => Some(Platform::over_http(binary).await?),
            Relay::To(Channel::HttpBatches) => {
                settings.insert("JANGTEO_EVENTS_HTTP_BATCH", BATCH.to_owned());
                Some(Platform::over_http(binary).await?)
            }
            Relay::To(Channel::Kafka) => {
                let broker = broker.insert(start_kafka().await?);
                Some(Platform::behind(broker.brokers(), binary).await?)
            }
            Relay::InVain(Outage::Refuses) => {
                let silence = silence.insert(TcpSocket::new_v4()?);
                silence.bind((Ipv4Addr::LOCALHOST, 0).into())?;
                settings.insert("JANGTEO_EVENTS", format!("http://{}/events", silence.local_addr()?));
                None
            }
            Relay::InVain(Outage::Fails) => Some(Platform::over_http(binary).await?.behaving("fail").await?),
            Relay::InVain(Outage::Hangs) => Some(Platform::over_http(binary).await?.behaving("stall").await?),
        };
        if let Some(platform) = &platform {
            settings.insert("JANGTEO_EVENTS", platform.events_url.clone());
        }
        Ok(Self { settings, platform, _broker: broker, _silence: silence })
    }
}

/// An empty one.
pub(crate) async fn start_kafka() -> Result<KafkaServer> {
    Ok(spawn_blocking(|| KafkaServer::start(KafkaOptions::default())).await??)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Figures;

    fn at(rate: f64) -> Outcome {
        Outcome { figures: Figures { rate, ..Figures::default() }, ..Outcome::default() }
    }

    #[test]
    fn half_load_is_half_of_the_slowest_at_saturation() {
        let step = |trial| Step::Events { trial, clients: 64 };
        let purchases = |relay, demand| step(Trial::Purchases { relay, demand });
        let (http, absent) = (Relay::To(Channel::Http), Relay::Absent);
        let done = [
            (purchases(absent, Demand::Saturating), at(5000.0)),
            (purchases(http, Demand::Saturating), at(4000.0)),
            (purchases(http, Demand::Half), at(2000.0)),
            (step(Trial::Backlog { channel: Channel::Http, workers: 1 }), at(3000.0)),
        ];
        let half = |done: &[(Step, Outcome)]| half_load(done.iter().map(|(step, outcome)| (*step, outcome)));
        assert_eq!(half(&done), Some(2000.0));
        assert_eq!(half(&done[2..]), None);
    }

    #[test]
    fn saturation_is_tried_first() {
        let trials = Trial::all();
        let demands = trials.iter().filter_map(|trial| match trial {
            Trial::Purchases { demand, .. } => Some(*demand),
            Trial::Backlog { .. } => None,
        });
        assert!(demands.is_sorted());
    }
}
