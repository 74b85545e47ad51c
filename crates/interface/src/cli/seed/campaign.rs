//! Coupons as the command line describes them: `FLASH:FIXED:5000:1000,starts=+1h,ends=+2h`.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, SubsecRound, TimeDelta, Utc};
use jangteo_application::seeding::SeedCoupon;
use jangteo_domain::Money;
use jangteo_domain::coupon::{CouponCodeError, CouponDraft, CouponName, Discount};
use rust_decimal::Decimal;

use crate::cli::demo::coupon;

const KEYS: [&str; 7] = ["starts", "ends", "until", "days", "min", "max", "name"];

const MOST_COUPONS: i64 = CouponDraft::MAX_QUANTITY;
const LONGEST_NAME: usize = CouponName::LONGEST;

/// Reads a coupon; times may count from now.
pub(super) fn parse(text: &str, now: DateTime<Utc>) -> Result<SeedCoupon, String> {
    let (coupon, terms) = match text.split_once(',') {
        Some((coupon, terms)) => (coupon, Terms::parse(terms)?),
        None => (text, Terms::default()),
    };
    let coupon = plain(coupon, now)?;
    let claim_starts_at = terms.read("starts", |text| moment(text, now))?.unwrap_or(coupon.claim_starts_at);
    let a_year_later = coupon.claim_ends_at.max((claim_starts_at + TimeDelta::days(365)).min(latest()));
    let coupon = SeedCoupon {
        claim_starts_at,
        claim_ends_at: terms.read("ends", |text| moment(text, now))?.unwrap_or(a_year_later),
        valid_until: terms.read("until", |text| moment(text, now))?,
        valid_days: terms.read("days", days)?,
        min_order_amount: terms.read("min", minimum)?.unwrap_or(coupon.min_order_amount),
        max_discount: terms.read("max", amount)?,
        name: terms.read("name", name)?.unwrap_or(coupon.name),
        ..coupon
    };
    check_times(&coupon)?;
    Ok(coupon)
}

/// `CODE:PERCENT:10:QTY` or `CODE:FIXED:5000:QTY`.
fn plain(text: &str, now: DateTime<Utc>) -> Result<SeedCoupon, String> {
    let [code, kind, value, quantity] = text.split(':').collect::<Vec<_>>()[..] else {
        return Err("must be CODE:PERCENT:10:QTY or CODE:FIXED:5000:QTY, then perhaps ,KEY=VALUE".to_owned());
    };
    let code = code.parse().map_err(|error: CouponCodeError| error.to_string())?;
    let discount = match kind {
        "PERCENT" => Discount::Percent(percentage(value)?),
        "FIXED" => Discount::Fixed(amount(value)?),
        _ => return Err("the type must be PERCENT or FIXED".to_owned()),
    };
    let quantity = quantity.parse().ok().filter(|quantity| (1..=MOST_COUPONS).contains(quantity));
    let quantity =
        quantity.ok_or_else(|| format!("the quantity must be a whole number from 1 to {MOST_COUPONS}"))?;
    Ok(coupon(code, discount, quantity, now))
}

/// What follows the coupon, each key once.
#[derive(Default)]
struct Terms<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Terms<'a> {
    fn parse(text: &'a str) -> Result<Self, String> {
        let mut terms = BTreeMap::new();
        for term in text.split(',') {
            let (key, value) = term
                .split_once('=')
                .ok_or_else(|| format!("`{term}` must be KEY=VALUE (no value has a comma)"))?;
            let (key, value) = (key.trim(), value.trim());
            if !KEYS.contains(&key) {
                return Err(format!("there is no `{key}`; there are {}", KEYS.join(", ")));
            }
            if terms.insert(key, value).is_some() {
                return Err(format!("`{key}` is given twice"));
            }
        }
        Ok(Self(terms))
    }

    /// The value of a key; who reads it need not name it in what is wrong.
    fn read<T>(&self, key: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Result<Option<T>, String> {
        let parse = |text: &&str| parse(text).map_err(|fault| format!("{key}={text}: {fault}"));
        self.0.get(key).map(parse).transpose()
    }
}

/// A moment as in RFC 3339, or `+1h`: after now, or before with a minus.
fn moment(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, String> {
    let moment = match text.split_at_checked(1) {
        Some(("+", span)) => now.checked_add_signed(length(span)?),
        Some(("-", span)) => now.checked_sub_signed(length(span)?),
        Some(_) | None => Some(absolute(text)?),
    };
    let moment = moment.filter(|moment| (DateTime::UNIX_EPOCH..=latest()).contains(moment));
    // Finer than what databases keep, two moments would differ here and not there.
    moment.map(|moment| moment.trunc_subsecs(6)).ok_or_else(|| "a time is from 1970 to 9999".to_owned())
}

fn absolute(text: &str) -> Result<DateTime<Utc>, String> {
    let moment = DateTime::parse_from_rfc3339(text).map(|moment| moment.to_utc());
    moment.map_err(|_| "a time is as 2026-12-01T00:00:00Z, or as +1h or -5m from now".to_owned())
}

/// The last second of 9999, beyond which databases have no dates.
fn latest() -> DateTime<Utc> {
    DateTime::from_timestamp(253_402_300_799, 0).expect("a date")
}

/// Seconds, minutes, hours or days.
fn length(text: &str) -> Result<TimeDelta, String> {
    let units = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)];
    let known = units.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, *seconds)));
    let known = known.and_then(|(number, seconds)| Some(TimeDelta::seconds(whole(number)? * seconds)));
    known.ok_or_else(|| "a time from now is a whole number and s, m, h or d, such as +1h or -5m".to_owned())
}

