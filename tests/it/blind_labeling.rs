//! Where several people label each task, annotators see of a slot's work only their own.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{
    Database, Media, Person, Project, Session, TestApp, box_at, id_of, new_annotation, on_both_databases,
};

on_both_databases![
    annotators_see_the_work_of_their_own_slot_only,
    events_of_other_slots_are_passed_over,
    a_slot_that_waits_for_somebody_is_theirs_to_see,
    with_one_slot_a_task_everybody_sees_everything,
];

struct Scene {
    project: Project,
    task: String,
    ana: Session,
    ben: Session,
    anas: String,
    bens: String,
}

/// Ana and ben label one task, a box each.
async fn scene(app: &TestApp) -> Scene {
    let project = app.project_with(&app.admin().await, Media::Image, json!({ "overlap": 3 })).await;
    let assets = app.ready_images(&project, 1).await;
    let task = id_of(project.create_tasks(json!([{ "assetIds": assets }])).await.get("createTasks.tasks.0"));
    let ana = app.at_work(&project, &task, &member(app, &project, "ana", "ANNOTATOR").await).await;
    let ben = app.at_work(&project, &task, &member(app, &project, "ben", "ANNOTATOR").await).await;
    let (anas, bens) = (new_annotation(), new_annotation());
    assert_eq!(ana.edit(box_at(&anas, 1.0)).await["annotation"]["slot"], 1);
    assert_eq!(ben.edit(box_at(&bens, 2.0)).await["annotation"]["slot"], 2);
    for slot in [1, 2] {
        app.snapshot(&task, slot).await;
    }
    Scene { project, task, ana, ben, anas, bens }
}

async fn member(app: &TestApp, project: &Project, name: &str, role: &str) -> Person {
    let person = app.person(name).await;
    project.set_member(&person, json!(role)).await.get("setMember.member");
    person
}

/// The slots whose work somebody sees, by each way there is; all ways must agree.
async fn sees(person: &Person, scene: &Scene) -> BTreeSet<i64> {
    let query = "query($task: ID!, $ids: [ID!]!) {
        task(id: $task) {
            annotations(first: 50) { totalCount nodes { id slot } }
            first: annotations(first: 50, slot: 1) { nodes { slot } } second: annotations(first: 50, slot: 2) { nodes { slot } }
            snapshots(first: 9) { totalCount nodes { id slot payload } }
        }
        nodes(ids: $ids) { ... on Annotation { slot } }
    }";
    let ids = json!([scene.anas, scene.bens]);
    let answer = person.send(query, json!({ "task": scene.task, "ids": ids })).await;
    let slots = |path: &str| -> BTreeSet<i64> {
        answer.get(path).as_array().unwrap().iter().filter_map(|node| node["slot"].as_i64()).collect()
    };
    let seen = slots("task.annotations.nodes");
    assert_eq!(slots("nodes"), seen, "by id");
    assert_eq!(&slots("task.first.nodes") | &slots("task.second.nodes"), seen, "by slot");
    assert_eq!(slots("task.snapshots.nodes"), seen, "snapshots");
    for list in ["annotations", "snapshots"] {
        let nodes = answer.get(&format!("task.{list}.nodes")).as_array().unwrap();
        assert_eq!(answer.get(&format!("task.{list}.totalCount")), &json!(nodes.len()), "{list}");
    }
    let snapshots: Vec<String> = answer.get("task.snapshots.nodes").as_array().unwrap().iter().map(id_of).collect();
    let again = person
        .send(
            "query($ids: [ID!]!) { nodes(ids: $ids) { ... on Snapshot { slot payload } } }",
            json!({ "ids": snapshots }),
        )
        .await;
    assert_eq!(
        again.get("nodes").as_array().unwrap().iter().filter_map(|node| node["slot"].as_i64()).collect::<BTreeSet<_>>(),
        seen
    );
    seen
}

