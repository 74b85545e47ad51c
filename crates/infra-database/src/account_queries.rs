//! Customers, as administrators look for them.

use async_trait::async_trait;
use jangteo_application::AccountQueries;
use jangteo_application::queries::{Page, PageRequest};
use jangteo_domain::user::Account;
use jangteo_domain::{RepositoryError, UserId};
use sea_orm::sea_query::{Expr, ExprTrait, Func, LikeExpr};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder};

use crate::entity::users;
use crate::error::failed;
use crate::product_queries::literally;
use crate::store::Store;

#[async_trait]
impl AccountQueries for Store {
    async fn accounts(
        &self,
        beginning: Option<String>,
        page: PageRequest,
    ) -> Result<Page<Account>, RepositoryError> {
        let mut accounts = users::Entity::find().filter(users::Column::DeletedAt.is_null());
        if let Some(beginning) = beginning {
            accounts = accounts.filter(begins_with(&beginning));
        }
        self.page_of(accounts.order_by_desc(users::Column::Id), page, Account::try_from).await
    }

    async fn account(&self, user: UserId) -> Result<Option<Account>, RepositoryError> {
        let row = users::Entity::find_by_id(user.0)
            .filter(users::Column::DeletedAt.is_null())
            .one(self.readers())
            .await
            .map_err(failed)?;
        Ok(row.map(Account::try_from).transpose()?)
    }
}

fn begins_with(text: &str) -> Condition {
    let escaped = literally(&text.to_lowercase());
    let pattern = || LikeExpr::new(format!("{escaped}%")).escape('!');
    let name = Expr::expr(Func::lower(Expr::col(users::Column::Name)));
    // Addresses are in lower case as they are.
    Condition::any().add(name.like(pattern())).add(users::Column::Email.like(pattern()))
}
