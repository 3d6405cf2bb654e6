//! One unit of labeling work.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "task")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub project_id: Uuid,
    pub template_id: Uuid,
    pub external_id: Option<String>,
    pub state: String,
    pub priority: i32,
    pub version: i32,
    pub round: i32,
    #[sea_orm(column_type = "JsonBinary")]
    pub data: Json,
    pub stream: i32,
    pub review_epoch: i32,
    pub reviewer_id: Option<Uuid>,
    pub review_expires_at: Option<DateTimeUtc>,
    pub expiries: i32,
    pub quarantine_reason: Option<String>,
    pub open_conflicts: i32,
    pub agreement: Option<f64>,
    pub import_job: Option<Uuid>,
    pub suggested: bool,
    pub created_by: Uuid,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
