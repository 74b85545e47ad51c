//! What requests are signed with, after the conventions of Standard Webhooks.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// A secret that the platform knows, too. Not shown.
#[derive(Clone)]
pub struct HttpSecret {
    /// Keyed: what is left of signing is the message.
    mac: Hmac<Sha256>,
    key: Vec<u8>,
}

/// A text that is no [`HttpSecret`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be whsec_ and the key in base64, as Standard Webhooks has it, or else a key as it is, of at least {SHORTEST} bytes"
)]
pub struct HttpSecretError;

/// Shorter ones can be guessed from what they have signed.
const SHORTEST: usize = 16;

impl FromStr for HttpSecret {
    type Err = HttpSecretError;

    fn from_str(text: &str) -> Result<Self, HttpSecretError> {
        let key = match text.strip_prefix("whsec_") {
            Some(encoded) => BASE64_STANDARD.decode(encoded).map_err(|_| HttpSecretError)?,
            None => text.as_bytes().to_owned(),
        };
        let mac = Hmac::new_from_slice(&key).map_err(|_| HttpSecretError)?;
        (key.len() >= SHORTEST).then_some(Self { mac, key }).ok_or(HttpSecretError)
    }
}

impl HttpSecret {
    /// The value of the `webhook-signature` header for a message.
    #[must_use]
    pub fn signature(&self, id: &str, timestamp: &str, body: &[u8]) -> String {
        let mut mac = self.mac.clone();
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()))
    }
}

impl PartialEq for HttpSecret {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for HttpSecret {}

impl fmt::Debug for HttpSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpSecret(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example in the specification of Standard Webhooks.
    #[test]
    fn a_message_is_signed_as_the_specification_has_it() {
        let secret: HttpSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap();
        let body = br#"{"test": 2432232314}"#;
        assert_eq!(
            secret.signature("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn a_key_can_be_given_as_it_is() {
        let plain: HttpSecret = "0123456789abcdef".parse().unwrap();
        let encoded: HttpSecret = "whsec_MDEyMzQ1Njc4OWFiY2RlZg==".parse().unwrap();
        assert_eq!(plain, encoded);
    }

    #[test]
    fn a_key_that_is_short_or_not_base64_is_refused_and_none_is_shown() {
        for text in ["", "secret", "whsec_", "whsec_c2VjcmV0", "whsec_not base64 at all, not at all"] {
            assert_eq!(text.parse::<HttpSecret>(), Err(HttpSecretError), "{text}");
        }
        let secret: HttpSecret = "0123456789abcdef".parse().unwrap();
        assert_eq!(format!("{secret:?}"), "HttpSecret(***)");
    }
}
