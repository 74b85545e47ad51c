//! The whole server, put together and taken apart.

use std::cell::RefCell;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actix_web::{App, HttpServer};
use anyhow::Context;
use chrono::TimeDelta;
use futures::future::OptionFuture;
use jangteo_application::adjust_stock::AdjustStock;
use jangteo_application::adjust_wallets::AdjustWallets;
use jangteo_application::cache::SharedCache;
use jangteo_application::cancel_orders::CancelOrders;
use jangteo_application::change_carts::ChangeCarts;
use jangteo_application::charge_wallets::ChargeWallets;
use jangteo_application::claim_coupons::ClaimCoupons;
use jangteo_application::edit_products::EditProducts;
use jangteo_application::fulfil_orders::FulfilOrders;
use jangteo_application::manage_accounts::ManageAccounts;
use jangteo_application::manage_coupons::ManageCoupons;
use jangteo_application::manage_stores::ManageStores;
use jangteo_application::operation::Executor;
use jangteo_application::order_carts::OrderCarts;
use jangteo_application::pay_orders::PayOrders;
use jangteo_application::place_orders::PlaceOrders;
use jangteo_application::register_users::RegisterUsers;
use jangteo_application::{
    Batcher, BatcherSettings, Clock, CouponClaims, CouponGate, RateLimiter, Redeliverer,
};
use jangteo_infra_database::{DatabaseSettings, Store};
use jangteo_infra_memory::{CacheSettings, CachedCatalogue, MemoryCouponGate, MemoryRateLimiter};
use jangteo_infra_redis::{Redis, RedisCache, RedisCouponGate, RedisRateLimiter, RedisSettings};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpSocket;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::config::Settings;
use crate::http::{self, Answers, Downloads, Limits, Operations, Recognition, Replays, Shop};
use crate::reads::Reads;
use crate::telemetry;
use crate::worker::{self, Worker};

/// How long a connection may stay open between requests: longer than most proxies keep theirs, so that these close
/// them and no request meets a closed one.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long a client may take to send the head of a request.
const REQUEST_HEAD: Duration = Duration::from_secs(10);
/// Connections that the system keeps until they are accepted: customers of a flash sale come all at once.
const BACKLOG: u32 = 1024;
/// Operations that write, each with connections of its own.
const WRITING_OPERATIONS: u32 = 15;
/// Who else writes: id blocks, the gate before coupons when it is opened and when tickets come back, and an administrator
/// who has events delivered again.
const OTHER_WRITERS: u32 = 4;

/// A server that listens.
pub struct Application {
    address: SocketAddr,
    server: Server,
    shop: Arc<Shop>,
    store: Store,
    upkeep: JoinHandle<()>,
    stop: watch::Sender<bool>,
    shutdown_timeout: Duration,
}

/// Stops an [`Application`] or a [`Platform`](crate::Platform) from elsewhere.
#[derive(Debug, Clone)]
pub struct StopHandle(pub(crate) watch::Sender<bool>);

impl StopHandle {
    /// Has it stop accepting, finish what it has begun, and end.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Application {
    /// Connects to the database, whose schema must be up to date, and listens.
    ///
    /// # Errors
    /// When the database cannot be connected to or the address cannot be listened on.
    pub async fn build(settings: Settings, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        let listener =
            listen(settings.listen).with_context(|| format!("cannot listen on {}", settings.listen))?;
        Self::build_on(listener, settings, clock).await
    }

    /// The same for who listens already.
    pub(crate) async fn build_on(
        listener: TcpListener,
        settings: Settings,
        clock: Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        let address = listener.local_addr()?;
        // Before anything that counts.
        let metrics = telemetry::process_metrics();
        let recognition = Recognition::of(&settings)?;
        let store = connect(&settings, Arc::clone(&clock)).await?;
        let redis = connect_redis(&settings, &store).await?;
        let shop = Arc::new(open(&settings, &store, redis, recognition, metrics.clone(), clock));
        let server = serve(listener, &settings, Arc::clone(&shop))?;
        let upkeep = telemetry::start_upkeep(metrics);
        let (stop, _) = watch::channel(false);
        let shutdown_timeout = settings.shutdown_timeout();
        Ok(Self { address, server, shop, store, upkeep, stop, shutdown_timeout })
    }

