//! Orders and payments.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use jangteo_domain::order::{Order, OrderRepository, OrderStatus};
use jangteo_domain::payment::{Payment, PaymentChange, PaymentReason, PaymentStatus};
use jangteo_domain::{OrderId, RepositoryError};
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::sea_query::{Expr, ExprTrait, SimpleExpr};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, UpdateMany};

use crate::entity::{order_holds, order_items, orders, payment_history, payments};
use crate::error::failed;
use crate::literal::moment_value;
use crate::order_details::with_details;
use crate::rows::{order_status, payment, payment_status, sequence, variant_column};
use crate::statement::{LARGEST, padded};
use crate::transaction::Transaction;

#[async_trait]
impl OrderRepository for Transaction {
    async fn insert_many(&mut self, orders: &[Order]) -> Result<(), RepositoryError> {
        let rows: Vec<_> = orders.iter().map(order_row).collect::<Result<_, _>>()?;
        self.writes.insert(rows);
        self.writes.insert(orders.iter().flat_map(|order| item_rows(order.id, order)));
        self.writes.insert(orders.iter().filter_map(hold_row));
        Ok(())
    }

    async fn insert_payments(&mut self, payments: &[Payment]) -> Result<(), RepositoryError> {
        self.writes.insert(payments.iter().map(payment_row));
        let completed = payments.iter().filter(|payment| payment.status == PaymentStatus::Completed);
        let rows = completed.map(|payment| {
            history_row(&PaymentChange {
                order: payment.order,
                sequence: payment.changes,
                from: PaymentStatus::Pending,
                to: payment.status,
                reason: None,
                at: payment.created_at,
            })
        });
        let rows: Vec<_> = rows.collect::<Result<_, _>>()?;
        self.writes.insert(rows);
        Ok(())
    }

    async fn lock_many(
        &mut self,
        orders: &BTreeSet<OrderId>,
    ) -> Result<BTreeMap<OrderId, Order>, RepositoryError> {
        let transaction = self.up_to_date().await?;
        let mut locked = BTreeMap::new();
        for list in padded(orders.iter().map(|order| order.0)) {
            let rows = orders::Entity::find()
                .filter(orders::Column::Id.is_in(list))
                .order_by_asc(orders::Column::Id)
                .lock_exclusive()
                .all(transaction)
                .await
                .map_err(failed)?;
            let orders = with_details(transaction, rows).await?;
            locked.extend(orders.into_iter().map(|order| (order.id, order)));
        }
        Ok(locked)
    }

    async fn payments(
        &mut self,
        orders: &BTreeSet<OrderId>,
    ) -> Result<BTreeMap<OrderId, Payment>, RepositoryError> {
        let transaction = self.up_to_date().await?;
        let mut found = BTreeMap::new();
        for list in padded(orders.iter().map(|order| order.0)) {
            let last: Vec<(i64, i32)> = payment_history::Entity::find()
                .select_only()
                .column(payment_history::Column::OrderId)
                .column_as(payment_history::Column::Sequence.max(), "last")
                .filter(payment_history::Column::OrderId.is_in(list.clone()))
                .group_by(payment_history::Column::OrderId)
                .into_tuple()
                .all(transaction)
                .await
                .map_err(failed)?;
            let last: BTreeMap<i64, i32> = last.into_iter().collect();
            let rows = payments::Entity::find().filter(payments::Column::OrderId.is_in(list));
            for row in rows.all(transaction).await.map_err(failed)? {
                let changes = last.get(&row.order_id).copied().unwrap_or_default();
                found.insert(OrderId(row.order_id), payment(row, changes)?);
            }
        }
        Ok(found)
    }

    async fn advance(&mut self, orders: &[Order], at: DateTime<Utc>) -> Result<(), RepositoryError> {
        use orders::Column::{Events, Id, PaidAt, Status, UpdatedAt};
        let at = self.writes.moment(at);
        // Where an order gets first comes first: it may be there for two of its changes.
        let reached =
            [OrderStatus::Paid, OrderStatus::Shipping, OrderStatus::Delivered, OrderStatus::Cancelled];
        for status in reached {
            let there = orders.iter().filter(|order| order.status == status);
            let events = there.map(|order| (order.id.0, i64::from(order.events))).collect();
            self.writes.update_by_key::<orders::Entity>(Id, &events, |update, events| {
                let update = match status {
                    OrderStatus::Paid => update.col_expr(PaidAt, at.clone()),
                    _ => update,
                };
                update
                    .col_expr(Status, Expr::val(order_status(status)))
                    .col_expr(Events, events.clone())
                    .col_expr(UpdatedAt, at.clone())
                    .filter(Expr::col(Events).eq(events.sub(1)))
            });
        }
        Ok(())
    }

    async fn change_payments(&mut self, changes: &[PaymentChange]) -> Result<(), RepositoryError> {
        let Some(at) = changes.iter().map(|change| change.at).max() else { return Ok(()) };
        let at = self.writes.moment(at);
        for (steps, orders) in steps(changes) {
            let reason = steps.reason.map(|reason| self.writes.text(reason));
            for list in orders.chunks(LARGEST) {
                let update = changed_payment(&steps, reason.clone(), &at)
                    .filter(payments::Column::OrderId.is_in(list.iter().copied()))
                    .filter(payments::Column::Status.eq(payment_status(steps.from)));
                self.writes.update(update, list.len());
            }
        }
        let rows: Vec<_> = changes.iter().map(history_row).collect::<Result<_, _>>()?;
        self.writes.insert(rows);
        Ok(())
    }

