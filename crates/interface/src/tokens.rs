//! Tokens that say who asks: JSON Web Tokens (RFC 7519), checked and, for those who have the key, made.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use jangteo_domain::UserId;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, TokenData, Validation};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::{JwtPublicKey, Pem, Settings};
use crate::http::parse_id;

mod ring;

/// The role of administrators. Everybody else is a customer.
pub(crate) const ADMIN: &str = "ADMIN";

/// The longest token that is looked at, in bytes: ten times what it needs.
const LONGEST: usize = 8192;

/// The shortest DER of an RSA public key of 2048 bits, in bytes.
const SHORTEST_RSA: usize = 268;

/// Whom a token stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bearer {
    pub(crate) user: UserId,
    pub(crate) is_admin: bool,
}

/// Why a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenFault {
    /// Something else than `Bearer` and a token.
    NotBearer,
    TooLong,
    /// No JWT, or one that is signed in a way that nobody should.
    Malformed,
    /// Not an algorithm that there is a key for.
    Algorithm,
    UnknownKey,
    Signature,
    Expired,
    NotYetValid,
    /// A claim is not there.
    Missing(&'static str),
    /// A claim is not what it must be.
    Claim(&'static str),
    Audience,
    Issuer,
}

/// Why the keys of the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    #[error("setting `jwt_public_key`: the file {} cannot be read", .0.display())]
    File(PathBuf, #[source] io::Error),
    #[error(
        "setting `jwt_public_key`: {0} is no RSA or Ed25519 public key in PEM (-----BEGIN PUBLIC KEY-----)"
    )]
    NotPublic(String),
    #[error("setting `jwt_public_key`: {0} is an RSA key of less than 2048 bits")]
    Short(String),
}

/// Everything that tokens are checked with.
pub(crate) struct Tokens {
    keys: Vec<Key>,
    /// By how much clocks may differ, in seconds.
    leeway: f64,
}

/// The algorithm belongs to the key: what a token says of it must be the same, and chooses nothing.
struct Key {
    kid: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
    validation: Validation,
}

/// What a token claims, apart from `aud` and `iss`. Anything may stand there.
#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    sub: Value,
    #[serde(default)]
    exp: Value,
    #[serde(default)]
    nbf: Value,
    #[serde(default)]
    roles: Value,
}

impl Tokens {
    /// Decodes the keys of the settings.
    pub(crate) fn new(settings: &Settings) -> Result<Self, KeyError> {
        ring::install();
        let secrets = settings.jwt_secret.iter().map(|secret| {
            let key = DecodingKey::from_secret(secret.as_bytes());
            Ok(Key::new(None, Algorithm::HS256, key, settings))
        });
        let public = settings.jwt_public_key.iter().map(|key| public_key(key, settings));
        let keys = secrets.chain(public).collect::<Result<_, _>>()?;
        #[expect(clippy::cast_precision_loss, reason = "some minutes")]
        Ok(Self { keys, leeway: settings.jwt_leeway_s as f64 })
    }

    /// Whom the token stands for. Nothing of it is believed before its signature is found to be right.
    pub(crate) fn check(&self, token: &str, now: DateTime<Utc>) -> Result<Bearer, TokenFault> {
        if token.len() > LONGEST {
            return Err(TokenFault::TooLong);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenFault::Malformed)?;
        // What must be understood (RFC 7515, 4.1.11) and is not.
        if header.crit.is_some() {
            return Err(TokenFault::Malformed);
        }
        let claims = self.signed_claims(token, &header)?;
        self.check_times(&claims, now)?;
        claims.bearer()
    }

