//! How near Jangteo comes to what HTTP and its own engine allow, and what it takes before anybody asks for anything.

use std::fmt;

use super::{Report, megabytes, milliseconds};
use crate::bench::{Setup, Step};
use crate::load::Traffic;

impl Report {
    /// A server's rate beside that of a bare server and that of the engine alone.
    pub(super) fn write_limits(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limited: Vec<_> = self
            .results
            .iter()
            .map(|(step, outcome)| (*step, outcome.figures.rate, self.of_bare(*step), self.of_engine(*step)))
            .filter(|(.., of_bare, of_engine)| of_bare.is_some() || of_engine.is_some())
            .collect();
        if limited.is_empty() {
            return Ok(());
        }
        writeln!(f, "\n| measured | per second | % of a bare server | % of the engine without HTTP |")?;
        writeln!(f, "|---|---:|---:|---:|")?;
        let text = |share: Option<f64>| share.map_or(String::new(), |share| format!("{share:.0}"));
        for (step, rate, of_bare, of_engine) in limited {
            writeln!(f, "| {step} | {rate:.0} | {} | {} |", text(of_bare), text(of_engine))?;
        }
        Ok(())
    }

    /// How soon a server answers, and what it has in memory while nobody asks.
    pub(super) fn write_starts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let starts: Vec<_> = self
            .results
            .iter()
            .filter_map(|(step, outcome)| Some((step, outcome.first_answer?, outcome.memory)))
            .collect();
        if starts.is_empty() {
            return Ok(());
        }
        writeln!(f, "\n| measured | first answer after ms | RSS at rest MB |\n|---|---:|---:|")?;
        for (step, first_answer, memory) in starts {
            let memory =
                memory.map_or(String::new(), |memory| format!("{:.0}", megabytes(memory.resident_kib)));
            writeln!(f, "| {step} | {:.0} | {memory} |", milliseconds(first_answer))?;
        }
        Ok(())
    }

    /// Percent of the bare server's rate.
    pub(super) fn of_bare(&self, step: Step) -> Option<f64> {
        let Step::Server { traffic, setup: Setup::Default, clients, .. } = step else { return None };
        self.share(step, Step::Bare { traffic, clients })
    }

    /// Percent of the rate of the engine without HTTP.
    fn of_engine(&self, step: Step) -> Option<f64> {
        let Step::Server { backend, traffic, setup: Setup::Default, clients } = step else { return None };
        let Traffic::Orders { mix, keyed: false } = traffic else { return None };
        self.share(step, Step::Engine { backend, mix, tasks: clients })
    }

    fn share(&self, step: Step, limit: Step) -> Option<f64> {
        Some(100.0 * self.rate(step)? / self.rate(limit)?)
    }

    /// Milliseconds, of the slowest start.
    pub(super) fn slowest_start(&self) -> Option<f64> {
        let starts = self.results.iter().filter_map(|(_, outcome)| outcome.first_answer);
        starts.max().map(milliseconds)
    }

    /// Megabytes, of the largest server that nobody asks for anything.
    pub(super) fn memory_at_rest(&self) -> Option<f64> {
        let at_rest = self.results.iter().filter(|(_, outcome)| outcome.first_answer.is_some());
        let resident = at_rest.filter_map(|(_, outcome)| Some(outcome.memory?.resident_kib));
        resident.max().map(megabytes)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::bench::{Outcome, orders};
    use crate::machine::Memory;
    use crate::report::tests::{at, report};
    use crate::scenario::{Backend, Mix};

    #[test]
    fn a_server_stands_beside_what_limits_it() {
        let (backend, mix) = (Backend::Mysql, Mix::Spread);
        let spread = orders(backend, mix, 64);
        let traffic = Traffic::Orders { mix, keyed: false };
        let report = report(vec![
            (spread, at(6000.0)),
            (orders(backend, mix, 256), at(9000.0)),
            (Step::Bare { traffic, clients: 64 }, at(60_000.0)),
            (Step::Engine { backend, mix, tasks: 64 }, at(8000.0)),
        ]);
        assert_eq!((report.of_bare(spread), report.of_engine(spread)), (Some(10.0), Some(75.0)));
        assert_eq!(report.of_bare(orders(backend, mix, 256)), None);
        assert!(report.to_string().contains("| Jangteo, MariaDB, spread | 6000 | 10 | 75 |"), "{report}");
    }

    #[test]
    fn the_slowest_start_and_the_largest_server_count() {
        let start = |first_answer, resident_kib| Outcome {
            first_answer: Some(Duration::from_millis(first_answer)),
            memory: Some(Memory { resident_kib, peak_kib: 0 }),
            ..Outcome::default()
        };
        let report = report(vec![
            (Step::Start { backend: Backend::Mysql }, start(300, 20_000)),
            (Step::Start { backend: Backend::Sqlite }, start(100, 30_000)),
        ]);
        assert_eq!(report.slowest_start(), Some(300.0));
        assert_eq!(report.memory_at_rest(), Some(30.72));
        assert!(report.to_string().contains("| start, MariaDB | 300 | 20 |"), "{report}");
    }
}
