//! Idempotency keys: a retry gets the answer that the first attempt got.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use jangteo_domain::{RepositoryError, UserId};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::snapshot::to_json;

/// A key that a client chose for one request: 1 to 255 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdempotencyKey(String);

/// A text that cannot be an [`IdempotencyKey`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an idempotency key has 1 to 255 visible ASCII characters")]
pub struct IdempotencyKeyError;

impl IdempotencyKey {
    /// The key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for IdempotencyKey {
    type Err = IdempotencyKeyError;

    /// Accepts the bare (`abc`) and the quoted (`"abc"`) form of the header; both are the same key.
    fn from_str(text: &str) -> Result<Self, IdempotencyKeyError> {
        let bare = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
        match (1..=255).contains(&bare.len()) && bare.bytes().all(|byte| byte.is_ascii_graphic()) {
            true => Ok(Self(bare.to_owned())),
            false => Err(IdempotencyKeyError),
        }
    }
}

/// A key within its scope: the same text from another customer, or for another operation, is another key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScopedKey {
    /// Who asked; `None` for somebody who is not a customer yet.
    pub user: Option<UserId>,
    /// What was asked for.
    pub operation: &'static str,
    /// The client's key.
    pub key: IdempotencyKey,
}

/// A hash over everything that a request asks for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fingerprint(pub String);

impl Fingerprint {
    /// Hashes what a command asks for, however it was spelled on the wire. Its JSON must stay what it is: a retry may
    /// meet a newer version.
    #[must_use]
    pub fn of(canonical: &impl Serialize) -> Self {
        let hash = Sha256::digest(to_json(canonical));
        Self(hash.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyRecord {
    /// Which request.
    pub fingerprint: Fingerprint,
    /// Its outcome, as the operation writes it down.
    pub outcome: String,
    /// When it was decided.
    pub at: DateTime<Utc>,
}

/// Outcomes by key, as stored.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait IdempotencyRepository: Send {
    /// The records of these keys; unknown keys are omitted. MUST see what was committed before the customers' wallets
    /// were locked.
    async fn find_many(
        &mut self,
        keys: &BTreeSet<ScopedKey>,
    ) -> Result<BTreeMap<ScopedKey, IdempotencyRecord>, RepositoryError>;

    /// Stores outcomes. MUST fail with [`RepositoryError::Conflict`] when a key has one already.
    async fn insert_many(
        &mut self,
        records: &[(ScopedKey, IdempotencyRecord)],
    ) -> Result<(), RepositoryError>;

    /// Forgets the oldest outcomes from before a moment, at most so many, and says how many those were.
    async fn purge(&mut self, before: DateTime<Utc>, at_most: usize) -> Result<usize, RepositoryError>;
}

/// A request that was decided under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecidedRequest {
    /// What was asked for: the scope of the key.
    pub operation: String,
    /// Its outcome, as the operation writes it down.
    pub outcome: String,
    /// When it was decided.
    pub at: DateTime<Utc>,
}

/// Outcomes, for those who lost them.
#[async_trait]
pub trait IdempotencyQueries: Send + Sync {
    /// What was decided under a key of this caller, in the order of the operations' names.
    async fn decided(
        &self,
        caller: UserId,
        key: IdempotencyKey,
    ) -> Result<Vec<DecidedRequest>, RepositoryError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quoted_and_the_bare_form_are_one_key() {
        assert_eq!("\"abc-1\"".parse::<IdempotencyKey>(), "abc-1".parse());
    }

    #[test]
    fn a_key_has_1_to_255_visible_characters() {
        for text in ["", "\"\"", "a b", "키", "tab\t", &"x".repeat(256)] {
            assert_eq!(text.parse::<IdempotencyKey>(), Err(IdempotencyKeyError), "{text}");
        }
        assert!("x".repeat(255).parse::<IdempotencyKey>().is_ok());
    }

    /// Records of earlier versions are compared with it for a day after an upgrade.
    #[test]
    fn the_fingerprint_of_an_order_stays_what_it_is() {
        use jangteo_domain::{OrderRequest, ProductId, Quantity};

        use crate::operation::Operation;
        use crate::place_orders::PlaceOrders;
        let lines = [(ProductId(3), Quantity::new(2).unwrap()), (ProductId(1), Quantity::new(1).unwrap())];
        let request = OrderRequest::new(UserId(1), lines, Some("tenth".parse().unwrap())).unwrap();
        // The SHA-256 of [[[3,2],[1,1]],"TENTH"].
        assert_eq!(
            PlaceOrders::fingerprint(&request).0,
            "3876f46ec64e257d1d06c308fb47ed4adbfe08f9021a0b12f798c70608a7cba9"
        );
    }
}
