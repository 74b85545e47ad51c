//! The statements that make a portion of orders.
//!
//! Tables of the session say who buys what when, and the rows of the shop are made of them. No statement names one of
//! these twice: MySQL can open a temporary table only once. Moments are microseconds since 1970 until they are stored.

use std::ops::Range;

use chrono::{DateTime, Utc};
use jangteo_application::seeding::PastOrders;
use sea_orm::DbBackend;

use super::LINES;

/// Between two orders, what else happens must find a moment of its own.
pub(super) const SHORTEST_STEP: i64 = 16;

/// One in so many orders is cancelled, and of those that should have arrived, one is still on its way.
const CANCELLED_OF: i64 = 30;
const LATE_OF: i64 = 1000;
const HOUR: i64 = 3_600_000_000;

/// A large odd number for each choice that is made of an id, so that they have nothing to do with each other.
const BUYER: i64 = 2_654_435_761;
const PRODUCT: i64 = 2_246_822_519;
const NEXT_PRODUCT: i64 = 3_266_489_917;
const LINE_COUNT: i64 = 668_265_263;
const PIECE_COUNT: i64 = 374_761_393;
const CANCELLED: i64 = 2_869_860_233;
const WAIT: i64 = 1_540_483_477;

const TABLES: [(&str, &str); 6] = [
    ("seed_customers", "n BIGINT NOT NULL PRIMARY KEY, user_id BIGINT NOT NULL, balance BIGINT NOT NULL"),
    ("seed_products", "n BIGINT NOT NULL PRIMARY KEY, product_id BIGINT NOT NULL, price BIGINT NOT NULL"),
    (
        "seed_orders",
        "id BIGINT NOT NULL PRIMARY KEY, user_id BIGINT NOT NULL, balance BIGINT NOT NULL, placed BIGINT NOT NULL, \
         changed BIGINT NOT NULL, status VARCHAR(16) NOT NULL",
    ),
    (
        "seed_lines",
        "order_id BIGINT NOT NULL, line_no BIGINT NOT NULL, product_id BIGINT NOT NULL, price BIGINT NOT NULL, \
         pieces BIGINT NOT NULL, PRIMARY KEY (order_id, line_no)",
    ),
    (
        "seed_sales",
        "product_id BIGINT NOT NULL PRIMARY KEY, stock BIGINT NOT NULL, sold BIGINT NOT NULL, returned BIGINT NOT NULL",
    ),
    (
        "seed_entries",
        "happened BIGINT NOT NULL, step BIGINT NOT NULL, user_id BIGINT NOT NULL, kind VARCHAR(16) NOT NULL, \
         amount BIGINT NOT NULL, balance_after BIGINT NOT NULL, order_id BIGINT",
    ),
];

/// What decides over wallets and states.
pub(super) struct Terms {
    /// Customers charge multiples of this, in minor units.
    charge: i64,
    /// What they never spend, in minor units.
    reserve: i64,
    /// Orders from before this moment should have arrived.
    delivered_before: i64,
}

impl Terms {
    /// The dearest order costs half of what a wallet may hold, or less, and a charge is a quarter of it, or less. So a wallet
    /// can hold what is kept back, a charge, and the price of an order.
    pub(super) fn new(wanted: &PastOrders, dearest_order: i64, delivered_before: DateTime<Utc>) -> Self {
        let most = wanted.wallet.max_balance.minor();
        let charge = (4 * dearest_order).min(most / 4);
        let reserve = wanted.balance.minor().min(most - charge - dearest_order);
        Self { charge, reserve, delivered_before: delivered_before.timestamp_micros() }
    }
}

/// Rows that take part.
pub(super) struct Rows {
    pub(super) condition: String,
    pub(super) count: i64,
}

/// What a portion is made of.
pub(super) struct Portion<'a> {
    pub(super) ids: Range<i64>,
    pub(super) from: i64,
    pub(super) until: i64,
    pub(super) step: i64,
    pub(super) customers: &'a Rows,
    pub(super) products: &'a Rows,
    pub(super) terms: &'a Terms,
}

