//! Two people who edit the same box at once: what is merged, what waits for a person, what is refused.

use serde_json::{Value, json};

use crate::harness::{
    Database, Media, Session, TestApp, assert_counters, assert_positions_are_gap_free, box_at, event_types,
    labeling::Screen, new_annotation, on_both_databases, shared::plus,
};

on_both_databases![
    moving_a_box_while_another_renames_it_merges,
    the_same_value_by_two_is_no_conflict,
    two_moves_of_one_box_are_a_conflict_that_shows_both,
    a_conflict_is_counted_listed_and_told,
    who_deletes_what_another_changes_meets_a_conflict_whoever_comes_first,
    two_deletions_are_one,
    drags_that_were_queued_are_one_conflict,
    a_value_that_would_break_the_template_with_anothers_waits,
    what_is_wrong_by_itself_is_refused_whoever_came_first,
    an_edit_is_known_for_ever_whatever_became_of_it,
    eight_conflicts_of_one_annotation_may_wait,
    so_many_conflicts_of_one_task_may_wait,
    whose_work_an_edit_met_is_told,
    an_event_says_of_a_box_what_the_box_says_of_itself,
    a_save_sent_again_is_known_when_its_slot_is_judged,
    where_nobody_reviews_what_was_handed_in_is_final,
    a_batch_goes_on_after_a_conflict,
    nothing_is_handed_in_while_a_conflict_is_open,
];

async fn moving_a_box_while_another_renames_it_merges(database: Database) {
    let app = TestApp::new(database).await;
    let shared = app.shared_box().await;
    let moved = shared.ana.edit(shared.moved(&shared.seen, 11.0)).await;
    assert_eq!(moved["outcome"], "APPLIED", "{moved:#}");
    let renamed = shared.ben.edit(shared.renamed(&shared.seen, "dust")).await;
    assert_eq!((&renamed["outcome"], &renamed["fields"]), (&json!("MERGED"), &json!(["geometry"])), "{renamed:#}");
    // The answer has what ben did not know.
    assert_eq!(
        (&renamed["annotation"]["geometry"]["x"], &renamed["annotation"]["label"]),
        (&json!(11.0), &json!("dust"))
    );
    let both = plus(&shared.seen, &[(&shared.ana, 2), (&shared.ben, 1)]);
    assert_eq!(shared.now().await, (11.0, "dust".to_owned(), both));
    let labels: Vec<(String, i32)> = app.rows("SELECT label, annotations FROM task_label WHERE annotations > 0").await;
    assert_eq!(labels, [("dust".to_owned(), 1)], "the count moved with the name");
}

async fn the_same_value_by_two_is_no_conflict(database: Database) {
    let app = TestApp::new(database).await;
    let shared = app.shared_box().await;
    shared.ana.edit(shared.renamed(&shared.seen, "dust")).await;
    let too = shared.ben.edit(shared.renamed(&shared.seen, "dust")).await;
    assert_eq!((&too["outcome"], &too["fields"]), (&json!("MERGED"), &json!(["label"])), "{too:#}");
    // Both wrote it, and ben goes on from what he wrote.
    let base = plus(&shared.seen, &[(&shared.ben, 1)]);
    assert_eq!(shared.ben.edit(shared.renamed(&base, "fold")).await["outcome"], "MERGED");
}

async fn two_moves_of_one_box_are_a_conflict_that_shows_both(database: Database) {
    let app = TestApp::new(database).await;
    let shared = app.shared_box().await;
    let conflict = shared.disputed().await;
    // What was there stays, and ben's edit is in the vector.
    let vector = plus(&shared.seen, &[(&shared.ana, 2), (&shared.ben, 1)]);
    assert_eq!(shared.now().await, (2.0, "cell".to_owned(), vector.clone()));
    let seen = shared.ben.person.conflict(&conflict).await;
    let content = |x: f64| json!({ "label": "cell", "deleted": false, "attributes": {}, "geometry": { "x": x } });
    for (field, want) in [
        ("state", json!("OPEN")),
        ("cause", json!("CONCURRENT")),
        ("fields", json!(["geometry"])),
        ("base", content(1.0)),
        ("current", content(2.0)),
        ("incoming", content(3.0)),
        ("incomingBy", json!({ "name": "ben" })),
        ("currentBy", json!({ "name": "ana" })),
        ("baseVector", shared.seen.clone()),
        ("choice", Value::Null),
        ("resolvedBy", Value::Null),
        ("annotation", json!({ "id": shared.id, "versionVector": vector })),
    ] {
        assert_eq!(seen[field], want, "{field}: {seen:#}");
    }
    // The current side is what is there now, the incoming side what a decision for it would make of that.
    shared.ana.edit(shared.renamed(&seen["annotation"]["versionVector"], "dust")).await;
    let seen = shared.ana.person.conflict(&conflict).await;
    assert_eq!((&seen["current"]["label"], &seen["current"]["geometry"]["x"]), (&json!("dust"), &json!(2.0)));
    assert_eq!((&seen["incoming"]["label"], &seen["incoming"]["geometry"]["x"]), (&json!("dust"), &json!(3.0)));
}

