//! An event to be published: `outbox`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "outbox")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    /// order or user_coupon.
    pub aggregate: String,
    pub aggregate_id: i64,
    /// Place among the events of its aggregate: 1, 2, 3... without gaps.
    pub sequence: i32,
    pub event_type: String,
    /// JSON.
    pub payload: String,
    /// PENDING, SENT, FAILED or DEAD.
    pub status: String,
    pub attempts: i32,
    /// PENDING and FAILED: from when on a relay may take it, which is when the lease of the one that has it ends. SENT:
    /// when it was sent. DEAD: when it was given up.
    pub status_at: Option<DateTimeUtc>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    pub created_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
