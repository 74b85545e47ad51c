//! The audit: one query a rule, each finding the rows that break it, all on one snapshot.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use jangteo_application::audit::{Audit, AuditCheck, AuditReport};
use jangteo_domain::RepositoryError;
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, Statement};

use crate::error::failed;
use crate::store::Store;

/// A rule and a query for what breaks it: `id` is the row, `expected` and `found` are integers.
///
/// Each reads the orders in the order of their ids, once, however many there are: nothing is looked up at random in what
/// is larger than memory.
///
/// - What has an order's id first in its key is joined to the orders and added up on the way.
/// - What has not is put together with the orders and sorted. By itself, MariaDB would look each order up in a table of the
///   sums so far: `SQL_BIG_RESULT` has it sort. To SQLite, which sorts anyway, the hints are comments.
/// - What is added up by few is read from the first row to the last. By the index on their ids, each row would be looked up:
///   MySQL is told to ignore it, and SQLite takes none for `+user_id`.
struct Rule {
    rule: &'static str,
    what: &'static str,
    query: &'static str,
}

const RULES: [Rule; 32] = [
    Rule {
        rule: "a wallet is the sum of its ledger entries",
        what: "wallet of user",
        query: "SELECT w.user_id AS id, COALESCE(l.total, 0) AS expected, w.balance AS found FROM wallets w \
                LEFT JOIN (SELECT user_id, SUM(amount) AS total FROM ledger_entries \
                /*! IGNORE INDEX (ix_ledger_entries_user_id_id) */ GROUP BY +user_id) l ON l.user_id = w.user_id \
                WHERE w.balance <> COALESCE(l.total, 0)",
    },
    Rule {
        rule: "the last ledger entry shows the balance",
        what: "wallet of user",
        query: "SELECT w.user_id AS id, e.balance_after AS expected, w.balance AS found FROM wallets w \
                JOIN (SELECT user_id, MAX(id) AS last FROM ledger_entries GROUP BY user_id) l ON l.user_id = w.user_id \
                JOIN ledger_entries e ON e.id = l.last WHERE e.balance_after <> w.balance",
    },
    Rule {
        rule: "who has left has a closed and empty wallet, and nothing that is still to come",
        what: "user",
        query: "SELECT u.id AS id, CASE WHEN u.deleted_at IS NULL THEN 0 ELSE 1 END AS expected, \
                CASE WHEN w.closed_at IS NULL THEN 0 ELSE 1 END AS found FROM users u \
                JOIN wallets w ON w.user_id = u.id WHERE (u.deleted_at IS NULL) <> (w.closed_at IS NULL) \
                OR (w.closed_at IS NOT NULL AND (w.balance <> 0 \
                OR EXISTS (SELECT 1 FROM cart_items c WHERE c.user_id = u.id) OR EXISTS (SELECT 1 FROM orders o \
                WHERE o.user_id = u.id AND o.status IN ('PENDING', 'PAID', 'SHIPPING'))))",
    },
    Rule {
        rule: "stock is what was received less what was sold and not returned",
        what: "product",
        query: "SELECT p.id AS id, COALESCE(m.total, 0) AS expected, p.stock AS found FROM products p \
                LEFT JOIN (SELECT product_id, SUM(quantity) AS total FROM stock_movements \
                /*! IGNORE INDEX (fk_stock_movements_product_id) */ GROUP BY product_id) m ON m.product_id = p.id \
                WHERE p.stock <> COALESCE(m.total, 0)",
    },
    Rule {
        rule: "the last stock movement shows the stock",
        what: "product",
        query: "SELECT p.id AS id, m.stock_after AS expected, p.stock AS found FROM products p \
                JOIN (SELECT product_id, MAX(id) AS last FROM stock_movements GROUP BY product_id) l \
                ON l.product_id = p.id JOIN stock_movements m ON m.id = l.last WHERE m.stock_after <> p.stock",
    },
    Rule {
        rule: "sales volume is the pieces in orders that were paid and not cancelled",
        what: "product",
        query: "SELECT p.id AS id, COALESCE(s.total, 0) AS expected, p.sales_volume AS found FROM products p \
                LEFT JOIN (SELECT /*! STRAIGHT_JOIN */ i.product_id, SUM(i.quantity) AS total FROM order_items i \
                JOIN orders o ON o.id = i.order_id WHERE o.status IN ('PAID', 'SHIPPING', 'DELIVERED') \
                GROUP BY i.product_id) s ON s.product_id = p.id WHERE p.sales_volume <> COALESCE(s.total, 0)",
    },
    Rule {
        rule: "hourly sales add up to the sales volume",
        what: "product",
        query: "SELECT p.id AS id, p.sales_volume AS expected, COALESCE(h.total, 0) AS found FROM products p \
                LEFT JOIN (SELECT product_id, SUM(quantity) AS total FROM hourly_sales \
                /*! IGNORE INDEX (fk_hourly_sales_product_id) */ GROUP BY product_id) h ON h.product_id = p.id \
                WHERE p.sales_volume <> COALESCE(h.total, 0)",
    },
    Rule {
        rule: "an order's total is the sum of its lines",
        what: "order",
        query: "SELECT o.id AS id, COALESCE(SUM(i.subtotal), 0) AS expected, MAX(o.total_amount) AS found FROM orders o \
                LEFT JOIN order_items i ON i.order_id = o.id GROUP BY o.id \
                HAVING COUNT(i.order_id) = 0 OR MAX(o.total_amount) <> SUM(i.subtotal)",
    },
    Rule {
        rule: "each line of an order that stands took its pieces out of the stock",
        what: "order",
        query: "SELECT /*! SQL_BIG_RESULT */ order_id AS id, MAX(pieces) AS expected, COALESCE(SUM(taken), 0) AS found FROM \
                (SELECT /*! STRAIGHT_JOIN */ i.order_id, i.product_id, i.variant_id, i.quantity AS pieces, \
                CASE WHEN o.status = 'CANCELLED' THEN 0 ELSE 1 END AS stands, NULL AS taken \
                FROM order_items i JOIN orders o ON o.id = i.order_id \
                UNION ALL SELECT order_id, product_id, COALESCE(variant_id, 0), NULL, NULL, -quantity \
                FROM stock_movements WHERE order_id IS NOT NULL) t GROUP BY order_id, product_id, variant_id \
                HAVING MAX(pieces) * MAX(stands) <> COALESCE(SUM(taken), 0)",
    },
    Rule {
        rule: "pieces are held for orders that wait to be paid, and for no others",
        what: "order",
        query: "SELECT /*! STRAIGHT_JOIN SQL_BIG_RESULT */ o.id AS id, CASE WHEN MAX(o.status) = 'PENDING' \
                THEN (SELECT COALESCE(SUM(i.quantity), 0) FROM order_items i WHERE i.order_id = o.id) ELSE 0 END AS expected, \
                -SUM(m.quantity) AS found FROM stock_movements m JOIN orders o ON o.id = m.order_id \
                WHERE m.kind IN ('HOLD', 'RELEASE') GROUP BY o.id HAVING expected <> found",
    },
    Rule {
        rule: "an order that waits to be paid waits until some time, and no other does",
        what: "order",
        query: "SELECT o.id AS id, 1 AS expected, 0 AS found FROM orders o \
                LEFT JOIN order_holds h ON h.order_id = o.id WHERE o.status = 'PENDING' AND h.order_id IS NULL \
                UNION ALL SELECT o.id, 0, 1 FROM order_holds h JOIN orders o ON o.id = h.order_id \
                WHERE o.status <> 'PENDING'",
    },
    Rule {
        rule: "the stock of a product with variants is the sum of theirs",
        what: "product",
        query: "SELECT p.id AS id, COALESCE(v.total, 0) AS expected, p.stock AS found FROM products p \
                LEFT JOIN (SELECT product_id, SUM(stock) AS total FROM variants GROUP BY product_id) v \
                ON v.product_id = p.id WHERE p.has_variants = TRUE AND p.stock <> COALESCE(v.total, 0) \
                OR p.has_variants = FALSE AND v.product_id IS NOT NULL",
    },
    Rule {
        rule: "the stock of a variant is what its movements come to",
        what: "variant",
        query: "SELECT v.id AS id, COALESCE(m.total, 0) AS expected, v.stock AS found FROM variants v \
                LEFT JOIN (SELECT variant_id, SUM(quantity) AS total FROM stock_movements \
                WHERE variant_id IS NOT NULL GROUP BY variant_id) m ON m.variant_id = v.id \
                WHERE v.stock <> COALESCE(m.total, 0)",
    },
    Rule {
        rule: "what was paid and not refunded is what the ledger took",
        what: "order",
        query: "SELECT /*! SQL_BIG_RESULT */ id, MAX(paid) AS expected, COALESCE(SUM(taken), 0) AS found FROM \
                (SELECT id, paid_amount AS paid, CASE WHEN status IN ('PENDING', 'CANCELLED') THEN 0 ELSE 1 END AS stands, \
                NULL AS taken FROM orders \
                UNION ALL SELECT order_id, NULL, NULL, -amount FROM ledger_entries WHERE order_id IS NOT NULL) t GROUP BY id \
                HAVING MAX(paid) * MAX(stands) <> COALESCE(SUM(taken), 0)",
    },
    Rule {
        rule: "ledger, stock movements and order lines name orders and products that exist",
        what: "order or product",
        query: "SELECT l.order_id AS id, 1 AS expected, 0 AS found FROM ledger_entries l \
                LEFT JOIN orders o ON o.id = l.order_id WHERE l.order_id IS NOT NULL AND o.id IS NULL \
                UNION SELECT m.order_id, 1, 0 FROM stock_movements m \
                LEFT JOIN orders o ON o.id = m.order_id WHERE m.order_id IS NOT NULL AND o.id IS NULL \
                UNION SELECT i.product_id, 1, 0 FROM (SELECT DISTINCT product_id, variant_id FROM order_items) i \
                LEFT JOIN products p ON p.id = i.product_id \
                LEFT JOIN variants v ON v.id = i.variant_id AND v.product_id = i.product_id \
                WHERE p.id IS NULL OR (i.variant_id <> 0 AND v.id IS NULL)",
    },
    Rule {
        rule: "every paid order has one completed payment of what was paid",
        what: "order",
        query: "SELECT o.id AS id, o.paid_amount AS expected, COALESCE(p.amount, -1) AS found FROM orders o \
                LEFT JOIN payments p ON p.order_id = o.id AND p.status = 'COMPLETED' \
                WHERE o.status IN ('PAID', 'SHIPPING', 'DELIVERED') AND (p.order_id IS NULL OR p.amount <> o.paid_amount)",
    },
    Rule {
        rule: "a payment was refunded if its order was cancelled, and no other was",
        what: "order",
        query: "SELECT o.id AS id, CASE WHEN o.status = 'CANCELLED' THEN 1 ELSE 0 END AS expected, \
                CASE WHEN p.status = 'CANCELLED' THEN 1 ELSE 0 END AS found FROM payments p \
                JOIN orders o ON o.id = p.order_id WHERE (o.status = 'CANCELLED' AND p.status = 'COMPLETED') \
                OR (o.status <> 'CANCELLED' AND p.status = 'CANCELLED')",
    },
    // Sales figures are taken back from the hour of this moment.
    Rule {
        rule: "an order was paid when its payment was, and stands where that was made",
        what: "order",
        query: "SELECT o.id AS id, 1 AS expected, 0 AS found FROM orders o JOIN payments p ON p.order_id = o.id \
                WHERE (CASE WHEN o.paid_at IS NULL THEN 1 ELSE 0 END) <> (CASE WHEN p.paid_at IS NULL THEN 1 ELSE 0 END) \
                OR o.paid_at <> p.paid_at \
                OR (o.paid_at IS NULL AND o.status IN ('PAID', 'SHIPPING', 'DELIVERED')) \
                OR (o.paid_at IS NOT NULL AND o.status = 'PENDING') \
                OR (o.status = 'CANCELLED' \
                AND p.status <> (CASE WHEN o.paid_at IS NULL THEN 'FAILED' ELSE 'CANCELLED' END))",
    },
    Rule {
        rule: "an order that waits has a payment that was not made",
        what: "order",
        query: "SELECT o.id AS id, 1 AS expected, COUNT(p.order_id) AS found FROM orders o \
                LEFT JOIN payments p ON p.order_id = o.id AND p.status IN ('PENDING', 'FAILED') AND p.paid_at IS NULL \
                WHERE o.status = 'PENDING' GROUP BY o.id HAVING COUNT(p.order_id) <> 1",
    },
    Rule {
        rule: "a payment's history is numbered without gaps and ends with its state",
        what: "order",
        query: "SELECT order_id AS id, MAX(sequence) AS expected, COUNT(*) AS found FROM payment_history \
                GROUP BY order_id HAVING COUNT(*) <> MAX(sequence) \
                UNION SELECT p.order_id, COALESCE(h.sequence, 1), \
                (SELECT COUNT(*) FROM payment_history c WHERE c.order_id = p.order_id) FROM payments p \
                LEFT JOIN payment_history h ON h.order_id = p.order_id \
                LEFT JOIN payment_history later ON later.order_id = h.order_id AND later.sequence > h.sequence \
                WHERE later.order_id IS NULL AND p.status <> COALESCE(h.to_status, 'PENDING')",
    },
    // Only events that were sent are purged, and of an order the first before the others: what is left ends with the last.
    Rule {
        rule: "every paid order has its events, numbered without gaps, but for those purged after they were sent",
        what: "order",
        query: "SELECT o.id AS id, MAX(o.events) AS expected, COUNT(e.id) AS found FROM orders o \
                LEFT JOIN outbox e ON e.aggregate = 'order' AND e.aggregate_id = o.id GROUP BY o.id \
                HAVING (COUNT(e.id) > 0 AND (MAX(e.sequence) <> MAX(o.events) \
                OR COUNT(e.id) <> MAX(e.sequence) - MIN(e.sequence) + 1)) \
                OR (COALESCE(MIN(e.sequence), 2) > 1 AND MAX(o.events) > 0 \
                AND COALESCE(MAX(o.created_at) > (SELECT MAX(events_purged_until) FROM installation), TRUE)) \
                OR (MAX(o.events) < 1 AND MAX(o.status) IN ('PAID', 'SHIPPING', 'DELIVERED'))",
    },
    Rule {
        rule: "a customer's coupon has the event of its issue, unless it was purged after it was sent",
        what: "user coupon",
        query: "SELECT u.id AS id, 1 AS expected, 0 AS found FROM user_coupons u \
                CROSS JOIN (SELECT MAX(events_purged_until) AS until FROM installation) purged \
                LEFT JOIN outbox e ON e.aggregate = 'user_coupon' AND e.aggregate_id = u.id AND e.sequence = 1 \
                WHERE e.id IS NULL AND (purged.until IS NULL OR u.claimed_at > purged.until)",
    },
    Rule {
        rule: "a line of a cart names a variant of its product, or none",
        what: "line of a cart",
        query: "SELECT c.id AS id, c.variant_id AS expected, 0 AS found FROM cart_items c \
                LEFT JOIN variants v ON v.id = c.variant_id AND v.product_id = c.product_id \
                WHERE c.variant_id <> 0 AND v.id IS NULL",
    },
    Rule {
        rule: "a coupon counts those that were issued, and never more than there are",
        what: "coupon",
        query: "SELECT c.id AS id, COALESCE(u.issued, 0) AS expected, c.issued_quantity AS found FROM coupons c \
                LEFT JOIN (SELECT coupon_id, COUNT(*) AS issued FROM user_coupons GROUP BY coupon_id) u \
                ON u.coupon_id = c.id WHERE c.issued_quantity <> COALESCE(u.issued, 0) \
                OR c.issued_quantity > c.total_quantity",
    },
    Rule {
        rule: "every ticket that a customer holds was handed out",
        what: "coupon",
        query: "SELECT c.id AS id, c.next_ticket - 1 AS expected, u.last AS found FROM coupons c \
                JOIN (SELECT coupon_id, MAX(ticket) AS last FROM user_coupons GROUP BY coupon_id) u \
                ON u.coupon_id = c.id WHERE u.last >= c.next_ticket",
    },
    // Before the tickets of the next gate, and before those that nobody has got yet.
    Rule {
        rule: "a gate has tickets that no other has",
        what: "coupon",
        query: "SELECT * FROM (SELECT g.coupon_id AS id, COALESCE((SELECT MIN(n.first_ticket) FROM coupon_gates n \
                WHERE n.coupon_id = g.coupon_id AND n.first_ticket > g.first_ticket), c.next_ticket) - 1 AS expected, \
                g.last_ticket AS found FROM coupon_gates g JOIN coupons c ON c.id = g.coupon_id) t \
                WHERE found > expected",
    },
    // Before, between and after the gates' tickets, each was handed out by the transaction that issued the coupon on it:
    // at every moment, all of them are held. Among the tickets of a gate, one that is neither held nor returned proves
    // nothing: its claim may be on its way, lost with a process, or let in for nobody by a Redis that answered too late.
    // While places are left it is found when it is overdue. If the coupon is sold out before, by claims that went past
    // the gate, it may be missing for good; and if none did, there are as many holders as tickets, so none is missing.
    Rule {
        rule: "winners hold the first tickets, without gaps, but for those that a gate hands out",
        what: "coupon",
        query: "SELECT s.id AS id, s.last - s.first + 1 AS expected, COUNT(u.ticket) AS found FROM \
                (SELECT c.id, 1 AS first, COALESCE((SELECT MIN(g.first_ticket) FROM coupon_gates g \
                WHERE g.coupon_id = c.id), c.next_ticket) - 1 AS last FROM coupons c \
                UNION ALL SELECT g.coupon_id, g.last_ticket + 1, COALESCE((SELECT MIN(n.first_ticket) FROM coupon_gates n \
                WHERE n.coupon_id = g.coupon_id AND n.first_ticket > g.first_ticket), c.next_ticket) - 1 \
                FROM coupon_gates g JOIN coupons c ON c.id = g.coupon_id) s \
                LEFT JOIN user_coupons u ON u.coupon_id = s.id AND u.ticket BETWEEN s.first AND s.last \
                WHERE s.first <= s.last GROUP BY s.id, s.first, s.last HAVING COUNT(u.ticket) <> s.last - s.first + 1",
    },
    Rule {
        rule: "a ticket that came back had been handed out by a gate",
        what: "coupon",
        query: "SELECT r.coupon_id AS id, 1 AS expected, 0 AS found FROM returned_tickets r \
                WHERE NOT EXISTS (SELECT 1 FROM coupon_gates g WHERE g.coupon_id = r.coupon_id \
                AND g.first_ticket <= r.ticket AND g.last_ticket >= r.ticket)",
    },
    Rule {
        rule: "a used coupon is used by one order, and an order's coupon is used",
        what: "user coupon",
        query: "SELECT u.id AS id, CASE WHEN u.status = 'USED' THEN 1 ELSE 0 END AS expected, \
                COALESCE(o.uses, 0) AS found FROM user_coupons u \
                LEFT JOIN (SELECT user_coupon_id, COUNT(*) AS uses FROM orders WHERE status <> 'CANCELLED' \
                AND user_coupon_id IS NOT NULL GROUP BY user_coupon_id) o ON o.user_coupon_id = u.id \
                WHERE COALESCE(o.uses, 0) <> (CASE WHEN u.status = 'USED' THEN 1 ELSE 0 END)",
    },
    Rule {
        rule: "every customer's coupon was issued once",
        what: "user coupon",
        query: "SELECT u.id AS id, 1 AS expected, COALESCE(h.issued, 0) AS found FROM user_coupons u \
                LEFT JOIN (SELECT user_coupon_id, COUNT(*) AS issued FROM coupon_history WHERE action = 'ISSUED' \
                GROUP BY user_coupon_id) h ON h.user_coupon_id = u.id WHERE COALESCE(h.issued, 0) <> 1",
    },
    Rule {
        rule: "the last entry of a coupon's history shows its state",
        what: "user coupon",
        query: "SELECT u.id AS id, 1 AS expected, 0 AS found FROM user_coupons u \
                JOIN (SELECT user_coupon_id, MAX(id) AS last FROM coupon_history GROUP BY user_coupon_id) l \
                ON l.user_coupon_id = u.id JOIN coupon_history h ON h.id = l.last \
                WHERE u.status <> (CASE WHEN h.action IN ('USED', 'EXPIRED') THEN h.action ELSE 'CLAIMED' END)",
    },
    Rule {
        rule: "coupons are used before their validity is over, and expire after it",
        what: "user coupon",
        query: "SELECT u.id AS id, 1 AS expected, 0 AS found FROM coupon_history h \
                JOIN user_coupons u ON u.id = h.user_coupon_id \
                WHERE (h.action = 'USED' AND h.created_at >= u.expires_at) \
                OR (h.action = 'EXPIRED' AND (u.expires_at IS NULL OR h.created_at < u.expires_at))",
    },
];

