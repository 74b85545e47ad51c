use serde_json::{Value, json};

use crate::support::{Answer, SHIRT, SOCKS, Shop, assert_refused, items, on_both_databases};

on_both_databases! {
    administrators_look_through_the_orders_of_everybody
    what_was_sold_is_summed_up
    what_is_no_question_is_refused
    the_book_is_for_administrators
}

const ORDERS: &str = "/api/v1/admin/orders";
const SALES: &str = "/api/v1/admin/sales";

async fn ids(shop: &Shop, query: &str) -> Vec<Value> {
    let page = Answer::of(shop.managed(&format!("{ORDERS}{query}"))).await.expect(200);
    let ids = |order: &Value| order["orderId"].clone();
    page.body["content"].as_array().unwrap().iter().map(ids).collect()
}

async fn administrators_look_through_the_orders_of_everybody(shop: &Shop) {
    let first = Answer::of(shop.order(1, &[(SHIRT, 1)])).await.expect(201).body["orderId"].take();
    let second = Answer::of(shop.order(2, &[(SOCKS, 2)])).await.expect(201).body["orderId"].take();
    let third = Answer::of(shop.order(1, &[(SOCKS, 1)])).await.expect(201).body["orderId"].take();
    Answer::of(shop.cancel(1, &first)).await.expect(200);
    assert_eq!(ids(shop, "").await, [&third, &second, &first].map(Value::clone));
    assert_eq!(ids(shop, "?userId=1").await, [&third, &first].map(Value::clone));
    assert_eq!(ids(shop, "?status=CANCELLED").await, std::slice::from_ref(&first));
    assert_eq!(ids(shop, "?page=1&size=2").await, std::slice::from_ref(&first));
    assert_eq!(ids(shop, "?to=2025-01-01T00:00:00Z").await, Vec::<Value>::new());
    assert_eq!(ids(shop, "?userId=3").await, Vec::<Value>::new());
    let page = Answer::of(shop.managed(&format!("{ORDERS}?userId=2"))).await.expect(200);
    let order = &page.body["content"][0];
    assert_eq!((&order["userId"], &order["status"]), (&json!(2), &json!("PAID")));
    assert!(page.text.contains(r#""totalAmount":10001.00"#), "{}", page.text);
    let alone = Answer::of(shop.managed(&format!("/api/v1/orders/{second}"))).await.expect(200);
    assert_eq!(alone.body["items"], order["items"]);
}

async fn what_was_sold_is_summed_up(shop: &Shop) {
    Answer::of(shop.claim(1, "WELCOME10")).await.expect(200);
    let order = json!({"items": items(&[(SHIRT, 1)]), "couponCode": "WELCOME10"});
    Answer::of(shop.post(1, "/api/v1/orders", &order)).await.expect(201);
    let taken_back = Answer::of(shop.order(2, &[(SOCKS, 2)])).await.expect(201);
    Answer::of(shop.cancel(2, &taken_back.body["orderId"])).await.expect(200);
    let figures = r#""ordersPaid":2,"grossAmount":29901.00,"discountAmount":1990.00,"revenue":27911.00,"ordersCancelled":1,"refundedAmount":10001.00}"#;
    // The last period is the one that is: it ends with the second after this one.
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    for (query, periods) in [("", 31), ("?by=hour", 25), ("?by=day&zone=%2B09:00", 31)] {
        let sales = Answer::of(shop.managed(&format!("{SALES}{query}"))).await.expect(200);
        assert!(sales.text.contains(&format!(r#""totals":{{{figures}"#)), "{}", sales.text);
        let listed = sales.body["periods"].as_array().unwrap().len();
        assert!((periods - 1..=periods).contains(&listed), "{query}: {listed}");
        let empty = r#","ordersPaid":0,"grossAmount":0.00,"discountAmount":0.00,"revenue":0.00,"ordersCancelled":0,"refundedAmount":0.00}"#;
        assert!(sales.text.contains(empty), "{}", sales.text);
    }
    let sales = Answer::of(shop.managed(&format!("{SALES}?zone=+09:00&by=hour"))).await.expect(200);
    assert_eq!((&sales.body["zone"], &sales.body["by"]), (&json!("+09:00"), &json!("hour")));
    let earlier = "?from=2025-01-01T00:00:00Z&to=2025-01-03T12:00:00Z";
    let earlier = Answer::of(shop.managed(&format!("{SALES}{earlier}"))).await.expect(200);
    assert_eq!(earlier.body["totals"]["ordersPaid"], 0);
    assert_eq!(earlier.body["periods"].as_array().unwrap().len(), 3);
}

async fn what_is_no_question_is_refused(shop: &Shop) {
    for (path, fields) in [
        (
            "/api/v1/admin/orders?userId=x&from=now&status=paid&size=0",
            &["from", "status", "userId", "size"][..],
        ),
        ("/api/v1/admin/orders?from=2025-11-09T12:00:00Z&to=2025-11-08T12:00:00Z", &["to"]),
        ("/api/v1/admin/sales?by=week&zone=Seoul&from=now&page=1", &["from", "by", "zone", "page"]),
        ("/api/v1/admin/sales?from=2025-01-01T00:00:00Z&to=2025-05-01T00:00:00Z", &["to"]),
        ("/api/v1/admin/sales?by=hour&from=2025-01-01T00:00:00Z&to=2025-02-02T00:00:00Z", &["to"]),
    ] {
        assert_refused(&Answer::of(shop.managed(path)).await, 400, "VALIDATION_ERROR", fields);
    }
    let nobody = Answer::of(shop.managed(&format!("{ORDERS}?userId=99"))).await;
    assert_refused(&nobody, 404, "NOT_FOUND", &[]);
}

async fn the_book_is_for_administrators(shop: &Shop) {
    for path in [ORDERS, SALES] {
        assert_refused(&Answer::of(shop.get(path)).await, 401, "UNAUTHORIZED", &["X-User-Id"]);
        assert_refused(&Answer::of(shop.mine(path)).await, 403, "FORBIDDEN", &[]);
    }
}
