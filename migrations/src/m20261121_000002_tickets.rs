//! Places in the queue for a coupon: which were handed out, to which gates, and which were given back; and a name of this
//! database, under which others keep what they know of it.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, char_len};
use sea_orm_migration::sea_orm::DbBackend;

use crate::table::{NewTable, add_column, drop_column};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let backend = manager.get_database_backend();
        let next_ticket = big_integer("next_ticket").default(1).take();
        manager.alter_table(add_column("coupons", next_ticket)).await?;
        // Until now every ticket was handed out by issuing one.
        let handed_out =
            Query::update().table("coupons").value("next_ticket", Expr::col("issued_quantity").add(1)).take();
        manager.execute(handed_out).await?;
        manager.create_table(coupon_gates(NewTable::new("coupon_gates", backend)).build()).await?;
        manager.create_table(returned_tickets(NewTable::new("returned_tickets", backend)).build()).await?;
        manager.create_table(installation(NewTable::new("installation", backend)).build()).await?;
        manager.execute(new_installation(backend)).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for name in ["installation", "returned_tickets", "coupon_gates"] {
            manager.drop_table(Table::drop().table(name).take()).await?;
        }
        manager.alter_table(drop_column("coupons", "next_ticket")).await
    }

    /// As the first migration.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// Each time a gate was opened before a coupon, and the tickets that it hands out.
fn coupon_gates(table: NewTable) -> NewTable {
    table
        .column(big_integer("coupon_id"))
        .column(big_integer("first_ticket"))
        .column(big_integer("last_ticket"))
        .time("opened_at")
        .clustered_by(&["coupon_id", "first_ticket"])
        .references("coupon_id", "coupons", "id")
        .positive("first_ticket")
        .check("tickets", Expr::col("last_ticket").gte(Expr::col("first_ticket").sub(1)))
}

/// Tickets of claims that came to nothing. The next claim may have got them.
fn returned_tickets(table: NewTable) -> NewTable {
    table
        .column(big_integer("coupon_id"))
        .column(big_integer("ticket"))
        .time("returned_at")
        .clustered_by(&["coupon_id", "ticket"])
        .references("coupon_id", "coupons", "id")
        .positive("ticket")
}

/// One row.
fn installation(table: NewTable) -> NewTable {
    table.column(char_len("id", 32).primary_key().take())
}

/// Random, so that no other database has the same.
fn new_installation(backend: DbBackend) -> InsertStatement {
    let random = match backend {
        DbBackend::MySql => "LOWER(REPLACE(UUID(), '-', ''))",
        _ => "LOWER(HEX(RANDOMBLOB(16)))",
    };
    let mut insert = Query::insert();
    insert.into_table("installation").columns(["id"]).values_panic([Expr::cust(random)]);
    insert
}
