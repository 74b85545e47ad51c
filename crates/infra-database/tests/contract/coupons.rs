//! Coupons: claimed, used once, gone.

use jangteo_application::claim_coupons::ClaimCoupons;
use jangteo_application::place_orders::PlaceOrders;
use jangteo_application::queries::CustomerQueries;
use jangteo_domain::UserId;
use jangteo_domain::coupon::{ClaimRefusal, CouponFault, UserCouponState};

use crate::support::{Shop, claim, money, order, request};

crate::on_both_databases! {
    a_claimed_coupon_is_used_once
    an_unknown_code_is_refused
}

async fn a_claimed_coupon_is_used_once(shop: Shop) {
    let shop = shop.stocked(2, 1, 100, 5).await;
    let (orders, claims) = (shop.batcher(PlaceOrders), shop.batcher(ClaimCoupons));
    let not_held = order(&orders, request(1, &[(1, 1)], Some("TENTH"))).await.unwrap().outcome.unwrap_err();
    assert_eq!(not_held.coupon, Some(CouponFault::NotHeld));
    let issued = claim(&claims, 1, "tenth").await.unwrap().outcome.unwrap();
    assert_eq!(issued.user_coupon.ticket, 1);

    let both = futures::future::join(
        order(&orders, request(1, &[(1, 1)], Some("TENTH"))),
        order(&orders, request(1, &[(1, 1)], Some("TENTH"))),
    )
    .await;
    let outcomes = [both.0.unwrap().outcome, both.1.unwrap().outcome];
    let receipt = outcomes.iter().flatten().next().unwrap();
    assert_eq!((receipt.order.discount, receipt.order.paid), (money("1"), money("9")));
    let refusal = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).next().unwrap();
    assert_eq!(refusal.coupon, Some(CouponFault::AlreadyUsed));
    assert_eq!(shop.store.order(receipt.order.id).await.unwrap().as_ref(), Some(&receipt.order));
    let held = shop.store.coupons(UserId(1)).await.unwrap();
    assert!(matches!(held[0].state, UserCouponState::Used { .. }));
    assert!(shop.store.coupons(UserId(2)).await.unwrap().is_empty());
    shop.assert_audit_is_clean().await;
}

async fn an_unknown_code_is_refused(shop: Shop) {
    let shop = shop.stocked(1, 1, 1, 1).await;
    let claims = shop.batcher(ClaimCoupons);
    assert_eq!(claim(&claims, 1, "NOPE").await.unwrap().outcome.unwrap_err(), ClaimRefusal::Unknown);
    shop.assert_audit_is_clean().await;
}
