//! What a coupon promises, and how administrators change it.
//!
//! What customers hold keeps the validity with which it was issued. The rest of the terms is the coupon's own: a new
//! minimum or maximum counts for the next order, a new window or quantity for the next claim.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use super::{Coupon, CouponCode, Discount};
use crate::{CouponId, Money};

/// A coupon's title: 1 to [`CouponName::LONGEST`] characters, without surrounding white space and control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CouponName(String);

/// A text that cannot be a [`CouponName`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a coupon's title has 1 to {} characters and no line breaks", CouponName::LONGEST)]
pub struct CouponNameError;

impl CouponName {
    /// The most characters.
    pub const LONGEST: usize = 100;

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CouponName {
    type Err = CouponNameError;

    fn from_str(text: &str) -> Result<Self, CouponNameError> {
        let text = text.trim();
        let fits = (1..=Self::LONGEST).contains(&text.chars().count());
        match fits && !text.chars().any(char::is_control) {
            true => Ok(Self(text.to_owned())),
            false => Err(CouponNameError),
        }
    }
}

impl fmt::Display for CouponName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whether a coupon takes off an amount or a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiscountKind {
    /// An amount.
    Fixed,
    /// A share of the total in percent.
    Percent,
}

impl Discount {
    /// Its kind.
    #[must_use]
    pub fn kind(self) -> DiscountKind {
        match self {
            Self::Fixed(_) => DiscountKind::Fixed,
            Self::Percent(_) => DiscountKind::Percent,
        }
    }

    /// The amount, or the percentage, which has two decimals at most.
    #[must_use]
    pub fn value(self) -> Money {
        match self {
            Self::Fixed(amount) => amount,
            Self::Percent(percent) => Money::try_from(percent.trunc_with_scale(2)).unwrap_or_default(),
        }
    }

    fn of(kind: DiscountKind, value: Money) -> Self {
        match kind {
            DiscountKind::Fixed => Self::Fixed(value),
            DiscountKind::Percent => Self::Percent(value.as_decimal()),
        }
    }
}

/// One of the terms that can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Term {
    /// The discount.
    Value,
    /// The least total.
    MinOrderAmount,
    /// The most it takes off.
    MaxDiscount,
    /// From when it can be claimed.
    ClaimStartsAt,
    /// Until when it can be claimed.
    ClaimEndsAt,
    /// Until when it can be used.
    ValidUntil,
    /// For how long it can be used.
    ValidDays,
    /// How many there are.
    TotalQuantity,
}

/// What is wrong with a term.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TermFault {
    /// It must be above zero.
    #[error("{0:?} must be above zero")]
    NotPositive(Term),
    /// It must not be below zero.
    #[error("{0:?} must not be below zero")]
    Negative(Term),
    /// It takes off more than all.
    #[error("a percentage is at most 100")]
    MoreThanAll,
    /// It is too small or too large.
    #[error("{term:?} must be from 1 to {most}")]
    OutOfRange {
        /// Which.
        term: Term,
        /// The largest that it can be.
        most: i64,
    },
    /// It must be later than from when the coupon can be claimed.
    #[error("{0:?} must be later than the beginning of the claim window")]
    NotAfterStart(Term),
}

/// The terms of a coupon, as far as they are said. Those of them that can be left out may be said to be none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CouponDraft {
    /// The name under which it is claimed and redeemed.
    pub code: Option<CouponCode>,
    /// A title for people.
    pub name: Option<CouponName>,
    /// What kind of discount.
    pub kind: Option<DiscountKind>,
    /// The amount or the percentage.
    pub value: Option<Money>,
    /// The least total that it can be used on.
    pub min_order_amount: Option<Money>,
    /// The most it takes off.
    pub max_discount: Option<Option<Money>>,
    /// From when it can be claimed.
    pub claim_starts_at: Option<DateTime<Utc>>,
    /// Until when it can be claimed.
    pub claim_ends_at: Option<DateTime<Utc>>,
    /// Until when a claimed one can be used.
    pub valid_until: Option<Option<DateTime<Utc>>>,
    /// For how many days after the claim it can be used.
    pub valid_days: Option<Option<i64>>,
    /// How many are issued at most.
    pub total_quantity: Option<i64>,
}

