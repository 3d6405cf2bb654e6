//! `concord watch`: a process of its own beside the server, which prints what happens.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::harness::{Database, Media, Person, Project, TestApp, new_annotation, on_both_databases, output_of, span};

on_both_databases![
    it_goes_on_where_it_was_killed,
    it_prints_what_the_filters_let_through,
    it_tells_of_conflicts,
    it_ends_well_when_it_is_interrupted_or_nobody_reads,
    a_cursor_that_cannot_be_continued_is_told_and_it_goes_on,
    what_it_cannot_watch_it_says,
];

/// How long a line may take before a test gives up: far more than it does on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// `concord watch` at work; it ends with this value.
struct Watching {
    process: Child,
    lines: Receiver<Value>,
}

impl Watching {
    fn start(database: &Database, arguments: &[&str]) -> Self {
        let (process, out) = spawn(database, arguments);
        let (send, lines) = mpsc::channel();
        std::thread::spawn(move || {
            let lines = BufReader::new(out).lines().map_while(Result::ok);
            let mut values =
                lines.map(|line| serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON: {line}")));
            values.try_for_each(|value| send.send(value))
        });
        Self { process, lines }
    }

    fn line(&self) -> Value {
        self.lines.recv_timeout(DEADLINE).expect("a line is printed")
    }

    /// The lines up to one that tells of this.
    fn until(&self, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        let begun = Instant::now();
        let mut lines = Vec::new();
        loop {
            // Its position is told without an end.
            assert!(begun.elapsed() < DEADLINE, "waited in vain: {lines:#?}");
            lines.push(self.line());
            if lines.last().is_some_and(&wanted) {
                return lines;
            }
        }
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    fn ended(&mut self) -> ExitStatus {
        ended(&mut self.process)
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawn(database: &Database, arguments: &[&str]) -> (Child, ChildStdout) {
    let mut command = database.concord(&[&["watch"], arguments].concat());
    let mut process = command.stderr(Stdio::null()).spawn().unwrap();
    let out = process.stdout.take().unwrap();
    (process, out)
}

fn ended(process: &mut Child) -> ExitStatus {
    let begun = Instant::now();
    loop {
        if let Some(status) = process.try_wait().unwrap() {
            return status;
        }
        assert!(begun.elapsed() < DEADLINE, "it does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
}

async fn project(database: Database) -> (TestApp, Project, Person, Vec<String>) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let ana = project.member(&app, "ana", "ANNOTATOR").await;
    let tasks = project.text_tasks(3).await;
    (app, project, ana, tasks)
}

/// Claims a task, saves in it and hands it in.
async fn label(project: &Project, task: &str, person: &Person) {
    let screen = person.try_claim_task(project, task).await.unwrap();
    let edits = json!([span(&new_annotation(), 0, "cell")]);
    let saved = person.mutate("saveAnnotations", screen.with(json!({ "edits": edits })), "results { outcome }").await;
    assert_eq!(saved.get("saveAnnotations.results.0.outcome"), "APPLIED");
    person.submit(&screen).await.get("submitTask");
}

/// The last of what handing a task in tells.
fn ends(task: &str) -> impl Fn(&Value) -> bool {
    move |line| line["taskId"] == task && line["data"]["opened"] == false
}

fn cursor_of(line: &Value) -> String {
    line["cursor"].as_str().unwrap().to_owned()
}

/// Ids of events by task, in order.
fn by_task<'a>(
    lines: impl IntoIterator<Item = &'a Value>,
    task: impl Fn(&Value) -> Value,
) -> BTreeMap<String, Vec<Value>> {
    let mut ids: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in lines {
        ids.entry(task(line).to_string()).or_default().push(line["id"].clone());
    }
    ids
}

async fn it_goes_on_where_it_was_killed(database: Database) {
    let (app, project, ana, tasks) = project(database).await;
    let id = project.id.as_str();
    let mut first = Watching::start(&app.database, &["--project", id]);
    let begin = first.line();
    assert_eq!(begin["type"], "CURSOR_MOVED", "the position that it begins at: {begin}");
    assert_eq!(cursor_of(&begin), project.cursor().await, "which is now");

    label(&project, &tasks[0], &ana).await;
    let seen = first.until(ends(&tasks[0]));
    let told: Vec<&str> = seen.iter().map(|line| line["type"].as_str().unwrap()).collect();
    let of_a_turn =
        ["TASK_STATE_CHANGED", "SESSION_CHANGED", "ANNOTATION_SAVED", "TASK_STATE_CHANGED", "SESSION_CHANGED"];
    assert_eq!(told, of_a_turn, "{seen:#?}");
    for line in &seen {
        assert_eq!((&line["taskId"], &line["by"]), (&json!(tasks[0]), &json!(ana.id)), "{line}");
        assert!(line["at"].is_string() && line["id"].is_string(), "{line}");
    }
    assert_eq!(seen[1]["data"], json!({ "slot": 1, "opened": true, "whose": ana.id }), "without what is null");

    // Killed in the middle of a turn: what it printed beyond the line that was read last comes again.
    label(&project, &tasks[1], &ana).await;
    let middle = first.until(|line| line["type"] == "ANNOTATION_SAVED");
    first.kill();
    label(&project, &tasks[2], &ana).await;
    let last = cursor_of(middle.last().unwrap());
    let second = Watching::start(&app.database, &["--project", id, "--after", &last]);
    let replayed = second.until(ends(&tasks[2]));
    ana.withdraw(&tasks[2]).await.get("withdrawSubmission");
    let live = second.until(|line| line["data"]["opened"] == true);

    let happened = project.all_events(Some(&cursor_of(&begin)), 50).await;
    let printed = seen.iter().chain(&middle).chain(&replayed).chain(&live).collect::<Vec<_>>();
    let asked = "query($id: ID!, $after: EventCursor) { events(projectId: $id, after: $after, first: 200) { nodes { id
        ... on TaskEvent { taskId } ... on SessionEvent { taskId } ... on AnnotationEvent { taskId } } } }";
    let asked = project.manager.send(asked, json!({ "id": id, "after": cursor_of(&begin) })).await;
    let asked = asked.get("events.nodes").as_array().unwrap();
    assert_eq!(printed.len(), happened.len(), "none is lost, none comes twice");
    assert_eq!(
        by_task(printed, |line| line["taskId"].clone()),
        by_task(asked, |event| event["taskId"].clone()),
        "in order per task"
    );
}

async fn it_prints_what_the_filters_let_through(database: Database) {
    let (app, project, ana, tasks) = project(database).await;
    let id = project.id.as_str();
    let of_task = Watching::start(&app.database, &["--project", id, "--task", &tasks[1]]);
    let of_types = Watching::start(&app.database, &["--project", id, "--types", "SESSION_CHANGED,ANNOTATION_SAVED"]);
    for watching in [&of_task, &of_types] {
        assert_eq!(watching.line()["type"], "CURSOR_MOVED");
    }
    label(&project, &tasks[0], &ana).await;
    label(&project, &tasks[1], &ana).await;
    let seen = of_task.until(ends(&tasks[1]));
    assert!(seen.len() >= 4 && seen.iter().all(|line| line["taskId"] == tasks[1]), "{seen:#?}");
    let seen = [of_types.line(), of_types.line(), of_types.line(), of_types.line(), of_types.line()];
    let mut told: Vec<&str> = seen.iter().map(|line| line["type"].as_str().unwrap()).collect();
    told.dedup();
    assert!(told.iter().all(|word| ["SESSION_CHANGED", "ANNOTATION_SAVED"].contains(word)), "{seen:#?}");
    assert_eq!(told[..2], ["SESSION_CHANGED", "ANNOTATION_SAVED"], "{seen:#?}");
}

async fn it_tells_of_conflicts(database: Database) {
    let (app, project, ana, tasks) = project(database).await;
    let arguments = ["--project", &project.id, "--types", "CONFLICT_RAISED,CONFLICT_RESOLVED"];
    let watching = Watching::start(&app.database, &arguments);
    assert_eq!(watching.line()["type"], "CURSOR_MOVED");
    let session = app.at_work(&project, &tasks[0], &ana).await;
    let second = app.second_screen(&project, &tasks[0], &session).await;
    let disputed = session.dispute(&second, span(&new_annotation(), 0, "cell")).await;
    ana.resolve(&disputed.conflict, &disputed.now, "CURRENT", Value::Null).await.get("resolveConflict");
    let data = json!({ "conflict": disputed.conflict, "annotation": disputed.annotation, "slot": 1 });
    for told in ["CONFLICT_RAISED", "CONFLICT_RESOLVED"] {
        let line = watching.line();
        assert_eq!((&line["type"], &line["taskId"], &line["by"]), (&json!(told), &json!(tasks[0]), &json!(ana.id)));
        assert_eq!(line["data"], data, "{line}");
    }
}

async fn it_ends_well_when_it_is_interrupted_or_nobody_reads(database: Database) {
    let (app, project, ana, tasks) = project(database).await;
    for signal in ["INT", "TERM"] {
        let mut watching = Watching::start(&app.database, &["--project", &project.id]);
        watching.line();
        let sent = Command::new("kill").args([format!("-{signal}"), watching.process.id().to_string()]).status();
        assert!(sent.unwrap().success());
        assert_eq!(watching.ended().code(), Some(0), "SIG{signal}");
    }
    let (mut process, out) = spawn(&app.database, &["--project", &project.id]);
    let mut out = BufReader::new(out);
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    drop(out);
    label(&project, &tasks[0], &ana).await;
    assert_eq!(ended(&mut process).code(), Some(0), "like `| head -1`");
}

async fn a_cursor_that_cannot_be_continued_is_told_and_it_goes_on(database: Database) {
    let (app, project, ana, tasks) = project(database).await;
    let other = app.project(&project.manager, Media::Text).await;
    let watching = Watching::start(&app.database, &["--project", &project.id, "--after", &other.cursor().await]);
    let resync = watching.line();
    assert_eq!(resync["type"], "RESYNC_REQUIRED");
    assert_eq!(resync["data"], json!({ "reason": "the cursor is of another project" }));
    assert_eq!(resync["id"], format!("cur_{}", cursor_of(&resync)));
    label(&project, &tasks[0], &ana).await;
    watching.until(ends(&tasks[0]));
}

async fn what_it_cannot_watch_it_says(database: Database) {
    let (app, project, _, _) = project(database).await;
    let other = app.project(&project.manager, Media::Text).await;
    let task = other.text_tasks(1).await.remove(0);
    let nothing = "proj_01h455vb4pex5vsknk084sn02q";
    for (case, arguments, status, sentence) in [
        ("a project that is not there", vec!["--project", nothing], 1, "no such project"),
        ("a task of another project", vec!["--project", &project.id, "--task", &task], 1, "no such task"),
        ("no id", vec!["--project", "cells"], 2, "must be an id such as proj_"),
        ("no cursor", vec!["--project", &project.id, "--after", "x"], 2, "is not an event cursor"),
        ("no type", vec!["--project", &project.id, "--types", "TASKS"], 2, "must be some of TASK_CREATED, "),
    ] {
        let output = output_of(app.database.concord(&[&["watch"], &arguments[..]].concat())).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{case}: {said}");
        assert!(said.contains(sentence) && output.stdout.is_empty(), "{case}: {said}");
    }
}
