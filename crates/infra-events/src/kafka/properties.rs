//! What else librdkafka is told.

use std::collections::BTreeMap;
use std::fmt;

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaConfRes;

/// Properties of librdkafka by their names. Values may be secrets and are not shown.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct KafkaProperties(BTreeMap<String, String>);

/// Properties that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KafkaPropertyError {
    /// The sink depends on it.
    #[error("`{0}` cannot be set: {1}")]
    Ours(String, &'static str),
    /// Which one is meant?
    #[error("`{0}` is there twice")]
    Twice(String),
    /// librdkafka has none of this name.
    #[error("librdkafka has no property `{0}`")]
    Unknown(String),
    /// librdkafka does not take the value.
    #[error("librdkafka takes no such value for `{0}`")]
    Value(String),
    /// It is not compiled in.
    #[error("`{0}` needs TLS, which this program was built without: build it with `--features kafka-tls`")]
    WithoutTls(String),
}

const ORDERED: &str = "events stay in order and are acknowledged by all replicas, whatever happens";
const BY_EVENTS: &str = "`events` names the brokers";
const BY_TIMEOUT: &str = "`events_timeout_ms` says how long the platform may take";
const OURS: [(&str, &str); 9] = [
    ("acks", ORDERED),
    ("bootstrap.servers", BY_EVENTS),
    ("delivery.timeout.ms", BY_TIMEOUT),
    ("enable.idempotence", ORDERED),
    ("message.timeout.ms", BY_TIMEOUT),
    ("metadata.broker.list", BY_EVENTS),
    ("request.required.acks", ORDERED),
    ("test.mock.num.brokers", "events go to brokers that there are"),
    ("transactional.id", "an event is a message, and no transaction"),
];

impl TryFrom<Vec<(String, String)>> for KafkaProperties {
    type Error = KafkaPropertyError;

    fn try_from(pairs: Vec<(String, String)>) -> Result<Self, KafkaPropertyError> {
        let mut properties = BTreeMap::new();
        for (name, value) in pairs {
            check(&name, &value)?;
            if properties.contains_key(&name) {
                return Err(KafkaPropertyError::Twice(name));
            }
            properties.insert(name, value);
        }
        Ok(Self(properties))
    }
}

fn check(name: &str, value: &str) -> Result<(), KafkaPropertyError> {
    let owned = name.to_owned();
    if let Some((_, reason)) = OURS.iter().find(|(ours, _)| *ours == name) {
        return Err(KafkaPropertyError::Ours(owned, reason));
    }
    if !cfg!(feature = "kafka-tls") && needs_tls(name, value) {
        return Err(KafkaPropertyError::WithoutTls(owned));
    }
    match ClientConfig::new().set(name, value).create_native_config() {
        Ok(_) => Ok(()),
        Err(KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, ..)) => {
            Err(KafkaPropertyError::Unknown(owned))
        }
        Err(_) => Err(KafkaPropertyError::Value(owned)),
    }
}

/// Without TLS librdkafka can only authenticate by a password that is sent as it is.
fn needs_tls(name: &str, value: &str) -> bool {
    match name {
        "security.protocol" => value.to_ascii_lowercase().ends_with("ssl"),
        "sasl.mechanism" | "sasl.mechanisms" => !value.eq_ignore_ascii_case("PLAIN"),
        _ => ["ssl.", "sasl.oauthbearer."].iter().any(|prefix| name.starts_with(prefix)),
    }
}

impl KafkaProperties {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it is set, under any of its names.
    pub(super) fn has(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.0.contains_key(*name))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl fmt::Debug for KafkaProperties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<KafkaProperties, KafkaPropertyError> {
        let owned = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
        pairs.iter().map(owned).collect::<Vec<_>>().try_into()
    }

    #[test]
    fn values_are_not_shown() {
        let plain = [("security.protocol", "SASL_PLAINTEXT"), ("sasl.mechanism", "PLAIN")];
        let login = [("sasl.username", "shop"), ("sasl.password", "secret")];
        let properties = parse(&[plain, login].concat()).unwrap();
        let names = r#"{"sasl.mechanism", "sasl.password", "sasl.username", "security.protocol"}"#;
        assert_eq!(format!("{properties:?}"), names);
    }

    #[test]
    fn what_librdkafka_does_not_take_is_refused_and_not_repeated() {
        for (pairs, problem) in [
            (vec![("linger", "secret")], "librdkafka has no property `linger`"),
            (vec![("linger.ms", "secret")], "librdkafka takes no such value for `linger.ms`"),
            (vec![("linger.ms", "-1")], "librdkafka takes no such value for `linger.ms`"),
            (vec![("compression.type", "zip")], "librdkafka takes no such value for `compression.type`"),
            (vec![("linger.ms", "1"), ("linger.ms", "2")], "`linger.ms` is there twice"),
            (
                vec![("acks", "1")],
                "`acks` cannot be set: events stay in order and are acknowledged by all replicas, whatever happens",
            ),
            (
                vec![("bootstrap.servers", "a")],
                "`bootstrap.servers` cannot be set: `events` names the brokers",
            ),
        ] {
            assert_eq!(parse(&pairs).unwrap_err().to_string(), problem);
        }
    }

    #[cfg(not(feature = "kafka-tls"))]
    #[test]
    fn what_needs_tls_is_refused_by_a_program_without() {
        for (name, value) in [
            ("security.protocol", "SSL"),
            ("security.protocol", "sasl_ssl"),
            ("sasl.mechanisms", "SCRAM-SHA-256"),
            ("ssl.ca.location", "ca.pem"),
        ] {
            let problem = parse(&[(name, value)]).unwrap_err().to_string();
            assert!(problem.starts_with(&format!("`{name}` needs TLS")), "{problem}");
            assert!(problem.contains("--features kafka-tls"), "{problem}");
        }
    }

    #[cfg(feature = "kafka-tls")]
    #[test]
    fn a_program_with_tls_takes_what_needs_it() {
        let scram = [("security.protocol", "SASL_SSL"), ("sasl.mechanism", "SCRAM-SHA-512")];
        assert!(parse(&scram).is_ok());
    }
}
