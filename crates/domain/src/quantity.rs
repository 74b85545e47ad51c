//! Numbers of pieces.

use std::fmt;

/// A number of pieces in an order: at least 1, at most [`Quantity::MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantity(u32);

/// A number of pieces outside 1..=[`Quantity::MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a quantity is between 1 and {}", Quantity::MAX)]
pub struct QuantityError;

impl Quantity {
    /// The most pieces that one line of an order can ask for.
    pub const MAX: u32 = 1_000_000;

    /// Checks the range.
    ///
    /// # Errors
    /// [`QuantityError`] outside 1..=[`Quantity::MAX`].
    pub fn new(pieces: i64) -> Result<Self, QuantityError> {
        match u32::try_from(pieces) {
            Ok(pieces @ 1..=Self::MAX) => Ok(Self(pieces)),
            _ => Err(QuantityError),
        }
    }

    /// The number of pieces.
    #[must_use]
    pub fn get(self) -> i64 {
        i64::from(self.0)
    }

    /// Both together.
    ///
    /// # Errors
    /// [`QuantityError`] above [`Quantity::MAX`].
    pub fn checked_add(self, other: Self) -> Result<Self, QuantityError> {
        Self::new(self.get() + other.get())
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
