//! Variants of a product are sold one by one.

use chrono::TimeDelta;
use futures::future::{join, join_all};
use jangteo_application::adjust_stock::{Adjust, AdjustStock};
use jangteo_application::cancel_orders::{Cancel, CancelOrders};
use jangteo_application::edit_products::{Edit, EditProduct, EditProducts, Update};
use jangteo_application::pay_orders::{Pay, PayOrders};
use jangteo_application::place_orders::PlaceOrders;
use jangteo_application::queries::CustomerQueries;
use jangteo_application::trail::Administrator;
use jangteo_application::versions::Expected;
use jangteo_domain::catalogue::{AdjustmentKind, VariantChanges};
use jangteo_domain::order::Terms;
use jangteo_domain::product::NotSold;
use jangteo_domain::{Order, OrderRequest, ProductId, Quantity, Sku, UserId, VariantId};

use crate::support::{Shop, batcher, keyed, money, order, unkeyed};

crate::on_both_databases! {
    variants_of_a_product_sell_independently
    a_product_with_variants_is_not_sold_without_naming_one
    a_variant_that_is_not_active_is_returned_and_not_sold
    buyers_of_variants_race_for_the_last_pieces_and_sell_each_once
    a_retry_of_an_order_with_variants_gets_the_same_answer
    variants_change_while_they_are_ordered_paid_and_cancelled
    what_was_sold_before_there_were_variants_is_paid_or_written_off
}

const SMALL: i64 = 1;
const LARGE: i64 = 2;

fn asking(user: i64, lines: &[(i64, i64)]) -> OrderRequest {
    let lines = lines.iter().map(|&(variant, pieces)| {
        let sku = Sku { product: ProductId(1), variant: (variant > 0).then_some(VariantId(variant)) };
        (sku, Quantity::new(pieces).unwrap())
    });
    OrderRequest::new(UserId(user), lines, None).unwrap()
}

fn cancelling(order: &Order) -> Cancel {
    Cancel { order: order.clone(), by: order.user, administrator: None, reason: None }
}

async fn stocks(shop: &Shop) -> (i64, i64, i64) {
    let of = async |id| shop.count(&format!("SELECT stock FROM variants WHERE id = {id}")).await;
    (of(SMALL).await, of(LARGE).await, shop.count("SELECT stock FROM products WHERE id = 1").await)
}

async fn variants_of_a_product_sell_independently(shop: Shop) {
    let shop = shop.stocked(1, 2, 10, 1).await.with_variants().await;
    shop.assert_audit_is_clean().await;
    let orders = shop.batcher(PlaceOrders);
    let placed = order(&orders, asking(1, &[(SMALL, 2), (LARGE, 4)])).await.unwrap().outcome.unwrap();
    assert_eq!((placed.order.total, placed.left[0].stock), (money("68"), 4));
    assert_eq!(shop.store.order(placed.order.id).await.unwrap(), Some(placed.order.clone()));
    assert_eq!(placed.order.lines[1].variant_name.as_deref(), Some("L"));
    assert_eq!(stocks(&shop).await, (4, 0, 4));
    let short = order(&orders, asking(1, &[(LARGE, 1)])).await.unwrap().outcome.unwrap_err();
    assert_eq!((short.shortages[0].sku.variant, short.shortages[0].available), (Some(VariantId(LARGE)), 0));
    assert!(order(&orders, asking(1, &[(SMALL, 1)])).await.unwrap().outcome.is_ok());
    let cancelled = shop.batcher(CancelOrders).submit(unkeyed(cancelling(&placed.order))).await.unwrap();
    assert!(cancelled.outcome.is_ok());
    assert_eq!(stocks(&shop).await, (5, 4, 9));
    shop.assert_audit_is_clean().await;
}

async fn a_product_with_variants_is_not_sold_without_naming_one(shop: Shop) {
    let shop = shop.stocked(1, 2, 10, 1).await.with_variants().await;
    let orders = shop.batcher(PlaceOrders);
    let refused =
        async |variant| order(&orders, asking(1, &[(variant, 1)])).await.unwrap().outcome.unwrap_err();
    assert_eq!(refused(0).await.not_sold[0].1, NotSold::VariantRequired);
    assert_eq!(refused(99).await.not_sold[0].1, NotSold::UnknownVariant);
    // A variant of another product.
    let sku = Sku { product: ProductId(2), variant: Some(VariantId(SMALL)) };
    let of_another = OrderRequest::new(UserId(1), [(sku, Quantity::new(1).unwrap())], None).unwrap();
    let refusal = order(&orders, of_another).await.unwrap().outcome.unwrap_err();
    assert_eq!(refusal.not_sold, [(sku, NotSold::UnknownVariant)]);
    assert_eq!(stocks(&shop).await, (6, 4, 10));
    shop.assert_audit_is_clean().await;
}