    /// Delivers events and runs the scheduled jobs in this process too, until it is stopped.
    ///
    /// # Errors
    /// When events cannot be delivered as the settings say.
    pub async fn with_worker(self, settings: &Settings) -> anyhow::Result<Self> {
        let worker = Worker::start(settings, &self.store, &self.shop.clock).await?;
        self.shop.operations.worker.get_or_init(|| worker);
        Ok(self)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// What stops it.
    #[must_use]
    pub fn stop_handle(&self) -> StopHandle {
        StopHandle(self.stop.clone())
    }

    /// Serves until it is stopped, then finishes what was begun, within the time that the settings give it.
    ///
    /// # Errors
    /// When the server ends by itself.
    pub async fn run_until_stopped(self) -> anyhow::Result<()> {
        let handle = self.server.handle();
        let mut server = tokio::spawn(self.server);
        let mut stopped = self.stop.subscribe();
        tokio::select! {
            ended = &mut server => ended.context("the server panicked")?.context("the server failed")?,
            _ = stopped.wait_for(|stopped| *stopped) => {}
        }
        let finishing = async {
            finish(&handle, &self.shop, self.shutdown_timeout / 2).await;
            // Afterwards, so that the events of the last orders go out too.
            OptionFuture::from(self.shop.operations.worker.get().map(Worker::drain)).await;
            self.store.close().await;
        };
        stop_within(self.shutdown_timeout, finishing).await;
        server.abort();
        self.upkeep.abort();
        Ok(())
    }
}

/// Finishes what was begun, unless it takes too long.
pub(crate) async fn stop_within(time: Duration, finishing: impl Future<Output = ()>) {
    tracing::info!("stopping: finishing what was begun");
    match tokio::time::timeout(time, finishing).await {
        Ok(()) => tracing::info!("stopped"),
        Err(_) => tracing::warn!("stopped before everything was finished: the time for it is over"),
    }
}

/// From the outside to the inside: no step gets new work from the one before.
async fn finish(handle: &ServerHandle, shop: &Shop, patience: Duration) {
    // Clients that are slow to take their answers must not use up the time of commands that were accepted.
    if tokio::time::timeout(patience, handle.stop(true)).await.is_err() {
        tracing::warn!("some clients have not taken their answers");
    }
    shop.downloads.stop();
    tokio::join!(
        shop.orders.drain(),
        shop.payments.drain(),
        shop.cancellations.drain(),
        shop.fulfilments.drain(),
        shop.cart_changes.drain(),
        shop.cart_orders.drain(),
        shop.charges.drain(),
        shop.adjustments.drain(),
        shop.claims.drain(),
        shop.registrations.drain(),
        shop.accounts.drain(),
        shop.store_changes.drain(),
        shop.product_edits.drain(),
        shop.stock_adjustments.drain(),
        shop.coupon_changes.drain(),
    );
}

/// Connects to the database of the settings.
pub(crate) async fn connect(settings: &Settings, clock: Arc<dyn Clock>) -> anyhow::Result<Store> {
    // A batch that commits holds its connection while the next one begins on another.
    let lanes = settings.batch_lanes.get();
    let database = DatabaseSettings {
        url: settings.database_url.expose().to_owned(),
        readers: settings.database_readers.get(),
        writers: WRITING_OPERATIONS * lanes + OTHER_WRITERS + worker::CONNECTIONS,
    };
    let connected = Store::connect(&database, clock).await;
    connected.with_context(|| format!("cannot open the database {}", settings.database_url))
}

/// Redis, if there is one: what is kept there is kept under the name of the database.
async fn connect_redis(settings: &Settings, store: &Store) -> anyhow::Result<Option<Redis>> {
    let Some(url) = settings.redis_url.clone() else { return Ok(None) };
    let namespace = store.installation().await.context(
        "the database has no name to keep things in Redis under: is its schema up to date? See `jangteo migrate status`",
    )?;
    let timeout = Duration::from_millis(settings.redis_timeout_ms.get());
    Ok(Some(Redis::start(RedisSettings { url, timeout, namespace }).await?))
}

/// How long it may take to hear of a claim that was let in: longer than its batch may take.
const SETTLING: Duration = Duration::from_secs(2);

fn coupon_gate(settings: &Settings, redis: Option<&Redis>) -> Arc<dyn CouponGate> {
    let deadline = Duration::from_millis(settings.batch_deadline_ms);
    let admission = TimeDelta::from_std(deadline + SETTLING).unwrap_or(TimeDelta::MAX);
    match redis {
        Some(redis) => Arc::new(RedisCouponGate::new(redis.clone(), admission)),
        None => Arc::new(MemoryCouponGate::new(admission)),
    }
}

fn open(
    settings: &Settings,
    store: &Store,
    redis: Option<Redis>,
    recognition: Recognition,
    metrics: PrometheusHandle,
    clock: Arc<dyn Clock>,
) -> Shop {
    let lanes = settings.batch_lanes.get() as usize;
    let batches = BatcherSettings {
        batch_size: settings.batch_size.get(),
        queue_length: settings.batch_queue_length.get(),
        lanes,
        deadline: Duration::from_millis(settings.batch_deadline_ms),
    };
    let batches = &Batches { settings: batches, replays: RefCell::default() };
    let reads = Arc::new(Reads::here(store.clone()));
    let ages = CacheSettings {
        products: Duration::from_millis(settings.product_cache_ms),
        popular: Duration::from_millis(settings.popular_cache_ms),
    };
    let shared = redis.clone().map(|redis| Arc::new(RedisCache::new(redis)) as Arc<dyn SharedCache>);
    let catalogue = Arc::new(CachedCatalogue::new(reads.clone(), ages, shared));
    let claims = start(ClaimCoupons, store, &clock, batches);
    let charging = ChargeWallets { policy: settings.wallet_policy() };
    Shop {
        orders: start(PlaceOrders, store, &clock, batches),
        payments: start(PayOrders, store, &clock, batches),
        cancellations: start(CancelOrders, store, &clock, batches),
        fulfilments: start(FulfilOrders, store, &clock, batches),
        cart_changes: start(ChangeCarts, store, &clock, batches),
        cart_orders: start(OrderCarts, store, &clock, batches),
        charges: start(charging, store, &clock, batches),
        adjustments: start(AdjustWallets, store, &clock, batches),
        claims: CouponClaims::start(
            coupon_gate(settings, redis.as_ref()),
            Arc::new(store.clone()),
            claims,
            Arc::clone(&clock),
        ),
        registrations: start(RegisterUsers, store, &clock, batches),
        accounts: start(ManageAccounts, store, &clock, batches),
        product_edits: start(EditProducts, store, &clock, batches),
        stock_adjustments: start(AdjustStock, store, &clock, batches),
        managed_catalogue: reads.clone(),
        catalogue_news: catalogue.clone(),
        coupon_changes: start(ManageCoupons, store, &clock, batches),
        stock_news: catalogue.clone(),
        catalogue,
        customers: reads.clone(),
        customer_accounts: reads.clone(),
        keys: reads.clone(),
        store_changes: start(ManageStores, store, &clock, batches),
        back_office: reads.clone(),
        audit: reads.clone(),
        redeliverer: redeliverer(store, &clock),
        outbox: reads.clone(),
        order_book: reads.clone(),
        exports: reads,
        downloads: Downloads::here(),
        recognition,
        limits: settings.limits_requests().then(|| limits(settings, redis.as_ref())),
        operations: Arc::new(operations(store, redis, metrics, Arc::clone(&clock))),
        order_hold: settings.order_hold(),
        clock,
        longest_body: settings.max_body_bytes.get(),
        // In the end: what was not started has no answers.
        replays: batches.replays.take(),
    }
}

/// How operations are started, and the answers of those that were.
struct Batches {
    settings: BatcherSettings,
    replays: RefCell<Replays>,
}

/// What is told of a process, none of whose workers runs yet.
pub(crate) fn operations(
    store: &Store,
    redis: Option<Redis>,
    metrics: PrometheusHandle,
    clock: Arc<dyn Clock>,
) -> Operations {
    let readiness = Arc::new(Reads::here(store.clone()));
    Operations { readiness, redis, worker: OnceLock::new(), clock, metrics }
}

fn redeliverer(store: &Store, clock: &Arc<dyn Clock>) -> Redeliverer {
    let store = Arc::new(store.clone());
    Redeliverer::here(store.clone(), store, Arc::clone(clock))
}

fn limits(settings: &Settings, redis: Option<&Redis>) -> Arc<Limits> {
    let here = Arc::new(MemoryRateLimiter::new());
    let limiter: Arc<dyn RateLimiter> = match redis {
        Some(redis) => Arc::new(RedisRateLimiter::new(redis.clone(), here)),
        None => here,
    };
    Arc::new(Limits::new(settings, limiter))
}

/// The lanes run on this runtime, not on those of the HTTP workers: they must outlive them.
fn start<O: Answers>(operation: O, store: &Store, clock: &Arc<dyn Clock>, batches: &Batches) -> Batcher<O> {
    batches.replays.borrow_mut().learn::<O>();
    let store = Arc::new(store.clone());
    Batcher::start(Executor::new(operation, store.clone(), store, Arc::clone(clock)), batches.settings)
}

/// Listens. Connections wait until somebody serves them.
pub(crate) fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Else the port of a server that just ended could not be taken for a while.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}

