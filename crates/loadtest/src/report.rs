//! The figures, and whether each target is met: as tables, as data and as a page.

use std::fmt::{self, Write as _};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::bench::{CROWD, Outcome, Setup, Step, catalogue, charges, claims, limited_orders, orders};
use crate::growth::Growth;
use crate::load::Traffic;
use crate::scenario::{Backend, Mix};
use crate::stampede::{Gate, Way};

pub(crate) mod document;
mod events;
mod growth;
pub(crate) mod journeys;
mod limits;
pub(crate) mod page;
mod subject;
mod text;

/// How long Jangteo waits for Redis, by default.
const REDIS_TIMEOUT_MS: f64 = 200.0;

/// Everything that was measured, and on what.
pub(crate) struct Report {
    /// Machine, versions and settings, a line each.
    pub(crate) circumstances: Vec<String>,
    /// With how many clients the targets are measured.
    pub(crate) clients: usize,
    /// What came of each step.
    pub(crate) results: Vec<(Step, Outcome)>,
    /// What more and more orders came to.
    pub(crate) growth: Option<Growth>,
}

/// A target and what was measured of it.
#[derive(Clone)]
struct Target {
    what: String,
    bound: Bound,
    unit: &'static str,
    measured: Option<f64>,
}

fn target(what: impl Into<String>, bound: Bound, unit: &'static str, measured: Option<f64>) -> Target {
    Target { what: what.into(), bound, unit, measured }
}

/// What is wanted of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Bound {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
    /// Less than this.
    Below(f64),
}

impl Bound {
    fn is_kept_by(self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
            Self::Below(bound) => value < bound,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(least) => write!(f, "at least {least}"),
            Self::AtMost(most) => write!(f, "at most {most}"),
            Self::Below(bound) => write!(f, "below {bound}"),
        }
    }
}

impl Report {
    fn targets(&self) -> Vec<Target> {
        [self.targets_of_orders(), self.other_targets(), self.targets_of_events()].concat()
    }

    fn targets_of_orders(&self) -> Vec<Target> {
        let clients = self.clients;
        let spread = orders(Backend::Mysql, Mix::Spread, clients);
        let hot = orders(Backend::Mysql, Mix::Hot, clients);
        let sqlite = orders(Backend::Sqlite, Mix::Spread, clients);
        let rest = [Backend::Mysql, Backend::Sqlite].map(|backend| orders(backend, Mix::Spread, 1));
        let of_spread = self.rate(hot).zip(self.rate(spread)).map(|(hot, spread)| 100.0 * hot / spread);
        vec![
            target("MariaDB, spread", Bound::AtLeast(5.0), "x floor", self.times_floor(spread)),
            target("MariaDB, hot", Bound::AtLeast(10.0), "x floor", self.times_floor(hot)),
            target("MariaDB, hot against spread", Bound::AtLeast(80.0), "%", of_spread),
            target("SQLite, spread", Bound::AtLeast(12.0), "x floor", self.times_floor(sqlite)),
            target(
                "p99 of orders under load",
                Bound::Below(25.0),
                "ms",
                self.worst_p99(&[spread, hot, sqlite]),
            ),
            target("p99 of an order at rest", Bound::Below(5.0), "ms", self.worst_p99(&rest)),
            target("charges", Bound::AtLeast(5.0), "x floor", self.times_floor(charges(clients))),
            target("server's memory at rest", Bound::Below(30.0), "MB", self.memory_at_rest()),
            target("from the start to the first answer", Bound::Below(1000.0), "ms", self.slowest_start()),
            target(
                "server's memory at most",
                Bound::Below(100.0),
                "MB",
                self.peak_memory(&[spread, hot, sqlite]),
            ),
        ]
    }

    fn other_targets(&self) -> Vec<Target> {
        let catalogue = catalogue(Setup::Default, self.clients);
        let stampede = claims(Gate::Redis, false, CROWD);
        let [healthy, frozen] = [false, true].map(|freezes| limited_orders(freezes, self.clients));
        let p99 = |step| self.worst_p99(&[step]);
        let longer = p99(frozen).zip(p99(healthy)).map(|(frozen, healthy)| frozen - healthy);
        let failed = self.outcome(frozen).map(|outcome| outcome.figures.bad.values().sum::<u64>() as f64);
        vec![
            target("GET /products", Bound::AtLeast(5000.0), "/s", self.rate(catalogue)),
            target("GET /products", Bound::AtLeast(50.0), "% of a bare server", self.of_bare(catalogue)),
            target("GET /products, cached", Bound::AtLeast(3.0), "x not cached", self.times_floor(catalogue)),
            target("stampede on a coupon", Bound::AtLeast(10.0), "x floor", self.times_floor(stampede)),
            target("p99 of its claims", Bound::Below(200.0), "ms", p99(stampede)),
            target("p99 of orders, more when Redis freezes", Bound::Below(REDIS_TIMEOUT_MS), "ms", longer),
            target("orders that fail then", Bound::Below(1.0), "orders", failed),
        ]
    }

    fn outcome(&self, step: Step) -> Option<&Outcome> {
        self.results.iter().find(|(other, _)| *other == step).map(|(_, outcome)| outcome)
    }

    fn rate(&self, step: Step) -> Option<f64> {
        Some(self.outcome(step)?.figures.rate)
    }

