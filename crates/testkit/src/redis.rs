use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::server::engine::{self, Engine, is_free};
use crate::server::{self, Kind, NoServer};
use setup::Setup;

mod commands;
mod docker;
mod local;
mod sentinel;
mod setup;

pub use sentinel::Sentinel;

/// How a Redis is to be started.
#[derive(Clone, Copy, Debug, Default)]
pub struct RedisOptions {
    /// Write everything to a file before it is answered, so that a killed server finds it all again. Otherwise it
    /// comes back empty.
    pub persistent: bool,
    /// Be a cluster: of one node, which has all slots. It takes two seconds more to start.
    pub cluster: bool,
    /// Speak TLS only, with a certificate signed by the authority of [`RedisServer::ca_file`].
    pub tls: bool,
}

static KIND: Kind = Kind {
    name: "Redis or Valkey",
    remedies: "- apt-get install redis-tools   (Debian, Ubuntu: the programs without the system service)\n\
               - dnf install valkey   (Fedora)\n\
               - brew install redis   (macOS)\n\
               - for tests that need no server of their own, set TEST_REDIS_URL=redis://127.0.0.1:6379 to one they may \
                 write to",
};

/// A Redis or Valkey server.
///
/// A server that was started for this value stops when it is dropped, and at the latest when the process ends,
/// however it ends. Its owner may also let it fail; a [shared](Self::shared) one is nobody's to harm.
///
/// ```
/// use jangteo_testkit::{RedisOptions, RedisServer};
///
/// let mut redis = RedisServer::start(RedisOptions::default())?;
/// assert!(redis.url().starts_with("redis://"));
/// redis.kill();
/// redis.restart();
/// # Ok::<(), jangteo_testkit::NoServer>(())
/// ```
#[derive(Debug)]
pub struct RedisServer {
    url: String,
    ca_file: Option<PathBuf>,
    /// None for a server that was given, which is not ours to stop.
    engine: Option<Box<dyn Engine>>,
}

impl RedisServer {
    /// Starts a server in a container or on this machine, whatever `TEST_REDIS_URL` says: one of the caller's own,
    /// with these options. Blocks until it answers, which on this machine takes some 50 ms.
    ///
    /// # Errors
    ///
    /// [`NoServer`] when none could be started.
    pub fn start(options: RedisOptions) -> Result<Self, NoServer> {
        let engine = start(&|port| Setup::server(options, port))?;
        let scheme = if options.tls { "rediss" } else { "redis" };
        Ok(Self {
            url: format!("{scheme}://{}:{}", engine.host(), engine.port()),
            ca_file: options.tls.then(|| engine.folder().join(setup::CERTIFICATE)),
            engine: Some(engine),
        })
    }

    /// The one server of this test process, started by the first test that asks, or the one `TEST_REDIS_URL` names.
    /// All tests write to it, so keys need a prefix of the test's own, and nobody flushes it.
    ///
    /// # Panics
    ///
    /// When there is no server to be had. The message says what to install.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceLock<Result<RedisServer, NoServer>> = OnceLock::new();
        let shared = tokio::task::spawn_blocking(|| SHARED.get_or_init(Self::given_or_started)).await;
        match shared.expect("starting a server does not panic") {
            Ok(server) => server,
            Err(reason) => panic!("{reason}"),
        }
    }

    fn given_or_started() -> Result<Self, NoServer> {
        match env::var("TEST_REDIS_URL") {
            Ok(url) => Ok(Self { url, ca_file: None, engine: None }),
            Err(_) => Self::start(RedisOptions::default()),
        }
    }

    /// The server's URL, such as `redis://127.0.0.1:12345`, or `rediss://…` with TLS. A restart does not change it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The PEM file with the authority that a client of this server has to trust. None without
    /// [TLS](RedisOptions::tls).
    pub fn ca_file(&self) -> Option<&Path> {
        self.ca_file.as_deref()
    }

    /// Ends the server at once, as a power cut does: connections break, and nothing is saved.
    ///
    /// # Panics
    ///
    /// When the system refuses.
    pub fn kill(&mut self) {
        self.engine().kill().expect("the server can be killed");
    }

    /// Starts the server again, on the same port, and waits until it answers. It is empty unless it is
    /// [persistent](RedisOptions::persistent). A server that still runs is killed first.
    ///
    /// # Panics
    ///
    /// When it does not start again.
    pub fn restart(&mut self) {
        self.engine().restart().expect("a server that could be started can be started again");
    }

    /// Makes the server hang: connections stay open, new ones are accepted by the system, and nothing is answered.
    ///
    /// # Panics
    ///
    /// When the server does not run.
    pub fn freeze(&mut self) {
        self.engine().freeze().expect("the server runs");
    }

    /// Lets a frozen server go on. It answers what it was asked in the meantime.
    ///
    /// # Panics
    ///
    /// When the server does not run.
    pub fn thaw(&mut self) {
        self.engine().thaw().expect("the server runs");
    }

    fn engine(&mut self) -> &mut dyn Engine {
        self.engine.as_deref_mut().expect("a given server is shared, so nobody has it to themselves")
    }
}

/// Starts what `setup` describes for a port, in a container or on this machine.
fn start(setup: &(dyn Fn(u16) -> Setup + Sync)) -> Result<Box<dyn Engine>, NoServer> {
    server::start(&KIND, || docker::start(setup), || local::start(setup))
}

/// A free port whose companion, on which a cluster's nodes talk, is free too.
fn free_port() -> io::Result<u16> {
    loop {
        let port = engine::free_port()?;
        if is_free(port + setup::CLUSTER_BUS) {
            return Ok(port);
        }
    }
}
