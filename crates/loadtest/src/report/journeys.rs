//! What was asked for in which share, and how soon each of it was answered.

use std::fmt;

use crate::journeys::{Breakdown, Row};

use super::{Report, milliseconds};

/// A table of all of them.
pub(crate) fn write_breakdowns<'a>(
    f: &mut fmt::Formatter<'_>,
    breakdowns: impl IntoIterator<Item = (&'a str, &'a Breakdown)>,
) -> fmt::Result {
    writeln!(f, "| scenario | request | per second | p50 ms | p99 ms | longest ms | told no |")?;
    writeln!(f, "|---|---|---:|---:|---:|---:|---:|")?;
    let (mut journeys, mut refused) = (false, false);
    for (name, breakdown) in breakdowns {
        write_row(f, name, &breakdown.all)?;
        // With a single kind it is all of them.
        if breakdown.requests.len() > 1 {
            breakdown.requests.iter().try_for_each(|row| write_row(f, "", row))?;
        }
        for Row { what, figures, refused } in &breakdown.journeys {
            let row = Row { what: format!("*{what}*"), figures: figures.clone(), refused: *refused };
            write_row(f, "", &row)?;
        }
        journeys |= !breakdown.journeys.is_empty();
        refused |= breakdown.all.refused > 0;
    }
    if journeys {
        writeln!(
            f,
            "\nWhat is in *italics* is a journey of several requests, from the first to the last answer."
        )?;
    }
    if refused {
        writeln!(
            f,
            "\n*Told no*: it was sold out, the customer had it already, or the wallet was full. That is an answer."
        )?;
    }
    Ok(())
}

fn write_row(f: &mut fmt::Formatter<'_>, name: &str, Row { what, figures, refused }: &Row) -> fmt::Result {
    let [median, p99] = [figures.median, figures.p99].map(milliseconds);
    let longest = Some(milliseconds(figures.longest)).filter(|longest| *longest > 0.0);
    let longest = longest.map_or(String::new(), |longest| format!("{longest:.0}"));
    let rate = figures.rate;
    let digits = if rate < 100.0 { 1 } else { 0 };
    writeln!(f, "| {name} | {what} | {rate:.digits$} | {median:.2} | {p99:.2} | {longest} | {refused} |")
}

impl Report {
    /// Of the steps that have several kinds of requests.
    pub(super) fn write_journeys(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named: Vec<_> = self
            .results
            .iter()
            .filter_map(|(step, outcome)| Some((step.to_string(), outcome.breakdown.as_ref()?)))
            .collect();
        if named.is_empty() {
            return Ok(());
        }
        writeln!(f)?;
        write_breakdowns(f, named.iter().map(|(name, breakdown)| (name.as_str(), *breakdown)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Figures;

    struct Table(Breakdown);

    impl fmt::Display for Table {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write_breakdowns(f, [("mixed", &self.0)])
        }
    }

    fn row(what: &str, rate: f64, refused: u64) -> Row {
        Row { what: what.to_owned(), figures: Figures { rate, ..Figures::default() }, refused }
    }

    #[test]
    fn kinds_stand_under_their_scenario_and_journeys_below() {
        let requests = vec![row("GET /products", 70.0, 0), row("POST /orders", 30.0, 2)];
        let journeys = vec![row("order and cancel", 5.0, 0)];
        let breakdown = Breakdown { all: row("all requests", 100.0, 2), requests, journeys, answered: 100 };
        let table = Table(breakdown).to_string();
        let lines: Vec<&str> = table.lines().skip(2).collect();
        assert_eq!(lines[0], "| mixed | all requests | 100 | 0.00 | 0.00 |  | 2 |");
        assert_eq!(lines[1], "|  | GET /products | 70.0 | 0.00 | 0.00 |  | 0 |");
        assert_eq!(lines[3], "|  | *order and cancel* | 5.0 | 0.00 | 0.00 |  | 0 |");
        assert!(table.contains("journey of several requests") && table.contains("*Told no*"));
    }

    #[test]
    fn a_single_kind_is_not_told_twice() {
        let breakdown = Breakdown {
            all: row("all requests", 9.0, 0),
            requests: vec![row("x", 9.0, 0)],
            ..Breakdown::default()
        };
        assert_eq!(Table(breakdown).to_string().lines().count(), 3);
    }
}
