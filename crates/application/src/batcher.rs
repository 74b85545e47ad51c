//! Group commit: commands that arrive together share a transaction.
//!
//! Commands wait in a bounded queue. A lane takes whatever has queued - at rest a batch is one command, and only where
//! many came together lately it waits up to two milliseconds for as many -, has it executed, commits once and answers
//! each caller. Lanes execute in turn, and one lets the next go on before it commits, so that one batch is loaded while
//! the last becomes durable. More parallelism than that only makes batches wait for each other's row locks. What has to
//! be tried again waits for no turn.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::join_all;
use jangteo_domain::RepositoryError;
use metrics::{counter, gauge, histogram};
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use crate::operation::{Executor, Operation, Reply, Submission, WriteError};
use crate::unit_of_work::UnitOfWork;

/// How much a batcher takes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatcherSettings {
    /// The most commands in one transaction.
    pub batch_size: usize,
    /// The most commands that wait; one more is refused at once.
    pub queue_length: usize,
    /// How many batches are under way: one executes while the others commit.
    pub lanes: usize,
    /// How long a command may wait before it is refused unexecuted.
    pub deadline: Duration,
}

/// From so many on it is worth waiting for a crowd to come again, and for how long at most.
const CROWD: usize = 8;
const PATIENCE: Duration = Duration::from_millis(2);
/// The runtime's timers are no finer.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);
/// How often a batch is tried before its callers are told that the database failed.
const ATTEMPTS: u32 = 8;
/// The longest pause before the second attempt; it doubles with every further one.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// Runs the commands of one operation in batches.
pub struct Batcher<O: Operation> {
    queue: mpsc::Sender<Waiting<O>>,
    deadline: Duration,
    closing: watch::Sender<bool>,
    lanes: Mutex<Vec<JoinHandle<()>>>,
}

struct Waiting<O: Operation> {
    submission: Submission<O::Command>,
    deadline: Instant,
    caller: oneshot::Sender<Reply<O>>,
}

impl<O: Operation> Batcher<O> {
    /// Starts the lanes on the current Tokio runtime.
    #[must_use]
    pub fn start(executor: Executor<O>, settings: BatcherSettings) -> Self {
        let (queue, waiting) = mpsc::channel(settings.queue_length.max(1));
        let (closing, closed) = watch::channel(false);
        let line = Arc::new(Mutex::new(Line {
            waiting,
            closed,
            batch_size: settings.batch_size.max(1),
            crowd: 0,
            took: Duration::ZERO,
        }));
        let executor = Arc::new(executor);
        let lanes = (0..settings.lanes.max(1))
            .map(|_| tokio::spawn(Lane { executor: Arc::clone(&executor), line: Arc::clone(&line) }.run()))
            .collect();
        Self { queue, deadline: settings.deadline, closing, lanes: Mutex::new(lanes) }
    }

    /// Has a command decided, together with whatever else is waiting. Dropping the future does not withdraw it.
    ///
    /// # Errors
    /// [`WriteError`] when the command was not decided, or it is not known whether it was.
    pub async fn submit(&self, submission: Submission<O::Command>) -> Reply<O> {
        let (caller, reply) = oneshot::channel();
        let waiting = Waiting { submission, deadline: Instant::now() + self.deadline, caller };
        self.queue.try_send(waiting).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => {
                counter!("jangteo_batch_overloads_total", "operation" => O::NAME).increment(1);
                WriteError::Overloaded
            }
            mpsc::error::TrySendError::Closed(_) => WriteError::ShuttingDown,
        })?;
        reply.await.unwrap_or(Err(WriteError::ShuttingDown))
    }

    /// Refuses new commands, finishes those that wait, and returns when the last caller is answered.
    pub async fn drain(&self) {
        self.closing.send_replace(true);
        join_all(self.lanes.lock().await.drain(..)).await;
    }
}

/// The queue as the lane at its head sees it.
struct Line<O: Operation> {
    waiting: mpsc::Receiver<Waiting<O>>,
    closed: watch::Receiver<bool>,
    batch_size: usize,
    /// How many came together lately.
    crowd: usize,
    /// How long the last batch was executed.
    took: Duration,
}

impl<O: Operation> Line<O> {
    /// Whatever has queued, once something has; nothing when the queue is closed and empty.
    async fn next_batch(&mut self) -> Vec<Waiting<O>> {
        let mut batch = Vec::with_capacity(self.batch_size);
        loop {
            tokio::select! {
                biased;
                _ = self.closed.wait_for(|closed| *closed), if !self.waiting.is_closed() => self.waiting.close(),
                _ = self.waiting.recv_many(&mut batch, self.batch_size) => break,
            }
        }
        self.gather(&mut batch).await;
        gauge!("jangteo_batch_queue_length", "operation" => O::NAME).set(self.waiting.len() as f64);
        batch
    }

