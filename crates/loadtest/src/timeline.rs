//! How a run went over time: its answers, slice by slice.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::measure::{MICROS_AT_MOST, micros};

/// Answers by the time they came. However long the run, there are [`Slices::MOST`] slices at most: when they are used up,
/// each takes in its neighbour. So neither memory nor the size of a report grows with the run.
#[derive(Clone, Debug)]
pub(crate) struct Slices {
    began: Instant,
    length: Duration,
    slices: Vec<Counts>,
}

/// The answers of a slice.
#[derive(Clone, Debug)]
struct Counts {
    /// Microseconds, to two digits: of a slice that is exact enough, and takes 10 KB.
    latencies: Histogram<u32>,
    bad: u64,
}

impl Counts {
    fn none() -> Self {
        let latencies = Histogram::new_with_bounds(1, MICROS_AT_MOST, 2).expect("the bounds are valid");
        Self { latencies, bad: 0 }
    }

    fn take_in(&mut self, other: &Self) {
        self.latencies.add(&other.latencies).expect("both have the same bounds");
        self.bad += other.bad;
    }
}

impl Slices {
    /// A picture has no room for more.
    const MOST: usize = 128;

    /// None yet; so long are they at first.
    pub(crate) fn new(began: Instant, length: Duration) -> Self {
        Self { began, length, slices: Vec::new() }
    }

    /// Counts an answer that was good.
    pub(crate) fn add_good(&mut self, came: Instant, latency: Duration) {
        self.at(came).latencies.saturating_record(micros(latency));
    }

    /// Counts another answer.
    pub(crate) fn add_bad(&mut self, came: Instant) {
        self.at(came).bad += 1;
    }

    fn at(&mut self, came: Instant) -> &mut Counts {
        while self.number(came) >= Self::MOST {
            self.coarsen();
        }
        let number = self.number(came);
        if number >= self.slices.len() {
            self.slices.resize_with(number + 1, Counts::none);
        }
        &mut self.slices[number]
    }

    fn number(&self, came: Instant) -> usize {
        let nanos = |duration: Duration| duration.as_nanos() as u64;
        (nanos(came.saturating_duration_since(self.began)) / nanos(self.length)) as usize
    }

    fn coarsen(&mut self) {
        self.length *= 2;
        let pairs = self.slices.chunks(2).map(|pair| {
            let mut both = pair[0].clone();
            pair[1..].iter().for_each(|next| both.take_in(next));
            both
        });
        self.slices = pairs.collect();
    }

    fn coarsen_to(&mut self, length: Duration) {
        while self.length < length {
            self.coarsen();
        }
    }

    /// Those of both, which began at the same moment with slices of the same length.
    #[must_use]
    pub(crate) fn and(mut self, mut other: Self) -> Self {
        self.coarsen_to(other.length);
        other.coarsen_to(self.length);
        if self.slices.len() < other.slices.len() {
            self.slices.resize_with(other.slices.len(), Counts::none);
        }
        self.slices.iter_mut().zip(&other.slices).for_each(|(slice, other)| slice.take_in(other));
        self
    }

    /// The figures of a run that ended then. When nothing came any more, that shows.
    pub(crate) fn timeline(mut self, warm_up: Duration, ended: Instant) -> Timeline {
        self.at(ended - Duration::from_nanos(1));
        Timeline {
            warm_up_s: warm_up.as_secs_f64(),
            slice_s: self.length.as_secs_f64(),
            length_s: (ended - self.began).as_secs_f64(),
            slices: self.slices.iter().map(Counts::figures).collect(),
        }
    }

    /// The same of a stampede on so many coupons; `winners` are those of all who got one.
    pub(crate) fn burn_down(mut self, mut winners: Self, coupons: u64, ended: Instant) -> Timeline {
        self.at(ended);
        winners.at(ended);
        let mut timeline = self.timeline(Duration::ZERO, ended);
        let mut left = coupons;
        for (number, slice) in timeline.slices.iter_mut().enumerate() {
            left = left.saturating_sub(winners.slices.get(number).map_or(0, |counts| counts.latencies.len()));
            slice.coupons_left = Some(left);
        }
        timeline
    }
}

impl Counts {
    fn figures(&self) -> Slice {
        let good = self.latencies.len();
        let milliseconds = |micros: u64| micros as f64 / 1e3;
        let percentile = |percent| milliseconds(self.latencies.value_at_percentile(percent));
        let latency = (good > 0).then(|| Latency {
            p50_ms: percentile(50.0),
            p90_ms: percentile(90.0),
            p99_ms: percentile(99.0),
            longest_ms: milliseconds(self.latencies.max()),
        });
        Slice { good, bad: self.bad, latency, coupons_left: None }
    }
}

/// A run from its first second to its last, the warm-up included.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Timeline {
    /// Seconds at its beginning that are in no other figure.
    pub(crate) warm_up_s: f64,
    /// Seconds in each slice; the last may end earlier.
    pub(crate) slice_s: f64,
    /// Seconds of the run.
    pub(crate) length_s: f64,
    /// One after the other from the beginning.
    pub(crate) slices: Vec<Slice>,
}

