//! Coupons: issued first come, first served, and redeemed once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use rust_decimal::Decimal;

use crate::{CouponId, Money, OrderId, RepositoryError, UserCouponId, UserId};

mod offer;
mod terms;

pub use offer::OfferStatus;
pub use terms::{
    ChangeRefusal, CouponDraft, CouponName, CouponNameError, CouponRetired, DiscountKind, SettledTerm, Term,
    TermFault,
};

/// The name under which a coupon is claimed and redeemed: 1 to 64 letters, digits, hyphens or underscores of
/// ASCII, kept in upper case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CouponCode(String);

/// A text that cannot be a [`CouponCode`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a coupon code has 1 to 64 letters, digits, hyphens or underscores")]
pub struct CouponCodeError;

impl CouponCode {
    /// The code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CouponCode {
    type Err = CouponCodeError;

    fn from_str(text: &str) -> Result<Self, CouponCodeError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        match (1..=64).contains(&text.len()) && text.chars().all(allowed) {
            true => Ok(Self(text.to_ascii_uppercase())),
            false => Err(CouponCodeError),
        }
    }
}

impl fmt::Display for CouponCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a coupon takes off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discount {
    /// A fixed amount.
    Fixed(Money),
    /// A share of the total in percent, above 0 and up to 100.
    Percent(Decimal),
}

/// A coupon that customers can claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coupon {
    /// Identity.
    pub id: CouponId,
    /// The name under which it is claimed and redeemed.
    pub code: CouponCode,
    /// A title for people.
    pub name: String,
    /// What it takes off.
    pub discount: Discount,
    /// The least total that it can be used on.
    pub min_order_amount: Money,
    /// The most it takes off.
    pub max_discount: Option<Money>,
    /// From when it can be claimed.
    pub claim_starts_at: DateTime<Utc>,
    /// Until when it can be claimed (the moment itself is too late).
    pub claim_ends_at: DateTime<Utc>,
    /// Until when a claimed one can be used, whenever it was claimed.
    pub valid_until: Option<DateTime<Utc>>,
    /// For how many days after the claim it can be used.
    pub valid_days: Option<u32>,
    /// How many are issued at most.
    pub total_quantity: i64,
    /// How many were issued.
    pub issued_quantity: i64,
    /// The next ticket that was not handed out yet, from 1. Those before it are held by customers, by a gate that gives
    /// them to claims, or were given back.
    pub next_ticket: i64,
    /// When it was taken off: nobody can claim it from then on.
    pub retired_at: Option<DateTime<Utc>>,
    /// Counts the changes that administrators made, from 1. Claims and orders are none.
    pub version: i32,
}

/// One customer's copy of a coupon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserCoupon {
    /// Identity.
    pub id: UserCouponId,
    /// The holder.
    pub user: UserId,
    /// Which coupon.
    pub coupon: CouponId,
    /// The place in the queue, from 1.
    pub ticket: i64,
    /// When it was claimed.
    pub claimed_at: DateTime<Utc>,
    /// From when it can no longer be used, if ever.
    pub expires_at: Option<DateTime<Utc>>,
    /// Whether it still can be used.
    pub state: UserCouponState,
}

/// What became of a claimed coupon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserCouponState {
    /// It can be used.
    Claimed,
    /// It was used on an order.
    Used {
        /// When.
        at: DateTime<Utc>,
    },
    /// It was not used in time.
    Expired,
}

/// Why a coupon was not issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClaimRefusal {
    /// No coupon has this code.
    #[error("no coupon has this code")]
    Unknown,
    /// The claim window is not open yet.
    #[error("it can be claimed from {0}")]
    NotStarted(DateTime<Utc>),
    /// The claim window is closed.
    #[error("it could be claimed until {0}")]
    Ended(DateTime<Utc>),
    /// The customer has it already.
    #[error("already claimed, with ticket {ticket}")]
    AlreadyClaimed {
        /// The place in the queue that the customer had.
        ticket: i64,
    },
    /// All were issued.
    #[error("sold out")]
    SoldOut,
}

