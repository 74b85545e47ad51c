//! Prepaid wallets and the ledger behind them.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::{Money, MoneyError, OrderId, RepositoryError, UserId};

/// A customer's prepaid balance. It always equals the sum of the customer's ledger entries and is never
/// negative.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wallet {
    /// The owner.
    pub user: UserId,
    /// What can be spent.
    pub balance: Money,
}

/// What a shop allows for charging wallets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WalletPolicy {
    /// The least that can be charged at once.
    pub min_charge: Money,
    /// What no balance may pass by charging.
    pub max_balance: Money,
}

/// One movement of money in a wallet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerEntry {
    /// Whose wallet.
    pub user: UserId,
    /// Why money moved.
    pub kind: LedgerKind,
    /// Signed: what was added to the balance.
    pub amount: Money,
    /// The balance once it was added.
    pub balance_after: Money,
    /// The order that was paid or refunded.
    pub order: Option<OrderId>,
    /// Why an administrator corrected the balance.
    pub reason: Option<AdjustReason>,
    /// When.
    pub at: DateTime<Utc>,
}

/// Why an administrator corrects a balance, in their words: 1 to [`AdjustReason::LONGEST`] characters, without surrounding
/// white space and control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdjustReason(String);

/// A text that cannot be an [`AdjustReason`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a reason has 1 to {} characters and no line breaks", AdjustReason::LONGEST)]
pub struct AdjustReasonError;

impl AdjustReason {
    /// The most characters.
    pub const LONGEST: usize = 200;

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AdjustReason {
    type Err = AdjustReasonError;

    fn from_str(text: &str) -> Result<Self, AdjustReasonError> {
        let text = text.trim();
        let fits = (1..=Self::LONGEST).contains(&text.chars().count());
        match fits && !text.chars().any(char::is_control) {
            true => Ok(Self(text.to_owned())),
            false => Err(AdjustReasonError),
        }
    }
}

/// Why money moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LedgerKind {
    /// The customer charged the wallet.
    Charge,
    /// An order was paid.
    Use,
    /// A paid order was cancelled.
    Refund,
    /// An administrator corrected the balance.
    Adjust,
}

/// Why a wallet was not charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChargeRefusal {
    /// Less than [`WalletPolicy::min_charge`].
    #[error("the least that can be charged is {minimum}")]
    BelowMinimum {
        /// The least that can be charged.
        minimum: Money,
    },
    /// The balance would pass [`WalletPolicy::max_balance`].
    #[error("the balance {balance} would pass {maximum}")]
    LimitExceeded {
        /// The balance as it is.
        balance: Money,
        /// The most it may become.
        maximum: Money,
    },
}

/// Why a balance was not corrected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AdjustRefusal {
    /// Nothing was to be added or taken.
    #[error("nothing is to be added or taken")]
    Nothing,
    /// More was to be taken than there is.
    #[error(transparent)]
    Balance(#[from] InsufficientBalance),
    /// The balance would pass what can be counted.
    #[error("the balance would pass what can be counted")]
    TooLarge,
}

/// The balance does not cover an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{required} is needed and {available} is there")]
pub struct InsufficientBalance {
    /// What was to be paid.
    pub required: Money,
    /// The balance.
    pub available: Money,
}

impl Wallet {
    /// Adds money that the customer paid in.
    ///
    /// # Errors
    /// [`ChargeRefusal`]; the wallet is then unchanged.
    pub fn charge(
        &mut self,
        amount: Money,
        policy: WalletPolicy,
        now: DateTime<Utc>,
    ) -> Result<LedgerEntry, ChargeRefusal> {
        if amount < policy.min_charge {
            return Err(ChargeRefusal::BelowMinimum { minimum: policy.min_charge });
        }
        match self.balance.checked_add(amount) {
            Ok(balance) if balance <= policy.max_balance => {
                self.balance = balance;
                Ok(self.entry(LedgerKind::Charge, amount, None, now))
            }
            Ok(_) | Err(_) => {
                Err(ChargeRefusal::LimitExceeded { balance: self.balance, maximum: policy.max_balance })
            }
        }
    }