/// What one database calls what.
pub(super) struct Sql {
    backend: DbBackend,
    /// Divides integers.
    div: &'static str,
    least: &'static str,
    greatest: &'static str,
}

impl Sql {
    pub(super) fn of(backend: DbBackend) -> Self {
        match backend {
            DbBackend::MySql => Self { backend, div: "DIV", least: "LEAST", greatest: "GREATEST" },
            _ => Self { backend, div: "/", least: "MIN", greatest: "MAX" },
        }
    }

    /// In the order in which they are to be executed.
    pub(super) fn statements(&self, portion: &Portion<'_>) -> Vec<String> {
        let drop = || TABLES.iter().map(|(table, _)| self.drop(table));
        let create =
            TABLES.iter().map(|(table, columns)| format!("CREATE TEMPORARY TABLE {table} ({columns})"));
        let work = [
            choose_customers(portion),
            choose_products(portion),
            self.place(portion),
            self.choose_lines(portion),
            add_up_sales(),
            self.insert_orders(),
            insert_items(),
            insert_payments(),
            self.insert_payment_history(),
            self.plan_entries(portion),
            self.insert_entries(),
            self.move_wallets(portion),
            self.insert_receipts(portion),
            self.insert_movements(),
            self.move_stocks(),
            self.count_sales(),
        ];
        // What a portion that failed has left behind goes first.
        drop().chain(create).chain(work).chain(drop()).collect()
    }

    /// Without the word, dropping a table would commit.
    fn drop(&self, table: &str) -> String {
        match self.backend {
            DbBackend::MySql => format!("DROP TEMPORARY TABLE IF EXISTS {table}"),
            _ => format!("DROP TABLE IF EXISTS temp.{table}"),
        }
    }

    /// As it is stored.
    fn moment(&self, micros: &str) -> String {
        match self.backend {
            DbBackend::MySql => format!("DATE_ADD('1970-01-01', INTERVAL {micros} MICROSECOND)"),
            _ => format!(
                "(strftime('%Y-%m-%dT%H:%M:%S', ({micros}) / 1000000, 'unixepoch') \
                 || printf('.%06d+00:00', ({micros}) % 1000000))"
            ),
        }
    }

    /// From 0, less than that many, as if by chance; the same for an id each time.
    fn chosen(&self, id: &str, by: i64, of: i64) -> String {
        format!("(({id} % 16777216 * {by} % 4294967296) * {of} {} 4294967296)", self.div)
    }

    /// Changes rows by those of a query, whose `id` is their key.
    fn update(&self, (table, key): (&str, &str), by: &str, changes: &str) -> String {
        match self.backend {
            DbBackend::MySql => {
                format!("UPDATE {table} JOIN ({by}) s ON s.id = {table}.{key} SET {changes}")
            }
            _ => format!("UPDATE {table} SET {changes} FROM ({by}) s WHERE s.id = {table}.{key}"),
        }
    }

    /// Who orders when, and what became of it. Who cancels does so within twelve hours, and before ordering again.
    fn place(&self, portion: &Portion<'_>) -> String {
        let Portion { ids, from, until, step, terms, .. } = portion;
        let (div, least, first) = (self.div, self.least, ids.start);
        let (day, days) = (24 * HOUR, 48 * HOUR);
        let numbers = numbers(ids.end - ids.start);
        let buyer = self.chosen("d.id", BUYER, portion.customers.count);
        let cancelled = self.chosen("o.id", CANCELLED, CANCELLED_OF);
        let late = self.chosen("o.id", WAIT, LATE_OF);
        let wait = self.chosen("p.id", WAIT, 12 * 3600);
        let delivered_before = terms.delivered_before;
        format!(
            "INSERT INTO seed_orders SELECT p.id, p.user_id, p.balance, p.placed, CASE p.status \
             WHEN 'CANCELLED' THEN p.placed + {least}(1000000 * (1 + {wait}), (p.following - p.placed) {div} 2) \
             WHEN 'DELIVERED' THEN p.placed + {days} WHEN 'SHIPPING' THEN p.placed + {day} ELSE p.placed END, p.status FROM \
             (SELECT o.id, o.user_id, o.balance, o.placed, \
             COALESCE(LEAD(o.placed) OVER (PARTITION BY o.user_id ORDER BY o.id), {until}) AS following, \
             CASE WHEN {cancelled} = 0 THEN 'CANCELLED' WHEN o.placed >= {delivered_before} THEN 'PAID' \
             WHEN {late} = 0 THEN 'SHIPPING' ELSE 'DELIVERED' END AS status FROM \
             (SELECT d.id, c.user_id, c.balance, {from} + {step} {div} 2 + {step} * (d.id - {first}) AS placed FROM \
             (SELECT {first} + n AS id FROM {numbers} i) d JOIN seed_customers c ON c.n = {buyer}) o) p"
        )
    }

