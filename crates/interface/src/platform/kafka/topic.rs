//! Which topic is read.

use std::fmt;
use std::str::FromStr;

/// A topic, and some of the brokers that have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaTopic {
    pub(super) brokers: String,
    pub(super) topic: String,
}

/// A text that is no [`KafkaTopic`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be kafka://HOST:PORT/TOPIC, or kafka://HOST:PORT,HOST:PORT/TOPIC")]
pub struct KafkaTopicError;

impl FromStr for KafkaTopic {
    type Err = KafkaTopicError;

    fn from_str(text: &str) -> Result<Self, KafkaTopicError> {
        let (brokers, topic) =
            text.strip_prefix("kafka://").and_then(|rest| rest.split_once('/')).ok_or(KafkaTopicError)?;
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let sound = brokers.split(',').all(|broker| !broker.is_empty())
            && !topic.is_empty()
            && topic.bytes().all(is_name);
        let (brokers, topic) = (brokers.to_owned(), topic.to_owned());
        sound.then_some(Self { brokers, topic }).ok_or(KafkaTopicError)
    }
}

impl fmt::Display for KafkaTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kafka://{}/{}", self.brokers, self.topic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_has_brokers_and_a_name() {
        let topic: KafkaTopic = "kafka://one:9092,two:9092/shop.events".parse().unwrap();
        assert_eq!((topic.brokers.as_str(), topic.topic.as_str()), ("one:9092,two:9092", "shop.events"));
        assert_eq!(topic.to_string(), "kafka://one:9092,two:9092/shop.events");
        for wrong in [
            "one:9092/events",
            "kafka://one:9092",
            "kafka:///events",
            "kafka://one:9092/",
            "kafka://a,/b",
            "kafka://a/b/c",
        ] {
            assert_eq!(wrong.parse::<KafkaTopic>(), Err(KafkaTopicError), "{wrong}");
        }
    }
}
