//! The first schema: every table of the design, in the order of their foreign keys.

use sea_orm_migration::prelude::*;

use crate::ddl;

const TABLES: [&str; 5] = [
    include_str!("people.sql"),
    include_str!("project.sql"),
    include_str!("task.sql"),
    include_str!("annotation.sql"),
    include_str!("event.sql"),
];

pub(crate) struct House;

impl MigrationName for House {
    fn name(&self) -> &'static str {
        "m0001_house"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for House {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for file in TABLES {
            ddl::run(manager, file).await?;
        }
        let seed =
            "INSERT INTO instance (id, epoch, schema_version, oldest_reader, created_at) VALUES (1, 1, 1, 1, {now})";
        ddl::run(manager, seed).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in TABLES.iter().rev().flat_map(|file| ddl::created_tables(file).into_iter().rev()) {
            ddl::run(manager, &format!("DROP TABLE {table}")).await?;
        }
        Ok(())
    }
}
