//! The API document, and a page to read it and try it out.

use std::sync::{Arc, LazyLock};

use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_TYPE, ContentEncoding, LOCATION};
use actix_web::web::{Bytes, Data, Path};
use serde_json::json;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{OpenApi, Ref, RefOr, Response};
use utoipa::{Modify, OpenApi as _};
use utoipa_swagger_ui::Config;

use super::Shop;
use super::endpoint::Endpoint;
use super::error::{ApiError, ErrorBody, Problem};
use super::recognition::Recognition;
use super::{
    accounts, admin_coupons, admin_orders, admin_stores, admin_wallets, audit, cart, cart_order,
    completeness, coupon_history, coupon_offers, coupons, edit_products, edit_variants, exports, keys,
    managed_products, operations, order_changes, orders, outbox, payments, products, sales, statistics,
    stores, trail, users, wallets,
};
use crate::config::Authentication;

mod security;

const DOCUMENT: &str = "/openapi.json";

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Jangteo",
        description = "An order and payment engine for shops that sell under pressure.\n\n\
            **Writing safely**: give every POST, PUT, PATCH and DELETE an `Idempotency-Key` of your own. Sent again with the same key, it gets \
            the same answer, with `Idempotency-Replayed: true`, and nothing happens twice.\n\n\
            **Money** is an exact number with two decimals; in requests a number or a text.\n\n\
            **Errors** all have one format, in Korean, or in English with `Accept-Language: en`. Every response has a \
            `traceparent` header, whose trace id is the `traceId` of errors and in the server's log.\n\n\
            **Limits**: where requests are limited, by user and by address, every response says in `RateLimit-Policy` how \
            many there may be and in `RateLimit` how many are left.",
    ),
    paths(
        products::list,
        products::product,
        cart::cart,
        cart::add,
        cart::change,
        cart::remove,
        cart::clear,
        cart_order::order,
        orders::list,
        orders::place,
        orders::order,
        order_changes::pay,
        order_changes::cancel,
        payments::payment,
        wallets::wallet,
        wallets::charge,
        wallets::ledger,
        coupon_offers::list,
        coupon_offers::offer,
        coupons::claim,
        coupons::held,
        coupon_history::history,
        users::register,
        users::me,
        users::change,
        users::leave,
        keys::decided,
        stores::list,
        stores::store,
        statistics::popular,
        statistics::best_sellers,
        order_changes::ship,
        order_changes::deliver,
        accounts::list,
        accounts::account,
        accounts::change,
        accounts::close,
        admin_stores::list,
        admin_stores::store,
        admin_stores::create,
        admin_stores::change,
        admin_stores::delete,
        admin_coupons::list,
        admin_coupons::coupon,
        admin_coupons::create,
        admin_coupons::change,
        admin_coupons::retire,
        trail::changes,
        admin_orders::list,
        admin_wallets::wallet,
        admin_wallets::ledger,
        admin_wallets::adjust,
        sales::sales,
        exports::orders,
        exports::ledger,
        managed_products::list,
        managed_products::product,
        managed_products::stock_movements,
        edit_products::create,
        edit_products::change,
        edit_products::delete,
        edit_products::set_images,
        edit_variants::add,
        edit_variants::change,
        edit_variants::adjust,
        audit::audit,
        outbox::list,
        outbox::event,
        outbox::retry,
        outbox::retry_all,
        outbox::resend,
        completeness::summary,
        completeness::orders,
        operations::live,
        operations::ready,
        operations::actuator,
        operations::metrics,
    ),
    // Readers see the areas in this order.
    tags(
        (name = "Products"),
        (name = "Cart"),
        (name = "Orders"),
        (name = "Wallets"),
        (name = "Coupons"),
        (name = "Users"),
        (name = "Idempotency"),
        (name = "Stores"),
        (name = "Statistics"),
        (name = "Administration"),
        (name = "Operations"),
    ),
    components(schemas(ErrorBody)),
    modifiers(&CommonErrors),
)]
struct Document;

/// What can happen to many operations is said once, here.
struct CommonErrors;

