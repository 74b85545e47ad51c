//! What every database behind the ports must do: one suite, run on SQLite and on MariaDB or MySQL.

mod audit;
mod carts;
mod catalogue;
mod coupon_reads;
mod coupons;
mod deferred;
mod exports;
mod group_commit;
mod guards;
mod ids;
mod jobs;
mod lifecycle;
mod order_book;
mod outbox;
mod outbox_queries;
mod past_orders;
mod queries;
mod schema;
mod stores;
mod support;
mod variants;
mod writes;

/// Runs each test on both databases, each time on a fresh one.
macro_rules! on_both_databases {
    ($($(#[$attribute:meta])* $name:ident)*) => {
        mod on_sqlite {
            $($(#[$attribute])* #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::support::Shop::on_sqlite().await).await;
            })*
        }

        mod on_mysql {
            $($(#[$attribute])* #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::support::Shop::on_mysql().await).await;
            })*
        }
    };
}
pub(crate) use on_both_databases;