async fn a_conflict_is_counted_listed_and_told(database: Database) {
    let app = TestApp::new(database).await;
    let shared = app.shared_box().await;
    let boss = &shared.project.manager;
    let before = shared.project.cursor().await;
    let conflict = shared.disputed().await;
    let events = shared.project.all_events(Some(&before), 100).await;
    assert_eq!(event_types(&events), ["ANNOTATION_SAVED", "ANNOTATION_SAVED", "CONFLICT_RAISED"]);
    let query = "query($id: ID!, $after: EventCursor) { events(projectId: $id, after: $after, first: 10) { nodes { type
        ... on AnnotationEvent { outcome by { name } annotation { id revision geometry { ... on BoundingBox { x } } } }
        ... on ConflictEvent { taskId by { name } conflict { id state } } } } }";
    let told = boss.send(query, json!({ "id": shared.project.id, "after": before })).await;
    let saved = |outcome: &str, by: &str, revision: i64| {
        json!({ "type": "ANNOTATION_SAVED", "outcome": outcome,
        "by": { "name": by }, "annotation": { "id": shared.id, "revision": revision, "geometry": { "x": 2.0 } } })
    };
    let raised = json!({ "type": "CONFLICT_RAISED", "taskId": shared.task, "by": { "name": "ben" },
        "conflict": { "id": conflict, "state": "OPEN" } });
    let want = json!([saved("APPLIED", "ana", 2), saved("CONFLICT", "ben", 3), raised]);
    assert_eq!(told.get("events.nodes"), &want);

    let query = "query($p: ID!, $t: ID!) { project(id: $p) { stats { openConflicts } }
        task(id: $t) { openConflictCount openConflicts(first: 10) { totalCount nodes { id } }
          annotations(first: 1) { nodes { openConflicts { id } revisions(last: 1) { nodes { outcome fields by { name } } } } } }
        all: conflicts(projectId: $p, first: 10) { nodes { id } totalCount }
        open: conflicts(projectId: $p, state: OPEN, first: 10) { nodes { id } totalCount }
        resolved: conflicts(projectId: $p, state: RESOLVED, first: 10) { nodes { id } totalCount }
        with: tasks(projectId: $p, filter: { hasOpenConflict: true }, first: 1) { nodes { id } }
        without: tasks(projectId: $p, filter: { hasOpenConflict: false }, first: 1) { nodes { id } } }";
    let look = async || boss.send(query, json!({ "p": shared.project.id, "t": shared.task })).await;
    let seen = look().await;
    let one = json!([{ "id": conflict }]);
    let revision = json!({ "outcome": "CONFLICT", "fields": [], "by": { "name": "ben" } });
    for (path, want) in [
        ("project.stats.openConflicts", json!(1)),
        ("task.openConflictCount", json!(1)),
        ("task.openConflicts", json!({ "totalCount": 1, "nodes": one })),
        ("task.annotations.nodes.0", json!({ "openConflicts": one, "revisions": { "nodes": [revision] } })),
        ("all", json!({ "nodes": one, "totalCount": 1 })),
        ("open", json!({ "nodes": one, "totalCount": 1 })),
        ("resolved", json!({ "nodes": [], "totalCount": 0 })),
        ("with.nodes", json!([{ "id": shared.task }])),
        ("without.nodes", json!([])),
    ] {
        assert_eq!(seen.get(path), &want, "{path}");
    }
    let (_, _, now) = shared.now().await;
    shared.ana.person.resolve(&conflict, &now, "CURRENT", Value::Null).await.get("resolveConflict");
    let seen = look().await;
    for (path, want) in [
        ("project.stats.openConflicts", json!(0)),
        ("task.openConflictCount", json!(0)),
        ("task.openConflicts.nodes", json!([])),
        ("open.nodes", json!([])),
        ("resolved.nodes", one),
        ("with.nodes", json!([])),
        ("without.nodes", json!([{ "id": shared.task }])),
    ] {
        assert_eq!(seen.get(path), &want, "{path}");
    }
    assert_counters(&app, &shared.project).await;
    assert_positions_are_gap_free(&app).await;
}

