//! Tasks that cannot be made or moved. A request makes all of its tasks or none.

use serde_json::{Value, json};

use crate::harness::{Database, Media, Project, TestApp, on_both_databases};

on_both_databases![
    a_bad_task_is_named_and_none_of_its_request_is_made,
    a_task_shows_ready_assets_of_its_project_and_medium,
    a_task_needs_something_to_show,
    a_project_without_a_template_takes_no_tasks,
    a_bad_change_of_tasks_changes_none,
];

fn text_task(more: Value) -> Value {
    let mut task = json!({ "data": { "text": "x" } });
    if let Value::Object(more) = more {
        task.as_object_mut().unwrap().extend(more);
    }
    task
}

async fn a_bad_task_is_named_and_none_of_its_request_is_made(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let watch = project.watch().await;
    let refused = async |case: &str, tasks: Value, code: &str, field: &str| {
        watch.refused(case, &project.create_tasks(tasks).await, code, field).await;
    };
    refused("no tasks", json!([]), "BAD_USER_INPUT", "tasks").await;
    refused("1,001 tasks", json!(vec![text_task(json!({})); 1_001]), "LIMIT_EXCEEDED", "tasks").await;
    let external_id = |id: &str| json!({ "externalId": id });
    let (bad, limit) = ("BAD_USER_INPUT", "LIMIT_EXCEEDED");
    for (case, more, code, field) in [
        ("priority above the range", json!({ "priority": 1_000_001 }), bad, "priority"),
        ("priority below the range", json!({ "priority": -1_000_001 }), bad, "priority"),
        ("the same external id again", external_id("first"), bad, "externalId"),
        ("the same external id in spaces", external_id(" first "), bad, "externalId"),
        ("no external id but a text", external_id(""), bad, "externalId"),
        ("an external id of 501 characters", external_id(&"x".repeat(501)), bad, "externalId"),
        ("an external id of 1 MB", external_id(&"x".repeat(1_000_000)), bad, "externalId"),
        ("an external id with a NUL", external_id("a\0b"), bad, "externalId"),
        ("an external id with a line break", external_id("a\nb"), bad, "externalId"),
        ("data that is a list", json!({ "data": [] }), bad, "data"),
        ("data that is a text", json!({ "data": "x" }), bad, "data"),
        ("data that is a number", json!({ "data": 7 }), bad, "data"),
        ("a NUL in data", json!({ "data": { "text": "a\0b" } }), bad, "data"),
        ("a NUL in a key of data", json!({ "data": { "text": "x", "deep": [{ "a\0": 1 }] } }), bad, "data"),
        ("data over 256 KiB", json!({ "data": { "text": "x".repeat(256 * 1024) } }), limit, "data"),
    ] {
        let tasks = json!([text_task(external_id("first")), text_task(more)]);
        refused(case, tasks, code, &format!("tasks[1].{field}")).await;
    }
    for (case, more) in [
        ("priority in words", json!({ "priority": "high" })),
        ("priority past all numbers", json!({ "priority": 3_000_000_000_u32 })),
        ("a field that is not there", json!({ "colour": "red" })),
        ("an external id that is a list", json!({ "externalId": ["a"] })),
    ] {
        refused(case, json!([text_task(more)]), bad, "").await;
    }
    // What lies on the edge of the limits is taken.
    let fits = json!({ "priority": 1_000_000, "externalId": "é".repeat(500), "data": { "text": "x".repeat(256 * 1024 - 11) } });
    assert_eq!(project.create_tasks(json!([fits])).await.get("createTasks.created"), 1);
}

