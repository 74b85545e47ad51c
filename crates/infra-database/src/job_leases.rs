//! Leases of scheduled jobs.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use jangteo_application::UnitOfWork;
use jangteo_application::jobs::{Holder, JobError, JobLeases, Lease, LeaseLost};
use jangteo_domain::RepositoryError;
use sea_orm::sea_query::{Condition, Expr, SimpleExpr};
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, UpdateMany};

use crate::entity::job_leases::{ActiveModel, Column, Entity, Model};
use crate::error::{commit_failed, failed};
use crate::literal::moment_value;
use crate::script::Script;
use crate::store::Store;
use crate::transaction::Transaction;

#[async_trait]
impl JobLeases for Store {
    /// Reads first: those who find it taken, which is nearly always, lock nothing and disturb nobody.
    async fn acquire(
        &self,
        job: &'static str,
        holder: &Holder,
        now: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<Option<Lease>, RepositoryError> {
        let found = Entity::find_by_id(job).one(self.readers()).await.map_err(failed)?;
        let fence = match found {
            None => self.first(job, holder, until).await?,
            Some(found) if found.holder == holder.0 || found.expires_at <= now => {
                self.take(&found, holder, now, until).await?
            }
            Some(_) => None,
        };
        Ok(fence.map(|fence| Lease { job, holder: holder.clone(), fence }))
    }

    /// The row stays locked until the unit of work ends.
    async fn begin_under(
        &self,
        lease: &Lease,
        until: DateTime<Utc>,
    ) -> Result<Box<dyn UnitOfWork>, JobError> {
        let raw = self.begin_writing().await?;
        let prolong = of(lease).col_expr(Column::ExpiresAt, self.moment(until));
        match prolong.exec(&raw).await.map_err(failed)?.rows_affected {
            1 => Ok(Box::new(Transaction::new(raw, Arc::clone(self.news())))),
            _ => Err(LeaseLost { job: lease.job, fence: lease.fence }.into()),
        }
    }

    async fn give_back(&self, lease: &Lease) -> Result<(), RepositoryError> {
        // Over by everybody's clock.
        let over = self.moment(DateTime::UNIX_EPOCH);
        of(lease).col_expr(Column::ExpiresAt, over).exec(self.writers()).await.map_err(failed)?;
        Ok(())
    }
}

impl Store {
    /// The lease of a job that nobody has run yet.
    async fn first(
        &self,
        job: &'static str,
        holder: &Holder,
        until: DateTime<Utc>,
    ) -> Result<Option<i64>, RepositoryError> {
        let transaction = self.begin_writing().await?;
        let mut script = Script::new(transaction.get_database_backend());
        script.insert([ActiveModel {
            name: Set(job.to_owned()),
            holder: Set(holder.0.clone()),
            fence: Set(1),
            expires_at: Set(until),
        }]);
        match script.run(&transaction).await {
            Err(RepositoryError::Conflict(_)) => return Ok(None),
            inserted => inserted?,
        }
        transaction.commit().await.map_err(commit_failed)?;
        Ok(Some(1))
    }

    /// Guarded: what was read may not be so any more.
    async fn take(
        &self,
        found: &Model,
        holder: &Holder,
        now: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<Option<i64>, RepositoryError> {
        let own = found.holder == holder.0;
        let fence = if own { found.fence } else { found.fence + 1 };
        let over = Column::ExpiresAt.lte(moment_value(self.writers().get_database_backend(), now));
        let taken = Entity::update_many()
            .col_expr(Column::Holder, Expr::val(holder.0.as_str()))
            .col_expr(Column::Fence, Expr::val(fence))
            .col_expr(Column::ExpiresAt, self.moment(until))
            .filter(Column::Name.eq(found.name.as_str()))
            .filter(Column::Fence.eq(found.fence))
            .filter(Condition::any().add(Column::Holder.eq(holder.0.as_str())).add(over))
            .exec(self.writers())
            .await
            .map_err(failed)?;
        Ok((taken.rows_affected == 1).then_some(fence))
    }

    fn moment(&self, at: DateTime<Utc>) -> SimpleExpr {
        Expr::val(moment_value(self.writers().get_database_backend(), at))
    }
}

/// Its row, if it still is its holder's.
fn of(lease: &Lease) -> UpdateMany<Entity> {
    Entity::update_many()
        .filter(Column::Name.eq(lease.job))
        .filter(Column::Holder.eq(lease.holder.0.as_str()))
        .filter(Column::Fence.eq(lease.fence))
}
