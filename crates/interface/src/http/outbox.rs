//! The events for the data platform, for administrators: where they are, and delivering them again.

use actix_web::HttpResponse;
use actix_web::web::Data;
use jangteo_application::Submission;
use jangteo_application::outbox::EventStatus;
use jangteo_application::outbox_queries::EventView;
use jangteo_application::redelivery::{Redelivered, Redelivery, RedeliveryRefusal};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use super::Shop;
use super::body::{JsonBody, ok};
use super::endpoint::Endpoint;
use super::error::{ApiError, Detail, Problem, Reason};
use super::exact::Moment;
use super::headers::{Admin, Caller, CallerHeaders, Key, KeyHeader, mark_replayed};
use super::pages::{PageBody, PageParameters};
use super::parameters::{FromQuery, Parameters, PathId, Query};
use super::periods::{self, parse_moment};

const STATUSES: [&str; 4] = ["PENDING", "SENT", "FAILED", "DEAD"];
/// What can be retried.
const UNSENT: [&str; 2] = ["FAILED", "DEAD"];

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::at("/api/v1/admin/outbox").get(list),
        Endpoint::at("/api/v1/admin/outbox/retry").post(retry_all),
        Endpoint::at("/api/v1/admin/outbox/resend").post(resend),
        // After those with a name in the place of the id.
        Endpoint::at("/api/v1/admin/outbox/{id}").get(event),
        Endpoint::at("/api/v1/admin/outbox/{id}/retry").post(retry),
    ]
}

/// An event for the data platform.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({
    "id": 8123,
    "eventId": "order-5551-1",
    "type": "jangteo.order.paid.v1",
    "subject": "orders/5551",
    "sequence": 1,
    "status": "DEAD",
    "attempts": 10,
    "lastError": "refused: 422 Unprocessable Entity",
    "createdAt": "2025-11-09T12:34:56Z",
    "nextAttemptAt": null,
    "sentAt": null,
}))]
pub(crate) struct EventBody {
    id: i64,
    /// Its id outside: the platform knows it by this one.
    event_id: String,
    #[serde(rename = "type")]
    event_type: String,
    /// What it is about.
    subject: String,
    /// 1, 2, 3... without gaps for each subject.
    sequence: i64,
    /// `PENDING`: it waits, or is being sent. `SENT`. `FAILED`: it will be sent again. `DEAD`: it was given up, and holds
    /// back later events of its subject.
    #[schema(value_type = String)]
    status: &'static str,
    /// How often it was sent.
    attempts: u32,
    /// Why the last attempt failed.
    last_error: Option<String>,
    created_at: Moment,
    /// From when on it may be sent; while it is being sent, when another relay may try.
    next_attempt_at: Option<Moment>,
    sent_at: Option<Moment>,
}

impl From<EventView> for EventBody {
    fn from(event: EventView) -> Self {
        Self {
            id: event.id,
            event_id: event.name.id,
            event_type: event.name.event_type,
            subject: event.name.subject,
            sequence: event.sequence,
            status: event.status.name(),
            attempts: event.attempts,
            last_error: event.last_error,
            created_at: Moment(event.at),
            next_attempt_at: event.next_attempt_at.map(Moment),
            sent_at: event.sent_at.map(Moment),
        }
    }
}

/// An event with what it carries.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "id": 8123,
    "eventId": "order-5551-1",
    "type": "jangteo.order.paid.v1",
    "subject": "orders/5551",
    "sequence": 1,
    "status": "SENT",
    "attempts": 1,
    "lastError": null,
    "createdAt": "2025-11-09T12:34:56Z",
    "nextAttemptAt": null,
    "sentAt": "2025-11-09T12:34:57Z",
    "data": {"orderId": 5551, "userId": 1, "status": "PAID", "paidAmount": "53730.00"},
}))]
pub(crate) struct EventDetailBody {
    #[serde(flatten)]
    event: EventBody,
    /// What it carries; a text, should that be no JSON.
    #[schema(value_type = Object)]
    data: Box<RawValue>,
}

impl From<(EventView, String)> for EventDetailBody {
    fn from((event, payload): (EventView, String)) -> Self {
        let as_text = |text: &str| serde_json::value::to_raw_value(text).expect("a text is JSON");
        let data = serde_json::from_str(&payload).unwrap_or_else(|_| as_text(&payload));
        Self { event: event.into(), data }
    }
}

