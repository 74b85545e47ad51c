//! The connection pools.

use std::sync::Arc;

use async_trait::async_trait;
use jangteo_application::audit::{Audit, AuditReport};
use jangteo_application::ids::{IdAllocator, Sequence};
use jangteo_application::queries::*;
use jangteo_application::seeding::*;
use jangteo_application::{Clock, Database, UnitOfWork};
use jangteo_domain::*;

/// Where the database is and how many connections to keep.
#[derive(Debug, Clone)]
pub struct DatabaseSettings {
    /// `sqlite://path` or `mysql://user:password@host:port/database`.
    pub url: String,
    /// Connections for reading. (Those for writing follow from `writers`; SQLite always has one.)
    pub readers: u32,
    /// Connections for writing, on MySQL.
    pub writers: u32,
}

/// Which database answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatabaseKind {
    /// The embedded one.
    Sqlite,
    /// MySQL or MariaDB.
    MySql,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL names no supported database.
    #[error("the database URL must start with sqlite:// or mysql://")]
    UnsupportedUrl,
    /// It does not answer, or refuses.
    #[error("cannot connect to the database")]
    Connection(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// One migration and whether it was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationStatus {
    /// Its name.
    pub name: String,
    /// Whether it was applied.
    pub applied: bool,
}

/// The database behind every port. Cheap to clone.
#[derive(Clone)]
pub struct Store {}

impl Store {
    /// Connects; creates the file and folder of an SQLite database.
    pub async fn connect(_settings: &DatabaseSettings, _clock: Arc<dyn Clock>) -> Result<Self, ConnectError> {
        unimplemented!()
    }
    /// Which database answers.
    pub fn kind(&self) -> DatabaseKind {
        unimplemented!()
    }
    /// Applies every migration that is missing; how many there were.
    pub async fn migrate_up(&self) -> Result<usize, RepositoryError> {
        unimplemented!()
    }
    /// Takes the last migration back, with its data; whether there was one.
    pub async fn migrate_down(&self) -> Result<bool, RepositoryError> {
        unimplemented!()
    }
    /// Every migration, oldest first.
    pub async fn migrations(&self) -> Result<Vec<MigrationStatus>, RepositoryError> {
        unimplemented!()
    }
    /// Closes the connections once what they do is done.
    pub async fn close(&self) {
        unimplemented!()
    }
}

#[async_trait]
impl Database for Store {
    async fn begin(&self) -> Result<Box<dyn UnitOfWork>, RepositoryError> {
        unimplemented!()
    }
}
#[async_trait]
impl IdAllocator for Store {
    async fn reserve(&self, _: Sequence, _: usize) -> Result<Vec<i64>, RepositoryError> {
        unimplemented!()
    }
    fn give_back(&self, _: Sequence, _: Vec<i64>) {
        unimplemented!()
    }
}
#[async_trait]
impl CatalogueQueries for Store {
    async fn products(&self, _: ProductList) -> Result<Page<ProductView>, RepositoryError> {
        unimplemented!()
    }
    async fn product(&self, _: ProductId) -> Result<Option<ProductView>, RepositoryError> {
        unimplemented!()
    }
    async fn popular(&self, _: u32, _: u32) -> Result<PopularProducts, RepositoryError> {
        unimplemented!()
    }
}
#[async_trait]
impl CustomerQueries for Store {
    async fn user(&self, _: UserId) -> Result<Option<User>, RepositoryError> {
        unimplemented!()
    }
    async fn wallet(&self, _: UserId) -> Result<Option<Wallet>, RepositoryError> {
        unimplemented!()
    }
    async fn ledger(&self, _: UserId, _: PageRequest) -> Result<Page<LedgerLine>, RepositoryError> {
        unimplemented!()
    }
    async fn coupons(&self, _: UserId) -> Result<Vec<HeldCoupon>, RepositoryError> {
        unimplemented!()
    }
    async fn orders(
        &self,
        _: UserId,
        _: Option<order::OrderStatus>,
        _: PageRequest,
    ) -> Result<Page<Order>, RepositoryError> {
        unimplemented!()
    }
    async fn order(&self, _: OrderId) -> Result<Option<Order>, RepositoryError> {
        unimplemented!()
    }
}
#[async_trait]
impl Readiness for Store {
    async fn check(&self) -> Result<(), RepositoryError> {
        unimplemented!()
    }
}
#[async_trait]
impl Audit for Store {
    async fn audit(&self) -> Result<AuditReport, RepositoryError> {
        unimplemented!()
    }
}
#[async_trait]
impl Seeder for Store {
    async fn is_empty(&self) -> Result<bool, RepositoryError> {
        unimplemented!()
    }
    async fn seed(
        &self,
        _: &SeedPlan,
        _: &(dyn Fn(SeedProgress) + Send + Sync),
    ) -> Result<SeedReport, RepositoryError> {
        unimplemented!()
    }
}
