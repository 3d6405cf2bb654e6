//! Exports: whose results of which tasks a data set holds.

use serde_json::{Value, json};

use crate::harness::{Database, Media, Project, TestApp, lines_of, on_both_databases};

on_both_databases![
    an_export_takes_the_results_it_is_asked_for,
    without_review_what_is_handed_in_counts,
    an_export_takes_tasks_in_the_states_it_is_asked_for,
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
