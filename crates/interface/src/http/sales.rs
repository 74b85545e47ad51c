//! What was sold, by hours or days.

use actix_web::HttpResponse;
use actix_web::web::Data;
use chrono::{DateTime, FixedOffset, Offset, SubsecRound, TimeDelta, Utc};
use jangteo_application::order_book::{SalesFigures, SalesOfPeriod, SalesQuestion, SalesStep};
use jangteo_application::outbox_queries::Period;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::Shop;
use super::body::ok;
use super::endpoint::Endpoint;
use super::error::{ApiError, Problem, Reason};
use super::exact::{Moment, MoneyJson};
use super::headers::{Admin, CallerHeaders};
use super::parameters::{FromQuery, Parameters, Query};
use super::periods::moment;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::at("/api/v1/admin/sales").get(sales)]
}

/// Which sales, and how to divide them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SalesParameters {
    /// The first moment, in ISO-8601; 24 hours before the end by `hour`, 30 days by `day`, unless it is given.
    #[param(value_type = Option<String>, format = DateTime, nullable = false, example = "2025-11-08T15:00:00Z")]
    from: Option<DateTime<Utc>>,
    /// The first moment after it, at most 31 days later by `hour`, 92 days by `day`; now unless it is given.
    #[param(value_type = Option<String>, format = DateTime, nullable = false, example = "2025-11-09T15:00:00Z")]
    to: Option<DateTime<Utc>>,
    /// `day`, which is the default, or `hour`.
    #[param(value_type = Option<String>, nullable = false, example = "day")]
    by: SalesStep,
    /// By which clock days begin: how far it is ahead of UTC, `+09:00` in Korea. UTC unless it is given.
    #[param(value_type = Option<String>, nullable = false, example = "+09:00")]
    zone: FixedOffset,
}

impl FromQuery for SalesParameters {
    fn take_from(query: &mut Query) -> Self {
        let (from, to) = (moment(query, "from"), moment(query, "to"));
        let by = query.one_of("by", &["hour", "day"], |name| match name {
            "hour" => Some(SalesStep::Hour),
            "day" => Some(SalesStep::Day),
            _ => None,
        });
        let zone = query.text("zone").map(|text| parse_zone(&text));
        if zone == Some(None) {
            query.fault("zone", Reason::NotAZone);
        }
        let zone = zone.flatten().unwrap_or(Utc.fix());
        Self { from, to, by: by.unwrap_or(SalesStep::Day), zone }
    }
}

/// As moments have it: `+09:00`, or `Z`. In a query, a plus is a space unless it is written as `%2B`.
fn parse_zone(text: &str) -> Option<FixedOffset> {
    let text = text.strip_prefix(' ').map_or(text.to_owned(), |rest| format!("+{rest}"));
    let moment = DateTime::parse_from_rfc3339(&format!("2000-01-01T00:00:00{text}")).ok()?;
    Some(*moment.offset())
}

impl SalesParameters {
    fn question(self, now: DateTime<Utc>) -> Result<SalesQuestion, ApiError> {
        let (usual, longest) = match self.by {
            SalesStep::Hour => (TimeDelta::hours(24), TimeDelta::days(31)),
            SalesStep::Day => (TimeDelta::days(30), TimeDelta::days(92)),
        };
        let to = self.to.unwrap_or(now.trunc_subsecs(0));
        let period = Period { from: self.from.unwrap_or(to - usual), to };
        match period.from < to && to - period.from <= longest {
            true => Ok(SalesQuestion { period, step: self.by, zone: self.zone }),
            false => Err(ApiError::invalid_field("to", Reason::BadPeriod { days: longest.num_days() })),
        }
    }
}

/// What was sold, and what was taken back.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SalesFiguresBody {
    /// Orders that were paid.
    orders_paid: u64,
    /// The sum of their lines.
    gross_amount: MoneyJson,
    /// What coupons took off them.
    discount_amount: MoneyJson,
    /// What was paid for them: gross less discount.
    revenue: MoneyJson,
    /// Paid orders that were cancelled, whenever they were paid.
    orders_cancelled: u64,
    /// What was refunded for them.
    refunded_amount: MoneyJson,
}

impl From<SalesFigures> for SalesFiguresBody {
    fn from(figures: SalesFigures) -> Self {
        Self {
            orders_paid: figures.orders_paid,
            gross_amount: MoneyJson(figures.gross),
            discount_amount: MoneyJson(figures.discount),
            revenue: MoneyJson(figures.revenue),
            orders_cancelled: figures.orders_cancelled,
            refunded_amount: MoneyJson(figures.refunded),
        }
    }
}

/// The sales of an hour or a day, as far as it is in the time that was asked for.
#[derive(Serialize, ToSchema)]
pub(crate) struct SalesPeriodBody {
    /// When it began.
    from: Moment,
    #[serde(flatten)]
    figures: SalesFiguresBody,
}

impl From<SalesOfPeriod> for SalesPeriodBody {
    fn from(period: SalesOfPeriod) -> Self {
        Self { from: Moment(period.from), figures: period.figures.into() }
    }
}

