//! The one integration test binary. Every test runs against SQLite and against a PostgreSQL that the harness starts;
//! a server that cannot be started fails the run, nothing is skipped.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "in a test a panic is the failure")]

mod harness;

mod bad_input_credentials;
mod bad_input_documents;
mod bad_input_ids;
mod bad_input_outages;
mod bad_input_pages;
mod bad_input_roles;
mod bad_input_tasks;
mod bad_input_templates;
mod bad_input_transport;
mod bad_input_uploads;
mod error_docs;
mod project_settings;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let trials: Vec<Trial> = [
        bad_input_credentials::trials(),
        bad_input_documents::trials(),
        bad_input_ids::trials(),
        bad_input_outages::trials(),
        bad_input_pages::trials(),
        bad_input_roles::trials(),
        bad_input_tasks::trials(),
        bad_input_templates::trials(),
        bad_input_transport::trials(),
        bad_input_uploads::trials(),
        error_docs::trials(),
        project_settings::trials(),
    ]
    .into_iter()
    .flatten()
    .collect();
    harness::run(&arguments, trials)
}
