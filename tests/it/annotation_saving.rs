//! Saving annotations: what is kept, what it counts, what happens when it is sent again.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{
    Answer, Database, Media, Person, Project, Session, TestApp, box_at, id_of, new_annotation, on_both_databases, span,
};

on_both_databases![
    a_saved_box_is_there_bit_for_bit,
    edits_of_one_batch_may_follow_one_another,
    an_edit_sent_again_is_recognised_and_changes_nothing,
    an_annotation_is_deleted_and_restored,
    a_creation_sent_again_after_a_reload_is_the_same_annotation,
    an_edit_that_has_seen_what_is_not_there_is_told_the_state,
    a_fault_of_one_edit_leaves_the_others_alone,
    attributes_are_set_and_removed_by_name,
    the_only_asset_that_suits_is_found_or_must_be_said,
    a_text_asset_and_a_text_of_ones_own_are_quoted_in_code_points,
    a_save_renews_the_lease_now_and_then,
    a_reviewer_edits_what_is_under_review,
    saves_are_counted_by_kind,
    labels_are_counted,
    two_people_who_make_the_same_id_at_once_get_it_once,
];

/// A project of pictures with a picture of 640 by 480 pixels, and ana at work on its task.
async fn at_work(app: &TestApp) -> (Project, String, Session) {
    let project = app.project(&app.admin().await, Media::Image).await;
    let task = picture_task(app, &project).await;
    let ana = annotator(app, &project, "ana").await;
    let session = app.at_work(&project, &task, &ana).await;
    (project, task, session)
}

async fn picture_task(app: &TestApp, project: &Project) -> String {
    let picture =
        app.upload(project, "blood.jpg", "image/jpeg", include_bytes!("../data/bccd/BloodImage_00012.jpg")).await;
    id_of(project.create_tasks(json!([{ "assetIds": [picture] }])).await.get("createTasks.tasks.0"))
}

async fn annotator(app: &TestApp, project: &Project, name: &str) -> Person {
    let person = app.person(name).await;
    project.set_member(&person, json!("ANNOTATOR")).await.get("setMember.member");
    person
}

fn moved(id: &str, base: &Value, x: f64) -> Value {
    let geometry = json!({ "boundingBox": { "x": x, "y": 1.0, "width": 5.0, "height": 4.0 } });
    json!({ "update": { "id": id, "base": base, "geometry": geometry } })
}

async fn seen(person: &Person, id: &str) -> Value {
    let query = "query($id: ID!) { node(id: $id) { ... on Annotation {
        id taskId slot assetId kind tool label attributes versionVector revision deleted source score
        author { id } lastEditedBy { id } createdAt updatedAt geometry { __typename ... on BoundingBox { x y width height rotation }
          ... on Polygon { parts { outer holes } } ... on Classification { values } ... on TextSpan { start end text } } } } }";
    person.send(query, json!({ "id": id })).await.get("node").clone()
}

async fn a_saved_box_is_there_bit_for_bit(database: Database) {
    let app = TestApp::new(database).await;
    let (_, task, ana) = at_work(&app).await;
    let id = new_annotation();
    // Numbers that a detour over decimals or 32 bits would change; a zero with a sign loses it.
    let geometry =
        json!({ "boundingBox": { "x": 0.1 + 0.2, "y": -0.0, "width": 1e-7, "height": 100.0 / 3.0, "rotation": -0.0 } });
    let result =
        ana.edit(json!({ "create": { "id": id, "tool": "Boxes", "label": "cell", "geometry": geometry } })).await;
    assert_eq!(result["outcome"], "APPLIED", "{result:#}");
    assert_eq!((&result["repeated"], &result["fields"], &result["code"]), (&json!(false), &json!([]), &Value::Null));
    let stored = seen(&ana.person, &id).await;
    let want = json!({ "__typename": "BoundingBox", "x": 0.1 + 0.2, "y": 0.0, "width": 1e-7, "height": 100.0 / 3.0, "rotation": 0.0 });
    assert_eq!(stored["geometry"], want);
    assert!(!stored["geometry"].to_string().contains("-0"), "{stored}");
    for (field, want) in [
        ("taskId", json!(task)),
        ("slot", json!(1)),
        ("kind", json!("BOUNDING_BOX")),
        ("tool", json!("Boxes")),
        ("label", json!("cell")),
        ("attributes", json!({})),
        ("versionVector", ana.seen(1)),
        ("revision", json!(1)),
        ("deleted", json!(false)),
        ("source", json!("HUMAN")),
        ("score", Value::Null),
        ("author", json!({ "id": ana.person.id })),
        ("lastEditedBy", json!({ "id": ana.person.id })),
    ] {
        assert_eq!(stored[field], want, "{field}");
    }
    assert!(stored["assetId"].as_str().unwrap().starts_with("asset_") && stored["createdAt"] == stored["updatedAt"]);
}

