//! Orders of the past, made within the database, a portion at a time.
//!
//! A portion is a transaction that leaves a shop whose books balance: its customers charge what they lack, its products
//! receive what they sell, and its orders are paid at once. All that happens in it happens between two moments, the next
//! portion begins where it ends, and journals are written in the order of time, as they are when a shop sells. Orders are
//! spread over customers and products by their ids, always in the same way.

use chrono::{DateTime, TimeDelta, Utc};
use jangteo_application::ids::Sequence;
use jangteo_application::seeding::{PastOrders, SeedProgress};
use jangteo_domain::{Money, RepositoryError};
use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait, PaginatorTrait, Statement, TryGetable,
};

use super::past_events;
use crate::entity::orders;
use crate::error::failed;
use crate::id_blocks::advance;
use crate::store::Store;
use sql::Sql;

mod sql;

/// What orders have at most: lines, and pieces of each.
const LINES: i64 = 3;
const PIECES: i64 = 2;
/// Customers and products of one portion: tables of them are made for it.
const CUSTOMERS: i64 = 20_000;
const PRODUCTS: i64 = 2_000;
/// An order takes three days at most to arrive.
const DELIVERY: TimeDelta = TimeDelta::days(3);

/// Orders that cannot have been placed.
#[derive(Debug, thiserror::Error)]
enum Impossible {
    #[error("nobody can have ordered: there are no customers")]
    Nobody,
    #[error(
        "nothing can have been ordered: there are no products on sale without variants that cost from {least} to {most}, \
         a twelfth of what a wallet may hold"
    )]
    NothingOnSale { least: Money, most: Money },
    #[error(
        "{missing} orders do not fit between {begin}, when the last thing happened in this shop, and now: \
         an empty shop has room for them, with its customers and products made at once"
    )]
    TooMany { missing: i64, begin: DateTime<Utc> },
    #[error("there are not as many ids left as orders to be made: {missing}")]
    OutOfIds { missing: i64 },
}

impl From<Impossible> for RepositoryError {
    fn from(impossible: Impossible) -> Self {
        Self::Backend(impossible.into())
    }
}

impl Store {
    /// When the orders that are still missing begin: not before anything else happened, since journals are in the order of
    /// time.
    pub(super) async fn beginning(&self, orders: &PastOrders) -> Result<DateTime<Utc>, RepositoryError> {
        let mut begin = self.clock().now() - TimeDelta::days(i64::from(orders.days));
        for last in [
            "SELECT MAX(created_at) AS last FROM users",
            "SELECT MAX(created_at) AS last FROM products",
            "SELECT MAX(created_at) AS last FROM orders",
            "SELECT MAX(created_at) AS last FROM (SELECT created_at FROM ledger_entries ORDER BY id DESC LIMIT 1) l",
            "SELECT MAX(created_at) AS last FROM (SELECT created_at FROM stock_movements ORDER BY id DESC LIMIT 1) m",
            "SELECT MAX(created_at) AS last FROM (SELECT created_at FROM outbox ORDER BY id DESC LIMIT 1) o",
        ] {
            let last = one::<Option<DateTime<Utc>>>(self.readers(), last.to_owned(), "last").await?;
            begin = last.map_or(begin, |last| begin.max(last));
        }
        Ok(begin)
    }

    /// Makes as many orders as are missing, from a moment on until now, and says how many those were.
    pub(super) async fn seed_orders(
        &self,
        wanted: &PastOrders,
        begin: DateTime<Utc>,
        progress: &(dyn Fn(SeedProgress) + Send + Sync),
    ) -> Result<usize, RepositoryError> {
        let there = orders::Entity::find().count(self.readers()).await.map_err(failed)?;
        let total = wanted.total.max(there);
        let told = |done| progress(SeedProgress { what: "orders", done: number(done), total: number(total) });
        told(there);
        let Some(missing) = total.checked_sub(there).filter(|missing| *missing > 0) else { return Ok(0) };
        let mut history = History::of(self, wanted, begin, missing).await?;
        for portion in history.portions(there, total, u64::from(wanted.at_a_time)) {
            self.in_transaction(async |transaction, _| history.write(transaction, &portion).await).await?;
            told(portion.done);
        }
        Ok(number(missing))
    }
}

fn number(orders: u64) -> usize {
    usize::try_from(orders).unwrap_or(usize::MAX)
}

/// One value of the only row.
async fn one<T: TryGetable>(
    connection: &impl ConnectionTrait,
    query: String,
    column: &str,
) -> Result<T, RepositoryError> {
    let query = Statement::from_string(connection.get_database_backend(), query);
    let row = connection.query_one_raw(query).await.map_err(failed)?;
    let row = row.ok_or_else(|| RepositoryError::Backend("a sum has one row".into()))?;
    row.try_get("", column).map_err(failed)
}

/// Everything there is to know before the first order is made.
struct History {
    sql: Sql,
    /// When the first happens, and how long it is until the next, in microseconds.
    begin: i64,
    step: i64,
    customers: Round,
    products: Round,
    terms: sql::Terms,
    events_since: DateTime<Utc>,
}

/// Orders that are made at once.
struct Portion {
    /// Those before it, of those that are missing.
    before: i64,
    orders: i64,
    /// How many there are after it.
    done: u64,
}

