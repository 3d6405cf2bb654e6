//! Imports: what a file makes of a project, and what a wrong file does not.

use serde_json::{Value, json};

use crate::harness::{
    Database, Media, Project, TestApp, assert_counters, file_of, lines_of, on_both_databases, wait_until,
};

on_both_databases![
    an_import_makes_the_tasks_of_its_file,
    a_file_with_anything_wrong_imports_nothing_and_says_what,
    suggestions_wait_in_each_slot_for_whoever_first_claims_it,
    accepted_annotations_are_there_as_accepted_work,
    a_known_external_id_is_left_as_it_is,
    a_cancelled_import_leaves_nothing,
    at_most_a_hundred_faults_are_listed,
    no_task_is_seen_or_claimed_before_all_are_written,
];

/// A record of a text.
fn text(id: &str, text: &str) -> Value {
    json!({ "externalId": id, "data": { "text": text } })
}

/// A record of a text with spans of the label "cell" over its first characters.
fn labeled(id: &str, said: &str, spans: &[(usize, usize)]) -> Value {
    let part = |from: usize, to: usize| said.chars().skip(from).take(to - from).collect::<String>();
    let spans = spans.iter().map(|(from, to)| {
        json!({ "label": "cell", "geometry": { "textSpan": { "start": from, "end": to, "text": part(*from, *to) } } })
    });
    let annotations: Vec<Value> = spans.collect();
    let mut record = text(id, said);
    record["slots"] = json!([{ "number": 1, "round": 1, "state": "ACCEPTED", "annotations": annotations }]);
    record
}

async fn working(database: Database, settings: Value) -> (TestApp, Project) {
    let app = TestApp::new(database).await;
    let project = app.project_with(&app.admin().await, Media::Text, settings).await;
    app.running.work();
    (app, project)
}

async fn tasks(project: &Project) -> Vec<Value> {
    let query = "query($id: ID!) { tasks(projectId: $id, orderBy: CREATED, first: 100) { nodes {
        externalId state priority data slots { number state } annotations(first: 50) { nodes { slot label source score
          author { name } geometry { ... on TextSpan { start end text } } } } } } }";
    project.manager.send(query, json!({ "id": project.id })).await.get("tasks.nodes").as_array().unwrap().clone()
}

async fn an_import_makes_the_tasks_of_its_file(database: Database) {
    let (app, project) = working(database, json!({ "overlap": 2 })).await;
    let cursor = project.cursor().await;
    let mut first = text("a", "one");
    first["priority"] = json!(7);
    first["data"]["page"] = json!({ "number": 3 });
    let file = file_of(&[first, text("b", "two"), json!({ "data": { "text": "without an id" } })]);
    let job = app.import(&project, "JSONL", "IGNORE", &file).await;
    let said = [&job["kind"], &job["state"], &job["step"], &job["done"], &job["total"], &job["message"]];
    assert_eq!(json!(said), json!(["IMPORT", "SUCCEEDED", "SHOW", 3, 3, "3 tasks made"]), "{job}");
    assert_eq!((&job["errorsUrl"], &job["losses"]), (&Value::Null, &json!([])));

    let tasks = tasks(&project).await;
    let seen: Vec<_> = tasks.iter().map(|task| (&task["externalId"], &task["priority"], &task["data"])).collect();
    let page = json!({ "text": "one", "page": { "number": 3 } });
    assert_eq!(seen[0], (&json!("a"), &json!(7), &page));
    assert_eq!(seen[1], (&json!("b"), &json!(0), &json!({ "text": "two" })));
    assert_eq!(seen[2], (&Value::Null, &json!(0), &json!({ "text": "without an id" })));
    let slots = json!([{ "number": 1, "state": "FREE" }, { "number": 2, "state": "FREE" }]);
    assert!(tasks.iter().all(|task| task["slots"] == slots && task["state"] == "QUEUED"), "{tasks:#?}");
    assert_counters(&app, &project).await;

    let told = project.all_events(Some(&cursor), 50).await;
    let told: Vec<_> = told.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(told, ["TASKS_IMPORTED"]);
    let ana = project.member(&app, "ana", "ANNOTATOR").await;
    let screen = ana.claim(&project).await;
    ana.submit(&screen).await.get("submitTask");
}

