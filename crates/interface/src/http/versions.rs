//! Versions in headers: `ETag` says which one was shown, `If-Match` which one a change is meant for.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::{ETAG, HeaderMap, HeaderValue, IF_MATCH};
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use jangteo_application::versions::{Expected, Stale};
use utoipa::IntoParams;

use super::error::{ApiError, Detail, Problem, Reason};

/// Which versions a change may be made to, according to `If-Match`.
pub(crate) struct IfMatch(pub(crate) Expected);

impl FromRequest for IfMatch {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let malformed = || ApiError::invalid_field("If-Match", Reason::Malformed);
        ready(expected(request.headers()).map(Self).ok_or_else(malformed))
    }
}

fn expected(headers: &HeaderMap) -> Option<Expected> {
    let mut versions = Vec::new();
    let mut given = headers.get_all(IF_MATCH).peekable();
    if given.peek().is_none() {
        return Some(Expected::Any);
    }
    for value in given {
        for tag in value.to_str().ok()?.split(',').map(str::trim) {
            match tag {
                "*" => return Some(Expected::Any),
                // Weak tags never match, nor do those of others.
                _ => versions.extend(opaque(tag)?.parse::<i32>().ok().filter(|_| !tag.starts_with('W'))),
            }
        }
    }
    Some(Expected::OneOf(versions))
}

/// What stands between the quotes of a tag.
fn opaque(tag: &str) -> Option<&str> {
    let quoted = tag.strip_prefix("W/").unwrap_or(tag);
    let opaque = quoted.strip_prefix('"')?.strip_suffix('"')?;
    (!opaque.contains('"')).then_some(opaque)
}

/// Says which version an answer shows.
pub(crate) fn tagged(mut response: HttpResponse, version: i32) -> HttpResponse {
    let tag = HeaderValue::try_from(format!("\"{version}\"")).expect("digits in quotes");
    response.headers_mut().insert(ETAG, tag);
    response
}

impl From<Stale> for ApiError {
    fn from(stale: Stale) -> Self {
        Self::from(Problem::Stale).with(vec![Detail::new("If-Match", Reason::Version(stale.version))])
    }
}

/// The header of [`IfMatch`], for the API document.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes what `IfMatch` reads")]
pub(crate) struct IfMatchHeader {
    /// The `ETag` that was shown: the change is refused with 412 when somebody else was faster. Without it, whatever there is is
    /// changed.
    #[param(rename = "If-Match", nullable = false, example = "\"3\"")]
    if_match: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(values: &[&'static str]) -> Option<Expected> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IF_MATCH, HeaderValue::from_static(value));
        }
        expected(&headers)
    }

    #[test]
    fn versions_are_told_in_quotes() {
        assert_eq!(given(&[]), Some(Expected::Any));
        assert_eq!(given(&["*"]), Some(Expected::Any));
        assert_eq!(given(&["\"3\""]), Some(Expected::OneOf(vec![3])));
        assert_eq!(given(&["\"3\", \"4\"", "\"5\""]), Some(Expected::OneOf(vec![3, 4, 5])));
    }

    #[test]
    fn what_is_no_version_of_ours_matches_nothing_and_what_is_no_tag_is_refused() {
        for tag in ["W/\"3\"", "\"three\"", "\"\"", "\"99999999999\""] {
            assert_eq!(given(&[tag]), Some(Expected::OneOf(Vec::new())), "{tag}");
        }
        for text in ["3", "", "\"3", "\"3\" \"4\"", "\"3\","] {
            assert_eq!(given(&[text]), None, "{text}");
        }
    }
}