async fn edits_of_one_batch_may_follow_one_another(database: Database) {
    let app = TestApp::new(database).await;
    let (project, task, ana) = at_work(&app).await;
    let (id, other) = (new_annotation(), new_annotation());
    let before = version(&project, &task).await;
    let saved = ana
        .save(json!([
            box_at(&id, 1.0),
            moved(&id, &ana.seen(1), 2.0),
            box_at(&other, 9.0),
            moved(&id, &ana.seen(2), 3.0),
            { "update": { "id": id, "base": ana.seen(3), "label": "dust" } },
            { "delete": { "id": other, "base": ana.seen(1) } },
        ]))
        .await;
    assert_outcomes(&saved, &["APPLIED"; 6]);
    // Each result shows the annotation as the whole batch left it.
    assert_eq!(saved.get("saveAnnotations.results.0.annotation.revision"), 4);
    assert_eq!(saved.get("saveAnnotations.results.2.annotation.deleted"), true);
    assert_eq!(saved.get("saveAnnotations.task.version"), before + 1, "one batch, one version");
    assert_eq!(version(&project, &task).await, before + 1);
    let stored = seen(&ana.person, &id).await;
    assert_eq!((&stored["geometry"]["x"], &stored["label"]), (&json!(3.0), &json!("dust")));
    assert_eq!(stored["versionVector"], ana.seen(4));
}

#[track_caller]
fn assert_outcomes(saved: &Answer, outcomes: &[&str]) {
    let results = saved.get("saveAnnotations.results").as_array().unwrap();
    let got: Vec<&str> = results.iter().map(|result| result["outcome"].as_str().unwrap()).collect();
    assert_eq!(got, outcomes, "{:#}", saved.body);
}

async fn version(project: &Project, task: &str) -> i64 {
    let seen = project.manager.send("query($id: ID!) { task(id: $id) { version } }", json!({ "id": task })).await;
    seen.get("task.version").as_i64().unwrap()
}

async fn an_edit_sent_again_is_recognised_and_changes_nothing(database: Database) {
    let app = TestApp::new(database).await;
    let (project, task, ana) = at_work(&app).await;
    let id = new_annotation();
    let batch =
        json!([box_at(&id, 1.0), moved(&id, &ana.seen(1), 2.0), { "delete": { "id": id, "base": ana.seen(2) } }]);
    assert_outcomes(&ana.save(batch.clone()).await, &["APPLIED"; 3]);
    let watch = project.watch().await;
    let stored = seen(&ana.person, &id).await;
    let again = ana.save(batch).await;
    assert_outcomes(&again, &["APPLIED"; 3]);
    for n in 0..3 {
        assert_eq!(again.get(&format!("saveAnnotations.results.{n}.repeated")), true, "edit {n}");
    }
    watch.unchanged("a batch sent again").await;
    assert_eq!(seen(&ana.person, &id).await, stored);
    assert_eq!(version(&project, &task).await, again.get("saveAnnotations.task.version").as_i64().unwrap());
    // Twice within one batch is the same as twice.
    let other = new_annotation();
    let twice = ana
        .save(json!([
            box_at(&other, 1.0),
            box_at(&other, 1.0),
            moved(&other, &ana.seen(1), 2.0),
            moved(&other, &ana.seen(1), 2.0)
        ]))
        .await;
    assert_outcomes(&twice, &["APPLIED"; 4]);
    let repeated: Vec<bool> =
        (0..4).map(|n| twice.get(&format!("saveAnnotations.results.{n}.repeated")) == true).collect();
    assert_eq!(repeated, [false, true, false, true]);
    // The same number with another content is none of it.
    let reused = ana.edit(moved(&other, &ana.seen(1), 7.0)).await;
    assert_eq!((&reused["outcome"], &reused["code"]), (&json!("REJECTED"), &json!("ACTOR_REUSED")));
    assert_eq!(reused["field"], "edits[0].update.base");
}

