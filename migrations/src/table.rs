//! A table definition in the terms migrations need, spelled for the database at hand.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

/// A table under construction. Constraints are named `<kind>_<table>_<columns>`, which keeps them unique in the
/// whole database as MySQL demands: `fk` for foreign keys, `uq` for unique keys, `ck` for checks. Columns are
/// NOT NULL unless they say otherwise.
pub(crate) struct NewTable {
    name: &'static str,
    backend: DbBackend,
    statement: TableCreateStatement,
}

impl NewTable {
    pub(crate) fn new(name: &'static str, backend: DbBackend) -> Self {
        let mut statement = Table::create().table(name).take();
        if backend == DbBackend::MySql {
            // The binary collation compares code points, as SQLite does: uniqueness and order are the same on both.
            statement.engine("InnoDB").character_set("utf8mb4").collate("utf8mb4_bin");
        }
        Self { name, backend, statement }
    }

    /// A table that is made to take the place of one that is there, under another name until then.
    pub(crate) fn instead_of(name: &'static str, until_then: &'static str, backend: DbBackend) -> Self {
        let mut table = Self::new(name, backend);
        table.statement.table(until_then);
        table
    }

    pub(crate) fn column(mut self, column: ColumnDef) -> Self {
        self.statement.col(column);
        self
    }

    /// A point in time in UTC, to the microsecond.
    pub(crate) fn time(self, column: &'static str) -> Self {
        let definition = time_column(self.backend, column).not_null().take();
        self.column(definition)
    }

    /// A point in time in UTC, to the microsecond, or NULL.
    pub(crate) fn time_or_null(self, column: &'static str) -> Self {
        let definition = time_or_null(self.backend, column);
        self.column(definition)
    }

    /// Text of up to 16 MiB: a serialised event or answer.
    pub(crate) fn document(self, column: &'static str) -> Self {
        let definition = document_column(self.backend, column).not_null().take();
        self.column(definition)
    }

    /// A [`NewTable::document`], or NULL.
    pub(crate) fn document_or_null(self, column: &'static str) -> Self {
        let definition = document_column(self.backend, column).null().take();
        self.column(definition)
    }

    /// A primary key of several columns.
    pub(crate) fn primary_key(mut self, columns: &[&'static str]) -> Self {
        self.statement.primary_key(&mut over(columns));
        self
    }

    /// A primary key of several columns by which the rows themselves are stored, as InnoDB always does. On SQLite
    /// it saves a second tree per table, which pays off while rows are small.
    pub(crate) fn clustered_by(mut self, columns: &[&'static str]) -> Self {
        if self.backend == DbBackend::Sqlite {
            self.statement.extra("WITHOUT ROWID");
        }
        self.primary_key(columns)
    }

    pub(crate) fn unique(mut self, columns: &[&'static str]) -> Self {
        let name = format!("uq_{}_{}", self.name, columns.join("_"));
        self.statement.index(over(columns).unique().name(name));
        self
    }

    pub(crate) fn references(mut self, column: &'static str, table: &'static str, key: &'static str) -> Self {
        self.statement.foreign_key(
            ForeignKey::create()
                .name(format!("fk_{}_{column}", self.name))
                .from(self.name, column)
                .to(table, key),
        );
        self
    }

    pub(crate) fn check(mut self, subject: &str, condition: Expr) -> Self {
        self.statement.check((format!("ck_{}_{subject}", self.name), condition));
        self
    }

    pub(crate) fn not_negative(self, column: &'static str) -> Self {
        self.check(column, Expr::col(column).gte(0))
    }

    pub(crate) fn positive(self, column: &'static str) -> Self {
        self.check(column, Expr::col(column).gt(0))
    }

    pub(crate) fn not_zero(self, column: &'static str) -> Self {
        self.check(column, Expr::col(column).ne(0))
    }

    pub(crate) fn one_of(self, column: &'static str, values: &[&'static str]) -> Self {
        self.check(column, Expr::col(column).is_in(values.iter().copied()))
    }

    pub(crate) fn build(self) -> TableCreateStatement {
        self.statement
    }
}

/// A column for a point in time in UTC, to the microsecond, or NULL.
pub(crate) fn time_or_null(backend: DbBackend, column: &'static str) -> ColumnDef {
    time_column(backend, column).null().take()
}

fn time_column(backend: DbBackend, column: &'static str) -> ColumnDef {
    let mut definition = ColumnDef::new(column);
    match backend {
        DbBackend::MySql => definition.custom("datetime(6)"),
        _ => definition.timestamp_with_time_zone(),
    };
    definition
}

fn document_column(backend: DbBackend, column: &'static str) -> ColumnDef {
    let mut definition = ColumnDef::new(column);
    match backend {
        DbBackend::MySql => definition.custom("mediumtext"),
        _ => definition.text(),
    };
    definition
}

/// One more column for a table that is there.
pub(crate) fn add_column(table: &'static str, column: ColumnDef) -> TableAlterStatement {
    Table::alter().table(table).add_column(column).take()
}

/// Takes an [`add_column`] back.
pub(crate) fn drop_column(table: &'static str, column: &'static str) -> TableAlterStatement {
    Table::alter().table(table).drop_column(column).take()
}

/// A secondary index, `ix_<table>_<columns>`.
pub(crate) fn index(table: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    over(columns).name(index_name(table, columns)).table(table).take()
}

/// Takes an [`index`] back.
pub(crate) fn drop_index(table: &'static str, columns: &[&'static str]) -> IndexDropStatement {
    Index::drop().name(index_name(table, columns)).table(table).to_owned()
}

fn index_name(table: &str, columns: &[&str]) -> String {
    format!("ix_{table}_{}", columns.join("_"))
}

fn over(columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = Index::create();
    for column in columns {
        index.col(*column);
    }
    index
}
