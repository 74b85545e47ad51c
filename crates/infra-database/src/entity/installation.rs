//! What is true of this database as a whole, one row: `installation`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "installation")]
pub struct Model {
    /// Its name, random.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// Events up to this moment may have been purged.
    pub events_purged_until: Option<DateTimeUtc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
