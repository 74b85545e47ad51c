//! The stampedes as a picture, for documents: a bar for each way of deciding claims.

use std::fmt::{self, Write as _};

use crate::bench::Step;
use crate::report::Report;
use crate::scenario::COUPONS;
use crate::stampede::{ATTEMPTS, Way};

const WIDTH: f64 = 960.0;
/// Where bars begin and how long the longest may be.
const LEFT: f64 = 262.0;
const LONGEST: f64 = 480.0;
/// Where the first bar begins.
const TOP: f64 = 102.0;
/// From bar to bar.
const ROW: f64 = 50.0;
const BAR: f64 = 26.0;
/// Lines of the scale, at most.
const LINES: f64 = 6.0;

/// A way to decide claims, and what came of it.
struct Bar {
    way: Way,
    at_a_time: usize,
    rate: f64,
    p99_ms: f64,
    times_floor: Option<f64>,
}

/// A self-contained SVG of the stampedes in a report; `None` when there are none in it.
pub(crate) fn of_stampedes(report: &Report) -> Option<String> {
    let bars = bars(report);
    let fastest = bars.iter().map(|bar| bar.rate).max_by(f64::total_cmp)?;
    let mut svg = String::new();
    Picture { bars, scale: Scale::up_to(fastest) }.write(&mut svg).expect("a string takes everything");
    Some(svg)
}

/// Of the ways that were tried with several numbers of connections, the fastest.
fn bars(report: &Report) -> Vec<Bar> {
    let mut bars: Vec<Bar> = Vec::new();
    for (step, outcome) in &report.results {
        let Step::Stampede { way, at_a_time } = *step else { continue };
        let (rate, p99_ms) = (outcome.figures.rate, outcome.figures.p99.as_secs_f64() * 1e3);
        let bar = Bar { way, at_a_time, rate, p99_ms, times_floor: report.times_floor(*step) };
        match bars.iter_mut().find(|other| step.is_floor() && other.way == way) {
            Some(other) if other.rate < rate => *other = bar,
            Some(_) => {}
            None => bars.push(bar),
        }
    }
    bars
}

/// A scale from nothing to a round number.
struct Scale {
    step: f64,
    end: f64,
}

impl Scale {
    fn up_to(most: f64) -> Self {
        let magnitude = 10_f64.powf((most / LINES).log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * magnitude);
        let step = steps.into_iter().find(|step| most / step <= LINES).unwrap_or(most);
        Self { step, end: step * (most / step).ceil() }
    }

    fn length(&self, value: f64) -> f64 {
        LONGEST * value / self.end
    }
}

struct Picture {
    bars: Vec<Bar>,
    scale: Scale,
}

impl Picture {
    fn write(&self, svg: &mut String) -> fmt::Result {
        let height = TOP + ROW * self.bars.len() as f64 + 52.0;
        let attempts = grouped(ATTEMPTS as f64);
        let coupons = grouped(COUPONS as f64);
        write!(
            svg,
            r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" aria-labelledby="title description">
  <title id="title">A stampede on a coupon</title>
  <desc id="description">Attempts answered per second:{}.</desc>
  <style>{STYLE}</style>
  <!-- The panel keeps the colours readable on a light and on a dark page. -->
  <rect x="1" y="1" width="{}" height="{}" rx="10" fill="#f6f8fa" stroke="#d1d9e0"/>
  <text class="head" x="28" y="42">{attempts} attempts to get one of {coupons} coupons</text>
  <text class="soft" x="28" y="66">attempts answered per second, on one machine with the same durable MariaDB</text>
"##,
            self.description(),
            WIDTH - 2.0,
            height - 2.0,
        )?;
        self.write_scale(svg)?;
        for (number, bar) in self.bars.iter().enumerate() {
            self.write_bar(svg, TOP + ROW * number as f64, bar)?;
        }
        svg.write_str("</svg>\n")
    }

    fn description(&self) -> String {
        let bars: Vec<String> =
            self.bars.iter().map(|bar| format!(" {}: {}", bar.way, grouped(bar.rate))).collect();
        bars.join(";")
    }

    fn write_scale(&self, svg: &mut String) -> fmt::Result {
        let bottom = TOP + ROW * self.bars.len() as f64;
        let lines = (self.scale.end / self.scale.step).round() as u32;
        for line in 0..=lines {
            let value = self.scale.step * f64::from(line);
            let x = LEFT + self.scale.length(value);
            writeln!(
                svg,
                r#"  <path class="line" d="M{x:.1} {} V{bottom}"/><text class="soft middle" x="{x:.1}" y="{}">{}</text>"#,
                TOP - 12.0,
                bottom + 20.0,
                grouped(value)
            )?;
        }
        Ok(())
    }

