//! W3C trace context: which request this is, across services.

use actix_web::http::header::{HeaderMap, HeaderValue};
use actix_web::{HttpMessage, HttpRequest};

/// The place of a request in a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trace {
    trace_id: u128,
    /// This server's part of the trace.
    span_id: u64,
    flags: u8,
}

const HEADER: &str = "traceparent";

impl Trace {
    /// Joins the trace of the caller, or begins one.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut given = headers.get_all(HEADER);
        let parent = match (given.next(), given.next()) {
            (Some(only), None) => only.to_str().ok().and_then(parse),
            (Some(_), Some(_)) | (None, _) => None,
        };
        let (trace_id, flags) = parent.unwrap_or_else(|| (rand::random::<u128>().max(1), 0));
        Self { trace_id, span_id: rand::random::<u64>().max(1), flags }
    }

    /// That of a request which is being handled.
    pub(crate) fn of_request(request: &HttpRequest) -> Self {
        request.extensions().get::<Self>().copied().expect("every request has its trace")
    }

    /// The trace, in 32 hexadecimal digits.
    pub(crate) fn id(&self) -> String {
        format!("{:032x}", self.trace_id)
    }

    /// The value of the response's header.
    pub(crate) fn header(&self) -> HeaderValue {
        let text = format!("00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, self.flags);
        HeaderValue::try_from(text).expect("hexadecimal digits and hyphens")
    }
}

/// The trace id and the flags of `version-traceid-parentid-flags`.
fn parse(header: &str) -> Option<(u128, u8)> {
    let mut parts = header.trim().split('-');
    let version = hex(parts.next()?, 2)?;
    let trace_id = hex(parts.next()?, 32)?;
    let parent_id = hex(parts.next()?, 16)?;
    let flags = hex(parts.next()?, 2)?;
    // Later versions may add parts; this one has none.
    let complete = version != 0 || parts.next().is_none();
    let valid = complete && version != 0xff && trace_id != 0 && parent_id != 0;
    valid.then_some((trace_id, u8::try_from(flags).ok()?))
}

/// Lower case only, and without a sign, as the specification has it.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let well_formed =
        text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    well_formed.then(|| u128::from_str_radix(text, 16).ok())?
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderName;

    use super::*;

    const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn trace(values: &[&str]) -> Trace {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HeaderName::from_static(HEADER), HeaderValue::from_str(value).unwrap());
        }
        Trace::of(&headers)
    }

    #[test]
    fn a_trace_is_joined_with_a_span_of_its_own() {
        let joined = trace(&[&format!("00-{TRACE_ID}-00f067aa0ba902b7-01")]);
        assert_eq!(joined.id(), TRACE_ID);
        let header = joined.header();
        let header = header.to_str().unwrap();
        assert!(header.starts_with(&format!("00-{TRACE_ID}-")) && header.ends_with("-01"), "{header}");
        assert!(!header.contains("00f067aa0ba902b7"));
    }

    #[test]
    fn what_is_not_a_trace_begins_a_new_one() {
        let zeros = "0".repeat(32);
        for header in [
            "",
            "00",
            &format!("ff-{TRACE_ID}-00f067aa0ba902b7-01"),
            &format!("00-{zeros}-00f067aa0ba902b7-01"),
            &format!("00-{TRACE_ID}-0000000000000000-01"),
            &format!("00-{}-00f067aa0ba902b7-01", TRACE_ID.to_uppercase()),
            &format!("00-{TRACE_ID}-00f067aa0ba902b7-01-more"),
            &format!("00-{TRACE_ID}-00f067aa0ba902b7"),
        ] {
            let begun = trace(&[header]);
            assert_ne!(begun.id(), TRACE_ID, "{header}");
            assert_eq!(begun.header().len(), 55);
        }
        let header = format!("00-{TRACE_ID}-00f067aa0ba902b7-01");
        assert_ne!(trace(&[&header, &header]).id(), TRACE_ID);
    }

    #[test]
    fn a_later_version_may_say_more() {
        assert_eq!(trace(&[&format!("01-{TRACE_ID}-00f067aa0ba902b7-01-more")]).id(), TRACE_ID);
    }
}
