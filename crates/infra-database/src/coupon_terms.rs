//! What administrators say of coupons.

use chrono::{DateTime, Utc};
use jangteo_domain::{Coupon, Money, RepositoryError};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};

use crate::entity::coupons;
use crate::rows::discount;
use crate::transaction::Transaction;

impl Transaction {
    pub(crate) fn insert_coupon(
        &mut self,
        coupon: &Coupon,
        at: DateTime<Utc>,
    ) -> Result<(), RepositoryError> {
        let (kind, value) = discount(coupon.discount);
        self.writes.insert([coupons::ActiveModel {
            id: Set(coupon.id.0),
            code: Set(coupon.code.to_string()),
            name: Set(coupon.name.clone()),
            kind: Set(kind.to_owned()),
            value: Set(value),
            min_order_amount: Set(coupon.min_order_amount.minor()),
            max_discount: Set(coupon.max_discount.map(Money::minor)),
            claim_starts_at: Set(coupon.claim_starts_at),
            claim_ends_at: Set(coupon.claim_ends_at),
            valid_until: Set(coupon.valid_until),
            valid_days: Set(valid_days(coupon)?),
            total_quantity: Set(coupon.total_quantity),
            issued_quantity: Set(coupon.issued_quantity),
            next_ticket: Set(coupon.next_ticket),
            created_at: Set(at),
            updated_at: Set(at),
            version: Set(coupon.version),
            retired_at: Set(coupon.retired_at),
        }]);
        Ok(())
    }

    /// That no more were issued than there are is the table's CHECK, which fails the statement.
    pub(crate) fn update_coupon(
        &mut self,
        coupon: &Coupon,
        at: DateTime<Utc>,
    ) -> Result<(), RepositoryError> {
        use coupons::Column;
        let (kind, value) = discount(coupon.discount);
        let valid_days = valid_days(coupon)?;
        let update = coupons::Entity::update_many()
            .col_expr(Column::Code, self.writes.text(coupon.code.as_str()))
            .col_expr(Column::Name, self.writes.text(&coupon.name))
            .col_expr(Column::Kind, Expr::val(kind))
            .col_expr(Column::Value, Expr::val(value))
            .col_expr(Column::MinOrderAmount, Expr::val(coupon.min_order_amount.minor()))
            .col_expr(Column::MaxDiscount, Expr::val(coupon.max_discount.map(Money::minor)))
            .col_expr(Column::ClaimStartsAt, self.writes.moment(coupon.claim_starts_at))
            .col_expr(Column::ClaimEndsAt, self.writes.moment(coupon.claim_ends_at))
            .col_expr(Column::ValidUntil, self.writes.moment_or_null(coupon.valid_until))
            .col_expr(Column::ValidDays, Expr::val(valid_days))
            .col_expr(Column::TotalQuantity, Expr::val(coupon.total_quantity))
            .col_expr(Column::UpdatedAt, self.writes.moment(at))
            .col_expr(Column::RetiredAt, self.writes.moment_or_null(coupon.retired_at))
            .col_expr(Column::Version, Expr::val(coupon.version))
            .filter(Column::Id.eq(coupon.id.0))
            .filter(Expr::col(Column::Version).eq(coupon.version - 1));
        self.writes.update(update, 1);
        Ok(())
    }
}

fn valid_days(coupon: &Coupon) -> Result<Option<i32>, RepositoryError> {
    let days = coupon.valid_days.map(i32::try_from).transpose();
    days.map_err(|error| RepositoryError::Backend(error.into()))
}
