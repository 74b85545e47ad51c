//! Carts: what is in them, and that it is ordered once.

use std::collections::BTreeSet;

use futures::future::{join, join_all};
use jangteo_application::change_carts::{CartChange, Change, ChangeCarts};
use jangteo_application::claim_coupons::ClaimCoupons;
use jangteo_application::operation::{Reply, WriteError};
use jangteo_application::order_carts::{NotOrdered, OrderCart, OrderCarts};
use jangteo_application::place_orders::Receipt;
use jangteo_application::queries::{CustomerQueries, PageRequest};
use jangteo_application::{Audit, Batcher, Database};
use jangteo_domain::cart::{CartEdit, CartFault, CartRefusal, CartView, NoOrder};
use jangteo_domain::order::{OrderStatus, Terms};
use jangteo_domain::product::{NotSold, OutOfStock};
use jangteo_domain::{CartItemId, ProductId, Quantity, RepositoryError, Sku, UserId, VariantId};

use crate::support::{Shop, batcher, claim, code, keyed, money, now, unkeyed};

crate::on_both_databases! {
    adding_again_adds_up_and_changes_are_shown
    only_what_is_sold_and_in_stock_is_put_in
    what_is_put_in_at_once_is_put_in_once
    a_cart_shows_what_is_today
    a_cart_has_a_hundred_lines_at_most
    a_retry_gets_the_same_answer
    a_cart_is_ordered_and_is_empty_then
    chosen_lines_are_ordered_and_the_others_stay
    a_refused_order_leaves_the_cart_as_it_was
    a_cart_can_be_paid_later
    a_cart_is_ordered_once_however_often_that_is_asked_for
    what_is_ordered_is_what_is_taken_out
    the_last_pieces_are_in_two_carts
    carts_are_filled_and_ordered_in_batches
    a_line_that_is_not_there_is_neither_changed_nor_removed
    a_variant_of_another_product_is_found_by_the_audit
}

const PAGE: PageRequest = PageRequest { page: 0, size: 100 };

/// A shop with two customers, four products with ten pieces, of which product 4 is sold as variants 41 (six pieces) and 42
/// (four pieces, not on sale).
async fn open(shop: Shop) -> Shop {
    let shop = shop.stocked(2, 4, 10, 5).await;
    for sql in [
        "UPDATE products SET has_variants = 1 WHERE id = 4",
        "INSERT INTO variants SELECT 41, id, '빨강-L', 1200, 6, 1, created_at, updated_at FROM products WHERE id = 4",
        "INSERT INTO variants SELECT 42, id, '파랑-L', 1300, 4, 0, created_at, updated_at FROM products WHERE id = 4",
        "UPDATE stock_movements SET quantity = 6, stock_after = 6, variant_id = 41 WHERE product_id = 4",
        "INSERT INTO stock_movements (product_id, kind, quantity, stock_after, created_at, variant_id) \
         SELECT product_id, kind, 4, 10, created_at, 42 FROM stock_movements WHERE product_id = 4",
    ] {
        shop.tamper(sql).await;
    }
    shop
}

fn sku(product: i64, variant: Option<i64>) -> Sku {
    Sku { product: ProductId(product), variant: variant.map(VariantId) }
}

fn pieces(pieces: i64) -> Quantity {
    Quantity::new(pieces).unwrap()
}

fn adding(user: i64, sku: Sku, quantity: i64) -> CartChange {
    CartChange { user: UserId(user), change: Change::Add(sku, pieces(quantity)) }
}

async fn change(
    carts: &Batcher<ChangeCarts>,
    user: i64,
    change: Change,
) -> Result<Option<CartView>, CartRefusal> {
    carts.submit(unkeyed(CartChange { user: UserId(user), change })).await.unwrap().outcome
}

async fn add(
    carts: &Batcher<ChangeCarts>,
    user: i64,
    sku: Sku,
    quantity: i64,
) -> Result<CartView, CartRefusal> {
    change(carts, user, Change::Add(sku, pieces(quantity))).await.map(|shown| shown.unwrap())
}

fn ordering(user: i64, items: Option<&[CartItemId]>) -> OrderCart {
    let items = items.map(|items| items.iter().copied().collect());
    OrderCart { user: UserId(user), items, coupon: None, terms: Terms::Immediate }
}

