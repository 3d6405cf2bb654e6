//! Every accepted state of an annotation is kept, and each is an event that shows it.

use serde_json::{Value, json};

use crate::harness::{
    Database, Media, Person, Project, Session, TestApp, box_at, id_of, new_annotation, on_both_databases,
};

on_both_databases![
    every_accepted_state_is_kept_with_what_the_edit_wrote,
    revisions_are_read_page_by_page,
    an_event_shows_the_revision_it_made_also_later,
    an_edit_sent_again_or_refused_makes_no_revision_and_no_event,
];

const CONTENT: &str = "content { label attributes deleted geometry { ... on BoundingBox { x } } }";

async fn at_work(app: &TestApp) -> (Project, String, Session) {
    let project = app.project(&app.admin().await, Media::Image).await;
    let tool = json!({ "name": "Boxes", "kind": "BOUNDING_BOX", "labels": [{ "name": "cell" }, { "name": "dust" }],
        "attributes": [{ "name": "size", "type": "NUMBER" }] });
    project.publish_tools(json!([tool])).await;
    let assets = app.ready_images(&project, 1).await;
    let task = id_of(project.create_tasks(json!([{ "assetIds": assets }])).await.get("createTasks.tasks.0"));
    let ana = app.person("ana").await;
    project.set_member(&ana, json!("ANNOTATOR")).await.get("setMember.member");
    let session = app.at_work(&project, &task, &ana).await;
    (project, task, session)
}

/// Makes a box, names and measures it, deletes it and takes that back: in one batch, five revisions.
fn story(session: &Session, id: &str) -> Value {
    json!([
        box_at(id, 1.0),
        { "update": { "id": id, "base": session.seen(1), "label": "dust", "attributes": { "size": 3 } } },
        { "update": { "id": id, "base": session.seen(2), "geometry": { "boundingBox": { "x": 2, "y": 1, "width": 5, "height": 4 } }, "attributes": { "size": null } } },
        { "delete": { "id": id, "base": session.seen(3) } },
        { "restore": { "id": id, "base": session.seen(4) } },
    ])
}

fn told() -> Value {
    let content = |label: &str, x: f64, attributes: Value, deleted: bool| json!({ "label": label, "attributes": attributes, "deleted": deleted, "geometry": { "x": x } });
    json!([
        content("cell", 1.0, json!({}), false),
        content("dust", 1.0, json!({ "size": 3 }), false),
        content("dust", 2.0, json!({}), false),
        content("dust", 2.0, json!({}), true),
        content("dust", 2.0, json!({}), false),
    ])
}

async fn revisions(person: &Person, id: &str, page: &str) -> Value {
    let query = format!(
        "query($id: ID!) {{ node(id: $id) {{ ... on Annotation {{ revisions({page}) {{ totalCount
           edges {{ cursor node {{ revision outcome fields at by {{ id }} {CONTENT} }} }}
           pageInfo {{ hasNextPage hasPreviousPage }} }} }} }} }}"
    );
    person.send(&query, json!({ "id": id })).await.get("node.revisions").clone()
}

async fn every_accepted_state_is_kept_with_what_the_edit_wrote(database: Database) {
    let app = TestApp::new(database).await;
    let (project, _, ana) = at_work(&app).await;
    let id = new_annotation();
    ana.save(story(&ana, &id)).await.get("saveAnnotations.results.4.annotation.revision");
    let kept = revisions(&project.manager, &id, "first: 50").await;
    let nodes: Vec<&Value> = kept["edges"].as_array().unwrap().iter().map(|edge| &edge["node"]).collect();
    assert_eq!(kept["totalCount"], 5);
    assert_eq!(json!(nodes.iter().map(|node| node["content"].clone()).collect::<Vec<_>>()), told());
    let fields: Vec<&Value> = nodes.iter().map(|node| &node["fields"]).collect();
    let want = json!([
        ["geometry", "label", "alive"],
        ["label", "attributes.size"],
        ["geometry", "attributes.size"],
        ["alive"],
        ["alive"]
    ]);
    assert_eq!(json!(fields), want);
    for (number, node) in (1..).zip(nodes) {
        assert_eq!((&node["revision"], &node["outcome"]), (&json!(number), &json!("APPLIED")));
        assert_eq!(node["by"]["id"], json!(ana.person.id));
        assert!(node["at"].is_string());
    }
}

