//! The one integration test binary. Every test runs against SQLite and against a PostgreSQL that the harness starts;
//! a server that cannot be started fails the run, nothing is skipped.

mod harness;

mod check_growth;
mod event_streams;
mod page_walks;
mod project_settings;
mod schema_migration;
mod statement_counts;
mod task_concurrency;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let trials: Vec<Trial> = [
        check_growth::trials(),
        event_streams::trials(),
        page_walks::trials(),
        project_settings::trials(),
        schema_migration::trials(),
        statement_counts::trials(),
        task_concurrency::trials(),
    ]
    .into_iter()
    .flatten()
    .collect();
    harness::run(&arguments, trials)
}
