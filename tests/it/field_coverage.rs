//! What fields say: templates as they were published, kinds with their schemas, tasks with their slots.

mod json_schema;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::{
    field_coverage::json_schema::fits,
    harness::{Database, Media, TestApp, on_both_databases},
};

on_both_databases![
    a_template_comes_back_as_it_was_published,
    versions_of_a_template_are_listed_newest_first_and_tasks_keep_theirs,
    each_kind_describes_its_geometry,
    a_new_task_says_what_it_was_made_with,
    a_change_of_a_task_raises_its_version,
    a_slot_says_whom_it_waits_for_and_who_worked_on_it,
];

async fn a_template_comes_back_as_it_was_published(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Image).await;
    let tools = json!([
        {
            "name": "Vehicle", "kind": "BOUNDING_BOX", "required": true,
            "labels": [
                { "name": "car", "color": "#1F77b4", "description": "Four wheels,\nroof" },
                { "name": "van", "color": null, "description": null },
            ],
            "attributes": [
                { "name": "plate", "type": "TEXT", "values": null, "required": true, "appliesTo": ["car"] },
                { "name": "doors", "type": "NUMBER", "values": null, "required": false, "appliesTo": null },
                { "name": "parked", "type": "BOOLEAN", "values": null, "required": false, "appliesTo": ["car", "van"] },
                { "name": "side", "type": "SELECT", "values": ["left", "right"], "required": true, "appliesTo": null },
                { "name": "damage", "type": "MULTI_SELECT", "values": ["dent", "rust"], "required": false, "appliesTo": null },
            ],
        },
        { "name": "Lake", "kind": "POLYGON", "required": false, "labels": [{ "name": "lake", "color": null, "description": null }], "attributes": [] },
        { "name": "Weather", "kind": "CLASSIFICATION", "required": false, "labels": [{ "name": "rain", "color": null, "description": null }], "attributes": [] },
    ]);
    let input = json!({ "template": { "projectId": project.id, "name": "Traffic", "tools": tools } });
    let selection = "losses template { id name version mediaType publishedAt publishedBy { id name }
        tools { name kind required labels { name color description skeleton { points edges } }
          attributes { name type values required appliesTo } } }";
    let published = project.manager.mutate("publishTemplate", input, selection).await;
    assert_eq!(published.get("publishTemplate.losses"), &json!([]));
    let mut template = published.get("publishTemplate.template").clone();
    let at = template["publishedAt"].take();
    assert!((Utc::now() - time(&at)).abs() < TimeDelta::minutes(1), "{at}");
    let mut with_skeletons = tools;
    for tool in with_skeletons.as_array_mut().unwrap() {
        tool["labels"].as_array_mut().unwrap().iter_mut().for_each(|label| label["skeleton"] = Value::Null);
    }
    let want = json!({
        "id": template["id"], "name": "Traffic", "version": 2, "mediaType": "IMAGE", "publishedAt": null,
        "publishedBy": { "id": project.manager.id, "name": "boss" }, "tools": with_skeletons,
    });
    assert_eq!(template, want);
    let query = format!("query($id: ID!) {{ node(id: $id) {{ ... on Template {{ {} }} }} }}", between(selection));
    let read = project.manager.send(&query, json!({ "id": template["id"] })).await;
    assert_eq!(read.get("node.tools"), &want["tools"]);
    assert_eq!(read.get("node.publishedAt"), &at);
}

/// What stands within the braces after `template`.
fn between(selection: &str) -> &str {
    selection.split_once("template {").unwrap().1.rsplit_once('}').unwrap().0
}

fn time(value: &Value) -> DateTime<Utc> {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{value} is no time"))
}

async fn versions_of_a_template_are_listed_newest_first_and_tasks_keep_theirs(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let old = project.text_tasks(1).await;
    project.publish(Media::Text).await;
    let new = project.create_tasks(json!([{ "data": { "text": "later" } }])).await.text("createTasks.tasks.0.id");
    let query = "query($id: ID!, $old: ID!, $new: ID!) {
        project(id: $id) { template { id version } templates(first: 10) { totalCount nodes { id version } } }
        old: task(id: $old) { template { version } project { id } } new: task(id: $new) { template { version } } }";
    let seen = project.manager.send(query, json!({ "id": project.id, "old": old[0], "new": new })).await;
    assert_eq!(seen.get("project.templates.totalCount"), 2);
    assert_eq!(seen.get("project.templates.nodes.0"), seen.get("project.template"));
    assert_eq!(seen.get("project.templates.nodes.0.version"), 2);
    assert_eq!(seen.get("project.templates.nodes.1.version"), 1);
    assert_eq!(seen.get("old"), &json!({ "template": { "version": 1 }, "project": { "id": project.id } }));
    assert_eq!(seen.get("new.template.version"), 2);
}

