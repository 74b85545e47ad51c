//! Periods: from a moment up to another, which is not part of it.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use jangteo_application::exports::Span;
use jangteo_application::outbox_queries::Period;
use utoipa::IntoParams;

use super::error::{ApiError, Reason};
use super::parameters::{FromQuery, Query};

/// The longest that can be asked for.
const LONGEST: TimeDelta = TimeDelta::days(31);
/// What is asked for, unless it is said otherwise.
const USUAL: TimeDelta = TimeDelta::hours(24);

/// A moment as ISO-8601 has it, in this era: all databases know those. In whole seconds, as moments are shown.
pub(crate) fn parse_moment(text: &str) -> Option<DateTime<Utc>> {
    let moment = DateTime::parse_from_rfc3339(text).ok()?;
    let moment = DateTime::from_timestamp(moment.timestamp(), 0)?;
    let era = DateTime::UNIX_EPOCH..DateTime::from_timestamp(253_402_300_800, 0)?;
    era.contains(&moment).then_some(moment)
}

/// A period between two moments.
pub(crate) fn period(from: DateTime<Utc>, to: DateTime<Utc>) -> Result<Period, ApiError> {
    match from < to && to - from <= LONGEST {
        true => Ok(Period { from, to }),
        false => Err(ApiError::invalid_field("to", Reason::BadPeriod { days: LONGEST.num_days() })),
    }
}

/// Which period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PeriodParameters {
    /// Its first moment, in ISO-8601; 24 hours before its end unless it is given.
    #[param(value_type = Option<String>, format = DateTime, nullable = false, example = "2025-11-09T12:00:00Z")]
    from: Option<DateTime<Utc>>,
    /// The first moment after it, 31 days later at most; now unless it is given.
    #[param(value_type = Option<String>, format = DateTime, nullable = false, example = "2025-11-09T13:00:00Z")]
    to: Option<DateTime<Utc>>,
}

impl FromQuery for PeriodParameters {
    fn take_from(query: &mut Query) -> Self {
        Self { from: moment(query, "from"), to: moment(query, "to") }
    }
}

pub(crate) fn moment(query: &mut Query, name: &'static str) -> Option<DateTime<Utc>> {
    let text = query.text(name);
    let moment = text.as_deref().and_then(parse_moment);
    if text.is_some() && moment.is_none() {
        query.fault(name, Reason::NotAMoment);
    }
    moment
}

impl PeriodParameters {
    pub(crate) fn period(self, now: DateTime<Utc>) -> Result<Period, ApiError> {
        let to = self.to.unwrap_or(now.trunc_subsecs(0));
        period(self.from.unwrap_or(to - USUAL), to)
    }
}

/// Which period, of any length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SpanParameters {
    /// Its first moment, in ISO-8601; unless it is given, the period has no beginning.
    #[param(value_type = Option<String>, format = DateTime, nullable = false, example = "2025-11-01T00:00:00Z")]
    from: Option<DateTime<Utc>>,
    /// The first moment after it; unless it is given, the period has no end.
    #[param(value_type = Option<String>, format = DateTime, nullable = false, example = "2025-12-01T00:00:00Z")]
    to: Option<DateTime<Utc>>,
}

impl FromQuery for SpanParameters {
    fn take_from(query: &mut Query) -> Self {
        Self { from: moment(query, "from"), to: moment(query, "to") }
    }
}

impl SpanParameters {
    pub(crate) fn span(self) -> Result<Span, ApiError> {
        match (self.from, self.to) {
            (Some(from), Some(to)) if from >= to => {
                Err(ApiError::invalid_field("to", Reason::EndsBeforeItBegins))
            }
            (from, to) => Ok(Span { from, to }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::error::Detail;
    use super::super::parameters::read;
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        parse_moment(text).expect(text)
    }

    #[test]
    fn a_span_may_be_open() {
        let span = |query: &str| {
            read::<SpanParameters>(query).map(|span| span.span().map_err(ApiError::into_details))
        };
        assert_eq!(span(""), Ok(Ok(Span::default())));
        let (from, to) = ("2025-10-01T00:00:00Z", "2026-11-01T00:00:00Z");
        let both = Span { from: Some(at(from)), to: Some(at(to)) };
        assert_eq!(span(&format!("from={from}&to={to}")), Ok(Ok(both)));
        assert_eq!(span(&format!("to={to}")), Ok(Ok(Span { from: None, ..both })));
        let backwards = Detail::new("to", Reason::EndsBeforeItBegins);
        assert_eq!(span(&format!("from={to}&to={from}")), Ok(Err(vec![backwards])));
        assert_eq!(span("from=noon"), Err(vec![Detail::new("from", Reason::NotAMoment)]));
    }

    fn asked(query: &str) -> Result<Period, Vec<Detail>> {
        let now = at("2025-11-09T12:34:56Z") + TimeDelta::milliseconds(500);
        read::<PeriodParameters>(query)
            .and_then(|parameters| parameters.period(now).map_err(ApiError::into_details))
    }

    #[test]
    fn the_last_day_unless_asked_otherwise() {
        let period = |from, to| Ok(Period { from: at(from), to: at(to) });
        assert_eq!(asked(""), period("2025-11-08T12:34:56Z", "2025-11-09T12:34:56Z"));
        let hour = "from=2025-11-01T00:00:00Z&to=2025-11-01T10:00:00%2B09:00";
        assert_eq!(asked(hour), period("2025-11-01T00:00:00Z", "2025-11-01T01:00:00Z"));
        assert_eq!(asked("to=2025-11-01T00:00:00Z"), period("2025-10-31T00:00:00Z", "2025-11-01T00:00:00Z"));
        let month = "from=2025-10-01T00:00:00Z&to=2025-11-01T00:00:00Z";
        assert_eq!(asked(month), period("2025-10-01T00:00:00Z", "2025-11-01T00:00:00Z"));
    }

    #[test]
    fn what_is_no_period_is_refused() {
        let bad = Detail::new("to", Reason::BadPeriod { days: 31 });
        for query in [
            "from=2025-10-01T00:00:00Z",
            "from=2026-01-01T00:00:00Z",
            "from=2025-11-01T00:00:00Z&to=2025-11-01T00:00:00Z",
        ] {
            assert_eq!(asked(query), Err(vec![bad.clone()]), "{query}");
        }
        let faults = asked("from=yesterday&to=").unwrap_err();
        assert_eq!(faults, ["from", "to"].map(|field| Detail::new(field, Reason::NotAMoment)));
    }

    #[test]
    fn a_moment_can_be_stored() {
        for text in ["2025-11-09", "2025-11-09T12:34", "1969-12-31T23:59:59Z", "+12025-11-09T12:34:56Z", "0"]
        {
            assert_eq!(parse_moment(text), None, "{text}");
        }
        assert_eq!(parse_moment("9999-12-31T23:59:59-01:00"), None);
        for text in ["2016-12-31T23:59:60Z", "2016-12-31T23:59:59.999999999Z", "2017-01-01T08:59:59+09:00"] {
            assert_eq!(at(text).to_rfc3339(), "2016-12-31T23:59:59+00:00", "{text}");
        }
    }
}
