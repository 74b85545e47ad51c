//! A cache in front of the catalogue.

use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jangteo_application::queries::{
    CatalogueQueries, Page, PageRequest, PopularProducts, ProductList, ProductView,
};
use jangteo_domain::{Coupon, CouponCode, ProductId, RepositoryError};
use metrics::counter;
use moka::future::Cache;

/// Entries of each kind that are kept.
const ENTRIES: u64 = 10_000;

/// Older lists of popular products are not shown, not even while a new one is made.
const OLDEST_POPULAR: Duration = Duration::from_secs(60);

/// How old answers may be. Zero turns caching off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheSettings {
    /// Product pages and products, with their stock.
    pub products: Duration,
    /// Popular products.
    pub popular: Duration,
}

/// Answers from memory what was asked a moment ago. Simultaneous questions become one.
pub struct CachedCatalogue {
    source: Arc<dyn CatalogueQueries>,
    settings: CacheSettings,
    pages: Cache<ProductList, Arc<Page<ProductView>>>,
    products: Cache<ProductId, Arc<Option<ProductView>>>,
    popular: Cache<(u32, u32), Arc<Popular>>,
}

/// A list of popular products, and whether somebody is making a new one.
struct Popular {
    list: PopularProducts,
    loaded_at: Instant,
    renewing: AtomicBool,
}

fn expiring<K: Eq + Hash + Send + Sync + 'static, V: Clone + Send + Sync + 'static>(
    ttl: Duration,
) -> Cache<K, V> {
    Cache::builder().max_capacity(ENTRIES).time_to_live(ttl).build()
}

fn count(cache: &'static str, fresh: bool) {
    let name = if fresh { "jangteo_cache_misses_total" } else { "jangteo_cache_hits_total" };
    counter!(name, "cache" => cache).increment(1);
}

/// Many may have waited for the one question that failed.
fn shared(error: Arc<RepositoryError>) -> RepositoryError {
    match *error {
        RepositoryError::Conflict(_) => RepositoryError::Conflict(error.into()),
        RepositoryError::Transient(_) => RepositoryError::Transient(error.into()),
        RepositoryError::Backend(_) => RepositoryError::Backend(error.into()),
    }
}

impl CachedCatalogue {
    /// A cache in front of `source`.
    #[must_use]
    pub fn new(source: Arc<dyn CatalogueQueries>, settings: CacheSettings) -> Self {
        Self {
            source,
            settings,
            pages: expiring(settings.products),
            products: expiring(settings.products),
            popular: expiring(OLDEST_POPULAR),
        }
    }

    async fn load_popular(&self, days: u32, limit: u32) -> Result<Arc<Popular>, RepositoryError> {
        let list = self.source.popular(days, limit).await?;
        Ok(Arc::new(Popular { list, loaded_at: Instant::now(), renewing: AtomicBool::new(false) }))
    }

    /// One caller makes the new list while the others get the old one.
    async fn renew(&self, key: (u32, u32), old: Arc<Popular>) -> Result<Arc<Popular>, RepositoryError> {
        if old.renewing.swap(true, Ordering::AcqRel) {
            return Ok(old);
        }
        let renewing = Renewing(&old);
        let renewed = self.load_popular(key.0, key.1).await?;
        self.popular.insert(key, Arc::clone(&renewed)).await;
        std::mem::forget(renewing);
        Ok(renewed)
    }
}

/// Lets somebody else try when making the new list failed or was given up.
struct Renewing<'a>(&'a Popular);

impl Drop for Renewing<'_> {
    fn drop(&mut self) {
        self.0.renewing.store(false, Ordering::Release);
    }
}

#[async_trait]
impl CatalogueQueries for CachedCatalogue {
    async fn products(&self, list: ProductList) -> Result<Page<ProductView>, RepositoryError> {
        if self.settings.products.is_zero() {
            return self.source.products(list).await;
        }
        let load = async { self.source.products(list).await.map(Arc::new) };
        let entry = self.pages.entry(list).or_try_insert_with(load).await.map_err(shared)?;
        count("product-pages", entry.is_fresh());
        Ok(Page::clone(entry.value()))
    }

    async fn product(&self, id: ProductId) -> Result<Option<ProductView>, RepositoryError> {
        if self.settings.products.is_zero() {
            return self.source.product(id).await;
        }
        let load = async { self.source.product(id).await.map(Arc::new) };
        let entry = self.products.entry(id).or_try_insert_with(load).await.map_err(shared)?;
        count("products", entry.is_fresh());
        Ok(Option::clone(entry.value()))
    }

    async fn popular(&self, days: u32, limit: u32) -> Result<PopularProducts, RepositoryError> {
        if self.settings.popular.is_zero() {
            return self.source.popular(days, limit).await;
        }
        let key = (days, limit);
        let load = self.load_popular(days, limit);
        let entry = self.popular.entry(key).or_try_insert_with(load).await.map_err(shared)?;
        count("popular-products", entry.is_fresh());
        let popular = entry.into_value();
        let popular = match popular.loaded_at.elapsed() < self.settings.popular {
            true => popular,
            false => self.renew(key, popular).await?,
        };
        Ok(popular.list.clone())
    }

    async fn best_sellers(&self, limit: u32) -> Result<PopularProducts, RepositoryError> {
        self.source.best_sellers(limit).await
    }

    async fn coupon_offers(&self, page: PageRequest) -> Result<Page<Coupon>, RepositoryError> {
        self.source.coupon_offers(page).await
    }

    async fn coupon_offer(&self, code: CouponCode) -> Result<Option<Coupon>, RepositoryError> {
        self.source.coupon_offer(code).await
    }
}