async fn a_task_shows_ready_assets_of_its_project_and_medium(database: Database) {
    let app = TestApp::new(database).await;
    let boss = app.admin().await;
    let project = app.project(&boss, Media::Image).await;
    let other = app.project(&boss, Media::Image).await;
    let picture = app.upload(&project, "a.png", "image/png", PNG).await;
    let text = app.upload(&project, "a.txt", "text/plain", b"hello").await;
    let foreign = app.upload(&other, "a.png", "image/png", PNG).await;
    let pending = project.request_upload("b.png", "image/png", PNG.len()).await;
    let pending = pending.text("requestUploads.uploads.0.assetId");
    let rejected = project.request_upload("c.png", "image/png", PNG.len() + 1).await;
    assert_eq!(app.put(&rejected.text("requestUploads.uploads.0.url"), PNG).await.status(), 204);
    let rejected = rejected.text("requestUploads.uploads.0.assetId");
    assert_eq!(project.complete(&[&rejected]).await.get("completeUploads.assets.0.state"), "REJECTED");
    let watch = project.watch().await;
    for (case, assets, code, field) in [
        ("never uploaded", json!([picture, pending]), "NOT_FOUND", "tasks[0].assetIds[1]"),
        ("rejected", json!([rejected]), "NOT_FOUND", "tasks[0].assetIds[0]"),
        ("of another project", json!([foreign]), "NOT_FOUND", "tasks[0].assetIds[0]"),
        ("of another medium", json!([picture, text]), "BAD_USER_INPUT", "tasks[0].assetIds[1]"),
        ("twice", json!([picture, picture]), "BAD_USER_INPUT", "tasks[0].assetIds[1]"),
        ("none", json!([]), "BAD_USER_INPUT", "tasks[0].assetIds"),
        ("1,001", json!(vec![&picture; 1_001]), "LIMIT_EXCEEDED", "tasks[0].assetIds"),
    ] {
        let answer = project.create_tasks(json!([{ "assetIds": assets }])).await;
        watch.refused(case, &answer, code, field).await;
    }
    let many: Vec<Value> = (0..21).map(|_| json!({ "assetIds": vec![&picture; 1_000] })).collect();
    let answer = project.create_tasks(json!(many)).await;
    watch.refused("21,000 in one request", &answer, "LIMIT_EXCEEDED", "tasks[20].assetIds").await;
    assert_eq!(project.create_tasks(json!([{ "assetIds": [picture] }])).await.get("createTasks.created"), 1);
}

/// The front of a picture of 5 x 3 pixels.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x05\0\0\0\x03\x08\x06\0\0\0";

async fn a_task_needs_something_to_show(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let watch = project.watch().await;
    for (case, task) in [
        ("neither asset nor data", json!({})),
        ("data without a text", json!({ "data": { "title": "x" } })),
        ("an empty text", json!({ "data": { "text": "" } })),
        ("a text that is a number", json!({ "data": { "text": 7 } })),
    ] {
        let answer = project.create_tasks(json!([task])).await;
        watch.refused(case, &answer, "BAD_USER_INPUT", "tasks[0].assetIds").await;
    }
}

async fn a_project_without_a_template_takes_no_tasks(database: Database) {
    let app = TestApp::new(database).await;
    let boss = app.admin().await;
    let made = boss.mutate("createProject", json!({ "name": "New", "mediaType": "TEXT" }), "project { id }").await;
    let project = Project { id: made.text("createProject.project.id"), manager: boss };
    let watch = project.watch().await;
    let answer = project.create_tasks(json!([text_task(json!({}))])).await;
    watch.refused("no template", &answer, "INVALID_TRANSITION", "projectId").await;
}

async fn a_bad_change_of_tasks_changes_none(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let (viewer, ana, ben) = (app.person("viewer").await, app.person("ana").await, app.person("ben").await);
    project.set_member(&viewer, json!("VIEWER")).await.get("setMember");
    project.set_member(&ana, json!("ANNOTATOR")).await.get("setMember");
    project.set_member(&ben, json!("ANNOTATOR")).await.get("setMember");
    let tasks = project.text_tasks(2).await;
    let update = async |change: Value| {
        let mut input = json!({ "taskIds": tasks });
        input.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        project.manager.mutate("updateTasks", input, "tasks { id }").await
    };
    update(json!({ "taskIds": [tasks[1]], "reservedForUserId": ben.id })).await.get("updateTasks");
    let watch = project.watch().await;
    for (case, change, code, field) in [
        ("priority above the range", json!({ "priority": 1_000_001 }), "BAD_USER_INPUT", "priority"),
        ("for a viewer", json!({ "priority": 7, "reservedForUserId": viewer.id }), "NOT_FOUND", "reservedForUserId"),
        (
            "for an outsider",
            json!({ "reservedForUserId": project.manager.id.replace("user_", "user_0") }),
            "BAD_USER_INPUT",
            "reservedForUserId",
        ),
        (
            "the second has no free slot left",
            json!({ "priority": 7, "reservedForUserId": ana.id }),
            "INVALID_TRANSITION",
            "taskIds[1]",
        ),
    ] {
        watch.refused(case, &update(change).await, code, field).await;
    }
}
