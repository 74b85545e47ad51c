//! What a batch writes, sent to the database as one script.
//!
//! The writes of a batch follow each other without anything to decide in between, so they go over the wire together:
//! one round trip instead of one a table, and no prepared statement for each number of rows.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use jangteo_domain::RepositoryError;
use sea_orm::sea_query::{
    Expr, Iden, MysqlQueryBuilder, QueryStatementWriter, SimpleExpr, SqliteQueryBuilder, Value,
};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseTransaction, DbBackend,
    DeleteMany, EntityName, EntityTrait, Iterable, QueryFilter, QueryTrait, UpdateMany,
};

use crate::error::failed;
use crate::literal::{Literals, write_to};
use crate::statement::{LARGEST, by_key};

/// A statement that is longer is closed and another one begun, in bytes.
const LONG_STATEMENT: usize = 128 * 1024;
/// A script that is longer is sent in parts, in bytes: servers limit the size of a packet.
const LONG_PART: usize = 1024 * 1024;

/// Writes, in order.
pub(crate) struct Script {
    parts: Vec<String>,
    literals: Literals,
}

impl Script {
    pub(crate) fn new(backend: DbBackend) -> Self {
        Self { parts: Vec::new(), literals: Literals::new(backend) }
    }

    pub(crate) fn backend(&self) -> DbBackend {
        self.literals.backend()
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
            let names: Vec<String> =
                columns.iter().map(|column| format!("`{}`", column.unquoted())).collect();
            let table = A::Entity::default().table_name().to_owned();
            let statement = open_part(&mut self.parts);
            let begin = statement.len();
            write_to(statement, format_args!("INSERT INTO `{table}` ({}) VALUES ", names.join(",")));
            let mut separator = "(";
            for mut row in rows.by_ref() {
                for column in &columns {
                    statement.push_str(separator);
                    self.literals.write(statement, row.take(*column));
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

    /// Adds an update. It must change exactly so many rows, or the script fails with
    /// [`RepositoryError::Conflict`].
    pub(crate) fn update<E: EntityTrait>(&mut self, update: UpdateMany<E>, rows: usize) {
        let text = self.text_of(&update.into_query());
        self.checked(&text, rows);
    }

    /// Adds a deletion, of exactly so many rows as [`Script::update`] changes.
    pub(crate) fn delete<E: EntityTrait>(&mut self, delete: DeleteMany<E>, rows: usize) {
        let text = self.text_of(&delete.into_query());
        self.checked(&text, rows);
    }

    fn checked(&mut self, text: &str, rows: usize) {
        let statement = open_part(&mut self.parts);
        // An integer that overflows is an error that an expression can raise.
        match self.literals.backend() {
            DbBackend::MySql => {
                write_to(statement, format_args!("{text};SET @missed = ~0 + ABS(ROW_COUNT() - {rows});"));
            }
            _ => {
                let smallest = i64::MIN;
                write_to(statement, format_args!("{text};SELECT abs({smallest} + (changes() = {rows}));"));
            }
        }
    }

    /// Adds an update of however many rows there are to change.
    pub(crate) fn update_any<E: EntityTrait>(&mut self, update: UpdateMany<E>) {
        let text = self.text_of(&update.into_query());
        write_to(open_part(&mut self.parts), format_args!("{text};"));
    }

    fn text_of(&self, statement: &impl QueryStatementWriter) -> String {
        match self.backend() {
            DbBackend::MySql => statement.to_string(MysqlQueryBuilder),
            _ => statement.to_string(SqliteQueryBuilder),
        }
    }

    /// As [`Script::update`] of rows by their keys, in lists that are not too long. What changes is told with an
    /// expression for the value of the row's key.
    pub(crate) fn update_by_key<E: EntityTrait>(
        &mut self,
        key: E::Column,
        values: &BTreeMap<i64, i64>,
        change: impl Fn(UpdateMany<E>, SimpleExpr) -> UpdateMany<E>,
    ) {
        let values: Vec<(i64, i64)> = values.iter().map(|(&key, &value)| (key, value)).collect();
        for list in values.chunks(LARGEST) {
            let keys = list.iter().map(|&(key, _)| key);
            let update = E::update_many().filter(key.is_in(keys));
            self.update(change(update, by_key(self.backend(), key, list)), list.len());
        }
    }

    /// A moment as [`Script::update`] has to write it.
    pub(crate) fn moment(&mut self, at: DateTime<Utc>) -> SimpleExpr {
        Expr::cust(self.literals.moment(at).to_owned())
    }

    pub(crate) fn moment_or_null(&mut self, at: Option<DateTime<Utc>>) -> SimpleExpr {
        at.map_or_else(|| Expr::cust("NULL"), |at| self.moment(at))
    }

    /// A text as an update has to write it: whatever it holds.
    pub(crate) fn text(&mut self, text: &str) -> SimpleExpr {
        let mut literal = String::new();
        self.literals.write(&mut literal, Set(Value::from(text)));
        Expr::cust(literal)
    }

    /// Sends the script.
    pub(crate) async fn run(&mut self, transaction: &DatabaseTransaction) -> Result<(), RepositoryError> {
        for part in self.parts.drain(..) {
            transaction.execute_unprepared(&part).await.map_err(failed)?;
        }
        Ok(())
    }
}

/// The part that the next statement belongs to.
fn open_part(parts: &mut Vec<String>) -> &mut String {
    if parts.last().is_none_or(|part| part.len() > LONG_PART) {
        parts.push(String::with_capacity(LONG_STATEMENT));
    }
    parts.last_mut().expect("one was just pushed")
}

#[cfg(test)]
mod tests {
    use sea_orm::ActiveValue::{NotSet, Set};

    use super::*;
    use crate::entity::coupon_history;

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
