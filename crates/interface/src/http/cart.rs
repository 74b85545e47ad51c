//! Carts.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use jangteo_application::Submission;
use jangteo_application::change_carts::{ADD_CART_ITEM, CartChange, Change, ChangeCarts};
use jangteo_application::operation::Outcome;
use jangteo_domain::cart::{CartFault, CartLineView, CartRefusal, CartView};
use jangteo_domain::product::NotSold;
use jangteo_domain::{CartItemId, Quantity, Sku};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Shop;
use super::answers::{Answers, answered};
use super::body::{JsonBody, json, ok};
use super::endpoint::Endpoint;
use super::error::{ApiError, Detail, OrderFault, Problem, Reason};
use super::exact::{MoneyJson, WholeInput};
use super::headers::{Caller, CallerHeaders, Key, KeyHeader};
use super::orders::{parse_pieces, parse_product, parse_variant};
use super::parameters::PathId;
use super::users::must_exist;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::at("/api/v1/cart").get(cart).delete(clear),
        Endpoint::at("/api/v1/cart/items").post(add),
        Endpoint::at("/api/v1/cart/items/{id}").patch(change).delete(remove),
    ]
}

/// A cart, at today's prices.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({
    "items": [
        {
            "id": 31, "productId": 101, "variantId": 7, "name": "유기농 면 티셔츠", "variantName": "빨강-L",
            "imageUrl": "https://example.com/images/101-1.jpg", "unitPrice": 19900.00, "qty": 2, "subtotal": 39800.00,
            "stock": 10, "available": true, "unavailableReason": null,
        },
        {
            "id": 32, "productId": 102, "variantId": null, "name": "양말", "variantName": null,
            "imageUrl": null, "unitPrice": 5000.00, "qty": 3, "subtotal": 15000.00,
            "stock": 1, "available": false, "unavailableReason": "OUT_OF_STOCK",
        },
    ],
    "totalAmount": 39800.00,
}))]
pub(crate) struct CartBody {
    /// In the order in which they were put in.
    items: Vec<CartItemBody>,
    /// What the available lines cost together.
    total_amount: MoneyJson,
}

/// A line of a cart.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CartItemBody {
    /// The line; it stays the same while its pieces change.
    id: i64,
    product_id: i64,
    /// Which variant, if the product is sold as variants.
    variant_id: Option<i64>,
    name: String,
    /// The variant's name.
    variant_name: Option<String>,
    /// The first picture of the product.
    image_url: Option<String>,
    /// Today's. An order takes the price anew.
    unit_price: MoneyJson,
    qty: i64,
    /// `unitPrice` times `qty`; null if that is more than can be counted.
    subtotal: Option<MoneyJson>,
    /// Pieces left.
    stock: i64,
    /// Whether it could be ordered now.
    available: bool,
    /// Why not: `UNKNOWN_PRODUCT` or `UNKNOWN_VARIANT` (not on sale any more), `VARIANT_REQUIRED` (sold as variants by now),
    /// `OUT_OF_STOCK` or `AMOUNT_TOO_LARGE`.
    #[schema(value_type = Option<String>, example = "OUT_OF_STOCK")]
    unavailable_reason: Option<&'static str>,
}

impl From<CartView> for CartBody {
    fn from(cart: CartView) -> Self {
        let items = cart.lines.into_iter().map(CartItemBody::from).collect();
        Self { items, total_amount: MoneyJson(cart.total) }
    }
}

impl From<CartLineView> for CartItemBody {
    fn from(view: CartLineView) -> Self {
        let subtotal = view.subtotal().map(MoneyJson);
        Self {
            id: view.line.id.0,
            product_id: view.line.sku.product.0,
            variant_id: view.line.sku.variant.map(|variant| variant.0),
            name: view.name,
            variant_name: view.variant_name,
            image_url: view.image_url,
            unit_price: MoneyJson(view.unit_price),
            qty: view.line.quantity.get(),
            subtotal,
            stock: view.stock,
            available: view.fault.is_none(),
            unavailable_reason: view.fault.map(fault_name),
        }
    }
}

/// As an order would be refused.
fn fault_name(fault: CartFault) -> &'static str {
    match fault {
        CartFault::UnknownProduct => "UNKNOWN_PRODUCT",
        CartFault::UnknownVariant => "UNKNOWN_VARIANT",
        CartFault::VariantRequired => "VARIANT_REQUIRED",
        CartFault::Short => "OUT_OF_STOCK",
        CartFault::TooLarge => "AMOUNT_TOO_LARGE",
    }
}