    /// What one of the keys vouches for. A key that has no name may be any.
    fn signed_claims(&self, token: &str, header: &Header) -> Result<Claims, TokenFault> {
        let named = |key: &&Key| key.kid.is_none() || header.kid.is_none() || key.kid == header.kid;
        let mut fault = TokenFault::UnknownKey;
        for key in self.keys.iter().filter(named) {
            if key.algorithm != header.alg {
                fault = if fault == TokenFault::UnknownKey { TokenFault::Algorithm } else { fault };
                continue;
            }
            match jsonwebtoken::decode(token, &key.key, &key.validation) {
                Ok(TokenData { claims, .. }) => return Ok(claims),
                Err(error) if *error.kind() == ErrorKind::InvalidSignature => fault = TokenFault::Signature,
                Err(error) => return Err(fault_of(error.kind())),
            }
        }
        Err(fault)
    }

    fn check_times(&self, claims: &Claims, now: DateTime<Utc>) -> Result<(), TokenFault> {
        let now = seconds(now);
        let expires = claims.exp.as_f64().ok_or(match claims.exp {
            Value::Null => TokenFault::Missing("exp"),
            _ => TokenFault::Claim("exp"),
        })?;
        let begins = match &claims.nbf {
            Value::Null => None,
            moment => Some(moment.as_f64().ok_or(TokenFault::Claim("nbf"))?),
        };
        if now >= expires + self.leeway {
            return Err(TokenFault::Expired);
        }
        match begins.is_some_and(|begins| begins > now + self.leeway) {
            true => Err(TokenFault::NotYetValid),
            false => Ok(()),
        }
    }
}

fn seconds(at: DateTime<Utc>) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "milliseconds since 1970 are exact for longer than it matters"
    )]
    let milliseconds = at.timestamp_millis() as f64;
    milliseconds / 1000.0
}

impl Key {
    fn new(kid: Option<String>, algorithm: Algorithm, key: DecodingKey, settings: &Settings) -> Self {
        let mut validation = Validation::new(algorithm);
        // Times are checked here, by the clock of the shop.
        validation.validate_exp = false;
        validation.aud = settings.jwt_audience.clone().map(|audience| HashSet::from([audience]));
        validation.iss = settings.jwt_issuer.clone().map(|issuer| HashSet::from([issuer]));
        let required = [("aud", settings.jwt_audience.is_some()), ("iss", settings.jwt_issuer.is_some())];
        let required = required.into_iter().filter(|(_, is_required)| *is_required);
        validation.required_spec_claims = required.map(|(claim, _)| claim.to_owned()).collect();
        Self { kid, algorithm, key, validation }
    }
}

impl Claims {
    fn bearer(&self) -> Result<Bearer, TokenFault> {
        let user = match &self.sub {
            Value::Null => return Err(TokenFault::Missing("sub")),
            Value::String(id) => parse_id(id).ok_or(TokenFault::Claim("sub"))?,
            _ => return Err(TokenFault::Claim("sub")),
        };
        let roles = match &self.roles {
            Value::Null => &[][..],
            Value::Array(roles) if roles.iter().all(Value::is_string) => roles,
            _ => return Err(TokenFault::Claim("roles")),
        };
        Ok(Bearer { user: UserId(user), is_admin: roles.iter().any(|role| role == ADMIN) })
    }
}

/// What the library has against a token whose signature is right, or cannot be looked at.
fn fault_of(kind: &ErrorKind) -> TokenFault {
    match kind {
        ErrorKind::InvalidAudience => TokenFault::Audience,
        ErrorKind::InvalidIssuer => TokenFault::Issuer,
        ErrorKind::MissingRequiredClaim(claim) if claim == "aud" => TokenFault::Missing("aud"),
        ErrorKind::MissingRequiredClaim(claim) if claim == "iss" => TokenFault::Missing("iss"),
        ErrorKind::InvalidAlgorithm => TokenFault::Algorithm,
        _ => TokenFault::Malformed,
    }
}

