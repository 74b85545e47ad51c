use jangteo_domain::cancellation::CancelRefusal;
use jangteo_domain::checkout::Refusal;
use jangteo_domain::coupon::{ClaimRefusal, CouponFault, Discount, UserCoupon, UserCouponState};
use jangteo_domain::order::{NotPayable, OrderRequest, OrderStatus, WrongStatus};
use jangteo_domain::product::{NotSold, OutOfStock, Product};
use jangteo_domain::user::Profile;
use jangteo_domain::wallet::{ChargeRefusal, InsufficientBalance};
use jangteo_domain::{
    CouponId, Money, Order, OrderId, ProductId, Quantity, Sku, User, UserCouponId, VariantId,
};
use mockall::predicate::always;

use super::*;
use crate::cancel_orders::{CancelOrders, Refund};
use crate::charge_wallets::ChargeWallets;
use crate::claim_coupons::{ClaimCoupons, Issued};
use crate::fulfil_orders::FulfilOrders;
use crate::mocks::{Counting, MockedUnitOfWork, Prepared, Stopped, backend};
use crate::pay_orders::{LateReceipt, PayOrders};
use crate::place_orders::{PlaceOrders, Receipt};
use crate::register_users::{EmailTaken, RegisterUsers};

const USER: UserId = UserId(1);
const SHIRT: ProductId = ProductId(101);

fn request(pieces: i64) -> OrderRequest {
    OrderRequest::new(USER, [(SHIRT, Quantity::new(pieces).unwrap())], None).unwrap()
}

fn submission(pieces: i64, key: Option<&str>) -> Submission<OrderRequest> {
    Submission { command: request(pieces), key: key.map(|key| key.parse().unwrap()) }
}

/// A shop with one customer who has 100.00 and three shirts at 10.00.
fn shop() -> MockedUnitOfWork {
    let mut uow = MockedUnitOfWork::default();
    let wallet = Wallet { user: USER, balance: Money::from_minor(100_00) };
    uow.wallets.expect_lock_many().returning(move |users| {
        Ok(users.iter().filter(|user| **user == USER).map(|user| (*user, wallet.clone())).collect())
    });
    let shirt = Product {
        id: SHIRT,
        name: "Shirt".into(),
        price: Money::from_minor(10_00),
        stock: 3,
        variants: None,
    };
    uow.products.expect_lock_many().returning(move |_| Ok(BTreeMap::from([(SHIRT, shirt.clone())])));
    uow
}

fn expect_sales(uow: &mut MockedUnitOfWork, orders: usize) {
    uow.orders.expect_insert_many().times(1).withf(move |rows| rows.len() == orders).returning(|_| Ok(()));
    uow.orders
        .expect_insert_payments()
        .times(1)
        .withf(move |rows| rows.len() == orders)
        .returning(|_| Ok(()));
    uow.wallets.expect_post().times(1).withf(move |rows| rows.len() == orders).returning(|_| Ok(()));
    uow.products.expect_post().times(1).withf(move |rows| rows.len() == orders).returning(|_| Ok(()));
    uow.outbox.expect_append().times(1).withf(move |rows| rows.len() == orders).returning(|_| Ok(()));
}

fn no_known_keys(uow: &mut MockedUnitOfWork) {
    uow.idempotency.expect_find_many().with(always()).returning(|_| Ok(BTreeMap::new()));
}

async fn execute(
    uow: MockedUnitOfWork,
    submissions: &[Submission<OrderRequest>],
) -> Result<Vec<Reply<PlaceOrders>>, RepositoryError> {
    let database = Prepared::new([Ok(uow)]);
    let executor = Executor::new(PlaceOrders, database, Arc::new(Counting::default()), Arc::new(Stopped));
    let submissions: Vec<_> = submissions.iter().collect();
    executor.execute(&submissions).await.map(|(replies, _)| replies)
}

fn receipt(reply: &Reply<PlaceOrders>) -> &Receipt {
    reply.as_ref().unwrap().outcome.as_ref().unwrap()
}

#[tokio::test]
async fn everything_that_a_sale_comes_to_is_written_together() {
    let mut uow = shop();
    expect_sales(&mut uow, 2);
    let replies =
        execute(uow, &[submission(1, None), submission(2, None), submission(1, None)]).await.unwrap();
    assert_eq!(receipt(&replies[0]).balance, Money::from_minor(90_00));
    assert_eq!(receipt(&replies[1]).order.id, OrderId(2));
    let refusal = replies[2].as_ref().unwrap().outcome.as_ref().unwrap_err();
    assert_eq!(refusal.shortages[0].available, 0);
}

#[tokio::test]
async fn a_refused_order_writes_nothing() {
    let replies = execute(shop(), &[submission(4, None)]).await.unwrap();
    assert!(replies[0].as_ref().unwrap().outcome.is_err());
}

