//! Orders that were placed, with everything that changing them touches.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::coupon::UserCoupon;
use crate::order::Order;
use crate::payment::Payment;
use crate::product::{Product, StockMovement, StockMovementKind};
use crate::wallet::Wallet;
use crate::{OrderId, ProductId, UserCouponId, UserId};

/// What [`crate::deferred::pay`] and [`crate::cancellation::cancel`] decide on, as it is now. Whatever an order in it refers to
/// is in it too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlacedOrders {
    /// The orders.
    pub orders: BTreeMap<OrderId, Order>,
    /// Their payments.
    pub payments: BTreeMap<OrderId, Payment>,
    /// The wallets of their customers.
    pub wallets: BTreeMap<UserId, Wallet>,
    /// What was ordered, whether it is still on sale or not.
    pub products: BTreeMap<ProductId, Product>,
    /// The coupons that were used.
    pub held: BTreeMap<UserCouponId, UserCoupon>,
}

impl PlacedOrders {
    /// Puts the pieces of an order back into the stocks, a movement a line.
    pub(crate) fn put_back(
        &mut self,
        order: &Order,
        kind: StockMovementKind,
        now: DateTime<Utc>,
    ) -> Vec<StockMovement> {
        let lines = order.lines.iter();
        lines
            .map(|line| {
                let product = self.products.get_mut(&line.sku.product).expect("what was ordered is there");
                product.put_back((line.sku.variant, line.quantity), kind, order.id, now)
            })
            .collect()
    }

    /// Takes the pieces of an order, which were just put back, out of the stocks again.
    pub(crate) fn sell(&mut self, order: &Order, now: DateTime<Utc>) -> Vec<StockMovement> {
        let lines = order.lines.iter();
        lines
            .map(|line| {
                let product = self.products.get_mut(&line.sku.product).expect("what was ordered is there");
                let pieces = (line.sku.variant, line.quantity);
                let sold = product.take(pieces, StockMovementKind::Sale, order.id, now);
                sold.expect("what was just put back is there")
            })
            .collect()
    }
}
