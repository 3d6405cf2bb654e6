//! The audit of GraphQL over HTTP that the working group's reference implementation brings along, against a real server.

use std::{path::Path, process::Command};

use serde_json::Value;

use crate::harness::{Database, TestApp, on_both_databases};

on_both_databases![every_audit_passes_without_a_warning];

/// How many audits graphql-http 1.23.1 has; another number means that the test no longer runs what it says.
const AUDITS: usize = 61;

async fn every_audit_passes_without_a_warning(database: Database) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/node");
    assert!(folder.join("node_modules/graphql-http").is_dir(), "the audit is not installed: run 'make setup'");
    let app = TestApp::new(database).await;
    let ana = app.person("ana").await;
    let mut node = Command::new("node");
    node.arg(folder.join("audit.mjs")).arg(app.url("/graphql")).env("CONCORD_TOKEN", &ana.token);
    let output = tokio::task::spawn_blocking(move || node.output()).await.unwrap();
    let output = output.expect("Node.js starts; when it is missing: run 'make setup'");
    let lines = String::from_utf8(output.stdout).unwrap();
    let audits: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let others: Vec<&Value> = audits.iter().filter(|audit| audit["status"] != "ok").collect();
    assert!(others.is_empty(), "{others:#?}");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert_eq!(audits.len(), AUDITS, "{errors}");
}
