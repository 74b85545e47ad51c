//! Reads, run on the runtime that the database connections belong to.
//!
//! HTTP workers have runtimes of their own. A connection that one of them opened would end with it, and a read whose
//! client went away would be dropped half way, with its connection.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use jangteo_application::audit::{Audit, AuditReport};
use jangteo_application::back_office_queries::{BackOfficeQueries, ChangeFilter, ChangeView};
use jangteo_application::exports::{
    EntriesToExport, Export, ExportedEntry, ExportedLine, Exports, OrdersToExport,
};
use jangteo_application::idempotency::DecidedRequest;
use jangteo_application::order_book::{OrderBook, OrderSearch, SalesOfPeriod, SalesQuestion};
use jangteo_application::outbox::EventStatus;
use jangteo_application::outbox_queries::{
    Backlog, EventView, HourOfOrders, OutboxQueries, Period, ToldOrder,
};
use jangteo_application::product_queries::{ManagedCatalogue, ManagedList, ManagedView, StockLine};
use jangteo_application::queries::{
    CatalogueQueries, CouponHistoryLine, CustomerQueries, HeldCoupon, LedgerLine, Page, PageRequest,
    PaymentView, PopularProducts, ProductDetail, ProductList, ProductView, Readiness,
};
use jangteo_application::{AccountQueries, IdempotencyKey, IdempotencyQueries};
use jangteo_domain::cart::CartView;
use jangteo_domain::catalogue::ManagedProduct;
use jangteo_domain::order::OrderStatus;
use jangteo_domain::user::Account;
use jangteo_domain::{
    Coupon, CouponCode, CouponId, Order, OrderId, ProductId, RepositoryError, StoreId, User, UserId, Wallet,
};
use jangteo_infra_database::Store;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

/// How often a read is tried: once for each connection there may be, within reason.
const ATTEMPTS: u32 = 16;
/// How soon a lost connection shows.
const AT_ONCE: Duration = Duration::from_secs(1);

/// The store, as others than the runtime it was opened on may read it.
pub(crate) struct Reads {
    store: Store,
    home: Handle,
    /// Administrators' questions about all there is take seconds, and the connections are the customers'.
    seconds: Semaphore,
}

/// How many of those are answered at a time.
const LONG_READS: usize = 2;

impl Reads {
    /// Has everything read on the current runtime.
    pub(crate) fn here(store: Store) -> Self {
        Self { store, home: Handle::current(), seconds: Semaphore::new(LONG_READS) }
    }

    /// A panic is the failure of this one read. A read that meets a lost connection is tried again: when the database
    /// was away, every pooled connection fails once.
    async fn at_home<T, R>(&self, read: impl Fn(Store) -> R) -> Result<T, RepositoryError>
    where
        R: Future<Output = Result<T, RepositoryError>> + Send + 'static,
        T: Send + 'static,
    {
        let begun = Instant::now();
        let mut attempt = 1;
        loop {
            let reading = self.home.spawn(read(self.store.clone()));
            match reading.await.unwrap_or_else(|error| Err(RepositoryError::Backend(error.into()))) {
                // Whoever fails slowly waited for a database that is still away.
                Err(RepositoryError::Transient(_)) if attempt < ATTEMPTS && begun.elapsed() < AT_ONCE => {
                    attempt += 1
                }
                read => return read,
            }
        }
    }
}

#[async_trait]
impl CatalogueQueries for Reads {
    async fn products(&self, list: ProductList) -> Result<Page<ProductView>, RepositoryError> {
        self.at_home(move |store| {
            let list = list.clone();
            async move { store.products(list).await }
        })
        .await
    }

    async fn product(&self, id: ProductId) -> Result<Option<ProductDetail>, RepositoryError> {
        self.at_home(move |store| async move { store.product(id).await }).await
    }

    async fn popular(&self, days: u32, limit: u32) -> Result<PopularProducts, RepositoryError> {
        self.at_home(move |store| async move { store.popular(days, limit).await }).await
    }

