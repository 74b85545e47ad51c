//! What a whole shop needs beside purchases: variants and pictures of products, carts, orders that are paid later, wallets
//! that are closed, and what administrators change.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, big_integer_null, big_pk_auto, boolean, integer, string_len, string_len_null,
};
use sea_orm_migration::sea_orm::DbBackend;

use crate::table::{NewTable, add_column, drop_column, drop_index, index, time_or_null};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

type Define = fn(NewTable) -> NewTable;

/// In the order of creation.
const TABLES: [(&str, Define); 5] = [
    ("variants", variants),
    ("product_images", product_images),
    ("cart_items", cart_items),
    ("order_holds", order_holds),
    ("admin_changes", admin_changes),
];

const INDEXES: [(&str, &[&str]); 2] =
    [("order_holds", &["expires_at"]), ("admin_changes", &["subject", "subject_id"])];

/// What an administrator may have seen before changing it.
const VERSIONED: [&str; 4] = ["users", "stores", "products", "coupons"];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let backend = manager.get_database_backend();
        for table in VERSIONED {
            manager.alter_table(add_column(table, integer("version").default(1).take())).await?;
        }
        manager.alter_table(add_column("products", boolean("has_variants").default(false).take())).await?;
        manager.alter_table(add_column("coupons", time_or_null(backend, "retired_at"))).await?;
        manager.alter_table(add_column("wallets", time_or_null(backend, "closed_at"))).await?;
        manager.alter_table(add_column("stock_movements", big_integer_null("variant_id"))).await?;
        for (name, define) in TABLES {
            manager.create_table(define(NewTable::new(name, backend)).build()).await?;
        }
        for (table, columns) in INDEXES {
            manager.create_index(index(table, columns)).await?;
        }
        lines_by_variant(manager).await?;
        manager.execute(first_id_block()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let no_block =
            Query::delete().from_table("id_blocks").and_where(Expr::col("name").eq("variants")).take();
        manager.execute(no_block).await?;
        lines_by_product(manager).await?;
        for (table, columns) in INDEXES {
            manager.drop_index(drop_index(table, columns)).await?;
        }
        for (name, _) in TABLES.into_iter().rev() {
            manager.drop_table(Table::drop().table(name).take()).await?;
        }
        manager.alter_table(drop_column("stock_movements", "variant_id")).await?;
        manager.alter_table(drop_column("wallets", "closed_at")).await?;
        manager.alter_table(drop_column("coupons", "retired_at")).await?;
        manager.alter_table(drop_column("products", "has_variants")).await?;
        for table in VERSIONED {
            manager.alter_table(drop_column(table, "version")).await?;
        }
        Ok(())
    }

    /// As the first migration.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// What a product is sold as, if not as such. The stock of the product is the sum of theirs, whether they are active or not.
fn variants(table: NewTable) -> NewTable {
    table
        .column(big_integer("id").primary_key().take())
        .column(big_integer("product_id"))
        .column(string_len("name", 100))
        .column(big_integer("price"))
        .column(big_integer("stock"))
        .column(boolean("active"))
        .time("created_at")
        .time("updated_at")
        .unique(&["product_id", "name"])
        .references("product_id", "products", "id")
        .not_negative("price")
        .not_negative("stock")
}

fn product_images(table: NewTable) -> NewTable {
    table
        .column(big_integer("product_id"))
        .column(integer("sequence"))
        .column(string_len("url", 2000))
        .time("created_at")
        .primary_key(&["product_id", "sequence"])
        .references("product_id", "products", "id")
        .positive("sequence")
}

/// Variant 0 stands for none: NULLs would not be unique.
fn cart_items(table: NewTable) -> NewTable {
    table
        .column(big_pk_auto("id"))
        .column(big_integer("user_id"))
        .column(big_integer("product_id"))
        .column(big_integer("variant_id"))
        .column(big_integer("quantity"))
        .time("created_at")
        .time("updated_at")
        .unique(&["user_id", "product_id", "variant_id"])
        .references("user_id", "users", "id")
        .references("product_id", "products", "id")
        .positive("quantity")
}

