//! The server is killed in the middle of an import: whoever takes the job up goes on at its checkpoint.

use serde_json::{Value, json};

use crate::harness::{
    Database, Media, Person, Project, Serving, TestApp, eventually, file_of, on_both_databases, wait_until,
};

on_both_databases![an_import_that_is_killed_goes_on_where_it_was];

const TASKS: usize = 20_000;

async fn an_import_that_is_killed_goes_on_where_it_was(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project_with(&app.admin().await, Media::Text, json!({ "overlap": 2 })).await;
    let file = file_of(&(0..TASKS).map(record).collect::<Vec<_>>());
    let job = app.begin_import(&project, "JSONL", "PREANNOTATE", &file).await;
    let TestApp { running, database, .. } = app;
    running.stop().await.unwrap();

    // Twice while it writes, once while it shows.
    for (step, least) in [("WRITE", TASKS / 4), ("WRITE", TASKS / 2), ("SHOW", TASKS / 4)] {
        let mut server = serve(&database).await;
        let manager = project.manager.at(&server);
        eventually(&format!("{least} tasks in step {step}"), async || {
            let job = manager.job(&job).await;
            assert!(job["endedAt"].is_null(), "killed too late: {job}");
            (job["step"] == step && job["done"].as_i64()? >= i64::try_from(least).unwrap()).then_some(())
        })
        .await;
        server.kill();
        give_up_leases(&database).await;
    }
    let server = serve(&database).await;
    let manager = project.manager.at(&server);
    let ended = manager.ended(&job).await;
    assert_eq!(ended["message"], format!("{TASKS} tasks made"), "{ended}");

    // Beside it the same file, without a fault.
    let other = sibling(&database, &manager, &file).await;
    let conn = database.connect().await;
    let compare = |project: &str| {
        format!(
            "SELECT external_id, CAST(data AS text), CAST(priority AS bigint), state, CAST(version AS bigint), suggested
             FROM task WHERE project_id = {} AND import_job IS NULL ORDER BY external_id",
            literal(&database, project)
        )
    };
    type Row = (String, String, i64, String, i64, bool);
    let [killed, whole] = [&project.id, &other].map(|id| compare(id));
    let killed: Vec<Row> = crate::harness::rows(&conn, &killed).await;
    let whole: Vec<Row> = crate::harness::rows(&conn, &whole).await;
    assert_eq!(killed.len(), TASKS);
    assert!(killed == whole, "the same tasks");
    for (what, sql) in [
        ("slots", "SELECT count(*) FROM task_slot WHERE claimable AND state = 'FREE' AND project_id = {}"),
        (
            "suggestions",
            "SELECT count(*) FROM task_suggestion WHERE task_id IN (SELECT id FROM task WHERE project_id = {})",
        ),
        ("the counter", "SELECT CAST(sum(claimable) AS bigint) FROM event_stream WHERE project_id = {}"),
        ("queued", "SELECT CAST(sum(tasks_queued) AS bigint) FROM event_stream WHERE project_id = {}"),
    ] {
        let counts = [&project.id, &other].map(|id| sql.replace("{}", &literal(&database, id)));
        let killed: Vec<(i64,)> = crate::harness::rows(&conn, &counts[0]).await;
        let whole: Vec<(i64,)> = crate::harness::rows(&conn, &counts[1]).await;
        assert_eq!(killed, whole, "{what}");
        assert!(killed[0].0 > 0, "{what}");
    }
}

fn record(number: usize) -> Value {
    let annotations =
        json!([{ "label": "cell", "geometry": { "textSpan": { "start": 0, "end": 4, "text": "cell" } } }]);
    let slots = if number.is_multiple_of(3) {
        json!([{ "number": 1, "round": 1, "state": "ACCEPTED", "annotations": annotations }])
    } else {
        json!([])
    };
    json!({
        "externalId": format!("task-{number:06}"), "priority": number % 5, "data": { "text": format!("cell {number}") },
        "slots": slots,
    })
}

async fn serve(database: &Database) -> Serving {
    let server = database.serve();
    wait_until("the server to be ready", async || {
        server.readiness().await.is_some_and(|(status, _)| status == reqwest::StatusCode::OK)
    })
    .await;
    server
}

/// As after the time that a runner may be silent.
async fn give_up_leases(database: &Database) {
    use sea_orm::ConnectionTrait;
    let conn = database.connect().await;
    conn.execute_unprepared("UPDATE job SET runner_expires_at = '2000-01-01 00:00:00+00:00' WHERE state = 'RUNNING'")
        .await
        .unwrap();
}

/// Another project, with the same file.
async fn sibling(database: &Database, manager: &Person, file: &str) -> String {
    let made = manager
        .mutate("createProject", json!({ "name": "Whole", "mediaType": "TEXT", "overlap": 2 }), "project { id }")
        .await;
    let project = Project { id: made.text("createProject.project.id"), manager: manager.clone() };
    project.publish(Media::Text).await;
    let path = database.folder().join("whole.jsonl");
    std::fs::write(&path, file).unwrap();
    let (succeeded, said) = database.import(&project.id, "jsonl", "preannotate", &[path.to_str().unwrap()]).await;
    assert!(succeeded && said.contains(&format!("{TASKS} tasks made")), "{said}");
    project.id
}

fn literal(database: &Database, id: &str) -> String {
    let id = id.parse::<concord::domain::ids::ProjectId>().unwrap().0;
    if database.is_sqlite() { format!("x'{}'", id.simple()) } else { format!("'{id}'") }
}