async fn order(orders: &Batcher<OrderCarts>, command: OrderCart) -> Result<Receipt, NotOrdered> {
    orders.submit(unkeyed(command)).await.unwrap().outcome
}

/// What is in a cart.
async fn cart(shop: &Shop, user: i64) -> Vec<(Sku, i64)> {
    contents(&shop.store.cart(UserId(user)).await.unwrap())
}

fn contents(view: &CartView) -> Vec<(Sku, i64)> {
    view.lines.iter().map(|shown| (shown.line.sku, shown.line.quantity.get())).collect()
}

/// What was ordered of a product, by all orders of a customer.
async fn ordered(shop: &Shop, user: i64, product: i64) -> i64 {
    let orders = shop.store.orders(UserId(user), None, PAGE).await.unwrap().content;
    let lines = orders.iter().flat_map(|order| &order.lines);
    lines.filter(|line| line.sku.product.0 == product).map(|line| line.quantity.get()).sum()
}

async fn adding_again_adds_up_and_changes_are_shown(shop: Shop) {
    let shop = open(shop).await;
    let carts = shop.batcher(ChangeCarts);
    let shirt = sku(1, None);
    let one = add(&carts, 1, shirt, 2).await.unwrap();
    assert_eq!((contents(&one), one.total), (vec![(shirt, 2)], money("20")));
    let variant = add(&carts, 1, sku(4, Some(41)), 1).await.unwrap();
    assert_eq!(variant.total, money("32"));
    let again = add(&carts, 1, shirt, 3).await.unwrap();
    assert_eq!(contents(&again), [(shirt, 5), (sku(4, Some(41)), 1)]);
    assert_eq!(shop.store.cart(UserId(1)).await.unwrap(), again);

    let id = again.lines[0].line.id;
    // Twice the same: nothing to change is not a line that is missing.
    for _ in 0..2 {
        let fewer = change(&carts, 1, Change::SetQuantity(id, pieces(1))).await.unwrap().unwrap();
        assert_eq!(contents(&fewer), [(shirt, 1), (sku(4, Some(41)), 1)]);
    }
    for stranger in [Change::SetQuantity(id, pieces(1)), Change::Remove(id)] {
        assert_eq!(change(&carts, 2, stranger).await, Err(CartRefusal::UnknownItem));
    }
    assert_eq!(change(&carts, 1, Change::Remove(id)).await, Ok(None));
    assert_eq!(change(&carts, 1, Change::Remove(id)).await, Err(CartRefusal::UnknownItem));
    assert_eq!(cart(&shop, 1).await, [(sku(4, Some(41)), 1)]);
    add(&carts, 2, shirt, 1).await.unwrap();
    for _ in 0..2 {
        assert_eq!(change(&carts, 1, Change::Clear).await, Ok(None));
    }
    assert_eq!((cart(&shop, 1).await, cart(&shop, 2).await), (vec![], vec![(shirt, 1)]));
    let unknown = carts.submit(unkeyed(adding(9, shirt, 1))).await;
    assert!(matches!(unknown, Err(WriteError::UnknownUser(UserId(9)))));
    shop.assert_audit_is_clean().await;
}

async fn only_what_is_sold_and_in_stock_is_put_in(shop: Shop) {
    let shop = open(shop).await;
    let carts = shop.batcher(ChangeCarts);
    shop.tamper("UPDATE products SET active = 0 WHERE id = 2").await;
    shop.tamper("UPDATE products SET deleted_at = created_at WHERE id = 3").await;
    for gone in [2, 3, 99] {
        let refused = add(&carts, 1, sku(gone, None), 1).await;
        assert_eq!(refused, Err(CartRefusal::NotSold(sku(gone, None), NotSold::UnknownProduct)));
    }
    for (variant, refusal) in [
        (sku(1, Some(41)), NotSold::UnknownVariant),
        (sku(4, Some(42)), NotSold::UnknownVariant),
        (sku(4, Some(99)), NotSold::UnknownVariant),
        (sku(4, None), NotSold::VariantRequired),
    ] {
        assert_eq!(add(&carts, 1, variant, 1).await, Err(CartRefusal::NotSold(variant, refusal)));
    }
    for (short, most) in [(sku(1, None), 10), (sku(4, Some(41)), 6)] {
        let refusal = OutOfStock { sku: short, requested: pieces(most + 1), available: most };
        assert_eq!(add(&carts, 1, short, most + 1).await, Err(refusal.into()));
        let id = add(&carts, 1, short, most).await.unwrap().lines.last().unwrap().line.id;
        assert_eq!(add(&carts, 1, short, 1).await, Err(refusal.into()));
        let set = change(&carts, 1, Change::SetQuantity(id, pieces(most + 1))).await;
        assert_eq!(set, Err(refusal.into()));
    }
    assert_eq!(cart(&shop, 1).await, [(sku(1, None), 10), (sku(4, Some(41)), 6)]);
    shop.assert_audit_is_clean().await;
}

