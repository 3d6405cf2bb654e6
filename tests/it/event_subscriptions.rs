//! Following a project over the socket: each event once and in order, the filters, the notices, and the end for those who
//! may not see it any more.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use concord::domain::cursor::EventCursor;
use futures::future::join_all;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::harness::{
    Database, Media, Person, Project, Socket, TestApp, event_types, eventually, id_of, on_both_databases, random_like,
};

on_both_databases![
    events_arrive_as_they_happen,
    events_do_not_wait_for_the_next_look,
    an_event_shows_its_task_as_it_is_when_it_is_delivered,
    replay_and_live_make_one_stream_while_others_write,
    what_another_process_writes_arrives_as_well,
    only_what_passes_the_filters_arrives,
    the_position_is_told_from_time_to_time,
    the_position_is_told_after_many_events_of_others,
    a_cursor_that_cannot_be_continued_is_told_so_and_it_goes_on,
    a_subscription_that_cannot_begin_says_why,
    who_loses_access_is_told_nothing_more,
];

const FOLLOW: &str = "subscription($id: ID!, $task: ID, $types: [EventType!], $after: EventCursor) {
  taskEvents(projectId: $id, taskId: $task, types: $types, after: $after) {
    __typename id type cursor at projectId
    ... on TaskEvent { taskId from to task { id priority version } by { id name } }
    ... on ProjectEvent { project { id name } by { id } }
    ... on CursorMoved { own_id: id own_type: type own_cursor: cursor own_at: at own_projectId: projectId }
    ... on ResyncRequired { reason }
  }
}";

impl Project {
    /// Follows as somebody from a cursor on.
    async fn followed_by(&self, person: &Person, after: &str) -> Socket {
        person.subscribe(FOLLOW, json!({ "id": self.id, "after": after })).await
    }

    async fn follow(&self, after: &str) -> Socket {
        self.followed_by(&self.manager, after).await
    }

    async fn follow_only(&self, filter: Value, after: &str) -> Socket {
        let mut variables = json!({ "id": self.id, "after": after });
        variables.as_object_mut().unwrap().extend(filter.as_object().unwrap().clone());
        self.manager.subscribe(FOLLOW, variables).await
    }

    async fn prioritise(&self, tasks: &[String], priority: i64) {
        let change = json!({ "taskIds": tasks, "priority": priority });
        self.manager.mutate("updateTasks", change, "tasks { id }").await.get("updateTasks");
    }
}

async fn text_project(app: &TestApp) -> Project {
    app.project(&app.admin().await, Media::Text).await
}

async fn events_arrive_as_they_happen(database: Database) {
    let app = TestApp::new(database).await;
    let project = text_project(&app).await;
    let (ana, before) = (app.person("ana").await, project.cursor().await);
    project.set_member(&ana, json!("VIEWER")).await.get("setMember");
    let mut sockets = [project.follow(&before).await, project.followed_by(&ana, &before).await];
    for socket in &mut sockets {
        assert_eq!(socket.event().await["type"], "MEMBER_CHANGED");
    }
    let [task] = project.text_tasks(1).await.try_into().unwrap();
    for socket in &mut sockets {
        let event = socket.event().await;
        let by = json!({ "id": project.manager.id, "name": "boss" });
        let told = ["__typename", "type", "taskId", "from", "to", "by", "projectId"].map(|field| event[field].clone());
        let want = [json!("TaskEvent"), json!("TASK_CREATED"), json!(task), Value::Null, json!("QUEUED"), by];
        assert_eq!(told[..6], want);
        assert_eq!(told[6], json!(project.id));
    }
    project.rename("Blood").await;
    for socket in &mut sockets {
        let event = socket.event().await;
        assert_eq!(event["project"], json!({ "id": project.id, "name": "Blood" }));
        assert_eq!(event["cursor"], project.cursor().await, "the last event leads to where the project is");
    }
}

