//! What librdkafka says of itself.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// While the brokers are away, librdkafka tells of every attempt to connect.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// The last trouble that a client had, which says more than that a message came to nothing.
#[derive(Debug, Default)]
pub(super) struct Troubles(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: Option<String>,
    told: Option<Instant>,
}

impl Troubles {
    /// What it was, if it is not over.
    pub(super) fn last(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).last.clone()
    }

    /// All is well again.
    pub(super) fn over(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).last = None;
    }

    /// Whether it is to be told, too.
    fn remember(&self, trouble: &str, now: Instant) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.last = Some(trouble.to_owned());
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
            | RDKafkaLogLevel::Warning => self.trouble(without_its_thread(message)),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
                tracing::debug!(facility, "{message}");
            }
        }
    }

    /// That all brokers are down says less than what was said of each before.
    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            self.trouble(reason);
        }
    }
}

/// Of the log only: errors are told without.
fn without_its_thread(message: &str) -> &str {
    let rest = message.strip_prefix("[thrd:").and_then(|rest| rest.split_once("]: "));
    rest.map_or(message, |(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_known_and_few_are_told() {
        let (troubles, begin) = (Troubles::default(), Instant::now());
        let after = |seconds| begin + Duration::from_secs(seconds);
        assert_eq!(troubles.last(), None);
        let told = [0, 1, 9, 10, 11, 25].map(|second| troubles.remember("refused", after(second)));
        assert_eq!(told, [true, false, false, true, false, true]);
        assert_eq!(troubles.last().as_deref(), Some("refused"));
        troubles.over();
        assert_eq!(troubles.last(), None);
    }

    #[test]
    fn a_thread_of_librdkafka_is_nothing_to_tell() {
        assert_eq!(without_its_thread("[thrd:one:9092/1]: one:9092/1: refused"), "one:9092/1: refused");
        assert_eq!(without_its_thread("one:9092/1: refused"), "one:9092/1: refused");
    }
}
