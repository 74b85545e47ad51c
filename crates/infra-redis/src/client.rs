//! The connection to Redis, and what happens while there is none.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use deadpool_redis::redis::aio::{ConnectionLike, MultiplexedConnection};
use deadpool_redis::redis::cluster_async::ClusterConnection;
use deadpool_redis::redis::{
    self, Cmd, ConnectionAddr, ErrorKind, FromRedisValue, IntoConnectionInfo, Pipeline, RedisError,
    RedisFuture, RedisResult, ScriptInvocation, ServerErrorKind, Value,
};
use deadpool_redis::sentinel::{SentinelNodeConnectionInfo, SentinelServerType, TlsMode};
use deadpool_redis::{PoolConfig, Runtime, Timeouts, cluster, sentinel};
use metrics::{counter, gauge};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::url::{Kind, RedisUrl};

/// How to reach Redis.
#[derive(Debug, Clone)]
pub struct RedisSettings {
    /// Where it is.
    pub url: RedisUrl,
    /// How long an answer may take.
    pub timeout: Duration,
    /// What every key begins with, so that shops can share a Redis.
    pub namespace: String,
}

/// The settings cannot work.
#[derive(Debug, thiserror::Error)]
#[error("Redis cannot be set up")]
pub struct SetupError(#[source] Box<dyn std::error::Error + Send + Sync>);

/// Redis is not to be had at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Away;

/// Answers that may be late, one after the other, before Redis counts as away.
const STRIKES: u32 = 3;
/// How long connecting may take.
const CONNECTING: Duration = Duration::from_secs(1);
/// The pause between attempts to connect.
const PAUSE: Duration = Duration::from_millis(250);
/// How often it is told that a link is refused things, which may be at every request.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// Redis, as long as it answers. Cheap to clone.
///
/// One connection carries everything: commands are sent as they come and answers are told apart by their order. A pool
/// makes the connection and tests it. While there is none, every call fails at once, and nobody waits but a task in the
/// background that tries to connect.
#[derive(Clone)]
pub struct Redis(Arc<Client>);

struct Client {
    current: Arc<Current>,
    namespace: String,
    keeper: JoinHandle<()>,
}

/// The link there is, if any: what callers and the keeper share.
#[derive(Default)]
struct Current(RwLock<Option<Link>>);

/// A connection, and what became of what was asked over it: failures of an old one say nothing about a new one.
#[derive(Clone)]
struct Link {
    connection: Connection,
    health: Arc<Health>,
}

struct Health {
    timeout: Duration,
    /// Late answers since the last one in time.
    late: AtomicU32,
    /// When it was last told that something was refused.
    told: Mutex<Option<Instant>>,
    failed: Notify,
}

impl Redis {
    /// Begins to keep a connection, on the current Tokio runtime. It need not be there yet: the first attempt is awaited,
    /// whatever comes of it.
    ///
    /// # Errors
    /// [`SetupError`] when the settings cannot work, wherever Redis is.
    pub async fn start(settings: RedisSettings) -> Result<Self, SetupError> {
        let RedisSettings { url, timeout, namespace } = settings;
        let (pool, current) = (Pool::new(&url.kind)?, Arc::new(Current::default()));
        let keeper = Keeper { pool, current: Arc::clone(&current), url, timeout, away_since: None };
        let keeper = tokio::spawn(keeper.after_the_first_attempt().await.run());
        Ok(Self(Arc::new(Client { current, namespace, keeper })))
    }

    /// Whether there is a connection, over which it answers as far as anybody has noticed.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.0.current.link().is_ok()
    }

    /// A key of this shop. Keys with the same text in braces are kept together in a cluster.
    pub(crate) fn key(&self, name: &str) -> String {
        format!("jangteo:{}:{name}", self.0.namespace)
    }

    /// Runs a script that was loaded before, or loads it.
    pub(crate) async fn script<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, Away> {
        let Link { mut connection, health } = self.0.current.link()?;
        health.in_time(script.invoke_async(&mut connection)).await
    }

    pub(crate) async fn command<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Away> {
        let Link { mut connection, health } = self.0.current.link()?;
        health.in_time(command.query_async(&mut connection)).await
    }

    pub(crate) async fn pipeline<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Result<T, Away> {
        let Link { mut connection, health } = self.0.current.link()?;
        health.in_time(pipeline.query_async(&mut connection)).await
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl Current {
    fn link(&self) -> Result<Link, Away> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone().ok_or(Away)
    }

    fn set(&self, link: Option<Link>) {
        gauge!("jangteo_redis_up").set(if link.is_some() { 1.0 } else { 0.0 });
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = link;
    }
}

impl Health {
    fn new(timeout: Duration) -> Self {
        Self { timeout, late: AtomicU32::new(0), told: Mutex::new(None), failed: Notify::new() }
    }

    /// Who was late is not waited for as long again: a request asks several times, one after the other.
    fn patience(&self) -> Duration {
        match self.late.load(Ordering::Relaxed) {
            0 => self.timeout,
            _ => self.timeout / 10,
        }
    }

    async fn in_time<T>(&self, asking: impl Future<Output = RedisResult<T>>) -> Result<T, Away> {
        let failure = match timeout(self.patience(), asking).await {
            Ok(Ok(answer)) => {
                self.late.store(0, Ordering::Relaxed);
                return Ok(answer);
            }
            Ok(Err(error)) => Failure::of(error),
            Err(_) => Failure::Late,
        };
        counter!("jangteo_redis_failures_total", "reason" => failure.name()).increment(1);
        let is_away = match failure {
            Failure::Gone => true,
            Failure::Late => self.late.fetch_add(1, Ordering::Relaxed) + 1 >= STRIKES,
            Failure::Refused(error) => {
                self.tell(&error);
                false
            }
        };
        if is_away {
            self.failed.notify_one();
        }
        Err(Away)
    }

    fn tell(&self, error: &RedisError) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|at| at.elapsed() >= TOLD_EVERY) {
            *told = Some(Instant::now());
            tracing::error!(%error, "Redis refused a command: going on without what it is for");
        }
    }
}

