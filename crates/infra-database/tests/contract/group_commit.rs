//! Many at once, from one and from two instances.

use std::time::Duration;

use futures::future::join_all;
use jangteo_application::charge_wallets::ChargeWallets;
use jangteo_application::claim_coupons::ClaimCoupons;
use jangteo_application::place_orders::PlaceOrders;
use jangteo_application::queries::{CatalogueQueries, CustomerQueries};
use jangteo_domain::coupon::ClaimRefusal;
use jangteo_domain::{ProductId, UserId};

use crate::support::{Shop, batcher, charge, claim, keyed, money, order, policy, request, told};

crate::on_both_databases! {
    the_last_pieces_are_sold_once
    parallel_charges_and_orders_of_one_customer_add_up
    one_key_from_two_instances_is_one_order
    a_coupon_is_issued_as_often_as_there_is_one
    crossing_products_from_two_instances_end_without_deadlock
    two_instances_sell_the_last_pieces_once
}

async fn the_last_pieces_are_sold_once(shop: Shop) {
    let shop = shop.stocked(500, 1, 50, 1).await;
    let orders = shop.batcher(PlaceOrders);
    let replies = join_all((1..=500).map(|user| order(&orders, request(user, &[(1, 1)], None)))).await;
    let sold = replies.iter().flatten().filter(|answer| answer.outcome.is_ok()).count();
    let short = replies.iter().flatten().filter_map(|answer| answer.outcome.as_ref().err());
    assert_eq!(sold, 50);
    assert_eq!(short.filter(|refusal| refusal.shortages.len() == 1).count(), 450);
    assert_eq!(shop.store.product(ProductId(1)).await.unwrap().unwrap().product.stock, 0);
    shop.assert_audit_is_clean().await;
}

async fn parallel_charges_and_orders_of_one_customer_add_up(shop: Shop) {
    let shop = shop.stocked(1, 1, 1000, 1).await;
    let (orders, charges) = (shop.batcher(PlaceOrders), shop.batcher(ChargeWallets { policy: policy() }));
    let placing = join_all((0..30).map(|_| order(&orders, request(1, &[(1, 3)], None))));
    let charging = join_all((0..30).map(|_| charge(&charges, 1, "7.77")));
    let (placed, charged) = futures::future::join(placing, charging).await;
    assert!(charged.iter().all(|reply| reply.as_ref().is_ok_and(|answer| answer.outcome.is_ok())));
    let placed = placed.iter().flatten().filter(|answer| answer.outcome.is_ok()).count();
    let balance = shop.store.wallet(UserId(1)).await.unwrap().unwrap().balance;
    assert_eq!(balance.minor(), 1_000_00 + 30 * 7_77 - i64::try_from(placed).unwrap() * 30_00);
    shop.assert_audit_is_clean().await;
}

async fn one_key_from_two_instances_is_one_order(shop: Shop) {
    let shop = shop.stocked(1, 1, 1000, 1).await;
    let other = shop.second_instance().await;
    let (here, there) = (shop.batcher(PlaceOrders), batcher(&other, PlaceOrders));
    let submit = |n| {
        let orders = if n % 2 == 0 { &here } else { &there };
        orders.submit(keyed(request(1, &[(1, 2)], None), "once"))
    };
    let replies = join_all((0..100).map(submit)).await;
    let receipts: Vec<_> = replies.into_iter().map(|reply| reply.unwrap()).collect();
    let first = told(&receipts[0]);
    assert!(first.is_ok() && receipts.iter().all(|answer| told(answer) == first));
    assert_eq!(receipts.iter().filter(|answer| !answer.replayed).count(), 1);
    assert_eq!(shop.store.wallet(UserId(1)).await.unwrap().unwrap().balance, money("980"));
    shop.assert_audit_is_clean().await;
}

async fn a_coupon_is_issued_as_often_as_there_is_one(shop: Shop) {
    let shop = shop.stocked(2000, 1, 1, 100).await;
    let claims = shop.batcher(ClaimCoupons);
    let one_customer = join_all((0..40).map(|_| claim(&claims, 7, "TENTH"))).await;
    assert_eq!(one_customer.iter().flatten().filter(|answer| answer.outcome.is_ok()).count(), 1);
    let everybody = join_all((1..=2000).map(|user| claim(&claims, user, "TENTH"))).await;
    let refusals: Vec<_> =
        everybody.iter().map(|reply| reply.as_ref().unwrap().outcome.as_ref().err()).collect();
    assert_eq!(refusals.iter().filter(|refusal| refusal.is_none()).count(), 99);
    assert_eq!(
        refusals
            .iter()
            .filter(|refusal| **refusal == Some(&ClaimRefusal::AlreadyClaimed { ticket: 1 }))
            .count(),
        1
    );
    assert_eq!(refusals.iter().filter(|refusal| **refusal == Some(&ClaimRefusal::SoldOut)).count(), 1900);
    shop.assert_audit_is_clean().await;
}

async fn crossing_products_from_two_instances_end_without_deadlock(shop: Shop) {
    let shop = shop.stocked(200, 6, 100_000, 1).await;
    let other = shop.second_instance().await;
    let (here, there) = (shop.batcher(PlaceOrders), batcher(&other, PlaceOrders));
    for _ in 0..5 {
        let forth =
            join_all((1..=200).map(|user| order(&here, request(user, &[(1, 1), (2 + user % 5, 1)], None))));
        let back = join_all(
            (1..=200).rev().map(|user| order(&there, request(user, &[(2 + user % 5, 1), (1, 1)], None))),
        );
        let (forth, back) = tokio::time::timeout(Duration::from_secs(60), futures::future::join(forth, back))
            .await
            .expect("nobody waits for ever");
        assert!(
            forth.iter().chain(&back).all(|reply| reply.as_ref().is_ok_and(|answer| answer.outcome.is_ok()))
        );
    }
    shop.assert_audit_is_clean().await;
}

async fn two_instances_sell_the_last_pieces_once(shop: Shop) {
    let shop = shop.stocked(300, 1, 50, 1).await;
    let other = shop.second_instance().await;
    let (here, there) = (shop.batcher(PlaceOrders), batcher(&other, PlaceOrders));
    let replies = join_all((1..=300).map(|user| {
        let orders = if user % 2 == 0 { &here } else { &there };
        order(orders, request(user, &[(1, 1)], None))
    }))
    .await;
    assert!(replies.iter().all(Result::is_ok));
    assert_eq!(replies.iter().flatten().filter(|answer| answer.outcome.is_ok()).count(), 50);
    shop.assert_audit_is_clean().await;
}
