//! Settings: what there is to set, and where it is taken from.
//!
//! Later wins: defaults, `jangteo.toml` (or the file of `--config`), `JANGTEO_*` environment variables, flags.
//! docs/configuration.md lists every setting.

use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use chrono::TimeDelta;
use figment::error::Kind;
use figment::providers::{Format, Serialized, Toml};
use figment::value::{Dict, Value};
use figment::{Figment, Profile, Provider};
use jangteo_application::rate_limit::Quota;
use jangteo_domain::Money;
use jangteo_domain::wallet::WalletPolicy;
use jangteo_infra_events::{Destination, Headers, HttpSecret, KafkaProperties};
use jangteo_infra_redis::RedisUrl;
use serde::de::Visitor;
use serde::{Deserialize, Deserializer};

mod keys;
mod named_values;
mod suggestion;
mod values;

use keys::texts;
use named_values::named_values;

pub use keys::{JwtPublicKey, JwtPublicKeys, JwtSecrets, Pem};
pub use values::{Authentication, DatabaseUrl, LogFilter, LogFormat, Switch, TrustedProxies};

/// Everything that can be set.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where to listen; port 0 takes a free one.
    #[serde(deserialize_with = "text")]
    pub listen: SocketAddr,
    /// The database.
    #[serde(deserialize_with = "text")]
    pub database_url: DatabaseUrl,
    /// Redis, which several instances share; unset, one instance keeps everything in memory.
    #[serde(deserialize_with = "optional_text")]
    pub redis_url: Option<RedisUrl>,
    /// How long Redis may take to answer before the shop goes on without it, in milliseconds.
    #[serde(deserialize_with = "at_most_a_minute")]
    pub redis_timeout_ms: NonZeroU64,
    /// How customers are recognised; needs to be said on an address that others can reach.
    #[serde(deserialize_with = "optional_text")]
    pub auth: Option<Authentication>,
    /// Secrets that tokens may be signed with (HS256).
    #[serde(deserialize_with = "texts")]
    pub jwt_secret: JwtSecrets,
    /// Public keys of those who sign tokens (RS256 or EdDSA).
    #[serde(deserialize_with = "texts")]
    pub jwt_public_key: JwtPublicKeys,
    /// Whom tokens must be meant for.
    #[serde(deserialize_with = "optional_text")]
    pub jwt_audience: Option<String>,
    /// Who must have issued tokens.
    #[serde(deserialize_with = "optional_text")]
    pub jwt_issuer: Option<String>,
    /// By how much the clock of who issues tokens may differ, in seconds.
    #[serde(deserialize_with = "at_most_five_minutes")]
    pub jwt_leeway_s: u64,
    /// What no wallet may pass by charging.
    #[serde(deserialize_with = "text")]
    pub wallet_max_balance: Money,
    /// The least that can be charged at once.
    #[serde(deserialize_with = "text")]
    pub wallet_min_charge: Money,
    /// How long an order that is paid later is held, in milliseconds.
    #[serde(deserialize_with = "at_most_a_day")]
    pub order_hold_ms: NonZeroU64,
    /// What is logged.
    #[serde(deserialize_with = "text")]
    pub log: LogFilter,
    /// How it is logged; unset, text on a terminal and JSON elsewhere.
    #[serde(deserialize_with = "optional_text")]
    pub log_format: Option<LogFormat>,
    /// The most commands in one transaction.
    #[serde(deserialize_with = "text")]
    pub batch_size: NonZeroUsize,
    /// The most commands that wait, for each operation.
    #[serde(deserialize_with = "text")]
    pub batch_queue_length: NonZeroUsize,
    /// Batches under way at a time, for each operation.
    #[serde(deserialize_with = "text")]
    pub batch_lanes: NonZeroU32,
    /// How long a command may wait before it is refused, in milliseconds.
    #[serde(deserialize_with = "at_most_ten_minutes")]
    pub batch_deadline_ms: u64,
    /// Connections for reading.
    #[serde(deserialize_with = "text")]
    pub database_readers: NonZeroU32,
    /// How old products may be shown, in milliseconds; 0 is always fresh.
    #[serde(deserialize_with = "at_most_a_minute")]
    pub product_cache_ms: u64,
    /// How old the popular products may be shown, in milliseconds; 0 is always fresh.
    #[serde(deserialize_with = "at_most_a_minute")]
    pub popular_cache_ms: u64,
    /// Threads that serve HTTP; unset, one for every two processors.
    #[serde(deserialize_with = "optional_text")]
    pub http_workers: Option<NonZeroUsize>,
    /// Within which time scheduled jobs do what there is to do, in milliseconds.
    #[serde(deserialize_with = "at_most_a_day")]
    pub job_interval_ms: NonZeroU64,
    /// The data platform that events go to.
    #[serde(deserialize_with = "text")]
    pub events: Destination,
    /// What is said in the head of every request or message to the data platform.
    #[serde(deserialize_with = "named_values")]
    pub events_headers: Headers,
    /// The most events in a request, over HTTP.
    #[serde(deserialize_with = "text")]
    pub events_http_batch: NonZeroUsize,
    /// What requests to the data platform are signed with, over HTTP.
    #[serde(deserialize_with = "optional_text")]
    pub events_http_secret: Option<HttpSecret>,
    /// What else librdkafka is told, for Kafka.
    #[serde(deserialize_with = "named_values")]
    pub events_kafka: KafkaProperties,
    /// After so many attempts an event is given up.
    #[serde(deserialize_with = "text")]
    pub events_max_attempts: NonZeroU32,
    /// How often to look for events that other instances have appended, in milliseconds.
    #[serde(deserialize_with = "at_most_a_minute")]
    pub events_poll_ms: NonZeroU64,
    /// How long the data platform may take to answer, in milliseconds.
    #[serde(deserialize_with = "at_most_a_minute")]
    pub events_timeout_ms: NonZeroU64,
    /// How long events are kept after they were sent, in hours.
    #[serde(deserialize_with = "at_most_a_century")]
    pub events_retention_hours: u32,
    /// Where `jangteo worker` tells of its health and metrics; unset, nowhere.
    #[serde(deserialize_with = "optional_text")]
    pub worker_listen: Option<SocketAddr>,
    /// How long stopping may take, in milliseconds.
    #[serde(deserialize_with = "text")]
    pub shutdown_timeout_ms: u64,
    /// The longest request body, in bytes.
    #[serde(deserialize_with = "text")]
    pub max_body_bytes: NonZeroUsize,
    /// Whether requests are limited; unset, on addresses that others can reach.
    #[serde(deserialize_with = "optional_text")]
    pub rate_limit: Option<Switch>,
    /// What a user may read.
    #[serde(deserialize_with = "text")]
    pub rate_limit_user_reads: Quota,
    /// What a user may write.
    #[serde(deserialize_with = "text")]
    pub rate_limit_user_writes: Quota,
    /// How often a user may claim coupons.
    #[serde(deserialize_with = "text")]
    pub rate_limit_user_claims: Quota,
    /// What may be read from an address.
    #[serde(deserialize_with = "text")]
    pub rate_limit_address_reads: Quota,
    /// What may be written from an address.
    #[serde(deserialize_with = "text")]
    pub rate_limit_address_writes: Quota,
    /// How often coupons may be claimed from an address.
    #[serde(deserialize_with = "text")]
    pub rate_limit_address_claims: Quota,
    /// Proxies that say truly for whom they ask.
    #[serde(deserialize_with = "text")]
    pub trusted_proxies: TrustedProxies,
}