async fn each_kind_describes_its_geometry(database: Database) {
    let app = TestApp::new(database).await;
    let ana = app.person("ana").await;
    let query = "{ annotationKinds { kind description mediaTypes payloadSchema } }";
    let seen = ana.send(query, json!({})).await;
    let kinds = seen.get("annotationKinds").as_array().unwrap();
    let triangle = json!([[0, 0], [9, 0], [9, 9]]);
    let cases = [
        (
            "BOUNDING_BOX",
            json!(["IMAGE", "IMAGE_TEXT"]),
            json!({ "x": 1.5, "y": 2, "width": 3, "height": 4, "rotation": -90.5 }),
            vec![
                ("no height", json!({ "x": 1, "y": 2, "width": 3 })),
                ("no width to speak of", json!({ "x": 1, "y": 2, "width": 0, "height": 4 })),
                ("a text for a number", json!({ "x": "1", "y": 2, "width": 3, "height": 4 })),
                ("a property it does not have", json!({ "x": 1, "y": 2, "width": 3, "height": 4, "depth": 5 })),
            ],
        ),
        (
            "POLYGON",
            json!(["IMAGE", "IMAGE_TEXT"]),
            json!({ "parts": [{ "outer": triangle, "holes": [triangle] }] }),
            vec![
                ("no part", json!({ "parts": [] })),
                ("two vertices", json!({ "parts": [{ "outer": [[0, 0], [9, 0]] }] })),
                ("a vertex of three numbers", json!({ "parts": [{ "outer": [[0, 0], [9, 0], [9, 9, 9]] }] })),
                ("a hole of two vertices", json!({ "parts": [{ "outer": triangle, "holes": [[[1, 1], [2, 2]]] }] })),
            ],
        ),
        (
            "CLASSIFICATION",
            json!(["IMAGE", "TEXT", "IMAGE_TEXT", "POINT_CLOUD", "VIDEO", "AUDIO"]),
            json!({ "values": ["rain", "wind"] }),
            vec![
                ("no value", json!({ "values": [] })),
                ("a number", json!({ "values": [1] })),
                ("a value twice", json!({ "values": ["rain", "rain"] })),
            ],
        ),
        (
            "TEXT_SPAN",
            json!(["TEXT", "IMAGE_TEXT"]),
            json!({ "start": 0, "end": 4, "text": "cell" }),
            vec![
                ("no quotation", json!({ "start": 0, "end": 4 })),
                ("an empty quotation", json!({ "start": 0, "end": 4, "text": "" })),
                ("half a character", json!({ "start": 0.5, "end": 4, "text": "cell" })),
                ("before the text", json!({ "start": -1, "end": 4, "text": "cell" })),
            ],
        ),
    ];
    assert_eq!(kinds.len(), cases.len(), "{kinds:#?}");
    for (kind, media_types, sound, broken) in cases {
        let info = kinds.iter().find(|info| info["kind"] == kind).unwrap_or_else(|| panic!("no {kind}"));
        assert_eq!(info["mediaTypes"], media_types, "{kind}");
        assert!(info["description"].as_str().unwrap().contains(' '), "{kind} is described by a sentence");
        let schema = &info["payloadSchema"];
        assert_eq!(fits(schema, schema, &sound), Ok(()), "{kind}");
        for (case, payload) in broken {
            assert!(fits(schema, schema, &payload).is_err(), "{kind} with {case}");
        }
    }
}

async fn a_new_task_says_what_it_was_made_with(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project_with(&app.admin().await, Media::Text, json!({ "overlap": 2 })).await;
    let asset = app.upload(&project, "cells.txt", "text/plain", b"cells").await;
    let data = json!({ "text": "a cell", "shown": { "zoom": 1.25, "tabs": ["one", null, true] } });
    let made =
        project.create_tasks(json!([{ "externalId": "slide 7", "assetIds": [asset], "data": data, "priority": -3 }]));
    let task = made.await.text("createTasks.tasks.0.id");
    let query = "query($id: ID!) { task(id: $id) {
        id externalId state priority version round data openConflictCount agreement quarantineReason createdAt updatedAt
        assets(first: 5) { totalCount nodes { id } }
        slots { number state round holder { id } leaseExpiresAt reservedFor { id } submittedBy { id } submittedAt skipReason } } }";
    let seen = project.manager.send(query, json!({ "id": task })).await;
    let mut seen = seen.get("task").clone();
    let (created, updated) = (time(&seen["createdAt"].take()), time(&seen["updatedAt"].take()));
    assert!((Utc::now() - created).abs() < TimeDelta::minutes(1), "{created}");
    assert!(updated >= created && updated - created < TimeDelta::seconds(1), "{updated}");
    let slot = |number: i32| {
        json!({
            "number": number, "state": "FREE", "round": 1, "holder": null, "leaseExpiresAt": null, "reservedFor": null,
            "submittedBy": null, "submittedAt": null, "skipReason": null,
        })
    };
    let want = json!({
        "id": task, "externalId": "slide 7", "state": "QUEUED", "priority": -3, "version": 1, "round": 1, "data": data,
        "openConflictCount": 0, "agreement": null, "quarantineReason": null, "createdAt": null, "updatedAt": null,
        "assets": { "totalCount": 1, "nodes": [{ "id": asset }] }, "slots": [slot(1), slot(2)],
    });
    assert_eq!(seen, want);
}

