//! The streams of a project: which change appends what, and the counters beside them.

use chrono::DateTime;
use concord::domain::cursor::EventCursor;
use serde_json::{Value, json};

use crate::harness::{
    Database, Media, Project, TestApp, assert_counters, assert_positions_are_gap_free, event_types, events_of, id_of,
    on_both_databases,
};

on_both_databases![
    the_loop_of_a_task_is_told_step_by_step,
    every_change_appends_exactly_its_events,
    an_event_says_what_happened_to_what_and_by_whom,
    an_event_answers_the_same_by_its_interface_and_by_its_type,
    a_change_that_is_rolled_back_leaves_no_event_and_no_position,
    counters_equal_a_recount_after_a_long_walk,
];

async fn every_change_appends_exactly_its_events(database: Database) {
    let app = TestApp::new(database).await;
    let boss = app.admin().await;
    let new = json!({ "name": "Cells", "mediaType": "TEXT" });
    let made = boss.mutate("createProject", new, "project { id }").await.text("createProject.project.id");
    let project = Project { id: made, manager: boss };
    assert_eq!(event_types(&project.all_events(None, 10).await), ["PROJECT_CHANGED"], "createProject");

    project.publish(Media::Text).await;
    let (ana, tasks) = (app.person("ana").await, project.text_tasks(3).await);
    let upload = project.request_upload("a.txt", "text/plain", 1).await;
    let asset = upload.text("requestUploads.uploads.0.assetId");
    assert_eq!(app.put(&upload.text("requestUploads.uploads.0.url"), "a").await.status(), 204);
    let at_first = event_types(&project.all_events(None, 10).await).len();
    assert_eq!(at_first, 1 + 1 + 3, "createProject, publishTemplate and createTasks, nothing for uploads");

    let id = &project.id;
    let tool = json!({ "name": "Words", "kind": "TEXT_SPAN", "labels": [{ "name": "cell" }] });
    let text = |n: usize| json!({ "externalId": format!("text-{n}"), "data": { "text": "cell" } });
    for (case, field, input, want) in [
        ("settings", "updateProject", json!({ "projectId": id, "name": "Blood" }), vec!["PROJECT_CHANGED"]),
        (
            "a template",
            "publishTemplate",
            json!({ "template": { "projectId": id, "name": "Two", "tools": [tool] } }),
            vec!["TEMPLATE_PUBLISHED"],
        ),
        (
            "a template without a tool",
            "publishTemplate",
            json!({ "template": { "projectId": id, "name": "No", "tools": [] } }),
            vec![],
        ),
        (
            "a member",
            "setMember",
            json!({ "projectId": id, "userId": ana.id, "role": "ANNOTATOR" }),
            vec!["MEMBER_CHANGED"],
        ),
        ("the same again", "setMember", json!({ "projectId": id, "userId": ana.id, "role": "ANNOTATOR" }), vec![]),
        (
            "tasks, one known",
            "createTasks",
            json!({ "projectId": id, "tasks": [text(2), text(3), text(4)] }),
            vec!["TASK_CREATED", "TASK_CREATED"],
        ),
        ("known tasks", "createTasks", json!({ "projectId": id, "tasks": [text(0), text(1)] }), vec![]),
        ("one task of two is wrong", "createTasks", json!({ "projectId": id, "tasks": [text(9), {}] }), vec![]),
        (
            "a priority",
            "updateTasks",
            json!({ "taskIds": tasks[..2], "priority": 7 }),
            vec!["TASK_UPDATED", "TASK_UPDATED"],
        ),
        (
            "a reservation",
            "updateTasks",
            json!({ "taskIds": tasks[..1], "reservedForUserId": ana.id }),
            vec!["TASK_UPDATED"],
        ),
        (
            "put away",
            "archiveTasks",
            json!({ "taskIds": tasks[..2], "archived": true }),
            vec!["TASK_STATE_CHANGED", "TASK_STATE_CHANGED"],
        ),
        (
            "put away, two are",
            "archiveTasks",
            json!({ "taskIds": tasks, "archived": true }),
            vec!["TASK_STATE_CHANGED"],
        ),
        ("put away again", "archiveTasks", json!({ "taskIds": tasks, "archived": true }), vec![]),
        ("taken out", "archiveTasks", json!({ "taskIds": tasks[..1], "archived": false }), vec!["TASK_STATE_CHANGED"]),
        (
            "a member leaves",
            "setMember",
            json!({ "projectId": id, "userId": ana.id, "role": null }),
            vec!["MEMBER_CHANGED"],
        ),
        ("an upload completed", "completeUploads", json!({ "assetIds": [asset] }), vec![]),
    ] {
        let before = project.cursor().await;
        project.manager.mutate(field, input, "__typename").await;
        let events = project.all_events(Some(&before), 10).await;
        assert_eq!(event_types(&events), want, "{case}");
        let after = project.cursor().await;
        assert_eq!(after == before, want.is_empty(), "{case}: the position moves with the events");
        let behind = project.events(Some(&after), 10).await;
        assert_eq!(events_of(&behind).len(), 0, "{case}: nothing behind the new position");
    }
}