async fn an_annotation_is_deleted_and_restored(database: Database) {
    let app = TestApp::new(database).await;
    let (_, task, ana) = at_work(&app).await;
    let id = new_annotation();
    ana.save(json!([box_at(&id, 1.0), { "delete": { "id": id, "base": ana.seen(1) } }])).await.get("saveAnnotations");
    let list = |deleted: bool| {
        let query = format!(
            "query($id: ID!) {{ task(id: $id) {{ annotations(includeDeleted: {deleted}, first: 9) {{ totalCount nodes {{ id deleted }} }} }} }}"
        );
        let (person, task) = (ana.person.clone(), task.clone());
        async move { person.send(&query, json!({ "id": task })).await.get("task.annotations").clone() }
    };
    assert_eq!(list(false).await, json!({ "totalCount": 0, "nodes": [] }));
    assert_eq!(list(true).await, json!({ "totalCount": 1, "nodes": [{ "id": id, "deleted": true }] }));
    let gone = ana.edit(moved(&id, &ana.seen(2), 5.0)).await;
    assert_eq!((&gone["code"], &gone["annotation"]["deleted"]), (&json!("GONE"), &json!(true)), "{gone:#}");
    let restored = ana.edit(json!({ "restore": { "id": id, "base": ana.seen(2) } })).await;
    assert_eq!((&restored["outcome"], &restored["annotation"]["deleted"]), (&json!("APPLIED"), &json!(false)));
    assert_eq!(restored["annotation"]["geometry"]["x"], 1.0, "its content came back");
    assert_eq!(list(false).await["totalCount"], 1);
    let again = ana.edit(json!({ "restore": { "id": id, "base": ana.seen(3) } })).await;
    assert_eq!(again["outcome"], "APPLIED", "a restore of what is there is nothing, but no fault: {again:#}");
}

async fn a_creation_sent_again_after_a_reload_is_the_same_annotation(database: Database) {
    let app = TestApp::new(database).await;
    let (project, task, ana) = at_work(&app).await;
    let id = new_annotation();
    ana.edit(box_at(&id, 1.0)).await;
    let reloaded = app.second_screen(&project, &task, &ana).await;
    assert_ne!(reloaded.actor, ana.actor);
    let same = reloaded.edit(box_at(&id, 1.0)).await;
    assert_eq!((&same["outcome"], &same["repeated"]), (&json!("APPLIED"), &json!(true)), "{same:#}");
    let another = reloaded.edit(box_at(&id, 2.0)).await;
    assert_eq!((&another["outcome"], &another["code"]), (&json!("REJECTED"), &json!("ID_TAKEN")));
    assert_eq!(another["annotation"]["geometry"]["x"], 1.0, "{another:#}");
    // The old screen's work goes on, the new one builds on it.
    let next = reloaded.edit(moved(&id, &ana.seen(1), 4.0)).await;
    assert_eq!(next["outcome"], "APPLIED", "{next:#}");
    let vector = json!({ "#": 1, ana.actor.as_str(): 1, reloaded.actor.as_str(): 1 });
    assert_eq!(next["annotation"]["versionVector"], vector);
}

async fn an_edit_that_has_seen_what_is_not_there_is_told_the_state(database: Database) {
    let app = TestApp::new(database).await;
    let (project, task, ana) = at_work(&app).await;
    let other = app.second_screen(&project, &task, &ana).await;
    let id = new_annotation();
    ana.save(json!([box_at(&id, 1.0), moved(&id, &ana.seen(1), 2.0)])).await.get("saveAnnotations");
    let ahead = json!({ "#": 1, ana.actor.as_str(): 9, other.actor.as_str(): 1 });
    let future = other.edit(moved(&id, &ahead, 4.0)).await;
    assert_eq!(
        (&future["outcome"], &future["code"], &future["field"]),
        (&json!("REJECTED"), &json!("FUTURE_VERSION"), &json!("edits[0].update.base"))
    );
    assert_eq!(future["annotation"]["versionVector"], ana.seen(2), "with the state to look at");
    let looked = other.edit(moved(&id, &future["annotation"]["versionVector"], 3.0)).await;
    assert_eq!(looked["outcome"], "APPLIED", "a rejected edit has used up no number: {looked:#}");
}

