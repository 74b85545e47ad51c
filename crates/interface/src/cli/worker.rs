//! Running the scheduled jobs alone.

use std::sync::Arc;

use jangteo_application::{Clock, SystemClock};

use super::serve::bring_up_to_date;
use super::signals::StopSignals;
use super::{open_existing, settings};
use crate::application::stop_within;
use crate::config::Sources;
use crate::worker::Worker;

pub(super) async fn run(sources: &Sources) -> anyhow::Result<()> {
    let mut stop = StopSignals::catch()?;
    let settings = settings(sources)?;
    let store = open_existing(&settings).await?;
    bring_up_to_date(&store, false).await?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let worker = Worker::start(&settings, &store, &clock).await?;
    tracing::info!(database = %settings.database_url, "working");
    stop.received().await;
    let finishing = async {
        worker.drain().await;
        store.close().await;
    };
    stop_within(settings.shutdown_timeout(), finishing).await;
    Ok(())
}
