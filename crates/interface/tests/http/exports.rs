use reqwest::Method;
use serde_json::json;

use crate::support::{Answer, SHIRT, SOCKS, Shop, assert_refused, items, on_both_databases};

on_both_databases! {
    orders_are_exported_line_by_line
    the_ledger_is_exported
    exports_are_for_administrators
    what_is_no_question_is_refused
    a_look_at_the_head_exports_nothing
}

const ORDERS: &str = "/api/v1/admin/orders.csv";
const LEDGER: &str = "/api/v1/admin/ledger.csv";

/// The rows of a table, each with its cells by the names of the columns.
fn rows(answer: &Answer) -> Vec<Vec<(String, String)>> {
    assert_eq!(answer.header("content-type"), Some("text/csv; charset=utf-8; header=present"));
    let mut table = csv::Reader::from_reader(answer.text.as_bytes());
    let head = table.headers().expect("a head").clone();
    let cells = |row: csv::StringRecord| {
        head.iter().zip(&row).map(|(name, cell)| (name.to_owned(), cell.to_owned())).collect()
    };
    table.records().map(|row| cells(row.expect("a row"))).collect()
}

fn column<'a>(rows: &'a [Vec<(String, String)>], name: &str) -> Vec<&'a str> {
    rows.iter().flatten().filter(|(column, _)| column == name).map(|(_, cell)| cell.as_str()).collect()
}

async fn orders_are_exported_line_by_line(shop: &Shop) {
    Answer::of(shop.claim(1, "WELCOME10")).await.expect(200);
    let order = json!({"items": items(&[(SHIRT, 3), (SOCKS, 1)]), "couponCode": "WELCOME10"});
    let first = Answer::of(shop.post(1, "/api/v1/orders", &order)).await.expect(201).body;
    let second = Answer::of(shop.order(2, &[(SOCKS, 2)])).await.expect(201).body["orderId"].to_string();
    Answer::of(shop.cancel(2, &json!(second.parse::<i64>().unwrap()))).await.expect(200);

    let table = Answer::of(shop.managed(ORDERS)).await.expect(200);
    let name = table.header("content-disposition").unwrap();
    assert!(name.starts_with("attachment; filename=\"orders-2") && name.ends_with("Z.csv\""), "{name}");
    let rows_of_all = rows(&table);
    let id = first["orderId"].to_string();
    assert_eq!(column(&rows_of_all, "orderId"), [&id, &id, &second]);
    assert_eq!(column(&rows_of_all, "name"), ["유기농 면 티셔츠", "양말", "양말"]);
    assert_eq!(column(&rows_of_all, "unitPrice"), ["19900.00", "5000.50", "5000.50"]);
    assert_eq!(column(&rows_of_all, "subtotal"), ["59700.00", "5000.50", "10001.00"]);
    assert_eq!(column(&rows_of_all, "totalAmount"), ["64700.50", "64700.50", "10001.00"]);
    assert_eq!(column(&rows_of_all, "discountAmount"), ["6470.05", "6470.05", "0.00"]);
    assert_eq!(column(&rows_of_all, "couponCode"), ["WELCOME10", "WELCOME10", ""]);
    assert_eq!(column(&rows_of_all, "createdAt")[0], first["createdAt"]);

    let cancelled = Answer::of(shop.managed(&format!("{ORDERS}?status=CANCELLED"))).await.expect(200);
    assert_eq!(column(&rows(&cancelled), "orderId"), [&second]);
    let earlier = Answer::of(shop.managed(&format!("{ORDERS}?to=2025-01-01T00:00:00Z"))).await.expect(200);
    assert_eq!(rows(&earlier), Vec::<Vec<(String, String)>>::new());
}

async fn the_ledger_is_exported(shop: &Shop) {
    let order = Answer::of(shop.order(1, &[(SOCKS, 1)])).await.expect(201).body["orderId"].to_string();
    let table = Answer::of(shop.managed(&format!("{LEDGER}?userId=1"))).await.expect(200);
    let mine = rows(&table);
    assert_eq!(column(&mine, "kind"), ["CHARGE", "USE"]);
    assert_eq!(column(&mine, "amount"), ["100000.00", "-5000.50"]);
    assert_eq!(column(&mine, "balanceAfter"), ["100000.00", "94999.50"]);
    assert_eq!(column(&mine, "orderId"), ["", order.as_str()]);
    let all = Answer::of(shop.managed(LEDGER)).await.expect(200);
    // Somebody without money has no entries.
    assert_eq!(column(&rows(&all), "userId"), ["1", "2", "1"]);
}

async fn exports_are_for_administrators(shop: &Shop) {
    for path in [ORDERS, LEDGER] {
        assert_refused(&Answer::of(shop.get(path)).await, 401, "UNAUTHORIZED", &["X-User-Id"]);
        assert_refused(&Answer::of(shop.mine(path)).await, 403, "FORBIDDEN", &[]);
    }
}

async fn what_is_no_question_is_refused(shop: &Shop) {
    for (path, fields) in [
        ("/api/v1/admin/orders.csv?from=yesterday&status=LOST&size=5", &["from", "status", "size"][..]),
        ("/api/v1/admin/orders.csv?from=2025-11-09T12:00:00Z&to=2025-11-09T12:00:00Z", &["to"]),
        ("/api/v1/admin/ledger.csv?userId=0&userId=1", &["userId", "userId"]),
        ("/api/v1/admin/ledger.csv?status=PAID", &["status"]),
    ] {
        assert_refused(&Answer::of(shop.managed(path)).await, 400, "VALIDATION_ERROR", fields);
    }
    let nobody = Answer::of(shop.managed(&format!("{LEDGER}?userId=99"))).await;
    assert_refused(&nobody, 404, "NOT_FOUND", &[]);
}

async fn a_look_at_the_head_exports_nothing(shop: &Shop) {
    for path in [ORDERS, LEDGER] {
        let request = shop.request(Method::HEAD, path).header("X-User-Id", 1).header("X-User-Role", "ADMIN");
        let head = Answer::of(request).await.expect(200);
        assert_eq!((rows(&head).len(), head.text.len()), (0, 0));
        assert!(head.header("content-disposition").is_some());
    }
}
