//! Redis behind the ports of [`jangteo_application`], for several instances: the gate before coupon claims, the shared
//! cache and the rate limiter. Redis 6.2 or later, or Valkey: alone, behind Sentinel or as a cluster, with or without TLS.
//!
//! It decides nothing about money or stock. It may be flushed, restarted, frozen or gone at any moment: [`Redis`] notices
//! within a short timeout, everybody goes on without it, and it is used again by itself when it is back.
//!
//! ```no_run
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use chrono::TimeDelta;
//! use jangteo_infra_redis::{Redis, RedisCouponGate, RedisSettings};
//!
//! # async fn connect() -> Result<(), Box<dyn std::error::Error>> {
//! let settings = RedisSettings {
//!     url: "redis://127.0.0.1:6379".parse()?,
//!     timeout: Duration::from_millis(200),
//!     namespace: "shop-1".to_owned(),
//! };
//! let redis = Redis::start(settings).await?;
//! let gate = RedisCouponGate::new(redis, TimeDelta::seconds(5));
//! # drop(gate);
//! # Ok(())
//! # }
//! ```

mod cache;
mod client;
mod coupon_gate;
mod rate_limit;
mod url;

pub use cache::RedisCache;
pub use client::{Redis, RedisSettings, SetupError};
pub use coupon_gate::RedisCouponGate;
pub use rate_limit::RedisRateLimiter;
pub use url::{RedisUrl, RedisUrlError};