    async fn end_holds(&mut self, orders: &BTreeSet<OrderId>) -> Result<(), RepositoryError> {
        let orders: Vec<i64> = orders.iter().map(|order| order.0).collect();
        for list in orders.chunks(LARGEST) {
            let ended = order_holds::Column::OrderId.is_in(list.iter().copied());
            self.writes.delete(order_holds::Entity::delete_many().filter(ended), list.len());
        }
        Ok(())
    }

    async fn overdue(
        &mut self,
        now: DateTime<Utc>,
        pass_over: usize,
        at_most: usize,
    ) -> Result<Vec<Order>, RepositoryError> {
        let now = moment_value(self.writes.backend(), now);
        let transaction = self.up_to_date().await?;
        let overdue: Vec<i64> = order_holds::Entity::find()
            .select_only()
            .column(order_holds::Column::OrderId)
            .filter(order_holds::Column::ExpiresAt.lte(now))
            .order_by_asc(order_holds::Column::ExpiresAt)
            .order_by_asc(order_holds::Column::OrderId)
            .offset(pass_over as u64)
            .limit(at_most as u64)
            .into_tuple()
            .all(transaction)
            .await
            .map_err(failed)?;
        let mut orders = Vec::with_capacity(overdue.len());
        for list in padded(overdue) {
            let rows = orders::Entity::find().filter(orders::Column::Id.is_in(list));
            let rows = rows.all(transaction).await.map_err(failed)?;
            orders.extend(with_details(transaction, rows).await?);
        }
        Ok(orders)
    }
}

/// From where payments changed to where, and why.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Steps<'a> {
    from: PaymentStatus,
    to: PaymentStatus,
    reason: Option<&'a str>,
}

/// Payments by what became of them in the end: one that changed twice went from its first state to its last.
fn steps(changes: &[PaymentChange]) -> BTreeMap<Steps<'_>, Vec<i64>> {
    let mut by_order: BTreeMap<i64, Steps<'_>> = BTreeMap::new();
    for PaymentChange { order, from, to, reason, .. } in changes {
        let first = by_order.get(&order.0).map_or(*from, |earlier| earlier.from);
        let reason = reason.as_ref().map(PaymentReason::as_str);
        by_order.insert(order.0, Steps { from: first, to: *to, reason });
    }
    let mut orders: BTreeMap<Steps<'_>, Vec<i64>> = BTreeMap::new();
    for (order, steps) in by_order {
        orders.entry(steps).or_default().push(order);
    }
    orders
}

fn changed_payment(
    steps: &Steps<'_>,
    reason: Option<SimpleExpr>,
    at: &SimpleExpr,
) -> UpdateMany<payments::Entity> {
    use payments::Column::{CancelledAt, FailureReason, PaidAt, Status};
    let update = payments::Entity::update_many().col_expr(Status, Expr::val(payment_status(steps.to)));
    match steps.to {
        PaymentStatus::Completed => {
            let no_failure = Expr::val(Option::<String>::None);
            update.col_expr(PaidAt, at.clone()).col_expr(FailureReason, no_failure)
        }
        PaymentStatus::Failed => {
            update.col_expr(FailureReason, reason.unwrap_or_else(|| Expr::val(Option::<String>::None)))
        }
        PaymentStatus::Cancelled => update.col_expr(CancelledAt, at.clone()),
        PaymentStatus::Pending => update,
    }
}

fn order_row(order: &Order) -> Result<orders::ActiveModel, RepositoryError> {
    Ok(orders::ActiveModel {
        id: Set(order.id.0),
        user_id: Set(order.user.0),
        status: Set(order_status(order.status).to_owned()),
        total_amount: Set(order.total.minor()),
        discount_amount: Set(order.discount.minor()),
        paid_amount: Set(order.paid.minor()),
        user_coupon_id: Set(order.coupon.as_ref().map(|coupon| coupon.user_coupon.0)),
        created_at: Set(order.created_at),
        updated_at: Set(order.created_at),
        paid_at: Set(order.paid_at),
        events: Set(sequence(order.events)?),
    })
}

fn item_rows(order: OrderId, of: &Order) -> impl Iterator<Item = order_items::ActiveModel> {
    (1..).zip(&of.lines).map(move |(line_no, line)| order_items::ActiveModel {
        order_id: Set(order.0),
        line_no: Set(line_no),
        product_id: Set(line.sku.product.0),
        variant_id: Set(variant_column(line.sku.variant)),
        name: Set(line.name.clone()),
        unit_price: Set(line.unit_price.minor()),
        quantity: Set(line.quantity.get()),
        subtotal: Set(line.subtotal.minor()),
        variant_name: Set(line.variant_name.clone()),
    })
}

fn hold_row(order: &Order) -> Option<order_holds::ActiveModel> {
    let until = order.held_until?;
    Some(order_holds::ActiveModel { order_id: Set(order.id.0), expires_at: Set(until) })
}

fn payment_row(payment: &Payment) -> payments::ActiveModel {
    payments::ActiveModel {
        order_id: Set(payment.order.0),
        method: Set("POINT".to_owned()),
        amount: Set(payment.amount.minor()),
        status: Set(payment_status(payment.status).to_owned()),
        failure_reason: NotSet,
        created_at: Set(payment.created_at),
        paid_at: Set(payment.paid_at),
        cancelled_at: NotSet,
    }
}

fn history_row(change: &PaymentChange) -> Result<payment_history::ActiveModel, RepositoryError> {
    Ok(payment_history::ActiveModel {
        order_id: Set(change.order.0),
        sequence: Set(sequence(change.sequence)?),
        from_status: Set(payment_status(change.from).to_owned()),
        to_status: Set(payment_status(change.to).to_owned()),
        reason: Set(change.reason.as_ref().map(PaymentReason::as_str).map(str::to_owned)),
        created_at: Set(change.at),
    })
}
