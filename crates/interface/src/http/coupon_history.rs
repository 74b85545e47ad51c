//! What happened to a customer's coupons.

use actix_web::HttpResponse;
use actix_web::web::Data;
use jangteo_application::queries::{CouponChange, CouponHistoryLine};
use serde::Serialize;
use utoipa::ToSchema;

use super::Shop;
use super::body::ok;
use super::endpoint::Endpoint;
use super::error::ApiError;
use super::exact::Moment;
use super::headers::{Caller, CallerHeaders};
use super::pages::{PageBody, PageParameters};
use super::parameters::{Parameters, PathId};
use super::users::must_exist;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::at("/api/v1/users/{userId}/coupons/history").get(history)]
}

/// Something that happened to a customer's coupon.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CouponHistoryBody {
    id: i64,
    coupon_id: i64,
    code: String,
    /// `ISSUED`, `USED`, `RESTORED` or `EXPIRED`.
    #[schema(value_type = String, example = "USED")]
    action: &'static str,
    /// The order that it was used on, or that gave it back.
    order_id: Option<i64>,
    created_at: Moment,
}

impl From<CouponHistoryLine> for CouponHistoryBody {
    fn from(line: CouponHistoryLine) -> Self {
        Self {
            id: line.id,
            coupon_id: line.coupon.0,
            code: line.code.to_string(),
            action: match line.change {
                CouponChange::Issued => "ISSUED",
                CouponChange::Used => "USED",
                CouponChange::Restored => "RESTORED",
                CouponChange::Expired => "EXPIRED",
            },
            order_id: line.order.map(|order| order.0),
            created_at: Moment(line.at),
        }
    }
}

/// What happened to a customer's coupons, latest first
///
/// For the customer and administrators.
#[utoipa::path(
    get,
    path = "/api/v1/users/{userId}/coupons/history",
    operation_id = "listCouponHistory",
    tag = "Coupons",
    params(
        CallerHeaders,
        ("userId" = i64, Path, description = "The customer.", minimum = 1, example = 1),
        PageParameters,
    ),
    responses(
        (
            status = 200,
            description = "A page of what happened.",
            body = PageBody<CouponHistoryBody>,
            example = json!({
                "content": [
                    {
                        "id": 12,
                        "couponId": 10,
                        "code": "WELCOME10",
                        "action": "USED",
                        "orderId": 5551,
                        "createdAt": "2025-11-09T12:40:00Z",
                    },
                    {
                        "id": 7,
                        "couponId": 10,
                        "code": "WELCOME10",
                        "action": "ISSUED",
                        "orderId": null,
                        "createdAt": "2025-11-09T12:34:56Z",
                    },
                ],
                "page": 0,
                "size": 20,
                "totalElements": 2,
                "totalPages": 1,
            }),
        ),
        (status = 403, description = "`FORBIDDEN`: they are somebody else's."),
        (status = 404, description = "`NOT_FOUND`: there is no such user."),
    ),
)]
pub(crate) async fn history(
    shop: Data<Shop>,
    caller: Caller,
    user: PathId,
    page: Parameters<PageParameters>,
) -> Result<HttpResponse, ApiError> {
    let user = caller.customer(&user)?;
    let history = shop.customers.coupon_history(user, page.0.request()).await?;
    if history.total == 0 {
        must_exist(&shop, user).await?;
    }
    Ok(ok(&PageBody::of(history, CouponHistoryBody::from)))
}
