use std::fs::File;
use std::sync::{LazyLock, mpsc};
use std::thread;

use sqlx::{AssertSqlSafe, Connection, MySqlConnection, SqliteConnection};
use tempfile::TempDir;

use crate::MysqlServer;

/// An empty database of one test's own. It goes away when this value is dropped, so keep it as long as the
/// connections to it.
#[derive(Debug)]
pub struct TestDatabase {
    /// Where to connect: `mysql://…` or `sqlite:///…`.
    pub url: String,
    owned: Owned,
}

#[derive(Debug)]
enum Owned {
    Mysql { _database: MysqlDatabase },
    Sqlite { _folder: TempDir },
}

impl TestDatabase {
    /// Runs a statement beside the shop: one that does to the data what the shop itself never would.
    ///
    /// # Panics
    ///
    /// When the database does not take it.
    pub async fn run(&self, statement: &str) {
        self.try_to_run(statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }

    async fn try_to_run(&self, statement: &str) -> sqlx::Result<()> {
        let statement = sqlx::raw_sql(AssertSqlSafe(statement.to_owned()));
        match self.owned {
            Owned::Mysql { .. } => {
                let mut connection = MySqlConnection::connect(&self.url).await?;
                statement.execute(&mut connection).await?;
                connection.close().await
            }
            Owned::Sqlite { .. } => {
                let mut connection = SqliteConnection::connect(&self.url).await?;
                statement.execute(&mut connection).await?;
                connection.close().await
            }
        }
    }

    pub(crate) fn on_mysql(server_url: &str, name: DatabaseName) -> Self {
        let url = with_database(server_url, &name.0);
        let database = MysqlDatabase { server_url: server_url.to_owned(), name };
        Self { url, owned: Owned::Mysql { _database: database } }
    }
}

/// A fresh database on MariaDB or MySQL; the [crate page](crate) says where the server comes from.
///
/// # Panics
///
/// When there is no server to be had. The message says what to install.
pub async fn mysql() -> TestDatabase {
    MysqlServer::shared().await.database().await
}

/// A fresh SQLite database: an empty file in a temporary folder of its own. Async like [`mysql`], for suites that
/// run on both.
///
/// # Panics
///
/// When the temporary folder cannot be written.
pub async fn sqlite() -> TestDatabase {
    let folder = TempDir::with_prefix("jangteo-sqlite-").expect("the temporary folder is writable");
    let file = folder.path().join("jangteo.db");
    // An empty file is an empty database, and connects without `?mode=rwc` too.
    File::create(&file).expect("the temporary folder is writable");
    TestDatabase { url: format!("sqlite://{}", file.display()), owned: Owned::Sqlite { _folder: folder } }
}

const PREFIX: &str = "jangteo_test_";

/// How long a database may outlive its creation on a server that is used again.
const ABANDONED_AFTER_SECONDS: i64 = 3600;

/// `jangteo_test_<seconds of its creation>_<number>`: unique on its server, and telling its age.
#[derive(Clone, Debug)]
pub(crate) struct DatabaseName(String);

impl DatabaseName {
    pub(crate) async fn create(server_url: &str) -> sqlx::Result<Self> {
        let mut connection = connect(server_url).await?;
        // The server's clock and counter, so that test processes need not agree on either.
        let suffix: String = sqlx::query_scalar("SELECT CONCAT(UNIX_TIMESTAMP(), '_', UUID_SHORT())")
            .fetch_one(&mut connection)
            .await?;
        let name = Self(format!("{PREFIX}{suffix}"));
        execute(&mut connection, format!("CREATE DATABASE {} CHARACTER SET utf8mb4", name.0)).await?;
        connection.close().await?;
        Ok(name)
    }

