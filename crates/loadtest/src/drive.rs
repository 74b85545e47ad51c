//! Load on a deployment that somebody else runs: customers of its own come by the API, visit the shop in every way that
//! was asked for, and in the end the shop is asked whether its books balance.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::journeys::{Breakdown, Credentials, Place, Scenario, Shop, Visit};
use crate::load::Pace;
use crate::machine::CpuTime;
use crate::measure::{Figures, Lengths, median_by, on_own_thread};

mod audit;
mod clerk;
mod options;
mod report;
mod setup;
mod stampede;

use audit::Audit;
use clerk::Clerk;
pub(crate) use options::Options;

/// A load to put on a deployment.
#[derive(Clone, Debug)]
pub(crate) struct Drive {
    /// Where it is.
    pub(crate) place: Place,
    /// In which ways it is visited.
    pub(crate) scenarios: Vec<Scenario>,
    /// How many customers to register.
    pub(crate) customers: usize,
    /// What can be claimed.
    pub(crate) coupon: Option<String>,
    /// How it is told who asks.
    pub(crate) credentials: Credentials,
    /// How many ask at the same time.
    pub(crate) clients: usize,
    /// How often.
    pub(crate) pace: Pace,
    /// For how long.
    pub(crate) lengths: Lengths,
    /// How often each.
    pub(crate) rounds: usize,
}

/// What came of it.
pub(crate) struct Driven {
    drive: Drive,
    /// How many different products were bought.
    products: usize,
    /// How many of them were not sold out in the end.
    left: usize,
    courses: Vec<(Scenario, Course)>,
    audit: Audit,
}

/// What came of one scenario.
#[derive(Clone, Debug, Default)]
struct Course {
    figures: Figures,
    breakdown: Breakdown,
    /// Processors in use by this program; Linux only.
    load: Option<f64>,
    /// Of that, for each request.
    cost: Option<Duration>,
}

impl Drive {
    /// Everything, on a thread of its own.
    pub(crate) async fn run(self) -> Result<Driven> {
        on_own_thread(move || self.go()).await
    }

    async fn go(self) -> Result<Driven> {
        let site = self.place.resolve().await?;
        let mut clerk = Clerk::arrive(&site, &self.credentials)
            .await
            .with_context(|| format!("nobody answers at {}: is the server running there?", self.place))?;
        let offered = setup::find_products(&mut clerk).await?;
        if let Some(coupon) = &self.coupon {
            setup::check_coupon(&mut clerk, coupon).await?;
        }
        eprintln!("Registering {} customers", self.customers);
        let (customers, purse) = setup::register(&site, &self.credentials, self.customers).await?;
        let items = setup::affordable(offered, purse)?;
        let products = items.len();
        let shop = Shop::new(site.clone(), items, customers, purse, self.coupon.clone())?;
        let courses = self.visit(&shop).await?;
        eprintln!("Asking for the audit");
        let audit = Audit::of(&site, &self.credentials).await;
        Ok(Driven { drive: self, products, left: shop.items_left(), courses, audit })
    }

    /// Round by round, as the benchmark does.
    async fn visit(&self, shop: &Shop) -> Result<Vec<(Scenario, Course)>> {
        let mut runs: Vec<Vec<Course>> = vec![Vec::new(); self.scenarios.len()];
        for round in 1..=self.rounds {
            for (number, scenario) in self.scenarios.iter().enumerate() {
                // Everybody has had their chance.
                if *scenario == Scenario::Stampede && round > 1 {
                    continue;
                }
                let (step, steps) = (number + 1, self.scenarios.len());
                eprint!("[{step}/{steps} round {round}/{}] {scenario}: ", self.rounds);
                let course = self.measure(*scenario, shop).await.with_context(|| scenario.to_string())?;
                let Figures { rate, p99, .. } = &course.figures;
                eprintln!("{rate:.0}/s, p99 {:.1} ms", p99.as_secs_f64() * 1e3);
                runs[number].push(course);
            }
        }
        let medians =
            self.scenarios.iter().zip(runs).filter_map(|(scenario, runs)| Some((*scenario, median(runs)?)));
        Ok(medians.collect())
    }

    async fn measure(&self, scenario: Scenario, shop: &Shop) -> Result<Course> {
        let (before, began) = (CpuTime::now(), Instant::now());
        let (figures, breakdown) = match scenario {
            Scenario::Stampede => stampede::run(shop, self.clients).await?,
            _ => {
                let Self { clients, pace, lengths, .. } = *self;
                let log = Visit { scenario, clients, pace, lengths }.run(shop).await?;
                (log.figures(scenario), log.breakdown())
            }
        };
        let load = CpuTime::busy_since(before).map(|busy| busy.load);
        let cost = load.filter(|_| breakdown.answered > 0);
        let cost = cost.map(|load| began.elapsed().mul_f64(load / breakdown.answered as f64));
        Ok(Course { figures, breakdown, load, cost })
    }
}

impl Driven {
    /// Whether the books of the shop are known to be wrong.
    pub(crate) fn found_violations(&self) -> bool {
        matches!(self.audit, Audit::Violations(_))
    }
}

/// The run in the middle, with the bad answers of all.
fn median(runs: Vec<Course>) -> Option<Course> {
    let mut bad = std::collections::BTreeMap::new();
    for (&answer, &count) in runs.iter().flat_map(|run| &run.figures.bad) {
        *bad.entry(answer).or_default() += count;
    }
    let mut median = median_by(runs, |run| run.figures.rate)?;
    median.figures.bad = bad;
    Some(median)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Answer;

    #[test]
    fn the_median_course_answers_for_the_bad_answers_of_all() {
        let course = |rate, lost| {
            let bad = [(Answer::Lost, lost)].into();
            Course { figures: Figures { rate, bad, ..Figures::default() }, ..Course::default() }
        };
        let median = median(vec![course(3.0, 1), course(1.0, 2), course(2.0, 4)]).unwrap();
        assert_eq!((median.figures.rate, median.figures.bad[&Answer::Lost]), (2.0, 7));
    }
}