    /// How much faster than the best floor of the same.
    pub(crate) fn times_floor(&self, step: Step) -> Option<f64> {
        let floors = self.results.iter().filter(|(other, _)| is_floor_of(*other, step));
        let floor = floors.map(|(_, outcome)| outcome.figures.rate).max_by(f64::total_cmp)?;
        (step.at_a_time() > 1).then_some(self.rate(step)? / floor)
    }

    /// Of those measured.
    fn worst_p99(&self, steps: &[Step]) -> Option<f64> {
        let measured = steps.iter().filter_map(|step| self.outcome(*step));
        measured.map(|outcome| milliseconds(outcome.figures.p99)).max_by(f64::total_cmp)
    }

    /// Of those measured.
    fn peak_memory(&self, steps: &[Step]) -> Option<f64> {
        let measured = steps.iter().filter_map(|step| self.outcome(*step)?.memory);
        measured.map(|memory| megabytes(memory.peak_kib)).max_by(f64::total_cmp)
    }

    fn bad_answers(&self) -> String {
        let mut text = String::new();
        for (step, outcome) in &self.results {
            for (answer, count) in &outcome.figures.bad {
                let _ = writeln!(text, "- {step}, {} at a time: {count} x {answer}", step.at_a_time());
            }
        }
        for size in self.growth.iter().flat_map(|growth| &growth.sizes) {
            for (answer, count) in &size.bad {
                let _ = writeln!(text, "- growth, {} orders: {count} x {answer}", size.orders);
            }
        }
        match text.is_empty() {
            true => "Every request got the answer it asked for, and the books balanced after every run."
                .to_owned(),
            false => format!(
                "The books balanced after every run, but these answers are not what was asked for:\n\n{text}"
            ),
        }
    }
}

/// Whether the one is what the other has to be better than.
fn is_floor_of(floor: Step, step: Step) -> bool {
    match (floor, step) {
        (
            Step::Floor { backend: a, mix: b, .. },
            Step::Server { backend, traffic: Traffic::Orders { mix, .. }, .. },
        )
        | (Step::Floor { backend: a, mix: b, .. }, Step::Engine { backend, mix, .. }) => {
            (a, b) == (backend, mix)
        }
        (Step::ChargeFloor { .. }, Step::Server { traffic: Traffic::Charges, .. }) => true,
        (
            Step::Server { traffic: Traffic::Catalogue, setup: Setup::Uncached, .. },
            Step::Server { traffic: Traffic::Catalogue, setup: Setup::Default, .. },
        ) => true,
        (Step::Stampede { way: Way::RowLock, .. }, Step::Stampede { way, .. }) => way != Way::RowLock,
        _ => false,
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn megabytes(kib: u64) -> f64 {
    kib as f64 * 1024.0 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Figures;

    pub(super) fn at(rate: f64) -> Outcome {
        Outcome { figures: Figures { rate, ..Figures::default() }, ..Outcome::default() }
    }

    pub(super) fn report(results: Vec<(Step, Outcome)>) -> Report {
        Report { circumstances: Vec::new(), clients: 64, results, growth: None }
    }

    #[test]
    fn the_best_floor_of_the_same_orders_counts() {
        let floor = |mix, connections| Step::Floor { backend: Backend::Mysql, mix, connections };
        let spread = orders(Backend::Mysql, Mix::Spread, 64);
        let report = report(vec![
            (floor(Mix::Spread, 16), at(1000.0)),
            (floor(Mix::Spread, 32), at(2000.0)),
            (floor(Mix::Hot, 16), at(4000.0)),
            (spread, at(5000.0)),
        ]);
        assert_eq!(report.times_floor(spread), Some(2.5));
    }

    #[test]
    fn claims_are_compared_with_the_row_lock_and_the_cache_with_none() {
        let row_lock = Step::Stampede { way: Way::RowLock, at_a_time: 32 };
        let redis_lock = Step::Stampede { way: Way::RedisLock, at_a_time: 32 };
        let (jangteo, cached) = (claims(Gate::Redis, false, CROWD), catalogue(Setup::Default, 64));
        let report = report(vec![
            (row_lock, at(1000.0)),
            (redis_lock, at(500.0)),
            (jangteo, at(12_000.0)),
            (catalogue(Setup::Uncached, 64), at(4000.0)),
            (cached, at(20_000.0)),
        ]);
        assert_eq!(report.times_floor(row_lock), None);
        assert_eq!(report.times_floor(redis_lock), Some(0.5));
        assert_eq!(report.times_floor(jangteo), Some(12.0));
        assert_eq!(report.times_floor(cached), Some(5.0));
    }

    #[test]
    fn charges_and_the_engine_have_floors_too() {
        let (backend, mix) = (Backend::Mysql, Mix::Spread);
        let engine = Step::Engine { backend, mix, tasks: 64 };
        let report = report(vec![
            (Step::ChargeFloor { connections: 16 }, at(3000.0)),
            (Step::ChargeFloor { connections: 32 }, at(2000.0)),
            (charges(64), at(15_000.0)),
            (Step::Floor { backend, mix, connections: 16 }, at(1000.0)),
            (engine, at(6000.0)),
        ]);
        assert_eq!(report.times_floor(charges(64)), Some(5.0));
        assert_eq!(report.times_floor(engine), Some(6.0));
    }

    #[test]
    fn a_bound_may_or_may_not_be_reached() {
        assert!(Bound::AtLeast(5.0).is_kept_by(5.0) && Bound::AtMost(5.0).is_kept_by(5.0));
        assert!(!Bound::Below(5.0).is_kept_by(5.0));
    }
}