/// How much of what to put into the cart.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"productId": 1, "qty": 2}))]
pub(crate) struct AddCartItem {
    #[serde(default)]
    #[schema(value_type = i64, required = true, minimum = 1)]
    product_id: WholeInput,
    /// Which variant, of a product that is sold as variants.
    #[serde(default)]
    #[schema(value_type = Option<i64>, minimum = 1)]
    variant_id: WholeInput,
    /// Pieces, which are added to those that are there.
    #[serde(default)]
    #[schema(value_type = i64, required = true, minimum = 1, maximum = 1_000_000)]
    qty: WholeInput,
}

impl AddCartItem {
    fn parse(&self) -> Result<Change, ApiError> {
        let product = parse_product(self.product_id);
        let variant = parse_variant(self.variant_id);
        let pieces = parse_pieces(self.qty);
        match (product, variant, pieces) {
            (Ok(product), Ok(variant), Ok(pieces)) => Ok(Change::Add(Sku { product, variant }, pieces)),
            (product, variant, pieces) => {
                let faults =
                    [("productId", product.err()), ("variantId", variant.err()), ("qty", pieces.err())];
                let faults = faults.into_iter();
                Err(ApiError::invalid(
                    faults.filter_map(|(field, reason)| Some(Detail::new(field, reason?))).collect(),
                ))
            }
        }
    }
}

/// How many pieces a line is to have.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"qty": 3}))]
pub(crate) struct ChangeCartItem {
    /// Pieces, instead of those that are there.
    #[serde(default)]
    #[schema(value_type = i64, required = true, minimum = 1, maximum = 1_000_000)]
    qty: WholeInput,
}

impl ChangeCartItem {
    fn parse(&self) -> Result<Quantity, ApiError> {
        parse_pieces(self.qty).map_err(|reason| ApiError::invalid_field("qty", reason))
    }
}

/// Why a cart was not changed. A body that names the product has fields to tell of; a path has a line.
fn refused(refusal: CartRefusal, scope: &str) -> ApiError {
    let (product, variant) = match scope {
        ADD_CART_ITEM => ("productId", "variantId"),
        _ => ("id", "id"),
    };
    let (problem, field, reason) = match refusal {
        CartRefusal::UnknownItem => (Problem::NoSuchCartItem, "id", Reason::UnknownCartItem),
        CartRefusal::NotSold(sku, NotSold::UnknownProduct) => {
            let reason = Reason::Order(OrderFault::UnknownProduct { product: sku.product });
            (Problem::NoSuchProduct, product, reason)
        }
        CartRefusal::NotSold(sku, NotSold::UnknownVariant) => {
            (Problem::NoSuchProduct, variant, Reason::Order(OrderFault::UnknownVariant { sku }))
        }
        CartRefusal::NotSold(sku, NotSold::VariantRequired) => {
            let reason = Reason::Order(OrderFault::VariantRequired { product: sku.product });
            (Problem::Invalid, variant, reason)
        }
        CartRefusal::TooMany(sku) => {
            (Problem::Invalid, "qty", Reason::Order(OrderFault::TooManyPieces { sku }))
        }
        CartRefusal::Short(short) => (Problem::OutOfStock, "qty", Reason::Order(OrderFault::Short(short))),
        CartRefusal::Full => (Problem::CartFull, product, Reason::CartFull),
    };
    ApiError::from(problem).with(vec![Detail::new(field, reason)])
}

/// The caller's cart
///
/// At today's prices and with what is in stock at this moment. Lines that could not be ordered now stay, with the reason, and
/// do not count in `totalAmount`. Nothing is held for a cart: an order decides on prices and stocks of its own moment.
#[utoipa::path(
    get,
    path = "/api/v1/cart",
    operation_id = "getCart",
    tag = "Cart",
    params(CallerHeaders),
    responses(
        (status = 200, description = "The cart, empty if nothing was put in.", body = CartBody),
        (status = 404, description = "`NOT_FOUND`: there is no such user."),
    ),
)]
pub(crate) async fn cart(shop: Data<Shop>, caller: Caller) -> Result<HttpResponse, ApiError> {
    let cart = shop.customers.cart(caller.user).await?;
    if cart.lines.is_empty() {
        must_exist(&shop, caller.user).await?;
    }
    Ok(ok(&CartBody::from(cart)))
}

