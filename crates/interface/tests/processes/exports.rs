//! Exports that are longer than what a server may keep in its memory, and clients that do not take them.

use std::fs;
use std::time::Duration;

use jangteo_testkit::TestDatabase;
use reqwest::{Method, RequestBuilder, Response, StatusCode};

use crate::server::{Program, Server};

const ORDERS: &str = "/api/v1/admin/orders.csv";

fn export(server: &Server) -> RequestBuilder {
    server.request(Method::GET, 900, ORDERS).header("X-User-Role", "ADMIN")
}

async fn begun(server: &Server) -> Response {
    let begun = export(server).send().await.expect("an answer");
    assert_eq!(begun.status(), StatusCode::OK);
    begun
}

/// How many orders there are in an export.
async fn counted(export: Response) -> usize {
    let table = export.text().await.expect("a table, complete");
    assert!(table.ends_with("\r\n"));
    table.lines().count() - 1
}

/// The most memory that the server has had, in bytes.
fn peak(server: &Server) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", server.process.id())).expect("it runs");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    peak.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") * 1024
}

/// Copies order 1 until there are as many copies: a power of two, from order 1,000,001 on. Their lines are long.
async fn copy(database: &TestDatabase, from: usize, to: usize) {
    let orders = "user_id, status, total_amount, discount_amount, paid_amount, created_at, updated_at, paid_at, events";
    let lines = "product_id, variant_id, line_no, unit_price, quantity, subtotal";
    let name = "셔츠 ".repeat(50);
    let copies = async |of: &str, by: usize| {
        let copies =
            format!("INSERT INTO orders (id, {orders}) SELECT id + {by}, {orders} FROM orders WHERE id {of}");
        database.run(&copies).await;
        let copies = format!(
            "INSERT INTO order_items (order_id, name, {lines}) SELECT order_id + {by}, '{name}', {lines} \
             FROM order_items WHERE order_id {of}"
        );
        database.run(&copies).await;
    };
    let mut number = from;
    if number == 0 {
        copies("= 1", 1_000_000).await;
        number = 1;
    }
    while number < to {
        copies("> 1000000", number).await;
        number *= 2;
    }
}

async fn forget_copies(database: &TestDatabase) {
    database.run("DELETE FROM order_items WHERE order_id > 1000000").await;
    database.run("DELETE FROM orders WHERE id > 1000000").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_takes_no_more_memory_when_it_is_longer_on_sqlite() {
    an_export_takes_no_more_memory_when_it_is_longer(jangteo_testkit::sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_takes_no_more_memory_when_it_is_longer_on_mysql() {
    an_export_takes_no_more_memory_when_it_is_longer(jangteo_testkit::mysql().await).await;
}

/// The few are as many as fill SQLite's cache, which has an end.
async fn an_export_takes_no_more_memory_when_it_is_longer(database: TestDatabase) {
    let (few, many) = (1 << 13, 1 << 15);
    let program = shop(&database).await;
    let server = program.serve().await;
    server.order(1, 1, "first").await.expect("an answer");
    copy(&database, 0, few).await;
    assert_eq!(counted(begun(&server).await).await, 1 + few);
    let usual = peak(&server);
    copy(&database, few, many).await;
    assert_eq!(counted(begun(&server).await).await, 1 + many);
    let grown = peak(&server) - usual;
    assert!(grown < 4_000_000, "four times as many orders took {grown} bytes more");
}

async fn shop(database: &TestDatabase) -> Program {
    let program = Program::new(&database.url)
        .with("JANGTEO_DATABASE_READERS", "1")
        .with("JANGTEO_SHUTDOWN_TIMEOUT_MS", "1000");
    program.run(&["migrate", "up"]);
    program.run(&["seed", "--users", "2", "--products", "1", "--stock", "1000", "--balance", "900000"]);
    program
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exports_that_nobody_takes_hold_up_nobody_on_sqlite() {
    exports_that_nobody_takes_hold_up_nobody(jangteo_testkit::sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exports_that_nobody_takes_hold_up_nobody_on_mysql() {
    exports_that_nobody_takes_hold_up_nobody(jangteo_testkit::mysql().await).await;
}

/// There is one connection for readers.
async fn exports_that_nobody_takes_hold_up_nobody(database: TestDatabase) {
    let copies = 1 << 15;
    let program = shop(&database).await;
    let server = program.serve().await;
    server.order(1, 1, "first").await.expect("an answer");
    copy(&database, 0, copies).await;
    let (one, other) = (begun(&server).await, begun(&server).await);
    let third = export(&server).send().await.expect("an answer");
    assert_eq!(third.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(third.headers().contains_key("retry-after"));
    assert!(third.text().await.expect("a text").contains("SERVICE_UNAVAILABLE"));

    let placed = server.order(1, 1, "second").await.expect("an answer");
    assert_eq!(server.get(1, &format!("/api/v1/orders/{}", placed["orderId"])).await["status"], "PAID");
    // Who goes away makes room, and who takes what there is gets what there was.
    drop(one);
    let third = make_room(&server).await;
    assert_eq!(counted(other).await, 1 + copies);
    assert_eq!(counted(third).await, 2 + copies);

    // An export that is broken off does not look complete.
    let broken = begun(&server).await;
    server.process.stop();
    assert!(broken.text().await.is_err());
    forget_copies(&database).await;
    program.run(&["audit"]);
}

/// An export, as soon as there is room for it.
async fn make_room(server: &Server) -> Response {
    for _ in 0..100 {
        let answer = export(server).send().await.expect("an answer");
        if answer.status() == StatusCode::OK {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("there is no room though somebody went away");
}
