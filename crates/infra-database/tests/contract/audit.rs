//! The audit finds what is wrong.

use chrono::TimeDelta;
use jangteo_application::cancel_orders::{Cancel, CancelOrders};
use jangteo_application::claim_coupons::{Claim, ClaimCoupons, Place};
use jangteo_application::place_orders::PlaceOrders;
use jangteo_application::{Audit, CouponPlaces};
use jangteo_domain::order::Terms;
use jangteo_domain::{OrderRequest, ProductId, Quantity, Sku, UserId, VariantId};

use crate::support::{Shop, claim, code, order, request, unkeyed};

crate::on_both_databases! {
    every_rule_finds_what_breaks_it
    orders_that_wait_and_variants_are_followed_too
    orders_are_compared_with_what_was_written_for_them
    tickets_are_followed_through_gates
}

const HANDED_OUT: &str = "every ticket that a customer holds was handed out";
const OF_ITS_OWN: &str = "a gate has tickets that no other has";
const WITHOUT_GAPS: &str =
    "winners hold the first tickets, without gaps, but for those that a gate hands out";

const LEFT: &str = "who has left has a closed and empty wallet, and nothing that is still to come";
const REFUNDED: &str = "a payment was refunded if its order was cancelled, and no other was";
const PAYMENT_HISTORY: &str = "a payment's history is numbered without gaps and ends with its state";

/// What is done to the data, and the rules that it breaks.
const TAMPERINGS: [(&str, &[&str]); 31] = [
    (
        "UPDATE wallets SET balance = balance + 1 WHERE user_id = 1",
        &["a wallet is the sum of its ledger entries", "the last ledger entry shows the balance"],
    ),
    ("UPDATE wallets SET closed_at = updated_at WHERE user_id = 1", &[LEFT]),
    ("UPDATE users SET deleted_at = created_at WHERE id = 1", &[LEFT]),
    (
        "UPDATE ledger_entries SET balance_after = 5 WHERE order_id IS NOT NULL",
        &["the last ledger entry shows the balance"],
    ),
    (
        "UPDATE products SET stock = stock + 1 WHERE id = 1",
        &[
            "stock is what was received less what was sold and not returned",
            "the last stock movement shows the stock",
        ],
    ),
    (
        "UPDATE stock_movements SET stock_after = 5 WHERE order_id IS NOT NULL",
        &["the last stock movement shows the stock"],
    ),
    (
        "UPDATE products SET sales_volume = sales_volume + 1 WHERE id = 1",
        &[
            "sales volume is the pieces in orders that were paid and not cancelled",
            "hourly sales add up to the sales volume",
        ],
    ),
    ("UPDATE hourly_sales SET quantity = quantity + 1", &["hourly sales add up to the sales volume"]),
    (
        "UPDATE orders SET total_amount = total_amount + 1, discount_amount = discount_amount + 1",
        &["an order's total is the sum of its lines"],
    ),
    (
        "UPDATE stock_movements SET order_id = NULL WHERE order_id IS NOT NULL",
        &["each line of an order that stands took its pieces out of the stock"],
    ),
    (
        "UPDATE ledger_entries SET order_id = NULL WHERE order_id IS NOT NULL",
        &["what was paid and not refunded is what the ledger took"],
    ),
    (
        "UPDATE ledger_entries SET order_id = 999 WHERE kind = 'CHARGE'",
        &["ledger, stock movements and order lines name orders and products that exist"],
    ),
    (
        "UPDATE stock_movements SET order_id = 999 WHERE kind = 'RECEIVE'",
        &["ledger, stock movements and order lines name orders and products that exist"],
    ),
    (
        "UPDATE order_items SET product_id = 999",
        &[
            "sales volume is the pieces in orders that were paid and not cancelled",
            "each line of an order that stands took its pieces out of the stock",
            "ledger, stock movements and order lines name orders and products that exist",
        ],
    ),
    (
        "UPDATE payments SET status = 'FAILED'",
        &["every paid order has one completed payment of what was paid", PAYMENT_HISTORY],
    ),
    (
        "UPDATE payments SET status = 'CANCELLED'",
        &["every paid order has one completed payment of what was paid", REFUNDED, PAYMENT_HISTORY],
    ),
    ("UPDATE payment_history SET sequence = 2", &[PAYMENT_HISTORY]),
    ("UPDATE payment_history SET to_status = 'CANCELLED'", &[PAYMENT_HISTORY]),
    (
        "UPDATE orders SET status = 'CANCELLED'",
        &[
            "sales volume is the pieces in orders that were paid and not cancelled",
            "each line of an order that stands took its pieces out of the stock",
            "what was paid and not refunded is what the ledger took",
            REFUNDED,
            STANDS,
            "a used coupon is used by one order, and an order's coupon is used",
        ],
    ),
    (
        "UPDATE outbox SET sequence = 2 WHERE aggregate = 'order'",
        &[
            "every paid order has its events, numbered without gaps, but for those purged after they were sent",
        ],
    ),
    (
        "UPDATE orders SET events = 2",
        &[
            "every paid order has its events, numbered without gaps, but for those purged after they were sent",
        ],
    ),
    (
        "UPDATE outbox SET sequence = 2 WHERE aggregate = 'user_coupon'",
        &["a customer's coupon has the event of its issue, unless it was purged after it was sent"],
    ),
    (
        "UPDATE coupons SET issued_quantity = issued_quantity + 1",
        &["a coupon counts those that were issued, and never more than there are"],
    ),
    ("UPDATE user_coupons SET ticket = ticket + 1", &[HANDED_OUT, WITHOUT_GAPS]),
    (
        "UPDATE user_coupons SET status = 'CLAIMED', used_at = NULL",
        &[
            "a used coupon is used by one order, and an order's coupon is used",
            "the last entry of a coupon's history shows its state",
        ],
    ),
    (
        "UPDATE user_coupons SET status = 'EXPIRED', used_at = NULL",
        &[
            "a used coupon is used by one order, and an order's coupon is used",
            "the last entry of a coupon's history shows its state",
        ],
    ),
    (
        "UPDATE user_coupons SET expires_at = used_at",
        &["coupons are used before their validity is over, and expire after it"],
    ),
    (
        "UPDATE coupon_history SET action = 'RESTORED' WHERE action = 'USED'",
        &["the last entry of a coupon's history shows its state"],
    ),
    (
        "UPDATE coupon_history SET action = 'RESTORED' WHERE action = 'ISSUED'",
        &["every customer's coupon was issued once"],
    ),
    (
        "UPDATE coupon_history SET action = 'ISSUED' WHERE action = 'USED'",
        &["every customer's coupon was issued once", "the last entry of a coupon's history shows its state"],
    ),
    (
        "UPDATE coupon_history SET action = 'EXPIRED' WHERE action = 'ISSUED'",
        &[
            "every customer's coupon was issued once",
            "coupons are used before their validity is over, and expire after it",
        ],
    ),
];

