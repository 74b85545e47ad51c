//! Exact amounts of money.

use std::fmt;
use std::str::FromStr;

use rust_decimal::{Decimal, RoundingStrategy};

use crate::Quantity;

/// An amount of money with exactly two decimals.
///
/// Arithmetic is checked and never rounds; the one rounding rule of the shop (a percentage, always
/// down) is [`Money::percent`]. The range is that of 64-bit minor units, so that every value can be
/// stored as one integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Money(Decimal);

/// Why a number is not an amount of money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not a decimal number.
    #[error("not a decimal number")]
    NotANumber,
    /// More than two decimals.
    #[error("more than two decimals")]
    TooPrecise,
    /// Beyond 64-bit minor units.
    #[error("amount too large")]
    TooLarge,
}

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(Decimal::ZERO);

    /// An amount from minor units: `1990000` is `19900.00`.
    #[must_use]
    pub fn from_minor(minor: i64) -> Self {
        Self(Decimal::new(minor, 2))
    }

    /// The amount in minor units: `19900.00` is `1990000`.
    #[must_use]
    pub fn minor(self) -> i64 {
        let mut scaled = self.0;
        scaled.rescale(2);
        i64::try_from(scaled.mantissa()).expect("every constructor keeps amounts within 64-bit minor units")
    }

    /// The amount as a decimal number.
    #[must_use]
    pub fn as_decimal(self) -> Decimal {
        self.0
    }

    /// Whether the amount is below zero.
    #[must_use]
    pub fn is_negative(self) -> bool {
        self < Self::ZERO
    }

    /// The sum.
    ///
    /// # Errors
    /// [`MoneyError::TooLarge`] beyond 64-bit minor units.
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        self.0.checked_add(other.0).ok_or(MoneyError::TooLarge).and_then(Self::try_from)
    }

    /// The difference; it may be negative.
    ///
    /// # Errors
    /// [`MoneyError::TooLarge`] beyond 64-bit minor units.
    pub fn checked_sub(self, other: Self) -> Result<Self, MoneyError> {
        self.0.checked_sub(other.0).ok_or(MoneyError::TooLarge).and_then(Self::try_from)
    }

    /// The price of `quantity` pieces.
    ///
    /// # Errors
    /// [`MoneyError::TooLarge`] beyond 64-bit minor units.
    pub fn checked_mul(self, quantity: Quantity) -> Result<Self, MoneyError> {
        self.0.checked_mul(Decimal::from(quantity.get())).ok_or(MoneyError::TooLarge).and_then(Self::try_from)
    }

    /// `percent` of the amount, rounded down to 0.01. `percent` is between 0 and 100.
    #[must_use]
    pub fn percent(self, percent: Decimal) -> Self {
        let share = self.0 * (percent / Decimal::ONE_HUNDRED);
        Self(share.round_dp_with_strategy(2, RoundingStrategy::ToZero))
    }
}

impl TryFrom<Decimal> for Money {
    type Error = MoneyError;

    fn try_from(value: Decimal) -> Result<Self, MoneyError> {
        if value.scale() > 2 {
            return Err(MoneyError::TooPrecise);
        }
        let mut scaled = value;
        scaled.rescale(2);
        match scaled.scale() == 2 && i64::try_from(scaled.mantissa()).is_ok() {
            true => Ok(Self(scaled)),
            false => Err(MoneyError::TooLarge),
        }
    }
}

impl FromStr for Money {
    type Err = MoneyError;

    /// Reads plain (`19900.00`) and scientific (`1.99e4`) notation, exactly.
    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let Ok(exponent) = exponent.parse::<i32>() else { return Err(MoneyError::NotANumber) };
        if !digits(whole) || !digits(fraction) {
            return Err(MoneyError::NotANumber);
        }
        let parsed = match exponent {
            0 if fraction.len() > 2 => return Err(MoneyError::TooPrecise),
            0 => Decimal::from_str_exact(text),
            _ => Decimal::from_scientific(text).map(|value| value.normalize()),
        };
        match parsed {
            Ok(value) => Self::try_from(value),
            Err(_) if exponent < 0 => Err(MoneyError::TooPrecise),
            Err(_) => Err(MoneyError::TooLarge),
        }
    }
}

impl fmt::Display for Money {
    /// Always with two decimals: `19900.00`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(text: &str) -> Money {
        text.parse().expect("an amount")
    }

    #[test]
    fn reads_and_shows_two_decimals() {
        for (text, shown) in
            [("19900", "19900.00"), ("0.5", "0.50"), ("-3.10", "-3.10"), ("1.99e4", "19900.00")]
        {
            assert_eq!(money(text).to_string(), shown);
        }
    }

    #[test]
    fn refuses_what_is_not_an_amount() {
        for (text, error) in [
            ("1.001", MoneyError::TooPrecise),
            ("1.000", MoneyError::TooPrecise),
            ("1e-3", MoneyError::TooPrecise),
            ("NaN", MoneyError::NotANumber),
            ("Infinity", MoneyError::NotANumber),
            ("", MoneyError::NotANumber),
            ("abc", MoneyError::NotANumber),
            ("92233720368547758.08", MoneyError::TooLarge),
            ("99999999999999999999999999999999", MoneyError::TooLarge),
        ] {
            assert_eq!(text.parse::<Money>(), Err(error), "{text}");
        }
    }

    #[test]
    fn minor_units_round_trip_to_the_limits() {
        for minor in [i64::MIN, -1, 0, 1, 1_990_000, i64::MAX] {
            assert_eq!(Money::from_minor(minor).minor(), minor);
        }
    }

    #[test]
    fn overflow_is_an_error() {
        let most = Money::from_minor(i64::MAX);
        assert_eq!(most.checked_add(Money::from_minor(1)), Err(MoneyError::TooLarge));
        assert_eq!(most.checked_mul(Quantity::new(2).unwrap()), Err(MoneyError::TooLarge));
    }

    #[test]
    fn a_percentage_is_rounded_down() {
        assert_eq!(money("0.99").percent(Decimal::TEN), money("0.09"));
        assert_eq!(money("59700").percent(Decimal::TEN), money("5970"));
        assert_eq!(money("100").percent(Decimal::new(3333, 2)), money("33.33"));
    }
}
