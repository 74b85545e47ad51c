//! The outbox as operators see it, and the orders that its events are about.

use std::ops::Range;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use jangteo_application::cloud_event::EventName;
use jangteo_application::outbox::EventStatus;
use jangteo_application::outbox_queries::{
    Backlog, EventView, HourOfOrders, OutboxQueries, Period, ToldOrder,
};
use jangteo_application::queries::{Page, PageRequest};
use jangteo_domain::{OrderId, RepositoryError};
use sea_orm::sea_query::{
    Alias, Condition, Expr, ExprTrait, JoinType, Order, Query, SelectStatement, SimpleExpr, Value,
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait, Select,
};

use crate::by_time::Journal;
use crate::entity::{orders, outbox};
use crate::error::{Corrupt, failed};
use crate::literal::moment_value;
use crate::outbox::has_status;
use crate::pages::paged;
use crate::rows::{read_aggregate, read_event_status};
use crate::store::{DatabaseKind, Store};

/// How many ids are read at a time.
const PORTION: u64 = 50_000;
/// So many rows are looked at for those that were sent.
const WINDOW: usize = 10_000;

#[async_trait]
impl OutboxQueries for Store {
    /// The ids first, from the index alone: however far back the page, only its own rows are read.
    async fn events(
        &self,
        status: Option<EventStatus>,
        page: PageRequest,
    ) -> Result<Page<EventView>, RepositoryError> {
        let total = self.count_up_to_most(status.map_or_else(outbox::Entity::find, of)).await?;
        let latest = match status {
            None => outbox::Entity::find(),
            Some(status) => of(status).order_by_desc(outbox::Column::StatusAt),
        };
        let latest = paged(latest.order_by_desc(outbox::Column::Id), page);
        let latest = latest.select_only().column(outbox::Column::Id).into_tuple::<i64>();
        let ids = latest.all(self.readers()).await.map_err(failed)?;
        let rows = event_columns().filter(outbox::Column::Id.is_in(ids.iter().copied()));
        let rows = rows.into_model::<EventRow>().all(self.readers()).await.map_err(failed)?;
        let mut content: Vec<EventView> =
            rows.into_iter().map(EventView::try_from).collect::<Result<_, _>>()?;
        content.sort_by_key(|event| ids.iter().position(|id| *id == event.id));
        Ok(Page { content, request: page, total })
    }

    async fn event(&self, id: i64) -> Result<Option<(EventView, String)>, RepositoryError> {
        let row = event_columns().filter(outbox::Column::Id.eq(id));
        let Some(row) = row.into_model::<EventRow>().one(self.readers()).await.map_err(failed)? else {
            return Ok(None);
        };
        let payload = outbox::Entity::find_by_id(id).select_only().column(outbox::Column::Payload);
        let payload = payload.into_tuple::<String>().one(self.readers()).await.map_err(failed)?;
        let event = EventView::try_from(row)?;
        // It may have been purged in between.
        Ok(payload.map(|payload| (event, payload)))
    }

    async fn backlog(&self) -> Result<Backlog, RepositoryError> {
        Ok(Backlog {
            pending: self.count_up_to_most(of(EventStatus::Pending)).await?,
            failed: self.count_up_to_most(of(EventStatus::Failed)).await?,
            dead: self.count_up_to_most(of(EventStatus::Dead)).await?,
            oldest: self.oldest().await?,
        })
    }

    async fn told_hours(&self, period: Period) -> Result<Vec<HourOfOrders>, RepositoryError> {
        let hour = Alias::new("hour");
        let events = Expr::col(orders::Column::Events).sum();
        let select = Query::select()
            .expr_as(self.hour_of_order(), hour.clone())
            .expr_as(Expr::cust("COUNT(*)"), Alias::new("orders"))
            // A sum is a DECIMAL on MySQL.
            .expr_as(events.cast_as(self.big_integer()), Alias::new("events"))
            .from(orders::Entity)
            .cond_where(self.told_in(period))
            .group_by_col(hour.clone())
            .order_by(hour, Order::Asc)
            .take();
        let rows = HourRow::find_by_statement(self.readers().get_database_backend().build(&select));
        let rows = rows.all(self.readers()).await.map_err(failed)?;
        rows.into_iter().map(|row| HourOfOrders::try_from(row).map_err(RepositoryError::from)).collect()
    }