/// A wake-up comes with the commit: one who only looked every few seconds would take far longer.
async fn events_do_not_wait_for_the_next_look(database: Database) {
    let app = TestApp::new(database).await;
    let project = text_project(&app).await;
    let mut socket = project.follow(&project.cursor().await).await;
    project.rename("Blood").await;
    socket.event().await;
    let begun = Instant::now();
    const ROUNDS: u32 = 12;
    for round in 0..ROUNDS {
        project.rename(&format!("Blood {round}")).await;
        assert_eq!(socket.event().await["type"], "PROJECT_CHANGED");
    }
    assert!(begun.elapsed() < ROUNDS * concord::domain::limits::EVENT_POLL / 2, "{:?}", begun.elapsed());
}

async fn an_event_shows_its_task_as_it_is_when_it_is_delivered(database: Database) {
    let app = TestApp::new(database).await;
    let project = text_project(&app).await;
    let before = project.cursor().await;
    let tasks = project.text_tasks(1).await;
    let mut socket = project.follow(&before).await;
    assert_eq!(socket.event().await["task"]["priority"], 0);
    // The next event loads the same task again: nothing is kept from one to the next.
    for priority in [3, 5] {
        project.prioritise(&tasks, priority).await;
        let event = socket.event().await;
        assert_eq!((&event["type"], &event["task"]["priority"]), (&json!("TASK_UPDATED"), &json!(priority)));
    }
    let mut late = project.follow(&before).await;
    assert_eq!(late.event().await["task"]["priority"], 5, "a replay shows what is now");
}

async fn replay_and_live_make_one_stream_while_others_write(database: Database) {
    let app = TestApp::new(database).await;
    let project = text_project(&app).await;
    let start = project.cursor().await;
    project.text_tasks(300).await;
    const TOTAL: usize = 300 + 4 * 6 * 5 * 3;
    let writer = async |writer: usize| {
        for round in 0..6 {
            let text = |n: usize| json!({ "data": { "text": format!("{writer} {round} {n}") } });
            let made = project.create_tasks(json!((0..5).map(text).collect::<Vec<_>>())).await;
            let tasks: Vec<String> = made.get("createTasks.tasks").as_array().unwrap().iter().map(id_of).collect();
            project.prioritise(&tasks, round).await;
            project.archive(tasks, true).await.get("archiveTasks");
        }
    };
    // One reads it all; the others break off after so many events and go on from the last one's cursor.
    let reader = async |between_breaks: usize| {
        let mut seen: Vec<Value> = Vec::new();
        while seen.len() < TOTAL {
            let after = seen.last().map_or(start.as_str(), |last| last["cursor"].as_str().unwrap());
            let mut socket = project.follow(after).await;
            let missing = TOTAL - seen.len();
            seen.extend(socket.events(missing.min(between_breaks)).await);
        }
        seen
    };
    let writers = join_all([0, 1, 2, 3].map(writer));
    let (_, readers) = tokio::join!(writers, join_all([TOTAL, 97, 250].map(reader)));
    let told = project.all_events(Some(&start), 200).await;
    assert_eq!(told.len(), TOTAL);
    for seen in readers {
        let ids: BTreeSet<String> = seen.iter().map(id_of).collect();
        assert_eq!(ids.len(), TOTAL, "each event once");
        assert_eq!(by_task(&seen), by_task(&told), "the same events, in order per task");
    }
}

fn by_task(events: &[Value]) -> BTreeMap<String, Vec<String>> {
    let mut by_task: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in events {
        by_task.entry(event["taskId"].to_string()).or_default().push(id_of(event));
    }
    by_task
}

async fn what_another_process_writes_arrives_as_well(database: Database) {
    let app = TestApp::new(database).await;
    let project = text_project(&app).await;
    let mut socket = project.follow(&project.cursor().await).await;
    let other = TestApp::new(Database::at(app.database.url.clone())).await;
    let ben = other.person("ben").await;
    project.set_member(&ben, json!("MANAGER")).await.get("setMember");
    let elsewhere = Project { id: project.id.clone(), manager: ben.clone() };
    elsewhere.text_tasks(1).await;
    let events = socket.events(2).await;
    assert_eq!(event_types(&events), ["MEMBER_CHANGED", "TASK_CREATED"]);
    assert_eq!(events[1]["by"]["id"], ben.id);
}

