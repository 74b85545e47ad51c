//! Rows to insert, sent to the database as one script.
//!
//! The inserts of a batch follow each other without anything to decide in between, so they go over the wire together:
//! one round trip instead of one a table, and no prepared statement for each number of rows. Values stand in the text
//! as literals that need no escaping at all: a text with a quote, a backslash or a control character is written in
//! hexadecimal.

use std::fmt::Write;

use chrono::{DateTime, Datelike, Timelike, Utc};
use jangteo_domain::RepositoryError;
use sea_orm::sea_query::{Iden, Value};
use sea_orm::{
    ActiveModelTrait, ActiveValue, ConnectionTrait, DatabaseTransaction, DbBackend, EntityName, EntityTrait,
    Iterable,
};

use crate::error::failed;

/// A statement that is longer is closed and another one begun, in bytes.
const LONG_STATEMENT: usize = 128 * 1024;
/// A script that is longer is sent in parts, in bytes: servers limit the size of a packet.
const LONG_PART: usize = 1024 * 1024;

/// Inserts, in order.
pub(crate) struct Script {
    backend: DbBackend,
    parts: Vec<String>,
}

impl Script {
    pub(crate) fn new(backend: DbBackend) -> Self {
        Self { backend, parts: Vec::new() }
    }

    /// Adds rows to the end of the script. Columns that the first row leaves out are left out of all.
    pub(crate) fn insert<A: ActiveModelTrait>(&mut self, rows: impl IntoIterator<Item = A>) {
        self.insert_or(rows, "");
    }

    /// As [`Script::insert`], with what to do about rows that are there already.
    pub(crate) fn insert_or<A: ActiveModelTrait>(
        &mut self,
        rows: impl IntoIterator<Item = A>,
        on_conflict: &str,
    ) {
        let mut rows = rows.into_iter().peekable();
        while let Some(first) = rows.peek() {
            let columns: Vec<_> = <A::Entity as EntityTrait>::Column::iter()
                .filter(|column| !first.get(*column).is_not_set())
                .collect();
            let backend = self.backend;
            let statement = self.part();
            let begin = statement.len();
            let names: Vec<String> =
                columns.iter().map(|column| format!("`{}`", column.unquoted())).collect();
            let table = A::Entity::default().table_name().to_owned();
            write_to(statement, format_args!("INSERT INTO `{table}` ({}) VALUES ", names.join(",")));
            let mut separator = "(";
            for row in rows.by_ref() {
                for column in &columns {
                    statement.push_str(separator);
                    write_literal(statement, backend, &row.get(*column));
                    separator = ",";
                }
                separator = "),(";
                if statement.len() - begin > LONG_STATEMENT {
                    break;
                }
            }
            write_to(statement, format_args!("){on_conflict};"));
        }
    }

    /// Sends the script.
    pub(crate) async fn run(&mut self, transaction: &DatabaseTransaction) -> Result<(), RepositoryError> {
        for part in self.parts.drain(..) {
            transaction.execute_unprepared(&part).await.map_err(failed)?;
        }
        Ok(())
    }

    fn part(&mut self) -> &mut String {
        if self.parts.last().is_none_or(|part| part.len() > LONG_PART) {
            self.parts.push(String::with_capacity(LONG_STATEMENT));
        }
        self.parts.last_mut().expect("one was just pushed")
    }
}

fn write_to(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("a string takes everything");
}

fn write_literal(text: &mut String, backend: DbBackend, value: &ActiveValue<Value>) {
    let (ActiveValue::Set(value) | ActiveValue::Unchanged(value)) = value else {
        return text.push_str("NULL");
    };
    match value {
        Value::BigInt(Some(number)) => write_to(text, format_args!("{number}")),
        Value::Int(Some(number)) => write_to(text, format_args!("{number}")),
        Value::Bool(Some(truth)) => text.push(if *truth { '1' } else { '0' }),
        Value::String(Some(string)) => write_string(text, backend, string),
        Value::ChronoDateTimeUtc(Some(at)) => write_moment(text, backend, *at),
        Value::BigInt(None)
        | Value::Int(None)
        | Value::Bool(None)
        | Value::String(None)
        | Value::ChronoDateTimeUtc(None) => text.push_str("NULL"),
        other => unreachable!("no table has a column of {other:?}"),
    }
}

/// As the drivers write and read it: MySQL's DATETIME, or a text in UTC for SQLite.
fn write_moment(text: &mut String, backend: DbBackend, at: DateTime<Utc>) {
    let (date, time, micros) = (at.date_naive(), at.time(), at.timestamp_subsec_micros());
    let (between, after) = match backend {
        DbBackend::MySql => (' ', "'"),
        _ => ('T', "+00:00'"),
    };
    write_to(text, format_args!("'{:04}-{:02}-{:02}{between}", date.year(), date.month(), date.day()));
    write_to(
        text,
        format_args!("{:02}:{:02}:{:02}.{micros:06}{after}", time.hour(), time.minute(), time.second()),
    );
}

/// Nothing is ever escaped: what would need it is written in hexadecimal.
fn write_string(text: &mut String, backend: DbBackend, string: &str) {
    if !string.contains(|c: char| c == '\'' || c == '\\' || c.is_control()) {
        return write_to(text, format_args!("'{string}'"));
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

#[cfg(test)]
mod tests {
    use sea_orm::ActiveValue::{NotSet, Set};

    use super::*;
    use crate::entity::{coupon_history, id_blocks};

    fn written(backend: DbBackend, name: &str) -> String {
        let mut script = Script::new(backend);
        script.insert([id_blocks::ActiveModel { name: Set(name.to_owned()), next_id: Set(1) }]);
        script.parts.concat()
    }

    #[test]
    fn a_text_that_would_need_escaping_is_hexadecimal() {
        assert_eq!(
            written(DbBackend::MySql, "쿠폰 \"a\""),
            "INSERT INTO `id_blocks` (`name`,`next_id`) VALUES ('쿠폰 \"a\"',1);"
        );
        assert!(written(DbBackend::MySql, "a'b").contains("(_utf8mb4 x'612762',1)"));
        assert!(written(DbBackend::MySql, "a\\").contains("(_utf8mb4 x'615c',1)"));
        assert!(written(DbBackend::Sqlite, "a\0'; --").contains("(CAST(x'6100273b202d2d' AS TEXT),1)"));
    }

    #[test]
    fn rows_share_a_statement_until_it_is_long() {
        let row = |n| coupon_history::ActiveModel {
            id: NotSet,
            user_coupon_id: Set(n),
            action: Set("ISSUED".into()),
            order_id: Set((n > 1).then_some(n)),
            created_at: Set(chrono::DateTime::UNIX_EPOCH),
        };
        let mut script = Script::new(DbBackend::MySql);
        script.insert([row(1), row(2)]);
        let expected = "INSERT INTO `coupon_history` (`user_coupon_id`,`action`,`order_id`,`created_at`) VALUES \
                        (1,'ISSUED',NULL,'1970-01-01 00:00:00.000000'),(2,'ISSUED',2,'1970-01-01 00:00:00.000000');";
        assert_eq!(script.parts, [expected]);
        script.insert((0..50_000).map(row));
        assert!(script.parts.len() > 1);
        assert!(script.parts.iter().all(|part| part.len() < LONG_PART + 2 * LONG_STATEMENT));
        let rows = script.parts.concat().matches("'ISSUED'").count();
        assert_eq!(rows, 50_002);
        script.insert::<coupon_history::ActiveModel>([]);
        assert_eq!(script.parts.concat().matches("'ISSUED'").count(), rows);
    }
}
