//! Products as JSON: what the trail tells and what idempotency records keep.

use jangteo_domain::catalogue::{
    ImageUrl, ManagedProduct, ProductChanges, ProductDetails, TextError, Variant, VariantChanges,
    VariantDetails,
};
use jangteo_domain::{ProductId, StoreId, VariantId};
use serde::de::Error as _;
use serde::{Deserialize, Serialize};

use super::{Edit, NewProduct, NewVariant, Update};
use crate::idempotency::Fingerprint;
use crate::snapshot::{Moment, MoneyText};
use crate::versions::Expected;

/// A product in full.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProductSnapshot {
    id: i64,
    store_id: i64,
    name: String,
    description: String,
    price: MoneyText,
    active: bool,
    stock: i64,
    variants: Vec<VariantSnapshot>,
    images: Vec<String>,
    sales_volume: i64,
    version: i32,
    created_at: Moment,
    updated_at: Moment,
    deleted_at: Option<Moment>,
}

#[derive(Debug, Serialize, Deserialize)]
struct VariantSnapshot {
    id: i64,
    name: String,
    price: MoneyText,
    active: bool,
    stock: i64,
}

impl From<&ManagedProduct> for ProductSnapshot {
    fn from(product: &ManagedProduct) -> Self {
        let ProductDetails { store, name, description, price, active } = &product.details;
        Self {
            id: product.id.0,
            store_id: store.0,
            name: name.to_string(),
            description: description.to_string(),
            price: MoneyText(*price),
            active: *active,
            stock: product.stock,
            variants: product.variants.iter().map(VariantSnapshot::from).collect(),
            images: product.images.iter().map(ImageUrl::to_string).collect(),
            sales_volume: product.sales_volume,
            version: product.version,
            created_at: Moment(product.created_at),
            updated_at: Moment(product.updated_at),
            deleted_at: product.deleted_at.map(Moment),
        }
    }
}

impl From<&Variant> for VariantSnapshot {
    fn from(variant: &Variant) -> Self {
        let VariantDetails { name, price, active } = &variant.details;
        let (name, price) = (name.to_string(), MoneyText(*price));
        Self { id: variant.id.0, name, price, active: *active, stock: variant.stock }
    }
}

impl ProductSnapshot {
    pub(super) fn into_product(self) -> Result<ManagedProduct, serde_json::Error> {
        let images: Result<_, TextError> = self.images.iter().map(|image| image.parse()).collect();
        Ok(ManagedProduct {
            id: ProductId(self.id),
            details: ProductDetails {
                store: StoreId(self.store_id),
                name: self.name.parse().map_err(serde_json::Error::custom)?,
                description: self.description.parse().map_err(serde_json::Error::custom)?,
                price: self.price.0,
                active: self.active,
            },
            stock: self.stock,
            variants: self.variants.into_iter().map(Variant::try_from).collect::<Result<_, _>>()?,
            images: images.map_err(serde_json::Error::custom)?,
            sales_volume: self.sales_volume,
            version: self.version,
            created_at: self.created_at.0,
            updated_at: self.updated_at.0,
            deleted_at: self.deleted_at.map(|at| at.0),
        })
    }
}

impl TryFrom<VariantSnapshot> for Variant {
    type Error = serde_json::Error;

    fn try_from(variant: VariantSnapshot) -> Result<Self, serde_json::Error> {
        let name = variant.name.parse().map_err(serde_json::Error::custom)?;
        Ok(Self {
            id: VariantId(variant.id),
            details: VariantDetails { name, price: variant.price.0, active: variant.active },
            stock: variant.stock,
        })
    }
}

/// The version that an edit is meant for is part of what is asked for.
pub(super) fn fingerprint(edit: &Edit) -> Fingerprint {
    match edit {
        Edit::Create(new) => {
            let NewProduct { details, stock, images, variants } = new;
            let ProductDetails { store, name, description, price, active } = details;
            let images: Vec<&str> = images.iter().map(ImageUrl::as_str).collect();
            let variants: Vec<_> = variants.iter().map(new_variant).collect();
            let price = MoneyText(*price);
            let details = (store.0, name.as_str(), description.as_str(), price, active);
            Fingerprint::of(&(details, stock, images, variants))
        }
        Edit::Update { product, expected, update } => {
            let expected = match expected {
                Expected::Any => None,
                Expected::OneOf(versions) => Some(versions),
            };
            let target = (product.0, expected);
            match update {
                Update::Details(changes) => {
                    let ProductChanges { store, name, description, price, active } = changes;
                    let name = name.as_ref().map(ToString::to_string);
                    let description = description.as_ref().map(ToString::to_string);
                    let store = store.map(|store| store.0);
                    Fingerprint::of(&(target, store, name, description, price.map(MoneyText), active))
                }
                Update::Delete => Fingerprint::of(&target),
                Update::AddVariant(new) => Fingerprint::of(&(target, new_variant(new))),
                Update::Variant(variant, changes) => {
                    let VariantChanges { name, price, active } = changes;
                    let name = name.as_ref().map(ToString::to_string);
                    Fingerprint::of(&(target, variant.0, name, price.map(MoneyText), active))
                }
                Update::Images(images) => {
                    let images: Vec<&str> = images.iter().map(ImageUrl::as_str).collect();
                    Fingerprint::of(&(target, images))
                }
            }
        }
    }
}

fn new_variant(new: &NewVariant) -> (&str, MoneyText, bool, i64) {
    let VariantDetails { name, price, active } = &new.details;
    (name.as_str(), MoneyText(*price), *active, new.stock)
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use jangteo_domain::Money;

    use super::*;
    use crate::edit_products::{EditProducts, EditRefusal, Edited};
    use crate::operation::Operation;

    #[test]
    fn an_outcome_can_be_told_again() {
        let now = DateTime::UNIX_EPOCH;
        let details = ProductDetails {
            store: StoreId(2),
            name: "셔츠".parse().unwrap(),
            description: "two\nlines".parse().unwrap(),
            price: Money::from_minor(19_900_05),
            active: false,
        };
        let images = vec!["https://example.com/a.png".parse().unwrap()];
        let mut product = ManagedProduct::new(ProductId(1), details, images, 0, now).unwrap();
        let name = "M".parse().unwrap();
        let details = VariantDetails { name, price: Money::from_minor(5), active: true };
        product.add_variant(VariantId(3), details, 4).unwrap();
        product.delete(now).unwrap();
        let edited = Edited { product, variant: Some(VariantId(3)) };
        for outcome in [Ok(edited), Err(EditRefusal::Stale { version: 3 })] {
            let record = EditProducts::record(&outcome).unwrap();
            assert_eq!(EditProducts::replay(&record).unwrap(), outcome);
        }
        // It could never be accepted: whoever corrects it may use its key.
        assert_eq!(EditProducts::record(&Err(EditRefusal::UnknownStore)), None);
    }
}