    /// Waits a moment for a crowd. Those who are answered together ask again together, and the first of them would be
    /// taken alone: a batch for one costs the database as much as ten orders more in a large one, and the others
    /// would wait for it. Where batches are quick, nothing would be gained.
    async fn gather(&mut self, batch: &mut Vec<Waiting<O>>) {
        let patience = PATIENCE.min(self.took / 2);
        let until = Instant::now() + patience;
        let worthwhile = self.crowd >= CROWD && patience >= SHORTEST_WAIT;
        while worthwhile && batch.len() < self.crowd {
            let room = self.batch_size - batch.len();
            match timeout_at(until, self.waiting.recv_many(batch, room)).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => break,
            }
        }
        self.crowd = batch.len().max(self.crowd / 2);
    }
}

struct Lane<O: Operation> {
    executor: Arc<Executor<O>>,
    line: Arc<Mutex<Line<O>>>,
}

/// A batch that is executed and not yet committed.
type Executed<O> = (Vec<Reply<O>>, Box<dyn UnitOfWork>);

impl<O: Operation> Lane<O> {
    async fn run(self) {
        loop {
            let mut line = self.line.lock().await;
            let batch = line.next_batch().await;
            if batch.is_empty() {
                return;
            }
            histogram!("jangteo_batch_size", "operation" => O::NAME).record(batch.len() as f64);
            let started = Instant::now();
            let batch = refuse_late(batch);
            let executed = self.execute(&batch).await;
            line.took = started.elapsed();
            drop(line);
            self.finish(batch, executed).await;
            histogram!("jangteo_batch_seconds", "operation" => O::NAME)
                .record(started.elapsed().as_secs_f64());
        }
    }

    /// A panic is this batch's failure, not the end of the lane.
    async fn execute(&self, batch: &[Waiting<O>]) -> Result<Option<Executed<O>>, RepositoryError> {
        if batch.is_empty() {
            return Ok(None);
        }
        let submissions: Vec<_> = batch.iter().map(|waiting| &waiting.submission).collect();
        let executing = AssertUnwindSafe(self.executor.execute(&submissions)).catch_unwind();
        executing
            .await
            .unwrap_or_else(|_| Err(RepositoryError::Backend("deciding a batch panicked".into())))
            .map(Some)
    }

    /// Commits and answers; tries again what can be tried again.
    async fn finish(
        &self,
        mut batch: Vec<Waiting<O>>,
        mut executed: Result<Option<Executed<O>>, RepositoryError>,
    ) {
        for attempt in 1.. {
            let error = match executed {
                Ok(None) => return,
                Ok(Some((replies, uow))) => match uow.commit().await {
                    Ok(()) => return answer(batch, replies),
                    // Only a failure that surely wrote nothing may be tried again.
                    Err(error @ RepositoryError::Backend(_)) => {
                        return fail(batch, error, WriteError::Unknown);
                    }
                    Err(error @ (RepositoryError::Transient(_) | RepositoryError::Conflict(_))) => error,
                },
                Err(error) => error,
            };
            counter!("jangteo_batch_retries_total", "operation" => O::NAME).increment(1);
            let alone = batch.len() == 1;
            match error {
                // One command may be what the database will not take: its neighbours must not suffer.
                RepositoryError::Conflict(_) | RepositoryError::Backend(_) if !alone => {
                    for waiting in batch {
                        let batch = refuse_late(vec![waiting]);
                        let executed = self.execute(&batch).await;
                        Box::pin(self.finish(batch, executed)).await;
                    }
                    return;
                }
                RepositoryError::Transient(_) | RepositoryError::Conflict(_) if attempt < ATTEMPTS => {
                    tokio::time::sleep(pause(attempt)).await;
                }
                error => return fail(batch, error, WriteError::Failed),
            }
            batch = refuse_late(batch);
            executed = self.execute(&batch).await;
        }
    }
}

/// Exponential with full jitter.
fn pause(attempt: u32) -> Duration {
    let longest = FIRST_PAUSE * 2_u32.pow(attempt.min(6) - 1);
    longest.mul_f64(rand::random::<f64>())
}

fn refuse_late<O: Operation>(batch: Vec<Waiting<O>>) -> Vec<Waiting<O>> {
    let now = Instant::now();
    let (late, in_time): (Vec<_>, Vec<_>) = batch.into_iter().partition(|waiting| waiting.deadline <= now);
    counter!("jangteo_batch_late_total", "operation" => O::NAME).increment(late.len() as u64);
    for waiting in late {
        reply(waiting, Err(WriteError::DeadlinePassed));
    }
    in_time
}

fn answer<O: Operation>(batch: Vec<Waiting<O>>, replies: Vec<Reply<O>>) {
    for (waiting, decided) in batch.into_iter().zip(replies) {
        reply(waiting, decided);
    }
}

/// One failure, told to every caller and logged once.
fn fail<O: Operation>(
    batch: Vec<Waiting<O>>,
    error: RepositoryError,
    kind: fn(Arc<RepositoryError>) -> WriteError,
) {
    tracing::error!(operation = O::NAME, commands = batch.len(), cause = ?error, "a batch failed");
    let error = Arc::new(error);
    for waiting in batch {
        reply(waiting, Err(kind(Arc::clone(&error))));
    }
}

/// A caller that went away gets its answer by asking again with its key.
fn reply<O: Operation>(waiting: Waiting<O>, decided: Reply<O>) {
    drop(waiting.caller.send(decided));
}

#[cfg(test)]
mod tests;
