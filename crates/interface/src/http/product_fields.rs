//! Fields of products as administrators write them.

use std::borrow::Cow;
use std::str::FromStr;

use jangteo_application::adjust_stock::AdjustRefusal;
use jangteo_application::edit_products::{EditRefusal, NewVariant};
use jangteo_application::versions::Stale;
use jangteo_domain::catalogue::{ImageUrl, ManagedProduct, TextError, VariantDetails};
use jangteo_domain::{Money, StoreId, VariantId};
use serde::Deserialize;
use utoipa::ToSchema;

use super::error::{ApiError, CatalogueFault, Detail, Problem, Reason};
use super::exact::{AmountInput, MoneyJson, WholeInput};

/// Fields that are being read, one after the other: every fault is noted. What is made of a faulty one is the same as of one
/// that is not there.
#[derive(Default)]
pub(super) struct Fields(Vec<Detail>);

impl Fields {
    pub(super) fn fault(&mut self, field: impl Into<Cow<'static, str>>, reason: Reason) {
        self.0.push(Detail::new(field, reason));
    }

    pub(super) fn text<T: FromStr<Err = TextError>>(
        &mut self,
        field: impl Into<Cow<'static, str>>,
        text: Option<&str>,
    ) -> Option<T> {
        text?.parse().map_err(|error: TextError| self.fault(field, error.into())).ok()
    }

    pub(super) fn price(&mut self, field: impl Into<Cow<'static, str>>, price: AmountInput) -> Option<Money> {
        match price {
            AmountInput::Missing => None,
            AmountInput::Amount(price) if !price.is_negative() => Some(price),
            AmountInput::Amount(_) => {
                self.fault(field, Reason::BelowMinimum { minimum: Money::ZERO });
                None
            }
            AmountInput::NotAnAmount(error) => {
                self.fault(field, Reason::Amount(error));
                None
            }
        }
    }

    /// Pieces that are there from the beginning.
    pub(super) fn stock(&mut self, field: impl Into<Cow<'static, str>>, stock: WholeInput) -> Option<i64> {
        self.whole(field, stock, 0)
    }

    /// Pieces, as many as can be moved at once.
    pub(super) fn whole(
        &mut self,
        field: impl Into<Cow<'static, str>>,
        number: WholeInput,
        least: i64,
    ) -> Option<i64> {
        let most = ManagedProduct::MOST_PIECES;
        match number {
            WholeInput::Missing => None,
            WholeInput::Whole(number) if (least..=most).contains(&number) => Some(number),
            WholeInput::Whole(_) | WholeInput::Other => {
                self.fault(field, Reason::OutOfRange { least, most });
                None
            }
        }
    }

    pub(super) fn store(&mut self, store: WholeInput) -> Option<StoreId> {
        self.id("storeId", store).map(StoreId)
    }

    pub(super) fn variant(&mut self, variant: WholeInput) -> Option<VariantId> {
        self.id("variantId", variant).map(VariantId)
    }

    fn id(&mut self, field: &'static str, id: WholeInput) -> Option<i64> {
        match id {
            WholeInput::Missing => None,
            WholeInput::Whole(id) if id > 0 => Some(id),
            WholeInput::Whole(_) | WholeInput::Other => {
                self.fault(field, Reason::NotAnId);
                None
            }
        }
    }

    /// What has to be there, unless it is there and faulty.
    pub(super) fn required<T>(
        &mut self,
        field: impl Into<Cow<'static, str>>,
        is_given: bool,
        value: Option<T>,
    ) -> Option<T> {
        if !is_given {
            self.fault(field, Reason::Required);
        }
        value
    }

    /// Where pictures are, in sequence.
    pub(super) fn images(&mut self, images: &[String]) -> Vec<ImageUrl> {
        let most = ManagedProduct::MOST_IMAGES;
        if images.len() > most {
            self.fault("images", Reason::TooManyEntries { most });
            return Vec::new();
        }
        let urls = images.iter().enumerate();
        urls.filter_map(|(index, url)| self.text(format!("images[{index}]"), Some(url))).collect()
    }

