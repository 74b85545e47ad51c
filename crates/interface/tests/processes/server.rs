//! The program and its servers as child processes.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The program on one database, in an empty folder.
pub(crate) struct Program {
    settings: Vec<(&'static str, String)>,
    folder: TempDir,
}

impl Program {
    pub(crate) fn new(url: &str) -> Self {
        let settings = [("JANGTEO_DATABASE_URL", url), ("JANGTEO_LOG", "warn")];
        let settings = settings.map(|(name, value)| (name, value.to_owned())).to_vec();
        Self { settings, folder: tempfile::tempdir().expect("a folder") }
    }

    /// The same with another setting.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.settings.push((name, value.to_owned()));
        self
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jangteo"));
        command.current_dir(&self.folder).envs(self.settings.iter().cloned()).stdin(Stdio::null());
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

    /// The scheduled jobs alone.
    pub(crate) fn work(&self) -> Process {
        Process::start(self.command().arg("worker"))
    }

    /// The same, telling of itself at an address.
    pub(crate) fn work_at(&self, address: SocketAddr) -> Process {
        Process::start(self.command().args(["worker", "--listen", &address.to_string()]))
    }

    /// A data platform on an address of its own, which keeps what it gets in a file.
    pub(crate) fn receive(&self, address: SocketAddr, flags: &[&str]) -> Process {
        let mut command = self.command();
        command.args(["platform", "--listen", &address.to_string(), "--file", "events.db"]).args(flags);
        Process::start(command.stdout(Stdio::null()))
    }

    /// A server that is ready.
    pub(crate) async fn serve(&self) -> Server {
        self.serve_with(&[]).await
    }

    pub(crate) async fn serve_with(&self, flags: &[&str]) -> Server {
        let free = free_address();
        let log = self.folder.path().join(format!("{}.log", free.port()));
        let mut command = self.command();
        command.args(["serve", "--no-demo", "--listen", &free.to_string()]).args(flags);
        command.stdout(Stdio::null()).stderr(File::create(&log).expect("the folder is writable"));
        let (process, site) = (Process::start(&mut command), format!("http://{free}"));
        let server = Server { process, site, client: jangteo_testkit::http_client(), log };
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

/// An address that nobody listened on a moment ago.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("its address")
}

/// The program as it runs; it ends with its owner.
pub(crate) struct Process(Mutex<Child>);

impl Process {
    fn start(command: &mut Command) -> Self {
        Self(Mutex::new(command.spawn().expect("it starts")))
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.lock().expect("nobody panicked").id()
    }

    /// As `kill -9` does.
    pub(crate) fn kill(&self) {
        let mut child = self.0.lock().expect("nobody panicked");
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
    }

    /// As `kill` does, and whoever asks politely waits for a good end.
    pub(crate) fn stop(&self) {
        let mut child = self.0.lock().expect("nobody panicked");
        let asked = Command::new("kill").arg(child.id().to_string()).status();
        assert!(asked.expect("there is a kill command").success());
        assert!(child.wait().expect("it ends").success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Ok(child) = self.0.get_mut() {
            // It may have been killed already.
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// A running server; it ends with its owner.
pub(crate) struct Server {
    pub(crate) process: Process,
    site: String,
    client: Client,
    log: PathBuf,
}

impl Server {
    /// What it said on standard error.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).expect("a log")
    }

    pub(crate) async fn metrics(&self) -> String {
        let metrics = self.client.get(format!("{}/metrics", self.site)).send().await;
        metrics.expect("an answer").text().await.expect("a text")
    }

    pub(crate) fn request(&self, method: Method, user: i64, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.site)).header("X-User-Id", user)
    }

    /// The status and the body of the answer, unless the server went away.
    pub(crate) async fn post(
        &self,
        user: i64,
        path: &str,
        body: Value,
        key: Option<&str>,
    ) -> Option<(u16, Value)> {
        let mut request = self.request(Method::POST, user, path).json(&body);
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

    /// What an administrator sees.
    pub(crate) async fn admin(&self, path: &str) -> Value {
        let request = self.request(Method::GET, 1, path).header("X-User-Role", "ADMIN");
        request.send().await.expect("an answer").json().await.expect("JSON")
    }

    pub(crate) async fn get(&self, user: i64, path: &str) -> Value {
        let request = self.request(Method::GET, user, path);
        request.send().await.expect("an answer").json().await.expect("JSON")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}: {}", self.site, self.log());
        }
    }
}
