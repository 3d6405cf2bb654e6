//! Exports: whose results of which tasks a data set holds.

use serde_json::{Value, json};

use crate::harness::{
    Database, Media, Project, Session, TestApp, lines_of, new_annotation, on_both_databases, output_of, span,
};

on_both_databases![
    an_export_takes_the_results_it_is_asked_for,
    without_review_what_is_handed_in_counts,
    an_export_takes_tasks_in_the_states_it_is_asked_for,
    an_export_says_what_becomes_of_annotations_with_an_open_conflict,
    conflicts_in_what_is_not_exported_do_not_count,
];

/// What an export holds: external id and numbers of the slots of each task, in order.
async fn held(app: &TestApp, project: &Project, overlap: &str) -> Vec<(String, Vec<i64>)> {
    let (_, file) = app.export(project, "JSONL", overlap).await;
    lines_of(&file).iter().map(slots_of).collect()
}

fn slots_of(record: &Value) -> (String, Vec<i64>) {
    let slots = record["slots"].as_array().unwrap().iter().map(|slot| slot["number"].as_i64().unwrap());
    (record["externalId"].as_str().unwrap().to_owned(), slots.collect())
}

fn want(tasks: &[(&str, &[i64])]) -> Vec<(String, Vec<i64>)> {
    tasks.iter().map(|(id, slots)| ((*id).to_owned(), slots.to_vec())).collect()
}

async fn an_export_takes_the_results_it_is_asked_for(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project_with(&app.admin().await, Media::Text, json!({ "overlap": 2 })).await;
    app.running.work();
    let tasks = project.named_tasks("text", 4).await;
    let (ana, ben) = (project.member(&app, "ana", "ANNOTATOR").await, project.member(&app, "ben", "ANNOTATOR").await);
    let rita = project.member(&app, "rita", "REVIEWER").await;
    // Handed in by both and judged in part; by both and accepted; by one; by nobody.
    for (task, people) in tasks.iter().zip([vec![&ana, &ben], vec![&ana, &ben], vec![&ana], vec![]]) {
        for person in people {
            let screen = person.try_claim_task(&project, task).await.unwrap();
            person.submit(&screen).await.get("submitTask");
        }
    }
    let review = rita.try_claim_review(&project, json!({ "taskId": tasks[0] })).await.unwrap();
    rita.judge(&review, "ACCEPT", json!({ "slot": 2 })).await.get("reviewTask");
    let review = rita.try_claim_review(&project, json!({ "taskId": tasks[1] })).await.unwrap();
    rita.judge(&review, "ACCEPT", json!({})).await.get("reviewTask");

    for (overlap, expected) in [
        ("ACCEPTED", want(&[("text-0", &[2]), ("text-1", &[1, 2])])),
        ("FIRST", want(&[("text-0", &[2]), ("text-1", &[1])])),
        ("ALL", want(&[("text-0", &[1, 2]), ("text-1", &[1, 2]), ("text-2", &[1])])),
    ] {
        assert_eq!(held(&app, &project, overlap).await, expected, "{overlap}");
    }
    let (_, file) = app.export(&project, "JSONL", "FIRST").await;
    let names: Vec<_> = lines_of(&file).iter().map(|record| record["slots"][0]["annotator"]["name"].clone()).collect();
    assert_eq!(names, ["ben", "ana"], "each result is somebody's");
    // The command line asks for the same.
    let file = app.database.export(&project.id, "jsonl", &["--overlap", "all"]).await;
    assert_eq!(lines_of(&file).len(), 3);
}

async fn without_review_what_is_handed_in_counts(database: Database) {
    let app = TestApp::new(database).await;
    let settings = json!({ "overlap": 2, "review": "NONE" });
    let project = app.project_with(&app.admin().await, Media::Text, settings).await;
    app.running.work();
    let tasks = project.named_tasks("text", 2).await;
    let ana = project.member(&app, "ana", "ANNOTATOR").await;
    let screen = ana.try_claim_task(&project, &tasks[0]).await.unwrap();
    ana.submit(&screen).await.get("submitTask");
    for overlap in ["ACCEPTED", "FIRST", "ALL"] {
        assert_eq!(held(&app, &project, overlap).await, want(&[("text-0", &[1])]), "{overlap}");
    }
}

async fn an_export_takes_tasks_in_the_states_it_is_asked_for(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project_with(&app.admin().await, Media::Text, json!({ "review": "NONE" })).await;
    app.running.work();
    let tasks = project.named_tasks("text", 3).await;
    let ana = project.member(&app, "ana", "ANNOTATOR").await;
    for task in &tasks[..2] {
        let screen = ana.try_claim_task(&project, task).await.unwrap();
        ana.submit(&screen).await.get("submitTask");
    }
    project.archive(vec![tasks[0].clone()], true).await.get("archiveTasks");
    assert_eq!(held(&app, &project, "ACCEPTED").await, want(&[("text-1", &[1])]), "but archived ones");
    for (states, expected) in [(["ARCHIVED"], 1), (["ACCEPTED"], 1), (["QUEUED"], 0)] {
        let input = json!({ "projectId": project.id, "format": "JSONL", "states": states });
        let job = project.manager.mutate("startExport", input, "job { id }").await.text("startExport.job.id");
        let ended = project.manager.ended(&job).await;
        let tasks = if expected == 1 { "task" } else { "tasks" };
        assert_eq!(ended["message"], format!("{expected} {tasks} exported"), "{states:?}");
    }
}

/// Work that ana handed in; the first of its two annotations was changed late.
struct Late {
    project: Project,
    session: Session,
    disputed: String,
    other: String,
    conflict: String,
}

