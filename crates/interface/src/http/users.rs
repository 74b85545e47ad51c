//! Customers.

use std::str::FromStr;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderValue, LOCATION};
use actix_web::web::Data;
use jangteo_application::manage_accounts::{AccountChange, AccountCommand, By};
use jangteo_application::operation::Outcome;
use jangteo_application::register_users::{EmailTaken, RegisterUsers};
use jangteo_application::{Operation, Submission};
use jangteo_domain::user::{Profile, ProfileChange, ProfileError};
use jangteo_domain::{User, UserId};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::Shop;
use super::accounts::manage;
use super::answers::{Answers, answered};
use super::body::{JsonBody, json, ok};
use super::endpoint::Endpoint;
use super::error::{ApiError, Detail, Problem, Reason};
use super::exact::Moment;
use super::headers::{Caller, CallerHeaders, Key, KeyHeader};

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::at("/api/v1/users").post(register),
        Endpoint::at("/api/v1/users/me").get(me).patch(change).delete(leave),
    ]
}

/// What a new customer tells about themselves.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "김미나", "email": "mina@example.com", "phone": "+82 10-1234-5678"}))]
pub(crate) struct RegisterUser {
    #[serde(default)]
    #[schema(value_type = String, required = true, min_length = 1, max_length = 100)]
    name: Option<String>,
    /// Unique in the shop.
    #[serde(default)]
    #[schema(value_type = String, required = true, max_length = 254)]
    email: Option<String>,
    #[serde(default)]
    #[schema(max_length = 32)]
    phone: Option<String>,
}

impl RegisterUser {
    fn parse(self) -> Result<Profile, ApiError> {
        let mut faults = Vec::new();
        let name = required("name", self.name, &mut faults);
        let email = required("email", self.email, &mut faults);
        let phone = self.phone.map(|phone| parsed("phone", &phone, &mut faults));
        match (name, email, phone.map_or(Some(None), |phone| phone.map(Some))) {
            (Some(name), Some(email), Some(phone)) => Ok(Profile { name, email, phone }),
            _ => Err(ApiError::invalid(faults)),
        }
    }
}

fn required<T: FromStr<Err = ProfileError>>(
    field: &'static str,
    text: Option<String>,
    faults: &mut Vec<Detail>,
) -> Option<T> {
    match text {
        Some(text) => parsed(field, &text, faults),
        None => {
            faults.push(Detail::new(field, Reason::Required));
            None
        }
    }
}

fn parsed<T: FromStr<Err = ProfileError>>(
    field: &'static str,
    text: &str,
    faults: &mut Vec<Detail>,
) -> Option<T> {
    text.parse().map_err(|error| faults.push(Detail::new(field, Reason::Profile(error)))).ok()
}

/// What is to be different of a customer: what is not there stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"phone": "+82 10-8765-4321"}))]
pub(crate) struct ChangeUser {
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, nullable = false, min_length = 1, max_length = 100)]
    name: Option<Option<String>>,
    /// Unique in the shop.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, nullable = false, max_length = 254)]
    email: Option<Option<String>>,
    /// null removes it.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 32)]
    phone: Option<Option<String>>,
}

/// A field that is there, be it null.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl ChangeUser {
    pub(super) fn parse(self) -> Result<ProfileChange, ApiError> {
        let Self { name, email, phone } = self;
        if name.is_none() && email.is_none() && phone.is_none() {
            return Err(ApiError::invalid_field("body", Reason::NothingToChange));
        }
        let mut faults = Vec::new();
        let change = ProfileChange {
            name: name.and_then(|name| required("name", name, &mut faults)),
            email: email.and_then(|email| required("email", email, &mut faults)),
            phone: phone.map(|phone| phone.and_then(|phone| parsed("phone", &phone, &mut faults))),
        };
        if faults.is_empty() { Ok(change) } else { Err(ApiError::invalid(faults)) }
    }
}

/// A customer.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({
    "id": 7,
    "name": "김미나",
    "email": "mina@example.com",
    "phone": "+82 10-1234-5678",
    "createdAt": "2025-11-09T12:34:56Z",
}))]
pub(crate) struct UserBody {
    id: i64,
    name: String,
    email: String,
    phone: Option<String>,
    created_at: Moment,
}

