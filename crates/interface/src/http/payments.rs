//! Payments of orders.

use actix_web::HttpResponse;
use actix_web::web::Data;
use jangteo_application::queries::{PaymentStep, PaymentView};
use jangteo_domain::payment::PaymentStatus;
use serde::Serialize;
use utoipa::ToSchema;

use super::Shop;
use super::body::ok;
use super::endpoint::Endpoint;
use super::error::{ApiError, Problem};
use super::exact::{Moment, MoneyJson};
use super::headers::{Caller, CallerHeaders};
use super::orders::shown_order;
use super::parameters::PathId;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::at("/api/v1/orders/{id}/payment").get(payment)]
}

/// The payment of an order.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PaymentBody {
    order_id: i64,
    /// `POINT`: from the wallet.
    #[schema(value_type = String, example = "POINT")]
    method: &'static str,
    /// What was paid, or is to be.
    amount: MoneyJson,
    /// `PENDING`, `COMPLETED`, `FAILED` (it may be tried again while the order waits) or `CANCELLED` (refunded).
    #[schema(value_type = String, example = "COMPLETED")]
    status: &'static str,
    /// Why the last attempt came to nothing: `INSUFFICIENT_BALANCE`, `HOLD_EXPIRED`, `ORDER_CANCELLED`, or what was said when
    /// the order was cancelled.
    failure_reason: Option<String>,
    created_at: Moment,
    paid_at: Option<Moment>,
    /// When it was refunded.
    cancelled_at: Option<Moment>,
    /// What happened to it, the first first.
    history: Vec<PaymentStepBody>,
}

/// Something that happened to a payment.
#[derive(Serialize, ToSchema)]
pub(crate) struct PaymentStepBody {
    #[schema(value_type = String, example = "PENDING")]
    from: &'static str,
    #[schema(value_type = String, example = "COMPLETED")]
    to: &'static str,
    reason: Option<String>,
    at: Moment,
}

impl From<PaymentView> for PaymentBody {
    fn from(payment: PaymentView) -> Self {
        Self {
            order_id: payment.order.0,
            method: "POINT",
            amount: MoneyJson(payment.amount),
            status: status_name(payment.status),
            failure_reason: payment.failure_reason,
            created_at: Moment(payment.created_at),
            paid_at: payment.paid_at.map(Moment),
            cancelled_at: payment.cancelled_at.map(Moment),
            history: payment.history.into_iter().map(PaymentStepBody::from).collect(),
        }
    }
}

impl From<PaymentStep> for PaymentStepBody {
    fn from(step: PaymentStep) -> Self {
        Self {
            from: status_name(step.from),
            to: status_name(step.to),
            reason: step.reason,
            at: Moment(step.at),
        }
    }
}

fn status_name(status: PaymentStatus) -> &'static str {
    match status {
        PaymentStatus::Pending => "PENDING",
        PaymentStatus::Completed => "COMPLETED",
        PaymentStatus::Failed => "FAILED",
        PaymentStatus::Cancelled => "CANCELLED",
    }
}

/// The payment of an order
///
/// With all that happened to it. Only the customer and administrators see it.
#[utoipa::path(
    get,
    path = "/api/v1/orders/{id}/payment",
    operation_id = "getPayment",
    tag = "Orders",
    params(CallerHeaders, ("id" = i64, Path, description = "The order.", minimum = 1)),
    responses(
        (
            status = 200,
            description = "The payment.",
            body = PaymentBody,
            example = json!({
                "orderId": 5551,
                "method": "POINT",
                "amount": 59700.00,
                "status": "COMPLETED",
                "failureReason": null,
                "createdAt": "2025-11-09T12:34:56Z",
                "paidAt": "2025-11-09T12:41:07Z",
                "cancelledAt": null,
                "history": [
                    {"from": "PENDING", "to": "FAILED", "reason": "INSUFFICIENT_BALANCE", "at": "2025-11-09T12:36:12Z"},
                    {"from": "FAILED", "to": "COMPLETED", "reason": null, "at": "2025-11-09T12:41:07Z"},
                ],
            }),
        ),
        (status = 404, description = "`NOT_FOUND`: the caller has no such order."),
    ),
)]
pub(crate) async fn payment(shop: Data<Shop>, caller: Caller, id: PathId) -> Result<HttpResponse, ApiError> {
    let order = shown_order(&shop, caller, &id).await?;
    let payment = shop.customers.payment(order.id).await?;
    let payment = payment.ok_or(Problem::NoSuchOrder)?;
    Ok(ok(&PaymentBody::from(payment)))
}