/// Orders that wait for their payment, and until when. Apart from the orders, whose index would cost those most that never
/// wait.
fn order_holds(table: NewTable) -> NewTable {
    table
        .column(big_integer("order_id").primary_key().take())
        .time("expires_at")
        .references("order_id", "orders", "id")
}

/// What administrators did. `before` and `after` are JSON; what is new has no before, what is gone no after.
fn admin_changes(table: NewTable) -> NewTable {
    table
        .column(big_pk_auto("id"))
        .column(big_integer("actor_id"))
        .column(string_len("action", 40))
        .column(string_len("subject", 24))
        .column(big_integer("subject_id"))
        .document_or_null("before_json")
        .document_or_null("after_json")
        .column(string_len("trace_id", 32))
        .time("created_at")
}

/// Two variants of a product are two lines of an order. Variant 0 stands for none.
async fn lines_by_variant(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let variant = big_integer("variant_id").default(0).take();
    let name = string_len_null("variant_name", 100);
    match manager.get_database_backend() {
        DbBackend::MySql => {
            manager.alter_table(add_column("order_items", variant)).await?;
            manager.alter_table(add_column("order_items", name)).await?;
            identify_lines(manager, "order_id, product_id, variant_id").await
        }
        backend => {
            let lines = order_items(NewTable::instead_of("order_items", REBUILT, backend), true).build();
            rebuild_lines(manager, lines, "*, 0, NULL").await
        }
    }
}

/// Takes [`lines_by_variant`] back. Fails while there are orders with two variants of a product.
async fn lines_by_product(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    match manager.get_database_backend() {
        DbBackend::MySql => {
            identify_lines(manager, "order_id, product_id").await?;
            manager.alter_table(drop_column("order_items", "variant_name")).await?;
            manager.alter_table(drop_column("order_items", "variant_id")).await
        }
        backend => {
            let lines = order_items(NewTable::instead_of("order_items", REBUILT, backend), false).build();
            let columns = "order_id, line_no, product_id, name, unit_price, quantity, subtotal";
            rebuild_lines(manager, lines, columns).await
        }
    }
}

/// One statement: behind the foreign key there is an index at all times.
async fn identify_lines(manager: &SchemaManager<'_>, key: &str) -> Result<(), DbErr> {
    let connection = manager.get_connection();
    let alter = format!("ALTER TABLE order_items DROP PRIMARY KEY, ADD PRIMARY KEY ({key})");
    connection.execute_unprepared(&alter).await.map(drop)
}

const REBUILT: &str = "order_items_rebuilt";

/// SQLite changes no primary key.
async fn rebuild_lines(
    manager: &SchemaManager<'_>,
    lines: TableCreateStatement,
    columns: &str,
) -> Result<(), DbErr> {
    manager.create_table(lines).await?;
    let connection = manager.get_connection();
    let copy = format!("INSERT INTO {REBUILT} SELECT {columns} FROM order_items");
    connection.execute_unprepared(&copy).await?;
    manager.drop_table(Table::drop().table("order_items").take()).await?;
    manager.rename_table(Table::rename().table(REBUILT, "order_items").take()).await
}

fn order_items(table: NewTable, variants: bool) -> NewTable {
    let price_of_all = Expr::col("unit_price").mul(Expr::col("quantity"));
    let table = table
        .column(big_integer("order_id"))
        .column(integer("line_no"))
        .column(big_integer("product_id"))
        .column(string_len("name", 200))
        .column(big_integer("unit_price"))
        .column(big_integer("quantity"))
        .column(big_integer("subtotal"));
    let table = match variants {
        true => table
            .column(big_integer("variant_id").default(0).take())
            .column(string_len_null("variant_name", 100))
            .clustered_by(&["order_id", "product_id", "variant_id"]),
        false => table.clustered_by(&["order_id", "product_id"]),
    };
    table
        .references("order_id", "orders", "id")
        .not_negative("unit_price")
        .positive("quantity")
        .check("subtotal", Expr::col("subtotal").eq(price_of_all))
}

fn first_id_block() -> InsertStatement {
    let mut insert = Query::insert().into_table("id_blocks").columns(["name", "next_id"]).take();
    insert.values_panic(["variants".into(), 1.into()]);
    insert
}