    fn write_bar(&self, svg: &mut String, y: f64, bar: &Bar) -> fmt::Result {
        let (name, who, kind) = match bar.way {
            Way::RowLock | Way::RedisLock => (capitalised(&bar.way.to_string()), "connections", "classic"),
            Way::Jangteo { gate, keyed: false } => (format!("Jangteo, {gate}"), "clients", "jangteo"),
            Way::Jangteo { gate, keyed: true } => {
                (format!("Jangteo, {gate}"), "clients, idempotency keys", "jangteo")
            }
        };
        let length = self.scale.length(bar.rate).max(1.0);
        let times = bar.times_floor.map_or(String::new(), |times| format!(" · {times:.1} x"));
        let at_a_time = bar.at_a_time;
        writeln!(
            svg,
            r#"  <text class="end" x="{}" y="{}">{name}</text><text class="soft end" x="{}" y="{}">{at_a_time} {who}</text>"#,
            LEFT - 12.0,
            y + 12.0,
            LEFT - 12.0,
            y + 29.0,
        )?;
        writeln!(
            svg,
            r#"  <rect class="{kind}" x="{LEFT}" y="{y}" width="{length:.1}" height="{BAR}" rx="3"/><text class="over" x="{:.1}" y="{}"><tspan class="figure">{}</tspan><tspan class="note">{times} · p99 {:.0} ms</tspan></text>"#,
            LEFT + length + 10.0,
            y + 18.0,
            grouped(bar.rate),
            bar.p99_ms,
        )
    }
}

const STYLE: &str = r##"
    text { font-family: -apple-system, "Segoe UI", "Helvetica Neue", Arial, sans-serif; fill: #1f2328; font-size: 14px; }
    .head { font-weight: 600; font-size: 18px; }
    .soft { fill: #59636e; font-size: 12px; }
    .note { fill: #59636e; font-size: 13px; }
    .figure { font-weight: 600; }
    .middle { text-anchor: middle; }
    .end { text-anchor: end; }
    .over { paint-order: stroke; stroke: #f6f8fa; stroke-width: 5px; stroke-linejoin: round; }
    .line { stroke: #d1d9e0; }
    .classic { fill: #818b98; }
    .jangteo { fill: #0969da; }
  "##;

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

/// A whole number with commas.
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Outcome;
    use crate::measure::Figures;
    use crate::stampede::Gate;

    fn report(rates: &[(Way, usize, f64)]) -> Report {
        let outcome =
            |rate| Outcome { figures: Figures { rate, ..Figures::default() }, ..Outcome::default() };
        let results =
            rates.iter().map(|&(way, at_a_time, rate)| (Step::Stampede { way, at_a_time }, outcome(rate)));
        Report { circumstances: Vec::new(), clients: 64, results: results.collect(), growth: None }
    }

    #[test]
    fn the_best_of_the_floors_is_drawn_beside_each_jangteo() {
        let jangteo = Way::Jangteo { gate: Gate::Redis, keyed: false };
        let report = report(&[
            (Way::RowLock, 16, 1500.0),
            (Way::RowLock, 32, 2000.0),
            (Way::RowLock, 64, 1000.0),
            (jangteo, 64, 20_000.0),
            (jangteo, 256, 25_000.0),
        ]);
        let svg = of_stampedes(&report).unwrap();
        assert_eq!(svg.matches("<rect class=\"classic\"").count(), 1);
        assert_eq!(svg.matches("<rect class=\"jangteo\"").count(), 2);
        assert!(svg.contains(">2,000<") && svg.contains(">25,000<") && svg.contains(" · 12.5 x"), "{svg}");
    }

    #[test]
    fn there_is_no_picture_without_a_stampede() {
        assert_eq!(of_stampedes(&report(&[])), None);
    }

    #[test]
    fn a_scale_ends_at_a_round_number() {
        let scale = |most| {
            let Scale { step, end } = Scale::up_to(most);
            (step, end)
        };
        assert_eq!(scale(25_112.0), (5_000.0, 30_000.0));
        assert_eq!(scale(9_000.0), (2_000.0, 10_000.0));
        assert_eq!(scale(6_000.0), (1_000.0, 6_000.0));
    }
}
