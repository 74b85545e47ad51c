//! Coupons, as administrators see to them.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use chrono::{DateTime, Utc};
use jangteo_application::Submission;
use jangteo_application::manage_coupons::{
    CREATE_COUPON, CouponAction, CouponRefusal, ManageCoupon, ManageCoupons, Managed, RETIRE_COUPON,
};
use jangteo_application::operation::Outcome;
use jangteo_domain::coupon::{ChangeRefusal, SettledTerm};
use jangteo_domain::{Coupon, CouponId};
use serde::Serialize;
use utoipa::ToSchema;

use super::Shop;
use super::answers::{Answers, answered};
use super::body::{JsonBody, json, located, ok};
use super::coupon_drafts::{ChangeCoupon, CreateCoupon};
use super::coupon_offers::{discount, status_name};
use super::endpoint::Endpoint;
use super::error::{ApiError, Detail, Problem, Reason};
use super::exact::{DecimalJson, Moment, MoneyJson};
use super::headers::{Admin, CallerHeaders, Key, KeyHeader};
use super::pages::{PageBody, PageParameters};
use super::parameters::{Parameters, PathId};
use super::versions::{IfMatch, IfMatchHeader, tagged};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::at("/api/v1/admin/coupons").get(list).post(create),
        Endpoint::at("/api/v1/admin/coupons/{id}").get(coupon).patch(change).delete(retire),
    ]
}

/// A coupon, as administrators see it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({
    "couponId": 11,
    "code": "FLASH5000",
    "name": "블랙 프라이데이",
    "type": "FIXED",
    "value": 5000.00,
    "minOrderAmount": 20000.00,
    "maxDiscount": null,
    "claimStartsAt": "2025-11-09T00:00:00Z",
    "claimEndsAt": "2025-11-10T00:00:00Z",
    "validUntil": null,
    "validDays": 30,
    "totalQuantity": 1000,
    "issuedQuantity": 588,
    "remaining": 412,
    "nextTicket": 1001,
    "status": "OPEN",
    "retiredAt": null,
    "version": 1,
}))]
pub(crate) struct AdminCouponBody {
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
    /// The most it takes off.
    max_discount: Option<MoneyJson>,
    /// From when it can be claimed.
    claim_starts_at: Moment,
    /// Until when it can be claimed; the moment itself is too late.
    claim_ends_at: Moment,
    /// Until when one that is claimed now can be used.
    valid_until: Option<Moment>,
    /// For how many days after the claim it can be used.
    valid_days: Option<u32>,
    /// How many are issued at most.
    total_quantity: i64,
    /// How many were issued.
    issued_quantity: i64,
    /// How many can still be issued.
    remaining: i64,
    /// The next ticket that no claim and no gate has got.
    next_ticket: i64,
    /// `UPCOMING`, `OPEN`, `SOLD_OUT` or `ENDED`, which a retired one is.
    #[schema(value_type = String)]
    status: &'static str,
    /// Null while it is not retired.
    retired_at: Option<Moment>,
    /// Counts its changes: the `ETag` without its quotes.
    version: i32,
}

impl AdminCouponBody {
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
            issued_quantity: coupon.issued_quantity,
            next_ticket: coupon.next_ticket,
            retired_at: coupon.retired_at.map(Moment),
            version: coupon.version,
        }
    }
}

impl From<CouponRefusal> for ApiError {
    fn from(refusal: CouponRefusal) -> Self {
        let because = |problem, field, reason| Self::from(problem).with(vec![Detail::new(field, reason)]);
        match refusal {
            CouponRefusal::Unknown => Problem::NoSuchCoupon.into(),
            CouponRefusal::Stale(stale) => stale.into(),
            CouponRefusal::CodeTaken => because(Problem::CodeTaken, "code", Reason::CodeTaken),
            CouponRefusal::Incomplete => Problem::Invalid.into(),
            CouponRefusal::Change(ChangeRefusal::Retired(_)) => {
                because(Problem::CouponRetired, "id", Reason::Retired)
            }
            CouponRefusal::Change(ChangeRefusal::Settled(settled)) => {
                Self::from(Problem::CouponIssued).with(settled.into_iter().map(Detail::from).collect())
            }
            CouponRefusal::Change(ChangeRefusal::Faults(faults)) => {
                Self::invalid(faults.into_iter().map(Detail::from).collect())
            }
        }
    }
}