async fn an_event_says_what_happened_to_what_and_by_whom(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let [task] = project.text_tasks(1).await.try_into().unwrap();
    project.archive(vec![task.clone()], true).await.get("archiveTasks");
    let events = project.all_events(None, 10).await;
    let by = json!({ "id": project.manager.id });
    let told = |index: usize, fields: &[&str]| -> Vec<Value> {
        fields.iter().map(|field| events[index][*field].clone()).collect()
    };
    let project_fields = ["__typename", "type", "projectId", "project", "by"];
    let of_project = json!({ "id": project.id });
    let published = [json!("ProjectEvent"), json!("TEMPLATE_PUBLISHED"), json!(project.id), of_project, by.clone()];
    assert_eq!(told(1, &project_fields), published);
    let task_fields = ["__typename", "type", "projectId", "taskId", "task", "from", "to", "by"];
    let of_task = [json!(project.id), json!(task), json!({ "id": task })];
    for (index, event_type, from, to) in
        [(2, "TASK_CREATED", Value::Null, "QUEUED"), (3, "TASK_STATE_CHANGED", json!("QUEUED"), "ARCHIVED")]
    {
        let mut want = vec![json!("TaskEvent"), json!(event_type)];
        want.extend(of_task.clone());
        want.extend([from, json!(to), by.clone()]);
        assert_eq!(told(index, &task_fields), want, "{event_type}");
    }
}

async fn a_change_that_is_rolled_back_leaves_no_event_and_no_position(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let [task] = project.text_tasks(1).await.try_into().unwrap();
    let before = (project.cursor().await, project.all_events(None, 10).await);
    // The events come last: positions are taken and counters moved by then.
    let (arm, disarm) = if app.database.is_sqlite() {
        ("CREATE TRIGGER broken BEFORE INSERT ON event BEGIN SELECT RAISE(ABORT, 'broken'); END", "")
    } else {
        (
            "CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'broken'; END $$;
             CREATE TRIGGER broken BEFORE INSERT ON event EXECUTE FUNCTION broken()",
            " ON event",
        )
    };
    app.sql(arm).await;
    project.archive(vec![task.clone()], true).await.assert_error("INTERNAL", "");
    project.create_tasks(json!([{ "data": { "text": "x" } }])).await.assert_error("INTERNAL", "");
    assert_eq!((project.cursor().await, project.all_events(None, 10).await), before);
    app.sql(&format!("DROP TRIGGER broken{disarm}")).await;
    project.archive(vec![task], true).await.get("archiveTasks");
    assert_eq!(event_types(&project.all_events(Some(&before.0), 10).await), ["TASK_STATE_CHANGED"]);
    assert_positions_are_gap_free(&app).await;
    assert_counters(&app, &project).await;
}

