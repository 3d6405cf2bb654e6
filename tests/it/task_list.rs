//! Which tasks the filter of the list gives, and in which order.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Database, Drawn, Media, Person, Project, TestApp, on_both_databases};

on_both_databases![
    each_filter_gives_the_tasks_it_names,
    all_filters_given_must_hold,
    tasks_come_by_priority_by_age_or_by_their_last_change,
    an_order_goes_on_from_page_to_page_both_ways,
];

/// Five tasks that differ in everything a filter looks at; the list calls them 0 to 4.
struct Desk {
    app: TestApp,
    project: Project,
    ana: Person,
    ben: Person,
    tasks: Vec<String>,
    /// When task 2 was made, in the middle of all.
    noon: Value,
}

impl Desk {
    async fn new(database: Database) -> Self {
        let app = TestApp::new(database).await;
        let project = app.project(&app.admin().await, Media::Text).await;
        let (ana, ben) = (app.person("ana").await, app.person("ben").await);
        let mut tasks = Vec::new();
        let mut noon = Value::Null;
        for n in 0..5 {
            app.advance(Duration::from_secs(60));
            let priority = [0, 5, 0, -5, 5][n];
            let task = json!([{ "externalId": format!("ext-{n}"), "data": { "text": "a" }, "priority": priority }]);
            let made = project.create_tasks(task).await;
            tasks.push(made.text("createTasks.tasks.0.id"));
            if n == 2 {
                let query = "query($id: ID!) { task(id: $id) { createdAt updatedAt } }";
                noon = project.manager.send(query, json!({ "id": tasks[2] })).await.get("task").clone();
            }
        }
        Self { app, project, ana, ben, tasks, noon }
    }

    /// The numbers of the tasks that `arguments` give, in order.
    async fn list(&self, arguments: Value) -> Vec<usize> {
        let query = "query($id: ID!, $filter: TaskFilter, $order: TaskOrder) {
            tasks(projectId: $id, filter: $filter, orderBy: $order, first: 50) { totalCount nodes { id } } }";
        let variables = json!({ "id": self.project.id, "filter": arguments["filter"], "order": arguments["order"] });
        let answer = self.project.manager.send(query, variables).await;
        let numbers = self.numbers(answer.get("tasks.nodes"));
        assert_eq!(answer.get("tasks.totalCount"), numbers.len(), "{arguments}");
        numbers
    }

    fn numbers(&self, nodes: &Value) -> Vec<usize> {
        let number = |node: &Value| self.tasks.iter().position(|task| node["id"] == *task).unwrap();
        nodes.as_array().unwrap().iter().map(number).collect()
    }
}

async fn each_filter_gives_the_tasks_it_names(database: Database) {
    let desk = Desk::new(database).await;
    let (app, tasks) = (&desk.app, &desk.tasks);
    app.set_task(&tasks[1], "state = 'ACCEPTED', round = 2").await;
    app.set_task(&tasks[2], "state = 'SKIPPED', round = 3, open_conflicts = 1").await;
    app.set_slot(&tasks[1], "state = 'ACCEPTED'").await;
    app.set_slot(&tasks[2], "state = 'SKIPPED'").await;
    app.held_by(&tasks[3], &desk.ana).await;
    app.held_by(&tasks[4], &desk.ben).await;
    for (task, kind, label, source, deleted) in [
        (0, "TEXT_SPAN", "cell", "HUMAN", false),
        (1, "CLASSIFICATION", "dust", "MODEL", false),
        (2, "TEXT_SPAN", "cell", "IMPORT", true),
    ] {
        app.annotated_by(&tasks[task], &desk.ana, Drawn { kind, label, source, deleted }).await;
    }
    app.advance(Duration::from_secs(60));
    let touch = json!({ "taskIds": [tasks[0]], "priority": 1 });
    desk.project.manager.mutate("updateTasks", touch, "tasks { id }").await.get("updateTasks");

    for (case, filter, want) in [
        ("no filter", json!({}), vec![0, 1, 2, 3, 4]),
        ("a state", json!({ "states": ["SKIPPED"] }), vec![2]),
        ("two states", json!({ "states": ["SKIPPED", "ACCEPTED"] }), vec![1, 2]),
        ("none of the states", json!({ "states": [] }), vec![]),
        ("a state of a slot", json!({ "slotStates": ["FREE"] }), vec![0, 3, 4]),
        ("two states of slots", json!({ "slotStates": ["ACCEPTED", "SKIPPED"] }), vec![1, 2]),
        ("external ids, one unknown", json!({ "externalIds": ["ext-3", "ext-0", "ext-9"] }), vec![0, 3]),
        ("whoever held it", json!({ "annotatorId": desk.ana.id }), vec![3]),
        ("another who held it", json!({ "annotatorId": desk.ben.id }), vec![4]),
        ("a label, not that of a deleted annotation", json!({ "label": "cell" }), vec![0]),
        ("another label", json!({ "label": "dust" }), vec![1]),
        ("a label that nothing has", json!({ "label": "ce%" }), vec![]),
        ("a kind, not that of a deleted annotation", json!({ "kinds": ["TEXT_SPAN"] }), vec![0]),
        ("two kinds", json!({ "kinds": ["TEXT_SPAN", "CLASSIFICATION"] }), vec![0, 1]),
        ("a source", json!({ "source": "MODEL" }), vec![1]),
        ("a source of a deleted annotation", json!({ "source": "IMPORT" }), vec![]),
        ("rounds", json!({ "rounds": [1, 3] }), vec![0, 2, 3, 4]),
        ("an open conflict", json!({ "hasOpenConflict": true }), vec![2]),
        ("no open conflict", json!({ "hasOpenConflict": false }), vec![0, 1, 3, 4]),
        ("made after a time, not at it", json!({ "createdAfter": desk.noon["createdAt"] }), vec![3, 4]),
        ("changed after a time, not at it", json!({ "updatedAfter": desk.noon["updatedAt"] }), vec![0, 3, 4]),
    ] {
        assert_eq!(desk.list(json!({ "filter": filter, "order": "CREATED" })).await, want, "{case}");
    }
}

