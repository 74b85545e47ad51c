//! Everything that was measured as data: what the JSON file holds, and all that the page draws.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::SecondsFormat;
use jangteo_application::{Clock, SystemClock};
use serde::{Deserialize, Serialize};

use super::growth::Comparison;
use super::{Bound, Report, Target, is_floor_of, megabytes, milliseconds};
use crate::bench::{Outcome, Round, Step};
use crate::events::Events;
use crate::journeys::{Breakdown, Row};
use crate::machine::{self, Busy, Memory};
use crate::measure::Figures;
use crate::scenario::COUPONS;
use crate::stampede::{ATTEMPTS, Crowd, Share};
use crate::timeline::Timeline;
use crate::watch::Samples;

/// What a file of this shape says it is.
const FORMAT: &str = "jangteo-bench";
/// Of the shape. Fields may be added to it; when one is taken away or means something else, this is counted up.
const VERSION: u32 = 1;

/// A report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Document {
    /// [`FORMAT`].
    pub(crate) format: String,
    /// [`VERSION`].
    pub(crate) version: u32,
    /// When it was finished, in RFC 3339.
    pub(crate) finished_at: String,
    /// The version of Jangteo.
    pub(crate) jangteo: String,
    /// Machine, versions and settings, a line each.
    pub(crate) circumstances: Vec<String>,
    /// Processors of the machine.
    pub(crate) cores: usize,
    /// What was checked after each measurement, and every answer that was not what was asked for.
    pub(crate) books: String,
    /// The targets, with what was measured of them.
    pub(crate) targets: Vec<Goal>,
    /// In the order in which they were taken.
    pub(crate) measurements: Vec<Measurement>,
    /// The same with more and more orders, where that was measured.
    pub(crate) growth: Option<Comparison>,
}

/// A target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Goal {
    /// What of.
    pub(crate) what: String,
    /// What is wanted of it.
    pub(crate) wanted: Bound,
    /// Of what is wanted and of what was measured.
    pub(crate) unit: String,
    /// What it is.
    pub(crate) measured: Option<f64>,
    /// What comes of it.
    pub(crate) verdict: Verdict,
}

/// Of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Verdict {
    /// It is as wanted.
    Met,
    /// It is not.
    Missed,
    /// Nobody knows.
    NotMeasured,
}

/// What came of a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Measurement {
    /// What it is about; those about the same can be compared.
    pub(crate) subject: String,
    /// What was measured.
    pub(crate) name: String,
    /// Whether it was done without Jangteo, or is what others are compared with.
    pub(crate) is_floor: bool,
    /// How many clients or connections there were.
    pub(crate) at_a_time: usize,
    /// Of the round in the middle.
    pub(crate) figures: Numbers,
    /// How much faster than the best floor of the same.
    pub(crate) times_floor: Option<f64>,
    /// Transactions that were tried again, in the round in the middle.
    pub(crate) retries: u64,
    /// Answers of all rounds that are not what was asked for, by what they were.
    pub(crate) bad_answers: BTreeMap<String, u64>,
    /// How long after its start a server answered, where that is what was measured.
    pub(crate) first_answer_ms: Option<f64>,
    /// Of each kind of request, where there were several.
    pub(crate) requests: Vec<Kind>,
    /// Of each way through the shop of several requests, from the first to the last answer.
    pub(crate) journeys: Vec<Kind>,
    /// Of a stampede.
    pub(crate) crowd: Option<Contest>,
    /// Of orders whose events were delivered, or were not.
    pub(crate) events: Option<Deliveries>,
    /// What the server had in memory.
    pub(crate) memory: Option<Footprint>,
    /// Processors in use on average.
    pub(crate) processors: Option<Busy>,
    /// Every round.
    pub(crate) rounds: Vec<Numbers>,
    /// How each of them went.
    pub(crate) timelines: Vec<Timeline>,
    /// Which of them is the one in the middle, from 0.
    pub(crate) middle: usize,
    /// What was seen of server and machine in the round in the middle.
    pub(crate) samples: Samples,
}

/// Rate and latency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Numbers {
    /// Good answers a second.
    pub(crate) per_second: f64,
    /// Milliseconds that half of them kept.
    pub(crate) p50_ms: f64,
    /// Milliseconds that 99% of them kept.
    pub(crate) p99_ms: f64,
    /// Milliseconds of the longest.
    pub(crate) longest_ms: f64,
}

/// What was asked for in some share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Kind {
    /// What.
    pub(crate) what: String,
    /// Refusals included.
    pub(crate) figures: Numbers,
    /// How many were told no, because something was sold out or the like.
    pub(crate) refused: u64,
}

/// Who got a coupon and who did not.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Contest {
    /// How many coupons there were.
    pub(crate) coupons: u64,
    /// How many attempts to get one.
    pub(crate) attempts: u64,
    /// Those who got one.
    pub(crate) winners: Side,
    /// Those who did not.
    pub(crate) losers: Side,
}

