//! The engine without HTTP: the batches of orders that the server makes, over the same database, in this process. What a
//! server with the same customers does less is what HTTP costs.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use jangteo_application::operation::Executor;
use jangteo_application::place_orders::PlaceOrders;
use jangteo_application::{Batcher, BatcherSettings, Clock, Submission, SystemClock};
use jangteo_infra_database::{DatabaseSettings, Store};

use crate::measure::{Answer, Lengths, Tally, Window, on_own_thread};
use crate::scenario::Mix;

/// As the server ships.
const BATCHES: BatcherSettings =
    BatcherSettings { batch_size: 128, queue_length: 8192, lanes: 2, deadline: Duration::from_secs(3) };

/// One for each lane, and one that reserves ids.
const WRITERS: u32 = 3;

/// An engine to measure.
#[derive(Clone, Debug)]
pub(crate) struct Engine {
    /// A seeded database nobody else uses.
    pub(crate) database_url: String,
    /// How orders choose their products.
    pub(crate) mix: Mix,
    /// How many submit orders at the same time, each as soon as the last is decided.
    pub(crate) tasks: usize,
    /// For how long.
    pub(crate) lengths: Lengths,
}

impl Engine {
    /// Places orders until the time is over. The lanes run on this runtime, those who submit on a thread of their own, as
    /// the server's HTTP workers do.
    pub(crate) async fn run(self) -> Result<Tally> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let settings = DatabaseSettings { url: self.database_url, readers: 1, writers: WRITERS };
        let store = Store::connect(&settings, Arc::clone(&clock)).await?;
        let ports = Arc::new(store.clone());
        let executor = Executor::new(PlaceOrders, ports.clone(), ports, clock);
        let batcher = Arc::new(Batcher::start(executor, BATCHES));
        let (counter, mix, tasks) = (Arc::clone(&batcher), self.mix, self.tasks);
        let window = Window::after_warm_up(self.lengths);
        let tally = on_own_thread(move || async move {
            let tally = RefCell::new(Tally::new(window));
            try_join_all((0..tasks).map(|_| keep_submitting(&counter, mix, window, &tally))).await?;
            Ok(tally.into_inner())
        })
        .await?;
        batcher.drain().await;
        store.close().await;
        Ok(tally)
    }
}

async fn keep_submitting(
    counter: &Batcher<PlaceOrders>,
    mix: Mix,
    window: Window,
    tally: &RefCell<Tally>,
) -> Result<()> {
    while !window.is_over() {
        let command = mix.basket().to_request()?;
        let asked = Instant::now();
        let answer = counter.submit(Submission { command, key: None }).await;
        let outcome = answer.context("an order was not decided")?.outcome;
        ensure!(outcome.is_ok(), "an order was refused: {outcome:?}");
        tally.borrow_mut().add(Answer::Good, asked);
    }
    Ok(())
}