/// Sales by hours or days.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "from": "2025-11-07T15:00:00Z",
    "to": "2025-11-09T15:00:00Z",
    "by": "day",
    "zone": "+09:00",
    "periods": [
        {"from": "2025-11-07T15:00:00Z", "ordersPaid": 2, "grossAmount": 79600.00, "discountAmount": 5970.00, "revenue": 73630.00, "ordersCancelled": 0, "refundedAmount": 0.00},
        {"from": "2025-11-08T15:00:00Z", "ordersPaid": 0, "grossAmount": 0.00, "discountAmount": 0.00, "revenue": 0.00, "ordersCancelled": 1, "refundedAmount": 19900.00},
    ],
    "totals": {"ordersPaid": 2, "grossAmount": 79600.00, "discountAmount": 5970.00, "revenue": 73630.00, "ordersCancelled": 1, "refundedAmount": 19900.00},
}))]
pub(crate) struct SalesBody {
    from: Moment,
    to: Moment,
    /// `hour` or `day`.
    #[schema(value_type = String)]
    by: &'static str,
    zone: String,
    /// All of them, without gaps.
    periods: Vec<SalesPeriodBody>,
    totals: SalesFiguresBody,
}

/// What was sold
///
/// By hours or days: what was paid in each of them, and what was refunded. Every order and every movement of the time is
/// read for it: a million orders take some seconds. For administrators.
#[utoipa::path(
    get,
    path = "/api/v1/admin/sales",
    operation_id = "getSales",
    tag = "Administration",
    params(CallerHeaders, SalesParameters),
    responses(
        (status = 200, description = "The figures.", body = SalesBody),
    ),
)]
pub(crate) async fn sales(
    shop: Data<Shop>,
    _: Admin,
    parameters: Parameters<SalesParameters>,
) -> Result<HttpResponse, ApiError> {
    let question = parameters.0.question(shop.clock.now())?;
    let periods = shop.order_book.sales(question).await?;
    let totals = periods.iter().try_fold(SalesFigures::default(), |sum, period| sum.plus(&period.figures));
    let totals = totals.map_err(|error| ApiError::from(Problem::Internal).because(error))?;
    Ok(ok(&SalesBody {
        from: Moment(question.period.from),
        to: Moment(question.period.to),
        by: match question.step {
            SalesStep::Hour => "hour",
            SalesStep::Day => "day",
        },
        zone: question.zone.to_string(),
        periods: periods.into_iter().map(SalesPeriodBody::from).collect(),
        totals: totals.into(),
    }))
}

#[cfg(test)]
mod tests {
    use super::super::error::Detail;
    use super::super::parameters::read;
    use super::super::periods::parse_moment;
    use super::*;

    const NOW: &str = "2025-11-09T12:34:56Z";

    fn asked(query: &str) -> Result<SalesQuestion, Vec<Detail>> {
        let now = parse_moment(NOW).unwrap() + TimeDelta::milliseconds(500);
        read::<SalesParameters>(query)
            .and_then(|parameters| parameters.question(now).map_err(ApiError::into_details))
    }

    #[test]
    fn the_last_30_days_by_the_clock_of_utc_unless_asked_otherwise() {
        let question = asked("").unwrap();
        assert_eq!((question.step, question.zone.local_minus_utc()), (SalesStep::Day, 0));
        assert_eq!(question.period.to, parse_moment(NOW).unwrap());
        assert_eq!(question.period.to - question.period.from, TimeDelta::days(30));
        let by_hour = asked("by=hour").unwrap().period;
        assert_eq!(by_hour.to - by_hour.from, TimeDelta::hours(24));
    }

    #[test]
    fn a_zone_is_told_as_moments_tell_it() {
        let ahead =
            |zone: &str| asked(&format!("zone={zone}")).map(|question| question.zone.local_minus_utc());
        for zone in ["%2B09:00", "+09:00"] {
            assert_eq!(ahead(zone), Ok(9 * 3600), "{zone}");
        }
        assert_eq!((ahead("-03:30"), ahead("Z")), (Ok(-12_600), Ok(0)));
        for zone in ["", "9", "+9", "+0900", "09:00", "Asia/Seoul", "+24:00", "+09:00x"] {
            assert_eq!(ahead(zone), Err(vec![Detail::new("zone", Reason::NotAZone)]), "{zone}");
        }
    }

    #[test]
    fn a_summary_is_not_longer_than_may_be() {
        let from = |text: &str, by: &str| asked(&format!("from={text}&by={by}")).map(|_| ());
        let bad = |days| Err(vec![Detail::new("to", Reason::BadPeriod { days })]);
        assert_eq!(from("2025-08-09T12:34:56Z", "day"), Ok(()));
        assert_eq!(from("2025-08-09T12:34:55Z", "day"), bad(92));
        assert_eq!(from("2025-10-09T12:34:56Z", "hour"), Ok(()));
        assert_eq!(from("2025-10-09T12:34:55Z", "hour"), bad(31));
        assert_eq!(from(NOW, "day"), bad(92));
        let by = Detail::new("by", Reason::NotOneOf(&["hour", "day"]));
        assert_eq!(asked("by=week&from=noon"), Err(vec![Detail::new("from", Reason::NotAMoment), by]));
    }
}
