//! A shop on a database of its own.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use jangteo_application::charge_wallets::{Charge, ChargeWallets};
use jangteo_application::claim_coupons::{Claim, ClaimCoupons, Place};
use jangteo_application::operation::{Answer, Executor, Operation, Reply, Submission};
use jangteo_application::outbox::{Aggregate, EventType, OutboxMessage};
use jangteo_application::place_orders::PlaceOrders;
use jangteo_application::seeding::{SeedCoupon, SeedPlan, SeedProduct, Seeder};
use jangteo_application::trail::Administrator;
use jangteo_application::{Audit, Batcher, BatcherSettings, Clock, Database, SystemClock};
use jangteo_domain::checkout::Refusal;
use jangteo_domain::coupon::Discount;
use jangteo_domain::user::Profile;
use jangteo_domain::wallet::WalletPolicy;
use jangteo_domain::{CouponCode, Money, Order, OrderRequest, ProductId, Quantity, UserId};
use jangteo_infra_database::{DatabaseSettings, Store};
use jangteo_testkit::TestDatabase;
use rust_decimal::Decimal;
use sea_orm::{ConnectionTrait, Statement};

pub(crate) struct Shop {
    pub(crate) store: Store,
    database: TestDatabase,
}

impl Shop {
    pub(crate) async fn on_sqlite() -> Self {
        Self::on(jangteo_testkit::sqlite().await).await
    }

    pub(crate) async fn on_mysql() -> Self {
        Self::on(jangteo_testkit::mysql().await).await
    }

    async fn on(database: TestDatabase) -> Self {
        let shop = Self { store: connect(&database.url).await, database };
        shop.store.migrate_up().await.expect("migrates");
        shop
    }

    /// Another instance of the shop on the same database.
    pub(crate) async fn second_instance(&self) -> Store {
        connect(&self.database.url).await
    }

    /// One whose clock stands still.
    pub(crate) async fn instance_at(&self, now: DateTime<Utc>) -> Store {
        connect_with(&self.database.url, Arc::new(Stopped(now))).await
    }

    /// What [`plan_of`] has.
    pub(crate) async fn stocked(self, users: i64, products: i64, stock: i64, coupons: i64) -> Self {
        self.store.seed(&plan_of(users, products, stock, coupons), &|_| {}).await.expect("seeds");
        self
    }

    /// Does to the data what the shop itself never would.
    pub(crate) async fn tamper(&self, sql: &str) {
        let connection = sea_orm::Database::connect(&self.database.url).await.expect("connects");
        connection.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        connection.close().await.expect("closes");
    }

    /// Has product 1, of which there are ten pieces, sold as two variants: six pieces of the small one at 10.00, and four of
    /// the large one at 12.00.
    pub(crate) async fn with_variants(self) -> Self {
        for statement in [
            "UPDATE products SET has_variants = 1 WHERE id = 1 AND stock = 10",
            "INSERT INTO variants (id, product_id, name, price, stock, active, created_at, updated_at) VALUES \
             (1, 1, 'S', 1000, 6, 1, '2026-11-21 09:00:00', '2026-11-21 09:00:00'), \
             (2, 1, 'L', 1200, 4, 1, '2026-11-21 09:00:00', '2026-11-21 09:00:00')",
            "UPDATE stock_movements SET quantity = 6, variant_id = 1 WHERE product_id = 1",
            "INSERT INTO stock_movements (product_id, variant_id, kind, quantity, stock_after, created_at) \
             VALUES (1, 2, 'RECEIVE', 4, 10, '2026-11-21 09:00:00')",
        ] {
            self.tamper(statement).await;
        }
        self
    }

    /// The number that a query finds.
    pub(crate) async fn count(&self, sql: &str) -> i64 {
        let connection = sea_orm::Database::connect(&self.database.url).await.expect("connects");
        let query = Statement::from_string(connection.get_database_backend(), sql);
        let row = connection.query_one_raw(query).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        connection.close().await.expect("closes");
        row.expect("a row").try_get_by_index(0).expect("a number")
    }

    pub(crate) fn batcher<O: Operation>(&self, operation: O) -> Batcher<O> {
        batcher(&self.store, operation)
    }

    pub(crate) async fn assert_audit_is_clean(&self) {
        let report = self.store.audit().await.expect("the audit runs");
        assert!(report.is_clean(), "{report:#?}");
    }
}

pub(crate) fn batcher<O: Operation>(store: &Store, operation: O) -> Batcher<O> {
    batcher_with(store, operation, Arc::new(SystemClock))
}

/// One for which it is always the same time.
pub(crate) fn batcher_at<O: Operation>(store: &Store, operation: O, now: DateTime<Utc>) -> Batcher<O> {
    batcher_with(store, operation, Arc::new(Stopped(now)))
}

