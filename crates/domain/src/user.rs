//! Customers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::order::OrderStatus;
use crate::{Money, RepositoryError, UserId};

/// A customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Identity.
    pub id: UserId,
    /// Name and ways to reach the customer.
    pub profile: Profile,
    /// When the customer registered.
    pub created_at: DateTime<Utc>,
}

/// What a customer tells about themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Name.
    pub name: UserName,
    /// E-mail address, unique in the shop.
    pub email: Email,
    /// Telephone number, if given.
    pub phone: Option<Phone>,
}

/// Why a text is not acceptable for a field of a [`Profile`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// Empty, or nothing but white space.
    #[error("must not be empty")]
    Empty,
    /// Longer than the field holds, in characters.
    #[error("longer than {0} characters")]
    TooLong(usize),
    /// Not of the field's form, or with control characters in it.
    #[error("not of the expected form")]
    Malformed,
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

text!(
    /// A customer's name: 1 to 100 characters, without surrounding white space.
    UserName
);
text!(
    /// An e-mail address, in lower case, of at most 254 characters.
    Email
);
text!(
    /// A telephone number: 3 to 32 digits, spaces, dots, hyphens or parentheses, perhaps with a leading plus.
    Phone
);

fn trimmed(text: &str, longest: usize) -> Result<&str, ProfileError> {
    let text = text.trim();
    match text.chars().count() {
        0 => Err(ProfileError::Empty),
        length if length > longest => Err(ProfileError::TooLong(longest)),
        _ if text.chars().any(char::is_control) => Err(ProfileError::Malformed),
        _ => Ok(text),
    }
}

impl FromStr for UserName {
    type Err = ProfileError;

    fn from_str(text: &str) -> Result<Self, ProfileError> {
        trimmed(text, 100).map(|name| Self(name.to_owned()))
    }
}

impl FromStr for Email {
    type Err = ProfileError;

    /// Checks the shape `local@domain.tld` only: whether an address exists is known by writing to it.
    fn from_str(text: &str) -> Result<Self, ProfileError> {
        // Some letters have a longer form in lower case.
        let lower = trimmed(text, 254)?.to_lowercase();
        let text = trimmed(&lower, 254)?;
        let well_formed = text.split_once('@').is_some_and(|(local, domain)| {
            let labels: Vec<&str> = domain.split('.').collect();
            !local.is_empty()
                && !text.contains(char::is_whitespace)
                && !domain.contains('@')
                && labels.len() > 1
                && labels.iter().all(|label| !label.is_empty())
        });
        if well_formed { Ok(Self(lower)) } else { Err(ProfileError::Malformed) }
    }
}

impl FromStr for Phone {
    type Err = ProfileError;

    fn from_str(text: &str) -> Result<Self, ProfileError> {
        let text = trimmed(text, 32)?;
        let digits = text.chars().filter(char::is_ascii_digit).count();
        let body = text.strip_prefix('+').unwrap_or(text);
        let well_formed = body.chars().all(|c| c.is_ascii_digit() || " .-()".contains(c));
        if well_formed && digits >= 3 { Ok(Self(text.to_owned())) } else { Err(ProfileError::Malformed) }
    }
}

/// A customer, and how often they were changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The customer.
    pub user: User,
    /// From 1; one more with every change.
    pub version: i32,
}

/// What is to be different in a [`Profile`]: what is not there stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProfileChange {
    /// Another name.
    pub name: Option<UserName>,
    /// Another e-mail address.
    pub email: Option<Email>,
    /// Another telephone number, or none any more.
    pub phone: Option<Option<Phone>>,
}

impl ProfileChange {
    /// The profile with what is to be different.
    #[must_use]
    pub fn applied_to(&self, profile: &Profile) -> Profile {
        Profile {
            name: self.name.as_ref().unwrap_or(&profile.name).clone(),
            email: self.email.as_ref().unwrap_or(&profile.email).clone(),
            phone: self.phone.as_ref().unwrap_or(&profile.phone).clone(),
        }
    }
}

/// Orders of one customer that stand at the same place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenOrders {
    /// Where.
    pub status: OrderStatus,
    /// How many.
    pub count: u64,
}

/// Why a customer cannot leave yet. Money never vanishes, and what was bought is delivered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{balance} is left, and orders are open: {orders:?}")]
pub struct StillOpen {
    /// What is left in the wallet.
    pub balance: Money,
    /// Orders that are PENDING, PAID or SHIPPING.
    pub orders: Vec<OpenOrders>,
}

