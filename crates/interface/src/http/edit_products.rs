//! Products, put into the catalogue, changed and taken out of it by administrators.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use jangteo_application::Submission;
use jangteo_application::edit_products::{
    ADD_VARIANT, CHANGE_VARIANT, CREATE_PRODUCT, DELETE_PRODUCT, Edit, EditProduct, EditProducts, NewProduct,
    NewVariant, Update,
};
use jangteo_application::operation::Outcome;
use jangteo_application::trail::Administrator;
use jangteo_domain::catalogue::{
    Description, ImageUrl, ManagedProduct, ProductChanges, ProductDetails, ProductName,
};
use jangteo_domain::{Money, ProductId, StoreId};
use serde::Deserialize;
use utoipa::ToSchema;

use super::Shop;
use super::answers::{Answers, answered};
use super::body::{JsonBody, Object, json, located};
use super::edit_variants::shown_variant;
use super::endpoint::Endpoint;
use super::error::{ApiError, CatalogueFault, Reason};
use super::exact::{AmountInput, MoneyJson, WholeInput};
use super::headers::{Admin, CallerHeaders, Key, KeyHeader};
use super::managed_products::{self, ManagedProductBody};
use super::parameters::PathId;
use super::product_fields::{CreateVariant, Fields};
use super::versions::{IfMatch, IfMatchHeader, tagged};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::at("/api/v1/admin/products").get(managed_products::list).post(create),
        Endpoint::at("/api/v1/admin/products/{id}")
            .get(managed_products::product)
            .patch(change)
            .delete(delete),
        Endpoint::at("/api/v1/admin/products/{id}/images").put(set_images),
        Endpoint::at("/api/v1/admin/products/{id}/stock-movements").get(managed_products::stock_movements),
    ]
}

/// The store that sells what nobody else does.
const DEFAULT_STORE: StoreId = StoreId(1);

/// A product to put into the catalogue: sold as such, with a price and stock of its own, or as variants.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({
    "name": "유기농 면 티셔츠",
    "description": "Organic cotton T-shirt",
    "images": ["https://cdn.example.com/t-shirt.jpg"],
    "variants": [{"name": "M", "price": 19900.00, "stock": 30}, {"name": "L", "price": 21900.00, "stock": 12}],
}))]
pub(crate) struct CreateProduct {
    /// Who sells it.
    #[serde(default)]
    #[schema(value_type = i64, required = false, default = 1, minimum = 1)]
    store_id: WholeInput,
    #[serde(default)]
    #[schema(value_type = String, required = true, min_length = 1, max_length = 200)]
    name: Option<String>,
    #[serde(default)]
    #[schema(value_type = String, required = false, default = "", max_length = 10_000)]
    description: Option<String>,
    /// Of one piece: a number or a text, with at most two decimals. Required unless there are variants.
    #[serde(default)]
    #[schema(value_type = MoneyJson, required = false)]
    price: AmountInput,
    /// Pieces received at first. Not with variants: each has its own.
    #[serde(default)]
    #[schema(value_type = i64, required = false, default = 0, minimum = 0, maximum = 1_000_000_000)]
    stock: WholeInput,
    /// Whether it is on sale.
    #[serde(default)]
    #[schema(value_type = bool, required = false, default = true)]
    active: Option<bool>,
    /// Where its pictures are, in sequence: `http` or `https`.
    #[serde(default)]
    #[schema(value_type = Vec<String>, required = false, max_items = 20)]
    images: Option<Vec<String>>,
    /// What it is sold as.
    #[serde(default)]
    #[schema(value_type = Vec<CreateVariant>, required = false, max_items = 100)]
    variants: Option<Vec<Object<CreateVariant>>>,
}

impl CreateProduct {
    fn parse(&self) -> Result<NewProduct, ApiError> {
        let mut fields = Fields::default();
        let store = fields.store(self.store_id).unwrap_or(DEFAULT_STORE);
        let name = fields.text("name", self.name.as_deref());
        let name: Option<ProductName> = fields.required("name", self.name.is_some(), name);
        let description = self.description.as_deref().unwrap_or_default();
        let description: Option<Description> = fields.text("description", Some(description));
        let images: Vec<ImageUrl> = fields.images(self.images.as_deref().unwrap_or_default());
        let variants = self.parse_variants(&mut fields);
        let price = fields.price("price", self.price);
        let stock = fields.stock("stock", self.stock).unwrap_or(0);
        let price = match self.variants.as_deref() {
            None | Some([]) => fields.required("price", self.price != AmountInput::Missing, price),
            Some(_) => {
                self.must_be_left_to_variants(&mut fields);
                // Of variants that are all inactive, the product has the lowest price until one is active.
                variants.iter().map(|variant| variant.details.price).min().or(Some(Money::ZERO))
            }
        };
        let active = self.active.unwrap_or(true);
        let details = (|| {
            let (name, description, price) = (name?, description?, price?);
            Some(ProductDetails { store, name, description, price, active })
        })();
        fields.finish(details.map(|details| NewProduct { details, stock, images, variants }))
    }

