//! `settle` under random shops and random orders.

use std::collections::BTreeMap;

use jangteo_domain::checkout::Counter;
use jangteo_domain::coupon::{CouponFault, UserCouponState};
use jangteo_domain::order::OrderStatus;
use jangteo_domain::{Money, OrderRequest, ProductId, Quantity, UserId};
use proptest::prelude::*;

use crate::shop::{counter, product, requests, settled, wallet};

proptest! {
    #[test]
    fn money_and_stock_are_conserved_and_never_negative(before in counter(), requests in requests()) {
        let mut after = before.clone();
        let verdicts = settled(&mut after, &requests, &mut 0);
        prop_assert_eq!(verdicts.len(), requests.len());

        let mut spent: BTreeMap<UserId, i64> = BTreeMap::new();
        let mut sold: BTreeMap<ProductId, i64> = BTreeMap::new();
        for sale in verdicts.iter().flatten() {
            let order = &sale.order;
            let lines: i64 = order.lines.iter().map(|line| line.subtotal.minor()).sum();
            prop_assert_eq!(lines, order.total.minor());
            prop_assert_eq!(order.total.minor() - order.discount.minor(), order.paid.minor());
            prop_assert!(order.discount.minor() >= 0 && order.paid.minor() >= 0);
            prop_assert_eq!(sale.payment.amount, order.paid);
            let paid = if order.status == OrderStatus::Paid { order.paid.minor() } else { 0 };
            prop_assert_eq!(sale.ledger.as_ref().map_or(0, |entry| -entry.amount.minor()), paid);
            prop_assert_eq!(sale.movements.len(), order.lines.len());
            prop_assert_eq!(order.held_until.is_some(), order.status == OrderStatus::Pending);
            *spent.entry(order.user).or_default() += paid;
            for movement in &sale.movements {
                prop_assert!(movement.stock_after >= 0);
                *sold.entry(movement.sku.product).or_default() -= movement.quantity;
            }
        }
        for (user, wallet) in &after.wallets {
            prop_assert!(!wallet.balance.is_negative());
            let spent = spent.get(user).copied().unwrap_or(0);
            prop_assert_eq!(before.wallets[user].balance.minor() - spent, wallet.balance.minor());
        }
        for (id, product) in &after.products {
            prop_assert!(product.stock >= 0);
            if let Some(variants) = &product.variants {
                prop_assert!(variants.values().all(|variant| variant.stock >= 0));
                prop_assert_eq!(variants.values().map(|variant| variant.stock).sum::<i64>(), product.stock);
            }
            prop_assert_eq!(before.products[id].stock - sold.get(id).copied().unwrap_or(0), product.stock);
        }
    }

    #[test]
    fn a_coupon_is_used_once(before in counter(), requests in requests()) {
        let mut after = before.clone();
        let verdicts = settled(&mut after, &requests, &mut 0);
        let mut used = BTreeMap::new();
        for sale in verdicts.iter().flatten() {
            if let Some(redemption) = sale.redemption {
                prop_assert_eq!(used.insert(redemption.user_coupon, sale.order.id), None);
            }
        }
        for (key, held) in &after.held {
            let was_used = matches!(before.held[key].state, UserCouponState::Used { .. });
            let is_used = matches!(held.state, UserCouponState::Used { .. });
            prop_assert_eq!(is_used, was_used || used.contains_key(&held.id));
        }
    }

    #[test]
    fn the_verdicts_do_not_depend_on_how_requests_are_batched(
        before in counter(),
        requests in requests(),
        cuts in prop::collection::vec(1..6_usize, 40),
    ) {
        let (mut whole, mut whole_id) = (before.clone(), 0);
        let at_once = settled(&mut whole, &requests, &mut whole_id);

        let (mut cut, mut cut_id) = (before, 0);
        let mut in_batches = Vec::new();
        let mut rest = requests.as_slice();
        for size in cuts {
            let (batch, later) = rest.split_at(size.min(rest.len()));
            in_batches.extend(settled(&mut cut, batch, &mut cut_id));
            rest = later;
        }
        prop_assert!(rest.is_empty());
        prop_assert_eq!(at_once, in_batches);
        prop_assert_eq!(whole, cut);
        prop_assert_eq!(whole_id, cut_id);
    }

    #[test]
    fn a_refused_request_changes_nothing(before in counter(), requests in requests()) {
        let mut after = before.clone();
        let verdicts = settled(&mut after, &requests, &mut 0);
        let accepted: Vec<_> = requests.iter().zip(&verdicts).filter(|(_, v)| v.is_ok()).map(|(r, _)| r.clone()).collect();
        let mut only_accepted = before;
        let again = settled(&mut only_accepted, &accepted, &mut 0);
        prop_assert!(again.iter().all(Result::is_ok));
        prop_assert_eq!(only_accepted, after);
    }
}

#[test]
fn everything_that_is_wrong_is_named_at_once() {
    let user = UserId(1);
    let mut counter = Counter::default();
    counter.wallets.insert(user, wallet(user, 100));
    for id in [1, 3] {
        counter.products.insert(ProductId(id), product(ProductId(id), (500, 1)));
    }
    let lines = [1, 3].map(|id| (ProductId(id), Quantity::new(2).unwrap()));
    let request = OrderRequest::new(user, lines, Some("NOPE".parse().unwrap())).unwrap();
    let refusal = settled(&mut counter, &[request], &mut 0).remove(0).unwrap_err();
    assert_eq!(refusal.coupon, Some(CouponFault::Unknown));
    assert_eq!(refusal.shortages.len(), 2);
    assert_eq!(refusal.balance.unwrap().required, Money::from_minor(2_000));
}
