//! The load on the server: keep-alive clients, each with one request at a time.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::net::SocketAddr;
use std::time::Instant;

use anyhow::{Context, Result};
use bytes::Bytes;
use futures::future::try_join_all;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::measure::{Answer, Lengths, Tally, Window, on_own_thread};
use crate::scenario::Mix;

/// What clients ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Traffic {
    /// `POST /api/v1/orders`.
    Orders {
        /// How orders choose their products.
        mix: Mix,
        /// Whether each has an `Idempotency-Key`.
        keyed: bool,
    },
    /// `GET /api/v1/products`, the first page.
    Catalogue,
}

impl fmt::Display for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Orders { mix, keyed: false } => write!(f, "{mix}"),
            Self::Orders { mix, keyed: true } => write!(f, "{mix}, with idempotency keys"),
            Self::Catalogue => f.write_str("GET /products"),
        }
    }
}

/// A load to put on a server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Who answers.
    pub(crate) server: SocketAddr,
    /// How many ask at the same time.
    pub(crate) clients: usize,
    /// What they ask for.
    pub(crate) traffic: Traffic,
    /// For how long.
    pub(crate) lengths: Lengths,
}

impl Load {
    /// Asks until the time is over. Every request is answered when this returns.
    pub(crate) async fn run(self) -> Result<Tally> {
        on_own_thread(move || async move {
            let requests = Requests::prepare(self.server, self.traffic)?;
            let window = Window::after_warm_up(self.lengths);
            let tally = RefCell::new(Tally::new(window));
            let clients = (0..self.clients).map(|_| keep_asking(self.server, &requests, window, &tally));
            try_join_all(clients).await?;
            Ok(tally.into_inner())
        })
        .await
    }
}

async fn keep_asking(
    server: SocketAddr,
    requests: &Requests,
    window: Window,
    tally: &RefCell<Tally>,
) -> Result<()> {
    let mut connection = Connection::open(server).await?;
    while !window.is_over() {
        let request = requests.next()?;
        let asked = Instant::now();
        let answer = match connection.ask(request).await {
            Ok(status) if status == requests.expected => Answer::Good,
            Ok(status) => Answer::Status(status.as_u16()),
            Err(_) => Answer::Lost,
        };
        tally.borrow_mut().add(answer, asked);
        if answer == Answer::Lost {
            connection = Connection::open(server).await?;
        }
    }
    Ok(())
}

/// Whether the server says that it is ready.
pub(crate) async fn is_ready(server: SocketAddr) -> bool {
    let asked = async {
        let request = Request::get("/health/ready").header(HOST, server.to_string()).body(Full::default())?;
        anyhow::Ok(Connection::open(server).await?.ask(request).await?)
    };
    asked.await.is_ok_and(|status| status == StatusCode::OK)
}

/// A keep-alive connection.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(server: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(server).await.context("the server does not accept connections")?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // Ends with the sender; its errors reach whoever waits for an answer.
        tokio::spawn(connection);
        Ok(Self { sender })
    }

    /// Reads the answer to its end, as a client would.
    pub(crate) async fn ask(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<StatusCode> {
        self.sender.ready().await?;
        let mut response = self.sender.send_request(request).await?;
        while let Some(frame) = response.frame().await {
            frame?;
        }
        Ok(response.status())
    }
}

/// Requests made up beforehand: while measuring, the generator shares its processors with the server.
struct Requests {
    traffic: Traffic,
    expected: StatusCode,
    host: HeaderValue,
    /// User and body.
    orders: Vec<(HeaderValue, Bytes)>,
    used: Cell<usize>,
}

impl Requests {
    const PREPARED: usize = 1 << 16;

    fn prepare(server: SocketAddr, traffic: Traffic) -> Result<Self> {
        let (expected, orders) = match traffic {
            Traffic::Orders { mix, .. } => {
                let baskets = (0..Self::PREPARED).map(|_| mix.basket());
                let orders = baskets.map(|basket| (basket.user.into(), basket.to_json().into())).collect();
                (StatusCode::CREATED, orders)
            }
            Traffic::Catalogue => (StatusCode::OK, Vec::new()),
        };
        Ok(Self { traffic, expected, host: server.to_string().try_into()?, orders, used: Cell::new(0) })
    }

    fn next(&self) -> Result<Request<Full<Bytes>>> {
        let number = self.used.replace(self.used.get() + 1);
        let request = Request::builder().header(HOST, self.host.clone());
        let Traffic::Orders { keyed, .. } = self.traffic else {
            return Ok(request.uri("/api/v1/products").body(Full::default())?);
        };
        let (user, body) = self.orders[number % Self::PREPARED].clone();
        let mut request = request.method(Method::POST).uri("/api/v1/orders");
        request = request.header(CONTENT_TYPE, JSON).header("x-user-id", user);
        if keyed {
            request = request.header("idempotency-key", format!("order-{number}"));
        }
        Ok(request.body(Full::new(body))?)
    }
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use hyper::Response;
    use hyper::body::Incoming;
    use hyper::server::conn::http1 as server;
    use hyper::service::service_fn;
    use tokio::net::TcpListener;

    use super::*;

    /// Places orders for user and key, refuses others.
    async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let asked = request.uri().path() == "/api/v1/orders" && request.headers().contains_key("x-user-id");
        let status = match asked && request.headers().contains_key("idempotency-key") {
            true => StatusCode::CREATED,
            false => StatusCode::BAD_REQUEST,
        };
        let body = request.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = status;
        Ok(response)
    }

    async fn shop() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(
                    server::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)),
                );
            }
        });
        address
    }

    async fn load(keyed: bool) -> Tally {
        let lengths = Lengths { warm_up: Duration::ZERO, measured: Duration::from_millis(100) };
        let traffic = Traffic::Orders { mix: Mix::Spread, keyed };
        Load { server: shop().await, clients: 4, traffic, lengths }.run().await.unwrap()
    }

    #[tokio::test]
    async fn placed_orders_are_counted() {
        let tally = load(true).await;
        assert!(tally.good() > 4);
        let figures = tally.figures();
        assert!(figures.rate > 0.0 && figures.median <= figures.p99 && figures.bad.is_empty());
    }

    #[tokio::test]
    async fn other_answers_are_counted_apart() {
        let tally = load(false).await;
        assert_eq!(tally.good(), 0);
        assert!(tally.figures().bad[&Answer::Status(400)] > 4);
    }
}
