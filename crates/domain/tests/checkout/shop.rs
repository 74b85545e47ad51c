//! Random shops and random orders.

use chrono::{DateTime, TimeDelta, Utc};
use jangteo_domain::checkout::{Counter, Verdict, settle};
use jangteo_domain::coupon::{Coupon, Discount, UserCoupon, UserCouponState};
use jangteo_domain::order::Terms;
use jangteo_domain::product::Variant;
use jangteo_domain::{
    CouponId, Money, OrderId, OrderRequest, Product, ProductId, Quantity, Sku, UserCouponId, UserId,
    VariantId, Wallet,
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

/// Every other one is sold as two variants, of which the second has a third of the pieces and costs twice as much.
pub(crate) fn product(id: ProductId, (price, stock): (i64, i64)) -> Product {
    let variants = (id.0 % 2 == 0).then(|| {
        let variants = [(1, price, stock - stock / 3), (2, price * 2, stock / 3)];
        let variant = |(number, price, stock)| Variant {
            id: variant(id, number),
            name: format!("variant {number}"),
            price: Money::from_minor(price),
            stock,
        };
        variants.into_iter().map(variant).map(|variant| (variant.id, variant)).collect()
    });
    Product { id, name: format!("product {id}"), price: Money::from_minor(price), stock, variants }
}

/// One of a product's variants, of which there are two.
pub(crate) fn variant(product: ProductId, number: i64) -> VariantId {
    VariantId(product.0 * 10 + number)
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

/// How long orders that are paid later are held.
pub(crate) const HOLD: TimeDelta = TimeDelta::minutes(15);

/// Now and then of a customer, product, variant or coupon that does not exist, and some of them to be paid later.
pub(crate) fn requests() -> impl Strategy<Value = Vec<OrderRequest>> {
    let line = (1..=PRODUCTS + 1, 0..20_i64, 1..8_i64);
    let coupon = prop::option::of(1..=COUPONS + 1);
    let request = (1..=USERS + 1, prop::collection::vec(line, 1..5), coupon, any::<bool>());
    prop::collection::vec(
        request.prop_map(|(user, lines, coupon, deferred)| {
            let lines = lines
                .into_iter()
                .map(|(id, choice, pieces)| (sku(ProductId(id), choice), Quantity::new(pieces).unwrap()));
            let code = coupon.map(|id| format!("C{id}").parse().unwrap());
            let terms = if deferred { Terms::Deferred { hold: HOLD } } else { Terms::Immediate };
            OrderRequest::new(UserId(user), lines, code).unwrap().on(terms)
        }),
        0..40,
    )
}

/// Mostly as the product is sold.
fn sku(product: ProductId, choice: i64) -> Sku {
    let odd_one_out = choice == 0;
    let named = (product.0 % 2 == 0) != odd_one_out;
    Sku { product, variant: named.then(|| variant(product, 1 + choice % 2 + i64::from(choice == 1))) }
}

pub(crate) fn settled(counter: &mut Counter, requests: &[OrderRequest], next_id: &mut i64) -> Vec<Verdict> {
    let mut ids = std::iter::repeat_with(|| {
        *next_id += 1;
        OrderId(*next_id)
    });
    settle(counter, requests, &mut ids, now())
}
