use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::DateTime;
use jangteo_domain::coupon::{Coupon, Discount, UserCouponState};
use jangteo_domain::order::{AppliedCoupon, OrderLine, OrderStatus};
use jangteo_domain::{CouponId, Payment, Product, ProductId, Quantity, UserCoupon, UserCouponId, Wallet};
use mockall::Sequence as InTurn;

use super::*;
use crate::mocks::{Counting, MockedUnitOfWork, Prepared, Stopped, backend};
use crate::operation::{Executor, Reply, Submission};

const USER: UserId = UserId(1);
const ORDER: OrderId = OrderId(5);
const SHIRT: ProductId = ProductId(101);

fn price() -> Money {
    Money::from_minor(10_00)
}

/// One shirt, with a coupon that took nothing off.
fn paid() -> Order {
    let quantity = Quantity::new(1).unwrap();
    let line = OrderLine {
        sku: SHIRT.into(),
        name: "Shirt".into(),
        variant_name: None,
        unit_price: price(),
        quantity,
        subtotal: price(),
    };
    Order {
        id: ORDER,
        user: USER,
        status: OrderStatus::Paid,
        lines: vec![line],
        total: price(),
        discount: Money::ZERO,
        paid: price(),
        coupon: Some(AppliedCoupon { user_coupon: UserCouponId(3), code: "NONE".parse().unwrap() }),
        created_at: DateTime::UNIX_EPOCH,
        paid_at: Some(DateTime::UNIX_EPOCH),
        held_until: None,
        events: 1,
    }
}

fn coupon() -> Coupon {
    Coupon {
        id: CouponId(2),
        code: "NONE".parse().unwrap(),
        name: String::new(),
        discount: Discount::Fixed(Money::ZERO),
        min_order_amount: Money::ZERO,
        max_discount: None,
        claim_starts_at: DateTime::UNIX_EPOCH,
        claim_ends_at: DateTime::UNIX_EPOCH,
        valid_until: None,
        valid_days: None,
        total_quantity: 1,
        issued_quantity: 1,
        next_ticket: 2,
        retired_at: None,
        version: 1,
    }
}

/// A shop in which the order stands like this, and which is locked in the one order that everybody keeps.
fn shop(stands: Order) -> MockedUnitOfWork {
    let mut uow = MockedUnitOfWork::default();
    let mut turn = InTurn::new();
    let wallet = Wallet { user: USER, balance: Money::ZERO };
    uow.wallets
        .expect_lock_many()
        .times(1)
        .in_sequence(&mut turn)
        .returning(move |_| Ok(BTreeMap::from([(USER, wallet.clone())])));
    let shirt = Product { id: SHIRT, name: "Shirt".into(), price: price(), stock: 3, variants: None };
    uow.products
        .expect_lock_sold()
        .times(1)
        .in_sequence(&mut turn)
        .returning(move |_| Ok(BTreeMap::from([(SHIRT, shirt.clone())])));
    let coupon = coupon();
    let used = UserCoupon {
        id: UserCouponId(3),
        user: USER,
        coupon: coupon.id,
        ticket: 1,
        claimed_at: DateTime::UNIX_EPOCH,
        expires_at: None,
        state: UserCouponState::Used { at: DateTime::UNIX_EPOCH },
    };
    uow.coupons
        .expect_find_many()
        .returning(move |_| Ok(BTreeMap::from([(coupon.code.clone(), coupon.clone())])));
    uow.coupons
        .expect_lock_held()
        .times(1)
        .in_sequence(&mut turn)
        .returning(move |_| Ok(BTreeMap::from([((used.user, used.coupon), used.clone())])));
    uow.orders
        .expect_lock_many()
        .times(1)
        .in_sequence(&mut turn)
        .returning(move |_| Ok(BTreeMap::from([(ORDER, stands.clone())])));
    let payment = Payment::completed(ORDER, price(), DateTime::UNIX_EPOCH);
    uow.orders.expect_payments().returning(move |_| Ok(BTreeMap::from([(ORDER, payment.clone())])));
    uow
}

/// Cancels the order as often as it is said.
async fn execute(uow: MockedUnitOfWork, times: usize) -> Result<Vec<Reply<CancelOrders>>, RepositoryError> {
    let executor = Executor::new(
        CancelOrders,
        Prepared::new([Ok(uow)]),
        Arc::new(Counting::default()),
        Arc::new(Stopped),
    );
    let command = Cancel { order: paid(), by: USER, administrator: None, reason: None };
    let submissions = vec![Submission { command, key: None }; times];
    let submissions: Vec<_> = submissions.iter().collect();
    executor.execute(&submissions).await.map(|(replies, _)| replies)
}

fn expect_refund(uow: &mut MockedUnitOfWork) {
    uow.orders.expect_advance().times(1).withf(|orders, _| orders.len() == 1).returning(|_, _| Ok(()));
    uow.orders.expect_change_payments().times(1).withf(|changes| changes.len() == 1).returning(|_| Ok(()));
    uow.wallets.expect_post().times(1).withf(|entries| entries.len() == 1).returning(|_| Ok(()));
    uow.products.expect_post().times(1).withf(|returned| returned.len() == 1).returning(|_| Ok(()));
    uow.coupons.expect_restore().times(1).withf(|restored| restored.len() == 1).returning(|_| Ok(()));
}

#[tokio::test]
async fn what_comes_back_is_written_together_and_once_though_two_in_a_batch_ask_for_it() {
    let mut uow = shop(paid());
    expect_refund(&mut uow);
    uow.outbox.expect_append().times(1).withf(|events| events.len() == 1).returning(|_| Ok(()));
    let mut outcomes = execute(uow, 2).await.unwrap().into_iter().map(|reply| reply.unwrap().outcome);
    assert_eq!(outcomes.next().unwrap().unwrap().balance, price());
    let refused = WrongStatus(OrderStatus::Cancelled).into();
    assert_eq!(outcomes.next().unwrap(), Err(refused));
}

#[tokio::test]
async fn an_order_that_was_shipped_since_it_was_read_is_left_alone() {
    let replies = execute(shop(paid().ship().unwrap()), 1).await.unwrap();
    let refused = WrongStatus(OrderStatus::Shipping).into();
    assert_eq!(replies[0].as_ref().unwrap().outcome, Err(refused));
}

#[tokio::test]
async fn an_event_that_cannot_be_written_fails_the_whole_batch() {
    let mut uow = shop(paid());
    expect_refund(&mut uow);
    uow.outbox.expect_append().returning(|_| Err(backend()));
    assert!(execute(uow, 1).await.is_err());
}