async fn a_change_of_a_task_raises_its_version(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let tasks = project.text_tasks(2).await;
    let query = "query($id: ID!) { task(id: $id) { version priority state round createdAt updatedAt agreement quarantineReason } }";
    let fields = async |task: &str| project.manager.send(query, json!({ "id": task })).await.get("task").clone();
    let (before, other) = (fields(&tasks[0]).await, fields(&tasks[1]).await);
    app.advance(Duration::from_secs(3_600));
    let change = json!({ "taskIds": [tasks[0]], "priority": 7 });
    let changed = project.manager.mutate("updateTasks", change, "tasks { id version priority }").await;
    let want = json!([{ "id": tasks[0], "version": 2, "priority": 7 }]);
    assert_eq!(changed.get("updateTasks.tasks"), &want);
    let after = fields(&tasks[0]).await;
    assert_eq!(after["createdAt"], before["createdAt"]);
    let passed = time(&after["updatedAt"]) - time(&before["updatedAt"]);
    assert!(passed >= TimeDelta::hours(1) && passed < TimeDelta::minutes(61), "{passed}");
    assert_eq!(fields(&tasks[1]).await, other, "the task beside it");

    app.set_task(
        &tasks[0],
        "round = 3, agreement = 0.75, state = 'QUARANTINED', quarantine_reason = 'expired 5 times'",
    )
    .await;
    let after = fields(&tasks[0]).await;
    for (field, want) in [
        ("round", json!(3)),
        ("agreement", json!(0.75)),
        ("state", json!("QUARANTINED")),
        ("quarantineReason", json!("expired 5 times")),
    ] {
        assert_eq!(after[field], want, "{field}");
    }
}

async fn a_slot_says_whom_it_waits_for_and_who_worked_on_it(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let ana = app.person("ana").await;
    project.set_member(&ana, json!("ANNOTATOR")).await.get("setMember");
    let task = &project.text_tasks(1).await[0];
    let query = "query($id: ID!) { task(id: $id) { updatedAt
        slots { number state round holder { name } leaseExpiresAt reservedFor { id name } submittedBy { name } submittedAt skipReason } } }";
    let slot = async || project.manager.send(query, json!({ "id": task })).await.get("task.slots.0").clone();

    let reserve = json!({ "taskIds": [task], "reservedForUserId": ana.id });
    project.manager.mutate("updateTasks", reserve, "tasks { id }").await.get("updateTasks");
    let reserved = slot().await;
    assert_eq!(reserved["reservedFor"], json!({ "id": ana.id, "name": "ana" }));
    for field in ["holder", "leaseExpiresAt", "submittedBy", "submittedAt", "skipReason"] {
        assert_eq!(reserved[field], Value::Null, "{field} of a reserved slot");
    }
    let clear = json!({ "taskIds": [task], "clearReservation": true });
    project.manager.mutate("updateTasks", clear, "tasks { id }").await.get("updateTasks");
    assert_eq!(slot().await["reservedFor"], Value::Null);

    let user = app.literal(&ana.id);
    let made = "(SELECT created_at FROM task WHERE id = task_id)";
    app.set_slot(task, &format!("state = 'LEASED', round = 2, holder_id = {user}, lease_expires_at = {made}")).await;
    let leased = slot().await;
    assert_eq!((&leased["state"], &leased["round"]), (&json!("LEASED"), &json!(2)));
    assert_eq!(leased["holder"], json!({ "name": "ana" }));
    assert!((Utc::now() - time(&leased["leaseExpiresAt"])).abs() < TimeDelta::minutes(1), "{leased}");
    let ended = "holder_id = NULL, lease_expires_at = NULL";
    app.set_slot(task, &format!("state = 'SUBMITTED', {ended}, submitted_by = {user}, submitted_at = {made}")).await;
    let submitted = slot().await;
    assert_eq!((&submitted["state"], &submitted["holder"]), (&json!("SUBMITTED"), &Value::Null));
    assert_eq!(submitted["submittedBy"], json!({ "name": "ana" }));
    assert!((Utc::now() - time(&submitted["submittedAt"])).abs() < TimeDelta::minutes(1), "{submitted}");
    app.set_slot(task, "state = 'SKIPPED', submitted_by = NULL, submitted_at = NULL, skip_reason = 'too dark'").await;
    let skipped = slot().await;
    assert_eq!((&skipped["state"], &skipped["skipReason"]), (&json!("SKIPPED"), &json!("too dark")));
    assert_eq!(skipped["submittedBy"], Value::Null);
}
