//! Customers.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use jangteo_domain::cart::CartRepository;
use jangteo_domain::order::OrderStatus;
use jangteo_domain::user::{Account, Email, OpenOrders, Profile, UserRepository};
use jangteo_domain::{RepositoryError, User, UserId};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, NotSet, QueryFilter, QuerySelect};

use crate::entity::{orders, users, wallets};
use crate::error::{Corrupt, failed};
use crate::rows::{order_status, read_order_status};
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

    async fn accounts(
        &mut self,
        users: &BTreeSet<UserId>,
    ) -> Result<BTreeMap<UserId, Account>, RepositoryError> {
        let transaction = self.up_to_date().await?;
        let mut found = BTreeMap::new();
        for list in padded(users.iter().map(|user| user.0)) {
            let rows = users::Entity::find()
                .filter(users::Column::Id.is_in(list))
                .filter(users::Column::DeletedAt.is_null());
            for row in rows.all(transaction).await.map_err(failed)? {
                found.insert(UserId(row.id), Account::try_from(row)?);
            }
        }
        Ok(found)
    }

    async fn open_orders(
        &mut self,
        users: &BTreeSet<UserId>,
    ) -> Result<BTreeMap<UserId, Vec<OpenOrders>>, RepositoryError> {
        let transaction = self.up_to_date().await?;
        let finished = [OrderStatus::Delivered, OrderStatus::Cancelled].map(order_status);
        let mut open: BTreeMap<UserId, Vec<OpenOrders>> = BTreeMap::new();
        for list in padded(users.iter().map(|user| user.0)) {
            let counts: Vec<(i64, String, i64)> = orders::Entity::find()
                .select_only()
                .columns([orders::Column::UserId, orders::Column::Status])
                .column_as(orders::Column::Id.count(), "orders")
                .filter(orders::Column::UserId.is_in(list))
                .filter(orders::Column::Status.is_not_in(finished))
                .group_by(orders::Column::UserId)
                .group_by(orders::Column::Status)
                .into_tuple()
                .all(transaction)
                .await
                .map_err(failed)?;
            for (user, status, count) in counts {
                let status = read_order_status(user, &status)?;
                let count = u64::try_from(count).unwrap_or_default();
                open.entry(UserId(user)).or_default().push(OpenOrders { status, count });
            }
        }
        Ok(open)
    }

    async fn change_many(&mut self, accounts: &[Account], at: DateTime<Utc>) -> Result<(), RepositoryError> {
        for Account { user, version } in accounts {
            let name = self.writes.text(user.profile.name.as_str());
            let email = self.writes.text(user.profile.email.as_str());
            let phone = match &user.profile.phone {
                Some(phone) => self.writes.text(phone.as_str()),
                None => Expr::cust("NULL"),
            };
            let update = users::Entity::update_many()
                .col_expr(users::Column::Name, name)
                .col_expr(users::Column::Email, email)
                .col_expr(users::Column::Phone, phone)
                .col_expr(users::Column::UpdatedAt, self.writes.moment(at))
                .col_expr(users::Column::Version, Expr::val(*version))
                .filter(users::Column::Id.eq(user.id.0))
                .filter(users::Column::Version.eq(version - 1))
                .filter(users::Column::DeletedAt.is_null());
            self.writes.update(update, 1);
        }
        Ok(())
    }

    async fn close_many(
        &mut self,
        users: &BTreeSet<UserId>,
        at: DateTime<Utc>,
    ) -> Result<(), RepositoryError> {
        CartRepository::clear(self, users).await?;
        let ids = || users.iter().map(|user| user.0);
        let left = self.writes.moment(at);
        let leaving = users::Entity::update_many()
            .col_expr(users::Column::DeletedAt, left.clone())
            .col_expr(users::Column::UpdatedAt, left.clone())
            .col_expr(users::Column::Name, Expr::val(NOBODY))
            .col_expr(users::Column::Phone, Expr::cust("NULL"))
            .col_expr(users::Column::Version, Expr::col(users::Column::Version).add(1))
            .filter(users::Column::Id.is_in(ids()))
            .filter(users::Column::DeletedAt.is_null());
        self.writes.update(leaving, users.len());
        let closing = wallets::Entity::update_many()
            .col_expr(wallets::Column::ClosedAt, left.clone())
            .col_expr(wallets::Column::UpdatedAt, left)
            .filter(wallets::Column::UserId.is_in(ids()))
            .filter(wallets::Column::Balance.eq(0))
            .filter(wallets::Column::ClosedAt.is_null());
        self.writes.update(closing, users.len());
        Ok(())
    }
}

/// In the place of the name of somebody who has left.
const NOBODY: &str = "-";

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

impl TryFrom<users::Model> for Account {
    type Error = Corrupt;

    fn try_from(row: users::Model) -> Result<Self, Corrupt> {
        Ok(Self { version: row.version, user: User::try_from(row)? })
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
