//! Between the words of the database and those of the domain.

use chrono::{DateTime, Utc};
use jangteo_application::outbox::{Aggregate, EventStatus};
use jangteo_domain::coupon::{Coupon, Discount, UserCoupon, UserCouponState};
use jangteo_domain::order::OrderStatus;
use jangteo_domain::payment::{Payment, PaymentStatus};
use jangteo_domain::product::StockMovementKind;
use jangteo_domain::wallet::LedgerKind;
use jangteo_domain::{CouponId, Money, OrderId, RepositoryError, UserCouponId, UserId, VariantId};

use crate::entity::{coupons, payments, user_coupons};
use crate::error::Corrupt;

/// In the column of a line that is of no variant.
const NO_VARIANT: i64 = 0;

pub(crate) fn variant_column(variant: Option<VariantId>) -> i64 {
    variant.map_or(NO_VARIANT, |variant| variant.0)
}

pub(crate) fn read_variant(column: i64) -> Option<VariantId> {
    (column != NO_VARIANT).then_some(VariantId(column))
}

pub(crate) fn ledger_kind(kind: LedgerKind) -> &'static str {
    match kind {
        LedgerKind::Charge => "CHARGE",
        LedgerKind::Use => "USE",
        LedgerKind::Refund => "REFUND",
        LedgerKind::Adjust => "ADJUST",
    }
}

pub(crate) fn read_ledger_kind(id: i64, text: &str) -> Result<LedgerKind, Corrupt> {
    match text {
        "CHARGE" => Ok(LedgerKind::Charge),
        "USE" => Ok(LedgerKind::Use),
        "REFUND" => Ok(LedgerKind::Refund),
        "ADJUST" => Ok(LedgerKind::Adjust),
        _ => Err(Corrupt::new("ledger_entries", "kind", id)),
    }
}

pub(crate) fn stock_movement_kind(kind: StockMovementKind) -> &'static str {
    match kind {
        StockMovementKind::Sale => "SALE",
        StockMovementKind::Return { .. } => "RETURN",
        StockMovementKind::Receive => "RECEIVE",
        StockMovementKind::Hold => "HOLD",
        StockMovementKind::Release => "RELEASE",
        StockMovementKind::WriteOff => "ADJUST",
    }
}

pub(crate) fn aggregate(aggregate: Aggregate) -> &'static str {
    match aggregate {
        Aggregate::Order => "order",
        Aggregate::UserCoupon => "user_coupon",
    }
}

pub(crate) fn read_aggregate(id: i64, text: &str) -> Result<Aggregate, Corrupt> {
    match text {
        "order" => Ok(Aggregate::Order),
        "user_coupon" => Ok(Aggregate::UserCoupon),
        _ => Err(Corrupt::new("outbox", "aggregate", id)),
    }
}

pub(crate) fn read_event_status(id: i64, text: &str) -> Result<EventStatus, Corrupt> {
    EventStatus::named(text).ok_or_else(|| Corrupt::new("outbox", "status", id))
}

pub(crate) fn order_status(status: OrderStatus) -> &'static str {
    match status {
        OrderStatus::Pending => "PENDING",
        OrderStatus::Paid => "PAID",
        OrderStatus::Shipping => "SHIPPING",
        OrderStatus::Delivered => "DELIVERED",
        OrderStatus::Cancelled => "CANCELLED",
    }
}

pub(crate) fn read_order_status(id: i64, text: &str) -> Result<OrderStatus, Corrupt> {
    match text {
        "PENDING" => Ok(OrderStatus::Pending),
        "PAID" => Ok(OrderStatus::Paid),
        "SHIPPING" => Ok(OrderStatus::Shipping),
        "DELIVERED" => Ok(OrderStatus::Delivered),
        "CANCELLED" => Ok(OrderStatus::Cancelled),
        _ => Err(Corrupt::new("orders", "status", id)),
    }
}

pub(crate) fn payment_status(status: PaymentStatus) -> &'static str {
    match status {
        PaymentStatus::Pending => "PENDING",
        PaymentStatus::Completed => "COMPLETED",
        PaymentStatus::Failed => "FAILED",
        PaymentStatus::Cancelled => "CANCELLED",
    }
}

