//! The promises of [`KafkaServer`], kept on a real broker.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use jangteo_testkit::{KafkaOptions, KafkaServer};

const METADATA: i16 = 3;
const API_VERSIONS: i16 = 18;
const CREATE_TOPICS: i16 = 19;

/// A connection that speaks as much of Kafka's protocol as these tests need.
struct Client(TcpStream);

impl Client {
    fn connect(brokers: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(brokers)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        Ok(Self(stream))
    }

    fn to(server: &KafkaServer) -> Self {
        Self::connect(server.brokers()).expect("the broker accepts connections")
    }

    /// The header of a request is its kind, the version of that, a number that comes back, and no client's name.
    fn send(&mut self, kind: i16, version: i16, body: &[u8]) -> io::Result<()> {
        let mut request = Vec::new();
        request.extend(kind.to_be_bytes());
        request.extend(version.to_be_bytes());
        request.extend(7_i32.to_be_bytes());
        request.extend((-1_i16).to_be_bytes());
        request.extend(body);
        let length = i32::try_from(request.len()).expect("short");
        self.0.write_all(&[&length.to_be_bytes()[..], &request].concat())
    }

    /// What comes after the number.
    fn answer(&mut self) -> io::Result<Vec<u8>> {
        let mut number = [0; 4];
        self.0.read_exact(&mut number)?;
        let mut answer = vec![0; usize::try_from(i32::from_be_bytes(number)).expect("a length")];
        self.0.read_exact(&mut answer)?;
        assert_eq!(answer[..4], 7_i32.to_be_bytes());
        Ok(answer.split_off(4))
    }

    fn ask_versions(&mut self) -> io::Result<()> {
        self.send(API_VERSIONS, 0, &[])
    }

    /// Kinds of requests that the broker knows, or an error.
    fn versions(&mut self) -> io::Result<i32> {
        let answer = self.answer()?;
        assert_eq!(answer[..2], [0, 0], "an error of the broker");
        Ok(i32::from_be_bytes(answer[2..6].try_into().expect("four")))
    }

    fn answers(&mut self) -> bool {
        self.ask_versions().and_then(|()| self.versions()).is_ok_and(|kinds| kinds > 0)
    }

    fn create_topic(&mut self, name: &str) {
        let body = [
            &1_i32.to_be_bytes()[..],
            &text(name),
            // Partitions, and copies of each.
            &3_i32.to_be_bytes(),
            &1_i16.to_be_bytes(),
            // No assignments, no settings.
            &[0; 8],
            // To be done within that many milliseconds, and not only checked.
            &5000_i32.to_be_bytes(),
            &[0],
        ];
        self.send(CREATE_TOPICS, 2, &body.concat()).expect("sent");
        assert!(
            self.answer().expect("an answer").ends_with(&[&text(name)[..], &[0, 0, 0xff, 0xff]].concat())
        );
    }

    /// Whether the broker names the topic when it is asked for all.
    fn has_topic(&mut self, name: &str) -> bool {
        self.send(METADATA, 1, &(-1_i32).to_be_bytes()).expect("sent");
        let answer = self.answer().expect("an answer");
        answer.windows(name.len() + 2).any(|part| part == text(name))
    }
}

fn text(text: &str) -> Vec<u8> {
    let length = i16::try_from(text.len()).expect("short").to_be_bytes();
    [&length, text.as_bytes()].concat()
}

fn start() -> KafkaServer {
    KafkaServer::start(KafkaOptions::default()).unwrap_or_else(|reason| panic!("{reason}"))
}

#[tokio::test]
async fn all_tests_of_a_process_share_one_broker() {
    let (one, other) = tokio::join!(KafkaServer::shared(), KafkaServer::shared());
    assert_eq!(one.brokers(), other.brokers());
    assert!(Client::to(one).answers());
}

#[tokio::test]
async fn a_broker_of_ones_own_starts_in_async_code_too_and_is_apart_from_others() {
    let (one, other) = (start(), start());
    Client::to(&one).create_topic("orders");
    assert!(Client::to(&one).has_topic("orders"));
    assert!(!Client::to(&other).has_topic("orders"));
}

#[test]
fn a_frozen_broker_hangs_and_answers_when_thawed() {
    let mut server = start();
    let mut client = Client::to(&server);
    client.0.set_read_timeout(Some(Duration::from_millis(300))).expect("set");

    server.freeze();
    client.ask_versions().expect("the connection stays open");
    let hung = client.versions().expect_err("no answer");
    assert_eq!(hung.kind(), io::ErrorKind::WouldBlock);

    server.thaw();
    client.0.set_read_timeout(Some(Duration::from_secs(5))).expect("set");
    assert!(client.versions().expect("an answer") > 0);
}

#[test]
fn a_killed_broker_is_gone_and_comes_back_empty_at_the_same_address() {
    let mut server = start();
    let brokers = server.brokers().to_owned();
    let mut client = Client::to(&server);
    client.create_topic("orders");

    server.kill();
    assert!(!client.answers());
    assert!(Client::connect(&brokers).is_err());

    server.restart();
    assert_eq!(server.brokers(), brokers);
    assert!(!Client::to(&server).has_topic("orders"));
}

/// Where no broker can be durable, nobody is given one that only seems to be.
#[test]
fn a_durable_broker_finds_its_topics_again_or_there_is_none() {
    let mut server = match KafkaServer::start(KafkaOptions { durable: true }) {
        Ok(server) => server,
        Err(reason) => {
            let reason = reason.to_string();
            assert!(reason.contains("built without the storage engine libsql"), "{reason}");
            assert!(reason.contains("cargo install tansu"), "{reason}");
            return;
        }
    };
    Client::to(&server).create_topic("orders");

    server.kill();
    server.restart();

    assert!(Client::to(&server).has_topic("orders"));
}

#[test]
fn a_broker_restarts_whether_it_runs_or_hangs() {
    let mut server = start();
    server.restart();
    server.freeze();
    server.restart();
    assert!(Client::to(&server).answers());
}

#[test]
fn a_dropped_broker_answers_no_more_even_if_it_was_frozen_or_restarted() {
    let mut server = start();
    let brokers = server.brokers().to_owned();
    server.restart();
    server.freeze();

    drop(server);

    assert!(Client::connect(&brokers).is_err());
}

#[test]
fn a_broker_goes_with_its_process_even_if_that_is_killed() {
    let mut process = Command::new(env!("CARGO_BIN_EXE_testkit-server"))
        .arg("kafka")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut brokers = String::new();
    BufReader::new(process.stdout.take().expect("piped")).read_line(&mut brokers).expect("a line");
    let brokers = brokers.trim_end();
    assert!(Client::connect(brokers).expect("accepted").answers());

    process.kill().expect("SIGKILL");
    process.wait().expect("ended");

    let killed = Instant::now();
    while Client::connect(brokers).is_ok() {
        assert!(killed.elapsed() < Duration::from_secs(30), "the broker goes on");
        thread::sleep(Duration::from_millis(50));
    }
}
