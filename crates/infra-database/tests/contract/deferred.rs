//! Orders that are paid later.

use std::panic::AssertUnwindSafe;

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::{FutureExt, join, join_all, join3};
use jangteo_application::cancel_orders::{Cancel, CancelOrders};
use jangteo_application::charge_wallets::ChargeWallets;
use jangteo_application::claim_coupons::ClaimCoupons;
use jangteo_application::jobs::{ExpireOrders, Job};
use jangteo_application::operation::Reply;
use jangteo_application::pay_orders::{NotPaid, Pay, PayOrders};
use jangteo_application::place_orders::PlaceOrders;
use jangteo_application::queries::{CatalogueQueries, CustomerQueries};
use jangteo_application::{Batcher, Database};
use jangteo_domain::coupon::UserCouponState;
use jangteo_domain::order::{NotPayable, OrderStatus, Terms, WrongStatus};
use jangteo_domain::payment::PaymentStatus;
use jangteo_domain::{Order, OrderRequest, ProductId, RepositoryError, UserId};
use jangteo_infra_database::Store;

use crate::support::{
    Shop, batcher, batcher_at, charge, claim, keyed, money, now, order, policy, request, unkeyed,
};

crate::on_both_databases! {
    what_is_held_is_sold_when_it_is_paid
    what_is_not_paid_in_time_is_given_back
    a_cancelled_order_gives_back_what_was_held
    a_payment_that_fails_is_noted_and_may_be_tried_again
    a_retry_gets_the_answer_of_the_first_attempt
    many_who_pay_an_order_pay_it_once
    paying_cancelling_and_expiring_race_and_one_of_them_wins
    the_last_piece_is_held_expires_and_is_bought_by_another
    orders_expire_in_batches_the_oldest_first
    an_order_that_cannot_be_taken_back_keeps_back_no_other
    what_waits_no_longer_is_held_no_longer
}

const HOLD: TimeDelta = TimeDelta::minutes(15);

fn deferred(request: OrderRequest) -> OrderRequest {
    request.on(Terms::Deferred { hold: HOLD })
}

async fn place(shop: &Shop, request: OrderRequest) -> Order {
    let orders = shop.batcher(PlaceOrders);
    order(&orders, deferred(request)).await.unwrap().outcome.unwrap().order
}

fn paying(order: &Order) -> Pay {
    Pay { order: order.clone(), by: order.user, administrator: None }
}

async fn pay(payments: &Batcher<PayOrders>, order: &Order) -> Reply<PayOrders> {
    payments.submit(unkeyed(paying(order))).await
}

fn cancelling(order: &Order) -> Cancel {
    Cancel { order: order.clone(), by: order.user, administrator: None, reason: None }
}

fn standing(status: OrderStatus) -> NotPaid {
    NotPayable::from(WrongStatus(status)).into()
}

async fn expire(store: &Store, now: DateTime<Utc>) -> Result<usize, RepositoryError> {
    expire_with(&ExpireOrders::default(), store, now).await
}

async fn expire_with(
    job: &ExpireOrders,
    store: &Store,
    now: DateTime<Utc>,
) -> Result<usize, RepositoryError> {
    let mut uow = store.begin().await?;
    let expired = job.batch(uow.as_mut(), now).await?;
    uow.commit().await.map(|()| expired)
}

/// As the scheduler does at its next interval.
async fn expire_at_last(store: &Store, now: DateTime<Utc>) {
    while expire(store, now).await.is_err() {}
}

async fn balance(shop: &Shop, user: i64) -> i64 {
    shop.store.wallet(UserId(user)).await.unwrap().unwrap().balance.minor()
}

/// What is left of a product, and how much of it was sold.
async fn product(shop: &Shop, id: i64) -> (i64, i64) {
    let product = shop.store.product(ProductId(id)).await.unwrap().unwrap().product;
    (product.stock, product.sales_volume)
}

async fn steps(shop: &Shop, order: &Order) -> Vec<(PaymentStatus, Option<String>)> {
    let payment = shop.store.payment(order.id).await.unwrap().unwrap();
    payment.history.into_iter().map(|step| (step.to, step.reason)).collect()
}

