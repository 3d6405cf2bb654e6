//! `concord queue`: what an operator sees of the front in Redis.

use std::process::Output;

use serde_json::json;

use crate::harness::{Database, Media, Project, TestApp, on_both_databases, output_of, redis};

on_both_databases![the_front_is_shown_and_made_anew, a_queue_without_redis_has_no_front_to_show,];

/// What `concord queue` prints with these arguments.
async fn queue(app: &TestApp, arguments: &[&str]) -> Output {
    let mut command = app.database.concord(&[&["queue"], arguments].concat());
    command.env("REDIS_URL", redis::shared().url());
    output_of(command).await
}

fn line(output: &Output, project: &Project) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().find(|line| line.starts_with(&project.id)).unwrap_or_else(|| panic!("{text}")).to_owned()
}

async fn the_front_is_shown_and_made_anew(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project_with(&app.admin().await, Media::Text, json!({ "overlap": 2, "name": "Cells" })).await;
    let other = app.project(&project.manager, Media::Text).await;
    let tasks = project.text_tasks(3).await;
    let seen = line(&queue(&app, &["inspect"]).await, &project);
    let nothing = "0 in front, 0 in flight, 0 missing, 0 that do not wait";
    assert_eq!(seen, format!("{} \"Cells\": 6 wait; in Redis not in use: {nothing}", project.id));
    let made = line(&queue(&app, &["rebuild", &project.id]).await, &project);
    let all = "6 in front, 0 in flight, 0 missing, 0 that do not wait";
    assert_eq!(made, format!("{} \"Cells\": 6 wait; in Redis all of it: {all}", project.id));
    // This server tells nobody.
    project.archive(vec![tasks[0].clone()], true).await.get("archiveTasks");
    project.named_tasks("more", 1).await;
    let both = queue(&app, &["inspect"]).await;
    let seen = line(&both, &project);
    let differs = "6 in front, 0 in flight, 2 missing, 2 that do not wait";
    assert_eq!(seen, format!("{} \"Cells\": 6 wait; in Redis all of it: {differs}", project.id));
    assert!(line(&both, &other).ends_with(&format!("0 wait; in Redis not in use: {nothing}")));
    queue(&app, &["rebuild"]).await;
    let seen = line(&queue(&app, &["inspect", &project.id]).await, &project);
    assert!(seen.ends_with(all), "{seen}");
    let unknown = queue(&app, &["inspect", "proj_01h455vb4pex5vsknk084sn02q"]).await;
    assert!(!unknown.status.success());
    let said = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(said.contains("there is no project proj_01h455vb4pex5vsknk084sn02q"), "{said}");
}

async fn a_queue_without_redis_has_no_front_to_show(database: Database) {
    let app = TestApp::new(database).await;
    let output = output_of(app.database.concord(&["queue", "inspect"])).await;
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("REDIS_URL is not set"), "{said}");
}
