//! All orders, and what they came to.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::TimeDelta;
use jangteo_application::order_book::{OrderBook, OrderSearch, SalesFigures, SalesOfPeriod, SalesQuestion};
use jangteo_application::outbox_queries::Period;
use jangteo_application::queries::{Page, PageRequest};
use jangteo_domain::{Money, Order, RepositoryError};
use sea_orm::sea_query::Value;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait, QueryFilter,
    QueryOrder, QueryResult, QuerySelect, Statement,
};

use crate::by_time::Journal;
use crate::entity::{orders, stock_movements};
use crate::error::{Corrupt, failed};
use crate::exports::LEDGER;
use crate::literal::moment_value;
use crate::order_details::with_details;
use crate::pages::paged;
use crate::rows::order_status;
use crate::store::Store;

/// No order waits longer for its payment.
const LONGEST_HOLD: TimeDelta = TimeDelta::hours(24);

/// The movements as they are stored: in the order of time, nearly.
const MOVEMENTS: Journal<stock_movements::Entity> =
    Journal { id: stock_movements::Column::Id, created_at: stock_movements::Column::CreatedAt };

#[async_trait]
impl OrderBook for Store {
    /// By the time, which has an index, as has the time of those in a state, and ids break ties. The ids first, from that
    /// index alone: however far back the page, only its own rows are read.
    async fn orders(&self, search: OrderSearch, page: PageRequest) -> Result<Page<Order>, RepositoryError> {
        let found = orders::Entity::find().filter(self.matching(search));
        let total = self.count_up_to_most(found.clone()).await?;
        let latest = found.order_by_desc(orders::Column::CreatedAt).order_by_desc(orders::Column::Id);
        let latest = paged(latest, page).select_only().column(orders::Column::Id).into_tuple::<i64>();
        let ids = latest.all(self.readers()).await.map_err(failed)?;
        let rows = orders::Entity::find().filter(orders::Column::Id.is_in(ids.iter().copied()));
        let rows = rows.all(self.readers()).await.map_err(failed)?;
        let mut content = with_details(self.readers(), rows).await?;
        content.sort_by_key(|order| ids.iter().position(|id| *id == order.id.0));
        Ok(Page { content, request: page, total })
    }

    async fn sales(&self, question: SalesQuestion) -> Result<Vec<SalesOfPeriod>, RepositoryError> {
        let snapshot = self.snapshot().await?;
        let mut found = BTreeMap::new();
        add_paid(&snapshot, &question, &mut found).await?;
        add_refunded(&snapshot, &question, &mut found).await?;
        add_cancelled(&snapshot, &question, &mut found).await?;
        let periods = question.numbers().map(|number| {
            let from = question.beginning(number);
            let from =
                from.ok_or_else(|| Corrupt::new("orders", "created_at", format!("period {number}")))?;
            Ok(SalesOfPeriod { from, figures: found.remove(&number).unwrap_or_default() })
        });
        Ok(periods.collect::<Result<_, Corrupt>>()?)
    }
}

impl Store {
    fn matching(&self, search: OrderSearch) -> Condition {
        let moment = |at| moment_value(self.readers().get_database_backend(), at);
        Condition::all()
            .add_option(search.placed.from.map(|from| orders::Column::CreatedAt.gte(moment(from))))
            .add_option(search.placed.to.map(|to| orders::Column::CreatedAt.lt(moment(to))))
            .add_option(search.status.map(|status| orders::Column::Status.eq(order_status(status))))
            .add_option(search.user.map(|user| orders::Column::UserId.eq(user.0)))
    }
}

/// By number.
type Found = BTreeMap<i64, SalesFigures>;

/// Orders were paid at most [`LONGEST_HOLD`] after they were placed, and an index knows when that was. A day's orders at a
/// time: SQLite keeps in memory what it groups.
async fn add_paid(
    snapshot: &DatabaseTransaction,
    question: &SalesQuestion,
    found: &mut Found,
) -> Result<(), RepositoryError> {
    let day = TimeDelta::days(1);
    let mut placed_from = question.period.from - LONGEST_HOLD;
    while placed_from < question.period.to {
        let placed = Period { from: placed_from, to: question.period.to.min(placed_from + day) };
        for (number, paid) in paid(snapshot, question, placed).await? {
            let figures: &mut SalesFigures = found.entry(number).or_default();
            *figures = figures.plus(&paid).map_err(|error| RepositoryError::Backend(error.into()))?;
        }
        placed_from = placed.to;
    }
    Ok(())
}