async fn who_deletes_what_another_changes_meets_a_conflict_whoever_comes_first(database: Database) {
    let app = TestApp::new(database).await;
    let shared = app.shared_box().await;
    shared.ana.edit(shared.moved(&shared.seen, 2.0)).await;
    let deletion = shared.ben.edit(shared.deleted(&shared.seen)).await;
    assert_eq!((&deletion["outcome"], &deletion["fields"]), (&json!("CONFLICT"), &json!(["alive"])), "{deletion:#}");
    assert_eq!(deletion["annotation"]["deleted"], false);
    let seen = shared.ana.person.conflict(deletion["conflict"]["id"].as_str().unwrap()).await;
    assert_eq!((&seen["cause"], &seen["incoming"]["deleted"]), (&json!("DELETED"), &json!(true)));

    let shared = shared.another_box().await;
    assert_eq!(shared.ben.edit(shared.deleted(&shared.seen)).await["outcome"], "APPLIED");
    let change = shared.ana.edit(shared.moved(&shared.seen, 2.0)).await;
    assert_eq!((&change["outcome"], &change["fields"]), (&json!("CONFLICT"), &json!(["alive"])), "{change:#}");
    assert_eq!(change["annotation"]["deleted"], true);
    // Deciding for the change brings the box back: its author saw it.
    let seen = shared.ana.person.conflict(change["conflict"]["id"].as_str().unwrap()).await;
    let incoming = json!({ "label": "cell", "deleted": false, "attributes": {}, "geometry": { "x": 2.0 } });
    assert_eq!((&seen["cause"], &seen["incoming"]), (&json!("DELETED"), &incoming));
}

async fn two_deletions_are_one(database: Database) {
    let app = TestApp::new(database).await;
    let shared = app.shared_box().await;
    assert_eq!(shared.ana.edit(shared.deleted(&shared.seen)).await["outcome"], "APPLIED");
    let too = shared.ben.edit(shared.deleted(&shared.seen)).await;
    assert_eq!((&too["outcome"], &too["conflict"]), (&json!("MERGED"), &Value::Null), "{too:#}");
    let late = shared.ben.edit(shared.deleted(&plus(&shared.seen, &[(&shared.ana, 2), (&shared.ben, 1)]))).await;
    assert_eq!(late["code"], "GONE", "who has seen it is told: {late:#}");
}

async fn drags_that_were_queued_are_one_conflict(database: Database) {
    let app = TestApp::new(database).await;
    let shared = app.shared_box().await;
    shared.ana.edit(shared.moved(&shared.seen, 2.0)).await;
    let base = |own: i64| if own == 0 { shared.seen.clone() } else { plus(&shared.seen, &[(&shared.ben, own)]) };
    let edits: Vec<Value> = (0..9_i32).map(|n| shared.moved(&base(n.into()), f64::from(n) + 10.0)).collect();
    // Some at once, the rest later.
    let before = shared.project.cursor().await;
    let first = shared.ben.save(json!(edits[..6])).await;
    let rest = shared.ben.save(json!(edits[6..])).await;
    let of = |answer: &crate::harness::Answer, key: &str| -> Vec<Value> {
        answer.get("saveAnnotations.results").as_array().unwrap().iter().map(|result| result[key].clone()).collect()
    };
    assert_eq!([of(&first, "outcome"), of(&rest, "outcome")].concat(), vec![json!("CONFLICT"); 9]);
    let ids: std::collections::BTreeSet<String> =
        [of(&first, "conflict"), of(&rest, "conflict")].concat().iter().map(ToString::to_string).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    let seen = shared.seen_by(&shared.ana.person).await;
    let [open] = &seen["openConflicts"].as_array().unwrap()[..] else { panic!("{seen:#}") };
    let conflict = shared.ana.person.conflict(open["id"].as_str().unwrap()).await;
    assert_eq!(
        (&conflict["base"]["geometry"]["x"], &conflict["incoming"]["geometry"]["x"]),
        (&json!(1.0), &json!(18.0))
    );
    let types = shared.project.all_events(Some(&before), 100).await;
    let told = event_types(&types).iter().filter(|kind| **kind == "CONFLICT_RAISED").count();
    assert_eq!(told, 2, "once for each save");
}

