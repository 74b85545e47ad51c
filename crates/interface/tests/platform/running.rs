//! A running platform.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use jangteo::{Platform, PlatformSettings, StopHandle};
use jangteo_application::SystemClock;
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

pub(crate) struct Running {
    pub(crate) site: String,
    pub(crate) client: Client,
    stop: StopHandle,
    running: JoinHandle<anyhow::Result<()>>,
}

pub(crate) fn settings() -> PlatformSettings {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    PlatformSettings { listen, kafka: None, file: None, secret: None }
}

impl Running {
    /// A platform that keeps events in memory.
    pub(crate) async fn start() -> Self {
        Self::with(settings()).await
    }

    pub(crate) async fn with(settings: PlatformSettings) -> Self {
        let platform = Platform::build(settings, Arc::new(SystemClock)).await.expect("it starts");
        let site = format!("http://{}", platform.address());
        let stop = platform.stop_handle();
        let running = tokio::spawn(platform.run_until_stopped());
        Self { site, client: jangteo_testkit::http_client(), stop, running }
    }

    pub(crate) async fn stop(self) {
        self.stop.stop();
        self.running.await.expect("no panic").expect("a clean end");
    }

    pub(crate) fn post(&self, media_type: &str, body: impl Into<reqwest::Body>) -> RequestBuilder {
        self.client.post(format!("{}/events", self.site)).header("Content-Type", media_type).body(body)
    }

    pub(crate) async fn deliver(&self, event: &Value) -> Answer {
        let request = self.post("application/cloudevents+json; charset=utf-8", event.to_string());
        Answer::of(request.send().await.expect("an answer")).await
    }

    pub(crate) async fn deliver_all(&self, events: &[Value]) -> Answer {
        let request = self.post("application/cloudevents-batch+json", json!(events).to_string());
        Answer::of(request.send().await.expect("an answer")).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        let request = self.client.get(format!("{}{path}", self.site));
        Answer::of(request.send().await.expect("an answer")).await
    }

    pub(crate) async fn summary(&self) -> Value {
        self.get("/summary").await.expect(200)
    }

    /// Has it behave like that.
    pub(crate) async fn behave(&self, behaviour: Value) -> Answer {
        let request = self.client.put(format!("{}/behaviour", self.site)).body(behaviour.to_string());
        Answer::of(request.send().await.expect("an answer")).await
    }
}

pub(crate) struct Answer {
    status: u16,
    body: Value,
}

impl Answer {
    pub(crate) async fn of(response: Response) -> Self {
        let status = response.status().as_u16();
        Self { status, body: response.json().await.expect("JSON") }
    }

    /// The body of an answer that has this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    /// A refusal that says why.
    #[track_caller]
    pub(crate) fn expect_refusal(self, status: u16, why: &str) {
        let body = self.expect(status);
        assert!(body["error"].as_str().is_some_and(|error| error.contains(why)), "{body}");
    }
}

/// The event of an order, as a shop sends it.
pub(crate) fn event(order: u32, sequence: u32) -> Value {
    json!({
        "specversion": "1.0",
        "id": format!("order-{order}-{sequence}"),
        "source": "/shops/1",
        "type": if sequence == 1 { "jangteo.order.paid.v1" } else { "jangteo.order.shipped.v1" },
        "subject": format!("orders/{order}"),
        "time": "2025-11-09T12:34:56.789012Z",
        "datacontenttype": "application/json",
        "sequence": sequence.to_string(),
        "partitionkey": order.to_string(),
        "data": {
            "orderId": order,
            "items": [{"productId": 1, "name": "유기농 \"면\" 티셔츠", "unitPrice": "19900.00", "qty": 1}],
            "createdAt": "2025-11-09T12:34:50Z",
        },
    })
}
