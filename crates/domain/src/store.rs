//! Stores: the sellers of products.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::{RepositoryError, StoreId};

/// The seller of products.
///
/// One that has products is not deleted. So whoever puts a product into a store, a new one or one of another store, MUST
/// lock the store first, by [`StoreRepository::lock_many`], and find it there and not deleted: a deletion under way then
/// comes before the product or after it. Stores are locked before products.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// Identity.
    pub id: StoreId,
    /// Its name, unique among all there ever were.
    pub name: StoreName,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
    /// When it was deleted.
    pub deleted_at: Option<DateTime<Utc>>,
    /// Counts its changes, from 1.
    pub version: i32,
}

/// A store's name: 1 to [`StoreName::LONGEST`] characters, without surrounding white space and control characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreName(String);

/// A text that cannot be a [`StoreName`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a store's name has 1 to {} characters and no line breaks", StoreName::LONGEST)]
pub struct StoreNameError;

impl StoreName {
    /// The most characters.
    pub const LONGEST: usize = 100;

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for StoreName {
    type Err = StoreNameError;

    fn from_str(text: &str) -> Result<Self, StoreNameError> {
        let text = text.trim();
        let fits = (1..=Self::LONGEST).contains(&text.chars().count());
        match fits && !text.chars().any(char::is_control) {
            true => Ok(Self(text.to_owned())),
            false => Err(StoreNameError),
        }
    }
}

impl fmt::Display for StoreName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The store was deleted: nothing happens to it any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the store was deleted")]
pub struct StoreDeleted;

impl Store {
    /// A new one.
    #[must_use]
    pub fn new(id: StoreId, name: StoreName, now: DateTime<Utc>) -> Self {
        Self { id, name, created_at: now, updated_at: now, deleted_at: None, version: 1 }
    }

    /// Whether it can still be changed, and sell.
    ///
    /// # Errors
    /// [`StoreDeleted`] when it cannot.
    pub fn check_there(&self) -> Result<(), StoreDeleted> {
        match self.deleted_at {
            None => Ok(()),
            Some(_) => Err(StoreDeleted),
        }
    }

    /// The store under another name; the same under the one it has.
    #[must_use]
    pub fn renamed(self, name: StoreName, now: DateTime<Utc>) -> Self {
        match self.name == name {
            true => self,
            false => Self { name, updated_at: now, version: self.version + 1, ..self },
        }
    }

    /// The store once it is deleted. Its name stays its own.
    #[must_use]
    pub fn deleted(self, now: DateTime<Utc>) -> Self {
        Self { deleted_at: Some(now), updated_at: now, version: self.version + 1, ..self }
    }
}

/// Stores as stored.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait StoreRepository: Send {
    /// These stores, deleted ones too, locked until the unit of work ends.
    ///
    /// MUST lock rows in ascending id order; absent stores are omitted.
    async fn lock_many(
        &mut self,
        stores: &BTreeSet<StoreId>,
    ) -> Result<BTreeMap<StoreId, Store>, RepositoryError>;

    /// Whose these names are. MUST count deleted stores too; names that nobody has are omitted.
    async fn owners(
        &mut self,
        names: &BTreeSet<StoreName>,
    ) -> Result<BTreeMap<StoreName, StoreId>, RepositoryError>;

    /// Those of these stores that have products which are not deleted. MUST see what was committed before the stores were
    /// locked.
    async fn with_products(
        &mut self,
        stores: &BTreeSet<StoreId>,
    ) -> Result<BTreeSet<StoreId>, RepositoryError>;

    /// Stores a new one. MUST fail with [`RepositoryError::Conflict`] when its name is taken.
    async fn insert(&mut self, store: &Store) -> Result<(), RepositoryError>;

    /// Stores a changed one. MUST fail with [`RepositoryError::Conflict`] when its name is taken, or when what is stored is
    /// not the version before.
    async fn update(&mut self, store: &Store) -> Result<(), RepositoryError>;
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn named(text: &str) -> StoreName {
        text.parse().unwrap()
    }

    #[test]
    fn a_name_is_a_line_of_up_to_100_characters() {
        assert_eq!(named("  장터 \u{3000}").as_str(), "장터");
        assert!("가".repeat(100).parse::<StoreName>().is_ok());
        for text in ["", "   ", "two\nlines", "a\u{0}b", "tab\there", &"가".repeat(101)] {
            assert_eq!(text.parse::<StoreName>(), Err(StoreNameError), "{text:?}");
        }
    }

    #[test]
    fn every_change_is_a_new_version_and_what_changes_nothing_is_none() {
        let (begin, later) = (DateTime::UNIX_EPOCH, DateTime::UNIX_EPOCH + TimeDelta::hours(1));
        let store = Store::new(StoreId(1), named("A"), begin);
        assert_eq!(store.clone().renamed(named("A"), later), store);
        let renamed = store.clone().renamed(named("B"), later);
        assert_eq!((renamed.version, renamed.created_at, renamed.updated_at), (2, begin, later));
        let deleted = renamed.deleted(later);
        assert_eq!((deleted.version, deleted.deleted_at), (3, Some(later)));
        assert_eq!((store.check_there(), deleted.check_there()), (Ok(()), Err(StoreDeleted)));
    }
}
