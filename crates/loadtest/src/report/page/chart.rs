//! Lines over time, as inline SVG: colours come from the page, so that they suit its light and its dark side.

use std::fmt::Write as _;

use maud::{Markup, html};

use super::scale::{Scale, label};

const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 228.0;
const TOP: f64 = 24.0;
const BOTTOM: f64 = HEIGHT - 26.0;
const RIGHT: f64 = WIDTH - 14.0;

/// A chart of something over the seconds of a run.
pub(super) struct Chart {
    /// What is drawn.
    pub(super) title: String,
    /// What its numbers are.
    pub(super) unit: &'static str,
    pub(super) values: Scale,
    /// Of the run.
    pub(super) length_s: f64,
    /// How much of it is not measured.
    pub(super) warm_up_s: f64,
    /// From back to front.
    pub(super) lines: Vec<Line>,
    /// What is said of a time when the pointer is there.
    pub(super) notes: Vec<Note>,
}

/// A line of a chart.
pub(super) struct Line {
    /// What it is; lines without a name are not in the legend.
    pub(super) name: Option<String>,
    /// Its colour, by the name of its class.
    pub(super) class: String,
    /// Whether what is below it has its colour, too.
    pub(super) filled: bool,
    /// Seconds and values. It is broken where there is none.
    pub(super) points: Vec<(f64, Option<f64>)>,
}

/// What is said of a time.
pub(super) struct Note {
    pub(super) from_s: f64,
    pub(super) to_s: f64,
    pub(super) text: String,
}

/// Where things are in a chart.
struct Plane<'a> {
    left: f64,
    seconds: Scale,
    values: &'a Scale,
}

impl Plane<'_> {
    fn x(&self, seconds: f64) -> f64 {
        self.left + self.seconds.place(seconds) * (RIGHT - self.left)
    }

    fn y(&self, value: f64) -> f64 {
        BOTTOM - self.values.place(value) * (BOTTOM - TOP)
    }

    fn path(&self, line: &Line) -> String {
        let mut path = String::new();
        for piece in line.points.split(|(_, value)| value.is_none()) {
            let places = piece.iter().filter_map(|(at, value)| Some((self.x(*at), self.y((*value)?))));
            let places: Vec<_> = places.collect();
            let (Some((first, _)), Some((last, _))) = (places.first(), places.last()) else { continue };
            for (number, (x, y)) in places.iter().enumerate() {
                let command = if number == 0 { 'M' } else { 'L' };
                let _ = write!(path, "{command}{x:.1} {y:.1}");
            }
            if line.filled {
                let _ = write!(path, "L{last:.1} {BOTTOM}L{first:.1} {BOTTOM}Z");
            } else if places.len() == 1 {
                // A single value is a dot.
                path.push_str("h.1");
            }
        }
        path
    }
}

impl Chart {
    /// The chart with its title and what its colours mean.
    pub(super) fn draw(&self) -> Markup {
        let named = || self.lines.iter().filter_map(|line| Some((line.name.as_ref()?, line)));
        html! {
            figure {
                figcaption {
                    strong { (self.title) } " " span.soft { (self.unit) }
                    @if named().count() > 1 {
                        span.legend {
                            @for (name, line) in named() {
                                span { i class={ "key " (line.class) } {} (name) } " "
                            }
                        }
                    }
                }
                (self.picture())
            }
        }
    }

    fn picture(&self) -> Markup {
        let labels = self.values.ticks.iter().map(|tick| label(*tick).len());
        let left = 16.0 + 7.4 * labels.max().unwrap_or(1) as f64;
        let plane = Plane { left, seconds: Scale::of_seconds(self.length_s), values: &self.values };
        html! {
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label={ (self.title) ", " (self.unit) } {
                (self.draw_axes(&plane))
                @for line in &self.lines {
                    path class={ @if line.filled { "area " } @else { "line " } (line.class) } d=(plane.path(line)) {}
                }
                @for note in &self.notes {
                    (draw_note(&plane, note))
                }
            }
        }
    }

    fn draw_axes(&self, plane: &Plane<'_>) -> Markup {
        let left = plane.left;
        let warm = plane.x(self.warm_up_s) - left;
        html! {
            @if warm > 0.0 {
                rect.warm x=(format!("{left:.1}")) y=(TOP) width=(format!("{warm:.1}")) height=(BOTTOM - TOP) {}
                @if warm > 64.0 {
                    text.mid x=(format!("{:.1}", left + warm / 2.0)) y=(TOP - 8.0) { "warm-up" }
                }
            }
            @for tick in &self.values.ticks {
                @let y = format!("{:.1}", plane.y(*tick));
                path.grid d={ "M" (format!("{left:.1}")) " " (y) "H" (RIGHT) } {}
                text.end x=(format!("{:.1}", left - 8.0)) y=(y) dy="4" { (label(*tick)) }
            }
            @for tick in &plane.seconds.ticks {
                @let x = format!("{:.1}", plane.x(*tick));
                path.grid d={ "M" (x) " " (BOTTOM) "v5" } {}
                text.mid x=(x) y=(BOTTOM + 20.0) { (label(*tick)) " s" }
            }
        }
    }
}

fn draw_note(plane: &Plane<'_>, note: &Note) -> Markup {
    let (from, to) = (plane.x(note.from_s), plane.x(note.to_s));
    html! {
        rect.note x=(format!("{from:.1}")) y=(TOP) width=(format!("{:.1}", to - from)) height=(BOTTOM - TOP) {
            title { (note.text) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(points: Vec<(f64, Option<f64>)>) -> String {
        let line =
            Line { name: Some("a <line>".to_owned()), class: "jangteo".to_owned(), filled: false, points };
        let chart = Chart {
            title: "Answers & questions".to_owned(),
            unit: "a second",
            values: Scale::up_to(10.0),
            length_s: 4.0,
            warm_up_s: 1.0,
            lines: vec![line],
            notes: vec![Note { from_s: 0.0, to_s: 1.0, text: "<b>".to_owned() }],
        };
        chart.draw().into_string()
    }

    #[test]
    fn a_line_is_broken_where_there_is_nothing() {
        let svg = chart(vec![(0.0, Some(0.0)), (1.0, Some(5.0)), (2.0, None), (3.0, Some(10.0))]);
        let path = svg.split("class=\"line jangteo\" d=\"").nth(1).unwrap().split('"').next().unwrap();
        assert_eq!((path.matches('M').count(), path.matches('L').count()), (2, 1), "{path}");
        assert!(path.ends_with("24.0h.1"), "the highest is at the top: {path}");
    }

    #[test]
    fn text_is_escaped() {
        let svg = chart(Vec::new());
        assert!(svg.contains("Answers &amp; questions") && svg.contains("<title>&lt;b&gt;</title>"), "{svg}");
        assert!(!svg.contains("<b>"));
    }
}
