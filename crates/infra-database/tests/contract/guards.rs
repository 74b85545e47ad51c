//! What the database refuses, whatever the code decided.

use chrono::{DateTime, Utc};
use jangteo_application::cancel_orders::{Cancel, CancelOrders};
use jangteo_application::claim_coupons::ClaimCoupons;
use jangteo_application::place_orders::PlaceOrders;
use jangteo_application::{Clock, Database, SystemClock, UnitOfWork};
use jangteo_domain::coupon::{Redemption, Restoration, UserCoupon, UserCouponState};
use jangteo_domain::product::{StockMovement, StockMovementKind};
use jangteo_domain::wallet::{LedgerEntry, LedgerKind};
use jangteo_domain::{
    CouponId, Money, Order, OrderId, Payment, ProductId, RepositoryError, UserCouponId, UserId,
};

use crate::support::{Shop, claim, order, request, unkeyed};

crate::on_both_databases! {
    stock_below_zero
    a_balance_below_zero
    more_coupons_than_there_are
    a_coupon_that_is_used_already
    a_coupon_that_was_not_used
    more_returned_than_was_sold
    an_order_that_changed_meanwhile
    a_payment_that_was_refunded_already
}

/// Nothing is kept, and a batch that ran into this is decided again, one command after the other.
async fn assert_refused(shop: &Shop, mut uow: Box<dyn UnitOfWork>) {
    let flushed = uow.flush().await;
    assert!(matches!(flushed, Err(RepositoryError::Conflict(_))), "{flushed:?}");
    drop(uow);
    shop.assert_audit_is_clean().await;
}

async fn stock_below_zero(shop: Shop) {
    let shop = shop.stocked(1, 2, 3, 1).await;
    let mut uow = shop.store.begin().await.unwrap();
    uow.products().post(&[sale(1, 1), sale(2, 4)]).await.unwrap();
    assert_refused(&shop, uow).await;
}

async fn a_balance_below_zero(shop: Shop) {
    let shop = shop.stocked(2, 1, 1, 1).await;
    let mut uow = shop.store.begin().await.unwrap();
    uow.wallets().post(&[payment(1, -100), payment(2, -100_001)]).await.unwrap();
    assert_refused(&shop, uow).await;
}

async fn more_coupons_than_there_are(shop: Shop) {
    let shop = shop.stocked(2, 1, 1, 1).await;
    let mut uow = shop.store.begin().await.unwrap();
    uow.coupons().issue(&[issued(1), issued(2)]).await.unwrap();
    assert_refused(&shop, uow).await;
}

async fn a_coupon_that_is_used_already(shop: Shop) {
    let shop = shop.stocked(1, 1, 1, 1).await;
    let (orders, claims) = (shop.batcher(PlaceOrders), shop.batcher(ClaimCoupons));
    let claimed = claim(&claims, 1, "TENTH").await.unwrap().outcome.unwrap();
    assert!(order(&orders, request(1, &[(1, 1)], Some("TENTH"))).await.unwrap().outcome.is_ok());
    let mut uow = shop.store.begin().await.unwrap();
    uow.coupons().expire(&[claimed.user_coupon.id], now()).await.unwrap();
    assert_refused(&shop, uow).await;
    let mut uow = shop.store.begin().await.unwrap();
    let redemption = Redemption { user_coupon: claimed.user_coupon.id, order: OrderId(1), at: now() };
    uow.coupons().redeem(&[redemption]).await.unwrap();
    assert_refused(&shop, uow).await;
}

async fn a_coupon_that_was_not_used(shop: Shop) {
    let shop = shop.stocked(1, 1, 1, 1).await;
    let claims = shop.batcher(ClaimCoupons);
    let claimed = claim(&claims, 1, "TENTH").await.unwrap().outcome.unwrap();
    for expired in [false, true] {
        let user_coupon = claimed.user_coupon.id;
        let mut uow = shop.store.begin().await.unwrap();
        let restoration = Restoration { user_coupon, order: OrderId(1), expired, at: now() };
        uow.coupons().restore(&[restoration]).await.unwrap();
        assert_refused(&shop, uow).await;
    }
}

async fn more_returned_than_was_sold(shop: Shop) {
    let shop = shop.stocked(1, 1, 3, 1).await;
    let orders = shop.batcher(PlaceOrders);
    let sold = order(&orders, request(1, &[(1, 2)], None)).await.unwrap().outcome.unwrap().order;
    let an_hour = chrono::TimeDelta::hours(1);
    for (pieces, sold_at) in [(3, sold.created_at), (1, sold.created_at - an_hour)] {
        let mut uow = shop.store.begin().await.unwrap();
        let kind = StockMovementKind::Return { sold_at };
        uow.products().post(&[StockMovement { kind, ..sale(1, -pieces) }]).await.unwrap();
        assert_refused(&shop, uow).await;
    }
}

async fn an_order_that_changed_meanwhile(shop: Shop) {
    let shop = shop.stocked(1, 1, 3, 1).await;
    let orders = shop.batcher(PlaceOrders);
    let paid = order(&orders, request(1, &[(1, 1)], None)).await.unwrap().outcome.unwrap().order;
    let shipped = paid.clone().ship().unwrap();
    for change in [Order { events: 1, ..shipped.clone() }, shipped.deliver().unwrap()] {
        let mut uow = shop.store.begin().await.unwrap();
        uow.orders().advance(&[change], now()).await.unwrap();
        assert_refused(&shop, uow).await;
    }
}

async fn a_payment_that_was_refunded_already(shop: Shop) {
    let shop = shop.stocked(1, 1, 3, 1).await;
    let (orders, cancels) = (shop.batcher(PlaceOrders), shop.batcher(CancelOrders));
    let paid = order(&orders, request(1, &[(1, 1)], None)).await.unwrap().outcome.unwrap().order;
    let cancel = Cancel { order: paid.clone(), by: paid.user, administrator: None, reason: None };
    assert!(cancels.submit(unkeyed(cancel)).await.unwrap().outcome.is_ok());
    let mut payment = Payment { changes: 2, ..Payment::completed(paid.id, paid.paid, now()) };
    let mut uow = shop.store.begin().await.unwrap();
    uow.orders().change_payments(&[payment.cancel(None, now()).unwrap()]).await.unwrap();
    assert_refused(&shop, uow).await;
}

fn now() -> DateTime<Utc> {
    SystemClock.now()
}

fn sale(product: i64, pieces: i64) -> StockMovement {
    let (sku, kind) = (ProductId(product).into(), StockMovementKind::Sale);
    StockMovement { sku, kind, quantity: -pieces, stock_after: 0, order: None, at: now() }
}

fn payment(user: i64, amount: i64) -> LedgerEntry {
    let (user, kind, amount) = (UserId(user), LedgerKind::Use, Money::from_minor(amount));
    LedgerEntry { user, kind, amount, balance_after: Money::ZERO, order: None, reason: None, at: now() }
}

fn issued(number: i64) -> UserCoupon {
    UserCoupon {
        id: UserCouponId(number),
        user: UserId(number),
        coupon: CouponId(1),
        ticket: number,
        claimed_at: now(),
        expires_at: None,
        state: UserCouponState::Claimed,
    }
}
