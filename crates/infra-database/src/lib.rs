//! SeaORM behind the ports of [`jangteo_application`]: SQLite and MySQL/MariaDB.

mod store;

pub use store::{ConnectError, DatabaseKind, DatabaseSettings, MigrationStatus, Store};