async fn a_value_that_would_break_the_template_with_anothers_waits(database: Database) {
    let app = TestApp::new(database).await;
    let shared = app.shared_box().await;
    // Only a cell has a stain.
    shared.ana.edit(shared.renamed(&shared.seen, "dust")).await;
    let stained = shared.ben.edit(shared.said(&shared.seen, &json!({ "stain": "red" }))).await;
    assert_eq!(
        (&stained["outcome"], &stained["fields"]),
        (&json!("CONFLICT"), &json!(["attributes.stain"])),
        "{stained:#}"
    );
    let id = stained["conflict"]["id"].as_str().unwrap();
    assert_eq!(shared.ben.person.conflict(id).await["cause"], "INVALID_MERGE");
    let (_, _, now) = shared.now().await;
    let refused = shared.ben.person.resolve(id, &now, "INCOMING", Value::Null).await;
    refused.assert_refused("the two do not go together", "BAD_USER_INPUT", "choice");
    let merged = json!({ "label": "cell", "attributes": { "stain": "red" } });
    let decided = shared.ben.person.resolve(id, &now, "MERGED", merged).await;
    assert_eq!(decided.get("resolveConflict.annotation.attributes"), &json!({ "stain": "red" }));
}

async fn what_is_wrong_by_itself_is_refused_whoever_came_first(database: Database) {
    let app = TestApp::new(database).await;
    let shared = app.shared_box().await;
    shared.ana.edit(shared.moved(&shared.seen, 2.0)).await;
    for (what, edit, field) in [
        ("a name that is none", shared.renamed(&shared.seen, "moon"), "edits[0].update.label"),
        (
            "a stain that is none",
            shared.said(&shared.seen, &json!({ "stain": "green" })),
            "edits[0].update.attributes.stain",
        ),
        (
            "no width",
            json!({ "update": { "id": shared.id, "base": shared.seen,
            "geometry": { "boundingBox": { "x": 1.0, "y": 1.0, "width": 0.0, "height": 1.0 } } } }),
            "edits[0].update.geometry.boundingBox.width",
        ),
    ] {
        let result = shared.ben.edit(edit).await;
        assert_eq!(
            (&result["code"], &result["field"]),
            (&json!("BAD_USER_INPUT"), &json!(field)),
            "{what}: {result:#}"
        );
    }
    let (_, _, vector) = shared.now().await;
    assert_eq!(vector, plus(&shared.seen, &[(&shared.ana, 2)]), "none of them left a trace");
}

async fn an_edit_is_known_for_ever_whatever_became_of_it(database: Database) {
    let app = TestApp::new(database).await;
    let shared = app.shared_box().await;
    shared.ana.edit(shared.moved(&shared.seen, 2.0)).await;
    let merged = shared.renamed(&shared.seen, "dust");
    let first = shared.ben.edit(merged.clone()).await;
    let after = plus(&shared.seen, &[(&shared.ben, 1)]);
    let disputed = shared.moved(&after, 3.0);
    let waits = shared.ben.edit(disputed.clone()).await;
    let replacing = shared.moved(&plus(&shared.seen, &[(&shared.ben, 2)]), 4.0);
    shared.ben.edit(replacing.clone()).await;
    let again = async |stage: &str| {
        let (_, _, before) = shared.now().await;
        let results = shared.ben.save(json!([merged, disputed, replacing])).await;
        let results = results.get("saveAnnotations.results").as_array().unwrap().clone();
        let told: Vec<_> =
            results.iter().map(|result| (&result["outcome"], &result["repeated"], &result["conflict"])).collect();
        let (yes, conflict) = (json!(true), &waits["conflict"]);
        let (merged, kept) = (json!("MERGED"), json!("CONFLICT"));
        assert_eq!(told, [(&merged, &yes, &Value::Null), (&kept, &yes, conflict), (&kept, &yes, conflict)], "{stage}");
        assert_eq!(shared.now().await.2, before, "{stage}: nothing was written");
    };
    assert_eq!(first["repeated"], false);
    again("while it waits").await;
    let (_, _, now) = shared.now().await;
    let conflict = waits["conflict"]["id"].as_str().unwrap();
    shared.ana.person.resolve(conflict, &now, "INCOMING", Value::Null).await.get("resolveConflict");
    again("when it is decided").await;
    let other = shared.ben.edit(shared.moved(&after, 5.0)).await;
    assert_eq!(other["code"], "ACTOR_REUSED", "{other:#}");
}

