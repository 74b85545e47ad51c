//! A measurement in full: its rounds, and how the one in the middle went.

use maud::{Markup, html};

use super::bars;
use super::chart::{Chart, Line, Note};
use super::scale::{Scale, number};
use crate::report::document::{Kind, Measurement, Side};
use crate::timeline::{Latency, Placed, Timeline};

/// What is drawn of a latency, by the name of it and of its class.
type Percentile = (&'static str, fn(&Latency) -> f64);

/// The longest first: it is drawn behind the others.
const PERCENTILES: [Percentile; 4] = [
    ("longest", |latency| latency.longest_ms),
    ("p99", |latency| latency.p99_ms),
    ("p90", |latency| latency.p90_ms),
    ("p50", |latency| latency.p50_ms),
];

/// Folded up, unless it is one of those that the report is about.
pub(super) fn describe(measurement: &Measurement, cores: usize, open: bool) -> Markup {
    let figures = &measurement.figures;
    html! {
        details open[open] {
            summary {
                strong { (measurement.name) }
                span.soft {
                    @if let Some(first_answer) = measurement.first_answer_ms {
                        " · first answer after " (number(first_answer)) " ms"
                    } @else {
                        " · " (measurement.at_a_time) " at a time · " (number(figures.per_second)) "/s · p50 "
                        (number(figures.p50_ms)) " ms · p99 " (number(figures.p99_ms)) " ms"
                    }
                    @if let Some(times) = measurement.times_floor { " · " (format!("{times:.2}")) " x floor" }
                }
            }
            (tables(measurement))
            div.charts { (charts(measurement, cores)) }
        }
    }
}

fn tables(measurement: &Measurement) -> Markup {
    html! {
        div.tables {
            @if measurement.first_answer_ms.is_none() { div.scroll { (rounds(measurement)) } }
            dl { (facts(measurement)) }
            @if measurement.requests.len() + measurement.journeys.len() > 1 {
                div.scroll { (kinds(measurement)) }
            }
        }
    }
}

/// Journeys are in italics: a request is in one of them, too.
fn kinds(measurement: &Measurement) -> Markup {
    let row = |kind: &Kind, name: Markup| {
        html! {
            tr {
                td { (name) }
                td { (number(kind.figures.per_second)) }
                td { (number(kind.figures.p50_ms)) }
                td { (number(kind.figures.p99_ms)) }
                td { (number(kind.figures.longest_ms)) }
                td { (number(kind.refused as f64)) }
            }
        }
    };
    html! {
        table {
            thead { tr {
                th { "asked for" } th { "per second" } th { "p50 ms" } th { "p99 ms" } th { "longest ms" } th { "told no" }
            } }
            tbody {
                @for kind in &measurement.requests { (row(kind, html! { (kind.what) })) }
                @for kind in &measurement.journeys { (row(kind, html! { em { (kind.what) } })) }
            }
        }
    }
}

fn rounds(measurement: &Measurement) -> Markup {
    html! {
        table {
            thead { tr { th { "round" } th { "per second" } th { "p50 ms" } th { "p99 ms" } th { "longest ms" } } }
            tbody {
                @for (round, figures) in measurement.rounds.iter().enumerate() {
                    @let middle = round == measurement.middle && measurement.rounds.len() > 1;
                    tr.strong[middle] {
                        td { (round + 1) @if middle { " median" } }
                        td { (number(figures.per_second)) }
                        td { (number(figures.p50_ms)) }
                        td { (number(figures.p99_ms)) }
                        td { (number(figures.longest_ms)) }
                    }
                }
            }
        }
    }
}

fn facts(measurement: &Measurement) -> Markup {
    let side = |side: &Side| {
        format!(
            "{}, p50 {} ms, p99 {} ms",
            number(side.count as f64),
            number(side.p50_ms),
            number(side.p99_ms)
        )
    };
    let busy = measurement.processors.map(|busy| {
        let used = busy.shares().into_iter().filter(|(_, share)| *share >= 0.005);
        used.map(|(who, share)| format!("{who} {share:.2}")).collect::<Vec<_>>().join(", ")
    });
    html! {
        @if let Some(crowd) = &measurement.crowd {
            (fact("winners", &side(&crowd.winners)))
            (fact("losers", &side(&crowd.losers)))
        }
        @if let Some(memory) = measurement.memory {
            (fact("server's memory", &format!("{:.0} MB, at most {:.0} MB", memory.resident_mb, memory.peak_mb)))
        }
        @if let Some(busy) = busy { (fact("processors in use", &busy)) }
        @if measurement.retries > 0 { (fact("transactions tried again", &number(measurement.retries as f64))) }
        @if let Some(events) = &measurement.events {
            (fact("events waiting at the end", &number(events.waiting as f64)))
            @if let Some(drained) = events.drained_in_s {
                (fact("all delivered after", &format!("{drained:.2} s")))
            }
            @if let Some((p50, p99)) = events.p50_ms.zip(events.p99_ms) {
                (fact("commit to delivery", &format!("p50 {} ms, p99 {} ms", number(p50), number(p99))))
            }
        }
        @for (answer, count) in &measurement.bad_answers {
            (fact(answer, &format!("{} answers", number(*count as f64))))
        }
    }
}

fn fact(name: &str, value: &str) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

fn charts(measurement: &Measurement, cores: usize) -> Markup {
    let Some(timeline) = measurement.timeline() else { return html! {} };
    let drawn = [
        throughput(measurement, timeline),
        latency(timeline),
        burn_down(measurement, timeline),
        batches(measurement, timeline),
    ];
    let seen = [
        waiting(measurement, timeline),
        stock(measurement, timeline),
        processors(measurement, timeline, cores),
    ];
    html! {
        @for chart in drawn.iter().flatten() { (chart.draw()) }
        @for sizes in &measurement.samples.batch_sizes { (bars::sizes(sizes)) }
        @for chart in seen.iter().flatten() { (chart.draw()) }
        @if let Some(chart) = memory(measurement, timeline) { (chart.draw()) }
    }
}

/// A chart of a run without lines.
fn over(timeline: &Timeline, title: &str, unit: &'static str, values: Scale) -> Chart {
    Chart {
        title: title.to_owned(),
        unit,
        values,
        length_s: timeline.length_s,
        warm_up_s: timeline.warm_up_s,
        lines: Vec::new(),
        notes: Vec::new(),
    }
}

/// The answers a second of a run.
pub(super) fn rates(timeline: &Timeline) -> Vec<(f64, Option<f64>)> {
    timeline.placed().map(|placed| (placed.middle_s(), Some(placed.rate()))).collect()
}

/// The coupons that are left.
pub(super) fn coupons_left(timeline: &Timeline, coupons: u64) -> Vec<(f64, Option<f64>)> {
    let left = timeline.placed().filter_map(|it| Some((it.to_s, Some(it.slice.coupons_left? as f64))));
    [(0.0, Some(coupons as f64))].into_iter().chain(left).collect()
}

/// The most of some lines.
pub(super) fn most<'a>(points: impl IntoIterator<Item = &'a (f64, Option<f64>)>) -> f64 {
    points.into_iter().filter_map(|(_, value)| *value).fold(0.0, f64::max)
}