/// Which events to list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct StatusParameter {
    /// `PENDING`, `SENT`, `FAILED` or `DEAD`; all of them unless it is given.
    #[param(value_type = Option<String>, nullable = false, example = "DEAD")]
    status: Option<EventStatus>,
}

/// What the list of events is asked with.
pub(crate) struct ListParameters {
    page: PageParameters,
    status: StatusParameter,
}

impl FromQuery for ListParameters {
    fn take_from(query: &mut Query) -> Self {
        let page = PageParameters::take_from(query);
        let status = query.one_of("status", &STATUSES, EventStatus::named);
        Self { page, status: StatusParameter { status } }
    }
}

/// Events for the data platform
///
/// The newest first; those of a status by when they are due, or were sent or given up. For administrators. Counting stops at
/// 100,000: `totalElements` says no more than that there are at least so many, and later pages can be had all the same.
#[utoipa::path(
    get,
    path = "/api/v1/admin/outbox",
    operation_id = "listEvents",
    tag = "Administration",
    params(CallerHeaders, StatusParameter, PageParameters),
    responses(
        (
            status = 200,
            description = "A page of events.",
            body = PageBody<EventBody>,
            example = json!({
                "content": [{
                    "id": 8123,
                    "eventId": "order-5551-1",
                    "type": "jangteo.order.paid.v1",
                    "subject": "orders/5551",
                    "sequence": 1,
                    "status": "FAILED",
                    "attempts": 3,
                    "lastError": "503 Service Unavailable",
                    "createdAt": "2025-11-09T12:34:56Z",
                    "nextAttemptAt": "2025-11-09T12:35:03Z",
                    "sentAt": null,
                }],
                "page": 0,
                "size": 20,
                "totalElements": 1,
                "totalPages": 1,
            }),
        ),
    ),
)]
pub(crate) async fn list(
    shop: Data<Shop>,
    caller: Caller,
    parameters: Parameters<ListParameters>,
) -> Result<HttpResponse, ApiError> {
    caller.must_be_administrator()?;
    let ListParameters { page, status: StatusParameter { status } } = parameters.0;
    let events = shop.outbox.events(status, page.request()).await?;
    Ok(ok(&PageBody::of(events, EventBody::from)))
}

/// An event for the data platform, with what it carries
///
/// For administrators. Events that were sent are kept for some days.
#[utoipa::path(
    get,
    path = "/api/v1/admin/outbox/{id}",
    operation_id = "getEvent",
    tag = "Administration",
    params(CallerHeaders, ("id" = i64, Path, description = "The event.", minimum = 1, example = 8123)),
    responses(
        (status = 200, description = "The event.", body = EventDetailBody),
        (status = 404, description = "`NOT_FOUND`: there is no such event, or not any more."),
    ),
)]
pub(crate) async fn event(shop: Data<Shop>, caller: Caller, id: PathId) -> Result<HttpResponse, ApiError> {
    caller.must_be_administrator()?;
    let event = shop.outbox.event(id.0).await?.ok_or(Problem::NoSuchEvent)?;
    Ok(ok(&EventDetailBody::from(event)))
}

/// An event that is delivered again.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"id": 8123, "status": "PENDING"}))]
pub(crate) struct RetriedBody {
    /// The event; absent where only the key is known that it was asked for with.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    id: Option<i64>,
    /// `PENDING`: it is due now.
    #[schema(value_type = String)]
    status: &'static str,
}

/// Deliver an event again
///
/// One that failed or was given up is due at once, with as many attempts as a new one. One that waits anyway keeps its place.
/// For administrators.
#[utoipa::path(
    post,
    path = "/api/v1/admin/outbox/{id}/retry",
    operation_id = "retryEvent",
    tag = "Administration",
    params(CallerHeaders, KeyHeader, ("id" = i64, Path, description = "The event.", minimum = 1, example = 8123)),
    responses(
        (status = 200, description = "It will be delivered.", body = RetriedBody),
        (status = 404, description = "`NOT_FOUND`: there is no such event, or not any more."),
        (status = 409, description = "`CONFLICT`: it was delivered (`SENT`), or the key belongs to another request."),
    ),
)]
pub(crate) async fn retry(
    shop: Data<Shop>,
    admin: Admin,
    key: Key,
    id: PathId,
) -> Result<HttpResponse, ApiError> {
    let (_, replayed) = redeliver(&shop, admin, key, Redelivery::Event(id.0)).await?;
    Ok(mark_replayed(retried(Some(id.0)), replayed))
}

