//! One accepted state of one annotation.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "annotation_revision")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub annotation_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub revision: i32,
    pub vector_epoch: i32,
    pub actor: String,
    pub counter: i32,
    pub edit_hash: Vec<u8>,
    pub outcome: String,
    #[sea_orm(column_type = "JsonBinary")]
    pub fields: Json,
    pub label: String,
    #[sea_orm(column_type = "JsonBinary")]
    pub geometry: Json,
    #[sea_orm(column_type = "JsonBinary")]
    pub attributes: Json,
    pub deleted: bool,
    #[sea_orm(column_type = "JsonBinary")]
    pub version_vector: Json,
    pub by_user: Option<Uuid>,
    pub last_edited_by: Uuid,
    pub at: DateTimeUtc,
    pub conflict_id: Option<Uuid>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
