//! One of the k places of a task.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "task_slot")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub task_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub number: i32,
    pub project_id: Uuid,
    pub state: String,
    pub round: i32,
    pub claimable: bool,
    pub priority: i32,
    pub queue_number: i64,
    pub lease_epoch: i32,
    pub holder_id: Option<Uuid>,
    pub lease_expires_at: Option<DateTimeUtc>,
    pub reserved_for: Option<Uuid>,
    pub reserved_until: Option<DateTimeUtc>,
    pub submitted_by: Option<Uuid>,
    pub submitted_at: Option<DateTimeUtc>,
    pub skip_reason: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
