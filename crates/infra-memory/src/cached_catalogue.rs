//! A cache in front of the catalogue.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jangteo_application::cache::{CacheKey, CatalogueNews, SharedCache, StockLeft, StockNews};
use jangteo_application::queries::{
    CatalogueQueries, Page, PageRequest, PopularProducts, ProductDetail, ProductList, ProductView,
};
use jangteo_domain::coupon::Coupon;
use jangteo_domain::{CouponCode, ProductId, RepositoryError};
use moka::sync::Cache;

use crate::read_through::ReadThrough;

/// How old answers may be. Zero turns caching off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheSettings {
    /// Product pages and products, with their stock, and coupons on offer, with how many are left.
    pub products: Duration,
    /// Popular products and best sellers.
    pub popular: Duration,
}

/// Answers from memory, or from what all instances share, what was asked a moment ago.
pub struct CachedCatalogue {
    source: Arc<dyn CatalogueQueries>,
    pages: Arc<ReadThrough<Page<ProductView>>>,
    /// Apart from the other pages, and not shared: anybody can look for whatever words they like.
    searches: Arc<ReadThrough<Page<ProductView>>>,
    products: Arc<ReadThrough<Option<ProductDetail>>>,
    popular: Arc<ReadThrough<PopularProducts>>,
    best_sellers: Arc<ReadThrough<PopularProducts>>,
    offers: Arc<ReadThrough<Page<Coupon>>>,
    /// What this instance sold or took back after the answers may have been made.
    sold: RwLock<Sold>,
    /// When administrators last changed a product by way of this instance.
    changed: Cache<ProductId, Instant>,
    /// When they last changed any.
    last_change: RwLock<Option<Instant>>,
}

impl CachedCatalogue {
    /// A cache in front of `source`.
    #[must_use]
    pub fn new(
        source: Arc<dyn CatalogueQueries>,
        settings: CacheSettings,
        shared: Option<Arc<dyn SharedCache>>,
    ) -> Self {
        let CacheSettings { products, popular } = settings;
        Self {
            source,
            pages: ReadThrough::new("product-pages", products, shared.clone()),
            searches: ReadThrough::new("product-searches", products, None),
            products: ReadThrough::new("products", products, shared.clone()),
            popular: ReadThrough::new("popular-products", popular, shared.clone()),
            best_sellers: ReadThrough::new("best-sellers", popular, shared.clone()),
            offers: ReadThrough::new("coupon-offers", products, shared),
            sold: RwLock::new(Sold::lately(products)),
            // An answer that is older than that is not shown.
            changed: Cache::builder().time_to_live(products.max(Duration::from_millis(1))).build(),
            last_change: RwLock::new(None),
        }
    }

    /// Shows in an answer what this instance has sold and taken back since it was made.
    fn up_to_date<'a>(&self, made_at: Instant, products: impl IntoIterator<Item = &'a mut ProductView>) {
        let sold = self.sold.read().unwrap_or_else(PoisonError::into_inner);
        if sold.last.is_none_or(|last| last <= made_at) {
            return;
        }
        for product in products {
            if let Some((left, at)) = sold.left.get(&product.id)
                && *at > made_at
            {
                if left.sold {
                    // More than there was came back with orders that were cancelled.
                    product.sales_volume = (product.sales_volume + product.stock - left.stock).max(0);
                }
                product.stock = left.stock;
            }
        }
    }

    fn left_at(&self, now: Instant, stock: &[StockLeft]) {
        self.sold.write().unwrap_or_else(PoisonError::into_inner).add(now, stock);
    }
}

/// What was sold and taken back lately.
struct Sold {
    left: HashMap<ProductId, (StockLeft, Instant)>,
    /// When anything was: answers that are younger need not be looked through.
    last: Option<Instant>,
    /// An answer that is older than that is not shown.
    lately: Duration,
    cleared: Option<Instant>,
}

impl Sold {
    fn lately(lately: Duration) -> Self {
        Self { left: HashMap::new(), last: None, lately, cleared: None }
    }

    /// Several may tell at the same time: who looked at the clock first may be the last to write.
    fn add(&mut self, now: Instant, stock: &[StockLeft]) {
        for left in stock {
            let known = self.left.entry(left.product).or_insert((*left, now));
            if known.0.decided <= left.decided {
                *known = (*left, now);
            }
        }
        self.last = self.last.max(Some(now));
        if self.cleared.is_none_or(|cleared| now.saturating_duration_since(cleared) > self.lately) {
            self.left.retain(|_, (_, at)| now.saturating_duration_since(*at) <= self.lately);
            self.cleared = Some(now);
        }
    }
}

impl StockNews for CachedCatalogue {
    fn left(&self, stock: &[StockLeft]) {
        if !stock.is_empty() {
            self.left_at(Instant::now(), stock);
        }
    }
}

