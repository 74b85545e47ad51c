//! Delivering events and running the scheduled jobs alone.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use actix_web::dev::ServerHandle;
use anyhow::Context;
use clap::Args;
use jangteo_application::{Clock, SystemClock};

use super::serve::bring_up_to_date;
use super::signals::StopSignals;
use super::{open_existing, settings};
use crate::application::{self, stop_within};
use crate::config::Sources;
use crate::http::Operations;
use crate::telemetry;
use crate::worker::Worker;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Where to tell of health and metrics [default: nowhere]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(super) listen: Option<String>,
}

pub(super) async fn run(sources: &Sources) -> anyhow::Result<()> {
    let mut stop = StopSignals::catch()?;
    let settings = settings(sources)?;
    let listener = settings.worker_listen.map(listen).transpose()?;
    // Before anything that counts.
    let metrics = telemetry::process_metrics();
    let store = open_existing(&settings).await?;
    bring_up_to_date(&store, false).await?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let operations = Arc::new(application::operations(&store, None, metrics.clone(), Arc::clone(&clock)));
    let worker = Worker::start(&settings, &store, &clock).await?;
    let worker = operations.worker.get_or_init(|| worker);
    let upkeep = telemetry::start_upkeep(metrics);
    let server = listener.map(|listener| tell(listener, &operations)).transpose()?;
    tracing::info!(database = %settings.database_url, "working");
    stop.received().await;
    let finishing = async {
        worker.drain().await;
        // Afterwards: until then somebody may want to know how far it is.
        if let Some(server) = server {
            server.stop(false).await;
        }
        store.close().await;
    };
    stop_within(settings.shutdown_timeout(), finishing).await;
    upkeep.abort();
    Ok(())
}

fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    application::listen(address).with_context(|| format!("cannot listen on {address}"))
}

/// Events are delivered whether or not that can be told: should the server end, the log says so.
fn tell(listener: TcpListener, operations: &Arc<Operations>) -> anyhow::Result<ServerHandle> {
    let address = listener.local_addr()?;
    let server = application::serve_operations(listener, Arc::clone(operations))?;
    let handle = server.handle();
    tokio::spawn(async move {
        if let Err(error) = server.await {
            tracing::error!(%error, "health and metrics are not told any more");
        }
    });
    tracing::info!(%address, "telling of health and metrics");
    Ok(handle)
}
