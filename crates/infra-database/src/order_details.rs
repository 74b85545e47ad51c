//! Orders in full, from their rows.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use jangteo_domain::order::{AppliedCoupon, Order, OrderLine};
use jangteo_domain::{Money, OrderId, ProductId, Quantity, RepositoryError, Sku, UserCouponId, UserId};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};

use crate::coupon_queries::coupons_by_id;
use crate::entity::{order_holds, order_items, orders, user_coupons};
use crate::error::{Corrupt, failed};
use crate::rows::{read_order_status, read_variant};
use crate::statement::padded;

/// Adds the lines and the codes of the coupons.
pub(crate) async fn with_details(
    connection: &impl ConnectionTrait,
    orders: Vec<orders::Model>,
) -> Result<Vec<Order>, RepositoryError> {
    let mut lines: BTreeMap<i64, Vec<OrderLine>> = BTreeMap::new();
    for list in padded(orders.iter().map(|order| order.id)) {
        let items = order_items::Entity::find()
            .filter(order_items::Column::OrderId.is_in(list))
            .order_by_asc(order_items::Column::OrderId)
            .order_by_asc(order_items::Column::LineNo)
            .all(connection)
            .await
            .map_err(failed)?;
        for item in items {
            lines.entry(item.order_id).or_default().push(order_line(item)?);
        }
    }
    let waiting = orders.iter().filter(|order| order.paid_at.is_none()).map(|order| order.id);
    let mut holds = holds_of(connection, waiting).await?;
    let used = used_coupons(connection, orders.iter().filter_map(|order| order.user_coupon_id)).await?;
    orders
        .into_iter()
        .map(|row| {
            let lines = lines.remove(&row.id).unwrap_or_default();
            let held_until = holds.remove(&row.id);
            let order = order(row, lines, &used).map_err(RepositoryError::from)?;
            Ok(Order { held_until, ..order })
        })
        .collect()
}

/// Until when orders are held that wait to be paid.
async fn holds_of(
    connection: &impl ConnectionTrait,
    ids: impl Iterator<Item = i64>,
) -> Result<BTreeMap<i64, DateTime<Utc>>, RepositoryError> {
    let mut holds = BTreeMap::new();
    for list in padded(ids) {
        let rows = order_holds::Entity::find().filter(order_holds::Column::OrderId.is_in(list));
        let rows = rows.all(connection).await.map_err(failed)?;
        holds.extend(rows.into_iter().map(|row| (row.order_id, row.expires_at)));
    }
    Ok(holds)
}

/// The codes of customers' coupons.
async fn used_coupons(
    connection: &impl ConnectionTrait,
    ids: impl Iterator<Item = i64>,
) -> Result<BTreeMap<i64, AppliedCoupon>, RepositoryError> {
    let mut used = BTreeMap::new();
    for list in padded(ids) {
        let held = user_coupons::Entity::find().filter(user_coupons::Column::Id.is_in(list));
        let held = held.all(connection).await.map_err(failed)?;
        let coupons = coupons_by_id(connection, held.iter().map(|held| held.coupon_id)).await?;
        for held in held {
            let corrupt = || Corrupt::new("user_coupons", "coupon_id", held.id);
            let coupon = coupons.get(&held.coupon_id).ok_or_else(corrupt)?;
            let code = coupon.code.parse().map_err(|_| Corrupt::new("coupons", "code", coupon.id))?;
            used.insert(held.id, AppliedCoupon { user_coupon: UserCouponId(held.id), code });
        }
    }
    Ok(used)
}

fn order_line(item: order_items::Model) -> Result<OrderLine, Corrupt> {
    Ok(OrderLine {
        sku: Sku { product: ProductId(item.product_id), variant: read_variant(item.variant_id) },
        name: item.name,
        variant_name: item.variant_name,
        unit_price: Money::from_minor(item.unit_price),
        quantity: Quantity::new(item.quantity).map_err(|_| {
            Corrupt::new("order_items", "quantity", format!("{} {}", item.order_id, item.line_no))
        })?,
        subtotal: Money::from_minor(item.subtotal),
    })
}

fn order(
    row: orders::Model,
    lines: Vec<OrderLine>,
    used: &BTreeMap<i64, AppliedCoupon>,
) -> Result<Order, Corrupt> {
    let coupon = match row.user_coupon_id {
        Some(id) => {
            Some(used.get(&id).cloned().ok_or_else(|| Corrupt::new("orders", "user_coupon_id", row.id))?)
        }
        None => None,
    };
    Ok(Order {
        id: OrderId(row.id),
        user: UserId(row.user_id),
        status: read_order_status(row.id, &row.status)?,
        lines,
        total: Money::from_minor(row.total_amount),
        discount: Money::from_minor(row.discount_amount),
        paid: Money::from_minor(row.paid_amount),
        coupon,
        created_at: row.created_at,
        paid_at: row.paid_at,
        held_until: None,
        events: u32::try_from(row.events).map_err(|_| Corrupt::new("orders", "events", row.id))?,
    })
}
