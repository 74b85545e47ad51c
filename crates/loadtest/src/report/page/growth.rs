//! The same with more and more orders of the past: how orders got warm, and a line for whatever was measured.

use maud::{Markup, html};

use super::chart::{Chart, Line as ChartLine};
use super::scale::{Scale, label, number};
use crate::report::growth::{Comparison, Line, Windows};

const WIDTH: f64 = 132.0;
const HEIGHT: f64 = 26.0;
/// Room for half a dot.
const MARGIN: f64 = 4.0;
/// How many times what it was, or what part of it, is as far as a small line goes.
const FURTHEST: f64 = 1.25;

/// The most important of it, for the top of the page.
pub(super) fn tile(growth: &Comparison) -> Markup {
    let judged = growth.lines.iter().filter(|line| line.is_flat.is_some()).count();
    let flat = growth.lines.iter().filter(|line| line.is_flat == Some(true)).count();
    html! {
        @if judged > 0 {
            a.tile href="#growth" {
                span.big { (flat) " of " (judged) small { " flat" } }
                span { "Growth to " (label(most(growth))) " orders" }
                span.soft {
                    "within " (growth.flat_within_percent) "% of what it was with " (label(fewest(growth))) " orders"
                }
            }
        }
    }
}

/// All of it.
pub(super) fn section(growth: &Comparison) -> Markup {
    html! {
        section id="growth" {
            h2 { "Growth" }
            div.charts {
                div { (how_to_read(growth)) }
                @if let Some(chart) = warm_ups(growth) { (chart.draw()) }
            }
            div.scroll.lines { (table(growth)) }
        }
    }
}

fn how_to_read(growth: &Comparison) -> Markup {
    let within = growth.flat_within_percent;
    html! {
        p {
            "Whether the shop stays as fast as it was: the same on a fresh database with more and more orders of the past. "
            "A figure is flat when it is at most " (within) "% worse with the most orders than with the fewest, or slower by "
            "what nobody notices. Questions are asked by one client, with the caches off, and their medians are given. "
            "In the end the books are audited, which takes as long as the table says."
        }
        p {
            "Orders are measured on a warm database: before that they are placed until their rate no longer rises. "
            "How fast they are while it is cold is in the chart, window by window."
        }
        p.soft {
            "A small line is the figure with more and more orders, up to " (label(FURTHEST)) " times more or less than with "
            "the fewest; both axes are logarithmic, and what is within " (within) "% is shaded."
        }
    }
}

/// A value is where its window ends.
fn warm_ups(growth: &Comparison) -> Option<Chart> {
    let lines = growth.orders.iter().zip(&growth.warm_ups).enumerate();
    let lines = lines.map(|(number, (orders, windows))| ChartLine {
        name: Some(format!("{} orders", label(*orders as f64))),
        class: format!("c{}", number % 8),
        filled: false,
        points: points(windows),
    });
    let rates = growth.warm_ups.iter().flat_map(|windows| windows.per_second.iter().copied());
    let lengths = growth.warm_ups.iter().map(|it| it.window_s * it.per_second.len() as f64);
    Some(Chart {
        title: "Orders while the database gets warm".to_owned(),
        unit: "placed per second",
        values: Scale::up_to(rates.reduce(f64::max)?),
        length_s: lengths.reduce(f64::max)?,
        warm_up_s: 0.0,
        lines: lines.collect(),
        notes: Vec::new(),
    })
}

fn points(windows: &Windows) -> Vec<(f64, Option<f64>)> {
    let ends = (1..).map(|number| f64::from(number) * windows.window_s);
    ends.zip(windows.per_second.iter().copied().map(Some)).collect()
}

fn table(growth: &Comparison) -> Markup {
    let (judged, others): (Vec<_>, Vec<_>) = growth.lines.iter().partition(|line| line.is_flat.is_some());
    html! {
        table {
            thead {
                tr {
                    th { "measured" }
                    @for orders in &growth.orders { th { (label(*orders as f64)) " orders" } }
                    th { "ratio" }
                    th { "flat within " (growth.flat_within_percent) "%" }
                    th {}
                }
            }
            tbody { @for line in judged { (row(growth, line)) } }
            tbody { @for line in others { (row(growth, line)) } }
        }
    }
}

