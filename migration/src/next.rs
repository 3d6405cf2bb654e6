//! The step of a build to come, taken with the feature `next-schema` alone: tasks may be in one more state. With it tests
//! run this build and one with another step side by side (`tests/it/rolling_migration.rs`).

use sea_orm_migration::prelude::*;

use crate::{NEWEST_STEP, check, ddl};

/// The states of a task so far.
const STATES: [&str; 9] =
    ["QUEUED", "IN_PROGRESS", "SUBMITTED", "IN_REVIEW", "REWORK", "ACCEPTED", "SKIPPED", "QUARANTINED", "ARCHIVED"];

/// The state this step adds.
const ADDED: &str = "NEXT_ONLY";

pub(crate) struct Next;

impl MigrationName for Next {
    fn name(&self) -> &'static str {
        "m9999_next"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Next {
    /// `check::grow` makes transactions of its own.
    fn use_transaction(&self) -> Option<bool> {
        Some(false)
    }

    /// Leaves `oldest_reader` alone: a build that does not know the state works as long as it meets no task in it.
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let states: Vec<&str> = STATES.into_iter().chain([ADDED]).collect();
        check::grow(manager, "task", "state", "task_state", &states).await?;
        set_schema_version(manager, NEWEST_STEP + 1).await
    }

    /// Fails, and leaves everything as it was, while a row is in the added state.
    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        check::grow(manager, "task", "state", "task_state", &STATES).await?;
        set_schema_version(manager, NEWEST_STEP).await
    }
}

/// After the constraint: when this process ends in between, the step is taken again from its beginning.
async fn set_schema_version(manager: &SchemaManager<'_>, version: i32) -> Result<(), DbErr> {
    ddl::run(manager, &format!("UPDATE instance SET schema_version = {version}")).await
}
