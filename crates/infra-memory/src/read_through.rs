//! Values that were read a moment ago, in front of what all instances share and of the source behind that.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jangteo_application::cache::{CacheKey, CachedText, Maker, SharedCache, Stored};
use jangteo_domain::RepositoryError;
use metrics::{Counter, Histogram, counter, histogram};
use moka::Expiry;
use moka::future::Cache;

/// Values of one kind that are kept.
const ENTRIES: u64 = 10_000;
/// From which part of its life on a value is renewed, while it is still shown: each one from another, so that what was
/// made together is not renewed together.
const RENEWED_FROM: std::ops::Range<f64> = 0.75..0.95;
/// How long an instance waits for what another one makes.
const PATIENCE: Duration = Duration::from_millis(500);
/// How often it looks meanwhile.
const LOOK: Duration = Duration::from_millis(10);

/// A cache of one kind of values that asks for each value once, however many want it at the same time.
pub(crate) struct ReadThrough<V> {
    entries: Cache<CacheKey, Arc<Entry<V>>>,
    shared: Option<Arc<dyn SharedCache>>,
    oldest: Duration,
    counts: Counts,
}

/// A value, since when it is true, and whether somebody is making a new one.
pub(crate) struct Entry<V> {
    pub(crate) value: V,
    pub(crate) made_at: Instant,
    oldest: Duration,
    renewed_from: Instant,
    renewing: AtomicBool,
}

struct Counts {
    hits: Counter,
    shared_hits: Counter,
    misses: Counter,
    loads: Counter,
    age: Histogram,
}

impl Counts {
    fn of(kind: &'static str) -> Self {
        Self {
            hits: counter!("jangteo_cache_hits_total", "cache" => kind, "layer" => "memory"),
            shared_hits: counter!("jangteo_cache_hits_total", "cache" => kind, "layer" => "shared"),
            misses: counter!("jangteo_cache_misses_total", "cache" => kind),
            loads: counter!("jangteo_cache_loads_total", "cache" => kind),
            age: histogram!("jangteo_cache_age_seconds", "cache" => kind),
        }
    }
}

impl<V> Entry<V> {
    fn new(value: V, made_at: Instant, oldest: Duration) -> Self {
        let renewed_from = made_at + oldest.mul_f64(rand::random_range(RENEWED_FROM));
        Self { value, made_at, oldest, renewed_from, renewing: AtomicBool::new(false) }
    }

    fn is_getting_old(&self) -> bool {
        self.renewed_from <= Instant::now()
    }
}

/// Each value goes when it is as old as it may be.
struct WhenOld;

impl<V> Expiry<CacheKey, Arc<Entry<V>>> for WhenOld {
    fn expire_after_create(&self, _: &CacheKey, entry: &Arc<Entry<V>>, now: Instant) -> Option<Duration> {
        Some((entry.made_at + entry.oldest).saturating_duration_since(now))
    }

    fn expire_after_update(
        &self,
        key: &CacheKey,
        entry: &Arc<Entry<V>>,
        now: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        self.expire_after_create(key, entry, now)
    }
}

