//! Tells the gate what became of the claims it let in, many at a time and behind the callers' backs.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use jangteo_domain::CouponCode;
use metrics::counter;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;

use super::door::Door;
use crate::coupon_gate::Settlement;

/// News that wait. What does not fit is found out when its place is overdue.
const QUEUE: usize = 65_536;
/// The most news in one go.
const BATCH: usize = 1024;

/// What the database said.
pub(super) enum News {
    /// Of a claim that was let in.
    Settled(CouponCode, Settlement),
    /// Of a coupon: all were issued.
    SoldOut(CouponCode),
}

pub(super) struct Settler {
    news: std::sync::Mutex<Option<mpsc::Sender<News>>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Settler {
    pub(super) fn start(door: Arc<Door>) -> Self {
        let (news, waiting) = mpsc::channel(QUEUE);
        let task = tokio::spawn(run(door, waiting));
        Self { news: std::sync::Mutex::new(Some(news)), task: Mutex::new(Some(task)) }
    }

    pub(super) fn tell(&self, news: News) {
        let channel = self.news.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let told = channel.as_ref().is_some_and(|channel| channel.try_send(news).is_ok());
        if !told {
            counter!("jangteo_coupon_gate_unsettled_total").increment(1);
        }
    }

    /// Takes no more news, and returns when the gate knows what there was.
    pub(super) async fn drain(&self) {
        drop(self.news.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take());
        if let Some(task) = self.task.lock().await.take() {
            // A panic was logged where it happened.
            drop(task.await);
        }
    }
}

async fn run(door: Arc<Door>, mut waiting: mpsc::Receiver<News>) {
    let mut batch = Vec::with_capacity(BATCH);
    while waiting.recv_many(&mut batch, BATCH).await > 0 {
        let mut settled: BTreeMap<CouponCode, Vec<Settlement>> = BTreeMap::new();
        let mut sold_out = BTreeSet::new();
        for news in batch.drain(..) {
            match news {
                News::Settled(code, settlement) => settled.entry(code).or_default().push(settlement),
                News::SoldOut(code) => drop(sold_out.insert(code)),
            }
        }
        let telling = async {
            for (code, settlements) in settled {
                door.settle(&code, settlements).await;
            }
            for code in sold_out {
                door.learn_whether_it_is_sold_out(&code).await;
            }
        };
        // What a panic leaves untold will be overdue.
        drop(AssertUnwindSafe(telling).catch_unwind().await);
    }
}
