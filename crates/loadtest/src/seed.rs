//! Fills a shop with the same few statements on either database.

use anyhow::Result;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend};

use crate::scenario::{BALANCE, COUPONS, COUPONS_TO_WARM_UP, PRODUCTS, STAMPEDE, STOCK, USERS, WARM_UP};

/// Customers with a charged wallet, products with received stock, coupons that can be claimed.
pub(crate) async fn fill(database: &DatabaseConnection) -> Result<()> {
    let (now, then) = match database.get_database_backend() {
        DbBackend::Sqlite => ("'2026-01-01T00:00:00+00:00'", "'2126-01-01T00:00:00+00:00'"),
        _ => ("'2026-01-01 00:00:00'", "'2126-01-01 00:00:00'"),
    };
    let coupon = |id, code, quantity| {
        format!("({id}, '{code}', '{code}', 'FIXED', 100, 0, {now}, {then}, {quantity}, 0, {now}, {now})")
    };
    let coupons = [coupon(1, STAMPEDE, COUPONS), coupon(2, WARM_UP, COUPONS_TO_WARM_UP)].join(", ");
    let (users, products) = (numbers_to(USERS), numbers_to(PRODUCTS));
    for statement in [
        format!(
            "INSERT INTO users (id, name, email, created_at, updated_at) \
             SELECT n, CONCAT('Customer ', n), CONCAT('customer', n, '@example.com'), {now}, {now} FROM {users}"
        ),
        format!("INSERT INTO wallets (user_id, balance, updated_at) SELECT n, {BALANCE}, {now} FROM {users}"),
        format!(
            "INSERT INTO ledger_entries (user_id, kind, amount, balance_after, created_at) \
             SELECT n, 'CHARGE', {BALANCE}, {BALANCE}, {now} FROM {users}"
        ),
        format!("INSERT INTO stores (id, name, created_at, updated_at) VALUES (1, 'Bench', {now}, {now})"),
        format!(
            "INSERT INTO products (id, store_id, name, description, price, stock, active, sales_volume, \
             created_at, updated_at) \
             SELECT n, 1, CONCAT('Product ', n), CONCAT('What product ', n, ' is and what it is good for'), \
             10000 + 500 * n, {STOCK}, TRUE, 0, {now}, {now} FROM {products}"
        ),
        format!(
            "INSERT INTO stock_movements (product_id, kind, quantity, stock_after, created_at) \
             SELECT n, 'RECEIVE', {STOCK}, {STOCK}, {now} FROM {products}"
        ),
        format!(
            "INSERT INTO coupons (id, code, name, kind, value, min_order_amount, claim_starts_at, claim_ends_at, \
             total_quantity, issued_quantity, created_at, updated_at) VALUES {coupons}"
        ),
        format!("UPDATE id_blocks SET next_id = {USERS} + 1 WHERE name = 'users'"),
        format!("UPDATE id_blocks SET next_id = {PRODUCTS} + 1 WHERE name = 'products'"),
        "UPDATE id_blocks SET next_id = 2 WHERE name = 'stores'".to_owned(),
        "UPDATE id_blocks SET next_id = 3 WHERE name = 'coupons'".to_owned(),
    ] {
        database.execute_unprepared(&statement).await?;
    }
    Ok(())
}

/// A table `numbers` with a column `n` from 1 to the last, at most 100,000.
fn numbers_to(last: i64) -> String {
    let digits =
        (1..10).fold("SELECT 0 AS d".to_owned(), |digits, d| format!("{digits} UNION ALL SELECT {d}"));
    let table = |name| format!("({digits}) {name}");
    let tables = ["a", "b", "c", "d", "e"].map(table).join(", ");
    let number = "1 + a.d + 10 * b.d + 100 * c.d + 1000 * d.d + 10000 * e.d";
    format!("(SELECT n FROM (SELECT {number} AS n FROM {tables}) every WHERE n <= {last}) numbers")
}