/// What came in a slice of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Slice {
    /// Answers that were good.
    pub(crate) good: u64,
    /// Others.
    pub(crate) bad: u64,
    /// Of the good ones, when there were any.
    pub(crate) latency: Option<Latency>,
    /// Coupons that nobody had been told to have by the end of it, in a stampede.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) coupons_left: Option<u64>,
}

/// Of the good answers in a slice, in milliseconds, to two digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Latency {
    /// What half of them kept.
    pub(crate) p50_ms: f64,
    /// What 90% of them kept.
    pub(crate) p90_ms: f64,
    /// What 99% of them kept.
    pub(crate) p99_ms: f64,
    /// The longest.
    pub(crate) longest_ms: f64,
}

/// A slice with its place in time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Placed {
    /// Seconds from the beginning of the run.
    pub(crate) from_s: f64,
    /// Seconds from there.
    pub(crate) to_s: f64,
    /// What came.
    pub(crate) slice: Slice,
}

impl Timeline {
    /// The slices with their places. One at the end that is too short to have a rate is left out.
    pub(crate) fn placed(&self) -> impl Iterator<Item = Placed> {
        const SHORT: f64 = 0.5;
        let placed = self.slices.iter().enumerate().map(|(number, slice)| {
            let from_s = number as f64 * self.slice_s;
            Placed { from_s, to_s: (from_s + self.slice_s).min(self.length_s), slice: *slice }
        });
        placed.filter(|placed| placed.to_s - placed.from_s >= SHORT * self.slice_s || self.slices.len() == 1)
    }
}

impl Placed {
    /// Good answers a second.
    pub(crate) fn rate(&self) -> f64 {
        self.slice.good as f64 / (self.to_s - self.from_s)
    }

    /// Where a line through the slices passes.
    pub(crate) fn middle_s(&self) -> f64 {
        f64::midpoint(self.from_s, self.to_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn an_answer_counts_in_the_slice_in_which_it_came() {
        let began = Instant::now();
        let mut slices = Slices::new(began, 100 * MS);
        slices.add_good(began + 20 * MS, 8 * MS);
        slices.add_good(began + 99 * MS, 2 * MS);
        slices.add_bad(began + 250 * MS);
        let timeline = slices.timeline(100 * MS, began + 350 * MS);
        assert_eq!((timeline.warm_up_s, timeline.slice_s, timeline.length_s), (0.1, 0.1, 0.35));
        let counts: Vec<_> = timeline.slices.iter().map(|slice| (slice.good, slice.bad)).collect();
        assert_eq!(counts, [(2, 0), (0, 0), (0, 1), (0, 0)], "nothing came in the last one");
        let latency = timeline.slices[0].latency.unwrap();
        assert!((latency.p50_ms - 2.0).abs() < 0.1 && (latency.longest_ms - 8.0).abs() < 0.1, "{latency:?}");
        assert_eq!(timeline.slices[1].latency, None);
    }

    #[test]
    fn slices_grow_with_the_run_and_lose_nothing() {
        let began = Instant::now();
        let mut slices = Slices::new(began, MS);
        for ms in 0..1000 {
            slices.add_good(began + ms * MS, 3 * MS);
        }
        assert_eq!((slices.slices.len(), slices.length), (125, 8 * MS));
        assert!(slices.slices.iter().all(|slice| slice.latencies.len() == 8));
    }

    #[test]
    fn threads_with_slices_of_different_lengths_are_added_up() {
        let began = Instant::now();
        let (mut short, mut long) = (Slices::new(began, MS), Slices::new(began, MS));
        short.add_good(began, MS);
        long.add_good(began, MS);
        long.add_good(began + 200 * MS, MS);
        let good =
            |slices: &Slices| slices.slices.iter().map(|slice| slice.latencies.len()).collect::<Vec<_>>();
        let (one, other) = (short.clone().and(long.clone()), long.and(short));
        assert_eq!(good(&one), good(&other));
        assert_eq!((good(&one)[0], good(&one)[100], one.length), (2, 1, 2 * MS));
    }

    #[test]
    fn coupons_burn_down_with_their_winners() {
        let began = Instant::now();
        let (mut all, mut winners) = (Slices::new(began, 10 * MS), Slices::new(began, 10 * MS));
        for ms in [1, 12, 13, 35] {
            all.add_good(began + ms * MS, MS);
        }
        for ms in [1, 12] {
            winners.add_good(began + ms * MS, MS);
        }
        let timeline = all.burn_down(winners, 3, began + 40 * MS);
        let left: Vec<_> = timeline.slices.iter().map(|slice| slice.coupons_left.unwrap()).collect();
        assert_eq!(left, [2, 1, 1, 1, 1]);
    }

    #[test]
    fn a_slice_that_has_hardly_begun_has_no_rate() {
        let slice = Slice { good: 50, ..Slice::default() };
        let timeline =
            Timeline { slice_s: 0.25, length_s: 0.51, slices: vec![slice; 3], ..Timeline::default() };
        let placed: Vec<_> = timeline.placed().map(|placed| (placed.middle_s(), placed.rate())).collect();
        assert_eq!(placed, [(0.125, 200.0), (0.375, 200.0)]);
    }
}
