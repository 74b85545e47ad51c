//! What operators, and platforms that want to know whether they have everything, read of the outbox.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use jangteo_domain::{OrderId, RepositoryError};

use crate::cloud_event::EventName;
use crate::outbox::EventStatus;
use crate::queries::{Page, PageRequest};

/// Where counting events stops: beyond it, more is only more.
pub const MOST_COUNTED: u64 = 100_000;

/// An event as operators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventView {
    /// Its row.
    pub id: i64,
    /// How it is called outside.
    pub name: EventName,
    /// 1, 2, 3... without gaps for each thing that events are about.
    pub sequence: i64,
    /// Where it is on its way.
    pub status: EventStatus,
    /// How often it was sent.
    pub attempts: u32,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// From when on it may be sent; of one that is being sent, when another relay may.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// When the platform acknowledged it.
    pub sent_at: Option<DateTime<Utc>>,
}

/// Events that are not delivered. Each figure stops at [`MOST_COUNTED`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Those that wait, or are being sent.
    pub pending: u64,
    /// Those that will be sent again.
    pub failed: u64,
    /// Those that were given up.
    pub dead: u64,
    /// When the oldest of them happened, those that were given up left out.
    pub oldest: Option<DateTime<Utc>>,
}

/// From a moment up to another, which is not part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// Its first moment.
    pub from: DateTime<Utc>,
    /// The first moment after it.
    pub to: DateTime<Utc>,
}

/// What orders of an hour came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HourOfOrders {
    /// When the hour began.
    pub from: DateTime<Utc>,
    /// Orders that were placed in it and have events.
    pub orders: u64,
    /// The events of those orders, whenever they happened.
    pub events: u64,
}

/// An order that the platform was or will be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ToldOrder {
    /// Identity.
    pub order: OrderId,
    /// How many events it has: the sequence of the last.
    pub events: u32,
    /// When it was placed.
    pub at: DateTime<Utc>,
}

/// Reads the outbox, and the orders that its events are about.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait OutboxQueries: Send + Sync {
    /// Events; those of a status by when they are or were due, the latest first, and all of them by when they were
    /// stored. The total stops at [`MOST_COUNTED`].
    async fn events(
        &self,
        status: Option<EventStatus>,
        page: PageRequest,
    ) -> Result<Page<EventView>, RepositoryError>;

    /// One event and its payload, which is JSON if it is as it should be.
    async fn event(&self, id: i64) -> Result<Option<(EventView, String)>, RepositoryError>;

    /// What is not delivered. MUST cost the same however much that is.
    async fn backlog(&self) -> Result<Backlog, RepositoryError>;

    /// Orders that were placed in a period and have events, by the hour; hours without any are left out.
    async fn told_hours(&self, period: Period) -> Result<Vec<HourOfOrders>, RepositoryError>;

    /// The same orders one by one, by ascending ids.
    async fn told_orders(
        &self,
        period: Period,
        page: PageRequest,
    ) -> Result<Page<ToldOrder>, RepositoryError>;

    /// Every event of a status.
    async fn ids_of(&self, status: EventStatus) -> Result<Vec<i64>, RepositoryError>;

    /// The events of a period that were sent and are kept, by ascending ids. MUST include what was sent after them of the
    /// same order or coupon: what is sent again is kept longer, and of an order the first must be forgotten first.
    async fn sent_ids(&self, period: Period) -> Result<Vec<i64>, RepositoryError>;
}
