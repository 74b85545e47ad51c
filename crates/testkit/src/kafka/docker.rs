use tempfile::TempDir;
use testcontainers_modules::kafka::apache::{KAFKA_PORT, Kafka};
use testcontainers_modules::testcontainers::core::Mount;
use testcontainers_modules::testcontainers::{ContainerRequest, ImageExt};

use super::KafkaOptions;
use crate::server::container::RestartableContainer;
use crate::server::engine::{Engine, free_port};

/// Starts a container. The error is the reason, for a person.
pub(super) fn start(options: KafkaOptions) -> Result<Box<dyn Engine>, String> {
    let port = free_port().map_err(|error| error.to_string())?;
    let folder = TempDir::with_prefix("jangteo-kafka-").map_err(|error| error.to_string())?;
    let container =
        RestartableContainer::start(request(options, port), port, folder, "Kafka Server started")?;
    Ok(Box::new(container))
}

fn request(options: KafkaOptions, port: u16) -> ContainerRequest<Kafka> {
    let request = Kafka::default()
        // Tests have one consumer in a group: there are no others to wait for.
        .with_env_var("KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS", "0")
        .with_mapped_port(port, KAFKA_PORT);
    if options.durable {
        request
    } else {
        // Where the image has its log, which is thus gone with the process.
        request.with_mount(Mount::tmpfs_mount("/tmp"))
    }
}
