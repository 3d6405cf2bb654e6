//! When a server or a network comes back, all who followed come back at once. What that costs the database does not depend
//! on how many they are, and each is told exactly what they missed.

use std::collections::BTreeMap;

use futures::future::join_all;
use serde_json::{Value, json};

use crate::harness::{Database, Media, Person, Project, Socket, TestApp, on_both_databases};

on_both_databases![all_who_come_back_at_once_cost_a_few_statements];

const FOLLOW: &str = "subscription($id: ID!, $after: EventCursor, $task: ID) {
    taskEvents(projectId: $id, after: $after, taskId: $task) { id type cursor } }";
const PROJECTS: usize = 3;
const SOCKETS: usize = 300;
/// What is written while nobody is there, in each project.
const MISSED: usize = 5;

/// Somebody who has followed a project, or a task of it, and comes back.
struct Follower<'a> {
    person: &'a Person,
    project: &'a Project,
    task: Option<&'a str>,
    after: &'a str,
}

impl Follower<'_> {
    /// Sends one message, behind a ping that is answered before it is read. Pings are answered by nobody but the server: when
    /// that one was, the message is with it.
    async fn say(socket: &mut Socket, message: Value) {
        socket.send(json!({ "type": "ping" })).await;
        socket.send(message).await;
        assert_eq!(socket.next().await, json!({ "type": "pong" }));
    }

    async fn introduce(&self, socket: &mut Socket) {
        let payload = json!({ "Authorization": format!("Bearer {}", self.person.token) });
        Self::say(socket, json!({ "type": "connection_init", "payload": payload })).await;
    }

    async fn follow(&self, socket: &mut Socket) {
        let variables = json!({ "id": self.project.id, "after": self.after, "task": self.task });
        let payload = json!({ "query": FOLLOW, "variables": variables });
        Self::say(socket, json!({ "type": "subscribe", "id": "1", "payload": payload })).await;
    }
}

impl TestApp {
    /// While `asked` all statements wait, those of everybody: as they do where many come at once.
    async fn holding_up<T>(&self, asked: impl Future<Output = T>) -> T {
        let only_connection = self.use_cases().db.begin().await.unwrap();
        let done = asked.await;
        drop(only_connection);
        done
    }
}

async fn all_who_come_back_at_once_cost_a_few_statements(database: Database) {
    let app = TestApp::with(database, &[("DATABASE_CONNECTIONS", "1")]).await;
    let boss = app.admin().await;
    let mut projects = Vec::new();
    for _ in 0..PROJECTS {
        projects.push(app.project(&boss, Media::Text).await);
    }
    let ana = app.person("ana").await;
    let people = [boss.clone(), app.person("ben").await, app.signed_in(&boss, &ana).await];
    let (gone, disabled) = (app.person("gus").await, app.person("dora").await);
    for project in &projects {
        for person in people[1..].iter().chain([&gone, &disabled]) {
            project.set_member(person, json!("REVIEWER")).await.get("setMember");
        }
    }
    let (mut tasks, mut cursors) = (Vec::new(), Vec::new());
    for project in &projects {
        tasks.push(project.text_tasks(2).await);
        cursors.push(project.cursor().await);
    }
    // While nobody is there.
    for (project, tasks) in projects.iter().zip(&tasks) {
        for priority in 1..=MISSED {
            let change = json!({ "taskIds": tasks, "priority": priority });
            project.manager.mutate("updateTasks", change, "tasks { id }").await.get("updateTasks");
        }
        project.set_member(&gone, Value::Null).await.get("setMember");
    }
    let input = json!({ "userId": disabled.id, "disabled": true });
    boss.mutate("updateUser", input, "user { id }").await.get("updateUser");
    let mut missed = BTreeMap::new();
    for (project, after) in projects.iter().zip(&cursors) {
        missed.insert(&project.id, project.all_events(Some(after), 200).await);
    }

    let follower = |n: usize| {
        let at = n % PROJECTS;
        let person = match n {
            0..6 => &gone,
            6..12 => &disabled,
            _ => &people[n / PROJECTS % people.len()],
        };
        let task = (n % 5 == 0).then(|| tasks[at][0].as_str());
        Follower { person, project: &projects[at], task, after: &cursors[at] }
    };
    let followers: Vec<Follower<'_>> = (0..SOCKETS).map(follower).collect();
    let mut sockets = join_all(followers.iter().map(|_| app.socket())).await;
    let before = app.statements();
    let all = followers.iter().zip(&mut sockets);
    app.holding_up(join_all(all.map(|(follower, socket)| follower.introduce(socket)))).await;
    let mut let_in = Vec::new();
    for (follower, mut socket) in followers.iter().zip(sockets) {
        if follower.person.id == disabled.id {
            assert_eq!(socket.closed().await, (4403, "Forbidden".to_owned()));
        } else {
            assert_eq!(socket.next().await, json!({ "type": "connection_ack" }));
            let_in.push((follower, socket));
        }
    }
    let all = let_in.iter_mut();
    app.holding_up(join_all(all.map(|(follower, socket)| follower.follow(socket)))).await;
    for (follower, socket) in &mut let_in {
        if follower.person.id == gone.id {
            socket.ends_with("removed", None, ["NOT_FOUND", "projectId"]).await;
            continue;
        }
        for event in &missed[&follower.project.id] {
            if follower.task.is_none_or(|task| event["taskId"] == task) {
                let told = socket.event().await;
                assert_eq!([&told["id"], &told["type"]], [&event["id"], &event["type"]]);
            }
        }
    }
    let cost = app.statements() - before;
    print(&app.database, cost);
    assert!(cost < SOCKETS as u64 / 2, "{cost} statements for {SOCKETS} sockets");

    // What they are told next is no part of it.
    for project in &projects {
        project.text_tasks(3).await;
        let change = json!({ "projectId": project.id, "name": "Behind it all" });
        project.manager.mutate("updateProject", change, "project { id }").await.get("updateProject");
    }
    let stayed = |follower: &Follower<'_>| follower.task.is_none() && follower.person.id != gone.id;
    for (follower, socket) in let_in.iter_mut().filter(|(follower, _)| stayed(follower)) {
        let told = socket.event().await;
        assert!(missed[&follower.project.id].iter().all(|event| event["id"] != told["id"]), "twice: {told}");
    }
}

#[expect(clippy::print_stderr, reason = "the figure is part of the result")]
fn print(database: &Database, cost: u64) {
    let database = if database.is_sqlite() { "sqlite" } else { "postgres" };
    eprintln!("statements, {database}, {SOCKETS} sockets of {PROJECTS} projects that come back at once: {cost}");
}
