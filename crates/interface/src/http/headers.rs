//! What request headers say: who asks, and under which key.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use jangteo_application::IdempotencyKey;
use jangteo_application::trail::Administrator;
use jangteo_domain::{Order, UserId};
use utoipa::IntoParams;

use super::error::{ApiError, Problem, Reason};
use super::parameters::PathId;
use super::recognition::{caller, only};
use super::trace::Trace;

/// Tells that an answer was given before, to a request with the same key.
pub(crate) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

const KEY: &str = "Idempotency-Key";

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) user: UserId,
    pub(crate) is_admin: bool,
}

impl Caller {
    /// The one whom it belongs to, or an administrator.
    pub(crate) fn may_see_what_belongs_to(self, owner: UserId) -> bool {
        self.is_admin || self.user == owner
    }

    /// For what only those who run the shop may see or do.
    pub(crate) fn must_be_administrator(self) -> Result<(), ApiError> {
        match self.is_admin {
            true => Ok(()),
            false => Err(Problem::Forbidden.into()),
        }
    }

    /// The customer whom the path names, for those who may see what is theirs.
    pub(crate) fn customer(self, named: &PathId) -> Result<UserId, ApiError> {
        let customer = UserId(named.0);
        match self.may_see_what_belongs_to(customer) {
            true => Ok(customer),
            false => Err(Problem::Forbidden.into()),
        }
    }
}

/// A caller who may do what only those who run the shop may.
pub(crate) struct Admin(pub(crate) Administrator);

impl FromRequest for Admin {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(administrator(request).map(Self))
    }
}

fn administrator(request: &HttpRequest) -> Result<Administrator, ApiError> {
    let caller = caller(request)?;
    caller.must_be_administrator()?;
    Ok(Origin::of(request).administrator(caller))
}

/// The place of the request in its trace.
pub(crate) struct Origin(Trace);

impl Origin {
    fn of(request: &HttpRequest) -> Self {
        Self(Trace::of_request(request))
    }

    /// The caller, as an administrator who acts with this request.
    pub(crate) fn administrator(&self, caller: Caller) -> Administrator {
        Administrator { user: caller.user, trace_id: self.0.id() }
    }

    /// The caller, if it is not the customer who acts on an order.
    pub(crate) fn administrator_of(&self, caller: Caller, order: &Order) -> Option<Administrator> {
        (order.user != caller.user).then(|| self.administrator(caller))
    }
}

impl FromRequest for Origin {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self::of(request)))
    }
}

impl FromRequest for Caller {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(caller(request).map_err(ApiError::from))
    }
}

/// An id, in digits: 1 or more, within 64 bits.
pub(crate) fn parse_id(text: &str) -> Option<i64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|id| digits && *id > 0)
}

/// The client's key, if it wants retries to be safe.
pub(crate) struct Key(pub(crate) Option<IdempotencyKey>);

impl FromRequest for Key {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let key = only(request.headers(), "idempotency-key")
            .and_then(|key| key.map(str::parse).transpose().map_err(|_| Reason::NotAnIdempotencyKey));
        let key = key.map_err(|reason| match reason {
            Reason::Malformed => Reason::NotAnIdempotencyKey,
            reason => reason,
        });
        ready(key.map(Self).map_err(|reason| ApiError::invalid_field(KEY, reason)))
    }
}

/// Marks an answer that was given before.
pub(crate) fn mark_replayed(mut response: HttpResponse, replayed: bool) -> HttpResponse {
    if replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

/// The headers of [`Caller`], for the API document, which says of each operation that has them how callers are recognised.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes what `Caller` reads")]
pub(crate) struct CallerHeaders {
    /// Who asks.
    #[param(rename = "X-User-Id", minimum = 1, example = 1)]
    user: i64,
    /// As what: `USER`, which is the default, or `ADMIN`.
    #[param(rename = "X-User-Role", nullable = false, example = "USER")]
    role: Option<String>,
}

/// The header of [`Key`], for the API document.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes what `Key` reads")]
pub(crate) struct KeyHeader {
    /// 1 to 255 visible ASCII characters. A retry with the same key and the same request within 24 hours gets the
    /// same answer, with `Idempotency-Replayed: true`, and nothing happens twice.
    #[param(rename = "Idempotency-Key", nullable = false, min_length = 1, max_length = 255)]
    key: Option<String>,
}
