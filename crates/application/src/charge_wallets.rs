//! Charging wallets.

use async_trait::async_trait;
use jangteo_domain::wallet::{ChargeRefusal, WalletPolicy};
use jangteo_domain::{Money, RepositoryError, UserId, Wallet};
use serde::{Deserialize, Serialize};

use crate::idempotency::Fingerprint;
use crate::ids::Sequence;
use crate::operation::{Operation, Outcome, Work};
use crate::snapshot::{MoneyText, from_json, to_json};

/// Adds money that customers paid in.
#[derive(Debug, Clone, Copy)]
pub struct ChargeWallets {
    /// What the shop allows.
    pub policy: WalletPolicy,
}

/// Add money to a wallet.
#[derive(Debug, Clone, Copy)]
pub struct Charge {
    /// Whose wallet.
    pub user: UserId,
    /// How much.
    pub amount: Money,
}

#[async_trait]
impl Operation for ChargeWallets {
    const NAME: &'static str = "charge-wallet";
    const IDS: Option<Sequence> = None;

    type Command = Charge;
    type Success = Wallet;
    type Refusal = ChargeRefusal;

    fn customer(charge: &Charge) -> Option<UserId> {
        Some(charge.user)
    }

    fn fingerprint(charge: &Charge) -> Fingerprint {
        Fingerprint::of(&charge.amount.minor())
    }

    async fn decide(
        &self,
        work: &mut Work<'_>,
        charges: &[&Charge],
    ) -> Result<Vec<Outcome<Self>>, RepositoryError> {
        let mut entries = Vec::with_capacity(charges.len());
        let outcomes = charges
            .iter()
            .map(|charge| {
                let wallet = work.wallets.get_mut(&charge.user).expect("every customer has a wallet");
                entries.push(wallet.charge(charge.amount, self.policy, work.now)?);
                Ok(wallet.clone())
            })
            .collect();
        if !entries.is_empty() {
            work.uow.wallets().post(&entries).await?;
        }
        Ok(outcomes)
    }

    fn record(outcome: &Outcome<Self>) -> Option<String> {
        let record = match outcome {
            Ok(wallet) => Record::Charged { user: wallet.user.0, balance: MoneyText(wallet.balance) },
            Err(ChargeRefusal::BelowMinimum { .. }) => return None,
            Err(ChargeRefusal::LimitExceeded { balance, maximum }) => {
                Record::LimitExceeded { balance: MoneyText(*balance), maximum: MoneyText(*maximum) }
            }
        };
        Some(to_json(&record))
    }

    fn replay(record: &str) -> Result<Outcome<Self>, serde_json::Error> {
        Ok(match from_json(record)? {
            Record::Charged { user, balance } => Ok(Wallet { user: UserId(user), balance: balance.0 }),
            Record::LimitExceeded { balance, maximum } => {
                Err(ChargeRefusal::LimitExceeded { balance: balance.0, maximum: maximum.0 })
            }
        })
    }
}

/// How an outcome is written down.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Record {
    Charged { user: i64, balance: MoneyText },
    LimitExceeded { balance: MoneyText, maximum: MoneyText },
}
