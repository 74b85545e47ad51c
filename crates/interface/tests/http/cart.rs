//! Carts: filling them, looking at them, ordering what is in them.

use futures::future::{join, join_all};
use reqwest::{Method, RequestBuilder};
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use crate::support::{Answer, SHIRT, SOCKS, SOLD_OUT, Shop, assert_refused, on_both_databases};

on_both_databases! {
    a_cart_is_filled_looked_at_changed_and_emptied
    what_is_not_in_stock_is_not_put_in
    a_variant_is_named_of_what_is_sold_as_variants
    lines_that_cannot_be_ordered_any_more_say_why
    a_cart_is_ordered_as_any_order_is_placed
    chosen_lines_are_ordered_with_a_coupon_and_paid_later
    a_refusal_names_the_lines_of_the_cart
    lines_of_others_do_not_exist
    a_full_cart_takes_no_other_product
    what_is_put_in_wrongly
    pieces_that_are_no_pieces
    orders_of_a_cart_that_are_none
    headers_and_paths_that_are_wrong
    a_retry_gets_the_same_answer
    a_cart_is_ordered_once_however_often_that_is_asked_for
    two_sessions_that_put_in_the_same_add_up
    the_last_pieces_are_in_two_carts
    a_cart_is_ordered_while_it_changes
}

const CART: &str = "/api/v1/cart";
const ITEMS: &str = "/api/v1/cart/items";
const ORDER: &str = "/api/v1/cart/order";

fn add(shop: &Shop, user: i64, product: i64, qty: i64) -> RequestBuilder {
    shop.post(user, ITEMS, &json!({"productId": product, "qty": qty}))
}

fn item(shop: &Shop, method: Method, user: i64, id: &Value) -> RequestBuilder {
    shop.request(method, &format!("{ITEMS}/{id}")).header("X-User-Id", user)
}

fn change(shop: &Shop, user: i64, id: &Value, qty: i64) -> RequestBuilder {
    item(shop, Method::PATCH, user, id).json(&json!({"qty": qty}))
}

fn remove(shop: &Shop, user: i64, id: &Value) -> RequestBuilder {
    item(shop, Method::DELETE, user, id)
}

fn clear(shop: &Shop, user: i64) -> RequestBuilder {
    shop.request(Method::DELETE, CART).header("X-User-Id", user)
}

/// All of the cart.
fn order(shop: &Shop, user: i64) -> RequestBuilder {
    shop.request(Method::POST, ORDER).header("X-User-Id", user)
}

fn keyed(request: RequestBuilder, key: &str) -> RequestBuilder {
    request.header("Idempotency-Key", key)
}

async fn cart(shop: &Shop, user: i64) -> Value {
    Answer::of(shop.get(CART).header("X-User-Id", user)).await.expect(200).body
}

/// Products and pieces.
fn pieces(cart: &Value) -> Vec<(i64, i64)> {
    let items = cart["items"].as_array().expect("lines");
    items.iter().map(|item| (item["productId"].as_i64().unwrap(), item["qty"].as_i64().unwrap())).collect()
}

fn id(cart: &Value, line: usize) -> Value {
    cart["items"][line]["id"].clone()
}

/// Pieces of a product in all orders of a customer.
async fn ordered(shop: &Shop, user: i64, product: i64) -> i64 {
    let orders = Answer::of(shop.get("/api/v1/orders?size=100").header("X-User-Id", user)).await.expect(200);
    let orders = orders.body["content"].as_array().unwrap().clone();
    let items = orders.iter().flat_map(|order| order["items"].as_array().unwrap());
    items.filter(|item| item["productId"] == product).map(|item| item["qty"].as_i64().unwrap()).sum()
}

/// Does to the data what the back office would.
async fn tamper(shop: &Shop, statements: &[&str]) {
    let connection = sea_orm::Database::connect(&shop.database.url).await.expect("connects");
    for sql in statements {
        connection.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    connection.close().await.expect("closes");
}

/// The socks are sold as variants 1, red, three pieces at 6,000.50, and 2, blue, two pieces.
async fn socks_in_colours(shop: &Shop) {
    tamper(
        shop,
        &[
            "UPDATE products SET has_variants = 1 WHERE id = 2",
            "INSERT INTO variants SELECT 1, id, '빨강', 600050, 3, 1, created_at, updated_at FROM products WHERE id = 2",
            "INSERT INTO variants SELECT 2, id, '파랑', 600050, 2, 1, created_at, updated_at FROM products WHERE id = 2",
            "UPDATE stock_movements SET quantity = 3, stock_after = 3, variant_id = 1 WHERE product_id = 2",
            "INSERT INTO stock_movements (product_id, kind, quantity, stock_after, created_at, variant_id) \
             SELECT product_id, kind, 2, 5, created_at, 2 FROM stock_movements WHERE product_id = 2",
        ],
    )
    .await;
}

/// None of the requests is executed, and each is answered like this.
async fn all_refused<'a>(
    shop: &Shop,
    (status, code): (u16, &str),
    requests: impl IntoIterator<Item = (RequestBuilder, &'a [&'a str])>,
) {
    let before = (shop.books().await, cart(shop, 1).await, cart(shop, 2).await);
    for (request, fields) in requests {
        let shown = format!("{request:?}");
        let answer = Answer::of(request).await;
        eprintln!("{shown}\n{}", answer.text);
        assert_refused(&answer, status, code, fields);
    }
    assert_eq!((shop.books().await, cart(shop, 1).await, cart(shop, 2).await), before);
}

