use std::collections::BTreeMap;
use std::sync::Arc;

use jangteo_domain::product::{OutOfStock, Product};
use jangteo_domain::{Money, Wallet};

use super::*;
use crate::mocks::{Counting, MockedUnitOfWork, Prepared, Stopped, conflict};
use crate::operation::{Executor, Reply, Submission};

const USER: UserId = UserId(1);
const SHIRT: ProductId = ProductId(101);

fn line(id: i64, product: ProductId, pieces: i64) -> CartLine {
    CartLine { id: CartItemId(id), sku: product.into(), quantity: Quantity::new(pieces).unwrap() }
}

/// A customer with 100.00 and these lines in the cart, and three shirts at 10.00.
fn shop(lines: Vec<CartLine>) -> MockedUnitOfWork {
    let mut uow = MockedUnitOfWork::default();
    let wallet = Wallet { user: USER, balance: Money::from_minor(100_00) };
    uow.wallets.expect_lock_many().returning(move |_| Ok(BTreeMap::from([(USER, wallet.clone())])));
    let cart = Cart { user: USER, lines };
    uow.carts.expect_load_many().times(1).returning(move |_| Ok(BTreeMap::from([(USER, cart.clone())])));
    let price = Money::from_minor(10_00);
    let shirt = Product { id: SHIRT, name: "Shirt".into(), price, stock: 3, variants: None };
    uow.products.expect_lock_many().returning(move |_| Ok(BTreeMap::from([(SHIRT, shirt.clone())])));
    uow
}

fn expect_one_sale(uow: &mut MockedUnitOfWork) {
    uow.orders.expect_insert_many().times(1).withf(|rows| rows.len() == 1).returning(|_| Ok(()));
    uow.orders.expect_insert_payments().times(1).returning(|_| Ok(()));
    uow.wallets.expect_post().times(1).returning(|_| Ok(()));
    uow.products.expect_post().times(1).returning(|_| Ok(()));
    uow.outbox.expect_append().times(1).returning(|_| Ok(()));
}

fn ordering(items: Option<&[i64]>) -> OrderCart {
    let items = items.map(|items| items.iter().copied().map(CartItemId).collect());
    OrderCart { user: USER, items, coupon: None, terms: Terms::Immediate }
}

async fn execute(
    uow: MockedUnitOfWork,
    commands: impl IntoIterator<Item = OrderCart>,
) -> Result<Vec<Reply<OrderCarts>>, RepositoryError> {
    let ids = Arc::new(Counting::default());
    let executor = Executor::new(OrderCarts, Prepared::new([Ok(uow)]), ids, Arc::new(Stopped));
    let submissions: Vec<_> = commands.into_iter().map(|command| Submission { command, key: None }).collect();
    let submissions: Vec<_> = submissions.iter().collect();
    executor.execute(&submissions).await.map(|(replies, _)| replies)
}

fn refusal(reply: &Reply<OrderCarts>) -> &NotOrdered {
    reply.as_ref().unwrap().outcome.as_ref().unwrap_err()
}

#[tokio::test]
async fn what_was_ordered_is_taken_out_and_nobody_orders_it_again() {
    let mut uow = shop(vec![line(5, SHIRT, 2)]);
    expect_one_sale(&mut uow);
    let removed = [CartEdit::Remove { item: CartItemId(5) }];
    uow.carts.expect_apply().times(1).withf(move |edits, _| edits == removed).returning(|_, _| Ok(()));
    let replies = execute(uow, [ordering(None), ordering(None), ordering(Some(&[5]))]).await.unwrap();
    let receipt = replies[0].as_ref().unwrap().outcome.as_ref().unwrap();
    assert_eq!((receipt.order.id, receipt.balance), (OrderId(1), Money::from_minor(80_00)));
    assert_eq!(*refusal(&replies[1]), NotOrdered::NoOrder(NoOrder::Empty));
    let unknown = NoOrder::UnknownItems([CartItemId(5)].into());
    assert_eq!(*refusal(&replies[2]), NotOrdered::NoOrder(unknown));
}

#[tokio::test]
async fn a_refused_order_writes_nothing() {
    let lines = vec![line(5, SHIRT, 4)];
    let replies = execute(shop(lines.clone()), [ordering(None)]).await.unwrap();
    let short = OutOfStock { sku: SHIRT.into(), requested: lines[0].quantity, available: 3 };
    let expected = Refusal { shortages: vec![short], ..Refusal::default() };
    assert_eq!(*refusal(&replies[0]), NotOrdered::Refused { refusal: Box::new(expected), lines });
}

#[tokio::test]
async fn an_order_whose_lines_cannot_be_taken_out_does_not_happen() {
    let mut uow = shop(vec![line(5, SHIRT, 1)]);
    expect_one_sale(&mut uow);
    uow.carts.expect_apply().times(1).returning(|_, _| Err(conflict()));
    assert!(execute(uow, [ordering(None)]).await.is_err());
}

#[tokio::test]
async fn an_outcome_is_told_again_as_it_was() {
    let mut uow = shop(vec![line(5, SHIRT, 1)]);
    expect_one_sale(&mut uow);
    uow.carts.expect_apply().returning(|_, _| Ok(()));
    let ordered = execute(uow, [ordering(None)]).await.unwrap().remove(0).unwrap().outcome.unwrap();
    let receipt = Receipt { left: Vec::new(), ..ordered };
    let small = CartLine { sku: Sku { product: SHIRT, variant: Some(VariantId(3)) }, ..line(9, SHIRT, 4) };
    let short = OutOfStock { sku: small.sku, requested: small.quantity, available: 1 };
    let refusal = Box::new(Refusal { shortages: vec![short], ..Refusal::default() });
    let outcomes: [Outcome<OrderCarts>; 3] = [
        Ok(receipt),
        Err(NotOrdered::NoOrder(NoOrder::Empty)),
        Err(NotOrdered::Refused { refusal, lines: vec![line(5, SHIRT, 2), small] }),
    ];
    for outcome in outcomes {
        let record = OrderCarts::record(&outcome).unwrap();
        assert_eq!(OrderCarts::replay(&record).unwrap(), outcome, "{record}");
    }
    let unknown = NoOrder::UnknownItems([CartItemId(5)].into());
    assert_eq!(OrderCarts::record(&Err(NotOrdered::NoOrder(unknown))), None);
}
