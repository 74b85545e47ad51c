//! The gate before coupon claims: it lets in as many as there are places, in the order they come, and turns the others
//! away before they reach the database.
//!
//! It decides nothing. Whoever it lets in has a ticket, and the database issues the coupon or does not; it may forget
//! everything at any moment, and is opened anew from the database then. So it is when a coupon is changed: claims know, by
//! its [`Edition`], whether a gate is out of date. [`CouponClaims`](crate::CouponClaims) puts the
//! two together.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use jangteo_domain::coupon::ClaimRefusal;
use jangteo_domain::{Coupon, CouponCode, CouponId, RepositoryError, UserId};

/// What the gate says of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It has a place; who asks again before it is settled has the same one.
    Admitted {
        /// The number of the place.
        ticket: i64,
    },
    /// It has none: too early, too late, a holder, or every place is taken.
    Refused(ClaimRefusal),
    /// No place is left, and none is waited for: the database is to be asked whether that is so.
    Exhausted,
    /// The gate does not know the coupon.
    Closed,
}

/// Which terms of which coupon. Administrators change the terms, and a code may come to be another coupon's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edition {
    /// The coupon.
    pub coupon: CouponId,
    /// The version of its terms.
    pub version: i32,
}

impl Edition {
    /// Whether who knows this one need not be told the other: it is of the same coupon and as late.
    #[must_use]
    pub fn supersedes(self, other: Self) -> bool {
        self.coupon == other.coupon && self.version >= other.version
    }
}

/// What claims have to know of a coupon before they ask its gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimable {
    /// Which terms these are.
    pub edition: Edition,
    /// From when until when it can be claimed.
    pub window: Range<DateTime<Utc>>,
}

impl From<&Coupon> for Claimable {
    fn from(coupon: &Coupon) -> Self {
        let edition = Edition { coupon: coupon.id, version: coupon.version };
        Self { edition, window: coupon.claim_window() }
    }
}

/// What the gate has to know of a coupon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// Which terms these are.
    pub edition: Edition,
    /// From when it can be claimed.
    pub starts_at: DateTime<Utc>,
    /// Until when it can be claimed.
    pub ends_at: DateTime<Utc>,
    /// The tickets to hand out, one for every place that is left. A later opening has later ones.
    pub tickets: Range<i64>,
    /// Who holds it already, with their tickets.
    pub holders: BTreeMap<UserId, i64>,
    /// When they were handed out.
    pub opened_at: DateTime<Utc>,
}

/// A coupon that nobody can claim any more: all were issued, or its window is closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Over {
    /// By which terms.
    pub edition: Edition,
    /// From when it could be claimed.
    pub starts_at: DateTime<Utc>,
    /// Until when it could be claimed.
    pub ends_at: DateTime<Utc>,
    /// Who holds it, with their tickets; `None` when they are too many to remember.
    pub holders: Option<BTreeMap<UserId, i64>>,
}

impl Over {
    /// What a claim is told; `None` when it depends on who holds the coupon.
    #[must_use]
    pub fn refusal(&self, user: UserId, now: DateTime<Utc>) -> Option<ClaimRefusal> {
        if now < self.starts_at {
            return Some(ClaimRefusal::NotStarted(self.starts_at));
        }
        if now >= self.ends_at {
            return Some(ClaimRefusal::Ended(self.ends_at));
        }
        Some(match self.holders.as_ref()?.get(&user) {
            Some(&ticket) => ClaimRefusal::AlreadyClaimed { ticket },
            None => ClaimRefusal::SoldOut,
        })
    }
}

/// What became of a claim that was let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settlement {
    /// Whose claim.
    pub user: UserId,
    /// The ticket it was let in with.
    pub ticket: i64,
    /// What the database said.
    pub outcome: Settled,
}

impl Settlement {
    /// The ticket that the user holds now, if any.
    #[must_use]
    pub fn held(&self) -> Option<i64> {
        match self.outcome {
            Settled::Issued(ticket) | Settled::Held(ticket) => Some(ticket),
            Settled::Returned => None,
        }
    }