async fn a_fault_of_one_edit_leaves_the_others_alone(database: Database) {
    let app = TestApp::new(database).await;
    let (_, _, ana) = at_work(&app).await;
    let (first, wrong, last) = (new_annotation(), new_annotation(), new_annotation());
    let saved = ana
        .save(json!([
            box_at(&first, 1.0),
            box_at(&wrong, -1.0),
            moved(&wrong, &ana.seen(1), 2.0),
            moved(&first, &ana.seen(1), 9_999.0),
            moved(&first, &ana.seen(1), 3.0),
            box_at(&last, 5.0),
        ]))
        .await;
    assert_outcomes(&saved, &["APPLIED", "REJECTED", "REJECTED", "REJECTED", "APPLIED", "APPLIED"]);
    for (n, code, field) in [
        (1, "BAD_USER_INPUT", "edits[1].create.geometry.boundingBox.x"),
        (2, "NOT_FOUND", "edits[2].update.id"),
        (3, "BAD_USER_INPUT", "edits[3].update.geometry.boundingBox.x"),
    ] {
        let result = saved.get(&format!("saveAnnotations.results.{n}"));
        assert_eq!((&result["code"], &result["field"]), (&json!(code), &json!(field)), "{result:#}");
        assert!(result["message"].as_str().unwrap().split(' ').count() > 2, "{result:#}");
    }
    assert_eq!(saved.get("saveAnnotations.results.1.annotation"), &Value::Null);
    assert_eq!(seen(&ana.person, &first).await["geometry"]["x"], 3.0);
    assert_eq!(seen(&ana.person, &wrong).await, Value::Null);
}

async fn attributes_are_set_and_removed_by_name(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Image).await;
    let attributes = json!([
        { "name": "occluded", "type": "BOOLEAN", "required": true }, { "name": "speed", "type": "NUMBER" },
        { "name": "damage", "type": "MULTI_SELECT", "values": ["door", "roof"] }, { "name": "plate", "type": "TEXT" },
    ]);
    let tool =
        json!({ "name": "Cars", "kind": "BOUNDING_BOX", "labels": [{ "name": "car" }], "attributes": attributes });
    project.publish_tools(json!([tool])).await;
    let task = picture_task(&app, &project).await;
    let ana = app.at_work(&project, &task, &annotator(&app, &project, "ana").await).await;
    let id = new_annotation();
    let geometry = json!({ "boundingBox": { "x": 1, "y": 2, "width": 30, "height": 40 } });
    let create = |attributes: Value| json!({ "create": { "id": id, "tool": "Cars", "label": "car", "geometry": geometry, "attributes": attributes } });
    let made =
        ana.edit(create(json!({ "occluded": true, "speed": -0.0, "damage": ["roof"], "plate": "ÄÖ 1 🚗" }))).await;
    assert_eq!(
        made["annotation"]["attributes"],
        json!({ "occluded": true, "speed": 0, "damage": ["roof"], "plate": "ÄÖ 1 🚗" }),
        "{made:#}"
    );
    let update = |seen: i64, attributes: Value| json!({ "update": { "id": id, "base": ana.seen(seen), "attributes": attributes } });
    let changed = ana.edit(update(1, json!({ "speed": 12.5, "plate": null, "damage": null }))).await;
    assert_eq!(changed["annotation"]["attributes"], json!({ "occluded": true, "speed": 12.5 }), "{changed:#}");
    for (case, attributes, field) in [
        ("a required one removed", json!({ "occluded": null }), "attributes.occluded"),
        ("an unknown one", json!({ "wings": 2 }), "attributes.wings"),
        ("an unknown one removed", json!({ "wi\0ngs": null }), "attributes.wi\0ngs"),
        ("another type", json!({ "speed": "fast" }), "attributes.speed"),
        ("a value not listed", json!({ "damage": ["sill"] }), "attributes.damage"),
        ("no object", json!([1]), "attributes"),
        ("no attribute", json!({}), "id"),
    ] {
        let refused = ana.edit(update(2, attributes)).await;
        let got = (&refused["outcome"], &refused["code"], &refused["field"]);
        assert_eq!(
            got,
            (&json!("REJECTED"), &json!("BAD_USER_INPUT"), &json!(format!("edits[0].update.{field}"))),
            "{case}"
        );
    }
    assert_eq!(seen(&ana.person, &id).await["attributes"], json!({ "occluded": true, "speed": 12.5 }));
}