/// A number in digits, without a sign, short enough to count with.
fn whole(text: &str) -> Option<i64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse::<u32>().ok().filter(|_| digits).map(i64::from)
}

fn days(text: &str) -> Result<u32, String> {
    let days = text.parse().ok().filter(|days| (1..=SeedCoupon::MAX_VALID_DAYS).contains(days));
    days.ok_or_else(|| format!("days are a whole number from 1 to {}", SeedCoupon::MAX_VALID_DAYS))
}

fn percentage(text: &str) -> Result<Decimal, String> {
    let percent = Decimal::from_str_exact(text).ok().filter(|percent| {
        *percent > Decimal::ZERO && *percent <= Decimal::ONE_HUNDRED && percent.scale() <= 2
    });
    percent.ok_or_else(|| "a percentage is above 0, at most 100, and has at most two decimals".to_owned())
}

fn amount(text: &str) -> Result<Money, String> {
    let amount = text.parse().ok().filter(|amount| *amount > Money::ZERO);
    amount.ok_or_else(|| "an amount is above 0 and has at most two decimals".to_owned())
}

fn minimum(text: &str) -> Result<Money, String> {
    let amount = text.parse().ok().filter(|amount| *amount >= Money::ZERO);
    amount.ok_or_else(|| "the least total is 0 or more and has at most two decimals".to_owned())
}

fn name(text: &str) -> Result<String, String> {
    let known = (1..=LONGEST_NAME).contains(&text.chars().count()) && !text.contains(char::is_control);
    match known {
        true => Ok(text.to_owned()),
        false => Err(format!("a name has 1 to {LONGEST_NAME} characters")),
    }
}