    /// Some products are much more popular than others, and no order has one twice.
    fn choose_lines(&self, portion: &Portion<'_>) -> String {
        let products = portion.products.count;
        let div = self.div;
        let last_line = self.chosen("o.id", LINE_COUNT, LINES.min(products));
        let of_all = self.chosen("o.id", PRODUCT, 65536);
        let first = format!("{of_all} * {of_all} {div} 65536 * {products} {div} 65536");
        let away = self.chosen("o.id", NEXT_PRODUCT, ((products - 1) / 2).max(1));
        let pieces = self.chosen("(o.id + t.n)", PIECE_COUNT, 5);
        format!(
            "INSERT INTO seed_lines SELECT o.id, t.n + 1, p.product_id, p.price, CASE {pieces} WHEN 0 THEN 2 ELSE 1 END \
             FROM seed_orders o JOIN {} t ON t.n <= {last_line} \
             JOIN seed_products p ON p.n = ({first} + t.n * (1 + {away})) % {products}",
            numbers(LINES)
        )
    }

    fn insert_orders(&self) -> String {
        format!(
            "INSERT INTO orders (id, user_id, status, total_amount, discount_amount, paid_amount, created_at, updated_at, \
             paid_at, events) SELECT o.id, o.user_id, o.status, l.total, 0, l.total, {placed}, {changed}, {placed}, \
             CASE o.status WHEN 'PAID' THEN 1 WHEN 'DELIVERED' THEN 3 ELSE 2 END FROM seed_orders o JOIN \
             (SELECT order_id, SUM(price * pieces) AS total FROM seed_lines GROUP BY order_id) l ON l.order_id = o.id \
             ORDER BY o.id",
            placed = self.moment("o.placed"),
            changed = self.moment("o.changed"),
        )
    }

    fn insert_payment_history(&self) -> String {
        format!(
            "INSERT INTO payment_history (order_id, sequence, from_status, to_status, created_at) SELECT o.id, t.n + 1, \
             CASE t.n WHEN 0 THEN 'PENDING' ELSE 'COMPLETED' END, CASE t.n WHEN 0 THEN 'COMPLETED' ELSE 'CANCELLED' END, \
             {} FROM seed_orders o JOIN {} t ON t.n = 0 OR o.status = 'CANCELLED' ORDER BY o.id, t.n",
            self.moment("CASE t.n WHEN 0 THEN o.placed ELSE o.changed END"),
            numbers(2)
        )
    }

