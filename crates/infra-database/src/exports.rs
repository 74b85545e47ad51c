//! Exports: one snapshot each, read in portions by ascending ids. Between two portions the database has nothing to do and
//! nothing to keep for whoever takes long.

use std::ops::Range;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use jangteo_application::exports::{
    EntriesToExport, Export, ExportedEntry, ExportedLine, Exports, OrdersToExport, Span,
};
use jangteo_domain::{Money, OrderId, ProductId, RepositoryError, UserId};
use sea_orm::sea_query::Value;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait, FromQueryResult,
    QueryFilter, QueryOrder, QuerySelect, Statement,
};

use crate::by_time::Journal;
use crate::entity::{ledger_entries, orders};
use crate::error::{Corrupt, failed};
use crate::literal::moment_value;
use crate::rows::{order_status, read_ledger_kind, read_order_status, read_variant};
use crate::store::Store;

/// Orders in a portion; each may have a hundred lines.
const ORDERS: u64 = 500;
/// Entries in a portion.
const ENTRIES: u64 = 2000;

/// The entries as they are stored: in the order of time, nearly.
pub(crate) const LEDGER: Journal<ledger_entries::Entity> =
    Journal { id: ledger_entries::Column::Id, created_at: ledger_entries::Column::CreatedAt };

#[async_trait]
impl Exports for Store {
    async fn orders(&self, which: OrdersToExport) -> Result<Box<dyn Export<ExportedLine>>, RepositoryError> {
        let snapshot = self.long_snapshot().await?;
        let ids = ids_of_orders(&snapshot, which.placed).await?;
        Ok(Box::new(Orders { snapshot, which, ids }))
    }

    async fn entries(
        &self,
        which: EntriesToExport,
    ) -> Result<Box<dyn Export<ExportedEntry>>, RepositoryError> {
        let snapshot = self.long_snapshot().await?;
        let ids = LEDGER.stored_between(&snapshot, which.at.from, which.at.to).await?;
        Ok(Box::new(Entries { snapshot, which, ids }))
    }
}

struct Orders {
    snapshot: DatabaseTransaction,
    which: OrdersToExport,
    /// Those that are still to be looked at.
    ids: Range<i64>,
}

#[async_trait]
impl Export<ExportedLine> for Orders {
    async fn next(&mut self) -> Result<Vec<ExportedLine>, RepositoryError> {
        let rows = LineRow::find_by_statement(self.portion());
        let rows = rows.all(&self.snapshot).await.map_err(failed)?;
        self.ids.start = rows.last().map_or(self.ids.end, |row| row.id + 1);
        Ok(rows.into_iter().map(ExportedLine::try_from).collect::<Result<_, _>>()?)
    }
}

impl Orders {
    /// An order without lines shows as what it is: corrupt.
    fn portion(&self) -> Statement {
        let backend = self.snapshot.get_database_backend();
        let (conditions, values) = self.conditions(backend);
        let orders = by_id(backend);
        let portion = format!(
            "SELECT o.id, o.user_id, o.status, o.created_at, o.paid_at, o.total_amount, o.discount_amount, \
             o.paid_amount, i.product_id, i.variant_id, i.name, i.variant_name, i.unit_price, i.quantity, i.subtotal, \
             c.code FROM (SELECT * FROM {orders} WHERE {conditions} ORDER BY id LIMIT {ORDERS}) o \
             LEFT JOIN order_items i ON i.order_id = o.id \
             LEFT JOIN user_coupons u ON u.id = o.user_coupon_id LEFT JOIN coupons c ON c.id = u.coupon_id \
             ORDER BY o.id, i.line_no"
        );
        Statement::from_sql_and_values(backend, portion, values)
    }

    fn conditions(&self, backend: DbBackend) -> (String, Vec<Value>) {
        let OrdersToExport { placed: Span { from, to }, status } = self.which;
        let mut conditions = vec!["id >= ? AND id < ?"];
        let mut values: Vec<Value> = vec![self.ids.start.into(), self.ids.end.into()];
        let mut add = |condition, value: Option<Value>| {
            if let Some(value) = value {
                conditions.push(condition);
                values.push(value);
            }
        };
        add("created_at >= ?", from.map(|at| moment_value(backend, at)));
        add("created_at < ?", to.map(|at| moment_value(backend, at)));
        add("status = ?", status.map(|status| order_status(status).into()));
        (conditions.join(" AND "), values)
    }
}

/// The orders, to be read by their ids alone: by the index on their time, each portion would sort all of the period.
fn by_id(backend: DbBackend) -> &'static str {
    match backend {
        DbBackend::MySql => "orders FORCE INDEX (PRIMARY)",
        _ => "orders NOT INDEXED",
    }
}