/// Of a check that takes longer, the log tells: somebody may be waiting.
const LONG: Duration = Duration::from_secs(1);

#[async_trait]
impl Audit for Store {
    async fn audit(&self) -> Result<AuditReport, RepositoryError> {
        let snapshot = self.long_snapshot().await?;
        memory_for_sums(&snapshot, "268435456").await?;
        let checks = check(&snapshot).await;
        memory_for_sums(&snapshot, "DEFAULT").await?;
        Ok(AuditReport { checks: checks? })
    }
}

async fn check(snapshot: &DatabaseTransaction) -> Result<Vec<AuditCheck>, RepositoryError> {
    let mut checks = Vec::with_capacity(RULES.len());
    for (number, rule) in (1..).zip(&RULES) {
        let begun = Instant::now();
        checks.push(AuditCheck { rule: rule.rule, violations: violations(snapshot, rule).await? });
        let took = begun.elapsed();
        if took > LONG {
            tracing::info!("audit: {number} of {}, {:.1} s: {}", RULES.len(), took.as_secs_f64(), rule.rule);
        }
    }
    Ok(checks)
}

/// How large a sum over a whole table may grow in MySQL's memory, and what it may sort there at once, in bytes. On disk the
/// pieces of 190,000 orders took 8 seconds to add up, in memory 2. What is sorted in fifteen portions or fewer is merged
/// once, and only rows that are there take memory.
async fn memory_for_sums(snapshot: &DatabaseTransaction, size: &str) -> Result<(), RepositoryError> {
    if snapshot.get_database_backend() == DbBackend::MySql {
        let set = format!(
            "SET SESSION tmp_table_size = {size}, max_heap_table_size = {size}, sort_buffer_size = {size}"
        );
        snapshot.execute_unprepared(&set).await.map_err(failed)?;
    }
    Ok(())
}

async fn violations(snapshot: &DatabaseTransaction, rule: &Rule) -> Result<Vec<String>, RepositoryError> {
    // Sums are DECIMALs on MySQL.
    let integer = match snapshot.get_database_backend() {
        DbBackend::MySql => "SIGNED",
        _ => "INTEGER",
    };
    let query = format!(
        "SELECT id, CAST(expected AS {integer}) AS expected, CAST(found AS {integer}) AS found \
         FROM ({}) v ORDER BY id LIMIT {}",
        rule.query,
        AuditCheck::MOST_VIOLATIONS
    );
    let statement = Statement::from_string(snapshot.get_database_backend(), query);
    let rows = snapshot.query_all_raw(statement).await.map_err(failed)?;
    rows.into_iter()
        .map(|row| {
            let read = |column| row.try_get::<i64>("", column).map_err(failed);
            let (id, expected, found) = (read("id")?, read("expected")?, read("found")?);
            Ok(format!("{} {id}: expected {expected}, found {found}", rule.what))
        })
        .collect()
}
