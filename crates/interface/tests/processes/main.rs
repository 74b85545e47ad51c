//! The program itself, as processes: killed in the middle of its work, and several side by side on one database.

mod events;
mod events_over_tls;
mod exports;
mod jobs;
mod platform;
mod redis_over_tls;
mod server;
mod stampede;

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use jangteo_testkit::TestDatabase;
use serde_json::{Value, json};

use crate::server::{Program, Server};

/// What a client knows of its orders: by key, the answer if there was one.
type Orders = BTreeMap<String, Option<Value>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_in_the_middle_of_sales_it_loses_nothing_on_sqlite() {
    killed_in_the_middle_of_sales_it_loses_nothing(jangteo_testkit::sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_in_the_middle_of_sales_it_loses_nothing_on_mysql() {
    killed_in_the_middle_of_sales_it_loses_nothing(jangteo_testkit::mysql().await).await;
}

async fn killed_in_the_middle_of_sales_it_loses_nothing(database: TestDatabase) {
    let program = Program::new(&database.url);
    program.run(&["migrate", "up"]);
    program.run(&["seed", "--users", "16", "--products", "4", "--stock", "1000000", "--balance", "900000"]);
    let mut known = Orders::new();
    for round in 0..3 {
        let server = program.serve().await;
        let clients = join_all((1..=16).map(|user| order_until_the_end(&server, user, round)));
        let killing = async {
            tokio::time::sleep(Duration::from_millis(700)).await;
            server.process.kill();
        };
        let (orders, ()) = futures::future::join(clients, killing).await;
        let answered = orders.iter().flat_map(BTreeMap::values).flatten().count();
        assert!(answered > 0, "it was killed before it sold anything");
        known.extend(orders.into_iter().flatten());
        program.run(&["audit"]);
    }
    let server = program.serve().await;
    let retries = known.iter().map(async |(key, answer)| {
        let user: i64 =
            key.split('-').next().and_then(|user| user.parse().ok()).expect("a key begins with its user");
        let retried = server.order(user, 1 + user % 4, key).await.expect("it is there again");
        assert!(answer.as_ref().is_none_or(|answer| *answer == retried), "{answer:?} became {retried}");
        let stored = server.get(user, &format!("/api/v1/orders/{}", retried["orderId"])).await;
        assert_eq!((&stored["items"], &stored["paidAmount"]), (&retried["items"], &retried["paidAmount"]));
        retried["orderId"].as_i64().expect("an id")
    });
    let mut ids = join_all(retries).await;
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), known.len(), "each key is one order");
    program.run(&["audit"]);
}

/// Orders one after the other until the server goes away. The last order may or may not have been placed.
async fn order_until_the_end(server: &Server, user: i64, round: i64) -> Orders {
    let mut orders = Orders::new();
    for number in 0.. {
        let key = format!("{user}-{round}-{number}");
        let answer = server.order(user, 1 + user % 4, &key).await;
        let gone = answer.is_none();
        orders.insert(key, answer);
        if gone {
            break;
        }
    }
    orders
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_on_one_database_sell_and_answer_once() {
    let database = jangteo_testkit::mysql().await;
    let program = Program::new(&database.url);
    program.run(&["migrate", "up"]);
    program.run(&["seed", "--users", "500", "--products", "2", "--stock", "50", "--balance", "900000"]);
    let servers = [program.serve().await, program.serve().await];

    let one_key = join_all((0..100).map(|n| servers[n % 2].order(1, 2, "once"))).await;
    let first = one_key[0].clone().expect("an answer");
    assert!(one_key.iter().all(|answer| answer.as_ref() == Some(&first)));

    let buyers = (1..=500).map(|user| {
        let order = json!({"items": [{"productId": 1, "qty": 1}]});
        servers[user % 2].post(user as i64, "/api/v1/orders", order, None)
    });
    let answers: Vec<(u16, Value)> =
        join_all(buyers).await.into_iter().map(|answer| answer.expect("an answer")).collect();
    let sold = answers.iter().filter(|(status, _)| *status == 201).count();
    let short =
        answers.iter().filter(|(status, body)| *status == 409 && body["error"] == "OUT_OF_STOCK").count();
    assert_eq!((sold, short), (50, 450));
    program.run(&["audit"]);
}
