//! Every connection, walked from both ends by pages of several sizes, and while rows come and go.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{
    Database, Media, Person, Project, TestApp, box_at, id_of, new_annotation, on_both_databases, span,
};

on_both_databases![
    every_list_is_walked_forward_and_backward_without_repeating_or_hiding_a_row,
    every_list_has_its_order,
    pages_below_many_parents_are_each_parents_own,
    a_page_between_two_cursors_is_cut_from_either_end,
    rows_that_come_and_go_between_pages_neither_repeat_nor_hide_others,
    lists_are_counted_up_to_ten_thousand,
];

/// One list of the API: what it is called, the document around it, where the answer has it, what names a row.
#[derive(Clone)]
struct List {
    case: &'static str,
    query: String,
    path: &'static str,
    rows: usize,
    variables: Value,
}

/// The arguments of one page.
#[derive(Clone, Debug, Default)]
struct Arguments {
    first: Option<usize>,
    after: Option<String>,
    last: Option<usize>,
    before: Option<String>,
}

/// One page as it came.
struct Page {
    nodes: Vec<Value>,
    cursors: Vec<String>,
    has_next: bool,
    has_previous: bool,
    total: Value,
}

impl List {
    /// `field` is what stands before the arguments of the page, `around` the field it stands in.
    fn new(case: &'static str, around: &str, field: &str, node: &str, path: &'static str, rows: usize) -> Self {
        let field = field.strip_suffix(')').map_or_else(|| format!("{field}("), |open| format!("{open}, "));
        let page = format!(
            "{field}first: $first, after: $after, last: $last, before: $before) {{
               totalCount nodes {{ {node} }} edges {{ cursor node {{ {node} }} }}
               pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }}
             }}"
        );
        let inner = if around.is_empty() {
            page
        } else {
            format!("{around} {{ {page} }}{}", "}".repeat(around.matches('{').count()))
        };
        let query = format!("query($id: ID, $first: Int, $after: String, $last: Int, $before: String) {{ {inner} }}")
            .replace("$id: ID,", if inner.contains("$id") { "$id: ID!," } else { "" });
        Self { case, query, path, rows, variables: json!({}) }
    }

    fn of(mut self, id: &str) -> Self {
        self.variables = json!({ "id": id });
        self
    }

    async fn page(&self, person: &Person, page: Arguments) -> Page {
        let mut variables = self.variables.clone();
        let pairs = [
            ("first", json!(page.first)),
            ("after", json!(page.after)),
            ("last", json!(page.last)),
            ("before", json!(page.before)),
        ];
        variables.as_object_mut().unwrap().extend(pairs.map(|(name, value)| (name.to_owned(), value)));
        let answer = person.send(&self.query, variables).await;
        let list = answer.get(self.path);
        let nodes = list["nodes"].as_array().unwrap().clone();
        let edges = list["edges"].as_array().unwrap();
        let of_edges: Vec<Value> = edges.iter().map(|edge| edge["node"].clone()).collect();
        assert_eq!(of_edges, nodes, "{}: nodes of edges", self.case);
        let cursors: Vec<String> = edges.iter().map(|edge| edge["cursor"].as_str().unwrap().to_owned()).collect();
        let info = &list["pageInfo"];
        assert_eq!(info["startCursor"], json!(cursors.first()), "{}: startCursor", self.case);
        assert_eq!(info["endCursor"], json!(cursors.last()), "{}: endCursor", self.case);
        Page {
            nodes,
            cursors,
            has_next: info["hasNextPage"].as_bool().unwrap(),
            has_previous: info["hasPreviousPage"].as_bool().unwrap(),
            total: list["totalCount"].clone(),
        }
    }

    async fn whole(&self, person: &Person) -> Vec<Value> {
        self.page(person, Arguments { first: Some(200), ..Arguments::default() }).await.nodes
    }

    /// Walks from the front; what is behind the last row is empty and says that rows stand before it.
    async fn walk_forward(&self, person: &Person, whole: &[Value], size: usize) {
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let page = self.page(person, Arguments { first: Some(size), after, ..Arguments::default() }).await;
            let case = format!("{} by {size}, after {}", self.case, seen.len());
            assert_eq!(page.has_previous, !seen.is_empty(), "{case}: hasPreviousPage");
            assert_eq!(page.total, self.rows, "{case}: totalCount");
            seen.extend(page.nodes);
            assert_eq!(seen, whole[..seen.len()], "{case}");
            assert_eq!(page.has_next, seen.len() < whole.len(), "{case}: hasNextPage");
            after = page.cursors.last().cloned();
            if !page.has_next {
                break;
            }
        }
        assert_eq!(seen.len(), whole.len(), "{} by {size}", self.case);
        let behind = self.page(person, Arguments { first: Some(size), after, ..Arguments::default() }).await;
        let ends = (behind.nodes.len(), behind.has_previous, behind.has_next);
        assert_eq!(ends, (0, true, false), "{}: behind the last", self.case);
    }

    /// Walks from the back.
    async fn walk_backward(&self, person: &Person, whole: &[Value], size: usize) {
        let mut left = whole.len();
        let mut before = None;
        loop {
            let page = self.page(person, Arguments { last: Some(size), before, ..Arguments::default() }).await;
            let case = format!("{} backward by {size}, before {left}", self.case);
            assert_eq!(page.has_next, left < whole.len(), "{case}: hasNextPage");
            assert_eq!(page.nodes, whole[left.saturating_sub(size)..left], "{case}");
            left = left.saturating_sub(size);
            assert_eq!(page.has_previous, left > 0, "{case}: hasPreviousPage");
            before = page.cursors.first().cloned();
            if !page.has_previous {
                break;
            }
        }
        let behind = self.page(person, Arguments { last: Some(size), before, ..Arguments::default() }).await;
        let ends = (behind.nodes.len(), behind.has_previous, behind.has_next);
        assert_eq!(ends, (0, false, true), "{}: in front of the first", self.case);
    }
}

