//! Whether the shop stays as fast as it was: the same orders, questions and commands with more and more orders of the past,
//! on MariaDB.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use serde_json::Value;

use crate::bench::Bench;
use crate::databases::BenchDatabase;
use crate::load::{Connection, Load, Pace, Traffic};
use crate::measure::{Answer, Figures, Lengths, Tally, histogram, micros};
use crate::progress::Progress;
use crate::scenario::{Backend, Mix, PRODUCTS};
use crate::server::{Server, Settings, audit, run};

mod warm_up;

pub(crate) use warm_up::WarmUp;

/// Whose orders and wallet are asked for; this many orders are placed for it before anything is measured.
const CUSTOMER: i64 = 7;
const ORDERS_OF_CUSTOMER: usize = 120;
/// How many of these are on their way, which few are.
const SHIPPED: usize = 40;
/// Each question is asked for so long, and so often at least.
const ASKED_FOR: Duration = Duration::from_secs(2);
const ASKED_AT_LEAST: usize = 3;

/// What is asked, each by one client at a time: what for, where, and whether by an administrator.
const QUESTIONS: [(&str, &str, bool); 15] = [
    ("a customer's orders, first page", "/api/v1/orders", false),
    ("a customer's orders, sixth page", "/api/v1/orders?page=5", false),
    ("one order", "/api/v1/orders/{order}", false),
    ("its payment", "/api/v1/orders/{order}/payment", false),
    ("a customer's ledger, first page", "/api/v1/wallets/ledger", false),
    ("products, first page", "/api/v1/products", false),
    ("popular products", "/api/v1/stats/popular-products?days=3&limit=5", false),
    ("best sellers", "/api/v1/stats/best-sellers", false),
    ("all orders, first page", "/api/v1/admin/orders", true),
    ("all orders on their way", "/api/v1/admin/orders?status=SHIPPING", true),
    ("all orders that wait to be paid", "/api/v1/admin/orders?status=PENDING", true),
    ("what moved in a stock", "/api/v1/admin/products/{product}/stock-movements", true),
    ("events that were sent", "/api/v1/admin/outbox?status=SENT", true),
    ("sales of the last 24 hours", "/api/v1/admin/sales?by=hour", true),
    ("sales of the last 30 days", "/api/v1/admin/sales?by=day", true),
];

/// What is measured with each number of orders: every question, start, warm-up, orders and audit.
const STEPS: usize = QUESTIONS.len() + 4;

/// What came of it.
pub(crate) struct Growth {
    /// Fewest orders first.
    pub(crate) sizes: Vec<Size>,
}

/// With so many orders.
pub(crate) struct Size {
    /// Those that were made up.
    pub(crate) orders: u64,
    /// For how long they were made, if they were.
    pub(crate) seeding: Option<Duration>,
    /// Until the server was ready.
    pub(crate) start: Duration,
    /// Before orders were measured.
    pub(crate) warm_up: WarmUp,
    /// Orders, on a warm database.
    pub(crate) placing: Figures,
    /// How many orders of today there were when the questions were asked.
    pub(crate) placed: u64,
    /// Every order that was not placed, the warm-up's included, by what was answered.
    pub(crate) bad: BTreeMap<Answer, u64>,
    /// What was asked, and how soon it was answered.
    pub(crate) answers: Vec<(&'static str, Figures)>,
    /// For how long the books were checked.
    pub(crate) audit: Duration,
}

/// Measures with each number of orders, fewest first.
pub(crate) async fn measure(bench: &Bench, sizes: &[u64], clients: usize) -> Result<Growth> {
    let program = bench.server.as_deref().context("there is no server to measure")?;
    let mut numbers = sizes.to_vec();
    numbers.sort_unstable();
    numbers.dedup();
    let steps = numbers.iter().map(|orders| STEPS + usize::from(*orders > 0)).sum();
    let mut progress = Progress::over_unequal(steps);
    let mut sizes = Vec::with_capacity(numbers.len());
    for orders in numbers {
        // Each has its own: orders that are added to others are all placed since the last of these.
        let database = bench.databases.fresh(Backend::Mysql).await?;
        let (lengths, progress) = (bench.lengths, &mut progress);
        let trial = Trial { program, database: &database, orders, lengths, clients, progress };
        sizes.push(trial.run().await.with_context(|| format!("growth, {orders} orders"))?);
    }
    Ok(Growth { sizes })
}

/// One number of orders and where they are.
struct Trial<'a> {
    program: &'a Path,
    database: &'a BenchDatabase,
    orders: u64,
    lengths: Lengths,
    clients: usize,
    progress: &'a mut Progress,
}

