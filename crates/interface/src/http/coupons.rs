//! Coupons.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use jangteo_application::Operation;
use jangteo_application::claim_coupons::{ClaimCoupons, Issued};
use jangteo_application::operation::Outcome;
use jangteo_application::queries::HeldCoupon;
use jangteo_domain::CouponCode;
use jangteo_domain::coupon::{ClaimRefusal, UserCouponState};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::Shop;
use super::answers::{Answers, answered};
use super::body::ok;
use super::coupon_offers::discount;
use super::endpoint::Endpoint;
use super::error::{ApiError, Detail, Problem, Reason};
use super::exact::{DecimalJson, Moment, MoneyJson};
use super::headers::{Caller, CallerHeaders, Key, KeyHeader};
use super::limits::CLAIM;
use super::parameters::{FromQuery, Parameters, PathId, Query};
use super::users::must_exist;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::at(CLAIM).post(claim), Endpoint::at("/api/v1/users/{userId}/coupons").get(held)]
}

/// A coupon that was claimed.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({
    "couponId": 10,
    "code": "WELCOME10",
    "type": "PERCENT",
    "value": 10.00,
    "claimedAt": "2025-11-09T12:34:56Z",
    "status": "CLAIMED",
    "ticket": 17,
}))]
pub(crate) struct ClaimedBody {
    coupon_id: i64,
    code: String,
    /// `FIXED` or `PERCENT`.
    #[schema(value_type = String)]
    r#type: &'static str,
    /// An amount, or a percentage of the total.
    #[schema(value_type = MoneyJson)]
    value: DecimalJson,
    claimed_at: Moment,
    #[schema(value_type = String)]
    status: &'static str,
    /// The caller's place in the queue for the coupon.
    ticket: i64,
    /// From when it can no longer be used; absent when it always can.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Moment>,
}

impl From<Issued> for ClaimedBody {
    fn from(issued: Issued) -> Self {
        let (kind, value) = discount(issued.discount);
        Self {
            coupon_id: issued.user_coupon.coupon.0,
            code: issued.code.to_string(),
            r#type: kind,
            value,
            claimed_at: Moment(issued.user_coupon.claimed_at),
            status: state_name(issued.user_coupon.state),
            ticket: issued.user_coupon.ticket,
            expires_at: issued.user_coupon.expires_at.map(Moment),
        }
    }
}

fn state_name(state: UserCouponState) -> &'static str {
    match state {
        UserCouponState::Claimed => "CLAIMED",
        UserCouponState::Used { .. } => "USED",
        UserCouponState::Expired => "EXPIRED",
    }
}

impl From<ClaimRefusal> for ApiError {
    fn from(refusal: ClaimRefusal) -> Self {
        let problem = match refusal {
            ClaimRefusal::Unknown | ClaimRefusal::NotStarted(_) | ClaimRefusal::Ended(_) => {
                Problem::CouponInvalid
            }
            ClaimRefusal::AlreadyClaimed { .. } => Problem::CouponAlreadyClaimed,
            ClaimRefusal::SoldOut => Problem::CouponSoldOut,
        };
        Self::from(problem).with(vec![Detail::new("code", Reason::Claim(refusal))])
    }
}

/// A customer's coupons.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({
    "userId": 1,
    "coupons": [
        {"couponId": 10, "code": "WELCOME10", "name": "WELCOME10", "status": "CLAIMED", "claimedAt": "2025-11-09T12:34:56Z"},
        {
            "couponId": 11,
            "code": "FLASH5000",
            "name": "FLASH5000",
            "status": "USED",
            "claimedAt": "2025-11-09T12:34:56Z",
            "usedAt": "2025-11-09T12:40:00Z",
        },
    ],
}))]
pub(crate) struct HeldCouponsBody {
    user_id: i64,
    /// In the order they were claimed.
    coupons: Vec<HeldCouponBody>,
}

/// A coupon as its holder sees it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HeldCouponBody {
    coupon_id: i64,
    code: String,
    /// Its title.
    name: String,
    /// `CLAIMED`, `USED` or `EXPIRED`.
    #[schema(value_type = String)]
    status: &'static str,
    claimed_at: Moment,
    #[serde(skip_serializing_if = "Option::is_none")]
    used_at: Option<Moment>,
    /// From when it can no longer be used; absent when it always can.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Moment>,
}