/// What a failed call says about Redis.
#[derive(Debug)]
enum Failure {
    /// It is not there, or cannot do its work.
    Gone,
    /// It did not answer in time.
    Late,
    /// It would not do this one thing, or did another: connecting again would change nothing.
    Refused(RedisError),
}

impl Failure {
    fn of(error: RedisError) -> Self {
        match error.kind() {
            ErrorKind::Server(
                ServerErrorKind::ResponseError
                | ServerErrorKind::ExecAbort
                | ServerErrorKind::NoScript
                | ServerErrorKind::CrossSlot
                | ServerErrorKind::NoPerm,
            )
            | ErrorKind::Parse
            | ErrorKind::UnexpectedReturnType => Self::Refused(error),
            ErrorKind::Extension if error.code() == Some("WRONGTYPE") => Self::Refused(error),
            _ => Self::Gone,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Late => "late",
            Self::Refused(_) => "refused",
        }
    }
}

/// Connects, and connects again.
struct Keeper {
    pool: Pool,
    current: Arc<Current>,
    url: RedisUrl,
    timeout: Duration,
    away_since: Option<Instant>,
}

impl Keeper {
    async fn after_the_first_attempt(mut self) -> Self {
        self.attempt().await;
        self
    }

    async fn run(mut self) {
        loop {
            match self.current.link() {
                Ok(link) => link.health.failed.notified().await,
                Err(Away) => sleep(PAUSE).await,
            }
            self.attempt().await;
        }
    }

    /// A connection that was only lost, and can be made again at once, is nothing to tell.
    async fn attempt(&mut self) {
        self.current.set(None);
        match self.pool.connect(self.timeout).await {
            Ok(connection) => {
                let health = Arc::new(Health::new(self.timeout));
                self.current.set(Some(Link { connection, health }));
                if let Some(since) = self.away_since.take() {
                    let seconds = since.elapsed().as_secs_f64();
                    tracing::info!(redis = %self.url, seconds, "Redis is back");
                }
            }
            Err(error) if self.away_since.is_none() => {
                tracing::warn!(redis = %self.url, %error, "Redis is away: going on without it");
                self.away_since = Some(Instant::now());
            }
            Err(_) => {}
        }
    }
}

