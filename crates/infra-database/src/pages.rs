//! Lists, a page at a time.

use jangteo_application::outbox_queries::MOST_COUNTED;
use jangteo_application::queries::{Page, PageRequest};
use jangteo_domain::RepositoryError;
use sea_orm::sea_query::{Alias, Expr, Query};
use sea_orm::{EntityTrait, PaginatorTrait, QuerySelect, QueryTrait, Select};

use crate::error::{Corrupt, failed};
use crate::store::Store;

impl Store {
    /// A page of what is found, in the order given, and how many there are in all.
    pub(crate) async fn page_of<E, T>(
        &self,
        found: Select<E>,
        page: PageRequest,
        read: impl Fn(E::Model) -> Result<T, Corrupt> + Send,
    ) -> Result<Page<T>, RepositoryError>
    where
        E: EntityTrait<Model: Sync>,
    {
        let total = found.clone().count(self.readers()).await.map_err(failed)?;
        let rows = paged(found, page).all(self.readers()).await.map_err(failed)?;
        let content = rows.into_iter().map(read).collect::<Result<_, Corrupt>>()?;
        Ok(Page { content, request: page, total })
    }

    /// How many are found of what grows with every order: counting more than [`MOST_COUNTED`] would take longer every day.
    pub(crate) async fn count_up_to_most<E: EntityTrait>(
        &self,
        found: Select<E>,
    ) -> Result<u64, RepositoryError> {
        let found = found.select_only().expr_as(Expr::val(1), "one").limit(MOST_COUNTED).into_query();
        self.count(Query::select().from_subquery(found, Alias::new("counted")).take()).await
    }
}

pub(crate) fn paged<E: EntityTrait>(select: Select<E>, page: PageRequest) -> Select<E> {
    select.limit(u64::from(page.size)).offset(u64::from(page.page) * u64::from(page.size))
}
