//! Bars: how fast things are beside each other, and how often something was how large.

use maud::{Markup, PreEscaped, html};

use super::scale::{label, number};
use crate::report::document::{Document, Measurement};
use crate::watch::BatchSizes;

const WIDTH: f64 = 460.0;
/// How long the longest bar may be: beside it is what it is worth.
const LONGEST: f64 = 250.0;
/// From bar to bar.
const ROW: f64 = 52.0;
const BAR: f64 = 20.0;
/// From the name of a bar to the bar.
const NAME: f64 = 20.0;
/// Above the bars in a file.
const HEAD: f64 = 84.0;
const MARGIN: f64 = 24.0;

/// Of the floors that were tried with several numbers of connections, the fastest; of the others all.
pub(super) fn best<'a>(measurements: &[&'a Measurement]) -> Vec<&'a Measurement> {
    let mut best: Vec<&Measurement> = Vec::new();
    for measurement in measurements {
        let same = |other: &&mut &Measurement| measurement.is_floor && other.name == measurement.name;
        match best.iter_mut().find(same) {
            Some(other) if other.figures.per_second < measurement.figures.per_second => *other = measurement,
            Some(_) => {}
            None => best.push(measurement),
        }
    }
    best
}

/// Rates beside each other, with those of all rounds.
pub(super) fn rates(measurements: &[&Measurement]) -> Markup {
    html! {
        figure {
            figcaption { strong { "Answers per second" } " " span.soft { "· x floor · p99" } }
            svg viewBox={ "0 0 " (WIDTH) " " (ROW * measurements.len() as f64) } role="img"
                aria-label="Answers per second" { (draw_rates(measurements)) }
        }
    }
}

fn draw_rates(measurements: &[&Measurement]) -> Markup {
    let rounds = measurements.iter().flat_map(|measurement| &measurement.rounds);
    let medians = measurements.iter().map(|measurement| &measurement.figures);
    let fastest = rounds.chain(medians).map(|figures| figures.per_second).fold(0.0, f64::max).max(1.0);
    let length = |rate: f64| LONGEST * rate / fastest;
    let floors = measurements.iter().filter(|measurement| measurement.is_floor);
    let floor = floors.map(|floor| floor.figures.per_second).reduce(f64::max);
    html! {
        @for (row, measurement) in measurements.iter().enumerate() {
            @let top = ROW * row as f64;
            (draw_rate(measurement, top, length))
            @if let Some(floor) = floor.filter(|_| !measurement.is_floor) {
                path.mark d={ "M" (format!("{:.1}", length(floor))) " " (top + NAME - 3.0) "v" (BAR + 6.0) } {
                    title { "the floor: " (number(floor)) " a second" }
                }
            }
        }
    }
}

fn draw_rate(measurement: &Measurement, top: f64, length: impl Fn(f64) -> f64) -> Markup {
    let figures = &measurement.figures;
    let class = if measurement.is_floor { "floor" } else { "jangteo" };
    let times = measurement.times_floor.map(|times| format!(" · {times:.2} x"));
    let rounds = measurement.rounds.iter().map(|round| round.per_second);
    let furthest = length(rounds.clone().fold(figures.per_second, f64::max));
    let dot = |rate: f64| format!("{:.1}", length(rate).max(3.0));
    html! {
        text x="0" y=(top + 13.0) {
            (measurement.name) tspan.soft { " · " (measurement.at_a_time) " at a time" }
        }
        rect class={ "bar " (class) } x="0" y=(top + NAME) width=(format!("{:.1}", length(figures.per_second).max(1.0)))
            height=(BAR) rx="3" { title { (number(figures.per_second)) " a second" } }
        @if measurement.rounds.len() > 1 {
            @for (round, rate) in rounds.enumerate() {
                circle.round cx=(dot(rate)) cy=(top + NAME + BAR / 2.0) r="3.5" {
                    title { "round " (round + 1) ": " (number(rate)) " a second" }
                }
            }
        }
        text x=(format!("{:.1}", furthest + 10.0)) y=(top + NAME + 15.0) {
            tspan.strong { (number(figures.per_second)) }
            tspan.soft { @if let Some(times) = times { (times) } " · p99 " (number(figures.p99_ms)) " ms" }
        }
    }
}

/// How large an operation's batches were, and how often.
pub(super) fn sizes(sizes: &BatchSizes) -> Markup {
    let used = |at: usize| sizes.sizes[at].batches > 0;
    let indices = 0..sizes.sizes.len();
    let (first, last) = (indices.clone().find(|at| used(*at)), indices.rev().find(|at| used(*at)));
    let (Some(first), Some(last)) = (first, last) else { return html! {} };
    let most = sizes.sizes.iter().map(|size| size.batches).max().unwrap_or(1) as f64;
    let all: u64 = sizes.sizes.iter().map(|size| size.batches).sum();
    let width = WIDTH / (last - first + 1) as f64;
    html! {
        figure {
            figcaption { strong { "How large batches were" } " " span.soft { "commands in a batch, " (sizes.operation) } }
            svg viewBox={ "0 0 " (WIDTH) " 228" } role="img" aria-label="How large batches were" {
                @for at in first..=last {
                    @let (left, share) = ((at - first) as f64 * width, sizes.sizes[at].batches as f64 / most);
                    @let middle = format!("{:.1}", left + width / 2.0);
                    rect.bar.jangteo x=(format!("{:.1}", left + width * 0.1)) y=(format!("{:.1}", 198.0 - 158.0 * share))
                        width=(format!("{:.1}", width * 0.8)) height=(format!("{:.1}", 158.0 * share)) {
                        title { (sizes.sizes[at].batches) " batches of " (range(sizes, at)) }
                    }
                    text.mid x=(middle) y=(format!("{:.1}", 192.0 - 158.0 * share)) {
                        (format!("{:.0}%", 100.0 * sizes.sizes[at].batches as f64 / all as f64))
                    }
                    text.mid x=(middle) y="218" { (range(sizes, at)) }
                }
            }
        }
    }
}

