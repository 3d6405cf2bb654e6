//! A labeling effort and its settings.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "project")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub name: String,
    pub state: String,
    pub media_type: String,
    pub overlap: i32,
    pub review: String,
    pub collaboration: String,
    pub lease_seconds: i32,
    pub max_leases: i32,
    pub rework_hold_seconds: i32,
    pub max_expiries: i32,
    pub streams: i32,
    pub template_version: i32,
    pub created_by: Uuid,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
