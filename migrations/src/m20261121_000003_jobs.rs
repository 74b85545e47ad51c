//! Scheduled jobs: who may run which, and the indexes by which they find their work.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, string_len};

use crate::table::{NewTable, drop_index, index};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const LEASES: &str = "job_leases";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let leases = job_leases(NewTable::new(LEASES, manager.get_database_backend()));
        manager.create_table(leases.build()).await?;
        for (table, columns) in INDEXES {
            manager.create_index(index(table, columns)).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (table, columns) in INDEXES {
            manager.drop_index(drop_index(table, columns)).await?;
        }
        manager.drop_table(Table::drop().table(LEASES).take()).await
    }

    /// All or nothing where the database can: SQLite. MySQL commits each definition by itself.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

fn job_leases(table: NewTable) -> NewTable {
    table
        .column(string_len("name", 32).primary_key().take())
        .column(string_len("holder", 100))
        .column(big_integer("fence"))
        .time("expires_at")
        .positive("fence")
}

const INDEXES: [(&str, &[&str]); 2] =
    [("user_coupons", &["status", "expires_at"]), ("idempotency_keys", &["created_at"])];