impl CouponDraft {
    /// A hundred years. Much longer, and the day on which a claimed coupon expires would be beyond the calendar.
    pub const MAX_VALID_DAYS: u32 = 36_500;
    /// The most that there can be of a coupon.
    pub const MAX_QUANTITY: i64 = 1_000_000_000_000;

    /// Everything that is wrong with what is said.
    #[must_use]
    pub fn faults(&self) -> Vec<TermFault> {
        let positive = |term, amount: Option<Money>| {
            amount.filter(|amount| *amount <= Money::ZERO).map(|_| TermFault::NotPositive(term))
        };
        let most = Money::try_from(Decimal::ONE_HUNDRED).unwrap_or_default();
        let percent = self.value.filter(|_| self.kind == Some(DiscountKind::Percent));
        let minimum = self.min_order_amount.filter(|minimum| minimum.is_negative());
        let within = |term, number: Option<i64>, most: i64| {
            number.filter(|number| !(1..=most).contains(number)).map(|_| TermFault::OutOfRange { term, most })
        };
        let after_start = |term, moment: Option<DateTime<Utc>>| {
            let start = self.claim_starts_at?;
            moment.filter(|moment| *moment <= start).map(|_| TermFault::NotAfterStart(term))
        };
        let faults = [
            positive(Term::Value, self.value),
            percent.filter(|percent| *percent > most).map(|_| TermFault::MoreThanAll),
            minimum.map(|_| TermFault::Negative(Term::MinOrderAmount)),
            positive(Term::MaxDiscount, self.max_discount.flatten()),
            after_start(Term::ClaimEndsAt, self.claim_ends_at),
            // Nobody could use it.
            after_start(Term::ValidUntil, self.valid_until.flatten()),
            within(Term::ValidDays, self.valid_days.flatten(), i64::from(Self::MAX_VALID_DAYS)),
            within(Term::TotalQuantity, self.total_quantity, Self::MAX_QUANTITY),
        ];
        faults.into_iter().flatten().collect()
    }

    /// A new coupon on these terms; `None` when one is missing that there must be, or they have faults.
    #[must_use]
    pub fn into_coupon(self, id: CouponId) -> Option<Coupon> {
        if !self.faults().is_empty() {
            return None;
        }
        Some(Coupon {
            id,
            code: self.code?,
            name: self.name?.0,
            discount: Discount::of(self.kind?, self.value?),
            min_order_amount: self.min_order_amount?,
            max_discount: self.max_discount.flatten(),
            claim_starts_at: self.claim_starts_at?,
            claim_ends_at: self.claim_ends_at?,
            valid_until: self.valid_until.flatten(),
            valid_days: self.valid_days.flatten().and_then(|days| u32::try_from(days).ok()),
            total_quantity: self.total_quantity?,
            issued_quantity: 0,
            next_ticket: 1,
            retired_at: None,
            version: 1,
        })
    }

    /// The terms of a coupon as this draft would have them.
    fn over(self, coupon: &Coupon) -> Self {
        Self {
            code: self.code.or_else(|| Some(coupon.code.clone())),
            name: self.name.or_else(|| Some(CouponName(coupon.name.clone()))),
            kind: self.kind.or(Some(coupon.discount.kind())),
            value: self.value.or(Some(coupon.discount.value())),
            min_order_amount: self.min_order_amount.or(Some(coupon.min_order_amount)),
            max_discount: self.max_discount.or(Some(coupon.max_discount)),
            claim_starts_at: self.claim_starts_at.or(Some(coupon.claim_starts_at)),
            claim_ends_at: self.claim_ends_at.or(Some(coupon.claim_ends_at)),
            valid_until: self.valid_until.or(Some(coupon.valid_until)),
            valid_days: self.valid_days.or(Some(coupon.valid_days.map(i64::from))),
            total_quantity: self.total_quantity.or(Some(coupon.total_quantity)),
        }
    }
}

/// The coupon was retired: nothing of it changes any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the coupon was retired")]
pub struct CouponRetired;

/// What cannot change any more because coupons were issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SettledTerm {
    /// Customers know it by its code.
    #[error("the code cannot change any more")]
    Code,
    /// Customers hold a discount of this kind.
    #[error("the kind of the discount cannot change any more")]
    Kind,
    /// Customers hold this discount.
    #[error("the discount cannot change any more")]
    Value,
    /// There cannot be fewer than were issued.
    #[error("{issued} were issued")]
    Quantity {
        /// How many were issued.
        issued: i64,
    },
}