/// A project with a few rows in every list, and lists of all kinds over it.
async fn every_list(app: &TestApp) -> (Person, Vec<List>) {
    let boss = app.admin().await;
    let project = app.project(&boss, Media::Image).await;
    for _ in 0..9 {
        project.publish(Media::Image).await;
    }
    for n in 0..9 {
        let person = app.person(&format!("person{n}")).await;
        project.set_member(&person, json!("ANNOTATOR")).await;
    }
    let assets = app.ready_images(&project, 10).await;
    // In another order than that of their ids.
    let mut places = assets.clone();
    places.rotate_left(4);
    places.swap(1, 6);
    let shown = project.create_tasks(json!([{ "assetIds": places }])).await.text("createTasks.tasks.0.id");
    // Annotations, one with revisions, and snapshots.
    let session = app.at_work(&project, &shown, &boss).await;
    let ids: Vec<String> = (0..10).map(|_| new_annotation()).collect();
    let creations: Vec<Value> = ids.iter().map(|id| box_on(id, &assets[3])).collect();
    session.save(json!(creations)).await.get("saveAnnotations");
    let rename = |seen: i64| json!({ "update": { "id": ids[4], "base": session.seen(seen), "label": "dust" } });
    session.save(json!((1..10).map(rename).collect::<Vec<_>>())).await.get("saveAnnotations");
    for _ in 0..10 {
        app.snapshot(&shown, 1).await;
    }
    for _ in 0..10 {
        project.export().await;
    }
    let other = app.project(&boss, Media::Text).await;
    for _ in 0..7 {
        app.project(&boss, Media::Text).await;
    }
    let third = app.project(&boss, Media::Text).await;
    let [disputed] = third.text_tasks(1).await.try_into().unwrap();
    let session = app.at_work(&third, &disputed, &boss).await;
    let second = app.second_screen(&third, &disputed, &session).await;
    let creations = (0..11).map(|_| span(&new_annotation(), 0, "cell")).collect();
    let last = session.dispute_all(&second, creations).await.pop().unwrap();
    boss.resolve(&last.conflict, &last.now, "CURRENT", Value::Null).await.get("resolveConflict");
    // Priorities with ties, in no order; the latest change is in the middle of the list.
    let priorities = [3, -1, 3, 0, 0, 3, 0, -1, 0, 3, 7];
    let tasks = priorities.map(|priority| json!({ "data": { "text": "x" }, "priority": priority }));
    let made = other.create_tasks(json!(tasks)).await;
    let made: Vec<String> = made.get("createTasks.tasks").as_array().unwrap().iter().map(id_of).collect();
    for changed in [&made[7..8], &made[2..5], &made[5..6]] {
        other.archive(changed.to_vec(), true).await.get("archiveTasks");
    }
    let of_project = |case, field, node, path, rows| List::new(case, "project(id: $id)", field, node, path, rows);
    let in_order = |case, order| {
        let field = format!("tasks(projectId: $id{order})");
        List::new(case, "", &field, "id priority updatedAt", "tasks", 12).of(&other.id)
    };
    let ana = app.person("ana").await;
    other.set_member(&ana, json!("ANNOTATOR")).await.get("setMember");
    let [handled] = other.named_tasks("handled", 1).await.try_into().unwrap();
    for _ in 0..10 {
        let at_work = app.at_work(&other, &handled, &ana).await;
        at_work.edit(span(&new_annotation(), 0, "cell")).await;
        at_work.person.release(&at_work.screen).await.get("releaseTask");
    }
    other.archive(vec![handled.clone()], true).await.get("archiveTasks");
    // The boss, the installation's first admin, and ten people.
    let lists = vec![
        List::new("users", "", "users", "id", "users", 12),
        List::new("projects", "", "projects", "id", "projects", 10),
        in_order("tasks", ""),
        in_order("tasks by priority", ", orderBy: PRIORITY"),
        in_order("tasks by creation", ", orderBy: CREATED"),
        in_order("tasks by change", ", orderBy: UPDATED"),
        in_order("tasks, filtered", ", filter: { states: [QUEUED, ARCHIVED] }"),
        of_project("templates", "templates", "id version", "project.templates", 10).of(&project.id),
        of_project("members", "members", "user { id }", "project.members", 10).of(&project.id),
        of_project("assets", "assets", "id", "project.assets", 10).of(&project.id),
        of_project("jobs", "jobs", "id", "project.jobs", 10).of(&project.id),
        List::new("annotations", "task(id: $id)", "annotations", "id", "task.annotations", 10).of(&shown),
        List::new("snapshots", "task(id: $id)", "snapshots", "id", "task.snapshots", 10).of(&shown),
        List::new("revisions", "node(id: $id) { ... on Annotation", "revisions", "revision", "node.revisions", 10)
            .of(&ids[4]),
        List::new("conflicts", "", "conflicts(projectId: $id)", "id state", "conflicts", 11).of(&third.id),
        List::new("open conflicts", "", "conflicts(projectId: $id, state: OPEN)", "id state", "conflicts", 10)
            .of(&third.id),
        List::new("conflicts of a task", "task(id: $id)", "openConflicts", "id", "task.openConflicts", 10)
            .of(&disputed),
        List::new("turns of a task", "task(id: $id)", "assignments", "id", "task.assignments", 10).of(&handled),
        List::new("annotations of a handled task", "task(id: $id)", "annotations", "id", "task.annotations", 10)
            .of(&handled),
        List::new("assets of a task", "task(id: $id)", "assets", "id", "task.assets", 10).of(&shown),
    ];
    let by_place = lists.last().unwrap().whole(&boss).await;
    assert_eq!(by_place.iter().map(id_of).collect::<Vec<_>>(), places, "the assets of a task in its own order");
    (boss, lists)
}

