//! People decide conflicts: how, who may, what becomes of a decision that is sent twice or comes too late.

use serde_json::{Value, json};

use crate::harness::{
    Answer, Database, TestApp, assert_counters, box_at, event_types, new_annotation, on_both_databases,
};

on_both_databases![
    what_is_there_stays,
    what_came_is_put_over_what_is_there,
    a_person_gives_what_it_is_to_be,
    a_deletion_is_decided_either_way,
    the_same_decision_again_has_the_same_answer,
    another_decision_comes_too_late,
    who_has_not_seen_all_decides_anew_and_is_told_the_state,
    a_decision_that_breaks_the_template_is_refused,
    a_decision_that_makes_no_sense_is_refused,
    conflicts_of_one_box_are_decided_one_by_one,
    who_holds_the_slot_decides_and_later_the_reviewer,
    who_worked_on_it_does_not_decide_as_a_reviewer,
    nothing_is_accepted_while_a_conflict_is_open,
    work_is_sent_back_with_what_waits_in_it,
    in_an_archived_task_nothing_is_decided,
    what_waits_in_a_skipped_slot_is_for_reviewers,
    who_decided_beside_the_holder_does_not_review,
    conflicts_are_followed,
    many_who_decide_at_once_decide_once,
];

/// The x and the label that a decision led to, and its vector.
fn decided(answer: &Answer) -> (f64, &str, &Value) {
    let annotation = answer.get("resolveConflict.annotation");
    let x = annotation["geometry"]["x"].as_f64().unwrap();
    (x, annotation["label"].as_str().unwrap(), &annotation["versionVector"])
}

async fn what_is_there_stays(database: Database) {
    let app = TestApp::new(database).await;
    let shared = app.shared_box().await;
    let conflict = shared.disputed().await;
    let (_, _, now) = shared.now().await;
    let answer = shared.ana.person.resolve(&conflict, &now, "CURRENT", Value::Null).await;
    let mut with_server = now.clone();
    with_server["server"] = json!(1);
    assert_eq!(decided(&answer), (2.0, "cell", &with_server));
    let seen = answer.get("resolveConflict.conflict");
    assert_eq!((&seen["state"], &seen["choice"]), (&json!("RESOLVED"), &json!("CURRENT")));
    assert_eq!(seen["resolvedBy"], json!({ "name": "ana" }));
    assert!(seen["resolvedAt"].is_string());
    // What was decided about stays as it was then, whatever becomes of the box.
    shared.ana.edit(shared.moved(&with_server, 50.0)).await;
    let seen = shared.ben.person.conflict(&conflict).await;
    assert_eq!((&seen["current"]["geometry"]["x"], &seen["incoming"]["geometry"]["x"]), (&json!(2.0), &json!(3.0)));
    assert_counters(&app, &shared.project).await;
}

async fn what_came_is_put_over_what_is_there(database: Database) {
    let app = TestApp::new(database).await;
    let shared = app.shared_box().await;
    let conflict = shared.disputed().await;
    let (_, _, seen) = shared.now().await;
    // A name given meanwhile is not part of it.
    shared.ana.edit(shared.renamed(&seen, "dust")).await;
    let (_, _, now) = shared.now().await;
    let answer = shared.ana.person.resolve(&conflict, &now, "INCOMING", Value::Null).await;
    let (x, label, vector) = decided(&answer);
    assert_eq!((x, label), (3.0, "dust"));
    assert_eq!(answer.get("resolveConflict.annotation.lastEditedBy"), &json!({ "name": "ana" }));
    let query = "query($id: ID!) { node(id: $id) { ... on Annotation { revisions(last: 1) { nodes { outcome fields by { name } content { label } } } } } }";
    let history = shared.ana.person.send(query, json!({ "id": shared.id })).await;
    let want = json!({ "outcome": "APPLIED", "fields": ["geometry"], "by": { "name": "ana" }, "content": { "label": "dust" } });
    assert_eq!(history.get("node.revisions.nodes.0"), &want);
    // Others go on from it.
    assert_eq!(shared.ben.edit(shared.moved(vector, 4.0)).await["outcome"], "APPLIED");
}

