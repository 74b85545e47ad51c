//! The catalogue.

use actix_web::HttpResponse;
use actix_web::web::Data;
use jangteo_application::queries::{
    Direction, ProductDetail, ProductList, ProductSort, ProductView, Search, VariantView,
};
use jangteo_domain::{ProductId, StoreId};
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
    /// Of one piece; of a product with variants the lowest of them.
    price: MoneyJson,
    /// Pieces left, those of all variants together.
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
    /// Of one piece; of a product with variants the lowest of them.
    price: MoneyJson,
    /// Pieces left, those of all variants together.
    stock: i64,
    /// Pieces sold so far.
    sales_volume: i64,
    store: SellerBody,
    created_at: Moment,
    /// Where its pictures are, in sequence.
    images: Vec<String>,
    /// What it is sold as: an order names one of them. Nothing if it is sold as such.
    variants: Vec<VariantBody>,
}

/// What a product is sold as.
#[derive(Serialize, ToSchema)]
pub(crate) struct VariantBody {
    id: i64,
    name: String,
    /// Of one piece.
    price: MoneyJson,
    /// Pieces left.
    stock: i64,
}

/// Who sells a product.
#[derive(Serialize, ToSchema)]
pub(crate) struct SellerBody {
    id: i64,
    name: String,
}

impl From<ProductDetail> for ProductBody {
    fn from(detail: ProductDetail) -> Self {
        let product = detail.product;
        Self {
            id: product.id.0,
            name: product.name,
            description: detail.description,
            price: MoneyJson(product.price),
            stock: product.stock,
            sales_volume: product.sales_volume,
            store: SellerBody { id: product.store.0, name: product.store_name },
            created_at: Moment(product.created_at),
            images: detail.images,
            variants: detail.variants.into_iter().map(VariantBody::from).collect(),
        }
    }
}

impl From<VariantView> for VariantBody {
    fn from(variant: VariantView) -> Self {
        let VariantView { id, name, price, stock } = variant;
        Self { id: id.0, name, price: MoneyJson(price), stock }
    }
}

/// How a list of products is sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SortParameter {
    /// `createdAt`, `price`, `name` or `salesVolume`, then perhaps a comma and `asc` or `desc`. Unless it says so, the
    /// newest and the best sold come first, and otherwise the smallest.
    #[param(value_type = String, required = false, default = "createdAt,desc", example = "price,asc")]
    pub(crate) sort: (ProductSort, Direction),
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

/// What to look for.
#[derive(Debug, PartialEq, Eq, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SearchParameter {
    /// Words, each of which is in the name or the description, in capitals or not; at most 100 characters.
    #[param(rename = "q", value_type = Option<String>, nullable = false, max_length = 100, example = "티셔츠")]
    pub(crate) words: Option<Search>,
}

impl SearchParameter {
    const LONGEST: usize = 100;
}

impl FromQuery for SearchParameter {
    fn take_from(query: &mut Query) -> Self {
        let text = query.text("q").unwrap_or_default();
        if text.chars().count() > Self::LONGEST {
            query.fault("q", Reason::TooLong { longest: Self::LONGEST });
        } else if text.contains(char::is_control) {
            query.fault("q", Reason::Malformed);
        }
        Self { words: Search::words_of(&text) }
    }
}

/// Whose products.
#[derive(Debug, PartialEq, Eq, IntoParams)]
#[into_params(parameter_in = Query)]
#[into_params(rename_all = "camelCase")]
pub(crate) struct StoreParameter {
    /// Those of this store.
    #[param(nullable = false, minimum = 1)]
    pub(crate) store_id: Option<i64>,
}

impl FromQuery for StoreParameter {
    fn take_from(query: &mut Query) -> Self {
        Self { store_id: query.id("storeId") }
    }
}

/// How many there are.
#[derive(Debug, PartialEq, Eq, IntoParams)]
#[into_params(parameter_in = Query)]
#[into_params(rename_all = "camelCase")]
pub(crate) struct StockParameter {
    /// Those that are in stock, or those that are not.
    #[param(nullable = false)]
    in_stock: Option<bool>,
}

impl FromQuery for StockParameter {
    fn take_from(query: &mut Query) -> Self {
        Self { in_stock: query.truth("inStock") }
    }
}

/// What the list of products is asked with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ListParameters {
    search: SearchParameter,
    store: StoreParameter,
    stock: StockParameter,
    page: PageParameters,
    sort: SortParameter,
}

impl FromQuery for ListParameters {
    fn take_from(query: &mut Query) -> Self {
        Self {
            search: SearchParameter::take_from(query),
            store: StoreParameter::take_from(query),
            stock: StockParameter::take_from(query),
            page: PageParameters::take_from(query),
            sort: SortParameter::take_from(query),
        }
    }
}

impl ListParameters {
    fn list(self) -> ProductList {
        let (sort, direction) = self.sort.sort;
        ProductList {
            search: self.search.words,
            store: self.store.store_id.map(StoreId),
            in_stock: self.stock.in_stock,
            page: self.page.request(),
            sort,
            direction,
        }
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
    params(SearchParameter, StoreParameter, StockParameter, PageParameters, SortParameter),
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
    let products = shop.catalogue.products(parameters.0.list()).await?;
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
                "images": ["https://cdn.example.com/t-shirt.jpg"],
                "variants": [
                    {"id": 7, "name": "M", "price": 19900.00, "stock": 30},
                    {"id": 8, "name": "L", "price": 21900.00, "stock": 12},
                ],
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
    use super::super::error::Detail;
    use super::super::parameters::read;
    use super::*;

    #[test]
    fn what_to_look_for_is_read_and_its_faults_are_named() {
        let search =
            |query: &str| read::<SearchParameter>(query).unwrap().words.map(|words| words.to_string());
        assert_eq!(search("q=%20b%20%20a%20b"), Some("a b".to_owned()));
        for nothing in ["", "q=", "q=%20%20"] {
            assert_eq!(search(nothing), None, "{nothing}");
        }
        let long = format!("q={}", "x".repeat(101));
        let faults = |query: &str| read::<ListParameters>(query).unwrap_err();
        assert_eq!(faults(&long), [Detail::new("q", Reason::TooLong { longest: 100 })]);
        assert_eq!(
            faults("q=a%00b&storeId=0&inStock=yes"),
            [
                Detail::new("q", Reason::Malformed),
                Detail::new("storeId", Reason::NotAnId),
                Detail::new("inStock", Reason::NotOneOf(&["true", "false"])),
            ]
        );
        assert_eq!(faults("q=a&q=b"), [Detail::new("q", Reason::Repeated)]);
    }

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