/// Put something into the cart
///
/// Pieces of what is in the cart already are added to those there are. Together they must be in stock at this moment: that is
/// looked up without holding them, so an order may find fewer. A cart has at most 100 lines, as many as an order.
#[utoipa::path(
    post,
    path = "/api/v1/cart/items",
    operation_id = "addCartItem",
    tag = "Cart",
    params(CallerHeaders, KeyHeader),
    request_body = AddCartItem,
    responses(
        (status = 201, description = "The cart with it.", body = CartBody),
        (status = 400, description = "`VALIDATION_ERROR`: the request does not parse or is out of range, the product is sold as variants and none is named, or the pieces add up to more than 1,000,000."),
        (status = 404, description = "`NOT_FOUND`: there is no such user, or the product or variant is not on sale."),
        (status = 409, description = "`OUT_OF_STOCK`: there are not enough pieces for all that would be in the cart. `CONFLICT`: the cart is full, or the key was used for another request."),
    ),
)]
pub(crate) async fn add(
    shop: Data<Shop>,
    caller: Caller,
    key: Key,
    body: JsonBody<AddCartItem>,
) -> Result<HttpResponse, ApiError> {
    let change = body.0.parse()?;
    submit(&shop, caller, key, change).await
}

/// Change how many pieces a line of the cart has
///
/// So many must be in stock at this moment, as when something is put in.
#[utoipa::path(
    patch,
    path = "/api/v1/cart/items/{id}",
    operation_id = "changeCartItem",
    tag = "Cart",
    params(CallerHeaders, KeyHeader, ("id" = i64, Path, description = "The line.", minimum = 1)),
    request_body = ChangeCartItem,
    responses(
        (status = 200, description = "The cart with the change.", body = CartBody),
        (status = 400, description = "`VALIDATION_ERROR`: the request does not parse or is out of range, or the product is sold as variants by now."),
        (status = 404, description = "`NOT_FOUND`: the caller's cart has no such line, or its product or variant is not on sale any more."),
        (status = 409, description = "`OUT_OF_STOCK`: there are not enough pieces. `CONFLICT`: the key was used for another request."),
    ),
)]
pub(crate) async fn change(
    shop: Data<Shop>,
    caller: Caller,
    key: Key,
    id: PathId,
    body: JsonBody<ChangeCartItem>,
) -> Result<HttpResponse, ApiError> {
    let change = Change::SetQuantity(CartItemId(id.0), body.0.parse()?);
    submit(&shop, caller, key, change).await
}

/// Take a line out of the cart
#[utoipa::path(
    delete,
    path = "/api/v1/cart/items/{id}",
    operation_id = "removeCartItem",
    tag = "Cart",
    params(CallerHeaders, KeyHeader, ("id" = i64, Path, description = "The line.", minimum = 1)),
    responses(
        (status = 204, description = "It is gone."),
        (status = 404, description = "`NOT_FOUND`: the caller's cart has no such line."),
        (status = 409, description = "`CONFLICT`: the key was used for another request."),
    ),
)]
pub(crate) async fn remove(
    shop: Data<Shop>,
    caller: Caller,
    key: Key,
    id: PathId,
) -> Result<HttpResponse, ApiError> {
    submit(&shop, caller, key, Change::Remove(CartItemId(id.0))).await
}

/// Empty the cart
///
/// Also if it is empty.
#[utoipa::path(
    delete,
    path = "/api/v1/cart",
    operation_id = "clearCart",
    tag = "Cart",
    params(CallerHeaders, KeyHeader),
    responses(
        (status = 204, description = "It is empty."),
        (status = 404, description = "`NOT_FOUND`: there is no such user."),
        (status = 409, description = "`CONFLICT`: the key was used for another request."),
    ),
)]
pub(crate) async fn clear(shop: Data<Shop>, caller: Caller, key: Key) -> Result<HttpResponse, ApiError> {
    submit(&shop, caller, key, Change::Clear).await
}

async fn submit(shop: &Shop, caller: Caller, key: Key, change: Change) -> Result<HttpResponse, ApiError> {
    let command = CartChange { user: caller.user, change };
    answered(change.name(), shop.cart_changes.submit(Submission { command, key: key.0 }).await?)
}

impl Answers for ChangeCarts {
    /// Shows the cart if there is something to show of it.
    fn answer(scope: &str, outcome: Outcome<Self>) -> Result<HttpResponse, ApiError> {
        let status = if scope == ADD_CART_ITEM { StatusCode::CREATED } else { StatusCode::OK };
        Ok(match outcome.map_err(|refusal| refused(refusal, scope))? {
            Some(cart) => json(status, &CartBody::from(cart)),
            None => HttpResponse::NoContent().finish(),
        })
    }
}
