//! The floor: the classic way to place an order. One transaction per order with row locks, straight through the
//! driver with prepared statements - no HTTP, no ORM, no batch. What it writes is what Jangteo writes.

mod charges;
mod mysql;
mod sqlite;
mod statements;
mod till;

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread::available_parallelism;

use anyhow::Result;
use futures::FutureExt;
use futures::future::try_join_all;
use jangteo_domain::OrderId;
use sqlx::{MySql, MySqlConnection, Sqlite};

use crate::measure::{Lengths, Tally, Window, on_own_thread};
use crate::scenario::{Backend, Mix};
pub(crate) use charges::ChargeFloor;
use till::{Dialect, Till};

/// A floor to measure.
#[derive(Clone, Debug)]
pub(crate) struct Floor {
    /// A seeded database nobody else uses.
    pub(crate) database_url: String,
    /// Of which kind.
    pub(crate) backend: Backend,
    /// How orders choose their products.
    pub(crate) mix: Mix,
    /// How many connections place orders at the same time.
    pub(crate) connections: usize,
    /// For how long.
    pub(crate) lengths: Lengths,
}

impl Floor {
    /// Places orders until the time is over, on a thread for each processor: on a single one the floor is a fifth
    /// slower.
    pub(crate) async fn run(self) -> Result<Tally> {
        let window = Window::after_warm_up(self.lengths);
        let last_id = Arc::new(AtomicI64::new(0));
        let threads = available_parallelism()?.get().min(self.connections);
        let shares = (0..threads).map(|thread| {
            let sales = Sales {
                mix: self.mix,
                window,
                last_id: Arc::clone(&last_id),
                tally: Tally::new(window).into(),
            };
            let share = Self { connections: share_of(self.connections, thread, threads), ..self.clone() };
            on_own_thread(move || share.keep_selling(sales))
        });
        let tallies = try_join_all(shares).await?;
        Ok(tallies.into_iter().fold(Tally::new(window), Tally::and))
    }

    async fn keep_selling(self, sales: Sales) -> Result<Tally> {
        let url = &self.database_url;
        let tills = (0..self.connections).map(|_| match self.backend {
            Backend::Mysql => Till::<MySql>::keep_selling(url, &sales).boxed_local(),
            Backend::Sqlite => Till::<Sqlite>::keep_selling(url, &sales).boxed_local(),
        });
        try_join_all(tills).await?;
        Ok(sales.tally.into_inner())
    }
}

/// A connection that places orders or claims coupons.
pub(crate) async fn connect_mysql(url: &str) -> sqlx::Result<MySqlConnection> {
    <MySql as Dialect>::connect(url).await
}

/// How many of all the connections a thread has.
pub(crate) fn share_of(connections: usize, thread: usize, threads: usize) -> usize {
    connections / threads + usize::from(thread < connections % threads)
}

/// What the connections of a thread share.
struct Sales {
    mix: Mix,
    window: Window,
    last_id: Arc<AtomicI64>,
    tally: RefCell<Tally>,
}

impl Sales {
    /// From a counter in memory: handing out ids must not slow the floor.
    fn next_id(&self) -> OrderId {
        OrderId(self.last_id.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_share_all_connections() {
        assert_eq!([0, 1, 2].map(|thread| share_of(16, thread, 3)), [6, 5, 5]);
        assert_eq!(share_of(1, 0, 1), 1);
    }
}