async fn eight_conflicts_of_one_annotation_may_wait(database: Database) {
    let app = TestApp::new(database).await;
    let shared = app.shared_box().await;
    shared.ana.edit(shared.moved(&shared.seen, 2.0)).await;
    for n in 0..8 {
        let another = app.joined(&shared.task, &shared.ben.person).await;
        assert_eq!(another.edit(shared.moved(&shared.seen, 10.0 + f64::from(n))).await["outcome"], "CONFLICT", "{n}");
    }
    let (_, _, before) = shared.now().await;
    let refused = shared.ben.edit(shared.moved(&shared.seen, 3.0)).await;
    assert_eq!(
        (&refused["outcome"], &refused["code"]),
        (&json!("REJECTED"), &json!("TOO_MANY_SIBLINGS")),
        "{refused:#}"
    );
    assert_eq!(shared.now().await.2, before);
    let open = shared.seen_by(&shared.ana.person).await["openConflicts"].as_array().unwrap().clone();
    assert_eq!(open.len(), 8);
    shared
        .ana
        .person
        .resolve(open[3]["id"].as_str().unwrap(), &before, "CURRENT", Value::Null)
        .await
        .get("resolveConflict");
    assert_eq!(shared.ben.edit(shared.moved(&shared.seen, 3.0)).await["outcome"], "CONFLICT");
}

async fn so_many_conflicts_of_one_task_may_wait(database: Database) {
    let app = TestApp::new(database).await;
    let shared = app.shared_box().await;
    shared.ana.edit(shared.moved(&shared.seen, 2.0)).await;
    app.set_task(&shared.task, "open_conflicts = 1000").await;
    let refused = shared.ben.edit(shared.moved(&shared.seen, 3.0)).await;
    assert_eq!((&refused["outcome"], &refused["code"]), (&json!("REJECTED"), &json!("LIMIT_EXCEEDED")), "{refused:#}");
    shared.project.revoke(&shared.task, Some(1)).await.get("revokeLease");
    let refused = shared.ben.edit(box_at(&new_annotation(), 3.0)).await;
    assert_eq!((&refused["outcome"], &refused["code"]), (&json!("REJECTED"), &json!("LIMIT_EXCEEDED")), "{refused:#}");
}

/// After an edit that waits beside it, which has changed nothing of it.
async fn an_event_says_of_a_box_what_the_box_says_of_itself(database: Database) {
    let app = TestApp::new(database).await;
    let shared = app.shared_box().await;
    shared.disputed().await;
    let query = "query($id: ID!, $p: ID!) { node(id: $id) { ... on Annotation { ...State } }
        events(projectId: $p, first: 100) { nodes { ... on AnnotationEvent { annotation { ...State } } } } }
        fragment State on Annotation { revision label deleted versionVector updatedAt author { name } lastEditedBy { name } }";
    let variables = json!({ "id": shared.id, "p": shared.project.id });
    let seen = shared.project.manager.send(query, variables).await;
    let told = seen.get("events.nodes").as_array().unwrap().iter().rev().find(|event| event["annotation"].is_object());
    assert_eq!(&told.unwrap()["annotation"], seen.get("node"));
    assert_eq!(seen.get("node.lastEditedBy.name"), "ana");
}

async fn a_save_sent_again_is_known_when_its_slot_is_judged(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project_with(&app.admin().await, Media::Image, json!({ "overlap": 2 })).await;
    let [picture] = app.ready_images(&project, 1).await.try_into().unwrap();
    let task = project.create_tasks(json!([{ "assetIds": [picture] }])).await.text("createTasks.tasks.0.id");
    for name in ["ana", "ben"] {
        let person = project.member(&app, name, "ANNOTATOR").await;
        let session = app.at_work(&project, &task, &person).await;
        person.submit(&session.screen).await.get("submitTask");
    }
    let rita = project.member(&app, "rita", "REVIEWER").await;
    let review = Session::of(&rita, rita.claim_review(&project).await);
    let mut made = box_at(&new_annotation(), 3.0);
    made["create"]["slot"] = json!(1);
    assert_eq!(review.edit(made.clone()).await["outcome"], "APPLIED");
    rita.judge(&review.screen, "ACCEPT", json!({ "slot": 1 })).await.get("reviewTask");
    let again = review.edit(made).await;
    assert_eq!((&again["outcome"], &again["repeated"]), (&json!("APPLIED"), &json!(true)), "{again:#}");
    let mut other = box_at(&new_annotation(), 3.0);
    other["create"]["slot"] = json!(1);
    let refused = review.edit(other).await;
    assert_eq!((&refused["code"], &refused["field"]), (&json!("BAD_USER_INPUT"), &json!("edits[0].create.slot")));
}

