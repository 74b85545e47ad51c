//! The database is out of reach for a while, under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use jangteo_testkit::TestDatabase;
use serde_json::json;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::support::{Answer, Shop};

/// A way to the database that can be cut.
struct Line {
    address: String,
    cut: watch::Sender<bool>,
    /// How many connections were cut.
    broken: Arc<AtomicUsize>,
}

impl Line {
    async fn to(database: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (cut, is_cut) = watch::channel(false);
        let broken = Arc::new(AtomicUsize::new(0));
        let count = broken.clone();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let (mut is_cut, database, count) = (is_cut.clone(), database.clone(), count.clone());
                tokio::spawn(async move {
                    let mut server = TcpStream::connect(database).await.unwrap();
                    tokio::select! {
                        _ = is_cut.wait_for(|cut| *cut) => { count.fetch_add(1, Ordering::Relaxed); }
                        _ = copy_bidirectional(&mut client, &mut server) => (),
                    }
                });
            }
        });
        Self { address, cut, broken }
    }
}

/// Where the server of a `mysql://` URL listens.
fn server_of(database: &TestDatabase) -> String {
    let (_, rest) = database.url.split_once("//").unwrap();
    let server = rest.split(['/', '?']).next().unwrap();
    server.rsplit('@').next().unwrap().to_owned()
}

async fn shop_on_a_line() -> (Shop, Line) {
    let database = jangteo_testkit::mysql().await;
    let server = server_of(&database);
    let line = Line::to(server.clone()).await;
    let url = database.url.replace(&server, &line.address);
    let shop = Shop::open_with(database, |settings| settings.database_url = url.parse().unwrap()).await;
    (shop, line)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_charged_once_however_often_the_line_is_cut() {
    const CLIENTS: i64 = 8;
    let (shop, line) = shop_on_a_line().await;
    let shop = Arc::new(shop);
    let over = Arc::new(AtomicBool::new(false));

    let mut clients = tokio::task::JoinSet::new();
    for client in 0..CLIENTS {
        let (shop, over) = (shop.clone(), over.clone());
        clients.spawn(async move {
            let mut charged = 0_i64;
            while !over.load(Ordering::Relaxed) {
                let charge = shop
                    .post(3, "/api/v1/wallets/charge", &json!({"amount": 1}))
                    .header("Idempotency-Key", format!("{client}-{charged}"));
                loop {
                    let answer = Answer::of(charge.try_clone().unwrap()).await;
                    match answer.status.as_u16() {
                        200 => break,
                        503 => assert!(answer.header("Retry-After").is_some(), "{}", answer.text),
                        status => panic!("{status}: {}", answer.text),
                    }
                    sleep(Duration::from_millis(20)).await;
                }
                charged += 1;
            }
            charged
        });
    }
    for _ in 0..3 {
        sleep(Duration::from_millis(150)).await;
        line.cut.send_replace(true);
        sleep(Duration::from_millis(100)).await;
        line.cut.send_replace(false);
    }
    over.store(true, Ordering::Relaxed);
    let charged = timeout(Duration::from_secs(60), clients.join_all()).await.expect("the shop recovers");
    let charged: i64 = charged.into_iter().sum();
    assert!(line.broken.load(Ordering::Relaxed) > 0, "the cuts hit nothing");
    assert_eq!(shop.balance(3).await, json!(charged).as_f64().unwrap());
    Answer::of(shop.get("/health/ready")).await.expect(200);
    Arc::into_inner(shop).expect("its clients have ended").close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_without_its_database_is_alive_and_not_ready() {
    let (shop, line) = shop_on_a_line().await;
    Answer::of(shop.get("/health/ready")).await.expect(200);
    line.cut.send_replace(true);
    let down = Answer::of(shop.get("/health/ready")).await.expect(503);
    assert_eq!(down.text, r#"{"status":"DOWN","components":{"database":{"status":"DOWN"}}}"#);
    Answer::of(shop.get("/health/live")).await.expect(200);
    line.cut.send_replace(false);
    Answer::of(shop.get("/health/ready")).await.expect(200);
    shop.close().await;
}
