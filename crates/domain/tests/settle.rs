//! `settle` under random shops and random orders.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use jangteo_domain::checkout::{Counter, Verdict, settle};
use jangteo_domain::coupon::{Coupon, CouponFault, Discount, UserCoupon, UserCouponState};
use jangteo_domain::{
    CouponId, Money, OrderId, OrderRequest, Product, ProductId, Quantity, UserCouponId, UserId, Wallet,
};
use proptest::prelude::*;

const USERS: i64 = 4;
const PRODUCTS: i64 = 5;
const COUPONS: i64 = 3;

fn now() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(1)
}

fn counter() -> impl Strategy<Value = Counter> {
    let wallets = prop::collection::vec(0..200_000_i64, USERS as usize);
    let products = prop::collection::vec((0..20_000_i64, 0..30_i64), PRODUCTS as usize);
    let coupons = prop::collection::vec((any::<bool>(), 1..10_000_i64, 0..50_000_i64), COUPONS as usize);
    let held = prop::collection::btree_map((1..=USERS, 1..=COUPONS), any::<bool>(), 0..10);
    (wallets, products, coupons, held).prop_map(|(wallets, products, coupons, held)| Counter {
        wallets: (1..).map(UserId).zip(wallets).map(|(user, minor)| (user, wallet(user, minor))).collect(),
        products: (1..).map(ProductId).zip(products).map(|(id, of)| (id, product(id, of))).collect(),
        coupons: (1..).zip(coupons).map(|(id, of)| coupon(id, of)).map(|c| (c.code.clone(), c)).collect(),
        held: held
            .into_iter()
            .map(|((user, coupon), used)| user_coupon(UserId(user), CouponId(coupon), used))
            .collect(),
    })
}

fn wallet(user: UserId, minor: i64) -> Wallet {
    Wallet { user, balance: Money::from_minor(minor) }
}

fn product(id: ProductId, (price, stock): (i64, i64)) -> Product {
    Product { id, name: format!("product {id}"), price: Money::from_minor(price), stock }
}

fn coupon(id: i64, (fixed, value, minimum): (bool, i64, i64)) -> Coupon {
    let value = Money::from_minor(value);
    Coupon {
        id: CouponId(id),
        code: format!("C{id}").parse().unwrap(),
        name: String::new(),
        discount: if fixed { Discount::Fixed(value) } else { Discount::Percent(value.as_decimal()) },
        min_order_amount: Money::from_minor(minimum),
        max_discount: None,
        claim_starts_at: DateTime::UNIX_EPOCH,
        claim_ends_at: now(),
        valid_until: None,
        valid_days: None,
        total_quantity: 100,
        issued_quantity: 10,
        next_ticket: 11,
    }
}

fn user_coupon(user: UserId, coupon: CouponId, used: bool) -> ((UserId, CouponId), UserCoupon) {
    let held = UserCoupon {
        id: UserCouponId(user.0 * 100 + coupon.0),
        user,
        coupon,
        ticket: 1,
        claimed_at: DateTime::UNIX_EPOCH,
        expires_at: None,
        state: if used {
            UserCouponState::Used { at: DateTime::UNIX_EPOCH }
        } else {
            UserCouponState::Claimed
        },
    };
    ((user, coupon), held)
}

/// Now and then of a customer, product or coupon that does not exist.
fn requests() -> impl Strategy<Value = Vec<OrderRequest>> {
    let line = (1..=PRODUCTS + 1, 1..8_i64);
    let request = (1..=USERS + 1, prop::collection::vec(line, 1..5), prop::option::of(1..=COUPONS + 1));
    prop::collection::vec(
        request.prop_map(|(user, lines, coupon)| {
            let lines = lines.into_iter().map(|(id, pieces)| (ProductId(id), Quantity::new(pieces).unwrap()));
            let code = coupon.map(|id| format!("C{id}").parse().unwrap());
            OrderRequest::new(UserId(user), lines, code).unwrap()
        }),
        0..40,
    )
}

fn settled(counter: &mut Counter, requests: &[OrderRequest], next_id: &mut i64) -> Vec<Verdict> {
    let mut ids = std::iter::repeat_with(|| {
        *next_id += 1;
        OrderId(*next_id)
    });
    settle(counter, requests, &mut ids, now())
}

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
            prop_assert_eq!(sale.ledger.as_ref().map_or(0, |entry| -entry.amount.minor()), order.paid.minor());
            prop_assert_eq!(sale.movements.len(), order.lines.len());
            *spent.entry(order.user).or_default() += order.paid.minor();
            for movement in &sale.movements {
                prop_assert!(movement.stock_after >= 0);
                *sold.entry(movement.product).or_default() -= movement.quantity;
            }
        }
        for (user, wallet) in &after.wallets {
            prop_assert!(!wallet.balance.is_negative());
            let spent = spent.get(user).copied().unwrap_or(0);
            prop_assert_eq!(before.wallets[user].balance.minor() - spent, wallet.balance.minor());
        }
        for (id, product) in &after.products {
            prop_assert!(product.stock >= 0);
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
    for id in [1, 2] {
        counter.products.insert(ProductId(id), product(ProductId(id), (500, 1)));
    }
    let lines = [1, 2].map(|id| (ProductId(id), Quantity::new(2).unwrap()));
    let request = OrderRequest::new(user, lines, Some("NOPE".parse().unwrap())).unwrap();
    let refusal = settled(&mut counter, &[request], &mut 0).remove(0).unwrap_err();
    assert_eq!(refusal.coupon, Some(CouponFault::Unknown));
    assert_eq!(refusal.shortages.len(), 2);
    assert_eq!(refusal.balance.unwrap().required, Money::from_minor(2_000));
}
