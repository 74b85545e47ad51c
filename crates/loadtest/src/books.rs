//! Whether the books balance after a run: a figure counts only if every order behind it is there in full.

use anyhow::{Result, bail, ensure};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};

use crate::journeys::{Kind, Logbook};
use crate::load::Traffic;
use crate::scenario::{COUPONS, STAMPEDE, USERS};

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
         (SELECT COALESCE(-SUM(quantity), 0) FROM stock_movements m WHERE m.product_id = p.id \
         AND kind IN ('SALE', 'RETURN'))",
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
        "an order has one payment, for what it costs, and its history tells what became of it",
        "SELECT COUNT(*) FROM orders o LEFT JOIN payments p ON p.order_id = o.id \
         LEFT JOIN payment_history h ON h.order_id = o.id AND h.to_status = p.status \
         WHERE o.status <> 'PENDING' AND (p.amount IS NULL OR p.amount <> o.paid_amount OR h.sequence IS NULL \
         OR p.status <> CASE o.status WHEN 'CANCELLED' THEN 'CANCELLED' ELSE 'COMPLETED' END)",
    ),
    (
        "an order is in the ledger once, for what was paid, and again if that was given back",
        "SELECT COUNT(*) FROM orders o LEFT JOIN (SELECT order_id, SUM(amount) AS moved, COUNT(*) AS entries \
         FROM ledger_entries GROUP BY order_id) l ON l.order_id = o.id \
         WHERE COALESCE(l.entries, 0) <> CASE o.status WHEN 'PENDING' THEN 0 WHEN 'CANCELLED' THEN 2 ELSE 1 END \
         OR COALESCE(l.moved, 0) <> CASE WHEN o.status IN ('PENDING', 'CANCELLED') THEN 0 ELSE -paid_amount END",
    ),
    (
        "an order has its event",
        "SELECT COUNT(*) FROM orders o LEFT JOIN outbox e ON e.aggregate = 'order' AND e.aggregate_id = o.id \
         AND e.sequence = 1 WHERE o.status <> 'PENDING' AND e.sequence IS NULL",
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

/// What customers were told, the warm-up's included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// Orders that were placed, whatever became of them.
    pub(crate) orders: u64,
    /// Those of them that wait to be paid.
    unpaid: u64,
    /// Those of them that were cancelled.
    cancelled: u64,
    /// Charges of wallets.
    charges: u64,
    /// Coupons.
    coupons: u64,
}

impl Told {
    /// By that many good answers.
    pub(crate) fn by(traffic: Traffic, answers: u64) -> Self {
        match traffic {
            Traffic::Orders { .. } => Self { orders: answers, ..Self::default() },
            Traffic::Charges => Self { charges: answers, ..Self::default() },
            Traffic::Catalogue => Self::default(),
        }
    }

    /// Visitors.
    pub(crate) fn to(visitors: &Logbook) -> Self {
        let [placed, from_carts, paid] =
            [Kind::PlaceOrder, Kind::OrderCart, Kind::PayOrder].map(|kind| visitors.granted(kind));
        Self {
            orders: placed + from_carts,
            unpaid: from_carts - paid,
            cancelled: visitors.granted(Kind::CancelOrder),
            charges: visitors.granted(Kind::Charge) + visitors.granted(Kind::TopUp),
            coupons: visitors.granted(Kind::ClaimCoupon),
        }
    }
}

/// Checks that everything else that customers were told is there, and no more.
pub(crate) async fn check_told(database: &DatabaseConnection, told: Told) -> Result<()> {
    // Every wallet was charged once before anybody came.
    let charges = format!("SELECT COUNT(*) - {USERS} FROM ledger_entries WHERE kind = 'CHARGE'");
    for (what, told, there) in [
        ("orders that wait", told.unpaid, "SELECT COUNT(*) FROM orders WHERE status = 'PENDING'"),
        ("cancelled orders", told.cancelled, "SELECT COUNT(*) FROM orders WHERE status = 'CANCELLED'"),
        ("charges", told.charges, charges.as_str()),
        ("coupons of customers", told.coupons, "SELECT COUNT(*) FROM user_coupons"),
    ] {
        let there = count(database, there).await?;
        ensure!(u64::try_from(there)? == told, "{told} {what} were reported, {there} are there");
    }
    Ok(())
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