/// The other rounds are behind the one in the middle.
fn throughput(measurement: &Measurement, timeline: &Timeline) -> Option<Chart> {
    let class = if measurement.is_floor { "floor" } else { "jangteo" };
    let middle = rates(timeline);
    let others = measurement.timelines.iter().enumerate().filter(|(round, _)| *round != measurement.middle);
    let others: Vec<_> = others.map(|(_, other)| rates(other)).collect();
    let values = Scale::up_to(most(others.iter().flatten().chain(&middle)).max(1.0));
    let line = |name: Option<&str>, class: &str, filled, points| Line {
        name: name.map(str::to_owned),
        class: class.to_owned(),
        filled,
        points,
    };
    let mut lines = vec![line(None, class, true, middle.clone())];
    let several = !others.is_empty();
    for (number, other) in others.into_iter().enumerate() {
        lines.push(line((number == 0).then_some("other rounds"), "other", false, other));
    }
    lines.push(line(several.then_some("round with the median"), class, false, middle));
    let notes = timeline.placed().map(|placed| note(&placed, format!("{} a second", number(placed.rate()))));
    Some(Chart {
        lines,
        notes: notes.collect(),
        ..over(timeline, "Throughput", "answers per second", values)
    })
}

fn note(placed: &Placed, text: String) -> Note {
    let bad = match placed.slice.bad {
        0 => String::new(),
        bad => format!(", {bad} other answers"),
    };
    let text = format!("{:.2} to {:.2} s: {text}{bad}", placed.from_s, placed.to_s);
    Note { from_s: placed.from_s, to_s: placed.to_s, text }
}

