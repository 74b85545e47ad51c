//! The data platform as a child process: it can be told to misbehave, killed, and started again with what it had.

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::server::{Process, Program};

pub(crate) struct Platform {
    address: SocketAddr,
    flags: Vec<String>,
    process: Option<Process>,
    client: Client,
}

impl Platform {
    pub(crate) async fn start(program: &Program, flags: &[&str]) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = free.local_addr().expect("its address");
        drop(free);
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let mut platform = Self { address, flags, process: None, client: jangteo_testkit::http_client() };
        platform.restart(program).await;
        platform
    }

    /// Where shops post their events.
    pub(crate) fn events(&self) -> String {
        format!("http://{}/events", self.address)
    }

    pub(crate) fn kill(&mut self) {
        self.process.take().expect("it runs").kill();
    }

    pub(crate) async fn restart(&mut self, program: &Program) {
        let flags: Vec<&str> = self.flags.iter().map(String::as_str).collect();
        self.process = Some(program.receive(self.address, &flags));
        for _ in 0..300 {
            if self.client.get(self.at("/summary")).send().await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the platform did not become ready");
    }

    pub(crate) async fn behave(&self, behaviour: Value) {
        let told = self.client.request(Method::PUT, self.at("/behaviour")).json(&behaviour).send().await;
        assert!(told.expect("an answer").status().is_success(), "{behaviour}");
    }

    pub(crate) async fn summary(&self) -> Value {
        self.get("/summary").await
    }

    pub(crate) async fn completeness(&self, range: &str) -> Value {
        self.get(&format!("/completeness?{range}")).await
    }

    /// Waits until it has so many different events.
    pub(crate) async fn until_it_has(&self, events: u64) -> Value {
        let begun = Instant::now();
        loop {
            let summary = self.summary().await;
            if summary["events"].as_u64() == Some(events) {
                return summary;
            }
            assert!(begun.elapsed() < Duration::from_secs(90), "of {events} events: {summary}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Nothing is missing, and every order's events came in their sequence.
    pub(crate) fn assert_nothing_is_amiss(summary: &Value) {
        assert_eq!(
            (&summary["gaps"]["count"], &summary["outOfOrder"]["count"]),
            (&json!(0), &json!(0)),
            "{summary}"
        );
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.client.get(self.at(path)).send().await.expect("an answer");
        answer.json().await.expect("JSON")
    }

    fn at(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}