    async fn told_orders(
        &self,
        period: Period,
        page: PageRequest,
    ) -> Result<Page<ToldOrder>, RepositoryError> {
        let told = self.told_in(period);
        let total = self.count(Query::select().from(orders::Entity).cond_where(told.clone()).take()).await?;
        // By the id itself, MariaDB would rather read every order from the first one on than sort those of the period.
        let by_id = Expr::col(orders::Column::Id).add(0);
        let rows = paged(orders::Entity::find().filter(told).order_by(by_id, Order::Asc), page)
            .select_only()
            .columns([orders::Column::Id, orders::Column::Events, orders::Column::CreatedAt])
            .into_tuple::<(i64, i32, DateTime<Utc>)>()
            .all(self.readers())
            .await
            .map_err(failed)?;
        let content = rows.into_iter().map(|(id, events, at)| {
            let events = u32::try_from(events).map_err(|_| Corrupt::new("orders", "events", id))?;
            Ok(ToldOrder { order: OrderId(id), events, at })
        });
        Ok(Page { content: content.collect::<Result<_, Corrupt>>()?, request: page, total })
    }

    /// Sorted by something that is no index, in portions after the last id: else MariaDB might look for the few through
    /// the whole table.
    async fn ids_of(&self, status: EventStatus) -> Result<Vec<i64>, RepositoryError> {
        let mut ids: Vec<i64> = Vec::new();
        loop {
            let after = ids.last().copied().unwrap_or_default();
            let portion = of(status)
                .filter(outbox::Column::Id.gt(after))
                .order_by(Expr::col(outbox::Column::Id).add(0), Order::Asc)
                .limit(PORTION)
                .select_only()
                .column(outbox::Column::Id)
                .into_tuple::<i64>()
                .all(self.readers())
                .await
                .map_err(failed)?;
            let is_last = (portion.len() as u64) < PORTION;
            ids.extend(portion);
            if is_last {
                return Ok(ids);
            }
        }
    }

    async fn sent_ids(&self, period: Period) -> Result<Vec<i64>, RepositoryError> {
        let stored = EVENTS.stored_between(self.readers(), Some(period.from), Some(period.to)).await?;
        let mut ids = Vec::new();
        let last = stored.end;
        for first in stored.step_by(WINDOW) {
            let window = first..Ord::min(last, first + WINDOW as i64);
            let sent = self.readers().get_database_backend().build(&self.sent_in(period, window));
            let sent = self.readers().query_all_raw(sent).await.map_err(failed)?;
            for row in sent {
                ids.push(row.try_get::<i64>("", "id").map_err(failed)?);
            }
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }
}

impl Store {
    /// Those that wait are told from those that are being sent: the first of the index has waited longest, of the others
    /// there are only as many as relays have leases for. Of what failed, as many are looked at as there may be when the
    /// platform is not to blame.
    async fn oldest(&self) -> Result<Option<DateTime<Utc>>, RepositoryError> {
        let now = self.stored_moment(self.clock().now());
        let waiting = of(EventStatus::Pending).order_by_asc(outbox::Column::StatusAt).limit(1);
        let leased = of(EventStatus::Pending).filter(outbox::Column::StatusAt.gt(now)).limit(PORTION);
        let failed = of(EventStatus::Failed).order_by_asc(outbox::Column::StatusAt).limit(PORTION);
        let mut oldest = None;
        for events in [waiting, leased, failed] {
            let first = self.first_of(events).await?;
            oldest = [oldest, first].into_iter().flatten().min();
        }
        Ok(oldest)
    }

    /// When the first of these events happened.
    async fn first_of(
        &self,
        events: Select<outbox::Entity>,
    ) -> Result<Option<DateTime<Utc>>, RepositoryError> {
        let moments = events.select_only().column(outbox::Column::CreatedAt).into_query();
        let first = Query::select()
            .expr_as(Expr::col(outbox::Column::CreatedAt).min(), Alias::new("first"))
            .from_subquery(moments, Alias::new("looked_at"))
            .take();
        let first = self.readers().get_database_backend().build(&first);
        let row = self.readers().query_one_raw(first).await.map_err(failed)?;
        row.map_or(Ok(None), |row| row.try_get("", "first")).map_err(failed)
    }

    fn stored_moment(&self, at: DateTime<Utc>) -> Value {
        moment_value(self.readers().get_database_backend(), at)
    }

    /// Orders that were placed in a period and have events.
    fn told_in(&self, period: Period) -> Condition {
        Condition::all()
            .add(orders::Column::CreatedAt.gte(self.stored_moment(period.from)))
            .add(orders::Column::CreatedAt.lt(self.stored_moment(period.to)))
            .add(orders::Column::Events.gt(0))
    }

    /// Whole hours since the epoch.
    fn hour_of_order(&self) -> SimpleExpr {
        match self.kind() {
            DatabaseKind::MySql => Expr::cust("TIMESTAMPDIFF(HOUR, '1970-01-01', created_at)"),
            DatabaseKind::Sqlite => Expr::cust("unixepoch(created_at) / 3600"),
        }
    }

