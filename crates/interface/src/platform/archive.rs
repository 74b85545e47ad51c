//! Where events are kept as they came.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::event::Event;
use super::ledger::Ledger;
use file::File;

mod file;

/// Events in memory or in a file.
pub(super) enum Archive {
    Memory(Memory),
    File(File),
}

/// An event of an order, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) received_at: DateTime<Utc>,
    pub(super) json: Arc<str>,
}

/// What came together, when it came, and what of it is new.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    pub(super) new: Vec<(DateTime<Utc>, Event)>,
    pub(super) duplicates: Vec<(DateTime<Utc>, Event)>,
}

impl Archive {
    /// Opens the file, which is made when there is none, and enters what is in it.
    pub(super) async fn open(file: Option<&Path>, ledger: &mut Ledger) -> anyhow::Result<Self> {
        Ok(match file {
            Some(path) => Self::File(File::open(path, ledger).await?),
            None => Self::Memory(Memory::default()),
        })
    }

    /// How long to wait for more before it is written: a transaction costs the same for one and for a hundred.
    pub(super) fn gathering(&self) -> Option<Duration> {
        match self {
            Self::Memory(_) => None,
            Self::File(_) => Some(Duration::from_millis(1)),
        }
    }

    /// Keeps all of it or nothing. Of duplicates a file notes that they came, for the count of them.
    pub(super) async fn keep(&self, arrivals: &Arrivals) -> Result<(), sqlx::Error> {
        match self {
            Self::Memory(memory) => {
                memory.keep(&arrivals.new);
                Ok(())
            }
            Self::File(file) => file.keep(arrivals).await,
        }
    }

    /// The events of a subject in the order of arrival.
    pub(super) async fn about(&self, subject: &str) -> Result<Vec<Kept>, sqlx::Error> {
        match self {
            Self::Memory(memory) => Ok(memory.events().get(subject).cloned().unwrap_or_default()),
            Self::File(file) => file.about(subject).await,
        }
    }

    pub(super) async fn close(&self) {
        match self {
            Self::Memory(_) => {}
            Self::File(file) => file.close().await,
        }
    }
}

/// By subject; who has none is not asked for.
#[derive(Default)]
pub(super) struct Memory(Mutex<HashMap<Arc<str>, Vec<Kept>>>);

impl Memory {
    fn keep(&self, arrivals: &[(DateTime<Utc>, Event)]) {
        let mut events = self.events();
        for (received_at, event) in arrivals {
            if let Some(subject) = &event.subject {
                let kept = Kept { received_at: *received_at, json: event.json.clone() };
                events.entry(subject.clone()).or_default().push(kept);
            }
        }
    }

    fn events(&self) -> MutexGuard<'_, HashMap<Arc<str>, Vec<Kept>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