impl History {
    async fn of(
        store: &Store,
        wanted: &PastOrders,
        begin: DateTime<Utc>,
        missing: u64,
    ) -> Result<Self, RepositoryError> {
        let now = store.clock().now();
        let missing = i64::try_from(missing).unwrap_or(i64::MAX);
        let step = (now - begin).num_microseconds().unwrap_or(i64::MAX) / missing;
        if step < sql::SHORTEST_STEP {
            return Err(Impossible::TooMany { missing, begin }.into());
        }
        let next = format!("SELECT next_id AS id FROM id_blocks WHERE name = '{}'", Sequence::Orders.name());
        let next: i64 = one(store.readers(), next, "id").await?;
        next.checked_add(missing).ok_or(Impossible::OutOfIds { missing })?;
        let customers = Round::over("wallets", "user_id", "closed_at IS NULL", CUSTOMERS, store).await?;
        let most = Money::from_minor(wanted.wallet.max_balance.minor() / (2 * LINES * PIECES));
        let least = wanted.wallet.min_charge.max(Money::from_minor(1));
        let on_sale = format!(
            "active = TRUE AND deleted_at IS NULL AND has_variants = FALSE AND price BETWEEN {} AND {}",
            least.minor(),
            most.minor()
        );
        let products = Round::over("products", "id", &on_sale, PRODUCTS, store).await?;
        if customers.size == 0 {
            return Err(Impossible::Nobody.into());
        }
        if products.size == 0 {
            return Err(Impossible::NothingOnSale { least, most }.into());
        }
        let dearest = format!("SELECT MAX(price) AS price FROM products WHERE {on_sale}");
        let dearest: i64 = one(store.readers(), dearest, "price").await?;
        let events_since = now - wanted.events_kept_for;
        Ok(Self {
            sql: Sql::of(store.readers().get_database_backend()),
            begin: begin.timestamp_micros(),
            step,
            customers,
            products,
            terms: sql::Terms::new(wanted, dearest * LINES * PIECES, events_since - DELIVERY),
            events_since,
        })
    }

    fn portions(&self, there: u64, total: u64, at_a_time: u64) -> impl Iterator<Item = Portion> + use<> {
        (there..total).step_by(number(at_a_time)).map(move |from| {
            let done = total.min(from + at_a_time);
            let count = |orders: u64| i64::try_from(orders).unwrap_or(i64::MAX);
            Portion { before: count(from - there), orders: count(done - from), done }
        })
    }

    async fn write(
        &mut self,
        transaction: &DatabaseTransaction,
        portion: &Portion,
    ) -> Result<(), RepositoryError> {
        let ids =
            advance(transaction, Sequence::Orders.name(), number(portion.orders.unsigned_abs())).await?;
        let customers = self.customers.next(transaction).await?;
        let products = self.products.next(transaction).await?;
        let from = self.begin + self.step * portion.before;
        let written = sql::Portion {
            ids: ids.clone(),
            from,
            until: from + self.step * portion.orders,
            step: self.step,
            customers: &customers,
            products: &products,
            terms: &self.terms,
        };
        for statement in self.sql.statements(&written) {
            transaction.execute_unprepared(&statement).await.map_err(failed)?;
        }
        if written.until > self.events_since.timestamp_micros() {
            past_events::write(transaction, ids, self.events_since).await?;
        }
        let purged = self.events_since.timestamp_micros().min(written.until);
        transaction.execute_unprepared(&self.sql.note_purged(purged)).await.map_err(failed)?;
        Ok(())
    }
}

/// Walks over a table again and again, some rows at a time, all of about the same number.
struct Round {
    table: &'static str,
    key: &'static str,
    condition: String,
    size: i64,
    /// The last row it came by.
    last: i64,
}

impl Round {
    async fn over(
        table: &'static str,
        key: &'static str,
        condition: &str,
        at_most: i64,
        store: &Store,
    ) -> Result<Self, RepositoryError> {
        let count = format!("SELECT COUNT(*) AS found FROM {table} WHERE {condition}");
        let count: i64 = one(store.readers(), count, "found").await?;
        let parts = ((count + at_most - 1) / at_most).max(1);
        let size = (count + parts - 1) / parts;
        Ok(Self { table, key, condition: condition.to_owned(), size, last: 0 })
    }

    /// Locks the next rows.
    async fn next(&mut self, transaction: &DatabaseTransaction) -> Result<sql::Rows, RepositoryError> {
        loop {
            let Self { table, key, condition, size, last } = self;
            let condition = format!("{condition} AND {key} > {last}");
            let lock = match transaction.get_database_backend() {
                DbBackend::MySql => " FOR UPDATE",
                _ => "",
            };
            let rows = format!(
                "SELECT {key} AS id FROM {table} WHERE {condition} ORDER BY {key} LIMIT {size}{lock}"
            );
            let rows = Statement::from_string(transaction.get_database_backend(), rows);
            let rows = transaction.query_all_raw(rows).await.map_err(failed)?;
            let count = i64::try_from(rows.len()).unwrap_or(i64::MAX);
            match rows.last() {
                Some(row) => {
                    self.last = row.try_get("", "id").map_err(failed)?;
                    return Ok(sql::Rows {
                        condition: format!("{condition} AND {key} <= {}", self.last),
                        count,
                    });
                }
                None if self.last > 0 => self.last = 0,
                None => return Err(RepositoryError::Conflict(format!("{table} has become empty").into())),
            }
        }
    }
}