impl Modify for CommonErrors {
    fn modify(&self, document: &mut OpenApi) {
        for (path, item) in &mut document.paths.paths {
            let is_api = path.starts_with("/api/");
            let methods = [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
            for operation in methods.into_iter().flatten().filter(|_| is_api) {
                add_errors(path, operation);
            }
        }
    }
}

fn add_errors(path: &str, operation: &mut Operation) {
    let parameters = operation.parameters.iter().flatten();
    let has = |name: &str| {
        let mut named = operation.parameters.iter().flatten();
        named.any(|parameter| matches!(parameter, RefOr::T(parameter) if parameter.name == name))
    };
    let (identified, keyed) = (has("X-User-Id"), has("Idempotency-Key"));
    let mut errors = Vec::new();
    if parameters.count() > usize::from(identified) * 2 {
        errors.push(("400", "`VALIDATION_ERROR`: the request does not parse or is out of range."));
    }
    if identified {
        // What that means, `security` says.
        errors.push(("401", security::UNAUTHORIZED));
    }
    if path.starts_with("/api/v1/admin/") {
        errors.push(("403", "`FORBIDDEN`: the caller is not an administrator."));
    }
    if has("If-Match") {
        errors.push(("412", "`PRECONDITION_FAILED`: somebody else has changed it meanwhile."));
    }
    if operation.request_body.is_some() {
        errors.push(("413", "`PAYLOAD_TOO_LARGE`: the body is too large."));
        errors.push(("415", "`UNSUPPORTED_MEDIA_TYPE`: the body must be `application/json`."));
    }
    errors.push(("429", RATE_LIMITED));
    errors.push(("500", "`INTERNAL_ERROR`: something went wrong on the server's side."));
    errors.push(match keyed {
        true => (
            "503",
            "`SERVICE_UNAVAILABLE`: nothing was executed, or a retry with the same key tells. With `Retry-After`.",
        ),
        false => ("503", "`SERVICE_UNAVAILABLE`: the database is away. With `Retry-After`."),
    });
    let responses = &mut operation.responses.responses;
    for (status, description) in errors {
        let common = || RefOr::T(ResponseBuilder::new().description(description).build());
        responses.entry(status.to_owned()).or_insert_with(common);
    }
    if let Some(RefOr::T(refused)) = responses.get_mut("429") {
        add_limit_headers(refused);
    }
    let failures = responses.iter_mut().filter(|(status, _)| status.starts_with(['4', '5']));
    for (_, response) in failures {
        if let RefOr::T(response) = response {
            add_body(path, response);
        }
    }
}

const RATE_LIMITED: &str = "`RATE_LIMITED`: too many requests of this user or from this address. Nothing was executed, \
                            and a key can be used again.";

fn add_limit_headers(response: &mut Response) {
    let header = |kind: Type, description: &str, example: serde_json::Value| {
        let schema = ObjectBuilder::new().schema_type(kind).examples([example]);
        RefOr::T(HeaderBuilder::new().schema(Some(schema)).description(Some(description)).build())
    };
    let wait = "Seconds until one more is let through.";
    let policy = "The quotas that the request counts towards: `q` requests in `w` seconds. Other responses have it too.";
    let limit = "What is left of them: `r` requests; in `t` seconds all are back, or one of a quota that is used up. \
                 Other responses have it too.";
    let policies = r#""user-writes";q=50;w=10, "address-writes";q=500;w=10"#;
    let limits = r#""user-writes";r=0;t=1, "address-writes";r=441;t=2"#;
    response.headers.extend([
        ("Retry-After".to_owned(), header(Type::Integer, wait, 1.into())),
        ("RateLimit-Policy".to_owned(), header(Type::String, policy, policies.into())),
        ("RateLimit".to_owned(), header(Type::String, limit, limits.into())),
    ]);
}

/// A description begins with the code, in backticks, and then says what it means.
fn add_body(path: &str, response: &mut Response) {
    let (code, meaning) = response.description.split_once(": ").unwrap_or((&response.description, ""));
    let example = json!({
        "timestamp": "2025-11-09T12:34:56Z",
        "path": path,
        "error": code.split('`').nth(1),
        "message": meaning,
        "traceId": "4bf92f3577b34da6a3ce929d0e0e4736",
    });
    let body = ContentBuilder::new().schema(Some(Ref::from_schema_name("ErrorBody"))).example(Some(example));
    response.content.entry("application/json".to_owned()).or_insert(RefOr::T(body.build()));
}

/// The OpenAPI document of the API, as a server has it that recognises callers so.
#[must_use]
pub fn openapi(authentication: Authentication) -> OpenApi {
    let mut document = Document::openapi();
    security::describe(&mut document, authentication);
    document
}

/// Beside the API: they are about the document, and not in it.
pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::at(DOCUMENT).get(document),
        Endpoint::at("/").get(to_swagger_ui),
        Endpoint::at("/api").get(to_swagger_ui),
        Endpoint::at("/swagger-ui").get(to_swagger_ui),
        Endpoint::at("/swagger-ui/{file:.*}").get(swagger_ui),
    ]
}

async fn document(shop: Data<Shop>) -> HttpResponse {
    static FOR_HEADERS: LazyLock<Bytes> = LazyLock::new(|| written(Authentication::Header));
    static FOR_TOKENS: LazyLock<Bytes> = LazyLock::new(|| written(Authentication::Jwt));
    let document = match shop.recognition {
        Recognition::Headers => FOR_HEADERS.clone(),
        Recognition::Tokens(_) => FOR_TOKENS.clone(),
    };
    let mut response = HttpResponse::Ok();
    response.insert_header((CONTENT_TYPE, "application/json; charset=utf-8")).body(document)
}

fn written(authentication: Authentication) -> Bytes {
    openapi(authentication).to_json().expect("the document serialises").into()
}

async fn to_swagger_ui() -> HttpResponse {
    HttpResponse::Found().insert_header((LOCATION, "/swagger-ui/")).finish()
}

async fn swagger_ui(file: Path<String>) -> Result<HttpResponse, ApiError> {
    let config = Config::from(DOCUMENT).try_it_out_enabled(true);
    let file = utoipa_swagger_ui::serve(&file, Arc::new(config))
        .map_err(|error| ApiError::from(Problem::Internal).because(error.to_string()))?
        .ok_or(Problem::NoSuchPath)?;
    let mut response = HttpResponse::Ok();
    response.content_type(file.content_type);
    if file.gzpipped {
        response.insert_header(ContentEncoding::Gzip);
    }
    Ok(response.body(file.bytes.into_owned()))
}
