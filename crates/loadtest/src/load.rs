//! The load on the server: keep-alive clients, each with one request at a time. They ask as fast as they are answered,
//! or as often as they are told to.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use futures::future::try_join_all;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::sync::mpsc::{self, UnboundedReceiver};

use crate::measure::{Answer, Lengths, Tally, Window, on_own_thread};
use crate::scenario::{CHARGE, Mix, any_user};

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
    /// `POST /api/v1/wallets/charge`.
    Charges,
}

impl fmt::Display for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Orders { mix, keyed: false } => write!(f, "{mix}"),
            Self::Orders { mix, keyed: true } => write!(f, "{mix}, with idempotency keys"),
            Self::Catalogue => f.write_str("GET /products"),
            Self::Charges => f.write_str("charges"),
        }
    }
}

/// How often clients ask.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pace {
    /// A closed loop: each as soon as it has its answer, which is all that the server takes.
    Unbounded,
    /// An open loop: so many a second between them, at moments fixed beforehand. A request whose moment comes while all
    /// clients wait for answers waits with them, and that is part of its latency.
    PerSecond(f64),
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
    /// How often.
    pub(crate) pace: Pace,
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
            match self.pace {
                Pace::Unbounded => {
                    let clients =
                        (0..self.clients).map(|_| keep_asking(self.server, &requests, window, &tally));
                    try_join_all(clients).await?;
                }
                Pace::PerSecond(rate) => {
                    let arrivals = Mutex::new(arrivals(rate, window)?);
                    let clients =
                        (0..self.clients).map(|_| ask_on_time(self.server, &requests, &arrivals, &tally));
                    try_join_all(clients).await?;
                }
            }
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
    let mut client = Client::arrive(server, requests).await?;
    while !window.is_over() {
        let asked = Instant::now();
        let answer = client.ask().await?;
        tally.borrow_mut().add(answer, asked);
    }
    Ok(())
}

async fn ask_on_time(
    server: SocketAddr,
    requests: &Requests,
    arrivals: &Mutex<UnboundedReceiver<Instant>>,
    tally: &RefCell<Tally>,
) -> Result<()> {
    let mut client = Client::arrive(server, requests).await?;
    // The clients without anything to do wait in line for the one that waits for the next arrival.
    while let Some(due) = { arrivals.lock().await.recv().await } {
        let answer = client.ask().await?;
        tally.borrow_mut().add_arrival(answer, due);
    }
    Ok(())
}

/// The moments to ask at, each when it has come. From a thread of its own, because the runtime's timers are exact to the
/// millisecond only.
pub(crate) fn arrivals(rate: f64, window: Window) -> Result<UnboundedReceiver<Instant>> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let interval = Duration::from_secs_f64(1.0 / rate);
    let mut due = Instant::now();
    let keep_time = move || {
        while !window.closes_by(due) {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if sender.send(due).is_err() {
                return;
            }
            due += interval;
        }
    };
    thread::Builder::new().name("arrivals".to_owned()).spawn(keep_time)?;
    Ok(receiver)
}

/// Somebody with a connection.
struct Client<'a> {
    server: SocketAddr,
    requests: &'a Requests,
    connection: Connection,
}

impl<'a> Client<'a> {
    async fn arrive(server: SocketAddr, requests: &'a Requests) -> Result<Self> {
        Ok(Self { server, requests, connection: Connection::open(server).await? })
    }

    async fn ask(&mut self) -> Result<Answer> {
        Ok(match self.connection.ask(self.requests.next()?).await {
            Ok(status) if status == self.requests.expected => Answer::Good,
            Ok(status) => Answer::Status(status.as_u16()),
            Err(_) => {
                self.connection = Connection::open(self.server).await?;
                Answer::Lost
            }
        })
    }
}

/// Whether a server has that page.
pub(crate) async fn is_there(server: SocketAddr, path: &str) -> bool {
    let asked = async {
        let request = Request::get(path).header(HOST, server.to_string()).body(Full::default())?;
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

    /// Whether it can be asked on.
    pub(crate) fn is_open(&self) -> bool {
        !self.sender.is_closed()
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

    /// Keeps what the answer says.
    pub(crate) async fn fetch(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> hyper::Result<(StatusCode, Bytes)> {
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        let status = response.status();
        Ok((status, response.into_body().collect().await?.to_bytes()))
    }
}

/// Requests made up beforehand: while measuring, the generator shares its processors with the server.
struct Requests {
    traffic: Traffic,
    expected: StatusCode,
    host: HeaderValue,
    /// User and body.
    bodies: Vec<(HeaderValue, Bytes)>,
    used: Cell<usize>,
}

impl Requests {
    const PREPARED: usize = 1 << 16;

    fn prepare(server: SocketAddr, traffic: Traffic) -> Result<Self> {
        let (expected, bodies) = match traffic {
            Traffic::Orders { mix, .. } => {
                let baskets = (0..Self::PREPARED).map(|_| mix.basket());
                let orders = baskets.map(|basket| (basket.user.into(), basket.to_json().into())).collect();
                (StatusCode::CREATED, orders)
            }
            Traffic::Charges => {
                let body = Bytes::from(format!(r#"{{"amount":{}}}"#, CHARGE / 100));
                let charges = (0..Self::PREPARED).map(|_| (any_user().into(), body.clone())).collect();
                (StatusCode::OK, charges)
            }
            Traffic::Catalogue => (StatusCode::OK, Vec::new()),
        };
        Ok(Self { traffic, expected, host: server.to_string().try_into()?, bodies, used: Cell::new(0) })
    }

    fn next(&self) -> Result<Request<Full<Bytes>>> {
        let number = self.used.replace(self.used.get() + 1);
        let request = Request::builder().header(HOST, self.host.clone());
        let (path, keyed) = match self.traffic {
            Traffic::Catalogue => return Ok(request.uri("/api/v1/products").body(Full::default())?),
            Traffic::Orders { keyed, .. } => ("/api/v1/orders", keyed),
            Traffic::Charges => ("/api/v1/wallets/charge", false),
        };
        let (user, body) = self.bodies[number % Self::PREPARED].clone();
        let mut request = request.method(Method::POST).uri(path);
        request = request.header(CONTENT_TYPE, JSON).header("x-user-id", user);
        if keyed {
            request = request.header("idempotency-key", format!("order-{number}"));
        }
        Ok(request.body(Full::new(body))?)
    }
}

/// The type of every body.
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");

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

    async fn load(keyed: bool, clients: usize, pace: Pace) -> Tally {
        let lengths = Lengths { warm_up: Duration::ZERO, measured: Duration::from_millis(100) };
        let traffic = Traffic::Orders { mix: Mix::Spread, keyed };
        Load { server: shop().await, clients, traffic, pace, lengths }.run().await.unwrap()
    }

    #[tokio::test]
    async fn placed_orders_are_counted() {
        let tally = load(true, 4, Pace::Unbounded).await;
        assert!(tally.good() > 4);
        let figures = tally.figures();
        assert!(figures.rate > 0.0 && figures.median <= figures.p99 && figures.bad.is_empty());
    }

    #[tokio::test]
    async fn other_answers_are_counted_apart() {
        let tally = load(false, 4, Pace::Unbounded).await;
        assert_eq!(tally.good(), 0);
        assert!(tally.figures().bad[&Answer::Status(400)] > 4);
    }

    #[tokio::test]
    async fn an_open_loop_asks_as_often_as_it_is_told_to() {
        let tally = load(true, 4, Pace::PerSecond(200.0)).await;
        assert!((15..=20).contains(&tally.good()), "{}", tally.good());
    }
}
