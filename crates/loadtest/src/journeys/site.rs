use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use hyper::{Method, Request, Uri};

use crate::load::JSON;

/// Where a deployment is, as its URL says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    host: String,
    port: u16,
    /// What stands before `/api`, without a slash at its end.
    base: String,
}

/// A deployment that can be connected to.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    /// Who answers.
    pub(crate) address: SocketAddr,
    /// What it is called.
    pub(crate) host: HeaderValue,
    /// What stands before `/api`.
    pub(crate) base: String,
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let uri: Uri = text.parse().map_err(|_| format!("{text} is no URL such as http://127.0.0.1:8080"))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => {
                return Err(
                    "https is not supported, since it would measure the encryption of this program too: \
                            name the server behind what ends TLS, by http"
                        .to_owned(),
                );
            }
            Some(_) | None => return Err(format!("a URL begins with http://, as in http://{text}")),
        }
        if uri.query().is_some() {
            return Err("name the root of the deployment, without a query".to_owned());
        }
        let host = uri.host().filter(|host| !host.is_empty()).ok_or("the URL names no host")?;
        let base = uri.path().trim_end_matches('/');
        if base.contains("/api") {
            return Err("name the root of the deployment, without /api".to_owned());
        }
        Ok(Self { host: host.to_owned(), port: uri.port_u16().unwrap_or(80), base: base.to_owned() })
    }
}

impl Place {
    /// Looks up its address.
    pub(crate) async fn resolve(&self) -> Result<Site> {
        let name = format!("{}:{}", self.host, self.port);
        let addresses = tokio::net::lookup_host(&name).await;
        let address = addresses.ok().and_then(|mut addresses| addresses.next());
        let address = address.with_context(|| format!("nobody knows a host {}", self.host))?;
        Ok(Site { address, host: name.try_into()?, base: self.base.clone() })
    }
}

impl Site {
    /// A request to its API.
    pub(crate) fn request(
        &self,
        method: Method,
        path: &str,
        identity: &[(HeaderName, HeaderValue)],
        body: Option<String>,
    ) -> Result<Request<Full<Bytes>>> {
        let uri = format!("{}/api/v1{path}", self.base);
        let mut request = Request::builder().method(method).uri(uri).header(HOST, self.host.clone());
        for (name, value) in identity {
            request = request.header(name, value);
        }
        if body.is_some() {
            request = request.header(CONTENT_TYPE, JSON);
        }
        Ok(request.body(Full::new(body.unwrap_or_default().into()))?)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}:{}{}", self.host, self.port, self.base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_from_a_url() {
        for (url, place) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://localhost:8080/", "http://localhost:8080"),
            ("http://shop.example", "http://shop.example:80"),
            ("http://shop.example/market/", "http://shop.example:80/market"),
            ("http://[::1]:8080", "http://[::1]:8080"),
        ] {
            assert_eq!(url.parse::<Place>().unwrap().to_string(), place);
        }
    }

    #[test]
    fn whoever_names_something_else_is_told_what_to_name() {
        for (url, hint) in [
            ("127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("localhost", "http://localhost"),
            ("https://shop.example", "not supported"),
            ("ftp://shop.example", "begins with http://"),
            ("http://127.0.0.1:8080/api/v1", "without /api"),
            ("http://127.0.0.1:8080/?a=b", "without a query"),
            ("http://", "no URL"),
            ("", "no URL"),
        ] {
            let error = url.parse::<Place>().unwrap_err();
            assert!(error.contains(hint), "{url}: {error}");
        }
    }

    #[tokio::test]
    async fn a_place_is_resolved_to_an_address() {
        for url in ["http://127.0.0.1:8080", "http://[::1]:8080/market"] {
            let place: Place = url.parse().unwrap();
            let site = place.resolve().await.unwrap();
            assert_eq!(site.address.port(), 8080);
            assert_eq!(site.base, place.base);
        }
    }
}