#[tokio::test]
async fn a_debit_that_fails_fails_the_whole_batch() {
    let mut uow = shop();
    uow.orders.expect_insert_many().returning(|_| Ok(()));
    uow.orders.expect_insert_payments().returning(|_| Ok(()));
    uow.wallets.expect_post().returning(|_| Err(backend()));
    assert!(execute(uow, &[submission(1, None)]).await.is_err());
}

#[tokio::test]
async fn an_unknown_customer_is_told_so_and_nothing_is_recorded() {
    let stranger = OrderRequest::new(UserId(9), [(SHIRT, Quantity::new(1).unwrap())], None).unwrap();
    let submission = Submission { command: stranger, key: Some("k".parse().unwrap()) };
    let mut uow = shop();
    no_known_keys(&mut uow);
    let replies = execute(uow, &[submission.clone(), submission]).await.unwrap();
    for reply in &replies {
        assert!(matches!(reply, Err(WriteError::UnknownUser(UserId(9)))));
    }
}

#[tokio::test]
async fn who_has_left_still_gets_the_answer_that_was_given() {
    let once = OrderRequest::new(UserId(9), [(SHIRT, Quantity::new(1).unwrap())], None).unwrap();
    let record = IdempotencyRecord {
        fingerprint: PlaceOrders::fingerprint(&once),
        outcome: PlaceOrders::record(&Ok(stored_receipt())).unwrap(),
        at: DateTime::UNIX_EPOCH,
    };
    let mut uow = shop();
    uow.idempotency
        .expect_find_many()
        .returning(move |keys| Ok(keys.iter().map(|key| (key.clone(), record.clone())).collect()));
    let submission = Submission { command: once, key: Some("k".parse().unwrap()) };
    let replies = execute(uow, &[submission]).await.unwrap();
    assert_eq!((receipt(&replies[0]), replies[0].as_ref().unwrap().replayed), (&stored_receipt(), true));
}

#[tokio::test]
async fn a_repeated_key_in_one_batch_replays_the_first() {
    let mut uow = shop();
    no_known_keys(&mut uow);
    expect_sales(&mut uow, 1);
    uow.idempotency.expect_insert_many().times(1).withf(|records| records.len() == 1).returning(|_| Ok(()));
    let batch = [submission(1, Some("k")), submission(1, Some("k")), submission(2, Some("k"))];
    let replies = execute(uow, &batch).await.unwrap();
    assert_eq!(receipt(&replies[0]), receipt(&replies[1]));
    assert!(!replies[0].as_ref().unwrap().replayed && replies[1].as_ref().unwrap().replayed);
    assert!(matches!(replies[2], Err(WriteError::KeyReused)));
}

#[tokio::test]
async fn a_known_key_is_judged_by_the_stored_request_and_not_by_its_neighbours() {
    let mut uow = shop();
    let stored = Ok(stored_receipt());
    let record = IdempotencyRecord {
        fingerprint: PlaceOrders::fingerprint(&request(1)),
        outcome: PlaceOrders::record(&stored).unwrap(),
        at: DateTime::UNIX_EPOCH,
    };
    uow.idempotency
        .expect_find_many()
        .returning(move |keys| Ok(keys.iter().map(|key| (key.clone(), record.clone())).collect()));
    let replies = execute(uow, &[submission(2, Some("k")), submission(1, Some("k"))]).await.unwrap();
    assert!(matches!(replies[0], Err(WriteError::KeyReused)));
    assert_eq!(receipt(&replies[1]), &stored_receipt());
    assert!(replies[1].as_ref().unwrap().replayed);
}

#[tokio::test]
async fn a_refusal_is_recorded_like_a_success() {
    let mut uow = shop();
    no_known_keys(&mut uow);
    uow.idempotency.expect_insert_many().times(1).withf(|records| records.len() == 1).returning(|_| Ok(()));
    let replies = execute(uow, &[submission(4, Some("k"))]).await.unwrap();
    assert!(replies[0].as_ref().unwrap().outcome.is_err());
}

fn stored_receipt() -> Receipt {
    use jangteo_domain::order::{AppliedCoupon, OrderLine};
    let line = OrderLine {
        sku: Sku { product: SHIRT, variant: Some(VariantId(7)) },
        name: "블루 \"티셔츠\"".into(),
        variant_name: Some("L".into()),
        unit_price: Money::from_minor(19_900_00),
        quantity: Quantity::new(2).unwrap(),
        subtotal: Money::from_minor(39_800_00),
    };
    let order = Order {
        id: OrderId(5551),
        user: USER,
        status: OrderStatus::Paid,
        lines: vec![line],
        total: Money::from_minor(39_800_00),
        discount: Money::from_minor(3_980_00),
        paid: Money::from_minor(35_820_00),
        coupon: Some(AppliedCoupon { user_coupon: UserCouponId(3), code: "WELCOME10".parse().unwrap() }),
        created_at: DateTime::from_timestamp_micros(1_762_691_696_123_456).unwrap(),
        paid_at: DateTime::from_timestamp_micros(1_762_691_696_123_456),
        held_until: None,
        events: 1,
    };
    Receipt { order, balance: Money::from_minor(1), left: Vec::new() }
}

