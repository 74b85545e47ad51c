//! The platform over HTTP.

use std::fmt::Display;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{ContentType, HeaderMap};
use actix_web::web::{
    Bytes, Data, Json, Path, PayloadConfig, Query, QueryConfig, ServiceConfig, get, post, put,
};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, ResponseError};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use super::Desk;
use super::behaviour::Behaviour;
use super::event::{self, Form, Unreadable};
use super::intake::{NotKept, Receipt};
use super::ledger::subject_of_order;
use super::reports::{Completeness, Summary, moment};
use super::signature::{NotBelieved, Signed};

/// A batch may have thousands of events.
const LONGEST_BODY: usize = 16 * 1024 * 1024;
const PAGE: &str = include_str!("page.html");

pub(super) fn configure(config: &mut ServiceConfig, desk: Data<Desk>) {
    config
        .app_data(desk)
        .app_data(PayloadConfig::new(LONGEST_BODY))
        .app_data(QueryConfig::default().error_handler(|error, _| Refusal::malformed(error).into()))
        .route("/", get().to(page))
        .route("/events", post().to(receive))
        .route("/summary", get().to(summary))
        .route("/completeness", get().to(completeness))
        .route("/orders/{id}", get().to(order))
        .route("/behaviour", get().to(behaviour))
        .route("/behaviour", put().to(behave));
}

async fn page() -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::html()).body(PAGE)
}

async fn receive(request: HttpRequest, body: Bytes, desk: Data<Desk>) -> Result<Json<Receipt>, Refusal> {
    let received_at = desk.clock.now();
    let behaviour = desk.conduct.next();
    match &behaviour {
        Behaviour::Fail { status, .. } => return Err(Refusal::AsTold(status.0)),
        Behaviour::Stall { .. } => return Err(desk.stall().await),
        Behaviour::Ok {} | Behaviour::Slow { .. } | Behaviour::Refuse { .. } => {}
    }
    desk.check_signature(request.headers(), &body, received_at)?;
    let events = event::read(&body, form(&request)?)?;
    if let Behaviour::Refuse { events: unwanted } = &behaviour
        && let Some(event) = events.iter().find(|event| unwanted.contains(&*event.id))
    {
        return Err(Refusal::Unwanted(event.id.to_string()));
    }
    let receipt = desk.intake.take(events, received_at).await?;
    if let Behaviour::Slow { delay_ms, .. } = behaviour {
        tokio::time::sleep(Duration::from_millis(delay_ms)).await;
    }
    Ok(Json(receipt))
}

fn form(request: &HttpRequest) -> Result<Form, Refusal> {
    match request.content_type() {
        "application/cloudevents+json" => Ok(Form::One),
        "application/cloudevents-batch+json" => Ok(Form::Batch),
        "application/json" => Ok(Form::Either),
        _ => Err(Refusal::OtherMediaType),
    }
}

async fn summary(desk: Data<Desk>) -> Json<Summary> {
    Json(desk.accounts.read().summary())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Range {
    from: Option<String>,
    to: Option<String>,
}

/// Unless asked otherwise, the last 24 hours.
async fn completeness(range: Query<Range>, desk: Data<Desk>) -> Result<Json<Completeness>, Refusal> {
    let to = parameter("to", range.to.as_deref())?.unwrap_or_else(|| desk.clock.now());
    let from = parameter("from", range.from.as_deref())?.unwrap_or(to - TimeDelta::hours(24));
    Ok(Json(desk.accounts.read().completeness(from..to)))
}

fn parameter(name: &str, text: Option<&str>) -> Result<Option<DateTime<Utc>>, Refusal> {
    let parse = |text: &str| {
        DateTime::parse_from_rfc3339(text)
            .map(|moment| moment.to_utc())
            .map_err(|_| Refusal::malformed(format!("`{name}` is no moment such as 2025-11-09T12:34:56Z")))
    };
    text.map(parse).transpose()
}

#[derive(Serialize)]
struct OrderBody<'a> {
    subject: String,
    /// The sequences that did not come though a later one did.
    missing: Vec<u32>,
    events: Vec<EventBody<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EventBody<'a> {
    #[serde(serialize_with = "moment")]
    received_at: DateTime<Utc>,
    event: &'a RawValue,
}

