//! What a drive found, as tables.

use std::collections::BTreeMap;
use std::fmt;

use super::clerk::{LIMITED, unauthorized};
use super::{Course, Drive, Driven};
use crate::load::Pace;
use crate::machine;
use crate::measure::Answer;
use crate::report::journeys::write_breakdowns;

const UNAUTHORIZED: Answer = Answer::Status(401);
const TOO_MANY: Answer = Answer::Status(429);

impl fmt::Display for Driven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_circumstances(f)?;
        let named: Vec<_> =
            self.courses.iter().map(|(scenario, course)| (scenario.to_string(), &course.breakdown)).collect();
        write_breakdowns(f, named.iter().map(|(name, breakdown)| (name.as_str(), *breakdown)))?;
        self.write_sold_out(f)?;
        self.write_costs(f)?;
        self.write_bad_answers(f)?;
        writeln!(f, "\n{}", self.audit)
    }
}

impl Driven {
    fn write_circumstances(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Drive { place, customers, clients, pace, lengths, rounds, .. } = &self.drive;
        let pace = match pace {
            Pace::Unbounded => "each asks as soon as it has its answer (closed loop)".to_owned(),
            Pace::PerSecond(rate) => {
                format!("{rate} requests or journeys a second between them, at fixed moments (open loop)")
            }
        };
        let (measured, warm_up) = (lengths.measured.as_secs(), lengths.warm_up.as_secs());
        writeln!(f, "- deployment: {place}")?;
        writeln!(f, "- {customers} customers registered for this, buying {} products", self.products)?;
        writeln!(f, "- {clients} clients: {pace}")?;
        writeln!(f, "- {measured} s measured after {warm_up} s of warm-up, rounds: {rounds}")?;
        writeln!(f, "- the load is made on: {}\n", machine::describe())
    }

    /// Orders of what is sold out are quick, and no measure of orders.
    fn write_sold_out(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if 2 * self.left > self.products {
            return Ok(());
        }
        writeln!(
            f,
            "\nMost of the products sold out, so that many orders were refused and cost the deployment little. For figures \
             about orders, have more in stock: `jangteo seed --products 200 --stock 1000000` on a new database."
        )
    }

    fn write_costs(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nWhat the load itself costs, all of it on one thread:\n")?;
        writeln!(f, "| scenario | cores | µs of them for each request |\n|---|---:|---:|")?;
        for (scenario, course) in &self.courses {
            let Course { load: Some(load), cost: Some(cost), .. } = course else { continue };
            writeln!(f, "| {scenario} | {load:.2} | {:.1} |", cost.as_secs_f64() * 1e6)?;
        }
        let busiest = self.courses.iter().filter_map(|(_, course)| course.load).fold(0.0, f64::max);
        if busiest > NEARLY_A_CORE {
            writeln!(f, "\nThe thread was busy all the time: the deployment may be able to do more.")?;
        }
        Ok(())
    }

    fn write_bad_answers(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bad = self.bad_answers();
        if bad.is_empty() {
            return writeln!(f, "\nEvery request got an answer that was to be expected.");
        }
        writeln!(f, "\nThese answers were not to be expected:\n")?;
        for (scenario, course) in &self.courses {
            for (answer, count) in &course.figures.bad {
                writeln!(f, "- {scenario}: {count} x {answer}")?;
            }
        }
        for (answer, advice) in [(UNAUTHORIZED, unauthorized(&self.drive.credentials)), (TOO_MANY, LIMITED)] {
            if bad.contains_key(&answer) {
                writeln!(f, "\nAdvice: {advice}.")?;
            }
        }
        Ok(())
    }

    fn bad_answers(&self) -> BTreeMap<Answer, u64> {
        let mut all = BTreeMap::new();
        for (answer, count) in self.courses.iter().flat_map(|(_, course)| &course.figures.bad) {
            *all.entry(*answer).or_default() += count;
        }
        all
    }
}

/// From which share of a processor on the one thread that makes the load may be what limits it.
const NEARLY_A_CORE: f64 = 0.9;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::audit::Audit;
    use super::*;
    use crate::journeys::{Breakdown, Credentials, Row, Scenario};
    use crate::measure::{Figures, Lengths};

    fn driven(bad: BTreeMap<Answer, u64>, audit: Audit) -> Driven {
        let drive = Drive {
            place: "http://127.0.0.1:8080".parse().unwrap(),
            scenarios: vec![Scenario::Browse],
            customers: 200,
            coupon: None,
            credentials: Credentials::Believed,
            clients: 64,
            pace: Pace::PerSecond(50.0),
            lengths: Lengths { warm_up: Duration::from_secs(3), measured: Duration::from_secs(10) },
            rounds: 1,
        };
        let figures = Figures { rate: 50.0, bad, ..Figures::default() };
        let all = Row { what: "all requests".to_owned(), figures: figures.clone(), refused: 0 };
        let breakdown = Breakdown { all, answered: 500, ..Breakdown::default() };
        let cost = Some(Duration::from_micros(20));
        let course = Course { figures, breakdown, load: Some(0.95), cost };
        Driven { drive, products: 20, left: 20, courses: vec![(Scenario::Browse, course)], audit }
    }

    #[test]
    fn a_report_says_how_it_went_and_what_it_cost() {
        let report = driven(BTreeMap::new(), Audit::Clean(30)).to_string();
        for part in [
            "- deployment: http://127.0.0.1:8080",
            "50 requests or journeys a second between them",
            "| browse | all requests | 50.0 |",
            "| browse | 0.95 | 20.0 |",
            "The thread was busy all the time",
            "Every request got an answer that was to be expected.",
            "all 30 rules hold",
        ] {
            assert!(report.contains(part), "{part} is not in\n{report}");
        }
    }

    #[test]
    fn what_sold_out_is_said() {
        let mut driven = driven(BTreeMap::new(), Audit::Clean(30));
        assert!(!driven.to_string().contains("sold out"));
        driven.left = 1;
        assert!(driven.to_string().contains("Most of the products sold out"));
    }

    #[test]
    fn who_is_limited_or_not_believed_is_told_what_to_do() {
        let bad = [(UNAUTHORIZED, 3), (TOO_MANY, 4)].into();
        let report = driven(bad, Audit::Unknown("so".to_owned())).to_string();
        for part in ["- browse: 4 x status 429", "JANGTEO_RATE_LIMIT", "--token-secret", "is not known"] {
            assert!(report.contains(part), "{part} is not in\n{report}");
        }
    }
}
