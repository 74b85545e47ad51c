//! Locking orders that were placed, with everything that changing them touches.

use std::collections::BTreeSet;

use jangteo_domain::placed_orders::PlacedOrders;
use jangteo_domain::{CouponCode, CouponId, Order, OrderId, RepositoryError, Sku, UserCoupon, UserId};

use crate::operation::Work;

/// Locks what orders touch, in the order that everybody locks: wallets, which are locked already, products, coupons, and the
/// orders last.
///
/// The orders are as they were read, not locked. What has to be locked is known from them: their customers, products and
/// coupons never change. Where they stand does, and is looked at again.
pub(crate) async fn lock(work: &mut Work<'_>, read: &[&Order]) -> Result<PlacedOrders, RepositoryError> {
    let skus: BTreeSet<Sku> = read.iter().flat_map(|order| &order.lines).map(|line| line.sku).collect();
    let wallets = std::mem::take(&mut work.wallets);
    let products = work.uow.products().lock_sold(&skus).await?;
    let held = lock_coupons(work, read).await?;
    let ids: BTreeSet<OrderId> = read.iter().map(|order| order.id).collect();
    let orders = work.uow.orders().lock_many(&ids).await?;
    if !read.iter().all(|read| is_the_same(read, orders.get(&read.id))) {
        return Err(RepositoryError::Conflict("an order is not the one that was read".into()));
    }
    let payments = work.uow.orders().payments(&ids).await?;
    let held = held.into_iter().map(|held| (held.id, held)).collect();
    Ok(PlacedOrders { orders, payments, wallets, products, held })
}

/// The customers' copies of the coupons that the orders used.
async fn lock_coupons(work: &mut Work<'_>, read: &[&Order]) -> Result<Vec<UserCoupon>, RepositoryError> {
    let used: Vec<(UserId, &CouponCode)> =
        read.iter().filter_map(|order| Some((order.user, &order.coupon.as_ref()?.code))).collect();
    if used.is_empty() {
        return Ok(Vec::new());
    }
    let codes: BTreeSet<CouponCode> = used.iter().map(|(_, code)| (*code).clone()).collect();
    let coupons = work.uow.coupons().find_many(&codes).await?;
    let holders: BTreeSet<(UserId, CouponId)> =
        used.iter().filter_map(|(user, code)| Some((*user, coupons.get(*code)?.id))).collect();
    let held = work.uow.coupons().lock_held(&holders).await?;
    Ok(held.into_values().collect())
}

/// Whether all that was locked for an order is what it needs: nothing of it has changed but where it stands.
fn is_the_same(read: &Order, locked: Option<&Order>) -> bool {
    locked.is_some_and(|locked| {
        let Order { status, events, paid_at, held_until, .. } = *locked;
        Order { status, events, paid_at, held_until, ..read.clone() } == *locked
    })
}
