//! Stores, as everybody sees them.

use actix_web::HttpResponse;
use actix_web::web::Data;
use jangteo_domain::{Store, StoreId};
use serde::Serialize;
use utoipa::ToSchema;

use super::Shop;
use super::body::ok;
use super::endpoint::Endpoint;
use super::error::{ApiError, Problem};
use super::exact::Moment;
use super::pages::{PageBody, PageParameters};
use super::parameters::{Parameters, PathId};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![Endpoint::at("/api/v1/stores").get(list), Endpoint::at("/api/v1/stores/{id}").get(store)]
}

/// A seller of products.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({"id": 1, "name": "장터", "createdAt": "2025-11-09T12:34:56Z"}))]
pub(crate) struct StoreBody {
    id: i64,
    name: String,
    created_at: Moment,
}

impl From<Store> for StoreBody {
    fn from(store: Store) -> Self {
        Self { id: store.id.0, name: store.name.to_string(), created_at: Moment(store.created_at) }
    }
}

/// Stores
#[utoipa::path(
    get,
    path = "/api/v1/stores",
    operation_id = "listStores",
    tag = "Stores",
    params(PageParameters),
    responses((
        status = 200,
        description = "A page of stores, by their ids.",
        body = PageBody<StoreBody>,
        example = json!({
            "content": [{"id": 1, "name": "장터", "createdAt": "2025-11-09T12:34:56Z"}],
            "page": 0,
            "size": 20,
            "totalElements": 1,
            "totalPages": 1,
        }),
    )),
)]
pub(crate) async fn list(
    shop: Data<Shop>,
    page: Parameters<PageParameters>,
) -> Result<HttpResponse, ApiError> {
    let stores = shop.back_office.stores(false, page.0.request()).await?;
    Ok(ok(&PageBody::of(stores, StoreBody::from)))
}

/// One store
#[utoipa::path(
    get,
    path = "/api/v1/stores/{id}",
    operation_id = "getStore",
    tag = "Stores",
    params(("id" = i64, Path, description = "The store.", minimum = 1, example = 1)),
    responses(
        (status = 200, description = "The store.", body = StoreBody),
        (status = 404, description = "`NOT_FOUND`: there is no such store, or not any more."),
    ),
)]
pub(crate) async fn store(shop: Data<Shop>, id: PathId) -> Result<HttpResponse, ApiError> {
    let store = shop.back_office.store(StoreId(id.0)).await?;
    let store = store.filter(|store| store.check_there().is_ok()).ok_or(Problem::NoSuchStore)?;
    Ok(ok(&StoreBody::from(store)))
}
