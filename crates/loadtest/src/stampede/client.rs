use std::net::SocketAddr;

use anyhow::Result;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::HOST;
use hyper::header::HeaderValue;
use hyper::{Method, Request, StatusCode, Uri};

use super::{Attempt, Claimant, Fate};
use crate::load::Connection;
use crate::measure::Answer;

/// A server to claim from.
#[derive(Clone, Debug)]
pub(crate) struct Shop {
    /// Who answers.
    pub(crate) server: SocketAddr,
    /// Whether each claim has an `Idempotency-Key`.
    pub(crate) keyed: bool,
}

/// Claims over HTTP.
pub(crate) struct Client {
    shop: Shop,
    host: HeaderValue,
    connection: Connection,
}

impl Claimant for Client {
    type Means = Shop;

    async fn arrive(shop: &Shop) -> Result<Self> {
        let host = shop.server.to_string().try_into()?;
        Ok(Self { shop: shop.clone(), host, connection: Connection::open(shop.server).await? })
    }

    async fn claim(&mut self, attempt: Attempt) -> Result<Fate> {
        let request = self.request(attempt)?;
        Ok(match self.connection.ask(request).await {
            Ok(StatusCode::OK) => Fate::Won,
            Ok(StatusCode::CONFLICT) => Fate::Refused,
            Ok(status) => Fate::Failed(Answer::Status(status.as_u16())),
            Err(_) => {
                self.connection = Connection::open(self.shop.server).await?;
                Fate::Failed(Answer::Lost)
            }
        })
    }
}

impl Client {
    fn request(&self, attempt: Attempt) -> Result<Request<Full<Bytes>>> {
        let Attempt { code, user, number } = attempt;
        let uri: Uri = format!("/api/v1/coupons/{code}/claim").try_into()?;
        let mut request = Request::builder().method(Method::POST).uri(uri);
        request = request.header(HOST, self.host.clone()).header("x-user-id", HeaderValue::from(user));
        if self.shop.keyed {
            request = request.header("idempotency-key", format!("claim-{code}-{number}"));
        }
        Ok(request.body(Full::default())?)
    }
}