async fn what_is_held_is_sold_when_it_is_paid(shop: Shop) {
    let shop = shop.stocked(1, 2, 10, 1).await.with_variants().await;
    let claims = shop.batcher(ClaimCoupons);
    assert!(claim(&claims, 1, "TENTH").await.unwrap().outcome.is_ok());
    let waiting = place(&shop, request(1, &[(2, 3)], Some("TENTH"))).await;
    assert_eq!((waiting.status, waiting.events, waiting.paid), (OrderStatus::Pending, 0, money("27")));
    assert_eq!(waiting.held_until, Some(waiting.created_at + HOLD));
    assert_eq!(shop.store.order(waiting.id).await.unwrap(), Some(waiting.clone()));
    assert_eq!((balance(&shop, 1).await, product(&shop, 2).await), (100_000, (7, 0)));
    assert!(matches!(shop.store.coupons(UserId(1)).await.unwrap()[0].state, UserCouponState::Used { .. }));
    assert!(shop.store.popular(3, 5).await.unwrap().products.is_empty());
    assert_eq!(shop.count("SELECT COUNT(*) FROM outbox WHERE aggregate = 'order'").await, 0);
    let payment = shop.store.payment(waiting.id).await.unwrap().unwrap();
    assert_eq!((payment.status, payment.history.len()), (PaymentStatus::Pending, 0));
    shop.assert_audit_is_clean().await;

    let receipt = pay(&shop.batcher(PayOrders), &waiting).await.unwrap().outcome.unwrap();
    assert_eq!(
        (receipt.order.status, receipt.order.events, receipt.balance),
        (OrderStatus::Paid, 1, money("973"))
    );
    assert_eq!(shop.store.order(waiting.id).await.unwrap(), Some(receipt.order));
    assert_eq!((balance(&shop, 1).await, product(&shop, 2).await), (97_300, (7, 3)));
    assert_eq!(shop.store.popular(3, 5).await.unwrap().products[0].sold, 3);
    assert_eq!(steps(&shop, &waiting).await, [(PaymentStatus::Completed, None)]);
    let told = "SELECT COUNT(*) FROM outbox WHERE event_type = 'order.paid' AND sequence = 1";
    assert_eq!(shop.count(told).await, 1);
    shop.assert_audit_is_clean().await;
}

async fn what_is_not_paid_in_time_is_given_back(shop: Shop) {
    let shop = shop.stocked(1, 2, 10, 1).await;
    let claims = shop.batcher(ClaimCoupons);
    assert!(claim(&claims, 1, "TENTH").await.unwrap().outcome.is_ok());
    let waiting = place(&shop, request(1, &[(1, 3), (2, 1)], Some("TENTH"))).await;
    let end = waiting.held_until.unwrap();
    assert_eq!(expire(&shop.store, end - TimeDelta::microseconds(1)).await.unwrap(), 0);
    // Though nobody has looked yet, the time is over.
    let late = pay(&batcher_at(&shop.store, PayOrders, end), &waiting).await.unwrap();
    assert_eq!(late.outcome.unwrap_err(), NotPayable::TooLate(end).into());
    assert_eq!(expire(&shop.store, end).await.unwrap(), 1);
    assert_eq!(expire(&shop.store, end).await.unwrap(), 0);
    assert_eq!((product(&shop, 1).await, product(&shop, 2).await), ((10, 0), (10, 0)));
    assert_eq!(balance(&shop, 1).await, 100_000);
    assert_eq!(shop.store.coupons(UserId(1)).await.unwrap()[0].state, UserCouponState::Claimed);
    let expired = shop.store.order(waiting.id).await.unwrap().unwrap();
    assert_eq!((expired.status, expired.events, expired.held_until), (OrderStatus::Cancelled, 1, None));
    assert_eq!(steps(&shop, &waiting).await, [(PaymentStatus::Failed, Some("HOLD_EXPIRED".into()))]);
    let told = "SELECT COUNT(*) FROM outbox WHERE event_type = 'order.cancelled' AND sequence = 1";
    assert_eq!(shop.count(told).await, 1);
    let refused = pay(&shop.batcher(PayOrders), &waiting).await.unwrap().outcome.unwrap_err();
    assert_eq!(refused, standing(OrderStatus::Cancelled));
    shop.assert_audit_is_clean().await;
}

