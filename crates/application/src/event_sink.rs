//! Where events go: the port to the data platform.

use async_trait::async_trait;

use crate::cloud_event::CloudEvent;

/// Why an event was not delivered. The texts are for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The platform is there and does not take this event.
    #[error("refused: {0}")]
    Refused(String),
    /// No answer, or one that may have nothing to do with this event. The platform may have got it all the same.
    #[error("{0}")]
    Failed(String),
    /// It was not sent, because others before it failed.
    #[error("not sent")]
    NotTried,
}

/// A data platform.
#[async_trait]
pub trait EventSink: Send + Sync {
    /// Its kind, for metrics and logs.
    fn name(&self) -> &'static str;

    /// How many events it is best given at a time.
    fn batch(&self) -> usize;

    /// Delivers events, each of another key, and says of each, in the same order, what became of it.
    ///
    /// MUST answer `Ok` only for what the platform has acknowledged. MUST end within twice the time that a platform is
    /// given to answer. SHOULD stop sending when nobody seems to be there.
    async fn publish(&self, events: &[CloudEvent]) -> Vec<Result<(), PublishError>>;
}
