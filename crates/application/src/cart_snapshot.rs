//! Carts as their customers saw them, as JSON: what idempotency records keep.

use jangteo_domain::cart::{CartFault, CartLine, CartLineView, CartView};
use jangteo_domain::{CartItemId, ProductId, Quantity, Sku, VariantId};
use serde::de::Error as _;
use serde::{Deserialize, Serialize};

use crate::snapshot::MoneyText;

/// A cart in full. What its lines come to is added up again.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CartSnapshot(Vec<LineSnapshot>);

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LineSnapshot {
    id: i64,
    product_id: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    variant_id: Option<i64>,
    qty: i64,
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    variant_name: Option<String>,
    unit_price: MoneyText,
    stock: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    image_url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fault: Option<FaultSnapshot>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum FaultSnapshot {
    UnknownProduct,
    UnknownVariant,
    VariantRequired,
    Short,
    TooLarge,
}

impl From<&CartView> for CartSnapshot {
    fn from(cart: &CartView) -> Self {
        Self(cart.lines.iter().map(LineSnapshot::from).collect())
    }
}

impl TryFrom<CartSnapshot> for CartView {
    type Error = serde_json::Error;

    fn try_from(snapshot: CartSnapshot) -> Result<Self, serde_json::Error> {
        let lines: Result<Vec<CartLineView>, _> =
            snapshot.0.into_iter().map(CartLineView::try_from).collect();
        lines.map(Self::of)
    }
}

impl From<&CartLineView> for LineSnapshot {
    fn from(view: &CartLineView) -> Self {
        let CartLine { id, sku, quantity } = view.line;
        Self {
            id: id.0,
            product_id: sku.product.0,
            variant_id: sku.variant.map(|variant| variant.0),
            qty: quantity.get(),
            name: view.name.clone(),
            variant_name: view.variant_name.clone(),
            unit_price: MoneyText(view.unit_price),
            stock: view.stock,
            image_url: view.image_url.clone(),
            fault: view.fault.map(FaultSnapshot::from),
        }
    }
}

impl TryFrom<LineSnapshot> for CartLineView {
    type Error = serde_json::Error;

    fn try_from(snapshot: LineSnapshot) -> Result<Self, serde_json::Error> {
        let product = ProductId(snapshot.product_id);
        let sku = Sku { product, variant: snapshot.variant_id.map(VariantId) };
        let quantity = Quantity::new(snapshot.qty).map_err(serde_json::Error::custom)?;
        Ok(Self {
            line: CartLine { id: CartItemId(snapshot.id), sku, quantity },
            name: snapshot.name,
            variant_name: snapshot.variant_name,
            unit_price: snapshot.unit_price.0,
            stock: snapshot.stock,
            image_url: snapshot.image_url,
            fault: snapshot.fault.map(CartFault::from),
        })
    }
}

impl From<CartFault> for FaultSnapshot {
    fn from(fault: CartFault) -> Self {
        match fault {
            CartFault::UnknownProduct => Self::UnknownProduct,
            CartFault::UnknownVariant => Self::UnknownVariant,
            CartFault::VariantRequired => Self::VariantRequired,
            CartFault::Short => Self::Short,
            CartFault::TooLarge => Self::TooLarge,
        }
    }
}

impl From<FaultSnapshot> for CartFault {
    fn from(fault: FaultSnapshot) -> Self {
        match fault {
            FaultSnapshot::UnknownProduct => Self::UnknownProduct,
            FaultSnapshot::UnknownVariant => Self::UnknownVariant,
            FaultSnapshot::VariantRequired => Self::VariantRequired,
            FaultSnapshot::Short => Self::Short,
            FaultSnapshot::TooLarge => Self::TooLarge,
        }
    }
}