async fn annotators_see_the_work_of_their_own_slot_only(database: Database) {
    let app = TestApp::new(database).await;
    let scene = scene(&app).await;
    let (both, none) = (BTreeSet::from([1, 2]), BTreeSet::new());
    assert_eq!(sees(&scene.ana.person, &scene).await, BTreeSet::from([1]));
    assert_eq!(sees(&scene.ben.person, &scene).await, BTreeSet::from([2]));
    for (name, role, want) in
        [("eva", "ANNOTATOR", &none), ("vic", "VIEWER", &both), ("rita", "REVIEWER", &both), ("mia", "MANAGER", &both)]
    {
        let person = member(&app, &scene.project, name, role).await;
        assert_eq!(&sees(&person, &scene).await, want, "{role}");
    }
    assert_eq!(sees(&scene.project.manager, &scene).await, both, "an admin");
    // One's edits reach one's own slot alone: the rest is like what is not there.
    let deletion = |id: &str| json!({ "delete": { "id": id, "base": scene.ben.seen(1) } });
    let mut foreign = scene.ana.edit(deletion(&scene.bens)).await;
    let random = new_annotation();
    let nothing = scene.ana.edit(deletion(&random)).await;
    assert_eq!(foreign["code"], "NOT_FOUND");
    foreign["annotationId"] = json!(random);
    assert_eq!(foreign, nothing);
    let taken = scene.ana.edit(box_at(&scene.bens, 2.0)).await;
    assert_eq!((&taken["code"], &taken["annotation"]), (&json!("ID_TAKEN"), &Value::Null));
    // What was handed in stays one's own.
    app.reviewing(&scene.project, &scene.task, &[&scene.ana, &scene.ben], &scene.project.manager).await;
    assert_eq!(sees(&scene.ana.person, &scene).await, BTreeSet::from([1]));
}

async fn slots_told_of(person: &Person, project: &Project) -> Vec<i64> {
    let query =
        "query($id: ID!, $after: EventCursor) { events(projectId: $id, after: $after, first: 3) { cursor hasMore
        nodes { ... on AnnotationEvent { annotation { slot } } } } }";
    let (mut after, mut told) = (Value::Null, Vec::new());
    loop {
        let page = person.send(query, json!({ "id": project.id, "after": after })).await;
        told.extend(
            page.get("events.nodes")
                .as_array()
                .unwrap()
                .iter()
                .filter_map(|event| event["annotation"]["slot"].as_i64()),
        );
        if page.get("events.hasMore") == false {
            return told;
        }
        assert_ne!(page.get("events.cursor"), &after, "the cursor moves past what is not shown");
        after = page.get("events.cursor").clone();
    }
}

async fn events_of_other_slots_are_passed_over(database: Database) {
    let app = TestApp::new(database).await;
    let scene = scene(&app).await;
    // More events of one slot than a page holds.
    for x in 1..8 {
        scene.ben.edit(box_at(&new_annotation(), f64::from(x))).await;
    }
    let mut all = slots_told_of(&scene.project.manager, &scene.project).await;
    all.sort_unstable();
    assert_eq!(all, [1, 2, 2, 2, 2, 2, 2, 2, 2]);
    assert_eq!(slots_told_of(&scene.ana.person, &scene.project).await, [1]);
    assert_eq!(slots_told_of(&scene.ben.person, &scene.project).await, [2; 8]);
    let eva = member(&app, &scene.project, "eva", "ANNOTATOR").await;
    assert_eq!(slots_told_of(&eva, &scene.project).await, [0; 0]);
}

async fn a_slot_that_waits_for_somebody_is_theirs_to_see(database: Database) {
    let app = TestApp::new(database).await;
    let scene = scene(&app).await;
    let eva = member(&app, &scene.project, "eva", "ANNOTATOR").await;
    let freed =
        format!("state = 'FREE', holder_id = NULL, lease_expires_at = NULL, reserved_for = {}", app.literal(&eva.id));
    app.set_slot(&scene.task, &freed).await;
    assert_eq!(sees(&eva, &scene).await, BTreeSet::from([1]));
    assert_eq!(sees(&scene.ana.person, &scene).await, BTreeSet::new(), "it is not ana's any more");
    assert_eq!(slots_told_of(&eva, &scene.project).await, [1]);
}

async fn with_one_slot_a_task_everybody_sees_everything(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Image).await;
    let assets = app.ready_images(&project, 1).await;
    let task = id_of(project.create_tasks(json!([{ "assetIds": assets }])).await.get("createTasks.tasks.0"));
    let ana = app.at_work(&project, &task, &member(&app, &project, "ana", "ANNOTATOR").await).await;
    let id = new_annotation();
    ana.edit(box_at(&id, 1.0)).await;
    let eva = member(&app, &project, "eva", "ANNOTATOR").await;
    let query = "query($task: ID!) { task(id: $task) { annotations(first: 9) { nodes { id } } } }";
    assert_eq!(eva.send(query, json!({ "task": task })).await.get("task.annotations.nodes"), &json!([{ "id": id }]));
    assert_eq!(slots_told_of(&eva, &project).await, [1]);
}
