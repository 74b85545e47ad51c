//! Coupons and customers' copies of them.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use jangteo_domain::coupon::{
    Coupon, CouponCode, CouponRepository, Redemption, Restoration, UserCoupon, UserCouponState,
};
use jangteo_domain::{CouponId, RepositoryError, UserCouponId, UserId};
use sea_orm::sea_query::{Condition, Expr, ExprTrait, Func, LockBehavior, LockType, Query, SimpleExpr};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, DbBackend, EntityTrait, NotSet, QueryFilter, QueryOrder, QuerySelect,
};

use crate::entity::{coupon_history, coupons, user_coupons};
use crate::error::failed;
use crate::literal::moment_value;
use crate::statement::{LARGEST, padded};
use crate::transaction::Transaction;

#[async_trait]
impl CouponRepository for Transaction {
    async fn find_many(
        &mut self,
        codes: &BTreeSet<CouponCode>,
    ) -> Result<BTreeMap<CouponCode, Coupon>, RepositoryError> {
        let transaction = self.up_to_date().await?;
        let mut found = BTreeMap::new();
        for list in padded(codes.iter().map(CouponCode::as_str)) {
            let rows = coupons::Entity::find()
                .filter(coupons::Column::Code.is_in(list))
                .all(transaction)
                .await
                .map_err(failed)?;
            collect(rows, &mut found)?;
        }
        Ok(found)
    }

    /// By id, because that is the order of locking; codes have another.
    async fn lock_many(
        &mut self,
        codes: &BTreeSet<CouponCode>,
    ) -> Result<BTreeMap<CouponCode, Coupon>, RepositoryError> {
        let ids: BTreeSet<i64> = self.find_many(codes).await?.values().map(|coupon| coupon.id.0).collect();
        let mut locked = BTreeMap::new();
        self.lock_coupons(ids, &mut locked).await?;
        Ok(locked)
    }

    async fn lock_by_ids(
        &mut self,
        coupons: &BTreeSet<CouponId>,
    ) -> Result<BTreeMap<CouponId, Coupon>, RepositoryError> {
        let mut locked = BTreeMap::new();
        self.lock_coupons(coupons.iter().map(|coupon| coupon.0), &mut locked).await?;
        Ok(locked.into_values().map(|coupon: Coupon| (coupon.id, coupon)).collect())
    }

    async fn insert(&mut self, coupon: &Coupon, at: DateTime<Utc>) -> Result<(), RepositoryError> {
        self.insert_coupon(coupon, at)
    }

    async fn update(&mut self, coupon: &Coupon, at: DateTime<Utc>) -> Result<(), RepositoryError> {
        self.update_coupon(coupon, at)
    }

    async fn lock_held(
        &mut self,
        holders: &BTreeSet<(UserId, CouponId)>,
    ) -> Result<BTreeMap<(UserId, CouponId), UserCoupon>, RepositoryError> {
        let transaction = self.up_to_date().await?;
        let mut held = BTreeMap::new();
        for list in padded(holders.iter().copied()) {
            let any = list.into_iter().fold(Condition::any(), |any, (user, coupon)| {
                any.add(
                    Condition::all()
                        .add(user_coupons::Column::UserId.eq(user.0))
                        .add(user_coupons::Column::CouponId.eq(coupon.0)),
                )
            });
            let rows = user_coupons::Entity::find()
                .filter(any)
                .order_by_asc(user_coupons::Column::UserId)
                .order_by_asc(user_coupons::Column::CouponId)
                .lock_exclusive()
                .all(transaction)
                .await
                .map_err(failed)?;
            for row in rows {
                let user_coupon = UserCoupon::try_from(row)?;
                held.insert((user_coupon.user, user_coupon.coupon), user_coupon);
            }
        }
        Ok(held)
    }

