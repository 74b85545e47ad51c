//! Who made how many requests to this instance.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jangteo_application::RateLimiter;
use jangteo_application::rate_limit::{Decision, Quota, RateKey};
use moka::Expiry;
use moka::sync::Cache;

/// Users and addresses that are counted at a time. When more come, those that come most often stay: a
/// flood of addresses that are seen once neither takes more memory nor lets those slip that have to be limited.
const METERS: u64 = 100_000;

/// Counts in this process, by GCRA: of a quota nothing is kept but the moment when it is whole again. What has not been
/// used for as long as that takes is forgotten, which changes nothing.
pub struct MemoryRateLimiter {
    started: Instant,
    meters: Cache<RateKey, Arc<Meter>>,
}

/// How much of one quota is used up.
struct Meter {
    /// When the quota is whole again if nothing else comes, in nanoseconds since the limiter's start.
    whole_at: AtomicU64,
    /// From used up to whole.
    refill: Duration,
}

impl MemoryRateLimiter {
    /// A limiter that has seen nobody yet.
    #[must_use]
    pub fn new() -> Self {
        Self::with_room_for(METERS)
    }

    fn with_room_for(meters: u64) -> Self {
        let meters = Cache::builder().max_capacity(meters).expire_after(OnceWhole).build();
        Self { started: Instant::now(), meters }
    }
}

impl Default for MemoryRateLimiter {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl RateLimiter for MemoryRateLimiter {
    async fn check(&self, key: &RateKey, quota: Quota) -> Decision {
        let new = || Arc::new(Meter { whole_at: AtomicU64::new(0), refill: quota.refill() });
        let meter = self.meters.get_with(*key, new);
        meter.take(nanoseconds(self.started.elapsed()), quota)
    }
}

impl Meter {
    fn take(&self, now: u64, quota: Quota) -> Decision {
        let mut seen = self.whole_at.load(Ordering::Relaxed);
        loop {
            let (decision, whole_at) = take(seen, now, quota);
            let taken =
                self.whole_at.compare_exchange_weak(seen, whole_at, Ordering::Relaxed, Ordering::Relaxed);
            match taken {
                Ok(_) => return decision,
                Err(other) => seen = other,
            }
        }
    }
}

/// Takes one request off a quota that is whole again at `whole_at`. Tells when it is whole again afterwards.
fn take(whole_at: u64, now: u64, quota: Quota) -> (Decision, u64) {
    let (interval, refill) = (nanoseconds(quota.interval()), nanoseconds(quota.refill()));
    // What was taken from a larger quota, before it was cut, is not held against anybody.
    let used = whole_at.saturating_sub(now).min(refill);
    let used_after = used + interval;
    if used_after > refill {
        let retry_after = Some(Duration::from_nanos(used_after - refill));
        return (Decision { remaining: 0, reset: Duration::from_nanos(used), retry_after }, now + used);
    }
    let remaining = u32::try_from((refill - used_after) / interval).unwrap_or(u32::MAX);
    (Decision { remaining, reset: Duration::from_nanos(used_after), retry_after: None }, now + used_after)
}

/// Five centuries, at most.
fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Forgets a quota that must be whole again, as it was not used for so long.
struct OnceWhole;

impl Expiry<RateKey, Arc<Meter>> for OnceWhole {
    fn expire_after_create(&self, _: &RateKey, meter: &Arc<Meter>, _: Instant) -> Option<Duration> {
        Some(meter.refill)
    }

    fn expire_after_read(
        &self,
        _: &RateKey,
        meter: &Arc<Meter>,
        _: Instant,
        _: Option<Duration>,
        _: Instant,
    ) -> Option<Duration> {
        Some(meter.refill)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use jangteo_application::contracts;
    use jangteo_application::rate_limit::{RouteClass, Subject};
    use jangteo_domain::UserId;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn it_keeps_the_contract() {
        contracts::rate_limits(Arc::new(MemoryRateLimiter::new())).await;
    }

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn requests_are_let_through_until_the_quota_is_used_up_and_then_one_for_each_that_comes_back() {
        let quota: Quota = "4/8s".parse().unwrap();
        let meter = Meter { whole_at: AtomicU64::new(0), refill: quota.refill() };
        let mut decide = |at: u64| {
            let decision = meter.take(at * SECOND, quota);
            (decision.remaining, decision.reset.as_secs(), decision.retry_after.map(|wait| wait.as_secs()))
        };
        let decisions = [100, 100, 101, 101, 101, 102, 102, 103, 104, 120].map(&mut decide);
        assert_eq!(
            decisions,
            [
                (3, 2, None),
                (2, 4, None),
                (1, 5, None),
                (0, 7, None),
                (0, 7, Some(1)),
                (0, 8, None),
                (0, 8, Some(2)),
                (0, 7, Some(1)),
                (0, 8, None),
                (3, 2, None),
            ]
        );
    }

    fn from_address(number: u32) -> RateKey {
        let address = IpAddr::V4(Ipv4Addr::from_bits(number));
        RateKey { class: RouteClass::Reads, subject: Subject::Address(address.into()) }
    }

    #[tokio::test]
    async fn a_flood_of_addresses_takes_no_more_memory_and_frees_nobody() {
        let limiter = MemoryRateLimiter::with_room_for(1000);
        let quota = "5/1h".parse().unwrap();
        let busy = RateKey { class: RouteClass::Reads, subject: Subject::User(UserId(1)) };
        for _ in 0..5 {
            assert!(limiter.check(&busy, quota).await.is_allowed());
        }
        for number in 0..100_000 {
            assert!(limiter.check(&from_address(number), quota).await.is_allowed());
            if number % 100 == 0 {
                assert!(!limiter.check(&busy, quota).await.is_allowed(), "after {number} addresses");
            }
        }
        limiter.meters.run_pending_tasks();
        assert!(limiter.meters.entry_count() <= 1000);
    }

    #[tokio::test]
    async fn who_is_not_seen_for_a_while_is_forgotten() {
        let limiter = MemoryRateLimiter::new();
        let quota = "5/1s".parse().unwrap();
        for number in 0..100 {
            limiter.check(&from_address(number), quota).await;
        }
        tokio::time::sleep(Duration::from_millis(600)).await;
        limiter.check(&from_address(7), quota).await;
        tokio::time::sleep(Duration::from_millis(600)).await;
        limiter.meters.run_pending_tasks();
        assert_eq!(limiter.meters.entry_count(), 1);
    }
}
