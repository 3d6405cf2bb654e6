//! A database that goes away or is full: the answer says that trying again helps, nothing is half done, and everything
//! works again as soon as it can.

use std::time::{Duration, Instant};

use concord::repo::{
    Connect,
    schema::{self, Direction},
};
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use serde_json::{Value, json};

use crate::harness::{
    Answer, Database, Media, Project, TestApp, on_one_database,
    postgres::{self, Postgres},
    wait_until,
};

on_one_database![
    postgres: a_connection_cut_in_mid_request_leaves_nothing_half_done,
    postgres: a_server_that_crashes_and_comes_back_is_used_again,
    sqlite: a_full_database_takes_nothing_and_is_still_read,
];

/// Sends a mutation that has to wait for a lock which somebody else holds, runs `outage` while it waits, and gives its
/// answer.
async fn in_mid_request(app: &TestApp, project: &Project, outage: impl FnOnce() + Send + 'static) -> Answer {
    let lock = app.use_cases().db.begin().await.unwrap();
    lock.execute_unprepared("SELECT 1 FROM project FOR UPDATE").await.unwrap();
    let (manager, id) = (project.manager.clone(), project.id.clone());
    let change = json!({ "projectId": id, "name": "Half done", "state": "PAUSED" });
    let request = tokio::spawn(async move { manager.mutate("updateProject", change, "project { id }").await });
    wait_for_a_waiting_statement(app).await;
    tokio::task::spawn_blocking(outage).await.unwrap();
    drop(lock);
    request.await.unwrap()
}

async fn wait_for_a_waiting_statement(app: &TestApp) {
    let waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let statement = Statement::from_string(DbBackend::Postgres, waiting);
        if app.use_cases().db.query_one_raw(statement).await.unwrap().is_some() {
            return;
        }
        assert!(Instant::now() < deadline, "the mutation does not reach the lock");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn a_connection_cut_in_mid_request_leaves_nothing_half_done(database: Database) {
    let url = database.url.clone();
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    fill_the_pool(&project).await;
    let watch = project.watch().await;
    let answer = in_mid_request(&app, &project, move || postgres::cut_connections(&url)).await;
    answer.assert_refused("connections cut", "UNAVAILABLE", "");
    // Not one more request fails, though every idle connection was cut as well.
    for _ in 0..20 {
        watch.unchanged("connections cut").await;
    }
    assert_eq!(project.text_tasks(3).await.len(), 3);
}

/// Requests beside one another, so that the pool holds several connections when the outage comes.
async fn fill_the_pool(project: &Project) {
    let requests = (0..16).map(|_| project.manager.send("{ projects(first: 1) { nodes { id } } }", json!({})));
    for answer in futures::future::join_all(requests).await {
        answer.get("projects");
    }
}

async fn a_server_that_crashes_and_comes_back_is_used_again(_: Database) {
    // The shared server is not this test's to crash.
    let server = std::sync::Arc::new(tokio::task::spawn_blocking(|| Postgres::start(&[])).await.unwrap());
    server.create("concord", None);
    let url = server.url("concord");
    schema::migrate(&Connect { url: url.clone(), max_connections: 1, pooled: false }, Direction::Up).await.unwrap();
    let app = TestApp::new(Database::at(url)).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    project.text_tasks(3).await;
    let follow =
        "subscription($id: ID!, $after: EventCursor) { taskEvents(projectId: $id, after: $after) { type cursor } }";
    let variables = json!({ "id": project.id, "after": project.cursor().await });
    let mut follower = project.manager.subscribe(follow, variables).await;
    let watch = project.watch().await;
    let crashing = server.clone();
    let answer = in_mid_request(&app, &project, move || crashing.crash()).await;
    answer.assert_refused("the server crashed", "UNAVAILABLE", "");
    for (case, document) in [
        ("reading while it is away", "{ viewer { id } }".to_owned()),
        (
            "writing while it is away",
            format!(
                "mutation {{ updateProject(input: {{ projectId: \"{}\", name: \"x\" }}) {{ project {{ id }} }} }}",
                project.id
            ),
        ),
    ] {
        let answer = project.manager.send(&document, json!({})).await;
        assert_eq!(answer.status, 503, "{case}: {:#}", answer.body);
        answer.assert_refused(case, "UNAVAILABLE", "");
    }
    let statements = app.statements();
    wait_until("the subscription looks in vain", async || app.statements() > statements).await;
    assert_eq!(app.http.get(app.url("/readyz")).send().await.unwrap().status(), 503);
    assert_eq!(app.http.get(app.url("/healthz")).send().await.unwrap().status(), 200);
    let returning = server.clone();
    tokio::task::spawn_blocking(move || returning.come_back()).await.unwrap();
    watch.unchanged("the server crashed and came back").await;
    assert_eq!(app.http.get(app.url("/readyz")).send().await.unwrap().status(), 200);
    let made = project.create_tasks(json!([{ "data": { "text": "x" } }])).await;
    assert_eq!(made.get("createTasks.created"), 1);
    let event = follower.event().await;
    assert_eq!((&event["type"], &event["cursor"]), (&json!("TASK_CREATED"), &json!(project.cursor().await)));
    tokio::task::spawn_blocking(move || server.stop()).await.unwrap();
}

async fn a_full_database_takes_nothing_and_is_still_read(database: Database) {
    // One connection, so that the limit below holds for all of them.
    let app = TestApp::with(database, &[("DATABASE_CONNECTIONS", "1")]).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let tasks = project.text_tasks(3).await;
    let watch = project.watch().await;
    // Less than there is already stands for as much as there is.
    app.sql("PRAGMA max_page_count = 1").await;
    let large = json!({ "text": "x".repeat(200_000) });
    let many: Vec<Value> = (0..20).map(|n| json!({ "externalId": n.to_string(), "data": large })).collect();
    let tool = |n: usize| json!({ "name": n.to_string(), "kind": "TEXT_SPAN", "labels": (0..500).map(|n| json!({ "name": format!("{n} {}", "x".repeat(90)) })).collect::<Vec<_>>() });
    let template = json!({ "projectId": project.id, "name": "Large", "tools": (0..3).map(tool).collect::<Vec<_>>() });
    let file = json!({ "fileName": "x".repeat(1_000), "contentType": "text/plain", "sizeBytes": 1 });
    for (mutation, input, selection) in [
        ("createTasks", json!({ "projectId": project.id, "tasks": many }), "created"),
        ("publishTemplate", json!({ "template": template }), "template { id }"),
        ("requestUploads", json!({ "projectId": project.id, "files": vec![file; 100] }), "uploads { assetId }"),
    ] {
        let answer = project.manager.mutate(mutation, input, selection).await;
        watch.refused(mutation, &answer, "UNAVAILABLE", "").await;
    }
    let read = project.manager.send("query($id: ID!) { task(id: $id) { data } }", json!({ "id": tasks[0] })).await;
    assert_eq!(read.get("task.data.text"), "cell 0");
    app.sql("PRAGMA max_page_count = 1000000").await;
    let made = project.create_tasks(json!([{ "externalId": "0", "data": large }])).await;
    assert_eq!(made.get("createTasks.created"), 1, "none of the refused tasks is known");
}
