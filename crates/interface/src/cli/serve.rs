//! Serving the API.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use jangteo_application::SystemClock;
use jangteo_application::seeding::Seeder;
use jangteo_infra_database::{DatabaseKind, Store};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{demo, open};
use crate::config::{LogFormat, Settings, Sources};
use crate::{Application, telemetry};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Where to listen [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(super) listen: Option<String>,
    /// Bring the schema up to date first; on SQLite that is done anyway
    #[arg(long)]
    pub(super) migrate: bool,
    /// Leave an empty database empty
    #[arg(long)]
    pub(super) no_demo: bool,
}

pub(super) async fn run(sources: &Sources, arguments: Arguments) -> anyhow::Result<()> {
    // From the beginning: who stops the shop while it starts must not have to kill it.
    let (mut terminated, mut interrupted) =
        (catch(SignalKind::terminate())?, catch(SignalKind::interrupt())?);
    let (settings, store) = open(sources).await?;
    warn_about_authentication(&settings);
    bring_up_to_date(&store, arguments.migrate).await?;
    if !arguments.no_demo && store.kind() == DatabaseKind::Sqlite && store.is_empty().await? {
        store.seed(&demo::plan(&SystemClock), &|_| {}).await.context("cannot set up the demo shop")?;
        tracing::info!("the database was empty: it has a demo shop now (--no-demo leaves it empty)");
    }
    store.close().await;
    let application = Application::build(settings.clone(), Arc::new(SystemClock)).await?;
    tracing::info!(address = %application.address(), database = %settings.database_url, "serving");
    if io::stdout().is_terminal() || telemetry::log_format(&settings) == LogFormat::Text {
        // Nobody may be reading.
        drop(write!(io::stdout(), "{}", welcome(&application)));
    }
    let stop = application.stop_handle();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminated.recv() => {}
            _ = interrupted.recv() => {}
        }
        stop.stop();
    });
    application.run_until_stopped().await
}

fn catch(kind: SignalKind) -> anyhow::Result<Signal> {
    signal(kind).context("cannot catch signals")
}

fn warn_about_authentication(settings: &Settings) {
    if !settings.listen.ip().is_loopback() {
        tracing::warn!(
            listen = %settings.listen,
            "callers are believed who they say they are, and others than this machine can call"
        );
    }
}

/// On MySQL other instances may be running on the schema as it is: changing it is for people to decide.
pub(super) async fn bring_up_to_date(store: &Store, asked: bool) -> anyhow::Result<()> {
    let pending = store.migrations().await.context("cannot read the state of the schema")?;
    let pending = pending.iter().filter(|migration| !migration.applied).count();
    if pending == 0 {
        return Ok(());
    }
    let by_itself = match store.kind() {
        DatabaseKind::Sqlite => true,
        DatabaseKind::MySql => asked,
    };
    if !by_itself {
        bail!(
            "the database schema is not up to date: {pending} migrations are pending. \
             Run `jangteo migrate up` first, or `jangteo serve --migrate`"
        );
    }
    let applied = store.migrate_up().await.context("cannot bring the schema up to date")?;
    tracing::info!(applied, "the schema is up to date");
    Ok(())
}

fn welcome(application: &Application) -> String {
    let site = format!("http://{}", application.address());
    format!(
        "
  The shop is open.

    API          {site}/api/v1/products
    Swagger UI   {site}/swagger-ui/
    Health       {site}/health/ready
    Metrics      {site}/metrics

  Try it:

    curl '{site}/api/v1/products?size=5'
    curl -X POST {site}/api/v1/wallets/charge -H 'X-User-Id: 1' -H 'Content-Type: application/json' -d '{{\"amount\": 50000}}'
    curl -X POST {site}/api/v1/orders -H 'X-User-Id: 1' -H 'Content-Type: application/json' -H \"Idempotency-Key: $(date +%s%N)\" -d '{{\"items\": [{{\"productId\": 1, \"qty\": 2}}]}}'

  Ctrl-C stops it.

"
    )
}
