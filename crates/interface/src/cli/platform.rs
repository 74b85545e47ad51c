//! A data platform of one's own.

use std::io::{self, IsTerminal};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use jangteo_application::SystemClock;
use jangteo_infra_events::{Destination, KafkaTopic};

use super::output::print;
use super::signals::StopSignals;
use crate::config::{LogFormat, Settings};
use crate::platform::{Platform, PlatformSettings};
use crate::telemetry;

/// It has nothing of the shop's, its settings neither.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
    /// Read a Kafka topic too, from its beginning: kafka://HOST:PORT[,HOST:PORT...]/TOPIC
    #[arg(long, value_name = "URL", value_parser = kafka_topic)]
    kafka: Option<KafkaTopic>,
    /// Keep events in this SQLite file [default: in memory]
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Refuse deliveries over HTTP that are not signed with this secret (Standard Webhooks), `whsec_...` or any text
    #[arg(long, value_name = "SECRET")]
    secret: Option<String>,
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let mut signals = StopSignals::catch()?;
    let logging = Settings::default();
    telemetry::start_logging(&logging)?;
    let Arguments { listen, kafka, file, secret } = arguments;
    let settings = PlatformSettings { listen, kafka, file, secret };
    let platform = Platform::build(settings, Arc::new(SystemClock)).await?;
    tracing::info!(address = %platform.address(), "receiving events");
    if io::stdout().is_terminal() || telemetry::log_format(&logging) == LogFormat::Text {
        // It receives whether or not that can be said.
        drop(print(&welcome(platform.address())));
    }
    let stop = platform.stop_handle();
    tokio::spawn(async move {
        signals.received().await;
        stop.stop();
    });
    platform.run_until_stopped().await
}

fn kafka_topic(text: &str) -> Result<KafkaTopic, String> {
    match text.parse() {
        Ok(Destination::Kafka(topic)) => Ok(topic),
        _ => Err("must be kafka://HOST:PORT,HOST:PORT/TOPIC".to_owned()),
    }
}

fn welcome(address: SocketAddr) -> String {
    let site = format!("http://{address}");
    format!(
        "
  The data platform is open.

    Events       {site}/events
    Summary      {site}/summary
    To look at   {site}/

  Have a shop send its events here:

    JANGTEO_EVENTS={site}/events jangteo serve

  Try it:

    curl {site}/summary
    curl -X PUT {site}/behaviour -d '{{\"mode\": \"fail\", \"status\": 503}}'

  The second one has it refuse everything, until it is told {{\"mode\": \"ok\"}}. Ctrl-C stops it.

"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_topic_of_kafka_is_read() {
        assert_eq!(kafka_topic("kafka://one:9092/events").unwrap().to_string(), "kafka://one:9092/events");
        for other in ["http://one:9092/events", "log", "kafka://one:9092", "kafka://one:9092/a b"] {
            assert!(kafka_topic(other).is_err(), "{other}");
        }
    }

    #[test]
    fn the_welcome_says_where_shops_send_events() {
        let welcome = welcome(SocketAddr::from(([127, 0, 0, 1], 8090)));
        assert!(welcome.contains("JANGTEO_EVENTS=http://127.0.0.1:8090/events jangteo serve"), "{welcome}");
    }
}
