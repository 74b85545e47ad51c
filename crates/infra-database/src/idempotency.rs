//! Outcomes by idempotency key.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use jangteo_application::idempotency::{Fingerprint, IdempotencyRecord, IdempotencyRepository, ScopedKey};
use jangteo_domain::{RepositoryError, UserId};
use sea_orm::sea_query::Condition;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};

use crate::entity::idempotency_keys::{ActiveModel, Column, Entity};
use crate::error::{Corrupt, failed};
use crate::statement::padded;
use crate::transaction::Transaction;

#[async_trait]
impl IdempotencyRepository for Transaction {
    async fn find_many(
        &mut self,
        keys: &BTreeSet<ScopedKey>,
    ) -> Result<BTreeMap<ScopedKey, IdempotencyRecord>, RepositoryError> {
        let transaction = self.up_to_date().await?;
        let mut found = BTreeMap::new();
        for list in padded(keys.iter()) {
            let any = list.iter().fold(Condition::any(), |any, key| {
                any.add(
                    Condition::all()
                        .add(Column::UserId.eq(stored_user(key.user)))
                        .add(Column::Operation.eq(key.operation))
                        .add(Column::IdempotencyKey.eq(key.key.as_str())),
                )
            });
            for row in Entity::find().filter(any).all(transaction).await.map_err(failed)? {
                let corrupt = |column| Corrupt::new("idempotency_keys", column, &row.idempotency_key);
                let key = ScopedKey {
                    user: (row.user_id != ANONYMOUS).then_some(UserId(row.user_id)),
                    operation: operation(&list, &row.operation).ok_or_else(|| corrupt("operation"))?,
                    key: row.idempotency_key.parse().map_err(|_| corrupt("idempotency_key"))?,
                };
                let fingerprint = Fingerprint(row.request_hash);
                found
                    .insert(key, IdempotencyRecord { fingerprint, outcome: row.outcome, at: row.created_at });
            }
        }
        Ok(found)
    }

    async fn insert_many(
        &mut self,
        records: &[(ScopedKey, IdempotencyRecord)],
    ) -> Result<(), RepositoryError> {
        let row = |(key, record): &(ScopedKey, IdempotencyRecord)| ActiveModel {
            user_id: Set(stored_user(key.user)),
            operation: Set(key.operation.to_owned()),
            idempotency_key: Set(key.key.as_str().to_owned()),
            request_hash: Set(record.fingerprint.0.clone()),
            outcome: Set(record.outcome.clone()),
            created_at: Set(record.at),
        };
        self.writes.insert(records.iter().map(row));
        Ok(())
    }
}

/// Stored in the place of a customer for somebody who is none yet.
const ANONYMOUS: i64 = 0;

fn stored_user(user: Option<UserId>) -> i64 {
    user.map_or(ANONYMOUS, |user| user.0)
}

/// The operation as the keys that were asked for name it.
fn operation(asked: &[&ScopedKey], stored: &str) -> Option<&'static str> {
    asked.iter().map(|key| key.operation).find(|operation| *operation == stored)
}
