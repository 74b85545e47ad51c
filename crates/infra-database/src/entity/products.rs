//! A product and its stock: `products`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "products")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    pub store_id: i64,
    pub name: String,
    pub description: String,
    /// Minor units.
    pub price: i64,
    pub stock: i64,
    pub active: bool,
    /// Pieces sold and not returned, of all time.
    pub sales_volume: i64,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
    pub deleted_at: Option<DateTimeUtc>,
    /// Counts the changes that administrators made.
    pub version: i32,
    /// Sold as variants only. The stock is the sum of theirs.
    pub has_variants: bool,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