const STANDS: &str = "an order was paid when its payment was, and stands where that was made";
const MOVED: &str = "the stock of a variant is what its movements come to";
const SUMMED: &str = "the stock of a product with variants is the sum of theirs";
const HELD: &str = "pieces are held for orders that wait to be paid, and for no others";
const WAITS: &str = "an order that waits to be paid waits until some time, and no other does";
const UNPAID: &str = "an order that waits has a payment that was not made";
const TAKEN: &str = "each line of an order that stands took its pieces out of the stock";
const TOTAL: &str = "an order's total is the sum of its lines";
const PAID: &str = "what was paid and not refunded is what the ledger took";
const SOLD: &str = "sales volume is the pieces in orders that were paid and not cancelled";
const STOCKED: &str = "stock is what was received less what was sold and not returned";
const EXIST: &str = "ledger, stock movements and order lines name orders and products that exist";
const EVENTS: &str =
    "every paid order has its events, numbered without gaps, but for those purged after they were sent";

/// What is done to an order that waits and to variants, what undoes it, and the rules that it breaks.
const HOLDUPS: [(&str, &str, &[&str]); 9] = [
    (
        "UPDATE variants SET stock = stock + 1 WHERE id = 1",
        "UPDATE variants SET stock = stock - 1 WHERE id = 1",
        &[SUMMED, MOVED],
    ),
    (
        "UPDATE products SET has_variants = 0 WHERE id = 1",
        "UPDATE products SET has_variants = 1 WHERE id = 1",
        &[SUMMED],
    ),
    (
        "UPDATE stock_movements SET variant_id = 2 WHERE kind = 'HOLD' AND variant_id = 1",
        "UPDATE stock_movements SET variant_id = 1 WHERE kind = 'HOLD'",
        &[TAKEN, MOVED],
    ),
    (
        "UPDATE order_items SET variant_id = 99",
        "UPDATE order_items SET variant_id = 1",
        &[TAKEN, "ledger, stock movements and order lines name orders and products that exist"],
    ),
    (
        "UPDATE stock_movements SET kind = 'RELEASE', quantity = -quantity WHERE kind = 'HOLD'",
        "UPDATE stock_movements SET kind = 'HOLD', quantity = -quantity WHERE kind = 'RELEASE'",
        &["stock is what was received less what was sold and not returned", TAKEN, HELD, MOVED],
    ),
    (
        "DELETE FROM order_holds",
        "INSERT INTO order_holds SELECT id, '2026-11-21 09:15:00' FROM orders",
        &[WAITS],
    ),
    (
        "UPDATE payments SET status = 'CANCELLED' WHERE status = 'PENDING'",
        "UPDATE payments SET status = 'PENDING' WHERE status = 'CANCELLED'",
        &[REFUNDED, UNPAID, PAYMENT_HISTORY],
    ),
    (
        "UPDATE orders SET status = 'CANCELLED'",
        "UPDATE orders SET status = 'PENDING'",
        &[TAKEN, HELD, WAITS, STANDS],
    ),
    ("UPDATE orders SET paid_at = created_at", "UPDATE orders SET paid_at = NULL", &[STANDS]),
];

