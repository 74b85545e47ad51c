//! What librdkafka says of itself.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;

/// While the brokers are away, librdkafka tells of every attempt to connect.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// The last trouble that a client had, which says more than that a message came to nothing.
#[derive(Debug, Default)]
pub(super) struct Troubles(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: Option<(Instant, String)>,
    told: Option<Instant>,
}

impl Troubles {
    /// What happened since then, if anything did.
    pub(super) fn since(&self, moment: Instant) -> Option<String> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.last.as_ref().filter(|(at, _)| *at >= moment).map(|(_, trouble)| trouble.clone())
    }

    /// Whether it is to be told, too.
    fn remember(&self, trouble: &str, now: Instant) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.last = Some((now, trouble.to_owned()));
        let due = state.told.is_none_or(|told| now.duration_since(told) >= TOLD_EVERY);
        if due {
            state.told = Some(now);
        }
        due
    }
}

/// Hears what a client says.
#[derive(Debug, Clone)]
pub(super) struct Listener(pub(super) Arc<Troubles>);

impl Listener {
    fn trouble(&self, trouble: &str) {
        if self.0.remember(trouble, Instant::now()) {
            tracing::warn!(trouble, "Kafka is in trouble");
        }
    }
}

impl ClientContext for Listener {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error
            | RDKafkaLogLevel::Warning => self.trouble(message),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
                tracing::debug!(facility, "{message}");
            }
        }
    }

    fn error(&self, _: KafkaError, reason: &str) {
        self.trouble(reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_known_and_few_are_told() {
        let (troubles, begin) = (Troubles::default(), Instant::now());
        let after = |seconds| begin + Duration::from_secs(seconds);
        assert_eq!(troubles.since(begin), None);
        let told = [0, 1, 9, 10, 11, 25].map(|second| troubles.remember("refused", after(second)));
        assert_eq!(told, [true, false, false, true, false, true]);
        assert_eq!(troubles.since(after(25)).as_deref(), Some("refused"));
        assert_eq!(troubles.since(after(26)), None);
    }
}