impl From<SettledTerm> for Detail {
    fn from(settled: SettledTerm) -> Self {
        match settled {
            SettledTerm::Code => Self::new("code", Reason::Issued),
            SettledTerm::Kind => Self::new("type", Reason::Issued),
            SettledTerm::Value => Self::new("value", Reason::Issued),
            SettledTerm::Quantity { issued } => Self::new("totalQuantity", Reason::BelowIssued { issued }),
        }
    }
}

/// All coupons
///
/// By their ids, those that are over or retired too. For administrators.
#[utoipa::path(
    get,
    path = "/api/v1/admin/coupons",
    operation_id = "listAllCoupons",
    tag = "Administration",
    params(CallerHeaders, PageParameters),
    responses(
        (status = 200, description = "A page of coupons.", body = PageBody<AdminCouponBody>),
    ),
)]
pub(crate) async fn list(
    shop: Data<Shop>,
    _: Admin,
    page: Parameters<PageParameters>,
) -> Result<HttpResponse, ApiError> {
    let coupons = shop.back_office.all_coupons(page.0.request()).await?;
    let now = shop.clock.now();
    Ok(ok(&PageBody::of(coupons, |coupon| AdminCouponBody::of(coupon, now))))
}

/// One coupon, with its version
///
/// Also when it is over or retired. For administrators.
#[utoipa::path(
    get,
    path = "/api/v1/admin/coupons/{id}",
    operation_id = "getAnyCoupon",
    tag = "Administration",
    params(CallerHeaders, ("id" = i64, Path, description = "The coupon.", minimum = 1, example = 11)),
    responses(
        (
            status = 200,
            description = "The coupon.",
            headers(("ETag" = String, description = "Its version, for `If-Match`.")),
            body = AdminCouponBody,
        ),
        (status = 404, description = "`NOT_FOUND`: there is no such coupon."),
    ),
)]
pub(crate) async fn coupon(shop: Data<Shop>, _: Admin, id: PathId) -> Result<HttpResponse, ApiError> {
    let coupon = shop.back_office.coupon(CouponId(id.0)).await?.ok_or(Problem::NoSuchCoupon)?;
    Ok(shown(StatusCode::OK, Managed { coupon, at: shop.clock.now() }))
}

/// Put a coupon on offer
///
/// For administrators.
#[utoipa::path(
    post,
    path = "/api/v1/admin/coupons",
    operation_id = "createCoupon",
    tag = "Administration",
    params(CallerHeaders, KeyHeader),
    request_body = CreateCoupon,
    responses(
        (
            status = 201,
            description = "The coupon.",
            headers(
                ("Location" = String, description = "Where administrators see it."),
                ("ETag" = String, description = "Its version, for `If-Match`."),
            ),
            body = AdminCouponBody,
        ),
        (status = 409, description = "`CONFLICT`: the code is taken (`CODE_TAKEN`), or the key was used for another request."),
    ),
)]
pub(crate) async fn create(
    shop: Data<Shop>,
    admin: Admin,
    key: Key,
    body: JsonBody<CreateCoupon>,
) -> Result<HttpResponse, ApiError> {
    let action = CouponAction::Create(Box::new(body.0.parse()?));
    manage(&shop, admin, key, action).await
}

