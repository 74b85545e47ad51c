//! The catalogue as administrators see it.

use actix_web::HttpResponse;
use actix_web::web::Data;
use jangteo_application::product_queries::{ManagedList, ManagedView, StockChange, StockLine};
use jangteo_domain::catalogue::{ManagedProduct, Variant};
use jangteo_domain::{ProductId, StoreId};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::Shop;
use super::body::ok;
use super::error::{ApiError, Problem};
use super::exact::{Moment, MoneyJson};
use super::headers::{Admin, CallerHeaders};
use super::pages::{PageBody, PageParameters};
use super::parameters::{FromQuery, Parameters, PathId, Query};
use super::products::{SearchParameter, SortParameter, StoreParameter};
use super::versions::tagged;

/// A product, whether it is on sale or not.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({
    "id": 101,
    "storeId": 1,
    "name": "유기농 면 티셔츠",
    "description": "Organic cotton T-shirt",
    "price": 19900.00,
    "stock": 42,
    "active": true,
    "variants": [
        {"id": 7, "name": "M", "price": 19900.00, "stock": 30, "active": true},
        {"id": 8, "name": "L", "price": 21900.00, "stock": 12, "active": true},
    ],
    "images": ["https://cdn.example.com/t-shirt-front.jpg", "https://cdn.example.com/t-shirt-back.jpg"],
    "salesVolume": 7,
    "version": 3,
    "createdAt": "2025-11-09T12:34:56Z",
    "updatedAt": "2025-11-10T09:00:00Z",
    "deletedAt": null,
}))]
pub(crate) struct ManagedProductBody {
    id: i64,
    /// Who sells it.
    store_id: i64,
    name: String,
    description: String,
    /// Of one piece; of a product with variants the lowest price of the active ones.
    price: MoneyJson,
    /// Pieces left, those of all variants together.
    stock: i64,
    /// Whether it is on sale.
    active: bool,
    /// What it is sold as, inactive ones included; nothing if it is sold as such.
    variants: Vec<ManagedVariantBody>,
    /// Where its pictures are, in sequence.
    images: Vec<String>,
    /// Pieces sold so far.
    sales_volume: i64,
    /// Counts the changes, as does the `ETag`; those of stock are not counted.
    version: i32,
    created_at: Moment,
    /// When an administrator last changed it.
    updated_at: Moment,
    /// When it was deleted.
    deleted_at: Option<Moment>,
}

/// What a product is sold as.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"id": 7, "name": "M", "price": 19900.00, "stock": 30, "active": true}))]
pub(crate) struct ManagedVariantBody {
    id: i64,
    name: String,
    /// Of one piece.
    price: MoneyJson,
    /// Pieces left.
    stock: i64,
    /// Whether it is on sale.
    active: bool,
}

impl From<ManagedProduct> for ManagedProductBody {
    fn from(product: ManagedProduct) -> Self {
        Self {
            id: product.id.0,
            store_id: product.details.store.0,
            name: product.details.name.to_string(),
            description: product.details.description.to_string(),
            price: MoneyJson(product.details.price),
            stock: product.stock,
            active: product.details.active,
            variants: product.variants.iter().map(ManagedVariantBody::from).collect(),
            images: product.images.iter().map(ToString::to_string).collect(),
            sales_volume: product.sales_volume,
            version: product.version,
            created_at: Moment(product.created_at),
            updated_at: Moment(product.updated_at),
            deleted_at: product.deleted_at.map(Moment),
        }
    }
}

impl From<&Variant> for ManagedVariantBody {
    fn from(variant: &Variant) -> Self {
        Self {
            id: variant.id.0,
            name: variant.details.name.to_string(),
            price: MoneyJson(variant.details.price),
            stock: variant.stock,
            active: variant.details.active,
        }
    }
}

/// A product in a list.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({
    "id": 101,
    "storeId": 1,
    "name": "유기농 면 티셔츠",
    "price": 19900.00,
    "stock": 42,
    "active": true,
    "hasVariants": true,
    "salesVolume": 7,
    "version": 3,
    "createdAt": "2025-11-09T12:34:56Z",
    "updatedAt": "2025-11-10T09:00:00Z",
    "deletedAt": null,
}))]
pub(crate) struct ManagedProductItem {
    id: i64,
    store_id: i64,
    name: String,
    price: MoneyJson,
    /// Pieces left, those of all variants together.
    stock: i64,
    active: bool,
    has_variants: bool,
    /// Pieces sold so far.
    sales_volume: i64,
    version: i32,
    created_at: Moment,
    updated_at: Moment,
    deleted_at: Option<Moment>,
}

impl From<ManagedView> for ManagedProductItem {
    fn from(product: ManagedView) -> Self {
        Self {
            id: product.id.0,
            store_id: product.store.0,
            name: product.name,
            price: MoneyJson(product.price),
            stock: product.stock,
            active: product.active,
            has_variants: product.has_variants,
            sales_volume: product.sales_volume,
            version: product.version,
            created_at: Moment(product.created_at),
            updated_at: Moment(product.updated_at),
            deleted_at: product.deleted_at.map(Moment),
        }
    }
}

/// Which products to list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct StateParameters {
    /// Those that are active, or those that are not.
    #[param(nullable = false)]
    active: Option<bool>,
    /// Those that were deleted instead of those that were not.
    #[param(required = false, default = false)]
    deleted: bool,
}

