//! Counters against the rows they count.

use std::collections::BTreeMap;

use serde_json::json;

use crate::harness::{Project, TestApp};

/// `taskCounts`, `stats.claimable` and `stats.openConflicts` of a project say what a recount of its rows says.
pub(crate) async fn assert_counters(app: &TestApp, project: &Project) {
    let query = "query($id: ID!) { project(id: $id) { taskCounts { state count } stats { claimable openConflicts } } }";
    let seen = project.manager.send(query, json!({ "id": project.id })).await;
    let counted: BTreeMap<String, i64> = seen
        .get("project.taskCounts")
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["state"].as_str().unwrap().to_owned(), entry["count"].as_i64().unwrap()))
        .filter(|(_, count)| *count != 0)
        .collect();
    let id = app.literal(&project.id);
    let states = format!("SELECT state, count(*) FROM task WHERE project_id = {id} GROUP BY state");
    assert_eq!(counted, app.rows(&states).await.into_iter().collect(), "tasks by state");
    let claimable = seen.get("project.stats.claimable").as_i64().unwrap();
    let free = format!("SELECT count(*) FROM task_slot WHERE project_id = {id} AND state = 'FREE'");
    let open = "task_id IN (SELECT id FROM task WHERE state NOT IN ('ARCHIVED', 'QUARANTINED'))";
    for (case, condition) in [("slots of open tasks", open), ("slots the queue hands out", "claimable")] {
        let recount: Vec<(i64,)> = app.rows(&format!("{free} AND {condition}")).await;
        assert_eq!([(claimable,)], recount[..], "{case}");
    }
    let open = seen.get("project.stats.openConflicts").as_i64().unwrap();
    let among = format!("FROM conflict WHERE project_id = {id} AND state = 'OPEN'");
    let recount: Vec<(i64,)> = app.rows(&format!("SELECT count(*) {among}")).await;
    assert_eq!([(open,)], recount[..], "open conflicts");
    let of_tasks = format!(
        "SELECT count(*) FROM task WHERE project_id = {id}
         AND open_conflicts <> (SELECT count(*) {among} AND conflict.task_id = task.id)"
    );
    assert_eq!(app.rows::<(i64,)>(&of_tasks).await, [(0,)], "tasks that count their open conflicts wrong");
}
