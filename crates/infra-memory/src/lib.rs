//! The ports of [`jangteo_application`] kept in this process, for one instance: a cache in front of the catalogue, the
//! gate before coupon claims, and rate limits. All may forget everything at any moment; the database decides.

mod cached_catalogue;
mod coupon_gate;
mod rate_limit;
mod read_through;

pub use cached_catalogue::{CacheSettings, CachedCatalogue};
pub use coupon_gate::MemoryCouponGate;
pub use rate_limit::MemoryRateLimiter;