    fn parse_variants(&self, fields: &mut Fields) -> Vec<NewVariant> {
        let variants = self.variants.as_deref().unwrap_or_default();
        let most = ManagedProduct::MOST_VARIANTS;
        if variants.len() > most {
            fields.fault("variants", Reason::TooManyEntries { most });
            return Vec::new();
        }
        let mut parsed: Vec<NewVariant> = Vec::new();
        for (index, Object(variant)) in variants.iter().enumerate() {
            let Some(new) = fields.new_variant(&format!("variants[{index}]."), variant) else { continue };
            if parsed.iter().any(|other| other.details.name == new.details.name) {
                fields.fault(format!("variants[{index}].name"), Reason::Catalogue(CatalogueFault::NameTaken));
            }
            parsed.push(new);
        }
        parsed
    }

    fn must_be_left_to_variants(&self, fields: &mut Fields) {
        let given =
            [("price", self.price != AmountInput::Missing), ("stock", self.stock != WholeInput::Missing)];
        for (field, _) in given.into_iter().filter(|(_, is_given)| *is_given) {
            fields.fault(field, Reason::Catalogue(CatalogueFault::OfVariants));
        }
    }
}

/// What is to be different about a product; what is not named stays.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"price": 17900.00, "active": true}))]
pub(crate) struct ChangeProduct {
    /// Who sells it.
    #[serde(default)]
    #[schema(value_type = i64, required = false, minimum = 1)]
    store_id: WholeInput,
    #[serde(default)]
    #[schema(value_type = String, required = false, min_length = 1, max_length = 200)]
    name: Option<String>,
    #[serde(default)]
    #[schema(value_type = String, required = false, max_length = 10_000)]
    description: Option<String>,
    /// Of one piece. That of a product with variants is the lowest of theirs, and follows them.
    #[serde(default)]
    #[schema(value_type = MoneyJson, required = false)]
    price: AmountInput,
    /// Whether it is on sale.
    #[serde(default)]
    #[schema(value_type = bool, required = false)]
    active: Option<bool>,
}

impl ChangeProduct {
    fn parse(&self) -> Result<ProductChanges, ApiError> {
        let mut fields = Fields::default();
        let changes = ProductChanges {
            store: fields.store(self.store_id),
            name: fields.text("name", self.name.as_deref()),
            description: fields.text("description", self.description.as_deref()),
            price: fields.price("price", self.price),
            active: self.active,
        };
        fields.finish(Some(changes))
    }
}

/// The pictures of a product.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"images": ["https://cdn.example.com/t-shirt-front.jpg", "https://cdn.example.com/t-shirt-back.jpg"]}))]
pub(crate) struct SetImages {
    /// Where they are, in sequence: `http` or `https`. All of them: none is kept that is not named.
    #[serde(default)]
    #[schema(value_type = Vec<String>, required = true, max_items = 20)]
    images: Option<Vec<String>>,
}

impl SetImages {
    fn parse(&self) -> Result<Vec<ImageUrl>, ApiError> {
        let mut fields = Fields::default();
        let images = self.images.as_deref().map(|images| fields.images(images));
        let images = fields.required("images", self.images.is_some(), images);
        fields.finish(images)
    }
}

/// Put a product into the catalogue
///
/// Sold as such, with a price and stock of its own, or as variants, each with theirs. What there is of it from the beginning
/// counts as received. For administrators.
#[utoipa::path(
    post,
    path = "/api/v1/admin/products",
    operation_id = "createProduct",
    tag = "Administration",
    params(CallerHeaders, KeyHeader),
    request_body = CreateProduct,
    responses(
        (
            status = 201,
            description = "The product.",
            headers(
                ("Location" = String, description = "Where administrators see it."),
                ("ETag" = String, description = "Its version, in quotes."),
            ),
            body = ManagedProductBody,
        ),
        (status = 404, description = "`NOT_FOUND`: there is no such store."),
        (status = 409, description = "`CONFLICT`: these are more pieces than can be kept, or the key was used for another request."),
    ),
)]
pub(crate) async fn create(
    shop: Data<Shop>,
    admin: Admin,
    key: Key,
    body: JsonBody<CreateProduct>,
) -> Result<HttpResponse, ApiError> {
    let edit = Edit::Create(body.0.parse()?);
    submit(&shop, admin.0, key, edit).await
}

