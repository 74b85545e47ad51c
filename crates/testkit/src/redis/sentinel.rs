use super::setup::Setup;
use super::{RedisServer, start};
use crate::server::NoServer;
use crate::server::engine::Engine;

/// A sentinel that tells clients where a server is.
///
/// It stops when this value is dropped, and at the latest when the process ends, however it ends.
///
/// ```
/// use jangteo_testkit::{RedisOptions, RedisServer, Sentinel};
///
/// let redis = RedisServer::start(RedisOptions::default())?;
/// let sentinel = Sentinel::start(&redis, "shop")?;
/// assert_ne!(format!("redis://{}", sentinel.address()), redis.url());
/// # Ok::<(), jangteo_testkit::NoServer>(())
/// ```
#[derive(Debug)]
pub struct Sentinel {
    address: String,
    // Never read: it is held for its `Drop`.
    _engine: Box<dyn Engine>,
}

impl Sentinel {
    /// Starts a sentinel, in a container or on this machine, for which the server is the master `name`. The server
    /// has to be one that this process started, without TLS. Blocks until the sentinel answers.
    ///
    /// # Errors
    ///
    /// [`NoServer`] when none could be started.
    ///
    /// # Panics
    ///
    /// When the server was given by `TEST_REDIS_URL`.
    pub fn start(server: &RedisServer, name: &str) -> Result<Self, NoServer> {
        let master = server.engine.as_ref().expect("a server that this process started").port();
        let engine = start(&|port| Setup::sentinel(name, master, port))?;
        Ok(Self { address: format!("{}:{}", engine.host(), engine.port()), _engine: engine })
    }

    /// Where it listens, as `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }
}
