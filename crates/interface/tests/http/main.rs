//! The whole server over HTTP, on both databases.

mod support;

mod access;
mod accounts;
mod api;
mod bad_input;
mod caching;
mod coupons;
mod deferred;
mod document;
mod idempotency;
mod keys;
mod lifecycle;
mod limits;
mod operations;
mod order_changes;
mod outage;
mod outbox;
mod overload;
mod redis;
mod tokens;