fn public_key(key: &JwtPublicKey, settings: &Settings) -> Result<Key, KeyError> {
    let (pem, place) = match &key.pem {
        Pem::Inline(pem) => (pem.clone(), "a key that stands there".to_owned()),
        Pem::File(file) => {
            let read = fs::read_to_string(file).map_err(|error| KeyError::File(file.clone(), error))?;
            (read, format!("the file {}", file.display()))
        }
    };
    // A private key would be taken for a public one, and does not belong here.
    if !pem.contains("PUBLIC KEY-----") {
        return Err(KeyError::NotPublic(place));
    }
    let rsa = DecodingKey::from_rsa_pem(pem.as_bytes()).map(|key| (Algorithm::RS256, key));
    let decoded =
        rsa.or_else(|_| DecodingKey::from_ed_pem(pem.as_bytes()).map(|key| (Algorithm::EdDSA, key)));
    let Ok((algorithm, decoded)) = decoded else { return Err(KeyError::NotPublic(place)) };
    let length = decoded.try_get_as_bytes().map_or(0, <[u8]>::len);
    match algorithm == Algorithm::RS256 && length < SHORTEST_RSA {
        true => Err(KeyError::Short(place)),
        false => Ok(Key::new(key.kid.clone(), algorithm, decoded, settings)),
    }
}

/// What tokens are signed with.
pub(crate) struct SigningKey {
    algorithm: Algorithm,
    key: EncodingKey,
}

/// Why there is no key to sign with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SigningError {
    #[error(
        "there is nothing to sign a token with: set `jwt_secret` and auth = jwt, or give a private key with --key FILE"
    )]
    NoKey,
    #[error("the file {} cannot be read", .0.display())]
    File(PathBuf, #[source] io::Error),
    #[error("the file {} is no RSA or Ed25519 private key in PEM (-----BEGIN PRIVATE KEY-----)", .0.display())]
    NotPrivate(PathBuf),
    #[error("the key cannot be used")]
    Unusable(#[source] jsonwebtoken::errors::Error),
}

/// A token that is to be.
pub(crate) struct NewToken<'a> {
    pub(crate) user: UserId,
    pub(crate) role: Option<&'a str>,
    pub(crate) lifetime: TimeDelta,
}

#[derive(Serialize)]
struct NewClaims<'a> {
    sub: String,
    roles: Vec<&'a str>,
    iat: i64,
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a str>,
}

impl SigningKey {
    /// The first secret: while secrets change, it is the new one.
    pub(crate) fn of(settings: &Settings) -> Result<Self, SigningError> {
        let secret = settings.jwt_secret.iter().next().ok_or(SigningError::NoKey)?;
        Ok(Self { algorithm: Algorithm::HS256, key: EncodingKey::from_secret(secret.as_bytes()) })
    }

    /// A private key.
    pub(crate) fn read(file: &Path) -> Result<Self, SigningError> {
        let pem = fs::read(file).map_err(|error| SigningError::File(file.to_owned(), error))?;
        // As the other way round.
        if !String::from_utf8_lossy(&pem).contains("PRIVATE KEY-----") {
            return Err(SigningError::NotPrivate(file.to_owned()));
        }
        let rsa = EncodingKey::from_rsa_pem(&pem).map(|key| (Algorithm::RS256, key));
        let key = rsa.or_else(|_| EncodingKey::from_ed_pem(&pem).map(|key| (Algorithm::EdDSA, key)));
        let (algorithm, key) = key.map_err(|_| SigningError::NotPrivate(file.to_owned()))?;
        Ok(Self { algorithm, key })
    }

    /// A token that the settings accept, if they know the key.
    pub(crate) fn sign(
        &self,
        token: &NewToken<'_>,
        settings: &Settings,
        now: DateTime<Utc>,
    ) -> Result<String, SigningError> {
        ring::install();
        let claims = NewClaims {
            sub: token.user.to_string(),
            roles: token.role.into_iter().collect(),
            iat: now.timestamp(),
            exp: (now + token.lifetime).timestamp(),
            aud: settings.jwt_audience.as_deref(),
            iss: settings.jwt_issuer.as_deref(),
        };
        let header = Header::new(self.algorithm);
        jsonwebtoken::encode(&header, &claims, &self.key).map_err(SigningError::Unusable)
    }
}

#[cfg(test)]
mod tests;
