//! A line of an order: `order_items`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "order_items")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub order_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub product_id: i64,
    /// 0 when the product has none.
    #[sea_orm(primary_key, auto_increment = false)]
    pub variant_id: i64,
    pub line_no: i32,
    /// The product's name when it was ordered.
    pub name: String,
    /// Minor units, when it was ordered.
    pub unit_price: i64,
    pub quantity: i64,
    /// Minor units: unit price times quantity.
    pub subtotal: i64,
    /// The variant's name when it was ordered.
    pub variant_name: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