fn box_on(id: &str, asset: &str) -> Value {
    let mut edit = box_at(id, 1.0);
    edit["create"]["assetId"] = json!(asset);
    edit
}

async fn every_list_is_walked_forward_and_backward_without_repeating_or_hiding_a_row(database: Database) {
    let app = TestApp::new(database).await;
    let (boss, lists) = every_list(&app).await;
    for list in &lists {
        let whole = list.whole(&boss).await;
        assert_eq!(whole.len(), list.rows, "{}", list.case);
        for size in [1, 2, 7, list.rows] {
            list.walk_forward(&boss, &whole, size).await;
            list.walk_backward(&boss, &whole, size).await;
        }
    }
}

async fn every_list_has_its_order(database: Database) {
    let app = TestApp::new(database).await;
    let (boss, lists) = every_list(&app).await;
    for list in &lists {
        let whole = list.whole(&boss).await;
        let mut sorted = whole.clone();
        let text = |node: &Value, field: &str| node[field].as_str().unwrap_or_default().to_owned();
        match list.case {
            "tasks" | "tasks by priority" | "tasks, filtered" => {
                sorted.sort_by_key(|node| (-node["priority"].as_i64().unwrap(), text(node, "id")));
            }
            "tasks by change" => {
                sorted.sort_by_key(|node| text(node, "id"));
                sorted.sort_by_key(|node| std::cmp::Reverse(time(node)));
            }
            "templates" => sorted.sort_by_key(|node| -node["version"].as_i64().unwrap()),
            "revisions" => sorted.sort_by_key(|node| node["revision"].as_i64()),
            "members" => sorted.sort_by_key(|node| text(&node["user"], "id")),
            "assets of a task" => continue,
            _ => sorted.sort_by_key(|node| text(node, "id")),
        }
        assert_eq!(whole, sorted, "{}", list.case);
    }
}