async fn order(id: Path<String>, desk: Data<Desk>) -> Result<HttpResponse, Refusal> {
    let subject = subject_of_order(&id);
    let kept = desk.archive.about(&subject).await.map_err(|error| {
        tracing::error!(%error, "events could not be read");
        Refusal::NotReadable
    })?;
    if kept.is_empty() {
        return Err(Refusal::NothingAbout(subject));
    }
    let events = kept.iter().filter_map(|kept| {
        let event = serde_json::from_str(&kept.json).ok()?;
        Some(EventBody { received_at: kept.received_at, event })
    });
    let events = events.collect();
    let missing = desk.accounts.read().missing_of_order(&id);
    Ok(HttpResponse::Ok().json(OrderBody { subject, missing, events }))
}

async fn behaviour(desk: Data<Desk>) -> Json<Behaviour> {
    Json(desk.conduct.now())
}

/// Whatever the content type: `curl -d` says that it is a form.
async fn behave(body: Bytes, desk: Data<Desk>) -> Result<Json<Behaviour>, Refusal> {
    let behaviour: Behaviour = serde_json::from_slice(&body).map_err(Refusal::malformed)?;
    tracing::info!(?behaviour, "behaving as told");
    desk.conduct.change(behaviour.clone());
    Ok(Json(behaviour))
}

impl Desk {
    fn check_signature(&self, headers: &HeaderMap, body: &[u8], now: DateTime<Utc>) -> Result<(), Refusal> {
        let Some(secret) = &self.secret else { return Ok(()) };
        let header = |name: &'static str| {
            let header = headers.get(name).and_then(|value| value.to_str().ok());
            header.ok_or(Refusal::Unsigned(name))
        };
        let (id, timestamp) = (header("webhook-id")?, header("webhook-timestamp")?);
        let signed = Signed { id, timestamp, signature: header("webhook-signature")?, body };
        Ok(secret.check(&signed, now)?)
    }

    /// Lasts until the platform stops, or the client gives up.
    async fn stall(&self) -> Refusal {
        let mut stopping = self.stopping.clone();
        drop(stopping.wait_for(|stopping| *stopping).await);
        Refusal::AsTold(StatusCode::SERVICE_UNAVAILABLE)
    }
}

/// Why there is no answer such as was asked for. For people.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("{0}")]
    Malformed(String),
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error("the event {0} is not wanted")]
    Unwanted(String),
    #[error("the header `{0}` is missing")]
    Unsigned(&'static str),
    #[error(transparent)]
    NotBelieved(#[from] NotBelieved),
    #[error("no event came about {0}")]
    NothingAbout(String),
    #[error(
        "the content type must be application/cloudevents+json, application/cloudevents-batch+json or application/json"
    )]
    OtherMediaType,
    #[error("told to answer {0}")]
    AsTold(StatusCode),
    #[error(transparent)]
    NotKept(#[from] NotKept),
    #[error("the events could not be read")]
    NotReadable,
}

impl Refusal {
    fn malformed(error: impl Display) -> Self {
        Self::Malformed(error.to_string())
    }
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Malformed(_) | Self::Unreadable(_) | Self::Unwanted(_) => StatusCode::BAD_REQUEST,
            Self::Unsigned(_) | Self::NotBelieved(_) => StatusCode::UNAUTHORIZED,
            Self::NothingAbout(_) => StatusCode::NOT_FOUND,
            Self::OtherMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::AsTold(status) => *status,
            Self::NotKept(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::NotReadable => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn error_response(&self) -> HttpResponse {
        HttpResponse::build(self.status_code()).json(json!({"error": self.to_string()}))
    }
}
