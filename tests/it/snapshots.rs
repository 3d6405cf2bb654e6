//! What a slot's work was at a version of its task.

use serde_json::{Value, json};

use crate::harness::{Database, Media, TestApp, box_at, id_of, new_annotation, on_both_databases, span};

on_both_databases![
    a_snapshot_holds_the_live_annotations_of_its_slot,
    a_snapshot_of_nothing_is_empty,
    snapshots_are_read_page_by_page
];

const SNAPSHOT: &str = "id slot version reason at by { id } task { id } payload";

async fn a_snapshot_holds_the_live_annotations_of_its_slot(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project_with(&app.admin().await, Media::Image, json!({ "overlap": 2 })).await;
    let tool = json!({ "name": "Boxes", "kind": "BOUNDING_BOX", "labels": [{ "name": "cell" }, { "name": "dust" }],
        "attributes": [{ "name": "note", "type": "TEXT" }] });
    project.publish_tools(json!([tool])).await;
    let assets = app.ready_images(&project, 1).await;
    let task = id_of(project.create_tasks(json!([{ "assetIds": assets }])).await.get("createTasks.tasks.0"));
    let (ana, ben) = (app.person("ana").await, app.person("ben").await);
    for person in [&ana, &ben] {
        project.set_member(person, json!("ANNOTATOR")).await.get("setMember.member");
    }
    let (ana, ben) = (app.at_work(&project, &task, &ana).await, app.at_work(&project, &task, &ben).await);
    let mut ids: Vec<String> = (0..3).map(|_| new_annotation()).collect();
    ids.sort();
    let x = 0.1 + 0.2;
    let update = json!({ "update": { "id": ids[1], "base": ana.seen(1), "label": "dust", "attributes": { "note": "\"ü\" 👩‍👧" } } });
    let deletion = json!({ "delete": { "id": ids[2], "base": ana.seen(1) } });
    let batch = json!([box_at(&ids[1], x), box_at(&ids[0], 1.0), box_at(&ids[2], 2.0), update, deletion]);
    ana.save(batch).await.get("saveAnnotations.task");
    ben.edit(box_at(&new_annotation(), 9.0)).await;
    let taken = app.snapshot(&task, 1).await;
    // What happens later is not in it.
    ana.edit(json!({ "delete": { "id": ids[0], "base": ana.seen(1) } })).await;
    let query = format!("query($id: ID!) {{ node(id: $id) {{ ... on Snapshot {{ {SNAPSHOT} }} }} }}");
    let seen = project.manager.send(&query, json!({ "id": taken })).await;
    let shown = |id: &str, x: f64, label: &str, attributes: Value, edits: i64| {
        json!({
            "id": id, "assetId": assets[0], "kind": "BOUNDING_BOX", "tool": "Boxes", "label": label,
            "geometry": { "boundingBox": { "x": x, "y": 1.0, "width": 5.0, "height": 4.0, "rotation": 0.0 } },
            "attributes": attributes, "versionVector": ana.seen(edits), "revision": edits, "source": "HUMAN",
            "score": null, "authorId": ana.person.id,
        })
    };
    let want =
        json!([shown(&ids[0], 1.0, "cell", json!({}), 1), shown(&ids[1], x, "dust", json!({ "note": "\"ü\" 👩‍👧" }), 2)]);
    assert_eq!(seen.get("node.payload"), &want);
    assert_eq!((seen.get("node.slot"), seen.get("node.reason")), (&json!(1), &json!("SUBMIT")));
    assert_eq!((seen.get("node.task.id"), seen.get("node.by")), (&json!(task), &Value::Null));
}

async fn a_snapshot_of_nothing_is_empty(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let task = project.text_tasks(1).await.remove(0);
    app.snapshot(&task, 1).await;
    let query =
        format!("query($id: ID!) {{ task(id: $id) {{ version snapshots(first: 9) {{ nodes {{ {SNAPSHOT} }} }} }} }}");
    let seen = project.manager.send(&query, json!({ "id": task })).await;
    assert_eq!(seen.get("task.snapshots.nodes.0.payload"), &json!([]));
    assert_eq!(seen.get("task.snapshots.nodes.0.version"), seen.get("task.version"));
}

async fn snapshots_are_read_page_by_page(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let task = project.text_tasks(1).await.remove(0);
    let ana = app.person("ana").await;
    project.set_member(&ana, json!("ANNOTATOR")).await.get("setMember.member");
    let ana = app.at_work(&project, &task, &ana).await;
    let mut taken = Vec::new();
    for _ in 0..3 {
        ana.edit(span(&new_annotation(), 0, "cell")).await;
        taken.push(app.snapshot(&task, 1).await);
    }
    let page = async |page: &str| {
        let query = format!(
            "query($id: ID!) {{ task(id: $id) {{ snapshots({page}) {{ totalCount edges {{ cursor node {{ id payload }} }} pageInfo {{ hasNextPage }} }} }} }}"
        );
        project.manager.send(&query, json!({ "id": task })).await.get("task.snapshots").clone()
    };
    let first = page("first: 2").await;
    assert_eq!((&first["totalCount"], &first["pageInfo"]["hasNextPage"]), (&json!(3), &json!(true)));
    let rest = page(&format!("first: 2, after: {}", first["edges"][1]["cursor"])).await;
    let edges = first["edges"].as_array().unwrap().iter().chain(rest["edges"].as_array().unwrap());
    let seen: Vec<(String, usize)> =
        edges.map(|edge| (id_of(&edge["node"]), edge["node"]["payload"].as_array().unwrap().len())).collect();
    let want: Vec<(String, usize)> = taken.into_iter().zip(1..).collect();
    assert_eq!(seen, want, "oldest first, each with what was there");
}
