//! Reading a project's streams by cursor: nothing is missed, nothing comes twice, and what cannot be continued says so.

use std::collections::{BTreeMap, BTreeSet};

use concord::domain::cursor::EventCursor;
use futures::future::join_all;
use serde_json::{Value, json};

use crate::harness::{
    Database, Media, TestApp, assert_counters, assert_positions_are_gap_free, event_types, events_of, eventually,
    id_of, on_both_databases,
};

on_both_databases![
    concurrent_writers_leave_no_gap_and_a_follower_misses_nothing,
    pages_by_cursor_give_every_event_once_and_in_order,
    a_cursor_that_cannot_be_continued_is_told_so_and_goes_on,
    events_that_vanish_while_they_are_read_are_not_skipped_in_silence,
];

async fn concurrent_writers_leave_no_gap_and_a_follower_misses_nothing(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let start = project.cursor().await;
    let writer = async |writer: usize| {
        for round in 0..6 {
            let text = |n: usize| json!({ "data": { "text": format!("{writer} {round} {n}") } });
            let made = project.create_tasks(json!((0..5).map(text).collect::<Vec<_>>())).await;
            let tasks: Vec<String> = made.get("createTasks.tasks").as_array().unwrap().iter().map(id_of).collect();
            let change = json!({ "taskIds": tasks, "priority": round });
            project.manager.mutate("updateTasks", change, "tasks { id }").await.get("updateTasks");
            project.archive(tasks, true).await.get("archiveTasks");
        }
    };
    const TOTAL: usize = 8 * 6 * 5 * 3;
    // Reads while they write: a position that is committed after a higher one would be missed by this reader.
    let follower = async {
        let mut seen = Vec::new();
        let mut after = start.clone();
        eventually("every event", async || {
            let page = project.events(Some(&after), 50).await;
            seen.extend(events_of(&page));
            after = page.text("events.cursor");
            (seen.len() >= TOTAL).then_some(())
        })
        .await;
        seen
    };
    let (_, seen) = tokio::join!(join_all((0..8).map(writer)), follower);
    let ids: BTreeSet<String> = seen.iter().map(id_of).collect();
    assert_eq!((seen.len(), ids.len()), (TOTAL, TOTAL), "each event once");
    let mut by_task: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for event in &seen {
        by_task.entry(event["taskId"].as_str().unwrap()).or_default().push(event["type"].as_str().unwrap());
    }
    for (task, types) in by_task {
        assert_eq!(types, ["TASK_CREATED", "TASK_UPDATED", "TASK_STATE_CHANGED"], "{task}");
    }
    assert_positions_are_gap_free(&app).await;
    let streams: Vec<(i64,)> = app.rows("SELECT count(*) FROM event_stream WHERE top > 0").await;
    assert_eq!(streams, [(8,)], "streams in use");
    assert_counters(&app, &project).await;
}

async fn pages_by_cursor_give_every_event_once_and_in_order(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let tasks = project.text_tasks(12).await;
    for archived in [true, false, true] {
        project.archive(tasks.clone(), archived).await.get("archiveTasks");
    }
    let whole = project.all_events(None, 200).await;
    assert_eq!(whole.len(), 2 + 12 + 36);
    for task in &tasks {
        let to: Vec<&Value> = whole.iter().filter(|event| event["taskId"] == *task).map(|event| &event["to"]).collect();
        assert_eq!(to, ["QUEUED", "ARCHIVED", "QUEUED", "ARCHIVED"], "{task}");
    }
    for first in [1, 2, 7] {
        assert_eq!(project.all_events(None, first).await, whole, "by pages of {first}");
    }
    for (place, event) in whole.iter().enumerate() {
        let behind = project.events(event["cursor"].as_str(), 200).await;
        assert_eq!(events_of(&behind), whole[place + 1..], "behind the event at {place}");
    }
}

async fn a_cursor_that_cannot_be_continued_is_told_so_and_goes_on(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let [task] = project.text_tasks(1).await.try_into().unwrap();
    let mut archived = false;
    let changed = |change: fn(&mut EventCursor)| {
        move |mut cursor: EventCursor| {
            change(&mut cursor);
            cursor
        }
    };
    let raise_bottom = "UPDATE event_stream SET bottom = 1 WHERE number = 0";
    let bump = "UPDATE instance SET epoch = epoch + 1";
    for (case, sql, change, reason) in [
        ("ahead of the top", None, changed(|cursor| cursor.positions[0] += 1), "the cursor is ahead of the database"),
        ("of fewer streams", None, changed(|cursor| cursor.positions.truncate(3)), "the cursor is of another project"),
        ("of more streams", None, changed(|cursor| cursor.positions.push(0)), "the cursor is of another project"),
        ("of an older epoch", Some(bump), changed(|_| ()), "the installation was restored since"),
        ("of a newer epoch", None, changed(|cursor| cursor.epoch += 1), "the installation was restored since"),
        (
            "below the bottom",
            Some(raise_bottom),
            changed(|cursor| cursor.positions[0] = 0),
            "the events behind the cursor are no longer kept",
        ),
    ] {
        let cursor = change(project.cursor().await.parse().unwrap());
        if let Some(sql) = sql {
            app.sql(sql).await;
        }
        let page = project.events(Some(&cursor.to_string()), 10).await;
        let [notice] = &events_of(&page)[..] else { panic!("{case}: {:#}", page.body) };
        let now = project.cursor().await;
        let told: Vec<&Value> =
            ["__typename", "type", "reason", "cursor", "id", "projectId"].map(|field| &notice[field]).to_vec();
        let want = ["ResyncRequired", "RESYNC_REQUIRED", reason, &now, &format!("cur_{now}"), &project.id];
        assert_eq!(told, want, "{case}");
        assert_eq!((page.text("events.cursor"), page.get("events.hasMore")), (now.clone(), &json!(false)), "{case}");
        archived = !archived;
        project.archive(vec![task.clone()], archived).await.get("archiveTasks");
        assert_eq!(event_types(&project.all_events(Some(&now), 1).await), ["TASK_STATE_CHANGED"], "{case}");
    }
    // Without a cursor one reads from the oldest event that is kept.
    assert_eq!(project.all_events(None, 10).await[0]["type"], "TEMPLATE_PUBLISHED");
}

async fn events_that_vanish_while_they_are_read_are_not_skipped_in_silence(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let [task] = project.text_tasks(1).await.try_into().unwrap();
    project.archive(vec![task.clone()], true).await.get("archiveTasks");
    // As a reader sees it that looked at the bottom before retention raised it and reads after.
    let oldest = format!(
        "DELETE FROM event WHERE type <> 'TASK_STATE_CHANGED' AND stream = (SELECT stream FROM task WHERE id = {})",
        app.literal(&task)
    );
    app.sql(&oldest).await;
    let page = project.events(None, 10).await;
    assert_eq!(event_types(&events_of(&page)), ["RESYNC_REQUIRED"]);
    assert_eq!(page.text("events.cursor"), project.cursor().await);
}
