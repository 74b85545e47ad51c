//! Orders that were placed, with everything that changing them touches.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::coupon::UserCoupon;
use crate::order::Order;
use crate::payment::Payment;
use crate::product::{Product, StockMovement, StockMovementKind};
use crate::wallet::Wallet;
use crate::{OrderId, ProductId, Quantity, UserCouponId, UserId, VariantId};

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
    /// Puts the pieces of an order back into the stocks for good.
    pub(crate) fn put_back(
        &mut self,
        order: &Order,
        kind: StockMovementKind,
        now: DateTime<Utc>,
    ) -> Vec<StockMovement> {
        self.move_lines(order, |product, pieces| {
            let back = product.put_back(pieces, kind, order.id, now);
            std::iter::once(back).chain(product.write_off(pieces, order.id, now)).collect()
        })
    }

    /// Sells the pieces that were held for an order.
    pub(crate) fn sell_held(&mut self, order: &Order, now: DateTime<Utc>) -> Vec<StockMovement> {
        self.move_lines(order, |product, pieces| {
            let released = product.put_back(pieces, StockMovementKind::Release, order.id, now);
            vec![released, product.sell_again(pieces, order.id, now)]
        })
    }

    fn move_lines(
        &mut self,
        order: &Order,
        mut moved: impl FnMut(&mut Product, (Option<VariantId>, Quantity)) -> Vec<StockMovement>,
    ) -> Vec<StockMovement> {
        let lines = order.lines.iter();
        lines
            .flat_map(|line| {
                let product = self.products.get_mut(&line.sku.product).expect("what was ordered is there");
                moved(product, (line.sku.variant, line.quantity))
            })
            .collect()
    }
}
