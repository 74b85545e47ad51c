//! Delivery of events: where each stands since when, what went wrong, how many an order has, and from when on all of them
//! are kept.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{integer, string_len_null};
use sea_orm_migration::sea_orm::DbBackend;

use crate::table::{add_column, drop_column, drop_index, index, time_or_null};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const BY_STATUS: (&str, &[&str]) = ("outbox", &["status", "status_at"]);

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let backend = manager.get_database_backend();
        manager.alter_table(add_column("outbox", time_or_null(backend, "status_at"))).await?;
        manager.alter_table(drop_column("outbox", "sent_at")).await?;
        manager.alter_table(add_column("outbox", string_len_null("last_error", 500))).await?;
        // Nobody has delivered any yet.
        let since = Query::update().table("outbox").value("status_at", Expr::col("created_at")).take();
        manager.execute(since).await?;
        if backend == DbBackend::MySql {
            manager.alter_table(status_as(STATUSES)).await?;
        }
        manager.create_index(index(BY_STATUS.0, BY_STATUS.1)).await?;
        // Until now an order had one event: that it was paid.
        let events = integer("events").default(1).take();
        manager.alter_table(add_column("orders", events)).await?;
        let purged = time_or_null(backend, "events_purged_until");
        manager.alter_table(add_column("installation", purged)).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(drop_column("installation", "events_purged_until")).await?;
        manager.alter_table(drop_column("orders", "events")).await?;
        manager.drop_index(drop_index(BY_STATUS.0, BY_STATUS.1)).await?;
        let backend = manager.get_database_backend();
        if backend == DbBackend::MySql {
            manager.alter_table(status_as("varchar(16)")).await?;
        }
        manager.alter_table(drop_column("outbox", "last_error")).await?;
        manager.alter_table(add_column("outbox", time_or_null(backend, "sent_at"))).await?;
        manager.alter_table(drop_column("outbox", "status_at")).await
    }

    /// As the first migration.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// One byte each. The status of every event changes, and InnoDB changes a row where it stands only as long as no column
/// changes its length: with texts, noting events as sent took three times as long.
const STATUSES: &str = "enum('PENDING', 'SENT', 'FAILED', 'DEAD')";

fn status_as(definition: &'static str) -> TableAlterStatement {
    let status = ColumnDef::new("status").custom(definition).not_null().default("PENDING").take();
    Table::alter().table("outbox").modify_column(status).take()
}
