//! SeaORM behind the ports of [`jangteo_application`]: SQLite and MySQL/MariaDB.
//!
//! [`Store`] is the way in. Writes go through one `transaction`, with a file per aggregate; reads that need no
//! transaction are in `back_office_queries`, `catalogue_queries`, `product_queries`, `coupon_queries`,
//! `customer_queries` and `outbox_queries`; those that need one moment for many queries are in `audit`, `exports` and
//! `order_book`.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use jangteo_application::SystemClock;
//! use jangteo_infra_database::{DatabaseSettings, Store};
//!
//! # async fn connect() -> Result<(), Box<dyn std::error::Error>> {
//! let settings = DatabaseSettings { url: "sqlite://data/jangteo.db".into(), readers: 4, writers: 4 };
//! let store = Store::connect(&settings, Arc::new(SystemClock)).await?;
//! store.migrate_up().await?;
//! # Ok(())
//! # }
//! ```

mod account_queries;
mod audit;
mod back_office_queries;
mod by_time;
mod cart;
mod catalogue;
mod catalogue_queries;
mod coupon;
mod coupon_places;
mod coupon_queries;
mod coupon_terms;
mod customer_queries;
mod entity;
mod error;
mod exports;
mod id_blocks;
mod idempotency;
mod job_leases;
mod literal;
mod order;
mod order_book;
mod order_details;
mod outbox;
mod outbox_leases;
mod outbox_queries;
mod pages;
mod payment_queries;
mod product;
mod product_queries;
mod rows;
mod schema;
mod script;
mod seeding;
mod statement;
mod store;
mod stores;
mod trail;
mod transaction;
mod user;
mod wallet;

pub use error::Corrupt;
pub use schema::MigrationStatus;
pub use store::{ConnectError, DatabaseKind, DatabaseSettings, Store};
