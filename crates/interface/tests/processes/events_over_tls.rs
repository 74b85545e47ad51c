//! A data platform behind TLS, with an authority that only this test trusts.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

use crate::server::Program;

struct Platform {
    url: String,
    /// In PEM, what it shows and who is to be trusted for it in one.
    certificate: String,
    events: Receiver<Value>,
}

impl Platform {
    fn start() -> Self {
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a valid name");
        let certificate = own.cert.pem();
        let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|config| config.with_no_client_auth().with_single_cert(vec![own.cert.into()], key));
        let config = Arc::new(config.expect("a sound certificate"));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("https://localhost:{}/events", listener.local_addr().expect("an address").port());
        let (tell, events) = mpsc::channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                // Who does not trust the certificate hangs up.
                if let Ok(event) = stream.and_then(|stream| receive(stream, Arc::clone(&config))) {
                    tell.send(event).expect("the test listens");
                }
            }
        });
        Self { url, certificate, events }
    }
}

/// One event in one request over one connection.
fn receive(stream: TcpStream, config: Arc<ServerConfig>) -> io::Result<Value> {
    let connection = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut stream = BufReader::new(StreamOwned::new(connection, stream));
    let (mut line, mut length) = (String::new(), 0);
    while stream.read_line(&mut line)? > 2 {
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.trim_end().parse().map_err(io::Error::other)?;
        }
        line.clear();
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    stream.get_mut().write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")?;
    stream.get_mut().flush()?;
    Ok(serde_json::from_slice(&body)?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_go_over_tls_to_a_platform_whose_authority_is_trusted_and_to_no_other() {
    let platform = Platform::start();
    let folder = tempfile::tempdir().expect("a folder");
    let authority = folder.path().join("authority.pem");
    std::fs::write(&authority, &platform.certificate).expect("written");
    let database = jangteo_testkit::sqlite().await;
    let shop = || Program::new(&database.url).with("JANGTEO_EVENTS", &platform.url);
    let trusting = shop().with("SSL_CERT_FILE", authority.to_str().expect("a path"));
    trusting.run(&["migrate", "up"]);
    trusting.run(&["seed", "--users", "1", "--products", "1", "--stock", "10", "--balance", "900000"]);

    let server = shop().serve().await;
    let order = server.order(1, 1, "key").await.expect("an answer");
    let begun = Instant::now();
    while !server.metrics().await.contains("jangteo_relay_events_total{result=\"returned\"} 1") {
        assert!(begun.elapsed() < Duration::from_secs(20), "{}", server.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(platform.events.try_recv().is_err());
    drop(server);

    let _server = trusting.serve().await;
    let event = platform.events.recv_timeout(Duration::from_secs(60)).expect("it is delivered");
    assert_eq!(event["data"]["orderId"], order["orderId"]);
}
