//! Going back to a snapshot: by ordinary edits, which merge with what others do.

use serde_json::{Value, json};

use crate::harness::{
    Answer, Database, Session, TestApp, box_at, event_types, new_annotation, on_both_databases,
    shared::{Shared, plus},
};

on_both_databases![
    a_slot_says_again_what_the_snapshot_shows,
    a_restore_that_is_sent_again_finds_nothing_to_do,
    what_another_did_meanwhile_merges_with_a_restore,
    an_edit_that_waited_to_be_sent_meets_a_restore_as_anybodys,
    a_restore_can_be_taken_back,
    a_snapshot_of_another_slot_or_task_is_not_there,
    without_the_lease_nothing_is_restored,
    a_reviewer_restores_what_is_under_review,
];

/// Everything live in the task: id, x, label and attributes.
async fn drawn(shared: &Shared) -> Vec<Value> {
    let query = "query($id: ID!) { task(id: $id) { annotations(first: 100) { nodes { id label attributes geometry { ... on BoundingBox { x } } } } } }";
    let seen = shared.project.manager.send(query, json!({ "id": shared.task })).await;
    seen.get("task.annotations.nodes").as_array().unwrap().clone()
}

async fn restore(session: &Session, snapshot: &str) -> Answer {
    let input = session.screen.with(json!({ "snapshotId": snapshot }));
    let selection = "task { version } results { annotationId outcome fields annotation { deleted versionVector } }";
    session.person.mutate("restoreSnapshot", input, selection).await
}

/// A box that was changed, one that was deleted and one that was made since the snapshot.
async fn changed_since(app: &TestApp, shared: &Shared) -> (String, Vec<Value>) {
    let (kept, gone, new) = (&shared.id, new_annotation(), new_annotation());
    let first = shared.said(&shared.seen, &json!({ "size": 3 }));
    shared.ana.save(json!([first, box_at(&gone, 20.0)])).await.get("saveAnnotations");
    let (snapshot, before) = (app.snapshot(&shared.task, 1).await, drawn(shared).await);
    let seen = shared.ana.seen(2);
    let edits = json!([
        { "update": { "id": kept, "base": seen, "label": "dust", "attributes": { "size": null, "note": "odd" } } },
        { "delete": { "id": gone, "base": shared.ana.seen(1) } },
        box_at(&new, 30.0),
    ]);
    let saved = shared.ana.save(edits).await;
    assert!(
        saved.get("saveAnnotations.results").as_array().unwrap().iter().all(|result| result["outcome"] == "APPLIED")
    );
    (snapshot, before)
}