impl From<HeldCoupon> for HeldCouponBody {
    fn from(held: HeldCoupon) -> Self {
        Self {
            coupon_id: held.coupon.0,
            code: held.code.to_string(),
            name: held.name,
            status: state_name(held.state),
            claimed_at: Moment(held.claimed_at),
            used_at: match held.state {
                UserCouponState::Used { at } => Some(Moment(at)),
                UserCouponState::Claimed | UserCouponState::Expired => None,
            },
            expires_at: held.expires_at.map(Moment),
        }
    }
}

/// Claim a coupon
///
/// First come, first served: never more than there are, one for each customer.
#[utoipa::path(
    post,
    path = "/api/v1/coupons/{code}/claim",
    operation_id = "claimCoupon",
    tag = "Coupons",
    params(CallerHeaders, KeyHeader, ("code" = String, Path, description = "The coupon's code, in any case.", example = "WELCOME10")),
    responses(
        (status = 200, description = "The coupon is the caller's.", body = ClaimedBody),
        (status = 400, description = "`COUPON_INVALID`: no coupon has this code, or it cannot be claimed now."),
        (status = 404, description = "`NOT_FOUND`: there is no such user."),
        (status = 409, description = "`COUPON_SOLD_OUT`: all were issued. `COUPON_ALREADY_CLAIMED`: the caller has it. `CONFLICT`: the key was used for another request."),
    ),
)]
pub(crate) async fn claim(
    shop: Data<Shop>,
    caller: Caller,
    key: Key,
    code: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let code: CouponCode = code.parse().map_err(|_| ApiError::from(ClaimRefusal::Unknown))?;
    let answer = shop.claims.claim(caller.user, code, key.0).await?;
    answered(ClaimCoupons::NAME, answer)
}

impl Answers for ClaimCoupons {
    fn answer(_: &str, outcome: Outcome<Self>) -> Result<HttpResponse, ApiError> {
        Ok(ok(&ClaimedBody::from(outcome?)))
    }
}

const STATUSES: [&str; 3] = ["CLAIMED", "USED", "EXPIRED"];

/// Which coupons to list.
#[derive(Debug, PartialEq, Eq, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct StatusParameter {
    /// Only those that stand there: `CLAIMED`, `USED` or `EXPIRED`.
    #[param(value_type = Option<String>, example = "CLAIMED")]
    status: Option<&'static str>,
}

impl FromQuery for StatusParameter {
    fn take_from(query: &mut Query) -> Self {
        let known = |name: &str| STATUSES.into_iter().find(|status| *status == name);
        Self { status: query.one_of("status", &STATUSES, known) }
    }
}

impl StatusParameter {
    fn admits(&self, held: &HeldCouponBody) -> bool {
        self.status.is_none_or(|status| held.status == status)
    }
}

/// A customer's coupons
///
/// For the customer and administrators. What was not used in time counts as `EXPIRED` from that moment on.
#[utoipa::path(
    get,
    path = "/api/v1/users/{userId}/coupons",
    operation_id = "listUserCoupons",
    tag = "Coupons",
    params(
        CallerHeaders,
        ("userId" = i64, Path, description = "The customer.", minimum = 1, example = 1),
        StatusParameter,
    ),
    responses(
        (status = 200, description = "The coupons.", body = HeldCouponsBody),
        (status = 403, description = "`FORBIDDEN`: they are somebody else's."),
        (status = 404, description = "`NOT_FOUND`: there is no such user."),
    ),
)]
pub(crate) async fn held(
    shop: Data<Shop>,
    caller: Caller,
    user: PathId,
    status: Parameters<StatusParameter>,
) -> Result<HttpResponse, ApiError> {
    let user = caller.customer(&user)?;
    let coupons = shop.customers.coupons(user).await?;
    if coupons.is_empty() {
        must_exist(&shop, user).await?;
    }
    // There is at most one of each coupon: few enough to look at all of them.
    let coupons =
        coupons.into_iter().map(HeldCouponBody::from).filter(|held| status.0.admits(held)).collect();
    Ok(ok(&HeldCouponsBody { user_id: user.0, coupons }))
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::super::parameters::read;
    use super::*;

    #[test]
    fn every_status_can_be_asked_for() {
        let states = [
            UserCouponState::Claimed,
            UserCouponState::Used { at: DateTime::UNIX_EPOCH },
            UserCouponState::Expired,
        ];
        assert_eq!(states.map(state_name), STATUSES);
        for status in STATUSES {
            assert_eq!(read(&format!("status={status}")), Ok(StatusParameter { status: Some(status) }));
        }
        assert_eq!(read(""), Ok(StatusParameter { status: None }));
        for query in ["status=", "status=used", "status=ISSUED", "state=USED", "status=USED&status=USED"] {
            assert!(read::<StatusParameter>(query).is_err(), "{query}");
        }
    }
}
