//! The report as one page that asks nobody for anything: no script, no font, no picture from elsewhere. Charts are drawn
//! here, because those of the libraries come with colours that suit only one of a light and a dark page.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::document::{Document, Goal, Measurement, Verdict};

pub(crate) mod bars;
mod chart;
mod growth;
mod measurement;
mod scale;

use chart::{Chart, Line};
use measurement::{coupons_left, most, rates};
use scale::{Scale, number};

const STYLE: &str = include_str!("page/style.css");

/// What is about the same.
struct Subject<'a> {
    name: &'a str,
    measurements: Vec<&'a Measurement>,
}

/// The page.
pub(crate) fn of(document: &Document) -> String {
    let subjects = subjects(document);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                title { "How fast Jangteo is" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (header(document, &subjects))
                main {
                    (targets(&document.targets))
                    @for (number, subject) in subjects.iter().enumerate() {
                        (section(subject, number, document.cores))
                    }
                    @if let Some(growth) = &document.growth { (growth::section(growth)) }
                }
                (footer(document))
            }
        }
    };
    page.into_string()
}

fn subjects(document: &Document) -> Vec<Subject<'_>> {
    let mut subjects: Vec<Subject<'_>> = Vec::new();
    for measurement in &document.measurements {
        match subjects.iter_mut().find(|subject| subject.name == measurement.subject) {
            Some(subject) => subject.measurements.push(measurement),
            None => subjects.push(Subject { name: &measurement.subject, measurements: vec![measurement] }),
        }
    }
    subjects
}

impl Subject<'_> {
    /// The first that is compared with a floor: Jangteo as it ships, with as many clients as the targets are about.
    fn headline(&self) -> Option<(&Measurement, f64)> {
        let mut compared = self.measurements.iter().filter(|it| !it.is_floor);
        compared.find_map(|it| Some((*it, it.times_floor?)))
    }

    /// The one to show in full: the headline, or else the last.
    fn shown(&self) -> Option<&Measurement> {
        self.headline().map(|(measurement, _)| measurement).or(self.measurements.last().copied())
    }
}