fn retried(id: Option<i64>) -> HttpResponse {
    ok(&RetriedBody { id, status: EventStatus::Pending.name() })
}

/// What whoever had events delivered again was told.
pub(super) fn redelivered(scope: &str, outcome: Redelivered) -> Result<HttpResponse, ApiError> {
    let events = delivered(outcome)?;
    Ok(match Redelivery::is_of_one_event(scope) {
        true => retried(None),
        false => ok(&RedeliveredBody { events }),
    })
}

/// Which events to deliver again.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"status": "DEAD"}))]
pub(crate) struct RetryEvents {
    /// `DEAD`: those that were given up. `FAILED`: those that wait for their next attempt.
    #[serde(default)]
    #[schema(value_type = String, required = true)]
    status: Option<String>,
}

impl RetryEvents {
    fn parse(&self) -> Result<Redelivery, ApiError> {
        let status =
            self.status.as_deref().ok_or_else(|| ApiError::invalid_field("status", Reason::Required))?;
        match EventStatus::named(status) {
            Some(EventStatus::Failed) => Ok(Redelivery::Failed),
            Some(EventStatus::Dead) => Ok(Redelivery::Dead),
            Some(EventStatus::Pending | EventStatus::Sent) | None => {
                Err(ApiError::invalid_field("status", Reason::NotOneOf(&UNSENT)))
            }
        }
    }
}

/// How many events are delivered again.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"events": 1204}))]
pub(crate) struct RedeliveredBody {
    events: u64,
}

/// Deliver all events of a status again
///
/// For after an incident: all that were given up, or that failed, are due at once, with as many attempts as new ones. In
/// parts, beside the purchases: what a request that broke off left is done by the next. For administrators.
#[utoipa::path(
    post,
    path = "/api/v1/admin/outbox/retry",
    operation_id = "retryEvents",
    tag = "Administration",
    params(CallerHeaders, KeyHeader),
    request_body = RetryEvents,
    responses(
        (status = 200, description = "They will be delivered.", body = RedeliveredBody),
        (status = 409, description = "`CONFLICT`: the key belongs to another request."),
    ),
)]
pub(crate) async fn retry_all(
    shop: Data<Shop>,
    admin: Admin,
    key: Key,
    body: JsonBody<RetryEvents>,
) -> Result<HttpResponse, ApiError> {
    redeliver_many(&shop, admin, key, body.0.parse()?).await
}

/// From a moment up to another, which is not part of it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"from": "2025-11-09T12:00:00Z", "to": "2025-11-09T13:00:00Z"}))]
pub(crate) struct ResendEvents {
    /// ISO-8601, such as `2025-11-09T12:00:00Z`.
    #[serde(default)]
    #[schema(value_type = String, format = DateTime, required = true)]
    from: Option<String>,
    /// Later than `from`, by 31 days at most.
    #[serde(default)]
    #[schema(value_type = String, format = DateTime, required = true)]
    to: Option<String>,
}

impl ResendEvents {
    fn parse(&self) -> Result<Redelivery, ApiError> {
        let mut faults = Vec::new();
        let mut moment = |field: &'static str, text: Option<&str>| {
            let moment = text.ok_or(Reason::Required);
            let moment = moment.and_then(|text| parse_moment(text).ok_or(Reason::NotAMoment));
            moment.map_err(|reason| faults.push(Detail::new(field, reason))).ok()
        };
        match (moment("from", self.from.as_deref()), moment("to", self.to.as_deref())) {
            (Some(from), Some(to)) => periods::period(from, to).map(Redelivery::Sent),
            _ => Err(ApiError::invalid(faults)),
        }
    }
}

