//! examples/client.ts as people copy it, under Node.js against a server that is killed: two screens, one task, and in the
//! end the same state everywhere, with every edit in it once.

use std::{path::Path, process::Command};

use serde_json::{Value, json};

use crate::harness::{Database, Media, Program, Serving, Session, TestApp, id_of, on_both_databases, wait_until};

on_both_databases![two_screens_and_the_server_hold_the_same_whatever_happens];

/// How often the script has the server killed.
const KILLS: usize = 4;

fn person(session: &Session) -> Value {
    let name = json!({ "id": session.id, "fence": session.fence, "actor": session.actor });
    json!({ "token": session.person.token, "session": name })
}

/// A picture that ana holds and ben has joined.
async fn scene(app: &TestApp) -> Value {
    let project = app.project_with(&app.admin().await, Media::Image, json!({ "collaboration": "SHARED" })).await;
    let size = json!([{ "name": "size", "type": "NUMBER" }]);
    let labels = ["cell", "dust", "dirt"].map(|name| json!({ "name": name }));
    project
        .publish_tools(json!([{ "name": "Boxes", "kind": "BOUNDING_BOX", "labels": labels, "attributes": size }]))
        .await;
    let picture = include_bytes!("../data/bccd/BloodImage_00012.jpg");
    let asset = app.upload(&project, "blood.jpg", "image/jpeg", picture).await;
    let task = id_of(project.create_tasks(json!([{ "assetIds": [asset] }])).await.get("createTasks.tasks.0"));
    let (ana, ben) = (project.member(app, "ana", "ANNOTATOR").await, project.member(app, "ben", "ANNOTATOR").await);
    let people = [app.at_work(&project, &task, &ana).await, app.joined(&task, &ben).await].each_ref().map(person);
    let manager = &project.manager.token;
    json!({ "project": project.id, "task": task, "manager": manager, "people": people })
}

async fn serve(database: &Database) -> Serving {
    let server = database.serve();
    wait_until("the server to be ready", async || {
        server.readiness().await.is_some_and(|(status, _)| status == reqwest::StatusCode::OK)
    })
    .await;
    server
}

async fn two_screens_and_the_server_hold_the_same_whatever_happens(database: Database) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/node");
    assert!(folder.join("node_modules/ws").is_dir(), "TypeScript and ws are not installed: run 'make setup'");
    let app = TestApp::new(database).await;
    let mut scene = scene(&app).await;
    let TestApp { running, database, .. } = app;
    running.stop().await.unwrap();
    let mut server = serve(&database).await;
    scene["url"] = json!(server.url);

    let mut node = Command::new("node");
    node.arg(folder.join("two_screens.mjs")).arg(scene.to_string());
    let mut script = Program::start(node);
    let (mut kills, mut last) = (0, String::new());
    while let Some(line) = script.line().await {
        if line == "kill" {
            server.kill();
            server = serve(&database).await;
            script.tell(&server.url);
            kills += 1;
        }
        last = line;
    }
    let (status, trace) = script.end();
    assert!(status.success(), "{trace}\n{last}");
    assert!(last.starts_with("done "), "{last}");
    assert_eq!(kills, KILLS, "{last}");
}
