//! Stores, for everybody and for administrators.

use futures::future::join_all;
use jangteo_testkit::TestDatabase;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use sqlx::{Connection, MySqlConnection, SqliteConnection};

use crate::support::{Answer, Shop, assert_refused, on_both_databases};

on_both_databases! {
    a_store_is_created_renamed_and_deleted
    guests_see_stores_that_are_not_deleted
    a_name_belongs_to_one_store_for_ever
    a_store_with_products_is_not_deleted
    of_many_administrators_who_saw_the_same_version_one_changes_it
    a_name_that_many_want_goes_to_one
    a_retry_gets_the_same_answer
    what_changes_nothing_is_no_change
    stores_are_for_administrators
    stores_that_cannot_be
}

const STORES: &str = "/api/v1/admin/stores";

/// With what an administrator says.
fn say(shop: &Shop, method: Method, path: &str, body: &Value) -> RequestBuilder {
    shop.request(method, path).header("X-User-Id", 900).header("X-User-Role", "ADMIN").json(body)
}

fn delete(shop: &Shop, id: &Value) -> RequestBuilder {
    let request = shop.request(Method::DELETE, &format!("{STORES}/{id}"));
    request.header("X-User-Id", 900).header("X-User-Role", "ADMIN")
}

fn rename(shop: &Shop, id: &Value, name: &str) -> RequestBuilder {
    say(shop, Method::PATCH, &format!("{STORES}/{id}"), &json!({"name": name}))
}

fn create(shop: &Shop, name: &str) -> RequestBuilder {
    say(shop, Method::POST, STORES, &json!({"name": name}))
}

async fn created(shop: &Shop, name: impl AsRef<str>) -> Value {
    Answer::of(create(shop, name.as_ref())).await.expect(201).body["id"].take()
}

async fn seen(shop: &Shop, id: &Value) -> Answer {
    Answer::of(shop.managed(&format!("{STORES}/{id}"))).await
}

async fn tamper(database: &TestDatabase, sql: &'static str) {
    let url = database.url.as_str();
    if url.starts_with("mysql") {
        let mut connection = MySqlConnection::connect(url).await.expect("it connects");
        sqlx::raw_sql(sql).execute(&mut connection).await.expect("done");
    } else {
        let mut connection = SqliteConnection::connect(url).await.expect("it connects");
        sqlx::raw_sql(sql).execute(&mut connection).await.expect("done");
    }
}

#[track_caller]
fn assert_conflict(answer: &Answer, field: &str, code: &str) {
    assert_refused(answer, 409, "CONFLICT", &[field]);
    assert_eq!(answer.body["details"][0]["code"], code);
}

async fn a_store_is_created_renamed_and_deleted(shop: &Shop) {
    let created = Answer::of(create(shop, "  봄날 문구 ")).await.expect(201);
    let id = created.body["id"].clone();
    assert_eq!(created.header("location"), Some(format!("{STORES}/{id}").as_str()));
    assert_eq!(created.header("etag"), Some("\"1\""));
    assert_eq!((&created.body["name"], &created.body["version"]), (&json!("봄날 문구"), &json!(1)));
    assert_eq!(seen(shop, &id).await.expect(200).body, created.body);

    let renamed =
        Answer::of(rename(shop, &id, "O'Neill \\ 봄").header("If-Match", "\"1\"")).await.expect(200);
    assert_eq!(renamed.header("etag"), Some("\"2\""));
    assert_eq!((&renamed.body["name"], &renamed.body["version"]), (&json!("O'Neill \\ 봄"), &json!(2)));
    assert_eq!(renamed.body["createdAt"], created.body["createdAt"]);
    let again = seen(shop, &id).await.expect(200);
    assert_eq!((&again.body, again.header("etag")), (&renamed.body, Some("\"2\"")));

    let stale = Answer::of(delete(shop, &id).header("If-Match", "\"1\"")).await;
    assert_refused(&stale, 412, "PRECONDITION_FAILED", &["If-Match"]);
    let deleted = Answer::of(delete(shop, &id).header("If-Match", "\"2\"")).await.expect(204);
    assert_eq!(deleted.text, "");
    let gone = seen(shop, &id).await.expect(200).body;
    assert!(gone["deletedAt"].is_string() && gone["version"] == 3, "{gone}");
    assert_conflict(&Answer::of(delete(shop, &id)).await, "id", "DELETED");
    assert_conflict(&Answer::of(rename(shop, &id, "New")).await, "id", "DELETED");

    let trail = Answer::of(shop.managed(&format!("/api/v1/admin/changes?subject=store&id={id}"))).await;
    let trail = trail.expect(200).body["content"].take();
    let actions: Vec<_> = trail.as_array().unwrap().iter().map(|change| change["action"].clone()).collect();
    assert_eq!(actions, ["delete-store", "change-store", "create-store"]);
    assert_eq!((&trail[2]["before"], &trail[2]["after"]["name"]), (&Value::Null, &json!("봄날 문구")));
    assert_eq!((&trail[1]["before"], &trail[1]["after"]["version"]), (&trail[2]["after"], &json!(2)));
    assert!(trail[0]["after"]["deletedAt"].is_string());
    assert_eq!(trail[0]["actorId"], 900);
}