    /// Takes the price of an order out. An order that costs nothing leaves no ledger entry.
    ///
    /// # Errors
    /// [`InsufficientBalance`]; the wallet is then unchanged.
    pub fn debit(
        &mut self,
        amount: Money,
        order: OrderId,
        now: DateTime<Utc>,
    ) -> Result<Option<LedgerEntry>, InsufficientBalance> {
        self.covers(amount)?;
        if amount == Money::ZERO {
            return Ok(None);
        }
        let refused = InsufficientBalance { required: amount, available: self.balance };
        self.balance = self.balance.checked_sub(amount).map_err(|_| refused)?;
        let taken = Money::ZERO.checked_sub(amount).map_err(|_| refused)?;
        Ok(Some(self.entry(LedgerKind::Use, taken, Some(order), now)))
    }

    /// Gives back what was paid for an order, even above [`WalletPolicy::max_balance`]. An order that cost nothing leaves
    /// no ledger entry.
    ///
    /// # Errors
    /// [`MoneyError::TooLarge`] when the balance would pass what can be counted; the wallet is then unchanged.
    pub fn refund(
        &mut self,
        amount: Money,
        order: OrderId,
        now: DateTime<Utc>,
    ) -> Result<Option<LedgerEntry>, MoneyError> {
        self.balance = self.balance.checked_add(amount)?;
        let refunded = amount != Money::ZERO;
        Ok(refunded.then(|| self.entry(LedgerKind::Refund, amount, Some(order), now)))
    }

    /// Adds what an administrator says, even above [`WalletPolicy::max_balance`], or takes it, down to zero.
    ///
    /// # Errors
    /// [`AdjustRefusal`]; the wallet is then unchanged.
    pub fn adjust(
        &mut self,
        amount: Money,
        reason: AdjustReason,
        now: DateTime<Utc>,
    ) -> Result<LedgerEntry, AdjustRefusal> {
        if amount == Money::ZERO {
            return Err(AdjustRefusal::Nothing);
        }
        if amount < Money::ZERO {
            self.covers(Money::ZERO.checked_sub(amount).map_err(|_| AdjustRefusal::TooLarge)?)?;
        }
        self.balance = self.balance.checked_add(amount).map_err(|_| AdjustRefusal::TooLarge)?;
        let entry = self.entry(LedgerKind::Adjust, amount, None, now);
        Ok(LedgerEntry { reason: Some(reason), ..entry })
    }

    /// Whether the balance covers an amount.
    ///
    /// # Errors
    /// [`InsufficientBalance`] when it does not.
    pub fn covers(&self, amount: Money) -> Result<(), InsufficientBalance> {
        match amount <= self.balance {
            true => Ok(()),
            false => Err(InsufficientBalance { required: amount, available: self.balance }),
        }
    }

    fn entry(
        &self,
        kind: LedgerKind,
        amount: Money,
        order: Option<OrderId>,
        at: DateTime<Utc>,
    ) -> LedgerEntry {
        LedgerEntry { user: self.user, kind, amount, balance_after: self.balance, order, reason: None, at }
    }
}

/// Wallets as stored.
#[cfg_attr(feature = "mocks", mockall::automock)]
#[async_trait]
pub trait WalletRepository: Send {
    /// The wallets of these customers, locked until the unit of work ends.
    ///
    /// MUST lock rows in ascending id order; absent customers, and those who left, are omitted.
    async fn lock_many(
        &mut self,
        users: &BTreeSet<UserId>,
    ) -> Result<BTreeMap<UserId, Wallet>, RepositoryError>;

    /// Appends the entries to the ledger, in order, and moves each balance by the sum of its entries.
    ///
    /// MUST fail with [`RepositoryError::Conflict`] rather than let a balance become negative.
    async fn post(&mut self, entries: &[LedgerEntry]) -> Result<(), RepositoryError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> WalletPolicy {
        WalletPolicy { min_charge: Money::from_minor(100), max_balance: Money::from_minor(1_000_00) }
    }

    fn wallet(minor: i64) -> Wallet {
        Wallet { user: UserId(1), balance: Money::from_minor(minor) }
    }

