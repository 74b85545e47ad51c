use std::collections::BTreeMap;
use std::time::Instant;

use super::errand::{Errand, Scenario};
use super::kind::Kind;
use crate::load::Pace;
use crate::measure::{Answer, Figures, Tally, Window};
use crate::timeline::Timeline;

/// Every answer of a visit, by what was asked for.
#[derive(Debug)]
pub(crate) struct Logbook {
    window: Window,
    /// Whether requests have a moment at which they were due.
    paced: bool,
    all: Page,
    requests: BTreeMap<Kind, Page>,
    journeys: BTreeMap<Errand, Page>,
}

#[derive(Debug)]
struct Page {
    tally: Tally,
    /// Those of its good answers that say no.
    refused: u64,
}

impl Page {
    fn new(tally: Tally) -> Self {
        Self { tally, refused: 0 }
    }

    fn add(&mut self, end: End, asked: Instant, paced: bool) {
        let answer = match end {
            End::Granted => Answer::Good,
            End::Refused => {
                self.refused += 1;
                Answer::Good
            }
            End::Failed(answer) => answer,
        };
        match paced {
            true => self.tally.add_arrival(answer, asked),
            false => self.tally.add(answer, asked),
        }
    }

    fn row(&self, what: impl ToString) -> Row {
        Row { what: what.to_string(), figures: self.tally.figures(), refused: self.refused }
    }
}

/// How a request or a journey ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With what was wanted.
    Granted,
    /// With a no that a shop in order may say.
    Refused,
    /// Otherwise.
    Failed(Answer),
}

/// The figures of a visit.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Breakdown {
    /// Every request.
    pub(crate) all: Row,
    /// Those of each kind.
    pub(crate) requests: Vec<Row>,
    /// Ways through the shop of several requests.
    pub(crate) journeys: Vec<Row>,
    /// How many requests were answered, the warm-up's included.
    pub(crate) answered: u64,
}

/// The figures of one kind.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Row {
    /// What was wanted.
    pub(crate) what: String,
    /// Rate and latency, refusals included unless it is a journey.
    pub(crate) figures: Figures,
    /// How many were told no, because something was sold out or the like; the warm-up's included.
    pub(crate) refused: u64,
}

impl Logbook {
    pub(super) fn new(window: Window, pace: Pace) -> Self {
        let paced = matches!(pace, Pace::PerSecond(_));
        let (requests, journeys) = (BTreeMap::new(), BTreeMap::new());
        Self { window, paced, all: Page::new(Tally::new(window)), requests, journeys }
    }

    /// Notes an answer that came just now.
    pub(super) fn add(&mut self, kind: Kind, end: End, asked: Instant) {
        self.all.add(end, asked, self.paced);
        let page = self.requests.entry(kind).or_insert_with(|| Page::new(Tally::aside(self.window)));
        page.add(end, asked, self.paced);
    }

    /// Notes a journey that ended just now. One that was refused went only part of the way: it is no figure.
    pub(super) fn add_journey(&mut self, errand: Errand, end: End, began: Instant) {
        let page = self.journeys.entry(errand).or_insert_with(|| Page::new(Tally::aside(self.window)));
        match end {
            End::Refused => page.refused += 1,
            End::Granted | End::Failed(_) => page.add(end, began, self.paced),
        }
    }

    /// How many requests of a kind had what they asked for, the warm-up's included.
    pub(crate) fn granted(&self, kind: Kind) -> u64 {
        self.requests.get(&kind).map_or(0, |page| page.tally.good() - page.refused)
    }

    /// What the scenario is about: its journeys if it is one, else all requests. Every bad answer is in it.
    pub(crate) fn figures(&self, scenario: Scenario) -> Figures {
        let all = self.all.tally.figures();
        match self.journeys.values().next().filter(|_| scenario.is_a_journey()) {
            Some(journeys) => Figures { bad: all.bad, ..journeys.tally.figures() },
            None => all,
        }
    }

    /// When the visit began, with its warm-up.
    pub(crate) fn began(&self) -> Instant {
        self.all.tally.began()
    }

    /// How it went: all requests, also where the figures are those of journeys.
    pub(crate) fn timeline(&self) -> Timeline {
        self.all.tally.timeline()
    }

    /// By what was asked for.
    pub(crate) fn breakdown(&self) -> Breakdown {
        let all = self.all.row("all requests");
        let answered = self.all.tally.good() + all.figures.bad.values().sum::<u64>();
        let requests = self.requests.iter().map(|(kind, page)| page.row(kind)).collect();
        let journeys = self.journeys.iter().map(|(errand, page)| page.row(errand)).collect();
        Breakdown { all, requests, journeys, answered }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::measure::Lengths;

    fn logbook() -> Logbook {
        let lengths = Lengths { warm_up: Duration::ZERO, measured: Duration::from_secs(10) };
        Logbook::new(Window::after_warm_up(lengths), Pace::Unbounded)
    }

    #[test]
    fn a_refusal_counts_as_an_answer_and_not_as_granted() {
        let mut log = logbook();
        for end in [End::Granted, End::Refused, End::Failed(Answer::Status(500))] {
            log.add(Kind::PlaceOrder, end, Instant::now());
        }
        log.add(Kind::ListProducts, End::Granted, Instant::now());
        assert_eq!(log.granted(Kind::PlaceOrder), 1);
        assert_eq!(log.granted(Kind::ClaimCoupon), 0);
        let Breakdown { all, requests, answered, .. } = log.breakdown();
        assert_eq!((answered, all.refused), (4, 1));
        assert_eq!(all.figures.bad[&Answer::Status(500)], 1);
        assert_eq!(requests.iter().map(|row| row.refused).collect::<Vec<_>>(), [0, 1]);
    }

    #[test]
    fn a_journey_is_measured_as_a_whole() {
        let mut log = logbook();
        let began = Instant::now() - Duration::from_millis(100);
        for kind in [Kind::AddToCart, Kind::OrderCart, Kind::PayOrder] {
            log.add(kind, End::Granted, Instant::now());
        }
        log.add_journey(Errand::CartToPaid, End::Granted, began);
        log.add_journey(Errand::CartToPaid, End::Refused, began);
        let journey = log.figures(Scenario::CartToPaid);
        assert!((journey.rate - 0.1).abs() < 1e-9 && journey.median >= Duration::from_millis(100));
        assert!((log.figures(Scenario::Mixed).rate - 0.3).abs() < 1e-9);
    }
}