async fn guests_see_stores_that_are_not_deleted(shop: &Shop) {
    let (first, second) = (created(shop, "A").await, created(shop, "B").await);
    let ids = async |path: &str| -> Vec<Value> {
        let list = Answer::of(shop.managed(path)).await.expect(200).body;
        list["content"].as_array().unwrap().iter().map(|store| store["id"].clone()).collect()
    };
    assert_eq!(ids("/api/v1/stores").await, [json!(1), first.clone(), second.clone()]);
    Answer::of(delete(shop, &first)).await.expect(204);
    assert_eq!(ids("/api/v1/stores").await, [json!(1), second.clone()]);
    assert_eq!(ids("/api/v1/stores?page=1&size=1").await, [second.clone()]);
    assert_eq!(ids(STORES).await, [json!(1), first.clone(), second.clone()]);
    let guest = Answer::of(shop.get(&format!("/api/v1/stores/{second}"))).await.expect(200);
    assert_eq!(guest.body["name"], "B");
    assert!(guest.body.get("version").is_none());
    let gone = Answer::of(shop.get(&format!("/api/v1/stores/{first}"))).await;
    assert_refused(&gone, 404, "NOT_FOUND", &[]);
    assert_refused(&Answer::of(shop.get("/api/v1/stores/987654")).await, 404, "NOT_FOUND", &[]);
    assert_refused(&seen(shop, &json!(987_654)).await, 404, "NOT_FOUND", &[]);
}

async fn a_name_belongs_to_one_store_for_ever(shop: &Shop) {
    let (first, second) = (created(shop, "A").await, created(shop, "B").await);
    assert_conflict(&Answer::of(create(shop, " A ")).await, "name", "NAME_TAKEN");
    assert_conflict(&Answer::of(rename(shop, &second, "A")).await, "name", "NAME_TAKEN");
    Answer::of(delete(shop, &first)).await.expect(204);
    assert_conflict(&Answer::of(create(shop, "A")).await, "name", "NAME_TAKEN");
    created(shop, "a").await;
    // A name that was given up can be had.
    Answer::of(rename(shop, &second, "C")).await.expect(200);
    created(shop, "B").await;
}

async fn a_store_with_products_is_not_deleted(shop: &Shop) {
    assert_conflict(&Answer::of(delete(shop, &json!(1))).await, "id", "HAS_PRODUCTS");
    let english = Answer::of(delete(shop, &json!(1)).header("Accept-Language", "en")).await;
    assert_eq!(english.body["message"], "The store has products, so it cannot be deleted.");
    tamper(&shop.database, "UPDATE products SET deleted_at = created_at").await;
    Answer::of(delete(shop, &json!(1))).await.expect(204);
}

