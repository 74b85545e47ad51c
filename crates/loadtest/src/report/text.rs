//! The report for a terminal: tables that fit into 120 columns, and into documents as they are.

use std::fmt;

use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, ContentArrangement, Row, Table};

use super::{Report, Target, megabytes, milliseconds};
use crate::scenario::COUPONS;
use crate::stampede::ATTEMPTS;

/// Columns of a terminal.
const WIDTH: u16 = 120;

/// A table without rows: words on the left, figures on the right.
pub(super) fn table(header: impl Into<Row>) -> Table {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN).set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
    table.set_header(header);
    table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    table
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.circumstances {
            writeln!(f, "- {line}")?;
        }
        self.write_growth(f)?;
        if !self.results.is_empty() {
            writeln!(f, "\n{}", self.figures())?;
            writeln!(f, "\nMemory of the server in MB, and processors in use by:\n\n{}", self.resources())?;
        }
        self.write_limits(f)?;
        self.write_starts(f)?;
        self.write_journeys(f)?;
        self.write_crowds(f)?;
        self.write_events(f)?;
        writeln!(f, "\n{}", verdicts(&self.targets()))?;
        writeln!(f, "\n{}", self.bad_answers())
    }
}

impl Report {
    fn figures(&self) -> Table {
        let mut table = table([
            "measured",
            "at a time",
            "per second",
            "p50 ms",
            "p99 ms",
            "longest",
            "x floor",
            "retries",
        ]);
        for (step, outcome) in self.results.iter().filter(|(_, outcome)| outcome.first_answer.is_none()) {
            let figures = &outcome.figures;
            let [median, p99, longest] = [figures.median, figures.p99, figures.longest].map(milliseconds);
            table.add_row([
                step.to_string(),
                step.at_a_time().to_string(),
                format!("{:.0}", figures.rate),
                format!("{median:.2}"),
                format!("{p99:.2}"),
                format!("{longest:.0}"),
                self.times_floor(*step).map_or(String::new(), |ratio| format!("{ratio:.2}")),
                figures.retries.to_string(),
            ]);
        }
        table
    }

    fn resources(&self) -> Table {
        let header =
            ["measured", "at a time", "peak MB", "now MB", "server", "database", "Redis", "platform", "load"];
        let mut table = table(header);
        for (step, outcome) in self.results.iter().filter(|(_, outcome)| outcome.first_answer.is_none()) {
            let memory = outcome.memory.map(|memory| [memory.peak_kib, memory.resident_kib]);
            let memory = memory.map(|kib| kib.map(|kib| format!("{:.0}", megabytes(kib))));
            let busy = outcome.busy.map(|busy| busy.shares().map(|(_, share)| format!("{share:.2}")));
            let name = [step.to_string(), step.at_a_time().to_string()];
            let cells = name.into_iter().chain(memory.unwrap_or_default()).chain(busy.unwrap_or_default());
            table.add_row(cells);
        }
        table
    }

    fn write_crowds(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table =
            table(["measured", "at a time", "winners", "p50 ms", "p99 ms", "losers", "p50 ms", "p99 ms"]);
        for (step, outcome) in &self.results {
            let Some(crowd) = outcome.crowd else { continue };
            let sides = [crowd.winners, crowd.losers].into_iter().flat_map(|share| {
                let [median, p99] =
                    [share.median, share.p99].map(|time| format!("{:.2}", milliseconds(time)));
                [share.count.to_string(), median, p99]
            });
            table.add_row([step.to_string(), step.at_a_time().to_string()].into_iter().chain(sides));
        }
        if table.is_empty() {
            return Ok(());
        }
        writeln!(f, "\nThe stampedes: {ATTEMPTS} attempts to get one of {COUPONS} coupons.\n\n{table}")
    }
}

fn verdicts(targets: &[Target]) -> Table {
    let mut table = table(["target", "wanted", "measured", "verdict"]);
    for target in targets {
        let Target { what, bound, unit, measured } = target;
        let (measured, verdict) = match *measured {
            Some(value) => {
                let verdict = if bound.is_kept_by(value) { "met" } else { "**missed**" };
                let digits = if value < 100.0 { 2 } else { 0 };
                (format!("{value:.digits$} {unit}"), verdict)
            }
            None => (String::new(), "not measured"),
        };
        table.add_row([what.clone(), format!("{bound} {unit}"), measured, verdict.to_owned()]);
    }
    table
}

/// The cells of a table's rows, for tests.
#[cfg(test)]
pub(super) fn cells(text: &str) -> Vec<Vec<&str>> {
    let rows = text.lines().filter(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::growth::tests::growth;
    use super::super::{Bound, target};
    use super::*;
    use crate::bench::{Outcome, claims, orders};
    use crate::scenario::{Backend, Mix};
    use crate::stampede::{Crowd, Gate};

    #[test]
    fn a_target_is_met_missed_or_not_measured() {
        let verdict = |measured| {
            let table = verdicts(&[target("a", Bound::AtLeast(2.5), "x", measured)]).to_string();
            cells(&table)[2].join(" | ")
        };
        assert_eq!(verdict(Some(2.5)), "a | at least 2.5 x | 2.50 x | met");
        assert_eq!(verdict(Some(2.4)), "a | at least 2.5 x | 2.40 x | **missed**");
        assert_eq!(verdict(None), "a | at least 2.5 x |  | not measured");
    }

    #[test]
    fn every_table_fits_into_a_terminal() {
        let outcome = Outcome { crowd: Some(Crowd::default()), ..Outcome::default() };
        let steps = [claims(Gate::Redis, true, 256), orders(Backend::Mysql, Mix::HotAlone, 64)];
        let results = steps.map(|step| (step, outcome.clone())).to_vec();
        let report = crate::report::tests::report(results);
        let text = Report { growth: Some(growth()), ..report }.to_string();
        assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
        assert!(text.contains("The stampedes") && text.contains("- growth, 0 orders: 1 x status 503"));
    }
}