pub(crate) fn read_payment_status(order: i64, text: &str) -> Result<PaymentStatus, Corrupt> {
    match text {
        "PENDING" => Ok(PaymentStatus::Pending),
        "COMPLETED" => Ok(PaymentStatus::Completed),
        "FAILED" => Ok(PaymentStatus::Failed),
        "CANCELLED" => Ok(PaymentStatus::Cancelled),
        _ => Err(Corrupt::new("payments", "status", order)),
    }
}

/// A payment with the last number of its history.
pub(crate) fn payment(row: payments::Model, changes: i32) -> Result<Payment, Corrupt> {
    let status = read_payment_status(row.order_id, &row.status)?;
    if status == PaymentStatus::Completed && row.paid_at.is_none() {
        return Err(Corrupt::new("payments", "paid_at", row.order_id));
    }
    Ok(Payment {
        order: OrderId(row.order_id),
        amount: Money::from_minor(row.amount),
        status,
        created_at: row.created_at,
        paid_at: row.paid_at,
        changes: u32::try_from(changes)
            .map_err(|_| Corrupt::new("payment_history", "sequence", row.order_id))?,
    })
}

/// A number in a sequence, as a column holds it.
pub(crate) fn sequence(number: u32) -> Result<i32, RepositoryError> {
    i32::try_from(number).map_err(|error| RepositoryError::Backend(error.into()))
}

/// A discount as its kind and value: minor units, or hundredths of a percent.
pub(crate) fn discount(discount: Discount) -> (&'static str, i64) {
    match discount {
        Discount::Fixed(amount) => ("FIXED", amount.minor()),
        Discount::Percent(percent) => ("PERCENT", Money::try_from(percent).map_or(0, Money::minor)),
    }
}

impl TryFrom<coupons::Model> for Coupon {
    type Error = Corrupt;

    fn try_from(row: coupons::Model) -> Result<Self, Corrupt> {
        let corrupt = |column| Corrupt::new("coupons", column, row.id);
        let value = Money::from_minor(row.value);
        Ok(Self {
            id: CouponId(row.id),
            code: row.code.parse().map_err(|_| corrupt("code"))?,
            discount: match row.kind.as_str() {
                "FIXED" => Discount::Fixed(value),
                "PERCENT" => Discount::Percent(value.as_decimal()),
                _ => return Err(corrupt("kind")),
            },
            valid_days: row.valid_days.map(u32::try_from).transpose().map_err(|_| corrupt("valid_days"))?,
            name: row.name,
            min_order_amount: Money::from_minor(row.min_order_amount),
            max_discount: row.max_discount.map(Money::from_minor),
            claim_starts_at: row.claim_starts_at,
            claim_ends_at: row.claim_ends_at,
            valid_until: row.valid_until,
            total_quantity: row.total_quantity,
            issued_quantity: row.issued_quantity,
            next_ticket: row.next_ticket,
            retired_at: row.retired_at,
            version: row.version,
        })
    }
}

pub(crate) fn user_coupon_state(
    id: i64,
    status: &str,
    used_at: Option<DateTime<Utc>>,
) -> Result<UserCouponState, Corrupt> {
    match (status, used_at) {
        ("CLAIMED", None) => Ok(UserCouponState::Claimed),
        ("USED", Some(at)) => Ok(UserCouponState::Used { at }),
        ("EXPIRED", None) => Ok(UserCouponState::Expired),
        _ => Err(Corrupt::new("user_coupons", "status", id)),
    }
}

impl TryFrom<user_coupons::Model> for UserCoupon {
    type Error = Corrupt;

    fn try_from(row: user_coupons::Model) -> Result<Self, Corrupt> {
        Ok(Self {
            id: UserCouponId(row.id),
            user: UserId(row.user_id),
            coupon: CouponId(row.coupon_id),
            ticket: row.ticket,
            claimed_at: row.claimed_at,
            expires_at: row.expires_at,
            state: user_coupon_state(row.id, &row.status, row.used_at)?,
        })
    }
}
