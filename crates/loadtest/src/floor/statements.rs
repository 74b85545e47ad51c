use std::sync::Arc;

use sqlx::AssertSqlSafe;

use super::till::Dialect;

/// SQL built once, from nothing but this file.
#[derive(Clone, Debug)]
pub(super) struct Statement(Arc<str>);

impl Statement {
    fn new(sql: impl Into<Arc<str>>) -> Self {
        Self(sql.into())
    }

    pub(super) fn sql(&self) -> AssertSqlSafe<Arc<str>> {
        AssertSqlSafe(Arc::clone(&self.0))
    }
}

/// The statements of one order, for orders of a given number of lines.
#[derive(Clone, Debug)]
pub(super) struct Statements {
    pub(super) lock_wallet: Statement,
    pub(super) lock_products: Statement,
    pub(super) debit: Statement,
    pub(super) take_stock: Statement,
    pub(super) order: Statement,
    pub(super) items: Statement,
    pub(super) payment: Statement,
    pub(super) payment_history: Statement,
    pub(super) ledger: Statement,
    pub(super) movements: Statement,
    pub(super) hourly_sales: Statement,
    pub(super) event: Statement,
}

impl Statements {
    pub(super) fn of<DB: Dialect>(lines: usize) -> Self {
        let (lock, add) = (DB::LOCK, DB::ADD_QUANTITY);
        let each = |row: &str| vec![row; lines].join(", ");
        Self {
            lock_wallet: Statement::new(format!("SELECT balance FROM wallets WHERE user_id = ?{lock}")),
            lock_products: Statement::new(format!(
                "SELECT id, name, price, stock FROM products \
                 WHERE id IN ({}) AND active = TRUE AND deleted_at IS NULL ORDER BY id{lock}",
                each("?")
            )),
            debit: Statement::new(
                "UPDATE wallets SET balance = balance - ?, updated_at = ? WHERE user_id = ?",
            ),
            take_stock: Statement::new(
                "UPDATE products SET stock = stock - ?, sales_volume = sales_volume + ? WHERE id = ? AND stock >= ?",
            ),
            order: Statement::new(
                "INSERT INTO orders (id, user_id, status, total_amount, discount_amount, paid_amount, \
                 user_coupon_id, created_at, updated_at, paid_at) VALUES (?, ?, 'PAID', ?, ?, ?, NULL, ?, ?, ?)",
            ),
            items: Statement::new(format!(
                "INSERT INTO order_items (order_id, line_no, product_id, name, unit_price, quantity, subtotal) \
                 VALUES {}",
                each("(?, ?, ?, ?, ?, ?, ?)")
            )),
            payment: Statement::new(
                "INSERT INTO payments (order_id, method, amount, status, created_at, paid_at) \
                 VALUES (?, 'POINT', ?, 'COMPLETED', ?, ?)",
            ),
            payment_history: Statement::new(
                "INSERT INTO payment_history (order_id, sequence, from_status, to_status, created_at) \
                 VALUES (?, 1, 'PENDING', 'COMPLETED', ?)",
            ),
            ledger: Statement::new(
                "INSERT INTO ledger_entries (user_id, kind, amount, balance_after, order_id, created_at) \
                 VALUES (?, 'USE', ?, ?, ?, ?)",
            ),
            movements: Statement::new(format!(
                "INSERT INTO stock_movements (product_id, kind, quantity, stock_after, order_id, created_at) \
                 VALUES {}",
                each("(?, 'SALE', ?, ?, ?, ?)")
            )),
            hourly_sales: Statement::new(format!(
                "INSERT INTO hourly_sales (hour, product_id, quantity) VALUES {} {add}",
                each("(?, ?, ?)")
            )),
            event: Statement::new(
                "INSERT INTO outbox (aggregate, aggregate_id, sequence, event_type, payload, status, attempts, \
                 status_at, created_at) VALUES ('order', ?, 1, ?, ?, 'PENDING', 0, ?, ?)",
            ),
        }
    }
}
