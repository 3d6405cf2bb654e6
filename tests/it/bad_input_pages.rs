//! Pages that cannot be: too large, of both ends, of none, behind a cursor of another list.

use std::collections::BTreeSet;

use concord::domain::cursor::EventCursor;
use serde_json::{Value, json};

use crate::harness::{
    Answer, Database, Media, Person, Project, TestApp, new_annotation, on_both_databases, sdl::Schema, span,
};

on_both_databases![
    every_list_of_the_schema_has_a_case,
    a_page_has_one_end_and_so_many_rows_at_most,
    a_cursor_is_good_for_its_own_list_only,
    a_page_of_events_is_bounded_too,
];

/// The paging arguments in the documents below.
const PAGE: &str = "first: $first, after: $after, last: $last, before: $before";

/// A list: where it is in the schema, how to ask for it (`PAGE` stands for the arguments), where it is in the answer.
const LISTS: [(&str, &str, &str); 16] = [
    ("Query.users", "users(PAGE) {ROWS}", "users"),
    ("Query.projects", "projects(PAGE) {ROWS}", "projects"),
    ("Query.tasks", "tasks(projectId: $project, PAGE) {ROWS}", "tasks"),
    ("Query.tasks", "tasks(projectId: $project, orderBy: CREATED, PAGE) {ROWS}", "tasks"),
    ("Query.tasks", "tasks(projectId: $project, orderBy: UPDATED, PAGE) {ROWS}", "tasks"),
    ("Query.conflicts", "conflicts(projectId: $project, PAGE) {ROWS}", "conflicts"),
    ("Project.templates", "project(id: $project) { templates(PAGE) {ROWS} }", "project.templates"),
    ("Project.members", "project(id: $project) { members(PAGE) {ROWS} }", "project.members"),
    ("Project.assets", "project(id: $project) { assets(PAGE) {ROWS} }", "project.assets"),
    ("Project.jobs", "project(id: $project) { jobs(PAGE) {ROWS} }", "project.jobs"),
    ("Task.assets", "task(id: $task) { assets(PAGE) {ROWS} }", "task.assets"),
    ("Task.annotations", "task(id: $task) { annotations(PAGE) {ROWS} }", "task.annotations"),
    ("Task.openConflicts", "task(id: $task) { openConflicts(PAGE) {ROWS} }", "task.openConflicts"),
    ("Task.assignments", "task(id: $task) { assignments(PAGE) {ROWS} }", "task.assignments"),
    ("Task.snapshots", "task(id: $task) { snapshots(PAGE) {ROWS} }", "task.snapshots"),
    (
        "Annotation.revisions",
        "node(id: $annotation) { ... on Annotation { revisions(PAGE) {ROWS} } }",
        "node.revisions",
    ),
];

/// A project of which every list has a row.
struct Scene {
    app: TestApp,
    project: Project,
    task: String,
    annotation: String,
}

impl Scene {
    async fn new(database: Database) -> Self {
        let app = TestApp::new(database).await;
        let project = app.project(&app.admin().await, Media::Text).await;
        let asset = app.upload(&project, "a.txt", "text/plain", b"hello").await;
        let made = project.create_tasks(json!([{ "assetIds": [asset] }])).await;
        let task = made.text("createTasks.tasks.0.id");
        let ana = app.person("ana").await;
        project.set_member(&ana, json!("ANNOTATOR")).await.get("setMember.member");
        let session = app.at_work(&project, &task, &ana).await;
        let second = app.second_screen(&project, &task, &session).await;
        let annotation = session.dispute(&second, span(&new_annotation(), 0, "hello")).await.annotation;
        app.snapshot(&task, 1).await;
        project.export().await;
        Self { app, project, task, annotation }
    }

    fn manager(&self) -> &Person {
        &self.project.manager
    }

    async fn page(&self, list: &str, arguments: Value) -> Answer {
        let declared = [
            "project: ID!",
            "task: ID!",
            "annotation: ID!",
            "first: Int",
            "after: String",
            "last: Int",
            "before: String",
        ];
        let used = |declared: &&&str| {
            let (name, _) = declared.split_once(':').unwrap();
            PAGE.contains(&format!("${name}")) || list.contains(&format!("${name}"))
        };
        let declared: Vec<String> = declared.iter().filter(used).map(|variable| format!("${variable}")).collect();
        let selection = list.replace("PAGE", PAGE).replace("{ROWS}", "{ edges { cursor } }");
        let mut variables = json!({ "project": self.project.id, "task": self.task, "annotation": self.annotation });
        variables.as_object_mut().unwrap().extend(arguments.as_object().unwrap().clone());
        self.manager().send(&format!("query({}) {{ {selection} }}", declared.join(", ")), variables).await
    }
}