impl<V: Stored + Send + Sync + 'static> ReadThrough<V> {
    /// A cache of values that are shown until they are `oldest`. Zero turns it off.
    pub(crate) fn new(kind: &'static str, oldest: Duration, shared: Option<Arc<dyn SharedCache>>) -> Self {
        let entries = Cache::builder().max_capacity(ENTRIES).expire_after(WhenOld).build();
        Self { entries, shared, oldest, counts: Counts::of(kind) }
    }

    /// The value, from wherever it is to be had.
    pub(crate) async fn get<F, L>(&self, key: CacheKey, load: F) -> Result<Arc<Entry<V>>, RepositoryError>
    where
        F: Fn() -> L + Send + Sync,
        L: Future<Output = Result<V, RepositoryError>> + Send,
    {
        if self.oldest.is_zero() {
            return self.load(&load).await.map(Arc::new);
        }
        let entry = match self.entries.get(&key).await {
            Some(entry) => {
                self.counts.hits.increment(1);
                entry
            }
            None => {
                self.counts.misses.increment(1);
                let fetch = async { self.fetch(&key, &load).await.map(Arc::new) };
                self.entries.entry(key).or_try_insert_with(fetch).await.map_err(told_to_many)?.into_value()
            }
        };
        self.counts.age.record(entry.made_at.elapsed().as_secs_f64());
        match entry.is_getting_old() {
            true => Ok(self.renewed(&key, entry, &load).await),
            false => Ok(entry),
        }
    }

    /// One caller makes a new value while the others get the old one. If it cannot be made, the old one will do.
    async fn renewed<F, L>(&self, key: &CacheKey, old: Arc<Entry<V>>, load: &F) -> Arc<Entry<V>>
    where
        F: Fn() -> L + Send + Sync,
        L: Future<Output = Result<V, RepositoryError>> + Send,
    {
        if old.renewing.swap(true, Ordering::AcqRel) {
            return old;
        }
        let renewing = Renewing(&old.renewing);
        let Ok(new) = self.fetch(key, load).await else {
            drop(renewing);
            return old;
        };
        let new = Arc::new(new);
        self.entries.insert(*key, Arc::clone(&new)).await;
        new
    }

    /// From what all instances share, or made for them.
    async fn fetch<F, L>(&self, key: &CacheKey, load: &F) -> Result<Entry<V>, RepositoryError>
    where
        F: Fn() -> L + Send + Sync,
        L: Future<Output = Result<V, RepositoryError>> + Send,
    {
        let Some(shared) = &self.shared else { return self.load(load).await };
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let found = shared.get(key).await.and_then(|found| self.read(found));
            let is_good = found.as_ref().is_some_and(|entry| !entry.is_getting_old());
            let maker = if is_good { Maker::Other } else { shared.maker(key).await };
            match (found, maker) {
                (Some(entry), Maker::Other) => {
                    self.counts.shared_hits.increment(1);
                    return Ok(entry);
                }
                (Some(old), Maker::Caller) => {
                    return Ok(self.make(shared.as_ref(), key, load).await.unwrap_or(old));
                }
                (None, Maker::Caller) => return self.make(shared.as_ref(), key, load).await,
                (None, Maker::Other) => tokio::time::sleep(LOOK).await,
            }
        }
        self.load(load).await
    }

    fn read(&self, found: CachedText) -> Option<Entry<V>> {
        let age = self.oldest.checked_sub(found.remaining)?;
        Some(Entry::new(V::read(&found.text)?, Instant::now().checked_sub(age)?, self.oldest))
    }

    async fn make<F, L>(
        &self,
        shared: &dyn SharedCache,
        key: &CacheKey,
        load: &F,
    ) -> Result<Entry<V>, RepositoryError>
    where
        F: Fn() -> L + Send + Sync,
        L: Future<Output = Result<V, RepositoryError>> + Send,
    {
        let made = self.load(load).await;
        let text = made.as_ref().ok().and_then(|entry| {
            let remaining = self.oldest.saturating_sub(entry.made_at.elapsed());
            Some(CachedText { text: entry.value.write()?, remaining })
        });
        shared.made(key, text.as_ref()).await;
        made
    }

    /// A value is as old as the question.
    async fn load<F, L>(&self, load: &F) -> Result<Entry<V>, RepositoryError>
    where
        F: Fn() -> L + Send + Sync,
        L: Future<Output = Result<V, RepositoryError>> + Send,
    {
        self.counts.loads.increment(1);
        let asked_at = Instant::now();
        Ok(Entry::new(load().await?, asked_at, self.oldest))
    }
}

/// Lets somebody else try when making a new value failed or was given up.
struct Renewing<'a>(&'a AtomicBool);

impl Drop for Renewing<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// Many may have waited for the one question that failed.
fn told_to_many(error: Arc<RepositoryError>) -> RepositoryError {
    match *error {
        RepositoryError::Conflict(_) => RepositoryError::Conflict(error.into()),
        RepositoryError::Transient(_) => RepositoryError::Transient(error.into()),
        RepositoryError::Backend(_) => RepositoryError::Backend(error.into()),
    }
}

#[cfg(test)]
mod tests;
