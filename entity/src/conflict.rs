//! An edit kept beside the current state.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "conflict")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub project_id: Uuid,
    pub task_id: Uuid,
    pub slot: i32,
    pub annotation_id: Uuid,
    pub state: String,
    pub cause: String,
    #[sea_orm(column_type = "JsonBinary")]
    pub fields: Json,
    #[sea_orm(column_type = "JsonBinary")]
    pub base: Option<Json>,
    #[sea_orm(column_type = "JsonBinary")]
    pub base_vector: Json,
    #[sea_orm(column_type = "JsonBinary")]
    pub patch: Json,
    pub vector_epoch: i32,
    pub actor: String,
    pub counter: i32,
    pub incoming_by: Uuid,
    pub current_by: Uuid,
    pub raised_at: DateTimeUtc,
    pub resolved_by: Option<Uuid>,
    pub resolved_at: Option<DateTimeUtc>,
    pub choice: Option<String>,
    #[sea_orm(column_type = "JsonBinary")]
    pub current: Option<Json>,
    #[sea_orm(column_type = "JsonBinary")]
    pub incoming: Option<Json>,
    pub resolved_revision: Option<i32>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