    async fn best_sellers(&self, limit: u32) -> Result<PopularProducts, RepositoryError> {
        self.at_home(move |store| async move { store.best_sellers(limit).await }).await
    }

    async fn coupon_offers(&self, page: PageRequest) -> Result<Page<Coupon>, RepositoryError> {
        self.at_home(move |store| async move { store.coupon_offers(page).await }).await
    }

    async fn coupon_offer(&self, code: CouponCode) -> Result<Option<Coupon>, RepositoryError> {
        self.at_home(move |store| {
            let code = code.clone();
            async move { store.coupon_offer(code).await }
        })
        .await
    }
}

#[async_trait]
impl ManagedCatalogue for Reads {
    async fn managed_products(&self, list: ManagedList) -> Result<Page<ManagedView>, RepositoryError> {
        self.at_home(move |store| {
            let list = list.clone();
            async move { store.managed_products(list).await }
        })
        .await
    }

    async fn managed_product(&self, id: ProductId) -> Result<Option<ManagedProduct>, RepositoryError> {
        self.at_home(move |store| async move { store.managed_product(id).await }).await
    }

    async fn stock_movements(
        &self,
        product: ProductId,
        page: PageRequest,
    ) -> Result<Option<Page<StockLine>>, RepositoryError> {
        self.at_home(move |store| async move { store.stock_movements(product, page).await }).await
    }
}

#[async_trait]
impl CustomerQueries for Reads {
    async fn user(&self, user: UserId) -> Result<Option<User>, RepositoryError> {
        self.at_home(move |store| async move { store.user(user).await }).await
    }

    async fn wallet(&self, user: UserId) -> Result<Option<Wallet>, RepositoryError> {
        self.at_home(move |store| async move { store.wallet(user).await }).await
    }

    async fn ledger(&self, user: UserId, page: PageRequest) -> Result<Page<LedgerLine>, RepositoryError> {
        self.at_home(move |store| async move { store.ledger(user, page).await }).await
    }

    async fn coupons(&self, user: UserId) -> Result<Vec<HeldCoupon>, RepositoryError> {
        self.at_home(move |store| async move { CustomerQueries::coupons(&store, user).await }).await
    }

    async fn coupon_history(
        &self,
        user: UserId,
        page: PageRequest,
    ) -> Result<Page<CouponHistoryLine>, RepositoryError> {
        self.at_home(move |store| async move { store.coupon_history(user, page).await }).await
    }

    async fn cart(&self, user: UserId) -> Result<CartView, RepositoryError> {
        self.at_home(move |store| async move { store.cart(user).await }).await
    }

    async fn orders(
        &self,
        user: UserId,
        status: Option<OrderStatus>,
        page: PageRequest,
    ) -> Result<Page<Order>, RepositoryError> {
        self.at_home(move |store| async move { CustomerQueries::orders(&store, user, status, page).await })
            .await
    }

    async fn order(&self, order: OrderId) -> Result<Option<Order>, RepositoryError> {
        self.at_home(move |store| async move { store.order(order).await }).await
    }

    async fn payment(&self, order: OrderId) -> Result<Option<PaymentView>, RepositoryError> {
        self.at_home(move |store| async move { store.payment(order).await }).await
    }
}

#[async_trait]
impl AccountQueries for Reads {
    async fn accounts(
        &self,
        beginning: Option<String>,
        page: PageRequest,
    ) -> Result<Page<Account>, RepositoryError> {
        self.at_home(move |store| {
            let beginning = beginning.clone();
            async move { store.accounts(beginning, page).await }
        })
        .await
    }

    async fn account(&self, user: UserId) -> Result<Option<Account>, RepositoryError> {
        self.at_home(move |store| async move { store.account(user).await }).await
    }
}

#[async_trait]
impl IdempotencyQueries for Reads {
    async fn decided(
        &self,
        caller: UserId,
        key: IdempotencyKey,
    ) -> Result<Vec<DecidedRequest>, RepositoryError> {
        self.at_home(move |store| {
            let key = key.clone();
            async move { store.decided(caller, key).await }
        })
        .await
    }
}

