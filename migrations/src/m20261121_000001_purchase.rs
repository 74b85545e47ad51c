//! Everything a purchase touches: users and their wallets, the catalogue, coupons, orders and payments, the
//! journals behind them, and the outbox that reports them.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, big_integer_null, big_pk_auto, boolean, char_len, integer, integer_null, string_len,
    string_len_null, text,
};

use crate::table::{NewTable, index};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// Adds a table's columns and constraints to its bare name.
type Define = fn(NewTable) -> NewTable;

/// In the order of creation: a table comes after those it refers to.
const TABLES: [(&str, Define); 17] = [
    ("users", users),
    ("wallets", wallets),
    ("stores", stores),
    ("products", products),
    ("coupons", coupons),
    ("user_coupons", user_coupons),
    ("orders", orders),
    ("coupon_history", coupon_history),
    ("order_items", order_items),
    ("payments", payments),
    ("payment_history", payment_history),
    ("ledger_entries", ledger_entries),
    ("stock_movements", stock_movements),
    ("hourly_sales", hourly_sales),
    ("outbox", outbox),
    ("idempotency_keys", idempotency_keys),
    ("id_blocks", id_blocks),
];

const ORDER_STATUSES: [&str; 5] = ["PENDING", "PAID", "SHIPPING", "DELIVERED", "CANCELLED"];
const PAYMENT_STATUSES: [&str; 4] = ["PENDING", "COMPLETED", "FAILED", "CANCELLED"];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let backend = manager.get_database_backend();
        for (name, define) in TABLES {
            manager.create_table(define(NewTable::new(name, backend)).build()).await?;
        }
        for index in indexes() {
            manager.create_index(index).await?;
        }
        manager.execute(first_id_blocks()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (name, _) in TABLES.into_iter().rev() {
            manager.drop_table(Table::drop().table(name).take()).await?;
        }
        Ok(())
    }

    /// All or nothing where the database can: SQLite. MySQL commits each definition by itself.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

fn users(table: NewTable) -> NewTable {
    table
        .column(assigned_id())
        .column(string_len("name", 100))
        .column(string_len("email", 254))
        .column(string_len_null("phone", 32))
        .time("created_at")
        .time("updated_at")
        .time_or_null("deleted_at")
        .unique(&["email"])
}

fn wallets(table: NewTable) -> NewTable {
    table
        .column(assigned_key("user_id"))
        .column(big_integer("balance"))
        .time("updated_at")
        .references("user_id", "users", "id")
        .not_negative("balance")
}

fn stores(table: NewTable) -> NewTable {
    table
        .column(assigned_id())
        .column(string_len("name", 100))
        .time("created_at")
        .time("updated_at")
        .time_or_null("deleted_at")
        .unique(&["name"])
}

fn products(table: NewTable) -> NewTable {
    table
        .column(assigned_id())
        .column(big_integer("store_id"))
        .column(string_len("name", 200))
        .column(text("description"))
        .column(big_integer("price"))
        .column(big_integer("stock"))
        .column(boolean("active"))
        .column(big_integer("sales_volume"))
        .time("created_at")
        .time("updated_at")
        .time_or_null("deleted_at")
        .references("store_id", "stores", "id")
        .not_negative("price")
        .not_negative("stock")
        .not_negative("sales_volume")
}

fn coupons(table: NewTable) -> NewTable {
    let issued = Expr::col("issued_quantity");
    table
        .column(assigned_id())
        .column(string_len("code", 64))
        .column(string_len("name", 100))
        .column(string_len("kind", 16))
        .column(big_integer("value"))
        .column(big_integer("min_order_amount"))
        .column(big_integer_null("max_discount"))
        .time("claim_starts_at")
        .time("claim_ends_at")
        .time_or_null("valid_until")
        .column(integer_null("valid_days"))
        .column(big_integer("total_quantity"))
        .column(big_integer("issued_quantity"))
        .time("created_at")
        .time("updated_at")
        .unique(&["code"])
        .one_of("kind", &["FIXED", "PERCENT"])
        .positive("value")
        .check("percent", Expr::col("kind").ne("PERCENT").or(Expr::col("value").lte(10_000)))
        .not_negative("min_order_amount")
        .positive("max_discount")
        .check("claim_window", Expr::col("claim_ends_at").gt(Expr::col("claim_starts_at")))
        .positive("valid_days")
        .positive("total_quantity")
        .check("issued_quantity", issued.clone().gte(0).and(issued.lte(Expr::col("total_quantity"))))
}