/// What was read before is not shown any more.
impl CatalogueNews for CachedCatalogue {
    fn changed(&self, product: ProductId) {
        let now = Instant::now();
        self.changed.insert(product, now);
        *self.last_change.write().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }
}

#[async_trait]
impl CatalogueQueries for CachedCatalogue {
    async fn products(&self, list: ProductList) -> Result<Page<ProductView>, RepositoryError> {
        let since = *self.last_change.read().unwrap_or_else(PoisonError::into_inner);
        let pages = if list.search.is_some() { &self.searches } else { &self.pages };
        let load = || {
            let (source, list) = (Arc::clone(&self.source), list.clone());
            async move { source.products(list).await }
        };
        let entry = pages.get(CacheKey::ProductPage(list.clone()), since, load).await?;
        let mut page = entry.value.clone();
        self.up_to_date(entry.made_at, &mut page.content);
        Ok(page)
    }

    async fn product(&self, id: ProductId) -> Result<Option<ProductDetail>, RepositoryError> {
        let load = || {
            let source = Arc::clone(&self.source);
            async move { source.product(id).await }
        };
        let entry = self.products.get(CacheKey::Product(id), self.changed.get(&id), load).await?;
        let mut detail = entry.value.clone();
        self.up_to_date(entry.made_at, detail.as_mut().map(|detail| &mut detail.product));
        Ok(detail)
    }

    async fn popular(&self, days: u32, limit: u32) -> Result<PopularProducts, RepositoryError> {
        let key = CacheKey::Popular { days, limit };
        let load = || {
            let source = Arc::clone(&self.source);
            async move { source.popular(days, limit).await }
        };
        let entry = self.popular.get(key, None, load).await?;
        Ok(entry.value.clone())
    }

    async fn best_sellers(&self, limit: u32) -> Result<PopularProducts, RepositoryError> {
        let key = CacheKey::BestSellers { limit };
        let load = || {
            let source = Arc::clone(&self.source);
            async move { source.best_sellers(limit).await }
        };
        let entry = self.best_sellers.get(key, None, load).await?;
        Ok(entry.value.clone())
    }

    async fn coupon_offers(&self, page: PageRequest) -> Result<Page<Coupon>, RepositoryError> {
        let load = || {
            let source = Arc::clone(&self.source);
            async move { source.coupon_offers(page).await }
        };
        let entry = self.offers.get(CacheKey::CouponOffers(page), None, load).await?;
        Ok(entry.value.clone())
    }

    /// Not cached: it is found by its key, and anybody can ask for codes without end.
    async fn coupon_offer(&self, code: CouponCode) -> Result<Option<Coupon>, RepositoryError> {
        self.source.coupon_offer(code).await
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use jangteo_domain::{Money, OrderId, StoreId};
    use mockall::mock;

    use super::*;

    mock! {
        Source {}

        #[async_trait]
        impl CatalogueQueries for Source {
            async fn products(&self, list: ProductList) -> Result<Page<ProductView>, RepositoryError>;
            async fn product(&self, id: ProductId) -> Result<Option<ProductDetail>, RepositoryError>;
            async fn popular(&self, days: u32, limit: u32) -> Result<PopularProducts, RepositoryError>;
            async fn best_sellers(&self, limit: u32) -> Result<PopularProducts, RepositoryError>;
            async fn coupon_offers(&self, page: PageRequest) -> Result<Page<Coupon>, RepositoryError>;
            async fn coupon_offer(&self, code: CouponCode) -> Result<Option<Coupon>, RepositoryError>;
        }
    }

    fn left(product: i64, stock: i64) -> StockLeft {
        let decided = (DateTime::UNIX_EPOCH, OrderId(product));
        StockLeft { product: ProductId(product), stock, sold: true, decided }
    }

    #[test]
    fn a_sale_shows_though_an_earlier_one_is_told_after_it() {
        let minute = Duration::from_secs(60);
        let settings = CacheSettings { products: minute, popular: minute };
        let catalogue = CachedCatalogue::new(Arc::new(MockSource::new()), settings, None);
        let earlier = Instant::now();
        let later = earlier + Duration::from_millis(2);
        catalogue.left_at(later, &[left(1, 9)]);
        catalogue.left_at(earlier, &[left(2, 4)]);
        let mut product = ProductView {
            id: ProductId(1),
            store: StoreId(1),
            store_name: "Store".to_owned(),
            name: "Shirt".to_owned(),
            price: Money::ZERO,
            stock: 10,
            sales_volume: 0,
            created_at: DateTime::UNIX_EPOCH,
        };
        catalogue.up_to_date(earlier + Duration::from_millis(1), [&mut product]);
        assert_eq!((product.stock, product.sales_volume), (9, 1));
    }
}