/// Winners or losers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Side {
    /// How many.
    pub(crate) count: u64,
    /// Milliseconds that half of them kept.
    pub(crate) p50_ms: f64,
    /// Milliseconds that 99% of them kept.
    pub(crate) p99_ms: f64,
}

/// What became of events.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Deliveries {
    /// How many were not delivered when the last order was answered.
    pub(crate) waiting: u64,
    /// Seconds until then all were.
    pub(crate) drained_in_s: Option<f64>,
    /// Milliseconds from commit to delivery that half of them kept.
    pub(crate) p50_ms: Option<f64>,
    /// Milliseconds from commit to delivery that 99% of them kept.
    pub(crate) p99_ms: Option<f64>,
    /// Events that arrived more than once.
    pub(crate) duplicates: u64,
}

/// What a process has in memory.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Footprint {
    /// Megabytes at the end of the load.
    pub(crate) resident_mb: f64,
    /// Megabytes at most.
    pub(crate) peak_mb: f64,
}

impl Document {
    /// All that is in a report.
    pub(crate) fn of(report: &Report) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            finished_at: SystemClock.now().to_rfc3339_opts(SecondsFormat::Secs, true),
            jangteo: env!("CARGO_PKG_VERSION").to_owned(),
            circumstances: report.circumstances.clone(),
            cores: machine::cores(),
            books: report.bad_answers(),
            targets: report.targets().into_iter().map(Goal::of).collect(),
            measurements: report
                .results
                .iter()
                .map(|(step, outcome)| measurement(report, *step, outcome))
                .collect(),
            growth: report.growth.as_ref().map(Comparison::of),
        }
    }

    /// As it is written to a file.
    pub(crate) fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }
}

impl Goal {
    fn of(target: Target) -> Self {
        let Target { what, bound, unit, measured } = target;
        let verdict = match measured {
            Some(value) if bound.is_kept_by(value) => Verdict::Met,
            Some(_) => Verdict::Missed,
            None => Verdict::NotMeasured,
        };
        Self { what, wanted: bound, unit: unit.to_owned(), measured, verdict }
    }
}

fn measurement(report: &Report, step: Step, outcome: &Outcome) -> Measurement {
    let figures = &outcome.figures;
    let rows =
        |of: fn(&Breakdown) -> &Vec<Row>| outcome.breakdown.iter().flat_map(of).map(Kind::of).collect();
    let is_compared_with = report.results.iter().any(|(other, _)| is_floor_of(step, *other));
    Measurement {
        subject: step.subject(),
        name: step.to_string(),
        is_floor: step.is_floor() || is_compared_with,
        at_a_time: step.at_a_time(),
        figures: Numbers::of_figures(figures),
        times_floor: report.times_floor(step),
        retries: figures.retries,
        bad_answers: figures.bad.iter().map(|(answer, count)| (answer.to_string(), *count)).collect(),
        first_answer_ms: outcome.first_answer.map(milliseconds),
        requests: rows(|breakdown| &breakdown.requests),
        journeys: rows(|breakdown| &breakdown.journeys),
        crowd: outcome.crowd.map(Contest::of),
        events: outcome.events.map(Deliveries::of),
        memory: outcome.memory.map(Footprint::of),
        processors: outcome.busy,
        rounds: outcome.rounds.iter().map(Numbers::of_round).collect(),
        timelines: outcome.rounds.iter().map(|round| round.timeline.clone()).collect(),
        middle: outcome.middle,
        samples: outcome.samples.clone(),
    }
}

impl Measurement {
    /// How the round in the middle went, if it took any time.
    pub(crate) fn timeline(&self) -> Option<&Timeline> {
        self.timelines.get(self.middle).filter(|timeline| timeline.length_s > 0.0)
    }
}

impl Numbers {
    fn of(per_second: f64, [p50, p99, longest]: [Duration; 3]) -> Self {
        let [p50_ms, p99_ms, longest_ms] = [p50, p99, longest].map(milliseconds);
        Self { per_second, p50_ms, p99_ms, longest_ms }
    }

    fn of_figures(figures: &Figures) -> Self {
        Self::of(figures.rate, [figures.median, figures.p99, figures.longest])
    }

    fn of_round(round: &Round) -> Self {
        Self::of(round.rate, [round.median, round.p99, round.longest])
    }
}

impl Kind {
    fn of(row: &Row) -> Self {
        Self { what: row.what.clone(), figures: Numbers::of_figures(&row.figures), refused: row.refused }
    }
}

impl Contest {
    fn of(crowd: Crowd) -> Self {
        let Crowd { winners, losers } = crowd;
        let [winners, losers] = [winners, losers].map(Side::of);
        Self { coupons: COUPONS.unsigned_abs(), attempts: ATTEMPTS as u64, winners, losers }
    }
}

impl Side {
    fn of(share: Share) -> Self {
        Self { count: share.count, p50_ms: milliseconds(share.median), p99_ms: milliseconds(share.p99) }
    }
}

