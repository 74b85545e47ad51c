//! For those who run the shop: is it up, and how is it doing?

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::ContentType;
use actix_web::web::Data;
use serde::Serialize;
use utoipa::ToSchema;

use super::Shop;
use super::body::json;
use super::endpoint::Endpoint;

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

/// `UP` or `DOWN`.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"status": "UP"}))]
pub(crate) struct HealthBody {
    #[schema(value_type = String)]
    status: &'static str,
}

/// Does the process answer?
#[utoipa::path(
    get,
    path = "/health/live",
    operation_id = "getLiveness",
    tag = "Operations",
    responses((status = 200, description = "It does.", body = HealthBody)),
)]
pub(crate) async fn live() -> HttpResponse {
    json(StatusCode::OK, &HealthBody { status: "UP" })
}

/// Can it serve?
#[utoipa::path(
    get,
    path = "/health/ready",
    operation_id = "getReadiness",
    tag = "Operations",
    responses(
        (status = 200, description = "It can.", body = HealthBody),
        (status = 503, description = "The database does not answer.", body = HealthBody, example = json!({"status": "DOWN"})),
    ),
)]
pub(crate) async fn ready(shop: Data<Shop>) -> HttpResponse {
    health(&shop).await
}

/// Can it serve? (The same as /health/ready.)
#[utoipa::path(
    get,
    path = "/actuator/health",
    operation_id = "getHealth",
    tag = "Operations",
    responses(
        (status = 200, description = "It can.", body = HealthBody),
        (status = 503, description = "The database does not answer.", body = HealthBody, example = json!({"status": "DOWN"})),
    ),
)]
pub(crate) async fn actuator(shop: Data<Shop>) -> HttpResponse {
    health(&shop).await
}

async fn health(shop: &Shop) -> HttpResponse {
    match tokio::time::timeout(PATIENCE, shop.readiness.check()).await {
        Ok(Ok(())) => json(StatusCode::OK, &HealthBody { status: "UP" }),
        Ok(Err(_)) | Err(_) => json(StatusCode::SERVICE_UNAVAILABLE, &HealthBody { status: "DOWN" }),
    }
}

/// Metrics, for Prometheus
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "getMetrics",
    tag = "Operations",
    responses((status = 200, description = "Metrics in the text format.", body = String, content_type = "text/plain")),
)]
pub(crate) async fn metrics(shop: Data<Shop>) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.insert_header(ContentType("text/plain; version=0.0.4".parse().expect("a media type")));
    response.body(shop.metrics.render())
}
