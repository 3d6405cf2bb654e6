//! The one integration test binary. Every test runs against SQLite and against a PostgreSQL that the harness starts;
//! a server that cannot be started fails the run, nothing is skipped.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod harness;

mod field_coverage;
mod project_settings;
mod task_list;
mod tenant_isolation;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let trials: Vec<Trial> =
        [field_coverage::trials(), project_settings::trials(), task_list::trials(), tenant_isolation::trials()]
            .into_iter()
            .flatten()
            .collect();
    harness::run(&arguments, trials)
}