async fn a_file_with_anything_wrong_imports_nothing_and_says_what(database: Database) {
    let (app, project) = working(database, json!({})).await;
    let wrong_text = json!({ "label": "cell", "geometry": { "textSpan": { "start": 0, "end": 3, "text": "two" } } });
    let with = |annotation: Value| {
        let mut record = text("x", "one");
        record["slots"] = json!([{ "number": 1, "round": 1, "state": "ACCEPTED", "annotations": [annotation] }]);
        record
    };
    let span = |end: usize| json!({ "textSpan": { "start": 0, "end": end, "text": "one" } });
    for (case, line, field) in [
        ("no JSON", "{\"externalId\": ".to_owned(), ""),
        ("an unknown member", json!({ "data": { "text": "a" }, "colour": 1 }).to_string(), ""),
        ("an id that stands there twice", text("first", "again").to_string(), "externalId"),
        ("an id of nothing", text("", "one").to_string(), "externalId"),
        ("nothing to label", json!({ "externalId": "x" }).to_string(), "assets"),
        ("a priority out of range", json!({ "data": { "text": "a" }, "priority": 10_000_000 }).to_string(), "priority"),
        ("no such asset", json!({ "assets": [{ "fileName": "gone.txt" }] }).to_string(), "assets[0].fileName"),
        ("a text that differs", with(wrong_text).to_string(), "slots[0].annotations[0].geometry.textSpan.text"),
        (
            "a label that no tool has",
            with(json!({ "label": "moon", "geometry": span(3) })).to_string(),
            "slots[0].annotations[0].label",
        ),
        (
            "a tool that is not there",
            with(json!({ "tool": "Lasso", "label": "cell", "geometry": span(3) })).to_string(),
            "slots[0].annotations[0].tool",
        ),
        (
            "an attribute that the tool has not",
            with(json!({ "tool": "Words", "label": "cell", "geometry": span(3), "attributes": { "size": 3 } }))
                .to_string(),
            "slots[0].annotations[0].attributes.size",
        ),
        (
            "a score above 1",
            with(json!({ "label": "cell", "geometry": span(3), "score": 1.5 })).to_string(),
            "slots[0].annotations[0].score",
        ),
    ] {
        let file = format!("{}\n{line}\n{}\n", text("first", "one"), text("last", "two"));
        let job = app.import(&project, "JSONL", "ACCEPT", &file).await;
        assert_eq!(job["state"], "FAILED", "{case}: {job}");
        let message = job["message"].as_str().unwrap();
        assert!(message.starts_with("nothing was imported: 1 record is wrong; line 2"), "{case}: {message}");
        let errors = app.errors_of(&job).await;
        assert_eq!(errors.len(), 1, "{case}: {errors:?}");
        assert_eq!(errors[0]["line"], 2, "{case}");
        if !field.is_empty() {
            assert_eq!(errors[0]["field"], field, "{case}: {errors:?}");
        }
        assert!(!errors[0]["message"].as_str().unwrap().is_empty(), "{case}");
        let rows: Vec<(i64,)> = app.rows("SELECT count(*) FROM task").await;
        assert_eq!(rows, [(0,)], "{case}");
    }
}

async fn at_most_a_hundred_faults_are_listed(database: Database) {
    let (app, project) = working(database, json!({})).await;
    let file = file_of(&vec![json!({ "externalId": "empty" }); 150]);
    let job = app.import(&project, "JSONL", "IGNORE", &file).await;
    assert!(
        job["message"].as_str().unwrap().starts_with("nothing was imported: 150 records are wrong; line 1"),
        "{job}"
    );
    assert_eq!(app.errors_of(&job).await.len(), 100);
}

