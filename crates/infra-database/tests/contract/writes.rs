//! Orders, charges and registrations, one by one.

use jangteo_application::charge_wallets::ChargeWallets;
use jangteo_application::idempotency::IdempotencyKey;
use jangteo_application::operation::WriteError;
use jangteo_application::place_orders::PlaceOrders;
use jangteo_application::queries::{CustomerQueries, PageRequest};
use jangteo_application::register_users::{EmailTaken, RegisterUsers};
use jangteo_domain::UserId;
use jangteo_domain::order::OrderStatus;
use jangteo_domain::user::Profile;
use jangteo_domain::wallet::{ChargeRefusal, LedgerKind};

use crate::support::{Shop, charge, keyed, money, order, policy, profile, request, told, unkeyed};

crate::on_both_databases! {
    an_order_is_stored_as_it_was_answered
    a_retry_gets_the_same_answer_even_when_it_was_a_refusal
    a_key_belongs_to_one_request_of_one_customer
    a_refused_order_leaves_no_trace
    a_charge_is_capped
    an_email_is_registered_once
    unknown_customers_are_named
    strange_texts_are_stored_as_they_are
}

async fn an_order_is_stored_as_it_was_answered(shop: Shop) {
    let shop = shop.stocked(1, 3, 10, 1).await;
    let orders = shop.batcher(PlaceOrders);
    let receipt = order(&orders, request(1, &[(3, 2), (1, 1), (3, 1)], None)).await.unwrap().outcome.unwrap();
    assert_eq!(receipt.balance, money("960"));
    assert_eq!(shop.store.order(receipt.order.id).await.unwrap(), Some(receipt.order.clone()));
    let page = PageRequest { page: 0, size: 10 };
    let paid = shop.store.orders(UserId(1), Some(OrderStatus::Paid), page).await.unwrap();
    assert_eq!((paid.total, paid.content), (1, vec![receipt.order.clone()]));
    assert_eq!(shop.store.orders(UserId(1), Some(OrderStatus::Pending), page).await.unwrap().total, 0);
    let ledger = shop.store.ledger(UserId(1), page).await.unwrap().content;
    assert_eq!(
        ledger.iter().map(|line| line.kind).collect::<Vec<_>>(),
        [LedgerKind::Use, LedgerKind::Charge]
    );
    assert_eq!(ledger[0].order, Some(receipt.order.id));
    shop.assert_audit_is_clean().await;
}

async fn a_retry_gets_the_same_answer_even_when_it_was_a_refusal(shop: Shop) {
    let shop = shop.stocked(1, 1, 3, 1).await;
    let orders = shop.batcher(PlaceOrders);
    let first = orders.submit(keyed(request(1, &[(1, 2)], None), "a")).await.unwrap();
    let again = orders.submit(keyed(request(1, &[(1, 2)], None), "a")).await.unwrap();
    assert_eq!((first.replayed, again.replayed), (false, true));
    assert_eq!(told(&first), told(&again));
    let refused = orders.submit(keyed(request(1, &[(1, 2)], Some("NOPE")), "b")).await.unwrap();
    let again = orders.submit(keyed(request(1, &[(1, 2)], Some("nope")), "b")).await.unwrap();
    assert!(again.replayed && refused.outcome.is_err());
    assert_eq!(told(&refused), told(&again));
    shop.assert_audit_is_clean().await;
}

async fn a_key_belongs_to_one_request_of_one_customer(shop: Shop) {
    let shop = shop.stocked(2, 1, 100, 1).await;
    let orders = shop.batcher(PlaceOrders);
    assert!(orders.submit(keyed(request(1, &[(1, 1)], None), "k")).await.unwrap().outcome.is_ok());
    let other_request = orders.submit(keyed(request(1, &[(1, 2)], None), "k")).await;
    assert!(matches!(other_request, Err(WriteError::KeyReused)));
    let other_customer = orders.submit(keyed(request(2, &[(1, 2)], None), "k")).await.unwrap();
    assert!(!other_customer.replayed && other_customer.outcome.is_ok());
    let strange: IdempotencyKey = "k'; DROP TABLE orders;--\\%_".replace(' ', "_").parse().unwrap();
    assert!(
        orders.submit(keyed(request(2, &[(1, 2)], None), strange.as_str())).await.unwrap().outcome.is_ok()
    );
    shop.assert_audit_is_clean().await;
}

