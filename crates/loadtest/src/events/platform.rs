use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::http::request::Builder;
use hyper::{Method, Request};
use serde::Deserialize;
use serde_json::json;

use crate::load::Connection;
use crate::machine::PLATFORM;
use crate::server::{Program, free_address};

/// Where orders go on a broker.
const TOPIC: &str = "orders";

/// A data platform: `jangteo platform`. It is killed when this is dropped.
pub(super) struct Platform {
    /// Where a shop sends its events.
    pub(super) events_url: String,
    address: SocketAddr,
    program: Program,
}

impl Platform {
    /// Takes requests.
    pub(super) async fn over_http(binary: &Path) -> Result<Self> {
        let address = free_address()?;
        Self::start(binary, address, format!("http://{address}/events"), &[]).await
    }

    /// Reads what is on a broker.
    pub(super) async fn behind(brokers: &str, binary: &Path) -> Result<Self> {
        let url = format!("kafka://{brokers}/{TOPIC}");
        Self::start(binary, free_address()?, url.clone(), &["--kafka", &url]).await
    }

    async fn start(binary: &Path, address: SocketAddr, events_url: String, flags: &[&str]) -> Result<Self> {
        let mut program = Program::start("the platform", binary, |command| {
            command.arg(PLATFORM).args(["--listen", &address.to_string()]).args(flags);
        })?;
        program.await_page(address, "/summary").await?;
        Ok(Self { events_url, address, program })
    }

    /// From now on it does as the mode says.
    pub(super) async fn behaving(self, mode: &str) -> Result<Self> {
        let request = Request::builder().method(Method::PUT).uri("/behaviour");
        let request = request.header(CONTENT_TYPE, "application/json");
        self.ask(request, json!({"mode": mode}).to_string().into()).await?;
        Ok(self)
    }

    /// What it has by now.
    pub(super) async fn summary(&self) -> Result<Summary> {
        let answer = self.ask(Request::builder().uri("/summary"), Bytes::new()).await?;
        serde_json::from_slice(&answer).context("the platform's summary cannot be read")
    }

    /// The end of its log.
    pub(super) fn last_words(&self) -> String {
        self.program.last_words()
    }

    async fn ask(&self, request: Builder, body: Bytes) -> Result<Bytes> {
        let request = request.header(HOST, self.address.to_string()).body(Full::new(body))?;
        let asked = Connection::open(self.address).await?.fetch(request).await;
        let (status, answer) = asked.with_context(|| format!("the platform's log:{}", self.last_words()))?;
        let text = String::from_utf8_lossy(&answer);
        ensure!(status.is_success(), "the platform answers {status}: {text}");
        Ok(answer)
    }
}

/// What a platform has received.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary {
    /// Without duplicates.
    pub(super) events: u64,
    pub(super) duplicates: u64,
    orders: u64,
    gaps: Count,
    out_of_order: Count,
    delivery: Milliseconds,
}

#[derive(Clone, Debug, Deserialize)]
struct Count {
    count: u64,
}

#[derive(Clone, Debug, Deserialize)]
struct Milliseconds {
    p50: f64,
    p99: f64,
    max: f64,
}

/// How long events take from their transaction to the platform.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Delivery {
    /// Half of them take no longer.
    pub(crate) median: Duration,
    /// 99% of them take no longer.
    pub(crate) p99: Duration,
    /// The longest of all.
    pub(crate) longest: Duration,
}

impl Summary {
    /// That there is one event of each of so many orders.
    pub(super) fn check(&self, orders: u64) -> Result<()> {
        let complete = (self.orders, self.events) == (orders, orders);
        ensure!(complete, "{orders} orders were placed, and the platform has {self:?}");
        let in_order = (self.gaps.count, self.out_of_order.count) == (0, 0);
        ensure!(in_order, "the platform misses events of orders, or got them in the wrong order: {self:?}");
        Ok(())
    }

    pub(super) fn delivery(&self) -> Delivery {
        let milliseconds = |figure: f64| Duration::from_secs_f64(figure / 1e3);
        let Milliseconds { p50, p99, max } = self.delivery;
        Delivery { median: milliseconds(p50), p99: milliseconds(p99), longest: milliseconds(max) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(events: u64, out_of_order: u64) -> Summary {
        let summary = json!({
            "received": 12, "duplicates": 2, "events": events, "orders": 10, "coupons": 0,
            "gaps": {"count": 0, "first": []}, "outOfOrder": {"count": out_of_order, "first": []},
            "delivery": {"p50": 1.5, "p99": 20.0, "max": 300.25}, "byType": {"jangteo.order.paid.v1": 10},
        });
        serde_json::from_value(summary).unwrap()
    }

    #[test]
    fn every_order_must_have_arrived_once_and_in_order() {
        assert!(summary(10, 0).check(10).is_ok());
        assert!(summary(10, 0).check(11).is_err());
        assert!(summary(9, 0).check(10).is_err());
        assert!(summary(10, 1).check(10).is_err());
    }

    #[test]
    fn the_platform_counts_in_milliseconds() {
        let Delivery { median, p99, longest } = summary(10, 0).delivery();
        assert_eq!([median, p99, longest].map(|time| time.as_micros()), [1_500, 20_000, 300_250]);
    }
}
