use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::support::{Answer, SOCKS, Shop, assert_refused, on_both_databases};

on_both_databases! {
    health_is_told
    who_delivers_events_tells_how_that_goes
    metrics_tell_of_requests_by_route
    the_document_and_its_page_are_served
    head_is_get_without_a_body
    the_audit_is_for_administrators
}

async fn health_is_told(shop: &Shop) {
    let live = Answer::of(shop.get("/health/live")).await.expect(200);
    assert_eq!(live.text, r#"{"status":"UP"}"#);
    for path in ["/health/ready", "/actuator/health"] {
        let health = Answer::of(shop.get(path)).await.expect(200);
        assert_eq!(health.text, r#"{"status":"UP","components":{"database":{"status":"UP"}}}"#, "{path}");
    }
}

async fn who_delivers_events_tells_how_that_goes(shop: &Shop) {
    let instance = shop.instance_with_worker().await;
    let health = || shop.client.get(format!("{}/actuator/health", instance.site));
    let delivered =
        json!({"status": "UP", "breakerOpen": false, "pending": 0, "oldestSeconds": 0, "dead": 0});
    let health = Answer::of(health()).await.expect(200).body;
    assert_eq!((&health["status"], &health["components"]["events"]), (&json!("UP"), &delivered));
    let told = [
        r#"jangteo_outbox_events{status="PENDING"} "#,
        r#"jangteo_outbox_events{status="FAILED"} "#,
        r#"jangteo_outbox_events{status="DEAD"} "#,
        "jangteo_outbox_oldest_seconds ",
        "jangteo_relay_breaker_open ",
    ];
    let mut metrics = String::new();
    for _ in 0..100 {
        metrics = Answer::of(shop.get("/metrics")).await.expect(200).text;
        if told.iter().all(|line| metrics.contains(line)) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(told.iter().all(|line| metrics.contains(line)), "{metrics}");
    instance.end().await;
}

async fn metrics_tell_of_requests_by_route(shop: &Shop) {
    Answer::of(shop.order(1, &[(SOCKS, 1)])).await.expect(201);
    Answer::of(shop.get("/api/v1/products/2")).await.expect(200);
    Answer::of(shop.get("/nowhere")).await.expect(404);
    let metrics = Answer::of(shop.get("/metrics")).await.expect(200);
    assert!(metrics.header("content-type").unwrap().starts_with("text/plain"));
    for line in [
        r#"jangteo_http_request_seconds_count{method="POST",route="/api/v1/orders",status="201"}"#,
        r#"jangteo_http_request_seconds_bucket{method="GET",route="/api/v1/products/{id}",status="200",le="0.001"}"#,
        r#"jangteo_http_request_seconds_count{method="GET",route="unmatched",status="404"}"#,
        r#"jangteo_batch_size_bucket{operation="place-order",le="1"}"#,
        r#"jangteo_batch_seconds_count{operation="place-order"}"#,
    ] {
        assert!(metrics.text.contains(line), "{line} in\n{}", metrics.text);
    }
}

async fn the_document_and_its_page_are_served(shop: &Shop) {
    let document = Answer::of(shop.get("/openapi.json")).await.expect(200);
    assert!(document.body["paths"]["/api/v1/orders"]["post"].is_object());
    for path in ["/api", "/swagger-ui"] {
        let redirected = Answer::of(shop.get(path)).await.expect(302);
        assert_eq!(redirected.header("location"), Some("/swagger-ui/"));
    }
    let page = Answer::of(shop.get("/swagger-ui/")).await.expect(200);
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    let script = Answer::of(shop.get("/swagger-ui/swagger-initializer.js")).await.expect(200);
    assert!(script.text.contains("/openapi.json"));
    assert_refused(&Answer::of(shop.get("/swagger-ui/nothing.js")).await, 404, "NOT_FOUND", &[]);
}

async fn head_is_get_without_a_body(shop: &Shop) {
    let head = Answer::of(shop.request(Method::HEAD, "/api/v1/products")).await.expect(200);
    assert!(head.text.is_empty());
    assert_eq!(head.header("content-type"), Some("application/json; charset=utf-8"));
}

async fn the_audit_is_for_administrators(shop: &Shop) {
    assert_refused(&Answer::of(shop.mine("/api/v1/admin/audit")).await, 403, "FORBIDDEN", &[]);
    assert_refused(&Answer::of(shop.get("/api/v1/admin/audit")).await, 401, "UNAUTHORIZED", &["X-User-Id"]);
    let audit = Answer::of(shop.mine("/api/v1/admin/audit").header("X-User-Role", "ADMIN")).await.expect(200);
    assert!(audit.body["checks"].as_array().unwrap().iter().all(|check| check["rule"].is_string()));
}
