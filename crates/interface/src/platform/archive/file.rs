//! Events in a SQLite file.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, ensure};
use chrono::{DateTime, SecondsFormat, Utc};
use futures::TryStreamExt;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{QueryBuilder, Sqlite, SqliteConnection, SqlitePool};

use super::{Arrivals, Kept};
use crate::platform::event::Event;
use crate::platform::ledger::Ledger;

/// One connection writes, the other reads.
const CONNECTIONS: u32 = 2;
/// Tells the file apart from other databases.
const OURS: i32 = 0x4a67_5065;
/// What is written by one statement at most: so many values are far from the limit of SQLite.
const ROWS: usize = 256;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS events (
    arrival INTEGER PRIMARY KEY,
    received_at TEXT NOT NULL,
    source TEXT NOT NULL,
    id TEXT NOT NULL,
    subject TEXT,
    event TEXT NOT NULL,
    UNIQUE (source, id)
) STRICT;
CREATE INDEX IF NOT EXISTS events_by_subject ON events (subject);
CREATE TABLE IF NOT EXISTS duplicates (
    received_at TEXT NOT NULL,
    source TEXT NOT NULL,
    id TEXT NOT NULL
) STRICT;
";

pub(in crate::platform) struct File(SqlitePool);

type Row = (DateTime<Utc>, Event);

impl File {
    pub(super) async fn open(path: &Path, ledger: &mut Ledger) -> anyhow::Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // What is acknowledged is on the disk.
            .synchronous(SqliteSynchronous::Full);
        let cannot = || format!("cannot open the file {} for events", path.display());
        let pool = SqlitePoolOptions::new().max_connections(CONNECTIONS).connect_with(options).await;
        let file = Self(pool.with_context(cannot)?);
        file.claim().await.with_context(cannot)?;
        file.enter_all(ledger).await.with_context(cannot)?;
        Ok(file)
    }

    /// Makes the tables, unless somebody else has tables in it.
    async fn claim(&self) -> anyhow::Result<()> {
        let owner: i32 = sqlx::query_scalar("PRAGMA application_id").fetch_one(&self.0).await?;
        let tables: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM sqlite_schema").fetch_one(&self.0).await?;
        ensure!(owner == OURS || tables == 0, "it is another kind of database");
        sqlx::query(sqlx::AssertSqlSafe(format!("PRAGMA application_id = {OURS}"))).execute(&self.0).await?;
        sqlx::raw_sql(SCHEMA).execute(&self.0).await?;
        Ok(())
    }

    async fn enter_all(&self, ledger: &mut Ledger) -> anyhow::Result<()> {
        let duplicates: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM duplicates").fetch_one(&self.0).await?;
        ledger.count_duplicates(duplicates.unsigned_abs());
        let events = "SELECT received_at, event FROM events ORDER BY arrival";
        let mut events = sqlx::query_as::<_, (String, String)>(events).fetch(&self.0);
        while let Some((received_at, json)) = events.try_next().await? {
            ledger.enter(&Event::read(&json)?, received_at.parse()?);
        }
        Ok(())
    }

    pub(super) async fn keep(&self, arrivals: &Arrivals) -> Result<(), sqlx::Error> {
        let mut transaction = self.0.begin().await?;
        for rows in statements(&arrivals.new) {
            insert_events(&mut transaction, rows).await?;
        }
        for rows in statements(&arrivals.duplicates) {
            insert_duplicates(&mut transaction, rows).await?;
        }
        transaction.commit().await
    }

    pub(super) async fn about(&self, subject: &str) -> Result<Vec<Kept>, sqlx::Error> {
        let events = "SELECT received_at, event FROM events WHERE subject = ? ORDER BY arrival";
        let events = sqlx::query_as::<_, (String, String)>(events).bind(subject).fetch(&self.0);
        let kept = |(received_at, json): (String, String)| {
            let received_at = received_at.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
            Ok(Kept { received_at, json: Arc::from(json) })
        };
        events.and_then(async |row| kept(row)).try_collect().await
    }

    pub(super) async fn close(&self) {
        self.0.close().await;
    }
}

/// In powers of two, so that there are few statements to prepare.
fn statements(mut rows: &[Row]) -> impl Iterator<Item = &[Row]> {
    std::iter::from_fn(move || {
        let length = 1 << rows.len().min(ROWS).checked_ilog2()?;
        let (first, rest) = rows.split_at(length);
        rows = rest;
        Some(first)
    })
}

async fn insert_events(connection: &mut SqliteConnection, rows: &[Row]) -> Result<(), sqlx::Error> {
    let mut insert =
        QueryBuilder::<Sqlite>::new("INSERT INTO events (received_at, source, id, subject, event) ");
    insert.push_values(rows, |mut row, (received_at, event)| {
        row.push_bind(shown(*received_at)).push_bind(event.source.clone()).push_bind(event.id.clone());
        row.push_bind(event.subject.clone()).push_bind(event.json.clone());
    });
    // What was written though it seemed to fail.
    insert.push(" ON CONFLICT (source, id) DO NOTHING");
    insert.build().execute(connection).await.map(drop)
}

async fn insert_duplicates(connection: &mut SqliteConnection, rows: &[Row]) -> Result<(), sqlx::Error> {
    let mut insert = QueryBuilder::<Sqlite>::new("INSERT INTO duplicates (received_at, source, id) ");
    insert.push_values(rows, |mut row, (received_at, event)| {
        row.push_bind(shown(*received_at)).push_bind(event.source.clone()).push_bind(event.id.clone());
    });
    insert.build().execute(connection).await.map(drop)
}

fn shown(moment: DateTime<Utc>) -> String {
    moment.to_rfc3339_opts(SecondsFormat::Micros, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_cut_into_powers_of_two() {
        let event = r#"{"specversion":"1.0","id":"1","source":"/","type":"ping"}"#;
        let row = (DateTime::UNIX_EPOCH, Event::read(event).unwrap());
        let lengths = |rows| statements(&vec![row.clone(); rows]).map(<[Row]>::len).collect::<Vec<_>>();
        assert!(lengths(0).is_empty());
        assert_eq!(lengths(1), [1]);
        assert_eq!(lengths(100), [64, 32, 4]);
        assert_eq!(lengths(600), [256, 256, 64, 16, 8]);
    }

    #[tokio::test]
    async fn a_database_of_somebody_else_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shop.db");
        let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        let shop = SqlitePool::connect_with(options).await.unwrap();
        sqlx::raw_sql("CREATE TABLE orders (id INTEGER)").execute(&shop).await.unwrap();
        let refused = File::open(&path, &mut Ledger::new()).await.err().expect("refused");
        assert!(
            format!("{refused:#}").ends_with("shop.db for events: it is another kind of database"),
            "{refused:#}"
        );
        let tables: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM sqlite_schema").fetch_one(&shop).await.unwrap();
        assert_eq!(tables, 1);
    }
}
