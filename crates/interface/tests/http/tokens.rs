//! Callers with tokens.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jangteo::Settings;
use jangteo::config::{Authentication, Switch};
use jangteo_application::{Clock, SystemClock};
use jangteo_testkit::TestDatabase;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::{Answer, SHIRT, Shop, assert_refused, items};

pub(crate) const SECRET: &str = "a secret for tests of more than 32 bytes";

pub(crate) fn key_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keys").join(name)
}

/// A shop whose callers need tokens that are signed with [`SECRET`].
pub(crate) async fn shop_with_tokens(database: TestDatabase, change: impl FnOnce(&mut Settings)) -> Shop {
    Shop::open_with(database, |settings| {
        settings.auth = Some(Authentication::Jwt);
        settings.jwt_secret = SECRET.parse().unwrap();
        change(settings);
    })
    .await
}

/// Audits the shop as an administrator with a token, and closes it.
pub(crate) async fn close(shop: Shop) {
    let audit = Answer::of(with(shop.get("/api/v1/admin/audit"), &admin())).await;
    assert_eq!(audit.body["clean"], true, "{}", audit.text);
    shop.stop.stop();
    shop.running.await.expect("no panic").expect("a clean end");
}

pub(crate) fn with(request: RequestBuilder, token: &str) -> RequestBuilder {
    request.header("Authorization", format!("Bearer {token}"))
}

/// So many seconds from now.
fn from_now(seconds: i64) -> i64 {
    SystemClock.now().timestamp() + seconds
}

fn signed(key: &EncodingKey, header: &Header, claims: &Value) -> String {
    jsonwebtoken::encode(header, claims, key).expect("it can be signed")
}

fn hs256(secret: &[u8], claims: &Value) -> String {
    signed(&EncodingKey::from_secret(secret), &Header::new(Algorithm::HS256), claims)
}

pub(crate) fn token_of(user: i64, roles: &[&str]) -> String {
    hs256(SECRET.as_bytes(), &json!({"sub": user.to_string(), "roles": roles, "exp": from_now(60)}))
}

fn admin() -> String {
    token_of(900, &["ADMIN"])
}

fn key(name: &str) -> EncodingKey {
    let pem = std::fs::read(key_file(name)).unwrap();
    EncodingKey::from_rsa_pem(&pem).or_else(|_| EncodingKey::from_ed_pem(&pem)).unwrap()
}

