//! The whole server over HTTP, on both databases.

mod support;

mod api;
mod bad_input;
mod caching;
mod coupon_changes;
mod coupons;
mod document;
mod idempotency;
mod lifecycle;
mod limits;
mod operations;
mod order_changes;
mod outage;
mod outbox;
mod overload;
mod redis;
mod stores;
mod trail;