/// What the list of products is asked with.
pub(crate) struct ListParameters {
    search: SearchParameter,
    store: StoreParameter,
    state: StateParameters,
    page: PageParameters,
    sort: SortParameter,
}

impl FromQuery for ListParameters {
    fn take_from(query: &mut Query) -> Self {
        let active = query.truth("active");
        let deleted = query.truth("deleted").unwrap_or(false);
        Self {
            search: SearchParameter::take_from(query),
            store: StoreParameter::take_from(query),
            state: StateParameters { active, deleted },
            page: PageParameters::take_from(query),
            sort: SortParameter::take_from(query),
        }
    }
}

impl ListParameters {
    fn list(self) -> ManagedList {
        let (sort, direction) = self.sort.sort;
        ManagedList {
            search: self.search.words,
            store: self.store.store_id.map(StoreId),
            active: self.state.active,
            deleted: self.state.deleted,
            page: self.page.request(),
            sort,
            direction,
        }
    }
}

/// Products, on sale or not
///
/// As they are at the moment. For administrators.
#[utoipa::path(
    get,
    path = "/api/v1/admin/products",
    operation_id = "listManagedProducts",
    tag = "Administration",
    params(CallerHeaders, SearchParameter, StoreParameter, StateParameters, PageParameters, SortParameter),
    responses(
        (status = 200, description = "A page of products.", body = PageBody<ManagedProductItem>),
    ),
)]
pub(crate) async fn list(
    shop: Data<Shop>,
    _admin: Admin,
    parameters: Parameters<ListParameters>,
) -> Result<HttpResponse, ApiError> {
    let products = shop.managed_catalogue.managed_products(parameters.0.list()).await?;
    Ok(ok(&PageBody::of(products, ManagedProductItem::from)))
}

/// One product with everything there is of it
///
/// Inactive and deleted ones as well. Its `ETag` is what `If-Match` of a change is set to. For administrators.
#[utoipa::path(
    get,
    path = "/api/v1/admin/products/{id}",
    operation_id = "getManagedProduct",
    tag = "Administration",
    params(CallerHeaders, ("id" = i64, Path, description = "The product.", minimum = 1, example = 1)),
    responses(
        (
            status = 200,
            description = "The product.",
            headers(("ETag" = String, description = "Its version, in quotes.")),
            body = ManagedProductBody,
        ),
        (status = 404, description = "`NOT_FOUND`: there is no such product."),
    ),
)]
pub(crate) async fn product(shop: Data<Shop>, _admin: Admin, id: PathId) -> Result<HttpResponse, ApiError> {
    let product = shop.managed_catalogue.managed_product(ProductId(id.0)).await?;
    let product = product.ok_or(Problem::NoSuchProduct)?;
    let version = product.version;
    Ok(tagged(ok(&ManagedProductBody::from(product)), version))
}

/// A movement of stock.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({
    "id": 9042,
    "kind": "ADJUST",
    "quantity": -2,
    "stockAfter": 40,
    "variantId": 8,
    "orderId": null,
    "reason": "파손",
    "createdAt": "2025-11-10T09:00:00Z",
}))]
pub(crate) struct StockMovementBody {
    id: i64,
    /// `SALE`, `RETURN`, `RECEIVE`, `ADJUST`, `HOLD` or `RELEASE`.
    #[schema(value_type = String)]
    kind: &'static str,
    /// What was added to the stock: negative when pieces left it.
    quantity: i64,
    /// The stock of the product once it was added, that of all variants together.
    stock_after: i64,
    /// The variant, of a product that has any.
    variant_id: Option<i64>,
    /// The order that moved it.
    order_id: Option<i64>,
    /// Why, in the administrator's words.
    reason: Option<String>,
    created_at: Moment,
}

impl From<StockLine> for StockMovementBody {
    fn from(line: StockLine) -> Self {
        Self {
            id: line.id,
            kind: match line.change {
                StockChange::Sale => "SALE",
                StockChange::Return => "RETURN",
                StockChange::Receive => "RECEIVE",
                StockChange::Adjust => "ADJUST",
                StockChange::Hold => "HOLD",
                StockChange::Release => "RELEASE",
            },
            quantity: line.quantity,
            stock_after: line.stock_after,
            variant_id: line.variant.map(|variant| variant.0),
            order_id: line.order.map(|order| order.0),
            reason: line.reason,
            created_at: Moment(line.at),
        }
    }
}

/// What moved in a product's stock
///
/// The latest first. Together they are the stock there is. Counting stops at 100,000: `totalElements` says no more than that
/// there are at least so many. For administrators.
#[utoipa::path(
    get,
    path = "/api/v1/admin/products/{id}/stock-movements",
    operation_id = "listStockMovements",
    tag = "Administration",
    params(
        CallerHeaders,
        PageParameters,
        ("id" = i64, Path, description = "The product.", minimum = 1, example = 1),
    ),
    responses(
        (status = 200, description = "A page of movements.", body = PageBody<StockMovementBody>),
        (status = 404, description = "`NOT_FOUND`: there is no such product."),
    ),
)]
pub(crate) async fn stock_movements(
    shop: Data<Shop>,
    _admin: Admin,
    id: PathId,
    page: Parameters<PageParameters>,
) -> Result<HttpResponse, ApiError> {
    let movements = shop.managed_catalogue.stock_movements(ProductId(id.0), page.0.request()).await?;
    let movements = movements.ok_or(Problem::NoSuchProduct)?;
    Ok(ok(&PageBody::of(movements, StockMovementBody::from)))
}
