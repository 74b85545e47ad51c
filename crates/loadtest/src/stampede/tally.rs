use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::Fate;
use crate::measure::{Answer, Figures, count_good, histogram, micros};
use crate::scenario::COUPONS;
use crate::timeline::{Slices, Timeline};
use hdrhistogram::Histogram;

/// How long a slice of a stampede is at first: all of it may be over within a second.
const SLICE: Duration = Duration::from_millis(10);

/// Every answer of a stampede.
pub(crate) struct Tally {
    opened: Instant,
    /// Everybody who was answered, over time.
    all_slices: Slices,
    /// Those who won.
    winners_slices: Slices,
    /// Microseconds.
    winners: Histogram<u64>,
    losers: Histogram<u64>,
    failed: BTreeMap<Answer, u64>,
    /// When the first attempt was made.
    began: Option<Instant>,
    /// When the last was answered.
    ended: Option<Instant>,
}

/// A stampede's winners and losers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Crowd {
    /// Those who got a coupon.
    pub(crate) winners: Share,
    /// Those who came too late, or had one already.
    pub(crate) losers: Share,
}

/// Some of a crowd.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Share {
    /// How many.
    pub(crate) count: u64,
    /// Latency that half of them kept.
    pub(crate) median: Duration,
    /// Latency that 99% of them kept.
    pub(crate) p99: Duration,
}

impl Tally {
    /// Nothing yet of a stampede that everybody was let into at that moment.
    pub(crate) fn new(opened: Instant) -> Self {
        let slices = Slices::new(opened, SLICE);
        Self {
            opened,
            all_slices: slices.clone(),
            winners_slices: slices,
            winners: histogram(),
            losers: histogram(),
            failed: BTreeMap::new(),
            began: None,
            ended: None,
        }
    }

    /// Counts an answer that came just now.
    pub(crate) fn add(&mut self, fate: Fate, asked: Instant) {
        let now = Instant::now();
        let latency = micros(now - asked);
        match fate {
            Fate::Won => self.winners.saturating_record(latency),
            Fate::Refused => self.losers.saturating_record(latency),
            Fate::Failed(answer) => *self.failed.entry(answer).or_default() += 1,
        }
        self.count(fate, now, now - asked);
        self.began = Some(self.began.map_or(asked, |began| began.min(asked)));
        self.ended = Some(now);
    }

    fn count(&mut self, fate: Fate, now: Instant, latency: Duration) {
        match fate {
            Fate::Won => {
                self.winners_slices.add_good(now, latency);
                self.all_slices.add_good(now, latency);
            }
            Fate::Refused => self.all_slices.add_good(now, latency),
            Fate::Failed(_) => return self.all_slices.add_bad(now),
        }
        count_good();
    }

    /// Those of both.
    #[must_use]
    pub(super) fn and(mut self, other: Self) -> Self {
        self.winners.add(other.winners).expect("both have the same bounds");
        self.losers.add(other.losers).expect("both have the same bounds");
        self.all_slices = self.all_slices.and(other.all_slices);
        self.winners_slices = self.winners_slices.and(other.winners_slices);
        for (answer, count) in other.failed {
            *self.failed.entry(answer).or_default() += count;
        }
        self.began = self.began.into_iter().chain(other.began).min();
        self.ended = self.ended.max(other.ended);
        self
    }

    /// Of everybody together: attempts a second from the first to the last.
    pub(crate) fn figures(&self) -> Figures {
        let mut all = self.winners.clone();
        all.add(&self.losers).expect("both have the same bounds");
        let took = self.ended.zip(self.began).map(|(ended, began)| (ended - began).as_secs_f64());
        let rate = took.map_or(0.0, |seconds| all.len() as f64 / seconds);
        Figures { rate, bad: self.failed.clone(), ..Figures::of(&all) }
    }

    /// When everybody was let in.
    pub(crate) fn opened(&self) -> Instant {
        self.opened
    }

    /// How it went from there to the last answer, and how soon the coupons were gone.
    pub(crate) fn timeline(&self) -> Timeline {
        let ended = self.ended.unwrap_or(self.opened);
        self.all_slices.clone().burn_down(self.winners_slices.clone(), COUPONS.unsigned_abs(), ended)
    }

    /// Of each.
    pub(crate) fn crowd(&self) -> Crowd {
        Crowd { winners: Share::of(&self.winners), losers: Share::of(&self.losers) }
    }
}

impl Share {
    fn of(latencies: &Histogram<u64>) -> Self {
        let Figures { median, p99, .. } = Figures::of(latencies);
        Self { count: latencies.len(), median, p99 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn winners_and_losers_are_counted_apart_and_together() {
        let asked = Instant::now() - Duration::from_millis(100);
        let (mut one, mut other) = (Tally::new(asked), Tally::new(asked));
        one.add(Fate::Won, asked);
        other.add(Fate::Refused, asked);
        other.add(Fate::Refused, asked);
        other.add(Fate::Failed(Answer::Status(503)), asked);

        let both = one.and(other);
        let Crowd { winners, losers } = both.crowd();
        assert_eq!((winners.count, losers.count), (1, 2));
        let figures = both.figures();
        assert!(figures.rate > 0.0 && figures.rate <= 30.0, "{figures:?}");
        assert!(figures.median >= Duration::from_millis(100));
        assert_eq!(figures.bad[&Answer::Status(503)], 1);

        let slices = both.timeline().slices;
        assert_eq!(slices.iter().map(|slice| slice.good + slice.bad).sum::<u64>(), 4);
        assert_eq!(slices.last().unwrap().coupons_left, Some(COUPONS as u64 - 1));
    }
}