impl Default for Settings {
    fn default() -> Self {
        let at_least_one = |number| NonZeroUsize::new(number).expect("a default above zero");
        let quota = |text: &str| text.parse().expect("a default that is a quota");
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            database_url: DatabaseUrl::default(),
            redis_url: None,
            redis_timeout_ms: NonZeroU64::new(200).expect("a default above zero"),
            auth: None,
            jwt_secret: JwtSecrets::default(),
            jwt_public_key: JwtPublicKeys::default(),
            jwt_audience: None,
            jwt_issuer: None,
            jwt_leeway_s: LEEWAY,
            wallet_max_balance: Money::from_minor(100_000_000),
            wallet_min_charge: Money::from_minor(100),
            order_hold_ms: NonZeroU64::new(900_000).expect("a default above zero"),
            log: LogFilter::default(),
            log_format: None,
            batch_size: at_least_one(128),
            batch_queue_length: at_least_one(8192),
            batch_lanes: NonZeroU32::MIN.saturating_add(1),
            batch_deadline_ms: 3_000,
            database_readers: NonZeroU32::new(8).expect("a default above zero"),
            product_cache_ms: 1_000,
            popular_cache_ms: 60_000,
            http_workers: None,
            job_interval_ms: NonZeroU64::new(60_000).expect("a default above zero"),
            events: Destination::default(),
            events_headers: Headers::default(),
            events_http_batch: NonZeroUsize::MIN,
            events_http_secret: None,
            events_kafka: KafkaProperties::default(),
            events_max_attempts: NonZeroU32::new(10).expect("a default above zero"),
            events_poll_ms: NonZeroU64::new(250).expect("a default above zero"),
            events_timeout_ms: NonZeroU64::new(5_000).expect("a default above zero"),
            events_retention_hours: 7 * 24,
            worker_listen: None,
            shutdown_timeout_ms: 10_000,
            max_body_bytes: at_least_one(65_536),
            rate_limit: None,
            rate_limit_user_reads: quota("200/10s"),
            rate_limit_user_writes: quota("50/10s"),
            rate_limit_user_claims: quota("10/10s"),
            // Many users may share an address: a household, an office, a mobile network.
            rate_limit_address_reads: quota("2000/10s"),
            rate_limit_address_writes: quota("500/10s"),
            rate_limit_address_claims: quota("100/10s"),
            trusted_proxies: TrustedProxies::default(),
        }
    }
}