async fn the_only_asset_that_suits_is_found_or_must_be_said(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Image).await;
    let weather =
        json!({ "name": "Weather", "kind": "CLASSIFICATION", "labels": [{ "name": "sun" }, { "name": "rain" }] });
    let area = json!({ "name": "Areas", "kind": "POLYGON", "labels": [{ "name": "road" }] });
    project.publish_tools(json!([weather, area])).await;
    let assets = app.ready_images(&project, 3).await;
    let tasks = project.create_tasks(json!([{ "assetIds": [assets[0]] }, { "assetIds": assets }])).await;
    let ana = annotator(&app, &project, "ana").await;
    let one = app.at_work(&project, &tasks.text("createTasks.tasks.0.id"), &ana).await;
    let three = app.at_work(&project, &tasks.text("createTasks.tasks.1.id"), &ana).await;
    let ring = json!([[1, 1], [90, 1], [90, 90], [1, 90]]);
    let hole = json!([[20, 20], [30, 20], [30, 30]]);
    let polygon = json!({ "polygon": { "parts": [{ "outer": ring, "holes": [hole] }] } });
    let area = |asset: Value| json!({ "create": { "id": new_annotation(), "assetId": asset, "tool": "Areas", "label": "road", "geometry": polygon } });
    let sun = json!({ "create": { "id": new_annotation(), "tool": "Weather", "label": "sun", "geometry": { "classification": { "values": ["sun"] } } } });
    let saved = one.save(json!([area(Value::Null), area(json!(assets[0])), area(json!(assets[1])), sun])).await;
    assert_outcomes(&saved, &["APPLIED", "APPLIED", "REJECTED", "APPLIED"]);
    assert_eq!(saved.get("saveAnnotations.results.0.annotation.assetId"), &json!(assets[0]));
    let refused = saved.get("saveAnnotations.results.2");
    assert_eq!((&refused["code"], &refused["field"]), (&json!("NOT_FOUND"), &json!("edits[2].create.assetId")));
    let saved = three.save(json!([area(Value::Null), area(json!(assets[2]))])).await;
    assert_outcomes(&saved, &["REJECTED", "APPLIED"]);
    assert_eq!(saved.get("saveAnnotations.results.0.field"), "edits[0].create.assetId");
    let id = saved.text("saveAnnotations.results.1.annotationId");
    let parts = json!([{ "outer": [[1.0, 1.0], [90.0, 1.0], [90.0, 90.0], [1.0, 90.0]], "holes": [[[20.0, 20.0], [30.0, 20.0], [30.0, 30.0]]] }]);
    assert_eq!(seen(&ana, &id).await["geometry"], json!({ "__typename": "Polygon", "parts": parts }));
    let query = "query($id: ID!) { task(id: $id) { annotations(first: 9) { nodes { geometry { ... on Classification { values } } } } } }";
    let listed = ana.send(query, json!({ "id": tasks.text("createTasks.tasks.0.id") })).await;
    assert!(listed.body.to_string().contains("[\"sun\"]"), "{:#}", listed.body);
}

