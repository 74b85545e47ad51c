//! What the report says about events.

use std::fmt;

use comfy_table::Table;

use super::text::table;
use super::{Bound, Report, Target, milliseconds, target};
use crate::bench::{Outcome, Round, Step};
use crate::events::{Channel, Demand, Events, Outage, Relay, Trial};
use crate::measure::median_by;

/// What a platform that is down is compared with.
const UP: Relay = Relay::To(Channel::Http);

impl Report {
    pub(super) fn write_events(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.trials().next().is_none() {
            return Ok(());
        }
        writeln!(
            f,
            "\nPurchases and their events. Differences are from {UP} in the same round, their median.\n\n{}",
            self.purchases()
        )?;
        writeln!(
            f,
            "\nWhat became of their events; from commit to delivery in ms.\n\n{}",
            self.deliveries()
        )?;
        writeln!(
            f,
            "\nBacklogs: orders are placed without a relay, then workers deliver their events.\n\n{}",
            self.backlogs()
        )
    }

    fn purchases(&self) -> Table {
        let header = ["measured", "orders per second", "differs", "p99 ms", "of the rounds", "differs"];
        let mut table = table(header);
        for (relay, demand, outcome, _) in self.trials_of_purchases() {
            let differs = |of| match self.difference(relay, demand, of) {
                Some(difference) if relay != UP => format!("{difference:+.1}%"),
                _ => String::new(),
            };
            let p99s = outcome.rounds.iter().map(p99);
            let (least, most) =
                p99s.fold((f64::MAX, 0.0), |(least, most), p99| (p99.min(least), p99.max(most)));
            table.add_row([
                format!("{relay}, {demand}"),
                format!("{:.0}", outcome.figures.rate),
                differs(rate),
                format!("{:.2}", milliseconds(outcome.figures.p99)),
                format!("{least:.2} - {most:.2}"),
                differs(p99),
            ]);
        }
        table
    }

    fn deliveries(&self) -> Table {
        let mut table =
            table(["measured", "waiting at the end", "delivered after s", "p50", "p99", "longest"]);
        for (relay, demand, _, events) in self.trials_of_purchases() {
            let drained =
                events.drained_in.map_or(String::new(), |time| format!("{:.2}", time.as_secs_f64()));
            let delivery = events.delivery.map_or([const { String::new() }; 3], |delivery| {
                let times = [delivery.median, delivery.p99, delivery.longest];
                times.map(|time| format!("{:.1}", milliseconds(time)))
            });
            let row = [format!("{relay}, {demand}"), events.waiting.to_string(), drained];
            table.add_row(row.into_iter().chain(delivery));
        }
        table
    }

    fn backlogs(&self) -> Table {
        let mut table =
            table(["measured", "placed per second", "events", "in s", "per second", "x placed", "twice"]);
        for (trial, outcome, events) in self.trials() {
            let Trial::Backlog { .. } = trial else { continue };
            table.add_row([
                trial.to_string(),
                format!("{:.0}", outcome.figures.rate),
                events.waiting.to_string(),
                format!("{:.2}", events.drained_in.unwrap_or_default().as_secs_f64()),
                format!("{:.0}", events.draining_rate().unwrap_or_default()),
                format!("{:.2}", times_placed(outcome, events).unwrap_or_default()),
                events.duplicates.to_string(),
            ]);
        }
        table
    }

    fn trials_of_purchases(&self) -> impl Iterator<Item = (Relay, Demand, &Outcome, &Events)> {
        self.trials().filter_map(|(trial, outcome, events)| match trial {
            Trial::Purchases { relay, demand } => Some((relay, demand, outcome, events)),
            Trial::Backlog { .. } => None,
        })
    }

    pub(super) fn targets_of_events(&self) -> Vec<Target> {
        let down = |of| self.largest_difference(Demand::Half, of);
        let drained = Channel::ALL.map(|channel| {
            let wanted = format!("events delivered from a backlog, {channel}");
            target(wanted, Bound::AtLeast(1.0), "x placed", self.times_placed(channel, 1))
        });
        let purchases = [
            target("orders per second at half load, platform down", Bound::AtMost(5.0), "% off", down(rate)),
            target("their p99", Bound::AtMost(5.0), "% off", down(p99)),
        ];
        let delivery = self.slowest_delivery(Demand::Half);
        let delivery =
            target("p99 from commit to delivery at half load", Bound::Below(1000.0), "ms", delivery);
        purchases.into_iter().chain(drained).chain([delivery]).collect()
    }

    fn trials(&self) -> impl Iterator<Item = (Trial, &Outcome, &Events)> {
        self.results.iter().filter_map(|(step, outcome)| match step {
            Step::Events { trial, .. } => Some((*trial, outcome, outcome.events.as_ref()?)),
            Step::Floor { .. }
            | Step::Server { .. }
            | Step::Stampede { .. }
            | Step::ChargeFloor { .. }
            | Step::Journeys { .. }
            | Step::Bare { .. }
            | Step::Engine { .. }
            | Step::Start { .. } => None,
        })
    }

