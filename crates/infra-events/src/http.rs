//! Events over HTTP: CloudEvents in structured mode, one in a request or many.

use std::borrow::Cow;
use std::num::NonZeroUsize;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::{FutureExt, StreamExt, stream};
use jangteo_application::cloud_event::CloudEvent;
use jangteo_application::event_sink::PublishError;
use jangteo_application::{Clock, EventSink};
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder};

use crate::secret::HttpSecret;
use crate::{ConnectError, HttpEndpoint, SinkSettings};

mod answer;
mod batch;

/// Requests under way at a time.
const REQUESTS: usize = 64;
/// How many times as many events are taken at a time, so that one slow answer does not keep everybody waiting.
const WAVES: usize = 4;
/// So many can still be written down at once.
const MOST_EVENTS: usize = 1024;
/// Servers close connections that nobody uses, some after five seconds. Who sends on one at that moment gets no answer,
/// so ours is closed before.
const UNUSED: Duration = Duration::from_secs(4);

const EVENT: HeaderValue = HeaderValue::from_static("application/cloudevents+json; charset=utf-8");
const EVENTS: HeaderValue = HeaderValue::from_static("application/cloudevents-batch+json; charset=utf-8");

const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// Posts events.
pub(crate) struct HttpSink {
    client: Client,
    endpoint: HttpEndpoint,
    batch: NonZeroUsize,
    secret: Option<HttpSecret>,
    timeout: Duration,
    clock: Arc<dyn Clock>,
}

impl HttpSink {
    pub(crate) fn new(
        endpoint: HttpEndpoint,
        settings: &SinkSettings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ConnectError> {
        let client = client(&endpoint, settings).map_err(ConnectError::Http)?;
        let SinkSettings { timeout, http_batch: batch, ref http_secret, .. } = *settings;
        Ok(Self { client, endpoint, batch, secret: http_secret.clone(), timeout, clock })
    }

    /// When the platform refuses them together, only one of them may be to blame.
    async fn deliver(&self, events: &[CloudEvent], round: &Round) -> Vec<Result<(), PublishError>> {
        match self.post(events, round).await {
            Err(PublishError::Refused(_)) if events.len() > 1 => {
                let mut outcomes = Vec::with_capacity(events.len());
                for event in events {
                    outcomes.push(self.post(slice::from_ref(event), round).await);
                }
                outcomes
            }
            outcome => vec![outcome; events.len()],
        }
    }

    async fn post(&self, events: &[CloudEvent], round: &Round) -> Result<(), PublishError> {
        if !round.goes_on() {
            return Err(PublishError::NotTried);
        }
        let outcome = match self.request(events).send().await {
            Ok(response) => answer::verdict(response).await,
            Err(error) => Err(answer::missing(error, self.timeout)),
        };
        if matches!(outcome, Err(PublishError::Failed(_))) {
            round.failed.store(true, Ordering::Relaxed);
        }
        outcome
    }

    /// Who takes many in a request is always given a list, be it of one.
    fn request(&self, events: &[CloudEvent]) -> RequestBuilder {
        let (id, content_type, body) = match events {
            [event] if self.batch.get() == 1 => (Cow::from(&event.id), EVENT, event.json.clone()),
            _ => (batch::id(events), EVENTS, batch::body(events)),
        };
        let timestamp = self.clock.now().timestamp().to_string();
        let signature = self.secret.as_ref().map(|secret| secret.signature(&id, &timestamp, body.as_bytes()));
        let request = self
            .client
            .post(self.endpoint.expose().clone())
            .header(CONTENT_TYPE, content_type)
            .header(WEBHOOK_ID, id.as_ref())
            .header(WEBHOOK_TIMESTAMP, timestamp)
            .body(body);
        match signature {
            Some(signature) => request.header(WEBHOOK_SIGNATURE, signature),
            None => request,
        }
    }
}

#[async_trait]
impl EventSink for HttpSink {
    fn name(&self) -> &'static str {
        "http"
    }

    fn batch(&self) -> usize {
        self.batch.get().saturating_mul(REQUESTS * WAVES).min(MOST_EVENTS)
    }

    async fn publish(&self, events: &[CloudEvent]) -> Vec<Result<(), PublishError>> {
        let round = Round { ends: Instant::now() + self.timeout, failed: AtomicBool::new(false) };
        let mut outcomes = vec![Err(PublishError::NotTried); events.len()];
        let batch = self.batch.get();
        let mut answers = stream::iter((0..events.len()).step_by(batch))
            .map(|first| {
                let delivering =
                    self.deliver(&events[first..events.len().min(first.saturating_add(batch))], &round);
                delivering.map(move |answers| (first, answers))
            })
            .buffer_unordered(REQUESTS);
        while let Some((first, answers)) = answers.next().await {
            for (outcome, answer) in outcomes[first..].iter_mut().zip(answers) {
                *outcome = answer;
            }
        }
        outcomes
    }
}

/// One call of the sink.
struct Round {
    /// What is begun by then ends in twice the time that the platform is given to answer.
    ends: Instant,
    failed: AtomicBool,
}

impl Round {
    fn goes_on(&self) -> bool {
        !self.failed.load(Ordering::Relaxed) && Instant::now() < self.ends
    }
}

/// Redirects are answers like others: they would take a signed event to somebody else. Proxies of the environment are
/// not for what the settings name.
fn client(endpoint: &HttpEndpoint, settings: &SinkSettings) -> reqwest::Result<Client> {
    let headers = settings.headers.iter().map(|(name, value)| (name.clone(), value.clone()));
    let client = Client::builder()
        .user_agent(concat!("jangteo/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers.collect())
        .timeout(settings.timeout)
        .pool_max_idle_per_host(REQUESTS)
        .pool_idle_timeout(UNUSED)
        .redirect(Policy::none())
        .no_proxy();
    // Somebody else in the process may have chosen before.
    drop(rustls::crypto::ring::default_provider().install_default());
    match endpoint.is_encrypted() {
        true => client.build(),
        // There may be no certificates on the machine, and they are not needed.
        false => client.tls_certs_only([]).build(),
    }
}