async fn a_text_asset_and_a_text_of_ones_own_are_quoted_in_code_points(database: Database) {
    const TEXT: &str = "👩‍👩‍👧 Ana sees 東京";
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let asset = app.upload(&project, "a.txt", "text/plain", TEXT.as_bytes()).await;
    let made = project.create_tasks(json!([{ "assetIds": [asset] }, { "data": { "text": TEXT } }])).await;
    let ana = annotator(&app, &project, "ana").await;
    for (n, want) in [(0, json!(asset)), (1, Value::Null)] {
        let session = app.at_work(&project, &made.text(&format!("createTasks.tasks.{n}.id")), &ana).await;
        let id = new_annotation();
        let saved = session
            .save(json!([span(&id, 6, "Ana"), span(&new_annotation(), 9, "Ana"), span(&new_annotation(), 15, "東京")]))
            .await;
        assert_outcomes(&saved, &["APPLIED", "REJECTED", "APPLIED"]);
        assert_eq!(saved.get("saveAnnotations.results.1.field"), "edits[1].create.geometry.textSpan.text");
        let stored = seen(&ana, &id).await;
        assert_eq!((&stored["assetId"], &stored["geometry"]["text"]), (&want, &json!("Ana")));
        let renamed = session.edit(json!({ "update": { "id": id, "base": session.seen(1), "label": "dust" } })).await;
        assert_eq!(renamed["outcome"], "APPLIED", "{renamed:#}");
    }
}

async fn a_save_renews_the_lease_now_and_then(database: Database) {
    let app = TestApp::new(database).await;
    let (_, task, ana) = at_work(&app).await;
    let expiry = format!("SELECT CAST(lease_expires_at AS text) FROM task_slot WHERE task_id = {}", app.literal(&task));
    let expiry = async || app.rows::<(String,)>(&expiry).await.remove(0).0;
    let leased = expiry().await;
    app.advance(Duration::from_secs(60));
    ana.edit(box_at(&new_annotation(), 1.0)).await;
    assert_eq!(expiry().await, leased, "by less than a tenth of the lease: not worth a write");
    app.advance(Duration::from_secs(60));
    let refused = ana.edit(box_at(&new_annotation(), -1.0)).await;
    assert_eq!(refused["outcome"], "REJECTED");
    assert!(expiry().await > leased, "work that was refused is work");
}

async fn a_reviewer_edits_what_is_under_review(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project_with(&app.admin().await, Media::Image, json!({ "overlap": 3 })).await;
    let task = picture_task(&app, &project).await;
    let (ana, ben) = (annotator(&app, &project, "ana").await, annotator(&app, &project, "ben").await);
    let (ana, ben) = (app.at_work(&project, &task, &ana).await, app.at_work(&project, &task, &ben).await);
    let (first, second) = (new_annotation(), new_annotation());
    ana.edit(box_at(&first, 1.0)).await;
    ben.edit(box_at(&second, 1.0)).await;
    let rita = app.person("rita").await;
    project.set_member(&rita, json!("REVIEWER")).await.get("setMember");
    let rita = app.reviewing(&project, &task, &[&ana, &ben], &rita).await;
    let in_slot = |slot: Value| {
        let mut edit = box_at(&new_annotation(), 3.0);
        edit["create"]["slot"] = slot;
        edit
    };
    let saved = rita
        .save(json!([
            moved(&first, &ana.seen(1), 5.0),
            { "delete": { "id": second, "base": ben.seen(1) } },
            in_slot(json!(2)),
            in_slot(Value::Null),
            in_slot(json!(3)),
            in_slot(json!(4)),
        ]))
        .await;
    assert_outcomes(&saved, &["APPLIED", "APPLIED", "APPLIED", "REJECTED", "REJECTED", "REJECTED"]);
    assert_eq!(saved.get("saveAnnotations.results.2.annotation.slot"), 2);
    for n in 3..6 {
        let refused = saved.get(&format!("saveAnnotations.results.{n}"));
        assert_eq!(
            (&refused["code"], &refused["field"]),
            (&json!("BAD_USER_INPUT"), &json!(format!("edits[{n}].create.slot")))
        );
    }
    assert_eq!(seen(&rita.person, &first).await["lastEditedBy"]["id"], json!(rita.person.id));
    // What was handed in is not its annotator's to edit: that waits for the reviewer, and labels blind.
    let late = ana.edit(moved(&first, &ana.seen(1), 9.0)).await;
    assert_eq!((&late["outcome"], &late["annotation"]["geometry"]["x"]), (&json!("CONFLICT"), &json!(5.0)), "{late:#}");
}