async fn an_event_answers_the_same_by_its_interface_and_by_its_type(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    project.text_tasks(1).await;
    let own = "own_id: id own_type: type own_cursor: cursor own_at: at own_projectId: projectId";
    let query = format!(
        "query($id: ID!, $after: EventCursor) {{ events(projectId: $id, after: $after, first: 10) {{ nodes {{
            __typename id type cursor at projectId
            ... on TaskEvent {{ {own} }} ... on ProjectEvent {{ {own} }} ... on ResyncRequired {{ {own} }} }} }} }}"
    );
    let ahead = EventCursor::new(1, project.id.parse().unwrap(), vec![9_999; 8]).to_string();
    let mut kinds = std::collections::BTreeSet::new();
    for after in [Value::Null, json!(ahead)] {
        let answer = project.manager.send(&query, json!({ "id": project.id, "after": after })).await;
        for event in answer.get("events.nodes").as_array().unwrap() {
            kinds.insert(event["__typename"].as_str().unwrap().to_owned());
            for field in ["id", "type", "cursor", "at", "projectId"] {
                assert_eq!(event[field], event[format!("own_{field}")], "{field} of {event}");
                assert_ne!(event[field], Value::Null, "{field} of {event}");
            }
        }
    }
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), ["ProjectEvent", "ResyncRequired", "TaskEvent"]);
}

async fn counters_equal_a_recount_after_a_long_walk(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project_with(&app.admin().await, Media::Text, json!({ "overlap": 2 })).await;
    let ana = app.person("ana").await;
    project.set_member(&ana, json!("ANNOTATOR")).await;
    let mut tasks = project.text_tasks(20).await;
    let mut chance = Chance(20_261_124);
    for step in 0..200 {
        let some: Vec<String> = tasks.iter().filter(|_| chance.below(4) == 0).cloned().collect();
        match chance.below(8) {
            0 => {
                let new = (0..=chance.below(3))
                    .map(|n| json!({ "externalId": format!("{step}-{n}"), "data": { "text": "x" } }));
                let mut new: Vec<Value> = new.collect();
                new.push(json!({ "externalId": "text-0", "data": { "text": "known" } }));
                let made = project.create_tasks(json!(new)).await;
                tasks.extend(made.get("createTasks.tasks").as_array().unwrap().iter().map(id_of));
                tasks.sort();
                tasks.dedup();
            }
            1 if !some.is_empty() => {
                let change = json!({ "taskIds": some, "priority": chance.below(5), "clearReservation": true, "reservedForUserId": ana.id });
                project.manager.mutate("updateTasks", change, "tasks { id }").await.get("updateTasks");
            }
            2 => quarantine(&app, &project, &tasks[chance.below(tasks.len())]).await,
            3 | 4 if !some.is_empty() => {
                project.archive(some, true).await.get("archiveTasks");
            }
            5 | 6 if !some.is_empty() => {
                project.archive(some, false).await.get("archiveTasks");
            }
            _ => {
                project.archive(tasks.clone(), step % 2 == 0).await.get("archiveTasks");
            }
        }
        if step % 10 == 9 {
            assert_counters(&app, &project).await;
        }
    }
    let states: Vec<(String,)> = app.rows("SELECT DISTINCT state FROM task WHERE quarantine_reason IS NOT NULL").await;
    assert!(!states.is_empty(), "no task was ever quarantined");
    project.archive(tasks.clone(), true).await.get("archiveTasks");
    project.archive(tasks, false).await.get("archiveTasks");
    let back: Vec<(String,)> = app.rows("SELECT DISTINCT state FROM task WHERE quarantine_reason IS NOT NULL").await;
    assert_eq!(back, [("QUARANTINED".to_owned(),)], "what was quarantined is again");
    assert_counters(&app, &project).await;
}