/// The window has a length, and whoever claims first can use what they got.
fn check_times(coupon: &SeedCoupon) -> Result<(), String> {
    let shown = |moment: DateTime<Utc>| moment.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    let (starts, ends) = (coupon.claim_starts_at, coupon.claim_ends_at);
    if ends <= starts {
        let (starts, ends) = (shown(starts), shown(ends));
        return Err(format!("the claim window ends before it begins: starts={starts}, ends={ends}"));
    }
    match coupon.valid_until {
        Some(until) if until <= starts => {
            let (starts, until) = (shown(starts), shown(until));
            Err(format!("nobody could use it: it can be claimed from {starts} and used until {until}"))
        }
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        at("2026-11-21T12:00:00Z")
    }

    fn at(text: &str) -> DateTime<Utc> {
        absolute(text).unwrap()
    }

    fn read(text: &str) -> SeedCoupon {
        parse(text, now()).unwrap_or_else(|fault| panic!("{text}: {fault}"))
    }

    #[track_caller]
    fn assert_refused(text: &str, part: &str) {
        let fault = parse(text, now()).map(|coupon| format!("{coupon:?}")).expect_err(text);
        assert!(fault.contains(part), "{text}: {fault}");
    }

    #[test]
    fn a_coupon_has_a_code_a_discount_and_a_quantity() {
        let coupon = read("welcome10:PERCENT:12.5:1000");
        assert_eq!((coupon.code.as_str(), coupon.name.as_str()), ("WELCOME10", "WELCOME10"));
        assert_eq!(coupon.discount, Discount::Percent(Decimal::new(125, 1)));
        assert_eq!((coupon.total_quantity, coupon.min_order_amount), (1000, Money::ZERO));
        let window = (coupon.claim_starts_at, coupon.claim_ends_at);
        assert_eq!(window, (now() - TimeDelta::days(1), now() + TimeDelta::days(365)));
        assert_eq!((coupon.max_discount, coupon.valid_until, coupon.valid_days), (None, None, None));
        assert_eq!(read("X:FIXED:5000.50:1").discount, Discount::Fixed(Money::from_minor(500_050)));
    }

    #[test]
    fn terms_follow_in_any_order() {
        let coupon = read(
            "FLASH:FIXED:5000:1000,until=2026-12-31T23:59:59Z,starts=2026-12-01T09:00:00+09:00, \
             ends=2026-12-02T00:00:00Z,name=Black Friday: 5,000"
                .replace("5,000", "5000")
                .as_str(),
        );
        let window = (coupon.claim_starts_at, coupon.claim_ends_at);
        assert_eq!(window, (at("2026-12-01T00:00:00Z"), at("2026-12-02T00:00:00Z")));
        assert_eq!(coupon.valid_until, Some(at("2026-12-31T23:59:59Z")));
        assert_eq!(coupon.name, "Black Friday: 5000");
        let coupon = read("FLASH:PERCENT:10:1,min=20000,max=10000.50,days=30");
        assert_eq!(coupon.min_order_amount, Money::from_minor(2_000_000));
        assert_eq!(coupon.max_discount, Some(Money::from_minor(1_000_050)));
        assert_eq!(coupon.valid_days, Some(30));
    }

    #[test]
    fn times_may_count_from_now() {
        let window = |terms: &str| {
            let coupon = read(&format!("X:FIXED:1:1,{terms}"));
            (coupon.claim_starts_at - now(), coupon.claim_ends_at - now())
        };
        let minutes = TimeDelta::minutes;
        assert_eq!(window("starts=+1h,ends=+7d"), (minutes(60), TimeDelta::days(7)));
        assert_eq!(window("starts=-5m,ends=-90s"), (minutes(-5), TimeDelta::seconds(-90)));
        assert_eq!(window("starts=+0s").0, TimeDelta::zero());
        // The window is a year long at least, unless it is said how long.
        assert_eq!(window("starts=+400d").1, TimeDelta::days(765));
        assert_eq!(window("starts=-400d").1, TimeDelta::days(365));
    }

    #[test]
    fn what_cannot_be_is_refused_with_the_reason() {
        for (coupon, part) in [
            ("", "must be CODE:PERCENT:10:QTY"),
            ("X", "must be CODE:PERCENT:10:QTY"),
            ("X:FIXED:1:1:1", "must be CODE:PERCENT:10:QTY"),
            ("쿠폰:FIXED:1:1", "a coupon code has"),
            ("X:HALF:1:1", "PERCENT or FIXED"),
            ("X:PERCENT:0:1", "a percentage is"),
            ("X:PERCENT:100.01:1", "a percentage is"),
            ("X:PERCENT:0.001:1", "a percentage is"),
            ("X:FIXED:-1:1", "an amount is"),
            ("X:FIXED:0.001:1", "an amount is"),
            ("X:FIXED:1:0", "the quantity must be"),
            ("X:FIXED:1:1.5", "the quantity must be"),
            ("X:FIXED:1:1000000000001", "from 1 to 1000000000000"),
        ] {
            assert_refused(coupon, part);
        }
    }

    #[test]
    fn a_mistake_in_the_terms_is_named() {
        for (terms, part) in [
            ("", "`` must be KEY=VALUE"),
            ("days", "`days` must be KEY=VALUE"),
            ("name=Sale, today", "` today` must be KEY=VALUE (no value has a comma)"),
            ("start=+1h", "there is no `start`; there are starts, ends, until"),
            ("Days=1", "there is no `Days`"),
            ("days=1,days=1", "`days` is given twice"),
            ("days=0", "days=0: days are a whole number from 1 to 36500"),
            ("days=36501", "from 1 to 36500"),
            ("days=99999999999", "days=99999999999: days are"),
            ("days=1.5", "days are a whole number"),
            ("min=-1", "min=-1: the least total is 0 or more"),
            ("max=0", "max=0: an amount is above 0"),
            ("max=a lot", "an amount is above 0"),
            ("name=", "name=: a name has 1 to 100 characters"),
            ("name=a\tb", "a name has"),
            ("starts=tomorrow", "starts=tomorrow: a time is as 2026-12-01T00:00:00Z"),
            ("starts=2026-12-01", "a time is as"),
            ("ends=", "ends=: a time is as"),
            ("ends=+", "a whole number and s, m, h or d"),
            ("ends=+1w", "a whole number and s, m, h or d"),
            ("ends=++1d", "a whole number and s, m, h or d"),
            ("ends=+1일", "a whole number and s, m, h or d"),
            ("ends=+99999999999d", "a whole number and s, m, h or d"),
            ("ends=+4000000000d", "a time is from 1970 to 9999"),
            ("starts=-50000d", "a time is from 1970 to 9999"),
            ("until=1969-12-31T23:59:59Z", "a time is from 1970 to 9999"),
        ] {
            assert_refused(&format!("X:FIXED:1:1,{terms}"), part);
        }
        assert_refused(&format!("X:FIXED:1:1,name={}", "이".repeat(101)), "a name has 1 to 100");
        assert_eq!(read(&format!("X:FIXED:1:1,name={}", "이".repeat(100))).name.chars().count(), 100);
    }

    #[test]
    fn a_window_that_ends_before_it_begins_is_refused() {
        let ends_first = "the claim window ends before it begins: starts=2026-11-21T13:00:00Z, \
                          ends=2026-11-21T12:59:00Z";
        assert_refused("X:FIXED:1:1,starts=+1h,ends=+59m", ends_first);
        for terms in ["starts=+1h,ends=+1h", "ends=2020-01-01T00:00:00Z", "starts=9999-12-31T23:59:59Z"] {
            assert_refused(&format!("X:FIXED:1:1,{terms}"), "ends before it begins");
        }
        let finer = "starts=2026-12-01T00:00:00.0000001Z,ends=2026-12-01T00:00:00.0000002Z";
        assert_refused(&format!("X:FIXED:1:1,{finer}"), "ends before it begins");
        assert_refused("X:FIXED:1:1,starts=+2h,until=+2h", "nobody could use it");
    }
}
