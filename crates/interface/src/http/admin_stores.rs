//! Stores, as administrators see to them.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use jangteo_application::Submission;
use jangteo_application::manage_stores::{
    CREATE_STORE, DELETE_STORE, ManageStore, ManageStores, StoreAction, StoreRefusal,
};
use jangteo_application::operation::Outcome;
use jangteo_domain::store::StoreName;
use jangteo_domain::{Store, StoreId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Shop;
use super::answers::{Answers, answered};
use super::body::{JsonBody, json, located, ok};
use super::endpoint::Endpoint;
use super::error::{ApiError, Detail, Problem, Reason};
use super::exact::Moment;
use super::headers::{Admin, CallerHeaders, Key, KeyHeader};
use super::pages::{PageBody, PageParameters};
use super::parameters::{Parameters, PathId};
use super::versions::{IfMatch, IfMatchHeader, tagged};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::at("/api/v1/admin/stores").get(list).post(create),
        Endpoint::at("/api/v1/admin/stores/{id}").get(store).patch(change).delete(delete),
    ]
}

/// A seller of products, as administrators see it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({
    "id": 7,
    "name": "봄날 문구",
    "createdAt": "2025-11-09T12:34:56Z",
    "updatedAt": "2025-11-10T09:00:00Z",
    "deletedAt": null,
    "version": 2,
}))]
pub(crate) struct AdminStoreBody {
    id: i64,
    name: String,
    created_at: Moment,
    updated_at: Moment,
    /// Null while it is there.
    deleted_at: Option<Moment>,
    /// Counts its changes: the `ETag` without its quotes.
    version: i32,
}

impl From<Store> for AdminStoreBody {
    fn from(store: Store) -> Self {
        Self {
            id: store.id.0,
            name: store.name.to_string(),
            created_at: Moment(store.created_at),
            updated_at: Moment(store.updated_at),
            deleted_at: store.deleted_at.map(Moment),
            version: store.version,
        }
    }
}

/// What a store is called.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "봄날 문구"}))]
pub(crate) struct NameStore {
    /// A line, unique among all stores there ever were.
    #[serde(default)]
    #[schema(value_type = String, required = true, min_length = 1, max_length = 100)]
    name: Option<String>,
}

impl NameStore {
    fn parse(self) -> Result<StoreName, ApiError> {
        let name = self.name.ok_or_else(|| ApiError::invalid_field("name", Reason::Required))?;
        let not_a_line = Reason::NotALine { longest: StoreName::LONGEST };
        name.parse().map_err(|_| ApiError::invalid_field("name", not_a_line))
    }
}

impl From<StoreRefusal> for ApiError {
    fn from(refusal: StoreRefusal) -> Self {
        let because = |problem, field, reason| Self::from(problem).with(vec![Detail::new(field, reason)]);
        match refusal {
            StoreRefusal::Unknown => Problem::NoSuchStore.into(),
            StoreRefusal::Stale(stale) => stale.into(),
            StoreRefusal::Deleted(_) => because(Problem::StoreDeleted, "id", Reason::Deleted),
            StoreRefusal::NameTaken => because(Problem::NameTaken, "name", Reason::NameTaken),
            StoreRefusal::HasProducts => because(Problem::StoreHasProducts, "id", Reason::HasProducts),
        }
    }
}

/// All stores
///
/// By their ids, those that were deleted too. For administrators.
#[utoipa::path(
    get,
    path = "/api/v1/admin/stores",
    operation_id = "listAllStores",
    tag = "Administration",
    params(CallerHeaders, PageParameters),
    responses(
        (
            status = 200,
            description = "A page of stores.",
            body = PageBody<AdminStoreBody>,
            example = json!({
                "content": [{
                    "id": 7,
                    "name": "봄날 문구",
                    "createdAt": "2025-11-09T12:34:56Z",
                    "updatedAt": "2025-11-10T09:00:00Z",
                    "deletedAt": null,
                    "version": 2,
                }],
                "page": 0,
                "size": 20,
                "totalElements": 1,
                "totalPages": 1,
            }),
        ),
    ),
)]
pub(crate) async fn list(
    shop: Data<Shop>,
    _: Admin,
    page: Parameters<PageParameters>,
) -> Result<HttpResponse, ApiError> {
    let stores = shop.back_office.stores(true, page.0.request()).await?;
    Ok(ok(&PageBody::of(stores, AdminStoreBody::from)))
}

/// One store, with its version
///
/// Also when it was deleted. For administrators.
#[utoipa::path(
    get,
    path = "/api/v1/admin/stores/{id}",
    operation_id = "getAnyStore",
    tag = "Administration",
    params(CallerHeaders, ("id" = i64, Path, description = "The store.", minimum = 1, example = 7)),
    responses(
        (
            status = 200,
            description = "The store.",
            headers(("ETag" = String, description = "Its version, for `If-Match`.")),
            body = AdminStoreBody,
        ),
        (status = 404, description = "`NOT_FOUND`: there is no such store."),
    ),
)]
pub(crate) async fn store(shop: Data<Shop>, _: Admin, id: PathId) -> Result<HttpResponse, ApiError> {
    let store = shop.back_office.store(StoreId(id.0)).await?.ok_or(Problem::NoSuchStore)?;
    let version = store.version;
    Ok(tagged(ok(&AdminStoreBody::from(store)), version))
}

