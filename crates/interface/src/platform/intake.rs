//! The way in: what arrives at the same time is kept together.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::archive::{Archive, Arrivals};
use super::event::Event;
use super::ledger::Ledger;

/// Deliveries that wait. Whoever comes then waits outside.
const QUEUE: usize = 4096;
/// Deliveries that are kept together at most.
const GROUP: usize = 1024;

/// The accounts, which are read at any time.
#[derive(Clone)]
pub(super) struct Accounts(Arc<Mutex<Ledger>>);

impl Accounts {
    pub(super) fn new(ledger: Ledger) -> Self {
        Self(Arc::new(Mutex::new(ledger)))
    }

    pub(super) fn read(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What became of events that were delivered together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Receipt {
    pub(super) received: usize,
    pub(super) duplicates: usize,
}

/// The events could not be kept; the log says why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the events could not be kept")]
pub(super) struct NotKept;

struct Delivery {
    received_at: DateTime<Utc>,
    events: Vec<Event>,
    receipt: Waiting,
}

/// Who waits to hear what became of a delivery.
type Waiting = oneshot::Sender<Result<Receipt, NotKept>>;

/// Takes events in.
#[derive(Clone)]
pub(super) struct Intake(mpsc::Sender<Delivery>);

impl Intake {
    /// Starts to keep what is taken in.
    pub(super) fn open(archive: Arc<Archive>, accounts: Accounts) -> (Self, Clerk) {
        let (deliveries, queue) = mpsc::channel(QUEUE);
        let (closing, closed) = oneshot::channel();
        let bookkeeping = Bookkeeping { archive, accounts };
        (Self(deliveries), Clerk { closing, working: tokio::spawn(bookkeeping.work(queue, closed)) })
    }

    /// Returns when the events are kept.
    pub(super) async fn take(
        &self,
        events: Vec<Event>,
        received_at: DateTime<Utc>,
    ) -> Result<Receipt, NotKept> {
        let (receipt, received) = oneshot::channel();
        self.0.send(Delivery { received_at, events, receipt }).await.map_err(|_| NotKept)?;
        received.await.map_err(|_| NotKept)?
    }
}

/// Whoever keeps what is taken in.
pub(super) struct Clerk {
    closing: oneshot::Sender<()>,
    working: JoinHandle<()>,
}

impl Clerk {
    /// Takes nothing more in, and returns when everything is kept.
    pub(super) async fn finish(self) {
        drop(self.closing);
        drop(self.working.await);
    }
}

struct Bookkeeping {
    archive: Arc<Archive>,
    accounts: Accounts,
}

impl Bookkeeping {
    async fn work(self, mut queue: mpsc::Receiver<Delivery>, mut closed: oneshot::Receiver<()>) {
        let mut group = Vec::with_capacity(GROUP);
        loop {
            tokio::select! {
                biased;
                _ = &mut closed, if !queue.is_closed() => queue.close(),
                taken = queue.recv_many(&mut group, GROUP) => {
                    if taken == 0 {
                        return;
                    }
                    self.gather(&mut queue, &mut group).await;
                    self.keep(std::mem::take(&mut group)).await;
                }
            }
        }
    }

    async fn gather(&self, queue: &mut mpsc::Receiver<Delivery>, group: &mut Vec<Delivery>) {
        let Some(pause) = self.archive.gathering() else { return };
        tokio::time::sleep(pause).await;
        while group.len() < GROUP
            && let Ok(delivery) = queue.try_recv()
        {
            group.push(delivery);
        }
    }

    async fn keep(&self, group: Vec<Delivery>) {
        let (arrivals, receipts) = self.sort(group);
        let kept = self.archive.keep(&arrivals).await;
        match &kept {
            Ok(()) => self.enter(&arrivals),
            Err(error) => tracing::error!(%error, "events could not be kept"),
        }
        for (receipt, counted) in receipts {
            // Who left will come again with the same events.
            let _ = receipt.send(kept.as_ref().map(|()| counted).map_err(|_| NotKept));
        }
    }

    /// Nothing is entered yet, so what came twice in the group itself is found here.
    fn sort(&self, group: Vec<Delivery>) -> (Arrivals, Vec<(Waiting, Receipt)>) {
        let ledger = self.accounts.read();
        let mut arrivals = Arrivals::default();
        let mut fresh = HashSet::new();
        let mut receipts = Vec::with_capacity(group.len());
        for Delivery { received_at, events, receipt } in group {
            let mut counted = Receipt { received: events.len(), duplicates: 0 };
            for event in events {
                if ledger.knows(&event) || !fresh.insert((event.source.clone(), event.id.clone())) {
                    counted.duplicates += 1;
                    arrivals.duplicates.push((received_at, event));
                } else {
                    arrivals.new.push((received_at, event));
                }
            }
            receipts.push((receipt, counted));
        }
        (arrivals, receipts)
    }

    fn enter(&self, arrivals: &Arrivals) {
        let mut ledger = self.accounts.read();
        ledger.count_duplicates(arrivals.duplicates.len() as u64);
        for (received_at, event) in &arrivals.new {
            ledger.enter(event, *received_at);
        }
    }
}