/// Does to a waiting task what its last expiry will do.
async fn quarantine(app: &TestApp, project: &Project, task: &str) {
    let (id, project) = (app.literal(task), app.literal(&project.id));
    let waiting: Vec<(i32,)> = app.rows(&format!("SELECT stream FROM task WHERE id = {id} AND state = 'QUEUED'")).await;
    let [(stream,)] = waiting[..] else { return };
    app.sql(&format!("UPDATE task SET state = 'QUARANTINED', quarantine_reason = 'expired' WHERE id = {id}")).await;
    app.sql(&format!("UPDATE task_slot SET claimable = false WHERE task_id = {id}")).await;
    app.sql(&format!(
        "UPDATE event_stream SET tasks_queued = tasks_queued - 1, tasks_quarantined = tasks_quarantined + 1,
                claimable = claimable - 2 WHERE project_id = {project} AND number = {stream}"
    ))
    .await;
}

/// The same numbers in every run (Knuth's MMIX generator).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

async fn the_loop_of_a_task_is_told_step_by_step(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let [task] = project.text_tasks(1).await.try_into().unwrap();
    let (ana, rita) = (project.member(&app, "ana", "ANNOTATOR").await, project.member(&app, "rita", "REVIEWER").await);
    let start = project.cursor().await;
    let screen = ana.claim(&project).await;
    ana.submit(&screen).await.get("submitTask");
    let review = rita.claim_review(&project).await;
    let judged = rita.judge(&review, "ACCEPT", json!({ "comment": "fine" })).await;
    let common = "id type cursor at projectId";
    let query = format!(
        "query($id: ID!, $after: EventCursor) {{ events(projectId: $id, after: $after, first: 50) {{ nodes {{ __typename
           ... on TaskEvent {{ {common} taskId from to by {{ id }} }}
           ... on SessionEvent {{ {common} taskId slot opened why by {{ id }} }}
           ... on ReviewEvent {{ {common} taskId review {{ id slot verdict comment round at reviewer {{ id }} }} by {{ id }} }} }} }} }}"
    );
    let read = async |after: &Value| {
        let answer = project.manager.send(&query, json!({ "id": project.id, "after": after })).await;
        answer.get("events.nodes").as_array().unwrap().clone()
    };
    let told = read(&json!(start)).await;
    let step = |event: &Value| match event["__typename"].as_str().unwrap() {
        "TaskEvent" => format!("{} by {}", event["to"].as_str().unwrap(), event["by"]["id"].as_str().unwrap()),
        "SessionEvent" => {
            format!("slot {} {} by {}", event["slot"], event["opened"], event["by"]["id"].as_str().unwrap())
        }
        _ => format!("{} by {}", event["review"]["verdict"].as_str().unwrap(), event["by"]["id"].as_str().unwrap()),
    };
    let (a, r) = (&ana.id, &rita.id);
    let want = [
        ("TASK_STATE_CHANGED", format!("IN_PROGRESS by {a}")),
        ("SESSION_CHANGED", format!("slot 1 true by {a}")),
        ("TASK_STATE_CHANGED", format!("SUBMITTED by {a}")),
        ("SESSION_CHANGED", format!("slot 1 false by {a}")),
        ("TASK_STATE_CHANGED", format!("IN_REVIEW by {r}")),
        ("TASK_STATE_CHANGED", format!("ACCEPTED by {r}")),
        ("REVIEW_RECORDED", format!("ACCEPT by {r}")),
    ];
    let seen: Vec<(&str, String)> = told.iter().map(|event| (event["type"].as_str().unwrap(), step(event))).collect();
    assert_eq!(seen, want);
    assert_eq!(told[6]["review"], *judged.get("reviewTask.reviews.0"));
    let time = |value: &Value| DateTime::parse_from_rfc3339(value.as_str().unwrap()).unwrap();
    for (number, event) in told.iter().enumerate() {
        assert_eq!((&event["taskId"], &event["projectId"]), (&json!(task), &json!(project.id)), "{event:#}");
        assert!(number == 0 || time(&told[number - 1]["at"]) <= time(&event["at"]), "{event:#}");
        assert_eq!(read(&event["cursor"]).await, told[number + 1..], "behind number {number}");
    }
    // Whoever asks for what all events have gets the same.
    let all = project.all_events(Some(&start), 50).await;
    for (event, plain) in told.iter().zip(&all) {
        for field in common.split(' ') {
            assert_eq!(event[field], plain[field], "{event:#}");
        }
    }
}