async fn all_filters_given_must_hold(database: Database) {
    let desk = Desk::new(database).await;
    desk.app.set_task(&desk.tasks[4], "round = 2").await;
    for (case, filter, want) in [
        ("both hold", json!({ "rounds": [2], "createdAfter": desk.noon["createdAt"] }), vec![4]),
        ("one does not", json!({ "rounds": [2], "externalIds": ["ext-3"] }), vec![]),
    ] {
        assert_eq!(desk.list(json!({ "filter": filter })).await, want, "{case}");
    }
}

async fn tasks_come_by_priority_by_age_or_by_their_last_change(database: Database) {
    let desk = Desk::new(database).await;
    desk.app.advance(Duration::from_secs(60));
    let touch = json!({ "taskIds": [desk.tasks[2]], "priority": 0 });
    desk.project.manager.mutate("updateTasks", touch, "tasks { id }").await.get("updateTasks");
    for (order, want) in [("PRIORITY", [1, 4, 0, 2, 3]), ("CREATED", [0, 1, 2, 3, 4]), ("UPDATED", [2, 4, 3, 1, 0])] {
        assert_eq!(desk.list(json!({ "order": order })).await, want, "{order}");
    }
    assert_eq!(desk.list(json!({})).await, [1, 4, 0, 2, 3], "without an order: by priority");
}

async fn an_order_goes_on_from_page_to_page_both_ways(database: Database) {
    let desk = Desk::new(database).await;
    for order in ["PRIORITY", "CREATED", "UPDATED"] {
        let whole = desk.list(json!({ "order": order })).await;
        for (size, beyond) in [("first", "after"), ("last", "before")] {
            let query = format!(
                "query($id: ID!, $order: TaskOrder, $cursor: String) {{ tasks(projectId: $id, orderBy: $order, {size}: 2, {beyond}: $cursor) {{
                    nodes {{ id }} pageInfo {{ startCursor endCursor hasNextPage hasPreviousPage }} }} }}"
            );
            let (mut seen, mut cursor) = (Vec::new(), Value::Null);
            loop {
                let variables = json!({ "id": desk.project.id, "order": order, "cursor": cursor });
                let page = desk.project.manager.send(&query, variables).await;
                let mut rows = desk.numbers(page.get("tasks.nodes"));
                let info = page.get("tasks.pageInfo");
                let (more, next) = if size == "first" {
                    seen.append(&mut rows);
                    ("hasNextPage", "endCursor")
                } else {
                    rows.append(&mut seen);
                    seen = rows;
                    ("hasPreviousPage", "startCursor")
                };
                if info[more] == false {
                    break;
                }
                cursor = info[next].clone();
            }
            assert_eq!(seen, whole, "{order} by {size}");
        }
    }
}