async fn a_person_gives_what_it_is_to_be(database: Database) {
    let app = TestApp::new(database).await;
    let shared = app.shared_box().await;
    shared.ana.edit(shared.said(&shared.seen, &json!({ "size": 3, "note": "round" }))).await;
    let conflict = shared.ben.edit(shared.said(&shared.seen, &json!({ "size": 4 }))).await["conflict"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let (_, _, now) = shared.now().await;
    let geometry = json!({ "boundingBox": { "x": 7.0, "y": 1.0, "width": 5.0, "height": 4.0 } });
    let merged = json!({ "label": "dust", "geometry": geometry, "attributes": { "size": 3.5, "note": null } });
    let answer = shared.ben.person.resolve(&conflict, &now, "MERGED", merged).await;
    assert_eq!((decided(&answer).0, decided(&answer).1), (7.0, "dust"));
    assert_eq!(
        answer.get("resolveConflict.annotation.attributes"),
        &json!({ "size": 3.5 }),
        "null removes, as in an update"
    );
}

async fn a_deletion_is_decided_either_way(database: Database) {
    let app = TestApp::new(database).await;
    let mut shared = app.shared_box().await;
    let mut live = 1;
    for (choice, merged, is_deleted) in [
        ("INCOMING", Value::Null, true),
        ("CURRENT", Value::Null, false),
        ("MERGED", json!({ "deleted": true }), true),
        ("MERGED", json!({ "label": "dust" }), false),
    ] {
        shared.ana.edit(shared.moved(&shared.seen, 2.0)).await;
        let conflict =
            shared.ben.edit(shared.deleted(&shared.seen)).await["conflict"]["id"].as_str().unwrap().to_owned();
        let (_, _, now) = shared.now().await;
        let before = shared.project.cursor().await;
        let answer = shared.ana.person.resolve(&conflict, &now, choice, merged.clone()).await;
        assert_eq!(answer.get("resolveConflict.annotation.deleted"), &json!(is_deleted), "{choice} {merged}");
        let events = shared.project.all_events(Some(&before), 10).await;
        let types = event_types(&events);
        assert_eq!(types, [if is_deleted { "ANNOTATION_DELETED" } else { "ANNOTATION_SAVED" }, "CONFLICT_RESOLVED"]);
        live -= i64::from(is_deleted);
        let counted: Vec<(i64,)> = app.rows("SELECT CAST(sum(annotations) AS bigint) FROM task_label").await;
        assert_eq!(counted, [(live,)], "{choice} {merged}");
        shared = shared.another_box().await;
        live += 1;
    }
}

async fn the_same_decision_again_has_the_same_answer(database: Database) {
    let app = TestApp::new(database).await;
    let shared = app.shared_box().await;
    let conflict = shared.disputed().await;
    let (_, _, now) = shared.now().await;
    let merged = json!({ "label": "dust" });
    let first = shared.ana.person.resolve(&conflict, &now, "MERGED", merged.clone()).await;
    let version = shared.project.version(&shared.task).await;
    let again = shared.ana.person.resolve(&conflict, &now, "MERGED", merged).await;
    assert_eq!(first.get("resolveConflict"), again.get("resolveConflict"));
    assert_eq!(shared.project.version(&shared.task).await, version, "nothing was written");
}

async fn another_decision_comes_too_late(database: Database) {
    let app = TestApp::new(database).await;
    let shared = app.shared_box().await;
    let conflict = shared.disputed().await;
    let (_, _, before) = shared.now().await;
    shared.ana.person.resolve(&conflict, &before, "CURRENT", Value::Null).await.get("resolveConflict");
    let (_, _, after) = shared.now().await;
    for (choice, merged) in [("INCOMING", Value::Null), ("MERGED", json!({ "label": "dust" }))] {
        let stale = shared.ben.person.resolve(&conflict, &before, choice, merged.clone()).await;
        stale.assert_refused("who did not see the decision", "STALE", "base");
        let late = shared.ben.person.resolve(&conflict, &after, choice, merged).await;
        late.assert_refused("who did", "INVALID_TRANSITION", "conflictId");
    }
    assert_eq!(shared.now().await, (2.0, "cell".to_owned(), after));
}

async fn who_has_not_seen_all_decides_anew_and_is_told_the_state(database: Database) {
    let app = TestApp::new(database).await;
    let shared = app.shared_box().await;
    let conflict = shared.disputed().await;
    let (_, _, old) = shared.now().await;
    shared.ana.edit(shared.renamed(&old, "dust")).await;
    let (_, _, now) = shared.now().await;
    let refused = shared.ben.person.resolve(&conflict, &old, "INCOMING", Value::Null).await;
    refused.assert_refused("ana renamed it", "STALE", "base");
    let told = &refused.body["errors"][0]["extensions"]["annotation"];
    let geometry = json!({ "boundingBox": { "x": 2.0, "y": 1.0, "width": 5.0, "height": 4.0, "rotation": 0.0 } });
    let want = json!({ "id": shared.id, "versionVector": now, "revision": 4, "label": "dust", "geometry": geometry,
        "attributes": {}, "deleted": false });
    assert_eq!(told, &want);
    let mut ahead = now.clone();
    ahead["zoe"] = json!(1);
    let refused = shared.ben.person.resolve(&conflict, &ahead, "INCOMING", Value::Null).await;
    refused.assert_refused("a base that nobody saw", "FUTURE_VERSION", "base");
    shared.ben.person.resolve(&conflict, &now, "INCOMING", Value::Null).await.get("resolveConflict");
}

async fn a_decision_that_breaks_the_template_is_refused(database: Database) {
    let app = TestApp::new(database).await;
    let shared = app.shared_box().await;
    let conflict = shared.disputed().await;
    let (_, _, now) = shared.now().await;
    let narrow = json!({ "boundingBox": { "x": 7.0, "y": 1.0, "width": 0.0, "height": 4.0 } });
    for (merged, field) in [
        (json!({ "label": "moon" }), "merged.label"),
        (json!({ "geometry": narrow }), "merged.geometry.boundingBox.width"),
        (json!({ "attributes": { "colour": 1 } }), "merged.attributes.colour"),
        (json!({ "label": "dust", "attributes": { "stain": "red" } }), "merged.attributes.stain"),
    ] {
        let refused = shared.ana.person.resolve(&conflict, &now, "MERGED", merged.clone()).await;
        refused.assert_refused(&merged.to_string(), "BAD_USER_INPUT", field);
    }
    assert_eq!(shared.now().await.2, now);
    assert_eq!(shared.ana.person.conflict(&conflict).await["state"], "OPEN");
}

async fn a_decision_that_makes_no_sense_is_refused(database: Database) {
    let app = TestApp::new(database).await;
    let shared = app.shared_box().await;
    let conflict = shared.disputed().await;
    let (_, _, now) = shared.now().await;
    for (choice, merged) in [
        ("MERGED", Value::Null),
        ("MERGED", json!({})),
        ("MERGED", json!({ "attributes": {} })),
        ("CURRENT", json!({ "label": "dust" })),
        ("INCOMING", json!({ "label": "dust" })),
    ] {
        let refused = shared.ana.person.resolve(&conflict, &now, choice, merged.clone()).await;
        refused.assert_refused(&format!("{choice} {merged}"), "BAD_USER_INPUT", "merged");
    }
    let refused = shared.ana.person.resolve(&conflict, &now, "MERGED", json!({ "attributes": [1] })).await;
    refused.assert_refused("a list of attributes", "BAD_USER_INPUT", "merged.attributes");
}

async fn conflicts_of_one_box_are_decided_one_by_one(database: Database) {
    let app = TestApp::new(database).await;
    let shared = app.shared_box().await;
    let eva = shared.joined_by(&app, "eva").await;
    let bens = shared.disputed().await;
    let evas = eva.edit(shared.moved(&shared.seen, 4.0)).await["conflict"]["id"].as_str().unwrap().to_owned();
    assert_ne!(bens, evas);
    let (_, _, now) = shared.now().await;
    let first = shared.ana.person.resolve(&evas, &now, "INCOMING", Value::Null).await;
    let (x, _, after) = decided(&first);
    assert_eq!(x, 4.0);
    let seen = shared.ana.person.conflict(&bens).await;
    assert_eq!((&seen["state"], &seen["current"]["geometry"]["x"]), (&json!("OPEN"), &json!(4.0)));
    let second = shared.ana.person.resolve(&bens, after, "INCOMING", Value::Null).await;
    assert_eq!(decided(&second).0, 3.0);
    assert_eq!(seen["task"]["openConflictCount"], 1);
}

/// Whoever works in the slot decides while it is LEASED; who reviews, once it is handed in.
async fn who_holds_the_slot_decides_and_later_the_reviewer(database: Database) {
    let app = TestApp::new(database).await;
    let shared = app.shared_box().await;
    let rita = shared.project.member(&app, "rita", "REVIEWER").await;
    let eva = shared.project.member(&app, "eva", "ANNOTATOR").await;
    let vera = shared.project.member(&app, "vera", "VIEWER").await;
    let conflict = shared.disputed().await;
    let (_, _, now) = shared.now().await;
    for person in [&rita, &eva, &vera, &shared.project.manager] {
        let refused = person.resolve(&conflict, &now, "CURRENT", Value::Null).await;
        assert_eq!(refused.code(), "FORBIDDEN", "{}", person.name());
    }
    let stranger = app.person("stranger").await;
    stranger.resolve(&conflict, &now, "CURRENT", Value::Null).await.assert_refused("unseen", "NOT_FOUND", "conflictId");
    shared.ben.person.resolve(&conflict, &now, "CURRENT", Value::Null).await.get("resolveConflict");

    // An edit that comes after the task was handed in waits for the reviewer.
    shared.ana.person.submit(&shared.ana.screen).await.get("submitTask");
    let (_, _, now) = shared.now().await;
    let late = shared.ben.edit(shared.moved(&now, 9.0)).await;
    let conflict = late["conflict"]["id"].as_str().unwrap().to_owned();
    let (_, _, now) = shared.now().await;
    for person in [&shared.ana.person, &shared.ben.person, &eva] {
        let refused = person.resolve(&conflict, &now, "CURRENT", Value::Null).await;
        assert_eq!(refused.code(), "FORBIDDEN", "{}", person.name());
    }
    let answer = rita.resolve(&conflict, &now, "INCOMING", Value::Null).await;
    assert_eq!(decided(&answer).0, 9.0, "before anybody claimed the review");
}

async fn who_worked_on_it_does_not_decide_as_a_reviewer(database: Database) {
    let app = TestApp::new(database).await;
    let shared = app.shared_box().await;
    let rita = shared.project.member(&app, "rita", "REVIEWER").await;
    let joined = app.joined(&shared.task, &rita).await;
    assert_eq!(joined.edit(box_at(&new_annotation(), 5.0)).await["outcome"], "APPLIED");
    shared.ana.person.submit(&shared.ana.screen).await.get("submitTask");
    let conflict =
        shared.ben.edit(shared.moved(&shared.seen, 9.0)).await["conflict"]["id"].as_str().unwrap().to_owned();
    let (_, _, now) = shared.now().await;
    assert_eq!(rita.resolve(&conflict, &now, "CURRENT", Value::Null).await.code(), "FORBIDDEN");
    shared.project.manager.resolve(&conflict, &now, "CURRENT", Value::Null).await.get("resolveConflict");
}

async fn nothing_is_accepted_while_a_conflict_is_open(database: Database) {
    let app = TestApp::new(database).await;
    let shared = app.shared_box().await;
    let rita = shared.project.member(&app, "rita", "REVIEWER").await;
    shared.ana.person.submit(&shared.ana.screen).await.get("submitTask");
    let conflict =
        shared.ben.edit(shared.moved(&shared.seen, 9.0)).await["conflict"]["id"].as_str().unwrap().to_owned();
    let review = rita.claim_review(&shared.project).await;
    rita.judge(&review, "ACCEPT", json!({})).await.assert_refused("a late edit waits", "CONFLICT_OPEN", "sessionId");
    let (_, _, now) = shared.now().await;
    rita.resolve(&conflict, &now, "INCOMING", Value::Null).await.get("resolveConflict");
    rita.judge(&review, "ACCEPT", json!({})).await.get("reviewTask");
    assert_eq!(shared.project.stands(&shared.task).await, "ACCEPTED [ACCEPTED]");
    // Now it is final.
    let late = shared.ben.edit(shared.renamed(&shared.now().await.2, "dust")).await;
    assert_eq!((&late["outcome"], &late["code"]), (&json!("REJECTED"), &json!("LEASE_LOST")), "{late:#}");
}

/// With a review to come, what came late does not hold the work up.
async fn work_is_sent_back_with_what_waits_in_it(database: Database) {
    let app = TestApp::new(database).await;
    let shared = app.shared_box().await;
    let rita = shared.project.member(&app, "rita", "REVIEWER").await;
    shared.ana.person.submit(&shared.ana.screen).await.get("submitTask");
    shared.ben.edit(shared.moved(&shared.seen, 9.0)).await;
    let review = rita.claim_review(&shared.project).await;
    rita.judge(&review, "REJECT", json!({ "comment": "look again" })).await.get("reviewTask");
    let again = app.at_work(&shared.project, &shared.task, &shared.ana.person).await;
    shared.ana.person.submit(&again.screen).await.get("submitTask");
}

async fn in_an_archived_task_nothing_is_decided(database: Database) {
    let app = TestApp::new(database).await;
    let shared = app.shared_box().await;
    shared.ana.person.submit(&shared.ana.screen).await.get("submitTask");
    let conflict =
        shared.ben.edit(shared.moved(&shared.seen, 9.0)).await["conflict"]["id"].as_str().unwrap().to_owned();
    shared.project.archive(vec![shared.task.clone()], true).await.get("archiveTasks");
    let (_, _, now) = shared.now().await;
    let refused = shared.project.manager.resolve(&conflict, &now, "INCOMING", Value::Null).await;
    refused.assert_refused("the task is put away", "INVALID_TRANSITION", "conflictId");
    shared.project.archive(vec![shared.task.clone()], false).await.get("archiveTasks");
    shared.project.manager.resolve(&conflict, &now, "INCOMING", Value::Null).await.get("resolveConflict");
}

async fn what_waits_in_a_skipped_slot_is_for_reviewers(database: Database) {
    let app = TestApp::new(database).await;
    let shared = app.shared_box().await;
    let conflict = shared.disputed().await;
    shared.ana.person.skip(&shared.ana.screen, "out of focus").await.get("skipTask");
    let (_, _, now) = shared.now().await;
    assert_eq!(shared.ben.person.resolve(&conflict, &now, "CURRENT", Value::Null).await.code(), "FORBIDDEN");
    shared.project.manager.resolve(&conflict, &now, "CURRENT", Value::Null).await.get("resolveConflict");
    assert_counters(&app, &shared.project).await;
}

async fn who_decided_beside_the_holder_does_not_review(database: Database) {
    let app = TestApp::new(database).await;
    let shared = app.shared_box().await;
    let rita = shared.project.member(&app, "rita", "REVIEWER").await;
    app.joined(&shared.task, &rita).await;
    let conflict = shared.disputed().await;
    let (_, _, now) = shared.now().await;
    rita.resolve(&conflict, &now, "MERGED", json!({ "label": "dust" })).await.get("resolveConflict");
    shared.ana.person.submit(&shared.ana.screen).await.get("submitTask");
    let by_name = json!({ "projectId": shared.project.id, "taskId": shared.task });
    let refused = rita.mutate("claimReview", by_name, "session { id }").await;
    refused.assert_refused("her own work is in it", "FORBIDDEN", "taskId");
}

async fn conflicts_are_followed(database: Database) {
    let app = TestApp::new(database).await;
    let shared = app.shared_box().await;
    let query = "subscription($id: ID!, $after: EventCursor) { conflictEvents(projectId: $id, after: $after) {
        ... on ConflictEvent { id type cursor at projectId taskId by { name } conflict { id state choice } } } }";
    let follow = async |after: &str| {
        shared.project.manager.subscribe(query, json!({ "id": shared.project.id, "after": after })).await
    };
    let before = shared.project.cursor().await;
    let mut socket = follow(&before).await;
    let conflict = shared.disputed().await;
    let (_, _, now) = shared.now().await;
    shared.ben.person.resolve(&conflict, &now, "INCOMING", Value::Null).await.get("resolveConflict");
    let raised = socket.event().await;
    assert_eq!((&raised["type"], &raised["by"]), (&json!("CONFLICT_RAISED"), &json!({ "name": "ben" })));
    let resolved = socket.event().await;
    let seen = json!({ "id": conflict, "state": "RESOLVED", "choice": "INCOMING" });
    assert_eq!((&resolved["type"], &resolved["conflict"]), (&json!("CONFLICT_RESOLVED"), &seen));
    assert_eq!(resolved["taskId"], json!(shared.task));
    let mut replayed = follow(&before).await;
    let again = [replayed.event().await["id"].clone(), replayed.event().await["id"].clone()];
    assert_eq!(again, [raised["id"].clone(), resolved["id"].clone()]);
}

async fn many_who_decide_at_once_decide_once(database: Database) {
    let app = TestApp::new(database).await;
    let shared = app.shared_box().await;
    let conflict = shared.disputed().await;
    let (_, _, now) = shared.now().await;
    let people = [&shared.ana.person, &shared.ben.person];
    let all = (0..8).map(|n| people[n % 2].resolve(&conflict, &now, ["CURRENT", "INCOMING"][n % 2], Value::Null));
    let answers = futures::future::join_all(all).await;
    let taken: Vec<_> = answers.iter().filter(|answer| answer.body["errors"].is_null()).collect();
    let choices: std::collections::BTreeSet<String> =
        taken.iter().map(|answer| answer.text("resolveConflict.conflict.choice")).collect();
    assert_eq!((taken.len(), choices.len()), (4, 1), "one decision, repeated by whoever made it");
    let mut after = now.clone();
    after["server"] = json!(1);
    assert_eq!(shared.now().await.2, after);
    assert_counters(&app, &shared.project).await;
}