async fn orders_that_wait_and_variants_are_followed_too(shop: Shop) {
    let shop = shop.stocked(1, 2, 10, 1).await.with_variants().await;
    let orders = shop.batcher(PlaceOrders);
    let small = Sku { product: ProductId(1), variant: Some(VariantId(1)) };
    let wanted = OrderRequest::new(UserId(1), [(small, Quantity::new(2).unwrap())], None).unwrap();
    let hold = TimeDelta::minutes(15);
    let placed = order(&orders, wanted.on(Terms::Deferred { hold })).await.unwrap();
    assert!(placed.outcome.is_ok());
    each_breaks_its_rules(&shop, HOLDUPS).await;
}

/// What is done to what was written for an order that stands, of two lines, and for one that was cancelled; what undoes it;
/// and the rules that it breaks.
const DISCREPANCIES: [(&str, &str, &[&str]); 13] = [
    (
        "UPDATE ledger_entries SET amount = amount - 1 WHERE kind = 'REFUND'",
        "UPDATE ledger_entries SET amount = amount + 1 WHERE kind = 'REFUND'",
        &["a wallet is the sum of its ledger entries", PAID],
    ),
    (
        "UPDATE ledger_entries SET order_id = -order_id WHERE kind = 'REFUND'",
        "UPDATE ledger_entries SET order_id = -order_id WHERE kind = 'REFUND'",
        &[PAID, EXIST],
    ),
    (
        "UPDATE ledger_entries SET order_id = (SELECT MIN(id) FROM orders) WHERE kind = 'CHARGE'",
        "UPDATE ledger_entries SET order_id = NULL WHERE kind = 'CHARGE'",
        &[PAID],
    ),
    (
        "UPDATE stock_movements SET quantity = quantity - 1 WHERE kind = 'SALE' AND product_id = 2",
        "UPDATE stock_movements SET quantity = quantity + 1 WHERE kind = 'SALE' AND product_id = 2",
        &[STOCKED, TAKEN],
    ),
    (
        "UPDATE stock_movements SET order_id = -order_id WHERE kind = 'RETURN'",
        "UPDATE stock_movements SET order_id = -order_id WHERE kind = 'RETURN'",
        &[TAKEN, EXIST],
    ),
    (
        "UPDATE stock_movements SET order_id = -order_id WHERE kind = 'SALE' AND product_id = 2",
        "UPDATE stock_movements SET order_id = -order_id WHERE kind = 'SALE' AND product_id = 2",
        &[TAKEN, EXIST],
    ),
    (
        "UPDATE stock_movements SET order_id = (SELECT MIN(id) FROM orders) WHERE kind = 'RECEIVE' AND product_id = 2",
        "UPDATE stock_movements SET order_id = NULL WHERE kind = 'RECEIVE'",
        &[TAKEN],
    ),
    (
        "UPDATE stock_movements SET kind = 'HOLD' WHERE kind = 'SALE' AND product_id = 2",
        "UPDATE stock_movements SET kind = 'SALE' WHERE kind = 'HOLD'",
        &[HELD],
    ),
    (
        "UPDATE order_items SET quantity = quantity + 1, subtotal = subtotal + unit_price WHERE product_id = 2",
        "UPDATE order_items SET quantity = quantity - 1, subtotal = subtotal - unit_price WHERE product_id = 2",
        &[SOLD, TOTAL, TAKEN],
    ),
    (
        "UPDATE payment_history SET to_status = CASE sequence WHEN 1 THEN 'CANCELLED' ELSE 'COMPLETED' END \
         WHERE order_id = (SELECT MAX(id) FROM orders)",
        "UPDATE payment_history SET to_status = CASE sequence WHEN 1 THEN 'COMPLETED' ELSE 'CANCELLED' END \
         WHERE order_id = (SELECT MAX(id) FROM orders)",
        &[PAYMENT_HISTORY],
    ),
    (
        "UPDATE payment_history SET sequence = 3 WHERE sequence = 2",
        "UPDATE payment_history SET sequence = 2 WHERE sequence = 3",
        &[PAYMENT_HISTORY],
    ),
    (
        "UPDATE outbox SET aggregate_id = -aggregate_id WHERE sequence = 1",
        "UPDATE outbox SET aggregate_id = -aggregate_id WHERE sequence = 1",
        &[EVENTS],
    ),
    (
        "UPDATE outbox SET aggregate_id = -aggregate_id WHERE sequence = 2",
        "UPDATE outbox SET aggregate_id = -aggregate_id WHERE sequence = 2",
        &[EVENTS],
    ),
];

