//! The live annotations of a slot at a task version.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "annotation_snapshots")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub task_id: Uuid,
    pub slot: i32,
    pub project_id: Uuid,
    pub version: i32,
    pub reason: String,
    #[sea_orm(column_type = "JsonBinary")]
    pub payload: Json,
    pub by_user: Option<Uuid>,
    pub at: DateTimeUtc,
    pub fence: i32,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
