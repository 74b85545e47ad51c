//! The connection pools.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jangteo_application::queries::Readiness;
use jangteo_application::{Clock, Database, UnitOfWork, exports};
use jangteo_domain::RepositoryError;
use sea_orm::sqlx::mysql::MySqlConnectOptions;
use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::sqlx::{self, ConnectOptions as _, Connection, Executor};
use sea_orm::{
    AccessMode, ConnectOptions, DatabaseConnection, DatabaseTransaction, DbErr, IsolationLevel, RuntimeErr,
    SqliteTransactionMode, TransactionOptions, TransactionTrait,
};

use tokio::sync::Notify;

use crate::error::failed;
use crate::id_blocks::IdBlocks;
use crate::transaction::Transaction;

/// Where the database is and how many connections to keep.
#[derive(Clone)]
pub struct DatabaseSettings {
    /// `sqlite://path` or `mysql://user:password@host:port/database`.
    pub url: String,
    /// Connections for reading.
    pub readers: u32,
    /// Connections for writing, on MySQL. SQLite has one: it lets only one write at a time.
    pub writers: u32,
}

/// Which database answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatabaseKind {
    /// The embedded one.
    Sqlite,
    /// MySQL or MariaDB.
    MySql,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL names no supported database.
    #[error("the database URL must be sqlite://PATH or mysql://USER:PASSWORD@HOST:PORT/DATABASE")]
    UnsupportedUrl,
    /// The folder of an SQLite database cannot be made.
    #[error("cannot create the folder of the database")]
    Folder(#[source] std::io::Error),
    /// It does not answer, or refuses.
    #[error("cannot connect to the database")]
    Connection(#[source] DbErr),
}

/// The database behind every port. Cheap to clone.
#[derive(Clone)]
pub struct Store(Arc<Pools>);

struct Pools {
    kind: DatabaseKind,
    writers: DatabaseConnection,
    readers: DatabaseConnection,
    /// For exports, which hold a connection for minutes. None is there before one is needed.
    exporters: DatabaseConnection,
    ids: IdBlocks,
    /// Told when there are events to deliver.
    news: Arc<Notify>,
    clock: Arc<dyn Clock>,
}

/// Prepared statements that each connection keeps: more than there are shapes of statements.
const STATEMENTS: usize = 1024;
/// How long anybody waits for a free connection, and SQLite for another process's write.
const PATIENCE: Duration = Duration::from_secs(5);
/// A connection that rested longer is tested before it is used.
const REST: Duration = Duration::from_secs(5);

impl DatabaseKind {
    /// The database that a URL names.
    ///
    /// # Errors
    /// [`ConnectError::UnsupportedUrl`].
    pub fn of(url: &str) -> Result<Self, ConnectError> {
        match url.split_once("://") {
            Some(("sqlite", path)) if !path.is_empty() && !path.contains(":memory:") => Ok(Self::Sqlite),
            Some(("mysql" | "mariadb", _)) => Ok(Self::MySql),
            _ => Err(ConnectError::UnsupportedUrl),
        }
    }
}

impl Store {
    /// Connects; creates the file and folder of an SQLite database.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn connect(settings: &DatabaseSettings, clock: Arc<dyn Clock>) -> Result<Self, ConnectError> {
        let kind = DatabaseKind::of(&settings.url)?;
        // Boxed: the drivers' futures are nested so deep that callers would meet the compiler's limit.
        let exporters = exporters(&settings.url);
        let (writers, readers, exporters) = match kind {
            DatabaseKind::Sqlite => {
                create_folder(&settings.url)?;
                let writers = Box::pin(sqlite(pool(&settings.url, 1), false, "memory")).await?;
                let readers = Box::pin(sqlite(pool(&settings.url, settings.readers), true, "memory")).await?;
                // The audit adds up whole tables: what does not fit into its memory is its own files.
                (writers, readers, Box::pin(sqlite(exporters, true, "file")).await?)
            }
            DatabaseKind::MySql => {
                Box::pin(try_mysql(&settings.url)).await?;
                let writers = Box::pin(mysql(pool(&settings.url, settings.writers))).await?;
                let readers = Box::pin(mysql(pool(&settings.url, settings.readers))).await?;
                (writers, readers, Box::pin(mysql(exporters)).await?)
            }
        };
        Ok(Self(Arc::new(Pools {
            kind,
            writers,
            readers,
            exporters,
            ids: IdBlocks::new(),
            news: Arc::default(),
            clock,
        })))
    }

    /// Which database answers.
    #[must_use]
    pub fn kind(&self) -> DatabaseKind {
        self.0.kind
    }

    /// Closes the connections once what they do is done.
    pub async fn close(&self) {
        for pool in [&self.0.writers, &self.0.readers, &self.0.exporters] {
            if let Err(error) = pool.close_by_ref().await {
                tracing::warn!(%error, "a connection pool did not close cleanly");
            }
        }
    }

    /// A transaction that writes: the lock of an embedded database is taken at once, because one that is taken later
    /// may be refused.
    pub(crate) async fn begin_writing(&self) -> Result<DatabaseTransaction, RepositoryError> {
        let begun = match self.0.kind {
            DatabaseKind::Sqlite => {
                let sqlite_transaction_mode = Some(SqliteTransactionMode::Immediate);
                let options = TransactionOptions { sqlite_transaction_mode, ..TransactionOptions::default() };
                self.0.writers.begin_with_options(options).await
            }
            DatabaseKind::MySql => self.0.writers.begin().await,
        };
        begun.map_err(failed)
    }

    /// A transaction in which every query sees the data as the first one did.
    pub(crate) async fn snapshot(&self) -> Result<DatabaseTransaction, RepositoryError> {
        self.snapshot_on(&self.0.readers).await
    }

    /// The same for who takes long: readers never wait for it.
    pub(crate) async fn long_snapshot(&self) -> Result<DatabaseTransaction, RepositoryError> {
        self.snapshot_on(&self.0.exporters).await
    }

    async fn snapshot_on(&self, pool: &DatabaseConnection) -> Result<DatabaseTransaction, RepositoryError> {
        let options = match self.0.kind {
            DatabaseKind::Sqlite => TransactionOptions::default(),
            DatabaseKind::MySql => TransactionOptions {
                isolation_level: Some(IsolationLevel::RepeatableRead),
                access_mode: Some(AccessMode::ReadOnly),
                sqlite_transaction_mode: None,
            },
        };
        pool.begin_with_options(options).await.map_err(failed)
    }

    pub(crate) fn writers(&self) -> &DatabaseConnection {
        &self.0.writers
    }

    pub(crate) fn readers(&self) -> &DatabaseConnection {
        &self.0.readers
    }

    pub(crate) fn id_blocks(&self) -> &IdBlocks {
        &self.0.ids
    }

    pub(crate) fn news(&self) -> &Arc<Notify> {
        &self.0.news
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        self.0.clock.as_ref()
    }
}

