//! Somebody who does not read what they are told: their socket is closed, and nobody else notices.

use serde_json::{Value, json};

use crate::harness::{Database, Media, Project, Socket, TestApp, on_both_databases, wait_until};

on_both_databases![who_does_not_read_is_closed_and_others_go_on];

const FOLLOW: &str = "subscription($id: ID!, $after: EventCursor) { taskEvents(projectId: $id, after: $after) {
    id ... on TaskEvent { task { data } } } }";
/// Of one event: with what the kernel holds for a socket, far more than may wait is told within a hundred.
const EVENT_BYTES: usize = 200_000;
const READERS: usize = 10;

async fn who_does_not_read_is_closed_and_others_go_on(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let variables = json!({ "id": project.id, "after": project.cursor().await });
    let text = "x".repeat(EVENT_BYTES);
    let [task] = make_tasks(&project, &text).await;
    let mut readers: Vec<Socket> = Vec::new();
    for _ in 0..READERS {
        let mut reader = project.manager.subscribe(FOLLOW, variables.clone()).await;
        assert_eq!(reader.event().await["task"]["data"]["text"], json!(text));
        readers.push(reader);
    }
    let mut slow = project.manager.subscribe(FOLLOW, variables.clone()).await;
    assert!(slow.event().await.is_object());
    let mut told = 0;
    let closed = || app.metric("concord_sockets_closed_total{code=\"1013\"}");
    while closed().await == 0.0 {
        assert!(told < 200, "it is never closed");
        told += 1;
        let change = json!({ "taskIds": [task], "priority": told });
        project.manager.mutate("updateTasks", change, "tasks { id }").await.get("updateTasks");
        for reader in &mut readers {
            assert!(reader.event().await["task"]["data"]["text"].is_string());
        }
    }
    // It is told why, behind what was sent before.
    let (sent, code, reason) = slow.rest().await;
    assert_eq!(code, 1013, "{reason}");
    assert!(sent.len() < told, "{} of {told} events", sent.len());
    // Who comes again is told.
    let cursor = project.cursor().await;
    let mut again = project.manager.subscribe(FOLLOW, json!({ "id": project.id, "after": cursor })).await;
    project.manager.mutate("updateTasks", json!({ "taskIds": [task], "priority": 0 }), "tasks { id }").await;
    assert!(again.event().await.is_object());
    wait_until("the gauge to be told", async || app.metric("concord_subscriptions").await == READERS as f64 + 1.0)
        .await;
}

async fn make_tasks(project: &Project, text: &str) -> [String; 1] {
    let made = project.create_tasks(json!([{ "data": { "text": text } }])).await;
    let tasks = made.get("createTasks.tasks").as_array().unwrap();
    let id = |task: &Value| task["id"].as_str().unwrap().to_owned();
    [id(&tasks[0])]
}
