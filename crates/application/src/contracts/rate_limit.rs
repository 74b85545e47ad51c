//! What a rate limiter must do. It takes some three seconds: limits are about time.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use jangteo_domain::UserId;
use rand::RngExt;

use crate::rate_limit::{Decision, Quota, RateKey, RateLimiter, RouteClass, Subject};

/// More than timers and roundings are off by.
const TOLERANCE: Duration = Duration::from_millis(20);

/// A limiter lets bursts through and gives them back evenly; what it tells is true; and it counts right when asked from
/// many sides at once. Needs a runtime with several threads to show the last.
///
/// # Panics
/// When it does not.
pub async fn rate_limits(limiter: Arc<dyn RateLimiter>) {
    tokio::join!(
        a_burst_is_let_through_and_then_refused(&*limiter),
        what_was_used_comes_back_evenly(&*limiter),
        a_refusal_costs_nothing(&*limiter),
        everybody_and_everything_is_counted_apart(&*limiter),
        a_quota_that_was_cut_is_not_held_against_anybody(&*limiter),
        simultaneous_requests_are_counted_right(&limiter),
    );
}

fn quota(requests: u32, seconds: u64) -> Quota {
    let requests = NonZeroU32::new(requests).expect("a quota of something");
    Quota { requests, window: Duration::from_secs(seconds) }
}

/// Somebody who was never seen: what counts may outlive the test.
fn somebody() -> RateKey {
    let user = UserId(rand::rng().random_range(1..i64::MAX));
    RateKey { class: RouteClass::Writes, subject: Subject::User(user) }
}

/// Uses the quota up, in much less time than gives one request back.
async fn use_up(limiter: &dyn RateLimiter, key: &RateKey, quota: Quota) {
    for number in 1..=quota.requests.get() {
        assert!(limiter.check(key, quota).await.is_allowed(), "request {number} of {quota} was refused");
    }
}

async fn refusal(limiter: &dyn RateLimiter, key: &RateKey, quota: Quota) -> Decision {
    let decision = limiter.check(key, quota).await;
    assert!(!decision.is_allowed(), "more than {quota} were let through: {decision:?}");
    assert_eq!(decision.remaining, 0, "{decision:?}");
    decision
}

async fn a_burst_is_let_through_and_then_refused(limiter: &dyn RateLimiter) {
    let (key, quota) = (somebody(), quota(5, 300));
    for used in 1..=5 {
        let decision = limiter.check(&key, quota).await;
        assert!(decision.is_allowed(), "{decision:?}");
        assert_eq!(decision.remaining, 5 - used);
        assert_about(decision.reset, quota.interval() * used);
    }
    let refused = refusal(limiter, &key, quota).await;
    assert_about(refused.retry_after.unwrap_or_default(), quota.interval());
    assert_about(refused.reset, quota.window);
}

/// Some time passes between two requests, so what is left of a time may be less than it was, by seconds on a busy
/// machine, but not more.
#[track_caller]
fn assert_about(told: Duration, expected: Duration) {
    let least = expected.saturating_sub(Duration::from_secs(10));
    assert!(least <= told && told <= expected + TOLERANCE, "{told:?} instead of {expected:?}");
}

async fn what_was_used_comes_back_evenly(limiter: &dyn RateLimiter) {
    let (key, quota) = (somebody(), quota(2, 2));
    use_up(limiter, &key, quota).await;
    let refused = refusal(limiter, &key, quota).await;
    tokio::time::sleep(refused.retry_after.unwrap_or_default() + TOLERANCE).await;
    assert!(limiter.check(&key, quota).await.is_allowed(), "who waited as told was refused");
    let refused = refusal(limiter, &key, quota).await;
    tokio::time::sleep(refused.reset + TOLERANCE).await;
    let decision = limiter.check(&key, quota).await;
    assert_eq!(
        (decision.remaining, decision.retry_after),
        (1, None),
        "the quota was not there again as told"
    );
}

async fn a_refusal_costs_nothing(limiter: &dyn RateLimiter) {
    let (key, quota) = (somebody(), quota(2, 120));
    use_up(limiter, &key, quota).await;
    let first = refusal(limiter, &key, quota).await;
    for _ in 0..20 {
        let again = refusal(limiter, &key, quota).await;
        assert!(again.retry_after <= first.retry_after && again.reset <= first.reset, "{first:?}, {again:?}");
    }
}

async fn everybody_and_everything_is_counted_apart(limiter: &dyn RateLimiter) {
    let (key, quota) = (somebody(), quota(1, 300));
    let address = |last| Subject::Address(IpAddr::V4(Ipv4Addr::from_bits(last)).into());
    let place = rand::rng().random_range(1..u32::MAX);
    let others = [
        somebody(),
        RateKey { class: RouteClass::Reads, ..key },
        RateKey { class: RouteClass::Claims, ..key },
        RateKey { subject: address(place), ..key },
        RateKey { subject: address(place + 1), ..key },
        RateKey { subject: Subject::User(UserId(i64::from(place))), ..key },
    ];
    use_up(limiter, &key, quota).await;
    for other in others {
        use_up(limiter, &other, quota).await;
        refusal(limiter, &other, quota).await;
    }
    refusal(limiter, &key, quota).await;
}

/// Settings change, and what was counted under the old ones stays.
async fn a_quota_that_was_cut_is_not_held_against_anybody(limiter: &dyn RateLimiter) {
    let (key, generous, short) = (somebody(), quota(10, 3600), quota(1, 60));
    use_up(limiter, &key, generous).await;
    let refused = refusal(limiter, &key, short).await;
    assert_about(refused.retry_after.unwrap_or_default(), short.window);
}

async fn simultaneous_requests_are_counted_right(limiter: &Arc<dyn RateLimiter>) {
    let (key, quota) = (somebody(), quota(10, 600));
    let requests = (0..100).map(|_| {
        let limiter = Arc::clone(limiter);
        tokio::spawn(async move { limiter.check(&key, quota).await })
    });
    let decisions = join_all(requests).await;
    let decisions = decisions.into_iter().map(|decision| decision.expect("no panic"));
    let mut left: Vec<u32> =
        decisions.filter(Decision::is_allowed).map(|decision| decision.remaining).collect();
    left.sort_unstable();
    assert_eq!(left, (0..10).collect::<Vec<_>>(), "what was left after each request that was let through");
}
