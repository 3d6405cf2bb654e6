//! Many people edit the same annotations at the same time, through two servers, on bad lines and without any: nobody's
//! accepted work is lost, nothing comes to be that nobody wrote, and all of them see the same in the end.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use reqwest::StatusCode;
use serde_json::json;
use tokio::{task::JoinSet, time::timeout};

use crate::harness::{
    Database, Media, Person, Project, Serving, Session, TestApp, assert_counters, assert_positions_are_gap_free, id_of,
    load::{assert_kept, in_full},
    model::{Book, CONTENT, Client, End, Line, Replica, Shared, annotation, broken_promises, tools},
    on_one_database, wait_until,
};

on_one_database![postgres: what_many_people_edit_at_once_is_merged_kept_or_decided];

/// Annotations that are there first, in all tasks together.
const ANNOTATIONS: usize = 20;
const TASKS: usize = 2;
/// What becomes of edits and decisions in every run.
const OFTEN: [&str; 9] = [
    "APPLIED",
    "APPLIED repeated",
    "MERGED",
    "CONFLICT CONCURRENT",
    "CONFLICT CONCURRENT repeated",
    "CONFLICT DELETED",
    "decided CURRENT",
    "decided INCOMING",
    "decided MERGED",
];
/// What becomes of them in every long one.
const RARE: [&str; 4] = ["CONFLICT INVALID_MERGE", "MERGED repeated", "REJECTED GONE", "decided STALE"];
/// What becomes of some in all long ones together: it takes two edits of one annotation behind one that is refused.
const RAREST: &str = "REJECTED FUTURE_VERSION";
/// How long one run may take: far more than it does on a busy machine.
const PATIENCE: Duration = Duration::from_secs(600);

async fn what_many_people_edit_at_once_is_merged_kept_or_decided(database: Database) {
    let (seeds, people, steps) = if in_full() { (4, 12, 100) } else { (1, 8, 20) };
    let app = TestApp::new(database).await;
    app.running.work();
    let other = app.database.serve();
    wait_until("the other server to be ready", async || is_ready(&other).await).await;
    let manager = app.admin().await;
    let mut team = Vec::new();
    for n in 0..people {
        team.push(app.person(&format!("person{n}")).await);
    }
    let mut met = BTreeSet::new();
    for seed in 1..=seeds {
        let room = Room::new(&app, &other, &manager, &team, seed).await;
        let ran = timeout(PATIENCE, room.run(steps)).await;
        met.extend(ran.unwrap_or_else(|_| panic!("seed {seed}: it does not end")));
    }
    assert!(!in_full() || met.contains(RAREST), "nothing was {RAREST}: {met:?}");
}

async fn is_ready(server: &Serving) -> bool {
    server.readiness().await.is_some_and(|(status, _)| status == StatusCode::OK)
}

/// A project in which everybody has joined every task.
struct Room<'a> {
    app: &'a TestApp,
    project: Project,
    tasks: Vec<String>,
    clients: Vec<Client>,
    screens: Vec<Shared>,
    seed: u64,
}

impl<'a> Room<'a> {
    async fn new(app: &'a TestApp, other: &Serving, manager: &Person, team: &[Person], seed: u64) -> Self {
        let project = app.project_with(manager, Media::Image, json!({ "collaboration": "SHARED" })).await;
        project.publish_tools(tools()).await;
        let picture = include_bytes!("../data/bccd/BloodImage_00012.jpg");
        let picture = app.upload(&project, "blood.jpg", "image/jpeg", picture).await;
        let made = project.create_tasks(json!(vec![json!({ "assetIds": [picture] }); TASKS])).await;
        let tasks: Vec<String> = made.get("createTasks.tasks").as_array().unwrap().iter().map(id_of).collect();
        let cursor = project.cursor().await;
        let (mut clients, mut screens) = (Vec::new(), Vec::new());
        for (number, person) in (0..).zip(team) {
            project.set_member(person, json!("ANNOTATOR")).await.get("setMember.member");
            let mut sessions: Vec<Session> = Vec::new();
            for task in &tasks {
                // The first one holds the tasks.
                let session = if number == 0 {
                    app.at_work(&project, task, person).await
                } else {
                    app.joined(task, person).await
                };
                sessions.push(session);
            }
            let line = Line { doors: [person.clone(), person.at(other)] };
            let screen = Replica::at(&cursor);
            screens.push(screen.clone());
            clients.push(Client::new(number, line, &project.id, sessions, screen, seed));
        }
        Self { app, project, tasks, clients, screens, seed }
    }

