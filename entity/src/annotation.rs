//! The current state of one labeled object.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "annotation")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub task_id: Uuid,
    pub slot: i32,
    pub project_id: Uuid,
    pub asset_id: Option<Uuid>,
    pub kind: String,
    pub tool: String,
    pub label: String,
    #[sea_orm(column_type = "JsonBinary")]
    pub geometry: Json,
    #[sea_orm(column_type = "JsonBinary")]
    pub attributes: Json,
    #[sea_orm(column_type = "JsonBinary")]
    pub version_vector: Json,
    #[sea_orm(column_type = "JsonBinary")]
    pub last_dots: Json,
    #[sea_orm(column_type = "JsonBinary")]
    pub cut_vector: Option<Json>,
    pub actors: i32,
    pub revision: i32,
    pub deleted: bool,
    pub source: String,
    pub score: Option<f64>,
    pub author_id: Uuid,
    pub last_edited_by: Uuid,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