async fn late(app: &TestApp) -> Late {
    let project = app.project(&app.admin().await, Media::Text).await;
    app.running.work();
    let tasks = project.named_tasks("text", 2).await;
    let ana = project.member(app, "ana", "ANNOTATOR").await;
    let session = app.at_work(&project, &tasks[0], &ana).await;
    let (disputed, other) = (new_annotation(), new_annotation());
    session.all_become("APPLIED", json!([span(&disputed, 0, "cell"), span(&other, 0, "cell")])).await;
    ana.submit(&session.screen).await.get("submitTask");
    let renamed = json!({ "update": { "id": disputed, "base": session.seen(1), "label": "dust" } });
    let conflict = session.edit(renamed).await["conflict"]["id"].as_str().unwrap().to_owned();
    ana.submit(&ana.try_claim_task(&project, &tasks[1]).await.unwrap()).await.get("submitTask");
    Late { project, session, disputed, other, conflict }
}

impl Late {
    /// Exports all that was handed in, or what the overlap says; gives the job once it has ended, and the ids and labels of
    /// the annotations in the file.
    async fn export(&self, app: &TestApp, conflicts: Value, overlap: &str) -> (Value, Vec<(String, String)>) {
        let more = json!({ "conflicts": conflicts, "options": { "overlap": overlap } });
        let job = self.project.manager.start_export(&self.project, more).await.text("startExport.job.id");
        let job = self.project.manager.ended(&job).await;
        let Some(url) = job["resultUrl"].as_str() else { return (job, Vec::new()) };
        let file = app.http.get(url).send().await.unwrap().text().await.unwrap();
        (job, annotations_in(&file))
    }
}

fn annotations_in(file: &str) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut found = Vec::new();
    for record in lines_of(file) {
        let annotations = record["slots"][0]["annotations"].as_array().unwrap();
        found.extend(annotations.iter().map(|one| (text(&one["id"]), text(&one["label"]))));
    }
    found
}

async fn an_export_says_what_becomes_of_annotations_with_an_open_conflict(database: Database) {
    let app = TestApp::new(database).await;
    let late = late(&app).await;
    let cell = |id: &String| (id.clone(), "cell".to_owned());
    let (both, other) = (vec![cell(&late.disputed), cell(&late.other)], vec![cell(&late.other)]);
    let succeeds = async |conflicts: Value, message: &str, annotations: &[(String, String)]| {
        let (job, held) = late.export(&app, conflicts.clone(), "ALL").await;
        assert_eq!((&job["state"], &job["message"]), (&json!("SUCCEEDED"), &json!(message)), "{conflicts}");
        assert_eq!(held, annotations, "{conflicts}");
    };
    let taken = "2 tasks exported; 1 annotation has an open conflict: taken as it is now";
    succeeds(json!("CURRENT"), taken, &both).await;
    succeeds(Value::Null, taken, &both).await;
    succeeds(json!("EXCLUDE"), "2 tasks exported; 1 annotation has an open conflict: left out", &other).await;
    // What was made late is no annotation before somebody decides so, but it is counted.
    late.session.all_become("CONFLICT", json!([span(&new_annotation(), 0, "cell")])).await;
    let taken = "2 tasks exported; 2 annotations have an open conflict: taken as they are now";
    succeeds(json!("CURRENT"), taken, &both).await;
    succeeds(json!("EXCLUDE"), "2 tasks exported; 2 annotations have an open conflict: left out", &other).await;
    let (failed, _) = late.export(&app, json!("FAIL"), "ALL").await;
    let message = "2 annotations have an open conflict; resolve first, or export with EXCLUDE or CURRENT";
    assert_eq!((&failed["state"], &failed["message"]), (&json!("FAILED"), &json!(message)));
    assert_eq!((&failed["resultUrl"], &failed["errorsUrl"]), (&Value::Null, &Value::Null), "nothing came of it");

    // The command line asks for the same.
    let id = late.project.id.as_str();
    let all = ["--overlap", "all", "--conflicts"];
    let file = app.database.export(id, "jsonl", &[&all[..], &["exclude"]].concat()).await;
    assert_eq!(annotations_in(&file), other);
    assert_eq!(annotations_in(&app.database.export(id, "jsonl", &all[..2]).await), both);
    let path = app.database.folder().join("none.jsonl");
    let arguments = ["export", "--project", id, "--format", "jsonl", "--output", path.to_str().unwrap()];
    let output = output_of(app.database.concord(&[&arguments, &all[..], &["fail"]].concat())).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains(message), "{said}");
    assert!(!path.exists(), "there is no file");
}

async fn conflicts_in_what_is_not_exported_do_not_count(database: Database) {
    let app = TestApp::new(database).await;
    let late = late(&app).await;
    let (job, held) = late.export(&app, json!("FAIL"), "ACCEPTED").await;
    assert_eq!((&job["message"], held), (&json!("0 tasks exported"), Vec::new()), "nothing is accepted yet");
    // Once somebody has decided, none is open any more.
    let rita = late.project.member(&app, "rita", "REVIEWER").await;
    let query = "query($id: ID!) { node(id: $id) { ... on Annotation { versionVector } } }";
    let now = rita.send(query, json!({ "id": late.disputed })).await.get("node.versionVector").clone();
    rita.resolve(&late.conflict, &now, "INCOMING", Value::Null).await.get("resolveConflict");
    let (job, held) = late.export(&app, json!("FAIL"), "ALL").await;
    assert_eq!(job["message"], "2 tasks exported");
    assert_eq!(held, [(late.disputed.clone(), "dust".to_owned()), (late.other.clone(), "cell".to_owned())]);
}