async fn a_slot_says_again_what_the_snapshot_shows(database: Database) {
    let app = TestApp::new(database).await;
    let shared = app.shared_box().await;
    let (snapshot, before) = changed_since(&app, &shared).await;
    assert_ne!(drawn(&shared).await, before);
    let cursor = shared.project.cursor().await;
    let restored = restore(&shared.ana, &snapshot).await;
    let results = restored.get("restoreSnapshot.results").as_array().unwrap();
    let outcomes: Vec<&str> = results.iter().map(|result| result["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["APPLIED"; 3], "one made since, one deleted since, one changed since");
    assert_eq!(drawn(&shared).await, before);
    let events = shared.project.all_events(Some(&cursor), 10).await;
    let mut types = event_types(&events);
    types.sort_unstable();
    assert_eq!(types, ["ANNOTATION_DELETED", "ANNOTATION_SAVED", "ANNOTATION_SAVED"]);
    // What it replaced is kept.
    let query = "query($id: ID!) { task(id: $id) { snapshots(last: 1) { nodes { reason by { name } payload } } } }";
    let kept = shared.project.manager.send(query, json!({ "id": shared.task })).await;
    let kept = kept.get("task.snapshots.nodes.0");
    assert_eq!((&kept["reason"], &kept["by"]), (&json!("RESTORE"), &json!({ "name": "ana" })));
    assert_eq!(kept["payload"].as_array().unwrap().len(), 2);
}

async fn a_restore_that_is_sent_again_finds_nothing_to_do(database: Database) {
    let app = TestApp::new(database).await;
    let shared = app.shared_box().await;
    let (snapshot, _) = changed_since(&app, &shared).await;
    restore(&shared.ana, &snapshot).await.get("restoreSnapshot");
    let (version, kept) = (shared.project.version(&shared.task).await, drawn(&shared).await);
    let again = restore(&shared.ana, &snapshot).await;
    assert_eq!(again.get("restoreSnapshot.results"), &json!([]));
    assert_eq!((shared.project.version(&shared.task).await, drawn(&shared).await), (version, kept));
}

async fn what_another_did_meanwhile_merges_with_a_restore(database: Database) {
    let app = TestApp::new(database).await;
    let shared = app.shared_box().await;
    let snapshot = app.snapshot(&shared.task, 1).await;
    shared.ana.edit(shared.renamed(&shared.seen, "dust")).await;
    let seen_by_ben = plus(&shared.seen, &[(&shared.ana, 2)]);
    restore(&shared.ana, &snapshot).await.get("restoreSnapshot");
    let moved = shared.ben.edit(shared.moved(&seen_by_ben, 7.0)).await;
    assert_eq!((&moved["outcome"], &moved["fields"]), (&json!("MERGED"), &json!(["label"])), "{moved:#}");
    let renamed = shared.ben.edit(shared.renamed(&plus(&seen_by_ben, &[(&shared.ben, 1)]), "fold")).await;
    assert_eq!(renamed["outcome"], "CONFLICT", "the restore was a rename, too: {renamed:#}");
    let (x, label, _) = shared.now().await;
    assert_eq!((x, label.as_str()), (7.0, "cell"));
}

/// The restore does not use up the numbers of the screen's own next edits.
async fn an_edit_that_waited_to_be_sent_meets_a_restore_as_anybodys(database: Database) {
    let app = TestApp::new(database).await;
    let shared = app.shared_box().await;
    let snapshot = app.snapshot(&shared.task, 1).await;
    shared.ana.edit(shared.renamed(&shared.seen, "dust")).await;
    let queued = shared.moved(&shared.ana.seen(2), 7.0);
    restore(&shared.ana, &snapshot).await.get("restoreSnapshot");
    let sent = shared.ana.edit(queued).await;
    assert_eq!((&sent["outcome"], &sent["fields"]), (&json!("MERGED"), &json!(["label"])), "{sent:#}");
    let (x, label, _) = shared.now().await;
    assert_eq!((x, label.as_str()), (7.0, "cell"));
}

async fn a_restore_can_be_taken_back(database: Database) {
    let app = TestApp::new(database).await;
    let shared = app.shared_box().await;
    let (snapshot, _) = changed_since(&app, &shared).await;
    let changed = drawn(&shared).await;
    restore(&shared.ana, &snapshot).await.get("restoreSnapshot");
    let query = "query($id: ID!) { task(id: $id) { snapshots(last: 1) { nodes { id } } } }";
    let kept = shared.project.manager.send(query, json!({ "id": shared.task })).await;
    restore(&shared.ben, &kept.text("task.snapshots.nodes.0.id")).await.get("restoreSnapshot");
    assert_eq!(drawn(&shared).await, changed);
}

async fn a_snapshot_of_another_slot_or_task_is_not_there(database: Database) {
    let app = TestApp::new(database).await;
    let shared = app.shared_box().await;
    let [picture] = app.ready_images(&shared.project, 1).await.try_into().unwrap();
    let other = shared.project.create_tasks(json!([{ "assetIds": [picture] }])).await.text("createTasks.tasks.0.id");
    let eva = shared.project.member(&app, "eva", "ANNOTATOR").await;
    app.at_work(&shared.project, &other, &eva).await;
    let snapshot = app.snapshot(&other, 1).await;
    restore(&shared.ana, &snapshot).await.assert_refused("of another task", "NOT_FOUND", "snapshotId");
}

async fn without_the_lease_nothing_is_restored(database: Database) {
    let app = TestApp::new(database).await;
    let shared = app.shared_box().await;
    let (snapshot, _) = changed_since(&app, &shared).await;
    let changed = drawn(&shared).await;
    shared.ana.person.submit(&shared.ana.screen).await.get("submitTask");
    restore(&shared.ana, &snapshot).await.assert_refused("it is handed in", "LEASE_LOST", "fence");
    assert_eq!(drawn(&shared).await, changed);
}

async fn a_reviewer_restores_what_is_under_review(database: Database) {
    let app = TestApp::new(database).await;
    let shared = app.shared_box().await;
    let rita = shared.project.member(&app, "rita", "REVIEWER").await;
    let (snapshot, before) = changed_since(&app, &shared).await;
    shared.ana.person.submit(&shared.ana.screen).await.get("submitTask");
    let review = Session::of(&rita, rita.claim_review(&shared.project).await);
    restore(&review, &snapshot).await.get("restoreSnapshot");
    assert_eq!(drawn(&shared).await, before);
}