async fn revisions_are_read_page_by_page(database: Database) {
    let app = TestApp::new(database).await;
    let (_, _, ana) = at_work(&app).await;
    let (id, other) = (new_annotation(), new_annotation());
    ana.save(story(&ana, &id)).await.get("saveAnnotations");
    ana.save(story(&ana, &other)).await.get("saveAnnotations");
    let mut seen = Vec::new();
    let mut page = "first: 2".to_owned();
    loop {
        let slice = revisions(&ana.person, &id, &page).await;
        let edges = slice["edges"].as_array().unwrap();
        seen.extend(edges.iter().map(|edge| edge["node"]["revision"].as_i64().unwrap()));
        if slice["pageInfo"]["hasNextPage"] == false {
            break;
        }
        page = format!("first: 2, after: {}", edges.last().unwrap()["cursor"]);
    }
    assert_eq!(seen, [1, 2, 3, 4, 5]);
    let last = revisions(&ana.person, &id, "last: 2").await;
    assert_eq!(
        (&last["edges"][0]["node"]["revision"], &last["pageInfo"]["hasPreviousPage"]),
        (&json!(4), &json!(true))
    );
}

async fn events(person: &Person, project: &Project) -> Vec<Value> {
    let query = "query($id: ID!) { events(projectId: $id, first: 200) { nodes { ... on AnnotationEvent { id type cursor at projectId
        taskId outcome by { id } annotation { id slot revision deleted label versionVector attributes updatedAt lastEditedBy { id }
          geometry { ... on BoundingBox { x } } } } } } }";
    let seen = person.send(query, json!({ "id": project.id })).await;
    let nodes = seen.get("events.nodes").as_array().unwrap().iter();
    nodes.filter(|event| event["type"].is_string()).cloned().collect()
}

async fn an_event_shows_the_revision_it_made_also_later(database: Database) {
    let app = TestApp::new(database).await;
    let (project, task, ana) = at_work(&app).await;
    let id = new_annotation();
    ana.save(story(&ana, &id)).await.get("saveAnnotations");
    let told_of = events(&project.manager, &project).await;
    let types: Vec<&str> = told_of.iter().map(|event| event["type"].as_str().unwrap()).collect();
    let saved = "ANNOTATION_SAVED";
    assert_eq!(types, [saved, saved, saved, "ANNOTATION_DELETED", saved]);
    for (n, (event, want)) in told_of.iter().zip(told().as_array().unwrap()).enumerate() {
        let annotation = &event["annotation"];
        assert_eq!(
            (&event["taskId"], &event["outcome"], &event["by"]["id"]),
            (&json!(task), &json!("APPLIED"), &json!(ana.person.id))
        );
        assert_eq!(
            (&annotation["id"], &annotation["slot"], &annotation["revision"]),
            (&json!(id), &json!(1), &json!(n + 1))
        );
        assert_eq!(annotation["versionVector"], ana.seen(n as i64 + 1));
        for field in ["label", "attributes", "deleted", "geometry"] {
            assert_eq!(annotation[field], want[field], "{field} of revision {}", n + 1);
        }
    }
}

async fn an_edit_sent_again_or_refused_makes_no_revision_and_no_event(database: Database) {
    let app = TestApp::new(database).await;
    let (project, _, ana) = at_work(&app).await;
    let id = new_annotation();
    ana.save(story(&ana, &id)).await.get("saveAnnotations");
    let before = events(&project.manager, &project).await;
    ana.save(story(&ana, &id)).await.get("saveAnnotations");
    ana.save(json!([box_at(&new_annotation(), -1.0), { "delete": { "id": id, "base": ana.seen(9) } }]))
        .await
        .get("saveAnnotations");
    assert_eq!(events(&project.manager, &project).await, before);
    assert_eq!(revisions(&ana.person, &id, "first: 50").await["totalCount"], 5);
}
