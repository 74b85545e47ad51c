//! What instances cache together, under typed keys.
//!
//! Every instance keeps what it read a moment ago in memory. A [`SharedCache`] behind that saves the database the same
//! question from each of them. Nothing depends on it: whatever cannot be had from it is a miss.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use jangteo_domain::product::{StockMovement, StockMovementKind};
use jangteo_domain::{OrderId, ProductId};

use crate::queries::{Direction, PageRequest, ProductList, ProductSort};

mod stored;

pub use stored::Stored;

/// What is cached.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CacheKey {
    /// A page of products.
    ProductPage(ProductList),
    /// One product.
    Product(ProductId),
    /// Products that sold well lately.
    Popular {
        /// How far it reaches back.
        days: u32,
        /// How many.
        limit: u32,
    },
    /// Products that sold best ever.
    BestSellers {
        /// How many.
        limit: u32,
    },
    /// A page of the coupons on offer.
    CouponOffers(PageRequest),
}

impl CacheKey {
    /// Names the kind in metrics.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::ProductPage(_) => "product-pages",
            Self::Product(_) => "products",
            Self::Popular { .. } => "popular-products",
            Self::BestSellers { .. } => "best-sellers",
            Self::CouponOffers(_) => "coupon-offers",
        }
    }
}

/// Different keys are written differently.
impl fmt::Display for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind();
        match self {
            Self::ProductPage(ProductList { search, store, in_stock, page, sort, direction }) => {
                let sort = match sort {
                    ProductSort::CreatedAt => "created",
                    ProductSort::Price => "price",
                    ProductSort::Name => "name",
                    ProductSort::SalesVolume => "sales",
                };
                let direction = match direction {
                    Direction::Ascending => "asc",
                    Direction::Descending => "desc",
                };
                write!(f, "{kind}:{}:{}:{sort}:{direction}", page.page, page.size)?;
                store.iter().try_for_each(|store| write!(f, ":store={store}"))?;
                in_stock.iter().try_for_each(|in_stock| write!(f, ":in-stock={in_stock}"))?;
                search.iter().try_for_each(|search| write!(f, ":words={search}"))
            }
            Self::Product(product) => write!(f, "{kind}:{product}"),
            Self::Popular { days, limit } => write!(f, "{kind}:{days}:{limit}"),
            Self::BestSellers { limit } => write!(f, "{kind}:{limit}"),
            Self::CouponOffers(page) => write!(f, "{kind}:{}:{}", page.page, page.size),
        }
    }
}

/// A value that was cached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedText {
    /// The value, as [`Stored`] writes it.
    pub text: String,
    /// For how long it may still be shown.
    pub remaining: Duration,
}

/// Who makes a value that is missing or getting old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Maker {
    /// The caller, for all instances.
    Caller,
    /// Somebody else, who is at it.
    Other,
}

/// What all instances have cached. It may be away: then nothing is found, and everybody makes what they need.
#[async_trait]
pub trait SharedCache: Send + Sync {
    /// A value that may still be shown.
    async fn get(&self, key: &CacheKey) -> Option<CachedText>;

    /// Who is to make a value. For a moment, one caller is told to, whatever instance asks.
    async fn maker(&self, key: &CacheKey) -> Maker;

    /// Keeps what the caller has made for as long as it may be shown; nothing if it could not be made. Then somebody else
    /// may make it.
    async fn made(&self, key: &CacheKey, value: Option<&CachedText>);
}

/// What an order that this instance placed or cancelled left of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StockLeft {
    /// The product.
    pub product: ProductId,
    /// Pieces left.
    pub stock: i64,
    /// Whether what left the stock was sold, and what came back had been: what is held is not.
    pub sold: bool,
    /// When that was decided, and of which order: later ones know better.
    pub decided: (DateTime<Utc>, OrderId),
}

impl StockLeft {
    /// What an order's movements left, once for each product.
    pub(crate) fn after(movements: &[StockMovement], order: OrderId) -> Vec<Self> {
        let left = movements.iter().map(|movement| {
            let (product, stock) = (movement.sku.product, movement.stock_after);
            let sold = matches!(movement.kind, StockMovementKind::Sale | StockMovementKind::Return { .. });
            (product, Self { product, stock, sold, decided: (movement.at, order) })
        });
        left.collect::<BTreeMap<_, _>>().into_values().collect()
    }
}

/// Learns what administrators changed by way of this instance, so that it shows at once.
pub trait CatalogueNews: Send + Sync {
    /// A product was added or changed, or its stock was.
    fn changed(&self, product: ProductId);
}

/// Learns what this instance has sold and taken back, so that it shows at once.
pub trait StockNews: Send + Sync {
    /// Orders were placed or cancelled that left so much.
    fn left(&self, stock: &[StockLeft]);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use jangteo_domain::StoreId;

    use super::*;
    use crate::queries::Search;

    #[test]
    fn different_pages_are_kept_under_different_names() {
        let list = ProductList {
            search: None,
            store: None,
            in_stock: None,
            page: PageRequest { page: 0, size: 20 },
            sort: ProductSort::Name,
            direction: Direction::Ascending,
        };
        let lists = [
            ProductList { store: Some(StoreId(1)), ..list.clone() },
            ProductList { store: Some(StoreId(2)), ..list.clone() },
            ProductList { in_stock: Some(true), ..list.clone() },
            ProductList { in_stock: Some(false), ..list.clone() },
            ProductList { search: Search::words_of("true"), ..list.clone() },
            ProductList { direction: Direction::Descending, ..list.clone() },
            list,
        ];
        let names: BTreeSet<String> =
            lists.into_iter().map(|list| CacheKey::ProductPage(list).to_string()).collect();
        assert_eq!(names.len(), 7);
        assert!(names.contains("product-pages:0:20:name:asc"));
    }
}
