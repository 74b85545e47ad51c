use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::journeys::{Credentials, Site};
use crate::load::Connection;

/// What to do when a deployment limits requests.
pub(super) const LIMITED: &str = "the deployment limits requests (429): start it with JANGTEO_RATE_LIMIT=off, or raise \
                                  its JANGTEO_RATE_LIMIT_USER_* and JANGTEO_RATE_LIMIT_ADDRESS_* quotas, for the load";

/// What to do when a deployment does not believe who asks.
pub(super) fn unauthorized(credentials: &Credentials) -> &'static str {
    match credentials {
        Credentials::Believed => {
            "the deployment does not believe X-User-Id headers (401): it wants tokens (auth = jwt). Give its \
             jwt_secret with --token-secret; tokens by private keys cannot be made here"
        }
        Credentials::Signed(_) => {
            "the deployment does not accept our tokens (401): it has another jwt_secret, wants an audience or an \
             issuer, which they have not, or public keys alone"
        }
    }
}

/// Does what has to be done before and after a load, a request after the other.
pub(super) struct Clerk<'a> {
    site: &'a Site,
    credentials: &'a Credentials,
    connection: Connection,
}

#[derive(Deserialize)]
struct Problem {
    error: String,
}

impl<'a> Clerk<'a> {
    pub(super) async fn arrive(site: &'a Site, credentials: &'a Credentials) -> Result<Self> {
        Ok(Self { site, credentials, connection: Connection::open(site.address).await? })
    }

    /// What an answer says, good or not. `user` asks, or a guest.
    pub(super) async fn ask(
        &mut self,
        method: Method,
        path: &str,
        user: Option<i64>,
        body: Option<String>,
    ) -> Result<(StatusCode, Bytes)> {
        let identity = user.map(|user| self.credentials.identity(user, false)).transpose()?;
        let request = self.site.request(method, path, &identity.unwrap_or_default(), body)?;
        // Some proxies end a connection after each answer.
        if !self.connection.is_open() {
            self.connection = Connection::open(self.site.address).await?;
        }
        let (status, body) =
            self.connection.fetch(request).await.with_context(|| format!("no answer from {path}"))?;
        match status {
            StatusCode::UNAUTHORIZED => bail!(unauthorized(self.credentials)),
            StatusCode::TOO_MANY_REQUESTS => bail!(LIMITED),
            _ => Ok((status, body)),
        }
    }

    /// What a good answer says.
    pub(super) async fn get<T: DeserializeOwned>(&mut self, path: &str) -> Result<T> {
        let (status, body) = self.ask(Method::GET, path, None, None).await?;
        if status != StatusCode::OK {
            return Err(unwanted(path, status, &body));
        }
        serde_json::from_slice(&body).with_context(|| format!("what {path} answers is no Jangteo's"))
    }
}

/// An answer that nobody can go on with.
pub(super) fn unwanted(path: &str, status: StatusCode, body: &[u8]) -> anyhow::Error {
    match serde_json::from_slice::<Problem>(body) {
        Ok(Problem { error }) => anyhow!("/api/v1{path} answered {} {error}", status.as_u16()),
        Err(_) => {
            anyhow!("/api/v1{path} answered {}, and not as Jangteo does: is the URL right?", status.as_u16())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_is_no_jangteos_makes_the_url_suspicious() {
        let error = unwanted("/products", StatusCode::NOT_FOUND, b"<html>").to_string();
        assert!(error.contains("404") && error.contains("is the URL right?"), "{error}");
        let error = unwanted("/users", StatusCode::CONFLICT, br#"{"error":"CONFLICT"}"#).to_string();
        assert_eq!(error, "/api/v1/users answered 409 CONFLICT");
    }
}
