//! Correcting balances, which administrators do.

use async_trait::async_trait;
use jangteo_domain::wallet::{AdjustReason, AdjustRefusal, InsufficientBalance};
use jangteo_domain::{Money, RepositoryError, UserId, Wallet};
use serde::{Deserialize, Serialize};

use crate::idempotency::Fingerprint;
use crate::ids::Sequence;
use crate::operation::{Operation, Outcome, Work};
use crate::snapshot::{MoneyText, from_json, to_json};
use crate::trail::{Administrator, Subject, TrailEntry};

/// Adds money to wallets, or takes some, with a reason each, on the trail.
#[derive(Debug, Clone, Copy, Default)]
pub struct AdjustWallets;

/// Correct a balance.
#[derive(Debug, Clone)]
pub struct Adjust {
    /// Whose wallet.
    pub user: UserId,
    /// Signed: what to add.
    pub amount: Money,
    /// Why.
    pub reason: AdjustReason,
    /// Who says so.
    pub by: Administrator,
}

#[async_trait]
impl Operation for AdjustWallets {
    const NAME: &'static str = "adjust-wallet";
    const IDS: Option<Sequence> = None;

    type Command = Adjust;
    type Success = Wallet;
    type Refusal = AdjustRefusal;

    fn customer(adjust: &Adjust) -> Option<UserId> {
        Some(adjust.user)
    }

    /// An administrator's keys are not the customer's.
    fn key_scope(adjust: &Adjust) -> (Option<UserId>, &'static str) {
        (Some(adjust.by.user), Self::NAME)
    }

    fn fingerprint(adjust: &Adjust) -> Fingerprint {
        Fingerprint::of(&(adjust.user.0, adjust.amount.minor(), adjust.reason.as_str()))
    }

    async fn decide(
        &self,
        work: &mut Work<'_>,
        commands: &[&Adjust],
    ) -> Result<Vec<Outcome<Self>>, RepositoryError> {
        let (mut entries, mut trail) = (Vec::new(), Vec::new());
        let outcomes = commands
            .iter()
            .map(|command| {
                let wallet = work.wallets.get_mut(&command.user).expect("every customer has a wallet");
                let before = BalanceSnapshot::of(wallet, None);
                entries.push(wallet.adjust(command.amount, command.reason.clone(), work.now)?);
                let after = BalanceSnapshot::of(wallet, Some(&command.reason));
                let subject = (Subject::Wallet, command.user.0);
                let states = (Some(&before), Some(&after));
                trail.push(TrailEntry::new(&command.by, Self::NAME, subject, states, work.now));
                Ok(wallet.clone())
            })
            .collect();
        if !entries.is_empty() {
            work.uow.wallets().post(&entries).await?;
            work.uow.trail().append(&trail).await?;
        }
        Ok(outcomes)
    }

    fn record(outcome: &Outcome<Self>) -> Option<String> {
        let record = match outcome {
            Ok(wallet) => Record::Adjusted { user: wallet.user.0, balance: MoneyText(wallet.balance) },
            Err(AdjustRefusal::Nothing) => return None,
            Err(AdjustRefusal::Balance(short)) => Record::InsufficientBalance {
                required: MoneyText(short.required),
                available: MoneyText(short.available),
            },
            Err(AdjustRefusal::TooLarge) => Record::TooLarge,
        };
        Some(to_json(&record))
    }

    fn replay(record: &str) -> Result<Outcome<Self>, serde_json::Error> {
        Ok(match from_json(record)? {
            Record::Adjusted { user, balance } => Ok(Wallet { user: UserId(user), balance: balance.0 }),
            Record::InsufficientBalance { required, available } => {
                Err(InsufficientBalance { required: required.0, available: available.0 }.into())
            }
            Record::TooLarge => Err(AdjustRefusal::TooLarge),
        })
    }
}

/// A wallet on the trail.
#[derive(Serialize)]
struct BalanceSnapshot<'a> {
    balance: MoneyText,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

impl<'a> BalanceSnapshot<'a> {
    fn of(wallet: &Wallet, reason: Option<&'a AdjustReason>) -> Self {
        Self { balance: MoneyText(wallet.balance), reason: reason.map(AdjustReason::as_str) }
    }
}

/// How an outcome is written down.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Record {
    Adjusted { user: i64, balance: MoneyText },
    InsufficientBalance { required: MoneyText, available: MoneyText },
    TooLarge,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::*;
    use crate::mocks::{Counting, MockedUnitOfWork, Prepared, Stopped};
    use crate::operation::{Executor, Submission};

    fn adjust(minor: i64) -> Submission<Adjust> {
        let by = Administrator { user: UserId(900), trace_id: "0".repeat(32) };
        let reason = "a goodwill".parse().unwrap();
        let command = Adjust { user: UserId(1), amount: Money::from_minor(minor), reason, by };
        Submission { command, key: None }
    }

    #[tokio::test]
    async fn each_adjustment_of_a_batch_is_in_the_ledger_and_on_the_trail() {
        let mut uow = MockedUnitOfWork::default();
        let wallet = Wallet { user: UserId(1), balance: Money::from_minor(10_00) };
        uow.wallets.expect_lock_many().returning(move |_| Ok(BTreeMap::from([(UserId(1), wallet.clone())])));
        uow.wallets
            .expect_post()
            .times(1)
            .withf(|entries| entries.iter().map(|entry| entry.amount.minor()).eq([-10_00, 5]))
            .returning(|_| Ok(()));
        uow.trail
            .expect_append()
            .times(1)
            .withf(|trail| {
                let states = trail.iter().map(|entry| (entry.before.as_deref(), entry.after.as_deref()));
                states.eq([
                    (Some(r#"{"balance":"10.00"}"#), Some(r#"{"balance":"0.00","reason":"a goodwill"}"#)),
                    (Some(r#"{"balance":"0.00"}"#), Some(r#"{"balance":"0.05","reason":"a goodwill"}"#)),
                ])
            })
            .returning(|_| Ok(()));
        let (database, ids) = (Prepared::new([Ok(uow)]), Arc::new(Counting::default()));
        let executor = Executor::new(AdjustWallets, database, ids, Arc::new(Stopped));
        let submissions = [adjust(-10_00), adjust(-1), adjust(5)];
        let (replies, _) = executor.execute(&submissions.each_ref()).await.unwrap();
        let outcomes = replies.into_iter().map(|reply| reply.unwrap().outcome.map(|wallet| wallet.balance));
        let short = InsufficientBalance { required: Money::from_minor(1), available: Money::ZERO };
        assert!(outcomes.eq([Ok(Money::ZERO), Err(short.into()), Ok(Money::from_minor(5))]));
    }
}
