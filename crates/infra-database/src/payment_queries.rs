//! Payments as customers see them.

use jangteo_application::queries::{PaymentStep, PaymentView};
use jangteo_domain::{Money, OrderId, RepositoryError};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};

use crate::entity::{payment_history, payments};
use crate::error::{Corrupt, failed};
use crate::rows::read_payment_status;
use crate::store::Store;

impl Store {
    pub(crate) async fn find_payment(&self, order: OrderId) -> Result<Option<PaymentView>, RepositoryError> {
        let row = payments::Entity::find_by_id(order.0).one(self.readers()).await.map_err(failed)?;
        let Some(row) = row else { return Ok(None) };
        let steps = payment_history::Entity::find()
            .filter(payment_history::Column::OrderId.eq(order.0))
            .order_by_asc(payment_history::Column::Sequence)
            .all(self.readers())
            .await
            .map_err(failed)?;
        let history = steps.into_iter().map(step).collect::<Result<_, _>>()?;
        Ok(Some(PaymentView {
            order,
            amount: Money::from_minor(row.amount),
            status: read_payment_status(row.order_id, &row.status)?,
            failure_reason: row.failure_reason,
            created_at: row.created_at,
            paid_at: row.paid_at,
            cancelled_at: row.cancelled_at,
            history,
        }))
    }
}

fn step(row: payment_history::Model) -> Result<PaymentStep, Corrupt> {
    Ok(PaymentStep {
        from: read_payment_status(row.order_id, &row.from_status)?,
        to: read_payment_status(row.order_id, &row.to_status)?,
        reason: row.reason,
        at: row.created_at,
    })
}