/// Why a coupon cannot be used on an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CouponFault {
    /// No coupon has this code.
    #[error("no coupon has this code")]
    Unknown,
    /// The customer has not claimed it.
    #[error("the customer does not hold this coupon")]
    NotHeld,
    /// It was used before.
    #[error("already used")]
    AlreadyUsed,
    /// Its validity is over.
    #[error("no longer valid")]
    Expired,
    /// The order's total is too small.
    #[error("the total must be at least {minimum}")]
    BelowMinimum {
        /// The least total.
        minimum: Money,
    },
}

/// Why a customer's coupon does not expire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExpiryRefusal {
    /// It can still be used.
    #[error("still valid")]
    StillValid,
    /// It was used in time.
    #[error("already used")]
    AlreadyUsed,
    /// It expired before.
    #[error("already expired")]
    AlreadyExpired,
}

/// A coupon that was not used cannot be given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not used")]
pub struct NotUsed;

impl Coupon {
    /// From when until when it can be claimed: until it is retired, at most.
    #[must_use]
    pub fn claim_window(&self) -> Range<DateTime<Utc>> {
        let end = self.retired_at.map_or(self.claim_ends_at, |at| at.min(self.claim_ends_at));
        self.claim_starts_at.min(end)..end
    }

    /// Whether the claim window is open.
    ///
    /// # Errors
    /// [`ClaimRefusal::NotStarted`] or [`ClaimRefusal::Ended`].
    pub fn check_window(&self, now: DateTime<Utc>) -> Result<(), ClaimRefusal> {
        // Whoever retired it did so before this is decided, whatever the clock had said.
        if let Some(retired_at) = self.retired_at {
            return Err(ClaimRefusal::Ended(retired_at.min(self.claim_ends_at)));
        }
        let window = self.claim_window();
        if now < window.start {
            return Err(ClaimRefusal::NotStarted(window.start));
        }
        if now >= window.end {
            return Err(ClaimRefusal::Ended(window.end));
        }
        Ok(())
    }

    /// Issues one to a customer who does not hold it yet: on the ticket that was handed out to the claim before, or else
    /// on the next.
    ///
    /// # Errors
    /// [`ClaimRefusal`]; the coupon is then unchanged.
    pub fn issue(
        &mut self,
        id: UserCouponId,
        user: UserId,
        ticket: Option<i64>,
        now: DateTime<Utc>,
    ) -> Result<UserCoupon, ClaimRefusal> {
        self.check_window(now)?;
        if self.remaining() <= 0 {
            return Err(ClaimRefusal::SoldOut);
        }
        self.issued_quantity += 1;
        let ticket = ticket.unwrap_or_else(|| self.hand_out(1).start);
        Ok(UserCoupon {
            id,
            user,
            coupon: self.id,
            ticket,
            claimed_at: now,
            expires_at: self.expiry(now),
            state: UserCouponState::Claimed,
        })
    }

    /// Hands out the next tickets.
    pub fn hand_out(&mut self, tickets: i64) -> Range<i64> {
        let first = self.next_ticket;
        self.next_ticket += tickets;
        first..self.next_ticket
    }

    /// What it takes off a total: rounded down to 0.01, at most the maximum discount, at most the total.
    ///
    /// # Errors
    /// [`CouponFault::BelowMinimum`] when the total is too small.
    pub fn discount_on(&self, total: Money) -> Result<Money, CouponFault> {
        if total < self.min_order_amount {
            return Err(CouponFault::BelowMinimum { minimum: self.min_order_amount });
        }
        let full = match self.discount {
            Discount::Fixed(amount) => amount,
            Discount::Percent(percent) => total.percent(percent),
        };
        Ok(full.min(self.max_discount.unwrap_or(full)).min(total))
    }

    fn expiry(&self, claimed_at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let by_days = self.valid_days.map(|days| claimed_at + TimeDelta::days(i64::from(days)));
        match (self.valid_until, by_days) {
            (Some(until), Some(days)) => Some(until.min(days)),
            (until, days) => until.or(days),
        }
    }
}

