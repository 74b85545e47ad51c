//! The unit of work over one database transaction. Each repository is in the file of its aggregate.

use async_trait::async_trait;
use jangteo_application::UnitOfWork;
use jangteo_application::idempotency::IdempotencyRepository;
use jangteo_application::outbox::OutboxRepository;
use jangteo_domain::RepositoryError;
use jangteo_domain::coupon::CouponRepository;
use jangteo_domain::order::OrderRepository;
use jangteo_domain::product::ProductRepository;
use jangteo_domain::user::UserRepository;
use jangteo_domain::wallet::WalletRepository;
use sea_orm::DatabaseTransaction;

use crate::error::commit_failed;

/// A transaction that writes. Dropping it rolls back.
pub(crate) struct Transaction(pub(crate) DatabaseTransaction);

#[async_trait]
impl UnitOfWork for Transaction {
    fn users(&mut self) -> &mut dyn UserRepository {
        self
    }

    fn wallets(&mut self) -> &mut dyn WalletRepository {
        self
    }

    fn products(&mut self) -> &mut dyn ProductRepository {
        self
    }

    fn coupons(&mut self) -> &mut dyn CouponRepository {
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

    async fn commit(self: Box<Self>) -> Result<(), RepositoryError> {
        self.0.commit().await.map_err(commit_failed)
    }
}