    /// A variant whose fields are called `prefix` and their names.
    pub(super) fn new_variant(&mut self, prefix: &str, variant: &CreateVariant) -> Option<NewVariant> {
        let CreateVariant { name, price, stock, active } = variant;
        let field = |name: &str| format!("{prefix}{name}");
        let given = name.is_some();
        let name = self.text(field("name"), name.as_deref());
        let name = self.required(field("name"), given, name);
        let given = *price != AmountInput::Missing;
        let price = self.price(field("price"), *price);
        let price = self.required(field("price"), given, price);
        let stock = self.stock(field("stock"), *stock).unwrap_or(0);
        let details = VariantDetails { name: name?, price: price?, active: active.unwrap_or(true) };
        Some(NewVariant { details, stock })
    }

    /// What was read, if nothing is wrong with it.
    pub(super) fn finish<T>(self, read: Option<T>) -> Result<T, ApiError> {
        match read {
            Some(read) if self.0.is_empty() => Ok(read),
            Some(_) | None => Err(ApiError::invalid(self.0)),
        }
    }
}

/// Something that a product is sold as.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "M", "price": 19900.00, "stock": 20}))]
pub(crate) struct CreateVariant {
    /// Unique within the product.
    #[serde(default)]
    #[schema(value_type = String, required = true, min_length = 1, max_length = 100)]
    name: Option<String>,
    /// Of one piece: a number or a text, with at most two decimals.
    #[serde(default)]
    #[schema(value_type = MoneyJson, required = true)]
    price: AmountInput,
    /// Pieces received at first.
    #[serde(default)]
    #[schema(value_type = i64, required = false, default = 0, minimum = 0, maximum = 1_000_000_000)]
    stock: WholeInput,
    /// Whether it is on sale.
    #[serde(default)]
    #[schema(value_type = bool, required = false, default = true)]
    active: Option<bool>,
}

impl From<TextError> for Reason {
    fn from(error: TextError) -> Self {
        match error {
            TextError::NotALine { longest } => Self::NotALine { longest },
            TextError::TooLong { longest } => Self::TooLong { longest },
            TextError::Control => Self::Malformed,
            TextError::NotAnAddress => Self::NotAnAddress,
        }
    }
}

fn refused(fault: CatalogueFault, field: &'static str) -> ApiError {
    ApiError::from(Problem::Catalogue(fault)).with(vec![Detail::new(field, Reason::Catalogue(fault))])
}

impl From<EditRefusal> for ApiError {
    fn from(refusal: EditRefusal) -> Self {
        match refusal {
            EditRefusal::Unknown => Problem::NoSuchProduct.into(),
            EditRefusal::UnknownStore => refused(CatalogueFault::UnknownStore, "storeId"),
            EditRefusal::Stale { version } => Stale { version }.into(),
            EditRefusal::Deleted => Problem::Catalogue(CatalogueFault::Deleted).into(),
            EditRefusal::PricedByVariants => refused(CatalogueFault::PricedByVariants, "price"),
            EditRefusal::OwnStock { stock } => refused(CatalogueFault::OwnStock { stock }, "stock"),
            EditRefusal::UnknownVariant => Problem::Catalogue(CatalogueFault::UnknownVariant).into(),
            EditRefusal::NameTaken => refused(CatalogueFault::NameTaken, "name"),
            EditRefusal::TooManyVariants => refused(CatalogueFault::TooManyVariants, "variants"),
            EditRefusal::TooManyPieces { room } => refused(CatalogueFault::TooManyPieces { room }, "stock"),
        }
    }
}

impl From<AdjustRefusal> for ApiError {
    fn from(refusal: AdjustRefusal) -> Self {
        match refusal {
            AdjustRefusal::Unknown => Problem::NoSuchProduct.into(),
            AdjustRefusal::Deleted => Problem::Catalogue(CatalogueFault::Deleted).into(),
            AdjustRefusal::VariantNeeded => Self::invalid_field("variantId", Reason::Required),
            AdjustRefusal::NoVariants => {
                Self::invalid_field("variantId", Reason::Catalogue(CatalogueFault::NoVariants))
            }
            AdjustRefusal::UnknownVariant => refused(CatalogueFault::UnknownVariant, "variantId"),
            AdjustRefusal::Short { requested, available } => {
                let short = Reason::Catalogue(CatalogueFault::Short { requested, available });
                Self::from(Problem::OutOfStock).with(vec![Detail::new("quantity", short)])
            }
            AdjustRefusal::TooMany { room } => refused(CatalogueFault::TooManyPieces { room }, "quantity"),
        }
    }
}