const LEEWAY: u64 = 30;

/// Where settings are looked for.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// A file that has to exist; without one, `jangteo.toml` if there is one.
    pub file: Option<PathBuf>,
    /// Environment variables; others than `JANGTEO_*` are passed over.
    pub environment: Vec<(String, String)>,
    /// Settings from the command line.
    pub flags: Vec<(&'static str, String)>,
}

/// Why the settings cannot be used. No message repeats a value: it may be a secret.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// There is no setting of this name.
    #[error(
        "unknown setting `{key}` from {origin}{}; docs/configuration.md lists all of them",
        suggestion.map(|name| format!(", did you mean `{name}`?")).unwrap_or_default()
    )]
    Unknown {
        /// The name.
        key: String,
        /// Where it stands.
        origin: Origin,
        /// A setting whose name is nearly the same.
        suggestion: Option<&'static str>,
    },
    /// The value of a setting cannot be used.
    #[error("setting `{key}` from {origin}: {problem}")]
    Invalid {
        /// The setting.
        key: String,
        /// Where it stands.
        origin: Origin,
        /// What is wrong.
        problem: String,
    },
    /// The settings file cannot be read.
    #[error("settings file {}: {problem}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Anybody who can reach the address could act as any customer.
    #[error(
        "setting `listen` is {0}, which others can reach, and `auth` is not set. Callers name their user in the \
         X-User-Id header and are believed: set JANGTEO_AUTH=header if whoever can reach this address may do so \
         (a gateway that checks them, a private network), or listen on 127.0.0.1; or set JANGTEO_AUTH=jwt, and they \
         need tokens"
    )]
    Unprotected(SocketAddr),
    /// No token could be accepted.
    #[error(
        "setting `auth` is jwt, and there is nothing to check tokens with: set `jwt_secret` (HS256) or \
         `jwt_public_key` (RS256, EdDSA)"
    )]
    NoKeys,
}

/// Where a setting stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// In a file.
    File(PathBuf),
    /// In an environment variable.
    Environment(String),
    /// On the command line.
    Flag(String),
    /// Nowhere: it is the default.
    Default,
}

impl Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => file.display().fmt(f),
            Self::Environment(variable) => write!(f, "the environment variable {variable}"),
            Self::Flag(flag) => write!(f, "the flag {flag}"),
            Self::Default => write!(f, "the defaults"),
        }
    }
}

const PREFIX: &str = "JANGTEO_";
const FILE: &str = "jangteo.toml";

/// The settings of one source.
struct Layer {
    origin: fn(&str, &Path) -> Origin,
    file: PathBuf,
    settings: Dict,
}