    /// What became of edits and decisions.
    async fn run(mut self, steps: usize) -> BTreeSet<String> {
        self.clients.iter_mut().for_each(Client::go_online);
        self.clients[0].draw(ANNOTATIONS / TASKS).await;
        self.all_see(ANNOTATIONS).await;
        self.work(steps).await;

        // What is drawn last in a task is seen after everything else in it.
        let before = self.look().await.annotations.len();
        self.clients[0].draw(1).await;
        self.all_see(before + TASKS).await;
        let end = self.look().await;
        let mut book = Book::default();
        for (client, screen) in self.clients.drain(..).zip(&self.screens) {
            let (name, notes) = (client.name(), client.leave());
            let screen = screen.lock().unwrap();
            let when = format!("seed {}, {name}'s screen", self.seed);
            assert_kept(&when, &screen.broken);
            assert_eq!(screen.annotations, end.annotations, "{when}");
            assert_eq!(screen.open.keys().collect::<Vec<_>>(), end.open.keys().collect::<Vec<_>>(), "{when}");
            book.join(notes);
        }
        assert_kept(&format!("seed {}", self.seed), &broken_promises(&book, &end));
        let met = self.assert_all_was_met(&book);
        assert_positions_are_gap_free(self.app).await;
        assert_counters(self.app, &self.project).await;
        met
    }

    /// Everybody works at the same time.
    async fn work(&mut self, steps: usize) {
        let mut at_work = JoinSet::new();
        for mut client in self.clients.drain(..) {
            at_work.spawn(async move {
                client.work(steps).await;
                client
            });
        }
        while let Some(ended) = at_work.join_next().await {
            let client = ended.unwrap_or_else(|error| panic!("seed {}: {error}", self.seed));
            self.clients.push(client);
        }
        self.clients.sort_by_key(Client::number);
    }

    async fn all_see(&self, annotations: usize) {
        let sees = |screen: &Shared| screen.lock().unwrap().annotations.len() == annotations;
        wait_until("everybody to see everything", async || self.screens.iter().all(sees)).await;
    }

    /// What is there.
    async fn look(&self) -> End {
        let query = format!(
            "query($id: ID!) {{ task(id: $id) {{
                annotations(first: 200, includeDeleted: true) {{ nodes {{ {} }} }}
                openConflicts(first: 200) {{ nodes {{ id incoming {{ {CONTENT} }} }} }} }} }}",
            annotation()
        );
        let mut end = End::default();
        for task in &self.tasks {
            end.read(self.project.manager.send(&query, json!({ "id": task })).await.get("task"));
        }
        end
    }

    /// The run was of the kind that it is to be: everything that can become of an edit became of one.
    fn assert_all_was_met(&self, book: &Book) -> BTreeSet<String> {
        let mut met: BTreeMap<String, usize> = BTreeMap::new();
        for told in book.edits.iter().flat_map(|edit| &edit.told) {
            let what = [told.outcome.as_str(), &told.code, &told.cause, if told.repeated { "repeated" } else { "" }];
            *met.entry(what.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")).or_default() +=
                1;
        }
        for told in book.decisions.iter().flat_map(|decision| &decision.told) {
            let what = told.as_ref().map_or_else(String::as_str, |decided| &decided.choice);
            *met.entry(format!("decided {what}")).or_default() += 1;
        }
        let rare: &[&str] = if in_full() { &RARE } else { &[] };
        for what in OFTEN.iter().chain(rare) {
            assert!(met.contains_key(*what), "seed {}: nothing was {what}: {met:#?}", self.seed);
        }
        met.into_keys().collect()
    }
}
