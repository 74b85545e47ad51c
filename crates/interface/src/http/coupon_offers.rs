//! Coupons on offer, as everybody sees them.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use chrono::{DateTime, Utc};
use jangteo_domain::coupon::{Discount, OfferStatus};
use jangteo_domain::{Coupon, CouponCode};
use serde::Serialize;
use utoipa::ToSchema;

use super::Shop;
use super::body::ok;
use super::endpoint::Endpoint;
use super::error::{ApiError, Problem};
use super::exact::{DecimalJson, Moment, MoneyJson};
use super::pages::{PageBody, PageParameters};
use super::parameters::Parameters;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::at("/api/v1/coupons").get(list), Endpoint::at("/api/v1/coupons/{code}").get(offer)]
}

/// A coupon that can be claimed, or could be.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({
    "couponId": 11,
    "code": "FLASH5000",
    "name": "Black Friday",
    "type": "FIXED",
    "value": 5000.00,
    "minOrderAmount": 20000.00,
    "claimStartsAt": "2025-11-09T00:00:00Z",
    "claimEndsAt": "2025-11-10T00:00:00Z",
    "validUntil": "2025-12-31T23:59:59Z",
    "validDays": 30,
    "totalQuantity": 1000,
    "remaining": 412,
    "status": "OPEN",
}))]
pub(crate) struct CouponOfferBody {
    coupon_id: i64,
    code: String,
    /// Its title.
    name: String,
    /// `FIXED` or `PERCENT`.
    #[schema(value_type = String)]
    r#type: &'static str,
    /// An amount, or a percentage of the total.
    #[schema(value_type = MoneyJson)]
    value: DecimalJson,
    /// The least total of an order that it can be used on.
    min_order_amount: MoneyJson,
    /// The most it takes off; absent when there is no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_discount: Option<MoneyJson>,
    /// From when it can be claimed.
    claim_starts_at: Moment,
    /// Until when it can be claimed; the moment itself is too late.
    claim_ends_at: Moment,
    /// Until when a claimed one can be used; absent when that depends on the claim only, or never ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_until: Option<Moment>,
    /// For how many days after the claim it can be used, if not until an earlier end; absent when there is no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_days: Option<u32>,
    /// How many are issued at most.
    total_quantity: i64,
    /// How many can still be issued.
    remaining: i64,
    /// `UPCOMING`, `OPEN`, `SOLD_OUT` or `ENDED`.
    #[schema(value_type = String)]
    status: &'static str,
}

impl CouponOfferBody {
    fn of(coupon: Coupon, now: DateTime<Utc>) -> Self {
        let (kind, value) = discount(coupon.discount);
        Self {
            coupon_id: coupon.id.0,
            remaining: coupon.remaining(),
            status: status_name(coupon.offer_status(now)),
            code: coupon.code.to_string(),
            name: coupon.name,
            r#type: kind,
            value,
            min_order_amount: MoneyJson(coupon.min_order_amount),
            max_discount: coupon.max_discount.map(MoneyJson),
            claim_starts_at: Moment(coupon.claim_starts_at),
            claim_ends_at: Moment(coupon.claim_ends_at),
            valid_until: coupon.valid_until.map(Moment),
            valid_days: coupon.valid_days,
            total_quantity: coupon.total_quantity,
        }
    }
}

/// A discount as its `type` and `value`.
pub(super) fn discount(discount: Discount) -> (&'static str, DecimalJson) {
    match discount {
        Discount::Fixed(amount) => ("FIXED", DecimalJson(amount.as_decimal())),
        Discount::Percent(percent) => ("PERCENT", DecimalJson(percent.normalize())),
    }
}

pub(super) fn status_name(status: OfferStatus) -> &'static str {
    match status {
        OfferStatus::Upcoming => "UPCOMING",
        OfferStatus::Open => "OPEN",
        OfferStatus::SoldOut => "SOLD_OUT",
        OfferStatus::Ended => "ENDED",
    }
}

/// Coupons on offer
///
/// Those that can be claimed now or later, sold-out ones included, until their claim window closes. Whether somebody
/// gets one is decided by claiming it.
#[utoipa::path(
    get,
    path = "/api/v1/coupons",
    operation_id = "listCoupons",
    tag = "Coupons",
    params(PageParameters),
    responses((
        status = 200,
        description = "A page of coupons. What ends first comes first, and ids break ties.",
        body = PageBody<CouponOfferBody>,
        example = json!({
            "content": [{
                "couponId": 10,
                "code": "WELCOME10",
                "name": "Welcome",
                "type": "PERCENT",
                "value": 10.00,
                "minOrderAmount": 0.00,
                "maxDiscount": 10000.00,
                "claimStartsAt": "2025-11-09T00:00:00Z",
                "claimEndsAt": "2025-12-09T00:00:00Z",
                "validDays": 30,
                "totalQuantity": 1000,
                "remaining": 998,
                "status": "OPEN",
            }],
            "page": 0,
            "size": 20,
            "totalElements": 1,
            "totalPages": 1,
        }),
    )),
)]
pub(crate) async fn list(
    shop: Data<Shop>,
    page: Parameters<PageParameters>,
) -> Result<HttpResponse, ApiError> {
    let offers = shop.catalogue.coupon_offers(page.0.request()).await?;
    let now = shop.clock.now();
    Ok(ok(&PageBody::of(offers, |coupon| CouponOfferBody::of(coupon, now))))
}

/// One coupon
///
/// Also when it is over.
#[utoipa::path(
    get,
    path = "/api/v1/coupons/{code}",
    operation_id = "getCoupon",
    tag = "Coupons",
    params(("code" = String, Path, description = "The coupon's code, in any case.", example = "WELCOME10")),
    responses(
        (status = 200, description = "The coupon.", body = CouponOfferBody),
        (status = 404, description = "`NOT_FOUND`: no coupon has this code."),
    ),
)]
pub(crate) async fn offer(shop: Data<Shop>, code: Path<String>) -> Result<HttpResponse, ApiError> {
    let code: CouponCode = code.parse().map_err(|_| Problem::NoSuchCoupon)?;
    let coupon = shop.catalogue.coupon_offer(code).await?.ok_or(Problem::NoSuchCoupon)?;
    Ok(ok(&CouponOfferBody::of(coupon, shop.clock.now())))
}
