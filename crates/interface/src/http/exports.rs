//! Orders and ledger entries in bulk.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use jangteo_application::exports::{EntriesToExport, OrdersToExport};
use jangteo_domain::UserId;
use utoipa::IntoParams;

use super::Shop;
use super::endpoint::Endpoint;
use super::error::{ApiError, Problem};
use super::headers::{Admin, CallerHeaders};
use super::orders::StatusParameter;
use super::parameters::{FromQuery, Parameters, Query};
use super::periods::SpanParameters;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::at("/api/v1/admin/orders.csv").get(orders),
        Endpoint::at("/api/v1/admin/ledger.csv").get(ledger),
    ]
}

/// Which orders are asked for.
pub(crate) struct OrdersParameters {
    span: SpanParameters,
    status: StatusParameter,
}

impl FromQuery for OrdersParameters {
    fn take_from(query: &mut Query) -> Self {
        Self { span: SpanParameters::take_from(query), status: StatusParameter::take_from(query) }
    }
}

/// Whose.
#[derive(Debug, Clone, Copy, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct UserParameter {
    /// Only those of this customer.
    #[param(rename = "userId", value_type = Option<i64>, nullable = false, minimum = 1, example = 1)]
    pub(super) user: Option<UserId>,
}

impl FromQuery for UserParameter {
    fn take_from(query: &mut Query) -> Self {
        Self { user: query.id("userId").map(UserId) }
    }
}

/// Which ledger entries are asked for.
pub(crate) struct LedgerParameters {
    span: SpanParameters,
    user: UserParameter,
}

impl FromQuery for LedgerParameters {
    fn take_from(query: &mut Query) -> Self {
        Self { span: SpanParameters::take_from(query), user: UserParameter::take_from(query) }
    }
}

/// Export orders
///
/// One row for each line of each order, by ascending order ids, all as of one moment: what changes meanwhile is not in it.
/// CSV in UTF-8 with a head, however many they are. A text that begins like a formula (`=`, `+`, `-`, `@`, a tab) has an
/// apostrophe before it. An export that breaks off ends without the last chunk of HTTP: whoever reads it sees an error.
/// For administrators.
#[utoipa::path(
    get,
    path = "/api/v1/admin/orders.csv",
    operation_id = "exportOrders",
    tag = "Administration",
    params(CallerHeaders, SpanParameters, StatusParameter),
    responses(
        (
            status = 200,
            description = "The lines.",
            body = String,
            content_type = "text/csv",
            headers(("Content-Disposition" = String, description = "A name for the file.")),
            example = "orderId,userId,status,createdAt,paidAt,productId,variantId,name,variantName,unitPrice,qty,subtotal,totalAmount,discountAmount,paidAmount,couponCode\r\n5551,1,PAID,2025-11-09T12:34:56Z,2025-11-09T12:34:56Z,101,,유기농 면 티셔츠,,19900.00,3,59700.00,59700.00,5970.00,53730.00,WELCOME10\r\n",
        ),
        (status = 503, description = "`SERVICE_UNAVAILABLE`: two exports are under way already, or the database is away. With `Retry-After`."),
    ),
)]
pub(crate) async fn orders(
    shop: Data<Shop>,
    _: Admin,
    parameters: Parameters<OrdersParameters>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let OrdersParameters { span, status: StatusParameter { status } } = parameters.0;
    let which = OrdersToExport { placed: span.span()?, status };
    let file = ("orders", shop.clock.now());
    shop.downloads.answer(file, request.method(), shop.exports.orders(which)).await
}

/// Export the ledger
///
/// One row for each movement of money, by ascending ids, all as of one moment. The same kind of file as the export of
/// orders. For administrators.
#[utoipa::path(
    get,
    path = "/api/v1/admin/ledger.csv",
    operation_id = "exportLedger",
    tag = "Administration",
    params(CallerHeaders, SpanParameters, UserParameter),
    responses(
        (
            status = 200,
            description = "The movements.",
            body = String,
            content_type = "text/csv",
            headers(("Content-Disposition" = String, description = "A name for the file.")),
            example = "id,userId,kind,amount,balanceAfter,orderId,reason,createdAt\r\n8123,1,USE,-53730.00,46270.00,5551,,2025-11-09T12:34:56Z\r\n",
        ),
        (status = 404, description = "`NOT_FOUND`: there is no such user."),
        (status = 503, description = "`SERVICE_UNAVAILABLE`: two exports are under way already, or the database is away. With `Retry-After`."),
    ),
)]
pub(crate) async fn ledger(
    shop: Data<Shop>,
    _: Admin,
    parameters: Parameters<LedgerParameters>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let LedgerParameters { span, user: UserParameter { user } } = parameters.0;
    let which = EntriesToExport { at: span.span()?, user };
    if let Some(user) = user {
        shop.customers.wallet(user).await?.ok_or(Problem::NoSuchUser)?;
    }
    let file = ("ledger", shop.clock.now());
    shop.downloads.answer(file, request.method(), shop.exports.entries(which)).await
}