#[async_trait]
impl Database for Store {
    async fn begin(&self) -> Result<Box<dyn UnitOfWork>, RepositoryError> {
        let raw = self.begin_writing().await?;
        Ok(Box::new(Transaction::new(raw, Arc::clone(self.news()))))
    }
}

#[async_trait]
impl Readiness for Store {
    async fn check(&self) -> Result<(), RepositoryError> {
        self.0.readers.ping().await.map_err(failed)
    }
}

fn create_folder(url: &str) -> Result<(), ConnectError> {
    let path = url.trim_start_matches("sqlite://").split('?').next().unwrap_or_default();
    match Path::new(path).parent() {
        Some(folder) => std::fs::create_dir_all(folder).map_err(ConnectError::Folder),
        None => Ok(()),
    }
}

fn pool(url: &str, connections: u32) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections.max(1))
        .acquire_timeout(PATIENCE)
        .test_before_acquire(false)
        .test_before_acquire_if_idle_for(REST)
        .sqlx_logging(false)
        .record_stmt_in_spans(false);
    options
}

fn exporters(url: &str) -> ConnectOptions {
    let mut options = pool(url, exports::AT_ONCE);
    options.connect_lazy(true);
    options
}

async fn sqlite(
    mut options: ConnectOptions,
    read_only: bool,
    temporary: &'static str,
) -> Result<DatabaseConnection, ConnectError> {
    options.idle_timeout(None).max_lifetime(None).map_sqlx_sqlite_opts(move |sqlite| {
        sqlite
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(PATIENCE)
            .statement_cache_capacity(STATEMENTS)
            .pragma("cache_size", if read_only { "-4000" } else { "-32000" })
            .pragma("temp_store", temporary)
            .pragma("wal_autocheckpoint", "8000")
            .pragma("query_only", if read_only { "on" } else { "off" })
    });
    sea_orm::Database::connect(options).await.map_err(ConnectError::Connection)
}

/// A pool tries again until its patience ends and then says no more than that: one connection of its own tells at once
/// why there is none.
async fn try_mysql(url: &str) -> Result<(), ConnectError> {
    let connection = async {
        let options: MySqlConnectOptions = url.parse()?;
        options.disable_statement_logging().connect().await?.close().await
    };
    let tried = tokio::time::timeout(PATIENCE, connection).await;
    let failure = match tried {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => RuntimeErr::SqlxError(Arc::<sqlx::Error>::new(error)),
        Err(_) => RuntimeErr::Internal(format!("no answer within {} seconds", PATIENCE.as_secs())),
    };
    Err(ConnectError::Connection(DbErr::Conn(failure)))
}

async fn mysql(mut options: ConnectOptions) -> Result<DatabaseConnection, ConnectError> {
    options.map_sqlx_mysql_opts(|mysql| mysql.statement_cache_capacity(STATEMENTS)).map_sqlx_mysql_pool_opts(
        |pool| {
            pool.after_connect(|connection, _| {
                Box::pin(async move {
                    // REPEATABLE READ would lock the gaps where a missing id would be.
                    connection.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await?;
                    // Who waits longer tries again, and those who wait behind it are told when they are late.
                    connection.execute("SET SESSION innodb_lock_wait_timeout = 2").await?;
                    Ok(())
                })
            })
        },
    );
    sea_orm::Database::connect(options).await.map_err(ConnectError::Connection)
}