fn serve(listener: TcpListener, settings: &Settings, shop: Arc<Shop>) -> std::io::Result<Server> {
    let seconds = settings.shutdown_timeout_ms.div_ceil(1000);
    let server = HttpServer::new(move || {
        let shop = Arc::clone(&shop);
        App::new().configure(move |config| http::configure(config, shop))
    })
    .keep_alive(KEEP_ALIVE)
    .client_request_timeout(REQUEST_HEAD)
    .tcp_nodelay(true)
    .shutdown_timeout(seconds)
    // Signals stop the Application, which stops the server.
    .disable_signals()
    .workers(settings.http_workers.unwrap_or_else(half_of_the_processors).get());
    Ok(server.listen(listener)?.run())
}

/// Serves what is told of a process that is no shop.
pub(crate) fn serve_operations(
    listener: TcpListener,
    operations: Arc<Operations>,
) -> std::io::Result<Server> {
    let server = HttpServer::new(move || {
        let operations = Arc::clone(&operations);
        App::new().configure(move |config| http::configure_operations(config, operations))
    });
    Ok(server.client_request_timeout(REQUEST_HEAD).disable_signals().workers(1).listen(listener)?.run())
}

/// Half of the processors serve HTTP: the lanes and the database need the others.
fn half_of_the_processors() -> NonZeroUsize {
    let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    NonZeroUsize::new(processors / 2).unwrap_or(NonZeroUsize::MIN)
}