impl UserCoupon {
    /// Whether it can be used now.
    ///
    /// # Errors
    /// [`CouponFault::AlreadyUsed`] or [`CouponFault::Expired`].
    pub fn check_usable(&self, now: DateTime<Utc>) -> Result<(), CouponFault> {
        match self.state {
            UserCouponState::Used { .. } => Err(CouponFault::AlreadyUsed),
            UserCouponState::Expired => Err(CouponFault::Expired),
            UserCouponState::Claimed if self.expires_at.is_some_and(|end| now >= end) => {
                Err(CouponFault::Expired)
            }
            UserCouponState::Claimed => Ok(()),
        }
    }

    /// Uses it up.
    ///
    /// # Errors
    /// As [`UserCoupon::check_usable`]; it is then unchanged.
    pub fn redeem(&mut self, now: DateTime<Utc>) -> Result<(), CouponFault> {
        self.check_usable(now)?;
        self.state = UserCouponState::Used { at: now };
        Ok(())
    }

    /// Gives it back after the order that it was used on was cancelled: it can be used again, unless its validity is over
    /// meanwhile.
    ///
    /// # Errors
    /// [`NotUsed`]; it is then unchanged.
    pub fn restore(&mut self, now: DateTime<Utc>) -> Result<(), NotUsed> {
        let UserCouponState::Used { .. } = self.state else { return Err(NotUsed) };
        self.state = match self.expires_at {
            Some(end) if now >= end => UserCouponState::Expired,
            Some(_) | None => UserCouponState::Claimed,
        };
        Ok(())
    }

    /// Ends it, when its validity is over and it was not used.
    ///
    /// # Errors
    /// [`ExpiryRefusal`]; it is then unchanged.
    pub fn expire(&mut self, now: DateTime<Utc>) -> Result<(), ExpiryRefusal> {
        match self.state {
            UserCouponState::Used { .. } => Err(ExpiryRefusal::AlreadyUsed),
            UserCouponState::Expired => Err(ExpiryRefusal::AlreadyExpired),
            UserCouponState::Claimed if self.check_usable(now).is_ok() => Err(ExpiryRefusal::StillValid),
            UserCouponState::Claimed => {
                self.state = UserCouponState::Expired;
                Ok(())
            }
        }
    }
}

/// One coupon used up by one order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Redemption {
    /// The customer's coupon.
    pub user_coupon: UserCouponId,
    /// The order it was used on.
    pub order: OrderId,
    /// When.
    pub at: DateTime<Utc>,
}

/// One coupon given back by one order that was cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restoration {
    /// The customer's coupon.
    pub user_coupon: UserCouponId,
    /// The order it had been used on.
    pub order: OrderId,
    /// Whether its validity was over by then: it cannot be used again.
    pub expired: bool,
    /// When.
    pub at: DateTime<Utc>,
}

