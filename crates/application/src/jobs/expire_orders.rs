use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use jangteo_domain::cancellation::{Cancellation, Occasion, cancel};
use jangteo_domain::{Order, RepositoryError, UserId};

use super::Job;
use crate::cancel_orders::store;
use crate::operation::Work;
use crate::placed_orders;
use crate::unit_of_work::UnitOfWork;

/// Cancels orders that were not paid in time, and gives back what was held for them: what a customer who cancels does.
///
/// They are refused payment from the moment on at which their time ends, whether or not this has run. One that cannot be
/// taken back, as its rows are not what they should be, keeps back no other for long.
#[derive(Debug, Default)]
pub struct ExpireOrders {
    /// 0 while all goes well. After a failure orders are taken one by one until none is left, and this is 1 more than those
    /// passed over, which have failed alone.
    careful: AtomicUsize,
}

const BATCH: usize = 200;

#[async_trait]
impl Job for ExpireOrders {
    fn name(&self) -> &'static str {
        "expire-orders"
    }

    /// Until it has succeeded it counts as failed: it may panic.
    async fn batch(&self, uow: &mut dyn UnitOfWork, now: DateTime<Utc>) -> Result<usize, RepositoryError> {
        let careful = self.careful.fetch_add(1, Ordering::Relaxed);
        let (pass_over, at_most) = if careful == 0 { (0, BATCH) } else { (careful - 1, 1) };
        let expired = expire(uow, now, pass_over, at_most).await?;
        self.careful.store(if expired == 0 { 0 } else { careful }, Ordering::Relaxed);
        Ok(expired)
    }
}

/// The orders are read first, to know what has to be locked before them. Somebody may pay or cancel them until they are
/// locked, and what is not overdue then is left alone.
async fn expire(
    uow: &mut dyn UnitOfWork,
    now: DateTime<Utc>,
    pass_over: usize,
    at_most: usize,
) -> Result<usize, RepositoryError> {
    let overdue = uow.orders().overdue(now, pass_over, at_most).await?;
    if overdue.is_empty() {
        return Ok(0);
    }
    let customers: BTreeSet<UserId> = overdue.iter().map(|order| order.user).collect();
    let wallets = uow.wallets().lock_many(&customers).await?;
    let orders: Vec<&Order> = overdue.iter().collect();
    let mut work = Work { uow, wallets, ids: Vec::new().into_iter(), part_ids: Vec::new().into_iter(), now };
    let mut placed = placed_orders::lock(&mut work, &orders).await?;
    let requests = orders.iter().map(|order| (order.id, Occasion::Overdue));
    let verdicts = cancel(&mut placed, requests, now);
    let cancelled: Vec<&Cancellation> = verdicts.iter().flatten().collect();
    if !cancelled.is_empty() {
        store(uow, &cancelled, now).await?;
    }
    // Those that are left alone are not looked at again before the next run.
    Ok(cancelled.len())
}