async fn only_what_passes_the_filters_arrives(database: Database) {
    let app = TestApp::new(database).await;
    let project = text_project(&app).await;
    let [one, two] = project.text_tasks(2).await.try_into().unwrap();
    let start = project.cursor().await;
    let change = async || {
        project.rename("Blood").await;
        project.prioritise(&[one.clone(), two.clone()], 4).await;
        project.archive(vec![two.clone()], true).await.get("archiveTasks");
        project.archive(vec![one.clone()], true).await.get("archiveTasks");
    };
    let (updated, archived) = ("TASK_UPDATED", "TASK_STATE_CHANGED");
    let of = |task: &String, event_type: &str| (json!(task), event_type.to_owned());
    for (case, filter, want) in [
        ("a task", json!({ "task": one }), vec![of(&one, updated), of(&one, archived)]),
        ("a type", json!({ "types": [archived] }), vec![of(&two, archived), of(&one, archived)]),
        (
            "types",
            json!({ "types": [archived, "PROJECT_CHANGED"] }),
            vec![(Value::Null, "PROJECT_CHANGED".to_owned()), of(&two, archived), of(&one, archived)],
        ),
        ("a task and a type", json!({ "task": two, "types": [updated, "TASK_CREATED"] }), vec![of(&two, updated)]),
    ] {
        let now = project.cursor().await;
        let mut live = project.follow_only(filter.clone(), &now).await;
        change().await;
        let mut replayed = project.follow_only(filter, &now).await;
        for socket in [&mut live, &mut replayed] {
            let events = socket.events(want.len()).await;
            let told = events.iter().map(|event| (event["taskId"].clone(), event["type"].as_str().unwrap().to_owned()));
            assert_eq!(told.collect::<Vec<_>>(), want, "{case}");
        }
        project.archive(vec![one.clone(), two.clone()], false).await.get("archiveTasks");
    }
    let mut none = project.follow_only(json!({ "types": [] }), &start).await;
    assert_eq!(notice(&app, &mut none).await["type"], "CURSOR_MOVED", "no type: only notices");
}

/// The next event after half a minute. How soon the server has begun to follow is not known, so time may have to be moved
/// more than once.
async fn notice(app: &TestApp, socket: &mut Socket) -> Value {
    const POLL: Duration = Duration::from_secs(3);
    for _ in 0..20 {
        app.advance(Duration::from_secs(30));
        if let Ok(event) = timeout(POLL, socket.event()).await {
            return event;
        }
    }
    panic!("waited in vain for a notice")
}

async fn the_position_is_told_from_time_to_time(database: Database) {
    let app = TestApp::new(database).await;
    let project = text_project(&app).await;
    let mut socket = project.follow_only(json!({ "types": ["REVIEW_RECORDED"] }), &project.cursor().await).await;
    for round in 0..3 {
        project.rename(&format!("Blood {round}")).await;
        let now = project.cursor().await;
        // Until it has read what was filtered out.
        let notice = eventually("the position", async || {
            Some(notice(&app, &mut socket).await).filter(|notice| notice["cursor"] == now)
        })
        .await;
        let told = ["__typename", "type", "id", "projectId"].map(|field| &notice[field]);
        assert_eq!(told, ["CursorMoved", "CURSOR_MOVED", &format!("cur_{now}"), &project.id]);
        for field in ["id", "type", "cursor", "at", "projectId"] {
            assert_eq!(notice[field], notice[format!("own_{field}")], "{field} of {notice}");
        }
        let behind = project.all_events(notice["cursor"].as_str(), 10).await;
        assert_eq!(behind, [] as [Value; 0], "a reconnect replays nothing");
    }
}

