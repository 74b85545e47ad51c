//! Whether the shop stays as fast as it was: the same orders, questions and commands with more and more orders of the past,
//! on MariaDB.

use std::fmt;
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
use crate::measure::{Figures, Lengths, histogram, micros};
use crate::scenario::{Backend, Mix, PRODUCTS};
use crate::server::{Server, Settings, audit, run};

/// How far from what it was with the fewest orders a figure may be, of 1.
const FLAT: f64 = 0.1;
/// A difference that nobody notices: times of the fastest answers differ by as much from run to run.
const NOTHING: f64 = 0.3;
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

/// What came of it.
pub(crate) struct Growth {
    sizes: Vec<Size>,
}

/// With so many orders.
struct Size {
    /// Those that were made up.
    orders: u64,
    /// For how long they were made, if they were.
    seeding: Option<Duration>,
    start: Duration,
    placing: Figures,
    /// Of each question.
    answers: Vec<Figures>,
    audit: Duration,
}

/// Measures with each number of orders, fewest first.
pub(crate) async fn measure(bench: &Bench, sizes: &[u64], clients: usize) -> Result<Growth> {
    let program = bench.server.as_deref().context("there is no server to measure")?;
    let mut numbers = sizes.to_vec();
    numbers.sort_unstable();
    let mut sizes = Vec::with_capacity(numbers.len());
    for orders in numbers {
        eprintln!("growth, {orders} orders");
        // Each has its own: orders that are added to others are all placed since the last of these.
        let database = bench.databases.fresh(Backend::Mysql).await?;
        let seeding = match orders {
            0 => None,
            _ => Some(seed(program, &database, orders).await?),
        };
        let size = measure_size(program, &database, bench.lengths, clients).await?;
        sizes.push(Size { orders, seeding, ..size });
    }
    Ok(Growth { sizes })
}

async fn seed(program: &Path, database: &BenchDatabase, orders: u64) -> Result<Duration> {
    let started = Instant::now();
    run(program, &database.url, &["seed", "--orders", &orders.to_string()]).await?;
    Ok(started.elapsed())
}

async fn measure_size(
    program: &Path,
    database: &BenchDatabase,
    lengths: Lengths,
    clients: usize,
) -> Result<Size> {
    // What is asked is to be found out each time.
    let settings = Settings::from(
        ["JANGTEO_PRODUCT_CACHE_MS", "JANGTEO_POPULAR_CACHE_MS"].map(|name| (name, "0".to_owned())),
    );
    let started = Instant::now();
    let server = Server::start(program, &database.url, &[], &settings).await?;
    let start = started.elapsed();
    let mut caller =
        Caller { connection: Connection::open(server.address).await?, host: server.address.to_string() };
    let order = caller.buy().await?;
    let (traffic, pace) = (Traffic::Orders { mix: Mix::Spread, keyed: false }, Pace::Unbounded);
    let placing = Load { server: server.address, clients, traffic, pace, lengths }.run().await?.figures();
    eprintln!("    orders: {:.0}/s", placing.rate);
    let mut answers = Vec::with_capacity(QUESTIONS.len());
    for (what, path, admin) in QUESTIONS {
        let path =
            path.replace("{order}", &order.to_string()).replace("{product}", &(PRODUCTS / 2).to_string());
        let figures = caller.keep_asking(&path, admin).await.with_context(|| what.to_owned())?;
        eprintln!("    {what}: {:.2} ms", milliseconds(figures.median));
        answers.push(figures);
    }
    server.stop().await?;
    let started = Instant::now();
    audit(program, &database.url).await?;
    let audit = started.elapsed();
    eprintln!("    audit: {:.1} s", audit.as_secs_f64());
    Ok(Size { orders: 0, seeding: None, start, placing, answers, audit })
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

/// A line of the table: a figure of each size, and the bound of its ratio to the first.
struct Line {
    what: String,
    unit: &'static str,
    of: Vec<f64>,
    more_is_better: bool,
}

impl Growth {
    fn lines(&self) -> Vec<Line> {
        let line = |what: &str, unit, more_is_better, figure: &dyn Fn(&Size) -> f64| Line {
            what: what.to_owned(),
            unit,
            of: self.sizes.iter().map(figure).collect(),
            more_is_better,
        };
        let mut lines = vec![
            line("orders placed", "/s", true, &|size| size.placing.rate),
            line("p99 of these", "ms", false, &|size| milliseconds(size.placing.p99)),
        ];
        for (number, (what, _, _)) in QUESTIONS.iter().enumerate() {
            lines.push(line(what, "ms", false, &|size| milliseconds(size.answers[number].median)));
        }
        lines.push(line("start of the server", "ms", false, &|size| milliseconds(size.start)));
        lines
    }
}

impl Line {
    /// How many times worse than with the fewest orders.
    fn worse(&self) -> f64 {
        let (Some(first), Some(last)) = (self.of.first(), self.of.last()) else { return 1.0 };
        if self.more_is_better { first / last } else { last / first }
    }

    fn is_flat(&self) -> bool {
        let (first, last) = (self.of.first().unwrap_or(&0.0), self.of.last().unwrap_or(&0.0));
        self.worse() <= 1.0 + FLAT || (!self.more_is_better && last - first < NOTHING)
    }
}

impl fmt::Display for Growth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "The same with more and more orders; medians, each question asked by one client.\n")?;
        write!(f, "| measured |")?;
        self.sizes.iter().try_for_each(|size| write!(f, " {} orders |", size.orders))?;
        writeln!(f, " ratio | flat within {:.0}% |", FLAT * 100.0)?;
        writeln!(f, "|---|{}---:|---|", "---:|".repeat(self.sizes.len()))?;
        for line in self.lines() {
            write!(f, "| {}, {} |", line.what, line.unit)?;
            for value in &line.of {
                let digits = if *value < 100.0 { 2 } else { 0 };
                write!(f, " {value:.digits$} |")?;
            }
            let verdict = if line.is_flat() { "yes" } else { "**no**" };
            writeln!(f, " {:.2} | {verdict} |", line.worse())?;
        }
        write!(f, "| audit, s |")?;
        self.sizes.iter().try_for_each(|size| write!(f, " {:.1} |", size.audit.as_secs_f64()))?;
        writeln!(f, " | reads everything |")?;
        for (orders, took) in self.sizes.iter().filter_map(|size| Some((size.orders, size.seeding?))) {
            let (seconds, rate) = (took.as_secs_f64(), orders as f64 / took.as_secs_f64());
            writeln!(f, "\n{orders} orders were made in {seconds:.0} s, {rate:.0} a second.")?;
        }
        Ok(())
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(of: [f64; 2], more_is_better: bool) -> Line {
        Line { what: String::new(), unit: "", of: of.to_vec(), more_is_better }
    }

    #[test]
    fn a_tenth_worse_is_flat_and_more_is_not() {
        assert!(line([1000.0, 910.0], true).is_flat());
        assert!(!line([1000.0, 890.0], true).is_flat());
        assert!(line([10.0, 10.9], false).is_flat());
        assert!(!line([10.0, 11.1], false).is_flat());
    }

    #[test]
    fn better_is_flat_and_so_is_what_nobody_notices() {
        assert!(line([1000.0, 2000.0], true).is_flat() && line([10.0, 5.0], false).is_flat());
        assert!(line([0.2, 0.4], false).is_flat());
    }
}
