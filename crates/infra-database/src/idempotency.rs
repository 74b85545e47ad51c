//! Outcomes by idempotency key.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use jangteo_application::IdempotencyKey;
use jangteo_application::idempotency::{
    DecidedRequest, Fingerprint, IdempotencyQueries, IdempotencyRecord, IdempotencyRepository, ScopedKey,
};
use jangteo_domain::{RepositoryError, UserId};
use sea_orm::sea_query::Condition;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::entity::idempotency_keys::{ActiveModel, Column, Entity, Model};
use crate::error::{Corrupt, failed};
use crate::literal::moment_value;
use crate::statement::padded;
use crate::store::Store;
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
                any.add(is(stored_user(key.user), key.operation, key.key.as_str()))
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

    /// The keys first, from the index, and then the rows by their keys: a DELETE by time might rather read the whole
    /// table, and wait for every record that is being written.
    async fn purge(&mut self, before: DateTime<Utc>, at_most: usize) -> Result<usize, RepositoryError> {
        let before = moment_value(self.writes.backend(), before);
        let transaction = self.up_to_date().await?;
        let old: Vec<(i64, String, String)> = Entity::find()
            .select_only()
            .columns([Column::UserId, Column::Operation, Column::IdempotencyKey])
            .filter(Column::CreatedAt.lt(before))
            .order_by_asc(Column::CreatedAt)
            .limit(at_most as u64)
            .into_tuple()
            .all(transaction)
            .await
            .map_err(failed)?;
        let mut purged = 0;
        for list in padded(&old) {
            let any = list
                .into_iter()
                .fold(Condition::any(), |any, (user, operation, key)| any.add(is(*user, operation, key)));
            let deleted = Entity::delete_many().filter(any).exec(transaction).await.map_err(failed)?;
            purged += deleted.rows_affected;
        }
        usize::try_from(purged).map_err(|error| RepositoryError::Backend(error.into()))
    }
}

#[async_trait]
impl IdempotencyQueries for Store {
    async fn decided(
        &self,
        caller: UserId,
        key: IdempotencyKey,
    ) -> Result<Vec<DecidedRequest>, RepositoryError> {
        let rows = Entity::find()
            .filter(Column::UserId.eq(caller.0))
            .filter(Column::IdempotencyKey.eq(key.as_str()))
            .order_by_asc(Column::Operation)
            .all(self.readers())
            .await
            .map_err(failed)?;
        let decided = |row: Model| DecidedRequest {
            operation: row.operation,
            outcome: row.outcome,
            at: row.created_at,
        };
        Ok(rows.into_iter().map(decided).collect())
    }
}

fn is(user: i64, operation: &str, key: &str) -> Condition {
    Condition::all()
        .add(Column::UserId.eq(user))
        .add(Column::Operation.eq(operation))
        .add(Column::IdempotencyKey.eq(key))
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
