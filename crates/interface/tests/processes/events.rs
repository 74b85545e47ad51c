//! Every order reaches the data platform, whatever dies on the way: platform, broker, relay.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use chrono::{SecondsFormat, TimeDelta};
use futures::{StreamExt, stream};
use jangteo_application::{Clock, SystemClock};
use jangteo_testkit::{KafkaOptions, KafkaServer, TestDatabase};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::sleep;

use crate::platform::Platform;
use crate::server::{Process, Program, Server};

/// Orders of a sale.
const ORDERS: usize = 20_000;
/// Clients that order at the same time.
const CLIENTS: usize = 64;

/// Orders are placed in the background, in as many steps as there are troubles.
struct Sale {
    servers: Arc<[Server; 2]>,
    orders: usize,
    placed: Arc<AtomicUsize>,
    clients: JoinHandle<()>,
}

impl Sale {
    /// Two servers that deliver no events themselves.
    async fn begin(program: &Program, orders: usize) -> Self {
        let servers =
            [program.serve_with(&["--no-worker"]).await, program.serve_with(&["--no-worker"]).await];
        let (servers, placed) = (Arc::new(servers), Arc::new(AtomicUsize::new(0)));
        let clients = tokio::spawn(order(Arc::clone(&servers), orders, Arc::clone(&placed)));
        Self { servers, orders, placed, clients }
    }

