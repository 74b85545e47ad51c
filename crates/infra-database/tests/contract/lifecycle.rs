//! What becomes of orders that were paid.

use chrono::TimeDelta;
use futures::future::{join, join_all};
use jangteo_application::cancel_orders::{Cancel, CancelOrders};
use jangteo_application::charge_wallets::ChargeWallets;
use jangteo_application::claim_coupons::ClaimCoupons;
use jangteo_application::fulfil_orders::{Fulfil, FulfilOrders, FulfilRefusal, Step};
use jangteo_application::operation::{Reply, WriteError};
use jangteo_application::place_orders::PlaceOrders;
use jangteo_application::queries::{CatalogueQueries, CouponChange, CustomerQueries, PageRequest};
use jangteo_application::trail::Administrator;
use jangteo_application::{Batcher, Clock, SystemClock};
use jangteo_domain::cancellation::CancelRefusal;
use jangteo_domain::coupon::UserCouponState;
use jangteo_domain::order::{OrderStatus, WrongStatus};
use jangteo_domain::wallet::LedgerKind;
use jangteo_domain::{Order, OrderId, OrderRequest, ProductId, UserId};

use crate::support::{
    Shop, batcher, batcher_at, charge, claim, keyed, money, order, policy, request, unkeyed,
};

crate::on_both_databases! {
    cancelling_gives_everything_back
    an_order_is_shipped_and_delivered_each_in_an_event
    an_order_that_cannot_change_is_refused_with_its_state
    a_refund_may_pass_the_limit_of_the_balance
    an_order_that_cost_nothing_is_cancelled_too
    a_coupon_that_is_no_longer_valid_is_not_given_back
    a_sale_is_taken_out_of_the_hour_it_was_made_in
    what_is_no_longer_sold_can_be_returned
    a_retry_gets_the_answer_of_the_first_attempt
    keys_of_shipping_delivering_and_cancelling_are_apart
    an_order_that_is_not_as_it_was_read_is_not_cancelled
    many_who_cancel_an_order_refund_it_once
    an_order_is_shipped_or_cancelled_and_never_both
    orders_of_a_hot_product_are_cancelled_while_others_buy_it
    coupons_go_round_from_order_to_order
}

const PAGE: PageRequest = PageRequest { page: 0, size: 100 };
const ADMIN: UserId = UserId(1_000_000);

async fn place(shop: &Shop, request: OrderRequest) -> Order {
    let orders = shop.batcher(PlaceOrders);
    order(&orders, request).await.unwrap().outcome.unwrap().order
}

fn cancelling(order: &Order) -> Cancel {
    Cancel { order: order.clone(), by: order.user, administrator: None, reason: None }
}

async fn cancel(cancels: &Batcher<CancelOrders>, order: &Order) -> Reply<CancelOrders> {
    cancels.submit(unkeyed(cancelling(order))).await
}