    /// Who has too little left for an order charges before it: all charges up to an order are the most that was ever missing
    /// until then, rounded up. What an order costs comes back after it when it is cancelled.
    fn plan_entries(&self, portion: &Portion<'_>) -> String {
        let Portion { step, terms: Terms { charge, reserve, .. }, .. } = portion;
        let (div, least, greatest) = (self.div, self.least, self.greatest);
        let so_far = "OVER (PARTITION BY user_id ORDER BY id ROWS UNBOUNDED PRECEDING)";
        format!(
            "INSERT INTO seed_entries SELECT \
             CASE t.n WHEN 0 THEN e.placed - {least}(1000000, {step} {div} 8) WHEN 1 THEN e.placed ELSE e.changed END, t.n, \
             e.user_id, CASE t.n WHEN 0 THEN 'CHARGE' WHEN 1 THEN 'USE' ELSE 'REFUND' END, \
             CASE t.n WHEN 0 THEN e.charged - e.charged_before WHEN 1 THEN -e.cost ELSE e.cost END, \
             e.balance + e.charged - e.spent + CASE t.n WHEN 1 THEN 0 ELSE e.cost END, \
             CASE t.n WHEN 0 THEN NULL ELSE e.id END FROM \
             (SELECT c.*, COALESCE(LAG(charged) OVER (PARTITION BY user_id ORDER BY id), 0) AS charged_before FROM \
             (SELECT m.*, ({greatest}(MAX(spent - balance + {reserve}) {so_far}, 0) + {charge} - 1) {div} {charge} * {charge} \
             AS charged FROM (SELECT u.*, SUM(cost) {so_far} - SUM(refund) {so_far} + refund AS spent FROM \
             (SELECT s.id, s.user_id, s.balance, s.placed, s.changed, o.paid_amount AS cost, \
             CASE s.status WHEN 'CANCELLED' THEN o.paid_amount ELSE 0 END AS refund \
             FROM seed_orders s JOIN orders o ON o.id = s.id) u) m) c) e \
             JOIN {} t ON t.n = 1 OR (t.n = 0 AND e.charged > e.charged_before) OR (t.n = 2 AND e.refund > 0)",
            numbers(3)
        )
    }

    fn insert_entries(&self) -> String {
        format!(
            "INSERT INTO ledger_entries (user_id, kind, amount, balance_after, order_id, created_at) \
             SELECT user_id, kind, amount, balance_after, order_id, {} FROM seed_entries ORDER BY happened, step",
            self.moment("happened")
        )
    }

    fn move_wallets(&self, portion: &Portion<'_>) -> String {
        let moved = "SELECT user_id AS id, SUM(amount) AS amount FROM seed_entries GROUP BY user_id";
        let until = self.moment(&portion.until.to_string());
        let changes = format!("balance = wallets.balance + s.amount, updated_at = {until}");
        self.update(("wallets", "user_id"), moved, &changes)
    }

    /// Before a portion sells, what it sells is received.
    fn insert_receipts(&self, portion: &Portion<'_>) -> String {
        format!(
            "INSERT INTO stock_movements (product_id, kind, quantity, stock_after, created_at) \
             SELECT product_id, 'RECEIVE', sold, stock + sold, {} FROM seed_sales ORDER BY product_id",
            self.moment(&portion.from.to_string())
        )
    }

    fn insert_movements(&self) -> String {
        let happened = "CASE t.n WHEN 0 THEN o.placed ELSE o.changed END";
        let moved = "CASE t.n WHEN 0 THEN -l.pieces ELSE l.pieces END";
        format!(
            "INSERT INTO stock_movements (product_id, kind, quantity, stock_after, order_id, created_at) \
             SELECT product_id, kind, moved, stock_after, order_id, {} FROM (SELECT l.product_id, \
             CASE t.n WHEN 0 THEN 'SALE' ELSE 'RETURN' END AS kind, {moved} AS moved, \
             s.stock + s.sold + SUM({moved}) OVER (PARTITION BY l.product_id ORDER BY {happened}, l.order_id, t.n \
             ROWS UNBOUNDED PRECEDING) AS stock_after, l.order_id, l.line_no, {happened} AS happened FROM seed_lines l \
             JOIN seed_orders o ON o.id = l.order_id JOIN seed_sales s ON s.product_id = l.product_id \
             JOIN {} t ON t.n = 0 OR o.status = 'CANCELLED') m ORDER BY happened, order_id, line_no",
            self.moment("happened"),
            numbers(2)
        )
    }

    fn move_stocks(&self) -> String {
        let changes =
            "stock = products.stock + s.returned, sales_volume = products.sales_volume + s.sold - s.returned";
        let moved = "SELECT product_id AS id, sold, returned FROM seed_sales";
        self.update(("products", "id"), moved, changes)
    }

