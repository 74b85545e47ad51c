//! Values as literals of SQL.
//!
//! None of them needs escaping: a text with a quote, a backslash or a control character is written in hexadecimal.

use std::fmt::Write;

use chrono::{DateTime, Datelike, Timelike, Utc};
use sea_orm::sea_query::Value;
use sea_orm::{ActiveValue, DbBackend};

/// Writes literals of one database.
pub(crate) struct Literals {
    backend: DbBackend,
    /// The last moment that was written, and how: nearly all of a batch happens at the same time.
    last: (DateTime<Utc>, String),
}

impl Literals {
    pub(crate) fn new(backend: DbBackend) -> Self {
        let epoch = DateTime::UNIX_EPOCH;
        Self { backend, last: (epoch, moment_literal(backend, epoch)) }
    }

    pub(crate) fn backend(&self) -> DbBackend {
        self.backend
    }

    pub(crate) fn write(&mut self, text: &mut String, value: ActiveValue<Value>) {
        let (ActiveValue::Set(value) | ActiveValue::Unchanged(value)) = value else {
            return text.push_str("NULL");
        };
        match value {
            Value::BigInt(Some(number)) => write_to(text, format_args!("{number}")),
            Value::Int(Some(number)) => write_to(text, format_args!("{number}")),
            Value::Bool(Some(truth)) => text.push(if truth { '1' } else { '0' }),
            Value::String(Some(string)) => write_string(text, self.backend, &string),
            Value::ChronoDateTimeUtc(Some(at)) => text.push_str(self.moment(at)),
            Value::BigInt(None)
            | Value::Int(None)
            | Value::Bool(None)
            | Value::String(None)
            | Value::ChronoDateTimeUtc(None) => text.push_str("NULL"),
            other => unreachable!("no table has a column of {other:?}"),
        }
    }

    /// As the drivers write and read it.
    pub(crate) fn moment(&mut self, at: DateTime<Utc>) -> &str {
        if self.last.0 != at {
            self.last = (at, moment_literal(self.backend, at));
        }
        &self.last.1
    }
}

/// A moment as a parameter to compare what is stored with, or to store. SQLite compares texts, and its driver would leave
/// out zeros at their end.
pub(crate) fn moment_value(backend: DbBackend, at: DateTime<Utc>) -> Value {
    match backend {
        DbBackend::MySql => at.into(),
        _ => moment_text(backend, at).into(),
    }
}

fn moment_literal(backend: DbBackend, at: DateTime<Utc>) -> String {
    format!("'{}'", moment_text(backend, at))
}

/// MySQL's DATETIME, or a text in UTC for SQLite.
fn moment_text(backend: DbBackend, at: DateTime<Utc>) -> String {
    let (date, time, micros) = (at.date_naive(), at.time(), at.timestamp_subsec_micros());
    let (between, after) = match backend {
        DbBackend::MySql => (' ', ""),
        _ => ('T', "+00:00"),
    };
    let (year, month, day) = (date.year(), date.month(), date.day());
    let (hour, minute, second) = (time.hour(), time.minute(), time.second());
    format!("{year:04}-{month:02}-{day:02}{between}{hour:02}:{minute:02}:{second:02}.{micros:06}{after}")
}

fn write_string(text: &mut String, backend: DbBackend, string: &str) {
    if !string.bytes().any(|byte| byte == b'\'' || byte == b'\\' || byte.is_ascii_control()) {
        text.push('\'');
        text.push_str(string);
        return text.push('\'');
    }
    let (before, after) = match backend {
        DbBackend::MySql => ("_utf8mb4 x'", "'"),
        _ => ("CAST(x'", "' AS TEXT)"),
    };
    text.push_str(before);
    for byte in string.bytes() {
        write_to(text, format_args!("{byte:02x}"));
    }
    text.push_str(after);
}

pub(crate) fn write_to(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("a string takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(backend: DbBackend, value: impl Into<Value>) -> String {
        let mut text = String::new();
        Literals::new(backend).write(&mut text, ActiveValue::Set(value.into()));
        text
    }

    #[test]
    fn a_text_that_would_need_escaping_is_hexadecimal() {
        assert_eq!(written(DbBackend::MySql, "쿠폰 \"a\""), "'쿠폰 \"a\"'");
        assert_eq!(written(DbBackend::MySql, "a'b"), "_utf8mb4 x'612762'");
        assert_eq!(written(DbBackend::MySql, "a\\"), "_utf8mb4 x'615c'");
        assert_eq!(written(DbBackend::Sqlite, "a\0'; --"), "CAST(x'6100273b202d2d' AS TEXT)");
    }

    #[test]
    fn each_database_has_its_form_of_a_moment() {
        let at = DateTime::UNIX_EPOCH + chrono::TimeDelta::microseconds(1_234_567);
        assert_eq!(written(DbBackend::MySql, at), "'1970-01-01 00:00:01.234567'");
        assert_eq!(written(DbBackend::Sqlite, at), "'1970-01-01T00:00:01.234567+00:00'");
    }

    /// The text `...00+00:00` comes before `...00.000000+00:00`, which is the same moment.
    #[test]
    fn a_whole_second_is_the_same_as_a_parameter_and_as_a_literal() {
        let stored = written(DbBackend::Sqlite, DateTime::UNIX_EPOCH);
        let parameter = moment_value(DbBackend::Sqlite, DateTime::UNIX_EPOCH);
        assert_eq!(parameter, Value::from(stored.trim_matches('\'')));
    }
}
