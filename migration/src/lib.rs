//! The schema of Concord, step by step, up and down. A new step is one folder `mNNNN_name` and one line below.
//!
//! Expand/contract: a step only adds what the binary before it can ignore; it raises `instance.schema_version` to its
//! own number, and `instance.oldest_reader` to the oldest binary that still understands the result.

use sea_orm_migration::prelude::*;

pub mod check;
mod ddl;
mod m0001_house;
#[cfg(feature = "next-schema")]
mod next;

/// The number of the newest numbered step below.
const NEWEST_STEP: i32 = 1;

/// The schema this build reads and writes: the number of its newest step.
pub const SCHEMA_VERSION: i32 = if cfg!(feature = "next-schema") { NEWEST_STEP + 1 } else { NEWEST_STEP };

/// All steps in order.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_house::House),
            #[cfg(feature = "next-schema")]
            Box::new(next::Next),
        ]
    }
}

// What `repo` and tests run migrations with.
pub use sea_orm_migration::{IntoSchemaManagerConnection as Connection, MigratorTrait, SchemaManager};