impl Trial<'_> {
    async fn run(mut self) -> Result<Size> {
        let (program, url, orders) = (self.program, &self.database.url, self.orders);
        let seeding = match orders {
            0 => None,
            _ => {
                let number = orders.to_string();
                Some(self.time("made", run(program, url, &["seed", "--orders", &number])).await?.1)
            }
        };
        // What is asked is to be found out each time.
        let settings = Settings::from(
            ["JANGTEO_PRODUCT_CACHE_MS", "JANGTEO_POPULAR_CACHE_MS"].map(|name| (name, "0".to_owned())),
        );
        let (server, start) =
            self.time("start of the server", Server::start(program, url, &[], &settings)).await?;
        let Asked { warm_up, tallies, placing, answers } =
            self.ask(&server).await.with_context(|| format!("the server's log:{}", server.last_words()))?;
        server.stop().await?;
        let ((), audit) = self.time("audit", audit(program, url)).await?;
        let figures = placing.figures();
        let all = tallies.into_iter().fold(placing, Tally::and);
        let (placed, bad) = (ORDERS_OF_CUSTOMER as u64 + all.good(), all.figures().bad);
        Ok(Size { orders, seeding, start, warm_up, placing: figures, placed, bad, answers, audit })
    }

    async fn ask(&mut self, server: &Server) -> Result<Asked> {
        let mut caller =
            Caller { connection: Connection::open(server.address).await?, host: server.address.to_string() };
        let order = caller.buy().await?;
        let (traffic, pace) = (Traffic::Orders { mix: Mix::Spread, keyed: false }, Pace::Unbounded);
        let load =
            Load { server: server.address, clients: self.clients, traffic, pace, lengths: self.lengths };
        self.begin("warm-up");
        let (warm_up, tallies) = warm_up::run(load, self.progress).await?;
        self.progress.end(&format!("{:.0} s", warm_up.took.as_secs_f64()));
        self.begin("orders placed");
        let placing = load.run().await?;
        self.progress.end(&format!("{:.0}/s", placing.figures().rate));
        let mut answers = Vec::with_capacity(QUESTIONS.len());
        for (what, path, admin) in QUESTIONS {
            self.begin(what);
            let path =
                path.replace("{order}", &order.to_string()).replace("{product}", &(PRODUCTS / 2).to_string());
            let figures = caller.keep_asking(&path, admin).await.with_context(|| what.to_owned())?;
            self.progress.end(&format!("{:.2} ms", figures.median.as_secs_f64() * 1e3));
            answers.push((what, figures));
        }
        Ok(Asked { warm_up, tallies, placing, answers })
    }

    fn begin(&mut self, what: &str) {
        self.progress.begin(format!("growth, {} orders, {what}", self.orders));
    }

    /// How long something takes, which is said meanwhile: it may be minutes.
    async fn time<T>(&mut self, what: &str, work: impl Future<Output = Result<T>>) -> Result<(T, Duration)> {
        self.begin(what);
        let started = Instant::now();
        let done = self.progress.attend(work).await?;
        let took = started.elapsed();
        self.progress.end(&format!("{:.1} s", took.as_secs_f64()));
        Ok((done, took))
    }
}

/// What a server was asked.
struct Asked {
    warm_up: WarmUp,
    /// Of the warm-up.
    tallies: Vec<Tally>,
    placing: Tally,
    answers: Vec<(&'static str, Figures)>,
}

/// Somebody who asks one thing after the other.
struct Caller {
    connection: Connection,
    host: String,
}

impl Caller {
    /// Places the orders of the customer, has some of them shipped, and says which is the last.
    async fn buy(&mut self) -> Result<i64> {
        let mut last = 0;
        for number in 0..ORDERS_OF_CUSTOMER {
            let body = format!(r#"{{"items":[{{"productId":{},"qty":1}}]}}"#, 1 + number as i64 % PRODUCTS);
            let answer = self.ask(Method::POST, "/api/v1/orders", false, body).await?;
            last = answer["orderId"].as_i64().context("an order has an id")?;
            if number < SHIPPED {
                self.ask(Method::POST, &format!("/api/v1/admin/orders/{last}/ship"), true, String::new())
                    .await?;
            }
        }
        Ok(last)
    }

    async fn keep_asking(&mut self, path: &str, admin: bool) -> Result<Figures> {
        let mut latencies = histogram();
        let began = Instant::now();
        // The first answer may wait for what the others find in memory.
        self.ask(Method::GET, path, admin, String::new()).await?;
        while began.elapsed() < ASKED_FOR || (latencies.len() as usize) < ASKED_AT_LEAST {
            let asked = Instant::now();
            self.ask(Method::GET, path, admin, String::new()).await?;
            latencies.saturating_record(micros(asked.elapsed()));
        }
        Ok(Figures {
            rate: latencies.len() as f64 / began.elapsed().as_secs_f64(),
            ..Figures::of(&latencies)
        })
    }

    async fn ask(&mut self, method: Method, path: &str, admin: bool, body: String) -> Result<Value> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.host)
            .header(CONTENT_TYPE, "application/json")
            .header("x-user-id", CUSTOMER)
            .header("x-user-role", if admin { "ADMIN" } else { "USER" })
            .body(Full::new(Bytes::from(body)))?;
        let (status, answer) = self.connection.fetch(request).await?;
        let good = [StatusCode::OK, StatusCode::CREATED].contains(&status);
        ensure!(good, "{path} is answered with {status}: {}", String::from_utf8_lossy(&answer));
        Ok(serde_json::from_slice(&answer)?)
    }
}
