//! What becomes of orders that were placed.

use actix_web::HttpResponse;
use actix_web::web::Data;
use jangteo_application::cancel_orders::{Cancel, CancelOrders};
use jangteo_application::fulfil_orders::{Fulfil, FulfilOrders, FulfilRefusal, Step};
use jangteo_application::operation::Outcome;
use jangteo_application::pay_orders::{NotPaid, Pay, PayOrders};
use jangteo_application::{Operation, Submission};
use jangteo_domain::OrderId;
use jangteo_domain::cancellation::{CancelReason, CancelRefusal};
use jangteo_domain::order::{NotPayable, WrongStatus};
use serde::Deserialize;
use utoipa::ToSchema;

use super::Shop;
use super::answers::{Answers, answered};
use super::body::{OptionalBody, ok};
use super::endpoint::Endpoint;
use super::error::{ApiError, Detail, OrderFault, Problem, Reason};
use super::headers::{Admin, Caller, CallerHeaders, Key, KeyHeader, Origin};
use super::orders::{OrderBody, status_name, visible_order};
use super::parameters::PathId;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::at("/api/v1/orders/{id}/pay").post(pay),
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
            // Only who looks for overdue orders is told so.
            CancelRefusal::NotOverdue => Problem::Internal.into(),
            CancelRefusal::BalanceTooLarge => Problem::BalanceLimitExceeded.into(),
        }
    }
}

impl From<NotPaid> for ApiError {
    fn from(refusal: NotPaid) -> Self {
        match refusal {
            NotPaid::NotPayable(NotPayable::Status(wrong)) => wrong.into(),
            NotPaid::NotPayable(NotPayable::TooLate(until)) => {
                Self::from(Problem::HoldEnded).with(vec![Detail::new("heldUntil", Reason::HoldEnded(until))])
            }
            NotPaid::Unaffordable(short) => {
                let detail = Detail::new("paidAmount", Reason::Order(OrderFault::Unaffordable(short)));
                Self::from(Problem::InsufficientBalance).with(vec![detail])
            }
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

/// Pay an order
///
/// One that was placed to be paid later, until `heldUntil`. When the balance does not suffice, that is noted with the payment,
/// the order waits on, and it can be tried again.
#[utoipa::path(
    post,
    path = "/api/v1/orders/{id}/pay",
    operation_id = "payOrder",
    tag = "Orders",
    params(CallerHeaders, KeyHeader, ("id" = i64, Path, description = "The order.", minimum = 1)),
    responses(
        (
            status = 200,
            description = "The order, paid.",
            body = OrderBody,
            example = json!({
                "orderId": 5551,
                "status": "PAID",
                "totalAmount": 59700.00,
                "discountAmount": 0.00,
                "paidAmount": 59700.00,
                "appliedCoupon": null,
                "items": [
                    {"productId": 101, "variantId": 7, "name": "유기농 면 티셔츠", "variantName": "빨강-L", "unitPrice": 19900.00, "qty": 3, "subtotal": 59700.00},
                ],
                "userPointBalance": 40300.00,
                "createdAt": "2025-11-09T12:34:56Z",
                "paidAt": "2025-11-09T12:41:07Z",
            }),
        ),
        (status = 404, description = "`NOT_FOUND`: the caller has no such order."),
        (status = 409, description = "`INSUFFICIENT_BALANCE`: the balance does not suffice. `CONFLICT`: the order was paid or cancelled before, its time is over, or the key was used for another request."),
    ),
)]
pub(crate) async fn pay(
    shop: Data<Shop>,
    caller: Caller,
    origin: Origin,
    key: Key,
    id: PathId,
) -> Result<HttpResponse, ApiError> {
    let order = visible_order(&shop, caller, &id).await?;
    let administrator = origin.administrator_of(caller, &order);
    let command = Pay { order, by: caller.user, administrator };
    let answer = shop.payments.submit(Submission { command, key: key.0 }).await?;
    if let Ok(receipt) = &answer.outcome {
        shop.stock_news.left(&receipt.left);
    }
    answered(PayOrders::NAME, answer)
}

impl Answers for PayOrders {
    fn answer(_: &str, outcome: Outcome<Self>) -> Result<HttpResponse, ApiError> {
        Ok(ok(&OrderBody::from(outcome?)))
    }
}

/// Cancel an order
///
/// One that is not shipped yet, by its customer or an administrator. What was paid is back in the wallet, even above its
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
    origin: Origin,
    key: Key,
    id: PathId,
    body: OptionalBody<CancelOrder>,
) -> Result<HttpResponse, ApiError> {
    let reason = body.0.map(CancelOrder::parse).transpose()?.flatten();
    let order = visible_order(&shop, caller, &id).await?;
    let administrator = origin.administrator_of(caller, &order);
    let command = Cancel { order, by: caller.user, administrator, reason };
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
        (status = 404, description = "`NOT_FOUND`: there is no such order."),
        (status = 409, description = "`CONFLICT`: the order is not `PAID`, or the key was used for another request."),
    ),
)]
pub(crate) async fn ship(
    shop: Data<Shop>,
    admin: Admin,
    key: Key,
    id: PathId,
) -> Result<HttpResponse, ApiError> {
    fulfil(&shop, admin, key, &id, Step::Ship).await
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
        (status = 404, description = "`NOT_FOUND`: there is no such order."),
        (status = 409, description = "`CONFLICT`: the order is not `SHIPPING`, or the key was used for another request."),
    ),
)]
pub(crate) async fn deliver(
    shop: Data<Shop>,
    admin: Admin,
    key: Key,
    id: PathId,
) -> Result<HttpResponse, ApiError> {
    fulfil(&shop, admin, key, &id, Step::Deliver).await
}

async fn fulfil(
    shop: &Shop,
    admin: Admin,
    key: Key,
    id: &PathId,
    step: Step,
) -> Result<HttpResponse, ApiError> {
    let command = Fulfil { order: OrderId(id.0), step, by: admin.0 };
    let answer = shop.fulfilments.submit(Submission { command, key: key.0 }).await?;
    answered(FulfilOrders::NAME, answer)
}

impl Answers for FulfilOrders {
    fn answer(_: &str, outcome: Outcome<Self>) -> Result<HttpResponse, ApiError> {
        Ok(ok(&OrderBody::from(outcome?)))
    }
}
