//! Orders and payments.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use jangteo_domain::cancellation::CancelReason;
use jangteo_domain::order::{Order, OrderRepository, OrderStatus};
use jangteo_domain::payment::{Payment, PaymentChange, PaymentStatus};
use jangteo_domain::{OrderId, RepositoryError};
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::entity::{order_items, orders, payment_history, payments};
use crate::error::failed;
use crate::order_details::with_details;
use crate::rows::{order_status, payment, payment_status, sequence};
use crate::statement::{LARGEST, padded};
use crate::transaction::Transaction;

#[async_trait]
impl OrderRepository for Transaction {
    async fn insert_many(&mut self, orders: &[Order]) -> Result<(), RepositoryError> {
        let rows: Vec<_> = orders.iter().map(order_row).collect::<Result<_, _>>()?;
        self.writes.insert(rows);
        self.writes.insert(orders.iter().flat_map(|order| item_rows(order.id, order)));
        Ok(())
    }

    async fn pay_many(&mut self, payments: &[Payment]) -> Result<(), RepositoryError> {
        self.writes.insert(payments.iter().map(payment_row));
        let rows = payments.iter().map(|payment| {
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
        use orders::Column::{Events, Id, Status, UpdatedAt};
        let at = self.writes.moment(at);
        // Where an order gets first comes first: it may be there for two of its changes.
        for status in [OrderStatus::Shipping, OrderStatus::Delivered, OrderStatus::Cancelled] {
            let there = orders.iter().filter(|order| order.status == status);
            let events = there.map(|order| (order.id.0, i64::from(order.events))).collect();
            self.writes.update_by_key::<orders::Entity>(Id, &events, |update, events| {
                update
                    .col_expr(Status, Expr::val(order_status(status)))
                    .col_expr(Events, events.clone())
                    .col_expr(UpdatedAt, at.clone())
                    .filter(Expr::col(Events).eq(events.sub(1)))
            });
        }
        Ok(())
    }

    async fn cancel_payments(&mut self, changes: &[PaymentChange]) -> Result<(), RepositoryError> {
        let Some(at) = changes.iter().map(|change| change.at).max() else { return Ok(()) };
        for list in changes.chunks(LARGEST) {
            let update = payments::Entity::update_many()
                .col_expr(payments::Column::Status, Expr::val(payment_status(PaymentStatus::Cancelled)))
                .col_expr(payments::Column::CancelledAt, self.writes.moment(at))
                .filter(payments::Column::OrderId.is_in(list.iter().map(|change| change.order.0)))
                .filter(payments::Column::Status.eq(payment_status(PaymentStatus::Completed)));
            self.writes.update(update, list.len());
        }
        let rows: Vec<_> = changes.iter().map(history_row).collect::<Result<_, _>>()?;
        self.writes.insert(rows);
        Ok(())
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
        paid_at: Set(Some(order.created_at)),
        events: Set(sequence(order.events)?),
    })
}

fn item_rows(order: OrderId, of: &Order) -> impl Iterator<Item = order_items::ActiveModel> {
    (1..).zip(&of.lines).map(move |(line_no, line)| order_items::ActiveModel {
        order_id: Set(order.0),
        line_no: Set(line_no),
        product_id: Set(line.product.0),
        variant_id: Set(0),
        name: Set(line.name.clone()),
        unit_price: Set(line.unit_price.minor()),
        quantity: Set(line.quantity.get()),
        subtotal: Set(line.subtotal.minor()),
        variant_name: Set(None),
    })
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
        reason: Set(change.reason.as_ref().map(CancelReason::as_str).map(str::to_owned)),
        created_at: Set(change.at),
    })
}
