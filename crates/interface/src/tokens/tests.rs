use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::json;

use super::*;
use crate::config::Authentication;

const OLD: &str = "an old secret, which is long enough for everything";
const NEW: &str = "the new secret, which is long enough for everything";
const NOW: i64 = 1_800_000_000;

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(NOW, 0).unwrap()
}

fn key_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keys").join(name)
}

fn settings() -> Settings {
    Settings { auth: Some(Authentication::Jwt), ..Settings::default() }
}

/// With this setting for public keys.
fn with_public(keys: &str) -> Settings {
    let keys = keys.split(',').map(|key| {
        let (kid, file) =
            key.split_once('=').map_or((String::new(), key), |(kid, file)| (format!("{kid}="), file));
        format!("{kid}{}", key_file(file).display())
    });
    Settings { jwt_public_key: keys.collect::<Vec<_>>().try_into().unwrap(), ..settings() }
}

fn with_secrets(secrets: &[&str]) -> Settings {
    let secrets: Vec<String> = secrets.iter().map(|&secret| secret.to_owned()).collect();
    Settings { jwt_secret: secrets.try_into().unwrap(), ..settings() }
}

fn encoded(part: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(part.to_string())
}

/// A token as anybody might make it.
fn made(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> String) -> String {
    let message = format!("{}.{}", encoded(header), encoded(claims));
    let signature = sign(message.as_bytes());
    format!("{message}.{signature}")
}

fn hmac(secret: &[u8]) -> impl FnOnce(&[u8]) -> String {
    install();
    let key = EncodingKey::from_secret(secret);
    move |message| jsonwebtoken::crypto::sign(message, &key, Algorithm::HS256).unwrap()
}

fn hs256(secret: &str, claims: &Value) -> String {
    made(&json!({"alg": "HS256", "typ": "JWT"}), claims, hmac(secret.as_bytes()))
}

fn signed_with(private: &str, header: &Value, claims: &Value) -> String {
    install();
    let key = SigningKey::read(&key_file(private)).unwrap();
    made(header, claims, |message| jsonwebtoken::crypto::sign(message, &key.key, key.algorithm).unwrap())
}

fn install() {
    super::ring::install();
}

fn mina() -> Value {
    json!({"sub": "7", "exp": NOW + 60})
}

fn check(settings: &Settings, token: &str) -> Result<Bearer, TokenFault> {
    Tokens::new(settings).unwrap().check(token, now())
}

#[test]
fn a_token_says_who_asks_and_as_what() {
    let settings = with_secrets(&[NEW]);
    let bearer =
        |roles: Value| check(&settings, &hs256(NEW, &json!({"sub": "7", "exp": NOW + 60, "roles": roles})));
    let user = UserId(7);
    for (roles, is_admin) in [
        (json!(null), false),
        (json!([]), false),
        (json!(["USER"]), false),
        (json!(["admin", "KING"]), false),
        (json!(["USER", "ADMIN", "KING"]), true),
    ] {
        assert_eq!(bearer(roles.clone()), Ok(Bearer { user, is_admin }), "{roles}");
    }
    for roles in [json!("ADMIN"), json!({"ADMIN": true}), json!(["ADMIN", 1]), json!(1)] {
        assert_eq!(bearer(roles.clone()), Err(TokenFault::Claim("roles")), "{roles}");
    }
}

#[test]
fn a_subject_is_an_id_in_digits() {
    let settings = with_secrets(&[NEW]);
    for sub in [
        json!("0"),
        json!("-1"),
        json!("+1"),
        json!("mina"),
        json!(""),
        json!("9223372036854775808"),
        json!(7),
    ] {
        let fault = check(&settings, &hs256(NEW, &json!({"sub": sub, "exp": NOW + 60})));
        assert_eq!(fault, Err(TokenFault::Claim("sub")), "{sub}");
    }
    assert_eq!(check(&settings, &hs256(NEW, &json!({"exp": NOW + 60}))), Err(TokenFault::Missing("sub")));
}

#[test]
fn a_token_is_good_for_its_time_and_half_a_minute_more() {
    let settings = with_secrets(&[NEW]);
    let at = |claims: Value| check(&settings, &hs256(NEW, &claims)).map(|bearer| bearer.user.0);
    for (claims, expected) in [
        (json!({"sub": "7"}), Err(TokenFault::Missing("exp"))),
        (json!({"sub": "7", "exp": null}), Err(TokenFault::Missing("exp"))),
        (json!({"sub": "7", "exp": "1900000000"}), Err(TokenFault::Claim("exp"))),
        (json!({"sub": "7", "exp": [NOW + 60]}), Err(TokenFault::Malformed)),
        (json!({"sub": "7", "exp": -1}), Err(TokenFault::Expired)),
        (json!({"sub": "7", "exp": NOW - 30}), Err(TokenFault::Expired)),
        (json!({"sub": "7", "exp": NOW - 29}), Ok(7)),
        (json!({"sub": "7", "exp": 1e300}), Ok(7)),
        (json!({"sub": "7", "exp": NOW + 60, "nbf": NOW + 30}), Ok(7)),
        (json!({"sub": "7", "exp": NOW + 60, "nbf": NOW as f64 + 30.5}), Err(TokenFault::NotYetValid)),
        (json!({"sub": "7", "exp": NOW + 60, "nbf": "0"}), Err(TokenFault::Claim("nbf"))),
    ] {
        assert_eq!(at(claims.clone()), expected, "{claims}");
    }
}