    async fn drop_on(&self, connection: &mut MySqlConnection) -> sqlx::Result<()> {
        execute(connection, format!("DROP DATABASE IF EXISTS {}", self.0)).await
    }
}

/// Drops what earlier test processes left on a server that outlives them, because they were killed or ended
/// before the janitor was done.
pub(crate) fn drop_abandoned(server_url: &str) -> sqlx::Result<()> {
    runtime().block_on(async {
        let mut connection = connect(server_url).await?;
        let now: i64 =
            sqlx::query_scalar("SELECT CAST(UNIX_TIMESTAMP() AS SIGNED)").fetch_one(&mut connection).await?;
        let names: Vec<String> =
            sqlx::query_scalar("SELECT CAST(schema_name AS CHAR) FROM information_schema.schemata")
                .fetch_all(&mut connection)
                .await?;
        for name in names.into_iter().filter(|name| is_abandoned(name, now)) {
            DatabaseName(name).drop_on(&mut connection).await?;
        }
        connection.close().await
    })
}

fn is_abandoned(name: &str, now: i64) -> bool {
    let created = name.strip_prefix(PREFIX).and_then(|rest| rest.split_once('_')?.0.parse::<i64>().ok());
    created.is_some_and(|created| now - created > ABANDONED_AFTER_SECONDS)
}

#[derive(Debug)]
struct MysqlDatabase {
    server_url: String,
    name: DatabaseName,
}

/// Left to a thread of its own: `Drop` cannot await, and a test must not wait for its clean-up.
impl Drop for MysqlDatabase {
    fn drop(&mut self) {
        static JANITOR: LazyLock<mpsc::Sender<(String, DatabaseName)>> = LazyLock::new(|| {
            let (sender, receiver) = mpsc::channel();
            thread::spawn(move || clean_up(&receiver));
            sender
        });
        let _ = JANITOR.send((self.server_url.clone(), self.name.clone()));
    }
}

/// Best effort: what fails here is found by [`drop_abandoned`] later.
fn clean_up(dropped: &mpsc::Receiver<(String, DatabaseName)>) {
    let runtime = runtime();
    for (server_url, name) in dropped {
        let _ = runtime.block_on(async {
            let mut connection = connect(&server_url).await?;
            // A test that leaked a transaction must not hold up those behind it.
            execute(&mut connection, "SET lock_wait_timeout = 5".to_owned()).await?;
            name.drop_on(&mut connection).await?;
            connection.close().await
        });
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be created")
}

async fn connect(server_url: &str) -> sqlx::Result<MySqlConnection> {
    // Without a database: the one in the URL may not exist, and is none of our business.
    MySqlConnection::connect(&with_database(server_url, "")).await
}

/// Only names built in this file end up in `statement`.
async fn execute(connection: &mut MySqlConnection, statement: String) -> sqlx::Result<()> {
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection).await.map(drop)
}

/// Replaces the database part of a URL and keeps its parameters.
fn with_database(url: &str, database: &str) -> String {
    let (address, parameters) = match url.split_once('?') {
        Some((address, parameters)) => (address, format!("?{parameters}")),
        None => (url, String::new()),
    };
    let (scheme, rest) = address.split_once("://").unwrap_or(("mysql", address));
    let server = rest.split('/').next().unwrap_or(rest);
    format!("{scheme}://{server}/{database}{parameters}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_replaces_the_one_in_the_url() {
        for given in [
            "mysql://root@127.0.0.1:3306",
            "mysql://root@127.0.0.1:3306/",
            "mysql://root@127.0.0.1:3306/shop",
        ] {
            assert_eq!(with_database(given, "mine"), "mysql://root@127.0.0.1:3306/mine");
        }
        assert_eq!(
            with_database("mysql://a:b@h/shop?ssl-mode=DISABLED", "mine"),
            "mysql://a:b@h/mine?ssl-mode=DISABLED"
        );
    }

    #[test]
    fn a_database_is_abandoned_an_hour_after_its_creation() {
        assert!(is_abandoned("jangteo_test_1000_77", 1000 + 3601));
        assert!(!is_abandoned("jangteo_test_1000_77", 1000 + 3600));
    }

    #[test]
    fn other_databases_are_never_abandoned() {
        for name in ["shop", "jangteo", "jangteo_test_", "jangteo_test_notes_1", "jangteo_test_1000"] {
            assert!(!is_abandoned(name, i64::MAX), "{name}");
        }
    }

    #[tokio::test]
    async fn only_abandoned_databases_are_dropped() {
        let server = MysqlServer::shared().await;
        let fresh = server.database().await;
        let mut connection = connect(server.url()).await.expect("the server answers");
        let abandoned = format!("{PREFIX}1000_1");
        let create = format!("CREATE DATABASE IF NOT EXISTS {abandoned}");
        execute(&mut connection, create).await.expect("created");

        let dropped = tokio::task::spawn_blocking(|| drop_abandoned(server.url())).await;
        dropped.expect("no panic").expect("dropped");

        let at = |name| with_database(server.url(), name);
        assert!(MySqlConnection::connect(&at(&abandoned)).await.is_err());
        assert!(MySqlConnection::connect(&fresh.url).await.is_ok());
    }
}