async fn saves_are_counted_by_kind(database: Database) {
    let app = TestApp::new(database).await;
    let (_, _, ana) = at_work(&app).await;
    let id = new_annotation();
    let batch =
        json!([box_at(&id, 1.0), box_at(&new_annotation(), -1.0), { "delete": { "id": id, "base": ana.seen(1) } }]);
    ana.save(batch.clone()).await.get("saveAnnotations");
    let counts = async || {
        let mut counts = Vec::new();
        for status in ["started", "succeeded", "failed"] {
            counts.push(
                app.metric(&format!("annotation_throughput_total{{kind=\"bounding_box\",status=\"{status}\"}}")).await,
            );
        }
        counts
    };
    assert_eq!(counts().await, [3.0, 2.0, 1.0]);
    assert_eq!(app.metric("task_latency_seconds_count{phase=\"saved\"}").await, 1.0);
    // Sent again: what was accepted is not counted a second time.
    ana.save(batch).await.get("saveAnnotations");
    assert_eq!(counts().await, [4.0, 2.0, 2.0]);
    ana.save_under(99, json!([box_at(&new_annotation(), 1.0)])).await.assert_error("LEASE_LOST", "fence");
    assert_eq!(counts().await, [5.0, 2.0, 3.0]);
    assert_eq!(app.metric("task_latency_seconds_count{phase=\"saved\"}").await, 2.0);
}

async fn labels_are_counted(database: Database) {
    let app = TestApp::new(database).await;
    let (project, _, ana) = at_work(&app).await;
    let (a, b) = (new_annotation(), new_annotation());
    let labelled = async |label: &str| {
        let query = "query($id: ID!, $label: String) { tasks(projectId: $id, filter: { label: $label }, first: 9) { nodes { id } } }";
        let seen = project.manager.send(query, json!({ "id": project.id, "label": label })).await;
        seen.get("tasks.nodes").as_array().unwrap().len()
    };
    assert_eq!((labelled("cell").await, labelled("dust").await), (0, 0));
    ana.save(json!([box_at(&a, 1.0), box_at(&b, 1.0)])).await.get("saveAnnotations");
    assert_eq!((labelled("cell").await, labelled("dust").await), (1, 0));
    ana.save(json!([{ "update": { "id": a, "base": ana.seen(1), "label": "dust" } }, { "delete": { "id": b, "base": ana.seen(1) } }])).await.get("saveAnnotations");
    assert_eq!((labelled("cell").await, labelled("dust").await), (0, 1));
    ana.edit(json!({ "restore": { "id": b, "base": ana.seen(2) } })).await;
    assert_eq!((labelled("cell").await, labelled("dust").await), (1, 1));
    let recount = "SELECT label, count(*) FROM annotation WHERE NOT deleted GROUP BY label ORDER BY label";
    let counted = "SELECT label, CAST(annotations AS bigint) FROM task_label WHERE annotations <> 0 ORDER BY label";
    let rows = async |sql: &str| app.rows::<(String, i64)>(sql).await;
    assert_eq!(rows(recount).await, rows(counted).await);
}

async fn two_people_who_make_the_same_id_at_once_get_it_once(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Image).await;
    let (ana, ben) = (annotator(&app, &project, "ana").await, annotator(&app, &project, "ben").await);
    let ana = app.at_work(&project, &picture_task(&app, &project).await, &ana).await;
    let ben = app.at_work(&project, &picture_task(&app, &project).await, &ben).await;
    for _ in 0..10 {
        let ids: Vec<String> = (0..20).map(|_| new_annotation()).collect();
        let batch = |ids: Vec<&String>| json!(ids.into_iter().map(|id| box_at(id, 1.0)).collect::<Vec<_>>());
        let (one, other) =
            futures::future::join(ana.save(batch(ids.iter().collect())), ben.save(batch(ids.iter().rev().collect())))
                .await;
        let mut outcomes: Vec<(String, String)> = Vec::new();
        for saved in [one, other] {
            for result in saved.get("saveAnnotations.results").as_array().unwrap() {
                let code = result["code"].as_str().unwrap_or_else(|| result["outcome"].as_str().unwrap());
                outcomes.push((result["annotationId"].as_str().unwrap().to_owned(), code.to_owned()));
            }
        }
        outcomes.sort();
        let want: Vec<(String, String)> = {
            let mut ids = ids.clone();
            ids.sort();
            ids.into_iter().flat_map(|id| [(id.clone(), "APPLIED".to_owned()), (id, "ID_TAKEN".to_owned())]).collect()
        };
        assert_eq!(outcomes, want);
    }
}