const INVALID: (u16, &str) = (400, "VALIDATION_ERROR");

async fn a_cart_is_filled_looked_at_changed_and_emptied(shop: &Shop) {
    assert_eq!(cart(shop, 1).await.to_string(), r#"{"items":[],"totalAmount":0.0}"#);
    let first = Answer::of(add(shop, 1, SHIRT, 2)).await.expect(201);
    let line = id(&first.body, 0);
    let expected = format!(
        r#"{{"items":[{{"id":{line},"productId":1,"variantId":null,"name":"유기농 면 티셔츠","variantName":null,"imageUrl":null,"unitPrice":19900.00,"qty":2,"subtotal":39800.00,"stock":10,"available":true,"unavailableReason":null}}],"totalAmount":39800.00}}"#
    );
    assert_eq!(first.text, expected);
    Answer::of(add(shop, 1, SOCKS, 1)).await.expect(201);
    let again = Answer::of(add(shop, 1, SHIRT, 1)).await.expect(201);
    assert_eq!(pieces(&again.body), [(SHIRT, 3), (SOCKS, 1)]);
    assert_eq!(again.body["totalAmount"], 64_700.5);
    assert_eq!(cart(shop, 1).await, again.body);
    let changed = Answer::of(change(shop, 1, &line, 1)).await.expect(200);
    assert_eq!(pieces(&changed.body), [(SHIRT, 1), (SOCKS, 1)]);
    assert_eq!(id(&changed.body, 0), line);

    let removed = Answer::of(remove(shop, 1, &line)).await.expect(204);
    assert_eq!((removed.text.as_str(), removed.header("content-type")), ("", None));
    let gone = Answer::of(remove(shop, 1, &line).header("Accept-Language", "en")).await;
    assert_refused(&gone, 404, "NOT_FOUND", &["id"]);
    assert_eq!(gone.body["details"][0]["code"], "UNKNOWN_CART_ITEM");
    assert_eq!(gone.body["message"], "There is no such line in your cart.");
    assert_eq!(pieces(&cart(shop, 1).await), [(SOCKS, 1)]);
    for _ in 0..2 {
        Answer::of(clear(shop, 1)).await.expect(204);
        assert_eq!(pieces(&cart(shop, 1).await), []);
    }
    // Nothing was held, moved or paid.
    assert_eq!((shop.stock(SHIRT).await, shop.balance(1).await), (json!(10), json!(100_000.0)));
}

async fn what_is_not_in_stock_is_not_put_in(shop: &Shop) {
    let mine = Answer::of(add(shop, 1, SOCKS, 3)).await.expect(201).body;
    let line = id(&mine, 0);
    for (request, requested, available) in [
        (add(shop, 1, SOCKS, 3), 6, 5),
        (change(shop, 1, &line, 6), 6, 5),
        (add(shop, 1, SOLD_OUT, 1), 1, 0),
        (add(shop, 1, SHIRT, 1_000_000), 1_000_000, 10),
    ] {
        let refused = Answer::of(request).await;
        assert_refused(&refused, 409, "OUT_OF_STOCK", &["qty"]);
        let detail = &refused.body["details"][0];
        assert_eq!((&detail["requested"], &detail["available"]), (&json!(requested), &json!(available)));
        assert_eq!(detail["code"], "OUT_OF_STOCK");
    }
    assert_eq!(cart(shop, 1).await, mine);
    // Nothing is held: somebody else may have them in the cart, too, or buy them.
    Answer::of(add(shop, 2, SOCKS, 5)).await.expect(201);
    Answer::of(shop.order(2, &[(SOCKS, 4)])).await.expect(201);
    let short = cart(shop, 1).await;
    assert_eq!((&short["items"][0]["available"], &short["totalAmount"]), (&json!(false), &json!(0.0)));
    Answer::of(change(shop, 1, &line, 1)).await.expect(200);
}

async fn a_variant_is_named_of_what_is_sold_as_variants(shop: &Shop) {
    socks_in_colours(shop).await;
    let adding = |product: i64, variant: Value, qty: i64| {
        shop.post(1, ITEMS, &json!({"productId": product, "variantId": variant, "qty": qty}))
    };
    let refused = Answer::of(adding(SOCKS, Value::Null, 1)).await;
    assert_refused(&refused, 400, "VALIDATION_ERROR", &["variantId"]);
    assert_eq!(refused.body["details"][0]["code"], "VARIANT_REQUIRED");
    for (product, variant) in [(SOCKS, 3), (SHIRT, 1)] {
        let refused = Answer::of(adding(product, json!(variant), 1)).await;
        assert_refused(&refused, 404, "NOT_FOUND", &["variantId"]);
        let detail = &refused.body["details"][0];
        assert_eq!((&detail["code"], &detail["variantId"]), (&json!("UNKNOWN_VARIANT"), &json!(variant)));
    }
    let short = Answer::of(adding(SOCKS, json!(2), 3)).await;
    assert_refused(&short, 409, "OUT_OF_STOCK", &["qty"]);
    assert_eq!(short.body["details"][0]["available"], 2);

    Answer::of(adding(SOCKS, json!(2), 1)).await.expect(201);
    let both = Answer::of(adding(SOCKS, json!(1), 3)).await.expect(201);
    let again = Answer::of(adding(SOCKS, json!(2), 1)).await.expect(201);
    assert_eq!((pieces(&both.body).len(), pieces(&again.body)), (2, vec![(SOCKS, 2), (SOCKS, 3)]));
    let line = &again.body["items"][0];
    let shown = (&line["variantId"], &line["variantName"], &line["unitPrice"], &line["stock"]);
    assert_eq!(shown, (&json!(2), &json!("파랑"), &json!(6_000.5), &json!(2)));
    let placed = Answer::of(order(shop, 1)).await.expect(201);
    assert_eq!(
        (&placed.body["items"][1]["variantId"], &placed.body["paidAmount"]),
        (&json!(1), &json!(30_002.5))
    );
    assert_eq!(shop.stock(SOCKS).await, 0);
}

async fn lines_that_cannot_be_ordered_any_more_say_why(shop: &Shop) {
    for (product, qty) in [(SHIRT, 2), (SOCKS, 4)] {
        Answer::of(add(shop, 1, product, qty)).await.expect(201);
    }
    Answer::of(shop.order(2, &[(SOCKS, 2)])).await.expect(201);
    tamper(
        shop,
        &[
            "UPDATE products SET active = 0 WHERE id = 1",
            "INSERT INTO product_images SELECT id, 1, 'https://example.com/socks.jpg', created_at FROM products WHERE id = 2",
        ],
    )
    .await;
    let seen = cart(shop, 1).await;
    let shown = |line: usize| {
        let line = &seen["items"][line];
        (line["available"].clone(), line["unavailableReason"].clone(), line["imageUrl"].clone())
    };
    assert_eq!(shown(0), (json!(false), json!("UNKNOWN_PRODUCT"), Value::Null));
    assert_eq!(shown(1), (json!(false), json!("OUT_OF_STOCK"), json!("https://example.com/socks.jpg")));
    assert_eq!((&seen["totalAmount"], &seen["items"][1]["stock"]), (&json!(0.0), &json!(3)));
    let line = id(&seen, 0);
    let refused = Answer::of(change(shop, 1, &line, 1)).await;
    assert_refused(&refused, 404, "NOT_FOUND", &["id"]);
    assert_eq!(refused.body["details"][0]["code"], "UNKNOWN_PRODUCT");
    let refused = Answer::of(order(shop, 1)).await;
    let fields = [format!("cartItems[{line}].productId"), format!("cartItems[{}].qty", id(&seen, 1))];
    assert_refused(&refused, 404, "NOT_FOUND", &fields.each_ref().map(String::as_str));
    Answer::of(remove(shop, 1, &line)).await.expect(204);
    Answer::of(change(shop, 1, &id(&seen, 1), 3)).await.expect(200);
    Answer::of(order(shop, 1)).await.expect(201);
}

async fn a_cart_is_ordered_as_any_order_is_placed(shop: &Shop) {
    for user in [1, 2] {
        Answer::of(add(shop, user, SHIRT, 2)).await.expect(201);
    }
    // The price is that of the moment.
    tamper(shop, &["UPDATE products SET price = 2000000 WHERE id = 1"]).await;
    let placed = Answer::of(order(shop, 1)).await.expect(201);
    let location = format!("/api/v1/orders/{}", placed.body["orderId"]);
    assert_eq!(placed.header("location"), Some(location.as_str()));
    assert!(
        placed.text.contains(r#""paidAmount":40000.00"#)
            && placed.text.contains(r#""userPointBalance":60000.00"#)
    );
    let alike = Answer::of(shop.order(2, &[(SHIRT, 2)])).await.expect(201);
    let fields = |answer: &Answer| answer.body.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!((fields(&placed), &placed.body["items"]), (fields(&alike), &alike.body["items"]));
    let seen = Answer::of(shop.mine(&location)).await.expect(200);
    assert_eq!(seen.body["items"], placed.body["items"]);
    // An order that does not come from the cart leaves it alone.
    assert_eq!((pieces(&cart(shop, 1).await), pieces(&cart(shop, 2).await)), (vec![], vec![(SHIRT, 2)]));
    let empty = Answer::of(order(shop, 1).header("Accept-Language", "en")).await;
    assert_refused(&empty, 409, "CONFLICT", &["cart"]);
    assert_eq!(
        (&empty.body["details"][0]["code"], &empty.body["message"]),
        (&json!("CART_EMPTY"), &json!("The cart is empty."))
    );
}

async fn chosen_lines_are_ordered_with_a_coupon_and_paid_later(shop: &Shop) {
    Answer::of(shop.claim(1, "WELCOME10")).await.expect(200);
    Answer::of(add(shop, 1, SOCKS, 1)).await.expect(201);
    let full = Answer::of(add(shop, 1, SHIRT, 2)).await.expect(201).body;
    let body = json!({"cartItemIds": [id(&full, 1)], "couponCode": "WELCOME10", "payment": "DEFERRED"});
    let placed = Answer::of(shop.post(1, ORDER, &body)).await.expect(201);
    assert_eq!((&placed.body["status"], &placed.body["paidAmount"]), (&json!("PENDING"), &json!(35_820.0)));
    assert!(placed.body["heldUntil"].is_string());
    assert_eq!((pieces(&cart(shop, 1).await), shop.stock(SHIRT).await), (vec![(SOCKS, 1)], json!(8)));
    let paying = format!("/api/v1/orders/{}/pay", placed.body["orderId"]);
    let paid = Answer::of(shop.request(Method::POST, &paying).header("X-User-Id", 1)).await.expect(200);
    assert_eq!(paid.body["userPointBalance"], 64_180.0);
    let rest = json!({"cartItemIds": null, "couponCode": null, "payment": "IMMEDIATE"});
    Answer::of(shop.post(1, ORDER, &rest)).await.expect(201);
    assert_eq!(pieces(&cart(shop, 1).await), []);
}

async fn a_refusal_names_the_lines_of_the_cart(shop: &Shop) {
    let full = Answer::of(add(shop, 3, SHIRT, 10)).await.expect(201).body;
    Answer::of(shop.order(1, &[(SHIRT, 1)])).await.expect(201);
    let with_coupon = json!({"couponCode": "WELCOME10"});
    let wrong = Answer::of(shop.post(3, ORDER, &with_coupon)).await;
    let short = format!("cartItems[{}].qty", id(&full, 0));
    assert_refused(&wrong, 400, "COUPON_INVALID", &["couponCode", &short, "cart"]);
    let codes: Vec<_> = (0..3).map(|detail| wrong.body["details"][detail]["code"].clone()).collect();
    assert_eq!(codes, ["COUPON_NOT_HELD", "OUT_OF_STOCK", "INSUFFICIENT_BALANCE"]);
    assert_eq!(wrong.body["details"][1]["available"], 9);
    assert_refused(&Answer::of(order(shop, 3)).await, 409, "OUT_OF_STOCK", &[&short, "cart"]);
    Answer::of(change(shop, 3, &id(&full, 0), 9)).await.expect(200);
    assert_refused(&Answer::of(order(shop, 3)).await, 409, "INSUFFICIENT_BALANCE", &["cart"]);
    assert_eq!(pieces(&cart(shop, 3).await), [(SHIRT, 9)]);
    Answer::of(shop.post(3, "/api/v1/wallets/charge", &json!({"amount": 200_000}))).await.expect(200);
    Answer::of(order(shop, 3)).await.expect(201);
}

async fn lines_of_others_do_not_exist(shop: &Shop) {
    let mine = id(&Answer::of(add(shop, 1, SHIRT, 1)).await.expect(201).body, 0);
    let others = id(&Answer::of(add(shop, 2, SOCKS, 1)).await.expect(201).body, 0);
    let admin = |request: RequestBuilder| request.header("X-User-Role", "ADMIN");
    let requests = [
        (change(shop, 1, &others, 2), &["id"][..]),
        (remove(shop, 1, &others), &["id"]),
        (admin(remove(shop, 1, &others)), &["id"]),
        (change(shop, 1, &json!(987_654), 2), &["id"]),
        (
            shop.post(1, ORDER, &json!({"cartItemIds": [others, mine, 987_654]})),
            &["cartItemIds[0]", "cartItemIds[2]"],
        ),
    ];
    all_refused(shop, (404, "NOT_FOUND"), requests).await;
}

async fn a_full_cart_takes_no_other_product(shop: &Shop) {
    let more = "INSERT INTO products SELECT {n}, store_id, name, description, price, 0, active, 0, created_at, updated_at, \
                deleted_at, version, has_variants FROM products WHERE id = 1";
    let lines = "INSERT INTO cart_items (user_id, product_id, variant_id, quantity, created_at, updated_at) \
                 SELECT 1, id, 0, 1, created_at, updated_at FROM products WHERE id BETWEEN 1000 AND 1099";
    let products: Vec<String> = (1000..1100).map(|n| more.replace("{n}", &n.to_string())).collect();
    let statements: Vec<&str> = products.iter().map(String::as_str).chain([lines]).collect();
    tamper(shop, &statements).await;
    let refused = Answer::of(add(shop, 1, SHIRT, 1)).await;
    assert_refused(&refused, 409, "CONFLICT", &["productId"]);
    assert_eq!(refused.body["details"][0]["code"], "CART_FULL");
    Answer::of(remove(shop, 1, &id(&cart(shop, 1).await, 7))).await.expect(204);
    Answer::of(add(shop, 1, SHIRT, 1)).await.expect(201);
    Answer::of(add(shop, 1, SHIRT, 1)).await.expect(201);
}

async fn what_is_put_in_wrongly(shop: &Shop) {
    let post = |body: &str| shop.post_text(ITEMS, body);
    let requests = [
        (post("{}"), &["productId", "qty"][..]),
        (post(r#"{"productId":0,"variantId":-1,"qty":0}"#), &["productId", "variantId", "qty"]),
        (post(r#"{"productId":"1","variantId":"2","qty":"1"}"#), &["productId", "variantId", "qty"]),
        (post(r#"{"productId":1.5,"variantId":true,"qty":[]}"#), &["productId", "variantId", "qty"]),
        (post(r#"{"productId":9223372036854775808,"qty":9223372036854775808}"#), &["productId", "qty"]),
        (post(r#"{"productId":null,"variantId":{},"qty":null}"#), &["productId", "variantId", "qty"]),
        (post(r#"{"productId":1,"qty":1,"price":0}"#), &["price"]),
        (post(r#"{"productId":1,"qty":1,"userId":2}"#), &["userId"]),
        (post(r#"{"productId":1,"qty":1,"qty":2}"#), &["qty"]),
        (post("[1, null, 1]"), &["body"]),
        (post("null"), &["body"]),
        (post(""), &["body"]),
        (post(r#"{"productId":1,"qty":1"#), &["body"]),
        (shop.post_text(ITEMS, b"{\"productId\":1,\"qty\":1,\"\xff\":1}".to_vec()), &["body"]),
    ];
    all_refused(shop, INVALID, requests).await;
    let unknown =
        [(add(shop, 1, 987_654, 1), &["productId"][..]), (add(shop, 1, i64::MAX, 1), &["productId"])];
    all_refused(shop, (404, "NOT_FOUND"), unknown).await;
    let text = shop.request(Method::POST, ITEMS).header("X-User-Id", 1).body(r#"{"productId":1,"qty":1}"#);
    all_refused(shop, (415, "UNSUPPORTED_MEDIA_TYPE"), [(text, &[][..])]).await;
    let long = post(&format!(r#"{{"productId":1,"qty":1{}}}"#, " ".repeat(20_000)));
    all_refused(shop, (413, "PAYLOAD_TOO_LARGE"), [(long, &[][..])]).await;
}

async fn pieces_that_are_no_pieces(shop: &Shop) {
    tamper(
        shop,
        &[
            "UPDATE products SET stock = 3000000 WHERE id = 1",
            "UPDATE stock_movements SET quantity = 3000000, stock_after = 3000000 WHERE product_id = 1",
        ],
    )
    .await;
    let line = id(&Answer::of(add(shop, 1, SHIRT, 1)).await.expect(201).body, 0);
    let patch = |qty: &str| {
        let request = item(shop, Method::PATCH, 1, &line).header("Content-Type", "application/json");
        request.body(format!(r#"{{"qty":{qty}}}"#))
    };
    let no_pieces =
        ["0", "-1", "1000001", "1.5", "1e400", "9223372036854775808", "\"1\"", "null", "true", "[1]", "{}"];
    all_refused(shop, INVALID, no_pieces.map(|qty| (patch(qty), &["qty"][..]))).await;
    let empty = item(shop, Method::PATCH, 1, &line).json(&json!({}));
    let more = item(shop, Method::PATCH, 1, &line).json(&json!({"qty": 1, "productId": 2}));
    let sum = add(shop, 1, SHIRT, 1_000_000);
    let requests = [(empty, &["qty"][..]), (more, &["productId"]), (sum, &["qty"])];
    all_refused(shop, INVALID, requests).await;
    let most = Answer::of(patch("1000000")).await.expect(200);
    assert_eq!(pieces(&most.body), [(SHIRT, 1_000_000)]);
    // More than can be paid by anybody, and even counted.
    tamper(shop, &["UPDATE products SET price = 9223372036854775807 WHERE id = 1"]).await;
    let seen = cart(shop, 1).await;
    assert_eq!(seen["items"][0]["unavailableReason"], "AMOUNT_TOO_LARGE");
    assert_eq!((&seen["items"][0]["subtotal"], &seen["totalAmount"]), (&Value::Null, &json!(0.0)));
    all_refused(shop, INVALID, [(order(shop, 1), &["cart"][..])]).await;
}

async fn orders_of_a_cart_that_are_none(shop: &Shop) {
    let line = id(&Answer::of(add(shop, 1, SHIRT, 1)).await.expect(201).body, 0);
    let post = |body: String| shop.post_text(ORDER, body);
    let chosen = |ids: &str| post(format!(r#"{{"cartItemIds":{ids}}}"#));
    let too_many = (1..=101).map(|id| id.to_string()).collect::<Vec<_>>().join(",");
    let requests = [
        (chosen("[]"), &["cartItemIds"][..]),
        (chosen(&format!("[{too_many}]")), &["cartItemIds"]),
        (chosen("5"), &["cartItemIds"]),
        (chosen("{}"), &["cartItemIds"]),
        (
            chosen(&format!(r#"[{line},0,-1,1.5,"1",null,9223372036854775808]"#)),
            &[
                "cartItemIds[1]",
                "cartItemIds[2]",
                "cartItemIds[3]",
                "cartItemIds[4]",
                "cartItemIds[5]",
                "cartItemIds[6]",
            ],
        ),
        (chosen(&format!("[{line},{line}]")), &["cartItemIds[1]"]),
        (post(r#"{"payment":"LATER"}"#.into()), &["payment"]),
        (post(r#"{"payment":"deferred"}"#.into()), &["payment"]),
        (post(r#"{"payment":1}"#.into()), &["payment"]),
        (post(r#"{"couponCode":1}"#.into()), &["couponCode"]),
        (post(r#"{"items":[]}"#.into()), &["items"]),
        (post("[]".into()), &["body"]),
        (post("{".into()), &["body"]),
    ];
    all_refused(shop, INVALID, requests).await;
    let coupons = ["", "NOPE", "no\u{1}pe", "쿠폰 하나"];
    let coupons =
        coupons.map(|code| (shop.post(1, ORDER, &json!({"couponCode": code})), &["couponCode"][..]));
    all_refused(shop, (400, "COUPON_INVALID"), coupons).await;
    let text = shop.request(Method::POST, ORDER).header("X-User-Id", 1).body("all of it");
    all_refused(shop, (415, "UNSUPPORTED_MEDIA_TYPE"), [(text, &[][..])]).await;
    // No body, and none worth mentioning, are all of the cart.
    for body in ["", "null", "{}", r#"{"cartItemIds":null}"#] {
        let placed = Answer::of(keyed(post(body.into()), "all")).await.expect(201);
        assert_eq!(placed.body["items"].as_array().unwrap().len(), 1);
    }
}

async fn headers_and_paths_that_are_wrong(shop: &Shop) {
    let line = id(&Answer::of(add(shop, 1, SHIRT, 1)).await.expect(201).body, 0);
    let everything = |user: &str, key: Option<&str>| {
        let path = format!("{ITEMS}/{line}");
        let requests = [
            shop.request(Method::POST, ITEMS).json(&json!({"productId": 1, "qty": 1})),
            shop.request(Method::PATCH, &path).json(&json!({"qty": 1})),
            shop.request(Method::DELETE, &path),
            shop.request(Method::DELETE, CART),
            shop.request(Method::POST, ORDER),
        ];
        let (user, key) = (user.to_owned(), key.map(ToOwned::to_owned));
        requests.map(|request| {
            let request = if user.is_empty() { request } else { request.header("X-User-Id", &user) };
            match &key {
                Some(key) => request.header("Idempotency-Key", key),
                None => request,
            }
        })
    };
    for user in ["", "0", "mina"] {
        let requests = everything(user, None).map(|request| (request, &["X-User-Id"][..]));
        all_refused(shop, (401, "UNAUTHORIZED"), requests).await;
    }
    let requests = everything("1", Some("a b")).map(|request| (request, &["Idempotency-Key"][..]));
    all_refused(shop, INVALID, requests).await;
    let requests = everything("987654", None).map(|request| (request, &[][..]));
    all_refused(shop, (404, "NOT_FOUND"), requests).await;
    all_refused(shop, (404, "NOT_FOUND"), [(shop.get(CART).header("X-User-Id", 987_654), &[][..])]).await;
    assert_refused(&Answer::of(shop.get(CART)).await, 401, "UNAUTHORIZED", &["X-User-Id"]);
    for wrong in ["0", "x", "-1", "1.0", "9223372036854775808"] {
        let path = format!("{ITEMS}/{wrong}");
        let patch = shop.request(Method::PATCH, &path).header("X-User-Id", 1).json(&json!({"qty": 1}));
        let delete = shop.request(Method::DELETE, &path).header("X-User-Id", 1);
        all_refused(shop, INVALID, [(patch, &["id"][..]), (delete, &["id"])]).await;
    }
    let put = shop.request(Method::PUT, CART).header("X-User-Id", 1);
    assert_refused(&Answer::of(put).await, 405, "METHOD_NOT_ALLOWED", &[]);
}

async fn a_retry_gets_the_same_answer(shop: &Shop) {
    let mut told = Vec::new();
    let first = Answer::of(keyed(add(shop, 1, SHIRT, 2), "key")).await.expect(201);
    let line = id(&first.body, 0);
    Answer::of(add(shop, 1, SOCKS, 1)).await.expect(201);
    told.push((add as fn(&Shop, i64, i64, i64) -> RequestBuilder, 2, "key", first));
    told.push((add, 9, "short", Answer::of(keyed(add(shop, 1, SHIRT, 9), "short")).await));
    assert_refused(&told[1].3, 409, "OUT_OF_STOCK", &["qty"]);
    for (request, qty, key, first) in &told {
        let again = Answer::of(keyed(request(shop, 1, SHIRT, *qty), key)).await;
        assert_eq!((again.status, again.header("idempotency-replayed")), (first.status, Some("true")));
        assert_eq!(
            (&again.body["items"], &again.body["details"]),
            (&first.body["items"], &first.body["details"])
        );
    }
    let requests = || [change(shop, 1, &line, 3), order(shop, 1), remove(shop, 1, &line), clear(shop, 1)];
    // The line that was ordered cannot be removed: under this key nothing happened.
    for (first, retry) in requests().into_iter().zip(requests()) {
        let first = Answer::of(keyed(first, "other")).await;
        let after = (shop.books().await, cart(shop, 1).await);
        let again = Answer::of(keyed(retry, "other")).await;
        if first.status.is_success() {
            assert_eq!((again.status, &again.text), (first.status, &first.text));
            assert_eq!(again.header("idempotency-replayed"), Some("true"));
            assert_eq!(again.header("location"), first.header("location"));
        } else {
            assert_refused(&again, 404, "NOT_FOUND", &["id"]);
        }
        assert_eq!((shop.books().await, cart(shop, 1).await), after);
    }
    let line = id(&Answer::of(add(shop, 1, SOCKS, 1)).await.expect(201).body, 0);
    for replayed in [None, Some("true")] {
        let removed = Answer::of(keyed(remove(shop, 1, &line), "gone")).await.expect(204);
        assert_eq!(removed.header("idempotency-replayed"), replayed);
    }
    for another in [add(shop, 1, SHIRT, 1), add(shop, 1, SOCKS, 2)] {
        assert_refused(&Answer::of(keyed(another, "key")).await, 409, "CONFLICT", &[]);
    }
    let deferred = shop.post(1, ORDER, &json!({"payment": "DEFERRED"}));
    assert_refused(&Answer::of(keyed(deferred, "other")).await, 409, "CONFLICT", &[]);
    // A key that was used for somebody else's cart is another one.
    let others = Answer::of(keyed(add(shop, 2, SHIRT, 1), "key")).await.expect(201);
    assert_eq!(others.header("idempotency-replayed"), None);
}

async fn a_cart_is_ordered_once_however_often_that_is_asked_for(shop: &Shop) {
    let other = shop.second_instance().await;
    Answer::of(add(shop, 1, SHIRT, 2)).await.expect(201);
    Answer::of(add(shop, 1, SOCKS, 1)).await.expect(201);
    let asking = (0..30).map(|n| {
        let site = if n % 2 == 0 { &shop.site } else { &other.site };
        Answer::of(shop.client.post(format!("{site}{ORDER}")).header("X-User-Id", 1))
    });
    let answers = join_all(asking).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    for refused in answers.iter().filter(|answer| answer.status != 201) {
        assert_refused(refused, 409, "CONFLICT", &["cart"]);
    }
    assert_eq!((ordered(shop, 1, SHIRT).await, ordered(shop, 1, SOCKS).await), (2, 1));
    assert_eq!((shop.stock(SHIRT).await, shop.stock(SOCKS).await), (json!(8), json!(4)));
    assert_eq!(pieces(&cart(shop, 1).await), []);
    // The same with one key: all are told of the one order.
    Answer::of(add(shop, 1, SOCKS, 1)).await.expect(201);
    let retries = join_all((0..30).map(|_| Answer::of(keyed(order(shop, 1), "at-once")))).await;
    assert!(retries.iter().all(|answer| answer.status == 201 && answer.text == retries[0].text));
    assert_eq!(ordered(shop, 1, SOCKS).await, 2);
    other.end().await;
}

async fn two_sessions_that_put_in_the_same_add_up(shop: &Shop) {
    let other = shop.second_instance().await;
    let adding = (0..10).map(|n| {
        let site = if n % 2 == 0 { &shop.site } else { &other.site };
        let request = shop.client.post(format!("{site}{ITEMS}")).header("X-User-Id", 1);
        Answer::of(request.json(&json!({"productId": SHIRT, "qty": 1})))
    });
    let mut sums: Vec<_> =
        join_all(adding).await.into_iter().map(|added| pieces(&added.expect(201).body)).collect();
    sums.sort_unstable();
    assert_eq!(sums, (1..=10).map(|sum| vec![(SHIRT, sum)]).collect::<Vec<_>>());
    assert_eq!(pieces(&cart(shop, 1).await), [(SHIRT, 10)]);
    other.end().await;
}

async fn the_last_pieces_are_in_two_carts(shop: &Shop) {
    for user in [1, 2] {
        Answer::of(add(shop, user, SOCKS, 5)).await.expect(201);
    }
    let (one, two) = join(Answer::of(order(shop, 1)), Answer::of(order(shop, 2))).await;
    let (loser, refused) = if one.status == 201 { (2, two) } else { (1, one) };
    let line = cart(shop, loser).await;
    assert_refused(&refused, 409, "OUT_OF_STOCK", &[&format!("cartItems[{}].qty", id(&line, 0))]);
    assert_eq!((pieces(&line), pieces(&cart(shop, 3 - loser).await)), (vec![(SOCKS, 5)], vec![]));
    assert_eq!(shop.stock(SOCKS).await, 0);
}

/// What went in has been ordered, was taken out, or is still there.
async fn a_cart_is_ordered_while_it_changes(shop: &Shop) {
    let stocked = "UPDATE products SET stock = 1000, price = 1 WHERE id <> 3";
    let received = "UPDATE stock_movements SET quantity = 1000, stock_after = 1000 WHERE product_id <> 3";
    tamper(shop, &[stocked, received]).await;
    let other = shop.second_instance().await;
    let adding = async {
        for _ in 0..15 {
            Answer::of(add(shop, 1, SHIRT, 2)).await.expect(201);
        }
    };
    let changing = async {
        for qty in 1..=15 {
            let seen = Answer::of(add(shop, 1, SOCKS, 1)).await.expect(201).body;
            let line = seen["items"].as_array().unwrap().iter().find(|item| item["productId"] == SOCKS);
            let line = line.expect("it was just put in")["id"].clone();
            let changed = Answer::of(change(shop, 1, &line, qty)).await;
            assert!([200, 404].contains(&changed.status.as_u16()), "{}", changed.text);
            let removed = Answer::of(remove(shop, 1, &line)).await;
            assert!([204, 404].contains(&removed.status.as_u16()), "{}", removed.text);
        }
    };
    let ordering = async |site: &str| {
        let mut placed = 0;
        for _ in 0..20 {
            let answer = Answer::of(shop.client.post(format!("{site}{ORDER}")).header("X-User-Id", 1)).await;
            match answer.status.as_u16() {
                201 => placed += 1,
                _ => assert_refused(&answer, 409, "CONFLICT", &["cart"]),
            }
        }
        placed
    };
    let orders = join(ordering(&shop.site), ordering(&other.site));
    let (placed, _) = join(orders, join(adding, changing)).await;
    assert!(placed.0 + placed.1 > 0);
    let left = pieces(&cart(shop, 1).await);
    let left: i64 = left.iter().filter(|line| line.0 == SHIRT).map(|line| line.1).sum();
    let (shirts, socks) = (ordered(shop, 1, SHIRT).await, ordered(shop, 1, SOCKS).await);
    assert_eq!(shirts + left, 30);
    assert_eq!(
        (shop.stock(SHIRT).await, shop.stock(SOCKS).await),
        (json!(1000 - shirts), json!(1000 - socks))
    );
    other.end().await;
}