impl StillOpen {
    /// Nothing keeps a customer whose wallet is empty and whose orders are all delivered or cancelled.
    ///
    /// # Errors
    /// [`StillOpen`], with everything that does.
    pub fn check(balance: Money, orders: Vec<OpenOrders>) -> Result<(), Self> {
        match balance == Money::ZERO && orders.is_empty() {
            true => Ok(()),
            false => Err(Self { balance, orders }),
        }
    }
}

/// Customers as stored.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait UserRepository: Send {
    /// Which of the addresses are taken. MUST count deleted customers too: an address is never reused.
    async fn taken_emails(&mut self, emails: &BTreeSet<Email>) -> Result<BTreeSet<Email>, RepositoryError>;

    /// Stores new customers, each with an empty wallet. MUST fail with [`RepositoryError::Conflict`] when an
    /// address is taken.
    async fn insert_many(&mut self, users: &[User]) -> Result<(), RepositoryError>;

    /// These customers, whose wallets are locked: nobody else changes them then.
    async fn accounts(
        &mut self,
        users: &BTreeSet<UserId>,
    ) -> Result<BTreeMap<UserId, Account>, RepositoryError>;

    /// The orders of these customers, whose wallets are locked, that are neither delivered nor cancelled.
    async fn open_orders(
        &mut self,
        users: &BTreeSet<UserId>,
    ) -> Result<BTreeMap<UserId, Vec<OpenOrders>>, RepositoryError>;

    /// Stores what customers have become, in order, each one version further than before. A customer who changed twice is
    /// there twice.
    ///
    /// MUST fail with [`RepositoryError::Conflict`] when a version is not that of before, or when an address is taken.
    async fn change_many(&mut self, accounts: &[Account], at: DateTime<Utc>) -> Result<(), RepositoryError>;

    /// Closes accounts and wallets, empties carts, and forgets names and telephone numbers. Addresses stay taken.
    ///
    /// MUST fail with [`RepositoryError::Conflict`] when a wallet is not empty or closed already.
    async fn close_many(
        &mut self,
        users: &BTreeSet<UserId>,
        at: DateTime<Utc>,
    ) -> Result<(), RepositoryError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_email_is_kept_in_lower_case() {
        assert_eq!("  Mina@Example.COM ".parse::<Email>().unwrap().as_str(), "mina@example.com");
    }

    #[test]
    fn a_change_leaves_alone_what_it_does_not_name() {
        let profile = Profile {
            name: "Mina".parse().unwrap(),
            email: "mina@example.com".parse().unwrap(),
            phone: Some("010-1234".parse().unwrap()),
        };
        assert_eq!(ProfileChange::default().applied_to(&profile), profile);
        let name: UserName = "Mina Kim".parse().unwrap();
        let change =
            ProfileChange { name: Some(name.clone()), phone: Some(None), ..ProfileChange::default() };
        assert_eq!(change.applied_to(&profile), Profile { name, phone: None, ..profile });
    }

    #[test]
    fn who_has_money_or_orders_stays() {
        let paid = OpenOrders { status: OrderStatus::Paid, count: 2 };
        assert_eq!(StillOpen::check(Money::ZERO, Vec::new()), Ok(()));
        assert!(StillOpen::check(Money::from_minor(1), Vec::new()).is_err());
        let kept = StillOpen::check(Money::from_minor(1), vec![paid]).unwrap_err();
        assert_eq!(kept, StillOpen { balance: Money::from_minor(1), orders: vec![paid] });
    }

    #[test]
    fn malformed_profiles_are_refused() {
        for text in
            ["mina", "@example.com", "mina@", "mina@example", "a b@example.com", "a@b@example.com", "a@.com"]
        {
            assert_eq!(text.parse::<Email>(), Err(ProfileError::Malformed), "{text}");
        }
        let grows = format!("{}@example.com", "İ".repeat(200));
        assert_eq!(grows.parse::<Email>(), Err(ProfileError::TooLong(254)));
        assert_eq!("   ".parse::<UserName>(), Err(ProfileError::Empty));
        assert_eq!("x".repeat(101).parse::<UserName>(), Err(ProfileError::TooLong(100)));
        assert_eq!("call me".parse::<Phone>(), Err(ProfileError::Malformed));
        assert!("+82 10-1234-5678".parse::<Phone>().is_ok());
    }
}
