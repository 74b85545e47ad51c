//! What a data platform must have, for it to compare with what it has.

use actix_web::HttpResponse;
use actix_web::web::Data;
use jangteo_application::outbox_queries::{Backlog, HourOfOrders, ToldOrder};
use jangteo_application::queries::PageRequest;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::Shop;
use super::body::ok;
use super::endpoint::Endpoint;
use super::error::ApiError;
use super::exact::Moment;
use super::headers::{Caller, CallerHeaders};
use super::pages::{LAST_PAGE, PageBody};
use super::parameters::{FromQuery, Parameters, Query};
use super::periods::PeriodParameters;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::at("/api/v1/admin/outbox/summary").get(summary),
        Endpoint::at("/api/v1/admin/outbox/orders").get(orders),
    ]
}

/// How many orders and events there are of a period.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({
    "from": "2025-11-09T12:00:00Z",
    "to": "2025-11-09T14:00:00Z",
    "orders": 1290,
    "events": 1305,
    "hours": [
        {"from": "2025-11-09T12:00:00Z", "orders": 1180, "events": 1195},
        {"from": "2025-11-09T13:00:00Z", "orders": 110, "events": 110},
    ],
    "outbox": {"pending": 12, "failed": 0, "dead": 0, "oldestPendingAt": "2025-11-09T13:59:59Z"},
}))]
pub(crate) struct SummaryBody {
    from: Moment,
    to: Moment,
    /// Orders that were placed in the period and have events.
    orders: u64,
    /// The events of these orders, whenever they happened.
    events: u64,
    /// The same by the hour in which the orders were placed; hours without any are left out.
    hours: Vec<HourBody>,
    outbox: BacklogBody,
}

/// Orders of an hour, as far as it is in the period.
#[derive(Serialize, ToSchema)]
pub(crate) struct HourBody {
    /// When the hour began.
    from: Moment,
    orders: u64,
    events: u64,
}

impl From<HourOfOrders> for HourBody {
    fn from(hour: HourOfOrders) -> Self {
        Self { from: Moment(hour.from), orders: hour.orders, events: hour.events }
    }
}

/// What is not delivered at the moment, of any period. Each figure stops at 100,000.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BacklogBody {
    /// Events that wait, or are being sent.
    pending: u64,
    /// Events that were sent in vain, and will be sent again.
    failed: u64,
    /// Events that were given up.
    dead: u64,
    /// When the oldest event happened that is neither sent nor given up.
    oldest_pending_at: Option<Moment>,
}

impl From<Backlog> for BacklogBody {
    fn from(backlog: Backlog) -> Self {
        Self {
            pending: backlog.pending,
            failed: backlog.failed,
            dead: backlog.dead,
            oldest_pending_at: backlog.oldest.map(Moment),
        }
    }
}

/// How much a data platform must have
///
/// To be compared with the platform's own figures, once what is pending has been delivered. Every order of the period is
/// read for it: a million takes about a second. For administrators.
#[utoipa::path(
    get,
    path = "/api/v1/admin/outbox/summary",
    operation_id = "getCompleteness",
    tag = "Administration",
    params(CallerHeaders, PeriodParameters),
    responses(
        (status = 200, description = "The figures.", body = SummaryBody),
    ),
)]
pub(crate) async fn summary(
    shop: Data<Shop>,
    caller: Caller,
    period: Parameters<PeriodParameters>,
) -> Result<HttpResponse, ApiError> {
    caller.must_be_administrator()?;
    let period = period.0.period(shop.clock.now())?;
    // The backlog last: when it is empty, the platform has everything that was counted.
    let hours = shop.outbox.told_hours(period).await?;
    let outbox = shop.outbox.backlog().await?;
    Ok(ok(&SummaryBody {
        from: Moment(period.from),
        to: Moment(period.to),
        orders: hours.iter().map(|hour| hour.orders).sum(),
        events: hours.iter().map(|hour| hour.events).sum(),
        hours: hours.into_iter().map(HourBody::from).collect(),
        outbox: outbox.into(),
    }))
}

/// An order that the platform must have.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"orderId": 5551, "events": 2, "createdAt": "2025-11-09T12:34:56Z"}))]
pub(crate) struct ToldOrderBody {
    order_id: i64,
    /// How many events it has: the sequence of the last.
    events: u32,
    created_at: Moment,
}

impl From<ToldOrder> for ToldOrderBody {
    fn from(told: ToldOrder) -> Self {
        Self { order_id: told.order.0, events: told.events, created_at: Moment(told.at) }
    }
}

/// Which page of the orders: larger ones than elsewhere, for machines.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct LargePageParameters {
    /// From 0.
    #[param(required = false, default = 0, minimum = 0, maximum = 1_000_000)]
    page: u32,
    /// Entries on a page.
    #[param(required = false, default = 100, minimum = 1, maximum = 1000)]
    size: u32,
}

/// What the orders are asked for with.
pub(crate) struct OrdersParameters {
    period: PeriodParameters,
    page: LargePageParameters,
}

impl FromQuery for OrdersParameters {
    fn take_from(query: &mut Query) -> Self {
        let period = PeriodParameters::take_from(query);
        let (page, size) = (query.number("page", 0..=LAST_PAGE, 0), query.number("size", 1..=1000, 100));
        Self { period, page: LargePageParameters { page, size } }
    }
}

/// Which orders a data platform must have
///
/// Those that were placed in the period and have events, by ascending ids. For finding what is missing in an hour whose
/// figures differ: every order of the period is read and sorted for each page. For administrators.
#[utoipa::path(
    get,
    path = "/api/v1/admin/outbox/orders",
    operation_id = "listToldOrders",
    tag = "Administration",
    params(CallerHeaders, PeriodParameters, LargePageParameters),
    responses(
        (
            status = 200,
            description = "A page of orders.",
            body = PageBody<ToldOrderBody>,
            example = json!({
                "content": [
                    {"orderId": 5551, "events": 2, "createdAt": "2025-11-09T12:34:56Z"},
                    {"orderId": 5552, "events": 1, "createdAt": "2025-11-09T12:34:57Z"},
                ],
                "page": 0,
                "size": 100,
                "totalElements": 2,
                "totalPages": 1,
            }),
        ),
    ),
)]
pub(crate) async fn orders(
    shop: Data<Shop>,
    caller: Caller,
    parameters: Parameters<OrdersParameters>,
) -> Result<HttpResponse, ApiError> {
    caller.must_be_administrator()?;
    let OrdersParameters { period, page: LargePageParameters { page, size } } = parameters.0;
    let orders =
        shop.outbox.told_orders(period.period(shop.clock.now())?, PageRequest { page, size }).await?;
    Ok(ok(&PageBody::of(orders, ToldOrderBody::from)))
}
