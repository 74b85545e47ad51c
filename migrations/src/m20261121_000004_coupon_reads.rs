//! What reading a customer's coupon history needs on SQLite: from a customer's coupon to what happened to it. MySQL and
//! MariaDB have that index already, as the one behind the foreign key.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use crate::table::index;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        match manager.get_database_backend() {
            DbBackend::Sqlite => manager.create_index(index("coupon_history", &["user_coupon_id"])).await,
            _ => Ok(()),
        }
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let index = Index::drop().name("ix_coupon_history_user_coupon_id").table("coupon_history").to_owned();
        match manager.get_database_backend() {
            DbBackend::Sqlite => manager.drop_index(index).await,
            _ => Ok(()),
        }
    }

    /// All or nothing where the database can: SQLite.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
