//! What becomes of orders that were paid.

use actix_web::HttpResponse;
use actix_web::web::Data;
use jangteo_application::cancel_orders::{Cancel, CancelOrders};
use jangteo_application::fulfil_orders::{Fulfil, FulfilOrders, FulfilRefusal, Step};
use jangteo_application::operation::Outcome;
use jangteo_application::{Operation, Submission};
use jangteo_domain::OrderId;
use jangteo_domain::cancellation::{CancelReason, CancelRefusal};
use jangteo_domain::order::WrongStatus;
use serde::Deserialize;
use utoipa::ToSchema;

use super::Shop;
use super::answers::{Answers, answered};
use super::body::{OptionalBody, ok};
use super::endpoint::Endpoint;
use super::error::{ApiError, Detail, Problem, Reason};
use super::headers::{Caller, CallerHeaders, Key, KeyHeader};
use super::orders::{OrderBody, status_name, visible_order};
use super::parameters::PathId;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::at("/api/v1/orders/{id}/cancel").post(cancel),
        Endpoint::at("/api/v1/admin/orders/{id}/ship").post(ship),
        Endpoint::at("/api/v1/admin/orders/{id}/deliver").post(deliver),
    ]
}

/// Why an order is cancelled.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "다른 색상으로 다시 주문할게요."}))]
pub(crate) struct CancelOrder {
    /// In the customer's or the administrator's words. It is kept with the payment and told to the data platform.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 200)]
    reason: Option<String>,
}

impl CancelOrder {
    fn parse(self) -> Result<Option<CancelReason>, ApiError> {
        let reason = self.reason.map(|reason| reason.parse()).transpose();
        reason.map_err(|_| {
            ApiError::invalid_field("reason", Reason::NotALine { longest: CancelReason::LONGEST })
        })
    }
}

impl From<WrongStatus> for ApiError {
    fn from(WrongStatus(status): WrongStatus) -> Self {
        let status = status_name(status);
        let detail = Detail::new("status", Reason::OrderStatus(status));
        Self::from(Problem::OrderStatus(status)).with(vec![detail])
    }
}

impl From<CancelRefusal> for ApiError {
    fn from(refusal: CancelRefusal) -> Self {
        match refusal {
            CancelRefusal::Status(wrong) => wrong.into(),
            CancelRefusal::BalanceTooLarge => Problem::BalanceLimitExceeded.into(),
        }
    }
}

impl From<FulfilRefusal> for ApiError {
    fn from(refusal: FulfilRefusal) -> Self {
        match refusal {
            FulfilRefusal::Unknown => Problem::NoSuchOrder.into(),
            FulfilRefusal::Status(wrong) => wrong.into(),
        }
    }
}

/// Cancel an order
///
/// One that is paid and not shipped yet, by its customer or an administrator. The wallet is refunded, even above its
/// limit, the pieces are back in stock, and a coupon that is still valid can be used again: all together or not at all.
#[utoipa::path(
    post,
    path = "/api/v1/orders/{id}/cancel",
    operation_id = "cancelOrder",
    tag = "Orders",
    params(CallerHeaders, KeyHeader, ("id" = i64, Path, description = "The order.", minimum = 1)),
    request_body = Option<CancelOrder>,
    responses(
        (
            status = 200,
            description = "The order, cancelled.",
            body = OrderBody,
            example = json!({
                "orderId": 5551,
                "status": "CANCELLED",
                "totalAmount": 59700.00,
                "discountAmount": 5970.00,
                "paidAmount": 53730.00,
                "appliedCoupon": {"code": "WELCOME10"},
                "items": [
                    {"productId": 101, "name": "유기농 면 티셔츠", "unitPrice": 19900.00, "qty": 3, "subtotal": 59700.00},
                ],
                "userPointBalance": 100000.00,
                "createdAt": "2025-11-09T12:34:56Z",
            }),
        ),
        (status = 404, description = "`NOT_FOUND`: the caller has no such order."),
        (status = 409, description = "`CONFLICT`: the order was shipped, delivered or cancelled before, or the key was used for another request. `BALANCE_LIMIT_EXCEEDED`: the balance would pass what can be counted."),
    ),
)]
pub(crate) async fn cancel(
    shop: Data<Shop>,
    caller: Caller,
    key: Key,
    id: PathId,
    body: OptionalBody<CancelOrder>,
) -> Result<HttpResponse, ApiError> {
    let reason = body.0.map(CancelOrder::parse).transpose()?.flatten();
    let order = visible_order(&shop, caller, &id).await?;
    let command = Cancel { order, by: caller.user, reason };
    let answer = shop.cancellations.submit(Submission { command, key: key.0 }).await?;
    if let Ok(refund) = &answer.outcome {
        shop.stock_news.left(&refund.left);
    }
    answered(CancelOrders::NAME, answer)
}

impl Answers for CancelOrders {
    fn answer(_: &str, outcome: Outcome<Self>) -> Result<HttpResponse, ApiError> {
        Ok(ok(&OrderBody::from(outcome?)))
    }
}

/// Ship an order
///
/// For administrators: a paid order is handed to the carrier. From then on it cannot be cancelled.
#[utoipa::path(
    post,
    path = "/api/v1/admin/orders/{id}/ship",
    operation_id = "shipOrder",
    tag = "Administration",
    params(CallerHeaders, KeyHeader, ("id" = i64, Path, description = "The order.", minimum = 1)),
    responses(
        (status = 200, description = "The order, on its way.", body = OrderBody),
        (status = 403, description = "`FORBIDDEN`: the caller is not an administrator."),
        (status = 404, description = "`NOT_FOUND`: there is no such order."),
        (status = 409, description = "`CONFLICT`: the order is not `PAID`, or the key was used for another request."),
    ),
)]
pub(crate) async fn ship(
    shop: Data<Shop>,
    caller: Caller,
    key: Key,
    id: PathId,
) -> Result<HttpResponse, ApiError> {
    fulfil(&shop, caller, key, &id, Step::Ship).await
}

/// Note that an order was delivered
///
/// For administrators: an order on its way has arrived.
#[utoipa::path(
    post,
    path = "/api/v1/admin/orders/{id}/deliver",
    operation_id = "deliverOrder",
    tag = "Administration",
    params(CallerHeaders, KeyHeader, ("id" = i64, Path, description = "The order.", minimum = 1)),
    responses(
        (status = 200, description = "The order, delivered.", body = OrderBody),
        (status = 403, description = "`FORBIDDEN`: the caller is not an administrator."),
        (status = 404, description = "`NOT_FOUND`: there is no such order."),
        (status = 409, description = "`CONFLICT`: the order is not `SHIPPING`, or the key was used for another request."),
    ),
)]
pub(crate) async fn deliver(
    shop: Data<Shop>,
    caller: Caller,
    key: Key,
    id: PathId,
) -> Result<HttpResponse, ApiError> {
    fulfil(&shop, caller, key, &id, Step::Deliver).await
}

async fn fulfil(
    shop: &Shop,
    caller: Caller,
    key: Key,
    id: &PathId,
    step: Step,
) -> Result<HttpResponse, ApiError> {
    caller.must_be_administrator()?;
    let command = Fulfil { order: OrderId(id.0), step, by: caller.user };
    let answer = shop.fulfilments.submit(Submission { command, key: key.0 }).await?;
    answered(FulfilOrders::NAME, answer)
}

impl Answers for FulfilOrders {
    fn answer(_: &str, outcome: Outcome<Self>) -> Result<HttpResponse, ApiError> {
        Ok(ok(&OrderBody::from(outcome?)))
    }
}
