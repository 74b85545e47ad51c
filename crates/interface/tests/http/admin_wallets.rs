use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::{Answer, SHIRT, Shop, assert_refused, on_both_databases};

on_both_databases! {
    a_balance_is_corrected_and_everybody_sees_why
    a_correction_never_overdraws_and_may_pass_the_limit
    a_retried_correction_happens_once
    many_corrections_at_once_take_no_more_than_there_is
    corrections_that_are_none_are_refused
    wallets_are_administered_by_administrators
}

const WALLET: &str = "/api/v1/admin/wallets/1";
const ADJUST: &str = "/api/v1/admin/wallets/1/adjust";

fn by(amount: impl Into<Value>) -> Value {
    json!({"amount": amount.into(), "reason": "중복 충전 정정"})
}

async fn a_balance_is_corrected_and_everybody_sees_why(shop: &Shop) {
    let adjusted = Answer::of(shop.manage(ADJUST, &by("-0.50"))).await.expect(200);
    assert_eq!(adjusted.text, r#"{"userId":1,"balance":99999.50}"#);
    assert_eq!(Answer::of(shop.managed(WALLET)).await.expect(200).text, adjusted.text);
    for ledger in
        [shop.managed("/api/v1/admin/wallets/1/ledger?size=1"), shop.mine("/api/v1/wallets/ledger?size=1")]
    {
        let ledger = Answer::of(ledger).await.expect(200);
        let entry = &ledger.body["content"][0];
        assert_eq!((&entry["kind"], &entry["reason"]), (&json!("ADJUST"), &json!("중복 충전 정정")));
        assert!(
            ledger.text.contains(r#""amount":-0.50,"balanceAfter":99999.50,"orderId":null"#),
            "{}",
            ledger.text
        );
        assert_eq!(ledger.body["totalElements"], 2);
    }
    let charge = Answer::of(shop.mine("/api/v1/wallets/ledger?page=1&size=1")).await.expect(200);
    assert_eq!(charge.body["content"][0]["reason"], Value::Null);
    // What was added can be spent.
    Answer::of(shop.manage("/api/v1/admin/wallets/3/adjust", &by(19_900))).await.expect(200);
    Answer::of(shop.order(3, &[(SHIRT, 1)])).await.expect(201);
    assert_eq!(shop.balance(3).await, 0.0);
}

async fn a_correction_never_overdraws_and_may_pass_the_limit(shop: &Shop) {
    let short = Answer::of(shop.manage(ADJUST, &by("-100000.01"))).await;
    assert_refused(&short, 409, "INSUFFICIENT_BALANCE", &["amount"]);
    assert!(short.text.contains(r#""required":100000.01,"available":100000.00"#), "{}", short.text);
    let passed = Answer::of(shop.manage(ADJUST, &by(1_000_000))).await.expect(200);
    assert_eq!(passed.text, r#"{"userId":1,"balance":1100000.00}"#);
    let uncountable = Answer::of(shop.manage(ADJUST, &by("92233720368547758.07"))).await;
    assert_refused(&uncountable, 409, "BALANCE_LIMIT_EXCEEDED", &[]);
    let all = Answer::of(shop.manage(ADJUST, &by(-1_100_000))).await.expect(200);
    assert_eq!(all.text, r#"{"userId":1,"balance":0.00}"#);
}

async fn a_retried_correction_happens_once(shop: &Shop) {
    let keyed = |amount: i64| shop.manage(ADJUST, &by(amount)).header("Idempotency-Key", "correction");
    let first = Answer::of(keyed(-70_000)).await.expect(200);
    let again = Answer::of(keyed(-70_000)).await.expect(200);
    assert_eq!(
        (first.header("idempotency-replayed"), again.header("idempotency-replayed")),
        (None, Some("true"))
    );
    assert_eq!(first.text, again.text);
    assert_refused(&Answer::of(keyed(-70_001)).await, 409, "CONFLICT", &[]);
    let refused = || shop.manage(ADJUST, &by(-70_000)).header("Idempotency-Key", "too-much");
    let first = Answer::of(refused()).await;
    Answer::of(shop.manage(ADJUST, &by(70_000))).await.expect(200);
    let again = Answer::of(refused()).await;
    for refused in [&first, &again] {
        assert_refused(refused, 409, "INSUFFICIENT_BALANCE", &["amount"]);
    }
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(shop.balance(1).await, 100_000.0);
}

async fn many_corrections_at_once_take_no_more_than_there_is(shop: &Shop) {
    let body = by(-30_000);
    let answers = join_all((0..20).map(|_| Answer::of(shop.manage(ADJUST, &body)))).await;
    let taken = answers.iter().filter(|answer| answer.status == 200).count();
    let refused = answers.iter().filter(|answer| answer.body["error"] == "INSUFFICIENT_BALANCE").count();
    assert_eq!((taken, refused), (3, 17));
    assert_eq!(shop.balance(1).await, 10_000.0);
}

async fn corrections_that_are_none_are_refused(shop: &Shop) {
    let before = shop.books().await;
    for (body, fields) in [
        (json!({}), &["amount", "reason"][..]),
        (by(0), &["amount"]),
        (by("0.001"), &["amount"]),
        (by("all"), &["amount"]),
        (by(1e300), &["amount"]),
        (json!({"amount": 1, "reason": " "}), &["reason"]),
        (json!({"amount": 1, "reason": "two\nlines"}), &["reason"]),
        (json!({"amount": 1, "reason": "x".repeat(201)}), &["reason"]),
        (json!({"amount": 1, "reason": 5}), &["reason"]),
        (json!({"amount": 1, "reason": "why", "currency": "KRW"}), &["currency"]),
        (json!([1, "why"]), &["body"]),
    ] {
        assert_refused(&Answer::of(shop.manage(ADJUST, &body)).await, 400, "VALIDATION_ERROR", fields);
    }
    let unkeyable = shop.manage(ADJUST, &by(1)).header("Idempotency-Key", "a b");
    assert_refused(&Answer::of(unkeyable).await, 400, "VALIDATION_ERROR", &["Idempotency-Key"]);
    let zero = Answer::of(shop.manage("/api/v1/admin/wallets/0/adjust", &by(1))).await;
    assert_refused(&zero, 400, "VALIDATION_ERROR", &["userId"]);
    for answer in [
        Answer::of(shop.manage("/api/v1/admin/wallets/99/adjust", &by(1))).await,
        Answer::of(shop.managed("/api/v1/admin/wallets/99")).await,
        Answer::of(shop.managed("/api/v1/admin/wallets/99/ledger")).await,
    ] {
        assert_refused(&answer, 404, "NOT_FOUND", &[]);
    }
    assert_eq!(shop.books().await, before);
}

async fn wallets_are_administered_by_administrators(shop: &Shop) {
    for path in [WALLET, "/api/v1/admin/wallets/1/ledger"] {
        assert_refused(&Answer::of(shop.get(path)).await, 401, "UNAUTHORIZED", &["X-User-Id"]);
        assert_refused(&Answer::of(shop.mine(path)).await, 403, "FORBIDDEN", &[]);
    }
    assert_refused(&Answer::of(shop.post(1, ADJUST, &by(1))).await, 403, "FORBIDDEN", &[]);
    let empty = Answer::of(shop.managed("/api/v1/admin/wallets/3/ledger")).await.expect(200);
    assert_eq!(empty.body["totalElements"], 0);
}
