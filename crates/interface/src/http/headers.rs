//! What request headers say: who asks, and under which key.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::{FromRequest, HttpMessage, HttpRequest, HttpResponse};
use jangteo_application::IdempotencyKey;
use jangteo_application::trail::Administrator;
use jangteo_domain::UserId;
use utoipa::IntoParams;

use super::error::{ApiError, Detail, Problem, Reason};
use super::parameters::PathId;
use super::trace::Trace;

/// Tells that an answer was given before, to a request with the same key.
pub(crate) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

const USER: &str = "X-User-Id";
const ROLE: &str = "X-User-Role";
const KEY: &str = "Idempotency-Key";

/// Who asks, according to headers that are believed.
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
        let admin = caller(request.headers()).and_then(|caller| {
            caller.must_be_administrator()?;
            Ok(Self(Origin::of(request).administrator(caller)))
        });
        ready(admin)
    }
}

/// The place of the request in its trace.
pub(crate) struct Origin(Trace);

impl Origin {
    fn of(request: &HttpRequest) -> Self {
        Self(*request.extensions().get::<Trace>().expect("every request has its trace"))
    }

    /// The caller, as an administrator who acts with this request.
    pub(crate) fn administrator(&self, caller: Caller) -> Administrator {
        Administrator { user: caller.user, trace_id: self.0.id() }
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
        ready(caller(request.headers()))
    }
}

fn caller(headers: &HeaderMap) -> Result<Caller, ApiError> {
    let unidentified =
        |field, reason| ApiError::from(Problem::Unidentified).with(vec![Detail::new(field, reason)]);
    let user = only(headers, "x-user-id").map_err(|reason| unidentified(USER, reason))?;
    let user = user.ok_or_else(|| unidentified(USER, Reason::Required))?;
    let user = parse_id(user).ok_or_else(|| unidentified(USER, Reason::NotAnId))?;
    let role = only(headers, "x-user-role").map_err(|reason| unidentified(ROLE, reason))?;
    let is_admin = match role {
        Some("ADMIN") => true,
        None | Some("USER") => false,
        Some(_) => return Err(unidentified(ROLE, Reason::NotOneOf(&["USER", "ADMIN"]))),
    };
    Ok(Caller { user: UserId(user), is_admin })
}

/// The value of a header that may be given once.
fn only<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a str>, Reason> {
    let mut values = headers.get_all(name);
    let first = values.next().map(HeaderValue::to_str).transpose().map_err(|_| Reason::Malformed)?;
    match values.next() {
        None => Ok(first),
        Some(_) => Err(Reason::Repeated),
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

/// The headers of [`Caller`], for the API document.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in values {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn a_caller_has_an_id_and_perhaps_a_role() {
        let known = caller(&headers(&[("x-user-id", "7"), ("x-user-role", "ADMIN")])).unwrap();
        assert_eq!(known, Caller { user: UserId(7), is_admin: true });
        assert!(!caller(&headers(&[("x-user-id", "7"), ("x-user-role", "USER")])).unwrap().is_admin);
        assert!(known.may_see_what_belongs_to(UserId(8)));
    }

    #[test]
    fn anything_else_is_nobody() {
        for given in [
            &[][..],
            &[("x-user-id", "")],
            &[("x-user-id", "0")],
            &[("x-user-id", "-1")],
            &[("x-user-id", "+1")],
            &[("x-user-id", "1.0")],
            &[("x-user-id", "9223372036854775808")],
            &[("x-user-id", "mina")],
            &[("x-user-id", "1"), ("x-user-id", "2")],
            &[("x-user-id", "1"), ("x-user-role", "admin")],
            &[("x-user-id", "1"), ("x-user-role", "USER"), ("x-user-role", "ADMIN")],
        ] {
            assert!(caller(&headers(given)).is_err(), "{given:?}");
        }
    }
}