async fn every_list_of_the_schema_has_a_case(_: Database) {
    let cases: BTreeSet<String> = LISTS.iter().map(|(place, ..)| (*place).to_owned()).collect();
    assert_eq!(cases, Schema::read().connections());
}

async fn a_page_has_one_end_and_so_many_rows_at_most(database: Database) {
    let scene = Scene::new(database).await;
    let watch = scene.project.watch().await;
    for (place, list, _) in LISTS {
        let most = if place == "Task.annotations" { 1_000 } else { 200 };
        assert_eq!(scene.page(list, json!({ "first": most })).await.code(), "", "{list}");
        for (case, field, arguments) in [
            ("one more from the front", "first", json!({ "first": most + 1 })),
            ("one more from the back", "last", json!({ "last": most + 1 })),
            ("-1 from the front", "first", json!({ "first": -1 })),
            ("-1 from the back", "last", json!({ "last": -1 })),
            ("both ends", "first", json!({ "first": 1, "last": 1 })),
            ("no end", "first", json!({})),
            ("behind no cursor at all", "after", json!({ "first": 1, "after": "garbage" })),
            ("behind an empty cursor", "after", json!({ "first": 1, "after": "" })),
            ("in front of a NUL", "before", json!({ "last": 1, "before": "\0" })),
            ("behind a cursor of 100,000 characters", "after", json!({ "first": 1, "after": "W".repeat(100_000) })),
        ] {
            let answer = scene.page(list, arguments).await;
            watch.refused(&format!("{list}: {case}"), &answer, "BAD_USER_INPUT", field).await;
        }
        let answer = scene.page(list, json!({ "first": 3_000_000_000_u32 })).await;
        watch.refused(&format!("{list}: more rows than numbers"), &answer, "LIMIT_EXCEEDED", "").await;
        let answer = scene.page(list, json!({ "first": "all" })).await;
        watch.refused(&format!("{list}: rows in words"), &answer, "BAD_USER_INPUT", "").await;
    }
    drop(scene.app);
}

async fn a_cursor_is_good_for_its_own_list_only(database: Database) {
    let scene = Scene::new(database).await;
    let watch = scene.project.watch().await;
    let mut cursors = Vec::new();
    for (_, list, place) in LISTS {
        let page = scene.page(list, json!({ "first": 1 })).await;
        cursors.push(page.text(&format!("{place}.edges.0.cursor")));
    }
    for (own, (_, list, place)) in LISTS.iter().enumerate() {
        for (other, cursor) in cursors.iter().enumerate() {
            for (field, arguments) in
                [("after", json!({ "first": 1, "after": cursor })), ("before", json!({ "last": 1, "before": cursor }))]
            {
                let answer = scene.page(list, arguments).await;
                if other == own {
                    assert!(answer.get(&format!("{place}.edges")).is_array());
                } else {
                    let case = format!("{list}: {field} a cursor of {}", LISTS[other].1);
                    watch.refused(&case, &answer, "BAD_USER_INPUT", field).await;
                }
            }
        }
    }
}

async fn a_page_of_events_is_bounded_too(database: Database) {
    let scene = Scene::new(database).await;
    let watch = scene.project.watch().await;
    let query = "query($project: ID!, $first: Int!, $after: EventCursor) { events(projectId: $project, first: $first, after: $after) { nodes { id } cursor } }";
    for (case, field, first, after) in [
        ("201 events", "first", json!(201), Value::Null),
        ("no event", "first", json!(0), Value::Null),
        ("-1 event", "first", json!(-1), Value::Null),
        ("behind no cursor at all", "after", json!(1), json!("garbage")),
        ("behind an empty cursor", "after", json!(1), json!("")),
        ("behind a number", "", json!(1), json!(7)),
        ("no size", "", Value::Null, Value::Null),
    ] {
        let variables = json!({ "project": scene.project.id, "first": first, "after": after });
        let answer = scene.manager().send(query, variables).await;
        watch.refused(case, &answer, "BAD_USER_INPUT", field).await;
    }
    // A position that cannot be continued is no fault of the reader's: it is told to read anew.
    let ahead = EventCursor::new(1, scene.project.id.parse().unwrap(), vec![9_999; 8]).to_string();
    let variables = json!({ "project": scene.project.id, "first": 1, "after": ahead });
    let answer = scene.manager().send(query, variables).await;
    assert!(answer.text("events.nodes.0.id").starts_with("cur_"), "{:#}", answer.body);
}