/// Two sessions of a customer, on two instances.
async fn what_is_put_in_at_once_is_put_in_once(shop: Shop) {
    let shop = open(shop).await;
    let other = shop.second_instance().await;
    let (here, there) = (shop.batcher(ChangeCarts), batcher(&other, ChangeCarts));
    let adding = (0..24).map(|n| {
        let carts = if n % 2 == 0 { &here } else { &there };
        async move { add(carts, 1 + n % 3 / 2, sku(1, None), 1).await }
    });
    let added = join_all(adding).await;
    assert_eq!(added.iter().filter(|added| added.is_ok()).count(), 18);
    // Sixteen of the one customer's are more than there is in stock, and eight of the other's are not.
    assert_eq!(cart(&shop, 1).await, [(sku(1, None), 10)]);
    assert_eq!(cart(&shop, 2).await, [(sku(1, None), 8)]);
    // Each was told a different sum.
    let told: BTreeSet<_> =
        added.iter().flatten().map(|view| (view.lines[0].line.id, contents(view)[0].1)).collect();
    assert_eq!(told.len(), 18);
    shop.assert_audit_is_clean().await;
}

async fn a_cart_shows_what_is_today(shop: Shop) {
    let shop = open(shop).await;
    let carts = shop.batcher(ChangeCarts);
    let put_in = [sku(1, None), sku(2, None), sku(3, None), sku(4, Some(41))];
    for sku in put_in {
        add(&carts, 1, sku, 4).await.unwrap();
    }
    for sql in [
        "UPDATE products SET price = 1500, name = 'Dearer' WHERE id = 1",
        "INSERT INTO product_images SELECT id, 2, 'https://example.com/2.png', created_at FROM products WHERE id = 1",
        "INSERT INTO product_images SELECT id, 3, 'https://example.com/3.png', created_at FROM products WHERE id = 1",
        "UPDATE products SET active = 0 WHERE id = 2",
        "UPDATE products SET stock = 3 WHERE id = 3",
        "UPDATE variants SET active = 0 WHERE id = 41",
    ] {
        shop.tamper(sql).await;
    }
    let view = shop.store.cart(UserId(1)).await.unwrap();
    let faults: Vec<_> = view.lines.iter().map(|line| line.fault).collect();
    let expected =
        [None, Some(CartFault::UnknownProduct), Some(CartFault::Short), Some(CartFault::UnknownVariant)];
    assert_eq!((faults.as_slice(), view.total), (expected.as_slice(), money("60")));
    let dearer = &view.lines[0];
    assert_eq!((dearer.name.as_str(), dearer.unit_price, dearer.stock), ("Dearer", money("15"), 10));
    assert_eq!(dearer.image_url.as_deref(), Some("https://example.com/2.png"));
    let variant = &view.lines[3];
    assert_eq!((variant.variant_name.as_deref(), variant.unit_price), (Some("빨강-L"), money("12")));
    assert_eq!((variant.stock, variant.image_url.as_deref()), (6, None));
    shop.tamper("UPDATE products SET has_variants = 1 WHERE id = 1").await;
    shop.tamper("UPDATE products SET has_variants = 0 WHERE id = 4").await;
    let view = shop.store.cart(UserId(1)).await.unwrap();
    assert_eq!((view.lines[0].fault, view.total), (Some(CartFault::VariantRequired), money("0")));
    assert_eq!(view.lines[3].fault, Some(CartFault::UnknownVariant));
    // A line that cannot be ordered can still be taken out.
    for line in &view.lines {
        assert_eq!(change(&carts, 1, Change::Remove(line.line.id)).await, Ok(None));
    }
    assert!(cart(&shop, 1).await.is_empty());
}

