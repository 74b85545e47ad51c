use jangteo_domain::Money;
use jangteo_domain::cart::{CartFault, CartLine, CartLineView};

use super::*;

fn sku(variant: Option<i64>) -> Sku {
    Sku { product: ProductId(7), variant: variant.map(VariantId) }
}

fn pieces(pieces: i64) -> Quantity {
    Quantity::new(pieces).unwrap()
}

#[test]
fn a_cart_is_changed_once_in_a_round_and_in_the_order_of_the_changes() {
    let command = |user| CartChange { user: UserId(user), change: Change::Clear };
    let commands = [1, 2, 1, 3, 1, 2].map(command);
    let commands: Vec<&CartChange> = commands.iter().collect();
    assert_eq!(rounds(&commands), [vec![0, 1, 3], vec![2, 5], vec![4]]);
    assert!(rounds(&[]).is_empty());
}

#[test]
fn an_outcome_is_told_again_as_it_was() {
    let line = |id, variant: Option<i64>, fault| CartLineView {
        line: CartLine { id: CartItemId(id), sku: sku(variant), quantity: pieces(2) },
        name: "유기농 면 티셔츠".to_owned(),
        variant_name: variant.map(|_| "빨강-L".to_owned()),
        unit_price: Money::from_minor(1_990_050),
        stock: if fault == Some(CartFault::Short) { 1 } else { 10 },
        image_url: variant.map(|_| "https://example.com/1.png".to_owned()),
        fault,
    };
    let faults =
        [CartFault::UnknownProduct, CartFault::UnknownVariant, CartFault::VariantRequired, CartFault::Short];
    let lines = faults.into_iter().map(Some).chain([None]).zip(1..);
    let view = CartView::of(lines.map(|(fault, id)| line(id, (id > 2).then_some(id), fault)));
    let short = OutOfStock { sku: sku(Some(3)), requested: pieces(5), available: 2 };
    let outcomes: [Outcome<ChangeCarts>; 7] = [
        Ok(Some(view)),
        Ok(None),
        Err(CartRefusal::NotSold(sku(None), NotSold::UnknownProduct)),
        Err(CartRefusal::NotSold(sku(Some(3)), NotSold::UnknownVariant)),
        Err(short.into()),
        Err(OutOfStock { sku: sku(None), ..short }.into()),
        Err(CartRefusal::Full),
    ];
    for outcome in outcomes {
        let record = ChangeCarts::record(&outcome).unwrap();
        assert_eq!(ChangeCarts::replay(&record).unwrap(), outcome, "{record}");
    }
}

#[test]
fn what_could_never_be_accepted_does_not_use_up_its_key() {
    for refusal in [
        CartRefusal::UnknownItem,
        CartRefusal::TooMany(sku(None)),
        CartRefusal::NotSold(sku(None), NotSold::VariantRequired),
    ] {
        assert_eq!(ChangeCarts::record(&Err(refusal)), None, "{refusal}");
    }
}