fn header(document: &Document, subjects: &[Subject<'_>]) -> Markup {
    html! {
        header {
            h1 { "How fast Jangteo is" }
            p.soft {
                "Jangteo " (document.jangteo) ", " time datetime=(document.finished_at) {
                    (document.finished_at.replace('T', " ").replace('Z', " UTC"))
                }
            }
            p.lead {
                "Compared with the classic way, one transaction for each order, on the same machine in the same hour. After "
                "each measurement the books were audited."
            }
            div.tiles {
                @for (number, subject) in subjects.iter().enumerate() {
                    @if let Some((measurement, times)) = subject.headline() {
                        (tile(number, subject.name, measurement, times))
                    }
                }
                @if let Some(growth) = &document.growth { (growth::tile(growth)) }
            }
            ul.circumstances { @for line in &document.circumstances { li { (line) } } }
            (how_to_read())
        }
    }
}

fn tile(at: usize, subject: &str, measurement: &Measurement, times: f64) -> Markup {
    html! {
        a.tile href={ "#s" (at) } {
            span.big { (format!("{times:.1}")) small { " x floor" } }
            span { (subject) }
            span.soft { (number(measurement.figures.per_second)) " a second, p99 " (number(measurement.figures.p99_ms)) " ms, " (measurement.at_a_time) " at a time" }
        }
    }
}

fn how_to_read() -> Markup {
    html! {
        details {
            summary { strong { "What is compared, and how to read it" } }
            p {
                "The " b { "floor" } " (grey) is the classic way, straight through the database driver without HTTP: one "
                "transaction for each order or claim, with row locks. It writes what Jangteo writes, and the best of "
                "several numbers of connections counts. " b { "Jangteo" } " (blue) is the release binary as it ships, asked "
                "over HTTP. Load, server and database share one machine, so read the ratios: they say what batching is worth."
            }
            p {
                "With several rounds, each bar is their median and each dot on it a round; figures and charts of a "
                "measurement are those of the round in the middle, with the others in the background. What was answered "
                "in the shaded warm-up is in no figure. p50 and p99 are what 50% and 99% of the answers kept, from "
                "sending the request to reading the answer to its end. Rest the pointer on a chart for its numbers."
            }
        }
    }
}

fn targets(targets: &[Goal]) -> Markup {
    let (unknown, measured): (Vec<_>, Vec<_>) =
        targets.iter().partition(|target| target.verdict == Verdict::NotMeasured);
    html! {
        section id="targets" {
            h2 { "Targets" }
            div.goals { @for target in measured { (goal(target)) } }
            @if !unknown.is_empty() {
                p.soft {
                    "Not measured this time: "
                    @for (number, target) in unknown.iter().enumerate() { @if number > 0 { " · " } (target.what) }
                }
            }
        }
    }
}

fn goal(target: &Goal) -> Markup {
    let (class, verdict) = match target.verdict {
        Verdict::Met => ("met", "✓ met"),
        Verdict::Missed => ("missed", "✗ missed"),
        Verdict::NotMeasured => ("", "not measured"),
    };
    html! {
        div class={ "goal " (class) } {
            span { (target.what) }
            span.big { (number(target.measured.unwrap_or_default())) small { " " (target.unit) } }
            span { b { (verdict) } span.soft { " · " (target.wanted) } }
        }
    }
}

fn section(subject: &Subject<'_>, at: usize, cores: usize) -> Markup {
    let best = bars::best(&subject.measurements);
    let shown = subject.shown();
    html! {
        section id={ "s" (at) } {
            h2 { (subject.name) }
            div.charts {
                @if best.iter().any(|measurement| measurement.first_answer_ms.is_none()) { (bars::rates(&best)) }
                @if best.len() > 1 {
                    @if let Some(chart) = comparison(&best) { (chart.draw()) }
                }
            }
            @for measurement in &subject.measurements {
                (measurement::describe(measurement, cores, shown.is_some_and(|shown| std::ptr::eq(shown, *measurement))))
            }
        }
    }
}

/// Stampedes take as long as they take, so what is compared is how soon the coupons were gone.
fn comparison(measurements: &[&Measurement]) -> Option<Chart> {
    if measurements.iter().any(|it| it.crowd.is_some()) {
        let title = "Coupons left beside each other";
        return compare(measurements, title, "by the answers that winners had", |it| {
            Some(coupons_left(it.timeline()?, it.crowd?.coupons))
        });
    }
    let title = "Throughput beside each other";
    compare(measurements, title, "answers per second", |it| Some(rates(it.timeline()?)))
}

fn compare(
    measurements: &[&Measurement],
    title: &str,
    unit: &'static str,
    points: impl Fn(&Measurement) -> Option<Vec<(f64, Option<f64>)>>,
) -> Option<Chart> {
    let timelines = || measurements.iter().filter_map(|it| it.timeline());
    let lines = measurements.iter().enumerate().filter_map(|(number, measurement)| {
        let class = if measurement.is_floor { "floor".to_owned() } else { format!("c{}", number % 8) };
        let name = format!("{}, {}", measurement.name, measurement.at_a_time);
        Some(Line { name: Some(name), class, filled: false, points: points(measurement)? })
    });
    let lines: Vec<_> = lines.collect();
    let values = Scale::up_to(most(lines.iter().flat_map(|line| &line.points)).max(1.0));
    let length_s = timelines().map(|timeline| timeline.length_s).reduce(f64::max)?;
    let warm_up_s = timelines().map(|timeline| timeline.warm_up_s).reduce(f64::min)?;
    let title = title.to_owned();
    (!lines.is_empty()).then_some(Chart {
        title,
        unit,
        values,
        length_s,
        warm_up_s,
        lines,
        notes: Vec::new(),
    })
}

fn footer(document: &Document) -> Markup {
    html! {
        footer {
            h2 { "The books" }
            p {
                "A figure counts only if every order behind it is there in full: after each measurement there were as many "
                "orders in the database as were answered for, wallets, stocks, ledger and events were recounted, and "
                code { "jangteo audit" } " agreed."
            }
            p.books { (document.books) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::document::tests::document;
    use super::*;

    #[test]
    fn a_page_needs_nothing_from_elsewhere() {
        let page = of(&document());
        for foreign in ["http:", "https:", "<script", "<link", "<img", "@import", "url("] {
            assert!(!page.contains(foreign), "{foreign}");
        }
    }

    #[test]
    fn a_page_shows_every_measurement_target_and_circumstance() {
        let document = document();
        let page = of(&document);
        for measurement in &document.measurements {
            assert!(page.contains(&format!("<strong>{}</strong>", measurement.name)), "{}", measurement.name);
        }
        assert!(document.targets.iter().all(|target| page.contains(&target.what)));
        assert!(page.contains("machine: &lt;one&gt; &amp; only"));
        assert!(page.contains("✓ met") && page.contains("3.0<small> x floor"));
    }

    #[test]
    fn a_page_shows_what_was_seen_of_the_server() {
        let page = of(&document());
        for title in [
            "Latency",
            "Size of batches",
            "How large batches were",
            "Stock of product 1",
            "Processors in use",
        ] {
            assert!(page.contains(&format!("<strong>{title}</strong>")), "{title}");
        }
        assert!(page.contains("10 batches, 32 commands each, 4 waiting"));
    }
}
