use reqwest::Client;
use reqwest::redirect::Policy;

/// A client that takes answers as they are: it follows no redirect.
///
/// # Panics
///
/// When the system has no certificates to trust.
pub fn http_client() -> Client {
    // Others in the process may have chosen already, and the same.
    drop(rustls::crypto::ring::default_provider().install_default());
    Client::builder().redirect(Policy::none()).build().expect("a client can be made")
}
