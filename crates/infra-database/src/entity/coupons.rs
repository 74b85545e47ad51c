//! A coupon on offer: `coupons`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "coupons")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub code: String,
    pub name: String,
    /// FIXED or PERCENT.
    pub kind: String,
    /// Minor units if FIXED, hundredths of a percent if PERCENT.
    pub value: i64,
    /// Minor units.
    pub min_order_amount: i64,
    /// Minor units.
    pub max_discount: Option<i64>,
    pub claim_starts_at: DateTimeUtc,
    pub claim_ends_at: DateTimeUtc,
    pub valid_until: Option<DateTimeUtc>,
    /// Days from the claim.
    pub valid_days: Option<i32>,
    pub total_quantity: i64,
    pub issued_quantity: i64,
    /// The next ticket that was not handed out yet.
    pub next_ticket: i64,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
    /// Counts the changes that administrators made.
    pub version: i32,
    pub retired_at: Option<DateTimeUtc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
