//! Who may do what: a line for every route, whether callers are believed or need tokens.

use std::collections::BTreeSet;

use jangteo::config::Authentication;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::{Answer, SHIRT, Shop, items};
use crate::tokens::{close, shop_with_tokens, token_of, with};

/// Method, path, body, and the statuses for nobody, for the customer whom it belongs to, for another customer, and for an
/// administrator who is no customer. For each line there is a new customer, who has money and an order that is paid. They ask
/// in the order: nobody, the other, the customer, the administrator; what the customer has done is done for the administrator.
///
/// In paths, `{id}` is the customer's order, the customer, or something that is there for everybody; the first line of a cart is
/// the other's. In bodies, `{n}` is a number that no other request has. Where an administrator gets 400, nothing but the body was
/// wrong.
const TABLE: &[(&str, &str, &str, [u16; 4])] = &[
    ("GET", "/actuator/health", "", [200, 200, 200, 200]),
    ("GET", "/api/v1/admin/audit", "", [401, 403, 403, 200]),
    ("POST", "/api/v1/admin/orders/{id}/deliver", "", [401, 403, 403, 409]),
    ("POST", "/api/v1/admin/orders/{id}/ship", "", [401, 403, 403, 200]),
    ("GET", "/api/v1/admin/outbox", "", [401, 403, 403, 200]),
    ("GET", "/api/v1/admin/outbox/orders", "", [401, 403, 403, 200]),
    ("POST", "/api/v1/admin/outbox/resend", PERIOD, [401, 403, 403, 200]),
    ("POST", "/api/v1/admin/outbox/retry", r#"{"status": "DEAD"}"#, [401, 403, 403, 200]),
    ("GET", "/api/v1/admin/outbox/summary", "", [401, 403, 403, 200]),
    ("GET", "/api/v1/admin/outbox/{id}", "", [401, 403, 403, 200]),
    ("POST", "/api/v1/admin/outbox/{id}/retry", "", [401, 403, 403, 200]),
    ("GET", "/api/v1/admin/users", "", [401, 403, 403, 200]),
    ("GET", "/api/v1/admin/users/{id}", "", [401, 403, 403, 200]),
    ("PATCH", "/api/v1/admin/users/{id}", NAME, [401, 403, 403, 200]),
    ("DELETE", "/api/v1/admin/users/{id}", "", [401, 403, 403, 409]),
    ("GET", "/api/v1/admin/changes", "", [401, 403, 403, 200]),
    ("GET", "/api/v1/admin/coupons", "", [401, 403, 403, 200]),
    ("POST", "/api/v1/admin/coupons", "{}", [401, 403, 403, 400]),
    ("GET", "/api/v1/admin/coupons/{id}", "", [401, 403, 403, 200]),
    ("PATCH", "/api/v1/admin/coupons/{id}", "{}", [401, 403, 403, 200]),
    ("DELETE", "/api/v1/admin/coupons/{id}", "", [401, 403, 403, 204]),
    ("GET", "/api/v1/admin/ledger.csv", "", [401, 403, 403, 200]),
    ("GET", "/api/v1/admin/orders", "", [401, 403, 403, 200]),
    ("GET", "/api/v1/admin/orders.csv", "", [401, 403, 403, 200]),
    ("GET", "/api/v1/admin/products", "", [401, 403, 403, 200]),
    ("POST", "/api/v1/admin/products", "{}", [401, 403, 403, 400]),
    ("GET", "/api/v1/admin/products/{id}", "", [401, 403, 403, 200]),
    ("PATCH", "/api/v1/admin/products/{id}", "{}", [401, 403, 403, 200]),
    ("PUT", "/api/v1/admin/products/{id}/images", "{}", [401, 403, 403, 400]),
    ("POST", "/api/v1/admin/products/{id}/stock", "{}", [401, 403, 403, 400]),
    ("GET", "/api/v1/admin/products/{id}/stock-movements", "", [401, 403, 403, 200]),
    ("POST", "/api/v1/admin/products/{id}/variants", "{}", [401, 403, 403, 400]),
    ("PATCH", "/api/v1/admin/products/{id}/variants/{variantId}", "{}", [401, 403, 403, 404]),
    ("DELETE", "/api/v1/admin/products/{id}", "", [401, 403, 403, 204]),
    ("GET", "/api/v1/admin/sales", "", [401, 403, 403, 200]),
    ("GET", "/api/v1/admin/stores", "", [401, 403, 403, 200]),
    ("POST", "/api/v1/admin/stores", "{}", [401, 403, 403, 400]),
    ("GET", "/api/v1/admin/stores/{id}", "", [401, 403, 403, 200]),
    ("PATCH", "/api/v1/admin/stores/{id}", "{}", [401, 403, 403, 400]),
    ("DELETE", "/api/v1/admin/stores/{id}", "", [401, 403, 403, 409]),
    ("GET", "/api/v1/admin/wallets/{userId}", "", [401, 403, 403, 200]),
    ("POST", "/api/v1/admin/wallets/{userId}/adjust", "{}", [401, 403, 403, 400]),
    ("GET", "/api/v1/admin/wallets/{userId}/ledger", "", [401, 403, 403, 200]),
    ("GET", "/api/v1/cart", "", [401, 200, 200, 404]),
    ("POST", "/api/v1/cart/items", r#"{"productId": 1, "qty": 1}"#, [401, 201, 201, 404]),
    ("PATCH", "/api/v1/cart/items/{id}", r#"{"qty": 2}"#, [401, 404, 200, 404]),
    ("DELETE", "/api/v1/cart/items/{id}", "", [401, 404, 204, 404]),
    ("POST", "/api/v1/cart/order", "", [401, 400, 400, 404]),
    ("DELETE", "/api/v1/cart", "", [401, 204, 204, 404]),
    ("GET", "/api/v1/coupons", "", [200, 200, 200, 200]),
    ("GET", "/api/v1/coupons/{code}", "", [200, 200, 200, 200]),
    ("POST", "/api/v1/coupons/{code}/claim", "", [401, 200, 200, 404]),
    ("GET", "/api/v1/idempotency-keys/{key}", "", [401, 200, 404, 404]),
    ("GET", "/api/v1/orders", "", [401, 200, 200, 404]),
    ("POST", "/api/v1/orders", r#"{"items": [{"productId": 1, "qty": 1}]}"#, [401, 201, 201, 404]),
    ("GET", "/api/v1/orders/{id}", "", [401, 200, 404, 200]),
    ("POST", "/api/v1/orders/{id}/cancel", "", [401, 200, 404, 409]),
    ("POST", "/api/v1/orders/{id}/pay", "", [401, 409, 404, 409]),
    ("GET", "/api/v1/orders/{id}/payment", "", [401, 200, 404, 200]),
    ("GET", "/api/v1/products", "", [200, 200, 200, 200]),
    ("GET", "/api/v1/products/{id}", "", [200, 200, 200, 200]),
    ("GET", "/api/v1/stats/best-sellers", "", [200, 200, 200, 200]),
    ("GET", "/api/v1/stats/popular-products", "", [200, 200, 200, 200]),
    ("GET", "/api/v1/stores", "", [200, 200, 200, 200]),
    ("GET", "/api/v1/stores/{id}", "", [200, 200, 200, 200]),
    ("POST", "/api/v1/users", r#"{"name": "New", "email": "new{n}@example.com"}"#, [201, 201, 201, 201]),
    ("GET", "/api/v1/users/me", "", [401, 200, 200, 404]),
    ("PATCH", "/api/v1/users/me", NAME, [401, 200, 200, 404]),
    ("DELETE", "/api/v1/users/me", "", [401, 409, 409, 404]),
    ("GET", "/api/v1/users/{userId}/coupons", "", [401, 200, 403, 200]),
    ("GET", "/api/v1/users/{userId}/coupons/history", "", [401, 200, 403, 200]),
    ("GET", "/api/v1/wallets", "", [401, 200, 200, 404]),
    ("POST", "/api/v1/wallets/charge", r#"{"amount": 1}"#, [401, 200, 200, 404]),
    ("GET", "/api/v1/wallets/ledger", "", [401, 200, 200, 404]),
    ("GET", "/health/live", "", [200, 200, 200, 200]),
    ("GET", "/health/ready", "", [200, 200, 200, 200]),
    ("GET", "/metrics", "", [200, 200, 200, 200]),
];

const NAME: &str = r#"{"name": "Another name"}"#;
const PERIOD: &str = r#"{"from": "2025-01-01T00:00:00Z", "to": "2025-01-02T00:00:00Z"}"#;

const OTHER: i64 = 2;
const KEY: &str = "access";

/// How callers say who they are.
#[derive(Debug, Clone, Copy)]
enum Caller {
    Nobody,
    /// Somebody who says it in a way that nobody understands or believes.
    Unbelievable,
    Customer(i64),
    Administrator,
}

impl Caller {
    fn asks(self, authentication: Authentication, request: RequestBuilder) -> RequestBuilder {
        match (authentication, self) {
            (_, Self::Nobody) => request,
            (Authentication::Header, Self::Unbelievable) => request.header("X-User-Id", "mina"),
            (Authentication::Header, Self::Customer(id)) => request.header("X-User-Id", id),
            (Authentication::Header, Self::Administrator) => {
                request.header("X-User-Id", 900).header("X-User-Role", "ADMIN")
            }
            (Authentication::Jwt, Self::Unbelievable) => {
                with(request, "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.")
            }
            (Authentication::Jwt, Self::Customer(id)) => with(request, &token_of(id, &["USER"])),
            (Authentication::Jwt, Self::Administrator) => with(request, &token_of(900, &["ADMIN"])),
        }
    }
}

/// What a line is tried with.
struct Belongings {
    owner: i64,
    order: Value,
}

async fn belongings(shop: &Shop, authentication: Authentication, line: usize) -> Belongings {
    let profile = json!({"name": "Owner", "email": format!("owner{line}@example.com")});
    let registered = Answer::of(shop.request(Method::POST, "/api/v1/users").json(&profile)).await;
    let owner = registered.expect(201).body["id"].as_i64().unwrap();
    let post = |path: &str, body: Value| {
        let request = shop.request(Method::POST, path).header("Idempotency-Key", KEY).json(&body);
        Caller::Customer(owner).asks(authentication, request)
    };
    Answer::of(post("/api/v1/wallets/charge", json!({"amount": 50_000}))).await.expect(200);
    let order = post("/api/v1/orders", json!({"items": items(&[(SHIRT, 1)])}));
    let mut order = Answer::of(order).await.expect(201);
    Belongings { owner, order: order.body["orderId"].take() }
}

/// The path with what stands in the places of its parameters.
fn filled(path: &str, belongings: &Belongings) -> String {
    let id = match path {
        path if path.contains("/orders/{id}") => belongings.order.to_string(),
        path if path.contains("/users/{id}") => belongings.owner.to_string(),
        // Nobody misses the product that is sold out, nor the coupon that is over.
        path if path.contains("/admin/products/") || path.contains("/admin/coupons/") => "3".to_owned(),
        _ => "1".to_owned(),
    };
    let path = path.replace("{id}", &id).replace("{userId}", &belongings.owner.to_string());
    let path = path.replace("{variantId}", "1");
    path.replace("{code}", "WELCOME10").replace("{key}", KEY)
}

async fn everybody_tries_everything(shop: &Shop, authentication: Authentication) {
    let mut surprises = Vec::new();
    for (line, &(method, path, body, [nobody, owner, other, administrator])) in TABLE.iter().enumerate() {
        let belongings = belongings(shop, authentication, line).await;
        let asking = [
            (Caller::Nobody, nobody),
            (Caller::Unbelievable, nobody),
            (Caller::Customer(OTHER), other),
            (Caller::Customer(belongings.owner), owner),
            (Caller::Administrator, administrator),
        ];
        for (turn, (caller, expected)) in asking.into_iter().enumerate() {
            let mut request = shop.request(method.parse().unwrap(), &filled(path, &belongings));
            if !body.is_empty() {
                let body = body.replace("{n}", &format!("{line}-{turn}"));
                request = request.header("Content-Type", "application/json").body(body);
            }
            let answer = Answer::of(caller.asks(authentication, request)).await;
            if answer.status != expected {
                let (status, text) = (answer.status, &answer.text);
                surprises.push(format!("{method} {path} by {caller:?}: {status}, not {expected}: {text}"));
            }
            let challenged = answer.header("www-authenticate").is_some();
            assert_eq!(
                challenged,
                expected == 401 && authentication == Authentication::Jwt,
                "{method} {path}"
            );
        }
    }
    assert!(surprises.is_empty(), "{}", surprises.join("\n"));
}

/// There must be pieces for everybody.
async fn restock(shop: &Shop) {
    let connection = sqlx::SqlitePool::connect(&shop.database.url).await.unwrap();
    for statement in [
        "UPDATE products SET stock = stock + 1000 WHERE id = 1",
        "INSERT INTO stock_movements (product_id, kind, quantity, stock_after, created_at) \
         SELECT id, 'RECEIVE', 1000, stock, created_at FROM products WHERE id = 1",
    ] {
        sqlx::query(statement).execute(&connection).await.unwrap();
    }
    connection.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_callers_are_believed() {
    let shop = Shop::open(jangteo_testkit::sqlite().await).await;
    restock(&shop).await;
    everybody_tries_everything(&shop, Authentication::Header).await;
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_callers_need_tokens() {
    let shop = shop_with_tokens(jangteo_testkit::sqlite().await, |_| ()).await;
    restock(&shop).await;
    everybody_tries_everything(&shop, Authentication::Jwt).await;
    close(shop).await;
}

/// A route without a line is one of which nobody has said who may use it.
#[test]
fn every_route_has_its_line() {
    for authentication in [Authentication::Header, Authentication::Jwt] {
        let document = serde_json::to_value(jangteo::openapi(authentication)).unwrap();
        let mut routes = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let method = method.to_uppercase();
                if let Some((.., [nobody, ..])) =
                    TABLE.iter().find(|line| (line.0, line.1) == (&method, path))
                {
                    let secured = operation["security"].is_array();
                    assert_eq!(secured, *nobody == 401, "what the document says of {method} {path}");
                }
                routes.insert((method, path.clone()));
            }
        }
        let lines: BTreeSet<_> = TABLE.iter().map(|line| (line.0.to_owned(), line.1.to_owned())).collect();
        assert_eq!(lines.len(), TABLE.len(), "a route has one line");
        let missing: Vec<_> = routes.difference(&lines).collect();
        assert!(missing.is_empty(), "routes without a line: {missing:?}");
        assert_eq!(lines, routes);
    }
}
