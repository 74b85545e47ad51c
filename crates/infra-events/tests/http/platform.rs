//! A data platform for tests: a small HTTP server that remembers what it got and answers as it is told.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// What the platform got.
#[derive(Debug, Clone)]
pub(crate) struct Got {
    pub(crate) connection: usize,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Got {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("ASCII"))
    }
}

/// What it answers.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
    pub(crate) after: Duration,
}

pub(crate) fn answer(status: u16, body: impl Into<String>) -> Answer {
    Answer { status, headers: Vec::new(), body: body.into(), after: Duration::ZERO }
}

pub(crate) struct Platform {
    pub(crate) address: SocketAddr,
    got: Arc<Mutex<Vec<Got>>>,
}

impl Platform {
    /// One that answers everything alike.
    pub(crate) async fn that_says(status: u16) -> Self {
        Self::start(move |_| answer(status, "")).await
    }

    pub(crate) async fn start(answers: impl Fn(&Got) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (got, answers) = (Arc::default(), Arc::new(answers));
        tokio::spawn(serve(listener, Arc::clone(&got), answers));
        Self { address, got }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/events", self.address)
    }

    pub(crate) fn got(&self) -> Vec<Got> {
        self.got.lock().expect("nobody panics").clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.got().iter().map(|got| got.connection).collect::<BTreeSet<_>>().len()
    }
}

async fn serve(
    listener: TcpListener,
    got: Arc<Mutex<Vec<Got>>>,
    answers: Arc<impl Fn(&Got) -> Answer + Send + Sync + 'static>,
) {
    for connection in 0.. {
        let (stream, _) = listener.accept().await.expect("a connection");
        let (got, answers) = (Arc::clone(&got), Arc::clone(&answers));
        let service = service_fn(move |request: Request<Incoming>| {
            let (got, answers) = (Arc::clone(&got), Arc::clone(&answers));
            async move {
                let request = take(connection, request).await;
                let answer = answers(&request);
                got.lock().expect("nobody panics").push(request);
                tokio::time::sleep(answer.after).await;
                Ok::<_, Infallible>(response(answer))
            }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn take(connection: usize, request: Request<Incoming>) -> Got {
    let (head, body) = request.into_parts();
    let body = body.collect().await.expect("a whole body").to_bytes();
    Got {
        connection,
        path: head.uri.to_string(),
        headers: head.headers,
        body: String::from_utf8(body.to_vec()).expect("UTF-8"),
    }
}

fn response(answer: Answer) -> Response<Full<Bytes>> {
    let mut response = Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    response.body(Full::from(answer.body)).expect("a sound answer")
}
