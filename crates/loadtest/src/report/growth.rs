//! Whether figures stay what they were with more and more orders: the lines that terminal, data and page have in common.

use std::fmt;
use std::time::Duration;

use comfy_table::Table;
use serde::{Deserialize, Serialize};

use super::text::table;
use super::{Report, milliseconds};
use crate::growth::{Growth, Size, WarmUp};

/// Percent by which a figure may be worse than it was with the fewest orders.
const FLAT_WITHIN: f64 = 10.0;
/// Milliseconds that nobody notices: times of the fastest answers differ by as much from run to run.
const NOTHING: f64 = 0.3;

/// The same with more and more orders.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Comparison {
    /// How many orders of the past there were, fewest first.
    pub(crate) orders: Vec<u64>,
    /// Percent by which a flat figure may be worse with the most orders than with the fewest.
    pub(crate) flat_within_percent: f64,
    /// What was measured.
    pub(crate) lines: Vec<Line>,
    /// How orders were placed before they were measured, for each number of orders.
    pub(crate) warm_ups: Vec<Windows>,
}

/// Something that was measured with each number of orders.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Line {
    /// What.
    pub(crate) what: String,
    /// Of the values.
    pub(crate) unit: String,
    /// One for each number of orders; none where there was nothing to measure.
    pub(crate) values: Vec<Option<f64>>,
    /// How many times worse the last value is than the first, where it should not be.
    pub(crate) ratio: Option<f64>,
    /// Whether it is not, or nobody would notice; nothing where it is expected to differ.
    pub(crate) is_flat: Option<bool>,
}

/// A warm-up, window by window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Windows {
    /// Seconds that all took, with what is between them.
    pub(crate) took_s: f64,
    /// Seconds that one takes.
    pub(crate) window_s: f64,
    /// Orders placed in each.
    pub(crate) per_second: Vec<f64>,
}

/// What is wanted of a figure when there are more orders.
#[derive(Clone, Copy)]
enum Wanted {
    /// As much as before.
    AsMuch,
    /// As few milliseconds as before.
    AsSoon,
    /// It is good to know.
    Nothing,
}

impl Comparison {
    /// What was measured, beside each other.
    pub(crate) fn of(growth: &Growth) -> Self {
        Self {
            orders: growth.sizes.iter().map(|size| size.orders).collect(),
            flat_within_percent: FLAT_WITHIN,
            lines: lines(&growth.sizes),
            warm_ups: growth.sizes.iter().map(|size| Windows::of(&size.warm_up)).collect(),
        }
    }

    fn table(&self) -> Table {
        let orders = self.orders.iter().map(|orders| format!("{orders} orders"));
        let flat = format!("flat within {}%", self.flat_within_percent);
        let ends = ["ratio".to_owned(), flat];
        let mut table = table(["measured".to_owned()].into_iter().chain(orders).chain(ends));
        for line in &self.lines {
            let values = line.values.iter().map(|value| value.map_or(String::new(), text));
            let ratio = line.ratio.map_or(String::new(), |ratio| format!("{ratio:.2}"));
            let verdict = line.is_flat.map_or("", |is_flat| if is_flat { "yes" } else { "**no**" });
            let name = format!("{}, {}", line.what, line.unit);
            table.add_row([name].into_iter().chain(values).chain([ratio, verdict.to_owned()]));
        }
        table
    }
}

fn text(value: f64) -> String {
    let digits = if value < 100.0 { 2 } else { 0 };
    format!("{value:.digits$}")
}

fn lines(sizes: &[Size]) -> Vec<Line> {
    let line = |what: &str, unit, wanted, value: &dyn Fn(&Size) -> Option<f64>| {
        Line::new(what, unit, wanted, sizes.iter().map(value).collect())
    };
    let questions = sizes.first().into_iter().flat_map(|size| &size.answers).enumerate();
    let answers = questions.map(|(number, (what, _))| {
        line(what, "ms", Wanted::AsSoon, &|size| Some(milliseconds(size.answers.get(number)?.1.median)))
    });
    [
        line("orders placed", "/s", Wanted::AsMuch, &|size| Some(size.placing.rate)),
        line("p99 of these", "ms", Wanted::AsSoon, &|size| Some(milliseconds(size.placing.p99))),
    ]
    .into_iter()
    .chain(answers)
    .chain([
        line("start of the server", "ms", Wanted::AsSoon, &|size| Some(milliseconds(size.start))),
        line("orders placed at first, cold", "/s", Wanted::Nothing, &|size| {
            size.warm_up.rates.first().copied()
        }),
        line("until they got no faster", "s", Wanted::Nothing, &|size| Some(seconds(size.warm_up.took))),
        line("placed before the questions", "orders", Wanted::Nothing, &|size| Some(size.placed as f64)),
        line("audit, which reads everything", "s", Wanted::Nothing, &|size| Some(seconds(size.audit))),
        line("orders of the past, made", "/s", Wanted::Nothing, &|size| {
            Some(size.orders as f64 / seconds(size.seeding?))
        }),
        line("until they were made", "s", Wanted::Nothing, &|size| size.seeding.map(seconds)),
    ])
    .collect()
}

