//! Whatever is sent, the answer names what is wrong with it, and nothing changes.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::{Answer, SHIRT, SOCKS, SOLD_OUT, Shop, assert_refused, items, on_both_databases};

on_both_databases! {
    amounts_that_are_none
    quantities_that_are_none
    products_that_are_no_ids
    every_bad_line_is_named_at_once
    orders_without_lines_and_with_too_many
    more_pieces_than_can_be_counted
    unknown_products
    unknown_users
    coupons_that_cannot_be_used
    codes_that_cannot_be_coupons
    pages_sizes_and_sorts_that_do_not_exist
    windows_and_limits_out_of_range
    ids_in_paths_that_are_none
    bodies_that_are_not_json
    bodies_that_are_too_long
    content_types_that_are_not_json
    fields_that_do_not_exist_or_are_missing_or_repeated
    callers_who_do_not_say_who_they_are
    profiles_that_are_none
    paths_and_methods_that_do_not_exist
    addresses_and_headers_without_end
}

const CHARGE: &str = "/api/v1/wallets/charge";
const ORDERS: &str = "/api/v1/orders";

/// None of the requests is executed, and each is answered like this.
async fn all_refused(
    shop: &Shop,
    status: u16,
    code: &str,
    requests: impl IntoIterator<Item = (RequestBuilder, Vec<String>)>,
) {
    let before = shop.books().await;
    for (request, fields) in requests {
        let shown = format!("{request:?}");
        let answer = Answer::of(request).await;
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        eprintln!("{shown}\n{}", answer.text);
        assert_refused(&answer, status, code, &fields);
    }
    assert_eq!(shop.books().await, before);
}

/// As [`all_refused`], each for the same field.
async fn all_refused_for(
    shop: &Shop,
    (status, code, field): (u16, &str, &str),
    requests: impl IntoIterator<Item = RequestBuilder>,
) {
    let requests = requests.into_iter().map(|request| (request, vec![field.to_owned()]));
    all_refused(shop, status, code, requests).await;
}

const INVALID: (u16, &str) = (400, "VALIDATION_ERROR");

fn invalid(field: &str) -> (u16, &'static str, &str) {
    (INVALID.0, INVALID.1, field)
}

/// JSON values that are no amounts; more than one of them is not representable as a [`Value`].
const NO_AMOUNTS: [&str; 21] = [
    "-1",
    "-0.01",
    "0",
    "0.00",
    "-0",
    "0.99",
    "10.001",
    "1.000",
    "1e-3",
    "1e400",
    "-1e400",
    "92233720368547758.08",
    "99999999999999999999999999999999999999",
    "\"ten\"",
    "\"NaN\"",
    "\"Infinity\"",
    "\"\"",
    "\" 5\"",
    "null",
    "true",
    "[5]",
];

