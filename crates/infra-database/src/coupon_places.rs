//! Places in the queue for a coupon, for the gate before it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use jangteo_application::CouponPlaces;
use jangteo_application::coupon_gate::{Claimable, Opening, Over};
use jangteo_domain::coupon::Coupon;
use jangteo_domain::{CouponCode, RepositoryError, UserId};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait, QueryFilter,
    QuerySelect,
};

use crate::entity::{coupon_gates, coupons, installation, returned_tickets, user_coupons};
use crate::error::{Corrupt, commit_failed, failed};
use crate::script::Script;
use crate::statement::padded;
use crate::store::Store;

#[async_trait]
impl CouponPlaces for Store {
    async fn claimable(&self, code: &CouponCode) -> Result<Option<Claimable>, RepositoryError> {
        Ok(self.find_coupon(code).await?.as_ref().map(Claimable::from))
    }

    async fn hand_out(&self, code: &CouponCode) -> Result<Option<Opening>, RepositoryError> {
        let opened_at = self.clock().now();
        let transaction = self.begin_writing().await?;
        let row = coupons::Entity::find().filter(coupons::Column::Code.eq(code.as_str())).lock_exclusive();
        let Some(row) = row.one(&transaction).await.map_err(failed)? else { return Ok(None) };
        let mut coupon = Coupon::try_from(row)?;
        let Claimable { edition, window } = Claimable::from(&coupon);
        let (starts_at, ends_at) = (window.start, window.end);
        let tickets = coupon.hand_out(coupon.remaining());
        if !tickets.is_empty() {
            note_gate(&transaction, &coupon, &tickets, opened_at).await?;
        }
        transaction.commit().await.map_err(commit_failed)?;
        // Nobody waits for this. Who gets the coupon meanwhile is let in once more at worst, and told so.
        let holders = holders_of(self.readers(), coupon.id.0).await?;
        Ok(Some(Opening { edition, starts_at, ends_at, tickets, holders, opened_at }))
    }

    async fn holders(
        &self,
        code: &CouponCode,
        users: &BTreeSet<UserId>,
    ) -> Result<BTreeMap<UserId, i64>, RepositoryError> {
        let Some(coupon) = self.find_coupon(code).await? else { return Ok(BTreeMap::new()) };
        let mut holders = BTreeMap::new();
        for list in padded(users.iter().map(|user| user.0)) {
            let rows = user_coupons::Entity::find()
                .select_only()
                .columns([user_coupons::Column::UserId, user_coupons::Column::Ticket])
                .filter(user_coupons::Column::CouponId.eq(coupon.id.0))
                .filter(user_coupons::Column::UserId.is_in(list));
            let rows: Vec<(i64, i64)> = rows.into_tuple().all(self.readers()).await.map_err(failed)?;
            holders.extend(rows.into_iter().map(|(user, ticket)| (UserId(user), ticket)));
        }
        Ok(holders)
    }

    async fn give_back(&self, code: &CouponCode, tickets: &BTreeSet<i64>) -> Result<(), RepositoryError> {
        let Some(coupon) = self.find_coupon(code).await? else { return Ok(()) };
        let returned_at = self.clock().now();
        let rows = tickets.iter().map(|ticket| returned_tickets::ActiveModel {
            coupon_id: Set(coupon.id.0),
            ticket: Set(*ticket),
            returned_at: Set(returned_at),
        });
        let transaction = self.begin_writing().await?;
        // The next who had it may have given it back as well.
        let once = match transaction.get_database_backend() {
            DbBackend::MySql => " ON DUPLICATE KEY UPDATE ticket = VALUES(ticket)",
            _ => " ON CONFLICT DO NOTHING",
        };
        let mut script = Script::new(transaction.get_database_backend());
        script.insert_or(rows, once);
        script.run(&transaction).await?;
        transaction.commit().await.map_err(commit_failed)
    }

    async fn sold_out(&self, code: &CouponCode, most: u64) -> Result<Option<Over>, RepositoryError> {
        let Some(coupon) = self.find_coupon(code).await? else { return Ok(None) };
        if coupon.remaining() > 0 {
            return Ok(None);
        }
        let few = u64::try_from(coupon.issued_quantity).is_ok_and(|issued| issued <= most);
        let holders = if few { Some(holders_of(self.readers(), coupon.id.0).await?) } else { None };
        let Claimable { edition, window } = Claimable::from(&coupon);
        Ok(Some(Over { edition, starts_at: window.start, ends_at: window.end, holders }))
    }
}

impl Store {
    /// A random name that no other database has.
    ///
    /// # Errors
    /// [`RepositoryError`] when the database does not answer, or its schema is not up to date.
    pub async fn installation(&self) -> Result<String, RepositoryError> {
        let row = installation::Entity::find().one(self.readers()).await.map_err(failed)?;
        Ok(row.ok_or_else(|| Corrupt::new("installation", "id", "the one row"))?.id)
    }
}

/// Writes down which tickets a gate hands out: nobody else does.
async fn note_gate(
    transaction: &DatabaseTransaction,
    coupon: &Coupon,
    tickets: &Range<i64>,
    opened_at: DateTime<Utc>,
) -> Result<(), RepositoryError> {
    let gate = coupon_gates::ActiveModel {
        coupon_id: Set(coupon.id.0),
        first_ticket: Set(tickets.start),
        last_ticket: Set(tickets.end - 1),
        opened_at: Set(opened_at),
    };
    coupon_gates::Entity::insert(gate).exec_without_returning(transaction).await.map_err(failed)?;
    coupons::Entity::update_many()
        .col_expr(coupons::Column::NextTicket, Expr::val(coupon.next_ticket))
        .filter(coupons::Column::Id.eq(coupon.id.0))
        .exec(transaction)
        .await
        .map_err(failed)?;
    Ok(())
}

async fn holders_of(
    connection: &impl ConnectionTrait,
    coupon: i64,
) -> Result<BTreeMap<UserId, i64>, RepositoryError> {
    let rows = user_coupons::Entity::find()
        .select_only()
        .columns([user_coupons::Column::UserId, user_coupons::Column::Ticket])
        .filter(user_coupons::Column::CouponId.eq(coupon));
    let rows: Vec<(i64, i64)> = rows.into_tuple().all(connection).await.map_err(failed)?;
    Ok(rows.into_iter().map(|(user, ticket)| (UserId(user), ticket)).collect())
}