fn time(task: &Value) -> chrono::DateTime<chrono::FixedOffset> {
    chrono::DateTime::parse_from_rfc3339(task["updatedAt"].as_str().unwrap()).unwrap()
}

async fn pages_below_many_parents_are_each_parents_own(database: Database) {
    let app = TestApp::new(database).await;
    let boss = app.admin().await;
    let mut want = Vec::new();
    for count in [5, 0, 2, 3] {
        let project = app.project(&boss, Media::Image).await;
        let assets = if count == 0 { Vec::new() } else { app.ready_images(&project, count).await };
        let page: Vec<Value> = assets.iter().take(3).map(|id| json!({ "id": id })).collect();
        want.push(json!({
            "id": project.id,
            "assets": { "totalCount": count, "nodes": page, "pageInfo": { "hasNextPage": count > 3 } },
        }));
    }
    let query = "{ projects(first: 10) { nodes { id
        assets(first: 3) { totalCount nodes { id } pageInfo { hasNextPage } } } } }";
    assert_eq!(boss.send(query, json!({})).await.get("projects.nodes"), &json!(want));
}

async fn a_page_between_two_cursors_is_cut_from_either_end(database: Database) {
    let app = TestApp::new(database).await;
    let (boss, lists) = every_list(&app).await;
    for list in &lists {
        let whole = list.page(&boss, Arguments { first: Some(10), ..Arguments::default() }).await;
        let between = |first, last| Arguments {
            first,
            last,
            after: Some(whole.cursors[1].clone()),
            before: Some(whole.cursors[7].clone()),
        };
        for (case, arguments, want) in [
            ("all", between(Some(50), None), 2..7),
            ("from the front", between(Some(2), None), 2..4),
            ("from the back", between(None, Some(2)), 5..7),
            ("none", between(Some(0), None), 2..2),
        ] {
            let page = list.page(&boss, arguments).await;
            assert_eq!(page.nodes, whole.nodes[want], "{}, {case}", list.case);
        }
    }
}

