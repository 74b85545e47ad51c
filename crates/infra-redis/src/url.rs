//! Where Redis is.

use std::fmt;
use std::str::FromStr;

use deadpool_redis::redis::IntoConnectionInfo;

/// The URL of one Redis, of the sentinels before one, or of the nodes of a cluster. Shown without its password.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl {
    pub(crate) kind: Kind,
    shown: String,
}

/// What a URL stands for.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One server.
    Single(String),
    /// Nodes of a cluster, each as the URL of a server.
    Cluster(Vec<String>),
    /// Sentinels, and the name under which they know the server.
    Sentinel {
        /// Each as the URL of a server.
        sentinels: Vec<String>,
        /// The name of the service.
        master: String,
        /// The server, as a URL without an address that counts.
        node: String,
    },
}

/// A text that is no [`RedisUrl`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be redis://HOST:PORT, rediss:// for TLS, redis-cluster://HOST:PORT,HOST:PORT or \
     redis-sentinel://HOST:PORT,HOST:PORT#MASTER, each with USER:PASSWORD@ before the hosts and /DATABASE behind them \
     where it needs them (a cluster has no databases)"
)]
pub struct RedisUrlError;

impl FromStr for RedisUrl {
    type Err = RedisUrlError;

    fn from_str(text: &str) -> Result<Self, RedisUrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(RedisUrlError)?;
        let (tls, form) = match scheme {
            "redis" | "rediss" | "valkey" | "valkeys" | "redis+unix" | "unix" => (false, Form::Single),
            "redis-cluster" => (false, Form::Cluster),
            "rediss-cluster" => (true, Form::Cluster),
            "redis-sentinel" => (false, Form::Sentinel),
            "rediss-sentinel" => (true, Form::Sentinel),
            _ => return Err(RedisUrlError),
        };
        let kind = match form {
            Form::Single => Kind::Single(text.to_owned()),
            Form::Cluster => cluster(tls, rest)?,
            Form::Sentinel => sentinel(tls, rest)?,
        };
        let servers = match &kind {
            Kind::Single(server) => std::slice::from_ref(server),
            Kind::Cluster(nodes) => nodes,
            Kind::Sentinel { sentinels, .. } => sentinels,
        };
        let sound = servers.iter().all(|server| server.as_str().into_connection_info().is_ok());
        let hosts = rest.rsplit_once('@').map_or(rest, |(_, hosts)| hosts);
        let hosts = hosts.split('?').next().unwrap_or_default();
        sound.then(|| Self { kind, shown: format!("{scheme}://{hosts}") }).ok_or(RedisUrlError)
    }
}

enum Form {
    Single,
    Cluster,
    Sentinel,
}

fn cluster(tls: bool, rest: &str) -> Result<Kind, RedisUrlError> {
    let (credentials, hosts) = credentials(rest);
    let hosts = hosts.trim_end_matches('/');
    match hosts.contains(['/', '#']) {
        true => Err(RedisUrlError),
        false => Ok(Kind::Cluster(servers(tls, credentials, hosts)?)),
    }
}

/// The credentials are for the server; sentinels are asked without.
fn sentinel(tls: bool, rest: &str) -> Result<Kind, RedisUrlError> {
    let (rest, master) =
        rest.split_once('#').filter(|(_, master)| !master.is_empty()).ok_or(RedisUrlError)?;
    let (credentials, rest) = credentials(rest);
    let (hosts, database) = rest.split_once('/').unwrap_or((rest, ""));
    let sentinels = servers(tls, "", hosts)?;
    let node = format!("{}{credentials}sentinel/{database}", scheme(tls));
    Ok(Kind::Sentinel { sentinels, master: master.to_owned(), node })
}

/// With its `@`.
fn credentials(rest: &str) -> (&str, &str) {
    match rest.rfind('@') {
        Some(at) => rest.split_at(at + 1),
        None => ("", rest),
    }
}

fn scheme(tls: bool) -> &'static str {
    if tls { "rediss://" } else { "redis://" }
}

fn servers(tls: bool, credentials: &str, hosts: &str) -> Result<Vec<String>, RedisUrlError> {
    let hosts = hosts.split(',').map(|host| match host.is_empty() {
        true => Err(RedisUrlError),
        false => Ok(format!("{}{credentials}{host}", scheme(tls))),
    });
    hosts.collect()
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shown.fmt(f)
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Kind, RedisUrlError> {
        text.parse().map(|url: RedisUrl| url.kind)
    }

    #[test]
    fn each_form_names_its_servers() {
        for single in ["redis://localhost", "rediss://a:b@redis:6380/2", "redis+unix:///run/redis.sock"] {
            assert!(matches!(parse(single), Ok(Kind::Single(url)) if url == single), "{single}");
        }
        let nodes = ["redis://u:p@one:7000".to_owned(), "redis://u:p@two".to_owned()];
        assert!(
            matches!(parse("redis-cluster://u:p@one:7000,two"), Ok(Kind::Cluster(found)) if found == nodes)
        );
        let Ok(Kind::Sentinel { sentinels, master, node }) =
            parse("rediss-sentinel://:pw@one:1,two:2/3#shop")
        else {
            panic!("a sentinel URL");
        };
        assert_eq!(sentinels, ["rediss://one:1", "rediss://two:2"]);
        assert_eq!((master.as_str(), node.as_str()), ("shop", "rediss://:pw@sentinel/3"));
    }

    #[test]
    fn others_are_refused() {
        for text in [
            "",
            "localhost:6379",
            "http://localhost",
            "redis://localhost:port",
            "redis://localhost/database",
            "redis-cluster://",
            "redis-cluster://one,,two",
            "redis-cluster://one/1",
            "redis-sentinel://one:26379",
            "redis-sentinel://one:26379#",
        ] {
            assert_eq!(parse(text).err(), Some(RedisUrlError), "{text}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let url: RedisUrl = "redis://shop:secret@redis:6379/1".parse().unwrap();
        assert_eq!(format!("{url} {url:?}"), "redis://redis:6379/1 RedisUrl(redis://redis:6379/1)");
    }
}
