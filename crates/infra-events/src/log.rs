//! Events in the log: what there is when no data platform is set.

use async_trait::async_trait;
use jangteo_application::EventSink;
use jangteo_application::cloud_event::CloudEvent;
use jangteo_application::event_sink::PublishError;

/// Writes each event to the log, at `info`, as `jangteo_events`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LogSink;

const BATCH: usize = 500;

#[async_trait]
impl EventSink for LogSink {
    fn name(&self) -> &'static str {
        "log"
    }

    fn batch(&self) -> usize {
        BATCH
    }

    async fn publish(&self, events: &[CloudEvent]) -> Vec<Result<(), PublishError>> {
        for CloudEvent { id, event_type, json, .. } in events {
            tracing::info!(target: "jangteo_events", id, event_type, event = json);
        }
        vec![Ok(()); events.len()]
    }
}