async fn a_refused_order_leaves_no_trace(shop: Shop) {
    let shop = shop.stocked(1, 2, 500, 1).await;
    let orders = shop.batcher(PlaceOrders);
    let refusal =
        order(&orders, request(1, &[(1, 501), (2, 500)], Some("TENTH"))).await.unwrap().outcome.unwrap_err();
    assert_eq!(
        (refusal.shortages.len(), refusal.coupon.is_some(), refusal.balance.is_some()),
        (1, true, true)
    );
    let unknown = order(&orders, request(1, &[(99, 1)], None)).await.unwrap().outcome.unwrap_err();
    assert_eq!(unknown.not_sold.len(), 1);
    assert_eq!(shop.store.wallet(UserId(1)).await.unwrap().unwrap().balance, money("1000"));
    assert_eq!(shop.store.orders(UserId(1), None, PageRequest { page: 0, size: 1 }).await.unwrap().total, 0);
    shop.assert_audit_is_clean().await;
}

async fn a_charge_is_capped(shop: Shop) {
    let shop = shop.stocked(1, 1, 1, 1).await;
    let charges = shop.batcher(ChargeWallets { policy: policy() });
    let refused = charge(&charges, 1, "999000.01").await.unwrap().outcome.unwrap_err();
    assert_eq!(refused, ChargeRefusal::LimitExceeded { balance: money("1000"), maximum: money("1000000") });
    let wallet = charge(&charges, 1, "999000").await.unwrap().outcome.unwrap();
    assert_eq!(wallet.balance, money("1000000"));
    shop.assert_audit_is_clean().await;
}

async fn an_email_is_registered_once(shop: Shop) {
    let registrations = shop.batcher(RegisterUsers);
    let both = futures::future::join(
        registrations.submit(unkeyed(profile(1))),
        registrations.submit(unkeyed(profile(1))),
    )
    .await;
    let outcomes = [both.0.unwrap().outcome, both.1.unwrap().outcome];
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Err(EmailTaken)).count(), 1);
    let user = outcomes.iter().flatten().next().unwrap();
    assert_eq!(shop.store.user(user.id).await.unwrap().as_ref(), Some(user));
    assert_eq!(shop.store.wallet(user.id).await.unwrap().unwrap().balance, money("0"));
    let again = registrations.submit(keyed(profile(2), "new")).await.unwrap().outcome.unwrap();
    let replay = registrations.submit(keyed(profile(2), "new")).await.unwrap();
    assert!(replay.replayed && replay.outcome == Ok(again));
    shop.assert_audit_is_clean().await;
}

async fn unknown_customers_are_named(shop: Shop) {
    let shop = shop.stocked(1, 1, 1, 1).await;
    let charges = shop.batcher(ChargeWallets { policy: policy() });
    let reply = charge(&charges, 404, "10").await;
    assert!(matches!(reply, Err(WriteError::UnknownUser(UserId(404)))));
    assert!(shop.store.wallet(UserId(404)).await.unwrap().is_none());
}

/// Whatever the script writes as a literal must come back as it was, and must not end the statement.
async fn strange_texts_are_stored_as_they_are(shop: Shop) {
    let registrations = shop.batcher(RegisterUsers);
    let names = [
        "O'Brien",
        "back\\slash",
        "\"; DROP TABLE users; --",
        "'); DROP TABLE users; --",
        "\\'); DROP TABLE users; --",
        "한글 이름 😀",
        "100%_?:1 $1 {} x'41'",
        "`quoted` /* comment */ # -- ",
    ];
    for (number, name) in (1..).zip(names) {
        let profile = Profile { name: name.parse().unwrap(), ..profile(number) };
        let user = registrations.submit(unkeyed(profile.clone())).await.unwrap().outcome.unwrap();
        let key = format!("key{}", name.replace(|c: char| !c.is_ascii_graphic(), ""));
        let again =
            Profile { email: format!("again{number}@example.com").parse().unwrap(), ..profile.clone() };
        let first = registrations.submit(keyed(again.clone(), &key)).await.unwrap().outcome.unwrap();
        let replay = registrations.submit(keyed(again, &key)).await.unwrap();
        assert_eq!((replay.replayed, replay.outcome), (true, Ok(first)));
        assert_eq!(shop.store.user(user.id).await.unwrap().unwrap().profile, profile);
    }
    shop.assert_audit_is_clean().await;
}
