//! A fresh, seeded database for every run, so that no run pays for the rows of another.

use std::path::Path;

use anyhow::{Context, Result, bail};
use jangteo_migrations::{Migrator, MigratorTrait};
use jangteo_testkit::{MysqlServer, ServerOptions};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, Statement};
use tempfile::TempDir;

use crate::machine;
use crate::scenario::Backend;
use crate::seed;

/// The one database on a MySQL server; what is in it is the benchmark's to drop.
const NAME: &str = "jangteo_bench";

/// Where databases come from.
pub(crate) struct Databases {
    server_url: String,
    // Never read: it keeps the server up.
    _server: Option<MysqlServer>,
}

/// A quarter of the machine's memory: a shop's database has one to itself, this one shares it with shop and load.
fn buffer_pool_mib() -> u32 {
    machine::memory_mib().map_or(1024, |memory| memory / 4)
}

/// A database for one run.
pub(crate) struct BenchDatabase {
    /// Where to connect.
    pub(crate) url: String,
    // Never read: it keeps SQLite's files.
    _folder: Option<TempDir>,
}

impl Databases {
    /// On the server at that URL, or else on a durable one that is started for this and stops with it.
    pub(crate) async fn on(server_url: Option<String>) -> Result<Self> {
        if let Some(server_url) = server_url {
            return Ok(Self { server_url, _server: None });
        }
        let durable = ServerOptions { durable: true, buffer_pool_mib: buffer_pool_mib() };
        let server = tokio::task::spawn_blocking(move || MysqlServer::start(durable)).await??;
        Ok(Self { server_url: server.url().to_owned(), _server: Some(server) })
    }

    /// An empty shop with customers, money and stock. It replaces the one before.
    pub(crate) async fn fresh(&self, backend: Backend) -> Result<BenchDatabase> {
        let database = match backend {
            Backend::Mysql => {
                self.drop_mysql().await?;
                let server = self.connect().await?;
                server.execute_unprepared(&format!("CREATE DATABASE {NAME} CHARACTER SET utf8mb4")).await?;
                server.close().await?;
                BenchDatabase { url: of_database(&self.server_url, NAME), _folder: None }
            }
            Backend::Sqlite => {
                let folder = TempDir::with_prefix("jangteo-bench-")?;
                BenchDatabase { url: sqlite_url(folder.path()), _folder: Some(folder) }
            }
        };
        let connection = database.connect().await?;
        Migrator::up(&connection, None).await.context("cannot migrate")?;
        seed::fill(&connection).await.context("cannot seed")?;
        connection.close().await?;
        Ok(database)
    }

    /// Leaves nothing behind on a MySQL server.
    pub(crate) async fn drop_mysql(&self) -> Result<()> {
        let server = self.connect().await?;
        server.execute_unprepared(&format!("DROP DATABASE IF EXISTS {NAME}")).await?;
        Ok(server.close().await?)
    }

    /// Version and the settings that decide how much a commit costs.
    pub(crate) async fn describe_mysql(&self) -> Result<String> {
        let server = self.connect().await?;
        let description = text(
            &server,
            "SELECT CONCAT(VERSION(), ', innodb_flush_log_at_trx_commit=', @@innodb_flush_log_at_trx_commit, \
             ', log_bin=', @@log_bin, ', buffer pool ', @@innodb_buffer_pool_size DIV 1048576, \
             ' MiB, doublewrite=', @@innodb_doublewrite, ', over TCP')",
        );
        let description = description.await?;
        server.close().await?;
        Ok(description)
    }

    async fn connect(&self) -> Result<DatabaseConnection> {
        // Without a database: ours may not exist yet.
        let url = of_database(&self.server_url, "");
        Database::connect(url).await.context("cannot connect to the MySQL server")
    }
}

impl BenchDatabase {
    /// A connection to look into it.
    pub(crate) async fn connect(&self) -> Result<DatabaseConnection> {
        Ok(Database::connect(&self.url).await?)
    }
}

/// The version of the embedded database.
pub(crate) async fn describe_sqlite() -> Result<String> {
    let database = Database::connect("sqlite::memory:").await?;
    Ok(text(&database, "SELECT sqlite_version()").await? + ", WAL, synchronous=FULL")
}

async fn text(database: &DatabaseConnection, sql: &str) -> Result<String> {
    let statement = Statement::from_string(database.get_database_backend(), sql);
    let Some(row) = database.query_one_raw(statement).await? else { bail!("no answer to {sql}") };
    Ok(row.try_get_by_index(0)?)
}

fn sqlite_url(folder: &Path) -> String {
    format!("sqlite://{}?mode=rwc", folder.join("jangteo.db").display())
}

/// The URL of a database on the server of another URL, whose parameters are left out.
fn of_database(url: &str, database: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("mysql", url));
    let server = rest.split(['/', '?']).next().unwrap_or(rest);
    format!("{scheme}://{server}/{database}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_on_the_server_of_the_url() {
        for url in ["mysql://a:b@h:1", "mysql://a:b@h:1/", "mysql://a:b@h:1/shop?x=1", "mysql://a:b@h:1?x=1"]
        {
            assert_eq!(of_database(url, "mine"), "mysql://a:b@h:1/mine");
        }
    }
}