async fn suggestions_wait_in_each_slot_for_whoever_first_claims_it(database: Database) {
    let (app, project) = working(database, json!({ "overlap": 2 })).await;
    let mut record = labeled("a", "one two", &[(0, 3), (4, 7)]);
    record["slots"][0]["annotations"][0]["source"] = json!("MODEL");
    record["slots"][0]["annotations"][0]["score"] = json!(0.75);
    let job = app.import(&project, "JSONL", "PREANNOTATE", &file_of(&[record, text("b", "three")])).await;
    assert_eq!(job["state"], "SUCCEEDED", "{job}");
    assert!(tasks(&project).await[0]["annotations"]["nodes"].as_array().unwrap().is_empty(), "not before a claim");

    let seen = |tasks: &[Value]| -> Vec<(i64, String, String, Value)> {
        let mut seen: Vec<_> = tasks[0]["annotations"]["nodes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|node| {
                let text = |path: &str| node.pointer(path).unwrap().as_str().unwrap().to_owned();
                (node["slot"].as_i64().unwrap(), text("/geometry/text"), text("/source"), node["score"].clone())
            })
            .collect();
        seen.sort_by_key(|(slot, text, ..)| (*slot, text.clone()));
        seen
    };
    let (ana, ben) = (project.member(&app, "ana", "ANNOTATOR").await, project.member(&app, "ben", "ANNOTATOR").await);
    let first = ana.claim(&project).await;
    let both = |slot: i64| {
        [
            (slot, "one".to_owned(), "MODEL".to_owned(), json!(0.75)),
            (slot, "two".to_owned(), "IMPORT".to_owned(), Value::Null),
        ]
    };
    let of_ana = first.slot.unwrap();
    assert_eq!(seen(&tasks(&project).await), both(of_ana));
    // What the holder changes is the holder's; the other slot has its own.
    ana.release(&first).await.get("releaseTask");
    let second = ben.try_claim_task(&project, &first.task).await.unwrap();
    let of_ben = second.slot.unwrap();
    ben.submit(&second).await.get("submitTask");
    let again = ana.try_claim_task(&project, &first.task).await.unwrap();
    let mut all: Vec<_> = [of_ana, of_ben, again.slot.unwrap()].into_iter().collect();
    all.sort_unstable();
    all.dedup();
    let all: Vec<_> = all.into_iter().flat_map(both).collect();
    assert_eq!(seen(&tasks(&project).await), all, "each slot once, whoever claims it again");
    assert_counters(&app, &project).await;
}

async fn accepted_annotations_are_there_as_accepted_work(database: Database) {
    let (app, project) = working(database, json!({ "overlap": 2 })).await;
    let file = file_of(&[labeled("a", "one two", &[(0, 3), (4, 7)]), text("b", "nothing in it")]);
    let job = app.import(&project, "JSONL", "ACCEPT", &file).await;
    assert_eq!(job["state"], "SUCCEEDED", "{job}");
    let tasks = tasks(&project).await;
    for task in &tasks {
        assert_eq!(task["state"], "ACCEPTED");
        assert_eq!(task["slots"], json!([{ "number": 1, "state": "ACCEPTED" }, { "number": 2, "state": "SKIPPED" }]));
    }
    assert_eq!(tasks[0]["annotations"]["nodes"].as_array().unwrap().len(), 2);
    assert_counters(&app, &project).await;
    // It can be opened again, as other accepted work.
    let (_, file) = app.export(&project, "JSONL", "ACCEPTED").await;
    let records = lines_of(&file);
    let ids: Vec<_> = records.iter().map(|record| record["externalId"].as_str().unwrap()).collect();
    assert_eq!(ids, ["a", "b"]);
    let drawn = records[0]["slots"][0]["annotations"].as_array().unwrap();
    assert_eq!((drawn.len(), &drawn[0]["source"], &drawn[0]["tool"]), (2, &json!("IMPORT"), &json!("Words")));
}

