//! Managers who do the same thing at the same moment.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use serde_json::{Value, json};

use crate::harness::{Database, Media, TestApp, assert_counters, id_of, on_both_databases};

on_both_databases![
    tasks_made_by_eight_at_once_are_made_once,
    tasks_archived_and_unarchived_by_eight_at_once_end_in_one_state,
    templates_published_at_once_get_versions_in_a_row,
];

const WRITERS: usize = 8;

async fn tasks_made_by_eight_at_once_are_made_once(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    for round in 0..3 {
        let answers = join_all((0..WRITERS).map(|writer| {
            let mut tasks: Vec<Value> = (0..100)
                .map(|n| json!({ "externalId": format!("{round}-{n}"), "data": { "text": format!("by {writer}") } }))
                .collect();
            // Everybody comes to them in another order.
            tasks.rotate_left(writer * 13);
            if writer % 2 == 1 {
                tasks.reverse();
            }
            project.create_tasks(json!(tasks))
        }))
        .await;
        let mut created = 0;
        let mut ids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for answer in &answers {
            let count = |field: &str| answer.get(&format!("createTasks.{field}")).as_i64().unwrap();
            assert_eq!(count("created") + count("existing"), 100);
            created += count("created");
            for task in answer.get("createTasks.tasks").as_array().unwrap() {
                ids.entry(task["externalId"].to_string()).or_default().insert(id_of(task));
            }
        }
        assert_eq!(created, 100, "made by all together");
        assert_eq!(ids.len(), 100, "external ids in the answers");
        assert!(ids.values().all(|ids| ids.len() == 1), "one task an external id: {ids:?}");
    }
    assert_counters(&app, &project).await;
}

async fn tasks_archived_and_unarchived_by_eight_at_once_end_in_one_state(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project_with(&app.admin().await, Media::Text, json!({ "overlap": 2 })).await;
    let tasks = project.text_tasks(60).await;
    for _ in 0..5 {
        let answers = join_all((0..WRITERS).map(|writer| {
            // Each shares most tasks with its neighbours and names them in the opposite order.
            let mut some: Vec<&String> = tasks.iter().skip(writer * 3).take(35).collect();
            if writer % 2 == 1 {
                some.reverse();
            }
            project.archive(some.into_iter().cloned().collect(), writer % 4 < 2)
        }))
        .await;
        for (writer, answer) in answers.iter().enumerate() {
            let want = if writer % 4 < 2 { "ARCHIVED" } else { "QUEUED" };
            let moved = answer.get("archiveTasks.tasks").as_array().unwrap();
            assert!(moved.len() == 35 && moved.iter().all(|task| task["state"] == want), "{writer}: {moved:?}");
        }
        assert_counters(&app, &project).await;
    }
}

async fn templates_published_at_once_get_versions_in_a_row(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let published = join_all((0..WRITERS).map(|_| project.publish(Media::Text))).await;
    let version = |answer: &crate::harness::Answer| answer.get("publishTemplate.template.version").as_u64().unwrap();
    let versions: BTreeSet<u64> = published.iter().map(version).collect();
    assert_eq!(versions, (2..2 + WRITERS as u64).collect());
    let query = "query($id: ID!) { project(id: $id) { template { version } } }";
    let seen = project.manager.send(query, json!({ "id": project.id })).await;
    assert_eq!(seen.get("project.template.version"), 1 + WRITERS);
}
