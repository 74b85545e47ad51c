//! Customers.

use std::collections::BTreeSet;

use async_trait::async_trait;
use jangteo_domain::user::{Email, Profile, UserRepository};
use jangteo_domain::{RepositoryError, User, UserId};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, NotSet, QueryFilter, QuerySelect};

use crate::entity::{users, wallets};
use crate::error::{Corrupt, failed};
use crate::statement::padded;
use crate::transaction::Transaction;

#[async_trait]
impl UserRepository for Transaction {
    async fn taken_emails(&mut self, emails: &BTreeSet<Email>) -> Result<BTreeSet<Email>, RepositoryError> {
        let transaction = self.up_to_date().await?;
        let mut taken = BTreeSet::new();
        for list in padded(emails.iter().map(Email::as_str)) {
            let found: Vec<(i64, String)> = users::Entity::find()
                .select_only()
                .columns([users::Column::Id, users::Column::Email])
                .filter(users::Column::Email.is_in(list))
                .into_tuple()
                .all(transaction)
                .await
                .map_err(failed)?;
            for (id, email) in found {
                taken.insert(email.parse().map_err(|_| Corrupt::new("users", "email", id))?);
            }
        }
        Ok(taken)
    }

    async fn insert_many(&mut self, users: &[User]) -> Result<(), RepositoryError> {
        self.writes.insert(users.iter().map(user_row));
        self.writes.insert(users.iter().map(|user| wallets::ActiveModel {
            user_id: Set(user.id.0),
            balance: Set(0),
            updated_at: Set(user.created_at),
            closed_at: NotSet,
        }));
        Ok(())
    }
}

pub(crate) fn user_row(user: &User) -> users::ActiveModel {
    users::ActiveModel {
        id: Set(user.id.0),
        name: Set(user.profile.name.to_string()),
        email: Set(user.profile.email.to_string()),
        phone: Set(user.profile.phone.as_ref().map(ToString::to_string)),
        created_at: Set(user.created_at),
        updated_at: Set(user.created_at),
        deleted_at: Set(None),
        version: NotSet,
    }
}

impl TryFrom<users::Model> for User {
    type Error = Corrupt;

    fn try_from(row: users::Model) -> Result<Self, Corrupt> {
        let corrupt = |column| Corrupt::new("users", column, row.id);
        Ok(Self {
            id: UserId(row.id),
            profile: Profile {
                name: row.name.parse().map_err(|_| corrupt("name"))?,
                email: row.email.parse().map_err(|_| corrupt("email"))?,
                phone: row.phone.as_deref().map(str::parse).transpose().map_err(|_| corrupt("phone"))?,
            },
            created_at: row.created_at,
        })
    }
}
