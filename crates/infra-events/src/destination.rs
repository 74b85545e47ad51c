//! Where the data platform is.

use std::fmt;
use std::str::FromStr;

use reqwest::Url;

/// A data platform, by its URL. Shown without what may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Destination {
    /// None: events are written to the log.
    #[default]
    Log,
    /// An HTTP endpoint.
    Http(HttpEndpoint),
    /// A topic of a Kafka cluster.
    Kafka(KafkaTopic),
}

/// A text that is no [`Destination`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DestinationError {
    /// It is none of the forms.
    #[error("must be log, http://HOST/PATH, https://HOST/PATH or kafka://HOST:PORT,HOST:PORT/TOPIC")]
    Form,
    /// It would not reach the server.
    #[error("what follows a # is not sent: leave it out")]
    Fragment,
    /// Kafka's credentials are properties of the client.
    #[error(
        "kafka:// has no USER:PASSWORD@: set `events_kafka` to sasl.username=...,sasl.password=... and the mechanism"
    )]
    KafkaCredentials,
    /// Kafka would not take the name.
    #[error("a topic has up to 249 of the characters a-z, A-Z, 0-9, `.`, `_` and `-`")]
    Topic,
}

impl FromStr for Destination {
    type Err = DestinationError;

    fn from_str(text: &str) -> Result<Self, DestinationError> {
        match text.split_once("://") {
            None if text == "log" => Ok(Self::Log),
            Some(("http" | "https", _)) => HttpEndpoint::parse(text).map(Self::Http),
            Some(("kafka", rest)) => KafkaTopic::parse(rest).map(Self::Kafka),
            _ => Err(DestinationError::Form),
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log => f.write_str("log"),
            Self::Http(endpoint) => endpoint.fmt(f),
            Self::Kafka(topic) => topic.fmt(f),
        }
    }
}

/// Where events are posted. Shown without user, password and query.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpEndpoint(Url);

impl HttpEndpoint {
    fn parse(text: &str) -> Result<Self, DestinationError> {
        let url = Url::parse(text).map_err(|_| DestinationError::Form)?;
        match url.fragment() {
            Some(_) => Err(DestinationError::Fragment),
            None => Ok(Self(url)),
        }
    }

    /// All of it. User and password are sent as Basic authentication.
    pub(crate) fn expose(&self) -> &Url {
        &self.0
    }

    pub(crate) fn is_encrypted(&self) -> bool {
        self.0.scheme() == "https"
    }
}

impl fmt::Display for HttpEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(url) = self;
        write!(f, "{}://{}", url.scheme(), url.host_str().unwrap_or_default())?;
        if let Some(port) = url.port() {
            write!(f, ":{port}")?;
        }
        f.write_str(url.path())
    }
}

impl fmt::Debug for HttpEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpEndpoint({self})")
    }
}

/// A topic, and some brokers of its cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaTopic {
    /// As librdkafka wants them: `host:port,host:port`.
    pub brokers: String,
    /// Its name.
    pub topic: String,
}

/// What Kafka allows.
const LONGEST_TOPIC: usize = 249;

impl KafkaTopic {
    fn parse(rest: &str) -> Result<Self, DestinationError> {
        if rest.contains('@') {
            return Err(DestinationError::KafkaCredentials);
        }
        let (brokers, topic) = rest.split_once('/').ok_or(DestinationError::Form)?;
        if !brokers.split(',').all(is_broker) {
            return Err(DestinationError::Form);
        }
        match is_topic(topic) {
            true => Ok(Self { brokers: brokers.to_owned(), topic: topic.to_owned() }),
            false => Err(DestinationError::Topic),
        }
    }
}

/// Without a port, Kafka's own is meant.
fn is_broker(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        // The colon is one of an IPv6 address.
        Some((_, rest)) if rest.ends_with(']') => (text, None),
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let sound = |host: &str| host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let known = match address {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && sound(host),
    };
    known && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

fn is_topic(text: &str) -> bool {
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    !text.is_empty() && text.len() <= LONGEST_TOPIC && !matches!(text, "." | "..") && text.bytes().all(sound)
}

impl fmt::Display for KafkaTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kafka://{}/{}", self.brokers, self.topic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Destination, DestinationError> {
        text.parse()
    }

    #[test]
    fn each_kind_of_platform_has_its_form() {
        assert_eq!(parse("log"), Ok(Destination::Log));
        for text in ["http://platform/", "https://platform.example:8443/events", "http://[::1]:8090/e"] {
            let Ok(Destination::Http(endpoint)) = parse(text) else { panic!("{text}") };
            assert_eq!(endpoint.to_string(), text);
        }
        for (text, brokers) in [
            ("kafka://one:9092/orders", "one:9092"),
            ("kafka://one:9092,two.example:9093/orders", "one:9092,two.example:9093"),
            ("kafka://kafka/orders", "kafka"),
            ("kafka://[::1]:9092,[::1]/orders", "[::1]:9092,[::1]"),
        ] {
            let topic = KafkaTopic { brokers: brokers.to_owned(), topic: "orders".to_owned() };
            assert_eq!(parse(text), Ok(Destination::Kafka(topic)));
            assert_eq!(parse(text).map(|destination| destination.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn others_are_refused() {
        use DestinationError::{Form, Fragment, KafkaCredentials, Topic};
        for (text, error) in [
            ("", Form),
            ("logs", Form),
            ("platform:8090", Form),
            ("ftp://platform/events", Form),
            ("http://", Form),
            ("http://platform:port/", Form),
            ("http://platform/events#one", Fragment),
            ("kafka://one:9092", Form),
            ("kafka:///orders", Form),
            ("kafka://one,,two/orders", Form),
            ("kafka://one:port/orders", Form),
            ("kafka://one:99999/orders", Form),
            ("kafka://[::1/orders", Form),
            ("kafka://shop:secret@one:9092/orders", KafkaCredentials),
            ("kafka://one:9092/", Topic),
            ("kafka://one:9092/..", Topic),
            ("kafka://one:9092/orders/new", Topic),
            ("kafka://one:9092/주문", Topic),
        ] {
            assert_eq!(parse(text), Err(error), "{text}");
        }
        assert!(parse(&format!("kafka://one/{}", "a".repeat(249))).is_ok());
        assert_eq!(parse(&format!("kafka://one/{}", "a".repeat(250))), Err(Topic));
    }

    #[test]
    fn what_may_be_a_secret_is_not_shown() {
        let destination = parse("https://shop:secret@platform:8443/events?token=secret").unwrap();
        assert_eq!(
            format!("{destination} {destination:?}"),
            "https://platform:8443/events Http(HttpEndpoint(https://platform:8443/events))"
        );
    }
}
