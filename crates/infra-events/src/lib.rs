//! Where Jangteo's events go: the port [`EventSink`], once for each kind of data platform. An HTTP endpoint, a Kafka
//! topic, or the log.
//!
//! The platform may be down at any time, and when the shop opens, too: a sink says what became of each event, and the
//! relay comes back with those that were not delivered.
//!
//! ```no_run
//! use std::num::NonZeroUsize;
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use jangteo_application::SystemClock;
//! use jangteo_infra_events::{Headers, KafkaProperties, SinkSettings, connect};
//!
//! # fn sink() -> Result<(), Box<dyn std::error::Error>> {
//! let settings = SinkSettings {
//!     destination: "https://platform.example/events".parse()?,
//!     headers: Headers::default(),
//!     timeout: Duration::from_secs(5),
//!     http_batch: NonZeroUsize::MIN,
//!     http_secret: Some("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse()?),
//!     kafka: KafkaProperties::default(),
//! };
//! let sink = connect(&settings, Arc::new(SystemClock))?;
//! assert_eq!(sink.name(), "http");
//! # Ok(())
//! # }
//! ```

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use jangteo_application::{Clock, EventSink};

mod destination;
mod headers;
mod http;
mod kafka;
mod log;
mod secret;

pub use destination::{Destination, DestinationError, HttpEndpoint, KafkaTopic};
pub use headers::{HeaderError, Headers};
pub use kafka::{KafkaProperties, KafkaPropertyError};
pub use secret::{HttpSecret, HttpSecretError};

use http::HttpSink;
use kafka::KafkaSink;
use log::LogSink;

/// Where events go, and how.
#[derive(Debug, Clone)]
pub struct SinkSettings {
    /// The data platform.
    pub destination: Destination,
    /// What every request or message has in its head, besides what the sink says itself.
    pub headers: Headers,
    /// How long the platform may take to answer.
    pub timeout: Duration,
    /// HTTP: the most events in a request.
    pub http_batch: NonZeroUsize,
    /// HTTP: what requests are signed with.
    pub http_secret: Option<HttpSecret>,
    /// Kafka: what else librdkafka is told.
    pub kafka: KafkaProperties,
}

/// The settings cannot work, wherever the platform is.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No HTTP client can be made: the certificates that the system trusts cannot be read, say.
    #[error("there is no HTTP client")]
    Http(#[source] reqwest::Error),
    /// librdkafka does not accept its properties together.
    #[error("setting `events_kafka`: {0}")]
    Kafka(String),
}

/// The sink for these settings. The platform need not be there.
///
/// # Errors
/// [`ConnectError`] when the settings cannot work.
pub fn connect(settings: &SinkSettings, clock: Arc<dyn Clock>) -> Result<Arc<dyn EventSink>, ConnectError> {
    Ok(match settings.destination.clone() {
        Destination::Log => Arc::new(LogSink),
        Destination::Http(endpoint) => Arc::new(HttpSink::new(endpoint, settings, clock)?),
        Destination::Kafka(topic) => Arc::new(KafkaSink::new(topic, settings)?),
    })
}
