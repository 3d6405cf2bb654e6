//! The loop, and the imports and exports, of docs/api.md, played with their own documents.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::harness::{
    Answer, Database, Media, Person, Session, TestApp, box_at, id_of, labeling::Screen, new_annotation,
    on_both_databases,
};

on_both_databases![the_documents_of_the_loop_work_as_they_stand, the_documents_of_jobs_work_as_they_stand];

const DOCUMENT: &str = include_str!("../../docs/api.md");
const LOOP: &str = "The loop";

/// The blocks of a language in a section.
fn blocks(section: &str, language: &str) -> Vec<&'static str> {
    let (_, section) = DOCUMENT.split_once(&format!("\n## {section}\n")).expect("the section is there");
    let section = section.split("\n## ").next().unwrap();
    let begin = format!("```{language}\n");
    section.split(&begin).skip(1).map(|block| block.split("```").next().unwrap()).collect()
}

/// The operations of a section by name; what is not played yet is left over.
struct Operations(BTreeMap<&'static str, &'static str>);

impl Operations {
    fn read(section: &str) -> Self {
        let mut operations = BTreeMap::new();
        for block in blocks(section, "graphql") {
            // Each begins a line, and nothing else does with a letter.
            let starts = |line: &str| line.starts_with(char::is_alphabetic);
            let mut rest = block;
            while !rest.is_empty() {
                let next = rest.match_indices('\n').map(|(at, _)| at + 1).find(|at| starts(&rest[*at..]));
                let (operation, others) = rest.split_at(next.unwrap_or(rest.len()));
                let (_, named) = operation.split_once(' ').expect("a keyword and a name");
                operations.insert(named.split('(').next().unwrap(), operation);
                rest = others;
            }
        }
        Self(operations)
    }

    async fn play(&mut self, name: &str, person: &Person, variables: Value) -> Answer {
        let operation = self.0.remove(name).unwrap_or_else(|| panic!("no {name} in {:?}", self.0.keys()));
        person.ask(operation, variables).await
    }

    /// As [`Operations::play`], not for the last time.
    async fn play_again(&self, name: &str, person: &Person, variables: Value) -> Answer {
        person.ask(self.0[name], variables).await
    }

    fn all_played(&self) {
        assert_eq!(self.0.keys().collect::<Vec<_>>(), Vec::<&&str>::new(), "not played");
    }
}

fn fenced(session: &Value) -> Value {
    json!({ "session": session["id"], "fence": session["fence"] })
}

/// A box that ana names without having seen that ben named it, too; gives the conflict's id.
async fn disputed(ana: &Session, ben: &Session) -> Value {
    let id = new_annotation();
    let mut creation = box_at(&id, 1.0);
    creation["create"]["label"] = json!("RBC");
    ana.all_become("APPLIED", json!([creation])).await;
    let renamed = |label: &str| json!([{ "update": { "id": id, "base": ana.seen(1), "label": label } }]);
    ben.all_become("APPLIED", renamed("RBC")).await;
    ana.all_become("CONFLICT", renamed("WBC")).await[0]["conflict"]["id"].clone()
}

