//! The promises of [`RedisServer`], kept on a real server.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use jangteo_testkit::{RedisOptions, RedisServer, Sentinel};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// A connection that speaks Redis's inline commands.
struct Client(BufReader<TcpStream>);

impl Client {
    fn connect(url: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(url.strip_prefix("redis://").expect("a Redis URL"))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        Ok(Self(BufReader::new(stream)))
    }

    fn to(server: &RedisServer) -> Self {
        Self::connect(server.url()).expect("the server accepts connections")
    }

    fn send(&mut self, command: &str) -> io::Result<()> {
        self.0.get_mut().write_all(format!("{command}\r\n").as_bytes())
    }

    fn answer(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    fn ask(&mut self, command: &str) -> String {
        self.send(command).and_then(|()| self.answer()).expect("an answer")
    }
}

fn start(options: RedisOptions) -> RedisServer {
    RedisServer::start(options).expect("a server")
}

#[tokio::test]
async fn all_tests_of_a_process_share_one_server() {
    let (one, other) = tokio::join!(RedisServer::shared(), RedisServer::shared());
    assert_eq!(one.url(), other.url());
    assert_eq!(Client::to(one).ask("PING"), "+PONG");
}

#[tokio::test]
async fn a_server_of_ones_own_starts_in_async_code_too_and_is_apart_from_others() {
    let (one, other) = (start(RedisOptions::default()), start(RedisOptions::default()));
    assert_eq!(Client::to(&one).ask("SET stock 7"), "+OK");
    assert_eq!(Client::to(&other).ask("EXISTS stock"), ":0");
}

#[test]
fn a_frozen_server_hangs_and_answers_when_thawed() {
    let mut server = start(RedisOptions::default());
    let mut client = Client::to(&server);
    client.0.get_ref().set_read_timeout(Some(Duration::from_millis(300))).expect("set");

    server.freeze();
    client.send("PING").expect("the connection stays open");
    let hung = client.answer().expect_err("no answer");
    assert_eq!(hung.kind(), io::ErrorKind::WouldBlock);

    server.thaw();
    client.0.get_ref().set_read_timeout(Some(Duration::from_secs(5))).expect("set");
    assert_eq!(client.answer().expect("an answer"), "+PONG");
}

#[test]
fn a_killed_server_is_gone_and_comes_back_empty_at_the_same_url() {
    let mut server = start(RedisOptions::default());
    let url = server.url().to_owned();
    let mut client = Client::to(&server);
    assert_eq!(client.ask("SET stock 7"), "+OK");

    server.kill();
    assert!(client.send("PING").and_then(|()| client.answer()).is_ok_and(|end| end.is_empty()));
    assert!(Client::connect(&url).is_err());

    server.restart();
    assert_eq!(server.url(), url);
    assert_eq!(Client::to(&server).ask("EXISTS stock"), ":0");
}

#[test]
fn a_persistent_server_finds_its_data_again() {
    let mut server = start(RedisOptions { persistent: true, ..RedisOptions::default() });
    assert_eq!(Client::to(&server).ask("SET stock 7"), "+OK");

    server.kill();
    server.restart();

    assert_eq!(Client::to(&server).ask("EXISTS stock"), ":1");
}

#[test]
fn a_server_restarts_whether_it_runs_or_hangs() {
    let mut server = start(RedisOptions::default());
    server.restart();
    server.freeze();
    server.restart();
    assert_eq!(Client::to(&server).ask("PING"), "+PONG");
}

#[test]
fn a_dropped_server_answers_no_more_even_if_it_was_frozen_or_restarted() {
    let mut server = start(RedisOptions::default());
    let url = server.url().to_owned();
    server.restart();
    server.freeze();

    drop(server);

    assert!(Client::connect(&url).is_err());
}

#[test]
fn a_cluster_is_one_node_with_all_slots_also_after_a_restart() {
    let mut server = start(RedisOptions { cluster: true, ..RedisOptions::default() });
    assert_has_all_slots(&server);
    assert_eq!(Client::to(&server).ask("SET stock 7"), "+OK");

    server.restart();

    assert_has_all_slots(&server);
    assert_eq!(Client::to(&server).ask("EXISTS stock"), ":0");
}

/// One range, from 0 to 16383, of the node at the server's own address.
fn assert_has_all_slots(server: &RedisServer) {
    let port = server.url().rsplit(':').next().expect("a port");
    let mut client = Client::to(server);
    client.send("CLUSTER SLOTS").expect("sent");
    let slots = [(); 8].map(|()| client.answer().expect("an answer"));
    assert_eq!(slots, ["*1", "*3", ":0", ":16383", "*4", "$9", "127.0.0.1", &format!(":{port}")]);
}

#[test]
fn a_sentinel_knows_the_server() {
    let server = start(RedisOptions::default());
    let sentinel = Sentinel::start(&server, "shop").expect("a sentinel");

    let mut client = Client::connect(&format!("redis://{}", sentinel.address())).expect("accepted");
    assert_eq!(client.ask("SENTINEL GET-MASTER-ADDR-BY-NAME shop"), "*2");
    let address = [(); 4].map(|()| client.answer().expect("an answer"));

    assert_eq!(format!("redis://{}:{}", address[1], address[3]), server.url());
}

#[test]
fn a_server_with_tls_answers_those_who_trust_its_authority() {
    let server = start(RedisOptions { tls: true, ..RedisOptions::default() });
    let address = server.url().strip_prefix("rediss://").expect("a URL with TLS");
    let ca = CertificateDer::from_pem_file(server.ca_file().expect("an authority")).expect("a certificate");
    let mut trusted = RootCertStore::empty();
    trusted.add(ca).expect("a certificate");

    let config = ClientConfig::builder().with_root_certificates(trusted).with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").expect("an address");
    let session = ClientConnection::new(Arc::new(config), name).expect("a session");
    let stream = TcpStream::connect(address).expect("the server accepts connections");
    let mut stream = StreamOwned::new(session, stream);
    stream.write_all(b"PING\r\n").expect("sent");
    let mut answer = [0; 7];
    stream.read_exact(&mut answer).expect("an answer");

    assert_eq!(&answer, b"+PONG\r\n");
}

#[test]
fn a_server_goes_with_its_process_even_if_that_is_killed() {
    let mut process = Command::new(env!("CARGO_BIN_EXE_testkit-server"))
        .arg("redis")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut url = String::new();
    BufReader::new(process.stdout.take().expect("piped")).read_line(&mut url).expect("a line");
    let url = url.trim_end();
    assert_eq!(Client::connect(url).expect("accepted").ask("PING"), "+PONG");

    process.kill().expect("SIGKILL");
    process.wait().expect("ended");

    let killed = Instant::now();
    while Client::connect(url).is_ok() {
        assert!(killed.elapsed() < Duration::from_secs(30), "the server goes on");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_server_that_saved_comes_back_with_what_it_knew_then() {
    let mut server = start(RedisOptions::default());
    Client::to(&server).ask("SET saved 1");
    server.save();
    Client::to(&server).ask("SET later 1");
    assert_eq!(server.keys(), ["later", "saved"].map(str::to_owned).into());
    server.restart();
    assert_eq!(server.keys(), ["saved".to_owned()].into());
    server.flush();
    assert!(server.keys().is_empty());
}