async fn a_cart_has_a_hundred_lines_at_most(shop: Shop) {
    let shop = shop.stocked(1, 101, 10, 1).await;
    let carts = shop.batcher(ChangeCarts);
    let added = join_all((1..=101).map(|product| add(&carts, 1, sku(product, None), 1))).await;
    let refused: Vec<_> = added.iter().filter_map(|added| added.clone().err()).collect();
    assert_eq!(refused, [CartRefusal::Full]);
    assert_eq!(cart(&shop, 1).await.len(), 100);
    let (there, _) = cart(&shop, 1).await[0];
    assert!(add(&carts, 1, there, 1).await.is_ok());
    shop.tamper("UPDATE wallets SET balance = balance + 1000000").await;
    shop.tamper(
        "UPDATE ledger_entries SET amount = amount + 1000000, balance_after = balance_after + 1000000",
    )
    .await;
    let receipt = order(&shop.batcher(OrderCarts), ordering(1, None)).await.unwrap();
    assert_eq!((receipt.order.lines.len(), cart(&shop, 1).await.len()), (100, 0));
    shop.assert_audit_is_clean().await;
}

async fn a_retry_gets_the_same_answer(shop: Shop) {
    let shop = open(shop).await;
    let (carts, orders) = (shop.batcher(ChangeCarts), shop.batcher(OrderCarts));
    let submit = async |change: Change, key| {
        carts.submit(keyed(CartChange { user: UserId(1), change }, key)).await.unwrap()
    };
    let mut answers = Vec::new();
    let adding = Change::Add(sku(4, Some(41)), pieces(2));
    let first = submit(adding, "key").await;
    let id = first.outcome.clone().unwrap().unwrap().lines[0].line.id;
    answers.push((adding, first));
    let changing = Change::SetQuantity(id, pieces(3));
    answers.push((changing, submit(changing, "key").await));
    let too_many = Change::SetQuantity(id, pieces(7));
    answers.push((too_many, submit(too_many, "too-many").await));
    let removing = Change::Remove(id);
    answers.push((removing, submit(removing, "key").await));
    add(&carts, 1, sku(1, None), 1).await.unwrap();
    answers.push((Change::Clear, submit(Change::Clear, "key").await));
    add(&carts, 1, sku(1, None), 2).await.unwrap();
    shop.tamper("UPDATE products SET price = 5000, name = 'Another'").await;
    for (change, first) in answers {
        let key = if change == too_many { "too-many" } else { "key" };
        let again = submit(change, key).await;
        assert_eq!((first.replayed, again.replayed, again.outcome), (false, true, first.outcome));
    }
    assert_eq!(cart(&shop, 1).await, [(sku(1, None), 2)]);
    let other = CartChange { user: UserId(1), change: Change::Add(sku(4, Some(41)), pieces(3)) };
    assert!(matches!(carts.submit(keyed(other, "key")).await, Err(WriteError::KeyReused)));

    let submit = async |command: OrderCart, key| orders.submit(keyed(command, key)).await.unwrap();
    let told =
        |reply: Reply<OrderCarts>| reply.unwrap().outcome.map(|receipt| (receipt.order, receipt.balance));
    let first = submit(ordering(1, None), "key").await;
    let empty = submit(ordering(1, None), "empty").await;
    assert_eq!(empty.outcome, Err(NotOrdered::NoOrder(NoOrder::Empty)));
    add(&carts, 1, sku(1, None), 1).await.unwrap();
    for (first, key) in [(first, "key"), (empty, "empty")] {
        let again = submit(ordering(1, None), key).await;
        assert!(again.replayed);
        assert_eq!(told(Ok(again)), told(Ok(first)));
    }
    assert_eq!(cart(&shop, 1).await, [(sku(1, None), 1)]);
    let deferred =
        OrderCart { terms: Terms::Deferred { hold: chrono::TimeDelta::minutes(1) }, ..ordering(1, None) };
    let chosen = ordering(1, Some(&[id]));
    for other in [deferred, chosen] {
        assert!(matches!(orders.submit(keyed(other, "key")).await, Err(WriteError::KeyReused)));
    }
    shop.assert_audit_is_clean().await;
}

