//! The catalogue: administrators keep it, guests read it.

use futures::future::{join, join_all};
use jangteo_application::trail::Subject;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, MySqlConnection, SqliteConnection};

use crate::support::{Answer, SHIRT, SOCKS, SOLD_OUT, Shop, assert_refused, on_both_databases};

on_both_databases! {
    a_product_is_created_changed_and_deleted
    variants_are_added_changed_and_never_deleted
    pictures_are_set_as_a_list
    stock_is_adjusted_with_a_reason
    every_change_is_on_the_trail
    a_retry_gets_the_same_answer
    a_change_meant_for_another_version_is_refused
    fields_of_products_that_are_none
    fields_of_variants_and_pictures_that_are_none
    fields_of_adjustments_that_are_none
    only_administrators_keep_the_catalogue
    products_that_do_not_exist
    guests_find_products
    administrators_find_products
    many_administrators_adjust_while_customers_buy
    two_with_the_same_etag_and_one_is_refused
    a_name_wanted_by_many_is_taken_once
}

const PRODUCTS: &str = "/api/v1/admin/products";

fn at(product: impl std::fmt::Display) -> String {
    format!("{PRODUCTS}/{product}")
}

impl Shop {
    fn send(&self, method: Method, path: &str, body: &Value) -> RequestBuilder {
        self.request(method, path).header("X-User-Id", 900).header("X-User-Role", "ADMIN").json(body)
    }

    fn patch(&self, path: &str, body: &Value) -> RequestBuilder {
        self.send(Method::PATCH, path, body)
    }

    fn delete(&self, product: &Value) -> RequestBuilder {
        let request = self.request(Method::DELETE, &at(product));
        request.header("X-User-Id", 900).header("X-User-Role", "ADMIN")
    }

    fn adjust(&self, product: i64, quantity: i64) -> RequestBuilder {
        let body = json!({"quantity": quantity, "kind": "ADJUST", "reason": "재고 조사"});
        self.send(Method::POST, &format!("{}/stock", at(product)), &body)
    }

    async fn kept(&self, product: &Value) -> Value {
        Answer::of(self.managed(&at(product))).await.expect(200).body
    }

    /// Everything that a refused request must leave as it was, and how the catalogue is kept.
    async fn shelves(&self) -> Vec<Value> {
        let mut shelves = self.books().await;
        for product in [SHIRT, SOCKS, SOLD_OUT] {
            shelves.push(self.kept(&json!(product)).await);
            let moved = self.managed(&format!("{}/stock-movements", at(product)));
            shelves.push(Answer::of(moved).await.expect(200).body);
        }
        shelves.push(Answer::of(self.managed(PRODUCTS)).await.expect(200).body);
        shelves
    }
}

