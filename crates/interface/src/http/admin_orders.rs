//! All orders, for those who run the shop.

use actix_web::HttpResponse;
use actix_web::web::Data;
use jangteo_application::order_book::OrderSearch;
use jangteo_domain::Order;
use serde::Serialize;
use utoipa::ToSchema;

use super::Shop;
use super::body::ok;
use super::endpoint::Endpoint;
use super::error::{ApiError, Problem};
use super::exports::UserParameter;
use super::headers::{Admin, CallerHeaders};
use super::orders::{OrderBody, StatusParameter};
use super::pages::{PageBody, PageParameters};
use super::parameters::{FromQuery, Parameters, Query};
use super::periods::SpanParameters;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::at("/api/v1/admin/orders").get(list)]
}

/// What the list is asked with.
pub(crate) struct ListParameters {
    span: SpanParameters,
    status: StatusParameter,
    user: UserParameter,
    page: PageParameters,
}

impl FromQuery for ListParameters {
    fn take_from(query: &mut Query) -> Self {
        Self {
            span: SpanParameters::take_from(query),
            status: StatusParameter::take_from(query),
            user: UserParameter::take_from(query),
            page: PageParameters::take_from(query),
        }
    }
}

/// An order, and whose it is.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CustomerOrderBody {
    user_id: i64,
    #[serde(flatten)]
    order: OrderBody,
}

impl From<Order> for CustomerOrderBody {
    fn from(order: Order) -> Self {
        Self { user_id: order.user.0, order: order.into() }
    }
}

/// All orders, latest first
///
/// Of any customer. Counting stops at 100,000: `totalElements` says no more than that there are at least so many, and later
/// pages can be had all the same. For administrators.
#[utoipa::path(
    get,
    path = "/api/v1/admin/orders",
    operation_id = "listAllOrders",
    tag = "Administration",
    params(CallerHeaders, SpanParameters, StatusParameter, UserParameter, PageParameters),
    responses(
        (status = 200, description = "A page of orders.", body = PageBody<CustomerOrderBody>),
        (status = 404, description = "`NOT_FOUND`: there is no such user."),
    ),
)]
pub(crate) async fn list(
    shop: Data<Shop>,
    _: Admin,
    parameters: Parameters<ListParameters>,
) -> Result<HttpResponse, ApiError> {
    let ListParameters { span, status: StatusParameter { status }, user: UserParameter { user }, page } =
        parameters.0;
    let search = OrderSearch { placed: span.span()?, status, user };
    let orders = shop.order_book.orders(search, page.request()).await?;
    if let (0, Some(user)) = (orders.total, user) {
        shop.customers.wallet(user).await?.ok_or(Problem::NoSuchUser)?;
    }
    Ok(ok(&PageBody::of(orders, CustomerOrderBody::from)))
}
