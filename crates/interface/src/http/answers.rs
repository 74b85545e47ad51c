//! How what was decided is answered, the first time and again.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use jangteo_application::operation::Outcome;
use jangteo_application::redelivery::Redelivery;
use jangteo_application::{Answer, Operation};

use super::error::ApiError;
use super::headers::mark_replayed;
use super::outbox::redelivered;

/// An operation whose outcomes have an answer: without one, it cannot be started.
pub(crate) trait Answers: Operation {
    /// What whoever sent the command is told. A retry, and whoever asks what became of their key, is told the same. The
    /// scope is that of the key, of [`Operation::KEY_SCOPES`].
    fn answer(scope: &str, outcome: Outcome<Self>) -> Result<HttpResponse, ApiError>;
}

/// The answer to a command, which says whether it was given before.
pub(super) fn answered<O: Answers>(scope: &str, answer: Answer<O>) -> Result<HttpResponse, ApiError> {
    let Answer { outcome, replayed } = answer;
    match O::answer(scope, outcome) {
        Ok(response) => Ok(mark_replayed(response, replayed)),
        Err(error) => Err(error.replayed(replayed)),
    }
}

/// Reads an outcome and answers as whoever decided it.
type Replay = fn(scope: &str, record: &str) -> Result<Result<HttpResponse, ApiError>, serde_json::Error>;

/// The answers of every operation that was started, by the scopes of their keys.
pub(crate) struct Replays(BTreeMap<&'static str, Replay>);

impl Default for Replays {
    /// Those of what has keys and is no operation.
    fn default() -> Self {
        let replay: Replay =
            |scope, record| Redelivery::replay(record).map(|outcome| redelivered(scope, outcome));
        Self(Redelivery::KEY_SCOPES.into_iter().map(|scope| (scope, replay)).collect())
    }
}

impl Replays {
    /// No two operations may have keys of the same scope.
    pub(crate) fn learn<O: Answers>(&mut self) {
        let replay: Replay = |scope, record| O::replay(record).map(|outcome| O::answer(scope, outcome));
        for scope in O::KEY_SCOPES {
            let earlier = self.0.insert(scope, replay);
            assert!(earlier.is_none(), "{scope} is the scope of two operations");
        }
    }

    /// What a retry would get; `None` when nobody here decides such a thing.
    pub(super) fn replay(
        &self,
        scope: &str,
        record: &str,
    ) -> Option<Result<Result<HttpResponse, ApiError>, serde_json::Error>> {
        self.0.get(scope).map(|replay| replay(scope, record))
    }
}
