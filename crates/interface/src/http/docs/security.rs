//! What the API document says of who asks. Operations that need to know say so with the parameters of `CallerHeaders`; from
//! these becomes what generated clients understand.

use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{OpenApi, RefOr};

use crate::config::Authentication;
use crate::http::recognition::{ROLE, USER};

/// The description of an answer, in the place of one that depends on how callers are recognised.
pub(super) const UNAUTHORIZED: &str = "`UNAUTHORIZED`";

/// Where administrators work.
const ADMINISTRATION: &str = "/api/v1/admin/";

const BEARER: &str = "Bearer";

pub(super) fn describe(document: &mut OpenApi, authentication: Authentication) {
    let description = document.info.description.get_or_insert_default();
    *description = format!("{}\n\n{}", who_is_asking(authentication), description.trim_start());
    let components = document.components.get_or_insert_default();
    components
        .security_schemes
        .extend(schemes(authentication).into_iter().map(|(name, scheme)| (name, scheme.into())));
    for (path, item) in &mut document.paths.paths {
        let methods = [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
        for operation in methods.into_iter().flatten() {
            if takes_caller(operation) {
                secure(operation, path.starts_with(ADMINISTRATION), authentication);
            }
        }
    }
}

fn who_is_asking(authentication: Authentication) -> &'static str {
    match authentication {
        Authentication::Header => {
            "**Who is asking**: `X-User-Id` names the user, and is believed; `X-User-Role: ADMIN` the administrator. \
             Products, coupons on offer, statistics and health need neither."
        }
        Authentication::Jwt => {
            "**Who is asking**: a JSON Web Token says it, in `Authorization: Bearer`. Its `sub` is the user's id, and its \
             `roles` have `ADMIN` in them for the administrator. Products, coupons on offer, statistics and health need \
             none."
        }
    }
}

fn schemes(authentication: Authentication) -> Vec<(String, SecurityScheme)> {
    let header = |name: &str, meaning: &str| {
        let key = ApiKeyValue::with_description(name, meaning);
        (name.to_owned(), SecurityScheme::ApiKey(ApiKey::Header(key)))
    };
    match authentication {
        Authentication::Header => vec![
            header(USER, "Who asks: an id, from 1."),
            header(ROLE, "As what: `USER`, which is the default, or `ADMIN`."),
        ],
        Authentication::Jwt => {
            let mut bearer = Http::new(HttpAuthScheme::Bearer);
            bearer.bearer_format = Some("JWT".to_owned());
            bearer.description = Some(
                "HS256, RS256 or EdDSA, with `sub`, `exp`, and `roles` if need be. `jangteo token` makes one.".to_owned(),
            );
            vec![(BEARER.to_owned(), SecurityScheme::Http(bearer))]
        }
    }
}

fn takes_caller(operation: &Operation) -> bool {
    let mut parameters = operation.parameters.iter().flatten();
    parameters.any(|parameter| matches!(parameter, RefOr::T(parameter) if parameter.name == USER))
}

fn secure(operation: &mut Operation, by_administrator: bool, authentication: Authentication) {
    if let Some(parameters) = &mut operation.parameters {
        parameters.retain(|parameter| {
            !matches!(parameter, RefOr::T(parameter) if [USER, ROLE].contains(&parameter.name.as_str()))
        });
    }
    if operation.parameters.as_ref().is_some_and(Vec::is_empty) {
        operation.parameters = None;
    }
    operation.security = Some(requirements(by_administrator, authentication));
    if let Some(RefOr::T(refused)) = operation.responses.responses.get_mut("401") {
        refused.description = unauthorized(authentication).to_owned();
    }
}

/// Any of them will do.
fn requirements(by_administrator: bool, authentication: Authentication) -> Vec<SecurityRequirement> {
    let nothing_more: [&str; 0] = [];
    let as_administrator = || SecurityRequirement::new(USER, nothing_more).add(ROLE, nothing_more);
    match authentication {
        Authentication::Header if by_administrator => vec![as_administrator()],
        Authentication::Header => vec![SecurityRequirement::new(USER, nothing_more), as_administrator()],
        Authentication::Jwt => vec![SecurityRequirement::new(BEARER, nothing_more)],
    }
}

fn unauthorized(authentication: Authentication) -> &'static str {
    match authentication {
        Authentication::Header => "`UNAUTHORIZED`: `X-User-Id` or `X-User-Role` is missing or malformed.",
        Authentication::Jwt => {
            "`UNAUTHORIZED`: the token is missing or not accepted. With `WWW-Authenticate`."
        }
    }
}
