//! The whole server over HTTP, on both databases.

mod support;

mod access;
mod accounts;
mod admin_wallets;
mod api;
mod bad_input;
mod caching;
mod cart;
mod catalogue;
mod coupon_changes;
mod coupons;
mod deferred;
mod document;
mod exports;
mod idempotency;
mod keys;
mod lifecycle;
mod limits;
mod operations;
mod order_book;
mod order_changes;
mod outage;
mod outbox;
mod overload;
mod redis;
mod stores;
mod tokens;
mod trail;