async fn a_product_is_created_changed_and_deleted(shop: &Shop) {
    let new = json!({"name": " 울 목도리 ", "description": "Wool\nscarf", "price": "29900.50", "stock": 3,
        "images": ["https://cdn.example.com/scarf.jpg"]});
    let created = Answer::of(shop.manage(PRODUCTS, &new)).await.expect(201);
    let id = created.body["id"].clone();
    assert_eq!(created.header("location"), Some(at(&id).as_str()));
    assert_eq!(created.header("etag"), Some("\"1\""));
    assert!(
        created.text.contains(r#""price":29900.50,"stock":3,"active":true,"variants":[]"#),
        "{}",
        created.text
    );
    assert_eq!(created.body["name"], "울 목도리");
    assert_eq!((&created.body["storeId"], &created.body["deletedAt"]), (&json!(1), &Value::Null));
    let seen = Answer::of(shop.managed(&at(&id))).await.expect(200);
    assert_eq!((&seen.text, seen.header("etag")), (&created.text, Some("\"1\"")));
    let guest = Answer::of(shop.get(&format!("/api/v1/products/{id}"))).await.expect(200);
    assert_eq!(guest.body["images"], json!(["https://cdn.example.com/scarf.jpg"]));
    assert_eq!((&guest.body["description"], &guest.body["store"]["id"]), (&json!("Wool\nscarf"), &json!(1)));

    let path = at(&id);
    let change = shop.patch(&path, &json!({"price": 100, "active": false})).header("If-Match", "\"1\"");
    let changed = Answer::of(change).await.expect(200);
    assert_eq!((changed.header("etag"), &changed.body["name"]), (Some("\"2\""), &json!("울 목도리")));
    assert_refused(&Answer::of(shop.get(&format!("/api/v1/products/{id}"))).await, 404, "NOT_FOUND", &[]);
    let nothing = Answer::of(shop.patch(&path, &json!({}))).await.expect(200);
    assert_eq!(nothing.text, changed.text);

    let deleted = Answer::of(shop.delete(&id)).await.expect(204);
    assert_eq!(deleted.text, "");
    for refused in [shop.delete(&id), shop.patch(&path, &json!({"active": true}))] {
        assert_refused(&Answer::of(refused).await, 409, "CONFLICT", &[]);
    }
    let gone = shop.kept(&id).await;
    assert!(gone["deletedAt"].is_string() && gone["version"] == 3, "{gone}");
}

async fn variants_are_added_changed_and_never_deleted(shop: &Shop) {
    let path = format!("{}/variants", at(SHIRT));
    let medium = json!({"name": "M", "price": 19900, "stock": 5});
    let own = Answer::of(shop.manage(&path, &medium)).await;
    assert_refused(&own, 409, "CONFLICT", &["stock"]);
    assert_eq!(
        (&own.body["details"][0]["code"], &own.body["details"][0]["available"]),
        (&json!("HAS_STOCK"), &json!(10))
    );
    Answer::of(shop.adjust(SHIRT, -10)).await.expect(200);
    let added = Answer::of(shop.manage(&path, &medium).header("If-Match", "\"1\"")).await.expect(201);
    assert_eq!((added.header("etag"), added.header("location")), (Some("\"2\""), Some(at(SHIRT).as_str())));
    assert_eq!(
        added.body,
        json!({"id": added.body["id"], "name": "M", "price": 19900.0, "stock": 5, "active": true})
    );
    let large = Answer::of(shop.manage(&path, &json!({"name": "L", "price": 9900.5}))).await.expect(201).body;
    let taken = Answer::of(shop.manage(&path, &json!({"name": " M ", "price": 1}))).await;
    assert_refused(&taken, 409, "CONFLICT", &["name"]);
    assert_eq!(taken.body["details"][0]["code"], "NAME_TAKEN");

    let detail = Answer::of(shop.get("/api/v1/products/1")).await.expect(200);
    assert!(detail.text.contains(r#""price":9900.50,"stock":5"#), "{}", detail.text);
    let variants = json!([{"id": added.body["id"], "name": "M", "price": 19900.0, "stock": 5},
        {"id": large["id"], "name": "L", "price": 9900.5, "stock": 0}]);
    assert_eq!(detail.body["variants"], variants);
    let priced = Answer::of(shop.patch(&at(SHIRT), &json!({"price": 1}))).await;
    assert_refused(&priced, 409, "CONFLICT", &["price"]);

    let variant = format!("{path}/{}", large["id"]);
    let changed = Answer::of(shop.patch(&variant, &json!({"active": false}))).await.expect(200);
    assert_eq!((&changed.body["active"], &changed.body["name"]), (&json!(false), &json!("L")));
    // Its name is still its own.
    let taken = Answer::of(shop.manage(&path, &json!({"name": "L", "price": 1}))).await;
    assert_refused(&taken, 409, "CONFLICT", &["name"]);
    let detail = Answer::of(shop.get("/api/v1/products/1")).await.expect(200);
    assert_eq!(
        (detail.body["variants"].as_array().unwrap().len(), &detail.body["price"]),
        (1, &json!(19900.0))
    );
    assert_eq!(shop.kept(&json!(SHIRT)).await["variants"].as_array().unwrap().len(), 2);
    let delete = shop.send(Method::DELETE, &variant, &Value::Null);
    assert_refused(&Answer::of(delete).await, 405, "METHOD_NOT_ALLOWED", &[]);
    let unknown = shop.patch(&format!("{path}/999"), &json!({"active": true}));
    assert_refused(&Answer::of(unknown).await, 404, "NOT_FOUND", &[]);
    let elsewhere = format!("{}/variants/{}", at(SOCKS), large["id"]);
    assert_refused(&Answer::of(shop.patch(&elsewhere, &json!({}))).await, 404, "NOT_FOUND", &[]);
}

async fn pictures_are_set_as_a_list(shop: &Shop) {
    let path = format!("{}/images", at(SHIRT));
    let set = |images: Value| shop.send(Method::PUT, &path, &json!({"images": images}));
    let two = json!(["https://cdn.example.com/b.jpg", "http://cdn.example.com/a.jpg"]);
    let shown = Answer::of(set(two.clone())).await.expect(200);
    assert_eq!((&shown.body["images"], shown.header("etag")), (&two, Some("\"2\"")));
    // The same one twice is what somebody wants.
    let twice = json!(["https://cdn.example.com/c.jpg", "https://cdn.example.com/c.jpg"]);
    Answer::of(set(twice.clone())).await.expect(200);
    let detail = Answer::of(shop.get("/api/v1/products/1")).await.expect(200);
    assert_eq!(detail.body["images"], twice);
    assert_eq!(Answer::of(set(json!([]))).await.expect(200).body["images"], json!([]));
    assert_eq!(shop.kept(&json!(SHIRT)).await["images"], json!([]));
}

async fn stock_is_adjusted_with_a_reason(shop: &Shop) {
    let adjusted = Answer::of(shop.adjust(SHIRT, -4)).await.expect(200);
    assert_eq!(adjusted.text, r#"{"productId":1,"variantId":null,"stock":6,"productStock":6}"#);
    let received = json!({"quantity": 20, "kind": "RECEIVE", "reason": "2차 입고", "variantId": null});
    let path = format!("{}/stock", at(SHIRT));
    assert_eq!(Answer::of(shop.manage(&path, &received)).await.expect(200).body["stock"], 26);
    let short = Answer::of(shop.adjust(SHIRT, -27)).await;
    assert_refused(&short, 409, "OUT_OF_STOCK", &["quantity"]);
    let detail = &short.body["details"][0];
    assert_eq!((&detail["requested"], &detail["available"]), (&json!(27), &json!(26)));
    let full = Answer::of(shop.adjust(SHIRT, 1_000_000_000)).await;
    assert_refused(&full, 409, "CONFLICT", &["quantity"]);
    let named = json!({"variantId": 1, "quantity": 1, "kind": "ADJUST", "reason": "x"});
    let refused = Answer::of(shop.manage(&path, &named)).await;
    assert_refused(&refused, 400, "VALIDATION_ERROR", &["variantId"]);
    assert_eq!(refused.body["details"][0]["code"], "NO_VARIANTS");
    assert_eq!((shop.stock(SHIRT).await, &shop.kept(&json!(SHIRT)).await["version"]), (json!(26), &json!(1)));

    let order = Answer::of(shop.order(1, &[(SHIRT, 2)])).await.expect(201).body;
    let moved = Answer::of(shop.managed(&format!("{path}-movements?size=3"))).await.expect(200).body;
    assert_eq!((&moved["totalElements"], &moved["totalPages"]), (&json!(4), &json!(2)));
    let line = |index: usize| {
        let line = &moved["content"][index];
        ["kind", "quantity", "stockAfter", "variantId", "orderId", "reason"].map(|field| line[field].clone())
    };
    assert_eq!(json!(line(0)), json!(["SALE", -2, 24, null, order["orderId"], null]));
    assert_eq!(json!(line(1)), json!(["RECEIVE", 20, 26, null, null, "2차 입고"]));
    assert_eq!(json!(line(2)), json!(["ADJUST", -4, 6, null, null, "재고 조사"]));

    // Of a product with variants, one has to be named.
    let new = json!({"name": "모자", "variants": [{"name": "S", "price": 5, "stock": 2}, {"name": "M", "price": 4}]});
    let hat = Answer::of(shop.manage(PRODUCTS, &new)).await.expect(201).body;
    let path = format!("{}/stock", at(&hat["id"]));
    let needed = Answer::of(shop.adjust(hat["id"].as_i64().unwrap(), 1)).await;
    assert_refused(&needed, 400, "VALIDATION_ERROR", &["variantId"]);
    let body = |variant: &Value, quantity: i64| {
        shop.manage(
            &path,
            &json!({"variantId": variant, "quantity": quantity, "kind": "ADJUST", "reason": "x"}),
        )
    };
    let medium = &hat["variants"][1]["id"];
    let adjusted = Answer::of(body(medium, 3)).await.expect(200).body;
    assert_eq!(adjusted, json!({"productId": hat["id"], "variantId": medium, "stock": 3, "productStock": 5}));
    assert_refused(&Answer::of(body(medium, -4)).await, 409, "OUT_OF_STOCK", &["quantity"]);
    assert_refused(&Answer::of(body(&json!(999), 1)).await, 404, "NOT_FOUND", &["variantId"]);
}

async fn every_change_is_on_the_trail(shop: &Shop) {
    let new = json!({"name": "모자", "variants": [{"name": "S", "price": 5}]});
    let hat = Answer::of(shop.manage(PRODUCTS, &new)).await.expect(201).body;
    let path = at(&hat["id"]);
    let variant = &hat["variants"][0]["id"];
    let changes = [
        shop.patch(&path, &json!({"name": "털모자"})),
        shop.manage(&format!("{path}/variants"), &json!({"name": "M", "price": 6})),
        shop.patch(&format!("{path}/variants/{variant}"), &json!({"price": 7})),
        shop.send(Method::PUT, &format!("{path}/images"), &json!({"images": ["https://example.com/a"]})),
        shop.manage(
            &format!("{path}/stock"),
            &json!({"variantId": variant, "quantity": 1, "kind": "RECEIVE", "reason": "첫 입고"}),
        ),
        shop.delete(&hat["id"]),
    ];
    for change in changes {
        let answer = Answer::of(change).await;
        assert!(answer.status.is_success(), "{}", answer.text);
    }
    let rows: Vec<(String, Option<String>, Option<String>)> = trail(shop, &hat["id"]).await;
    let actions: Vec<&str> = rows.iter().map(|row| row.0.as_str()).collect();
    let expected = [
        "create-product",
        "change-product",
        "add-variant",
        "change-variant",
        "set-images",
        "adjust-stock",
        "delete-product",
    ];
    assert_eq!(actions, expected);
    let json = |text: &Option<String>| {
        text.as_deref().map_or(Value::Null, |text| serde_json::from_str(text).unwrap())
    };
    assert_eq!((json(&rows[0].1), &json(&rows[0].2)["name"]), (Value::Null, &json!("모자")));
    assert_eq!((&json(&rows[1].1)["name"], &json(&rows[1].2)["name"]), (&json!("모자"), &json!("털모자")));
    assert_eq!(
        (&json(&rows[5].1)["variantStock"], &json(&rows[5].2)["variantStock"]),
        (&json!(0), &json!(1))
    );
    assert_eq!(json(&rows[5].2)["reason"], "첫 입고");
    assert_eq!((&json(&rows[6].1)["stock"], json(&rows[6].2)), (&json!(1), Value::Null));
}

/// What the trail tells of a product: action, before, after.
async fn trail(shop: &Shop, product: &Value) -> Vec<(String, Option<String>, Option<String>)> {
    let sql = format!(
        "SELECT action, before_json, after_json FROM admin_changes WHERE subject = '{}' AND subject_id = {product} ORDER BY id",
        Subject::Product.name()
    );
    let (url, sql) = (shop.database.url.as_str(), AssertSqlSafe(sql));
    if url.starts_with("sqlite") {
        let mut connection = SqliteConnection::connect(url).await.expect("it opens");
        sqlx::query_as(sql).fetch_all(&mut connection).await.expect("rows")
    } else {
        let mut connection = MySqlConnection::connect(url).await.expect("it answers");
        sqlx::query_as(sql).fetch_all(&mut connection).await.expect("rows")
    }
}

async fn a_retry_gets_the_same_answer(shop: &Shop) {
    let new = json!({"name": "모자", "price": 5, "stock": 2});
    let path = at(SHIRT);
    let requests = || {
        [
            shop.manage(PRODUCTS, &new),
            shop.patch(&path, &json!({"name": "셔츠"})).header("If-Match", "\"1\""),
            shop.adjust(SHIRT, -10),
            shop.manage(&format!("{path}/variants"), &json!({"name": "M", "price": 6, "stock": 3})),
            shop.send(Method::PUT, &format!("{path}/images"), &json!({"images": ["https://example.com/a"]})),
            shop.delete(&json!(SHIRT)),
            shop.delete(&json!(SHIRT)),
        ]
    };
    for (index, (first, retry)) in requests().into_iter().zip(requests()).enumerate() {
        let key = format!("key-{index}");
        let first = Answer::of(first.header("Idempotency-Key", &key)).await;
        assert!(first.header("idempotency-replayed").is_none(), "{}", first.text);
        let before = shop.shelves().await;
        let replayed = Answer::of(retry.header("Idempotency-Key", &key)).await;
        assert_eq!(replayed.header("idempotency-replayed"), Some("true"), "{}", replayed.text);
        assert_eq!((replayed.status, replayed.header("etag")), (first.status, first.header("etag")));
        if first.status.is_success() {
            assert_eq!(replayed.text, first.text);
        }
        assert_eq!(shop.shelves().await, before);
    }
    let other =
        shop.manage(PRODUCTS, &json!({"name": "모자", "price": 6})).header("Idempotency-Key", "key-0");
    // The key of another administrator is another key.
    Answer::of(other).await.expect(409);
}

async fn a_change_meant_for_another_version_is_refused(shop: &Shop) {
    let path = at(SHIRT);
    Answer::of(shop.patch(&path, &json!({"name": "셔츠"}))).await.expect(200);
    let before = shop.shelves().await;
    for tag in ["\"1\"", "\"3\", \"4\"", "W/\"2\"", "\"x\""] {
        for request in [
            shop.patch(&path, &json!({"name": "다른 셔츠"})),
            shop.delete(&json!(SHIRT)),
            shop.send(Method::PUT, &format!("{path}/images"), &json!({"images": []})),
            shop.manage(&format!("{path}/variants"), &json!({"name": "M", "price": 6})),
            shop.patch(&format!("{path}/variants/1"), &json!({"name": "M"})),
        ] {
            let refused = Answer::of(request.header("If-Match", tag)).await;
            assert_refused(&refused, 412, "PRECONDITION_FAILED", &["If-Match"]);
        }
    }
    let malformed = shop.patch(&path, &json!({"name": "다른 셔츠"})).header("If-Match", "2");
    assert_refused(&Answer::of(malformed).await, 400, "VALIDATION_ERROR", &["If-Match"]);
    assert_eq!(shop.shelves().await, before);
    for tag in ["\"1\", \"2\"", "*"] {
        Answer::of(shop.patch(&path, &json!({"name": format!("셔츠 {tag}")})).header("If-Match", tag))
            .await
            .expect(200);
    }
}

/// Each is refused for these fields, and nothing changes.
async fn all_refused(shop: &Shop, requests: impl IntoIterator<Item = (RequestBuilder, Vec<&str>)>) {
    let before = shop.shelves().await;
    for (request, fields) in requests {
        let shown = format!("{request:?}");
        let answer = Answer::of(request).await;
        eprintln!("{shown}\n{}", answer.text);
        assert_refused(&answer, 400, "VALIDATION_ERROR", &fields);
    }
    assert_eq!(shop.shelves().await, before);
}

fn long(length: usize) -> String {
    "x".repeat(length)
}

async fn fields_of_products_that_are_none(shop: &Shop) {
    let path = at(SHIRT);
    // What a field cannot be, whether the product is new or not.
    let faults: [(&str, Vec<Value>); 5] = [
        (
            "name",
            vec![
                json!(""),
                json!("  "),
                json!("a\nb"),
                json!("a\u{0}"),
                json!(long(201)),
                json!(5),
                json!(["a"]),
            ],
        ),
        ("description", vec![json!(long(10_001)), json!("a\u{7}b"), json!(5)]),
        (
            "price",
            vec![
                json!(-1),
                json!("-0.01"),
                json!(1.005),
                json!("ten"),
                json!(true),
                json!("92233720368547758.08"),
            ],
        ),
        ("active", vec![json!("yes"), json!(1)]),
        ("storeId", vec![json!(0), json!(-1), json!("1"), json!(1.5), json!(9_223_372_036_854_775_808_u64)]),
    ];
    for (field, values) in faults {
        for value in values {
            let mut new = json!({"name": "모자", "price": 5});
            new[field] = value.clone();
            let mut change = json!({});
            change[field] = value;
            all_refused(
                shop,
                [(shop.manage(PRODUCTS, &new), vec![field]), (shop.patch(&path, &change), vec![field])],
            )
            .await;
        }
    }
    let stocks = [json!(-1), json!(1.5), json!("3"), json!(1_000_000_001)];
    let stocks = stocks.map(|stock| {
        (shop.manage(PRODUCTS, &json!({"name": "모자", "price": 5, "stock": stock})), vec!["stock"])
    });
    all_refused(shop, stocks).await;
    let everything = json!({"name": "", "description": "\u{1}", "price": -1, "stock": -1, "storeId": 0,
        "images": ["ftp://x", "https://example.com", ""], "variants": []});
    let fields = vec!["storeId", "name", "description", "images[0]", "images[2]", "price", "stock"];
    all_refused(
        shop,
        [
            (shop.manage(PRODUCTS, &json!({})), vec!["name", "price"]),
            (shop.manage(PRODUCTS, &everything), fields),
            (shop.manage(PRODUCTS, &json!({"name": "x", "price": 1, "colour": "red"})), vec!["colour"]),
            (shop.manage(PRODUCTS, &json!([])), vec!["body"]),
            (shop.patch(&path, &json!({"stock": 5})), vec!["stock"]),
            (shop.patch(&path, &json!({"version": 5})), vec!["version"]),
            (shop.patch(&at("x"), &json!({})), vec!["id"]),
            (shop.patch(&at(0), &json!({})), vec!["id"]),
            (
                shop.patch(&path, &json!({"name": "y"})).header("Idempotency-Key", "a b"),
                vec!["Idempotency-Key"],
            ),
        ],
    )
    .await;
    for unknown in [
        shop.manage(PRODUCTS, &json!({"name": "모자", "price": 5, "storeId": 77})),
        shop.patch(&path, &json!({"storeId": 77})),
    ] {
        let refused = Answer::of(unknown).await;
        assert_refused(&refused, 404, "NOT_FOUND", &["storeId"]);
    }
    // As long as they may be.
    let most = json!({"name": long(200), "description": "설".repeat(3_000), "price": "92233720368547758.07", "stock": 1_000_000_000});
    Answer::of(shop.manage(PRODUCTS, &most)).await.expect(201);
    Answer::of(shop.manage(PRODUCTS, &json!({"name": "공짜", "price": 0}))).await.expect(201);
}

async fn fields_of_variants_and_pictures_that_are_none(shop: &Shop) {
    let path = format!("{}/variants", at(SOLD_OUT));
    let added = Answer::of(shop.manage(&path, &json!({"name": "M", "price": 6}))).await.expect(201).body;
    let variant = format!("{path}/{}", added["id"]);
    let faults: [(&str, Vec<Value>); 3] = [
        ("name", vec![json!(""), json!("a\tb"), json!(long(101)), json!(5)]),
        ("price", vec![json!(-1), json!(0.001), json!("")]),
        ("active", vec![json!("no")]),
    ];
    for (field, values) in faults {
        for value in values {
            let mut new = json!({"name": "L", "price": 5});
            new[field] = value.clone();
            let mut change = json!({});
            change[field] = value;
            all_refused(
                shop,
                [(shop.manage(&path, &new), vec![field]), (shop.patch(&variant, &change), vec![field])],
            )
            .await;
        }
    }
    let many: Vec<Value> = (0..101).map(|n| json!({"name": n.to_string(), "price": 1})).collect();
    let with = |variants: Value| shop.manage(PRODUCTS, &json!({"name": "모자", "variants": variants}));
    let own = json!({"name": "모자", "price": 1, "stock": 1, "variants": [{"name": "M", "price": 1}]});
    let images =
        |images: Value| shop.send(Method::PUT, &format!("{}/images", at(SHIRT)), &json!({"images": images}));
    let picture = "https://example.com/a.png";
    all_refused(
        shop,
        [
            (shop.manage(&path, &json!({})), vec!["name", "price"]),
            (shop.manage(&path, &json!({"name": "L", "price": 1, "stock": -1})), vec!["stock"]),
            (shop.manage(&path, &json!({"name": "L", "price": 1, "colour": "red"})), vec!["colour"]),
            (shop.patch(&variant, &json!({"stock": 1})), vec!["stock"]),
            (shop.patch(&format!("{}/variants/x", at("y")), &json!({})), vec!["id", "variantId"]),
            (shop.patch(&format!("{path}/0"), &json!({})), vec!["variantId"]),
            (with(json!(many)), vec!["variants"]),
            (with(json!([{"name": "M", "price": 1}, {"name": "M ", "price": 2}])), vec!["variants[1].name"]),
            (
                with(json!([{"price": -1}, {"name": "M", "price": 2, "stock": "x"}])),
                vec!["variants[0].name", "variants[0].price", "variants[1].stock"],
            ),
            (with(json!([{"name": "M", "price": 1, "extra": 1}])), vec!["variants[0].extra"]),
            (shop.manage(PRODUCTS, &own), vec!["price", "stock"]),
            (images(json!(vec![picture; 21])), vec!["images"]),
            (
                images(json!([picture, "javascript:alert(1)", format!("{picture}?{}", long(2_000))])),
                vec!["images[1]", "images[2]"],
            ),
            (images(json!([picture, 5])), vec!["images[1]"]),
            (images(Value::Null), vec!["images"]),
            (images(json!("https://example.com/a.png")), vec!["images"]),
        ],
    )
    .await;
    let crowded =
        json!([{"name": "S", "price": 1, "stock": 1_000_000_000}, {"name": "M", "price": 1, "stock": 1}]);
    assert_refused(&Answer::of(with(crowded)).await, 409, "CONFLICT", &["stock"]);
    let most: Vec<Value> = many[..100].to_vec();
    let full = Answer::of(with(json!(most))).await.expect(201).body;
    let one_more =
        shop.manage(&format!("{}/variants", at(&full["id"])), &json!({"name": "more", "price": 1}));
    assert_refused(&Answer::of(one_more).await, 409, "CONFLICT", &["variants"]);
}

async fn fields_of_adjustments_that_are_none(shop: &Shop) {
    let path = format!("{}/stock", at(SHIRT));
    let faults: [(&str, Vec<Value>); 4] = [
        (
            "quantity",
            vec![
                json!(0),
                json!(1.5),
                json!("1"),
                json!(1_000_000_001),
                json!(-1_000_000_001),
                json!(i64::MIN),
                Value::Null,
            ],
        ),
        ("kind", vec![json!("SALE"), json!("adjust"), json!(""), json!(1), Value::Null]),
        ("reason", vec![json!(""), json!(" "), json!("two\nlines"), json!(long(201)), json!(5), Value::Null]),
        ("variantId", vec![json!(0), json!(-1), json!("1")]),
    ];
    for (field, values) in faults {
        for value in values {
            let mut body = json!({"quantity": 1, "kind": "ADJUST", "reason": "x"});
            body[field] = value;
            all_refused(shop, [(shop.manage(&path, &body), vec![field])]).await;
        }
    }
    let received = json!({"quantity": -1, "kind": "RECEIVE", "reason": "x"});
    all_refused(
        shop,
        [
            (shop.manage(&path, &received), vec!["quantity"]),
            (shop.manage(&path, &json!({})), vec!["kind", "quantity", "reason"]),
            (
                shop.manage(&path, &json!({"quantity": 1, "kind": "ADJUST", "reason": "x", "order": 1})),
                vec!["order"],
            ),
            (shop.managed(&format!("{path}-movements?size=0")), vec!["size"]),
        ],
    )
    .await;
}

async fn only_administrators_keep_the_catalogue(shop: &Shop) {
    let path = at(SHIRT);
    let requests: [(Method, String); 10] = [
        (Method::GET, PRODUCTS.to_owned()),
        (Method::POST, PRODUCTS.to_owned()),
        (Method::GET, path.clone()),
        (Method::PATCH, path.clone()),
        (Method::DELETE, path.clone()),
        (Method::PUT, format!("{path}/images")),
        (Method::POST, format!("{path}/variants")),
        (Method::PATCH, format!("{path}/variants/1")),
        (Method::POST, format!("{path}/stock")),
        (Method::GET, format!("{path}/stock-movements")),
    ];
    let before = shop.shelves().await;
    for (method, path) in requests {
        let request = || shop.request(method.clone(), &path).json(&json!({"name": "x", "price": 1}));
        assert_refused(&Answer::of(request().header("X-User-Id", 1)).await, 403, "FORBIDDEN", &[]);
        assert_refused(&Answer::of(request()).await, 401, "UNAUTHORIZED", &["X-User-Id"]);
    }
    assert_eq!(shop.shelves().await, before);
}

async fn products_that_do_not_exist(shop: &Shop) {
    let path = at(987_654);
    for request in [
        shop.managed(&path),
        shop.managed(&format!("{path}/stock-movements")),
        shop.patch(&path, &json!({"name": "x"})),
        shop.delete(&json!(987_654)),
        shop.send(Method::PUT, &format!("{path}/images"), &json!({"images": []})),
        shop.manage(&format!("{path}/variants"), &json!({"name": "x", "price": 1})),
        shop.patch(&format!("{path}/variants/1"), &json!({})),
        shop.adjust(987_654, 1),
    ] {
        assert_refused(&Answer::of(request).await, 404, "NOT_FOUND", &[]);
    }
}

fn ids(answer: &Answer) -> Vec<i64> {
    answer.body["content"].as_array().unwrap().iter().map(|product| product["id"].as_i64().unwrap()).collect()
}

async fn guests_find_products(shop: &Shop) {
    let find = async |query: &str| {
        ids(&Answer::of(shop.get(&format!("/api/v1/products?sort=name&{query}"))).await.expect(200))
    };
    assert_eq!(find("q=%EC%96%91%EB%A7%90").await, [SOCKS]);
    assert_eq!(find("q=DESCRIPTION%20of").await.len(), 3);
    assert_eq!(find("q=description&inStock=true").await.len(), 2);
    assert_eq!(find("inStock=false").await, [SOLD_OUT]);
    assert_eq!(find("storeId=1&inStock=true&q=%20").await.len(), 2);
    assert_eq!(find("storeId=2").await, [0; 0]);
    assert_eq!(find("q=%25").await, [0; 0]);
    for (query, field) in [
        (format!("q={}", long(101)), "q"),
        ("q=a%00".to_owned(), "q"),
        ("q=a&q=b".to_owned(), "q"),
        ("storeId=0".to_owned(), "storeId"),
        ("storeId=".to_owned(), "storeId"),
        ("inStock=1".to_owned(), "inStock"),
        ("active=true".to_owned(), "active"),
    ] {
        let refused = Answer::of(shop.get(&format!("/api/v1/products?{query}"))).await;
        assert_refused(&refused, 400, "VALIDATION_ERROR", &[field]);
    }
}

async fn administrators_find_products(shop: &Shop) {
    Answer::of(shop.patch(&at(SOCKS), &json!({"active": false}))).await.expect(200);
    Answer::of(shop.delete(&json!(SOLD_OUT))).await.expect(204);
    let find = async |query: &str| {
        ids(&Answer::of(shop.managed(&format!("{PRODUCTS}?sort=createdAt,asc&{query}"))).await.expect(200))
    };
    assert_eq!(find("").await, [SHIRT, SOCKS]);
    assert_eq!(find("active=false").await, [SOCKS]);
    assert_eq!(find("active=true&storeId=1").await, [SHIRT]);
    assert_eq!(find("deleted=true").await, [SOLD_OUT]);
    assert_eq!(find("q=%EC%96%91%EB%A7%90&page=0&size=1").await, [SOCKS]);
    for (query, field) in [
        ("active=yes", "active"),
        ("deleted=2", "deleted"),
        ("sort=stock", "sort"),
        ("inStock=true", "inStock"),
    ] {
        let refused = Answer::of(shop.managed(&format!("{PRODUCTS}?{query}"))).await;
        assert_refused(&refused, 400, "VALIDATION_ERROR", &[field]);
    }
}

async fn many_administrators_adjust_while_customers_buy(shop: &Shop) {
    let other = shop.second_instance().await;
    let there = |quantity: i64| {
        let body = json!({"quantity": quantity, "kind": "ADJUST", "reason": "재고 조사"});
        let request = shop.client.post(format!("{}{}/stock", other.site, at(SOCKS))).json(&body);
        request.header("X-User-Id", 901).header("X-User-Role", "ADMIN")
    };
    let adjusting = join_all((0..20).map(|n| {
        let quantity = if n < 10 { -1 } else { 2 };
        Answer::of(if n % 2 == 0 { shop.adjust(SOCKS, quantity) } else { there(quantity) })
    }));
    let buying = join_all((0..10).map(|n| Answer::of(shop.order(1 + n % 2, &[(SOCKS, 1)]))));
    let (adjusted, bought) = join(adjusting, buying).await;
    let mut expected = 5;
    for (n, answer) in adjusted.iter().enumerate() {
        match answer.status.as_u16() {
            200 => expected += if n < 10 { -1 } else { 2 },
            _ => assert_refused(answer, 409, "OUT_OF_STOCK", &["quantity"]),
        }
    }
    expected -= bought.iter().filter(|answer| answer.status == 201).count() as i64;
    assert_eq!(shop.stock(SOCKS).await, json!(expected));
    other.end().await;
}

async fn two_with_the_same_etag_and_one_is_refused(shop: &Shop) {
    let path = at(SHIRT);
    for version in 1..=5 {
        let change = |name: &str| {
            let body = json!({"name": format!("{name} {version}")});
            Answer::of(shop.patch(&path, &body).header("If-Match", format!("\"{version}\"")))
        };
        let (one, two) = join(change("하나"), change("둘")).await;
        let (accepted, refused) = if one.status == 200 { (one, two) } else { (two, one) };
        assert_refused(&refused, 412, "PRECONDITION_FAILED", &["If-Match"]);
        let accepted = accepted.expect(200);
        assert_eq!(accepted.header("etag"), Some(format!("\"{}\"", version + 1).as_str()));
        assert_eq!(shop.kept(&json!(SHIRT)).await, accepted.body);
    }
}

async fn a_name_wanted_by_many_is_taken_once(shop: &Shop) {
    let path = format!("{}/variants", at(SOLD_OUT));
    let new = json!({"name": "M", "price": 6, "stock": 2});
    let answers = join_all((0..12).map(|_| Answer::of(shop.manage(&path, &new)))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    for refused in answers.iter().filter(|answer| answer.status != 201) {
        assert_refused(refused, 409, "CONFLICT", &["name"]);
    }
    assert_eq!(shop.kept(&json!(SOLD_OUT)).await["stock"], 2);
}
