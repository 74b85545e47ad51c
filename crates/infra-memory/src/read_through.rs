//! Values that were read a moment ago, in front of what all instances share and of the source behind that.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jangteo_application::cache::{CacheKey, CachedText, Maker, SharedCache, Stored};
use jangteo_domain::RepositoryError;
use metrics::{Counter, Histogram, counter, histogram};
use moka::Expiry;
use moka::future::Cache;

/// How much is kept of one kind of values, in [`Stored::weight`].
const ROOM: u64 = 64 * 1024 * 1024;
/// What an entry weighs beside its value, its key included.
const ENTRY: usize = 512;
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

    fn is_as_of(&self, moment: Option<Instant>) -> bool {
        moment.is_none_or(|moment| self.made_at >= moment)
    }

    fn can_be_shown(&self) -> bool {
        self.made_at.elapsed() < self.oldest
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
    pub(crate) fn new(
        kind: &'static str,
        oldest: Duration,
        shared: Option<Arc<dyn SharedCache>>,
    ) -> Arc<Self> {
        let weight = |_: &CacheKey, entry: &Arc<Entry<V>>| {
            u32::try_from(ENTRY + entry.value.weight()).unwrap_or(u32::MAX)
        };
        let entries = Cache::builder().max_capacity(ROOM).weigher(weight).expire_after(WhenOld).build();
        Arc::new(Self { entries, shared, oldest, counts: Counts::of(kind) })
    }

    /// The value, from wherever it is to be had; if there is such a moment, as it was then or later.
    pub(crate) async fn get<L>(
        self: &Arc<Self>,
        key: CacheKey,
        since: Option<Instant>,
        load: impl Fn() -> L + Send + Sync,
    ) -> Result<Arc<Entry<V>>, RepositoryError>
    where
        L: Future<Output = Result<V, RepositoryError>> + Send + 'static,
    {
        if self.oldest.is_zero() {
            return self.load(load()).await.map(Arc::new);
        }
        let entry = loop {
            let entry = self.any(&key, since, &load).await?;
            if entry.is_as_of(since) {
                break entry;
            }
            // Also what somebody began to make before the moment and kept after it.
            self.entries.invalidate(&key).await;
        };
        self.counts.age.record(entry.made_at.elapsed().as_secs_f64());
        Ok(entry)
    }

    async fn any<L>(
        self: &Arc<Self>,
        key: &CacheKey,
        since: Option<Instant>,
        load: &(impl Fn() -> L + Sync),
    ) -> Result<Arc<Entry<V>>, RepositoryError>
    where
        L: Future<Output = Result<V, RepositoryError>> + Send + 'static,
    {
        match self.entries.get(key).await {
            None => {
                self.counts.misses.increment(1);
                self.found(key.clone(), since, load()).await
            }
            Some(entry) => {
                self.counts.hits.increment(1);
                match entry.is_getting_old() {
                    true => self.renewed(key.clone(), since, entry, load()).await,
                    false => Ok(entry),
                }
            }
        }
    }

    /// All who miss a value at the same time wait for one of them.
    async fn found<L>(
        self: &Arc<Self>,
        key: CacheKey,
        since: Option<Instant>,
        load: L,
    ) -> Result<Arc<Entry<V>>, RepositoryError>
    where
        L: Future<Output = Result<V, RepositoryError>> + Send + 'static,
    {
        let this = Arc::clone(self);
        to_the_end(async move {
            let fetch = async { this.fetch(&key, since, load).await.map(Arc::new) };
            let entry = this.entries.entry(key.clone()).or_try_insert_with(fetch).await;
            entry.map(moka::Entry::into_value).map_err(told_to_many)
        })
        .await
    }

    /// One caller makes a new value while the others get the old one. If it cannot be made, the old one will do as long
    /// as it can be shown.
    async fn renewed<L>(
        self: &Arc<Self>,
        key: CacheKey,
        since: Option<Instant>,
        old: Arc<Entry<V>>,
        load: L,
    ) -> Result<Arc<Entry<V>>, RepositoryError>
    where
        L: Future<Output = Result<V, RepositoryError>> + Send + 'static,
    {
        if old.renewing.swap(true, Ordering::AcqRel) {
            return Ok(old);
        }
        let (this, renewing) = (Arc::clone(self), Renewing(old));
        to_the_end(async move {
            let new = match this.fetch(&key, since, load).await {
                Err(_) if renewing.0.can_be_shown() => return Ok(Arc::clone(&renewing.0)),
                fetched => Arc::new(fetched?),
            };
            this.entries.insert(key, Arc::clone(&new)).await;
            Ok(new)
        })
        .await
    }

    /// From what all instances share, or made for them.
    async fn fetch<L>(
        &self,
        key: &CacheKey,
        since: Option<Instant>,
        load: L,
    ) -> Result<Entry<V>, RepositoryError>
    where
        L: Future<Output = Result<V, RepositoryError>> + Send,
    {
        let Some(shared) = &self.shared else { return self.load(load).await };
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let asked_at = Instant::now();
            let found = shared.get(key).await.and_then(|found| self.read(found, asked_at));
            let found = found.filter(|entry| entry.is_as_of(since));
            let is_good = found.as_ref().is_some_and(|entry| !entry.is_getting_old());
            let maker = if is_good { Maker::Other } else { shared.maker(key).await };
            match (found, maker) {
                (Some(entry), Maker::Other) if entry.can_be_shown() => {
                    self.counts.shared_hits.increment(1);
                    return Ok(entry);
                }
                (_, Maker::Other) => tokio::time::sleep(LOOK).await,
                (old, Maker::Caller) => {
                    let made = self.make(shared.as_ref(), key, load).await;
                    return made.or_else(|error| old.filter(Entry::can_be_shown).ok_or(error));
                }
            }
        }
        self.load(load).await
    }

    /// It was true when it was asked for, at the latest: the answer may have been long on its way.
    fn read(&self, found: CachedText, asked_at: Instant) -> Option<Entry<V>> {
        let age = self.oldest.checked_sub(found.remaining)?;
        Some(Entry::new(V::read(&found.text)?, asked_at.checked_sub(age)?, self.oldest))
    }

    async fn make<L>(
        &self,
        shared: &dyn SharedCache,
        key: &CacheKey,
        load: L,
    ) -> Result<Entry<V>, RepositoryError>
    where
        L: Future<Output = Result<V, RepositoryError>> + Send,
    {
        let made = self.load(load).await;
        let text = made.as_ref().ok().and_then(|entry| {
            let text = entry.value.write()?;
            Some(CachedText { text, remaining: self.oldest.saturating_sub(entry.made_at.elapsed()) })
        });
        shared.made(key, text.as_ref()).await;
        made
    }

    /// A value is as old as the question.
    async fn load<L>(&self, load: L) -> Result<Entry<V>, RepositoryError>
    where
        L: Future<Output = Result<V, RepositoryError>> + Send,
    {
        self.counts.loads.increment(1);
        let asked_at = Instant::now();
        Ok(Entry::new(load.await?, asked_at, self.oldest))
    }
}

/// Lets somebody else try when making a new value is over, however it ended.
struct Renewing<V>(Arc<Entry<V>>);

impl<V> Drop for Renewing<V> {
    fn drop(&mut self) {
        self.0.renewing.store(false, Ordering::Release);
    }
}

/// Goes on though the caller goes away, as requests do whose clients hang up: other instances wait for what was begun, and
/// so do other callers, who panic in moka when a few hundred before them have given up.
async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, RepositoryError>> + Send + 'static,
) -> Result<T, RepositoryError> {
    tokio::spawn(work).await.unwrap_or_else(|error| match error.try_into_panic() {
        Ok(panic) => resume_unwind(panic),
        // The runtime shuts down.
        Err(error) => Err(RepositoryError::Transient(error.into())),
    })
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