impl Settings {
    /// Takes the settings from where they are.
    ///
    /// # Errors
    /// [`SettingsError`], naming the setting and where it stands.
    pub fn load(sources: &Sources) -> Result<Self, SettingsError> {
        let layers = [file(sources.file.as_deref())?, environment(sources), flags(sources)];
        let merged = layers.iter().fold(Figment::new(), |merged, layer| {
            merged.merge(Serialized::from(&layer.settings, Profile::Default))
        });
        let settings: Self = merged.extract().map_err(|error| explain(error, &layers))?;
        if let Some((key, destinations)) = settings.without_effect() {
            let problem = format!("is only for {destinations}, and `events` is {}", settings.events);
            return Err(SettingsError::Invalid {
                key: key.to_owned(),
                origin: origin(key, &layers),
                problem,
            });
        }
        if let Some(key) = settings.unused_about_tokens() {
            let problem = "is only for tokens, and `auth` is not jwt".to_owned();
            return Err(SettingsError::Invalid {
                key: key.to_owned(),
                origin: origin(key, &layers),
                problem,
            });
        }
        match settings.auth {
            Some(Authentication::Jwt)
                if settings.jwt_secret.is_empty() && settings.jwt_public_key.is_empty() =>
            {
                Err(SettingsError::NoKeys)
            }
            None if !settings.listen.ip().is_loopback() => Err(SettingsError::Unprotected(settings.listen)),
            Some(Authentication::Jwt | Authentication::Header) | None => Ok(settings),
        }
    }

    /// A setting about tokens where none are asked for: who sets it takes the shop for protected.
    fn unused_about_tokens(&self) -> Option<&'static str> {
        [
            ("jwt_secret", !self.jwt_secret.is_empty()),
            ("jwt_public_key", !self.jwt_public_key.is_empty()),
            ("jwt_audience", self.jwt_audience.is_some()),
            ("jwt_issuer", self.jwt_issuer.is_some()),
            ("jwt_leeway_s", self.jwt_leeway_s != LEEWAY),
        ]
        .into_iter()
        .find_map(|(key, is_set)| (is_set && self.authentication() == Authentication::Header).then_some(key))
    }

    /// How callers are recognised.
    #[must_use]
    pub fn authentication(&self) -> Authentication {
        self.auth.unwrap_or(Authentication::Header)
    }

    /// How long orders that are paid later are held.
    pub(crate) fn order_hold(&self) -> TimeDelta {
        TimeDelta::milliseconds(self.order_hold_ms.get().cast_signed())
    }

    /// A setting that was meant for another data platform.
    fn without_effect(&self) -> Option<(&'static str, &'static str)> {
        let (http, kafka) = match self.events {
            Destination::Log => (false, false),
            Destination::Http(_) => (true, false),
            Destination::Kafka(_) => (false, true),
        };
        let (of_http, of_both) = ("http:// and https://", "http://, https:// and kafka://");
        [
            ("events_headers", of_both, http || kafka || self.events_headers.is_empty()),
            ("events_http_batch", of_http, http || self.events_http_batch == NonZeroUsize::MIN),
            ("events_http_secret", of_http, http || self.events_http_secret.is_none()),
            ("events_kafka", "kafka://", kafka || self.events_kafka.is_empty()),
        ]
        .into_iter()
        .find_map(|(key, destinations, sound)| (!sound).then_some((key, destinations)))
    }

    /// What the shop allows for charging wallets.
    #[must_use]
    pub fn wallet_policy(&self) -> WalletPolicy {
        WalletPolicy { min_charge: self.wallet_min_charge, max_balance: self.wallet_max_balance }
    }

    /// Whether requests are limited: unless said otherwise, when others than this machine can send them.
    #[must_use]
    pub fn limits_requests(&self) -> bool {
        match self.rate_limit {
            Some(Switch::On) => true,
            Some(Switch::Off) => false,
            None => !self.listen.ip().is_loopback(),
        }
    }

    /// How long stopping may take.
    #[must_use]
    pub fn shutdown_timeout(&self) -> Duration {
        Duration::from_millis(self.shutdown_timeout_ms)
    }
}

fn file(given: Option<&Path>) -> Result<Layer, SettingsError> {
    let file = given.unwrap_or(Path::new(FILE)).to_owned();
    let origin: fn(&str, &Path) -> Origin = |_, file| Origin::File(file.to_owned());
    if given.is_none() && !file.exists() {
        return Ok(Layer { origin, file, settings: Dict::new() });
    }
    let text = std::fs::read_to_string(&file)
        .map_err(|error| SettingsError::File { file: file.clone(), problem: error.to_string() })?;
    match Toml::string(&text).data() {
        Ok(mut profiles) => {
            let settings = profiles.remove(&Profile::Default).unwrap_or_default();
            Ok(Layer { origin, file, settings })
        }
        Err(error) => {
            Err(SettingsError::File { file, problem: without_the_line_itself(&error.kind.to_string()) })
        }
    }
}