async fn a_known_external_id_is_left_as_it_is(database: Database) {
    let (app, project) = working(database, json!({})).await;
    let job = app.import(&project, "JSONL", "IGNORE", &file_of(&[text("a", "one"), text("b", "two")])).await;
    assert_eq!(job["message"], "2 tasks made");
    let file = file_of(&[text("b", "changed"), text("c", "three")]);
    let job = app.import(&project, "JSONL", "IGNORE", &file).await;
    assert_eq!(job["message"], "1 task made, 1 known before and left as they are");
    let texts: Vec<_> = tasks(&project).await.iter().map(|task| task["data"]["text"].clone()).collect();
    assert_eq!(texts, ["one", "two", "three"]);
    assert_counters(&app, &project).await;
}

async fn a_cancelled_import_leaves_nothing(database: Database) {
    let (app, project) = working(database, json!({})).await;
    let file = file_of(&(0..6_000).map(|n| text(&format!("t{n}"), "one")).collect::<Vec<_>>());
    let job = app.begin_import(&project, "JSONL", "IGNORE", &file).await;
    let is_writing = async || {
        let rows: Vec<(i64,)> = app.rows("SELECT count(*) FROM task").await;
        rows[0].0 > 0
    };
    wait_until("the import to write", is_writing).await;
    // An id that it holds cannot be given away beside it: whether it stays is not decided yet.
    let beside = project.create_tasks(json!([text("other", "one"), text("t1", "one")])).await;
    beside.assert_error("INVALID_TRANSITION", "tasks[1].externalId");
    let input = json!({ "jobId": job });
    let cancelled = project.manager.mutate("cancelJob", input.clone(), "job { state message endedAt }").await;
    assert_eq!(cancelled.get("cancelJob.job.state"), "CANCELLED");
    let again = project.manager.mutate("cancelJob", input, "job { state message endedAt }").await;
    assert_eq!(again.get("cancelJob"), cancelled.get("cancelJob"));
    // The next import of the same file finds nothing of it in its way.
    let file = file_of(&[text("t0", "one")]);
    let job = app.import(&project, "JSONL", "IGNORE", &file).await;
    assert_eq!(job["message"], "1 task made", "{job}");
    let is_gone = async || app.rows::<(i64,)>("SELECT count(*) FROM task").await == [(1,)];
    wait_until("what was written to be gone", is_gone).await;
    assert_counters(&app, &project).await;
}

async fn no_task_is_seen_or_claimed_before_all_are_written(database: Database) {
    let (app, project) = working(database, json!({})).await;
    let file = file_of(&(0..2_000).map(|n| text(&format!("t{n}"), "one")).collect::<Vec<_>>());
    let ana = project.member(&app, "ana", "ANNOTATOR").await;
    let job = app.begin_import(&project, "JSONL", "IGNORE", &file).await;
    let query = "query($id: ID!) { tasks(projectId: $id, first: 1) { nodes { id } } }";
    loop {
        let job_then = project.manager.job(&job).await;
        let written: Vec<(i64,)> = app.rows("SELECT count(*) FROM task").await;
        let shown = ana.send(query, json!({ "id": project.id })).await.get("tasks.nodes").as_array().unwrap().len();
        let claimed = ana.try_claim(&project).await;
        let job_now = project.manager.job(&job).await;
        if job_now["step"] != "SHOW" {
            assert_eq!(shown, 0, "{job_now}: {written:?} written");
            assert_eq!(claimed, Err("QUEUE_EMPTY".to_owned()), "{job_now}");
        }
        if job_then["endedAt"] != Value::Null {
            break;
        }
    }
    assert_eq!(project.manager.ended(&job).await["message"], "2000 tasks made");
}
