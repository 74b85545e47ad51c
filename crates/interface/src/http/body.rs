//! Request and response bodies.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use actix_web::web::{Bytes, BytesMut, Data};
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use futures::StreamExt;
use futures::future::LocalBoxFuture;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::error::Category;

use super::Shop;
use super::error::{ApiError, Problem, Reason};

/// How long a client may take to send a body.
const PATIENCE: Duration = Duration::from_secs(30);

/// A request body: JSON in UTF-8, as long as the settings allow, of the fields that there are.
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest for JsonBody<T> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let is_json = is_json(request.headers());
        let longest = longest_body(request);
        let payload = payload.take();
        Box::pin(async move {
            if !is_json {
                return Err(Problem::NotJson.into());
            }
            let bytes = read_in_time(payload, longest).await?;
            parse(&bytes).map(|Object(body)| Self(body))
        })
    }
}

/// A request body that may be left out, and null. What is not there need not be JSON.
pub(crate) struct OptionalBody<T>(pub(crate) Option<T>);

impl<T: DeserializeOwned> FromRequest for OptionalBody<T> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let is_json = is_json(request.headers());
        let longest = longest_body(request);
        let payload = payload.take();
        Box::pin(async move {
            let bytes = read_in_time(payload, longest).await?;
            match bytes.is_empty() {
                true => Ok(Self(None)),
                false if !is_json => Err(Problem::NotJson.into()),
                false => parse(&bytes).map(|body: Option<Object<T>>| Self(body.map(|Object(body)| body))),
            }
        })
    }
}

/// A JSON object. What derives [`Deserialize`] would take a list of its fields' values as well.
#[derive(Debug)]
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }

        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

fn longest_body(request: &HttpRequest) -> usize {
    request.app_data::<Data<Shop>>().map_or(0, |shop| shop.longest_body)
}

/// `application/json`, with `charset=utf-8` or without.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(Ok(content_type)) = headers.get(CONTENT_TYPE).map(HeaderValue::to_str) else { return false };
    let mut parts = content_type.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    essence.eq_ignore_ascii_case("application/json")
        && parts.filter(|parameter| !parameter.is_empty()).all(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            name.eq_ignore_ascii_case("charset") && value.trim_matches('"').eq_ignore_ascii_case("utf-8")
        })
}

/// A client that sends nothing any more is not waited for.
async fn read_in_time(payload: Payload, longest: usize) -> Result<Bytes, ApiError> {
    let incomplete = |_| ApiError::invalid_field("body", Reason::BodyIncomplete);
    tokio::time::timeout(PATIENCE, read(payload, longest)).await.map_err(incomplete)?
}

async fn read(mut payload: Payload, longest: usize) -> Result<Bytes, ApiError> {
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| ApiError::invalid_field("body", Reason::BodyIncomplete))?;
        if first.len() + all.len() + chunk.len() > longest {
            return Err(Problem::TooLong { most: longest }.into());
        }
        // Nearly every body comes in one chunk, which need not be copied.
        if all.is_empty() && first.is_empty() {
            first = chunk;
        } else {
            all.extend_from_slice(&std::mem::take(&mut first));
            all.extend_from_slice(&chunk);
        }
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let text = str::from_utf8(bytes).map_err(|_| ApiError::invalid_field("body", Reason::NotUtf8))?;
    // Only a body that does not parse is worth the cost of tracking where it does not.
    serde_json::from_str(text).or_else(|_| locate_fault(text))
}

/// Parses again to find out which field is at fault.
fn locate_fault<T: DeserializeOwned>(text: &str) -> Result<T, ApiError> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let parsed = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        fault(&path, error.inner())
    })?;
    deserializer.end().map_err(|error| fault(".", &error))?;
    Ok(parsed)
}