/// Change a coupon
///
/// Title, claim window, quantity, minimum, maximum, and the validity of those that are issued from then on; what customers
/// hold keeps the validity with which it was issued. Code, type and value only while none was issued. Claims go by it at
/// once, and within a second where instances do not share a gate. What changes nothing is no change. For administrators.
#[utoipa::path(
    patch,
    path = "/api/v1/admin/coupons/{id}",
    operation_id = "changeCoupon",
    tag = "Administration",
    params(
        CallerHeaders,
        KeyHeader,
        IfMatchHeader,
        ("id" = i64, Path, description = "The coupon.", minimum = 1, example = 11),
    ),
    request_body = ChangeCoupon,
    responses(
        (
            status = 200,
            description = "The coupon.",
            headers(("ETag" = String, description = "Its version from now on.")),
            body = AdminCouponBody,
        ),
        (status = 404, description = "`NOT_FOUND`: there is no such coupon."),
        (status = 409, description = "`CONFLICT`: coupons were issued, so that a term cannot change (`COUPON_ISSUED`) or there cannot be so few (`BELOW_ISSUED`), the coupon is retired (`RETIRED`), the code is taken (`CODE_TAKEN`), or the key was used for another request."),
    ),
)]
pub(crate) async fn change(
    shop: Data<Shop>,
    admin: Admin,
    key: Key,
    expected: IfMatch,
    id: PathId,
    body: JsonBody<ChangeCoupon>,
) -> Result<HttpResponse, ApiError> {
    let draft = Box::new(body.0.parse()?);
    let action = CouponAction::Change { id: CouponId(id.0), expected: expected.0, draft };
    manage(&shop, admin, key, action).await
}

/// Retire a coupon
///
/// Nobody can claim it from then on, as if its claim window were closed, and it is offered no more. What was issued stays
/// usable. For administrators.
#[utoipa::path(
    delete,
    path = "/api/v1/admin/coupons/{id}",
    operation_id = "retireCoupon",
    tag = "Administration",
    params(
        CallerHeaders,
        KeyHeader,
        IfMatchHeader,
        ("id" = i64, Path, description = "The coupon.", minimum = 1, example = 11),
    ),
    responses(
        (status = 204, description = "It is retired."),
        (status = 404, description = "`NOT_FOUND`: there is no such coupon."),
        (status = 409, description = "`CONFLICT`: it was retired before (`RETIRED`), or the key was used for another request."),
    ),
)]
pub(crate) async fn retire(
    shop: Data<Shop>,
    admin: Admin,
    key: Key,
    expected: IfMatch,
    id: PathId,
) -> Result<HttpResponse, ApiError> {
    let action = CouponAction::Retire { id: CouponId(id.0), expected: expected.0 };
    manage(&shop, admin, key, action).await
}

fn shown(status: StatusCode, Managed { coupon, at }: Managed) -> HttpResponse {
    let version = coupon.version;
    tagged(json(status, &AdminCouponBody::of(coupon, at)), version)
}

/// Claims go by it when this returns.
async fn manage(shop: &Shop, admin: Admin, key: Key, action: CouponAction) -> Result<HttpResponse, ApiError> {
    let scope = action.name();
    let command = ManageCoupon { by: admin.0, action };
    let answer = shop.coupon_changes.submit(Submission { command, key: key.0 }).await?;
    if let Ok(managed) = &answer.outcome
        && !answer.replayed
    {
        shop.claims.changed(&managed.coupon).await;
    }
    answered(scope, answer)
}

impl Answers for ManageCoupons {
    fn answer(scope: &str, outcome: Outcome<Self>) -> Result<HttpResponse, ApiError> {
        let managed = outcome?;
        let location = format!("/api/v1/admin/coupons/{}", managed.coupon.id);
        Ok(match scope {
            CREATE_COUPON => located(shown(StatusCode::CREATED, managed), &location),
            RETIRE_COUPON => HttpResponse::NoContent().finish(),
            _ => shown(StatusCode::OK, managed),
        })
    }
}