fn latency(timeline: &Timeline) -> Option<Chart> {
    let latencies = || timeline.placed().filter_map(|placed| placed.slice.latency);
    let least = latencies().map(|latency| latency.p50_ms).reduce(f64::min)?;
    let longest = latencies().map(|latency| latency.longest_ms).reduce(f64::max)?;
    let lines = PERCENTILES.map(|(name, of)| Line {
        name: Some(name.to_owned()),
        class: name.to_owned(),
        filled: false,
        points: timeline.placed().map(|it| (it.middle_s(), it.slice.latency.as_ref().map(of))).collect(),
    });
    let notes = timeline.placed().filter_map(|placed| {
        let latency = placed.slice.latency?;
        let values = PERCENTILES.iter().rev().map(|(name, of)| format!("{name} {} ms", number(of(&latency))));
        Some(note(&placed, values.collect::<Vec<_>>().join(", ")))
    });
    let values = Scale::of_ratios(least.max(1e-3), longest);
    let unit = "milliseconds, logarithmic";
    Some(Chart { lines: lines.into(), notes: notes.collect(), ..over(timeline, "Latency", unit, values) })
}

fn burn_down(measurement: &Measurement, timeline: &Timeline) -> Option<Chart> {
    let coupons = measurement.crowd?.coupons;
    let points = coupons_left(timeline, coupons);
    let lines = [true, false].map(|filled| Line {
        name: None,
        class: if measurement.is_floor { "floor" } else { "jangteo" }.to_owned(),
        filled,
        points: points.clone(),
    });
    let notes =
        timeline.placed().map(|it| note(&it, format!("{} left", it.slice.coupons_left.unwrap_or_default())));
    let (title, values) = ("Coupons left", Scale::up_to(coupons as f64));
    let unit = "by the answers that winners had, exact";
    Some(Chart { lines: lines.into(), notes: notes.collect(), ..over(timeline, title, unit, values) })
}

/// Of each operation of the server.
fn batches(measurement: &Measurement, timeline: &Timeline) -> Option<Chart> {
    let samples = &measurement.samples;
    let sizes = samples.batch_sizes.iter().enumerate().map(|(number, sizes)| {
        let points = samples.samples.iter().map(|sample| {
            let batches = sample.batches.iter().find(|batches| batches.operation == sizes.operation);
            (sample.at_s, batches.map(|batches| batches.mean()))
        });
        let class = format!("c{number}");
        Line { name: Some(sizes.operation.clone()), class, filled: false, points: points.collect() }
    });
    let lines: Vec<_> = sizes.collect();
    let largest = most(lines.iter().flat_map(|line| &line.points));
    let notes = samples.samples.windows(2).map(|pair| {
        let said = pair[1].batches.iter().map(|batches| {
            let (count, mean) = (batches.batches, number(batches.mean()));
            format!(
                "{}: {count} batches, {mean} commands each, {} waiting",
                batches.operation, batches.queued
            )
        });
        let text = said.collect::<Vec<_>>().join("; ");
        Note { from_s: pair[0].at_s, to_s: pair[1].at_s, text }
    });
    let values = Scale::up_to(largest);
    let unit = "commands committed together, on average";
    let chart = Chart { notes: notes.collect(), lines, ..over(timeline, "Size of batches", unit, values) };
    (largest > 0.0).then_some(chart)
}

