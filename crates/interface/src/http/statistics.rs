//! Statistics.

use actix_web::HttpResponse;
use actix_web::web::Data;
use jangteo_application::queries::{PopularProduct, PopularProducts};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::Shop;
use super::body::ok;
use super::endpoint::Endpoint;
use super::error::ApiError;
use super::exact::{Moment, MoneyJson};
use super::parameters::{FromQuery, Parameters, Query};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::at("/api/v1/stats/popular-products").get(popular),
        Endpoint::at("/api/v1/stats/best-sellers").get(best_sellers),
    ]
}

/// Products that sold well, best first.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({
    "rangeDays": 3,
    "limit": 5,
    "products": [{"productId": 101, "name": "유기농 면 티셔츠", "price": 19900.00, "soldQty": 124}],
    "generatedAt": "2025-11-09T12:34:56Z",
}))]
pub(crate) struct PopularBody {
    range_days: u32,
    limit: u32,
    products: Vec<PopularItem>,
    /// As of when.
    generated_at: Moment,
}

/// A product that sold well.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PopularItem {
    product_id: i64,
    name: String,
    price: MoneyJson,
    /// Pieces sold in that time.
    sold_qty: i64,
}

impl From<PopularProduct> for PopularItem {
    fn from(product: PopularProduct) -> Self {
        Self {
            product_id: product.id.0,
            name: product.name,
            price: MoneyJson(product.price),
            sold_qty: product.sold,
        }
    }
}

/// Over which time, and how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PopularParameters {
    /// How far to reach back.
    #[param(required = false, default = 3, minimum = 1, maximum = 30)]
    days: u32,
    /// How many products at most.
    #[param(required = false, default = 5, minimum = 1, maximum = 50)]
    limit: u32,
}

impl FromQuery for PopularParameters {
    fn take_from(query: &mut Query) -> Self {
        Self { days: query.number("days", 1..=30, 3), limit: query.number("limit", 1..=50, 5) }
    }
}

/// Popular products
///
/// By pieces sold in the last days, reaching back to the hour that contains the beginning. A minute old at most.
#[utoipa::path(
    get,
    path = "/api/v1/stats/popular-products",
    operation_id = "listPopularProducts",
    tag = "Statistics",
    params(PopularParameters),
    responses((status = 200, description = "The products, best first.", body = PopularBody)),
)]
pub(crate) async fn popular(
    shop: Data<Shop>,
    parameters: Parameters<PopularParameters>,
) -> Result<HttpResponse, ApiError> {
    let PopularParameters { days, limit } = parameters.0;
    let PopularProducts { products, generated_at } = shop.catalogue.popular(days, limit).await?;
    let products = products.into_iter().map(PopularItem::from).collect();
    Ok(ok(&PopularBody { range_days: days, limit, products, generated_at: Moment(generated_at) }))
}

/// Products that sold best of all time, best first.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({
    "limit": 10,
    "products": [{"productId": 101, "name": "유기농 면 티셔츠", "price": 19900.00, "soldQty": 5120}],
    "generatedAt": "2025-11-09T12:34:56Z",
}))]
pub(crate) struct BestSellersBody {
    limit: u32,
    products: Vec<PopularItem>,
    /// As of when.
    generated_at: Moment,
}

/// How many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct BestSellersParameters {
    /// How many products at most.
    #[param(required = false, default = 10, minimum = 1, maximum = 50)]
    limit: u32,
}

impl FromQuery for BestSellersParameters {
    fn take_from(query: &mut Query) -> Self {
        Self { limit: query.number("limit", 1..=50, 10) }
    }
}

/// Best sellers
///
/// Products on sale by all the pieces sold so far. What never sold is left out, and ids break ties.
#[utoipa::path(
    get,
    path = "/api/v1/stats/best-sellers",
    operation_id = "listBestSellers",
    tag = "Statistics",
    params(BestSellersParameters),
    responses((status = 200, description = "The products, best first.", body = BestSellersBody)),
)]
pub(crate) async fn best_sellers(
    shop: Data<Shop>,
    parameters: Parameters<BestSellersParameters>,
) -> Result<HttpResponse, ApiError> {
    let limit = parameters.0.limit;
    let PopularProducts { products, generated_at } = shop.catalogue.best_sellers(limit).await?;
    let products = products.into_iter().map(PopularItem::from).collect();
    Ok(ok(&BestSellersBody { limit, products, generated_at: Moment(generated_at) }))
}

#[cfg(test)]
mod tests {
    use super::super::parameters::read;
    use super::*;

    #[test]
    fn three_days_and_five_products_unless_asked_otherwise() {
        assert_eq!(read(""), Ok(PopularParameters { days: 3, limit: 5 }));
        assert_eq!(read("days=30&limit=50"), Ok(PopularParameters { days: 30, limit: 50 }));
        for query in ["days=0", "days=31", "limit=0", "limit=51", "days=-1", "days=three", "top=5"] {
            assert!(read::<PopularParameters>(query).is_err(), "{query}");
        }
    }

    #[test]
    fn ten_best_sellers_unless_asked_otherwise() {
        assert_eq!(read(""), Ok(BestSellersParameters { limit: 10 }));
        assert_eq!(read("limit=50"), Ok(BestSellersParameters { limit: 50 }));
        for query in ["limit=0", "limit=51", "limit=-1", "limit=ten", "days=3"] {
            assert!(read::<BestSellersParameters>(query).is_err(), "{query}");
        }
    }
}
