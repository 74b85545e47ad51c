//! Delivery of events: when each is due, what went wrong, how many an order has, and from when on all of them are kept.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{integer, string_len_null};

use crate::table::{add_column, drop_column, drop_index, index, time_or_null};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const DUE: (&str, &[&str]) = ("outbox", &["status", "due_at"]);

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let backend = manager.get_database_backend();
        manager.alter_table(add_column("outbox", time_or_null(backend, "due_at"))).await?;
        manager.alter_table(add_column("outbox", string_len_null("last_error", 500))).await?;
        // Nobody has delivered any yet.
        let due = Query::update().table("outbox").value("due_at", Expr::col("created_at")).take();
        manager.execute(due).await?;
        manager.create_index(index(DUE.0, DUE.1)).await?;
        // Until now an order had one event: that it was paid.
        let events = integer("events").default(1).take();
        manager.alter_table(add_column("orders", events)).await?;
        let purged = time_or_null(backend, "events_purged_until");
        manager.alter_table(add_column("installation", purged)).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(drop_column("installation", "events_purged_until")).await?;
        manager.alter_table(drop_column("orders", "events")).await?;
        manager.drop_index(drop_index(DUE.0, DUE.1)).await?;
        manager.alter_table(drop_column("outbox", "last_error")).await?;
        manager.alter_table(drop_column("outbox", "due_at")).await
    }

    /// As the first migration.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
