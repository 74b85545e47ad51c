//! The unit of work over one database transaction. Each repository is in the file of its aggregate.

use std::sync::Arc;

use async_trait::async_trait;
use jangteo_application::UnitOfWork;
use jangteo_application::idempotency::IdempotencyRepository;
use jangteo_application::outbox::OutboxRepository;
use jangteo_application::trail::TrailRepository;
use jangteo_domain::RepositoryError;
use jangteo_domain::cart::CartRepository;
use jangteo_domain::catalogue::CatalogueRepository;
use jangteo_domain::coupon::CouponRepository;
use jangteo_domain::order::OrderRepository;
use jangteo_domain::product::ProductRepository;
use jangteo_domain::store::StoreRepository;
use jangteo_domain::user::UserRepository;
use jangteo_domain::wallet::WalletRepository;
use sea_orm::{ConnectionTrait, DatabaseTransaction};
use tokio::sync::Notify;

use crate::error::commit_failed;
use crate::script::Script;

/// A transaction that writes. Dropping it rolls back.
pub(crate) struct Transaction {
    raw: DatabaseTransaction,
    /// Writes that are not sent yet.
    pub(crate) writes: Script,
    /// Whether there are events to deliver among them.
    pub(crate) appends: bool,
    /// Told of events once they are there for all to see.
    news: Arc<Notify>,
}

impl Transaction {
    pub(crate) fn new(raw: DatabaseTransaction, news: Arc<Notify>) -> Self {
        let writes = Script::new(raw.get_database_backend());
        Self { raw, writes, appends: false, news }
    }

    /// For reading: whatever was written can be seen.
    pub(crate) async fn up_to_date(&mut self) -> Result<&DatabaseTransaction, RepositoryError> {
        self.writes.run(&self.raw).await?;
        Ok(&self.raw)
    }
}

#[async_trait]
impl UnitOfWork for Transaction {
    fn users(&mut self) -> &mut dyn UserRepository {
        self
    }

    fn wallets(&mut self) -> &mut dyn WalletRepository {
        self
    }

    fn stores(&mut self) -> &mut dyn StoreRepository {
        self
    }

    fn products(&mut self) -> &mut dyn ProductRepository {
        self
    }

    fn catalogue(&mut self) -> &mut dyn CatalogueRepository {
        self
    }

    fn coupons(&mut self) -> &mut dyn CouponRepository {
        self
    }

    fn carts(&mut self) -> &mut dyn CartRepository {
        self
    }

    fn orders(&mut self) -> &mut dyn OrderRepository {
        self
    }

    fn outbox(&mut self) -> &mut dyn OutboxRepository {
        self
    }

    fn idempotency(&mut self) -> &mut dyn IdempotencyRepository {
        self
    }

    fn trail(&mut self) -> &mut dyn TrailRepository {
        self
    }

    async fn flush(&mut self) -> Result<(), RepositoryError> {
        self.writes.run(&self.raw).await
    }

    async fn commit(mut self: Box<Self>) -> Result<(), RepositoryError> {
        self.writes.run(&self.raw).await?;
        self.raw.commit().await.map_err(commit_failed)?;
        if self.appends {
            self.news.notify_one();
        }
        Ok(())
    }
}
