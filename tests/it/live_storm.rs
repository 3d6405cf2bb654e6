//! When a server or a network comes back, all who followed come back at once. What that costs the database does not depend
//! on how many they are, and each is told exactly what they missed.

use std::collections::BTreeMap;

use futures::future::join_all;
use serde_json::{Value, json};

use crate::harness::{
    Database, Media, Person, Project, Socket, TestApp, box_at, events_of, id_of, new_annotation, on_both_databases,
};

on_both_databases![all_who_come_back_at_once_cost_a_few_statements, those_who_label_blind_cost_as_little];

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
    async fn all_introduce(&self, followers: &[Follower<'_>], sockets: &mut [Socket]) {
        let all = followers.iter().zip(sockets);
        self.holding_up(join_all(all.map(|(follower, socket)| follower.introduce(socket)))).await;
    }

    async fn all_follow(&self, followers: &mut [(&Follower<'_>, Socket)]) {
        let all = followers.iter_mut();
        self.holding_up(join_all(all.map(|(follower, socket)| follower.follow(socket)))).await;
    }

    /// What the sockets have cost since `before` is less than `most`. Each has asked four times what its person may (who it
    /// is, who it still is, what it sees, whether it still sees that), some of the task, and who labels blind for every event.
    #[expect(clippy::print_stderr, reason = "the figure is part of the result")]
    fn was_cheap(&self, what: &str, before: u64, most: usize) {
        let cost = self.statements() - before;
        let database = if self.database.is_sqlite() { "sqlite" } else { "postgres" };
        eprintln!("statements, {database}, {SOCKETS} sockets {what} that come back at once: {cost}");
        assert!(cost < most as u64, "{cost} statements for {SOCKETS} sockets");
    }

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
        let task = n.is_multiple_of(5).then(|| tasks[at][0].as_str());
        Follower { person, project: &projects[at], task, after: &cursors[at] }
    };
    let followers: Vec<Follower<'_>> = (0..SOCKETS).map(follower).collect();
    let mut sockets = join_all(followers.iter().map(|_| app.socket())).await;
    let before = app.statements();
    app.all_introduce(&followers, &mut sockets).await;
    let mut let_in = Vec::new();
    for (follower, mut socket) in followers.iter().zip(sockets) {
        if follower.person.id == disabled.id {
            assert_eq!(socket.closed().await, (4403, "Forbidden".to_owned()));
        } else {
            assert_eq!(socket.next().await, json!({ "type": "connection_ack" }));
            let_in.push((follower, socket));
        }
    }
    app.all_follow(&mut let_in).await;
    for (follower, socket) in &mut let_in {
        if follower.person.id == gone.id {
            socket.ends_with("removed", None, ["NOT_FOUND", "projectId"]).await;
            continue;
        }
        for event in &missed[&follower.project.id] {
            if follower.task.is_none_or(|task| event["taskId"] == task) {
                assert_eq!(socket.event().await["id"], event["id"]);
            }
        }
    }
    app.was_cheap("of three projects", before, SOCKETS / 2);

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

/// Who labels blind is told of their own slot only, which is to be known for every event and person.
async fn those_who_label_blind_cost_as_little(database: Database) {
    let app = TestApp::with(database, &[("DATABASE_CONNECTIONS", "1")]).await;
    let project = app.project_with(&app.admin().await, Media::Image, json!({ "overlap": 2 })).await;
    let mut people = Vec::new();
    for name in ["ana", "ben", "eva"] {
        people.push(project.member(&app, name, "ANNOTATOR").await);
    }
    let assets = app.ready_images(&project, 1).await;
    let task = id_of(project.create_tasks(json!([{ "assetIds": assets }])).await.get("createTasks.tasks.0"));
    let after = project.cursor().await;
    for (person, x) in people[..2].iter().zip([1.0, 2.0]) {
        let session = app.at_work(&project, &task, person).await;
        for _ in 0..MISSED {
            session.edit(box_at(&new_annotation(), x)).await;
        }
    }
    let mut missed = Vec::new();
    for person in &people {
        let as_seen = Project { manager: person.clone(), ..project.clone() };
        missed.push(events_of(&as_seen.events(Some(&after), 200).await));
    }
    let [ana, ben, eva] = [0, 1, 2].map(|n: usize| missed[n].len());
    assert!(ana == ben && ana > MISSED && eva < MISSED, "{ana}, {ben}, {eva} events");

    let follower =
        |n: usize| Follower { person: &people[n % people.len()], project: &project, task: None, after: &after };
    let followers: Vec<Follower<'_>> = (0..SOCKETS).map(follower).collect();
    let mut sockets = join_all(followers.iter().map(|_| app.socket())).await;
    let before = app.statements();
    app.all_introduce(&followers, &mut sockets).await;
    for socket in &mut sockets {
        assert_eq!(socket.next().await, json!({ "type": "connection_ack" }));
    }
    let mut all: Vec<_> = followers.iter().zip(sockets).collect();
    app.all_follow(&mut all).await;
    for ((_, socket), missed) in all.iter_mut().zip(missed.iter().cycle()) {
        for event in missed {
            assert_eq!(socket.event().await["id"], event["id"]);
        }
    }
    app.was_cheap("of a project labeled blind", before, SOCKETS);
}
