//! Logs and metrics of the process.

use std::io::{self, IsTerminal};
use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::task::JoinHandle;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::config::{LogFormat, Settings};

/// Upper bounds of durations, in seconds.
const SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Upper bounds of how long events are on their way, in seconds: while the platform is down, they wait for it.
const DELIVERY_SECONDS: [f64; 16] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0];
/// Upper bounds of numbers of commands.
const COMMANDS: [f64; 11] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

/// Starts logging to standard error, for the whole process.
///
/// # Errors
/// When the process logs already.
pub fn start_logging(settings: &Settings) -> anyhow::Result<()> {
    let filter = EnvFilter::builder().parse(directives(settings.log.as_str()))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let started = match log_format(settings) {
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!(error))
}

/// At `info` alone, migrations and the HTTP server tell about every step of their start, and of a certificate that is not
/// trusted every connection would tell. Whoever names modules, or asks for more than `info`, gets what was asked for.
fn directives(filter: &str) -> String {
    match filter.parse::<LevelFilter>() {
        Ok(LevelFilter::INFO) => {
            format!("{filter},sea_orm_migration=warn,actix_server=warn,rustls_platform_verifier=off")
        }
        _ => filter.to_owned(),
    }
}

pub(crate) fn log_format(settings: &Settings) -> LogFormat {
    let on_terminal = if io::stderr().is_terminal() { LogFormat::Text } else { LogFormat::Json };
    settings.log_format.unwrap_or(on_terminal)
}

/// How often histograms are compacted; what they hold meanwhile is kept as single values.
const UPKEEP: Duration = Duration::from_secs(5);

/// Compacts the histograms until it is aborted.
pub(crate) fn start_upkeep(metrics: PrometheusHandle) -> JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP).await;
            metrics.run_upkeep();
        }
    })
}

/// The metrics of the process: there can be one recorder, and several shops in one process share it.
pub(crate) fn process_metrics() -> PrometheusHandle {
    static METRICS: OnceLock<PrometheusHandle> = OnceLock::new();
    let install = || {
        PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
            .and_then(|builder| {
                builder.set_buckets_for_metric(Matcher::Suffix("_size".to_owned()), &COMMANDS)
            })
            .and_then(|builder| {
                let delivery = Matcher::Full("jangteo_event_delivery_seconds".to_owned());
                builder.set_buckets_for_metric(delivery, &DELIVERY_SECONDS)
            })
            .expect("there are buckets")
            .install_recorder()
            .expect("nothing else records metrics in this process")
    };
    METRICS.get_or_init(install).clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_plain_info_level_leaves_the_steps_of_starting_out() {
        assert_eq!(
            directives("info"),
            "info,sea_orm_migration=warn,actix_server=warn,rustls_platform_verifier=off"
        );
        for asked in ["debug", "warn", "info,sea_orm_migration=info"] {
            assert_eq!(directives(asked), asked);
        }
    }
}