async fn rows_that_come_and_go_between_pages_neither_repeat_nor_hide_others(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let make = async |priorities: &[i32]| -> Vec<String> {
        let tasks = priorities.iter().map(|priority| json!({ "data": { "text": "x" }, "priority": priority }));
        let made = project.create_tasks(json!(tasks.collect::<Vec<_>>())).await;
        made.get("createTasks.tasks").as_array().unwrap().iter().map(id_of).collect()
    };
    let list = List::new("tasks", "", "tasks(projectId: $id)", "id", "tasks", 0).of(&project.id);
    let next = async |after: Option<String>| {
        list.page(&project.manager, Arguments { first: Some(3), after, ..Arguments::default() }).await
    };
    let tasks = make(&[5, 5, 5, 5, 3, 3, 3, 1, 1]).await;
    let first = next(None).await;
    let mut seen: Vec<String> = first.nodes.iter().map(id_of).collect();
    // In front of the page, among those of the same priority behind it, further back; the row of the cursor itself goes.
    let in_front = make(&[9]).await;
    let behind = make(&[5, 1]).await;
    let gone = [tasks[0].clone(), tasks[2].clone(), tasks[5].clone()];
    app.sql(&format!("DELETE FROM task WHERE id IN ({})", app.literals(&gone))).await;
    let mut after = first.cursors.last().cloned();
    loop {
        let page = next(after).await;
        seen.extend(page.nodes.iter().map(id_of));
        if !page.has_next {
            break;
        }
        after = page.cursors.last().cloned();
    }
    let rest = [&tasks[3], &behind[0], &tasks[4], &tasks[6], &tasks[7], &tasks[8], &behind[1]];
    let want: Vec<&String> = tasks[..3].iter().chain(rest).collect();
    assert_eq!(seen.iter().collect::<Vec<_>>(), want);
    assert!(!seen.contains(&in_front[0]));
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), seen.len(), "no row twice");
}

async fn lists_are_counted_up_to_ten_thousand(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    project.text_tasks(1).await;
    app.ready_images(&project, 1).await;
    let counts = async |project: &Project| {
        let query = "query($id: ID!) { tasks(projectId: $id, first: 1) { totalCount }
          project(id: $id) { assets(first: 1) { totalCount } } }";
        let seen = project.manager.send(query, json!({ "id": project.id })).await;
        (seen.get("tasks.totalCount").clone(), seen.get("project.assets.totalCount").clone())
    };
    let (random, copies) = if app.database.is_sqlite() {
        ("randomblob(16)", "lower(hex(randomblob(16)))")
    } else {
        ("gen_random_uuid()", "gen_random_uuid()::text")
    };
    let multiply = async |count: u32| {
        let many = format!(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}),
               one AS (SELECT * FROM {{}} LIMIT 1)"
        );
        let tasks = "project_id, template_id, state, priority, version, round, data, stream, review_epoch, expiries,
          open_conflicts, created_by, created_at, updated_at";
        let assets = "project_id, state, file_name, declared_content_type, declared_size_bytes, created_by, created_at";
        let with = |table: &str| many.replace("{}", table);
        let insert_tasks =
            format!("INSERT INTO task (id, {tasks}) {} SELECT {random}, {tasks} FROM one, n", with("task"));
        app.sql(&insert_tasks).await;
        let insert_assets = format!(
            "INSERT INTO asset (id, storage_key, {assets}) {} SELECT {random}, {copies}, {assets} FROM one, n",
            with("asset")
        );
        app.sql(&insert_assets).await;
    };
    multiply(9_999).await;
    assert_eq!(counts(&project).await, (json!(10_000), json!(10_000)));
    multiply(1).await;
    assert_eq!(counts(&project).await, (Value::Null, Value::Null));
}