fn user_coupons(table: NewTable) -> NewTable {
    let (status, used_at) = (Expr::col("status"), Expr::col("used_at"));
    let used = status.clone().eq("USED").and(used_at.clone().is_not_null());
    let unused = status.ne("USED").and(used_at.is_null());
    table
        .column(assigned_id())
        .column(big_integer("user_id"))
        .column(big_integer("coupon_id"))
        .column(string_len("status", 16))
        .column(big_integer("ticket"))
        .time("claimed_at")
        .time_or_null("expires_at")
        .time_or_null("used_at")
        .unique(&["user_id", "coupon_id"])
        .unique(&["coupon_id", "ticket"])
        .references("user_id", "users", "id")
        .references("coupon_id", "coupons", "id")
        .one_of("status", &["CLAIMED", "USED", "EXPIRED"])
        .positive("ticket")
        .check("used_at", used.or(unused))
}

fn orders(table: NewTable) -> NewTable {
    let payable = Expr::col("total_amount").sub(Expr::col("discount_amount"));
    table
        .column(assigned_id())
        .column(big_integer("user_id"))
        .column(string_len("status", 16))
        .column(big_integer("total_amount"))
        .column(big_integer("discount_amount"))
        .column(big_integer("paid_amount"))
        .column(big_integer_null("user_coupon_id"))
        .time("created_at")
        .time("updated_at")
        .time_or_null("paid_at")
        .references("user_id", "users", "id")
        .references("user_coupon_id", "user_coupons", "id")
        .one_of("status", &ORDER_STATUSES)
        .not_negative("total_amount")
        .not_negative("discount_amount")
        .not_negative("paid_amount")
        .check("payable", Expr::col("paid_amount").eq(payable))
}

fn coupon_history(table: NewTable) -> NewTable {
    table
        .column(big_pk_auto("id"))
        .column(big_integer("user_coupon_id"))
        .column(string_len("action", 16))
        .column(big_integer_null("order_id"))
        .time("created_at")
        .references("user_coupon_id", "user_coupons", "id")
        .references("order_id", "orders", "id")
        .one_of("action", &["ISSUED", "USED", "RESTORED", "EXPIRED"])
}

/// The product is no foreign key, for the reason given at [`ledger_entries`].
fn order_items(table: NewTable) -> NewTable {
    let price_of_all = Expr::col("unit_price").mul(Expr::col("quantity"));
    table
        .column(big_integer("order_id"))
        .column(integer("line_no"))
        .column(big_integer("product_id"))
        .column(string_len("name", 200))
        .column(big_integer("unit_price"))
        .column(big_integer("quantity"))
        .column(big_integer("subtotal"))
        .clustered_by(&["order_id", "product_id"])
        .references("order_id", "orders", "id")
        .not_negative("unit_price")
        .positive("quantity")
        .check("subtotal", Expr::col("subtotal").eq(price_of_all))
}

fn payments(table: NewTable) -> NewTable {
    table
        .column(assigned_key("order_id"))
        .column(string_len("method", 16))
        .column(big_integer("amount"))
        .column(string_len("status", 16))
        .column(string_len_null("failure_reason", 200))
        .time("created_at")
        .time_or_null("paid_at")
        .time_or_null("cancelled_at")
        .references("order_id", "orders", "id")
        .one_of("method", &["POINT"])
        .not_negative("amount")
        .one_of("status", &PAYMENT_STATUSES)
}

fn payment_history(table: NewTable) -> NewTable {
    table
        .column(big_integer("order_id"))
        .column(integer("sequence"))
        .column(string_len("from_status", 16))
        .column(string_len("to_status", 16))
        .column(string_len_null("reason", 200))
        .time("created_at")
        .clustered_by(&["order_id", "sequence"])
        .references("order_id", "payments", "order_id")
        .one_of("from_status", &PAYMENT_STATUSES)
        .one_of("to_status", &PAYMENT_STATUSES)
}

