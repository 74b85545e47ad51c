//! What is said in the head of every request or message.

use std::fmt;

use reqwest::header::{HeaderName, HeaderValue};

/// Headers by their names. Values may be secrets and are not shown.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Headers(Vec<(HeaderName, HeaderValue)>);

/// Headers that cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// It is none that HTTP knows.
    #[error("`{0}` cannot be the name of a header")]
    Name(String),
    /// Control characters, most likely.
    #[error("the value of `{0}` cannot be that of a header")]
    Value(HeaderName),
    /// The sink says it itself.
    #[error("`{0}` cannot be set: it is said with every event")]
    Ours(HeaderName),
    /// Which one is meant?
    #[error("`{0}` is there twice")]
    Twice(HeaderName),
}

/// Those that frame a request, and what the sinks say themselves.
const OURS: [&str; 6] =
    ["connection", "content-length", "content-type", "host", "transfer-encoding", "user-agent"];
const OUR_PREFIXES: [&str; 3] = ["ce-", "ce_", "webhook-"];

impl TryFrom<Vec<(String, String)>> for Headers {
    type Error = HeaderError;

    fn try_from(pairs: Vec<(String, String)>) -> Result<Self, HeaderError> {
        let mut headers = Vec::with_capacity(pairs.len());
        for (name, value) in pairs {
            let (name, value) = header(name, &value)?;
            if headers.iter().any(|(other, _)| *other == name) {
                return Err(HeaderError::Twice(name));
            }
            headers.push((name, value));
        }
        Ok(Self(headers))
    }
}

fn header(name: String, value: &str) -> Result<(HeaderName, HeaderValue), HeaderError> {
    let Ok(known) = HeaderName::try_from(&name) else { return Err(HeaderError::Name(name)) };
    let ours = OUR_PREFIXES.iter().any(|prefix| known.as_str().starts_with(prefix));
    if ours || OURS.contains(&known.as_str()) {
        return Err(HeaderError::Ours(known));
    }
    let Ok(mut value) = HeaderValue::try_from(value) else { return Err(HeaderError::Value(known)) };
    value.set_sensitive(true);
    Ok((known, value))
}

impl Headers {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (&HeaderName, &HeaderValue)> {
        self.0.iter().map(|(name, value)| (name, value))
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<Headers, HeaderError> {
        let owned = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
        pairs.iter().map(owned).collect::<Vec<_>>().try_into()
    }

    #[test]
    fn values_are_not_shown() {
        let headers = parse(&[("Authorization", "Bearer secret"), ("x-shop", "서울")]).unwrap();
        assert_eq!(format!("{headers:?}"), r#"["authorization", "x-shop"]"#);
        assert_eq!(headers.iter().next().unwrap().1, "Bearer secret");
    }

    #[test]
    fn what_cannot_be_sent_is_refused_and_its_value_not_repeated() {
        for (pairs, problem) in [
            (vec![("a b", "secret")], "`a b` cannot be the name of a header"),
            (vec![("x-a", "sec\nret")], "the value of `x-a` cannot be that of a header"),
            (vec![("Content-Type", "secret")], "`content-type` cannot be set: it is said with every event"),
            (vec![("ce_id", "secret")], "`ce_id` cannot be set: it is said with every event"),
            (vec![("Webhook-Id", "secret")], "`webhook-id` cannot be set: it is said with every event"),
            (vec![("x-a", "1"), ("X-A", "2")], "`x-a` is there twice"),
        ] {
            assert_eq!(parse(&pairs).unwrap_err().to_string(), problem);
        }
    }
}
