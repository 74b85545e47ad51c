//! How librdkafka is set up.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::AdminClient;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::KafkaResult;
use rdkafka::producer::FutureProducer;

use super::KafkaProperties;
use super::troubles::{Listener, Troubles};
use crate::KafkaTopic;

/// The shortest time that librdkafka accepts with the time below for which messages wait for others.
const SHORTEST: Duration = Duration::from_millis(2);

/// What is set unless the settings say otherwise, under all of its names.
const DEFAULTS: [(&[&str], &str); 5] = [
    (&["client.id"], "jangteo"),
    (&["compression.codec", "compression.type"], "lz4"),
    // An order has the partition that clients in Java would give it.
    (&["partitioner"], "murmur2_random"),
    // Else it may take ten seconds to see that the brokers are back.
    (&["reconnect.backoff.max.ms"], "1000"),
    // All events of a batch are there already.
    (&["linger.ms", "queue.buffering.max.ms"], "1"),
];

/// Makes clients of one cluster.
pub(super) struct Clients {
    config: ClientConfig,
    troubles: Arc<Troubles>,
}

impl Clients {
    pub(super) fn new(topic: &KafkaTopic, properties: &KafkaProperties, troubles: Arc<Troubles>) -> Self {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &topic.brokers);
        for (names, value) in DEFAULTS {
            if !properties.has(names) {
                config.set(names[0], value);
            }
        }
        // Compiled in, OpenSSL does not know where this system keeps the certificates that it trusts.
        if cfg!(feature = "kafka-tls") && !properties.has(&["ssl.ca.location", "ssl.ca.pem"]) {
            config.set("ssl.ca.location", "probe");
        }
        for (name, value) in properties.iter() {
            config.set(name, value);
        }
        // Which lines are written is for the filter of the log to say.
        config.set_log_level(RDKafkaLogLevel::Debug);
        Self { config, troubles }
    }

    /// Sends in order and, within its own life, once, and gives up after the time.
    pub(super) fn producer(&self, timeout: Duration) -> KafkaResult<FutureProducer<Listener>> {
        let mut config = self.config.clone();
        config.set("enable.idempotence", "true").set("acks", "all");
        config.set("message.timeout.ms", timeout.max(SHORTEST).as_millis().to_string());
        FutureProducer::from_config_and_context(&config, self.listener())
    }

    pub(super) fn administrator(&self) -> KafkaResult<AdminClient<Listener>> {
        AdminClient::from_config_and_context(&self.config, self.listener())
    }

    fn listener(&self) -> Listener {
        Listener(Arc::clone(&self.troubles))
    }
}
