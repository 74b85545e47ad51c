//! The program and its servers as child processes.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The program on one database, in an empty folder.
pub(crate) struct Program {
    url: String,
    folder: TempDir,
}

impl Program {
    pub(crate) fn new(url: &str) -> Self {
        Self { url: url.to_owned(), folder: tempfile::tempdir().expect("a folder") }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jangteo"));
        command.current_dir(&self.folder).env("JANGTEO_DATABASE_URL", &self.url).env("JANGTEO_LOG", "warn");
        command.stdin(Stdio::null());
        command
    }

    /// Runs it to its end, which must be a good one.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) {
        let output = self.command().args(arguments).output().expect("it starts");
        let text =
            [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        assert!(output.status.success(), "jangteo {arguments:?}: {text}");
    }

    /// A server that is ready.
    pub(crate) async fn serve(&self) -> Server {
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("its address");
        let child = self
            .command()
            .args(["serve", "--no-demo", "--listen", &free.to_string()])
            .stdout(Stdio::null())
            .spawn()
            .expect("it starts");
        let server =
            Server { child: Mutex::new(child), site: format!("http://{free}"), client: Client::new() };
        for _ in 0..300 {
            let ready = server.client.get(format!("{}/health/ready", server.site)).send().await;
            if ready.is_ok_and(|answer| answer.status().is_success()) {
                return server;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the server did not become ready");
    }
}

/// A running server; it ends with its owner.
pub(crate) struct Server {
    child: Mutex<Child>,
    site: String,
    client: Client,
}

impl Server {
    /// As `kill -9` does.
    pub(crate) fn kill(&self) {
        let mut child = self.child.lock().expect("nobody panicked");
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
    }

    /// The status and the body of the answer, unless the server went away.
    pub(crate) async fn post(
        &self,
        user: i64,
        path: &str,
        body: Value,
        key: Option<&str>,
    ) -> Option<(u16, Value)> {
        let mut request =
            self.client.post(format!("{}{path}", self.site)).header("X-User-Id", user).json(&body);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        let answer = request.send().await.ok()?;
        Some((answer.status().as_u16(), answer.json().await.ok()?))
    }

    /// The receipt of an order of one piece, unless the server went away.
    pub(crate) async fn order(&self, user: i64, product: i64, key: &str) -> Option<Value> {
        let order = json!({"items": [{"productId": product, "qty": 1}]});
        let (status, receipt) = self.post(user, "/api/v1/orders", order, Some(key)).await?;
        assert_eq!(status, 201, "{receipt}");
        Some(receipt)
    }

    pub(crate) async fn get(&self, user: i64, path: &str) -> Value {
        let request = self.client.get(format!("{}{path}", self.site)).header("X-User-Id", user);
        request.send().await.expect("an answer").json().await.expect("JSON")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Ok(child) = self.child.get_mut() {
            // It may have been killed already.
            drop(child.kill());
            drop(child.wait());
        }
    }
}
