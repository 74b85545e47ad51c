//! Wallets and their ledger.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use jangteo_domain::wallet::{AdjustReason, LedgerEntry, WalletRepository};
use jangteo_domain::{Money, RepositoryError, UserId, Wallet};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, NotSet, QueryFilter, QueryOrder, QuerySelect};

use crate::entity::{ledger_entries, wallets};
use crate::error::failed;
use crate::rows::ledger_kind;
use crate::statement::padded;
use crate::transaction::Transaction;

#[async_trait]
impl WalletRepository for Transaction {
    async fn lock_many(
        &mut self,
        users: &BTreeSet<UserId>,
    ) -> Result<BTreeMap<UserId, Wallet>, RepositoryError> {
        let transaction = self.up_to_date().await?;
        let mut locked = BTreeMap::new();
        for list in padded(users.iter().map(|user| user.0)) {
            let rows: Vec<(i64, i64)> = wallets::Entity::find()
                .select_only()
                .columns([wallets::Column::UserId, wallets::Column::Balance])
                .filter(wallets::Column::UserId.is_in(list))
                .filter(wallets::Column::ClosedAt.is_null())
                .order_by_asc(wallets::Column::UserId)
                .lock_exclusive()
                .into_tuple()
                .all(transaction)
                .await
                .map_err(failed)?;
            locked.extend(rows.into_iter().map(|(user, balance)| {
                let user = UserId(user);
                (user, Wallet { user, balance: Money::from_minor(balance) })
            }));
        }
        Ok(locked)
    }

    async fn post(&mut self, entries: &[LedgerEntry]) -> Result<(), RepositoryError> {
        self.writes.insert(entries.iter().map(ledger_row));
        let mut sums: BTreeMap<i64, i64> = BTreeMap::new();
        for entry in entries {
            *sums.entry(entry.user.0).or_default() += entry.amount.minor();
        }
        let Some(at) = entries.iter().map(|entry| entry.at).max() else { return Ok(()) };
        let at = self.writes.moment(at);
        // That no balance becomes negative is the table's CHECK, which fails the statement.
        self.writes.update_by_key::<wallets::Entity>(wallets::Column::UserId, &sums, |update, sum| {
            update
                .col_expr(wallets::Column::Balance, Expr::col(wallets::Column::Balance).add(sum))
                .col_expr(wallets::Column::UpdatedAt, at.clone())
        });
        Ok(())
    }
}

pub(crate) fn ledger_row(entry: &LedgerEntry) -> ledger_entries::ActiveModel {
    ledger_entries::ActiveModel {
        id: NotSet,
        user_id: Set(entry.user.0),
        kind: Set(ledger_kind(entry.kind).to_owned()),
        amount: Set(entry.amount.minor()),
        balance_after: Set(entry.balance_after.minor()),
        order_id: Set(entry.order.map(|order| order.0)),
        reason: Set(entry.reason.as_ref().map(AdjustReason::as_str).map(str::to_owned)),
        created_at: Set(entry.at),
    }
}
