//! What became of requests whose answers were lost.

use actix_web::body::MessageBody;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use jangteo_application::IdempotencyKey;
use jangteo_application::idempotency::DecidedRequest;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::Shop;
use super::body::ok;
use super::endpoint::Endpoint;
use super::error::{ApiError, Failure, Problem, Reason};
use super::exact::Moment;
use super::headers::{Caller, CallerHeaders};
use super::trace::Trace;
use crate::messages::Language;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::at("/api/v1/idempotency-keys/{key}").get(decided)]
}

/// What was decided under a key.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "key": "7c9e6679",
    "operations": [{
        "operation": "charge-wallet",
        "decidedAt": "2025-11-09T12:34:56Z",
        "status": 200,
        "body": {"userId": 1, "balance": 153000.00},
    }],
}))]
pub(crate) struct KeyBody {
    key: String,
    /// One, unless the key was used for several kinds of requests.
    operations: Vec<DecidedBody>,
}

/// A request that was decided, and what a retry of it would be answered.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DecidedBody {
    /// What was asked for: `place-order`, `charge-wallet`, `claim-coupon`...
    operation: String,
    decided_at: Moment,
    /// The HTTP status.
    status: u16,
    /// The body; null where there is none. A refusal has the path, the time and the trace of this request, and since the lines of
    /// an order are not kept, `items` instead of `items[0].qty`.
    #[schema(value_type = Object, nullable)]
    body: Box<RawValue>,
}

/// What became of a request
///
/// For those whose answer was lost, and who cannot or will not send the request again: what was decided under the caller's key,
/// and the answer that a retry would get. Keys are kept for 24 hours. Nothing tells of a request that is still under way, so that
/// 404 means: not decided yet, or never.
#[utoipa::path(
    get,
    path = "/api/v1/idempotency-keys/{key}",
    operation_id = "getIdempotencyKey",
    tag = "Idempotency",
    params(
        CallerHeaders,
        ("key" = String, Path, description = "The `Idempotency-Key` of the request.", min_length = 1, max_length = 255, example = "7c9e6679"),
    ),
    responses(
        (status = 200, description = "What was decided.", body = KeyBody),
        (status = 404, description = "`NOT_FOUND`: nothing was decided under this key of the caller's, or it is forgotten."),
    ),
)]
pub(crate) async fn decided(
    shop: Data<Shop>,
    caller: Caller,
    key: Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let key: IdempotencyKey =
        key.parse().map_err(|_| ApiError::invalid_field("key", Reason::NotAnIdempotencyKey))?;
    let decided = shop.keys.decided(caller.user, key.clone()).await?;
    if decided.is_empty() {
        return Err(Problem::NoSuchKey.into());
    }
    let operations = decided.into_iter().filter_map(|decided| body(&shop, &request, decided).transpose());
    let operations = operations.collect::<Result<_, _>>()?;
    Ok(ok(&KeyBody { key: key.as_str().to_owned(), operations }))
}

/// Nothing of what nobody decides here: another version of the shop may be there at the same time.
fn body(
    shop: &Shop,
    request: &HttpRequest,
    decided: DecidedRequest,
) -> Result<Option<DecidedBody>, ApiError> {
    let DecidedRequest { operation, outcome, at } = decided;
    let unreadable = |cause: String| ApiError::from(Problem::Internal).because(cause);
    let Some(replayed) = shop.replays.replay(&operation, &outcome) else { return Ok(None) };
    let answer = match replayed.map_err(|error| unreadable(error.to_string()))? {
        Ok(answer) => answer,
        Err(refusal) => refusal.answer(&failure(shop, request)),
    };
    let status = answer.status();
    let body = json_of(status, answer).map_err(|error| unreadable(error.to_string()))?;
    Ok(Some(DecidedBody { operation, decided_at: Moment(at), status: status.as_u16(), body }))
}

fn failure<'a>(shop: &Shop, request: &'a HttpRequest) -> Failure<'a> {
    Failure {
        path: request.path(),
        language: Language::preferred(request.headers()),
        trace_id: Trace::of_request(request).id(),
        at: shop.clock.now(),
    }
}

fn json_of(status: StatusCode, answer: HttpResponse) -> Result<Box<RawValue>, serde_json::Error> {
    let bytes = answer.into_body().try_into_bytes().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let nothing = status == StatusCode::NO_CONTENT || text.is_empty();
    RawValue::from_string(if nothing { "null".to_owned() } else { text.into_owned() })
}