    /// By the hour of the payment.
    fn count_sales(&self) -> String {
        let hour = format!("o.placed {} {HOUR}", self.div);
        let again = match self.backend {
            DbBackend::MySql => "ON DUPLICATE KEY UPDATE quantity = hourly_sales.quantity + VALUES(quantity)",
            _ => {
                "ON CONFLICT (hour, product_id) DO UPDATE SET quantity = hourly_sales.quantity + excluded.quantity"
            }
        };
        format!(
            "INSERT INTO hourly_sales (hour, product_id, quantity) SELECT {hour} AS sold_in, l.product_id, SUM(l.pieces) \
             FROM seed_lines l JOIN seed_orders o ON o.id = l.order_id WHERE o.status <> 'CANCELLED' \
             GROUP BY sold_in, l.product_id ORDER BY sold_in, l.product_id {again}"
        )
    }

    /// The audit asks for no event from before that.
    pub(super) fn note_purged(&self, until: i64) -> String {
        let (greatest, until) = (self.greatest, self.moment(&until.to_string()));
        format!(
            "UPDATE installation SET events_purged_until = {greatest}(COALESCE(events_purged_until, {until}), {until})"
        )
    }
}

fn choose_customers(portion: &Portion<'_>) -> String {
    format!(
        "INSERT INTO seed_customers SELECT ROW_NUMBER() OVER (ORDER BY user_id) - 1, user_id, balance FROM wallets \
         WHERE {}",
        portion.customers.condition
    )
}

fn choose_products(portion: &Portion<'_>) -> String {
    format!(
        "INSERT INTO seed_products SELECT ROW_NUMBER() OVER (ORDER BY id) - 1, id, price FROM products WHERE {}",
        portion.products.condition
    )
}

fn add_up_sales() -> String {
    "INSERT INTO seed_sales SELECT p.id, p.stock, s.sold, s.returned FROM (SELECT l.product_id, \
     SUM(l.pieces) AS sold, SUM(CASE o.status WHEN 'CANCELLED' THEN l.pieces ELSE 0 END) AS returned \
     FROM seed_lines l JOIN seed_orders o ON o.id = l.order_id GROUP BY l.product_id) s \
     JOIN products p ON p.id = s.product_id"
        .to_owned()
}

fn insert_items() -> String {
    "INSERT INTO order_items (order_id, line_no, product_id, name, unit_price, quantity, subtotal) \
     SELECT l.order_id, l.line_no, l.product_id, p.name, l.price, l.pieces, l.price * l.pieces \
     FROM seed_lines l JOIN products p ON p.id = l.product_id ORDER BY l.order_id, l.product_id"
        .to_owned()
}

fn insert_payments() -> String {
    "INSERT INTO payments (order_id, method, amount, status, created_at, paid_at, cancelled_at) \
     SELECT s.id, 'POINT', o.paid_amount, CASE s.status WHEN 'CANCELLED' THEN 'CANCELLED' ELSE 'COMPLETED' END, \
     o.created_at, o.paid_at, CASE s.status WHEN 'CANCELLED' THEN o.updated_at END \
     FROM seed_orders s JOIN orders o ON o.id = s.id ORDER BY s.id"
        .to_owned()
}

/// A table with a column `n`, from 0, of that many rows.
fn numbers(count: i64) -> String {
    let digits =
        (1..10).fold("SELECT 0 AS d".to_owned(), |digits, d| format!("{digits} UNION ALL SELECT {d}"));
    let places = (count - 1).max(1).ilog10() + 1;
    let tables: Vec<String> = (0..places).map(|place| format!("({digits}) d{place}")).collect();
    let number: Vec<String> =
        (0..places).map(|place| format!("{} * d{place}.d", 10_i64.pow(place))).collect();
    let (tables, number) = (tables.join(" CROSS JOIN "), number.join(" + "));
    format!("(SELECT n FROM (SELECT {number} AS n FROM {tables}) every_n WHERE n < {count})")
}