async fn a_cancelled_order_gives_back_what_was_held(shop: Shop) {
    let shop = shop.stocked(1, 2, 10, 1).await.with_variants().await;
    let waiting = place(&shop, request(1, &[(2, 3)], None)).await;
    let words = Cancel { reason: Some("no longer".parse().unwrap()), ..cancelling(&waiting) };
    let cancels = shop.batcher(CancelOrders);
    let refund = cancels.submit(unkeyed(words)).await.unwrap().outcome.unwrap();
    assert_eq!((refund.balance, refund.left[0].stock), (money("1000"), 10));
    assert!(cancels.submit(unkeyed(cancelling(&waiting))).await.unwrap().outcome.is_err());
    assert_eq!(product(&shop, 2).await, (10, 0));
    assert_eq!(steps(&shop, &waiting).await, [(PaymentStatus::Failed, Some("no longer".into()))]);
    let other = place(&shop, request(1, &[(2, 1)], None)).await;
    assert!(cancels.submit(unkeyed(cancelling(&other))).await.unwrap().outcome.is_ok());
    assert_eq!(steps(&shop, &other).await, [(PaymentStatus::Failed, Some("ORDER_CANCELLED".into()))]);
    let refunded = shop.count("SELECT COUNT(*) FROM ledger_entries WHERE kind = 'REFUND'").await;
    assert_eq!(refunded, 0, "nothing had been paid");
    shop.assert_audit_is_clean().await;
}

async fn a_payment_that_fails_is_noted_and_may_be_tried_again(shop: Shop) {
    let shop = shop.stocked(2, 2, 500, 1).await;
    let (payments, charges) = (shop.batcher(PayOrders), shop.batcher(ChargeWallets { policy: policy() }));
    let waiting = place(&shop, request(1, &[(1, 101)], None)).await;
    let affordable = place(&shop, request(2, &[(1, 1)], None)).await;
    // In one batch: twice in vain, and a neighbour who is not disturbed.
    let (first, second, other) =
        join3(pay(&payments, &waiting), pay(&payments, &waiting), pay(&payments, &affordable)).await;
    for refused in [first, second] {
        match refused.unwrap().outcome.unwrap_err() {
            NotPaid::Unaffordable(short) => assert_eq!(short.required, money("1010")),
            NotPaid::NotPayable(refused) => panic!("{refused}"),
        }
    }
    assert!(other.unwrap().outcome.is_ok());
    let payment = shop.store.payment(waiting.id).await.unwrap().unwrap();
    assert_eq!((payment.status, payment.paid_at), (PaymentStatus::Failed, None));
    assert_eq!(payment.failure_reason.as_deref(), Some("INSUFFICIENT_BALANCE"));
    assert_eq!(shop.store.order(waiting.id).await.unwrap(), Some(waiting.clone()));
    shop.assert_audit_is_clean().await;
    // A batch of its own, which changes nothing but the history.
    assert!(pay(&payments, &waiting).await.unwrap().outcome.is_err());
    assert!(charge(&charges, 1, "10").await.unwrap().outcome.is_ok());
    let receipt = pay(&payments, &waiting).await.unwrap().outcome.unwrap();
    assert_eq!(receipt.balance, money("0"));
    let failed = (PaymentStatus::Failed, Some("INSUFFICIENT_BALANCE".to_owned()));
    let steps = steps(&shop, &waiting).await;
    assert_eq!(steps, [failed.clone(), failed.clone(), failed, (PaymentStatus::Completed, None)]);
    assert_eq!(shop.store.payment(waiting.id).await.unwrap().unwrap().failure_reason, None);
    shop.assert_audit_is_clean().await;
}

async fn a_retry_gets_the_answer_of_the_first_attempt(shop: Shop) {
    let shop = shop.stocked(1, 1, 500, 1).await;
    let (orders, payments) = (shop.batcher(PlaceOrders), shop.batcher(PayOrders));
    let wanted = || deferred(request(1, &[(1, 1)], None));
    let placed = orders.submit(keyed(wanted(), "k")).await.unwrap();
    let again = orders.submit(keyed(wanted(), "k")).await.unwrap();
    assert!(again.replayed);
    assert_eq!(crate::support::told(&placed), crate::support::told(&again));
    assert!(orders.submit(keyed(request(1, &[(1, 1)], None), "k")).await.is_err(), "to be paid at once");
    let waiting = placed.outcome.unwrap().order;
    let mut paid = payments.submit(keyed(paying(&waiting), "k")).await.unwrap().outcome.unwrap();
    let told_again = payments.submit(keyed(paying(&waiting), "k")).await.unwrap();
    paid.left.clear();
    assert_eq!((told_again.replayed, told_again.outcome), (true, Ok(paid)));
    let dear = place(&shop, request(1, &[(1, 200)], None)).await;
    let short = payments.submit(keyed(paying(&dear), "l")).await.unwrap().outcome.unwrap_err();
    let short_again = payments.submit(keyed(paying(&dear), "l")).await.unwrap();
    assert_eq!((short_again.replayed, short_again.outcome), (true, Err(short)));
    assert_eq!(steps(&shop, &dear).await.len(), 1);
    shop.assert_audit_is_clean().await;
}

