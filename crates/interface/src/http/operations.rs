//! For those who run the shop: is it up, and how is it doing?

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::ContentType;
use actix_web::web::Data;
use jangteo_application::Clock;
use jangteo_application::outbox_watch::age;
use jangteo_application::queries::Readiness;
use jangteo_infra_redis::Redis;
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Serialize;
use utoipa::ToSchema;

use super::body::json;
use super::endpoint::Endpoint;
use crate::worker::{Delivery, Worker};

/// How long the database may take to answer: less than those who ask usually wait.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::at("/health/live").get(live),
        Endpoint::at("/health/ready").get(ready),
        Endpoint::at("/actuator/health").get(actuator),
        Endpoint::at("/metrics").get(metrics),
    ]
}

/// What those who run the shop ask for, also of a process that only delivers events.
pub(crate) struct Operations {
    pub(crate) readiness: Arc<dyn Readiness>,
    /// None when it is not used.
    pub(crate) redis: Option<Redis>,
    /// Unset where others deliver events.
    pub(crate) worker: OnceLock<Worker>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: PrometheusHandle,
}

/// `UP` or `DOWN`.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"status": "UP"}))]
pub(crate) struct HealthBody {
    #[schema(value_type = String)]
    status: &'static str,
}

/// `UP` or `DOWN`, as the database is, and the rest of what the process needs.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "status": "UP",
    "components": {
        "database": {"status": "UP"},
        "redis": {"status": "UP"},
        "events": {"status": "UP", "breakerOpen": false, "pending": 12, "oldestSeconds": 1, "dead": 0},
    },
}))]
pub(crate) struct ReadinessBody {
    #[schema(value_type = String)]
    status: &'static str,
    components: ComponentsBody,
}

/// What the process needs.
#[derive(Serialize, ToSchema)]
pub(crate) struct ComponentsBody {
    database: HealthBody,
    /// If it is used. Without it, the shop goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    redis: Option<HealthBody>,
    /// If this process delivers them. Whatever becomes of them, the shop goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    events: Option<EventsBody>,
}

/// How delivering events goes, as of some seconds ago.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EventsBody {
    /// `DEGRADED` when the data platform is down, or events were given up.
    #[schema(value_type = String)]
    status: &'static str,
    /// The platform is down: events wait for it.
    breaker_open: bool,
    /// Events that wait, are being sent, or will be sent again. Counting stops at 100,000 each.
    pending: u64,
    /// How long ago the oldest of them happened.
    oldest_seconds: u64,
    /// Events that were given up, counted up to 100,000: see the outbox.
    dead: u64,
}

impl EventsBody {
    fn of(Delivery { relay, backlog }: Delivery, clock: &dyn Clock) -> Self {
        let backlog = backlog.unwrap_or_default();
        Self {
            status: if relay.breaker_open || backlog.dead > 0 { "DEGRADED" } else { UP },
            breaker_open: relay.breaker_open,
            pending: backlog.pending + backlog.failed,
            oldest_seconds: age(&backlog, clock).as_secs(),
            dead: backlog.dead,
        }
    }
}

const UP: &str = "UP";
const DOWN: &str = "DOWN";

/// Does the process answer?
#[utoipa::path(
    get,
    path = "/health/live",
    operation_id = "getLiveness",
    tag = "Operations",
    responses((status = 200, description = "It does.", body = HealthBody)),
)]
pub(crate) async fn live() -> HttpResponse {
    json(StatusCode::OK, &HealthBody { status: UP })
}

/// Can it serve?
///
/// The database alone decides; the rest is for those who look.
#[utoipa::path(
    get,
    path = "/health/ready",
    operation_id = "getReadiness",
    tag = "Operations",
    responses(
        (status = 200, description = "It can.", body = ReadinessBody),
        (
            status = 503,
            description = "The database does not answer.",
            body = ReadinessBody,
            example = json!({"status": "DOWN", "components": {"database": {"status": "DOWN"}}}),
        ),
    ),
)]
pub(crate) async fn ready(operations: Data<Operations>) -> HttpResponse {
    health(&operations).await
}

/// Can it serve? (The same as /health/ready.)
#[utoipa::path(
    get,
    path = "/actuator/health",
    operation_id = "getHealth",
    tag = "Operations",
    responses(
        (status = 200, description = "It can.", body = ReadinessBody),
        (
            status = 503,
            description = "The database does not answer.",
            body = ReadinessBody,
            example = json!({"status": "DOWN", "components": {"database": {"status": "DOWN"}}}),
        ),
    ),
)]
pub(crate) async fn actuator(operations: Data<Operations>) -> HttpResponse {
    health(&operations).await
}

async fn health(operations: &Operations) -> HttpResponse {
    let (code, status) = match tokio::time::timeout(PATIENCE, operations.readiness.check()).await {
        Ok(Ok(())) => (StatusCode::OK, UP),
        Ok(Err(_)) | Err(_) => (StatusCode::SERVICE_UNAVAILABLE, DOWN),
    };
    let redis = operations.redis.as_ref();
    let worker = operations.worker.get();
    let components = ComponentsBody {
        database: HealthBody { status },
        redis: redis.map(|redis| HealthBody { status: if redis.is_up() { UP } else { DOWN } }),
        events: worker.map(|worker| EventsBody::of(worker.delivery(), operations.clock.as_ref())),
    };
    json(code, &ReadinessBody { status, components })
}

/// Metrics, for Prometheus
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "getMetrics",
    tag = "Operations",
    responses((status = 200, description = "Metrics in the text format.", body = String, content_type = "text/plain")),
)]
pub(crate) async fn metrics(operations: Data<Operations>) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.insert_header(ContentType("text/plain; version=0.0.4".parse().expect("a media type")));
    response.body(operations.metrics.render())
}

#[cfg(test)]
mod tests {
    use jangteo_application::SystemClock;
    use jangteo_application::outbox_queries::Backlog;
    use jangteo_application::relay::RelayStatus;

    use super::*;

    #[test]
    fn events_are_degraded_while_the_platform_is_down_and_when_some_were_given_up() {
        let status = |breaker_open, dead| {
            let backlog = Some(Backlog { dead, pending: 5, failed: 1, oldest: None });
            let events =
                EventsBody::of(Delivery { relay: RelayStatus { breaker_open }, backlog }, &SystemClock);
            assert_eq!((events.pending, events.oldest_seconds), (6, 0));
            events.status
        };
        assert_eq!(status(false, 0), "UP");
        assert_eq!(status(true, 0), "DEGRADED");
        assert_eq!(status(false, 1), "DEGRADED");
    }
}
