//! A coupon, written down.

use jangteo_domain::{Coupon, CouponId};
use serde::de::Error as _;
use serde::{Deserialize, Serialize};

use crate::snapshot::{DiscountSnapshot, Moment, MoneyText};

/// A coupon with all its terms: what is cached of it, what idempotency records keep, and what the trail shows.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CouponRecord {
    id: i64,
    code: String,
    name: String,
    discount: DiscountSnapshot,
    min_order_amount: MoneyText,
    max_discount: Option<MoneyText>,
    claim_starts_at: Moment,
    claim_ends_at: Moment,
    valid_until: Option<Moment>,
    valid_days: Option<u32>,
    total_quantity: i64,
    issued_quantity: i64,
    next_ticket: i64,
    retired_at: Option<Moment>,
    version: i32,
}

impl From<&Coupon> for CouponRecord {
    fn from(coupon: &Coupon) -> Self {
        Self {
            id: coupon.id.0,
            code: coupon.code.to_string(),
            name: coupon.name.clone(),
            discount: DiscountSnapshot::from(coupon.discount),
            min_order_amount: MoneyText(coupon.min_order_amount),
            max_discount: coupon.max_discount.map(MoneyText),
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

impl TryFrom<CouponRecord> for Coupon {
    type Error = serde_json::Error;

    fn try_from(record: CouponRecord) -> Result<Self, serde_json::Error> {
        Ok(Self {
            id: CouponId(record.id),
            code: record.code.parse().map_err(serde_json::Error::custom)?,
            name: record.name,
            discount: record.discount.try_into()?,
            min_order_amount: record.min_order_amount.0,
            max_discount: record.max_discount.map(|most| most.0),
            claim_starts_at: record.claim_starts_at.0,
            claim_ends_at: record.claim_ends_at.0,
            valid_until: record.valid_until.map(|until| until.0),
            valid_days: record.valid_days,
            total_quantity: record.total_quantity,
            issued_quantity: record.issued_quantity,
            next_ticket: record.next_ticket,
            retired_at: record.retired_at.map(|at| at.0),
            version: record.version,
        })
    }
}