async fn the_position_is_told_after_many_events_of_others(database: Database) {
    let app = TestApp::new(database).await;
    let project = text_project(&app).await;
    let start = project.cursor().await;
    let [own] = project.text_tasks(1).await.try_into().unwrap();
    let text = |n: usize| json!({ "data": { "text": format!("{n}") } });
    project.create_tasks(json!((0..1_000).map(text).collect::<Vec<_>>())).await.get("createTasks");
    project.create_tasks(json!((0..500).map(text).collect::<Vec<_>>())).await.get("createTasks");
    let mut socket = project.follow_only(json!({ "task": own }), &start).await;
    let mut events = socket.events(2).await;
    project.archive(vec![own], true).await.get("archiveTasks");
    events.push(socket.event().await);
    assert_eq!(event_types(&events), ["TASK_CREATED", "CURSOR_MOVED", "TASK_STATE_CHANGED"]);
    let behind = |event: &Value| project.all_events(Some(event["cursor"].as_str().unwrap().to_owned().leak()), 200);
    let between = behind(&events[0]).await.len() - behind(&events[1]).await.len();
    assert_eq!(between, 1_000, "events between the two positions");
}

async fn a_cursor_that_cannot_be_continued_is_told_so_and_it_goes_on(database: Database) {
    let app = TestApp::new(database).await;
    let project = text_project(&app).await;
    let tasks = project.text_tasks(1).await;
    let now = project.cursor().await;
    let mut ahead: EventCursor = now.parse().unwrap();
    ahead.positions[0] += 1;
    let other = app.project(&project.manager, Media::Text).await;
    for (case, cursor, reason) in [
        ("ahead of the top", ahead.to_string(), "the cursor is ahead of the database"),
        ("of another project", other.cursor().await, "the cursor is of another project"),
    ] {
        let now = project.cursor().await;
        let mut socket = project.follow_only(json!({ "types": ["TASK_UPDATED"] }), &cursor).await;
        let notice = socket.event().await;
        let told = ["__typename", "type", "reason", "cursor", "id"].map(|field| &notice[field]);
        assert_eq!(told, ["ResyncRequired", "RESYNC_REQUIRED", reason, &now, &format!("cur_{now}")], "{case}");
        project.prioritise(&tasks, 1).await;
        assert_eq!(socket.event().await["type"], "TASK_UPDATED", "{case}");
    }
    // The same to one who is following already.
    let mut socket = project.follow(&project.cursor().await).await;
    project.rename("Blood").await;
    assert_eq!(socket.event().await["type"], "PROJECT_CHANGED");
    app.sql("UPDATE instance SET epoch = epoch + 1").await;
    let before = project.cursor().await;
    project.rename("Bones").await;
    let notice = socket.event().await;
    assert_eq!(notice["type"], "RESYNC_REQUIRED");
    if notice["cursor"] == before {
        // The server looked by itself before the change woke it: the change comes behind the notice.
        assert_eq!(socket.event().await["type"], "PROJECT_CHANGED");
    } else {
        assert_eq!(notice["cursor"], project.cursor().await);
    }
    project.prioritise(&tasks, 2).await;
    assert_eq!(socket.event().await["type"], "TASK_UPDATED");
}