async fn of_many_administrators_who_saw_the_same_version_one_changes_it(shop: &Shop) {
    let other = shop.second_instance().await;
    let id = created(shop, "A").await;
    for version in 1..=5 {
        let changes = (0..8).map(|n| {
            let request = rename(shop, &id, &format!("Name {version}-{n}"));
            let (client, request) = request.build_split();
            let mut request = request.expect("a request");
            if n % 2 == 1 {
                let url = request.url().as_str().replace(&shop.site, &other.site);
                *request.url_mut() = url.parse().expect("a URL");
            }
            let request = RequestBuilder::from_parts(client, request);
            Answer::of(request.header("If-Match", format!("\"{version}\"")))
        });
        let answers = join_all(changes).await;
        let (done, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
        assert_eq!(done.len(), 1, "{answers:?}");
        for late in refused {
            assert_refused(late, 412, "PRECONDITION_FAILED", &["If-Match"]);
            assert_eq!(late.body["details"][0]["code"], "STALE");
        }
        assert_eq!(seen(shop, &id).await.body, done[0].body);
    }
    let trail = Answer::of(shop.managed(&format!("/api/v1/admin/changes?subject=store&id={id}"))).await;
    assert_eq!(trail.body["totalElements"], 6);
    other.end().await;
}

async fn a_name_that_many_want_goes_to_one(shop: &Shop) {
    let ids = join_all((0..4).map(|n| created(shop, format!("Store {n}")))).await;
    let wanted = join_all((0..12).map(|n| match ids.get(n) {
        Some(id) => Answer::of(rename(shop, id, "Wanted")),
        None => Answer::of(create(shop, "Wanted")),
    }))
    .await;
    let got = wanted.iter().filter(|answer| answer.status.is_success()).count();
    assert_eq!(got, 1);
    for late in wanted.iter().filter(|answer| !answer.status.is_success()) {
        assert_conflict(late, "name", "NAME_TAKEN");
    }
}

async fn a_retry_gets_the_same_answer(shop: &Shop) {
    let keyed = |request: RequestBuilder| request.header("Idempotency-Key", "key");
    let first = Answer::of(keyed(create(shop, "A"))).await.expect(201);
    let id = &first.body["id"];
    let again = Answer::of(keyed(create(shop, "A"))).await.expect(201);
    assert_eq!((&again.text, again.header("idempotency-replayed")), (&first.text, Some("true")));
    for name in ["location", "etag"] {
        assert_eq!(again.header(name), first.header(name));
    }
    assert_refused(&Answer::of(keyed(create(shop, "B"))).await, 409, "CONFLICT", &[]);
    let change = || keyed(rename(shop, id, "C")).header("If-Match", "\"1\"");
    let first = Answer::of(change()).await.expect(200);
    assert_eq!(Answer::of(change()).await.expect(200).text, first.text);
    let taken = || create(shop, "C").header("Idempotency-Key", "taken");
    assert_conflict(&Answer::of(taken()).await, "name", "NAME_TAKEN");
    let again = Answer::of(taken()).await;
    assert_conflict(&again, "name", "NAME_TAKEN");
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    for replayed in [None, Some("true")] {
        let deleted = Answer::of(keyed(delete(shop, id))).await.expect(204);
        assert_eq!(deleted.header("idempotency-replayed"), replayed);
    }
    let trail = Answer::of(shop.managed(&format!("/api/v1/admin/changes?subject=store&id={id}"))).await;
    assert_eq!(trail.body["totalElements"], 3);
}

async fn what_changes_nothing_is_no_change(shop: &Shop) {
    let id = created(shop, "A").await;
    let same = Answer::of(rename(shop, &id, " A ")).await.expect(200);
    assert_eq!((&same.body["version"], same.header("etag")), (&json!(1), Some("\"1\"")));
    let trail = Answer::of(shop.managed(&format!("/api/v1/admin/changes?subject=store&id={id}"))).await;
    assert_eq!(trail.body["totalElements"], 1);
}

async fn stores_are_for_administrators(shop: &Shop) {
    let one = format!("{STORES}/1");
    for (method, path) in [
        (Method::GET, STORES),
        (Method::POST, STORES),
        (Method::GET, one.as_str()),
        (Method::PATCH, &one),
        (Method::DELETE, &one),
        (Method::GET, "/api/v1/admin/changes"),
    ] {
        let ask = || shop.request(method.clone(), path).json(&json!({"name": "Mine"}));
        assert_refused(&Answer::of(ask()).await, 401, "UNAUTHORIZED", &["X-User-Id"]);
        assert_refused(&Answer::of(ask().header("X-User-Id", 1)).await, 403, "FORBIDDEN", &[]);
    }
    assert_eq!(seen(shop, &json!(1)).await.body["version"], 1);
}

async fn stores_that_cannot_be(shop: &Shop) {
    let id = created(shop, "A").await;
    let one = format!("{STORES}/{id}");
    let long = "가".repeat(101);
    for (method, path) in [(Method::POST, STORES), (Method::PATCH, one.as_str())] {
        for (body, field) in [
            (json!({}), "name"),
            (json!({"name": null}), "name"),
            (json!({"name": ""}), "name"),
            (json!({"name": " \u{3000} "}), "name"),
            (json!({"name": "two\nlines"}), "name"),
            (json!({"name": "nul\u{0}"}), "name"),
            (json!({"name": long}), "name"),
            (json!({"name": 5}), "name"),
            (json!({"name": "B", "version": 7}), "version"),
            (json!(["B"]), "body"),
        ] {
            let refused = Answer::of(say(shop, method.clone(), path, &body)).await;
            assert_refused(&refused, 400, "VALIDATION_ERROR", &[field]);
        }
    }
    for tag in ["1", "\"1", "W/\"1\" x"] {
        let refused = Answer::of(rename(shop, &id, "B").header("If-Match", tag)).await;
        assert_refused(&refused, 400, "VALIDATION_ERROR", &["If-Match"]);
    }
    for id in ["0", "-1", "x", "9223372036854775808"] {
        let path = format!("{STORES}/{id}");
        let refused = Answer::of(say(shop, Method::PATCH, &path, &json!({"name": "B"}))).await;
        assert_refused(&refused, 400, "VALIDATION_ERROR", &["id"]);
    }
    let unknown = json!(987_654);
    assert_refused(&Answer::of(rename(shop, &unknown, "B")).await, 404, "NOT_FOUND", &[]);
    assert_refused(&Answer::of(delete(shop, &unknown)).await, 404, "NOT_FOUND", &[]);
    assert_eq!(seen(shop, &id).await.body["version"], 1);
}
