//! What belongs to one customer.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jangteo_application::queries::{
    CouponHistoryLine, CustomerQueries, HeldCoupon, LedgerLine, Page, PageRequest,
};
use jangteo_domain::order::{AppliedCoupon, Order, OrderLine, OrderStatus};
use jangteo_domain::{
    Money, OrderId, ProductId, Quantity, RepositoryError, User, UserCouponId, UserId, Wallet,
};
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Select};

use crate::entity::{ledger_entries, order_items, orders, user_coupons, users, wallets};
use crate::error::{Corrupt, failed};
use crate::rows::{order_status, read_ledger_kind, read_order_status};
use crate::store::Store;

#[async_trait]
impl CustomerQueries for Store {
    async fn user(&self, user: UserId) -> Result<Option<User>, RepositoryError> {
        let row = users::Entity::find_by_id(user.0)
            .filter(users::Column::DeletedAt.is_null())
            .one(self.readers())
            .await
            .map_err(failed)?;
        Ok(row.map(User::try_from).transpose()?)
    }

    async fn wallet(&self, user: UserId) -> Result<Option<Wallet>, RepositoryError> {
        let row = wallets::Entity::find_by_id(user.0).one(self.readers()).await.map_err(failed)?;
        Ok(row.map(|row| Wallet { user: UserId(row.user_id), balance: Money::from_minor(row.balance) }))
    }

    async fn ledger(&self, user: UserId, page: PageRequest) -> Result<Page<LedgerLine>, RepositoryError> {
        let entries = ledger_entries::Entity::find().filter(ledger_entries::Column::UserId.eq(user.0));
        let total = entries.clone().count(self.readers()).await.map_err(failed)?;
        let rows = paged(entries.order_by_desc(ledger_entries::Column::Id), page);
        let rows = rows.all(self.readers()).await.map_err(failed)?;
        let content = rows.into_iter().map(ledger_line).collect::<Result<_, Corrupt>>()?;
        Ok(Page { content, request: page, total })
    }

    async fn coupons(&self, user: UserId) -> Result<Vec<HeldCoupon>, RepositoryError> {
        self.find_held_coupons(user).await
    }

    async fn coupon_history(
        &self,
        user: UserId,
        page: PageRequest,
    ) -> Result<Page<CouponHistoryLine>, RepositoryError> {
        self.find_coupon_history(user, page).await
    }

    async fn orders(
        &self,
        user: UserId,
        status: Option<OrderStatus>,
        page: PageRequest,
    ) -> Result<Page<Order>, RepositoryError> {
        let mut orders = orders::Entity::find().filter(orders::Column::UserId.eq(user.0));
        if let Some(status) = status {
            orders = orders.filter(orders::Column::Status.eq(order_status(status)));
        }
        let total = orders.clone().count(self.readers()).await.map_err(failed)?;
        let rows = paged(orders.order_by_desc(orders::Column::Id), page);
        let rows = rows.all(self.readers()).await.map_err(failed)?;
        Ok(Page { content: self.with_details(rows).await?, request: page, total })
    }

    async fn order(&self, order: OrderId) -> Result<Option<Order>, RepositoryError> {
        let row = orders::Entity::find_by_id(order.0).one(self.readers()).await.map_err(failed)?;
        Ok(self.with_details(row.into_iter().collect()).await?.pop())
    }
}

impl Store {
    /// Adds the lines and the codes of the coupons.
    async fn with_details(&self, orders: Vec<orders::Model>) -> Result<Vec<Order>, RepositoryError> {
        if orders.is_empty() {
            return Ok(Vec::new());
        }
        let items = order_items::Entity::find()
            .filter(order_items::Column::OrderId.is_in(orders.iter().map(|order| order.id)))
            .order_by_asc(order_items::Column::OrderId)
            .order_by_asc(order_items::Column::LineNo)
            .all(self.readers())
            .await
            .map_err(failed)?;
        let mut lines: BTreeMap<i64, Vec<OrderLine>> = BTreeMap::new();
        for item in items {
            lines.entry(item.order_id).or_default().push(order_line(item)?);
        }
        let used = self.used_coupons(orders.iter().filter_map(|order| order.user_coupon_id)).await?;
        orders
            .into_iter()
            .map(|row| {
                let lines = lines.remove(&row.id).unwrap_or_default();
                order(row, lines, &used).map_err(RepositoryError::from)
            })
            .collect()
    }

    /// The codes of customers' coupons.
    async fn used_coupons(
        &self,
        ids: impl Iterator<Item = i64>,
    ) -> Result<BTreeMap<i64, AppliedCoupon>, RepositoryError> {
        let ids: Vec<i64> = ids.collect();
        if ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        let held = user_coupons::Entity::find().filter(user_coupons::Column::Id.is_in(ids));
        let held = held.all(self.readers()).await.map_err(failed)?;
        let coupons = self.coupons_by_id(held.iter().map(|held| held.coupon_id)).await?;
        held.into_iter()
            .map(|held| {
                let corrupt = || Corrupt::new("user_coupons", "coupon_id", held.id);
                let coupon = coupons.get(&held.coupon_id).ok_or_else(corrupt)?;
                let code = coupon.code.parse().map_err(|_| Corrupt::new("coupons", "code", coupon.id))?;
                Ok((held.id, AppliedCoupon { user_coupon: UserCouponId(held.id), code }))
            })
            .collect::<Result<_, Corrupt>>()
            .map_err(RepositoryError::from)
    }
}

pub(crate) fn paged<E: EntityTrait>(select: Select<E>, page: PageRequest) -> Select<E> {
    select.limit(u64::from(page.size)).offset(u64::from(page.page) * u64::from(page.size))
}

fn ledger_line(row: ledger_entries::Model) -> Result<LedgerLine, Corrupt> {
    Ok(LedgerLine {
        id: row.id,
        kind: read_ledger_kind(row.id, &row.kind)?,
        amount: Money::from_minor(row.amount),
        balance_after: Money::from_minor(row.balance_after),
        order: row.order_id.map(OrderId),
        at: row.created_at,
    })
}

fn order_line(item: order_items::Model) -> Result<OrderLine, Corrupt> {
    Ok(OrderLine {
        product: ProductId(item.product_id),
        name: item.name,
        unit_price: Money::from_minor(item.unit_price),
        quantity: Quantity::new(item.quantity).map_err(|_| {
            Corrupt::new("order_items", "quantity", format!("{} {}", item.order_id, item.line_no))
        })?,
        subtotal: Money::from_minor(item.subtotal),
    })
}

fn order(
    row: orders::Model,
    lines: Vec<OrderLine>,
    used: &BTreeMap<i64, AppliedCoupon>,
) -> Result<Order, Corrupt> {
    let coupon = match row.user_coupon_id {
        Some(id) => {
            Some(used.get(&id).cloned().ok_or_else(|| Corrupt::new("orders", "user_coupon_id", row.id))?)
        }
        None => None,
    };
    Ok(Order {
        id: OrderId(row.id),
        user: UserId(row.user_id),
        status: read_order_status(row.id, &row.status)?,
        lines,
        total: Money::from_minor(row.total_amount),
        discount: Money::from_minor(row.discount_amount),
        paid: Money::from_minor(row.paid_amount),
        coupon,
        created_at: row.created_at,
    })
}