async fn where_nobody_reviews_what_was_handed_in_is_final(database: Database) {
    let app = TestApp::new(database).await;
    let settings = json!({ "overlap": 2, "review": "NONE" });
    let project = app.project_with(&app.admin().await, Media::Image, settings).await;
    let [picture] = app.ready_images(&project, 1).await.try_into().unwrap();
    let task = project.create_tasks(json!([{ "assetIds": [picture] }])).await.text("createTasks.tasks.0.id");
    let ana = project.member(&app, "ana", "ANNOTATOR").await;
    let session = app.at_work(&project, &task, &ana).await;
    ana.submit(&session.screen).await.get("submitTask");
    assert_eq!(project.stands(&task).await, "IN_PROGRESS [SUBMITTED, FREE]");
    let late = session.edit(box_at(&new_annotation(), 3.0)).await;
    assert_eq!((&late["outcome"], &late["code"]), (&json!("REJECTED"), &json!("LEASE_LOST")), "{late:#}");
    // Nobody would ever decide about it; whoever handed it in may take it back instead.
    let again = Session::of(&ana, Screen::read(ana.withdraw(&task).await.get("withdrawSubmission.session")));
    assert_eq!(again.edit(box_at(&new_annotation(), 3.0)).await["outcome"], "APPLIED");
}

async fn whose_work_an_edit_met_is_told(database: Database) {
    let app = TestApp::new(database).await;
    let shared = app.shared_box().await;
    let eva = shared.joined_by(&app, "eva").await;
    shared.ana.edit(shared.moved(&shared.seen, 2.0)).await;
    // Ben changed it last, but it is ana's move that eva's meets.
    shared.ben.edit(shared.renamed(&shared.seen, "dust")).await;
    let conflict = eva.edit(shared.moved(&shared.seen, 3.0)).await["conflict"]["id"].as_str().unwrap().to_owned();
    assert_eq!(eva.person.conflict(&conflict).await["currentBy"], json!({ "name": "ana" }));
    let seen = shared.seen_by(&eva.person).await;
    assert_eq!(seen["lastEditedBy"], json!({ "name": "ben" }), "an edit that waits has changed nothing");
}

async fn a_batch_goes_on_after_a_conflict(database: Database) {
    let app = TestApp::new(database).await;
    let shared = app.shared_box().await;
    shared.ana.edit(shared.moved(&shared.seen, 2.0)).await;
    let (other, after) = (new_annotation(), plus(&shared.seen, &[(&shared.ben, 1)]));
    let edits = json!([
        shared.moved(&shared.seen, 3.0),
        box_at(&other, 9.0),
        shared.renamed(&after, "dust"),
        shared.renamed(&json!({ "#": 1, "nobody": 4 }), "dust"),
        { "update": { "id": other, "base": shared.ben.seen(1), "label": "fold" } },
    ]);
    let saved = shared.ben.save(edits).await;
    let outcomes: Vec<&str> = saved
        .get("saveAnnotations.results")
        .as_array()
        .unwrap()
        .iter()
        .map(|result| result["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(outcomes, ["CONFLICT", "APPLIED", "MERGED", "REJECTED", "APPLIED"]);
    assert_eq!(shared.now().await.1, "dust");
}

async fn nothing_is_handed_in_while_a_conflict_is_open(database: Database) {
    let app = TestApp::new(database).await;
    let shared = app.shared_box().await;
    let conflict = shared.disputed().await;
    let refused = shared.ana.person.submit(&shared.ana.screen).await;
    refused.assert_refused("one is open", "CONFLICT_OPEN", "sessionId");
    assert_eq!(shared.project.stands(&shared.task).await.split(' ').next(), Some("IN_PROGRESS"));
    let (_, _, now) = shared.now().await;
    shared.ben.person.resolve(&conflict, &now, "INCOMING", Value::Null).await.get("resolveConflict");
    shared.ana.person.submit(&shared.ana.screen).await.get("submitTask");
}
