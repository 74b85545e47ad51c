//! The rows of the database, one module per table, exactly as stored: amounts in minor units, states as text.
//! Conversion into the domain's types, and what to do about a corrupt row, is the repositories' business.

#![expect(
    unreachable_pub,
    reason = "DeriveEntityModel generates public items, whose types must be public too"
)]

pub mod admin_changes;
pub mod cart_items;
pub mod coupon_gates;
pub mod coupon_history;
pub mod coupons;
pub mod hourly_sales;
pub mod id_blocks;
pub mod idempotency_keys;
pub mod installation;
pub mod job_leases;
pub mod ledger_entries;
pub mod order_holds;
pub mod order_items;
pub mod orders;
pub mod outbox;
pub mod payment_history;
pub mod payments;
pub mod product_images;
pub mod products;
pub mod returned_tickets;
pub mod stock_movements;
pub mod stores;
pub mod user_coupons;
pub mod users;
pub mod variants;
pub mod wallets;
