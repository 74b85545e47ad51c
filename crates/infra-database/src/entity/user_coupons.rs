//! A coupon claimed by a user: `user_coupons`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "user_coupons")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub user_id: i64,
    pub coupon_id: i64,
    /// CLAIMED, USED or EXPIRED.
    pub status: String,
    /// Place in the queue for this coupon, from 1.
    pub ticket: i64,
    pub claimed_at: DateTimeUtc,
    pub expires_at: Option<DateTimeUtc>,
    /// Present exactly when USED.
    pub used_at: Option<DateTimeUtc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
