//! Throwaway databases for tests and benchmarks.
//!
//! Every call to [`mysql`] or [`sqlite`] hands out a fresh, empty database of the test's own, which goes away
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
//! The MariaDB or MySQL server behind [`mysql`] is started once per test process. It comes from the first of:
//!
//! 1. the server named by `TEST_MYSQL_URL`;
//! 2. a container, where a Docker engine answers;
//! 3. a `mariadbd` or `mysqld` on this machine, on a free port, with its data in a temporary folder.
//!
//! When there is none the test fails and says what to install; it never passes by being skipped.
//! `cargo run -p jangteo-testkit` keeps such a server up until Ctrl-C and prints its URL.

mod database;
mod last_will;
mod mysql;
mod redis;
mod server;

pub use database::{TestDatabase, mysql, sqlite};
pub use mysql::{MysqlServer, ServerOptions};
pub use redis::{RedisOptions, RedisServer};
pub use server::NoServer;