/// Between which ids the orders of a span are. Those of others may be among them: an instance that sells little still
/// uses a block of ids that it took long ago.
async fn ids_of_orders(snapshot: &DatabaseTransaction, placed: Span) -> Result<Range<i64>, RepositoryError> {
    let moment = |at| moment_value(snapshot.get_database_backend(), at);
    let orders = orders::Entity::find().filter(
        Condition::all()
            .add_option(placed.from.map(|from| orders::Column::CreatedAt.gte(moment(from))))
            .add_option(placed.to.map(|to| orders::Column::CreatedAt.lt(moment(to)))),
    );
    let ends = orders.select_only().expr(orders::Column::Id.min()).expr(orders::Column::Id.max());
    let ends = ends.into_tuple::<(Option<i64>, Option<i64>)>().one(snapshot).await.map_err(failed)?;
    Ok(match ends {
        Some((Some(first), Some(last))) => first..last + 1,
        Some(_) | None => 0..0,
    })
}

/// A line of an order; the line's own columns are NULL where there is none.
#[derive(FromQueryResult)]
struct LineRow {
    id: i64,
    user_id: i64,
    status: String,
    created_at: DateTime<Utc>,
    paid_at: Option<DateTime<Utc>>,
    total_amount: i64,
    discount_amount: i64,
    paid_amount: i64,
    product_id: Option<i64>,
    variant_id: Option<i64>,
    name: Option<String>,
    variant_name: Option<String>,
    unit_price: Option<i64>,
    quantity: Option<i64>,
    subtotal: Option<i64>,
    code: Option<String>,
}

impl TryFrom<LineRow> for ExportedLine {
    type Error = Corrupt;

    fn try_from(row: LineRow) -> Result<Self, Corrupt> {
        let missing = |column| move || Corrupt::new("order_items", column, row.id);
        Ok(Self {
            order: OrderId(row.id),
            user: UserId(row.user_id),
            status: read_order_status(row.id, &row.status)?,
            placed_at: row.created_at,
            paid_at: row.paid_at,
            product: ProductId(row.product_id.ok_or_else(missing("product_id"))?),
            name: row.name.ok_or_else(missing("name"))?,
            variant: row.variant_id.and_then(read_variant),
            variant_name: row.variant_name,
            unit_price: Money::from_minor(row.unit_price.ok_or_else(missing("unit_price"))?),
            quantity: row.quantity.ok_or_else(missing("quantity"))?,
            subtotal: Money::from_minor(row.subtotal.ok_or_else(missing("subtotal"))?),
            total: Money::from_minor(row.total_amount),
            discount: Money::from_minor(row.discount_amount),
            paid: Money::from_minor(row.paid_amount),
            coupon: row.code,
        })
    }
}

struct Entries {
    snapshot: DatabaseTransaction,
    which: EntriesToExport,
    /// Those that are still to be looked at.
    ids: Range<i64>,
}

#[async_trait]
impl Export<ExportedEntry> for Entries {
    async fn next(&mut self) -> Result<Vec<ExportedEntry>, RepositoryError> {
        let moment = |at| moment_value(self.snapshot.get_database_backend(), at);
        let EntriesToExport { at: Span { from, to }, user } = self.which;
        let portion = ledger_entries::Entity::find()
            .filter(ledger_entries::Column::Id.gte(self.ids.start))
            .filter(ledger_entries::Column::Id.lt(self.ids.end))
            .filter(
                Condition::all()
                    .add_option(user.map(|user| ledger_entries::Column::UserId.eq(user.0)))
                    .add_option(from.map(|from| ledger_entries::Column::CreatedAt.gte(moment(from))))
                    .add_option(to.map(|to| ledger_entries::Column::CreatedAt.lt(moment(to)))),
            )
            .order_by_asc(ledger_entries::Column::Id)
            .limit(ENTRIES);
        let rows = portion.all(&self.snapshot).await.map_err(failed)?;
        self.ids.start = rows.last().map_or(self.ids.end, |row| row.id + 1);
        Ok(rows.into_iter().map(exported).collect::<Result<_, Corrupt>>()?)
    }
}

fn exported(row: ledger_entries::Model) -> Result<ExportedEntry, Corrupt> {
    Ok(ExportedEntry {
        id: row.id,
        user: UserId(row.user_id),
        kind: read_ledger_kind(row.id, &row.kind)?,
        amount: Money::from_minor(row.amount),
        balance_after: Money::from_minor(row.balance_after),
        order: row.order_id.map(OrderId),
        reason: row.reason,
        at: row.created_at,
    })
}