fn administrator() -> Administrator {
    Administrator { user: ADMIN, trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".to_owned() }
}

fn step(order: &Order, step: Step) -> Fulfil {
    Fulfil { order: order.id, step, by: administrator() }
}

async fn fulfil(fulfilments: &Batcher<FulfilOrders>, fulfil: Fulfil) -> Reply<FulfilOrders> {
    fulfilments.submit(unkeyed(fulfil)).await
}

fn standing(status: OrderStatus) -> CancelRefusal {
    WrongStatus(status).into()
}

async fn balance(shop: &Shop, user: i64) -> i64 {
    shop.store.wallet(UserId(user)).await.unwrap().unwrap().balance.minor()
}

async fn stock(shop: &Shop, product: i64) -> i64 {
    shop.store.product(ProductId(product)).await.unwrap().unwrap().product.stock
}

async fn cancelling_gives_everything_back(shop: Shop) {
    let shop = shop.stocked(1, 2, 10, 1).await;
    let (claims, cancels) = (shop.batcher(ClaimCoupons), shop.batcher(CancelOrders));
    assert!(claim(&claims, 1, "TENTH").await.unwrap().outcome.is_ok());
    let paid = place(&shop, request(1, &[(2, 3), (1, 1)], Some("TENTH"))).await;
    assert_eq!((paid.status, paid.events, paid.paid), (OrderStatus::Paid, 1, money("36")));

    let command = Cancel { reason: Some("Mina's \\ mind; changed".parse().unwrap()), ..cancelling(&paid) };
    let refund = cancels.submit(unkeyed(command)).await.unwrap().outcome.unwrap();
    assert_eq!(refund.order, Order { status: OrderStatus::Cancelled, events: 2, ..paid.clone() });
    assert_eq!(refund.balance, money("1000"));
    let left: Vec<_> = refund.left.iter().map(|left| (left.product.0, left.stock)).collect();
    assert_eq!(left, [(1, 10), (2, 10)]);

    assert_eq!(shop.store.order(paid.id).await.unwrap(), Some(refund.order));
    assert_eq!(balance(&shop, 1).await, 100_000);
    for product in [1, 2] {
        let product = shop.store.product(ProductId(product)).await.unwrap().unwrap().product;
        assert_eq!((product.stock, product.sales_volume), (10, 0));
    }
    assert!(shop.store.popular(3, 5).await.unwrap().products.is_empty());
    let ledger = shop.store.ledger(UserId(1), PAGE).await.unwrap().content;
    assert_eq!((ledger[0].kind, ledger[0].amount), (LedgerKind::Refund, money("36")));
    assert_eq!((ledger[0].order, ledger[1].kind), (Some(paid.id), LedgerKind::Use));
    assert_eq!(shop.store.coupons(UserId(1)).await.unwrap()[0].state, UserCouponState::Claimed);
    let history = shop.store.coupon_history(UserId(1), PAGE).await.unwrap().content;
    let history: Vec<_> = history.iter().map(|line| (line.change, line.order)).collect();
    let (restored, used) = ((CouponChange::Restored, Some(paid.id)), (CouponChange::Used, Some(paid.id)));
    assert_eq!(history, [restored, used, (CouponChange::Issued, None)]);
    let cancelled = "SELECT COUNT(*) FROM payments p JOIN payment_history h ON h.order_id = p.order_id \
                     WHERE p.status = 'CANCELLED' AND p.cancelled_at = h.created_at AND h.sequence = 2 \
                     AND h.from_status = 'COMPLETED' AND h.to_status = 'CANCELLED' AND h.reason LIKE 'Mina__ % mind; changed'";
    assert_eq!(shop.count(cancelled).await, 1);
    let told = "SELECT COUNT(*) FROM outbox WHERE event_type = 'order.cancelled' AND sequence = 2";
    assert_eq!(shop.count(told).await, 1);
    shop.assert_audit_is_clean().await;
}

async fn an_order_is_shipped_and_delivered_each_in_an_event(shop: Shop) {
    let shop = shop.stocked(2, 2, 10, 1).await;
    let fulfilments = shop.batcher(FulfilOrders);
    let (one, other) =
        (place(&shop, request(1, &[(1, 1)], None)).await, place(&shop, request(2, &[(1, 1)], None)).await);
    // Four steps at once: a batch takes them in the order they came.
    let steps = [
        step(&one, Step::Ship),
        step(&other, Step::Ship),
        step(&one, Step::Deliver),
        step(&other, Step::Ship),
    ];
    let replies = join_all(steps.map(|step| fulfil(&fulfilments, step))).await;
    let outcomes: Vec<_> = replies.into_iter().map(|reply| reply.unwrap().outcome).collect();
    let after = |order: &Order, status, events| Ok(Order { status, events, ..order.clone() });
    assert_eq!(outcomes[0], after(&one, OrderStatus::Shipping, 2));
    assert_eq!(outcomes[1], after(&other, OrderStatus::Shipping, 2));
    assert_eq!(outcomes[2], after(&one, OrderStatus::Delivered, 3));
    assert_eq!(outcomes[3], Err(WrongStatus(OrderStatus::Shipping).into()));
    assert_eq!(shop.store.order(one.id).await.unwrap(), outcomes[2].clone().ok());
    assert_eq!(shop.store.order(other.id).await.unwrap(), outcomes[1].clone().ok());
    let events = "SELECT COUNT(*) FROM outbox WHERE (event_type = 'order.shipped' AND sequence = 2) \
                  OR (event_type = 'order.delivered' AND sequence = 3)";
    assert_eq!(shop.count(events).await, 3);
    let unknown = Fulfil { order: OrderId(999), step: Step::Ship, by: administrator() };
    assert_eq!(fulfil(&fulfilments, unknown).await.unwrap().outcome, Err(FulfilRefusal::Unknown));
    shop.assert_audit_is_clean().await;
}

async fn an_order_that_cannot_change_is_refused_with_its_state(shop: Shop) {
    let shop = shop.stocked(1, 1, 10, 1).await;
    let (cancels, fulfilments) = (shop.batcher(CancelOrders), shop.batcher(FulfilOrders));
    let paid = place(&shop, request(1, &[(1, 1)], None)).await;
    let refused = async |next, status| {
        let reply = fulfil(&fulfilments, step(&paid, next)).await.unwrap();
        assert_eq!(reply.outcome, Err(WrongStatus(status).into()));
    };
    refused(Step::Deliver, OrderStatus::Paid).await;
    for (next, status) in [(Step::Ship, OrderStatus::Shipping), (Step::Deliver, OrderStatus::Delivered)] {
        assert!(fulfil(&fulfilments, step(&paid, next)).await.unwrap().outcome.is_ok());
        refused(Step::Ship, status).await;
        let reply = cancel(&cancels, &paid).await.unwrap();
        assert_eq!(reply.outcome.unwrap_err(), standing(status));
    }
    refused(Step::Deliver, OrderStatus::Delivered).await;
    let other = place(&shop, request(1, &[(1, 1)], None)).await;
    assert!(cancel(&cancels, &other).await.unwrap().outcome.is_ok());
    let again = cancel(&cancels, &other).await.unwrap();
    assert_eq!(again.outcome.unwrap_err(), standing(OrderStatus::Cancelled));
    let shipped = fulfil(&fulfilments, step(&other, Step::Ship)).await.unwrap();
    assert_eq!(shipped.outcome, Err(WrongStatus(OrderStatus::Cancelled).into()));
    assert_eq!((balance(&shop, 1).await, stock(&shop, 1).await), (99_000, 9));
    shop.assert_audit_is_clean().await;
}

async fn a_refund_may_pass_the_limit_of_the_balance(shop: Shop) {
    let shop = shop.stocked(1, 1, 10, 1).await;
    let (cancels, charges) = (shop.batcher(CancelOrders), shop.batcher(ChargeWallets { policy: policy() }));
    let paid = place(&shop, request(1, &[(1, 10)], None)).await;
    assert!(charge(&charges, 1, "999100").await.unwrap().outcome.is_ok());
    let refund = cancel(&cancels, &paid).await.unwrap().outcome.unwrap();
    assert_eq!(refund.balance, money("1000100"));
    shop.assert_audit_is_clean().await;
}

async fn an_order_that_cost_nothing_is_cancelled_too(shop: Shop) {
    let shop = shop.stocked(1, 1, 10, 1).await;
    shop.tamper("UPDATE products SET price = 0").await;
    let free = place(&shop, request(1, &[(1, 4)], None)).await;
    let refund = cancel(&shop.batcher(CancelOrders), &free).await.unwrap().outcome.unwrap();
    assert_eq!((refund.balance, stock(&shop, 1).await), (money("1000"), 10));
    assert_eq!(shop.store.ledger(UserId(1), PAGE).await.unwrap().total, 1);
    shop.assert_audit_is_clean().await;
}

async fn a_coupon_that_is_no_longer_valid_is_not_given_back(shop: Shop) {
    let shop = shop.stocked(2, 1, 10, 2).await;
    let claims = shop.batcher(ClaimCoupons);
    for user in [1, 2] {
        assert!(claim(&claims, user, "TENTH").await.unwrap().outcome.is_ok());
    }
    let late = place(&shop, request(1, &[(1, 1)], Some("TENTH"))).await;
    let in_time = place(&shop, request(2, &[(1, 1)], Some("TENTH"))).await;
    assert!(cancel(&shop.batcher(CancelOrders), &in_time).await.unwrap().outcome.is_ok());
    let after_a_week = batcher_at(&shop.store, CancelOrders, SystemClock.now() + TimeDelta::days(8));
    assert_eq!(cancel(&after_a_week, &late).await.unwrap().outcome.unwrap().balance, money("1000"));
    let states = async |user| shop.store.coupons(UserId(user)).await.unwrap()[0].state;
    assert_eq!((states(1).await, states(2).await), (UserCouponState::Expired, UserCouponState::Claimed));
    let last = shop.store.coupon_history(UserId(1), PAGE).await.unwrap().content.remove(0);
    assert_eq!((last.change, last.order), (CouponChange::Expired, Some(late.id)));
    shop.assert_audit_is_clean().await;
}

async fn a_sale_is_taken_out_of_the_hour_it_was_made_in(shop: Shop) {
    let shop = shop.stocked(1, 2, 10, 1).await;
    let now = SystemClock.now();
    let yesterday = batcher_at(&shop.store, PlaceOrders, now - TimeDelta::hours(20));
    let old = order(&yesterday, request(1, &[(1, 3), (2, 1)], None)).await.unwrap().outcome.unwrap().order;
    let new = place(&shop, request(1, &[(1, 2)], None)).await;
    let hours = async || shop.count("SELECT COUNT(*) FROM hourly_sales WHERE quantity > 0").await;
    assert_eq!(hours().await, 3);
    let cancels = shop.batcher(CancelOrders);
    assert!(cancel(&cancels, &old).await.unwrap().outcome.is_ok());
    assert_eq!(hours().await, 1);
    let popular = shop.store.popular(1, 5).await.unwrap().products;
    assert_eq!(popular.iter().map(|product| (product.id.0, product.sold)).collect::<Vec<_>>(), [(1, 2)]);
    assert!(cancel(&cancels, &new).await.unwrap().outcome.is_ok());
    assert_eq!(hours().await, 0);
    shop.assert_audit_is_clean().await;
}

async fn what_is_no_longer_sold_can_be_returned(shop: Shop) {
    let shop = shop.stocked(1, 2, 10, 1).await;
    let paid = place(&shop, request(1, &[(1, 1), (2, 1)], None)).await;
    shop.tamper("UPDATE products SET active = 0 WHERE id = 1").await;
    shop.tamper("UPDATE products SET deleted_at = created_at WHERE id = 2").await;
    assert!(cancel(&shop.batcher(CancelOrders), &paid).await.unwrap().outcome.is_ok());
    assert_eq!(shop.count("SELECT COUNT(*) FROM products WHERE stock = 10").await, 2);
    shop.assert_audit_is_clean().await;
}

async fn a_retry_gets_the_answer_of_the_first_attempt(shop: Shop) {
    let shop = shop.stocked(1, 1, 10, 1).await;
    let (cancels, fulfilments) = (shop.batcher(CancelOrders), shop.batcher(FulfilOrders));
    let paid = place(&shop, request(1, &[(1, 1)], None)).await;
    let mut first = cancels.submit(keyed(cancelling(&paid), "k")).await.unwrap().outcome.unwrap();
    let now = shop.store.order(paid.id).await.unwrap().unwrap();
    let again = cancels.submit(keyed(cancelling(&now), "k")).await.unwrap();
    first.left.clear();
    assert_eq!((again.replayed, again.outcome), (true, Ok(first)));
    let for_a_reason = Cancel { reason: Some("late".parse().unwrap()), ..cancelling(&paid) };
    assert!(matches!(cancels.submit(keyed(for_a_reason, "k")).await, Err(WriteError::KeyReused)));
    // A refusal, and that of a step.
    for _ in 0..2 {
        let refused = cancels.submit(keyed(cancelling(&paid), "l")).await.unwrap();
        assert_eq!(refused.outcome.unwrap_err(), standing(OrderStatus::Cancelled));
    }
    let other = place(&shop, request(1, &[(1, 1)], None)).await;
    let early = fulfilments.submit(keyed(step(&other, Step::Deliver), "m")).await.unwrap();
    let shipped = fulfilments.submit(keyed(step(&other, Step::Ship), "n")).await.unwrap();
    let early_again = fulfilments.submit(keyed(step(&other, Step::Deliver), "m")).await.unwrap();
    let shipped_again = fulfilments.submit(keyed(step(&other, Step::Ship), "n")).await.unwrap();
    assert!(early_again.replayed && shipped_again.replayed);
    assert_eq!((early.outcome, shipped.outcome), (early_again.outcome, shipped_again.outcome));
    shop.assert_audit_is_clean().await;
}

async fn keys_of_shipping_delivering_and_cancelling_are_apart(shop: Shop) {
    let shop = shop.stocked(1, 1, 10, 1).await;
    let (cancels, fulfilments) = (shop.batcher(CancelOrders), shop.batcher(FulfilOrders));
    let (one, other) =
        (place(&shop, request(1, &[(1, 1)], None)).await, place(&shop, request(1, &[(1, 1)], None)).await);
    for next in [Step::Ship, Step::Deliver] {
        let done = fulfilments.submit(keyed(step(&one, next), "k")).await.unwrap();
        assert!(!done.replayed && done.outcome.is_ok());
    }
    // The same key of another: it is the administrator's, and no other's.
    let refused = cancels.submit(keyed(cancelling(&one), "k")).await.unwrap();
    assert!(!refused.replayed && refused.outcome.is_err());
    let by_admin = Cancel { by: ADMIN, ..cancelling(&other) };
    let cancelled = cancels.submit(keyed(by_admin, "k")).await.unwrap();
    assert!(!cancelled.replayed && cancelled.outcome.is_ok());
    shop.assert_audit_is_clean().await;
}

async fn an_order_that_is_not_as_it_was_read_is_not_cancelled(shop: Shop) {
    let shop = shop.stocked(2, 2, 10, 1).await;
    let cancels = shop.batcher(CancelOrders);
    let paid = place(&shop, request(1, &[(1, 1)], None)).await;
    for other in [
        Order { user: UserId(2), ..paid.clone() },
        Order { lines: Vec::new(), ..paid.clone() },
        Order { id: OrderId(999), ..paid.clone() },
    ] {
        assert!(matches!(cancel(&cancels, &other).await, Err(WriteError::Failed(_))));
    }
    assert_eq!((balance(&shop, 1).await, stock(&shop, 1).await), (99_000, 9));
    shop.assert_audit_is_clean().await;
}

async fn many_who_cancel_an_order_refund_it_once(shop: Shop) {
    let shop = shop.stocked(1, 2, 10, 1).await;
    let other = shop.second_instance().await;
    let (here, there) = (shop.batcher(CancelOrders), batcher(&other, CancelOrders));
    let paid = place(&shop, request(1, &[(1, 1), (2, 2)], None)).await;
    let replies = join_all((0..40).map(|n| cancel(if n % 2 == 0 { &here } else { &there }, &paid))).await;
    let outcomes: Vec<_> = replies.into_iter().map(|reply| reply.unwrap().outcome).collect();
    assert_eq!(outcomes.iter().flatten().count(), 1);
    let refused = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
    assert_eq!(refused.filter(|refusal| **refusal == standing(OrderStatus::Cancelled)).count(), 39);
    assert_eq!((balance(&shop, 1).await, stock(&shop, 1).await), (100_000, 10));
    shop.assert_audit_is_clean().await;
}

async fn an_order_is_shipped_or_cancelled_and_never_both(shop: Shop) {
    let shop = shop.stocked(1, 3, 1_000, 1).await;
    let other = shop.second_instance().await;
    let (cancels, fulfilments) = (shop.batcher(CancelOrders), batcher(&other, FulfilOrders));
    for _ in 0..20 {
        let orders = shop.batcher(PlaceOrders);
        let placed = join_all((0..5).map(|n| order(&orders, request(1, &[(1 + n % 3, 1)], None)))).await;
        let placed: Vec<Order> =
            placed.into_iter().map(|reply| reply.unwrap().outcome.unwrap().order).collect();
        let cancelling = join_all(placed.iter().map(|order| cancel(&cancels, order)));
        let shipping = join_all(placed.iter().map(|order| fulfil(&fulfilments, step(order, Step::Ship))));
        let (cancelled, shipped) = join(cancelling, shipping).await;
        for ((order, cancelled), shipped) in placed.iter().zip(cancelled).zip(shipped) {
            let (cancelled, shipped) = (cancelled.unwrap().outcome, shipped.unwrap().outcome);
            let stands = shop.store.order(order.id).await.unwrap().unwrap().status;
            match stands {
                OrderStatus::Cancelled => {
                    assert!(cancelled.is_ok());
                    assert_eq!(shipped, Err(WrongStatus(OrderStatus::Cancelled).into()));
                }
                _ => {
                    assert!(shipped.is_ok());
                    assert_eq!(cancelled.unwrap_err(), standing(OrderStatus::Shipping));
                }
            }
        }
    }
    shop.assert_audit_is_clean().await;
}

async fn orders_of_a_hot_product_are_cancelled_while_others_buy_it(shop: Shop) {
    let shop = shop.stocked(300, 3, 400, 1).await;
    let other = shop.second_instance().await;
    let (here, there) = (shop.batcher(PlaceOrders), batcher(&other, PlaceOrders));
    let (cancels_here, cancels_there) = (shop.batcher(CancelOrders), batcher(&other, CancelOrders));
    let lines = |user: i64| [(1, 1), (2 + user % 2, 1)];
    let placed = join_all((1..=150).map(|user| order(&here, request(user, &lines(user), None)))).await;
    let placed: Vec<Order> = placed.into_iter().map(|reply| reply.unwrap().outcome.unwrap().order).collect();
    let cancelling = join_all(
        placed
            .iter()
            .rev()
            .enumerate()
            .map(|(n, order)| cancel(if n % 2 == 0 { &cancels_here } else { &cancels_there }, order)),
    );
    // Also by those whose orders are being cancelled.
    let buying =
        join_all((1..=300).map(|user| {
            order(if user % 2 == 0 { &here } else { &there }, request(user, &lines(user), None))
        }));
    let (cancelled, bought) = join(cancelling, buying).await;
    assert!(cancelled.iter().all(|reply| reply.as_ref().is_ok_and(|answer| answer.outcome.is_ok())));
    assert!(bought.iter().all(|reply| reply.as_ref().is_ok_and(|answer| answer.outcome.is_ok())));
    assert_eq!(stock(&shop, 1).await, 100);
    assert_eq!(shop.store.product(ProductId(1)).await.unwrap().unwrap().product.sales_volume, 300);
    shop.assert_audit_is_clean().await;
}

/// The customer orders with the coupon again and again, while the order before is cancelled.
async fn coupons_go_round_from_order_to_order(shop: Shop) {
    let shop = shop.stocked(5, 1, 1_000, 5).await;
    let (orders, cancels) = (shop.batcher(PlaceOrders), shop.batcher(CancelOrders));
    let claims = shop.batcher(ClaimCoupons);
    join_all((1..=5).map(|user| claim(&claims, user, "TENTH"))).await;
    join_all((1..=5).map(async |user| {
        let mut last: Option<Order> = None;
        for _ in 0..20 {
            let ordering = order(&orders, request(user, &[(1, 1)], Some("TENTH")));
            let (ordered, cancelled) = match &last {
                Some(last) => join(ordering, async { Some(cancel(&cancels, last).await.unwrap()) }).await,
                None => (ordering.await, None),
            };
            // It may have come before the coupon was back.
            last = ordered.unwrap().outcome.ok().map(|receipt| receipt.order);
            assert!(cancelled.is_none_or(|cancelled| cancelled.outcome.is_ok()));
        }
    }))
    .await;
    shop.assert_audit_is_clean().await;
}