/// Why a coupon is not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeRefusal {
    /// It was retired.
    #[error(transparent)]
    Retired(#[from] CouponRetired),
    /// These cannot change any more.
    #[error("coupons were issued")]
    Settled(Vec<SettledTerm>),
    /// With what it has already, the change comes to no terms.
    #[error("the terms do not go together")]
    Faults(Vec<TermFault>),
}

impl Coupon {
    /// The coupon on other terms; the same when nothing changes.
    ///
    /// # Errors
    /// [`ChangeRefusal`], with everything that is wrong.
    pub fn changed(&self, draft: CouponDraft) -> Result<Self, ChangeRefusal> {
        self.check_not_retired()?;
        let draft = draft.over(self);
        let faults = draft.faults();
        let same = |changed: Self| Self {
            issued_quantity: self.issued_quantity,
            next_ticket: self.next_ticket,
            version: self.version,
            ..changed
        };
        let Some(changed) = draft.into_coupon(self.id).map(same) else {
            return Err(ChangeRefusal::Faults(faults));
        };
        let settled = self.settled(&changed);
        match settled.is_empty() {
            false => Err(ChangeRefusal::Settled(settled)),
            true if changed == *self => Ok(changed),
            true => Ok(Self { version: self.version + 1, ..changed }),
        }
    }

    /// The coupon once it is retired: nobody can claim it from then on. What was issued stays usable.
    ///
    /// # Errors
    /// [`CouponRetired`] when it was before.
    pub fn retired(&self, now: DateTime<Utc>) -> Result<Self, CouponRetired> {
        self.check_not_retired()?;
        Ok(Self { retired_at: Some(now), version: self.version + 1, ..self.clone() })
    }

    fn check_not_retired(&self) -> Result<(), CouponRetired> {
        match self.retired_at {
            None => Ok(()),
            Some(_) => Err(CouponRetired),
        }
    }

