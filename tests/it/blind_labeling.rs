//! Where several people label each task, annotators see of a slot's work only their own.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{
    Database, Disputed, Media, Person, Project, Session, TestApp, box_at, id_of, new_annotation, on_both_databases,
    random_like,
};

on_both_databases![
    annotators_see_the_work_of_their_own_slot_only,
    events_of_other_slots_are_passed_over,
    conflicts_of_other_slots_are_like_those_that_are_not_there,
    who_comes_late_is_not_shown_the_slot_of_another,
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

/// The conflicts that somebody sees, by each way there is; all ways must agree.
async fn conflicts_seen(person: &Person, scene: &Scene, all: &[&Disputed]) -> BTreeSet<String> {
    let query = "query($project: ID!, $task: ID!, $conflicts: [ID!]!, $annotations: [ID!]!) {
        conflicts(projectId: $project, first: 9) { totalCount nodes { id } }
        open: conflicts(projectId: $project, state: OPEN, first: 9) { totalCount nodes { id } }
        task(id: $task) { openConflictCount openConflicts(first: 9) { totalCount nodes { id } } }
        nodes(ids: $conflicts) { id } of: nodes(ids: $annotations) { ... on Annotation { openConflicts { id } } }
        with: tasks(projectId: $project, filter: { hasOpenConflict: true }, first: 9) { totalCount nodes { id } }
        without: tasks(projectId: $project, filter: { hasOpenConflict: false }, first: 9) { totalCount nodes { id } }
        events(projectId: $project, first: 200) { hasMore nodes { ... on ConflictEvent { conflict { id } } } } }";
    let conflicts: Vec<&str> = all.iter().map(|disputed| disputed.conflict.as_str()).collect();
    let annotations: Vec<&str> = all.iter().map(|disputed| disputed.annotation.as_str()).collect();
    let variables = json!({
        "project": scene.project.id, "task": scene.task, "conflicts": conflicts, "annotations": annotations,
    });
    let answer = person.send(query, variables).await;
    let ids = |nodes: &Value| -> BTreeSet<String> {
        nodes.as_array().unwrap().iter().filter(|node| node["id"].is_string()).map(id_of).collect()
    };
    let seen = ids(answer.get("nodes"));
    for list in ["conflicts", "open", "task.openConflicts"] {
        assert_eq!(ids(answer.get(&format!("{list}.nodes"))), seen, "{list}");
        assert_eq!(answer.get(&format!("{list}.totalCount")), &json!(seen.len()), "{list}");
    }
    assert_eq!(answer.get("task.openConflictCount"), &json!(seen.len()));
    let of_annotations = answer.get("of").as_array().unwrap().iter();
    let of_annotations = of_annotations.filter_map(|node| node["openConflicts"].as_array()).flatten();
    assert_eq!(of_annotations.map(id_of).collect::<BTreeSet<_>>(), seen, "of annotations");
    let (with, without) = if seen.is_empty() { (0, 1) } else { (1, 0) };
    assert_eq!(answer.get("with.totalCount"), &json!(with));
    assert_eq!(answer.get("without.totalCount"), &json!(without));
    assert_eq!(answer.get("events.hasMore"), false);
    let told = answer.get("events.nodes").as_array().unwrap().iter().map(|event| &event["conflict"]);
    let told: BTreeSet<String> = told.filter(|conflict| conflict.is_object()).map(id_of).collect();
    assert_eq!(told, seen, "events");
    seen
}