impl Line {
    fn new(what: &str, unit: &str, wanted: Wanted, values: Vec<Option<f64>>) -> Self {
        let verdict = wanted.compare(&values);
        Self {
            what: what.to_owned(),
            unit: unit.to_owned(),
            // Data has no number for what is infinitely worse.
            ratio: verdict.map(|(ratio, _)| ratio).filter(|ratio| ratio.is_finite()),
            is_flat: verdict.map(|(_, is_flat)| is_flat),
            values,
        }
    }
}

impl Wanted {
    /// How many times worse the last is than the first, and whether that is flat.
    fn compare(self, values: &[Option<f64>]) -> Option<(f64, bool)> {
        let [Some(first), .., Some(last)] = *values else { return None };
        let (ratio, is_unnoticed) = match self {
            Self::AsMuch => (first / last, false),
            Self::AsSoon => (last / first, last - first < NOTHING),
            Self::Nothing => return None,
        };
        Some((ratio, is_unnoticed || ratio <= 1.0 + FLAT_WITHIN / 100.0))
    }
}

impl Windows {
    fn of(warm_up: &WarmUp) -> Self {
        Self {
            took_s: seconds(warm_up.took),
            window_s: seconds(warm_up.window),
            per_second: warm_up.rates.clone(),
        }
    }
}

impl Report {
    /// What more and more orders came to, if it was measured.
    pub(super) fn write_growth(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(growth) = &self.growth else { return Ok(()) };
        writeln!(
            f,
            "\nThe same with more and more orders; medians, each question asked by one client.\n\n{}",
            Comparison::of(growth).table()
        )
    }
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::text::cells;
    use super::*;
    use crate::measure::{Answer, Figures};

    fn size(orders: u64, placed: f64, grown_ms: f64, audit: u64) -> Size {
        let of = |ms: f64| Figures { median: Duration::from_secs_f64(ms / 1e3), ..Figures::default() };
        let p99 = Duration::from_millis(20);
        let bad = [(Answer::Status(503), 1)].into();
        Size {
            orders,
            seeding: (orders > 0).then(|| Duration::from_secs(orders / 20_000)),
            start: Duration::from_millis(300),
            warm_up: WarmUp {
                took: Duration::from_secs(15),
                window: Duration::from_secs(5),
                rates: vec![placed / 4.0, placed / 2.0, placed * 0.95, placed],
            },
            placed: 100_000,
            bad,
            placing: Figures { rate: placed, p99, ..Figures::default() },
            answers: vec![("one order", of(0.4)), ("sales of the last 30 days", of(grown_ms))],
            audit: Duration::from_secs(audit),
        }
    }

    /// One with a bit of everything.
    pub(in super::super) fn growth() -> Growth {
        let sizes = [(0, 5100.0, 0.5, 1), (1_000_000, 5000.0, 40.0, 12), (10_000_000, 4800.0, 400.0, 130)];
        Growth { sizes: sizes.map(|(orders, placed, ms, audit)| size(orders, placed, ms, audit)).into() }
    }

    fn is_flat(wanted: Wanted, first: f64, last: f64) -> bool {
        Line::new("", "", wanted, vec![Some(first), None, Some(last)]).is_flat.unwrap()
    }

    #[test]
    fn a_tenth_worse_is_flat_and_more_is_not() {
        assert!(is_flat(Wanted::AsMuch, 1000.0, 910.0) && !is_flat(Wanted::AsMuch, 1000.0, 890.0));
        assert!(is_flat(Wanted::AsSoon, 10.0, 10.9) && !is_flat(Wanted::AsSoon, 10.0, 11.1));
    }

    #[test]
    fn better_is_flat_and_so_is_what_nobody_notices() {
        assert!(is_flat(Wanted::AsMuch, 1000.0, 2000.0) && is_flat(Wanted::AsSoon, 10.0, 5.0));
        assert!(is_flat(Wanted::AsSoon, 0.2, 0.4));
    }

    #[test]
    fn a_shop_that_stands_still_is_not_flat() {
        let line = Line::new("", "", Wanted::AsMuch, vec![Some(1000.0), Some(0.0)]);
        assert_eq!((line.ratio, line.is_flat), (None, Some(false)));
    }

    #[test]
    fn one_number_of_orders_is_compared_with_nothing() {
        let line = Line::new("", "", Wanted::AsMuch, vec![Some(1000.0)]);
        assert_eq!((line.ratio, line.is_flat), (None, None));
    }

    #[test]
    fn a_line_has_a_value_of_each_size_a_ratio_and_a_verdict() {
        let table = Comparison::of(&growth()).table().to_string();
        let rows = cells(&table);
        let row = |what: &str| rows.iter().find(|row| row[0] == what).unwrap()[1..].join(" ");
        assert_eq!(row("orders placed, /s"), "5100 5000 4800 1.06 yes");
        assert_eq!(row("sales of the last 30 days, ms"), "0.50 40.00 400 800.00 **no**");
        assert_eq!(row("orders placed at first, cold, /s"), "1275 1250 1200  ");
        assert_eq!(row("audit, which reads everything, s"), "1.00 12.00 130  ");
        assert_eq!(row("orders of the past, made, /s"), " 20000 20000  ");
    }
}