fn round_trips<O: Operation>(outcome: Outcome<O>)
where
    O::Success: PartialEq + std::fmt::Debug,
    O::Refusal: PartialEq + std::fmt::Debug,
{
    assert_eq!(O::replay(&O::record(&outcome).unwrap()).unwrap(), outcome);
}

#[test]
fn every_outcome_is_read_as_it_was_written() {
    let money = Money::from_minor(12_34);
    let at = DateTime::from_timestamp_micros(1_762_691_696_000_001).unwrap();
    round_trips::<PlaceOrders>(Ok(stored_receipt()));
    let waiting = Order {
        status: OrderStatus::Pending,
        paid_at: None,
        held_until: Some(at),
        events: 0,
        ..stored_receipt().order
    };
    round_trips::<PlaceOrders>(Ok(Receipt { order: waiting, ..stored_receipt() }));
    let large = Sku { product: SHIRT, variant: Some(VariantId(7)) };
    for coupon in [
        None,
        Some(CouponFault::Unknown),
        Some(CouponFault::NotHeld),
        Some(CouponFault::AlreadyUsed),
        Some(CouponFault::Expired),
        Some(CouponFault::BelowMinimum { minimum: money }),
    ] {
        round_trips::<PlaceOrders>(Err(Refusal {
            unknown_user: false,
            too_large: false,
            coupon,
            not_sold: vec![(SHIRT.into(), NotSold::UnknownProduct), (large, NotSold::UnknownVariant)],
            shortages: [SHIRT.into(), large]
                .map(|sku| OutOfStock { sku, requested: Quantity::new(5).unwrap(), available: 2 })
                .to_vec(),
            balance: Some(InsufficientBalance { required: money, available: Money::ZERO }),
        }));
    }
    round_trips::<ChargeWallets>(Ok(Wallet { user: USER, balance: money }));
    round_trips::<ChargeWallets>(Err(ChargeRefusal::LimitExceeded { balance: money, maximum: money }));
    for discount in [Discount::Fixed(money), Discount::Percent(money.as_decimal())] {
        let user_coupon = UserCoupon {
            id: UserCouponId(1),
            user: USER,
            coupon: CouponId(2),
            ticket: 3,
            claimed_at: at,
            expires_at: Some(at),
            state: UserCouponState::Claimed,
        };
        round_trips::<ClaimCoupons>(Ok(Issued { user_coupon, code: "X".parse().unwrap(), discount }));
    }
    for refusal in [
        ClaimRefusal::Unknown,
        ClaimRefusal::NotStarted(at),
        ClaimRefusal::Ended(at),
        ClaimRefusal::AlreadyClaimed { ticket: 7 },
        ClaimRefusal::SoldOut,
    ] {
        round_trips::<ClaimCoupons>(Err(refusal));
    }
    let order = Order { status: OrderStatus::Cancelled, events: 2, ..stored_receipt().order };
    round_trips::<CancelOrders>(Ok(Refund { order: order.clone(), balance: money, left: Vec::new() }));
    round_trips::<CancelOrders>(Err(CancelRefusal::BalanceTooLarge));
    let paid = Order { events: 1, ..stored_receipt().order };
    round_trips::<PayOrders>(Ok(LateReceipt { order: paid, balance: money, left: Vec::new() }));
    round_trips::<PayOrders>(Err(NotPayable::TooLate(at).into()));
    let short = InsufficientBalance { required: money, available: Money::ZERO };
    round_trips::<PayOrders>(Err(short.into()));
    round_trips::<FulfilOrders>(Ok(Order { status: OrderStatus::Delivered, events: 3, ..order }));
    for status in [
        OrderStatus::Pending,
        OrderStatus::Paid,
        OrderStatus::Shipping,
        OrderStatus::Delivered,
        OrderStatus::Cancelled,
    ] {
        round_trips::<CancelOrders>(Err(WrongStatus(status).into()));
        round_trips::<PayOrders>(Err(NotPayable::from(WrongStatus(status)).into()));
        round_trips::<FulfilOrders>(Err(WrongStatus(status).into()));
    }
    let profile = Profile {
        name: "미나".parse().unwrap(),
        email: "mina@example.com".parse().unwrap(),
        phone: Some("010-1234-5678".parse().unwrap()),
    };
    round_trips::<RegisterUsers>(Ok(User { id: USER, profile, created_at: at }));
    round_trips::<RegisterUsers>(Err(EmailTaken));
}