async fn orders_are_compared_with_what_was_written_for_them(shop: Shop) {
    let shop = shop.stocked(1, 2, 10, 1).await;
    let orders = shop.batcher(PlaceOrders);
    let place = async |lines: &[(i64, i64)]| {
        order(&orders, request(1, lines, None)).await.unwrap().outcome.unwrap().order
    };
    place(&[(1, 2), (2, 1)]).await;
    let cancel = Cancel { order: place(&[(1, 1)]).await, by: UserId(1), administrator: None, reason: None };
    assert!(shop.batcher(CancelOrders).submit(unkeyed(cancel)).await.unwrap().outcome.is_ok());
    each_breaks_its_rules(&shop, DISCREPANCIES).await;
    shop.tamper("DELETE FROM payment_history").await;
    assert_eq!(broken_rules(&shop).await, [PAYMENT_HISTORY]);
    shop.tamper("DELETE FROM order_items WHERE product_id = 1").await;
    assert_eq!(broken_rules(&shop).await, [SOLD, TOTAL, PAYMENT_HISTORY]);
}

/// Each tampering is undone by its inverse, so that one shop serves them all.
async fn every_rule_finds_what_breaks_it(shop: Shop) {
    let shop = shop.stocked(1, 1, 10, 5).await;
    let (orders, claims) = (shop.batcher(PlaceOrders), shop.batcher(ClaimCoupons));
    assert!(claim(&claims, 1, "TENTH").await.unwrap().outcome.is_ok());
    assert!(order(&orders, request(1, &[(1, 2)], Some("TENTH"))).await.unwrap().outcome.is_ok());
    let tamperings = TAMPERINGS.iter().map(|&(tampering, broken)| (tampering, repair(tampering), broken));
    each_breaks_its_rules(&shop, tamperings).await;
}

/// What is done to a shop whose books balance, what undoes it, and the rules that it breaks. So one shop serves them all.
async fn each_breaks_its_rules(
    shop: &Shop,
    tamperings: impl IntoIterator<Item = (&str, &str, &[&'static str])>,
) {
    shop.assert_audit_is_clean().await;
    for (tampering, repair, broken) in tamperings {
        shop.tamper(tampering).await;
        assert_eq!(broken_rules(shop).await, broken, "{tampering}");
        shop.tamper(repair).await;
    }
    shop.assert_audit_is_clean().await;
}

async fn broken_rules(shop: &Shop) -> Vec<&'static str> {
    let report = shop.store.audit().await.unwrap();
    report.checks.iter().filter(|check| !check.violations.is_empty()).map(|check| check.rule).collect()
}

fn repair(tampering: &str) -> &'static str {
    match tampering.split_whitespace().nth(1).unwrap() {
        "wallets" => "UPDATE wallets SET balance = 98200, closed_at = NULL",
        "users" => "UPDATE users SET deleted_at = NULL",
        "ledger_entries" => {
            "UPDATE ledger_entries SET balance_after = CASE kind WHEN 'USE' THEN 98200 ELSE balance_after END, \
             order_id = CASE kind WHEN 'USE' THEN (SELECT id FROM orders) END"
        }
        "products" => "UPDATE products SET stock = 8, sales_volume = 2",
        "stock_movements" => {
            "UPDATE stock_movements SET stock_after = CASE kind WHEN 'SALE' THEN 8 ELSE stock_after END, \
             order_id = CASE kind WHEN 'SALE' THEN (SELECT id FROM orders) END"
        }
        "hourly_sales" => "UPDATE hourly_sales SET quantity = 2",
        "orders" => {
            "UPDATE orders SET total_amount = 2000, discount_amount = 200, events = 1, status = 'PAID'"
        }
        "order_items" => "UPDATE order_items SET product_id = 1",
        "payments" => "UPDATE payments SET status = 'COMPLETED'",
        "payment_history" => "UPDATE payment_history SET sequence = 1, to_status = 'COMPLETED'",
        "outbox" => "UPDATE outbox SET sequence = 1",
        "coupons" => "UPDATE coupons SET issued_quantity = 1",
        "user_coupons" => {
            "UPDATE user_coupons SET ticket = 1, status = 'USED', used_at = claimed_at, expires_at = NULL"
        }
        "coupon_history" => {
            "UPDATE coupon_history SET action = CASE WHEN order_id IS NULL THEN 'ISSUED' ELSE 'USED' END"
        }
        table => unreachable!("{table}"),
    }
}