#[test]
fn a_forged_token_is_refused() {
    let settings = with_secrets(&[NEW]);
    let good = hs256(NEW, &mina());
    assert!(check(&settings, &good).is_ok());
    let parts: Vec<&str> = good.split('.').collect();
    let promoted = encoded(&json!({"sub": "7", "exp": NOW + 60, "roles": ["ADMIN"]}));
    let (header, claims, signature) = (parts[0], parts[1], parts[2]);
    for (token, fault) in [
        (format!("{header}.{promoted}.{signature}"), TokenFault::Signature),
        (format!("{header}.{claims}."), TokenFault::Signature),
        (format!("{header}.{claims}.{}", &signature[..20]), TokenFault::Signature),
        (format!("{header}.{claims}"), TokenFault::Malformed),
        (format!("{header}.{claims}.{signature}.{signature}"), TokenFault::Malformed),
        (good[1..].to_owned(), TokenFault::Malformed),
        ("a.b.c".to_owned(), TokenFault::Malformed),
        (String::new(), TokenFault::Malformed),
        ("..".to_owned(), TokenFault::Malformed),
        (hs256(OLD, &mina()), TokenFault::Signature),
        ("x".repeat(LONGEST + 1), TokenFault::TooLong),
        (hs256(NEW, &json!({"sub": "7", "exp": NOW + 60, "x": "x".repeat(LONGEST)})), TokenFault::TooLong),
        (made(&json!({"alg": "HS256"}), &json!(["7"]), hmac(NEW.as_bytes())), TokenFault::Malformed),
        (
            made(&json!({"alg": "HS256", "crit": ["b64"], "b64": false}), &mina(), hmac(NEW.as_bytes())),
            TokenFault::Malformed,
        ),
    ] {
        assert_eq!(check(&settings, &token), Err(fault), "{token}");
    }
}

#[test]
fn the_algorithm_is_that_of_the_key_and_never_the_tokens() {
    let public = std::fs::read(key_file("rsa.pub.pem")).unwrap();
    let der = DecodingKey::from_rsa_pem(&public).unwrap().try_get_as_bytes().unwrap().to_owned();
    let rsa = with_public("rsa.pub.pem");
    for secret in [public.as_slice(), public.trim_ascii_end(), &der] {
        let confused = made(&json!({"alg": "HS256"}), &mina(), hmac(secret));
        assert_eq!(check(&rsa, &confused), Err(TokenFault::Algorithm));
        // With a secret beside it, HS256 is nothing unusual, but the public key is still none.
        let both = Settings { jwt_secret: with_secrets(&[NEW]).jwt_secret, ..rsa.clone() };
        assert_eq!(check(&both, &confused), Err(TokenFault::Signature));
    }
    for algorithm in ["none", "None", "NONE", "HS1", ""] {
        let unsigned = made(&json!({"alg": algorithm}), &mina(), |_| String::new());
        assert_eq!(check(&rsa, &unsigned), Err(TokenFault::Malformed), "{algorithm}");
    }
    for algorithm in ["RS384", "PS256", "ES256", "HS512"] {
        let token = signed_with("rsa.pem", &json!({"alg": algorithm}), &mina());
        assert_eq!(check(&rsa, &token), Err(TokenFault::Algorithm), "{algorithm}");
    }
    let key_in_header =
        json!({"alg": "RS256", "jwk": {"kty": "oct", "k": "AAAA"}, "jku": "https://evil.example"});
    let forged = made(&key_in_header, &mina(), hmac(NEW.as_bytes()));
    assert_eq!(check(&rsa, &forged), Err(TokenFault::Signature));
}

#[test]
fn rsa_and_ed25519_keys_check_what_was_signed_with_them() {
    for (private, public, algorithm) in
        [("rsa.pem", "rsa.pub.pem", "RS256"), ("ed25519.pem", "ed25519.pub.pem", "EdDSA")]
    {
        let token = signed_with(private, &json!({"alg": algorithm}), &mina());
        assert_eq!(check(&with_public(public), &token).unwrap().user, UserId(7));
        let changed = token.replace(&encoded(&mina()), &encoded(&json!({"sub": "1", "exp": NOW + 60})));
        assert_eq!(check(&with_public(public), &changed), Err(TokenFault::Signature));
        let inline = std::fs::read_to_string(key_file(public)).unwrap().parse().unwrap();
        assert!(check(&Settings { jwt_public_key: inline, ..settings() }, &token).is_ok());
    }
}