async fn amounts_that_are_none(shop: &Shop) {
    let charges = NO_AMOUNTS.map(|amount| shop.post_text(CHARGE, format!(r#"{{"amount":{amount}}}"#)));
    let missing = shop.post_text(CHARGE, "{}");
    all_refused_for(shop, invalid("amount"), charges.into_iter().chain([missing])).await;
    // Not JSON at all.
    for (field, amounts) in
        [("amount", &["NaN", "Infinity", "+5", "5.", ".5"][..]), ("body", &["0x10", "1_000"])]
    {
        let charges =
            amounts.iter().map(|amount| shop.post_text(CHARGE, format!(r#"{{"amount":{amount}}}"#)));
        all_refused_for(shop, invalid(field), charges).await;
    }
}

const NO_QUANTITIES: [&str; 14] = [
    "0",
    "-1",
    "1000001",
    "9223372036854775807",
    "9223372036854775808",
    "99999999999999999999999999",
    "1e400",
    "1.5",
    "1.001",
    "\"1\"",
    "\"NaN\"",
    "null",
    "true",
    "[1]",
];

async fn quantities_that_are_none(shop: &Shop) {
    let orders = NO_QUANTITIES.map(|qty| {
        let order = format!(r#"{{"items":[{{"productId":1,"qty":1}},{{"productId":2,"qty":{qty}}}]}}"#);
        shop.post_text(ORDERS, order)
    });
    let missing = shop.post_text(ORDERS, r#"{"items":[{"productId":1,"qty":1},{"productId":2}]}"#);
    let not_json = shop.post_text(ORDERS, r#"{"items":[{"productId":1,"qty":1},{"productId":2,"qty":NaN}]}"#);
    all_refused_for(shop, invalid("items[1].qty"), orders.into_iter().chain([missing, not_json])).await;
}

async fn products_that_are_no_ids(shop: &Shop) {
    let ids = ["0", "-1", "1.5", "\"1\"", "null", "9223372036854775808", "{}"];
    let orders =
        ids.map(|id| shop.post_text(ORDERS, format!(r#"{{"items":[{{"productId":{id},"qty":1}}]}}"#)));
    all_refused_for(shop, invalid("items[0].productId"), orders).await;
}

async fn every_bad_line_is_named_at_once(shop: &Shop) {
    let order = json!({"items": [
        {"productId": SHIRT, "qty": 0},
        {"productId": SHIRT, "qty": 1},
        {"productId": -1, "qty": 1.5},
        {"qty": 1},
    ]});
    let fields = ["items[0].qty", "items[2].productId", "items[2].qty", "items[3].productId"];
    let request = (shop.post(1, ORDERS, &order), fields.map(str::to_owned).to_vec());
    all_refused(shop, INVALID.0, INVALID.1, [request]).await;
}

async fn orders_without_lines_and_with_too_many(shop: &Shop) {
    let order = |items: Value| shop.post(1, ORDERS, &json!({"items": items}));
    let too_many = json!(items(&[(SOCKS, 1); 101]));
    let orders = [order(json!([])), order(too_many), order(Value::Null), shop.post(1, ORDERS, &json!({}))];
    all_refused_for(shop, invalid("items"), orders).await;
    let most = Answer::of(shop.order(2, &[(SOLD_OUT, 1); 100])).await;
    assert_refused(&most, 409, "OUT_OF_STOCK", &["items[0].qty"]);
    assert_eq!(most.body["details"][0]["requested"], 100);
}

async fn more_pieces_than_can_be_counted(shop: &Shop) {
    let order = shop.order(1, &[(SHIRT, 1), (SOCKS, 1_000_000), (SOCKS, 1)]);
    all_refused_for(shop, invalid("items[1].qty"), [order]).await;
}

async fn unknown_products(shop: &Shop) {
    let order = shop.order(1, &[(SHIRT, 1), (98, 1), (99, 1), (98, 2)]);
    let fields = ["items[1].productId", "items[2].productId"].map(str::to_owned).to_vec();
    all_refused(shop, 404, "NOT_FOUND", [(order, fields)]).await;
    let everything = shop.post(
        1,
        "/api/v1/orders",
        &json!({"items": items(&[(98, 1), (SOLD_OUT, 1)]), "couponCode": "NOPE"}),
    );
    let fields = ["items[0].productId", "couponCode", "items[1].qty"].map(str::to_owned).to_vec();
    all_refused(shop, 404, "NOT_FOUND", [(everything, fields)]).await;
    let answer = Answer::of(shop.order(1, &[(98, 1)])).await;
    assert_eq!(answer.body["details"][0]["productId"], 98);
    all_refused(shop, 404, "NOT_FOUND", [(shop.get("/api/v1/products/98"), vec![])]).await;
}

async fn unknown_users(shop: &Shop) {
    let stranger = 77;
    let reads =
        ["/api/v1/wallets", "/api/v1/wallets/ledger", ORDERS, "/api/v1/users/me", "/api/v1/users/77/coupons"];
    let reads = reads.map(|path| shop.get(path).header("X-User-Id", stranger));
    let writes = [
        shop.order(stranger, &[(SHIRT, 1)]),
        shop.post(stranger, CHARGE, &json!({"amount": 1})),
        shop.claim(stranger, "WELCOME10"),
        shop.claim(stranger, "WELCOME10").header("Idempotency-Key", "stranger"),
    ];
    let requests = reads.into_iter().chain(writes).map(|request| (request, vec![]));
    all_refused(shop, 404, "NOT_FOUND", requests).await;
}

async fn coupons_that_cannot_be_used(shop: &Shop) {
    Answer::of(shop.claim(1, "FLASH5000")).await.expect(200);
    let order = |code: &str| {
        let order = json!({"items": items(&[(SOCKS, 1)]), "couponCode": code});
        shop.post(1, ORDERS, &order)
    };
    let before = shop.books().await;
    for (code, reason) in [
        ("NOSUCH", "COUPON_UNKNOWN"),
        ("WELCOME10", "COUPON_NOT_HELD"),
        ("FLASH5000", "COUPON_BELOW_MINIMUM"),
        ("", "COUPON_UNKNOWN"),
        ("no such; code", "COUPON_UNKNOWN"),
        ("쿠폰", "COUPON_UNKNOWN"),
    ] {
        let refused = Answer::of(order(code)).await;
        assert_refused(&refused, 400, "COUPON_INVALID", &["couponCode"]);
        assert_eq!(refused.body["details"][0]["code"], reason, "{code}");
    }
    assert_eq!(shop.books().await, before);
    let number = shop.post(1, ORDERS, &json!({"items": items(&[(SOCKS, 1)]), "couponCode": 5}));
    all_refused_for(shop, invalid("couponCode"), [number]).await;
}

async fn codes_that_cannot_be_coupons(shop: &Shop) {
    let longest = "X".repeat(65);
    let codes = ["NOSUCH", "%EC%BF%A0%ED%8F%B0", "%FF", "a%20b", "%27%3B--", &longest];
    all_refused_for(shop, (400, "COUPON_INVALID", "code"), codes.map(|code| shop.claim(1, code))).await;
}

async fn pages_sizes_and_sorts_that_do_not_exist(shop: &Shop) {
    for (field, values) in [
        ("page", &["-1", "x", "", "1.0", "+1", "99999999999999999999"][..]),
        ("size", &["0", "101", "-1", "x", "", "1e2"]),
        ("sort", &["stock", "price,up", "", "price,asc,desc", ",", "id;DROP%20TABLE%20users"]),
        ("colour", &["red"]),
    ] {
        let lists = values.iter().map(|value| shop.get(&format!("/api/v1/products?{field}={value}")));
        all_refused_for(shop, invalid(field), lists).await;
    }
    for path in [ORDERS, "/api/v1/wallets/ledger"] {
        let sizes = ["0", "101"].map(|size| shop.mine(&format!("{path}?size={size}")));
        all_refused_for(shop, invalid("size"), sizes).await;
        all_refused_for(shop, invalid("page"), [shop.mine(&format!("{path}?page=-1"))]).await;
        all_refused_for(shop, invalid("sort"), [shop.mine(&format!("{path}?sort=createdAt"))]).await;
    }
    all_refused_for(shop, invalid("status"), [shop.mine("/api/v1/orders?status=LOST")]).await;
    let twice = shop.get("/api/v1/products?page=0&page=1");
    let several = shop.get("/api/v1/products?size=0&page=-1&sort=up");
    let fields = |fields: &[&str]| fields.iter().map(|&field| field.to_owned()).collect();
    let requests = [(twice, fields(&["page"])), (several, fields(&["page", "size", "sort"]))];
    all_refused(shop, INVALID.0, INVALID.1, requests).await;
}

async fn windows_and_limits_out_of_range(shop: &Shop) {
    for (field, values) in [("days", ["0", "31", "-1", "three"]), ("limit", ["0", "51", "-1", "five"])] {
        let path = "/api/v1/stats/popular-products";
        let requests = values.map(|value| shop.get(&format!("{path}?{field}={value}")));
        all_refused_for(shop, invalid(field), requests).await;
    }
}

async fn ids_in_paths_that_are_none(shop: &Shop) {
    for id in ["abc", "0", "-1", "+1", "1.0", "9223372036854775808", "99999999999999999999999", "%20", "1%00"]
    {
        let by_id = [format!("/api/v1/products/{id}"), format!("/api/v1/orders/{id}")];
        all_refused_for(shop, invalid("id"), by_id.map(|path| shop.mine(&path))).await;
        let coupons = shop.mine(&format!("/api/v1/users/{id}/coupons"));
        all_refused_for(shop, invalid("userId"), [coupons]).await;
    }
}

async fn bodies_that_are_not_json(shop: &Shop) {
    let bodies: [&[u8]; 11] = [
        b"",
        b"{",
        b"not json",
        b"{}}",
        b"{'amount':1}",
        b"[]",
        b"[50000]",
        b"[[{\"productId\":1,\"qty\":1}],null]",
        b"5",
        b"null",
        b"{\"amount\":1}\xff",
    ];
    let nested = [b"[".repeat(10_000), b"{\"a\":".repeat(3_000)];
    for path in [CHARGE, ORDERS] {
        let bodies = bodies.iter().map(|body| shop.post_text(path, *body));
        all_refused_for(shop, invalid("body"), bodies).await;
    }
    for body in nested {
        Answer::of(shop.post_text(ORDERS, body)).await.expect(400);
    }
    all_refused_for(shop, invalid("body"), [shop.post_text(ORDERS, b"\xff\xfe{}".as_slice())]).await;
    for (body, field) in [
        (r#"{"items":{}}"#, "items"),
        (r#"{"items":"all"}"#, "items"),
        (r#"{"items":[1]}"#, "items[0]"),
        (r#"{"items":[{"productId":1,"qty":1},[2,1]]}"#, "items[1]"),
    ] {
        all_refused_for(shop, invalid(field), [shop.post_text(ORDERS, body)]).await;
    }
}

async fn bodies_that_are_too_long(shop: &Shop) {
    let padded = |length: usize| format!("{}{{\"amount\":1}}", " ".repeat(length - 12));
    let longest = 16_384;
    let before = shop.books().await;
    let known = shop.post_text(CHARGE, padded(longest + 1));
    assert_refused(&Answer::of(known).await, 413, "PAYLOAD_TOO_LARGE", &[]);
    let much = shop.post_text(CHARGE, padded(1_000_000));
    assert_refused(&Answer::of(much).await, 413, "PAYLOAD_TOO_LARGE", &[]);
    assert_eq!(shop.books().await, before);
    Answer::of(shop.post_text(CHARGE, padded(longest))).await.expect(200);
}

async fn content_types_that_are_not_json(shop: &Shop) {
    let charge = || shop.request(Method::POST, CHARGE).header("X-User-Id", 1).body(r#"{"amount":1}"#);
    let others =
        ["text/plain", "application/xml", "application/json; charset=euc-kr", "application/jsonp", ""];
    let others = others.map(|content_type| charge().header("Content-Type", content_type));
    let requests = others.into_iter().chain([charge()]).map(|request| (request, vec![]));
    all_refused(shop, 415, "UNSUPPORTED_MEDIA_TYPE", requests).await;
    Answer::of(charge().header("Content-Type", "Application/JSON; charset=UTF-8")).await.expect(200);
}

async fn fields_that_do_not_exist_or_are_missing_or_repeated(shop: &Shop) {
    for (path, body, field) in [
        (CHARGE, r#"{"amount":1,"currency":"KRW"}"#, "currency"),
        (CHARGE, r#"{"amount":1,"amount":2}"#, "amount"),
        (CHARGE, r#"{"Amount":1}"#, "Amount"),
        (ORDERS, r#"{"items":[{"productId":1,"qty":1}],"pays":"LATER"}"#, "pays"),
        (ORDERS, r#"{"items":[{"productId":1,"qty":1,"price":1}]}"#, "items[0].price"),
        (ORDERS, r#"{"items":[{"productId":1,"qty":1,"qty":2}]}"#, "items[0].qty"),
        (ORDERS, r#"{"items":[],"items":[]}"#, "items"),
        ("/api/v1/users", r#"{"name":"A","email":"a@example.com","role":"ADMIN"}"#, "role"),
    ] {
        all_refused_for(shop, invalid(field), [shop.post_text(path, body)]).await;
    }
}

async fn callers_who_do_not_say_who_they_are(shop: &Shop) {
    let reads = ["/api/v1/wallets", "/api/v1/wallets/ledger", ORDERS, "/api/v1/orders/1", "/api/v1/users/me"];
    let nobody = || reads.map(|path| shop.get(path));
    let order = || shop.request(Method::POST, ORDERS).json(&json!({"items": items(&[(SHIRT, 1)])}));
    let unknown = (401, "UNAUTHORIZED", "X-User-Id");
    all_refused_for(shop, unknown, nobody().into_iter().chain([order()])).await;
    for id in ["", "abc", "0", "-1", "1.5", "9223372036854775808", "1,2"] {
        let requests = nobody().into_iter().chain([order()]).map(|request| request.header("X-User-Id", id));
        all_refused_for(shop, unknown, requests).await;
    }
    let twice = order().header("X-User-Id", 1).header("X-User-Id", 2);
    let not_text = order().header("X-User-Id", b"\xff".as_slice());
    all_refused_for(shop, unknown, [twice, not_text]).await;
    let roles = ["ROOT", "admin", ""].map(|role| order().header("X-User-Id", 1).header("X-User-Role", role));
    all_refused_for(shop, (401, "UNAUTHORIZED", "X-User-Role"), roles).await;
}

async fn profiles_that_are_none(shop: &Shop) {
    let (long, longer) = ("x".repeat(101), format!("{}@example.com", "x".repeat(250)));
    for (profile, fields) in [
        (json!({}), &["name", "email"][..]),
        (json!({"name": "", "email": "nobody"}), &["name", "email"]),
        (json!({"name": "A\u{0}", "email": "a@example.com"}), &["name"]),
        (json!({"name": long, "email": longer, "phone": "call me"}), &["name", "email", "phone"]),
        (json!({"name": 5, "email": "a@example.com"}), &["name"]),
    ] {
        let fields = fields.iter().map(|&field| field.to_owned()).collect();
        let request = shop.request(Method::POST, "/api/v1/users").json(&profile);
        all_refused(shop, INVALID.0, INVALID.1, [(request, fields)]).await;
    }
}

async fn paths_and_methods_that_do_not_exist(shop: &Shop) {
    let nowhere =
        ["/nowhere", "/api/v1", "/api/v1/product", "/api/v1/products/", "/api/v1/products/1/2", "//"];
    all_refused(shop, 404, "NOT_FOUND", nowhere.map(|path| (shop.get(path), vec![]))).await;
    for (method, path, allowed) in [
        (Method::DELETE, "/api/v1/products", "GET, HEAD"),
        (Method::PUT, "/api/v1/orders", "GET, HEAD, POST"),
        (Method::GET, CHARGE, "POST"),
        (Method::GET, "/api/v1/coupons/WELCOME10/claim", "POST"),
        (Method::PATCH, "/health/ready", "GET, HEAD"),
        (Method::OPTIONS, "/api/v1/users", "POST"),
        (Method::from_bytes(b"BREW").unwrap(), "/api/v1/wallets", "GET, HEAD"),
    ] {
        let answer = Answer::of(shop.request(method, path).header("X-User-Id", 1)).await;
        assert_refused(&answer, 405, "METHOD_NOT_ALLOWED", &[]);
        assert_eq!(answer.header("allow"), Some(allowed), "{path}");
    }
}

/// Those that the HTTP library cuts off before they reach us are answered by it, and the shop goes on.
async fn addresses_and_headers_without_end(shop: &Shop) {
    let long = "x".repeat(10_000);
    let query = shop.get(&format!("/api/v1/products?sort={long}"));
    all_refused_for(shop, invalid("sort"), [query]).await;
    all_refused(shop, 404, "NOT_FOUND", [(shop.get(&format!("/{long}")), vec![])]).await;
    // On a connection of its own, as that is closed afterwards.
    let wallet = jangteo_testkit::http_client().get(format!("{}/api/v1/wallets", shop.site));
    let header = wallet.header("X-User-Id", 1).header("X-Long", "x".repeat(200_000)).send().await;
    assert!(header.is_err() || header.is_ok_and(|answer| answer.status().is_client_error()));
    Answer::of(shop.mine("/api/v1/wallets")).await.expect(200);
}
