//! How a coupon is on offer.

use chrono::{DateTime, Utc};

use super::Coupon;

/// Whether a coupon can be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OfferStatus {
    /// The claim window opens later.
    Upcoming,
    /// It can be claimed.
    Open,
    /// The claim window is open, and all were issued.
    SoldOut,
    /// The claim window is closed.
    Ended,
}

impl Coupon {
    /// How many can still be issued.
    #[must_use]
    pub fn remaining(&self) -> i64 {
        self.total_quantity - self.issued_quantity
    }

    /// Whether it can be claimed now.
    #[must_use]
    pub fn offer_status(&self, now: DateTime<Utc>) -> OfferStatus {
        let window = self.claim_window();
        if now >= window.end {
            OfferStatus::Ended
        } else if now < window.start {
            OfferStatus::Upcoming
        } else if self.remaining() <= 0 {
            OfferStatus::SoldOut
        } else {
            OfferStatus::Open
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::coupon::Discount;
    use crate::{CouponId, Money};

    fn day(days: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(days)
    }

    /// Two of it, to be claimed from day 1 and before day 2.
    fn issued(issued_quantity: i64) -> Coupon {
        Coupon {
            id: CouponId(1),
            code: "FLASH".parse().unwrap(),
            name: String::new(),
            discount: Discount::Fixed(Money::from_minor(1_00)),
            min_order_amount: Money::ZERO,
            max_discount: None,
            claim_starts_at: day(1),
            claim_ends_at: day(2),
            valid_until: None,
            valid_days: None,
            total_quantity: 2,
            issued_quantity,
            next_ticket: issued_quantity + 1,
            retired_at: None,
            version: 1,
        }
    }

    #[test]
    fn it_is_open_inside_its_window_while_there_are_some() {
        let instant = TimeDelta::microseconds(1);
        for (at, of_none, of_all) in [
            (day(1) - instant, OfferStatus::Upcoming, OfferStatus::Upcoming),
            (day(1), OfferStatus::Open, OfferStatus::SoldOut),
            (day(2) - instant, OfferStatus::Open, OfferStatus::SoldOut),
            (day(2), OfferStatus::Ended, OfferStatus::Ended),
        ] {
            assert_eq!((issued(0).offer_status(at), issued(2).offer_status(at)), (of_none, of_all), "{at}");
            let claimable = issued(0).check_window(at).is_ok();
            assert_eq!(issued(0).offer_status(at) == OfferStatus::Open, claimable, "{at}");
        }
        assert_eq!((issued(0).remaining(), issued(1).remaining(), issued(2).remaining()), (2, 1, 0));
    }
}
