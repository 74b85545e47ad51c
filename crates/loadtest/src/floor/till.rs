use std::collections::BTreeMap;
use std::iter;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use jangteo_application::outbox::OutboxMessage;
use jangteo_application::{Clock, SystemClock};
use jangteo_domain::checkout::{Counter, Sale, settle};
use jangteo_domain::product::StockMovement;
use jangteo_domain::{Money, Order, OrderId, OrderRequest, Product, ProductId, Wallet};
use sqlx::error::DatabaseError;
use sqlx::{Connection, Database, Encode, Executor, FromRow, IntoArguments, Type};

use super::Sales;
use super::statements::Statements;
use crate::measure::Answer;

const SECONDS_OF_AN_HOUR: i64 = 3600;

/// What differs between the databases.
pub(super) trait Dialect: Database {
    const BEGIN: &'static str;
    /// Ends a SELECT that locks what it finds.
    const LOCK: &'static str;
    /// Ends an INSERT that adds to the quantity that is there already.
    const ADD_QUANTITY: &'static str;

    fn connect(url: &str) -> BoxFuture<'_, sqlx::Result<Self::Connection>>;
    fn rows_affected(result: &Self::QueryResult) -> u64;
    /// A deadlock or the like: nothing was written, and the next attempt may succeed.
    fn is_collision(error: &(dyn DatabaseError + 'static)) -> bool;
}

/// One connection that places one order after the other.
pub(super) struct Till<DB: Database> {
    connection: DB::Connection,
    statements: Statements,
}

impl<DB> Till<DB>
where
    DB: Dialect,
    DB::Arguments: IntoArguments<DB>,
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
    for<'r> (i64,): FromRow<'r, DB::Row>,
    for<'r> (i64, String, i64, i64): FromRow<'r, DB::Row>,
    for<'q> i64: Encode<'q, DB> + Type<DB>,
    for<'q> &'q str: Encode<'q, DB> + Type<DB>,
    for<'q> DateTime<Utc>: Encode<'q, DB> + Type<DB>,
{
    /// Places orders until the time is over.
    pub(super) async fn keep_selling(url: &str, sales: &Sales) -> Result<()> {
        let mut till =
            Self { connection: DB::connect(url).await?, statements: Statements::of::<DB>(sales.mix.lines()) };
        while !sales.window.is_over() {
            let request = sales.mix.basket().to_request()?;
            let id = sales.next_id();
            let asked = Instant::now();
            while let Err(error) = till.sell(&request, id).await {
                if !is_collision::<DB>(&error) {
                    return Err(error);
                }
                sales.tally.borrow_mut().add_retry();
            }
            sales.tally.borrow_mut().add(Answer::Good, asked);
        }
        Ok(till.connection.close().await?)
    }

    async fn sell(&mut self, request: &OrderRequest, id: OrderId) -> Result<()> {
        let Self { connection, statements } = self;
        let mut transaction = connection.begin_with(DB::BEGIN).await?;
        let mut counter = Self::lock(&mut transaction, statements, request).await?;
        let verdicts = settle(&mut counter, [request], &mut iter::once(id), SystemClock.now());
        let [Ok(sale)] = &verdicts[..] else { bail!("an order was refused: {verdicts:?}") };
        Self::write_purchase(&mut transaction, statements, sale).await?;
        Self::write_stock(&mut transaction, statements, &sale.movements).await?;
        Self::write_event(&mut transaction, statements, sale).await?;
        Ok(transaction.commit().await?)
    }

    /// The wallet first, then the products in ascending order of their ids.
    async fn lock(
        connection: &mut DB::Connection,
        statements: &Statements,
        request: &OrderRequest,
    ) -> sqlx::Result<Counter> {
        let wallet = sqlx::query_as::<DB, (i64,)>(statements.lock_wallet.sql()).bind(request.user.0);
        let (balance,) = wallet.fetch_one(&mut *connection).await?;
        let mut products = sqlx::query_as::<DB, (i64, String, i64, i64)>(statements.lock_products.sql());
        for (product, _) in request.lines() {
            products = products.bind(product.product.0);
        }
        let products = products.fetch_all(connection).await?;
        let wallet = Wallet { user: request.user, balance: Money::from_minor(balance) };
        Ok(Counter {
            wallets: BTreeMap::from([(wallet.user, wallet)]),
            products: products.into_iter().map(product).map(|product| (product.id, product)).collect(),
            ..Counter::default()
        })
    }

    /// Wallet, ledger, order, lines and payment.
    async fn write_purchase(
        connection: &mut DB::Connection,
        statements: &Statements,
        sale: &Sale,
    ) -> Result<()> {
        let Order { id, user, total, discount, paid, created_at: now, .. } = sale.order;
        let debit = sqlx::query::<DB>(statements.debit.sql());
        debit.bind(paid.minor()).bind(now).bind(user.0).execute(&mut *connection).await?;

        let order = sqlx::query::<DB>(statements.order.sql()).bind(id.0).bind(user.0);
        let order = order.bind(total.minor()).bind(discount.minor()).bind(paid.minor());
        order.bind(now).bind(now).bind(now).execute(&mut *connection).await?;

        let mut items = sqlx::query::<DB>(statements.items.sql());
        for (line, number) in sale.order.lines.iter().zip(1_i64..) {
            items = items.bind(id.0).bind(number).bind(line.sku.product.0).bind(line.name.as_str());
            items = items.bind(line.unit_price.minor()).bind(line.quantity.get()).bind(line.subtotal.minor());
        }
        items.execute(&mut *connection).await?;

        let payment =
            sqlx::query::<DB>(statements.payment.sql()).bind(id.0).bind(sale.payment.amount.minor());
        payment.bind(now).bind(now).execute(&mut *connection).await?;
        let history = sqlx::query::<DB>(statements.payment_history.sql());
        history.bind(id.0).bind(now).execute(&mut *connection).await?;

        let entry = sale.ledger.as_ref().context("every product has a price")?;
        let ledger = sqlx::query::<DB>(statements.ledger.sql()).bind(user.0).bind(entry.amount.minor());
        ledger.bind(entry.balance_after.minor()).bind(id.0).bind(now).execute(connection).await?;
        Ok(())
    }

    /// Stock, its movements and the sales figures of the hour.
    async fn write_stock(
        connection: &mut DB::Connection,
        statements: &Statements,
        movements: &[StockMovement],
    ) -> Result<()> {
        for movement in movements {
            let pieces = -movement.quantity;
            let update = sqlx::query::<DB>(statements.take_stock.sql()).bind(pieces).bind(pieces);
            let update = update.bind(movement.sku.product.0).bind(pieces);
            let result = update.execute(&mut *connection).await?;
            ensure!(DB::rows_affected(&result) == 1, "a locked product ran out of stock");
        }
        let mut journal = sqlx::query::<DB>(statements.movements.sql());
        let mut figures = sqlx::query::<DB>(statements.hourly_sales.sql());
        for movement in movements {
            let order = movement.order.context("a sale has an order")?;
            journal = journal.bind(movement.sku.product.0).bind(movement.quantity).bind(movement.stock_after);
            journal = journal.bind(order.0).bind(movement.at);
            figures = figures.bind(movement.at.timestamp() / SECONDS_OF_AN_HOUR).bind(movement.sku.product.0);
            figures = figures.bind(-movement.quantity);
        }
        journal.execute(&mut *connection).await?;
        figures.execute(connection).await?;
        Ok(())
    }

    async fn write_event(
        connection: &mut DB::Connection,
        statements: &Statements,
        sale: &Sale,
    ) -> Result<()> {
        let event = OutboxMessage::order_paid(&sale.order);
        let insert = sqlx::query::<DB>(statements.event.sql()).bind(event.aggregate_id);
        let insert = insert.bind(event.event_type.name());
        let insert = insert.bind(event.payload.as_str()).bind(event.at).bind(event.at);
        insert.execute(connection).await?;
        Ok(())
    }
}

fn product((id, name, price, stock): (i64, String, i64, i64)) -> Product {
    Product { id: ProductId(id), name, price: Money::from_minor(price), stock, variants: None }
}

fn is_collision<DB: Dialect>(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<sqlx::Error>().and_then(sqlx::Error::as_database_error);
    error.is_some_and(DB::is_collision)
}
