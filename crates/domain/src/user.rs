//! Customers.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::{RepositoryError, UserId};

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
        let text = trimmed(text, 254)?;
        let well_formed = text.split_once('@').is_some_and(|(local, domain)| {
            let labels: Vec<&str> = domain.split('.').collect();
            !local.is_empty()
                && !text.contains(char::is_whitespace)
                && !domain.contains('@')
                && labels.len() > 1
                && labels.iter().all(|label| !label.is_empty())
        });
        if well_formed { Ok(Self(text.to_lowercase())) } else { Err(ProfileError::Malformed) }
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

/// Customers as stored.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait UserRepository: Send {
    /// Which of the addresses are taken. MUST count deleted customers too: an address is never reused.
    async fn taken_emails(&mut self, emails: &BTreeSet<Email>) -> Result<BTreeSet<Email>, RepositoryError>;

    /// Stores new customers, each with an empty wallet. MUST fail with [`RepositoryError::Conflict`] when an
    /// address is taken.
    async fn insert_many(&mut self, users: &[User]) -> Result<(), RepositoryError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_email_is_kept_in_lower_case() {
        assert_eq!("  Mina@Example.COM ".parse::<Email>().unwrap().as_str(), "mina@example.com");
    }

    #[test]
    fn malformed_profiles_are_refused() {
        for text in
            ["mina", "@example.com", "mina@", "mina@example", "a b@example.com", "a@b@example.com", "a@.com"]
        {
            assert_eq!(text.parse::<Email>(), Err(ProfileError::Malformed), "{text}");
        }
        assert_eq!("   ".parse::<UserName>(), Err(ProfileError::Empty));
        assert_eq!("x".repeat(101).parse::<UserName>(), Err(ProfileError::TooLong(100)));
        assert_eq!("call me".parse::<Phone>(), Err(ProfileError::Malformed));
        assert!("+82 10-1234-5678".parse::<Phone>().is_ok());
    }
}