    async fn taken_tickets(
        &mut self,
        tickets: &BTreeSet<(CouponId, i64)>,
    ) -> Result<BTreeSet<(CouponId, i64)>, RepositoryError> {
        let transaction = self.up_to_date().await?;
        let mut by_coupon: BTreeMap<CouponId, Vec<i64>> = BTreeMap::new();
        for &(coupon, ticket) in tickets {
            by_coupon.entry(coupon).or_default().push(ticket);
        }
        let mut taken = BTreeSet::new();
        for (coupon, tickets) in by_coupon {
            for list in padded(tickets) {
                let held = user_coupons::Entity::find()
                    .select_only()
                    .column(user_coupons::Column::Ticket)
                    .filter(user_coupons::Column::CouponId.eq(coupon.0))
                    .filter(user_coupons::Column::Ticket.is_in(list));
                let held: Vec<i64> = held.into_tuple().all(transaction).await.map_err(failed)?;
                taken.extend(held.into_iter().map(|ticket| (coupon, ticket)));
            }
        }
        Ok(taken)
    }

    async fn issue(&mut self, issued: &[UserCoupon]) -> Result<(), RepositoryError> {
        self.writes.insert(issued.iter().map(user_coupon_row));
        self.writes.insert(issued.iter().map(|issued| coupon_history::ActiveModel {
            id: NotSet,
            user_coupon_id: Set(issued.id.0),
            action: Set("ISSUED".to_owned()),
            order_id: Set(None),
            created_at: Set(issued.claimed_at),
        }));
        self.count_issued(issued);
        Ok(())
    }

    async fn redeem(&mut self, redemptions: &[Redemption]) -> Result<(), RepositoryError> {
        let Some(at) = redemptions.iter().map(|redemption| redemption.at).max() else { return Ok(()) };
        for list in redemptions.chunks(LARGEST) {
            let update = user_coupons::Entity::update_many()
                .col_expr(user_coupons::Column::Status, Expr::val("USED"))
                .col_expr(user_coupons::Column::UsedAt, self.writes.moment(at))
                .filter(
                    user_coupons::Column::Id.is_in(list.iter().map(|redemption| redemption.user_coupon.0)),
                )
                .filter(still("CLAIMED"));
            self.writes.update(update, list.len());
        }
        self.writes.insert(redemptions.iter().map(|redemption| coupon_history::ActiveModel {
            id: NotSet,
            user_coupon_id: Set(redemption.user_coupon.0),
            action: Set("USED".to_owned()),
            order_id: Set(Some(redemption.order.0)),
            created_at: Set(redemption.at),
        }));
        Ok(())
    }

    async fn restore(&mut self, restorations: &[Restoration]) -> Result<(), RepositoryError> {
        for (expired, status) in [(false, "CLAIMED"), (true, "EXPIRED")] {
            let ids = restorations.iter().filter(|restored| restored.expired == expired);
            let ids: Vec<i64> = ids.map(|restored| restored.user_coupon.0).collect();
            for list in ids.chunks(LARGEST) {
                let update = user_coupons::Entity::update_many()
                    .col_expr(user_coupons::Column::Status, Expr::val(status))
                    .col_expr(user_coupons::Column::UsedAt, Expr::cust("NULL"))
                    .filter(user_coupons::Column::Id.is_in(list.iter().copied()))
                    .filter(still("USED"));
                self.writes.update(update, list.len());
            }
        }
        self.writes.insert(restorations.iter().map(|restored| coupon_history::ActiveModel {
            id: NotSet,
            user_coupon_id: Set(restored.user_coupon.0),
            action: Set(if restored.expired { "EXPIRED" } else { "RESTORED" }.to_owned()),
            order_id: Set(Some(restored.order.0)),
            created_at: Set(restored.at),
        }));
        Ok(())
    }

    /// Without waiting there is no order of locking to keep. SQLite lets only one write at a time and locks no rows.
    async fn lock_due(
        &mut self,
        now: DateTime<Utc>,
        at_most: usize,
    ) -> Result<Vec<UserCoupon>, RepositoryError> {
        let now = moment_value(self.writes.backend(), now);
        let transaction = self.up_to_date().await?;
        let rows = user_coupons::Entity::find()
            .filter(user_coupons::Column::Status.eq("CLAIMED"))
            .filter(user_coupons::Column::ExpiresAt.lte(now))
            .order_by_asc(user_coupons::Column::ExpiresAt)
            .limit(at_most as u64)
            .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
            .all(transaction)
            .await
            .map_err(failed)?;
        rows.into_iter().map(|row| Ok(UserCoupon::try_from(row)?)).collect()
    }

