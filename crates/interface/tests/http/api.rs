use reqwest::Method;
use serde_json::json;

use crate::support::{Answer, SHIRT, SOCKS, Shop, assert_refused, on_both_databases};

on_both_databases! {
    an_order_is_paid_and_answered_in_exact_numbers
    an_order_with_a_coupon_gets_its_discount
    a_refused_order_names_everything_that_is_wrong
    the_same_product_on_two_lines_is_added_up
    orders_are_listed_latest_first_and_by_status
    an_order_is_seen_by_its_customer_and_administrators
    charging_adds_to_the_wallet_up_to_its_limit
    the_ledger_tells_every_movement
    a_coupon_is_claimed_once_and_while_there_are_some
    a_claim_outside_its_window_is_refused
    coupons_are_seen_by_their_holder_and_administrators
    products_are_listed_sorted_and_in_pages
    popular_products_are_those_that_sold
    a_customer_registers_and_sees_themselves
    an_email_is_registered_once
    messages_are_korean_or_english
    a_trace_is_continued
}

async fn an_order_is_paid_and_answered_in_exact_numbers(shop: &Shop) {
    let placed = Answer::of(shop.order(1, &[(SHIRT, 2), (SOCKS, 1)])).await.expect(201);
    let (id, at) = (&placed.body["orderId"], placed.body["createdAt"].as_str().unwrap());
    assert_eq!(
        placed.text,
        format!(
            r#"{{"orderId":{id},"status":"PAID","totalAmount":44800.50,"discountAmount":0.00,"paidAmount":44800.50,"appliedCoupon":null,"items":[{{"productId":1,"name":"유기농 면 티셔츠","unitPrice":19900.00,"qty":2,"subtotal":39800.00}},{{"productId":2,"name":"양말","unitPrice":5000.50,"qty":1,"subtotal":5000.50}}],"userPointBalance":55199.50,"createdAt":"{at}","paidAt":"{at}"}}"#
        )
    );
    assert!(at.len() == 20 && at.ends_with('Z'), "{at}");
    assert_eq!(placed.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(placed.header("location"), Some(&*format!("/api/v1/orders/{id}")));
    assert_eq!(shop.balance(1).await, 55_199.5);
    assert_eq!((shop.stock(SHIRT).await, shop.stock(SOCKS).await), (json!(8), json!(4)));
    let seen = Answer::of(shop.mine(placed.header("location").unwrap())).await.expect(200);
    assert_eq!(seen.text, placed.text.replace(r#""userPointBalance":55199.50,"#, ""));
}

async fn an_order_with_a_coupon_gets_its_discount(shop: &Shop) {
    Answer::of(shop.claim(1, "welcome10")).await.expect(200);
    let order = json!({"items": [{"productId": SHIRT, "qty": 3}], "couponCode": "welcome10"});
    let placed = Answer::of(shop.post(1, "/api/v1/orders", &order)).await.expect(201);
    assert!(placed.text.contains(r#""totalAmount":59700.00,"discountAmount":5970.00,"paidAmount":53730.00"#));
    assert_eq!(placed.body["appliedCoupon"], json!({"code": "WELCOME10"}));
    let coupons = Answer::of(shop.mine("/api/v1/users/1/coupons")).await.expect(200);
    let used = &coupons.body["coupons"][0];
    assert_eq!((&used["status"], used["usedAt"].is_string()), (&json!("USED"), true));
    let affordable = json!({"items": [{"productId": SHIRT, "qty": 1}], "couponCode": "WELCOME10"});
    let again = Answer::of(shop.post(1, "/api/v1/orders", &affordable)).await;
    assert_refused(&again, 400, "COUPON_INVALID", &["couponCode"]);
    assert_eq!(again.body["details"][0]["code"], "COUPON_ALREADY_USED");
}

async fn a_refused_order_names_everything_that_is_wrong(shop: &Shop) {
    let before = shop.books().await;
    let order = json!({
        "items": [{"productId": SOCKS, "qty": 1}, {"productId": SHIRT, "qty": 11}],
        "couponCode": "WELCOME10",
    });
    let refused = Answer::of(shop.post(1, "/api/v1/orders", &order)).await;
    assert_refused(&refused, 400, "COUPON_INVALID", &["couponCode", "items[1].qty", "items"]);
    let details = &refused.body["details"];
    assert_eq!(details[0]["code"], "COUPON_NOT_HELD");
    assert_eq!(details[1]["productId"], SHIRT);
    assert_eq!((&details[1]["requested"], &details[1]["available"]), (&json!(11), &json!(10)));
    assert!(refused.text.contains(r#""required":223900.50,"available":100000.00"#), "{}", refused.text);
    let short = Answer::of(shop.order(1, &[(SHIRT, 11)])).await;
    assert_refused(&short, 409, "OUT_OF_STOCK", &["items[0].qty", "items"]);
    let poor = Answer::of(shop.order(3, &[(SHIRT, 1)])).await;
    assert_refused(&poor, 409, "INSUFFICIENT_BALANCE", &["items"]);
    assert_eq!(shop.books().await, before);
}

async fn the_same_product_on_two_lines_is_added_up(shop: &Shop) {
    let placed = Answer::of(shop.order(1, &[(SOCKS, 1), (SHIRT, 1), (SOCKS, 2)])).await.expect(201);
    let lines: Vec<_> = placed.body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| (&line["productId"], &line["qty"]))
        .collect();
    assert_eq!(lines, [(&json!(SOCKS), &json!(3)), (&json!(SHIRT), &json!(1))]);
    let too_many = Answer::of(shop.order(1, &[(SHIRT, 1), (SOCKS, 2), (SOCKS, 1)])).await;
    assert_refused(&too_many, 409, "OUT_OF_STOCK", &["items[1].qty"]);
    assert_eq!(too_many.body["details"][0]["requested"], 3);
    assert_eq!(shop.stock(SOCKS).await, 2);
}

async fn orders_are_listed_latest_first_and_by_status(shop: &Shop) {
    for _ in 0..3 {
        Answer::of(shop.order(1, &[(SOCKS, 1)])).await.expect(201);
    }
    let first = Answer::of(shop.mine("/api/v1/orders?size=2")).await.expect(200);
    let ids: Vec<i64> = first.body["content"]
        .as_array()
        .unwrap()
        .iter()
        .map(|order| order["orderId"].as_i64().unwrap())
        .collect();
    assert!(ids.len() == 2 && ids[0] > ids[1], "{ids:?}");
    assert_eq!((&first.body["totalElements"], &first.body["totalPages"]), (&json!(3), &json!(2)));
    assert!(first.body["content"][0]["userPointBalance"].is_null());
    let paid = Answer::of(shop.mine("/api/v1/orders?status=PAID")).await.expect(200);
    assert_eq!(paid.body["totalElements"], 3);
    let pending = Answer::of(shop.mine("/api/v1/orders?status=PENDING")).await.expect(200);
    assert_eq!(pending.body["totalElements"], 0);
}

async fn an_order_is_seen_by_its_customer_and_administrators(shop: &Shop) {
    let placed = Answer::of(shop.order(1, &[(SOCKS, 1)])).await.expect(201);
    let path = placed.header("location").unwrap();
    let others = shop.get(path).header("X-User-Id", 2);
    assert_refused(&Answer::of(others).await, 404, "NOT_FOUND", &[]);
    let administrators = shop.get(path).header("X-User-Id", 2).header("X-User-Role", "ADMIN");
    Answer::of(administrators).await.expect(200);
}

async fn charging_adds_to_the_wallet_up_to_its_limit(shop: &Shop) {
    let charge = |amount| shop.post(2, "/api/v1/wallets/charge", &json!({"amount": amount}));
    let charged = Answer::of(charge(json!(103000.25))).await.expect(200);
    assert_eq!(charged.text, r#"{"userId":2,"balance":153000.25}"#);
    let charged = Answer::of(charge(json!("1e3"))).await.expect(200);
    assert_eq!(charged.text, r#"{"userId":2,"balance":154000.25}"#);
    let beyond = Answer::of(charge(json!(846000))).await;
    assert_refused(&beyond, 409, "BALANCE_LIMIT_EXCEEDED", &["amount"]);
    assert!(beyond.text.contains(r#""available":154000.25,"maximum":1000000.00"#), "{}", beyond.text);
    Answer::of(charge(json!(845999.75))).await.expect(200);
    let wallet = Answer::of(shop.get("/api/v1/wallets").header("X-User-Id", 2)).await.expect(200);
    assert_eq!(wallet.text, r#"{"userId":2,"balance":1000000.00}"#);
}

async fn the_ledger_tells_every_movement(shop: &Shop) {
    let charge = shop.post(1, "/api/v1/wallets/charge", &json!({"amount": 1}));
    Answer::of(charge).await.expect(200);
    let order = Answer::of(shop.order(1, &[(SHIRT, 1)])).await.expect(201);
    let ledger = Answer::of(shop.mine("/api/v1/wallets/ledger?page=0&size=2")).await.expect(200);
    assert_eq!(ledger.body["totalElements"], 3);
    let [used, charged] = &ledger.body["content"].as_array().unwrap()[..] else { panic!("{}", ledger.text) };
    assert_eq!((&used["kind"], &used["amount"]), (&json!("USE"), &json!(-19900.0)));
    assert_eq!((&used["balanceAfter"], &used["orderId"]), (&json!(80101.0), &order.body["orderId"]));
    assert_eq!((&charged["kind"], &charged["amount"]), (&json!("CHARGE"), &json!(1.0)));
    assert!(charged["orderId"].is_null());
}

async fn a_coupon_is_claimed_once_and_while_there_are_some(shop: &Shop) {
    let claimed = Answer::of(shop.claim(1, "FLASH5000")).await.expect(200);
    let (id, at) = (&claimed.body["couponId"], claimed.body["claimedAt"].as_str().unwrap());
    assert_eq!(
        claimed.text,
        format!(
            r#"{{"couponId":{id},"code":"FLASH5000","type":"FIXED","value":5000.00,"claimedAt":"{at}","status":"CLAIMED","ticket":1}}"#
        )
    );
    for _ in 0..2 {
        let again = Answer::of(shop.claim(1, "FLASH5000")).await;
        assert_refused(&again, 409, "COUPON_ALREADY_CLAIMED", &["code"]);
        let late = Answer::of(shop.claim(2, "FLASH5000")).await;
        assert_refused(&late, 409, "COUPON_SOLD_OUT", &["code"]);
    }
    let percent = Answer::of(shop.claim(2, "WELCOME10")).await.expect(200);
    assert!(percent.text.contains(r#""type":"PERCENT","value":10.00"#), "{}", percent.text);
}

async fn a_claim_outside_its_window_is_refused(shop: &Shop) {
    for (code, reason) in [("OVER", "COUPON_ENDED"), ("LATER", "COUPON_NOT_STARTED")] {
        let refused = Answer::of(shop.claim(1, code)).await;
        assert_refused(&refused, 400, "COUPON_INVALID", &["code"]);
        assert_eq!(refused.body["details"][0]["code"], reason);
    }
}

async fn coupons_are_seen_by_their_holder_and_administrators(shop: &Shop) {
    Answer::of(shop.claim(1, "WELCOME10")).await.expect(200);
    let own = Answer::of(shop.mine("/api/v1/users/1/coupons")).await.expect(200);
    assert_eq!(own.body["userId"], 1);
    let held = &own.body["coupons"][0];
    assert_eq!((&held["code"], &held["status"]), (&json!("WELCOME10"), &json!("CLAIMED")));
    assert!(held["claimedAt"].is_string() && held["usedAt"].is_null());
    let others = shop.get("/api/v1/users/1/coupons").header("X-User-Id", 2);
    assert_refused(&Answer::of(others).await, 403, "FORBIDDEN", &[]);
    let administrators =
        shop.get("/api/v1/users/1/coupons").header("X-User-Id", 2).header("X-User-Role", "ADMIN");
    Answer::of(administrators).await.expect(200);
}

async fn products_are_listed_sorted_and_in_pages(shop: &Shop) {
    let cheapest = Answer::of(shop.get("/api/v1/products?page=0&size=2&sort=price,asc")).await.expect(200);
    assert!(cheapest.text.contains(r#""name":"품절 상품","price":100.00,"stock":0"#), "{}", cheapest.text);
    let body = &cheapest.body;
    assert_eq!((&body["page"], &body["size"]), (&json!(0), &json!(2)));
    assert_eq!((&body["totalElements"], &body["totalPages"]), (&json!(3), &json!(2)));
    let ids = |answer: &Answer| -> Vec<i64> {
        answer.body["content"]
            .as_array()
            .unwrap()
            .iter()
            .map(|product| product["id"].as_i64().unwrap())
            .collect()
    };
    assert_eq!(ids(&cheapest), [3, 2]);
    assert_eq!(ids(&Answer::of(shop.get("/api/v1/products?page=1&size=2&sort=price")).await), [1]);
    assert_eq!(ids(&Answer::of(shop.get("/api/v1/products?page=7")).await), [0; 0]);
    for sort in ["createdAt,desc", "createdAt", "name,desc", "salesVolume", "price,%20desc"] {
        let sorted = Answer::of(shop.get(&format!("/api/v1/products?sort={sort}"))).await.expect(200);
        assert_eq!(ids(&sorted).len(), 3, "{sort}");
    }
    let product = Answer::of(shop.get("/api/v1/products/2")).await.expect(200);
    assert!(product.text.contains(r#""price":5000.50,"stock":5,"salesVolume":0,"store":{"id":"#));
    assert_eq!(product.body["description"], "A description of 양말");
}

async fn popular_products_are_those_that_sold(shop: &Shop) {
    Answer::of(shop.order(1, &[(SHIRT, 2), (SOCKS, 3)])).await.expect(201);
    let popular = Answer::of(shop.get("/api/v1/stats/popular-products?days=3&limit=5")).await.expect(200);
    let at = &popular.body["generatedAt"];
    assert_eq!(
        popular.text,
        format!(
            r#"{{"rangeDays":3,"limit":5,"products":[{{"productId":2,"name":"양말","price":5000.50,"soldQty":3}},{{"productId":1,"name":"유기농 면 티셔츠","price":19900.00,"soldQty":2}}],"generatedAt":{at}}}"#
        )
    );
    let best = Answer::of(shop.get("/api/v1/stats/popular-products?limit=1")).await.expect(200);
    assert_eq!(best.body["products"].as_array().unwrap().len(), 1);
}

async fn a_customer_registers_and_sees_themselves(shop: &Shop) {
    let mina = json!({"name": " 김미나 ", "email": "Mina@Example.com", "phone": "+82 10-1234-5678"});
    let registered = Answer::of(shop.request(Method::POST, "/api/v1/users").json(&mina)).await.expect(201);
    let body = &registered.body;
    assert_eq!((&body["name"], &body["email"]), (&json!("김미나"), &json!("mina@example.com")));
    let location = registered.header("location").unwrap();
    let seen = Answer::of(shop.get(location).header("X-User-Id", body["id"].as_i64().unwrap())).await;
    assert_eq!(seen.expect(200).text, registered.text);
    assert_eq!(shop.balance(body["id"].as_i64().unwrap()).await, 0.0);
}

async fn an_email_is_registered_once(shop: &Shop) {
    let somebody = json!({"name": "Somebody", "email": "CUSTOMER1@example.com"});
    let refused = Answer::of(shop.request(Method::POST, "/api/v1/users").json(&somebody)).await;
    assert_refused(&refused, 409, "CONFLICT", &["email"]);
}

async fn messages_are_korean_or_english(shop: &Shop) {
    let message = async |language: Option<&str>| {
        let request = shop.get("/api/v1/products/99");
        let request = language
            .into_iter()
            .fold(request, |request, language| request.header("Accept-Language", language));
        Answer::of(request).await.body["message"].as_str().unwrap().to_owned()
    };
    let korean = message(None).await;
    assert!(!korean.is_ascii(), "{korean}");
    assert_eq!(message(Some("ko-KR,en;q=0.5")).await, korean);
    let english = message(Some("en-GB,en;q=0.9,ko;q=0.1")).await;
    assert!(english.is_ascii(), "{english}");
}

async fn a_trace_is_continued(shop: &Shop) {
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = format!("00-{trace}-00f067aa0ba902b7-01");
    let found = Answer::of(shop.get("/api/v1/products").header("traceparent", &parent)).await.expect(200);
    let header = found.header("traceparent").unwrap();
    assert!(header.contains(trace) && header != parent, "{header}");
    let missing = Answer::of(shop.get("/nowhere").header("traceparent", &parent)).await;
    assert_refused(&missing, 404, "NOT_FOUND", &[]);
    assert_eq!(missing.body["traceId"], trace);
}
