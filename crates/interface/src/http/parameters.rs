//! Parameters in paths and queries.

use std::future::{Ready, ready};
use std::ops::RangeInclusive;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};

use super::error::{ApiError, Detail, Reason};
use super::headers::parse_id;

/// The one id in a path.
pub(crate) struct PathId(pub(crate) i64);

impl FromRequest for PathId {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let (name, value) = request.match_info().iter().next().unwrap_or_default();
        let id = parse_id(value).map(Self);
        ready(id.ok_or_else(|| ApiError::invalid_field(name.to_owned(), Reason::NotAnId)))
    }
}

/// The two ids in a path.
pub(crate) struct PathIds(pub(crate) i64, pub(crate) i64);

impl FromRequest for PathIds {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let mut faults = Vec::new();
        let ids = request.match_info().iter().map(|(name, value)| {
            let id = parse_id(value);
            id.ok_or_else(|| faults.push(Detail::new(name.to_owned(), Reason::NotAnId))).unwrap_or_default()
        });
        let ids: Vec<i64> = ids.collect();
        ready(match (faults.is_empty(), ids.as_slice()) {
            (true, &[first, second]) => Ok(Self(first, second)),
            _ => Err(ApiError::invalid(faults)),
        })
    }
}

/// Something that is read from a query.
pub(crate) trait FromQuery: Sized {
    /// Takes its parameters; faults are noted, and what it makes of them is of no use then.
    fn take_from(query: &mut Query) -> Self;
}

/// The parameters of a query, all of them, each known and given once.
pub(crate) struct Parameters<T>(pub(crate) T);

impl<T: FromQuery> FromRequest for Parameters<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Query::parse(request.query_string()).and_then(Query::finish).map(Self))
    }
}

/// A query that is being read.
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
    faults: Vec<Detail>,
}

impl Query {
    fn parse(query: &str) -> Result<Self, ApiError> {
        let pairs = match query.is_empty() {
            true => Vec::new(),
            false => web::Query::<Vec<(String, String)>>::from_query(query)
                .map_err(|_| ApiError::invalid_field("query", Reason::Malformed))?
                .into_inner(),
        };
        Ok(Self { pairs, faults: Vec::new() })
    }

    /// Reads everything there should be; what is left is unknown.
    fn finish<T: FromQuery>(mut self) -> Result<T, ApiError> {
        let read = T::take_from(&mut self);
        let unknown = self.pairs.into_iter().map(|(name, _)| Detail::new(name, Reason::UnknownParameter));
        self.faults.extend(unknown);
        match self.faults.is_empty() {
            true => Ok(read),
            false => Err(ApiError::invalid(self.faults)),
        }
    }

    pub(crate) fn fault(&mut self, name: &'static str, reason: Reason) {
        self.faults.push(Detail::new(name, reason));
    }

    /// What a parameter names, of these names.
    pub(crate) fn one_of<T>(
        &mut self,
        name: &'static str,
        names: &'static [&'static str],
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let named = self.text(name)?;
        let read = read(&named);
        if read.is_none() {
            self.fault(name, Reason::NotOneOf(names));
        }
        read
    }

    /// The value of a parameter.
    pub(crate) fn text(&mut self, name: &'static str) -> Option<String> {
        let mut values = self.pairs.extract_if(.., |pair| pair.0 == name).map(|(_, value)| value);
        let (first, more) = (values.next(), values.count() > 0);
        if more {
            self.fault(name, Reason::Repeated);
        }
        first
    }

    /// `true` or `false`.
    pub(crate) fn truth(&mut self, name: &'static str) -> Option<bool> {
        self.one_of(name, &["true", "false"], |text| text.parse().ok())
    }

    /// The id of something.
    pub(crate) fn id(&mut self, name: &'static str) -> Option<i64> {
        let id = parse_id(&self.text(name)?);
        if id.is_none() {
            self.fault(name, Reason::NotAnId);
        }
        id
    }

    /// A whole number in digits; `default` when it is not given.
    pub(crate) fn number(&mut self, name: &'static str, range: RangeInclusive<u32>, default: u32) -> u32 {
        let Some(text) = self.text(name) else { return default };
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(number) if digits && range.contains(&number) => number,
            Ok(_) | Err(_) => {
                let (least, most) = (i64::from(*range.start()), i64::from(*range.end()));
                self.fault(name, Reason::OutOfRange { least, most });
                default
            }
        }
    }
}

#[cfg(test)]
pub(crate) fn read<T: FromQuery>(query: &str) -> Result<T, Vec<Detail>> {
    Query::parse(query).and_then(Query::finish).map_err(ApiError::into_details)
}
