//! Signatures of requests, as the Standard Webhooks specification has them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// How far the sender's clock may be off; an older request may be a recorded one.
const TOLERANCE: TimeDelta = TimeDelta::minutes(5);

/// What a sender and the platform know, and nobody else.
#[derive(Clone)]
pub(super) struct Secret(Vec<u8>);

/// What a request says of itself.
pub(super) struct Signed<'a> {
    pub(super) id: &'a str,
    pub(super) timestamp: &'a str,
    /// `v1,BASE64`, or several of them with spaces in between.
    pub(super) signature: &'a str,
    pub(super) body: &'a [u8],
}

/// Why a request is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotBelieved {
    #[error("`webhook-timestamp` is no number of seconds since 1970")]
    NoTimestamp,
    #[error("`webhook-timestamp` is more than five minutes off")]
    OtherTime,
    #[error("`webhook-signature` is not that of the secret")]
    OtherSignature,
}

impl Secret {
    /// A text as it is, or `whsec_` and the secret in Base64.
    pub(super) fn new(text: &str) -> anyhow::Result<Self> {
        let secret = match text.strip_prefix("whsec_") {
            Some(encoded) => {
                STANDARD.decode(encoded).map_err(|_| anyhow::anyhow!("what follows `whsec_` is no Base64"))?
            }
            None => text.as_bytes().to_vec(),
        };
        anyhow::ensure!(!secret.is_empty(), "the secret is empty");
        Ok(Self(secret))
    }

    pub(super) fn check(&self, signed: &Signed, now: DateTime<Utc>) -> Result<(), NotBelieved> {
        let timestamp =
            signed.timestamp.parse().ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
        if (now - timestamp.ok_or(NotBelieved::NoTimestamp)?).abs() > TOLERANCE {
            return Err(NotBelieved::OtherTime);
        }
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("a key may have any length");
        for part in [signed.id.as_bytes(), b".", signed.timestamp.as_bytes(), b".", signed.body] {
            mac.update(part);
        }
        let is_right = |signature: &str| {
            let signature = signature.strip_prefix("v1,").and_then(|encoded| STANDARD.decode(encoded).ok());
            signature.is_some_and(|signature| mac.clone().verify_slice(&signature).is_ok())
        };
        let right = signed.signature.split(' ').any(is_right);
        right.then_some(()).ok_or(NotBelieved::OtherSignature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with OpenSSL: `openssl dgst -sha256 -hmac 'a secret' -binary | base64`.
    const SIGNATURE: &str = "v1,0cw6WA+Oerdfd27AgHz/C56Vi+dVzUTXXVIavTkHIv0=";

    fn check(change: impl FnOnce(&mut Signed<'_>, &mut DateTime<Utc>)) -> Result<(), NotBelieved> {
        let mut now = DateTime::from_timestamp(1_762_691_696, 0).unwrap();
        let mut signed =
            Signed { id: "order-1-1", timestamp: "1762691696", signature: SIGNATURE, body: b"{\"a\":1}" };
        change(&mut signed, &mut now);
        Secret::new("a secret").unwrap().check(&signed, now)
    }

    #[test]
    fn what_is_signed_with_the_secret_is_believed() {
        assert_eq!(check(|_, _| ()), Ok(()));
        let several = format!("v1a,AAAA v1,AAAA {SIGNATURE}");
        assert_eq!(check(|signed, _| signed.signature = Box::leak(several.into())), Ok(()));
    }

    #[test]
    fn whatever_is_signed_cannot_be_changed() {
        let refused = Err(NotBelieved::OtherSignature);
        assert_eq!(check(|signed, _| signed.id = "order-1-2"), refused);
        assert_eq!(check(|signed, _| signed.body = b"{\"a\":2}"), refused);
        assert_eq!(check(|signed, _| signed.timestamp = "1762691697"), refused);
        assert_eq!(check(|signed, _| signed.signature = ""), refused);
        assert_eq!(check(|signed, _| signed.signature = "v1,!"), refused);
        assert_eq!(check(|signed, _| signed.timestamp = "today"), Err(NotBelieved::NoTimestamp));
    }

    #[test]
    fn a_request_is_believed_for_five_minutes() {
        let after = |seconds| check(|_, now| *now += TimeDelta::seconds(seconds));
        assert_eq!((after(300), after(-300)), (Ok(()), Ok(())));
        assert_eq!((after(301), after(-301)), (Err(NotBelieved::OtherTime), Err(NotBelieved::OtherTime)));
    }

    #[test]
    fn a_secret_may_be_in_base64() {
        assert_eq!(Secret::new("whsec_YSBzZWNyZXQ=").unwrap().0, Secret::new("a secret").unwrap().0);
        assert!(Secret::new("whsec_!").is_err());
        assert!(Secret::new("").is_err());
    }
}
