//! The bare server: the framework that Jangteo is built on, with as many workers, and nothing behind it but bytes to answer.
//! It says how much of a request is HTTP. It is a process of its own, so that its processor time is.

use std::env;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::http::StatusCode;
use actix_web::web::{self, Bytes};
use actix_web::{App, HttpResponse, HttpServer};
use anyhow::{Context, Result, ensure};
use clap::Args;
use http_body_util::Full;
use hyper::Request;
use hyper::header::{CONTENT_TYPE, HOST};
use tempfile::TempDir;

use crate::bench::Bench;
use crate::load::{Connection, JSON};
use crate::scenario::{Backend, Mix};
use crate::server::{Program, Settings, free_address};

/// As the server's.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

const PAGE: &str = "/api/v1/products";
const ORDERS: &str = "/api/v1/orders";

/// What a bare server is told.
#[derive(Debug, Args)]
pub(crate) struct Bare {
    #[arg(long)]
    listen: SocketAddr,
    #[arg(long)]
    workers: usize,
    /// What it answers to whoever asks for products
    #[arg(long)]
    page: PathBuf,
    /// What it answers to whoever orders
    #[arg(long)]
    order: PathBuf,
}

impl Bare {
    /// Answers until it is asked to end.
    pub(crate) async fn serve(self) -> Result<()> {
        Ok(self.start()?.await?)
    }

    fn start(self) -> Result<Server> {
        let [page, order] = [&self.page, &self.order].map(fs::read);
        let (page, order) = (Bytes::from(page?), Bytes::from(order?));
        let server = HttpServer::new(move || {
            let (page, order) = (page.clone(), order.clone());
            App::new()
                .route(PAGE, web::get().to(move || answer(StatusCode::OK, page.clone())))
                .route(ORDERS, web::post().to(move |_: Bytes| answer(StatusCode::CREATED, order.clone())))
        });
        let server = server.keep_alive(KEEP_ALIVE).tcp_nodelay(true).workers(self.workers);
        Ok(server.bind(self.listen)?.run())
    }
}

async fn answer(status: StatusCode, body: Bytes) -> HttpResponse {
    HttpResponse::build(status).content_type("application/json").body(body)
}

/// A bare server that runs. It is killed when this is dropped.
pub(crate) struct BareServer {
    /// Where it answers.
    pub(crate) address: SocketAddr,
    program: Program,
    // Never read: it keeps what is answered.
    _folder: TempDir,
}

impl BareServer {
    /// One that answers what Jangteo answers.
    pub(crate) async fn start(bench: &Bench) -> Result<Self> {
        let folder = TempDir::with_prefix("jangteo-bare-")?;
        let (page, order) = (folder.path().join("page"), folder.path().join("order"));
        write_answers(bench, &page, &order).await?;
        let address = free_address()?;
        let mut program = Program::start("the bare server", &env::current_exe()?, |command| {
            command.args(["bare", "--listen", &address.to_string(), "--workers", &workers().to_string()]);
            command.arg("--page").arg(page).arg("--order").arg(order);
        })?;
        program.await_page(address, PAGE).await?;
        Ok(Self { address, program, _folder: folder })
    }

    /// Asks it to end and waits for it.
    pub(crate) async fn stop(self) -> Result<()> {
        self.program.stop().await
    }
}

/// As many as the server has by default.
fn workers() -> usize {
    available_parallelism().map_or(1, |processors| (processors.get() / 2).max(1))
}

/// The first page of products and an order, as a server answers them.
async fn write_answers(bench: &Bench, page: &Path, order: &Path) -> Result<()> {
    let database = bench.databases.fresh(Backend::Sqlite).await?;
    let server = bench.start_server(&database, &Settings::new()).await?;
    let mut connection = Connection::open(server.address).await?;
    let request = || Request::builder().header(HOST, server.address.to_string());
    let (status, body) = connection.fetch(request().uri(PAGE).body(Full::default())?).await?;
    ensure!(status.is_success(), "a page of products was answered with {status}");
    fs::write(page, body)?;
    let basket = Mix::Spread.basket();
    let asked =
        request().method("POST").uri(ORDERS).header(CONTENT_TYPE, JSON).header("x-user-id", basket.user);
    let (status, body) = connection.fetch(asked.body(Full::new(basket.to_json().into()))?).await?;
    ensure!(status.is_success(), "an order was answered with {status}");
    fs::write(order, body).context("what is answered cannot be kept")?;
    drop(connection);
    server.stop().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_answers_what_it_is_given() {
        let folder = TempDir::new().unwrap();
        let (page, order) = (folder.path().join("page"), folder.path().join("order"));
        fs::write(&page, "[]").unwrap();
        fs::write(&order, "{}").unwrap();
        let listen = free_address().unwrap();
        tokio::spawn(Bare { listen, workers: 1, page, order }.start().unwrap());
        let mut connection = loop {
            if let Ok(connection) = Connection::open(listen).await {
                break connection;
            }
        };
        let get = Request::get(PAGE).header(HOST, "bare").body(Full::default()).unwrap();
        let (status, body) = connection.fetch(get).await.unwrap();
        assert_eq!((status.as_u16(), &body[..]), (200, &b"[]"[..]));
        let post =
            Request::post(ORDERS).header(HOST, "bare").body(Full::new("{\"items\":[]}".into())).unwrap();
        let (status, body) = connection.fetch(post).await.unwrap();
        assert_eq!((status.as_u16(), &body[..]), (201, &b"{}"[..]));
    }
}