impl Deliveries {
    fn of(events: Events) -> Self {
        Self {
            waiting: events.waiting,
            drained_in_s: events.drained_in.map(|time| time.as_secs_f64()),
            p50_ms: events.delivery.map(|delivery| milliseconds(delivery.median)),
            p99_ms: events.delivery.map(|delivery| milliseconds(delivery.p99)),
            duplicates: events.duplicates,
        }
    }
}

impl Footprint {
    fn of(memory: Memory) -> Self {
        Self { resident_mb: megabytes(memory.resident_kib), peak_mb: megabytes(memory.peak_kib) }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::growth::tests::growth;
    use super::super::target;
    use super::*;
    use crate::bench::{claims, orders};
    use crate::measure::Answer;
    use crate::scenario::{Backend, Mix};
    use crate::stampede::Gate;
    use crate::timeline::{Latency, Slice};
    use crate::watch::{BatchSizes, Batches, Sample, Size};

    fn timeline(coupons_left: Option<u64>) -> Timeline {
        let latency = Some(Latency { p50_ms: 4.0, p90_ms: 8.0, p99_ms: 16.0, longest_ms: 40.0 });
        let slices = (0..8).map(|number| Slice { good: 1000 + 10 * number, bad: 0, latency, coupons_left });
        Timeline { warm_up_s: 1.0, slice_s: 0.25, length_s: 2.0, slices: slices.collect() }
    }

    fn samples() -> Samples {
        let at = |at_s: f64| Sample {
            at_s,
            processors: Some(Busy { database: 0.7, server: 0.3, load: 0.1, ..Busy::default() }),
            resident_kib: Some(20_000),
            batches: vec![Batches {
                operation: "place-order".to_owned(),
                batches: 10,
                commands: 320,
                queued: 4,
            }],
            events_sent: Some(100),
            stock: Some(1_000_000 - (1000.0 * at_s) as i64),
        };
        let sizes = [(Some(16), 3), (Some(32), 50), (None, 1)];
        let sizes = sizes.map(|(at_most, batches)| Size { at_most, batches }).to_vec();
        Samples {
            samples: vec![at(0.5), at(1.0), at(1.5), at(2.0)],
            batch_sizes: vec![BatchSizes { operation: "place-order".to_owned(), sizes }],
        }
    }

    /// One with a bit of everything.
    pub(in super::super) fn document() -> Document {
        let outcome = |rate, coupons_left: Option<u64>| {
            let bad = [(Answer::Status(503), 2)].into();
            let figures = Figures { rate, bad, ..Figures::default() };
            let crowd = coupons_left.map(|_| Crowd::default());
            let round = Round { rate, timeline: timeline(coupons_left), ..Round::default() };
            Outcome {
                figures,
                crowd,
                samples: samples(),
                rounds: vec![round; 3],
                middle: 1,
                ..Outcome::default()
            }
        };
        let floor = Step::Floor { backend: Backend::Mysql, mix: Mix::Spread, connections: 16 };
        let report = Report {
            circumstances: vec!["machine: <one> & only".to_owned()],
            clients: 64,
            results: vec![
                (floor, outcome(2000.0, None)),
                (orders(Backend::Mysql, Mix::Spread, 64), outcome(6000.0, None)),
                (claims(Gate::Redis, false, 256), outcome(20_000.0, Some(7))),
            ],
            growth: Some(growth()),
        };
        Document::of(&report)
    }

    #[test]
    fn a_report_is_read_back_as_it_was_written() {
        let document = document();
        let json = document.to_json().unwrap();
        assert_eq!(serde_json::from_str::<Document>(&json).unwrap(), document);
        assert!(json.starts_with(r#"{"format":"jangteo-bench","version":1,"#), "{json}");
    }

    #[test]
    fn growth_that_was_not_measured_is_missing_or_nothing() {
        let document = Document { growth: None, ..document() };
        let mut json = serde_json::to_value(&document).unwrap();
        assert!(json["growth"].is_null());
        json.as_object_mut().unwrap().remove("growth");
        assert_eq!(serde_json::from_value::<Document>(json).unwrap(), document);
    }

    #[test]
    fn a_target_says_what_is_wanted_and_what_comes_of_it() {
        let goal = |measured| Goal::of(target("orders", Bound::AtLeast(2.5), "x floor", measured));
        let json = serde_json::to_value(goal(Some(3.0))).unwrap();
        let expected = serde_json::json!({
            "what": "orders", "wanted": { "atLeast": 2.5 }, "unit": "x floor", "measured": 3.0, "verdict": "met"
        });
        assert_eq!(json, expected);
        assert_eq!(goal(Some(2.0)).verdict, Verdict::Missed);
        assert_eq!(goal(None).verdict, Verdict::NotMeasured);
    }

    #[test]
    fn what_is_about_the_same_has_the_same_subject() {
        let [floor, orders, stampede] = &document().measurements[..] else { panic!("there are three") };
        assert_eq!(floor.subject, orders.subject);
        assert_ne!(orders.subject, stampede.subject);
        assert!(floor.is_floor && !orders.is_floor);
        assert_eq!(orders.bad_answers["status 503"], 2);
    }
}
