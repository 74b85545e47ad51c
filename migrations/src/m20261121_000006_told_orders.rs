//! What finding the orders of a period needs. Their ids do not tell: an instance that sells little still uses a block of
//! ids that it took long ago.

use sea_orm_migration::prelude::*;

use crate::table::{drop_index, index};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const PLACED: (&str, &[&str]) = ("orders", &["created_at"]);

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_index(index(PLACED.0, PLACED.1)).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(drop_index(PLACED.0, PLACED.1)).await
    }

    /// As the first migration.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