fn fault(path: &str, error: &serde_json::Error) -> ApiError {
    let message = error.to_string();
    // A dot is the whole, and a question mark what cannot be named, as it breaks off before.
    let path = path.strip_suffix('?').unwrap_or(path).trim_end_matches('.');
    // The error has no kinds below its category: its text is all there is.
    let (field, reason) = if message.starts_with("unknown field") {
        (path.to_owned(), Reason::UnknownField)
    } else if let Some(name) = message.strip_prefix("duplicate field `") {
        let name = name.split('`').next().unwrap_or_default();
        let dot = if path.is_empty() { "" } else { "." };
        (format!("{path}{dot}{name}"), Reason::Repeated)
    } else if message.starts_with("number out of range") || error.classify() == Category::Data {
        (path.to_owned(), Reason::WrongType)
    } else {
        let (line, column) = (error.line(), error.column());
        (path.to_owned(), Reason::MalformedJson { line, column })
    };
    let field = if field.is_empty() { "body".to_owned() } else { field };
    ApiError::invalid_field(field, reason)
}

/// An answer with a JSON body.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> HttpResponse {
    let mut bytes = Vec::with_capacity(512);
    serde_json::to_writer(&mut bytes, body).expect("plain data serialises");
    let mut response = HttpResponse::with_body(status, bytes).map_into_boxed_body();
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

/// The answer to a request that was successful.
pub(crate) fn ok(body: &impl Serialize) -> HttpResponse {
    json(StatusCode::OK, body)
}

/// Says where what was created is.
pub(crate) fn located(mut response: HttpResponse, path: &str) -> HttpResponse {
    let path = HeaderValue::try_from(path).expect("a path of ASCII letters and digits");
    response.headers_mut().insert(LOCATION, path);
    response
}

#[cfg(test)]
mod tests {
    use super::super::error::Detail;
    use super::super::exact::WholeInput;
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    #[expect(dead_code, reason = "only reading is tested")]
    struct Order {
        items: Vec<Object<Item>>,
        coupon_code: Option<String>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only reading is tested")]
    struct Item {
        #[serde(default)]
        qty: WholeInput,
    }

    fn details(text: &str) -> Vec<Detail> {
        locate_fault::<Object<Order>>(text).expect_err(text).into_details()
    }

    #[test]
    fn a_fault_is_located() {
        for (text, field, reason) in [
            (r#"{"items":[],"extra":1}"#, "extra", Reason::UnknownField),
            (r#"{"items":[{"qty":1,"extra":1}]}"#, "items[0].extra", Reason::UnknownField),
            (r#"{"items":[{"qty":1},{"qty":1,"qty":1}]}"#, "items[1].qty", Reason::Repeated),
            (r#"{"items":[],"items":[]}"#, "items", Reason::Repeated),
            (r#"{"items":{}}"#, "items", Reason::WrongType),
            (r#"{"items":[1]}"#, "items[0]", Reason::WrongType),
            (r#"{"items":[],"couponCode":5}"#, "couponCode", Reason::WrongType),
            (r#"{"items":[{"qty":1e400}]}"#, "items[0].qty", Reason::WrongType),
            (r#"{"items":[[1]]}"#, "items[0]", Reason::WrongType),
            (r#"[[],null]"#, "body", Reason::WrongType),
            ("", "body", Reason::MalformedJson { line: 1, column: 0 }),
            (r#"{"items":[]"#, "body", Reason::MalformedJson { line: 1, column: 11 }),
            (r#"{"items":[]} x"#, "body", Reason::MalformedJson { line: 1, column: 14 }),
        ] {
            assert_eq!(details(text), [Detail::new(field, reason)], "{text}");
        }
    }

    #[test]
    fn json_is_told_by_its_content_type() {
        for (content_type, expected) in [
            ("application/json", true),
            ("Application/JSON; charset=UTF-8", true),
            ("application/json;charset=\"utf-8\"", true),
            ("application/json; charset=euc-kr", false),
            ("application/xml", false),
            ("text/plain", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
            assert_eq!(is_json(&headers), expected, "{content_type}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }
}
