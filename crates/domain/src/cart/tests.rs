use super::*;
use crate::product::Variant;
use crate::{ProductId, VariantId};

const SHIRT: ProductId = ProductId(1);
const SMALL: VariantId = VariantId(7);

fn pieces(pieces: i64) -> Quantity {
    Quantity::new(pieces).unwrap()
}

fn product(stock: i64) -> Product {
    Product { id: SHIRT, name: "Shirt".into(), price: Money::from_minor(10_00), stock, variants: None }
}

fn in_variants(stock: i64) -> Product {
    let small = Variant { id: SMALL, name: "S".into(), price: Money::from_minor(11_00), stock };
    Product { variants: Some(BTreeMap::from([(SMALL, small)])), ..product(stock + 5) }
}

fn line(id: i64, product: i64, quantity: i64) -> CartLine {
    CartLine { id: CartItemId(id), sku: ProductId(product).into(), quantity: pieces(quantity) }
}

fn cart(lines: impl IntoIterator<Item = CartLine>) -> Cart {
    Cart { user: UserId(1), lines: lines.into_iter().collect() }
}

fn add(cart: &Cart, quantity: i64, product: Option<&Product>) -> Result<CartEdit, CartRefusal> {
    cart.add((SHIRT.into(), pieces(quantity)), product)
}

#[test]
fn adding_again_adds_up() {
    let shirt = product(5);
    let insert = CartEdit::Insert { user: UserId(1), sku: SHIRT.into(), quantity: pieces(2) };
    assert_eq!(add(&cart([line(8, 2, 1)]), 2, Some(&shirt)), Ok(insert));
    let change = CartEdit::Change { item: CartItemId(9), quantity: pieces(5) };
    assert_eq!(add(&cart([line(8, 2, 1), line(9, 1, 3)]), 2, Some(&shirt)), Ok(change));
}

#[test]
fn the_sum_must_be_in_stock() {
    let full = cart([line(9, 1, 3)]);
    let short = OutOfStock { sku: SHIRT.into(), requested: pieces(6), available: 5 };
    assert_eq!(add(&full, 3, Some(&product(5))), Err(short.into()));
    let changed = full.set_quantity((CartItemId(9), pieces(6)), Some(&product(5)));
    assert_eq!(changed, Err(short.into()));
    assert!(full.set_quantity((CartItemId(9), pieces(5)), Some(&product(5))).is_ok());
    let most = i64::from(Quantity::MAX);
    assert_eq!(add(&full, most, Some(&product(most * 2))), Err(CartRefusal::TooMany(SHIRT.into())));
}

#[test]
fn only_what_is_sold_is_added_and_as_it_is_sold() {
    let empty = cart([]);
    assert_eq!(add(&empty, 1, None), Err(CartRefusal::NotSold(SHIRT.into(), NotSold::UnknownProduct)));
    let required = CartRefusal::NotSold(SHIRT.into(), NotSold::VariantRequired);
    assert_eq!(add(&empty, 1, Some(&in_variants(5))), Err(required));
    let small = Sku { product: SHIRT, variant: Some(SMALL) };
    let unknown = CartRefusal::NotSold(small, NotSold::UnknownVariant);
    assert_eq!(empty.add((small, pieces(1)), Some(&product(5))), Err(unknown));
    let insert = CartEdit::Insert { user: UserId(1), sku: small, quantity: pieces(5) };
    assert_eq!(empty.add((small, pieces(5)), Some(&in_variants(5))), Ok(insert));
}

#[test]
fn a_cart_has_at_most_as_many_lines_as_an_order() {
    let other = |n| line(n, n + 1, 1);
    assert!(add(&cart((1..100).map(other)), 1, Some(&product(5))).is_ok());
    let full = cart((1..=100).map(other));
    assert_eq!(add(&full, 1, Some(&product(5))), Err(CartRefusal::Full));
    assert_eq!(full.order(None, None, Terms::Immediate).unwrap().lines.len(), 100);
    // What is in it can still become more.
    let all = cart((1..=100).map(|n| line(n, n, 1)));
    assert!(add(&all, 1, Some(&product(5))).is_ok());
}

#[test]
fn all_lines_or_those_that_are_chosen_make_an_order() {
    let mut cart = cart([line(3, 1, 2), line(5, 2, 1), line(8, 3, 4)]);
    let order = |cart: &Cart, chosen: Option<&[i64]>| {
        let chosen = chosen.map(|ids| ids.iter().copied().map(CartItemId).collect());
        cart.order(chosen.as_ref(), None, Terms::Immediate)
    };
    let all = order(&cart, None).unwrap();
    assert_eq!((all.request.lines().len(), &all.lines), (3, &cart.lines));
    let some = order(&cart, Some(&[8, 3])).unwrap();
    assert_eq!(some.request.lines(), [(SHIRT.into(), pieces(2)), (ProductId(3).into(), pieces(4))]);
    cart.take(&some.lines);
    assert_eq!(cart.lines, [line(5, 2, 1)]);
    let unknown = NoOrder::UnknownItems([CartItemId(3), CartItemId(9)].into());
    assert_eq!(order(&cart, Some(&[3, 5, 9])), Err(unknown));
    cart.take(&[line(5, 2, 1)]);
    assert_eq!(order(&cart, None), Err(NoOrder::Empty));
    assert_eq!(order(&cart, Some(&[])), Err(NoOrder::Empty));
}

#[test]
fn only_lines_that_can_be_ordered_count() {
    let shown = |id, quantity, unit_price, fault| CartLineView {
        line: line(id, id, quantity),
        name: "Shirt".into(),
        variant_name: None,
        unit_price: Money::from_minor(unit_price),
        stock: 5,
        image_url: None,
        fault,
    };
    let gone = Some(CartFault::UnknownProduct);
    let lines = [
        shown(1, 2, 10_00, None),
        shown(2, 6, 10_00, None),
        shown(3, 9, 10_00, gone),
        shown(4, 1, i64::MAX, None),
        shown(5, 5, i64::MAX, None),
        shown(6, 1, 50, None),
    ];
    let view = CartView::of(lines);
    assert_eq!(view.total, Money::from_minor(20_50));
    let faults: Vec<_> = view.lines.iter().map(|line| line.fault).collect();
    let (short, large) = (Some(CartFault::Short), Some(CartFault::TooLarge));
    assert_eq!(faults, [None, short, gone, large, large, None]);
    assert_eq!((view.lines[4].subtotal(), CartView::of(view.lines.clone())), (None, view));
}
