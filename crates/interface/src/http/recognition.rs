//! Who asks: as headers say that are believed, or as a token says that is checked.

use actix_web::http::header::{HeaderMap, HeaderValue};
use actix_web::web::Data;
use actix_web::{HttpMessage, HttpRequest};
use jangteo_domain::UserId;

use super::Shop;
use super::error::{ApiError, Detail, Problem, Reason};
use super::headers::{Caller, parse_id};
use crate::config::{Authentication, Settings};
use crate::tokens::{ADMIN, Bearer, KeyError, TokenFault, Tokens};

pub(super) const USER: &str = "X-User-Id";
pub(super) const ROLE: &str = "X-User-Role";
pub(super) const TOKEN: &str = "Authorization";

/// How callers are recognised.
pub(crate) enum Recognition {
    /// They are believed.
    Headers,
    /// They have tokens.
    Tokens(Tokens),
}

/// Why it is not known who asks.
#[derive(Debug, Clone)]
pub(crate) struct Stranger {
    problem: Problem,
    field: &'static str,
    reason: Reason,
}

impl From<Stranger> for ApiError {
    fn from(stranger: Stranger) -> Self {
        Self::from(stranger.problem).with(vec![Detail::new(stranger.field, stranger.reason)])
    }
}

impl Recognition {
    pub(crate) fn of(settings: &Settings) -> Result<Self, KeyError> {
        Ok(match settings.authentication() {
            Authentication::Header => Self::Headers,
            Authentication::Jwt => Self::Tokens(Tokens::new(settings)?),
        })
    }
}

/// What was found out about a request, so that its token is checked once: who limits requests asks too.
#[derive(Clone)]
struct Recognised(Result<Caller, Stranger>);

/// Who sends a request.
pub(super) fn caller(request: &HttpRequest) -> Result<Caller, Stranger> {
    let shop = request.app_data::<Data<Shop>>().expect("callers are those of a shop");
    let Recognition::Tokens(tokens) = &shop.recognition else { return believed(request.headers()) };
    if let Some(known) = request.extensions().get::<Recognised>() {
        return known.0.clone();
    }
    let bearer = token(request.headers()).and_then(|token| {
        let bad = |fault| stranger(Problem::BadToken, TOKEN, Reason::Token(fault));
        tokens.check(token, shop.clock.now()).map_err(bad)
    });
    let found = bearer.map(|Bearer { user, is_admin }| Caller { user, is_admin });
    request.extensions_mut().insert(Recognised(found.clone()));
    found
}

fn stranger(problem: Problem, field: &'static str, reason: Reason) -> Stranger {
    Stranger { problem, field, reason }
}

/// The token of `Authorization: Bearer`, whose name may be in any case (RFC 9110, 11.1).
fn token(headers: &HeaderMap) -> Result<&str, Stranger> {
    let given = only(headers, "authorization");
    let given = given.map_err(|reason| stranger(Problem::BadToken, TOKEN, reason))?;
    let given = given.ok_or_else(|| stranger(Problem::NoToken, TOKEN, Reason::Required))?;
    match given.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty() => {
            Ok(token.trim())
        }
        Some(_) | None => Err(stranger(Problem::NoToken, TOKEN, Reason::Token(TokenFault::NotBearer))),
    }
}

/// Who asks, according to headers that are believed.
pub(super) fn believed(headers: &HeaderMap) -> Result<Caller, Stranger> {
    let unidentified = |field, reason| stranger(Problem::Unidentified, field, reason);
    let user = only(headers, "x-user-id").map_err(|reason| unidentified(USER, reason))?;
    let user = user.ok_or_else(|| unidentified(USER, Reason::Required))?;
    let user = parse_id(user).ok_or_else(|| unidentified(USER, Reason::NotAnId))?;
    let role = only(headers, "x-user-role").map_err(|reason| unidentified(ROLE, reason))?;
    let is_admin = match role {
        Some(ADMIN) => true,
        None | Some("USER") => false,
        Some(_) => return Err(unidentified(ROLE, Reason::NotOneOf(&["USER", ADMIN]))),
    };
    Ok(Caller { user: UserId(user), is_admin })
}

/// The value of a header that may be given once.
pub(super) fn only<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a str>, Reason> {
    let mut values = headers.get_all(name);
    let first = values.next().map(HeaderValue::to_str).transpose().map_err(|_| Reason::Malformed)?;
    match values.next() {
        None => Ok(first),
        Some(_) => Err(Reason::Repeated),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderName;

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
        let known = believed(&headers(&[("x-user-id", "7"), ("x-user-role", "ADMIN")])).unwrap();
        assert_eq!(known, Caller { user: UserId(7), is_admin: true });
        assert!(!believed(&headers(&[("x-user-id", "7"), ("x-user-role", "USER")])).unwrap().is_admin);
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
            assert!(believed(&headers(given)).is_err(), "{given:?}");
        }
    }

    #[test]
    fn a_token_stands_after_bearer() {
        for given in ["Bearer a.b.c", "bearer a.b.c", "BEARER  a.b.c "] {
            assert_eq!(token(&headers(&[("authorization", given)])).unwrap(), "a.b.c", "{given}");
        }
        for given in ["", "Bearer", "Bearer ", "Basic YTpi", "a.b.c", "Token a.b.c"] {
            let nothing = token(&headers(&[("authorization", given)])).unwrap_err();
            assert_eq!(nothing.problem, Problem::NoToken, "{given}");
        }
        let twice =
            token(&headers(&[("authorization", "Bearer a"), ("authorization", "Bearer b")])).unwrap_err();
        assert_eq!((twice.problem, twice.reason), (Problem::BadToken, Reason::Repeated));
    }
}