    fn trial(&self, wanted: Trial) -> Option<(&Outcome, &Events)> {
        self.trials().find(|(trial, ..)| *trial == wanted).map(|(_, outcome, events)| (outcome, events))
    }

    /// In percent. Each round is compared with itself: the machine's speed drifts from one to the next.
    fn difference(&self, relay: Relay, demand: Demand, of: fn(&Round) -> f64) -> Option<f64> {
        let rounds = |relay| Some(&self.trial(Trial::Purchases { relay, demand })?.0.rounds);
        let pairs = rounds(relay)?.iter().zip(rounds(UP)?);
        let differences = pairs.map(|(this, up)| 100.0 * (of(this) / of(up) - 1.0)).collect();
        median_by(differences, |difference| *difference)
    }

    /// Of the ways to be down, in either direction.
    fn largest_difference(&self, demand: Demand, of: fn(&Round) -> f64) -> Option<f64> {
        let outages = Outage::ALL.into_iter();
        let differences = outages.filter_map(|outage| self.difference(Relay::InVain(outage), demand, of));
        differences.map(f64::abs).max_by(f64::total_cmp)
    }

    fn times_placed(&self, channel: Channel, workers: usize) -> Option<f64> {
        let (outcome, events) = self.trial(Trial::Backlog { channel, workers })?;
        times_placed(outcome, events)
    }

    /// Of those measured.
    fn slowest_delivery(&self, demand: Demand) -> Option<f64> {
        let trials = Channel::ALL.map(|channel| Trial::Purchases { relay: Relay::To(channel), demand });
        let deliveries = trials.into_iter().filter_map(|trial| self.trial(trial)?.1.delivery);
        deliveries.map(|delivery| milliseconds(delivery.p99)).max_by(f64::total_cmp)
    }
}

fn times_placed(outcome: &Outcome, events: &Events) -> Option<f64> {
    Some(events.draining_rate()? / outcome.figures.rate)
}

fn rate(round: &Round) -> f64 {
    round.rate
}

fn p99(round: &Round) -> f64 {
    milliseconds(round.p99)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::text::cells;
    use super::*;
    use crate::events::Delivery;
    use crate::measure::Figures;
    use crate::report::tests::report;

    fn purchases(relay: Relay, p99s: [u64; 3]) -> (Step, Outcome) {
        let round = |p99| Round { rate: 1000.0, p99: Duration::from_millis(p99), ..Round::default() };
        let delivery = Delivery { p99: Duration::from_millis(40), ..Delivery::default() };
        let events = Events { delivery: Some(delivery), ..Events::default() };
        let outcome =
            Outcome { rounds: p99s.map(round).to_vec(), events: Some(events), ..Outcome::default() };
        let trial = Trial::Purchases { relay, demand: Demand::Half };
        (Step::Events { trial, clients: 64 }, outcome)
    }

    #[test]
    fn a_platform_that_is_down_is_compared_round_by_round() {
        let report = report(vec![
            purchases(UP, [10, 20, 40]),
            purchases(Relay::InVain(Outage::Hangs), [11, 22, 20]),
            purchases(Relay::InVain(Outage::Fails), [8, 16, 40]),
        ]);
        let difference = |outage| {
            report.difference(Relay::InVain(outage), Demand::Half, p99).map(|difference| difference.round())
        };
        assert_eq!(difference(Outage::Hangs), Some(10.0));
        assert_eq!(difference(Outage::Fails), Some(-20.0));
        assert_eq!(difference(Outage::Refuses), None);
        assert_eq!(report.largest_difference(Demand::Half, p99).map(f64::round), Some(20.0));
        assert_eq!(report.largest_difference(Demand::Half, rate), Some(0.0));
        assert_eq!(report.slowest_delivery(Demand::Half), Some(40.0));
    }

    #[test]
    fn a_backlog_is_compared_with_the_orders_that_made_it() {
        let events =
            Events { waiting: 3000, drained_in: Some(Duration::from_millis(500)), ..Events::default() };
        let figures = Figures { rate: 4000.0, ..Figures::default() };
        let outcome = Outcome { figures, events: Some(events), ..Outcome::default() };
        let trial = Trial::Backlog { channel: Channel::Kafka, workers: 2 };
        let report = report(vec![(Step::Events { trial, clients: 64 }, outcome)]);
        assert_eq!(report.times_placed(Channel::Kafka, 2), Some(1.5));
        assert_eq!(report.times_placed(Channel::Kafka, 1), None);
        let backlog = ["backlog, 2 workers, Kafka", "4000", "3000", "0.50", "6000", "1.50", "0"];
        assert!(cells(&report.to_string()).iter().any(|row| *row == backlog), "{report}");
    }
}