#[test]
fn while_keys_change_the_old_ones_are_good_too() {
    let both = with_secrets(&[NEW, OLD]);
    for secret in [NEW, OLD] {
        assert!(check(&both, &hs256(secret, &mina())).is_ok());
    }
    let named = with_public("now=ed25519.pub.pem,next=ed25519-next.pub.pem");
    let token = |private, kid: Value| signed_with(private, &json!({"alg": "EdDSA", "kid": kid}), &mina());
    assert!(check(&named, &token("ed25519.pem", json!("now"))).is_ok());
    assert!(check(&named, &token("ed25519-next.pem", json!("next"))).is_ok());
    assert!(check(&named, &token("ed25519-next.pem", json!(null))).is_ok(), "each is tried");
    assert_eq!(check(&named, &token("ed25519-next.pem", json!("now"))), Err(TokenFault::Signature));
    assert_eq!(check(&named, &token("ed25519.pem", json!("older"))), Err(TokenFault::UnknownKey));
    let unnamed = with_public("ed25519.pub.pem");
    assert!(
        check(&unnamed, &token("ed25519.pem", json!("whatever"))).is_ok(),
        "a key without a name may be any"
    );
}

#[test]
fn a_token_is_for_this_shop_and_from_its_issuer() {
    let strict = Settings {
        jwt_audience: Some("shop".to_owned()),
        jwt_issuer: Some("https://login.example".to_owned()),
        ..with_secrets(&[NEW])
    };
    let claims = |aud: Value, iss: Value| json!({"sub": "7", "exp": NOW + 60, "aud": aud, "iss": iss});
    let at = |settings, aud, iss| check(settings, &hs256(NEW, &claims(aud, iss))).map(drop);
    let issuer = || json!("https://login.example");
    assert_eq!(at(&strict, json!("shop"), issuer()), Ok(()));
    assert_eq!(at(&strict, json!(["other", "shop"]), issuer()), Ok(()));
    assert_eq!(at(&strict, json!("other"), issuer()), Err(TokenFault::Audience));
    assert_eq!(at(&strict, json!(null), issuer()), Err(TokenFault::Missing("aud")));
    assert_eq!(at(&strict, json!("shop"), json!("https://evil.example")), Err(TokenFault::Issuer));
    assert_eq!(at(&strict, json!("shop"), json!(null)), Err(TokenFault::Missing("iss")));
    // RFC 7519 (4.1.3): who is not named as the audience must not take it.
    let lax = with_secrets(&[NEW]);
    assert_eq!(at(&lax, json!("other"), json!("anybody")), Err(TokenFault::Audience));
    assert_eq!(at(&lax, json!(null), json!("anybody")), Ok(()));
}

#[test]
fn a_key_that_is_none_is_refused_by_name() {
    let refused = |settings: &Settings| Tokens::new(settings).err().expect("refused").to_string();
    assert!(refused(&with_public("missing.pem")).contains("missing.pem cannot be read"));
    for (file, reason) in [
        ("rsa.pem", "is no RSA or Ed25519 public key"),
        ("ed25519.pem", "is no RSA or Ed25519 public key"),
        ("ec.pub.pem", "is no RSA or Ed25519 public key"),
        ("README.md", "is no RSA or Ed25519 public key"),
        ("rsa-short.pub.pem", "less than 2048 bits"),
    ] {
        let refused = refused(&with_public(file));
        assert!(refused.contains("`jwt_public_key`") && refused.contains(file), "{refused}");
        assert!(refused.contains(reason), "{refused}");
    }
}

#[test]
fn a_token_that_was_made_is_accepted() {
    let strict = Settings {
        jwt_audience: Some("shop".into()),
        jwt_issuer: Some("me".into()),
        ..with_secrets(&[NEW, OLD])
    };
    let token = NewToken { user: UserId(3), role: Some(ADMIN), lifetime: TimeDelta::hours(1) };
    let made = SigningKey::of(&strict).unwrap().sign(&token, &strict, now()).unwrap();
    let known = Bearer { user: UserId(3), is_admin: true };
    assert_eq!(check(&Settings { jwt_secret: with_secrets(&[NEW]).jwt_secret, ..strict }, &made), Ok(known));
    for (private, public) in [("rsa.pem", "rsa.pub.pem"), ("ed25519.pem", "ed25519.pub.pem")] {
        let settings = with_public(public);
        let key = SigningKey::read(&key_file(private)).unwrap();
        assert_eq!(check(&settings, &key.sign(&token, &settings, now()).unwrap()), Ok(known));
    }
    let nothing = SigningKey::of(&settings()).err().expect("no key").to_string();
    assert!(nothing.contains("`jwt_secret`") && nothing.contains("--key"), "{nothing}");
    for file in ["missing.pem", "rsa.pub.pem", "README.md"] {
        let refused = SigningKey::read(&key_file(file)).err().expect("no key").to_string();
        assert!(refused.contains(file), "{refused}");
    }
}
