//! Coupons, as everybody and as their holders see them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use jangteo_application::queries::{CouponChange, CouponHistoryLine, HeldCoupon, Page, PageRequest};
use jangteo_domain::coupon::{CouponFault, UserCouponState};
use jangteo_domain::{Coupon, CouponCode, CouponId, OrderId, RepositoryError, UserCoupon, UserId};
use sea_orm::sea_query::{Expr, ExprTrait, JoinType, Order, Query, SelectStatement};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder};

use crate::customer_queries::has_not_left;
use crate::entity::{coupon_history, coupons, user_coupons};
use crate::error::{Corrupt, failed};
use crate::literal::moment_value;
use crate::statement::padded;
use crate::store::Store;

impl Store {
    pub(crate) async fn find_coupon_offers(
        &self,
        page: PageRequest,
    ) -> Result<Page<Coupon>, RepositoryError> {
        let now = moment_value(self.readers().get_database_backend(), self.clock().now());
        let offers = coupons::Entity::find()
            .filter(coupons::Column::ClaimEndsAt.gt(now))
            .filter(coupons::Column::RetiredAt.is_null())
            .order_by_asc(coupons::Column::ClaimEndsAt)
            .order_by_asc(coupons::Column::Id);
        self.page_of(offers, page, Coupon::try_from).await
    }

    pub(crate) async fn find_coupon(&self, code: &CouponCode) -> Result<Option<Coupon>, RepositoryError> {
        let row = coupons::Entity::find().filter(coupons::Column::Code.eq(code.as_str()));
        let row = row.one(self.readers()).await.map_err(failed)?;
        Ok(row.map(Coupon::try_from).transpose()?)
    }

    pub(crate) async fn find_held_coupons(&self, user: UserId) -> Result<Vec<HeldCoupon>, RepositoryError> {
        let held = user_coupons::Entity::find()
            .filter(user_coupons::Column::UserId.eq(user.0))
            .filter(has_not_left(user))
            .order_by_asc(user_coupons::Column::ClaimedAt)
            .order_by_asc(user_coupons::Column::Id)
            .all(self.readers())
            .await
            .map_err(failed)?;
        let coupons = coupons_by_id(self.readers(), held.iter().map(|held| held.coupon_id)).await?;
        let now = self.clock().now();
        held.into_iter().map(|held| held_coupon(held, &coupons, now).map_err(RepositoryError::from)).collect()
    }

    pub(crate) async fn find_coupon_history(
        &self,
        user: UserId,
        page: PageRequest,
    ) -> Result<Page<CouponHistoryLine>, RepositoryError> {
        let history = history_of(user);
        let total = self.count(history.clone()).await?;
        let select = with_columns(history)
            .order_by((coupon_history::Entity, coupon_history::Column::Id), Order::Desc)
            .limit(u64::from(page.size))
            .offset(u64::from(page.page) * u64::from(page.size))
            .take();
        let rows = HistoryRow::find_by_statement(self.readers().get_database_backend().build(&select));
        let rows = rows.all(self.readers()).await.map_err(failed)?;
        let content = rows.into_iter().map(CouponHistoryLine::try_from).collect::<Result<_, Corrupt>>()?;
        Ok(Page { content, request: page, total })
    }
}

pub(crate) async fn coupons_by_id(
    connection: &impl ConnectionTrait,
    ids: impl Iterator<Item = i64>,
) -> Result<BTreeMap<i64, coupons::Model>, RepositoryError> {
    let mut found = BTreeMap::new();
    for list in padded(ids) {
        let rows = coupons::Entity::find().filter(coupons::Column::Id.is_in(list));
        let rows = rows.all(connection).await.map_err(failed)?;
        found.extend(rows.into_iter().map(|row| (row.id, row)));
    }
    Ok(found)
}

/// The history of a customer's coupons, without columns yet.
fn history_of(user: UserId) -> SelectStatement {
    let held = |column: user_coupons::Column| (user_coupons::Entity, column);
    Query::select()
        .from(coupon_history::Entity)
        .join(
            JoinType::InnerJoin,
            user_coupons::Entity,
            Expr::col(held(user_coupons::Column::Id))
                .equals((coupon_history::Entity, coupon_history::Column::UserCouponId)),
        )
        .and_where(Expr::col(held(user_coupons::Column::UserId)).eq(user.0))
        .and_where(has_not_left(user))
        .take()
}

fn with_columns(mut history: SelectStatement) -> SelectStatement {
    let line = |column: coupon_history::Column| (coupon_history::Entity, column);
    history
        .columns([
            line(coupon_history::Column::Id),
            line(coupon_history::Column::Action),
            line(coupon_history::Column::OrderId),
            line(coupon_history::Column::CreatedAt),
        ])
        .column((user_coupons::Entity, user_coupons::Column::CouponId))
        .column((coupons::Entity, coupons::Column::Code))
        .join(
            JoinType::InnerJoin,
            coupons::Entity,
            Expr::col((coupons::Entity, coupons::Column::Id))
                .equals((user_coupons::Entity, user_coupons::Column::CouponId)),
        )
        .take()
}

#[derive(FromQueryResult)]
struct HistoryRow {
    id: i64,
    coupon_id: i64,
    code: String,
    action: String,
    order_id: Option<i64>,
    created_at: DateTime<Utc>,
}

impl TryFrom<HistoryRow> for CouponHistoryLine {
    type Error = Corrupt;

    fn try_from(row: HistoryRow) -> Result<Self, Corrupt> {
        Ok(Self {
            id: row.id,
            coupon: CouponId(row.coupon_id),
            code: row.code.parse().map_err(|_| Corrupt::new("coupons", "code", row.coupon_id))?,
            change: match row.action.as_str() {
                "ISSUED" => CouponChange::Issued,
                "USED" => CouponChange::Used,
                "RESTORED" => CouponChange::Restored,
                "EXPIRED" => CouponChange::Expired,
                _ => return Err(Corrupt::new("coupon_history", "action", row.id)),
            },
            order: row.order_id.map(OrderId),
            at: row.created_at,
        })
    }
}

fn held_coupon(
    held: user_coupons::Model,
    coupons: &BTreeMap<i64, coupons::Model>,
    now: DateTime<Utc>,
) -> Result<HeldCoupon, Corrupt> {
    let coupon =
        coupons.get(&held.coupon_id).ok_or_else(|| Corrupt::new("user_coupons", "coupon_id", held.id))?;
    let held = UserCoupon::try_from(held)?;
    Ok(HeldCoupon {
        coupon: held.coupon,
        code: coupon.code.parse().map_err(|_| Corrupt::new("coupons", "code", coupon.id))?,
        name: coupon.name.clone(),
        // An order refuses it from that moment on, whenever that is recorded.
        state: match held.check_usable(now) == Err(CouponFault::Expired) {
            true => UserCouponState::Expired,
            false => held.state,
        },
        claimed_at: held.claimed_at,
        expires_at: held.expires_at,
    })
}
