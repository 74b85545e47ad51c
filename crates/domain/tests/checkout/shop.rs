//! Random shops and random orders.

use chrono::{DateTime, TimeDelta, Utc};
use jangteo_domain::checkout::{Counter, Verdict, settle};
use jangteo_domain::coupon::{Coupon, Discount, UserCoupon, UserCouponState};
use jangteo_domain::{
    CouponId, Money, OrderId, OrderRequest, Product, ProductId, Quantity, UserCouponId, UserId, Wallet,
};
use proptest::prelude::*;

const USERS: i64 = 4;
const PRODUCTS: i64 = 5;
const COUPONS: i64 = 3;

pub(crate) fn now() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(1)
}

pub(crate) fn counter() -> impl Strategy<Value = Counter> {
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

pub(crate) fn wallet(user: UserId, minor: i64) -> Wallet {
    Wallet { user, balance: Money::from_minor(minor) }
}

pub(crate) fn product(id: ProductId, (price, stock): (i64, i64)) -> Product {
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
        retired_at: None,
        version: 1,
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
pub(crate) fn requests() -> impl Strategy<Value = Vec<OrderRequest>> {
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

pub(crate) fn settled(counter: &mut Counter, requests: &[OrderRequest], next_id: &mut i64) -> Vec<Verdict> {
    let mut ids = std::iter::repeat_with(|| {
        *next_id += 1;
        OrderId(*next_id)
    });
    settle(counter, requests, &mut ids, now())
}