async fn a_variant_that_is_not_active_is_returned_and_not_sold(shop: Shop) {
    let shop = shop.stocked(1, 2, 10, 1).await.with_variants().await;
    let orders = shop.batcher(PlaceOrders);
    let placed = order(&orders, asking(1, &[(SMALL, 1)])).await.unwrap().outcome.unwrap().order;
    shop.tamper("UPDATE variants SET active = 0 WHERE id = 1").await;
    let refused = order(&orders, asking(1, &[(SMALL, 1)])).await.unwrap().outcome.unwrap_err();
    assert_eq!(refused.not_sold[0].1, NotSold::UnknownVariant);
    let cancelled = shop.batcher(CancelOrders).submit(unkeyed(cancelling(&placed))).await.unwrap();
    assert!(cancelled.outcome.is_ok());
    assert_eq!(stocks(&shop).await, (6, 4, 10));
    shop.assert_audit_is_clean().await;
}

async fn buyers_of_variants_race_for_the_last_pieces_and_sell_each_once(shop: Shop) {
    let shop = shop.stocked(60, 2, 10, 1).await.with_variants().await;
    let other = shop.second_instance().await;
    let (here, there) = (shop.batcher(PlaceOrders), batcher(&other, PlaceOrders));
    let buy = |user: i64| {
        // Some want both, in either order.
        let lines: &[(i64, i64)] = match user % 4 {
            0 => &[(SMALL, 1)],
            1 => &[(LARGE, 1)],
            2 => &[(SMALL, 1), (LARGE, 1)],
            _ => &[(LARGE, 1), (SMALL, 1)],
        };
        order(if user % 2 == 0 { &here } else { &there }, asking(user, lines))
    };
    let (one, two) = join(join_all((1..=30).map(buy)), join_all((31..=60).map(buy))).await;
    let sold: Vec<_> = one.into_iter().chain(two).filter_map(|reply| reply.unwrap().outcome.ok()).collect();
    let pieces: usize = sold.iter().map(|receipt| receipt.order.lines.len()).sum();
    let (small, large, product) = stocks(&shop).await;
    assert_eq!((small + large, product), (10 - pieces as i64, 10 - pieces as i64));
    assert!(small == 0 && large == 0, "all who came last found nothing left");
    shop.assert_audit_is_clean().await;
}

async fn a_retry_of_an_order_with_variants_gets_the_same_answer(shop: Shop) {
    let shop = shop.stocked(1, 2, 10, 1).await.with_variants().await;
    let orders = shop.batcher(PlaceOrders);
    for (lines, key) in [(&[(SMALL, 1), (LARGE, 1)][..], "k"), (&[(LARGE, 5)], "l"), (&[(99, 1)], "m")] {
        let first = orders.submit(keyed(asking(1, lines), key)).await.unwrap();
        let again = orders.submit(keyed(asking(1, lines), key)).await.unwrap();
        assert!(again.replayed && !first.replayed);
        assert_eq!(crate::support::told(&first), crate::support::told(&again));
    }
    // Two that are not sold, for different reasons, the second of which comes first.
    let lines = [(1, Some(99)), (404, None), (1, Some(98)), (405, Some(1))].map(|(product, variant)| {
        let sku = Sku { product: ProductId(product), variant: variant.map(VariantId) };
        (sku, Quantity::new(1).unwrap())
    });
    let unknown = || OrderRequest::new(UserId(1), lines, None).unwrap();
    let first = orders.submit(keyed(unknown(), "o")).await.unwrap();
    let again = orders.submit(keyed(unknown(), "o")).await.unwrap();
    assert_eq!(crate::support::told(&first), crate::support::told(&again));
    let other = orders.submit(keyed(asking(1, &[(SMALL, 2)]), "k")).await;
    assert!(other.is_err(), "another variant is another request");
    // Nothing could be made of it, so its key is free.
    assert!(orders.submit(keyed(asking(1, &[(0, 1)]), "n")).await.unwrap().outcome.is_err());
    assert!(orders.submit(keyed(asking(1, &[(SMALL, 1)]), "n")).await.unwrap().outcome.is_ok());
    shop.assert_audit_is_clean().await;
}