/// The sizes of a bar: from above the bound before to its own.
fn range(sizes: &BatchSizes, at: usize) -> String {
    let above = at.checked_sub(1).and_then(|before| sizes.sizes[before].at_most).unwrap_or(0);
    match sizes.sizes[at].at_most {
        Some(most) if above + 1 == most => most.to_string(),
        Some(most) => format!("{}-{most}", above + 1),
        None => format!("> {above}"),
    }
}

/// The stampedes in a report as a file for documents; `None` when there are none in it.
pub(crate) fn of_stampedes(document: &Document) -> Option<String> {
    let stampedes: Vec<_> = document.measurements.iter().filter(|it| it.crowd.is_some()).collect();
    let crowd = stampedes.first()?.crowd?;
    let bars = best(&stampedes);
    let (width, height) = (WIDTH + 2.0 * MARGIN, HEAD + ROW * bars.len() as f64 + MARGIN);
    let [attempts, coupons] = [crowd.attempts, crowd.coupons].map(|count| label(count as f64));
    let title = format!("{attempts} attempts to get one of {coupons} coupons");
    let picture = html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox={ "0 0 " (width) " " (height) } width=(1.5 * width)
            height=(1.5 * height) role="img" aria-labelledby="title" {
            title id="title" { (title) ": attempts answered per second" }
            style { (PreEscaped(FILE_STYLE)) }
            rect.panel x="1" y="1" width=(width - 2.0) height=(height - 2.0) rx="8" {}
            text.strong x=(MARGIN) y="36" { (title) }
            text.soft x=(MARGIN) y="58" { "answered per second, on one machine with the same durable MariaDB" }
            g transform={ "translate(" (MARGIN) " " (HEAD) ")" } { (draw_rates(&bars)) }
        }
    };
    Some(picture.into_string() + "\n")
}

/// The panel keeps the colours readable on a light and on a dark page.
const FILE_STYLE: &str = r#"
text { font: 13px -apple-system, "Segoe UI", "Helvetica Neue", Arial, sans-serif; fill: #1f2328; }
.strong { font-weight: 600; } .soft { fill: #59636e; } .panel { fill: #f6f8fa; stroke: #d1d9e0; }
.floor { fill: #818b98; } .jangteo { fill: #0969da; } .round { fill: #fff; stroke: #1f2328; }
.mark { stroke: #1f2328; stroke-width: 1.2; stroke-dasharray: 3 3; }
"#;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::document::tests::document;
    use crate::watch::Size;

    #[test]
    fn the_best_of_the_floors_is_drawn_beside_each_jangteo() {
        let mut document = document();
        let mut faster = document.measurements[0].clone();
        (faster.at_a_time, faster.figures.per_second) = (32, 2500.0);
        document.measurements.insert(1, faster);
        let all: Vec<_> = document.measurements[..3].iter().collect();
        let drawn = best(&all);
        assert_eq!(drawn.iter().map(|it| it.at_a_time).collect::<Vec<_>>(), [32, 64]);
        let svg = rates(&drawn).into_string();
        assert_eq!(svg.matches("class=\"bar floor\"").count(), 1);
        assert_eq!(svg.matches("class=\"bar jangteo\"").count(), 1);
        assert_eq!(svg.matches("class=\"round\"").count(), 6);
        assert!(svg.contains(">6,000<") && svg.contains(" · 3.00 x"), "{svg}");
    }

    #[test]
    fn there_is_no_picture_without_a_stampede() {
        let mut document = document();
        assert!(of_stampedes(&document).unwrap().contains("20,000"));
        document.measurements.retain(|it| it.crowd.is_none());
        assert_eq!(of_stampedes(&document), None);
    }

    #[test]
    fn a_bar_of_batches_says_how_large_they_are() {
        let size = |at_most, batches| Size { at_most, batches };
        let sizes = [size(Some(1), 0), size(Some(2), 1), size(Some(4), 3), size(None, 1)].to_vec();
        let batches = BatchSizes { operation: "place-order".to_owned(), sizes };
        assert_eq!([0, 1, 2, 3].map(|at| range(&batches, at)), ["1", "2", "3-4", "> 4"]);
        let svg = super::sizes(&batches).into_string();
        assert!(
            svg.contains("60%") && svg.contains("3 batches of 3-4") && !svg.contains("0 batches"),
            "{svg}"
        );
    }
}