    /// What would change and cannot.
    fn settled(&self, changed: &Self) -> Vec<SettledTerm> {
        let issued = self.issued_quantity;
        let terms = [
            (self.code != changed.code, SettledTerm::Code),
            (self.discount.kind() != changed.discount.kind(), SettledTerm::Kind),
            (self.discount.value() != changed.discount.value(), SettledTerm::Value),
            (changed.total_quantity < issued, SettledTerm::Quantity { issued }),
        ];
        terms.into_iter().filter(|(differs, _)| issued > 0 && *differs).map(|(_, settled)| settled).collect()
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn day(days: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(days)
    }

    fn money(minor: i64) -> Money {
        Money::from_minor(minor)
    }

    fn draft() -> CouponDraft {
        CouponDraft {
            code: Some("WELCOME10".parse().unwrap()),
            name: Some("Welcome".parse().unwrap()),
            kind: Some(DiscountKind::Percent),
            value: Some(money(12_50)),
            min_order_amount: Some(Money::ZERO),
            claim_starts_at: Some(day(1)),
            claim_ends_at: Some(day(2)),
            total_quantity: Some(10),
            ..CouponDraft::default()
        }
    }

    fn issued(issued_quantity: i64) -> Coupon {
        let coupon = draft().into_coupon(CouponId(1)).unwrap();
        Coupon { issued_quantity, next_ticket: issued_quantity + 1, ..coupon }
    }

    #[test]
    fn a_complete_draft_is_a_coupon() {
        let coupon = issued(0);
        assert_eq!(coupon.discount, Discount::Percent(Decimal::new(1250, 2)));
        assert_eq!((coupon.discount.kind(), coupon.discount.value()), (DiscountKind::Percent, money(12_50)));
        assert_eq!((coupon.max_discount, coupon.valid_until, coupon.valid_days), (None, None, None));
        assert_eq!((coupon.version, coupon.retired_at), (1, None));
        assert_eq!(CouponDraft { name: None, ..draft() }.into_coupon(CouponId(1)), None);
    }

    #[test]
    fn every_fault_is_named() {
        let wrong = CouponDraft {
            value: Some(money(100_01)),
            min_order_amount: Some(money(-1)),
            max_discount: Some(Some(Money::ZERO)),
            claim_ends_at: Some(day(1)),
            valid_until: Some(Some(day(0))),
            valid_days: Some(Some(36_501)),
            total_quantity: Some(0),
            ..draft()
        };
        let most = CouponDraft::MAX_QUANTITY;
        assert_eq!(
            wrong.faults(),
            [
                TermFault::MoreThanAll,
                TermFault::Negative(Term::MinOrderAmount),
                TermFault::NotPositive(Term::MaxDiscount),
                TermFault::NotAfterStart(Term::ClaimEndsAt),
                TermFault::NotAfterStart(Term::ValidUntil),
                TermFault::OutOfRange { term: Term::ValidDays, most: 36_500 },
                TermFault::OutOfRange { term: Term::TotalQuantity, most },
            ]
        );
        assert_eq!(wrong.into_coupon(CouponId(1)), None);
        let nothing = CouponDraft { value: Some(Money::ZERO), ..CouponDraft::default() };
        assert_eq!(nothing.faults(), [TermFault::NotPositive(Term::Value)]);
        let large = CouponDraft { kind: Some(DiscountKind::Fixed), value: Some(money(i64::MAX)), ..draft() };
        assert_eq!(large.faults(), []);
    }

    #[test]
    fn a_change_keeps_what_it_does_not_name() {
        let before = issued(3);
        let change = CouponDraft { total_quantity: Some(3), valid_days: Some(Some(7)), ..Default::default() };
        let after = before.changed(change).unwrap();
        let expected = Coupon { total_quantity: 3, valid_days: Some(7), version: 2, ..before.clone() };
        assert_eq!(after, expected);
        let none = CouponDraft { valid_days: Some(None), ..Default::default() };
        assert_eq!(after.changed(none).unwrap().valid_days, None);
        assert_eq!(before.changed(CouponDraft::default()).unwrap(), before);
        assert_eq!(before.changed(draft()).unwrap(), before, "and what it names again is no change");
    }

    #[test]
    fn once_one_was_issued_some_terms_are_settled() {
        let change = CouponDraft {
            code: Some("OTHER".parse().unwrap()),
            kind: Some(DiscountKind::Fixed),
            value: Some(money(5_00)),
            total_quantity: Some(2),
            ..Default::default()
        };
        let settled = vec![
            SettledTerm::Code,
            SettledTerm::Kind,
            SettledTerm::Value,
            SettledTerm::Quantity { issued: 3 },
        ];
        assert_eq!(issued(3).changed(change.clone()), Err(ChangeRefusal::Settled(settled)));
        let changed = issued(0).changed(change).unwrap();
        assert_eq!((changed.code.as_str(), changed.discount), ("OTHER", Discount::Fixed(money(5_00))));
    }

    #[test]
    fn a_change_goes_together_with_what_there_is() {
        let refused = |change| issued(0).changed(change).unwrap_err();
        let late = CouponDraft { claim_starts_at: Some(day(2)), ..Default::default() };
        let fault = TermFault::NotAfterStart(Term::ClaimEndsAt);
        assert_eq!(refused(late), ChangeRefusal::Faults(vec![fault]));
        let large = CouponDraft { value: Some(money(101_00)), ..Default::default() };
        assert_eq!(refused(large), ChangeRefusal::Faults(vec![TermFault::MoreThanAll]));
    }

    #[test]
    fn a_retired_coupon_cannot_be_claimed_nor_changed() {
        use super::super::{ClaimRefusal, OfferStatus};
        let noon = day(1) + TimeDelta::hours(12);
        let retired = issued(3).retired(noon).unwrap();
        assert_eq!((retired.version, retired.retired_at), (2, Some(noon)));
        assert_eq!(retired.check_window(noon), Err(ClaimRefusal::Ended(noon)));
        assert_eq!(retired.offer_status(noon), OfferStatus::Ended);
        assert_eq!(retired.retired(noon), Err(CouponRetired));
        assert_eq!(retired.changed(CouponDraft::default()), Err(CouponRetired.into()));
        let before_it_began = issued(0).retired(day(0)).unwrap();
        assert_eq!(before_it_began.check_window(day(0)), Err(ClaimRefusal::Ended(day(0))));
        let when_it_was_over = issued(0).retired(day(9)).unwrap();
        assert_eq!(when_it_was_over.check_window(day(9)), Err(ClaimRefusal::Ended(day(2))));
    }
}
