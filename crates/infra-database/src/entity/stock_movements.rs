//! A movement of a product's stock: `stock_movements`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "stock_movements")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub product_id: i64,
    /// SALE, RETURN, RECEIVE, ADJUST, HOLD or RELEASE.
    pub kind: String,
    /// Pieces, negative when they leave the stock.
    pub quantity: i64,
    pub stock_after: i64,
    pub order_id: Option<i64>,
    pub reason: Option<String>,
    pub created_at: DateTimeUtc,
    pub variant_id: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
