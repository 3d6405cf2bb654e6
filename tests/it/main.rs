//! The one integration test binary. Every test runs against SQLite and against a PostgreSQL that the harness starts;
//! a server that cannot be started fails the run, nothing is skipped.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod harness;

mod access_tokens;
mod annotation_revisions;
mod annotation_saving;
mod api_docs;
mod asset_uploads;
mod bad_input_annotations;
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
mod blind_labeling;
mod check_growth;
mod claim_load;
mod claim_queue;
mod claim_races;
mod command_line;
mod conflict_detection;
mod conflict_resolution;
mod dataset_round_trip;
mod demo_project;
mod error_docs;
mod event_replay;
mod event_retention;
mod event_stream_transport;
mod event_streams;
mod event_subscriptions;
mod event_watch;
mod faults_hangup;
mod faults_import;
mod faults_kill;
mod faults_replicas;
mod field_coverage;
mod file_downloads;
mod format_coco;
mod format_jsonl;
mod graphiql_page;
mod graphql_over_http_audit;
mod http_behaviour;
mod http_operation;
mod id_snippets;
mod job_access;
mod job_export;
mod job_files;
mod job_import;
mod job_progress;
mod job_runners;
mod lease_life;
mod live_clients;
mod live_cuts;
mod live_outages;
mod live_rights;
mod live_sharing;
mod live_slow;
mod live_storm;
mod merge_model;
mod merge_trace;
mod merging_docs;
mod offline_queue;
mod page_walks;
mod presence_following;
mod project_settings;
mod queue_command;
mod queue_front;
mod queue_outages;
mod readme_tour;
mod redis_sessions;
mod replica_hints;
mod review_flow;
mod rolling_migration;
mod schema_migration;
mod sign_in;
mod snapshot_restore;
mod snapshots;
mod sqlite_writers;
mod statement_counts;
mod task_concurrency;
mod task_joining;
mod task_list;
mod tenant_isolation;
mod typescript_client;
mod user_accounts;
mod vector_epochs;
mod websocket_protocol;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let trials: Vec<Trial> = [
        access_tokens::trials(),
        annotation_revisions::trials(),
        annotation_saving::trials(),
        api_docs::trials(),
        asset_uploads::trials(),
        bad_input_annotations::trials(),
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
        blind_labeling::trials(),
        check_growth::trials(),
        claim_load::trials(),
        claim_queue::trials(),
        claim_races::trials(),
        command_line::trials(),
        conflict_detection::trials(),
        conflict_resolution::trials(),
        dataset_round_trip::trials(),
        demo_project::trials(),
        error_docs::trials(),
        event_replay::trials(),
        event_retention::trials(),
        event_stream_transport::trials(),
        event_streams::trials(),
        event_subscriptions::trials(),
        event_watch::trials(),
        faults_hangup::trials(),
        faults_import::trials(),
        faults_kill::trials(),
        faults_replicas::trials(),
        field_coverage::trials(),
        file_downloads::trials(),
        format_coco::trials(),
        format_jsonl::trials(),
        graphiql_page::trials(),
        graphql_over_http_audit::trials(),
        http_behaviour::trials(),
        http_operation::trials(),
        id_snippets::trials(),
        job_access::trials(),
        job_export::trials(),
        job_files::trials(),
        job_import::trials(),
        job_progress::trials(),
        job_runners::trials(),
        lease_life::trials(),
        live_clients::trials(),
        live_cuts::trials(),
        live_outages::trials(),
        live_rights::trials(),
        live_sharing::trials(),
        live_slow::trials(),
        live_storm::trials(),
        merge_model::trials(),
        merge_trace::trials(),
        offline_queue::trials(),
        merging_docs::trials(),
        page_walks::trials(),
        presence_following::trials(),
        project_settings::trials(),
        queue_command::trials(),
        queue_front::trials(),
        queue_outages::trials(),
        readme_tour::trials(),
        redis_sessions::trials(),
        replica_hints::trials(),
        review_flow::trials(),
        rolling_migration::trials(),
        schema_migration::trials(),
        sign_in::trials(),
        snapshot_restore::trials(),
        snapshots::trials(),
        sqlite_writers::trials(),
        statement_counts::trials(),
        task_concurrency::trials(),
        task_joining::trials(),
        task_list::trials(),
        tenant_isolation::trials(),
        typescript_client::trials(),
        user_accounts::trials(),
        vector_epochs::trials(),
        websocket_protocol::trials(),
    ]
    .into_iter()
    .flatten()
    .collect();
    harness::run(&arguments, trials)
}