async fn a_cart_is_ordered_and_is_empty_then(shop: Shop) {
    let shop = open(shop).await;
    let (carts, orders) = (shop.batcher(ChangeCarts), shop.batcher(OrderCarts));
    assert!(claim(&shop.batcher(ClaimCoupons), 1, "TENTH").await.unwrap().outcome.is_ok());
    add(&carts, 1, sku(2, None), 2).await.unwrap();
    add(&carts, 1, sku(4, Some(41)), 5).await.unwrap();
    add(&carts, 2, sku(2, None), 1).await.unwrap();
    // The price is that of today.
    shop.tamper("UPDATE products SET price = 2000 WHERE id = 2").await;
    let command = OrderCart { coupon: Some(code("TENTH")), ..ordering(1, None) };
    let receipt = order(&orders, command).await.unwrap();
    let lines: Vec<_> = receipt.order.lines.iter().map(|line| (line.sku, line.quantity.get())).collect();
    assert_eq!(lines, [(sku(2, None), 2), (sku(4, Some(41)), 5)]);
    assert_eq!((receipt.order.total, receipt.order.paid), (money("100"), money("90")));
    assert_eq!((receipt.order.status, receipt.balance), (OrderStatus::Paid, money("910")));
    assert_eq!(shop.store.order(receipt.order.id).await.unwrap(), Some(receipt.order));
    assert_eq!((cart(&shop, 1).await, cart(&shop, 2).await), (vec![], vec![(sku(2, None), 1)]));
    assert_eq!(shop.count("SELECT stock FROM variants WHERE id = 41").await, 1);
    assert_eq!(order(&orders, ordering(1, None)).await, Err(NotOrdered::NoOrder(NoOrder::Empty)));
    shop.assert_audit_is_clean().await;
}

async fn chosen_lines_are_ordered_and_the_others_stay(shop: Shop) {
    let shop = open(shop).await;
    let (carts, orders) = (shop.batcher(ChangeCarts), shop.batcher(OrderCarts));
    for product in [1, 2, 3] {
        add(&carts, 1, sku(product, None), product).await.unwrap();
    }
    let others = add(&carts, 2, sku(1, None), 1).await.unwrap().lines[0].line.id;
    let view = shop.store.cart(UserId(1)).await.unwrap();
    let ids: Vec<CartItemId> = view.lines.iter().map(|line| line.line.id).collect();
    let missing = CartItemId(999_999);
    let refused = order(&orders, ordering(1, Some(&[ids[0], others, missing]))).await;
    assert_eq!(refused, Err(NotOrdered::NoOrder(NoOrder::UnknownItems([others, missing].into()))));
    assert_eq!(shop.store.cart(UserId(1)).await.unwrap(), view);
    let receipt = order(&orders, ordering(1, Some(&[ids[2], ids[0]]))).await.unwrap();
    let products: Vec<_> = receipt.order.lines.iter().map(|line| line.sku.product.0).collect();
    assert_eq!(products, [1, 3]);
    assert_eq!(cart(&shop, 1).await, [(sku(2, None), 2)]);
    let gone = order(&orders, ordering(1, Some(&[ids[2]]))).await;
    assert_eq!(gone, Err(NotOrdered::NoOrder(NoOrder::UnknownItems([ids[2]].into()))));
    shop.assert_audit_is_clean().await;
}

