//! One event stream of a project: its kept range of positions, and the counters of its tasks.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "event_stream")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub project_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub number: i32,
    pub top: i64,
    pub bottom: i64,
    pub tasks_queued: i64,
    pub tasks_in_progress: i64,
    pub tasks_submitted: i64,
    pub tasks_in_review: i64,
    pub tasks_rework: i64,
    pub tasks_accepted: i64,
    pub tasks_skipped: i64,
    pub tasks_quarantined: i64,
    pub tasks_archived: i64,
    pub claimable: i64,
    pub open_conflicts: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
