//! Whether the books balance after a run: a figure counts only if every order behind it is there in full.

use anyhow::{Result, bail, ensure};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};

use crate::scenario::{COUPONS, STAMPEDE};

/// Each counts the rows that break a rule.
const RULES: [(&str, &str); 8] = [
    (
        "a wallet is the sum of its ledger",
        "SELECT COUNT(*) FROM wallets w WHERE balance <> \
         (SELECT SUM(amount) FROM ledger_entries l WHERE l.user_id = w.user_id)",
    ),
    (
        "a stock is the sum of its movements",
        "SELECT COUNT(*) FROM products p WHERE stock <> \
         (SELECT SUM(quantity) FROM stock_movements m WHERE m.product_id = p.id)",
    ),
    (
        "what is sold has left the stock",
        "SELECT COUNT(*) FROM products p WHERE sales_volume <> \
         (SELECT COALESCE(-SUM(quantity), 0) FROM stock_movements m WHERE m.product_id = p.id AND kind = 'SALE')",
    ),
    (
        "the hourly sales add up to the sales volume",
        "SELECT COUNT(*) FROM products p WHERE sales_volume <> \
         (SELECT COALESCE(SUM(quantity), 0) FROM hourly_sales h WHERE h.product_id = p.id)",
    ),
    (
        "an order costs what its lines cost",
        "SELECT COUNT(*) FROM orders o WHERE total_amount <> \
         (SELECT COALESCE(SUM(subtotal), 0) FROM order_items i WHERE i.order_id = o.id)",
    ),
    (
        "an order is paid once, for what it costs, and its payment has a history",
        "SELECT COUNT(*) FROM orders o LEFT JOIN payments p ON p.order_id = o.id \
         LEFT JOIN payment_history h ON h.order_id = o.id \
         WHERE p.amount IS NULL OR p.amount <> o.paid_amount OR p.status <> 'COMPLETED' OR h.sequence IS NULL",
    ),
    (
        "an order is in the ledger once, for what was paid",
        "SELECT COUNT(*) FROM orders o LEFT JOIN (SELECT order_id, SUM(amount) AS taken, COUNT(*) AS entries \
         FROM ledger_entries GROUP BY order_id) l ON l.order_id = o.id \
         WHERE l.entries IS NULL OR l.entries <> 1 OR l.taken <> -paid_amount",
    ),
    (
        "an order has its event",
        "SELECT COUNT(*) FROM orders o LEFT JOIN outbox e ON e.aggregate = 'order' AND e.aggregate_id = o.id \
         WHERE e.sequence IS NULL",
    ),
];

/// The same of coupons after a stampede. Each counts the rows that break a rule.
const COUPON_RULES: [(&str, &str); 4] = [
    (
        "all coupons were issued",
        "SELECT COUNT(*) FROM coupons c WHERE issued_quantity <> total_quantity OR issued_quantity <> \
         (SELECT COUNT(*) FROM user_coupons u WHERE u.coupon_id = c.id)",
    ),
    (
        "nobody has a coupon twice",
        "SELECT COUNT(*) FROM (SELECT user_id, coupon_id FROM user_coupons GROUP BY user_id, coupon_id \
         HAVING COUNT(*) > 1) twice",
    ),
    (
        "a customer's coupon has its history",
        "SELECT COUNT(*) FROM user_coupons u WHERE 1 <> \
         (SELECT COUNT(*) FROM coupon_history h WHERE h.user_coupon_id = u.id AND action = 'ISSUED')",
    ),
    (
        "a customer's coupon has its event",
        "SELECT COUNT(*) FROM user_coupons u LEFT JOIN outbox e ON e.aggregate = 'user_coupon' \
         AND e.aggregate_id = u.id WHERE e.sequence IS NULL",
    ),
];

/// Checks the rules, and that there are as many orders as were reported placed.
pub(crate) async fn check(database: &DatabaseConnection, orders_placed: u64) -> Result<()> {
    let orders = count(database, "SELECT COUNT(*) FROM orders").await?;
    ensure!(
        u64::try_from(orders)? == orders_placed,
        "{orders_placed} orders were reported, {orders} are there"
    );
    check_rules(database, &RULES).await
}

/// Checks that the coupons were issued to as many as were told so, and all of them.
pub(crate) async fn check_coupons(database: &DatabaseConnection, winners: u64) -> Result<()> {
    let issued = format!(
        "SELECT COUNT(*) FROM user_coupons u JOIN coupons c ON c.id = u.coupon_id WHERE c.code = '{STAMPEDE}'"
    );
    let issued = count(database, &issued).await?;
    ensure!(
        issued == COUPONS && u64::try_from(issued)? == winners,
        "there were {COUPONS} coupons, {issued} were issued, and {winners} customers were told so"
    );
    check_rules(database, &COUPON_RULES).await
}

async fn check_rules(database: &DatabaseConnection, rules: &[(&str, &str)]) -> Result<()> {
    for (rule, violations) in rules {
        let violations = count(database, violations).await?;
        ensure!(violations == 0, "the books do not balance: \"{rule}\" is broken {violations} times");
    }
    Ok(())
}

async fn count(database: &DatabaseConnection, sql: &str) -> Result<i64> {
    let statement = Statement::from_string(database.get_database_backend(), sql);
    let Some(row) = database.query_one_raw(statement).await? else { bail!("no answer to {sql}") };
    Ok(row.try_get_by_index(0)?)
}