    #[test]
    fn charging_adds_up_to_the_cap_and_not_beyond() {
        let mut wallet = wallet(900_00);
        let entry = wallet.charge(Money::from_minor(100_00), policy(), DateTime::UNIX_EPOCH).unwrap();
        assert_eq!(
            (wallet.balance, entry.balance_after),
            (Money::from_minor(1_000_00), Money::from_minor(1_000_00))
        );
        let refused = wallet.charge(Money::from_minor(1_00), policy(), DateTime::UNIX_EPOCH).unwrap_err();
        assert_eq!(
            refused,
            ChargeRefusal::LimitExceeded { balance: wallet.balance, maximum: policy().max_balance }
        );
    }

    #[test]
    fn charging_below_the_minimum_changes_nothing() {
        let mut wallet = wallet(0);
        assert!(wallet.charge(Money::from_minor(99), policy(), DateTime::UNIX_EPOCH).is_err());
        assert_eq!(wallet.balance, Money::ZERO);
        assert!(wallet.charge(Money::from_minor(i64::MAX), policy(), DateTime::UNIX_EPOCH).is_err());
    }

    #[test]
    fn a_refund_may_pass_the_cap() {
        let mut wallet = wallet(1_000_00);
        let refund = |wallet: &mut Wallet, minor| {
            wallet.refund(Money::from_minor(minor), OrderId(1), DateTime::UNIX_EPOCH)
        };
        let entry = refund(&mut wallet, 10_00).unwrap().unwrap();
        assert_eq!((entry.kind, entry.amount), (LedgerKind::Refund, Money::from_minor(10_00)));
        assert_eq!((wallet.balance, entry.balance_after), (Money::from_minor(1_010_00), wallet.balance));
        assert_eq!(refund(&mut wallet, 0), Ok(None));
        assert_eq!(refund(&mut wallet, i64::MAX), Err(MoneyError::TooLarge));
        assert_eq!(wallet.balance, Money::from_minor(1_010_00));
    }

    #[test]
    fn an_adjustment_may_pass_the_cap_and_never_overdraws() {
        let mut wallet = wallet(1_000_00);
        let adjust = |wallet: &mut Wallet, minor| {
            wallet.adjust(Money::from_minor(minor), "a goodwill".parse().unwrap(), DateTime::UNIX_EPOCH)
        };
        let entry = adjust(&mut wallet, 5_00).unwrap();
        assert_eq!((entry.kind, entry.amount), (LedgerKind::Adjust, Money::from_minor(5_00)));
        assert_eq!((entry.balance_after, entry.order), (Money::from_minor(1_005_00), None));
        assert_eq!(entry.reason.as_ref().map(AdjustReason::as_str), Some("a goodwill"));
        let short = InsufficientBalance {
            required: Money::from_minor(1_005_01),
            available: Money::from_minor(1_005_00),
        };
        assert_eq!(adjust(&mut wallet, -1_005_01), Err(short.into()));
        assert_eq!(adjust(&mut wallet, 0), Err(AdjustRefusal::Nothing));
        assert_eq!(adjust(&mut wallet, i64::MAX), Err(AdjustRefusal::TooLarge));
        assert!(adjust(&mut wallet, i64::MIN).is_err());
        assert_eq!(wallet.balance, Money::from_minor(1_005_00));
        assert_eq!(adjust(&mut wallet, -1_005_00).unwrap().balance_after, Money::ZERO);
    }

    #[test]
    fn a_reason_is_a_line() {
        assert_eq!(" 보상 ".parse::<AdjustReason>().unwrap().as_str(), "보상");
        for text in ["", "  ", "two\nlines", "\u{0}", &"x".repeat(201)] {
            assert_eq!(text.parse::<AdjustReason>(), Err(AdjustReasonError), "{text:?}");
        }
        assert!("가".repeat(200).parse::<AdjustReason>().is_ok());
    }

    #[test]
    fn a_debit_never_overdraws() {
        let mut wallet = wallet(10_00);
        assert!(wallet.debit(Money::from_minor(10_01), OrderId(1), DateTime::UNIX_EPOCH).is_err());
        let entry =
            wallet.debit(Money::from_minor(10_00), OrderId(1), DateTime::UNIX_EPOCH).unwrap().unwrap();
        assert_eq!((wallet.balance, entry.amount), (Money::ZERO, Money::from_minor(-10_00)));
    }
}