async fn a_subscription_that_cannot_begin_says_why(database: Database) {
    let app = TestApp::new(database).await;
    let project = text_project(&app).await;
    let [task] = project.text_tasks(1).await.try_into().unwrap();
    let other = app.project(&project.manager, Media::Text).await;
    let eve = app.person("eve").await;
    other.set_member(&eve, json!("MANAGER")).await.get("setMember");
    let (id, own) = (&project.id, &other.id);
    let types = vec!["TASK_CREATED"; 201];
    for (case, who, variables, code, field) in [
        ("no project", &project.manager, json!({ "id": random_like(id) }), "NOT_FOUND", "projectId"),
        ("a project of others", &eve, json!({ "id": id }), "NOT_FOUND", "projectId"),
        ("no id", &eve, json!({ "id": "garbage" }), "BAD_USER_INPUT", "projectId"),
        ("no task", &eve, json!({ "id": own, "task": random_like(&task) }), "NOT_FOUND", "taskId"),
        ("a task of others", &eve, json!({ "id": own, "task": task }), "NOT_FOUND", "taskId"),
        ("a task of another project", &project.manager, json!({ "id": own, "task": task }), "NOT_FOUND", "taskId"),
        ("no task id", &eve, json!({ "id": own, "task": id }), "BAD_USER_INPUT", "taskId"),
        ("no cursor", &eve, json!({ "id": own, "after": "garbage" }), "BAD_USER_INPUT", "after"),
        ("too many types", &eve, json!({ "id": own, "types": types }), "LIMIT_EXCEEDED", "types"),
        ("a type that is none", &eve, json!({ "id": own, "types": ["SMELL"] }), "BAD_USER_INPUT", ""),
        ("a variable too few", &eve, json!({}), "BAD_USER_INPUT", ""),
    ] {
        let mut socket = who.subscribe(FOLLOW, variables.clone()).await;
        let message = socket.next().await;
        assert_eq!((&message["type"], &message["id"]), (&json!("error"), &json!("1")), "{case}: {message}");
        who.ask(FOLLOW, variables).await.assert_refused(case, code, field);
        // It was the only one: the id is free, and what comes next is of the next operation.
        socket.subscribe("1", "{ viewer { id } }", json!({})).await;
        assert_eq!(socket.next().await["payload"]["data"]["viewer"]["id"], who.id, "{case}");
    }
}

async fn who_loses_access_is_told_nothing_more(database: Database) {
    let app = TestApp::new(database).await;
    let project = text_project(&app).await;
    let (boss, tasks) = (&project.manager, project.text_tasks(1).await);
    let disable = json!({ "disabled": true });
    let demote = json!({ "admin": false });
    let update = async |who: &Person, mut change: Value| {
        change["userId"] = json!(who.id);
        boss.mutate("updateUser", change, "user { id }").await.get("updateUser");
    };
    for (case, code) in [
        ("taken out", None),
        ("disabled", Some(4403)),
        ("token revoked", Some(4403)),
        ("signed out", Some(4403)),
        ("no admin any more", Some(1013)),
    ] {
        let name = case.replace(' ', "-");
        let who = app.person(&name).await;
        project.set_member(&who, json!("REVIEWER")).await.get("setMember");
        let who = if case == "signed out" { app.signed_in(boss, &who).await } else { who };
        if case == "no admin any more" {
            update(&who, json!({ "admin": true })).await;
        }
        let mut socket = project.followed_by(&who, &project.cursor().await).await;
        project.prioritise(&tasks, 1).await;
        assert_eq!(socket.event().await["type"], "TASK_UPDATED", "{case}");
        match case {
            "taken out" => drop(project.set_member(&who, Value::Null).await),
            "disabled" => update(&who, disable.clone()).await,
            "token revoked" => {
                let tokens = who.send("{ viewer { accessTokens { id } } }", json!({})).await;
                let token = json!({ "tokenId": tokens.text("viewer.accessTokens.0.id") });
                who.mutate("revokeAccessToken", token, "__typename").await.get("revokeAccessToken");
            }
            "signed out" => drop(who.mutate("signOut", json!({}), "__typename").await),
            _ => update(&who, demote.clone()).await,
        }
        // Noticed also when nothing happens that could wake the subscription.
        if case != "signed out" {
            project.prioritise(&tasks, 2).await;
        }
        if let Some(code) = code {
            let (before, closed, reason) = socket.rest().await;
            assert_eq!((before.len(), closed), (0, code), "{case}: {before:?} {reason}");
            continue;
        }
        let message = socket.next().await;
        assert_eq!(message["type"], "error", "{case}: {message}");
        let extensions = &message["payload"][0]["extensions"];
        assert_eq!([&extensions["code"], &extensions["field"]], ["NOT_FOUND", "projectId"], "{case}: {message}");
        // The others of the socket go on.
        socket.subscribe("1", "{ viewer { id } }", json!({})).await;
        assert_eq!(socket.next().await["payload"]["data"]["viewer"]["id"], who.id, "{case}");
    }
}
