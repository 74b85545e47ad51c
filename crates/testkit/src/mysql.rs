use std::env;
use std::sync::OnceLock;

use testcontainers_modules::mariadb::Mariadb;

use crate::TestDatabase;
use crate::database::{self, DatabaseName};
use crate::server::{self, Kind, NoServer, ServerContainer, ServerProcess};

mod docker;
mod local;

/// How a server is to be started.
#[derive(Clone, Copy, Debug)]
pub struct ServerOptions {
    /// Flush the log at every commit, as in production. Tests need no durability and are faster without.
    pub durable: bool,
    /// InnoDB's buffer pool, in MiB.
    pub buffer_pool_mib: u32,
}

/// What tests use: not durable, 128 MiB.
impl Default for ServerOptions {
    fn default() -> Self {
        Self { durable: false, buffer_pool_mib: 128 }
    }
}

impl ServerOptions {
    /// Server arguments, all of them understood by both MariaDB and MySQL 8.
    fn arguments(self) -> Vec<String> {
        let mut arguments = vec![
            // Every test has a pool of its own, and they run side by side.
            "--max-connections=1000".to_owned(),
            format!("--innodb-buffer-pool-size={}M", self.buffer_pool_mib),
            "--skip-log-bin".to_owned(),
            "--performance-schema=OFF".to_owned(),
        ];
        if self.durable {
            arguments.push("--innodb-flush-log-at-trx-commit=1".to_owned());
            // With a small redo log, a load that writes as fast as it can waits for checkpoints.
            arguments.push("--innodb-log-file-size=1024M".to_owned());
        } else {
            arguments.push("--innodb-flush-log-at-trx-commit=0".to_owned());
            arguments.push("--innodb-doublewrite=OFF".to_owned());
        }
        arguments
    }
}

/// A MariaDB or MySQL server on which databases may be created and dropped.
///
/// A server that was started for this value stops when it is dropped, and at the latest when the process ends,
/// however it ends.
#[derive(Debug)]
pub struct MysqlServer {
    url: String,
    // Never read: it is held for its `Drop`.
    _keeper: Keeper,
}

/// What keeps a server up, and takes it down on `Drop`.
#[derive(Debug)]
enum Keeper {
    /// Not ours to stop.
    Given,
    Container {
        _container: Box<ServerContainer<Mariadb>>,
    },
    Process {
        _process: ServerProcess,
    },
}

static KIND: Kind = Kind {
    name: "MariaDB or MySQL",
    remedies: "- apt-get install mariadb-server-core mariadb-client-core   (Debian, Ubuntu)\n\
               - dnf install mariadb-server   (Fedora)\n\
               - brew install mariadb   (macOS)\n\
               - for tests, set TEST_MYSQL_URL=mysql://root@127.0.0.1:3306 to a server on which they may create \
                 databases",
};

impl MysqlServer {
    /// Starts a server in a container or on this machine, whatever `TEST_MYSQL_URL` says: with these options.
    /// Blocks: call it from [`tokio::task::spawn_blocking`] in async code.
    ///
    /// # Errors
    ///
    /// [`NoServer`] when none could be started.
    pub fn start(options: ServerOptions) -> Result<Self, NoServer> {
        server::start(&KIND, || docker::start(options), || local::start(options))
    }

    /// The server's URL without a database, such as `mysql://root@127.0.0.1:3306`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Creates an empty database with a name of its own.
    ///
    /// # Panics
    ///
    /// When the server does not answer or refuses.
    pub async fn database(&self) -> TestDatabase {
        match DatabaseName::create(&self.url).await {
            Ok(name) => TestDatabase::on_mysql(&self.url, name),
            Err(error) => panic!("cannot create a database for a test: {error}"),
        }
    }

    /// The one server of this test process, started by the first test that asks.
    pub(crate) async fn shared() -> &'static Self {
        static SHARED: OnceLock<Result<MysqlServer, String>> = OnceLock::new();
        let shared = tokio::task::spawn_blocking(|| SHARED.get_or_init(Self::given_or_started)).await;
        match shared.expect("starting a server does not panic") {
            Ok(server) => server,
            Err(reason) => panic!("{reason}"),
        }
    }

    /// The error is the reason, for a person.
    fn given_or_started() -> Result<Self, String> {
        let Ok(url) = env::var("TEST_MYSQL_URL") else {
            return Self::start(ServerOptions::default()).map_err(|error| error.to_string());
        };
        database::drop_abandoned(&url)
            .map_err(|error| format!("the server named by TEST_MYSQL_URL cannot be used: {error}"))?;
        Ok(Self { url, _keeper: Keeper::Given })
    }
}