/// Coupons as stored.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait CouponRepository: Send {
    /// The coupons with these codes, not locked: redeeming takes their terms as they are at that moment, and of what is
    /// issued neither code nor discount change.
    async fn find_many(
        &mut self,
        codes: &BTreeSet<CouponCode>,
    ) -> Result<BTreeMap<CouponCode, Coupon>, RepositoryError>;

    /// The coupons with these codes, locked until the unit of work ends.
    ///
    /// MUST lock rows in ascending id order; unknown codes are omitted.
    async fn lock_many(
        &mut self,
        codes: &BTreeSet<CouponCode>,
    ) -> Result<BTreeMap<CouponCode, Coupon>, RepositoryError>;

    /// These coupons, locked until the unit of work ends.
    ///
    /// MUST lock rows in ascending id order; absent coupons are omitted.
    async fn lock_by_ids(
        &mut self,
        coupons: &BTreeSet<CouponId>,
    ) -> Result<BTreeMap<CouponId, Coupon>, RepositoryError>;

    /// Stores a new coupon. MUST fail with [`RepositoryError::Conflict`] when its code is taken.
    async fn insert(&mut self, coupon: &Coupon, at: DateTime<Utc>) -> Result<(), RepositoryError>;

    /// Stores the terms of a changed coupon, and that it was retired; what was issued and handed out is counted by claims.
    ///
    /// MUST fail with [`RepositoryError::Conflict`] when its code is taken, when what is stored is not the version before,
    /// or when more were issued than there would be.
    async fn update(&mut self, coupon: &Coupon, at: DateTime<Utc>) -> Result<(), RepositoryError>;

    /// The customers' copies of coupons, locked until the unit of work ends; absent ones are omitted.
    ///
    /// MUST lock rows in ascending order of user and coupon.
    async fn lock_held(
        &mut self,
        holders: &BTreeSet<(UserId, CouponId)>,
    ) -> Result<BTreeMap<(UserId, CouponId), UserCoupon>, RepositoryError>;

    /// Those of these tickets that customers hold.
    async fn taken_tickets(
        &mut self,
        tickets: &BTreeSet<(CouponId, i64)>,
    ) -> Result<BTreeSet<(CouponId, i64)>, RepositoryError>;

    /// Stores issued coupons with their history, counts them on their coupons, and notes which tickets are handed out.
    ///
    /// MUST fail with [`RepositoryError::Conflict`] rather than issue more than the total quantity, or one
    /// twice to the same customer.
    async fn issue(&mut self, issued: &[UserCoupon]) -> Result<(), RepositoryError>;

    /// Marks coupons as used, with their history.
    ///
    /// MUST fail with [`RepositoryError::Conflict`] when one is not in the state CLAIMED.
    async fn redeem(&mut self, redemptions: &[Redemption]) -> Result<(), RepositoryError>;

    /// Marks used coupons as claimed again, or as expired, with their history.
    ///
    /// MUST fail with [`RepositoryError::Conflict`] when one is not in the state USED.
    async fn restore(&mut self, restorations: &[Restoration]) -> Result<(), RepositoryError>;

    /// Customers' coupons that are CLAIMED and whose validity is over, those first that ended first, locked until the
    /// unit of work ends.
    ///
    /// MUST NOT wait for a row that somebody else has locked, but leave it out: an order may be using it up.
    async fn lock_due(
        &mut self,
        now: DateTime<Utc>,
        at_most: usize,
    ) -> Result<Vec<UserCoupon>, RepositoryError>;

    /// Marks coupons as expired, with their history.
    ///
    /// MUST fail with [`RepositoryError::Conflict`] when one is not in the state CLAIMED.
    async fn expire(&mut self, expired: &[UserCouponId], at: DateTime<Utc>) -> Result<(), RepositoryError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coupon(discount: Discount) -> Coupon {
        Coupon {
            id: CouponId(1),
            code: "WELCOME10".parse().unwrap(),
            name: String::new(),
            discount,
            min_order_amount: Money::from_minor(10_00),
            max_discount: None,
            claim_starts_at: DateTime::UNIX_EPOCH + TimeDelta::days(1),
            claim_ends_at: DateTime::UNIX_EPOCH + TimeDelta::days(2),
            valid_until: None,
            valid_days: None,
            total_quantity: 1,
            issued_quantity: 0,
            next_ticket: 1,
            retired_at: None,
            version: 1,
        }
    }

    fn day(days: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(days)
    }

    #[test]
    fn codes_are_one_in_any_case_and_refuse_strange_characters() {
        assert_eq!("welcome10".parse::<CouponCode>(), "WELCOME10".parse());
        for text in ["", "a b", "쿠폰", "x;y", &"x".repeat(65)] {
            assert!(text.parse::<CouponCode>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_discount_is_capped_by_its_maximum_and_by_the_total() {
        let mut fixed = coupon(Discount::Fixed(Money::from_minor(50_00)));
        assert_eq!(fixed.discount_on(Money::from_minor(20_00)), Ok(Money::from_minor(20_00)));
        assert!(fixed.discount_on(Money::from_minor(9_99)).is_err());
        fixed.max_discount = Some(Money::from_minor(3_00));
        assert_eq!(fixed.discount_on(Money::from_minor(20_00)), Ok(Money::from_minor(3_00)));
        let tenth = coupon(Discount::Percent(Decimal::TEN));
        assert_eq!(tenth.discount_on(Money::from_minor(10_09)), Ok(Money::from_minor(1_00)));
    }

    #[test]
    fn it_is_issued_inside_its_window_and_up_to_its_total() {
        let mut coupon = coupon(Discount::Percent(Decimal::TEN));
        let mut claim = |at| coupon.issue(UserCouponId(1), UserId(1), None, at);
        assert_eq!(claim(day(0)), Err(ClaimRefusal::NotStarted(day(1))));
        assert_eq!(claim(day(2)), Err(ClaimRefusal::Ended(day(2))));
        assert_eq!(claim(day(1)).map(|issued| issued.ticket), Ok(1));
        assert_eq!(claim(day(1)), Err(ClaimRefusal::SoldOut));
    }

    #[test]
    fn a_ticket_that_was_handed_out_before_is_kept() {
        let mut coupon = Coupon { total_quantity: 5, ..coupon(Discount::Percent(Decimal::TEN)) };
        assert_eq!(coupon.hand_out(coupon.remaining()), 1..6);
        let mut ticket = |ticket| coupon.issue(UserCouponId(1), UserId(1), ticket, day(1)).unwrap().ticket;
        assert_eq!([ticket(Some(3)), ticket(None), ticket(Some(1))], [3, 6, 1]);
        assert_eq!(coupon.remaining(), 2);
        assert!(coupon.hand_out(0).is_empty());
    }

    #[test]
    fn the_earlier_end_of_validity_counts() {
        let mut coupon = coupon(Discount::Percent(Decimal::TEN));
        coupon.valid_days = Some(7);
        coupon.valid_until = Some(day(5));
        let mut issued = coupon.issue(UserCouponId(1), UserId(1), None, day(1)).unwrap();
        assert_eq!(issued.expires_at, Some(day(5)));
        assert_eq!(issued.check_usable(day(5)), Err(CouponFault::Expired));
        assert_eq!(issued.redeem(day(4)), Ok(()));
        assert_eq!(issued.redeem(day(4)), Err(CouponFault::AlreadyUsed));
    }

    #[test]
    fn it_expires_when_its_validity_is_over_and_only_once() {
        let mut coupon = coupon(Discount::Percent(Decimal::TEN));
        coupon.valid_days = Some(7);
        let mut claimed = coupon.issue(UserCouponId(1), UserId(1), None, day(1)).unwrap();
        assert_eq!(claimed.expire(day(8) - TimeDelta::microseconds(1)), Err(ExpiryRefusal::StillValid));
        assert_eq!(claimed.expire(day(8)), Ok(()));
        assert_eq!(claimed.expire(day(8)), Err(ExpiryRefusal::AlreadyExpired));
        assert_eq!(claimed.redeem(day(2)), Err(CouponFault::Expired));
    }

    #[test]
    fn a_used_one_is_given_back_once_and_only_while_it_is_valid() {
        let mut coupon = coupon(Discount::Percent(Decimal::TEN));
        coupon.valid_days = Some(7);
        let mut used = coupon.issue(UserCouponId(1), UserId(1), None, day(1)).unwrap();
        assert_eq!(used.restore(day(2)), Err(NotUsed));
        used.redeem(day(2)).unwrap();
        let mut late = used.clone();
        assert_eq!(used.restore(day(8) - TimeDelta::microseconds(1)), Ok(()));
        assert_eq!((used.state, used.redeem(day(3))), (UserCouponState::Claimed, Ok(())));
        assert_eq!(late.restore(day(8)), Ok(()));
        assert_eq!((late.state, late.restore(day(8))), (UserCouponState::Expired, Err(NotUsed)));
    }

    #[test]
    fn what_was_used_and_what_has_no_end_never_expires() {
        let mut coupon = coupon(Discount::Percent(Decimal::TEN));
        coupon.total_quantity = 2;
        let mut endless = coupon.issue(UserCouponId(1), UserId(1), None, day(1)).unwrap();
        assert_eq!(endless.expire(day(10_000)), Err(ExpiryRefusal::StillValid));
        coupon.valid_days = Some(7);
        let mut used = coupon.issue(UserCouponId(2), UserId(2), None, day(1)).unwrap();
        used.redeem(day(2)).unwrap();
        assert_eq!(used.expire(day(9)), Err(ExpiryRefusal::AlreadyUsed));
    }
}