/// What is done to tickets, what undoes it, and the rules that it breaks.
const FORGERIES: [(&str, &str, &[&str]); 8] = [
    (
        "UPDATE user_coupons SET ticket = 99 WHERE ticket = 1",
        "UPDATE user_coupons SET ticket = 1 WHERE ticket = 99",
        &[HANDED_OUT, WITHOUT_GAPS],
    ),
    (
        "UPDATE user_coupons SET ticket = 10 WHERE ticket = 9",
        "UPDATE user_coupons SET ticket = 9 WHERE ticket = 10",
        &[HANDED_OUT],
    ),
    (
        "UPDATE user_coupons SET ticket = 4 WHERE ticket = 1",
        "UPDATE user_coupons SET ticket = 1 WHERE ticket = 4",
        &[WITHOUT_GAPS],
    ),
    (
        "UPDATE coupons SET next_ticket = next_ticket + 1",
        "UPDATE coupons SET next_ticket = next_ticket - 1",
        &[WITHOUT_GAPS],
    ),
    ("UPDATE coupons SET next_ticket = 9", "UPDATE coupons SET next_ticket = 10", &[HANDED_OUT, OF_ITS_OWN]),
    (
        "UPDATE coupon_gates SET last_ticket = 6 WHERE first_ticket = 2",
        "UPDATE coupon_gates SET last_ticket = 5 WHERE first_ticket = 2",
        &[OF_ITS_OWN],
    ),
    (
        "UPDATE coupon_gates SET first_ticket = 5, last_ticket = 8 WHERE first_ticket = 6",
        "UPDATE coupon_gates SET first_ticket = 6, last_ticket = 9 WHERE first_ticket = 5",
        &[OF_ITS_OWN],
    ),
    (
        "INSERT INTO returned_tickets SELECT id, 1, created_at FROM coupons",
        "DELETE FROM returned_tickets WHERE ticket = 1",
        &["a ticket that came back had been handed out by a gate"],
    ),
];

/// Ticket 1 is issued without a gate, the four places that are left are handed out to a gate, and again to another when
/// that one is lost. Claims of both are issued.
async fn tickets_are_followed_through_gates(shop: Shop) {
    let shop = shop.stocked(5, 1, 10, 5).await;
    let claims = shop.batcher(ClaimCoupons);
    let on = |user: i64, place| {
        let claim = Claim { user: UserId(user), code: code("TENTH"), place };
        async { claims.submit(unkeyed(claim)).await.unwrap().outcome.unwrap().user_coupon.ticket }
    };
    let tenth = code("TENTH");
    let hand_out = async || shop.store.hand_out(&tenth).await.unwrap().unwrap();
    assert_eq!(on(1, Place::Ungated).await, 1);
    assert_eq!(hand_out().await.tickets, 2..6);
    shop.assert_audit_is_clean().await;
    let again = hand_out().await;
    assert_eq!((again.tickets, again.holders), (6..10, [(UserId(1), 1)].into()));
    assert_eq!(on(2, Place::Ticket(3)).await, 3);
    assert_eq!(on(3, Place::Ticket(9)).await, 9);
    shop.assert_audit_is_clean().await;
    for (forgery, repair, broken) in FORGERIES {
        shop.tamper(forgery).await;
        assert_eq!(broken_rules(&shop).await, broken, "{forgery}");
        shop.tamper(repair).await;
    }
    // Twice, as by two instances that find the same place overdue.
    for _ in 0..2 {
        shop.store.give_back(&tenth, &[6, 7].into()).await.unwrap();
    }
    assert_eq!(on(4, Place::Ticket(9)).await, 10, "another has that one");
    assert_eq!(on(5, Place::Ungated).await, 11);
    assert!(hand_out().await.tickets.is_empty());
    shop.assert_audit_is_clean().await;
}
