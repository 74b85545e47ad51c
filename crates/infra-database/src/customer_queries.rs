//! What belongs to one customer.

use async_trait::async_trait;
use jangteo_application::queries::{
    CouponHistoryLine, CustomerQueries, HeldCoupon, LedgerLine, Page, PageRequest, PaymentView,
};
use jangteo_domain::cart::CartView;
use jangteo_domain::order::{Order, OrderStatus};
use jangteo_domain::{Money, OrderId, RepositoryError, User, UserId, Wallet};
use sea_orm::sea_query::{Expr, ExprTrait, Query, SimpleExpr};
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder};

use crate::entity::{ledger_entries, orders, users, wallets};
use crate::error::{Corrupt, failed};
use crate::order_details::with_details;
use crate::pages::paged;
use crate::rows::{order_status, read_ledger_kind};
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
        let row = wallets::Entity::find_by_id(user.0)
            .filter(wallets::Column::ClosedAt.is_null())
            .one(self.readers())
            .await
            .map_err(failed)?;
        Ok(row.map(|row| Wallet { user: UserId(row.user_id), balance: Money::from_minor(row.balance) }))
    }

    async fn ledger(&self, user: UserId, page: PageRequest) -> Result<Page<LedgerLine>, RepositoryError> {
        let entries = ledger_entries::Entity::find()
            .filter(ledger_entries::Column::UserId.eq(user.0))
            .filter(has_not_left(user));
        self.page_of(entries.order_by_desc(ledger_entries::Column::Id), page, ledger_line).await
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

    async fn cart(&self, user: UserId) -> Result<CartView, RepositoryError> {
        self.find_cart(user).await
    }

    async fn orders(
        &self,
        user: UserId,
        status: Option<OrderStatus>,
        page: PageRequest,
    ) -> Result<Page<Order>, RepositoryError> {
        let mut orders =
            orders::Entity::find().filter(orders::Column::UserId.eq(user.0)).filter(has_not_left(user));
        if let Some(status) = status {
            orders = orders.filter(orders::Column::Status.eq(order_status(status)));
        }
        let total = orders.clone().count(self.readers()).await.map_err(failed)?;
        let rows = paged(orders.order_by_desc(orders::Column::Id), page);
        let rows = rows.all(self.readers()).await.map_err(failed)?;
        Ok(Page { content: with_details(self.readers(), rows).await?, request: page, total })
    }

    async fn order(&self, order: OrderId) -> Result<Option<Order>, RepositoryError> {
        let row = orders::Entity::find_by_id(order.0).one(self.readers()).await.map_err(failed)?;
        Ok(with_details(self.readers(), row.into_iter().collect()).await?.pop())
    }

    async fn payment(&self, order: OrderId) -> Result<Option<PaymentView>, RepositoryError> {
        self.find_payment(order).await
    }
}

/// Of those who have left, nothing is shown to anybody who asks for what is theirs.
pub(crate) fn has_not_left(user: UserId) -> SimpleExpr {
    let open = Query::select()
        .expr(Expr::val(1))
        .from(wallets::Entity)
        .and_where(Expr::col((wallets::Entity, wallets::Column::UserId)).eq(user.0))
        .and_where(Expr::col((wallets::Entity, wallets::Column::ClosedAt)).is_null())
        .take();
    Expr::exists(open)
}

fn ledger_line(row: ledger_entries::Model) -> Result<LedgerLine, Corrupt> {
    Ok(LedgerLine {
        id: row.id,
        kind: read_ledger_kind(row.id, &row.kind)?,
        amount: Money::from_minor(row.amount),
        balance_after: Money::from_minor(row.balance_after),
        order: row.order_id.map(OrderId),
        reason: row.reason,
        at: row.created_at,
    })
}
