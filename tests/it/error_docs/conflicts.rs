//! The examples of docs/errors.md that are about conflicts, deciding them, and going back to a snapshot.

use serde_json::{Map, Value, json};

use crate::harness::{
    Answer, Database, Person, Session, TestApp, box_at, new_annotation, random_like,
    shared::{Shared, plus},
};

/// Requests that are refused, with their answers.
pub(super) async fn requests(database: Database) -> Vec<(&'static str, Answer)> {
    let app = TestApp::new(database).await;
    let shared = app.shared_box().await;
    let mut examples = decisions(&app, &shared).await;
    examples.extend(restores(&app, &shared).await);

    // What comes after the work was handed in waits for the reviewer.
    let Shared { project, task, ana, ben, .. } = &shared;
    let rolf = project.member(&app, "rolf", "REVIEWER").await;
    ana.person.submit(&ana.screen).await.get("submitTask");
    let late = ben.edit(box_at(&new_annotation(), 1.0)).await["conflict"]["id"].as_str().unwrap().to_owned();
    let seen = json!({ "#": 1, ben.actor.clone(): 1 });
    examples.push((
        "a decision about what was handed in, below a reviewer",
        resolve(&ana.person, &late, &seen, "CURRENT").await,
    ));
    let review = rolf.try_claim_review(project, json!({ "taskId": task })).await.unwrap();
    examples.push(("an acceptance while a conflict is open", rolf.judge(&review, "ACCEPT", json!({})).await));
    rolf.judge(&review, "REJECT", json!({})).await.get("reviewTask");
    examples.push(("a decision in a slot that nobody holds", resolve(&ana.person, &late, &seen, "CURRENT").await));
    examples
}

async fn resolve(by: &Person, conflict: &str, base: &Value, choice: &str) -> Answer {
    by.resolve(conflict, base, choice, Value::Null).await
}

/// Of a slot that is held.
async fn decisions(app: &TestApp, shared: &Shared) -> Vec<(&'static str, Answer)> {
    let mut examples = Vec::new();
    let (conflict, ana) = (shared.disputed().await, &shared.ana.person);
    let (_, _, now) = shared.now().await;
    let merged = async |merged: Value| ana.resolve(&conflict, &now, "MERGED", merged).await;
    examples.push(("a submission while a conflict is open", ana.submit(&shared.ana.screen).await));
    let nothing = random_like(&conflict);
    examples.push(("a decision about a conflict of nothing", resolve(ana, &nothing, &now, "CURRENT").await));
    let eva = shared.project.member(app, "eva", "ANNOTATOR").await;
    examples.push(("a decision by who has no part in the slot", resolve(&eva, &conflict, &now, "CURRENT").await));
    examples.push(("MERGED without what is merged", resolve(ana, &conflict, &now, "MERGED").await));
    examples.push(("MERGED of nothing", merged(json!({})).await));
    let without = ana.resolve(&conflict, &now, "CURRENT", json!({ "label": "dust" })).await;
    examples.push(("what is merged, with another choice", without));
    examples.push(("MERGED with a label that the template does not have", merged(json!({ "label": "bus" })).await));
    let wide = json!({ "boundingBox": { "x": 1.0, "y": 1.0, "width": -5.0, "height": 4.0 } });
    examples.push(("MERGED with a box of a negative size", merged(json!({ "geometry": wide })).await));
    examples.push((
        "MERGED with an attribute that the tool does not have",
        merged(json!({ "attributes": { "wings": 2 } })).await,
    ));
    let behind = resolve(ana, &conflict, &shared.seen, "CURRENT").await;
    let current = &behind.body["errors"][0]["extensions"]["annotation"];
    assert_eq!((&current["id"], &current["versionVector"]), (&json!(shared.id), &now), "{:#}", behind.body);
    examples.push(("a decision whose base is behind", behind));
    let ahead = plus(&now, &[(&shared.ana, 9)]);
    examples
        .push(("a decision whose base has seen what is not there", resolve(ana, &conflict, &ahead, "CURRENT").await));
    resolve(ana, &conflict, &now, "CURRENT").await.get("resolveConflict");
    let (_, _, now) = shared.now().await;
    examples.push(("a decision about what was decided otherwise", resolve(ana, &conflict, &now, "INCOMING").await));

    // With the name that ana gives it, the box cannot have the stain that ben gives it.
    shared.ana.all_become("APPLIED", json!([shared.renamed(&now, "dust")])).await;
    let stained = shared.ben.all_become("CONFLICT", json!([shared.said(&now, &json!({ "stain": "red" }))])).await;
    let conflict = stained[0]["conflict"]["id"].as_str().unwrap();
    let (_, _, now) = shared.now().await;
    examples.push(("INCOMING that breaks the template", resolve(ana, conflict, &now, "INCOMING").await));
    resolve(ana, conflict, &now, "CURRENT").await.get("resolveConflict");
    examples
}

async fn restores(app: &TestApp, shared: &Shared) -> Vec<(&'static str, Answer)> {
    let snapshot = app.snapshot(&shared.task, 1).await;
    let restore = async |session: &Session, snapshot: &str, fence: i64| {
        let input = json!({ "sessionId": session.id, "fence": fence, "snapshotId": snapshot });
        session.person.mutate("restoreSnapshot", input, "task { id }").await
    };
    let stolen = Session { person: shared.ben.person.clone(), ..shared.ana.clone() };
    vec![
        (
            "going back to a snapshot of another task",
            restore(&shared.ana, &random_like(&snapshot), shared.ana.fence).await,
        ),
        ("going back in a session that is somebody else's", restore(&stolen, &snapshot, shared.ana.fence).await),
        ("going back under another fence", restore(&shared.ana, &snapshot, 99).await),
    ]
}

/// Edits that are refused, with the result of each.
pub(super) async fn edits(database: Database) -> Vec<(&'static str, Value)> {
    let app = TestApp::new(database).await;
    let mut examples = Vec::new();
    let shared = app.shared_box().await;
    shared.ana.all_become("APPLIED", json!([shared.moved(&shared.seen, 2.0)])).await;
    for x in 0..8_i32 {
        let another = app.joined(&shared.task, &shared.ben.person).await;
        another.all_become("CONFLICT", json!([shared.moved(&shared.seen, f64::from(x) + 10.0)])).await;
    }
    examples.push(("a ninth conflict of one annotation", shared.ben.edit(shared.moved(&shared.seen, 50.0)).await));
    let crowd: Map<String, Value> = (0..256).map(|n| (format!("screen{n}"), json!(1))).collect();
    let mut crowd = Value::Object(crowd);
    crowd["#"] = json!(1);
    app.sql(&format!("UPDATE annotation SET version_vector = '{crowd}' WHERE id = {}", app.literal(&shared.id))).await;
    examples.push(("an edit by one session more than may edit", shared.ben.edit(shared.renamed(&crowd, "dust")).await));
    shared.ana.person.skip(&shared.ana.screen, "a crowd").await.get("skipTask");
    examples.push((
        "an edit after the lease has ended, in a slot whose work is final",
        shared.ana.edit(box_at(&new_annotation(), 1.0)).await,
    ));
    examples
}
