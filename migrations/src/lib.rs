//! The database schema of Jangteo, for SQLite, MySQL 8 and MariaDB 10.6 or later.
//!
//! [`Migrator`] brings an empty or older database up to date and records in it what it has applied.
//! `docs/database.md` describes the tables and the rule behind each constraint.
//!
//! A migration that has been released is history: it names tables and columns by plain strings and shares no
//! type with the code that uses them, so that later changes to that code cannot change it.
//!
//! ```
//! use jangteo_migrations::{Migrator, MigratorTrait};
//! use sea_orm_migration::sea_orm::Database;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), sea_orm_migration::DbErr> {
//! let database = Database::connect("sqlite::memory:").await?;
//! Migrator::up(&database, None).await?;
//!
//! assert!(Migrator::get_pending_migrations(&database).await?.is_empty());
//! # Ok(())
//! # }
//! ```

mod m20261121_000001_purchase;
mod m20261121_000002_tickets;
mod m20261121_000003_jobs;
mod m20261121_000004_coupon_reads;
mod m20261121_000005_delivery;
mod m20261121_000006_told_orders;
mod m20261121_000007_whole_shop;
mod m20261121_000008_orders_by_status;
mod table;

pub use sea_orm_migration::MigratorTrait;
use sea_orm_migration::{MigrationTrait, async_trait::async_trait};

/// Every migration of Jangteo, oldest first.
#[derive(Debug)]
pub struct Migrator;

#[async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261121_000001_purchase::Migration),
            Box::new(m20261121_000002_tickets::Migration),
            Box::new(m20261121_000003_jobs::Migration),
            Box::new(m20261121_000004_coupon_reads::Migration),
            Box::new(m20261121_000005_delivery::Migration),
            Box::new(m20261121_000006_told_orders::Migration),
            Box::new(m20261121_000007_whole_shop::Migration),
            Box::new(m20261121_000008_orders_by_status::Migration),
        ]
    }
}

#[cfg(test)]
mod tests {
    use sea_orm_migration::SchemaManager;
    use sea_orm_migration::sea_orm::{ConnectionTrait, Database};

    use super::*;

    const TABLES: [&str; 26] = [
        "users",
        "wallets",
        "stores",
        "products",
        "coupons",
        "user_coupons",
        "orders",
        "coupon_history",
        "order_items",
        "payments",
        "payment_history",
        "ledger_entries",
        "stock_movements",
        "hourly_sales",
        "outbox",
        "idempotency_keys",
        "id_blocks",
        "coupon_gates",
        "returned_tickets",
        "installation",
        "job_leases",
        "variants",
        "product_images",
        "cart_items",
        "order_holds",
        "admin_changes",
    ];

    async fn present(schema: &SchemaManager<'_>) -> Vec<&'static str> {
        let mut present = Vec::new();
        for table in TABLES {
            if schema.has_table(table).await.unwrap() {
                present.push(table);
            }
        }
        present
    }

    #[tokio::test]
    async fn the_schema_goes_up_down_and_up_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("jangteo.db");
        let database = Database::connect(format!("sqlite://{}?mode=rwc", file.display())).await.unwrap();
        let schema = SchemaManager::new(&database);

        Migrator::up(&database, None).await.unwrap();
        assert_eq!(present(&schema).await, TABLES);

        Migrator::down(&database, None).await.unwrap();
        assert!(present(&schema).await.is_empty());

        Migrator::up(&database, None).await.unwrap();
        assert_eq!(present(&schema).await, TABLES);
    }

    #[tokio::test]
    async fn on_sqlite_a_migration_that_fails_leaves_nothing_behind() {
        let database = Database::connect("sqlite::memory:").await.unwrap();
        database.execute_unprepared("CREATE TABLE outbox (id integer)").await.unwrap();

        assert!(Migrator::up(&database, None).await.is_err());
        assert_eq!(present(&SchemaManager::new(&database)).await, ["outbox"]);
    }
}
