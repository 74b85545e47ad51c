//! Customers on their way through the shop: what they ask for, a request after the other, each of them measured and the
//! way as a whole. The same customers visit the shop of the benchmark and any other.

use std::cell::RefCell;
use std::time::Instant;

use anyhow::Result;
use futures::future::try_join_all;
use tokio::sync::Mutex;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::load::{Pace, arrivals};
use crate::measure::{Lengths, Window};

mod errand;
mod kind;
mod logbook;
mod shop;
mod site;
mod visitor;

pub(crate) use errand::Scenario;
pub(crate) use kind::{Kind, Verdict};
pub(crate) use logbook::{Breakdown, Logbook, Row};
pub(crate) use shop::{Credentials, Customer, Item, Shop};
pub(crate) use site::{Place, Site};
use visitor::Visitor;

/// How a shop is visited.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Visit {
    /// What for.
    pub(crate) scenario: Scenario,
    /// By how many at the same time, each with a connection.
    pub(crate) clients: usize,
    /// How often.
    pub(crate) pace: Pace,
    /// For how long.
    pub(crate) lengths: Lengths,
}

impl Visit {
    /// Until the time is over and everybody has finished what they had begun.
    pub(crate) async fn run(self, shop: &Shop) -> Result<Logbook> {
        let window = Window::after_warm_up(self.lengths);
        let log = RefCell::new(Logbook::new(window, self.pace));
        match self.pace {
            Pace::Unbounded => {
                try_join_all((0..self.clients).map(|_| self.keep_visiting(shop, window, &log))).await?;
            }
            Pace::PerSecond(rate) => {
                let arrivals = Mutex::new(arrivals(rate, window)?);
                try_join_all((0..self.clients).map(|_| self.visit_on_time(shop, &arrivals, &log))).await?;
            }
        }
        Ok(log.into_inner())
    }

    async fn keep_visiting(self, shop: &Shop, window: Window, log: &RefCell<Logbook>) -> Result<()> {
        let mut visitor = Visitor::arrive(shop, log).await?;
        while !window.is_over() {
            visitor.run(self.scenario.errand(shop.coupon.is_some()), Instant::now()).await?;
        }
        Ok(())
    }

    async fn visit_on_time(
        self,
        shop: &Shop,
        arrivals: &Mutex<UnboundedReceiver<Instant>>,
        log: &RefCell<Logbook>,
    ) -> Result<()> {
        let mut visitor = Visitor::arrive(shop, log).await?;
        // As in `load`: those without anything to do wait in line for the one that waits for the next arrival.
        while let Some(due) = { arrivals.lock().await.recv().await } {
            visitor.run(self.scenario.errand(shop.coupon.is_some()), due).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
