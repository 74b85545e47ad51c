//! One transaction as one object.

use async_trait::async_trait;
use jangteo_domain::RepositoryError;
use jangteo_domain::cart::CartRepository;
use jangteo_domain::catalogue::CatalogueRepository;
use jangteo_domain::coupon::CouponRepository;
use jangteo_domain::order::OrderRepository;
use jangteo_domain::product::ProductRepository;
use jangteo_domain::store::StoreRepository;
use jangteo_domain::user::UserRepository;
use jangteo_domain::wallet::WalletRepository;

use crate::idempotency::IdempotencyRepository;
use crate::outbox::OutboxRepository;
use crate::trail::TrailRepository;

/// Repositories over one transaction. Dropping it rolls everything back.
///
/// Lock order, everywhere: a job's lease, then wallets, then stores, then products, then variants, then coupons, then
/// orders, each by ascending id.
#[async_trait]
pub trait UnitOfWork: Send {
    /// Customers.
    fn users(&mut self) -> &mut dyn UserRepository;
    /// Wallets and their ledger.
    fn wallets(&mut self) -> &mut dyn WalletRepository;
    /// Stores.
    fn stores(&mut self) -> &mut dyn StoreRepository;
    /// Products, stock movements and sales figures.
    fn products(&mut self) -> &mut dyn ProductRepository;
    /// The same products as administrators change them, with their variants and pictures.
    fn catalogue(&mut self) -> &mut dyn CatalogueRepository;
    /// Coupons and customers' copies of them.
    fn coupons(&mut self) -> &mut dyn CouponRepository;
    /// What customers mean to order; guarded by their wallets.
    fn carts(&mut self) -> &mut dyn CartRepository;
    /// Orders and payments.
    fn orders(&mut self) -> &mut dyn OrderRepository;
    /// Events for the data platform.
    fn outbox(&mut self) -> &mut dyn OutboxRepository;
    /// Outcomes by idempotency key.
    fn idempotency(&mut self) -> &mut dyn IdempotencyRepository;
    /// What administrators changed.
    fn trail(&mut self) -> &mut dyn TrailRepository;

    /// Sends what repositories may have kept back to send it together: only the commit is left to do.
    async fn flush(&mut self) -> Result<(), RepositoryError>;

    /// Flushes and makes everything durable.
    ///
    /// MUST answer [`RepositoryError::Backend`], never `Transient`, when it is not known whether the commit happened:
    /// running the work again could then do it twice.
    async fn commit(self: Box<Self>) -> Result<(), RepositoryError>;
}

/// Where units of work begin.
#[async_trait]
pub trait Database: Send + Sync {
    /// Begins a unit of work that will write.
    async fn begin(&self) -> Result<Box<dyn UnitOfWork>, RepositoryError>;
}
