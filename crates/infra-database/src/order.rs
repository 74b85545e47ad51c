//! Orders and payments.

use async_trait::async_trait;
use jangteo_domain::order::{Order, OrderRepository};
use jangteo_domain::payment::{Payment, PaymentStatus};
use jangteo_domain::{OrderId, RepositoryError};
use sea_orm::ActiveValue::{NotSet, Set};

use crate::entity::{order_items, orders, payment_history, payments};
use crate::rows::order_status;
use crate::transaction::Transaction;

#[async_trait]
impl OrderRepository for Transaction {
    async fn insert_many(&mut self, orders: &[Order]) -> Result<(), RepositoryError> {
        self.writes.insert(orders.iter().map(order_row));
        self.writes.insert(orders.iter().flat_map(|order| item_rows(order.id, order)));
        Ok(())
    }

    async fn pay_many(&mut self, payments: &[Payment]) -> Result<(), RepositoryError> {
        self.writes.insert(payments.iter().map(payment_row));
        self.writes.insert(payments.iter().map(|payment| payment_history::ActiveModel {
            order_id: Set(payment.order.0),
            sequence: Set(1),
            from_status: Set(payment_status(PaymentStatus::Pending).to_owned()),
            to_status: Set(payment_status(payment.status).to_owned()),
            reason: NotSet,
            created_at: Set(payment.created_at),
        }));
        Ok(())
    }
}

fn payment_status(status: PaymentStatus) -> &'static str {
    match status {
        PaymentStatus::Pending => "PENDING",
        PaymentStatus::Completed => "COMPLETED",
    }
}

fn order_row(order: &Order) -> orders::ActiveModel {
    orders::ActiveModel {
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
        events: NotSet,
    }
}

fn item_rows(order: OrderId, of: &Order) -> impl Iterator<Item = order_items::ActiveModel> {
    (1..).zip(&of.lines).map(move |(line_no, line)| order_items::ActiveModel {
        order_id: Set(order.0),
        line_no: Set(line_no),
        product_id: Set(line.product.0),
        name: Set(line.name.clone()),
        unit_price: Set(line.unit_price.minor()),
        quantity: Set(line.quantity.get()),
        subtotal: Set(line.subtotal.minor()),
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
