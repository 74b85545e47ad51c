//! What the shop does: use cases over the rules of [`jangteo_domain`], and the ports to the outside.
//!
//! Every write goes one way. A [`Batcher`] queues commands of one [`Operation`] and executes what has queued in one
//! [`UnitOfWork`]: lock, look up idempotency keys, decide each command in arrival order, write with set-based
//! statements, commit once, answer each caller. Reads go straight to the [`queries`] ports.
//!
//! | to find | look in |
//! |---|---|
//! | a use case | [`place_orders`], [`pay_orders`], [`cancel_orders`], [`fulfil_orders`], [`charge_wallets`], [`claim_coupons`], [`register_users`], [`manage_accounts`], [`change_carts`], [`order_carts`], [`adjust_wallets`] |
//! | how commands share a transaction | [`batcher`], [`operation`] |
//! | how a stampede for a coupon is let in | [`coupon_claims`], [`coupon_gate`] |
//! | how a retry gets the same answer | [`idempotency`], [`operation`] |
//! | what goes to the data platform, and how | [`outbox`], [`relay`], [`cloud_event`] |
//! | what operators see of it, and what they can do | [`outbox_queries`], [`outbox_watch`], [`redelivery`] |
//! | what administrators change | [`edit_products`], [`adjust_stock`], [`trail`], [`versions`] |
//! | what they read in bulk | [`exports`], [`order_book`] |
//! | what is done now and then, by one instance | [`jobs`] |
//! | the ports that infrastructure implements | [`unit_of_work`], [`queries`], [`account_queries`], [`product_queries`], [`outbox_queries`], [`ids`], [`coupon_gate`], [`cache`], [`rate_limit`], [`audit`], [`jobs`], [`event_sink`], [`exports`], [`order_book`] |

pub mod account_queries;
pub mod adjust_stock;
pub mod adjust_wallets;
pub mod audit;
pub mod back_office_queries;
pub mod batcher;
pub mod cache;
pub mod cancel_orders;
mod cart_snapshot;
pub mod change_carts;
pub mod charge_wallets;
pub mod claim_coupons;
pub mod clock;
pub mod cloud_event;
#[cfg(feature = "contracts")]
pub mod contracts;
pub mod coupon_claims;
pub mod coupon_gate;
mod coupon_record;
pub mod edit_products;
pub mod event_sink;
pub mod exports;
pub mod fulfil_orders;
pub mod idempotency;
pub mod ids;
pub mod jobs;
pub mod manage_accounts;
pub mod manage_coupons;
pub mod manage_stores;
pub mod operation;
pub mod order_book;
pub mod order_carts;
pub mod outbox;
pub mod outbox_queries;
pub mod outbox_watch;
pub mod pay_orders;
pub mod place_orders;
mod placed_orders;
pub mod product_queries;
pub mod queries;
pub mod rate_limit;
pub mod redelivery;
pub mod register_users;
pub mod relay;
pub mod seeding;
mod snapshot;
pub mod trail;
pub mod unit_of_work;
pub mod versions;

#[cfg(test)]
mod mocks;

pub use account_queries::AccountQueries;
pub use audit::{Audit, AuditReport};
pub use batcher::{Batcher, BatcherSettings};
pub use clock::{Clock, SystemClock};
pub use coupon_claims::CouponClaims;
pub use coupon_gate::{CouponGate, CouponPlaces};
pub use event_sink::EventSink;
pub use exports::Exports;
pub use idempotency::{IdempotencyKey, IdempotencyQueries};
pub use ids::{IdAllocator, Sequence};
pub use operation::{Answer, Operation, Submission, WriteError};
pub use order_book::OrderBook;
pub use outbox_queries::OutboxQueries;
pub use outbox_watch::OutboxWatch;
pub use product_queries::ManagedCatalogue;
pub use rate_limit::RateLimiter;
pub use redelivery::Redeliverer;
pub use relay::{Relay, RelaySettings};
pub use unit_of_work::{Database, UnitOfWork};