    /// Whether the claim's own ticket comes back.
    #[must_use]
    pub fn is_returned(&self) -> bool {
        match self.outcome {
            // On another ticket because somebody else holds this one.
            Settled::Issued(_) => false,
            Settled::Held(ticket) => ticket != self.ticket,
            Settled::Returned => true,
        }
    }
}

/// What the database said of a claim that was let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// The coupon was issued, on this ticket.
    Issued(i64),
    /// The customer held it before, on this ticket. Unless it is the claim's own, the place is free again.
    Held(i64),
    /// Nothing was issued: the place is free again.
    Returned,
}

/// The gate cannot be asked at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the coupon gate is away")]
pub struct GateAway;

/// Lets claims in.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait CouponGate: Send + Sync {
    /// Lets a claim in or not, in one step: nobody gets the place of another. A place that is not settled within
    /// the time that the gate allows is overdue.
    ///
    /// MUST be [`Admission::Closed`] when the gate was opened for another coupon or earlier terms than the caller knows of,
    /// if any.
    async fn admit(
        &self,
        code: &CouponCode,
        known: Option<Edition>,
        user: UserId,
        now: DateTime<Utc>,
    ) -> Result<Admission, GateAway>;

    /// Opens the gate before a coupon. An opening replaces earlier ones and never a later one: of the same coupon, later
    /// terms are later, and of the same terms, later tickets. MUST NOT open a gate that was closed for later terms.
    async fn open(&self, code: &CouponCode, opening: &Opening) -> Result<(), GateAway>;

    /// Closes the gate before a coupon that has these terms now: it is forgotten, unless it was opened for these or later
    /// ones. MUST keep openings for earlier terms out from then on, as one may be on its way.
    async fn close(&self, code: &CouponCode, edition: Edition) -> Result<(), GateAway>;

    /// Notes what became of claims. Of those that the gate does not wait for, or no longer, only holders count.
    async fn settle(&self, code: &CouponCode, settlements: &[Settlement]) -> Result<(), GateAway>;

    /// The places that are overdue, for the caller to find out about: nobody else gets them until they are overdue
    /// again.
    async fn overdue(&self, code: &CouponCode, now: DateTime<Utc>)
    -> Result<BTreeMap<UserId, i64>, GateAway>;

    /// Whether the caller is the one to open the gate or to see to it; who is, says so to [`CouponGate::done`], and
    /// after a while somebody else may. MUST be true for one caller at a time, whatever instance asks.
    async fn lead(&self, code: &CouponCode) -> Result<Option<Lead>, GateAway>;

    /// Lets somebody else lead.
    async fn done(&self, code: &CouponCode, lead: Lead) -> Result<(), GateAway>;
}

/// Marks the one who sees to a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lead(pub u64);

/// What the database knows of a coupon's places.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait CouponPlaces: Send + Sync {
    /// When a coupon can be claimed, and by which terms; `None` for an unknown code.
    async fn claimable(&self, code: &CouponCode) -> Result<Option<Claimable>, RepositoryError>;

    /// Hands out a ticket for every place that is left, in one transaction; `None` for an unknown code.
    async fn hand_out(&self, code: &CouponCode) -> Result<Option<Opening>, RepositoryError>;

    /// Those of these customers who hold the coupon, with their tickets.
    async fn holders(
        &self,
        code: &CouponCode,
        users: &BTreeSet<UserId>,
    ) -> Result<BTreeMap<UserId, i64>, RepositoryError>;

    /// Writes down that tickets came back unused.
    async fn give_back(&self, code: &CouponCode, tickets: &BTreeSet<i64>) -> Result<(), RepositoryError>;

    /// The coupon, if all were issued, with its holders if they are not more than `most`.
    async fn sold_out(&self, code: &CouponCode, most: u64) -> Result<Option<Over>, RepositoryError>;
}