/// Not accepted, and told why, in the header too.
#[track_caller]
fn assert_not_accepted(answer: &Answer, code: &str) {
    assert_refused(answer, 401, "UNAUTHORIZED", &["Authorization"]);
    assert_eq!(answer.body["details"][0]["code"], code, "{}", answer.text);
    let challenge = answer.header("www-authenticate").expect("a challenge");
    assert!(challenge.starts_with(r#"Bearer error="invalid_token", error_description=""#), "{challenge}");
    assert!(!challenge.contains(SECRET) && !answer.text.contains(SECRET));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_a_token_is_whom_it_names() {
    for database in [jangteo_testkit::sqlite().await, jangteo_testkit::mysql().await] {
        let shop = shop_with_tokens(database, |_| ()).await;
        let me = Answer::of(with(shop.get("/api/v1/users/me"), &token_of(2, &[]))).await.expect(200);
        assert_eq!(me.body["id"], 2);
        let order =
            shop.request(Method::POST, "/api/v1/orders").json(&json!({"items": items(&[(SHIRT, 1)])}));
        let placed = Answer::of(with(order, &token_of(1, &["USER", "something else"]))).await.expect(201);
        let path = format!("/api/v1/orders/{}", placed.body["orderId"]);
        Answer::of(with(shop.get(&path), &token_of(1, &[]))).await.expect(200);
        Answer::of(with(shop.get(&path), &token_of(2, &[]))).await.expect(404);
        let ship =
            || shop.request(Method::POST, &format!("/api/v1/admin/orders/{}/ship", placed.body["orderId"]));
        assert_refused(&Answer::of(with(ship(), &token_of(1, &["USER"]))).await, 403, "FORBIDDEN", &[]);
        Answer::of(with(ship(), &admin())).await.expect(200);
        close(shop).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_headers_that_would_be_believed_elsewhere_say_nothing() {
    let shop = shop_with_tokens(jangteo_testkit::sqlite().await, |_| ()).await;
    let nobody = Answer::of(shop.managed("/api/v1/admin/audit").header("Accept-Language", "en")).await;
    assert_refused(&nobody, 401, "UNAUTHORIZED", &["Authorization"]);
    assert_eq!(nobody.header("www-authenticate"), Some("Bearer"));
    assert!(nobody.body["message"].as_str().unwrap().contains("Authorization: Bearer"));
    let basic = shop.mine("/api/v1/wallets").header("Authorization", "Basic dXNlcjpwYXNz");
    assert_eq!(Answer::of(basic).await.expect(401).header("www-authenticate"), Some("Bearer"));
    // Another user and another role than the token's.
    let customer = with(shop.managed("/api/v1/admin/audit"), &token_of(2, &[]));
    assert_refused(&Answer::of(customer).await, 403, "FORBIDDEN", &[]);
    let wallet = Answer::of(with(shop.mine("/api/v1/wallets"), &token_of(2, &[]))).await.expect(200);
    assert_eq!(wallet.body["userId"], 2);
    // What needs nobody asks for no token, be it one that is not good.
    Answer::of(with(shop.get("/api/v1/products"), "a.b.c")).await.expect(200);
    close(shop).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_not_good_is_refused_with_the_reason() {
    let shop = shop_with_tokens(jangteo_testkit::sqlite().await, |settings| {
        settings.jwt_public_key = key_file("rsa.pub.pem").display().to_string().parse().unwrap();
        settings.jwt_audience = Some("shop".to_owned());
        settings.jwt_issuer = Some("https://login.example".to_owned());
    })
    .await;
    let good = json!({"sub": "1", "exp": from_now(60), "aud": "shop", "iss": "https://login.example"});
    let but = |claim: &str, value: Value| {
        let mut claims = good.clone();
        claims[claim] = value;
        hs256(SECRET.as_bytes(), &claims)
    };
    let sound = hs256(SECRET.as_bytes(), &good);
    let public = std::fs::read(key_file("rsa.pub.pem")).unwrap();
    let part = |part: &Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
    let unsigned = format!("{}.{}.", part(&json!({"alg": "none", "typ": "JWT"})), part(&good));
    let (message, signature) = sound.rsplit_once('.').unwrap();
    let forged =
        format!("{}.{}.{signature}", message.split('.').next().unwrap(), part(&json!({"sub": "900"})));
    for (token, code) in [
        (unsigned, "TOKEN_MALFORMED"),
        (message.to_owned(), "TOKEN_MALFORMED"),
        (sound[..40].to_owned(), "TOKEN_MALFORMED"),
        (format!("{message}."), "TOKEN_SIGNATURE"),
        (forged, "TOKEN_SIGNATURE"),
        (hs256(&public, &good), "TOKEN_SIGNATURE"),
        (hs256(b"another secret", &good), "TOKEN_SIGNATURE"),
        (signed(&key("ed25519.pem"), &Header::new(Algorithm::EdDSA), &good), "TOKEN_ALGORITHM"),
        (but("exp", json!(from_now(-60))), "TOKEN_EXPIRED"),
        (but("exp", Value::Null), "TOKEN_CLAIM_MISSING"),
        (but("nbf", json!(from_now(120))), "TOKEN_NOT_YET_VALID"),
        (but("aud", json!("another shop")), "TOKEN_AUDIENCE"),
        (but("iss", json!("https://evil.example")), "TOKEN_ISSUER"),
        (but("sub", json!("mina")), "TOKEN_CLAIM_MALFORMED"),
        (but("roles", json!("ADMIN")), "TOKEN_CLAIM_MALFORMED"),
        (but("padding", json!("x".repeat(20_000))), "TOKEN_TOO_LONG"),
    ] {
        for path in ["/api/v1/wallets", "/api/v1/admin/audit"] {
            assert_not_accepted(&Answer::of(with(shop.get(path), &token)).await, code);
        }
    }
    let twice = with(with(shop.get("/api/v1/wallets"), &sound), &sound);
    assert_not_accepted(&Answer::of(twice).await, "DUPLICATE");
    for token in [sound, but("aud", json!(["another shop", "shop"])), but("nbf", json!(from_now(20)))] {
        Answer::of(with(shop.get("/api/v1/wallets"), &token)).await.expect(200);
    }
    let auditor = json!({"sub": "900", "roles": ["ADMIN"], "exp": from_now(60), "aud": "shop", "iss": "https://login.example"});
    let audit = with(shop.get("/api/v1/admin/audit"), &hs256(SECRET.as_bytes(), &auditor));
    assert_eq!(Answer::of(audit).await.expect(200).body["clean"], true);
    shop.stop.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_of_others_are_checked_with_their_public_keys_while_these_change() {
    let files = ["rsa.pub.pem", "ed25519.pub.pem", "ed25519-next.pub.pem"]
        .map(|name| key_file(name).display().to_string());
    let keys = format!("{},now={},next={}", files[0], files[1], files[2]);
    let shop = Shop::open_with(jangteo_testkit::sqlite().await, |settings| {
        settings.auth = Some(Authentication::Jwt);
        settings.jwt_public_key = keys.parse().unwrap();
    })
    .await;
    let claims = json!({"sub": "1", "exp": from_now(60)});
    let named =
        |algorithm, kid: Option<&str>| Header { kid: kid.map(str::to_owned), ..Header::new(algorithm) };
    for (private, algorithm, kid, status) in [
        ("rsa.pem", Algorithm::RS256, None, 200),
        ("rsa.pem", Algorithm::RS256, Some("whatever"), 200),
        ("ed25519.pem", Algorithm::EdDSA, Some("now"), 200),
        ("ed25519.pem", Algorithm::EdDSA, None, 200),
        ("ed25519-next.pem", Algorithm::EdDSA, Some("next"), 200),
        ("ed25519-next.pem", Algorithm::EdDSA, Some("now"), 401),
    ] {
        let token = signed(&key(private), &named(algorithm, kid), &claims);
        Answer::of(with(shop.get("/api/v1/wallets"), &token)).await.expect(status);
    }
    assert_not_accepted(
        &Answer::of(with(shop.get("/api/v1/wallets"), &token_of(1, &[]))).await,
        "TOKEN_ALGORITHM",
    );
    shop.stop.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_count_for_whom_the_token_names() {
    let shop = shop_with_tokens(jangteo_testkit::sqlite().await, |settings| {
        settings.rate_limit = Some(Switch::On);
        settings.rate_limit_user_reads = "2/10m".parse().unwrap();
    })
    .await;
    // A header names somebody else, who must not be counted.
    let wallet = |user| with(shop.mine("/api/v1/wallets"), &token_of(user, &[]));
    for left in ["1", "0"] {
        let answer = Answer::of(wallet(2)).await.expect(200);
        assert!(answer.header("ratelimit").unwrap().starts_with(&format!(r#""user-reads";r={left};"#)));
    }
    assert_refused(&Answer::of(wallet(2)).await, 429, "RATE_LIMITED", &[]);
    Answer::of(wallet(1)).await.expect(200);
    let forged = Answer::of(with(shop.get("/api/v1/wallets"), &hs256(b"no", &json!({"sub": "3"})))).await;
    assert_not_accepted(&forged, "TOKEN_SIGNATURE");
    assert!(forged.header("ratelimit").unwrap().starts_with(r#""address-reads""#));
    close(shop).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_whose_keys_are_none_does_not_open() {
    let settings = Settings {
        auth: Some(Authentication::Jwt),
        jwt_public_key: key_file("ec.pub.pem").display().to_string().parse().unwrap(),
        listen: "127.0.0.1:0".parse().unwrap(),
        ..Settings::default()
    };
    let refused = jangteo::Application::build(settings, std::sync::Arc::new(SystemClock)).await;
    let refused = refused.err().expect("refused").to_string();
    assert!(refused.contains("`jwt_public_key`") && refused.contains("ec.pub.pem"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_of_a_shop_with_tokens_asks_for_them() {
    let document = serde_json::to_value(jangteo::openapi(Authentication::Jwt)).unwrap();
    let schemes = &document["components"]["securitySchemes"];
    assert_eq!(schemes["Bearer"]["scheme"], "bearer");
    assert_eq!(schemes.as_object().unwrap().len(), 1);
    assert_eq!(document["paths"]["/api/v1/wallets"]["get"]["security"], json!([{"Bearer": []}]));
    assert!(document["paths"]["/api/v1/products"]["get"]["security"].is_null());
    assert!(!document.to_string().contains("X-User-Id"));
    let document = serde_json::to_value(jangteo::openapi(Authentication::Header)).unwrap();
    let ship = &document["paths"]["/api/v1/admin/orders/{id}/ship"]["post"];
    assert_eq!(ship["security"], json!([{"X-User-Id": [], "X-User-Role": []}]));
    let charge = &document["paths"]["/api/v1/wallets/charge"]["post"];
    assert_eq!(charge["security"], json!([{"X-User-Id": []}, {"X-User-Id": [], "X-User-Role": []}]));

    let shop = shop_with_tokens(jangteo_testkit::sqlite().await, |_| ()).await;
    let served = Answer::of(shop.get("/openapi.json")).await.expect(200);
    assert_eq!(served.body, serde_json::to_value(jangteo::openapi(Authentication::Jwt)).unwrap());
    close(shop).await;
}

/// What the command says, with these settings in the environment.
fn jangteo(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_jangteo"));
    command.args(arguments).envs(environment.iter().copied()).current_dir(&folder);
    command.output().expect("it runs")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_makes_tokens() {
    let shop = shop_with_tokens(jangteo_testkit::sqlite().await, |settings| {
        let files = ["rsa.pub.pem", "ed25519.pub.pem"].map(|name| key_file(name).display().to_string());
        settings.jwt_public_key = files.join(",").parse().unwrap();
    })
    .await;
    let (rsa, ed25519) = (key_file("rsa.pem"), key_file("ed25519.pem"));
    let (rsa, ed25519) = (rsa.to_str().unwrap(), ed25519.to_str().unwrap());
    let with_secret = [("JANGTEO_AUTH", "jwt"), ("JANGTEO_JWT_SECRET", SECRET)];
    for (more, environment) in [
        (&[][..], &with_secret[..]),
        (&["--key", rsa], &[]),
        (&["--key", ed25519, "--expires-in", "90s"], &[]),
    ] {
        let arguments = [&["token", "--user", "5", "--role", "ADMIN"], more].concat();
        let made = jangteo(&arguments, environment);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let token = String::from_utf8(made.stdout).unwrap();
        Answer::of(with(shop.get("/api/v1/admin/audit"), token.trim())).await.expect(200);
    }
    let said = |output: Output| {
        assert!(!output.status.success() && output.stdout.is_empty());
        String::from_utf8(output.stderr).unwrap()
    };
    let nothing = said(jangteo(&["token", "--user", "1"], &[]));
    assert!(nothing.contains("`jwt_secret`") && nothing.contains("--key FILE"), "{nothing}");
    let public = key_file("rsa.pub.pem");
    let wrong = said(jangteo(&["token", "--user", "1", "--key", public.to_str().unwrap()], &[]));
    assert!(wrong.contains("is no RSA or Ed25519 private key"), "{wrong}");
    close(shop).await;
}
