use futures::future::BoxFuture;
use sqlx::error::DatabaseError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteQueryResult, SqliteSynchronous};
use sqlx::{ConnectOptions, Sqlite, SqliteConnection};

use super::till::Dialect;

impl Dialect for Sqlite {
    const BEGIN: &'static str = "BEGIN IMMEDIATE";
    /// The transaction is the lock.
    const LOCK: &'static str = "";
    const ADD_QUANTITY: &'static str =
        "ON CONFLICT (hour, product_id) DO UPDATE SET quantity = quantity + excluded.quantity";

    fn connect(url: &str) -> BoxFuture<'_, sqlx::Result<SqliteConnection>> {
        Box::pin(async move {
            let options: SqliteConnectOptions = url.parse()?;
            let durable = options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
            durable.connect().await
        })
    }

    fn rows_affected(result: &SqliteQueryResult) -> u64 {
        result.rows_affected()
    }

    /// One connection has nobody to collide with.
    fn is_collision(_: &(dyn DatabaseError + 'static)) -> bool {
        false
    }
}