async fn the_documents_of_the_loop_work_as_they_stand(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Image).await;
    let tool = json!({ "name": "Boxes", "kind": "BOUNDING_BOX", "labels": [{ "name": "RBC" }, { "name": "WBC" }] });
    project.publish_tools(json!([tool])).await;
    let picture = include_bytes!("../data/bccd/BloodImage_00012.jpg");
    let asset = app.upload(&project, "blood.jpg", "image/jpeg", picture).await;
    let made = project.create_tasks(json!([{ "assetIds": [asset] }, { "assetIds": [asset] }])).await;
    let other = id_of(made.get("createTasks.tasks.1"));
    let (ana, rita) = (project.member(&app, "ana", "ANNOTATOR").await, project.member(&app, "rita", "REVIEWER").await);
    let mut operations = Operations::read(LOOP);

    let claimed = operations.play("Claim", &ana, json!({ "project": project.id, "click": "1" })).await;
    let session = claimed.get("claimTask.session").clone();
    let task = json!({ "task": session["task"]["id"] });
    operations.play("Heartbeat", &ana, fenced(&session)).await.text("heartbeat.expiresAt");

    let [edits] = blocks(LOOP, "json")[..] else { panic!("one example of edits") };
    let edits: Value = serde_json::from_str(&edits.replace("ACTOR", session["actor"].as_str().unwrap())).unwrap();
    let mut variables = fenced(&session);
    variables["edits"] = edits.clone();
    let saved = operations.play("Save", &ana, variables.clone()).await;
    let outcomes = |saved: &Answer| -> Vec<(Value, Value)> {
        let results = saved.get("saveAnnotations.results").as_array().unwrap();
        results.iter().map(|result| (result["outcome"].clone(), result["repeated"].clone())).collect()
    };
    assert_eq!(outcomes(&saved), vec![(json!("APPLIED"), json!(false)); 4], "{:#}", saved.body);
    let mut again = Operations::read(LOOP);
    assert_eq!(outcomes(&again.play("Save", &ana, variables).await), vec![(json!("APPLIED"), json!(true)); 4]);

    project.set(json!({ "collaboration": "SHARED" })).await;
    let ben = project.member(&app, "ben", "ANNOTATOR").await;
    let mut joined = operations.play("Join", &ben, task.clone()).await.get("joinTask.session").clone();
    assert_eq!((&joined["role"], &joined["fence"]), (&json!("COLLABORATOR"), &session["fence"]));

    let selected = json!(new_annotation());
    let mut selection = fenced(&joined);
    selection["annotation"] = selected.clone();
    operations.play("Select", &ben, selection).await.text("heartbeat.expiresAt");
    let present = operations.play("Presence", &ana, task.clone()).await;
    let shown = |index: usize| present.get(&format!("presence.{index}"));
    assert_eq!((&shown(0)["sessionId"], &shown(0)["selectedAnnotationId"]), (&session["id"], &Value::Null));
    assert_eq!((&shown(1)["user"]["name"], &shown(1)["selectedAnnotationId"]), (&json!("ben"), &selected));

    joined["task"] = session["task"].clone();
    let snapshot = app.snapshot(session["task"]["id"].as_str().unwrap(), 1).await;
    let [ana_at_work, ben_at_work] =
        [(&ana, &session), (&ben, &joined)].map(|(person, session)| Session::of(person, Screen::read(session)));
    let mut follow = json!({ "project": project.id, "after": project.cursor().await });
    for (name, label) in [("Resolve", "WBC"), ("Merge", "RBC")] {
        let made = disputed(&ana_at_work, &ben_at_work).await;
        let ids = json!({ "project": project.id, "task": session["task"]["id"] });
        let listed = operations.play_again("Conflicts", &ana, ids).await;
        assert_eq!(listed.get("task.openConflictCount"), 1);
        let conflict = listed.get("task.openConflicts.nodes.0");
        assert_eq!((&conflict["id"], &conflict["incoming"]["label"]), (&made, &json!("WBC")));
        let decision = json!({ "conflict": made, "seen": conflict["annotation"]["versionVector"] });
        let decided = operations.play(name, &ana, decision).await;
        assert_eq!(decided.get("resolveConflict.annotation.label"), label);
        for told in ["CONFLICT_RAISED", "CONFLICT_RESOLVED"] {
            let event = operations.play_again("FollowConflicts", &ben, follow.clone()).await;
            assert_eq!(event.text("conflictEvents.type"), told);
            follow["after"] = event.get("conflictEvents.cursor").clone();
        }
    }
    // Both have been played.
    for name in ["Conflicts", "FollowConflicts"] {
        operations.0.remove(name);
    }
    let mut variables = fenced(&session);
    variables["snapshot"] = json!(snapshot);
    let restored = operations.play("GoBack", &ana, variables).await;
    assert_eq!(restored.get("restoreSnapshot.results").as_array().unwrap().len(), 2, "both boxes made since are gone");

    let submitted = operations.play("Submit", &ana, fenced(&session)).await;
    assert_eq!(submitted.text("submitTask.task.state"), "SUBMITTED");
    let back = operations.play("Withdraw", &ana, task.clone()).await.get("withdrawSubmission.session").clone();
    let submitted = again.play("Submit", &ana, fenced(&back)).await;
    assert_eq!(submitted.text("submitTask.task.state"), "SUBMITTED");
    let review = operations.play("ClaimReview", &rita, json!({ "project": project.id })).await;
    let review = review.get("claimReview.session").clone();
    let judged = operations.play("Review", &rita, fenced(&review)).await;
    let sent_back = judged.get("reviewTask.task");
    assert_eq!(sent_back, &json!({ "state": "REWORK", "round": 2 }));

    let reworked = again.play("Claim", &ana, json!({ "project": project.id, "click": "2" })).await;
    let session = reworked.get("claimTask.session").clone();
    assert_eq!((&session["task"]["id"], &session["slot"]["round"]), (&task["task"], &json!(2)));
    operations.play("Release", &ana, fenced(&session)).await.get("releaseTask");
    let screen = ana.try_claim_task(&project, &other).await.unwrap();
    let query = "query($id: ID!) { node(id: $id) { ... on LabelingSession { revision } } }";
    let revision = ana.send(query, json!({ "id": screen.session })).await.get("node.revision").clone();
    let variables = json!({ "session": screen.session, "fence": screen.fence, "revision": revision });
    let paused = operations.play("Pause", &ana, variables).await;
    assert_eq!(paused.text("setSessionState.session.state"), "PAUSED");
    operations.play("Revoke", &project.manager, json!({ "task": other })).await.get("revokeLease");
    let screen = ana.try_claim_task(&project, &other).await.unwrap();
    let skipped = operations.play("Skip", &ana, json!({ "session": screen.session, "fence": screen.fence })).await;
    assert_eq!(skipped.text("skipTask.task.state"), "SKIPPED");
    let reopened = operations.play("Reopen", &project.manager, json!({ "task": other })).await;
    assert_eq!(reopened.text("reopenTask.task.state"), "QUEUED");
    operations.all_played();
}

async fn the_documents_of_jobs_work_as_they_stand(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let mia = project.member(&app, "mia", "MANAGER").await;
    let mut operations = Operations::read("Imports and exports");
    let file = app.source(&project).await;
    let import = operations.play("StartImport", &mia, json!({ "project": project.id, "file": file })).await;
    let export = operations.play("StartExport", &mia, json!({ "project": project.id })).await;
    let [import, export] = [import.get("startImport.job"), export.get("startExport.job")].map(id_of);
    let told = operations.play("Follow", &mia, json!({ "job": import })).await;
    assert_eq!(told.text("jobProgress.state"), "QUEUED");
    let cancelled = operations.play("Cancel", &mia, json!({ "job": import })).await;
    assert_eq!(cancelled.text("cancelJob.job.state"), "CANCELLED");
    app.succeed(&project, &export, "result.json", b"{}").await;
    let seen = operations.play("Look", &mia, json!({ "job": export })).await;
    let made = app.http.get(seen.text("node.resultUrl")).send().await.unwrap();
    assert_eq!(made.text().await.unwrap(), "{}");
    operations.all_played();
}