    async fn expire(&mut self, expired: &[UserCouponId], at: DateTime<Utc>) -> Result<(), RepositoryError> {
        for list in expired.chunks(LARGEST) {
            let update = user_coupons::Entity::update_many()
                .col_expr(user_coupons::Column::Status, Expr::val("EXPIRED"))
                .filter(user_coupons::Column::Id.is_in(list.iter().map(|id| id.0)))
                .filter(still("CLAIMED"));
            self.writes.update(update, list.len());
        }
        self.writes.insert(expired.iter().map(|id| coupon_history::ActiveModel {
            id: NotSet,
            user_coupon_id: Set(id.0),
            action: Set("EXPIRED".to_owned()),
            order_id: Set(None),
            created_at: Set(at),
        }));
        Ok(())
    }
}

/// The guard of an update by ids, in a form that no index serves. Given the choice, MariaDB would find the rows by their
/// status when few are CLAIMED, and so lock those of everybody else.
fn still(status: &'static str) -> SimpleExpr {
    Func::coalesce([user_coupons::Column::Status.into_expr(), Expr::val("")]).eq(status)
}

fn collect(
    rows: Vec<coupons::Model>,
    into: &mut BTreeMap<CouponCode, Coupon>,
) -> Result<(), RepositoryError> {
    for row in rows {
        let coupon = Coupon::try_from(row)?;
        into.insert(coupon.code.clone(), coupon);
    }
    Ok(())
}

impl Transaction {
    async fn lock_coupons(
        &mut self,
        ids: impl IntoIterator<Item = i64>,
        locked: &mut BTreeMap<CouponCode, Coupon>,
    ) -> Result<(), RepositoryError> {
        let transaction = self.up_to_date().await?;
        for list in padded(ids) {
            let rows = coupons::Entity::find()
                .filter(coupons::Column::Id.is_in(list))
                .order_by_asc(coupons::Column::Id)
                .lock_exclusive()
                .all(transaction)
                .await
                .map_err(failed)?;
            collect(rows, locked)?;
        }
        Ok(())
    }

    /// Guarded: the counter never passes the total quantity, whatever was read before. Comes after the rows it counts.
    fn count_issued(&mut self, issued: &[UserCoupon]) {
        let mut counts: BTreeMap<i64, i64> = BTreeMap::new();
        for issued in issued {
            *counts.entry(issued.coupon.0).or_default() += 1;
        }
        let handed_out = self.handed_out();
        self.writes.update_by_key::<coupons::Entity>(coupons::Column::Id, &counts, |update, count| {
            let counted = Expr::col(coupons::Column::IssuedQuantity).add(count);
            update
                .col_expr(coupons::Column::IssuedQuantity, counted.clone())
                .col_expr(coupons::Column::NextTicket, handed_out.clone())
                .filter(counted.lte(Expr::col(coupons::Column::TotalQuantity)))
        });
    }

    /// The next ticket of a coupon, above all that its customers hold.
    fn handed_out(&self) -> SimpleExpr {
        let larger = match self.writes.backend() {
            DbBackend::MySql => "GREATEST",
            _ => "MAX",
        };
        let coupon = Expr::col((coupons::Entity, coupons::Column::Id));
        let above_the_last = Query::select()
            .expr(Func::coalesce([Func::max(Expr::col(user_coupons::Column::Ticket)).add(1), Expr::val(1)]))
            .from(user_coupons::Entity)
            .and_where(Expr::col(user_coupons::Column::CouponId).eq(coupon))
            .take();
        let next = Expr::col((coupons::Entity, coupons::Column::NextTicket));
        Func::cust(larger).args([next, Expr::SubQuery(None, Box::new(above_the_last.into()))]).into()
    }
}

fn user_coupon_row(issued: &UserCoupon) -> user_coupons::ActiveModel {
    let (status, used_at) = match issued.state {
        UserCouponState::Claimed => ("CLAIMED", None),
        UserCouponState::Used { at } => ("USED", Some(at)),
        UserCouponState::Expired => ("EXPIRED", None),
    };
    user_coupons::ActiveModel {
        id: Set(issued.id.0),
        user_id: Set(issued.user.0),
        coupon_id: Set(issued.coupon.0),
        status: Set(status.to_owned()),
        ticket: Set(issued.ticket),
        claimed_at: Set(issued.claimed_at),
        expires_at: Set(issued.expires_at),
        used_at: Set(used_at),
    }
}