/// Create a store
///
/// For administrators.
#[utoipa::path(
    post,
    path = "/api/v1/admin/stores",
    operation_id = "createStore",
    tag = "Administration",
    params(CallerHeaders, KeyHeader),
    request_body = NameStore,
    responses(
        (
            status = 201,
            description = "The store.",
            headers(
                ("Location" = String, description = "Where administrators see it."),
                ("ETag" = String, description = "Its version, for `If-Match`."),
            ),
            body = AdminStoreBody,
            example = json!({
                "id": 7,
                "name": "봄날 문구",
                "createdAt": "2025-11-09T12:34:56Z",
                "updatedAt": "2025-11-09T12:34:56Z",
                "deletedAt": null,
                "version": 1,
            }),
        ),
        (status = 409, description = "`CONFLICT`: the name is taken, perhaps by a store that was deleted (`NAME_TAKEN`), or the key was used for another request."),
    ),
)]
pub(crate) async fn create(
    shop: Data<Shop>,
    admin: Admin,
    key: Key,
    body: JsonBody<NameStore>,
) -> Result<HttpResponse, ApiError> {
    let action = StoreAction::Create { name: body.0.parse()? };
    manage(&shop, admin, key, action).await
}

/// Rename a store
///
/// The name it has already changes nothing. For administrators.
#[utoipa::path(
    patch,
    path = "/api/v1/admin/stores/{id}",
    operation_id = "changeStore",
    tag = "Administration",
    params(
        CallerHeaders,
        KeyHeader,
        IfMatchHeader,
        ("id" = i64, Path, description = "The store.", minimum = 1, example = 7),
    ),
    request_body = NameStore,
    responses(
        (
            status = 200,
            description = "The store.",
            headers(("ETag" = String, description = "Its version from now on.")),
            body = AdminStoreBody,
        ),
        (status = 404, description = "`NOT_FOUND`: there is no such store."),
        (status = 409, description = "`CONFLICT`: the name is taken (`NAME_TAKEN`), the store was deleted (`DELETED`), or the key was used for another request."),
    ),
)]
pub(crate) async fn change(
    shop: Data<Shop>,
    admin: Admin,
    key: Key,
    expected: IfMatch,
    id: PathId,
    body: JsonBody<NameStore>,
) -> Result<HttpResponse, ApiError> {
    let action = StoreAction::Rename { id: StoreId(id.0), expected: expected.0, name: body.0.parse()? };
    manage(&shop, admin, key, action).await
}

/// Delete a store
///
/// One that has no products, or none that are not deleted. Its name stays taken. For administrators.
#[utoipa::path(
    delete,
    path = "/api/v1/admin/stores/{id}",
    operation_id = "deleteStore",
    tag = "Administration",
    params(
        CallerHeaders,
        KeyHeader,
        IfMatchHeader,
        ("id" = i64, Path, description = "The store.", minimum = 1, example = 7),
    ),
    responses(
        (status = 204, description = "It is deleted."),
        (status = 404, description = "`NOT_FOUND`: there is no such store."),
        (status = 409, description = "`CONFLICT`: it has products (`HAS_PRODUCTS`), was deleted before (`DELETED`), or the key was used for another request."),
    ),
)]
pub(crate) async fn delete(
    shop: Data<Shop>,
    admin: Admin,
    key: Key,
    expected: IfMatch,
    id: PathId,
) -> Result<HttpResponse, ApiError> {
    let action = StoreAction::Delete { id: StoreId(id.0), expected: expected.0 };
    manage(&shop, admin, key, action).await
}

async fn manage(shop: &Shop, admin: Admin, key: Key, action: StoreAction) -> Result<HttpResponse, ApiError> {
    let scope = action.name();
    let command = ManageStore { by: admin.0, action };
    answered(scope, shop.store_changes.submit(Submission { command, key: key.0 }).await?)
}

impl Answers for ManageStores {
    fn answer(scope: &str, outcome: Outcome<Self>) -> Result<HttpResponse, ApiError> {
        let store = outcome?;
        let (version, location) = (store.version, format!("/api/v1/admin/stores/{}", store.id));
        let shown = |status| tagged(json(status, &AdminStoreBody::from(store)), version);
        Ok(match scope {
            CREATE_STORE => located(shown(StatusCode::CREATED), &location),
            DELETE_STORE => HttpResponse::NoContent().finish(),
            _ => shown(StatusCode::OK),
        })
    }
}
