//! Keeps an eye on what is not delivered.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use metrics::gauge;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::outbox::EventStatus;
use crate::outbox_queries::{Backlog, OutboxQueries};

/// Looks at the backlog now and then, so that nobody who asks has to: it tells the metrics, and remembers.
pub struct OutboxWatch {
    latest: watch::Receiver<Option<Backlog>>,
    watching: JoinHandle<()>,
}

impl OutboxWatch {
    /// Begins on the current Tokio runtime.
    #[must_use]
    pub fn start(outbox: Arc<dyn OutboxQueries>, clock: Arc<dyn Clock>, every: Duration) -> Self {
        let (tell, latest) = watch::channel(None);
        let watching = tokio::spawn(async move {
            loop {
                match outbox.backlog().await {
                    Ok(backlog) => {
                        measure(&backlog, clock.as_ref());
                        tell.send_replace(Some(backlog));
                    }
                    // The relay says at each of its rounds when the database is away.
                    Err(error) => tracing::debug!(cause = ?error, "the outbox could not be looked at"),
                }
                tokio::time::sleep(every).await;
            }
        });
        Self { latest, watching }
    }

    /// Looks no more.
    pub fn stop(&self) {
        self.watching.abort();
    }

    /// What it saw last; nothing before it has looked.
    #[must_use]
    pub fn latest(&self) -> Option<Backlog> {
        *self.latest.borrow()
    }
}

impl Drop for OutboxWatch {
    fn drop(&mut self) {
        self.stop();
    }
}

fn measure(backlog: &Backlog, clock: &dyn Clock) {
    let counts = [
        (EventStatus::Pending, backlog.pending),
        (EventStatus::Failed, backlog.failed),
        (EventStatus::Dead, backlog.dead),
    ];
    for (status, events) in counts {
        gauge!("jangteo_outbox_events", "status" => status.name()).set(events as f64);
    }
    gauge!("jangteo_outbox_oldest_seconds").set(age(backlog, clock).as_secs_f64());
}

/// How long ago the oldest event happened that is neither sent nor given up; nothing when there is none.
#[must_use]
pub fn age(backlog: &Backlog, clock: &dyn Clock) -> Duration {
    let age = backlog.oldest.map_or(TimeDelta::zero(), |oldest| clock.now() - oldest);
    age.to_std().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use chrono::DateTime;

    use super::*;
    use crate::mocks::{Stopped, transient};
    use crate::outbox_queries::MockOutboxQueries;

    #[tokio::test]
    async fn what_was_seen_last_is_remembered_while_the_database_is_away() {
        let looks = Arc::new(AtomicUsize::new(0));
        let (counted, seen) = (Arc::clone(&looks), Backlog { pending: 3, ..Backlog::default() });
        let mut outbox = MockOutboxQueries::new();
        outbox.expect_backlog().returning(move || match counted.fetch_add(1, Ordering::SeqCst) {
            1 => Ok(seen),
            _ => Err(transient()),
        });
        let watch = OutboxWatch::start(Arc::new(outbox), Arc::new(Stopped), Duration::from_millis(1));
        assert_eq!(watch.latest(), None);
        let looked = async {
            while looks.load(Ordering::SeqCst) < 4 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), looked).await.expect("it looks again");
        assert_eq!(watch.latest(), Some(seen));
    }

    #[test]
    fn the_age_is_that_of_the_oldest_and_never_negative() {
        let at = |seconds| Some(DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds));
        let aged = |oldest| age(&Backlog { oldest, ..Backlog::default() }, &Stopped);
        assert_eq!(
            (aged(at(-90)), aged(at(5)), aged(None)),
            (Duration::from_secs(90), Duration::ZERO, Duration::ZERO)
        );
    }
}
