//! All orders, as those who run the shop look through them, and what they came to.

use std::ops::RangeInclusive;

use async_trait::async_trait;
use chrono::{DateTime, FixedOffset, TimeDelta, Utc};
use jangteo_domain::order::OrderStatus;
use jangteo_domain::{Money, MoneyError, Order, RepositoryError, UserId};

use crate::exports::Span;
use crate::outbox_queries::Period;
use crate::queries::{Page, PageRequest};

/// Which orders to look through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OrderSearch {
    /// When they were placed.
    pub placed: Span,
    /// Where they stand.
    pub status: Option<OrderStatus>,
    /// Whose they are.
    pub user: Option<UserId>,
}

/// How long the periods of a summary are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SalesStep {
    /// An hour each.
    Hour,
    /// A day each.
    Day,
}

/// Which sales to sum up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SalesQuestion {
    /// The whole time.
    pub period: Period,
    /// How long each period is.
    pub step: SalesStep,
    /// Where the clock is by which days begin.
    pub zone: FixedOffset,
}

impl SalesQuestion {
    /// How many seconds a period has.
    #[must_use]
    pub fn seconds(&self) -> i64 {
        match self.step {
            SalesStep::Hour => 3600,
            SalesStep::Day => 24 * 3600,
        }
    }

    /// The numbers of the periods that are asked for, counted from 1970 by the clock of the zone.
    #[must_use]
    pub fn numbers(&self) -> RangeInclusive<i64> {
        let number = |at: DateTime<Utc>| self.local_seconds(at).div_euclid(self.seconds());
        number(self.period.from)..=number(self.period.to - TimeDelta::seconds(1))
    }

    /// When a period begins, whether or not all of it is asked for.
    #[must_use]
    pub fn beginning(&self, number: i64) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp(number * self.seconds() - i64::from(self.zone.local_minus_utc()), 0)
    }

    fn local_seconds(&self, at: DateTime<Utc>) -> i64 {
        at.timestamp() + i64::from(self.zone.local_minus_utc())
    }
}

/// What was sold, and what was taken back, in some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SalesFigures {
    /// Orders that were paid in it.
    pub orders_paid: u64,
    /// Their totals.
    pub gross: Money,
    /// What coupons took off them.
    pub discount: Money,
    /// What was paid for them.
    pub revenue: Money,
    /// Paid orders that were cancelled in it, whenever they were paid.
    pub orders_cancelled: u64,
    /// What was refunded for them.
    pub refunded: Money,
}

impl Default for SalesFigures {
    fn default() -> Self {
        let (none, nothing) = (0, Money::ZERO);
        Self {
            orders_paid: none,
            gross: nothing,
            discount: nothing,
            revenue: nothing,
            orders_cancelled: none,
            refunded: nothing,
        }
    }
}

impl SalesFigures {
    /// Both together.
    ///
    /// # Errors
    /// [`MoneyError::TooLarge`] when a sum is more than can be counted.
    pub fn plus(self, other: &Self) -> Result<Self, MoneyError> {
        Ok(Self {
            orders_paid: self.orders_paid + other.orders_paid,
            gross: self.gross.checked_add(other.gross)?,
            discount: self.discount.checked_add(other.discount)?,
            revenue: self.revenue.checked_add(other.revenue)?,
            orders_cancelled: self.orders_cancelled + other.orders_cancelled,
            refunded: self.refunded.checked_add(other.refunded)?,
        })
    }
}

/// The sales of one period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SalesOfPeriod {
    /// When it began.
    pub from: DateTime<Utc>,
    /// What was sold in it, as far as it is in the time that was asked for.
    pub figures: SalesFigures,
}

/// What those who run the shop read of its orders.
#[async_trait]
pub trait OrderBook: Send + Sync {
    /// Orders, the latest first. The total stops at [`MOST_COUNTED`](crate::outbox_queries::MOST_COUNTED).
    async fn orders(&self, search: OrderSearch, page: PageRequest) -> Result<Page<Order>, RepositoryError>;

    /// Sales by periods, all of them as of one moment. Those without any are there as well.
    async fn sales(&self, question: SalesQuestion) -> Result<Vec<SalesOfPeriod>, RepositoryError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn beginnings(from: &str, to: &str, step: SalesStep, zone: &str) -> Vec<String> {
        let period = Period { from: moment(from), to: moment(to) };
        let question = SalesQuestion { period, step, zone: zone.parse().unwrap() };
        let beginnings = question.numbers().map(|number| question.beginning(number).unwrap());
        beginnings.map(|at| at.format("%dT%H:%M").to_string()).collect()
    }

    #[test]
    fn days_begin_by_the_clock_of_the_zone() {
        let days = |from, to, zone| beginnings(from, to, SalesStep::Day, zone);
        let (noon, midnight) = ("2025-11-08T12:00:00Z", "2025-11-10T00:00:00Z");
        assert_eq!(days(noon, midnight, "+00:00"), ["08T00:00", "09T00:00"]);
        assert_eq!(days(noon, midnight, "+09:00"), ["07T15:00", "08T15:00", "09T15:00"]);
        assert_eq!(days(noon, midnight, "-03:30"), ["08T03:30", "09T03:30"]);
    }

    #[test]
    fn an_hour_may_begin_at_half_past() {
        let hours = |zone| beginnings("2025-11-08T12:00:00Z", "2025-11-08T13:00:00Z", SalesStep::Hour, zone);
        assert_eq!(hours("+09:00"), ["08T12:00"]);
        assert_eq!(hours("+05:30"), ["08T11:30", "08T12:30"]);
    }
}
