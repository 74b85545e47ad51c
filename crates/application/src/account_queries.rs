//! Customers, as administrators look for them.

use async_trait::async_trait;
use jangteo_domain::user::Account;
use jangteo_domain::{RepositoryError, UserId};

use crate::queries::{Page, PageRequest};

/// Accounts of customers who have not left.
#[async_trait]
pub trait AccountQueries: Send + Sync {
    /// Those whose name or e-mail address begins with a text, in whatever case, or all of them; latest first.
    async fn accounts(
        &self,
        beginning: Option<String>,
        page: PageRequest,
    ) -> Result<Page<Account>, RepositoryError>;

    /// One of them.
    async fn account(&self, user: UserId) -> Result<Option<Account>, RepositoryError>;
}