async fn many_who_pay_an_order_pay_it_once(shop: Shop) {
    let shop = shop.stocked(1, 2, 10, 1).await;
    let other = shop.second_instance().await;
    let (here, there) = (shop.batcher(PayOrders), batcher(&other, PayOrders));
    let waiting = place(&shop, request(1, &[(1, 1), (2, 2)], None)).await;
    let replies = join_all((0..30).map(|n| pay(if n % 2 == 0 { &here } else { &there }, &waiting))).await;
    let outcomes: Vec<_> = replies.into_iter().map(|reply| reply.unwrap().outcome).collect();
    assert_eq!(outcomes.iter().flatten().count(), 1);
    let refused = outcomes.iter().filter(|outcome| **outcome == Err(standing(OrderStatus::Paid)));
    assert_eq!(refused.count(), 29);
    assert_eq!((balance(&shop, 1).await, product(&shop, 2).await), (97_000, (8, 2)));
    shop.assert_audit_is_clean().await;
}

async fn paying_cancelling_and_expiring_race_and_one_of_them_wins(shop: Shop) {
    let shop = shop.stocked(6, 3, 1_000, 6).await;
    let other = shop.second_instance().await;
    let (claims, orders) = (shop.batcher(ClaimCoupons), shop.batcher(PlaceOrders));
    join_all((1..=6).map(|user| claim(&claims, user, "TENTH"))).await;
    for _ in 0..15 {
        let lines = |user: i64| [(1 + user % 3, 1), (1 + (user + 1) % 3, 1)];
        let placing =
            (1..=6).map(|user| order(&orders, deferred(request(user, &lines(user), Some("TENTH")))));
        let placed: Vec<Order> = join_all(placing)
            .await
            .into_iter()
            .filter_map(|reply| reply.unwrap().outcome.ok())
            .map(|receipt| receipt.order)
            .collect();
        // Those who pay and cancel look at their clocks just before the end, the job just after it.
        let end = placed.iter().filter_map(|order| order.held_until).max();
        let end = end.unwrap_or_else(now);
        let just_before = placed.iter().filter_map(|order| order.held_until).min().unwrap_or(end);
        let just_before = just_before - TimeDelta::microseconds(1);
        let payments = batcher_at(&shop.store, PayOrders, just_before);
        let cancels = batcher_at(&other, CancelOrders, just_before);
        let (paying, cancelling, ()) = join3(
            join_all(placed.iter().map(|order| pay(&payments, order))),
            join_all(placed.iter().map(|order| cancels.submit(unkeyed(cancelling(order))))),
            expire_at_last(&other, end),
        )
        .await;
        for ((order, pays), cancels) in placed.iter().zip(paying).zip(cancelling) {
            let (pays, cancels) = (pays.unwrap().outcome.is_ok(), cancels.unwrap().outcome.is_ok());
            let stands = shop.store.order(order.id).await.unwrap().unwrap();
            let steps = steps(&shop, order).await;
            let expires = steps[0] == (PaymentStatus::Failed, Some("HOLD_EXPIRED".to_owned()));
            assert!(pays != expires || (!pays && cancels), "paid, or given up, once: {steps:?}");
            assert!(!(expires && cancels), "{steps:?}");
            let status = if cancels || expires { OrderStatus::Cancelled } else { OrderStatus::Paid };
            assert_eq!(stands.status, status, "{steps:?}");
        }
        shop.assert_audit_is_clean().await;
    }
}

