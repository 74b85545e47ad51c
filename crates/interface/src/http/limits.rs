//! How many requests are let through, by user and by address.

use std::fmt::{self, Display};
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::Method;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use jangteo_application::RateLimiter;
use jangteo_application::rate_limit::{Decision, Quota, RateKey, RouteClass, Subject};
use metrics::counter;

use super::client_address::client_address;
use super::error::Problem;
use super::recognition;
use crate::config::{Settings, TrustedProxies};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// The paths that are limited: what runs the shop and what explains it must always answer.
const LIMITED: &str = "/api/v1/";
/// Where coupons are claimed.
pub(super) const CLAIM: &str = "/api/v1/coupons/{code}/claim";

/// Who may do how much.
pub(crate) struct Limits {
    limiter: Arc<dyn RateLimiter>,
    users: Quotas,
    addresses: Quotas,
    proxies: TrustedProxies,
}

/// The quotas of one kind of subject.
struct Quotas {
    reads: Quota,
    writes: Quota,
    claims: Quota,
}

impl Quotas {
    fn of(&self, class: RouteClass) -> Quota {
        match class {
            RouteClass::Reads => self.reads,
            RouteClass::Writes => self.writes,
            RouteClass::Claims => self.claims,
        }
    }
}

impl Limits {
    pub(crate) fn new(settings: &Settings, limiter: Arc<dyn RateLimiter>) -> Self {
        Self {
            limiter,
            users: Quotas {
                reads: settings.rate_limit_user_reads,
                writes: settings.rate_limit_user_writes,
                claims: settings.rate_limit_user_claims,
            },
            addresses: Quotas {
                reads: settings.rate_limit_address_reads,
                writes: settings.rate_limit_address_writes,
                claims: settings.rate_limit_address_claims,
            },
            proxies: settings.trusted_proxies.clone(),
        }
    }

    /// Whether any request to this path is counted.
    pub(super) fn apply_to(pattern: &str) -> bool {
        pattern.starts_with(LIMITED)
    }

    /// Counts a request: for its address first, as what is refused there must not use up the quota of the user that it
    /// names.
    pub(super) async fn count(&self, pattern: &str, request: &HttpRequest) -> Standing {
        let class = class(pattern, request.method());
        let mut standing = Standing { address: None, user: None };
        if let Some(peer) = request.peer_addr() {
            let address = client_address(peer.ip(), request.headers(), &self.proxies);
            let key = RateKey { class, subject: Subject::Address(address.into()) };
            standing.address = Some(self.check(key, self.addresses.of(class)).await);
        }
        if standing.refusal().is_none()
            && let Ok(caller) = recognition::caller(request)
        {
            let key = RateKey { class, subject: Subject::User(caller.user) };
            standing.user = Some(self.check(key, self.users.of(class)).await);
        }
        standing
    }

    async fn check(&self, key: RateKey, quota: Quota) -> Account {
        let decision = self.limiter.check(&key, quota).await;
        if !decision.is_allowed() {
            let (class, subject) = (key.class.name(), key.subject.kind());
            counter!("jangteo_rate_limited_total", "class" => class, "subject" => subject).increment(1);
        }
        Account { key, quota, decision }
    }
}

fn class(pattern: &str, method: &Method) -> RouteClass {
    match method.is_safe() {
        true => RouteClass::Reads,
        false if pattern == CLAIM => RouteClass::Claims,
        false => RouteClass::Writes,
    }
}

/// What was decided about a request, and on what.
pub(super) struct Standing {
    address: Option<Account>,
    /// None for guests, and when the address is refused already.
    user: Option<Account>,
}

struct Account {
    key: RateKey,
    quota: Quota,
    decision: Decision,
}

impl Standing {
    fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.user.iter().chain(&self.address)
    }

    /// Why the request is not let through, if it is not.
    pub(super) fn refusal(&self) -> Option<Problem> {
        let wait = self.accounts().find_map(|account| account.decision.retry_after)?;
        Some(Problem::TooManyRequests { seconds: whole_seconds(wait) })
    }

    /// Tells as draft-ietf-httpapi-ratelimit-headers has it. The quotas have the class in their names, since a name must
    /// mean the same to a client whatever it asks for.
    pub(super) fn tell(&self, headers: &mut HeaderMap) {
        let policies = list(self.accounts().map(|account| {
            let (quota, window) = (account.quota.requests, whole_seconds(account.quota.window));
            format!("{account};q={quota};w={window}")
        }));
        let limits = list(self.accounts().map(|account| {
            let Decision { remaining, reset, retry_after } = account.decision;
            // Where there is a Retry-After, both are to tell the same moment.
            let reset = whole_seconds(retry_after.unwrap_or(reset));
            format!("{account};r={remaining};t={reset}")
        }));
        for (name, value) in [(POLICY, policies), (LIMIT, limits)] {
            if let Some(value) = value {
                headers.insert(name, value);
            }
        }
    }
}

/// The name of the quota.
impl Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}-{}\"", self.key.subject.kind(), self.key.class.name())
    }
}

fn list(items: impl Iterator<Item = String>) -> Option<HeaderValue> {
    let items: Vec<String> = items.collect();
    let value = || HeaderValue::try_from(items.join(", ")).expect("names and digits");
    (!items.is_empty()).then(value)
}

/// Rounded up: who waits as told must not be refused again.
fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_apart_by_what_they_do() {
        for (pattern, method, expected) in [
            ("/api/v1/products", Method::GET, RouteClass::Reads),
            ("/api/v1/orders", Method::HEAD, RouteClass::Reads),
            ("/api/v1/orders", Method::POST, RouteClass::Writes),
            ("/api/v1/orders/{id}", Method::DELETE, RouteClass::Writes),
            (CLAIM, Method::POST, RouteClass::Claims),
            (CLAIM, Method::GET, RouteClass::Reads),
        ] {
            assert_eq!(class(pattern, &method), expected, "{method} {pattern}");
        }
    }

    #[test]
    fn only_the_api_is_limited() {
        for pattern in
            ["/health/live", "/actuator/health", "/metrics", "/openapi.json", "/api", "/swagger-ui/{file:.*}"]
        {
            assert!(!Limits::apply_to(pattern), "{pattern}");
        }
        assert!(Limits::apply_to("/api/v1/products"));
    }

    #[test]
    fn times_are_rounded_up_to_seconds() {
        for (milliseconds, seconds) in [(0, 0), (1, 1), (999, 1), (1000, 1), (1001, 2)] {
            assert_eq!(whole_seconds(Duration::from_millis(milliseconds)), seconds);
        }
    }
}
