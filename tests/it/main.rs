//! The one integration test binary. Every test runs against SQLite and against a PostgreSQL that the harness starts;
//! a server that cannot be started fails the run, nothing is skipped.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod harness;

mod access_tokens;
mod asset_uploads;
mod check_growth;
mod command_line;
mod event_streams;
mod field_coverage;
mod file_downloads;
mod graphql_over_http_audit;
mod http_behaviour;
mod page_walks;
mod project_settings;
mod schema_migration;
mod sign_in;
mod statement_counts;
mod task_concurrency;
mod task_list;
mod tenant_isolation;
mod user_accounts;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let trials: Vec<Trial> = [
        access_tokens::trials(),
        asset_uploads::trials(),
        check_growth::trials(),
        command_line::trials(),
        event_streams::trials(),
        field_coverage::trials(),
        file_downloads::trials(),
        graphql_over_http_audit::trials(),
        http_behaviour::trials(),
        page_walks::trials(),
        project_settings::trials(),
        schema_migration::trials(),
        sign_in::trials(),
        statement_counts::trials(),
        task_concurrency::trials(),
        task_list::trials(),
        tenant_isolation::trials(),
        user_accounts::trials(),
    ]
    .into_iter()
    .flatten()
    .collect();
    harness::run(&arguments, trials)
}
