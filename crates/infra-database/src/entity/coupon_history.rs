//! A change of a user's coupon: `coupon_history`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "coupon_history")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub user_coupon_id: i64,
    /// ISSUED, USED, RESTORED or EXPIRED.
    pub action: String,
    pub order_id: Option<i64>,
    pub created_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