/// The order is no foreign key: behind one, InnoDB would keep an index for every entry that nobody reads. The audit
/// checks it. The same goes for the order of a stock movement and the product of an order's line.
fn ledger_entries(table: NewTable) -> NewTable {
    table
        .column(big_pk_auto("id"))
        .column(big_integer("user_id"))
        .column(string_len("kind", 16))
        .column(big_integer("amount"))
        .column(big_integer("balance_after"))
        .column(big_integer_null("order_id"))
        .column(string_len_null("reason", 200))
        .time("created_at")
        .references("user_id", "wallets", "user_id")
        .one_of("kind", &["CHARGE", "USE", "REFUND", "ADJUST"])
        .not_zero("amount")
        .not_negative("balance_after")
}

fn stock_movements(table: NewTable) -> NewTable {
    table
        .column(big_pk_auto("id"))
        .column(big_integer("product_id"))
        .column(string_len("kind", 16))
        .column(big_integer("quantity"))
        .column(big_integer("stock_after"))
        .column(big_integer_null("order_id"))
        .column(string_len_null("reason", 200))
        .time("created_at")
        .references("product_id", "products", "id")
        .one_of("kind", &["SALE", "RETURN", "RECEIVE", "ADJUST", "HOLD", "RELEASE"])
        .not_zero("quantity")
        .not_negative("stock_after")
}

fn hourly_sales(table: NewTable) -> NewTable {
    table
        .column(big_integer("hour"))
        .column(big_integer("product_id"))
        .column(big_integer("quantity"))
        .clustered_by(&["hour", "product_id"])
        .references("product_id", "products", "id")
        .not_negative("quantity")
}

fn outbox(table: NewTable) -> NewTable {
    table
        .column(big_pk_auto("id"))
        .column(string_len("aggregate", 16))
        .column(big_integer("aggregate_id"))
        .column(integer("sequence"))
        .column(string_len("event_type", 40))
        .document("payload")
        .column(string_len("status", 16).default("PENDING").take())
        .column(integer("attempts").default(0).take())
        .time("created_at")
        .time_or_null("sent_at")
        .unique(&["aggregate", "aggregate_id", "sequence"])
        .one_of("aggregate", &["order", "user_coupon"])
        .positive("sequence")
        .one_of("status", &["PENDING", "SENT", "FAILED", "DEAD"])
}

fn idempotency_keys(table: NewTable) -> NewTable {
    table
        // 0 stands for an anonymous caller: no foreign key.
        .column(big_integer("user_id"))
        .column(string_len("operation", 32))
        .column(string_len("idempotency_key", 255))
        .column(char_len("request_hash", 64))
        .document("outcome")
        .time("created_at")
        .primary_key(&["user_id", "operation", "idempotency_key"])
}

fn id_blocks(table: NewTable) -> NewTable {
    table
        .column(string_len("name", 32).primary_key().take())
        .column(big_integer("next_id"))
        .positive("next_id")
}

/// None on `products.stock` and `products.sales_volume`: they change with every sale.
fn indexes() -> [IndexCreateStatement; 5] {
    [
        index("products", &["created_at", "id"]),
        index("products", &["price", "id"]),
        index("products", &["name", "id"]),
        index("orders", &["user_id", "id"]),
        index("ledger_entries", &["user_id", "id"]),
    ]
}

fn first_id_blocks() -> InsertStatement {
    let mut insert = Query::insert().into_table("id_blocks").columns(["name", "next_id"]).take();
    for name in ["users", "stores", "products", "coupons", "orders", "user_coupons"] {
        insert.values_panic([name.into(), 1.into()]);
    }
    insert
}

fn assigned_id() -> ColumnDef {
    assigned_key("id")
}

/// A primary key whose value the application chooses.
fn assigned_key(column: &'static str) -> ColumnDef {
    big_integer(column).primary_key().take()
}