    /// Returns when this share of the orders is placed.
    async fn until(&self, percent: usize) {
        while self.placed.load(Ordering::Relaxed) * 100 < percent * self.orders {
            assert!(!self.clients.is_finished() || percent == 100, "the clients gave up");
            sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Every tenth order is shipped and delivered at once, while its first event may still be on its way.
async fn order(servers: Arc<[Server; 2]>, orders: usize, placed: Arc<AtomicUsize>) {
    let orders = (0..orders).map(|n| {
        let (server, user, product) = (&servers[n % 2], 1 + n as i64 % 1000, 1 + n as i64 % 7);
        let placed = &placed;
        async move {
            let order = server.order(user, product, &format!("sale-{n}")).await.expect("purchases go on");
            if n % 10 == 0 {
                for step in ["ship", "deliver"] {
                    let path = format!("/api/v1/admin/orders/{}/{step}", order["orderId"]);
                    let done = server.request(Method::POST, 1, &path).header("X-User-Role", "ADMIN").send();
                    assert!(done.await.expect("an answer").status().is_success(), "{path}");
                }
            }
            placed.fetch_add(1, Ordering::Relaxed);
        }
    });
    stream::iter(orders).buffer_unordered(CLIENTS).for_each(std::future::ready).await;
}

/// Of so many orders.
fn events(orders: usize) -> u64 {
    (orders + 2 * (orders / 10)) as u64
}

/// Two relays, each of which is killed and started again, over and over.
struct DyingRelays {
    live_on: Arc<AtomicBool>,
    relays: [JoinHandle<(Process, usize)>; 2],
}

impl DyingRelays {
    fn start(program: &Arc<Program>) -> Self {
        let live_on = Arc::new(AtomicBool::new(false));
        let relays = [300, 700].map(|milliseconds| {
            let (program, live_on) = (Arc::clone(program), Arc::clone(&live_on));
            tokio::spawn(async move {
                let mut deaths = 0;
                loop {
                    let relay = program.work();
                    sleep(Duration::from_millis(milliseconds)).await;
                    if live_on.load(Ordering::Relaxed) {
                        return (relay, deaths);
                    }
                    relay.kill();
                    deaths += 1;
                }
            })
        });
        Self { live_on, relays }
    }

    /// From now on they are left alone.
    async fn live_on(self) -> Vec<Process> {
        self.live_on.store(true, Ordering::Relaxed);
        let mut alive = Vec::new();
        for relay in self.relays {
            let (relay, deaths) = relay.await.expect("no panic");
            assert!(deaths > 3, "it died only {deaths} times");
            alive.push(relay);
        }
        alive
    }
}

fn shop(database: &TestDatabase) -> Program {
    let program = Program::new(&database.url)
        .with("JANGTEO_EVENTS_TIMEOUT_MS", "300")
        .with("JANGTEO_EVENTS_POLL_MS", "50");
    program.run(&["migrate", "up"]);
    program.run(&[
        "seed",
        "--users",
        "1000",
        "--products",
        "7",
        "--stock",
        "1000000",
        "--balance",
        "1000000",
    ]);
    program
}

/// Both sides count the same orders and events.
async fn assert_complete(platform: &Platform, server: &Server, orders: usize) {
    let range = range();
    let range = format!("from={}&to={}", range["from"].as_str().unwrap(), range["to"].as_str().unwrap());
    let ours = server.admin(&format!("/api/v1/admin/outbox/summary?{range}")).await;
    let theirs = platform.completeness(&range).await;
    for figure in ["from", "to", "orders", "events", "hours"] {
        assert_eq!(ours[figure], theirs[figure], "{figure}: {ours} {theirs}");
    }
    assert_eq!((&ours["orders"], &ours["events"]), (&json!(orders), &json!(events(orders))));
    assert_eq!(ours["outbox"]["pending"], 0, "{ours}");
}

/// A range that holds the sale.
fn range() -> Value {
    let now = SystemClock.now();
    let [from, to] = [now - TimeDelta::hours(2), now + TimeDelta::hours(1)]
        .map(|moment| moment.to_rfc3339_opts(SecondsFormat::Secs, true));
    json!({"from": from, "to": to})
}

/// Returns when nothing waits to be sent.
async fn until_sent(server: &Server) {
    let begun = Instant::now();
    loop {
        let outbox = server.admin("/api/v1/admin/outbox/summary").await["outbox"].take();
        if (&outbox["pending"], &outbox["failed"], &outbox["dead"]) == (&json!(0), &json!(0), &json!(0)) {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(90), "{outbox}");
        sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_order_arrives_though_the_platform_and_the_relays_keep_failing() {
    let database = jangteo_testkit::mysql().await;
    let program = shop(&database);
    let mut platform = Platform::start(&program, &[]).await;
    let program = program.with("JANGTEO_EVENTS", &platform.events()).with("JANGTEO_EVENTS_HTTP_BATCH", "20");
    let program = Arc::new(program);
    let sale = Sale::begin(&program, ORDERS).await;
    let relays = DyingRelays::start(&program);
    sale.until(10).await;
    platform.behave(json!({"mode": "fail", "status": 500})).await;
    sale.until(25).await;
    platform.behave(json!({"mode": "stall"})).await;
    sale.until(40).await;
    platform.kill();
    sale.until(55).await;
    platform.restart(&program).await;
    sale.until(70).await;
    platform.behave(json!({"mode": "slow", "delayMs": 400})).await;
    sale.until(85).await;
    platform.kill();
    platform.restart(&program).await;
    sale.until(100).await;
    sale.clients.await.expect("purchases went on");
    let relays = relays.live_on().await;
    let summary = platform.until_it_has(events(ORDERS)).await;
    Platform::assert_nothing_is_amiss(&summary);
    assert!(summary["duplicates"].as_u64() > Some(0), "late answers make duplicates: {summary}");
    until_sent(&sale.servers[0]).await;
    for relay in relays {
        relay.stop();
    }
    assert_complete(&platform, &sale.servers[0], ORDERS).await;
    program.run(&["audit"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poisoned_event_is_given_up_shown_and_delivered_when_it_is_retried() {
    let database = jangteo_testkit::sqlite().await;
    let program = shop(&database).with("JANGTEO_EVENTS_MAX_ATTEMPTS", "2");
    let platform = Platform::start(&program, &["--secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]).await;
    let program = program
        .with("JANGTEO_EVENTS", &platform.events())
        .with("JANGTEO_EVENTS_HTTP_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    let server = program.serve().await;
    let poisoned = server.order(1, 1, "poisoned").await.expect("an order")["orderId"].clone();
    platform.until_it_has(1).await;
    let poisoned = poisoned.as_i64().expect("an id") + 1;
    platform.behave(json!({"mode": "refuse", "events": [format!("order-{poisoned}-1")]})).await;
    for key in ["a", "b", "c"] {
        server.order(1, 1, key).await.expect("an order");
    }
    platform.until_it_has(3).await;
    let begun = Instant::now();
    let dead = loop {
        let dead = server.admin("/api/v1/admin/outbox?status=DEAD").await;
        if dead["totalElements"] == 1 {
            break dead["content"][0].clone();
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{dead}");
        sleep(Duration::from_millis(100)).await;
    };
    assert_eq!((&dead["eventId"], &dead["attempts"]), (&json!(format!("order-{poisoned}-1")), &json!(2)));
    platform.behave(json!({"mode": "ok"})).await;
    let retry = format!("/api/v1/admin/outbox/{}/retry", dead["id"]);
    let retried = server.request(Method::POST, 1, &retry).header("X-User-Role", "ADMIN").send().await;
    assert!(retried.expect("an answer").status().is_success());
    Platform::assert_nothing_is_amiss(&platform.until_it_has(4).await);
    program.run(&["audit"]);
}

async fn broker() -> KafkaServer {
    let kafka = spawn_blocking(|| KafkaServer::start(KafkaOptions::default())).await.expect("no panic");
    kafka.unwrap_or_else(|reason| panic!("{reason}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_order_arrives_though_the_broker_hangs_and_the_relays_keep_dying() {
    let database = jangteo_testkit::mysql().await;
    let mut kafka = broker().await;
    let topic = format!("kafka://{}/orders", kafka.brokers());
    let program = shop(&database).with("JANGTEO_EVENTS", &topic);
    let platform = Platform::start(&program, &["--kafka", &topic]).await;
    let program = Arc::new(program);
    let sale = Sale::begin(&program, ORDERS).await;
    let relays = DyingRelays::start(&program);
    for percent in [20, 50, 80] {
        sale.until(percent).await;
        kafka.freeze();
        sale.until(percent + 10).await;
        kafka.thaw();
    }
    sale.clients.await.expect("purchases went on");
    let relays = relays.live_on().await;
    until_sent(&sale.servers[0]).await;
    Platform::assert_nothing_is_amiss(&platform.until_it_has(events(ORDERS)).await);
    for relay in relays {
        relay.stop();
    }
    assert_complete(&platform, &sale.servers[0], ORDERS).await;
    program.run(&["audit"]);
}

/// Killed, a broker that keeps everything in memory forgets what it had acknowledged, as no broker should.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_broker_forgot_is_found_out_and_sent_again() {
    const ORDERS: usize = 3_000;
    let database = jangteo_testkit::mysql().await;
    let mut kafka = broker().await;
    let topic = format!("kafka://{}/orders", kafka.brokers());
    let program = shop(&database).with("JANGTEO_EVENTS", &topic);
    let platform = Platform::start(&program, &["--kafka", &topic]).await;
    let relay = program.work();
    let sale = Sale::begin(&program, ORDERS).await;
    sale.until(30).await;
    kafka.kill();
    sale.until(70).await;
    kafka.restart();
    sale.until(100).await;
    sale.clients.await.expect("purchases went on");
    let server = &sale.servers[0];
    until_sent(server).await;
    let resend =
        server.request(Method::POST, 1, "/api/v1/admin/outbox/resend").header("X-User-Role", "ADMIN");
    let resent = resend.json(&range()).send().await.expect("an answer");
    assert!(resent.status().is_success(), "{resent:?}");
    let summary = platform.until_it_has(events(ORDERS)).await;
    assert_eq!(summary["gaps"]["count"], 0, "{summary}");
    until_sent(server).await;
    relay.stop();
    assert_complete(&platform, server, ORDERS).await;
    program.run(&["audit"]);
}
