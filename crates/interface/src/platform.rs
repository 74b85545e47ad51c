//! A data platform of one's own: it receives events, keeps them, and tells whether all of them came, once and in order.
//!
//! It is there for demonstrations, tests and benchmarks, so it also behaves badly when it is told to. It shares nothing
//! with the shop but the clock.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::web::Data;
use actix_web::{App, HttpServer};
use anyhow::Context;
use jangteo_application::Clock;
use jangteo_infra_events::KafkaTopic;
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::application::{StopHandle, listen, stop_within};
use archive::Archive;
use behaviour::Conduct;
use intake::{Accounts, Clerk, Intake};
use kafka::Reader;
use ledger::Ledger;
use signature::Secret;

mod archive;
mod behaviour;
mod event;
mod http;
mod intake;
mod kafka;
mod ledger;
mod reports;
mod signature;

/// How often the log says how many events came.
const REPORTING: Duration = Duration::from_secs(5);
/// How long a connection may stay open between requests: longer than most clients keep theirs, so that these close
/// them and no delivery meets a closed one.
const KEEP_ALIVE: Duration = Duration::from_secs(100);
/// How long stopping may take, and what clients get of it to take their answers.
const STOPPING: Duration = Duration::from_secs(10);
const PARTING: Duration = Duration::from_secs(2);

/// What a platform receives from, and where it keeps what it received.
#[derive(Debug, Clone)]
pub struct PlatformSettings {
    /// Where to listen. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// A topic to read too.
    pub kafka: Option<KafkaTopic>,
    /// A SQLite file, or none to keep events in memory.
    pub file: Option<PathBuf>,
    /// What deliveries over HTTP must be signed with, after the Standard Webhooks specification.
    pub secret: Option<String>,
}

/// A data platform that listens.
pub struct Platform {
    address: SocketAddr,
    server: Server,
    desk: Data<Desk>,
    clerk: Clerk,
    reading: Option<thread::JoinHandle<()>>,
    stop: watch::Sender<bool>,
}

/// Everything that handlers use.
struct Desk {
    intake: Intake,
    accounts: Accounts,
    archive: Arc<Archive>,
    conduct: Conduct,
    secret: Option<Secret>,
    clock: Arc<dyn Clock>,
    stopping: watch::Receiver<bool>,
}

impl Platform {
    /// Opens the file, and listens.
    ///
    /// # Errors
    /// When the address cannot be listened on, the file is something else, or the secret is none.
    /// Brokers may be away.
    pub async fn build(settings: PlatformSettings, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        let PlatformSettings { listen: address, kafka, file, secret } = settings;
        let secret = secret.as_deref().map(Secret::new).transpose().context("the secret cannot be used")?;
        let listener = listen(address).with_context(|| format!("cannot listen on {address}"))?;
        let address = listener.local_addr()?;
        let mut ledger = Ledger::new();
        let archive = Arc::new(Archive::open(file.as_deref(), &mut ledger).await?);
        let accounts = Accounts::new(ledger);
        let (intake, clerk) = Intake::open(Arc::clone(&archive), accounts.clone());
        let (stop, stopping) = watch::channel(false);
        let reading = kafka.map(|topic| {
            let (intake, accounts) = (intake.clone(), accounts.clone());
            let (clock, stopping) = (Arc::clone(&clock), stopping.clone());
            Reader { topic, intake, accounts, clock, stopping }.start()
        });
        let reading = reading.transpose()?;
        let conduct = Conduct::good();
        let desk = Data::new(Desk { intake, accounts, archive, conduct, secret, clock, stopping });
        let served = desk.clone();
        let server = HttpServer::new(move || {
            let desk = served.clone();
            App::new().configure(move |config| http::configure(config, desk))
        })
        // The processors are for the shop.
        .workers(1)
        .keep_alive(KEEP_ALIVE)
        .tcp_nodelay(true)
        .shutdown_timeout(PARTING.as_secs())
        .disable_signals()
        .listen(listener)?
        .run();
        Ok(Self { address, server, desk, clerk, reading, stop })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What stops it.
    #[must_use]
    pub fn stop_handle(&self) -> StopHandle {
        StopHandle(self.stop.clone())
    }

    /// Receives until it is stopped.
    ///
    /// # Errors
    /// When the server ends by itself.
    pub async fn run_until_stopped(self) -> anyhow::Result<()> {
        let Self { server, desk, clerk, reading, stop, .. } = self;
        let handle = server.handle();
        let mut server = tokio::spawn(server);
        let reporting = report(desk.accounts.clone());
        let mut stopped = stop.subscribe();
        tokio::select! {
            ended = &mut server => ended.context("the server panicked")?.context("the server failed")?,
            _ = stopped.wait_for(|stopped| *stopped) => {}
        }
        let finishing = async {
            handle.stop(true).await;
            if let Some(reading) = reading {
                drop(spawn_blocking(|| reading.join()).await);
            }
            clerk.finish().await;
            desk.archive.close().await;
        };
        stop_within(STOPPING, finishing).await;
        reporting.abort();
        tell(&desk.accounts);
        Ok(())
    }
}

/// Has the log say how many events came, as long as some come.
fn report(accounts: Accounts) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut told = accounts.read().received();
        loop {
            tokio::time::sleep(REPORTING).await;
            let received = accounts.read().received();
            if received != told {
                tell(&accounts);
                told = received;
            }
        }
    })
}

fn tell(accounts: &Accounts) {
    let summary = accounts.read().summary();
    tracing::info!(
        received = summary.received,
        duplicates = summary.duplicates,
        events = summary.events,
        orders = summary.orders,
        missing = summary.gaps.count,
        out_of_order = summary.out_of_order.count,
        "received"
    );
}
