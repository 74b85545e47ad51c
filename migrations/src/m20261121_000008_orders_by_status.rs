//! What finding the orders of a state needs, however rare it is: without an index, the few that are still on their way are
//! looked for among all that there ever were.

use sea_orm_migration::prelude::*;

use crate::table::{drop_index, index};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const BY_STATUS: (&str, &[&str]) = ("orders", &["status", "created_at"]);

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_index(index(BY_STATUS.0, BY_STATUS.1)).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(drop_index(BY_STATUS.0, BY_STATUS.1)).await
    }

    /// As the first migration.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