/// The parser shows the line, which may hold a password: only where it is, and what is wrong with it, is kept.
fn without_the_line_itself(message: &str) -> String {
    let mut lines = message.lines().filter(|line| !line.trim().is_empty());
    let first = lines.next().unwrap_or_default();
    match lines.next_back() {
        Some(last) => format!("{first}: {last}"),
        None => first.to_owned(),
    }
}

/// An empty variable counts as unset, as compose files and shells often leave them so.
fn environment(sources: &Sources) -> Layer {
    let settings = sources
        .environment
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .filter_map(|(name, value)| {
            let key = name.strip_prefix(PREFIX)?.to_ascii_lowercase();
            Some((key, Value::from(value.as_str())))
        })
        .collect();
    let origin = |key: &str, _: &Path| Origin::Environment(format!("{PREFIX}{}", key.to_ascii_uppercase()));
    Layer { origin, file: PathBuf::new(), settings }
}

fn flags(sources: &Sources) -> Layer {
    let settings =
        sources.flags.iter().map(|(key, value)| ((*key).to_owned(), Value::from(value.as_str()))).collect();
    let origin = |key: &str, _: &Path| {
        // A worker's `--listen` is a setting of its own.
        let flag = key.strip_prefix("worker_").unwrap_or(key);
        Origin::Flag(format!("--{}", flag.replace('_', "-")))
    };
    Layer { origin, file: PathBuf::new(), settings }
}

/// Where the value stands that won.
fn origin(key: &str, layers: &[Layer]) -> Origin {
    let layer = layers.iter().rev().find(|layer| layer.settings.contains_key(key));
    layer.map_or(Origin::Default, |layer| (layer.origin)(key, &layer.file))
}

fn explain(error: figment::Error, layers: &[Layer]) -> SettingsError {
    if let Kind::UnknownField(key, known) = error.kind {
        let suggestion = suggestion::nearest(&key, known);
        return SettingsError::Unknown { origin: origin(&key, layers), suggestion, key };
    }
    let key = error.path.first().cloned().unwrap_or_default();
    let problem = format!("{}{}", error.kind, example(&key));
    SettingsError::Invalid { origin: origin(&key, layers), problem, key }
}

/// What would do instead, where the reason alone does not tell.
fn example(key: &str) -> &'static str {
    match key {
        // Names are not looked up: one may stand for several addresses.
        "listen" | "worker_listen" => "; use an address and a port such as 127.0.0.1:8080",
        _ => "",
    }
}

fn at_most_a_minute<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display> + Into<u64> + Copy,
{
    at_most(60_000, "a minute", deserializer)
}

fn at_most_five_minutes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    at_most(300, "five minutes", deserializer)
}

fn at_most_ten_minutes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    at_most(600_000, "ten minutes", deserializer)
}

fn at_most_a_day<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NonZeroU64, D::Error> {
    at_most(86_400_000, "a day", deserializer)
}

fn at_most_a_century<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    at_most(876_600, "a hundred years", deserializer)
}

fn at_most<'de, D, T>(most: u64, which_is: &str, deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display> + Into<u64> + Copy,
{
    let value: T = text(deserializer)?;
    match value.into() <= most {
        true => Ok(value),
        false => Err(serde::de::Error::custom(format_args!("more than {most}, {which_is}"))),
    }
}

/// Reads a value from how it is written, whatever the source takes it for: amounts stay exact.
fn text<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    struct Text<T>(PhantomData<T>);

    impl<T: FromStr<Err: Display>> Visitor<'_> for Text<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text or a number")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
            text.trim().parse().map_err(E::custom)
        }

        fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<T, E> {
            self.visit_str(&number.to_string())
        }

        fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<T, E> {
            self.visit_str(&number.to_string())
        }

        /// The shortest decimal that is this number is what stood in the file.
        fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<T, E> {
            self.visit_str(&number.to_string())
        }
    }

    deserializer.deserialize_any(Text(PhantomData))
}

fn optional_text<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    text(deserializer).map(Some)
}

#[cfg(test)]
mod tests;