fn batcher_with<O: Operation>(store: &Store, operation: O, clock: Arc<dyn Clock>) -> Batcher<O> {
    let store = Arc::new(store.clone());
    let executor = Executor::new(operation, store.clone(), store, clock);
    let deadline = Duration::from_secs(30);
    Batcher::start(executor, BatcherSettings { batch_size: 64, queue_length: 10_000, lanes: 2, deadline })
}

async fn connect(url: &str) -> Store {
    connect_with(url, Arc::new(SystemClock)).await
}

async fn connect_with(url: &str, clock: Arc<dyn Clock>) -> Store {
    let settings = DatabaseSettings { url: url.to_owned(), readers: 2, writers: 4 };
    Store::connect(&settings, clock).await.expect("connects")
}

struct Stopped(DateTime<Utc>);

impl Clock for Stopped {
    fn now(&self) -> DateTime<Utc> {
        self.0
    }
}

/// Customers with 1,000.00 each, products at 10.00 with this stock, and the coupon TENTH.
pub(crate) fn plan_of(users: i64, products: i64, stock: i64, coupons: i64) -> SeedPlan {
    let now = SystemClock.now();
    SeedPlan {
        users: (1..=users).map(|n| (profile(n), money("1000"))).collect(),
        products: (1..=products).map(|n| product(n, stock)).collect(),
        coupons: vec![SeedCoupon {
            code: code("TENTH"),
            name: "A tenth off".into(),
            discount: Discount::Percent(Decimal::TEN),
            min_order_amount: Money::ZERO,
            max_discount: None,
            claim_starts_at: now - chrono::TimeDelta::days(1),
            claim_ends_at: now + chrono::TimeDelta::days(1),
            valid_until: None,
            valid_days: Some(7),
            total_quantity: coupons,
        }],
        orders: None,
    }
}

pub(crate) fn profile(n: i64) -> Profile {
    Profile {
        name: format!("Customer {n}").parse().unwrap(),
        email: format!("customer{n}@example.com").parse().unwrap(),
        phone: None,
    }
}

fn product(n: i64, stock: i64) -> SeedProduct {
    SeedProduct { name: format!("Product {n}"), description: String::new(), price: money("10"), stock }
}

pub(crate) fn money(text: &str) -> Money {
    text.parse().unwrap()
}

pub(crate) fn code(text: &str) -> CouponCode {
    text.parse().unwrap()
}

pub(crate) fn policy() -> WalletPolicy {
    WalletPolicy { min_charge: money("1"), max_balance: money("1000000") }
}

pub(crate) fn request(user: i64, lines: &[(i64, i64)], coupon: Option<&str>) -> OrderRequest {
    let lines = lines.iter().map(|&(product, pieces)| (ProductId(product), Quantity::new(pieces).unwrap()));
    OrderRequest::new(UserId(user), lines, coupon.map(code)).unwrap()
}

pub(crate) fn keyed<C>(command: C, key: &str) -> Submission<C> {
    Submission { command, key: Some(key.parse().unwrap()) }
}

pub(crate) fn unkeyed<C>(command: C) -> Submission<C> {
    Submission { command, key: None }
}

pub(crate) async fn order(orders: &Batcher<PlaceOrders>, request: OrderRequest) -> Reply<PlaceOrders> {
    orders.submit(unkeyed(request)).await
}

pub(crate) async fn charge(
    charges: &Batcher<ChargeWallets>,
    user: i64,
    amount: &str,
) -> Reply<ChargeWallets> {
    charges.submit(unkeyed(Charge { user: UserId(user), amount: money(amount) })).await
}

pub(crate) async fn claim(claims: &Batcher<ClaimCoupons>, user: i64, text: &str) -> Reply<ClaimCoupons> {
    let place = Place::Ungated;
    claims.submit(unkeyed(Claim { user: UserId(user), code: code(text), place })).await
}

/// One, with a request of its own.
pub(crate) fn administrator() -> Administrator {
    Administrator { user: UserId(900), trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".to_owned() }
}

pub(crate) fn now() -> DateTime<Utc> {
    SystemClock.now()
}

/// An event of an order, which need not exist.
pub(crate) fn event(order: i64, sequence: u32, at: DateTime<Utc>) -> OutboxMessage {
    OutboxMessage {
        aggregate: Aggregate::Order,
        aggregate_id: order,
        sequence,
        event_type: EventType::OrderPaid,
        payload: format!(r#"{{"order":{order}}}"#),
        at,
    }
}

pub(crate) async fn append(store: &Store, events: &[OutboxMessage]) {
    let mut uow = store.begin().await.unwrap();
    uow.outbox().append(events).await.unwrap();
    uow.commit().await.unwrap();
}

/// What the customer is told, the first time and again.
pub(crate) fn told(answer: &Answer<PlaceOrders>) -> Result<(Order, Money), Refusal> {
    answer.outcome.clone().map(|receipt| (receipt.order, receipt.balance))
}