fn waiting(measurement: &Measurement, timeline: &Timeline) -> Option<Chart> {
    measurement.events?;
    let waiting = measurement.samples.events_waiting(timeline);
    let points: Vec<_> = waiting.into_iter().map(|(at_s, events)| (at_s, Some(events))).collect();
    let values = Scale::up_to(most(&points).max(1.0));
    let lines = vec![Line { name: None, class: "jangteo".to_owned(), filled: true, points }];
    let unit = "orders placed less events delivered";
    (!lines[0].points.is_empty()).then(|| Chart { lines, ..over(timeline, "Events waiting", unit, values) })
}

fn stock(measurement: &Measurement, timeline: &Timeline) -> Option<Chart> {
    let stock: Vec<_> = measurement.samples.stock().collect();
    let left = |of: fn(i64, i64) -> i64| stock.iter().map(|(_, left)| *left).reduce(of);
    let values = Scale::between(left(i64::min)? as f64, left(i64::max)? as f64);
    let notes = stock.windows(2).map(|pair| {
        let text = format!("{:.2} s: {} left", pair[1].0, number(pair[1].1 as f64));
        Note { from_s: pair[0].0, to_s: pair[1].0, text }
    });
    let notes = notes.collect();
    let points = stock.iter().map(|(at_s, left)| (*at_s, Some(*left as f64))).collect();
    let class = if measurement.is_floor { "floor" } else { "jangteo" };
    let lines = vec![Line { name: None, class: class.to_owned(), filled: false, points }];
    let unit = "pieces in the database, exact";
    Some(Chart { lines, notes, ..over(timeline, "Stock of product 1", unit, values) })
}

/// One above the other: the highest line is all of them.
fn processors(measurement: &Measurement, timeline: &Timeline, cores: usize) -> Option<Chart> {
    let samples: Vec<_> = measurement
        .samples
        .samples
        .iter()
        .filter_map(|it| Some((it.at_s, it.processors?.shares())))
        .collect();
    let shares = samples.first()?.1;
    let used = |who: usize| samples.iter().any(|(_, shares)| shares[who].1 >= 0.01);
    let up_to = |who: usize| {
        let sums = samples
            .iter()
            .map(|(at_s, shares)| (*at_s, Some(shares[..=who].iter().map(|(_, share)| share).sum::<f64>())));
        sums.collect::<Vec<_>>()
    };
    let lines: Vec<_> = (0..shares.len())
        .rev()
        .filter(|who| used(*who))
        .map(|who| {
            let name = shares[who].0;
            Line { name: Some(name.to_owned()), class: name.to_lowercase(), filled: true, points: up_to(who) }
        })
        .collect();
    let all = most(lines.iter().flat_map(|line| &line.points));
    let notes = samples.windows(2).map(|pair| {
        let (at_s, shares) = &pair[1];
        let said = shares.iter().filter(|(_, share)| *share >= 0.005);
        let said = said.map(|(who, share)| format!("{who} {share:.2}")).collect::<Vec<_>>().join(", ");
        Note { from_s: pair[0].0, to_s: *at_s, text: format!("{at_s:.2} s: {said}") }
    });
    let values = Scale::up_to(all.max(cores as f64));
    Some(Chart { notes: notes.collect(), lines, ..over(timeline, "Processors in use", "cores", values) })
}

fn memory(measurement: &Measurement, timeline: &Timeline) -> Option<Chart> {
    let samples = &measurement.samples.samples;
    let points =
        samples.iter().filter_map(|it| Some((it.at_s, Some(it.resident_kib? as f64 * 1024.0 / 1e6))));
    let points: Vec<_> = points.collect();
    let values = Scale::up_to(most(&points).max(1.0));
    let lines = vec![Line { name: None, class: "jangteo".to_owned(), filled: true, points }];
    (!lines[0].points.is_empty())
        .then(|| Chart { lines, ..over(timeline, "Server's memory", "MB resident", values) })
}