/// A product may get its first variant as soon as it is sold out, while orders of it can still come back.
async fn what_was_sold_before_there_were_variants_is_paid_or_written_off(shop: Shop) {
    let shop = shop.stocked(1, 1, 9, 1).await;
    let orders = shop.batcher(PlaceOrders);
    let as_such = |pieces| {
        let pieces = Quantity::new(pieces).unwrap();
        OrderRequest::new(UserId(1), [(ProductId(1), pieces)], None).unwrap()
    };
    let later = Terms::Deferred { hold: TimeDelta::minutes(15) };
    let mut placed = Vec::new();
    for request in [as_such(2), as_such(3).on(later), as_such(4).on(later)] {
        placed.push(order(&orders, request).await.unwrap().outcome.unwrap().order);
    }
    shop.tamper("UPDATE products SET has_variants = 1").await;
    shop.tamper(
        "INSERT INTO variants (id, product_id, name, price, stock, active, created_at, updated_at) \
         VALUES (1, 1, 'S', 1000, 0, 1, '2026-11-21 09:00:00', '2026-11-21 09:00:00')",
    )
    .await;
    let pay = Pay { order: placed[1].clone(), by: UserId(1), administrator: None };
    assert!(shop.batcher(PayOrders).submit(unkeyed(pay)).await.unwrap().outcome.is_ok());
    shop.assert_audit_is_clean().await;
    let cancels = shop.batcher(CancelOrders);
    for order in &placed {
        assert!(cancels.submit(unkeyed(cancelling(order))).await.unwrap().outcome.is_ok());
        shop.assert_audit_is_clean().await;
    }
    assert_eq!(shop.count("SELECT stock FROM products").await, 0);
    let written_off = "SELECT COUNT(*) FROM stock_movements WHERE kind = 'ADJUST' AND reason IS NOT NULL";
    assert_eq!(shop.count(written_off).await, 3);
}

/// Prices, activity and stock of variants, and whether the product is there at all, against orders at once and later.
async fn variants_change_while_they_are_ordered_paid_and_cancelled(shop: Shop) {
    let shop = shop.stocked(40, 2, 10, 1).await.with_variants().await;
    let other = shop.second_instance().await;
    let (orders, payments) = (shop.batcher(PlaceOrders), batcher(&other, PayOrders));
    let cancels = batcher(&other, CancelOrders);
    let (edits, stock) = (batcher(&other, EditProducts), shop.batcher(AdjustStock));
    let later = Terms::Deferred { hold: TimeDelta::minutes(15) };
    let buying = join_all((1..=40).map(async |user: i64| {
        for round in 0..3 {
            let wanted = asking(user, &[(1 + (user + round) % 2, 1)]);
            let wanted = if round % 2 == 0 { wanted.on(later) } else { wanted };
            let Ok(receipt) = order(&orders, wanted).await.unwrap().outcome else { continue };
            let order = receipt.order;
            if round == 0 {
                let pay = Pay { order: order.clone(), by: order.user, administrator: None };
                payments.submit(unkeyed(pay)).await.unwrap().outcome.unwrap();
            }
            cancels.submit(unkeyed(cancelling(&order))).await.unwrap().outcome.unwrap();
        }
    }));
    let editing = async {
        for round in 0..12_i64 {
            let variant = VariantId(1 + round % 2);
            let changes = VariantChanges {
                price: Some(money(&(5 + round).to_string())),
                active: Some(round % 3 != 0),
                ..VariantChanges::default()
            };
            let update = Update::Variant(variant, changes);
            let edit = Edit::Update { product: ProductId(1), expected: Expected::Any, update };
            edits.submit(unkeyed(EditProduct { by: administrator(), edit })).await.unwrap().outcome.unwrap();
            let adjust = Adjust {
                by: administrator(),
                product: ProductId(1),
                variant: Some(variant),
                kind: AdjustmentKind::Adjust,
                quantity: if round % 2 == 0 { 2 } else { -1 },
                reason: "counted".parse().unwrap(),
            };
            // It may be sold out.
            stock.submit(unkeyed(adjust)).await.unwrap().outcome.ok();
        }
        let edit = Edit::Update { product: ProductId(1), expected: Expected::Any, update: Update::Delete };
        edits.submit(unkeyed(EditProduct { by: administrator(), edit })).await.unwrap().outcome.unwrap();
    };
    join(buying, editing).await;
    let (small, large, product) = stocks(&shop).await;
    assert_eq!(small + large, product);
    assert_eq!(shop.count("SELECT sales_volume FROM products WHERE id = 1").await, 0, "all were cancelled");
    shop.assert_audit_is_clean().await;
}

fn administrator() -> Administrator {
    Administrator { user: UserId(900), trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".to_owned() }
}
