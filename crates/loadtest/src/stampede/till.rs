use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, Utc};
use jangteo_application::outbox::OutboxMessage;
use jangteo_application::{Clock, SystemClock};
use jangteo_domain::coupon::{ClaimRefusal, Coupon, Discount, UserCoupon};
use jangteo_domain::{CouponCode, CouponId, Money, UserCouponId, UserId};
use sqlx::{Connection, MySqlConnection};

use super::lock::Lock;
use super::{Attempt, Claimant, Fate};
use crate::floor::connect_mysql;

const LOCKED_COUPON: &str = "SELECT id, claim_starts_at, claim_ends_at, total_quantity, issued_quantity, next_ticket \
                             FROM coupons WHERE code = ? FOR UPDATE";
const COUPON: &str = "SELECT id, claim_starts_at, claim_ends_at, total_quantity, issued_quantity, next_ticket \
                      FROM coupons WHERE code = ?";
const HELD: &str = "SELECT ticket FROM user_coupons WHERE user_id = ? AND coupon_id = ?";
const USER_COUPON: &str = "INSERT INTO user_coupons (id, user_id, coupon_id, status, ticket, claimed_at, expires_at, \
                           used_at) VALUES (?, ?, ?, 'CLAIMED', ?, ?, ?, NULL)";
const HISTORY: &str = "INSERT INTO coupon_history (user_coupon_id, action, order_id, created_at) \
                       VALUES (?, 'ISSUED', NULL, ?)";
const EVENT: &str = "INSERT INTO outbox (aggregate, aggregate_id, sequence, event_type, payload, status, attempts, \
                     status_at, created_at) VALUES ('user_coupon', ?, 1, ?, ?, 'PENDING', 0, ?, ?)";
const COUNT: &str = "UPDATE coupons SET issued_quantity = issued_quantity + 1, next_ticket = ? \
                     WHERE id = ? AND issued_quantity < total_quantity";

type CouponRow = (i64, DateTime<Utc>, DateTime<Utc>, i64, i64, i64);

/// What it takes to claim straight from the database.
#[derive(Clone, Debug)]
pub(crate) struct Counter {
    /// A seeded database nobody else uses.
    pub(crate) database_url: String,
    /// Where the lock is that claims wait for; without it they wait for the coupon's row.
    pub(crate) redis_url: Option<String>,
    /// Ids are handed out in memory: that must not slow the floor.
    pub(crate) last_id: Arc<AtomicI64>,
}

/// One transaction for each claim, straight through the driver with prepared statements. What it writes is what
/// Jangteo writes.
pub(crate) struct Till {
    connection: MySqlConnection,
    lock: Option<Lock>,
    last_id: Arc<AtomicI64>,
}

impl Claimant for Till {
    type Means = Counter;

    async fn arrive(counter: &Counter) -> Result<Self> {
        let lock = match &counter.redis_url {
            Some(url) => Some(Lock::new(url).await?),
            None => None,
        };
        let connection = connect_mysql(&counter.database_url).await?;
        Ok(Self { connection, lock, last_id: Arc::clone(&counter.last_id) })
    }

    async fn claim(&mut self, attempt: Attempt) -> Result<Fate> {
        let Self { connection, lock, last_id } = self;
        let Some(lock) = lock else { return claim(connection, LOCKED_COUPON, last_id, attempt).await };
        let token = lock.acquire(attempt.code).await?;
        let fate = claim(connection, COUPON, last_id, attempt).await?;
        lock.release(attempt.code, token).await?;
        Ok(fate)
    }
}

async fn claim(
    connection: &mut MySqlConnection,
    coupon: &'static str,
    last_id: &AtomicI64,
    attempt: Attempt,
) -> Result<Fate> {
    let mut transaction = connection.begin().await?;
    let row: CouponRow = sqlx::query_as(coupon).bind(attempt.code).fetch_one(&mut *transaction).await?;
    let mut coupon = read(row, attempt.code)?;
    // Holders first: who has the coupon is told so, also when it is sold out, as Jangteo tells them.
    let held = sqlx::query_as::<_, (i64,)>(HELD).bind(attempt.user).bind(coupon.id.0);
    if held.fetch_optional(&mut *transaction).await?.is_some() {
        transaction.rollback().await?;
        return Ok(Fate::Refused);
    }
    let id = UserCouponId(last_id.fetch_add(1, Ordering::Relaxed) + 1);
    let Some(issued) = issue(&mut coupon, id, UserId(attempt.user))? else {
        transaction.rollback().await?;
        return Ok(Fate::Refused);
    };
    write(&mut transaction, &coupon, &issued).await?;
    transaction.commit().await?;
    Ok(Fate::Won)
}

/// What does not decide about a claim is as it was seeded.
fn read(row: CouponRow, code: &str) -> Result<Coupon> {
    let (id, claim_starts_at, claim_ends_at, total_quantity, issued_quantity, next_ticket) = row;
    Ok(Coupon {
        id: CouponId(id),
        code: code.parse::<CouponCode>()?,
        name: String::new(),
        discount: Discount::Fixed(Money::from_minor(100)),
        min_order_amount: Money::from_minor(0),
        max_discount: None,
        claim_starts_at,
        claim_ends_at,
        valid_until: None,
        valid_days: None,
        total_quantity,
        issued_quantity,
        next_ticket,
        retired_at: None,
        version: 1,
    })
}

/// By the rules of the domain; nothing when all were issued.
fn issue(coupon: &mut Coupon, id: UserCouponId, user: UserId) -> Result<Option<UserCoupon>> {
    match coupon.issue(id, user, None, SystemClock.now()) {
        Ok(issued) => Ok(Some(issued)),
        Err(ClaimRefusal::SoldOut) => Ok(None),
        Err(refusal) => Err(refusal).context("the window of the coupon is open"),
    }
}

async fn write(connection: &mut MySqlConnection, coupon: &Coupon, issued: &UserCoupon) -> Result<()> {
    let UserCoupon { id, user, ticket, claimed_at, expires_at, .. } = *issued;
    let row = sqlx::query(USER_COUPON).bind(id.0).bind(user.0).bind(coupon.id.0).bind(ticket);
    row.bind(claimed_at).bind(expires_at).execute(&mut *connection).await?;
    sqlx::query(HISTORY).bind(id.0).bind(claimed_at).execute(&mut *connection).await?;
    let event = OutboxMessage::coupon_issued(issued, &coupon.code);
    let row = sqlx::query(EVENT).bind(event.aggregate_id).bind(event.event_type.name());
    row.bind(event.payload.as_str()).bind(event.at).bind(event.at).execute(&mut *connection).await?;
    let count = sqlx::query(COUNT).bind(coupon.next_ticket).bind(coupon.id.0);
    let counted = count.execute(connection).await?;
    ensure!(counted.rows_affected() == 1, "more coupons were issued than there are");
    Ok(())
}