fn row(growth: &Comparison, line: &Line) -> Markup {
    html! {
        tr {
            td { (line.what) span.soft { ", " (line.unit) } }
            @for value in &line.values { td { @if let Some(value) = value { (number(*value)) } } }
            td { @if let Some(ratio) = line.ratio { (format!("{ratio:.2}")) } }
            @match line.is_flat {
                Some(true) => td.met { b { "✓ flat" } },
                Some(false) => td.missed { b { "✗ not flat" } },
                None => td {},
            }
            td { @if line.is_flat.is_some() { (trend(growth, line)) } }
        }
    }
}

/// Values against those of the first size.
fn trend(growth: &Comparison, line: &Line) -> Markup {
    let first = line.values.first().copied().flatten().unwrap_or_default();
    let sizes = growth.orders.iter().zip(&line.values);
    let dots =
        sizes.filter_map(|(orders, value)| Some((x(growth, *orders as f64), y((*value)? / first), *orders)));
    let dots: Vec<_> = dots.collect();
    let path: Vec<_> = dots.iter().map(|(x, y, _)| format!("{x:.1} {y:.1}")).collect();
    let within = growth.flat_within_percent / 100.0;
    let (top, bottom) = (y(1.0 + within), y(1.0 / (1.0 + within)));
    html! {
        svg.trend viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label={ (line.what) " with more and more orders" } {
            rect.band x="0" y=(format!("{top:.1}")) width=(WIDTH) height=(format!("{:.1}", bottom - top)) {}
            g class=(if line.is_flat == Some(true) { "jangteo" } else { "slower" }) {
                path.line d={ "M" (path.join("L")) } {}
                @for ((x, y, orders), value) in dots.iter().zip(line.values.iter().flatten()) {
                    circle.bar cx=(format!("{x:.1}")) cy=(format!("{y:.1}")) r="2.8" {
                        title { (label(*orders as f64)) " orders: " (number(*value)) " " (line.unit) }
                    }
                }
            }
        }
    }
}

/// Equal ratios are equally far apart; no orders are at the beginning.
fn x(growth: &Comparison, orders: f64) -> f64 {
    MARGIN + orders.ln_1p() / most(growth).max(1.0).ln_1p() * (WIDTH - 2.0 * MARGIN)
}

/// What it was is in the middle.
fn y(ratio: f64) -> f64 {
    let place = (ratio.clamp(1.0 / FURTHEST, FURTHEST).log(FURTHEST) + 1.0) / 2.0;
    HEIGHT - MARGIN - place * (HEIGHT - 2.0 * MARGIN)
}

fn fewest(growth: &Comparison) -> f64 {
    growth.orders.first().copied().unwrap_or_default() as f64
}

fn most(growth: &Comparison) -> f64 {
    growth.orders.last().copied().unwrap_or_default() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::document::tests::document;

    #[test]
    fn a_table_has_every_line_with_its_verdict() {
        let growth = document().growth.unwrap();
        let section = section(&growth).into_string();
        for line in &growth.lines {
            assert!(section.contains(&format!("<td>{}<span", line.what)), "{}", line.what);
        }
        assert!(section.contains("10,000,000 orders") && section.contains(">800.00<"), "{section}");
        assert_eq!(section.matches("✗ not flat").count(), 1);
        assert_eq!(section.matches("class=\"trend\"").count(), 5);
    }

    #[test]
    fn a_cold_start_is_drawn_for_each_size() {
        let growth = document().growth.unwrap();
        let chart = warm_ups(&growth).unwrap();
        assert_eq!((chart.lines.len(), chart.length_s), (3, 20.0));
        assert_eq!(chart.lines[0].points[0], (5.0, Some(1275.0)));
    }

    #[test]
    fn a_small_line_stays_in_its_picture() {
        assert_eq!([0.0, 1.0, 800.0].map(|ratio| y(ratio).round()), [22.0, 13.0, 4.0]);
    }

    #[test]
    fn the_top_of_the_page_says_how_much_is_flat() {
        let tile = tile(&document().growth.unwrap()).into_string();
        assert!(tile.contains("4 of 5") && tile.contains("Growth to 10,000,000 orders"), "{tile}");
    }
}
