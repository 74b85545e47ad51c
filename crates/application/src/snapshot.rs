//! Domain values as JSON: what events carry and what idempotency records keep. Money is a string with two decimals.

use chrono::{DateTime, SecondsFormat, Utc};
use jangteo_domain::coupon::Discount;
use jangteo_domain::order::{AppliedCoupon, Order, OrderLine, OrderStatus};
use jangteo_domain::{Money, OrderId, ProductId, Quantity, Sku, UserCouponId, UserId, VariantId};
use rust_decimal::Decimal;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Writes a value whose serialisation cannot fail: a struct of strings, numbers and lists.
pub(crate) fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain data serialises")
}

pub(crate) fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, serde_json::Error> {
    serde_json::from_str(text)
}

/// Money as a string with two decimals.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MoneyText(pub Money);

impl Serialize for MoneyText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for MoneyText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map(Self).map_err(D::Error::custom)
    }
}

/// A moment as an ISO-8601 text in UTC.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment(pub DateTime<Utc>);

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0.to_rfc3339_opts(SecondsFormat::Micros, true))
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map(Self).map_err(D::Error::custom)
    }
}

/// What a coupon takes off.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum DiscountSnapshot {
    Fixed(MoneyText),
    Percent(String),
}

impl From<Discount> for DiscountSnapshot {
    fn from(discount: Discount) -> Self {
        match discount {
            Discount::Fixed(amount) => Self::Fixed(MoneyText(amount)),
            Discount::Percent(percent) => Self::Percent(percent.to_string()),
        }
    }
}

impl TryFrom<DiscountSnapshot> for Discount {
    type Error = serde_json::Error;

    fn try_from(snapshot: DiscountSnapshot) -> Result<Self, serde_json::Error> {
        Ok(match snapshot {
            DiscountSnapshot::Fixed(amount) => Self::Fixed(amount.0),
            DiscountSnapshot::Percent(percent) => {
                Self::Percent(Decimal::from_str_exact(&percent).map_err(serde_json::Error::custom)?)
            }
        })
    }
}

/// An order in full.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OrderSnapshot {
    order_id: i64,
    user_id: i64,
    status: StatusSnapshot,
    items: Vec<LineSnapshot>,
    total_amount: MoneyText,
    discount_amount: MoneyText,
    paid_amount: MoneyText,
    applied_coupon: Option<CouponSnapshot>,
    created_at: Moment,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    paid_at: Option<Moment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    held_until: Option<Moment>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum StatusSnapshot {
    Pending,
    Paid,
    Shipping,
    Delivered,
    Cancelled,
}

impl From<OrderStatus> for StatusSnapshot {
    fn from(status: OrderStatus) -> Self {
        match status {
            OrderStatus::Pending => Self::Pending,
            OrderStatus::Paid => Self::Paid,
            OrderStatus::Shipping => Self::Shipping,
            OrderStatus::Delivered => Self::Delivered,
            OrderStatus::Cancelled => Self::Cancelled,
        }
    }
}

impl From<StatusSnapshot> for OrderStatus {
    fn from(status: StatusSnapshot) -> Self {
        match status {
            StatusSnapshot::Pending => Self::Pending,
            StatusSnapshot::Paid => Self::Paid,
            StatusSnapshot::Shipping => Self::Shipping,
            StatusSnapshot::Delivered => Self::Delivered,
            StatusSnapshot::Cancelled => Self::Cancelled,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LineSnapshot {
    product_id: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    variant_id: Option<i64>,
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    variant_name: Option<String>,
    unit_price: MoneyText,
    qty: i64,
    subtotal: MoneyText,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CouponSnapshot {
    user_coupon_id: i64,
    code: String,
}

impl From<&Order> for OrderSnapshot {
    fn from(order: &Order) -> Self {
        Self {
            order_id: order.id.0,
            user_id: order.user.0,
            status: order.status.into(),
            items: order.lines.iter().map(LineSnapshot::from).collect(),
            total_amount: MoneyText(order.total),
            discount_amount: MoneyText(order.discount),
            paid_amount: MoneyText(order.paid),
            applied_coupon: order.coupon.as_ref().map(|coupon| CouponSnapshot {
                user_coupon_id: coupon.user_coupon.0,
                code: coupon.code.to_string(),
            }),
            created_at: Moment(order.created_at),
            paid_at: order.paid_at.map(Moment),
            held_until: order.held_until.map(Moment),
        }
    }
}

impl From<&OrderLine> for LineSnapshot {
    fn from(line: &OrderLine) -> Self {
        Self {
            product_id: line.sku.product.0,
            variant_id: line.sku.variant.map(|variant| variant.0),
            name: line.name.clone(),
            variant_name: line.variant_name.clone(),
            unit_price: MoneyText(line.unit_price),
            qty: line.quantity.get(),
            subtotal: MoneyText(line.subtotal),
        }
    }
}

impl OrderSnapshot {
    /// The order, of which so many events told.
    pub(crate) fn into_order(self, events: u32) -> Result<Order, serde_json::Error> {
        Ok(Order {
            id: OrderId(self.order_id),
            user: UserId(self.user_id),
            status: self.status.into(),
            lines: self.items.into_iter().map(OrderLine::try_from).collect::<Result<_, _>>()?,
            total: self.total_amount.0,
            discount: self.discount_amount.0,
            paid: self.paid_amount.0,
            coupon: self
                .applied_coupon
                .map(|coupon| {
                    let code = coupon.code.parse().map_err(serde_json::Error::custom)?;
                    Ok::<_, serde_json::Error>(AppliedCoupon {
                        user_coupon: UserCouponId(coupon.user_coupon_id),
                        code,
                    })
                })
                .transpose()?,
            created_at: self.created_at.0,
            paid_at: self.paid_at.map(|at| at.0),
            held_until: self.held_until.map(|until| until.0),
            events,
        })
    }
}

impl TryFrom<LineSnapshot> for OrderLine {
    type Error = serde_json::Error;

    fn try_from(line: LineSnapshot) -> Result<Self, serde_json::Error> {
        Ok(Self {
            sku: Sku { product: ProductId(line.product_id), variant: line.variant_id.map(VariantId) },
            name: line.name,
            variant_name: line.variant_name,
            unit_price: line.unit_price.0,
            quantity: Quantity::new(line.qty).map_err(serde_json::Error::custom)?,
            subtotal: line.subtotal.0,
        })
    }
}
