//! Slow work: import or export.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "job")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub project_id: Uuid,
    pub kind: String,
    pub state: String,
    pub step: Option<String>,
    #[sea_orm(column_type = "JsonBinary")]
    pub parameters: Json,
    pub done: i64,
    pub total: Option<i64>,
    pub message: Option<String>,
    pub result_key: Option<String>,
    pub errors_key: Option<String>,
    #[sea_orm(column_type = "JsonBinary")]
    pub losses: Json,
    pub attempts: i32,
    pub runner: Option<String>,
    pub runner_expires_at: Option<DateTimeUtc>,
    pub created_by: Uuid,
    pub created_at: DateTimeUtc,
    pub started_at: Option<DateTimeUtc>,
    pub ended_at: Option<DateTimeUtc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
