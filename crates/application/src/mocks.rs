//! A unit of work made of mocks: a test expects just what it is about, and any other call fails it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use jangteo_domain::RepositoryError;
use jangteo_domain::cart::{CartRepository, MockCartRepository};
use jangteo_domain::catalogue::{CatalogueRepository, MockCatalogueRepository};
use jangteo_domain::coupon::{CouponRepository, MockCouponRepository};
use jangteo_domain::order::{MockOrderRepository, OrderRepository};
use jangteo_domain::product::{MockProductRepository, ProductRepository};
use jangteo_domain::store::{MockStoreRepository, StoreRepository};
use jangteo_domain::user::{MockUserRepository, UserRepository};
use jangteo_domain::wallet::{MockWalletRepository, WalletRepository};

use crate::clock::Clock;
use crate::idempotency::{IdempotencyRepository, MockIdempotencyRepository};
use crate::ids::{IdAllocator, Sequence};
use crate::outbox::{MockOutboxRepository, OutboxRepository};
use crate::trail::{MockTrailRepository, TrailRepository};
use crate::unit_of_work::{Database, UnitOfWork};

#[derive(Default)]
pub(crate) struct MockedUnitOfWork {
    pub(crate) users: MockUserRepository,
    pub(crate) wallets: MockWalletRepository,
    pub(crate) stores: MockStoreRepository,
    pub(crate) products: MockProductRepository,
    pub(crate) catalogue: MockCatalogueRepository,
    pub(crate) coupons: MockCouponRepository,
    pub(crate) carts: MockCartRepository,
    pub(crate) orders: MockOrderRepository,
    pub(crate) outbox: MockOutboxRepository,
    pub(crate) idempotency: MockIdempotencyRepository,
    pub(crate) trail: MockTrailRepository,
    pub(crate) commit_fails: Option<RepositoryError>,
    pub(crate) commits: Arc<AtomicUsize>,
}

#[async_trait]
impl UnitOfWork for MockedUnitOfWork {
    fn users(&mut self) -> &mut dyn UserRepository {
        &mut self.users
    }

    fn wallets(&mut self) -> &mut dyn WalletRepository {
        &mut self.wallets
    }

    fn stores(&mut self) -> &mut dyn StoreRepository {
        &mut self.stores
    }

    fn products(&mut self) -> &mut dyn ProductRepository {
        &mut self.products
    }

    fn catalogue(&mut self) -> &mut dyn CatalogueRepository {
        &mut self.catalogue
    }

    fn coupons(&mut self) -> &mut dyn CouponRepository {
        &mut self.coupons
    }

    fn carts(&mut self) -> &mut dyn CartRepository {
        &mut self.carts
    }

    fn orders(&mut self) -> &mut dyn OrderRepository {
        &mut self.orders
    }

    fn outbox(&mut self) -> &mut dyn OutboxRepository {
        &mut self.outbox
    }

    fn idempotency(&mut self) -> &mut dyn IdempotencyRepository {
        &mut self.idempotency
    }

    fn trail(&mut self) -> &mut dyn TrailRepository {
        &mut self.trail
    }

    async fn flush(&mut self) -> Result<(), RepositoryError> {
        Ok(())
    }

    async fn commit(self: Box<Self>) -> Result<(), RepositoryError> {
        match self.commit_fails {
            Some(error) => Err(error),
            None => {
                self.commits.fetch_add(1, Ordering::SeqCst);
                Ok(())
            }
        }
    }
}

/// Gives out the units of work that a test prepared, then empty ones.
#[derive(Default)]
pub(crate) struct Prepared {
    units: Mutex<VecDeque<Result<MockedUnitOfWork, RepositoryError>>>,
    begun: AtomicUsize,
    commits: Arc<AtomicUsize>,
}

impl Prepared {
    pub(crate) fn new(
        units: impl IntoIterator<Item = Result<MockedUnitOfWork, RepositoryError>>,
    ) -> Arc<Self> {
        Arc::new(Self { units: Mutex::new(units.into_iter().collect()), ..Self::default() })
    }

    pub(crate) fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }

    pub(crate) fn commits(&self) -> usize {
        self.commits.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Database for Prepared {
    async fn begin(&self) -> Result<Box<dyn UnitOfWork>, RepositoryError> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        let prepared = self.units.lock().unwrap().pop_front();
        let unit = prepared.unwrap_or_else(|| Ok(MockedUnitOfWork::default()))?;
        Ok(Box::new(MockedUnitOfWork { commits: Arc::clone(&self.commits), ..unit }))
    }
}

/// 1, 2, 3...
#[derive(Default)]
pub(crate) struct Counting(Mutex<i64>);

#[async_trait]
impl IdAllocator for Counting {
    async fn reserve(&self, _: Sequence, count: usize) -> Result<Vec<i64>, RepositoryError> {
        let mut last = self.0.lock().unwrap();
        let first = *last + 1;
        *last += i64::try_from(count).unwrap();
        Ok((first..=*last).collect())
    }

    fn give_back(&self, _: Sequence, unused: Vec<i64>) {
        *self.0.lock().unwrap() -= i64::try_from(unused.len()).unwrap();
    }
}

/// A clock that stands still.
pub(crate) struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH
    }
}

pub(crate) fn transient() -> RepositoryError {
    RepositoryError::Transient("deadlock".into())
}

pub(crate) fn conflict() -> RepositoryError {
    RepositoryError::Conflict("somebody was first".into())
}

pub(crate) fn backend() -> RepositoryError {
    RepositoryError::Backend("gone".into())
}