/// What was paid in the periods of a question, of the orders placed in some time.
async fn paid(
    snapshot: &DatabaseTransaction,
    question: &SalesQuestion,
    placed: Period,
) -> Result<Vec<(i64, SalesFigures)>, RepositoryError> {
    let backend = snapshot.get_database_backend();
    let Period { from, to } = question.period;
    let moments = [placed.from, placed.to, from, to].map(|at| moment_value(backend, at));
    let query = format!(
        "SELECT {} AS number, COUNT(*) AS orders, {} AS gross, {} AS discount, {} AS revenue FROM orders \
         WHERE created_at >= ? AND created_at < ? AND paid_at >= ? AND paid_at < ? GROUP BY number",
        number(backend, question, "paid_at"),
        sum(backend, "total_amount"),
        sum(backend, "discount_amount"),
        sum(backend, "paid_amount"),
    );
    let query = Statement::from_sql_and_values(backend, query, moments);
    let rows = snapshot.query_all_raw(query).await.map_err(failed)?;
    rows.iter().map(|row| Ok((integer(row, "number")?, paid_figures(row)?))).collect()
}

fn paid_figures(row: &QueryResult) -> Result<SalesFigures, RepositoryError> {
    Ok(SalesFigures {
        orders_paid: integer(row, "orders")?.unsigned_abs(),
        gross: Money::from_minor(integer(row, "gross")?),
        discount: Money::from_minor(integer(row, "discount")?),
        revenue: Money::from_minor(integer(row, "revenue")?),
        ..SalesFigures::default()
    })
}

/// An order may be cancelled any time after it was paid: the ledger knows when.
async fn add_refunded(
    snapshot: &DatabaseTransaction,
    question: &SalesQuestion,
    found: &mut Found,
) -> Result<(), RepositoryError> {
    let amount = sum(snapshot.get_database_backend(), "amount");
    let refunds = journal(snapshot, question, ("ledger_entries", &LEDGER), "REFUND", &amount).await?;
    for (number, refunded) in refunds {
        found.entry(number).or_default().refunded = Money::from_minor(refunded);
    }
    Ok(())
}

/// What cost nothing is in no ledger, but its pieces came back.
async fn add_cancelled(
    snapshot: &DatabaseTransaction,
    question: &SalesQuestion,
    found: &mut Found,
) -> Result<(), RepositoryError> {
    let orders = "COUNT(DISTINCT order_id)";
    let returns = journal(snapshot, question, ("stock_movements", &MOVEMENTS), "RETURN", orders).await?;
    for (number, cancelled) in returns {
        found.entry(number).or_default().orders_cancelled = cancelled.unsigned_abs();
    }
    Ok(())
}

/// A figure of the rows of one kind in a journal, by number.
async fn journal<E: EntityTrait>(
    snapshot: &DatabaseTransaction,
    question: &SalesQuestion,
    (table, stored): (&str, &Journal<E>),
    kind: &str,
    figure: &str,
) -> Result<Vec<(i64, i64)>, RepositoryError> {
    let backend = snapshot.get_database_backend();
    let Period { from, to } = question.period;
    let ids = stored.stored_between(snapshot, Some(from), Some(to)).await?;
    let moment = |at| moment_value(backend, at);
    let values: [Value; 5] = [ids.start.into(), ids.end.into(), moment(from), moment(to), kind.into()];
    let number = number(backend, question, "created_at");
    let query = format!(
        "SELECT {number} AS number, {figure} AS figure FROM {table} \
         WHERE id >= ? AND id < ? AND created_at >= ? AND created_at < ? AND kind = ? GROUP BY number"
    );
    let rows = snapshot
        .query_all_raw(Statement::from_sql_and_values(backend, query, values))
        .await
        .map_err(failed)?;
    rows.iter().map(|row| Ok((integer(row, "number")?, integer(row, "figure")?))).collect()
}

/// The number of the period that a moment is in.
fn number(backend: DbBackend, question: &SalesQuestion, moment: &str) -> String {
    let (seconds, ahead) = (question.seconds(), question.zone.local_minus_utc());
    match backend {
        DbBackend::MySql => {
            format!("(TIMESTAMPDIFF(SECOND, '1970-01-01', {moment}) + {ahead}) DIV {seconds}")
        }
        // Whole seconds: unixepoch() rounds what is behind them.
        _ => format!("(unixepoch(substr({moment}, 1, 19)) + {ahead}) / {seconds}"),
    }
}

/// A sum is a DECIMAL on MySQL.
fn sum(backend: DbBackend, column: &str) -> String {
    match backend {
        DbBackend::MySql => format!("CAST(SUM({column}) AS SIGNED)"),
        _ => format!("SUM({column})"),
    }
}

fn integer(row: &QueryResult, column: &str) -> Result<i64, RepositoryError> {
    row.try_get("", column).map_err(failed)
}
