use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize};

use async_trait::async_trait;
use jangteo_domain::RepositoryError;
use tokio::time::{sleep, timeout};

use super::*;

/// What is cached in these tests.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Number(usize);

impl Stored for Number {
    fn write(&self) -> Option<String> {
        Some(self.0.to_string())
    }

    fn read(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }

    fn weight(&self) -> usize {
        size_of::<Self>()
    }
}

const KEY: CacheKey = CacheKey::BestSellers { limit: 10 };
const A_WHILE: Duration = Duration::from_secs(1);

/// 1, 2, 3..., each after a moment.
#[derive(Default)]
struct Source {
    asked: AtomicUsize,
    broken: AtomicBool,
    dragging_ms: AtomicU64,
}

impl Source {
    async fn next(&self) -> Result<Number, RepositoryError> {
        let number = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        sleep(Duration::from_millis(20 + self.dragging_ms.load(Ordering::SeqCst))).await;
        match self.broken.load(Ordering::SeqCst) {
            true => Err(RepositoryError::Transient("away".into())),
            false => Ok(Number(number)),
        }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// What instances share, in one process.
#[derive(Default)]
struct Shared {
    values: Mutex<HashMap<CacheKey, (CachedText, Instant)>>,
    making: Mutex<Option<CacheKey>>,
}

#[async_trait]
impl SharedCache for Shared {
    async fn get(&self, key: &CacheKey) -> Option<CachedText> {
        let (value, at) = self.values.lock().unwrap().get(key).cloned()?;
        let remaining = value.remaining.checked_sub(at.elapsed())?;
        Some(CachedText { remaining, ..value })
    }

    async fn maker(&self, key: &CacheKey) -> Maker {
        let mut making = self.making.lock().unwrap();
        match *making {
            Some(_) => Maker::Other,
            None => {
                *making = Some(key.clone());
                Maker::Caller
            }
        }
    }

    async fn made(&self, key: &CacheKey, value: Option<&CachedText>) {
        if let Some(value) = value {
            self.values.lock().unwrap().insert(key.clone(), (value.clone(), Instant::now()));
        }
        *self.making.lock().unwrap() = None;
    }
}

/// One whose answers are long on their way.
struct Far(Arc<Shared>);

const FAR: Duration = Duration::from_millis(200);

#[async_trait]
impl SharedCache for Far {
    async fn get(&self, key: &CacheKey) -> Option<CachedText> {
        let found = self.0.get(key).await;
        sleep(FAR).await;
        found
    }

    async fn maker(&self, key: &CacheKey) -> Maker {
        self.0.maker(key).await
    }

    async fn made(&self, key: &CacheKey, value: Option<&CachedText>) {
        self.0.made(key, value).await;
    }
}

/// One that is never there.
struct Away;

#[async_trait]
impl SharedCache for Away {
    async fn get(&self, _: &CacheKey) -> Option<CachedText> {
        None
    }

    async fn maker(&self, _: &CacheKey) -> Maker {
        Maker::Caller
    }

    async fn made(&self, _: &CacheKey, _: Option<&CachedText>) {}
}

fn cache(oldest: Duration, shared: Option<Arc<dyn SharedCache>>) -> Arc<ReadThrough<Number>> {
    ReadThrough::new("numbers", oldest, shared)
}

async fn entry(
    cache: &Arc<ReadThrough<Number>>,
    source: &Arc<Source>,
) -> Result<Arc<Entry<Number>>, RepositoryError> {
    entry_since(None, cache, source).await
}

async fn entry_since(
    since: Option<Instant>,
    cache: &Arc<ReadThrough<Number>>,
    source: &Arc<Source>,
) -> Result<Arc<Entry<Number>>, RepositoryError> {
    let load = || {
        let source = Arc::clone(source);
        async move { source.next().await }
    };
    cache.get(KEY, since, load).await
}

async fn ask(cache: &Arc<ReadThrough<Number>>, source: &Arc<Source>) -> Result<usize, RepositoryError> {
    entry(cache, source).await.map(|entry| entry.value.0)
}

/// Asks, and goes away before there is an answer.
async fn ask_and_go(cache: &Arc<ReadThrough<Number>>, source: &Arc<Source>) {
    timeout(Duration::from_millis(5), ask(cache, source)).await.expect_err("no answer yet");
}

/// Waits until the value is to be renewed, and can still be shown.
async fn get_old(cache: &ReadThrough<Number>) {
    while !cache.entries.get(&KEY).await.expect("it can be shown").is_getting_old() {
        sleep(Duration::from_millis(1)).await;
    }
}

async fn many_ask(caches: &[Arc<ReadThrough<Number>>], source: &Arc<Source>) -> Vec<usize> {
    let asking: Vec<_> = (0..500)
        .map(|n| {
            let (cache, source) = (Arc::clone(&caches[n % caches.len()]), Arc::clone(source));
            tokio::spawn(async move { ask(&cache, &source).await })
        })
        .collect();
    let mut answers = Vec::new();
    for asked in asking {
        answers.push(asked.await.unwrap().unwrap());
    }
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn simultaneous_questions_are_one_in_an_instance_and_across_instances() {
    let source = Arc::new(Source::default());
    let alone = [cache(Duration::from_secs(60), None)];
    assert_eq!(many_ask(&alone, &source).await, [1; 500]);
    let shared: Arc<dyn SharedCache> = Arc::new(Shared::default());
    let instances = [1, 2, 3].map(|_| cache(Duration::from_secs(60), Some(Arc::clone(&shared))));
    assert_eq!(many_ask(&instances, &source).await, [2; 500]);
    assert_eq!(source.asked(), 2);
}

#[tokio::test]
async fn the_old_value_is_shown_while_one_makes_a_new_one() {
    let source = Arc::new(Source::default());
    let cache = cache(A_WHILE, None);
    assert_eq!(ask(&cache, &source).await.unwrap(), 1);
    get_old(&cache).await;
    let answers = many_ask(&[cache], &source).await;
    assert_eq!(answers.iter().filter(|answer| **answer == 2).count(), 1, "who made it");
    assert_eq!(answers.iter().filter(|answer| **answer == 1).count(), 499);
}

#[tokio::test]
async fn nothing_is_shown_that_is_too_old_wherever_it_was_kept() {
    let source = Arc::new(Source::default());
    let shared: Arc<dyn SharedCache> = Arc::new(Shared::default());
    let [first, second] = [1, 2].map(|_| cache(A_WHILE, Some(Arc::clone(&shared))));
    assert_eq!(ask(&first, &source).await.unwrap(), 1);
    sleep(A_WHILE / 2).await;
    assert_eq!(ask(&second, &source).await.unwrap(), 1, "from the first instance");
    sleep(A_WHILE * 6 / 10).await;
    assert_eq!(ask(&second, &source).await.unwrap(), 2, "its age counts from when it was made");
}

#[tokio::test]
async fn a_failure_is_told_when_there_is_nothing_to_show_and_is_not_kept() {
    let source = Arc::new(Source::default());
    let shared: Arc<dyn SharedCache> = Arc::new(Shared::default());
    let cache = cache(A_WHILE, Some(shared));
    source.broken.store(true, Ordering::SeqCst);
    assert!(ask(&cache, &source).await.is_err());
    source.broken.store(false, Ordering::SeqCst);
    assert_eq!(ask(&cache, &source).await.unwrap(), 2);
    get_old(&cache).await;
    source.broken.store(true, Ordering::SeqCst);
    assert_eq!(ask(&cache, &source).await.unwrap(), 2, "what is there is not too old yet");
}

#[tokio::test]
async fn without_what_is_shared_everybody_makes_their_own() {
    let source = Arc::new(Source::default());
    let [first, second] = [1, 2].map(|_| cache(A_WHILE, Some(Arc::new(Away))));
    assert_eq!(ask(&first, &source).await.unwrap(), 1);
    assert_eq!(ask(&second, &source).await.unwrap(), 2);
    assert_eq!(ask(&first, &source).await.unwrap(), 1);
}

#[tokio::test]
async fn zero_turns_it_off() {
    let source = Arc::new(Source::default());
    let cache = cache(Duration::ZERO, Some(Arc::new(Shared::default())));
    assert_eq!(ask(&cache, &source).await.unwrap(), 1);
    assert_eq!(ask(&cache, &source).await.unwrap(), 2);
}

#[tokio::test]
async fn what_was_begun_is_finished_though_its_caller_goes_away() {
    let source = Arc::new(Source::default());
    let shared: Arc<dyn SharedCache> = Arc::new(Shared::default());
    let [first, second] = [1, 2].map(|_| cache(A_WHILE, Some(Arc::clone(&shared))));
    ask_and_go(&first, &source).await;
    assert_eq!(ask(&second, &source).await.unwrap(), 1, "what the first instance began");
    assert_eq!(source.asked(), 1);
}

#[tokio::test]
async fn a_renewal_is_finished_too() {
    let source = Arc::new(Source::default());
    let cache = cache(A_WHILE, None);
    assert_eq!(ask(&cache, &source).await.unwrap(), 1);
    get_old(&cache).await;
    ask_and_go(&cache, &source).await;
    sleep(Duration::from_millis(100)).await;
    assert_eq!(ask(&cache, &source).await.unwrap(), 2);
    assert_eq!(source.asked(), 2);
}

#[tokio::test]
async fn who_stays_gets_an_answer_however_many_go_away() {
    let source = Arc::new(Source::default());
    source.dragging_ms.store(200, Ordering::SeqCst);
    let cache = cache(A_WHILE, None);
    let asking = || {
        let (cache, source) = (Arc::clone(&cache), Arc::clone(&source));
        tokio::spawn(async move { ask(&cache, &source).await })
    };
    let going: Vec<_> = (0..300).map(|_| asking()).collect();
    let staying = asking();
    for caller in going {
        sleep(Duration::from_millis(1)).await;
        caller.abort();
    }
    assert_eq!(staying.await.expect("no panic").unwrap(), 1);
    assert_eq!(source.asked(), 1);
}

#[tokio::test]
async fn the_way_of_an_answer_counts_as_its_age() {
    let source = Arc::new(Source::default());
    let shared = Arc::new(Shared::default());
    let near = cache(A_WHILE, Some(Arc::clone(&shared) as Arc<dyn SharedCache>));
    let far = cache(A_WHILE, Some(Arc::new(Far(shared))));
    let made = entry(&near, &source).await.unwrap();
    let found = entry(&far, &source).await.unwrap();
    assert_eq!(found.value, made.value);
    let younger = found.made_at.saturating_duration_since(made.made_at);
    assert!(younger < FAR / 10, "{younger:?}");
}

#[tokio::test]
async fn what_is_too_old_is_not_shown_though_a_new_value_cannot_be_made() {
    let source = Arc::new(Source::default());
    let cache = cache(A_WHILE, None);
    assert_eq!(ask(&cache, &source).await.unwrap(), 1);
    get_old(&cache).await;
    source.broken.store(true, Ordering::SeqCst);
    source.dragging_ms.store(400, Ordering::SeqCst);
    assert!(ask(&cache, &source).await.is_err());
}

#[tokio::test]
async fn what_was_read_before_a_moment_is_read_again() {
    let source = Arc::new(Source::default());
    let shared = Arc::new(Shared::default());
    let both: [_; 2] =
        std::array::from_fn(|_| cache(A_WHILE, Some(Arc::clone(&shared) as Arc<dyn SharedCache>)));
    for cache in &both {
        assert_eq!(ask(cache, &source).await.unwrap(), 1);
    }
    let change = Instant::now();
    let entry = entry_since(Some(change), &both[0], &source).await.unwrap();
    assert_eq!(entry.value, Number(2));
    // What all share is new as well, and is not made again; who knows of no change has the old one.
    let third = cache(A_WHILE, Some(shared));
    assert_eq!(entry_since(Some(change), &third, &source).await.unwrap().value, Number(2));
    assert_eq!(ask(&both[1], &source).await.unwrap(), 1);
    assert_eq!(ask(&both[0], &source).await.unwrap(), 2);
}

#[tokio::test]
async fn what_was_begun_before_a_moment_is_not_waited_for_in_vain() {
    let source = Arc::new(Source::default());
    let cache = cache(A_WHILE, None);
    ask_and_go(&cache, &source).await;
    let change = Instant::now();
    let found = entry_since(Some(change), &cache, &source).await.unwrap();
    assert_eq!((found.value.clone(), source.asked()), (Number(2), 2));
    assert!(found.made_at >= change);
    assert_eq!(ask(&cache, &source).await.unwrap(), 2);
}
