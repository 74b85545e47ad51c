//! The ports of [`jangteo_application`] kept in this process, for one instance: a cache in front of the catalogue and
//! the gate before coupon claims. Both may forget everything at any moment; the database decides.

mod cached_catalogue;
mod coupon_gate;

pub use cached_catalogue::{CacheSettings, CachedCatalogue};
pub use coupon_gate::MemoryCouponGate;