/// Change a product
///
/// Only what is named changes. For administrators.
#[utoipa::path(
    patch,
    path = "/api/v1/admin/products/{id}",
    operation_id = "changeProduct",
    tag = "Administration",
    params(
        CallerHeaders,
        KeyHeader,
        IfMatchHeader,
        ("id" = i64, Path, description = "The product.", minimum = 1, example = 1),
    ),
    request_body = ChangeProduct,
    responses(
        (
            status = 200,
            description = "The product, changed.",
            headers(("ETag" = String, description = "Its version, in quotes.")),
            body = ManagedProductBody,
        ),
        (status = 404, description = "`NOT_FOUND`: there is no such product, or no such store."),
        (status = 409, description = "`CONFLICT`: the product was deleted, its price is that of its variants, or the key was used for another request."),
    ),
)]
pub(crate) async fn change(
    shop: Data<Shop>,
    admin: Admin,
    key: Key,
    expected: IfMatch,
    id: PathId,
    body: JsonBody<ChangeProduct>,
) -> Result<HttpResponse, ApiError> {
    let update = Update::Details(body.0.parse()?);
    submit_update(&shop, admin, key, (&id, expected), update).await
}

/// Delete a product
///
/// It is no longer sold or shown, but to administrators. Orders that have it stay what they are, and return their pieces to
/// it when they are cancelled. For administrators.
#[utoipa::path(
    delete,
    path = "/api/v1/admin/products/{id}",
    operation_id = "deleteProduct",
    tag = "Administration",
    params(
        CallerHeaders,
        KeyHeader,
        IfMatchHeader,
        ("id" = i64, Path, description = "The product.", minimum = 1, example = 1),
    ),
    responses(
        (status = 204, description = "It is deleted."),
        (status = 404, description = "`NOT_FOUND`: there is no such product."),
        (status = 409, description = "`CONFLICT`: it was deleted before, or the key was used for another request."),
    ),
)]
pub(crate) async fn delete(
    shop: Data<Shop>,
    admin: Admin,
    key: Key,
    expected: IfMatch,
    id: PathId,
) -> Result<HttpResponse, ApiError> {
    submit_update(&shop, admin, key, (&id, expected), Update::Delete).await
}

/// Show other pictures of a product
///
/// The whole list at once. For administrators.
#[utoipa::path(
    put,
    path = "/api/v1/admin/products/{id}/images",
    operation_id = "setProductImages",
    tag = "Administration",
    params(
        CallerHeaders,
        KeyHeader,
        IfMatchHeader,
        ("id" = i64, Path, description = "The product.", minimum = 1, example = 1),
    ),
    request_body = SetImages,
    responses(
        (
            status = 200,
            description = "The product with its pictures.",
            headers(("ETag" = String, description = "Its version, in quotes.")),
            body = ManagedProductBody,
        ),
        (status = 404, description = "`NOT_FOUND`: there is no such product."),
        (status = 409, description = "`CONFLICT`: the product was deleted, or the key was used for another request."),
    ),
)]
pub(crate) async fn set_images(
    shop: Data<Shop>,
    admin: Admin,
    key: Key,
    expected: IfMatch,
    id: PathId,
    body: JsonBody<SetImages>,
) -> Result<HttpResponse, ApiError> {
    let update = Update::Images(body.0.parse()?);
    submit_update(&shop, admin, key, (&id, expected), update).await
}

pub(super) async fn submit_update(
    shop: &Shop,
    admin: Admin,
    key: Key,
    (id, IfMatch(expected)): (&PathId, IfMatch),
    update: Update,
) -> Result<HttpResponse, ApiError> {
    submit(shop, admin.0, key, Edit::Update { product: ProductId(id.0), expected, update }).await
}

async fn submit(shop: &Shop, by: Administrator, key: Key, edit: Edit) -> Result<HttpResponse, ApiError> {
    let scope = edit.name();
    let command = EditProduct { by, edit };
    let answer = shop.product_edits.submit(Submission { command, key: key.0 }).await?;
    if let Ok(edited) = &answer.outcome {
        shop.catalogue_news.changed(edited.product.id);
    }
    answered(scope, answer)
}

impl Answers for EditProducts {
    fn answer(scope: &str, outcome: Outcome<Self>) -> Result<HttpResponse, ApiError> {
        let edited = outcome?;
        let location = format!("/api/v1/admin/products/{}", edited.product.id);
        Ok(match scope {
            CREATE_PRODUCT => located(shown(edited.product, StatusCode::CREATED), &location),
            DELETE_PRODUCT => HttpResponse::NoContent().finish(),
            ADD_VARIANT => located(shown_variant(&edited, StatusCode::CREATED)?, &location),
            CHANGE_VARIANT => shown_variant(&edited, StatusCode::OK)?,
            _ => shown(edited.product, StatusCode::OK),
        })
    }
}

fn shown(product: ManagedProduct, status: StatusCode) -> HttpResponse {
    let version = product.version;
    tagged(json(status, &ManagedProductBody::from(product)), version)
}