    /// Events that were sent of those that happened in a period, and those that were sent after them of the same thing.
    fn sent_in(&self, period: Period, ids: Range<i64>) -> SelectStatement {
        let again = Alias::new("again");
        let event = |column: outbox::Column| Expr::col((outbox::Entity, column));
        Query::select()
            .expr_as(Expr::col((again.clone(), outbox::Column::Id)), Alias::new("id"))
            .from(outbox::Entity)
            .join_as(JoinType::InnerJoin, outbox::Entity, again.clone(), is_the_same_or_later(&again))
            .and_where(event(outbox::Column::Id).gte(ids.start))
            .and_where(event(outbox::Column::Id).lt(ids.end))
            .and_where(event(outbox::Column::CreatedAt).gte(self.stored_moment(period.from)))
            .and_where(event(outbox::Column::CreatedAt).lt(self.stored_moment(period.to)))
            .and_where(has_status(event(outbox::Column::Status), &[EventStatus::Sent]))
            .and_where(has_status(Expr::col((again, outbox::Column::Status)), &[EventStatus::Sent]))
            .take()
    }
}

/// The events as they are stored: in the order of time, nearly.
const EVENTS: Journal<outbox::Entity> =
    Journal { id: outbox::Column::Id, created_at: outbox::Column::CreatedAt };

fn of(status: EventStatus) -> Select<outbox::Entity> {
    outbox::Entity::find().filter(outbox::Column::Status.eq(status.name()))
}

/// Without the payload, which is long.
fn event_columns() -> Select<outbox::Entity> {
    outbox::Entity::find().select_only().columns([
        outbox::Column::Id,
        outbox::Column::Aggregate,
        outbox::Column::AggregateId,
        outbox::Column::Sequence,
        outbox::Column::EventType,
        outbox::Column::Status,
        outbox::Column::Attempts,
        outbox::Column::StatusAt,
        outbox::Column::LastError,
        outbox::Column::CreatedAt,
    ])
}

/// Of an event in `outbox`, the events in this other place that are itself, or come after it and are about the same.
fn is_the_same_or_later(other: &Alias) -> Condition {
    let other = |column: outbox::Column| Expr::col((other.clone(), column));
    let event = |column: outbox::Column| Expr::col((outbox::Entity, column));
    Condition::all()
        .add(other(outbox::Column::Aggregate).eq(event(outbox::Column::Aggregate)))
        .add(other(outbox::Column::AggregateId).eq(event(outbox::Column::AggregateId)))
        .add(other(outbox::Column::Sequence).gte(event(outbox::Column::Sequence)))
}

#[derive(FromQueryResult)]
struct EventRow {
    id: i64,
    aggregate: String,
    aggregate_id: i64,
    sequence: i32,
    event_type: String,
    status: String,
    attempts: i32,
    status_at: Option<DateTime<Utc>>,
    last_error: Option<String>,
    created_at: DateTime<Utc>,
}

impl TryFrom<EventRow> for EventView {
    type Error = Corrupt;

    fn try_from(row: EventRow) -> Result<Self, Corrupt> {
        let aggregate = read_aggregate(row.id, &row.aggregate)?;
        let status = read_event_status(row.id, &row.status)?;
        Ok(Self {
            id: row.id,
            name: EventName::new(aggregate, row.aggregate_id, row.sequence.into(), &row.event_type),
            sequence: row.sequence.into(),
            status,
            attempts: u32::try_from(row.attempts).map_err(|_| Corrupt::new("outbox", "attempts", row.id))?,
            last_error: row.last_error,
            at: row.created_at,
            next_attempt_at: match status {
                EventStatus::Pending | EventStatus::Failed => row.status_at,
                EventStatus::Sent | EventStatus::Dead => None,
            },
            sent_at: row.status_at.filter(|_| status == EventStatus::Sent),
        })
    }
}

#[derive(FromQueryResult)]
struct HourRow {
    hour: i64,
    orders: i64,
    events: i64,
}

impl TryFrom<HourRow> for HourOfOrders {
    type Error = Corrupt;

    fn try_from(row: HourRow) -> Result<Self, Corrupt> {
        let corrupt = |column| Corrupt::new("orders", column, format!("hour {}", row.hour));
        Ok(Self {
            from: DateTime::from_timestamp(row.hour * 3600, 0).ok_or_else(|| corrupt("created_at"))?,
            orders: row.orders.unsigned_abs(),
            events: u64::try_from(row.events).map_err(|_| corrupt("events"))?,
        })
    }
}
