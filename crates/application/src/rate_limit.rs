//! How many requests somebody may make.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use jangteo_domain::UserId;

/// So many requests at once, given back evenly over the window.
///
/// ```
/// # use jangteo_application::rate_limit::Quota;
/// let quota: Quota = "100/10s".parse()?;
/// assert_eq!(quota.interval().as_millis(), 100);
/// assert_eq!(quota.to_string(), "100/10s");
/// # Ok::<(), jangteo_application::rate_limit::QuotaError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// The most at once.
    pub requests: NonZeroU32,
    /// How long it takes until all of them are given back.
    pub window: Duration,
}

/// The longest window that can be set: what is longer is not for a limiter to remember.
const LONGEST_WINDOW: Duration = Duration::from_secs(24 * 60 * 60);

/// Units of windows, longest first.
const UNITS: [(&str, u64); 3] = [("h", 3600), ("m", 60), ("s", 1)];

impl Quota {
    /// After how long one request is given back. Less than a microsecond is not told apart.
    #[must_use]
    pub fn interval(self) -> Duration {
        (self.window / self.requests.get()).max(Duration::from_micros(1))
    }

    /// How long it takes until all of a used up quota is given back: the window, but for rounding.
    #[must_use]
    pub fn refill(self) -> Duration {
        self.interval().saturating_mul(self.requests.get())
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.window.as_secs();
        let (unit, length) =
            UNITS.into_iter().find(|(_, length)| seconds.is_multiple_of(*length)).unwrap_or(UNITS[2]);
        match self.window.subsec_nanos() {
            0 => write!(f, "{}/{}{unit}", self.requests, seconds / length),
            _ => write!(f, "{}/{:?}", self.requests, self.window),
        }
    }
}

/// Why a text is no quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QuotaError {
    /// It is written otherwise.
    #[error(
        "must be a number of requests and the time that gives them back, such as 100/10s, 1000/1m or 5000/1h"
    )]
    Malformed,
    /// Nobody could do anything.
    #[error("must allow at least one request")]
    NoRequests,
    /// The window is empty or too long.
    #[error("the time after the slash must be from 1s to 24h")]
    Window,
}

impl FromStr for Quota {
    type Err = QuotaError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (requests, window) = text.split_once('/').ok_or(QuotaError::Malformed)?;
        let requests = u32::try_from(digits(requests)?).map_err(|_| QuotaError::Malformed)?;
        let unit = |(unit, length)| window.strip_suffix(unit).map(|number| (number, length));
        let (number, length) = UNITS.into_iter().find_map(unit).ok_or(QuotaError::Malformed)?;
        let window = Duration::from_secs(digits(number)?.checked_mul(length).ok_or(QuotaError::Window)?);
        if window.is_zero() || window > LONGEST_WINDOW {
            return Err(QuotaError::Window);
        }
        Ok(Self { requests: NonZeroU32::new(requests).ok_or(QuotaError::NoRequests)?, window })
    }
}

/// Digits only: the standard library would take a sign.
fn digits(text: &str) -> Result<u64, QuotaError> {
    let only_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| only_digits).ok_or(QuotaError::Malformed)
}

/// Kinds of requests that are counted apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RouteClass {
    /// What changes nothing.
    Reads,
    /// What may change something.
    Writes,
    /// Claiming coupons: what everybody does at once.
    Claims,
}

impl RouteClass {
    /// Stable: it is in keys, headers and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Reads => "reads",
            Self::Writes => "writes",
            Self::Claims => "claims",
        }
    }
}

/// Where requests come from, as far as it can be told apart: an IPv4 address or the /64 network of an IPv6 address,
/// because whoever has one address of it usually has all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network(IpAddr);

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Who is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A customer, wherever requests come from.
    User(UserId),
    /// Everybody behind an address.
    Address(Network),
}

impl Subject {
    /// Stable: it is in keys, headers and metrics.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::Address(_) => "address",
        }
    }
}

/// What requests are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RateKey {
    /// Which kind of requests.
    pub class: RouteClass,
    /// Whose.
    pub subject: Subject,
}

/// Whether a request is let through, and what there is for those after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// How many more there may be at once.
    pub remaining: u32,
    /// How long it takes until the whole quota is there again, if nothing else comes.
    pub reset: Duration,
    /// How long it takes until another request is let through; `None` when this one was.
    pub retry_after: Option<Duration>,
}

impl Decision {
    /// Whether the request is let through.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.retry_after.is_none()
    }
}

/// Counts requests. `contracts::rate_limits` says what an implementation must do.
#[async_trait]
pub trait RateLimiter: Send + Sync {
    /// Takes a request off the quota if there is one left; a refused request costs nothing. MUST always decide: an
    /// implementation that loses what it counts with goes on in another way.
    async fn check(&self, key: &RateKey, quota: Quota) -> Decision;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(text: &str) -> Result<Quota, QuotaError> {
        text.parse()
    }

    #[test]
    fn a_quota_is_written_as_requests_in_a_time() {
        for (text, requests, seconds, shown) in [
            ("100/10s", 100, 10, "100/10s"),
            ("1000/1m", 1000, 60, "1000/1m"),
            ("1/60s", 1, 60, "1/1m"),
            ("5/90s", 5, 90, "5/90s"),
            ("4294967295/24h", u32::MAX, 86_400, "4294967295/24h"),
        ] {
            let quota = quota(text).unwrap();
            assert_eq!((quota.requests.get(), quota.window.as_secs()), (requests, seconds), "{text}");
            assert_eq!(quota.to_string(), shown);
        }
        let short = Quota { requests: NonZeroU32::MIN, window: Duration::from_millis(1500) };
        assert_eq!(short.to_string(), "1/1.5s");
    }

    #[test]
    fn what_is_no_quota_is_told_why() {
        for text in [
            "",
            "100",
            "100/",
            "/10s",
            "100/10",
            "100/10d",
            "1e3/10s",
            "+1/10s",
            "-1/10s",
            "1/ 10s",
            "1/s",
            "4294967296/1s",
        ] {
            assert_eq!(quota(text), Err(QuotaError::Malformed), "{text}");
        }
        assert_eq!(quota("0/10s"), Err(QuotaError::NoRequests));
        for text in ["1/0s", "1/25h", "1/86401s", "1/18446744073709551615h"] {
            assert_eq!(quota(text), Err(QuotaError::Window), "{text}");
        }
    }

    #[test]
    fn requests_come_back_evenly() {
        let quota = quota("3/1s").unwrap();
        assert_eq!(quota.interval(), Duration::from_nanos(333_333_333));
        assert_eq!(quota.refill(), Duration::from_nanos(999_999_999));
        let endless = Quota { requests: NonZeroU32::MAX, window: Duration::from_secs(1) };
        assert_eq!(endless.interval(), Duration::from_micros(1));
    }

    #[test]
    fn addresses_of_one_network_are_one() {
        let network = |address: &str| Network::from(address.parse::<IpAddr>().unwrap());
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
        // As a socket for both versions tells it.
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
    }
}