async fn the_last_piece_is_held_expires_and_is_bought_by_another(shop: Shop) {
    let shop = shop.stocked(2, 1, 1, 1).await;
    let orders = shop.batcher(PlaceOrders);
    for _ in 0..10 {
        let waiting = place(&shop, request(1, &[(1, 1)], None)).await;
        let taken = order(&orders, request(2, &[(1, 1)], None)).await.unwrap().outcome.unwrap_err();
        assert_eq!(taken.shortages[0].available, 0);
        let end = waiting.held_until.unwrap();
        let (bought, ()) =
            join(order(&orders, request(2, &[(1, 1)], None)), expire_at_last(&shop.store, end)).await;
        let bought = match bought.unwrap().outcome {
            Ok(receipt) => receipt.order,
            Err(_) => order(&orders, request(2, &[(1, 1)], None)).await.unwrap().outcome.unwrap().order,
        };
        let late = pay(&shop.batcher(PayOrders), &waiting).await.unwrap().outcome.unwrap_err();
        assert_eq!(late, standing(OrderStatus::Cancelled));
        assert_eq!(product(&shop, 1).await, (0, 1));
        shop.assert_audit_is_clean().await;
        let returned = shop.batcher(CancelOrders).submit(unkeyed(cancelling(&bought))).await.unwrap();
        assert!(returned.outcome.is_ok());
    }
    shop.assert_audit_is_clean().await;
}

async fn orders_expire_in_batches_the_oldest_first(shop: Shop) {
    let shop = shop.stocked(1, 1, 500, 1).await;
    let orders = shop.batcher(PlaceOrders);
    let placed = join_all((0..250).map(|_| order(&orders, deferred(request(1, &[(1, 1)], None))))).await;
    assert!(placed.into_iter().all(|reply| reply.unwrap().outcome.is_ok()));
    let end = now() + HOLD;
    assert_eq!(expire(&shop.store, end).await.unwrap(), 200);
    shop.assert_audit_is_clean().await;
    assert_eq!(expire(&shop.store, end).await.unwrap(), 50);
    assert_eq!(product(&shop, 1).await, (500, 0));
    shop.assert_audit_is_clean().await;
}

/// Whoever decided on what is no longer so has to decide again.
async fn what_waits_no_longer_is_held_no_longer(shop: Shop) {
    let shop = shop.stocked(1, 1, 5, 1).await;
    let waiting = place(&shop, request(1, &[(1, 1)], None)).await;
    assert!(pay(&shop.batcher(PayOrders), &waiting).await.unwrap().outcome.is_ok());
    let mut uow = shop.store.begin().await.unwrap();
    uow.orders().end_holds(&[waiting.id].into()).await.unwrap();
    assert!(matches!(uow.flush().await, Err(RepositoryError::Conflict(_))));
    drop(uow);
    let mut payment = jangteo_domain::Payment::pending(waiting.id, waiting.paid, now());
    let mut uow = shop.store.begin().await.unwrap();
    uow.orders().change_payments(&[payment.complete(now()).unwrap()]).await.unwrap();
    assert!(matches!(uow.flush().await, Err(RepositoryError::Conflict(_))));
    drop(uow);
    shop.assert_audit_is_clean().await;
}

/// One of the oldest has lost its payment, and gets it back in the end.
async fn an_order_that_cannot_be_taken_back_keeps_back_no_other(shop: Shop) {
    let shop = shop.stocked(1, 1, 50, 1).await;
    let mut placed = Vec::new();
    for _ in 0..6 {
        placed.push(place(&shop, request(1, &[(1, 1)], None)).await);
    }
    let broken = placed[1].id;
    shop.tamper(&format!("DELETE FROM payments WHERE order_id = {broken}")).await;
    let (job, end) = (ExpireOrders::default(), now() + HOLD);
    // As the scheduler does: a run ends with a failure, or when nothing is left.
    for _ in 0..4 {
        while matches!(
            AssertUnwindSafe(expire_with(&job, &shop.store, end)).catch_unwind().await,
            Ok(Ok(1..))
        ) {}
    }
    assert_eq!(shop.count("SELECT COUNT(*) FROM order_holds").await, 1);
    assert_eq!(shop.count("SELECT stock FROM products").await, 49);
    shop.tamper(&format!(
        "INSERT INTO payments (order_id, method, amount, status, created_at) \
         SELECT id, 'POINT', paid_amount, 'PENDING', created_at FROM orders WHERE id = {broken}"
    ))
    .await;
    for _ in 0..2 {
        while matches!(expire_with(&job, &shop.store, end).await, Ok(1..)) {}
    }
    assert_eq!(shop.count("SELECT stock FROM products").await, 50);
    shop.assert_audit_is_clean().await;
}