#[async_trait]
impl BackOfficeQueries for Reads {
    async fn stores(
        &self,
        with_deleted: bool,
        page: PageRequest,
    ) -> Result<Page<jangteo_domain::Store>, RepositoryError> {
        self.at_home(move |store| async move { store.stores(with_deleted, page).await }).await
    }

    async fn store(&self, id: StoreId) -> Result<Option<jangteo_domain::Store>, RepositoryError> {
        self.at_home(move |store| async move { store.store(id).await }).await
    }

    async fn all_coupons(&self, page: PageRequest) -> Result<Page<Coupon>, RepositoryError> {
        self.at_home(move |store| async move { store.all_coupons(page).await }).await
    }

    async fn coupon(&self, id: CouponId) -> Result<Option<Coupon>, RepositoryError> {
        self.at_home(move |store| async move { store.coupon(id).await }).await
    }

    async fn changes(
        &self,
        which: ChangeFilter,
        page: PageRequest,
    ) -> Result<Page<ChangeView>, RepositoryError> {
        self.at_home(move |store| async move { store.changes(which, page).await }).await
    }
}

#[async_trait]
impl Readiness for Reads {
    async fn check(&self) -> Result<(), RepositoryError> {
        self.at_home(|store| async move { store.check().await }).await
    }
}

#[async_trait]
impl Audit for Reads {
    async fn audit(&self) -> Result<AuditReport, RepositoryError> {
        let _turn = self.seconds.acquire().await;
        self.at_home(|store| async move { store.audit().await }).await
    }
}

#[async_trait]
impl OrderBook for Reads {
    async fn orders(&self, search: OrderSearch, page: PageRequest) -> Result<Page<Order>, RepositoryError> {
        self.at_home(move |store| async move { OrderBook::orders(&store, search, page).await }).await
    }

    async fn sales(&self, question: SalesQuestion) -> Result<Vec<SalesOfPeriod>, RepositoryError> {
        let _turn = self.seconds.acquire().await;
        self.at_home(move |store| async move { store.sales(question).await }).await
    }
}

#[async_trait]
impl Exports for Reads {
    async fn orders(&self, which: OrdersToExport) -> Result<Box<dyn Export<ExportedLine>>, RepositoryError> {
        self.at_home(move |store| async move { Exports::orders(&store, which).await }).await
    }

    async fn entries(
        &self,
        which: EntriesToExport,
    ) -> Result<Box<dyn Export<ExportedEntry>>, RepositoryError> {
        self.at_home(move |store| async move { store.entries(which).await }).await
    }
}

#[async_trait]
impl OutboxQueries for Reads {
    async fn events(
        &self,
        status: Option<EventStatus>,
        page: PageRequest,
    ) -> Result<Page<EventView>, RepositoryError> {
        self.at_home(move |store| async move { store.events(status, page).await }).await
    }

    async fn event(&self, id: i64) -> Result<Option<(EventView, String)>, RepositoryError> {
        self.at_home(move |store| async move { store.event(id).await }).await
    }

    async fn backlog(&self) -> Result<Backlog, RepositoryError> {
        self.at_home(|store| async move { store.backlog().await }).await
    }

    async fn told_hours(&self, period: Period) -> Result<Vec<HourOfOrders>, RepositoryError> {
        self.at_home(move |store| async move { store.told_hours(period).await }).await
    }

    async fn told_orders(
        &self,
        period: Period,
        page: PageRequest,
    ) -> Result<Page<ToldOrder>, RepositoryError> {
        self.at_home(move |store| async move { store.told_orders(period, page).await }).await
    }

    async fn ids_of(&self, status: EventStatus) -> Result<Vec<i64>, RepositoryError> {
        self.at_home(move |store| async move { store.ids_of(status).await }).await
    }

    async fn sent_ids(&self, period: Period) -> Result<Vec<i64>, RepositoryError> {
        self.at_home(move |store| async move { store.sent_ids(period).await }).await
    }
}