async fn conflicts_of_other_slots_are_like_those_that_are_not_there(database: Database) {
    let app = TestApp::new(database).await;
    let scene = scene(&app).await;
    let mut disputed = Vec::new();
    for session in [&scene.ana, &scene.ben] {
        let second = app.second_screen(&scene.project, &scene.task, session).await;
        disputed.push(session.dispute(&second, box_at(&new_annotation(), 3.0)).await);
    }
    let [anas, bens] = &disputed[..] else { panic!("{disputed:?}") };
    let (all, only) = ([anas, bens], |one: &Disputed| BTreeSet::from([one.conflict.clone()]));
    assert_eq!(conflicts_seen(&scene.ana.person, &scene, &all).await, only(anas));
    assert_eq!(conflicts_seen(&scene.ben.person, &scene, &all).await, only(bens));
    let both = &only(anas) | &only(bens);
    for (name, role, want) in
        [("eva", "ANNOTATOR", &BTreeSet::new()), ("vic", "VIEWER", &both), ("rita", "REVIEWER", &both)]
    {
        let person = member(&app, &scene.project, name, role).await;
        assert_eq!(&conflicts_seen(&person, &scene, &all).await, want, "{role}");
    }
    // A subscription passes over what is not ana's: ben's came last, and the next she hears of is her own decision.
    let cursor = scene.project.cursor().await;
    let follow = "subscription($id: ID!, $after: EventCursor) { conflictEvents(projectId: $id, after: $after) {
        type ... on ConflictEvent { conflict { id state } } } }";
    let decide = async |person: &Person, disputed: &Disputed| {
        person.resolve(&disputed.conflict, &disputed.now, "CURRENT", Value::Null).await
    };
    decide(&scene.ben.person, bens).await.get("resolveConflict");
    // Of another's slot not even the present state comes with a refusal.
    let mut foreign = decide(&scene.ana.person, &Disputed { now: json!({ "#": 1 }), ..bens.clone() }).await;
    let random = random_like(&bens.conflict);
    let nothing = scene.ana.person.resolve(&random, &json!({ "#": 1 }), "CURRENT", Value::Null).await;
    foreign.assert_error("NOT_FOUND", "conflictId");
    assert_eq!(foreign.body.take(), nothing.body);
    decide(&scene.ana.person, anas).await.get("resolveConflict");
    let told = scene.ana.person.ask(follow, json!({ "id": scene.project.id, "after": cursor })).await;
    let own = json!({ "type": "CONFLICT_RESOLVED", "conflict": { "id": anas.conflict, "state": "RESOLVED" } });
    assert_eq!(told.get("conflictEvents"), &own);
}

async fn who_comes_late_is_not_shown_the_slot_of_another(database: Database) {
    let app = TestApp::new(database).await;
    let scene = scene(&app).await;
    let renamed = |label: &str, base: Value| json!({ "update": { "id": scene.anas, "base": base, "label": label } });
    scene.project.revoke(&scene.task, Some(1)).await.get("revokeLease");
    let eva = app.at_work(&scene.project, &scene.task, &member(&app, &scene.project, "eva", "ANNOTATOR").await).await;
    assert_eq!(eva.screen.slot, Some(1));
    eva.all_become("APPLIED", json!([renamed("dust", scene.ana.seen(1))])).await;
    let query = "annotationId outcome code fields annotation { id } conflict { id }";
    let input = scene.ana.screen.with(json!({ "edits": [renamed("cell", scene.ana.seen(1))] }));
    let saved = scene.ana.person.mutate("saveAnnotations", input, &format!("results {{ {query} }}")).await;
    let result = saved.get("saveAnnotations.results.0");
    let want = json!({ "annotationId": scene.anas, "outcome": "CONFLICT", "code": null, "fields": ["label"],
        "annotation": null, "conflict": null });
    assert_eq!(result, &want);
    // Who has the slot now sees it, and decides.
    let open = "query($id: ID!) { node(id: $id) { ... on Annotation { versionVector openConflicts { id cause
        incoming { label } } } } }";
    let seen = eva.person.send(open, json!({ "id": scene.anas })).await;
    let conflict = seen.get("node.openConflicts.0");
    assert_eq!((&conflict["cause"], &conflict["incoming"]["label"]), (&json!("LATE"), &json!("cell")));
    let base = seen.get("node.versionVector");
    eva.person.resolve(&id_of(conflict), base, "INCOMING", Value::Null).await.get("resolveConflict");
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
