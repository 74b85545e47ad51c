//! The trail: what administrators change, written down in the transaction that changes it.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use jangteo_domain::{Order, RepositoryError, UserId};
use serde::Serialize;

use crate::snapshot::{OrderSnapshot, to_json};

/// An administrator, and the request with which they act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Administrator {
    /// Who.
    pub user: UserId,
    /// The request's W3C trace id: 32 hexadecimal digits.
    pub trace_id: String,
}

/// What kind of thing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// A customer.
    User,
    /// A customer's wallet.
    Wallet,
    /// A store.
    Store,
    /// A product, its variants, pictures and stock included.
    Product,
    /// A coupon.
    Coupon,
    /// An order.
    Order,
    /// An event for the data platform.
    Event,
}

impl Subject {
    /// All there are.
    pub const ALL: [Self; 7] =
        [Self::User, Self::Wallet, Self::Store, Self::Product, Self::Coupon, Self::Order, Self::Event];

    /// Its name where the trail is stored and shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Wallet => "wallet",
            Self::Store => "store",
            Self::Product => "product",
            Self::Coupon => "coupon",
            Self::Order => "order",
            Self::Event => "event",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|subject| subject.name() == name)
    }
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrailEntry {
    /// Who made it.
    pub by: Administrator,
    /// What was done: the name of the operation.
    pub action: &'static str,
    /// To what kind of thing.
    pub subject: Subject,
    /// To which one.
    pub id: i64,
    /// JSON: as it was. Nothing when it is new.
    pub before: Option<String>,
    /// JSON: as it is since. Nothing when it is gone.
    pub after: Option<String>,
    /// When.
    pub at: DateTime<Utc>,
}

impl TrailEntry {
    /// A change of something from one state to another.
    #[must_use]
    pub fn new<T: Serialize>(
        by: &Administrator,
        action: &'static str,
        (subject, id): (Subject, i64),
        (before, after): (Option<&T>, Option<&T>),
        at: DateTime<Utc>,
    ) -> Self {
        let (before, after) = (before.map(to_json), after.map(to_json));
        Self { by: by.clone(), action, subject, id, before, after, at }
    }
}

/// What an administrator did to an order.
pub(crate) fn order_changed(
    by: &Administrator,
    action: &'static str,
    before: &Order,
    after: &Order,
    at: DateTime<Utc>,
) -> TrailEntry {
    let states = (OrderSnapshot::from(before), OrderSnapshot::from(after));
    TrailEntry::new(by, action, (Subject::Order, after.id.0), (Some(&states.0), Some(&states.1)), at)
}

/// Where the trail is written, within the transaction that it tells of.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait TrailRepository: Send {
    /// Appends entries.
    async fn append(&mut self, entries: &[TrailEntry]) -> Result<(), RepositoryError>;
}
