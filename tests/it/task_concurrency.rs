//! Managers who do the same thing at the same moment.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use sea_orm::{ConnectionTrait, TransactionTrait};
use serde_json::{Value, json};

use crate::harness::{Database, Media, Project, TestApp, assert_counters, eventually, id_of, on_both_databases};

on_both_databases![
    tasks_made_by_eight_at_once_are_made_once,
    tasks_archived_and_unarchived_by_eight_at_once_end_in_one_state,
    templates_published_at_once_get_versions_in_a_row;
    only postgres:
    a_manager_removed_while_a_request_waits_is_none_any_more,
    batches_that_meet_halfway_do_not_wait_for_one_another,
];

const WRITERS: usize = 8;

async fn tasks_made_by_eight_at_once_are_made_once(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    for round in 0..3 {
        let answers = join_all((0..WRITERS).map(|writer| {
            let mut tasks: Vec<Value> = (0..100)
                .map(|n| json!({ "externalId": format!("{round}-{n}"), "data": { "text": format!("by {writer}") } }))
                .collect();
            // Everybody comes to them in another order.
            tasks.rotate_left(writer * 13);
            if writer % 2 == 1 {
                tasks.reverse();
            }
            project.create_tasks(json!(tasks))
        }))
        .await;
        let mut created = 0;
        let mut ids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for answer in &answers {
            let count = |field: &str| answer.get(&format!("createTasks.{field}")).as_i64().unwrap();
            assert_eq!(count("created") + count("existing"), 100);
            created += count("created");
            for task in answer.get("createTasks.tasks").as_array().unwrap() {
                ids.entry(task["externalId"].to_string()).or_default().insert(id_of(task));
            }
        }
        assert_eq!(created, 100, "made by all together");
        assert_eq!(ids.len(), 100, "external ids in the answers");
        assert!(ids.values().all(|ids| ids.len() == 1), "one task an external id: {ids:?}");
    }
    assert_counters(&app, &project).await;
}

/// Two batches of the same tasks in opposite orders are held up at the one in the middle. Came they to their tasks in
/// the order they were sent, each would then hold what the other needs next.
async fn a_manager_removed_while_a_request_waits_is_none_any_more(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let max = app.person("max").await;
    project.set_member(&max, json!("MANAGER")).await.get("setMember");
    let run_by_max = Project { manager: max.clone(), ..project.clone() };
    let gate = app.database.connect().await.begin().await.unwrap();
    let (project_id, max_id) = (app.literal(&project.id), app.literal(&max.id));
    gate.execute_unprepared(&format!("SELECT 1 FROM project WHERE id = {project_id} FOR UPDATE")).await.unwrap();
    let out = format!("DELETE FROM project_member WHERE project_id = {project_id} AND user_id = {max_id}");
    gate.execute_unprepared(&out).await.unwrap();
    let opened = async {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
          AND wait_event_type = 'Lock'";
        eventually("the request to wait", async || (app.rows::<(i64,)>(waiting).await == [(1,)]).then_some(())).await;
        gate.commit().await.unwrap();
    };
    let late = json!([{ "data": { "text": "too late" } }]);
    let (answer, ()) = tokio::join!(run_by_max.create_tasks(late), opened);
    answer.assert_error("NOT_FOUND", "projectId");
    let query = "query($id: ID!) { tasks(projectId: $id, first: 1) { totalCount } }";
    assert_eq!(project.manager.send(query, json!({ "id": project.id })).await.get("tasks.totalCount"), 0);
}

async fn batches_that_meet_halfway_do_not_wait_for_one_another(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    project.create_tasks(json!([{ "externalId": "first", "data": { "text": "x" } }])).await.get("createTasks");
    let gate = app.database.connect().await.begin().await.unwrap();
    let columns = "project_id, template_id, state, priority, version, round, data, stream, review_epoch, expiries,
      open_conflicts, created_by, created_at, updated_at";
    let middle =
        format!("INSERT INTO task (id, external_id, {columns}) SELECT gen_random_uuid(), '5', {columns} FROM task");
    gate.execute_unprepared(&middle).await.unwrap();
    let tasks = |numbers: &mut dyn Iterator<Item = u32>| {
        json!(numbers.map(|n| json!({ "externalId": n.to_string(), "data": { "text": "x" } })).collect::<Vec<_>>())
    };
    let batches = [tasks(&mut (0..10)), tasks(&mut (0..10).rev())].map(|tasks| project.create_tasks(tasks));
    let opened = async {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
          AND wait_event_type = 'Lock'";
        eventually("both to wait", async || (app.rows::<(i64,)>(waiting).await == [(2,)]).then_some(())).await;
        gate.rollback().await.unwrap();
    };
    let (answers, ()) = tokio::join!(join_all(batches), opened);
    let created: i64 = answers.iter().map(|answer| answer.get("createTasks.created").as_i64().unwrap()).sum();
    assert_eq!(created, 10, "made by both together");
}

async fn tasks_archived_and_unarchived_by_eight_at_once_end_in_one_state(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project_with(&app.admin().await, Media::Text, json!({ "overlap": 2 })).await;
    let tasks = project.text_tasks(60).await;
    for _ in 0..5 {
        let answers = join_all((0..WRITERS).map(|writer| {
            // Each shares most tasks with its neighbours and names them in the opposite order.
            let mut some: Vec<&String> = tasks.iter().skip(writer * 3).take(35).collect();
            if writer % 2 == 1 {
                some.reverse();
            }
            project.archive(some.into_iter().cloned().collect(), writer % 4 < 2)
        }))
        .await;
        for (writer, answer) in answers.iter().enumerate() {
            let want = if writer % 4 < 2 { "ARCHIVED" } else { "QUEUED" };
            let moved = answer.get("archiveTasks.tasks").as_array().unwrap();
            assert!(moved.len() == 35 && moved.iter().all(|task| task["state"] == want), "{writer}: {moved:?}");
        }
        assert_counters(&app, &project).await;
    }
}

async fn templates_published_at_once_get_versions_in_a_row(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let published = join_all((0..WRITERS).map(|_| project.publish(Media::Text))).await;
    let version = |answer: &crate::harness::Answer| answer.get("publishTemplate.template.version").as_u64().unwrap();
    let versions: BTreeSet<u64> = published.iter().map(version).collect();
    assert_eq!(versions, (2..2 + WRITERS as u64).collect());
    let query = "query($id: ID!) { project(id: $id) { template { version } } }";
    let seen = project.manager.send(query, json!({ "id": project.id })).await;
    assert_eq!(seen.get("project.template.version"), 1 + WRITERS);
}