/// Makes connections to whatever the URL stands for.
enum Pool {
    Single(deadpool_redis::Pool),
    Cluster(cluster::Pool),
    Sentinel(sentinel::Pool),
}

impl Pool {
    fn new(kind: &Kind) -> Result<Self, SetupError> {
        let timeouts =
            Timeouts { wait: Some(CONNECTING), create: Some(CONNECTING), recycle: Some(CONNECTING) };
        let config = PoolConfig { max_size: 1, timeouts, ..PoolConfig::default() };
        let runtime = Some(Runtime::Tokio1);
        Ok(match kind {
            Kind::Single(url) => {
                let settings =
                    deadpool_redis::Config { pool: Some(config), ..deadpool_redis::Config::from_url(url) };
                Self::Single(settings.create_pool(runtime).map_err(setup)?)
            }
            Kind::Cluster(urls) => {
                let settings =
                    cluster::Config { pool: Some(config), ..cluster::Config::from_urls(urls.clone()) };
                Self::Cluster(settings.create_pool(runtime).map_err(setup)?)
            }
            Kind::Sentinel { sentinels, master, node } => {
                let settings = sentinel::Config::from_urls(
                    sentinels.clone(),
                    master.clone(),
                    SentinelServerType::Master,
                );
                let node = behind_sentinel(node).map_err(setup)?;
                let settings = sentinel::Config { pool: Some(config), ..settings };
                Self::Sentinel(
                    settings.with_node_connection_info(Some(node)).create_pool(runtime).map_err(setup)?,
                )
            }
        })
    }

    /// A connection over which Redis has just written something: a replica, or one that is full, is of no use.
    async fn connect(&self, patience: Duration) -> RedisResult<Connection> {
        let connecting = async {
            let mut connection = self.take(patience).await?;
            let mut probe = redis::cmd("SET");
            probe.arg("jangteo:probe").arg(1).arg("PX").arg(1000);
            probe.exec_async(&mut connection).await?;
            Ok(connection)
        };
        timeout(CONNECTING, connecting).await.unwrap_or_else(|_| Err(no_answer()))
    }

    /// Out of the pool for good: when it fails, a new one is made.
    async fn take(&self, patience: Duration) -> RedisResult<Connection> {
        let mut server = match self {
            Self::Single(pool) => deadpool_redis::Connection::take(pool.get().await.map_err(unwrap)?),
            Self::Sentinel(pool) => sentinel::Connection::take(pool.get().await.map_err(unwrap)?),
            Self::Cluster(pool) => {
                let cluster = cluster::Connection::take(pool.get().await.map_err(unwrap)?);
                return Ok(Connection::Cluster(cluster));
            }
        };
        // Unless told otherwise, it gives up by itself after half a second; a cluster's connection does not.
        server.set_response_timeout(patience * 2 + CONNECTING);
        Ok(Connection::Server(server))
    }
}

/// How to speak with the server that sentinels name.
fn behind_sentinel(node: &str) -> RedisResult<SentinelNodeConnectionInfo> {
    let node = node.into_connection_info()?;
    let tls_mode = matches!(node.addr(), ConnectionAddr::TcpTls { .. }).then_some(TlsMode::Secure);
    let redis_connection_info = Some(node.redis_settings().clone().into());
    Ok(SentinelNodeConnectionInfo { tls_mode, redis_connection_info })
}

fn setup(error: impl std::error::Error + Send + Sync + 'static) -> SetupError {
    SetupError(error.into())
}

fn unwrap(error: deadpool_redis::PoolError) -> RedisError {
    match error {
        deadpool_redis::PoolError::Backend(error) => error,
        _ => no_answer(),
    }
}

fn no_answer() -> RedisError {
    RedisError::from((ErrorKind::Io, "no answer within a second"))
}

/// A connection that any number of callers can use at the same time.
#[derive(Clone)]
enum Connection {
    Server(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Server(connection) => connection.req_packed_command(command),
            Self::Cluster(connection) => connection.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        commands: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Server(connection) => connection.req_packed_commands(commands, offset, count),
            Self::Cluster(connection) => connection.req_packed_commands(commands, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Server(connection) => connection.get_db(),
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}

#[cfg(test)]
mod tests;
