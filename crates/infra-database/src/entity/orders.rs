//! An order: `orders`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "orders")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub user_id: i64,
    /// PENDING, PAID, SHIPPING, DELIVERED or CANCELLED.
    pub status: String,
    /// Minor units.
    pub total_amount: i64,
    /// Minor units.
    pub discount_amount: i64,
    /// Minor units: the total less the discount.
    pub paid_amount: i64,
    pub user_coupon_id: Option<i64>,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
    pub paid_at: Option<DateTimeUtc>,
    /// How many events told of it: the sequence of the last.
    pub events: i32,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