/// Send events again
///
/// For a platform that lost them: those that happened in the period, were sent and are still kept are sent again, the oldest
/// first, and with them what was sent later of the same orders and coupons. They are the same events as before, by their
/// ids. In parts, beside the purchases: what a request that broke off left is done by the next. For administrators.
#[utoipa::path(
    post,
    path = "/api/v1/admin/outbox/resend",
    operation_id = "resendEvents",
    tag = "Administration",
    params(CallerHeaders, KeyHeader),
    request_body = ResendEvents,
    responses(
        (status = 200, description = "They will be sent.", body = RedeliveredBody),
        (status = 409, description = "`CONFLICT`: the key belongs to another request."),
    ),
)]
pub(crate) async fn resend(
    shop: Data<Shop>,
    admin: Admin,
    key: Key,
    body: JsonBody<ResendEvents>,
) -> Result<HttpResponse, ApiError> {
    redeliver_many(&shop, admin, key, body.0.parse()?).await
}

async fn redeliver_many(
    shop: &Shop,
    admin: Admin,
    key: Key,
    command: Redelivery,
) -> Result<HttpResponse, ApiError> {
    let (events, replayed) = redeliver(shop, admin, key, command).await?;
    Ok(mark_replayed(ok(&RedeliveredBody { events }), replayed))
}

/// How many, and whether that was told before.
async fn redeliver(
    shop: &Shop,
    admin: Admin,
    key: Key,
    command: Redelivery,
) -> Result<(u64, bool), ApiError> {
    let answer = shop.redeliverer.redeliver(admin.0, Submission { command, key: key.0 }).await?;
    let events =
        delivered(answer.outcome).map_err(|problem| ApiError::from(problem).replayed(answer.replayed))?;
    Ok((events, answer.replayed))
}

fn delivered(outcome: Redelivered) -> Result<u64, Problem> {
    outcome.map_err(|refusal| match refusal {
        RedeliveryRefusal::Unknown => Problem::NoSuchEvent,
        RedeliveryRefusal::Sent => Problem::EventSent,
    })
}

#[cfg(test)]
mod tests {
    use super::super::parameters::read;
    use super::*;

    #[test]
    fn events_are_asked_for_by_the_names_of_their_statuses() {
        let status = |query: &str| read::<ListParameters>(query).map(|parameters| parameters.status.status);
        assert_eq!(status("page=3"), Ok(None));
        for known in EventStatus::ALL {
            assert_eq!(status(&format!("status={}", known.name())), Ok(Some(known)));
        }
        for query in ["status=dead", "status=", "status=LOST"] {
            assert_eq!(
                status(query),
                Err(vec![Detail::new("status", Reason::NotOneOf(&STATUSES))]),
                "{query}"
            );
        }
    }

    #[test]
    fn both_ends_of_a_period_are_looked_at_at_once() {
        let faults = |from: Option<&str>, to: Option<&str>| {
            let body = ResendEvents { from: from.map(str::to_owned), to: to.map(str::to_owned) };
            body.parse().err().map(ApiError::into_details)
        };
        let (one, two) = (Some("2025-11-09T12:00:00Z"), Some("2025-11-09T13:00:00Z"));
        assert_eq!(faults(one, two), None);
        let both = [Detail::new("from", Reason::Required), Detail::new("to", Reason::NotAMoment)];
        assert_eq!(faults(None, Some("noon")).unwrap(), both);
        let period = [Detail::new("to", Reason::BadPeriod { days: 31 })];
        for to in [one, Some("2025-11-09T11:00:00Z"), Some("2025-12-10T12:00:01Z")] {
            assert_eq!(faults(one, to).unwrap(), period);
        }
        assert_eq!(faults(one, Some("2025-12-10T12:00:00Z")), None);
    }

    #[test]
    fn what_is_no_json_is_shown_as_a_text() {
        let as_text = serde_json::to_string("{not json").unwrap();
        for (payload, shown) in [(r#"{"a": 1.00}"#, r#"{"a": 1.00}"#), ("{not json", as_text.as_str())] {
            let name = jangteo_application::cloud_event::EventName::new(
                jangteo_application::outbox::Aggregate::Order,
                1,
                1,
                "order.paid",
            );
            let at = chrono::DateTime::UNIX_EPOCH;
            let event = EventView {
                id: 1,
                name,
                sequence: 1,
                status: EventStatus::Dead,
                attempts: 1,
                last_error: None,
                at,
                next_attempt_at: None,
                sent_at: None,
            };
            assert_eq!(EventDetailBody::from((event, payload.to_owned())).data.get(), shown);
        }
    }
}
