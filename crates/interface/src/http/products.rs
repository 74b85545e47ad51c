//! The catalogue.

use actix_web::HttpResponse;
use actix_web::web::Data;
use jangteo_application::queries::{Direction, ProductList, ProductSort, ProductView};
use jangteo_domain::ProductId;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::Shop;
use super::body::ok;
use super::endpoint::Endpoint;
use super::error::{ApiError, Problem, Reason};
use super::exact::{Moment, MoneyJson};
use super::pages::{PageBody, PageParameters};
use super::parameters::{FromQuery, Parameters, PathId, Query};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::at("/api/v1/products").get(list), Endpoint::at("/api/v1/products/{id}").get(product)]
}

/// A product in a list.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProductItem {
    id: i64,
    name: String,
    price: MoneyJson,
    /// Pieces left.
    stock: i64,
    /// Pieces sold so far.
    sales_volume: i64,
    created_at: Moment,
}

impl From<ProductView> for ProductItem {
    fn from(product: ProductView) -> Self {
        Self {
            id: product.id.0,
            name: product.name,
            price: MoneyJson(product.price),
            stock: product.stock,
            sales_volume: product.sales_volume,
            created_at: Moment(product.created_at),
        }
    }
}

/// A product.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProductBody {
    id: i64,
    name: String,
    description: String,
    price: MoneyJson,
    /// Pieces left.
    stock: i64,
    /// Pieces sold so far.
    sales_volume: i64,
    store: StoreBody,
    created_at: Moment,
}

/// Who sells a product.
#[derive(Serialize, ToSchema)]
pub(crate) struct StoreBody {
    id: i64,
    name: String,
}

impl From<ProductView> for ProductBody {
    fn from(product: ProductView) -> Self {
        Self {
            id: product.id.0,
            name: product.name,
            description: product.description,
            price: MoneyJson(product.price),
            stock: product.stock,
            sales_volume: product.sales_volume,
            store: StoreBody { id: product.store.0, name: product.store_name },
            created_at: Moment(product.created_at),
        }
    }
}

/// How a list of products is sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SortParameter {
    /// `createdAt`, `price`, `name` or `salesVolume`, then perhaps a comma and `asc` or `desc`. Unless it says so, the
    /// newest and the best sold come first, and otherwise the smallest.
    #[param(value_type = String, required = false, default = "createdAt,desc", example = "price,asc")]
    sort: (ProductSort, Direction),
}

impl FromQuery for SortParameter {
    fn take_from(query: &mut Query) -> Self {
        let newest_first = (ProductSort::CreatedAt, Direction::Descending);
        let sort = query.text("sort").map_or(Some(newest_first), |text| parse_sort(&text));
        if sort.is_none() {
            query.fault("sort", Reason::NotOneOf(&SORTS));
        }
        Self { sort: sort.unwrap_or(newest_first) }
    }
}

const SORTS: [&str; 8] = [
    "createdAt,asc",
    "createdAt,desc",
    "price,asc",
    "price,desc",
    "name,asc",
    "name,desc",
    "salesVolume,asc",
    "salesVolume,desc",
];

fn parse_sort(text: &str) -> Option<(ProductSort, Direction)> {
    let (field, direction) = match text.split_once(',') {
        Some((field, direction)) => (field.trim(), Some(direction.trim())),
        None => (text.trim(), None),
    };
    let (sort, usual) = match field {
        "createdAt" => (ProductSort::CreatedAt, Direction::Descending),
        "price" => (ProductSort::Price, Direction::Ascending),
        "name" => (ProductSort::Name, Direction::Ascending),
        "salesVolume" => (ProductSort::SalesVolume, Direction::Descending),
        _ => return None,
    };
    match direction {
        None => Some((sort, usual)),
        Some("asc") => Some((sort, Direction::Ascending)),
        Some("desc") => Some((sort, Direction::Descending)),
        Some(_) => None,
    }
}

/// What the list of products is asked with.
pub(crate) struct ListParameters {
    page: PageParameters,
    sort: SortParameter,
}

impl FromQuery for ListParameters {
    fn take_from(query: &mut Query) -> Self {
        Self { page: PageParameters::take_from(query), sort: SortParameter::take_from(query) }
    }
}

/// Products on sale
///
/// Stock may be a second old; an order always decides on the stock there is.
#[utoipa::path(
    get,
    path = "/api/v1/products",
    operation_id = "listProducts",
    tag = "Products",
    params(PageParameters, SortParameter),
    responses((
        status = 200,
        description = "A page of products. Products with equal values are ordered by id.",
        body = PageBody<ProductItem>,
        example = json!({
            "content": [{
                "id": 101,
                "name": "유기농 면 티셔츠",
                "price": 19900.00,
                "stock": 42,
                "salesVolume": 7,
                "createdAt": "2025-11-09T12:34:56Z",
            }],
            "page": 0,
            "size": 20,
            "totalElements": 123,
            "totalPages": 7,
        }),
    )),
)]
pub(crate) async fn list(
    shop: Data<Shop>,
    parameters: Parameters<ListParameters>,
) -> Result<HttpResponse, ApiError> {
    let ListParameters { page, sort: SortParameter { sort: (sort, direction) } } = parameters.0;
    let products = shop.catalogue.products(ProductList { page: page.request(), sort, direction }).await?;
    Ok(ok(&PageBody::of(products, ProductItem::from)))
}

/// One product
#[utoipa::path(
    get,
    path = "/api/v1/products/{id}",
    operation_id = "getProduct",
    tag = "Products",
    params(("id" = i64, Path, description = "The product.", minimum = 1, example = 1)),
    responses(
        (
            status = 200,
            description = "The product.",
            body = ProductBody,
            example = json!({
                "id": 101,
                "name": "유기농 면 티셔츠",
                "description": "Organic cotton T-shirt",
                "price": 19900.00,
                "stock": 42,
                "salesVolume": 7,
                "store": {"id": 1, "name": "장터"},
                "createdAt": "2025-11-09T12:34:56Z",
            }),
        ),
        (status = 404, description = "`NOT_FOUND`: there is no such product, or it is not on sale."),
    ),
)]
pub(crate) async fn product(shop: Data<Shop>, id: PathId) -> Result<HttpResponse, ApiError> {
    let product = shop.catalogue.product(ProductId(id.0)).await?;
    let product = product.ok_or(Problem::NoSuchProduct)?;
    Ok(ok(&ProductBody::from(product)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_direction_need_not_be_said() {
        for (text, sort) in [
            ("createdAt,desc", (ProductSort::CreatedAt, Direction::Descending)),
            ("createdAt", (ProductSort::CreatedAt, Direction::Descending)),
            ("createdAt, asc", (ProductSort::CreatedAt, Direction::Ascending)),
            ("price", (ProductSort::Price, Direction::Ascending)),
            ("price,desc", (ProductSort::Price, Direction::Descending)),
            ("name", (ProductSort::Name, Direction::Ascending)),
            ("salesVolume", (ProductSort::SalesVolume, Direction::Descending)),
        ] {
            assert_eq!(parse_sort(text), Some(sort), "{text}");
        }
        for text in ["", "stock", "price,up", "price,", "price,asc,desc", "PRICE", ",asc", "price;drop"] {
            assert_eq!(parse_sort(text), None, "{text}");
        }
    }
}