async fn a_refused_order_leaves_the_cart_as_it_was(shop: Shop) {
    let shop = open(shop).await;
    let (carts, orders) = (shop.batcher(ChangeCarts), shop.batcher(OrderCarts));
    add(&carts, 1, sku(1, None), 8).await.unwrap();
    add(&carts, 1, sku(2, None), 1).await.unwrap();
    add(&carts, 2, sku(1, None), 5).await.unwrap();
    assert!(order(&orders, ordering(2, None)).await.is_ok());
    shop.tamper("UPDATE products SET price = 200000 WHERE id = 2").await;
    let before = shop.store.cart(UserId(1)).await.unwrap();
    let command = OrderCart { coupon: Some(code("TENTH")), ..ordering(1, None) };
    let refused = order(&orders, command).await;
    let Err(NotOrdered::Refused { refusal, lines }) = refused else { panic!("{refused:?}") };
    let short = OutOfStock { sku: sku(1, None), requested: pieces(8), available: 5 };
    assert_eq!(
        (refusal.shortages, refusal.coupon.is_some(), refusal.balance.is_some()),
        (vec![short], true, true)
    );
    assert_eq!(lines, before.lines.iter().map(|line| line.line).collect::<Vec<_>>());
    assert_eq!(shop.store.cart(UserId(1)).await.unwrap(), before);
    shop.tamper("UPDATE products SET active = 0 WHERE id = 1").await;
    let refused = order(&orders, ordering(1, None)).await;
    let Err(NotOrdered::Refused { refusal, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(refusal.not_sold, [(ProductId(1).into(), NotSold::UnknownProduct)]);
    assert_eq!(shop.store.orders(UserId(1), None, PAGE).await.unwrap().total, 0);
    shop.assert_audit_is_clean().await;
}

async fn a_cart_can_be_paid_later(shop: Shop) {
    let shop = open(shop).await;
    let (carts, orders) = (shop.batcher(ChangeCarts), shop.batcher(OrderCarts));
    add(&carts, 1, sku(4, Some(41)), 2).await.unwrap();
    let terms = Terms::Deferred { hold: chrono::TimeDelta::minutes(15) };
    let receipt = order(&orders, OrderCart { terms, ..ordering(1, None) }).await.unwrap();
    assert_eq!((receipt.order.status, receipt.balance), (OrderStatus::Pending, money("1000")));
    assert!(receipt.order.held_until.is_some() && cart(&shop, 1).await.is_empty());
    shop.assert_audit_is_clean().await;
}

async fn a_cart_is_ordered_once_however_often_that_is_asked_for(shop: Shop) {
    let shop = open(shop).await;
    let other = shop.second_instance().await;
    let carts = shop.batcher(ChangeCarts);
    let (here, there) = (shop.batcher(OrderCarts), batcher(&other, OrderCarts));
    add(&carts, 1, sku(1, None), 2).await.unwrap();
    add(&carts, 1, sku(2, None), 1).await.unwrap();
    let asking = (0..30).map(|n| {
        let orders = if n % 2 == 0 { &here } else { &there };
        order(orders, ordering(1, None))
    });
    let answers = join_all(asking).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    let empty = Err(NotOrdered::NoOrder(NoOrder::Empty));
    assert_eq!(answers.iter().filter(|answer| **answer == empty).count(), 29);
    assert_eq!((ordered(&shop, 1, 1).await, ordered(&shop, 1, 2).await), (2, 1));
    assert!(cart(&shop, 1).await.is_empty());
    shop.assert_audit_is_clean().await;
}

/// While a customer orders again and again, others of the same account put in, change and take out. What went in has been
/// ordered, was taken out, or is still there.
async fn what_is_ordered_is_what_is_taken_out(shop: Shop) {
    let shop = shop.stocked(1, 3, 1000, 1).await;
    shop.tamper("UPDATE products SET price = 1").await;
    let other = shop.second_instance().await;
    let (here, there) = (shop.batcher(ChangeCarts), batcher(&other, ChangeCarts));
    let (orders_here, orders_there) = (shop.batcher(OrderCarts), batcher(&other, OrderCarts));
    let adding = async |carts: &Batcher<ChangeCarts>, product| {
        let mut added = 0;
        for quantity in 1..=10 {
            add(carts, 1, sku(product, None), quantity).await.unwrap();
            added += quantity;
        }
        added
    };
    // Whatever line of product 3 is there is changed, and taken out at last.
    let changing = async {
        for quantity in 1..=10 {
            let view = add(&here, 1, sku(3, None), 1).await.unwrap();
            let line = view.lines.iter().find(|line| line.line.sku.product.0 == 3).unwrap().line;
            let changed = change(&there, 1, Change::SetQuantity(line.id, pieces(quantity))).await;
            let removed = change(&here, 1, Change::Remove(line.id)).await;
            for outcome in [changed.err(), removed.err()].into_iter().flatten() {
                assert_eq!(outcome, CartRefusal::UnknownItem, "it was ordered meanwhile");
            }
        }
    };
    let ordering = async |orders: &Batcher<OrderCarts>| {
        let mut placed = 0;
        for _ in 0..15 {
            match order(orders, ordering(1, None)).await {
                Ok(_) => placed += 1,
                Err(refusal) => assert_eq!(refusal, NotOrdered::NoOrder(NoOrder::Empty)),
            }
        }
        placed
    };
    let orders = join(ordering(&orders_here), ordering(&orders_there));
    let ((one, two), ((), placed)) =
        join(join(adding(&here, 1), adding(&there, 2)), join(changing, orders)).await;
    assert!(placed.0 + placed.1 > 0);
    let left = cart(&shop, 1).await;
    let left =
        |product| left.iter().filter(|line| line.0 == sku(product, None)).map(|line| line.1).sum::<i64>();
    assert_eq!((ordered(&shop, 1, 1).await + left(1), ordered(&shop, 1, 2).await + left(2)), (one, two));
    assert_eq!(left(3), 0);
    shop.assert_audit_is_clean().await;
}

async fn the_last_pieces_are_in_two_carts(shop: Shop) {
    let shop = open(shop).await;
    let (carts, orders) = (shop.batcher(ChangeCarts), shop.batcher(OrderCarts));
    for user in [1, 2] {
        add(&carts, user, sku(4, Some(41)), 6).await.unwrap();
    }
    let (one, two) = join(order(&orders, ordering(1, None)), order(&orders, ordering(2, None))).await;
    let (loser, refused) = match (one, two) {
        (Ok(_), Err(refused)) => (2, refused),
        (Err(refused), Ok(_)) => (1, refused),
        both => panic!("{both:?}"),
    };
    let NotOrdered::Refused { refusal, .. } = refused else { panic!("{refused:?}") };
    assert_eq!(refusal.shortages[0].available, 0);
    let view = shop.store.cart(UserId(loser)).await.unwrap();
    assert_eq!((view.lines[0].fault, view.total), (Some(CartFault::Short), money("0")));
    assert!(cart(&shop, 3 - loser).await.is_empty());
    shop.assert_audit_is_clean().await;
}

/// Many customers at once, whose carts and orders share batches and products.
async fn carts_are_filled_and_ordered_in_batches(shop: Shop) {
    let shop = shop.stocked(40, 5, 1000, 1).await;
    let (carts, orders) = (shop.batcher(ChangeCarts), shop.batcher(OrderCarts));
    let shopping = (1..=40).map(|user| {
        let (carts, orders) = (&carts, &orders);
        async move {
            let products = [5, 3, 1, 4, 2].map(|product| add(carts, user, sku(product, None), product));
            join_all(products).await.into_iter().for_each(|added| drop(added.unwrap()));
            order(orders, ordering(user, None)).await.unwrap().order.lines.len()
        }
    });
    assert_eq!(join_all(shopping).await, [5; 40]);
    assert_eq!(shop.count("SELECT COUNT(*) FROM cart_items").await, 0);
    shop.assert_audit_is_clean().await;
}

async fn a_line_that_is_not_there_is_neither_changed_nor_removed(shop: Shop) {
    let shop = open(shop).await;
    let there = add(&shop.batcher(ChangeCarts), 1, sku(1, None), 1).await.unwrap().lines[0].line.id;
    let gone = CartItemId(999);
    let insert = CartEdit::Insert { user: UserId(1), sku: sku(1, None), quantity: pieces(1) };
    for edits in [
        vec![CartEdit::Remove { item: there }, CartEdit::Remove { item: gone }],
        vec![
            CartEdit::Change { item: there, quantity: pieces(2) },
            CartEdit::Change { item: gone, quantity: pieces(2) },
        ],
        vec![insert],
    ] {
        let mut uow = shop.store.begin().await.unwrap();
        uow.wallets().lock_many(&[UserId(1)].into()).await.unwrap();
        uow.carts().apply(&edits, now()).await.unwrap();
        assert!(matches!(uow.commit().await, Err(RepositoryError::Conflict(_))), "{edits:?}");
    }
    assert_eq!(cart(&shop, 1).await, [(sku(1, None), 1)]);
    let users = [UserId(1), UserId(2)].into();
    let mut uow = shop.store.begin().await.unwrap();
    uow.wallets().lock_many(&users).await.unwrap();
    uow.carts().clear(&users).await.unwrap();
    assert!(uow.carts().load_many(&users).await.unwrap().values().all(|cart| cart.lines.is_empty()));
    uow.commit().await.unwrap();
    assert!(cart(&shop, 1).await.is_empty());
    shop.assert_audit_is_clean().await;
}

async fn a_variant_of_another_product_is_found_by_the_audit(shop: Shop) {
    let shop = open(shop).await;
    add(&shop.batcher(ChangeCarts), 1, sku(4, Some(41)), 1).await.unwrap();
    shop.tamper("UPDATE cart_items SET product_id = 1").await;
    let report = shop.store.audit().await.unwrap();
    let broken: Vec<_> = report.checks.iter().filter(|check| !check.violations.is_empty()).collect();
    assert_eq!(broken.len(), 1, "{report:#?}");
    assert_eq!(broken[0].rule, "a line of a cart names a variant of its product, or none");
}