impl From<User> for UserBody {
    fn from(user: User) -> Self {
        Self {
            id: user.id.0,
            name: user.profile.name.to_string(),
            email: user.profile.email.to_string(),
            phone: user.profile.phone.map(|phone| phone.to_string()),
            created_at: Moment(user.created_at),
        }
    }
}

/// Who it is; what somebody has none of looks like what nobody has.
pub(super) async fn must_exist(shop: &Shop, user: UserId) -> Result<User, ApiError> {
    shop.customers.user(user).await?.ok_or(Problem::NoSuchUser.into())
}

/// Register a customer
///
/// With an empty wallet. The `id` of the answer is who they are from then on.
#[utoipa::path(
    post,
    path = "/api/v1/users",
    operation_id = "registerUser",
    tag = "Users",
    params(KeyHeader),
    request_body = RegisterUser,
    responses(
        (
            status = 201,
            description = "The customer.",
            headers(("Location" = String, description = "Where customers see themselves.")),
            body = UserBody,
        ),
        (status = 409, description = "`CONFLICT`: the e-mail address is taken, or the key was used for another request."),
    ),
)]
pub(crate) async fn register(
    shop: Data<Shop>,
    key: Key,
    body: JsonBody<RegisterUser>,
) -> Result<HttpResponse, ApiError> {
    let command = body.0.parse()?;
    let answer = shop.registrations.submit(Submission { command, key: key.0 }).await?;
    answered(RegisterUsers::NAME, answer)
}

impl Answers for RegisterUsers {
    fn answer(_: &str, outcome: Outcome<Self>) -> Result<HttpResponse, ApiError> {
        let user = outcome.map_err(|EmailTaken| email_taken())?;
        let mut response = json(StatusCode::CREATED, &UserBody::from(user));
        response.headers_mut().insert(LOCATION, HeaderValue::from_static("/api/v1/users/me"));
        Ok(response)
    }
}

pub(super) fn email_taken() -> ApiError {
    ApiError::from(Problem::EmailTaken).with(vec![Detail::new("email", Reason::EmailTaken)])
}

/// The caller
#[utoipa::path(
    get,
    path = "/api/v1/users/me",
    operation_id = "getMe",
    tag = "Users",
    params(CallerHeaders),
    responses(
        (status = 200, description = "The caller.", body = UserBody),
        (status = 404, description = "`NOT_FOUND`: there is no such user."),
    ),
)]
pub(crate) async fn me(shop: Data<Shop>, caller: Caller) -> Result<HttpResponse, ApiError> {
    let user = must_exist(&shop, caller.user).await?;
    Ok(ok(&UserBody::from(user)))
}

/// Change the caller
#[utoipa::path(
    patch,
    path = "/api/v1/users/me",
    operation_id = "changeMe",
    tag = "Users",
    params(CallerHeaders, KeyHeader),
    request_body = ChangeUser,
    responses(
        (status = 200, description = "The caller, changed.", body = UserBody),
        (status = 404, description = "`NOT_FOUND`: there is no such user."),
        (status = 409, description = "`CONFLICT`: the e-mail address is taken, or the key was used for another request."),
    ),
)]
pub(crate) async fn change(
    shop: Data<Shop>,
    caller: Caller,
    key: Key,
    body: JsonBody<ChangeUser>,
) -> Result<HttpResponse, ApiError> {
    let change = AccountChange::Profile(body.0.parse()?);
    let command = AccountCommand { user: caller.user, by: By::Themselves, change };
    manage(&shop, command, key).await
}

/// Leave the shop
///
/// For good: name, telephone number and cart are forgotten, and from then on there is no such user. The e-mail address stays
/// taken, and orders and movements of money stay in the books. Refused while there is money in the wallet, and while orders are
/// neither delivered nor cancelled; the details name everything that is in the way.
#[utoipa::path(
    delete,
    path = "/api/v1/users/me",
    operation_id = "leave",
    tag = "Users",
    params(CallerHeaders, KeyHeader),
    responses(
        (status = 204, description = "The caller has left."),
        (status = 404, description = "`NOT_FOUND`: there is no such user."),
        (status = 409, description = "`CONFLICT`: there is money in the wallet, or orders are open, or the key was used for another request."),
    ),
)]
pub(crate) async fn leave(shop: Data<Shop>, caller: Caller, key: Key) -> Result<HttpResponse, ApiError> {
    let command = AccountCommand { user: caller.user, by: By::Themselves, change: AccountChange::Close };
    manage(&shop, command, key).await
}
