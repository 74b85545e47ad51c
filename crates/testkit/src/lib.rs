//! Throwaway databases, Redis servers and Kafka-compatible brokers for tests and benchmarks.
//!
//! Every call to [`mysql()`] or [`sqlite()`] hands out a fresh, empty database of the test's own, which goes away
//! with the returned [`TestDatabase`]. There is no schema in it: the caller runs the migrations, so that this
//! crate depends on no other crate of the project.
//!
//! ```
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let database = jangteo_testkit::sqlite().await;
//! assert!(database.url.starts_with("sqlite:///"));
//! # });
//! ```
//!
//! [`RedisServer::shared`] is a Redis that all tests of the process write to, and [`RedisServer::start`] one of the
//! test's own, which it may kill, restart and freeze. [`KafkaServer`] is the same for a broker.
//!
//! The MariaDB or MySQL behind [`mysql()`], the shared Redis and the shared broker are started once per test process.
//! They come from the first of:
//!
//! 1. the server named by `TEST_MYSQL_URL`, `TEST_REDIS_URL` or `TEST_KAFKA_BROKERS`;
//! 2. a container, where a Docker engine answers;
//! 3. a program of this machine (`mariadbd` or `mysqld`, `redis-server` or `valkey-server`, `tansu`), on a free port,
//!    with its data in a temporary folder.
//!
//! When there is none the test fails and says what to install; it never passes by being skipped.
//! `cargo run -p jangteo-testkit mysql` (or `redis`, or `kafka`) keeps such a server up until Ctrl-C and prints its URL.

mod database;
mod http_client;
mod kafka;
mod last_will;
mod mysql;
mod redis;
mod server;

pub use database::{TestDatabase, mysql, sqlite};
pub use http_client::http_client;
pub use kafka::{KafkaOptions, KafkaServer};
pub use mysql::{MysqlServer, ServerOptions};
pub use redis::{RedisOptions, RedisServer, Sentinel};
pub use server::NoServer;
