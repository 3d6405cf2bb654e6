//! Two builds over one database while people work: this one, and the next, which has one more step (`tests/next.rs`).

use std::{
    collections::BTreeSet,
    process::Output,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use reqwest::StatusCode;
use sea_orm::{ConnectionTrait, TransactionTrait};
use serde_json::json;
use tokio::{task::JoinHandle, time::timeout};

use crate::harness::{
    Database, Media, NextBuild, Project, Serving, TestApp, assert_counters, id_of, on_one_database, output_of,
    wait_until,
};

on_one_database![
    postgres: a_step_is_taken_under_load_and_both_builds_serve,
    postgres: a_step_is_taken_back_under_load_once_no_row_needs_it,
];

/// What one request may take: far more than any does, also while a step is taken.
const PATIENCE: Duration = Duration::from_secs(5);
/// The state of a task that only the next build knows.
const NEW_STATE: &str = "NEXT_ONLY";
/// Who works through each server at the same time.
const CLIENTS: usize = 3;

async fn a_step_is_taken_under_load_and_both_builds_serve(database: Database) {
    let upgrade = Upgrade::begin(database).await;
    let (before, states) = (upgrade.instance().await, upgrade.states().await);
    let after = (before.0 + 1, before.1);
    let grown: BTreeSet<String> = states.iter().cloned().chain([NEW_STATE.to_owned()]).collect();
    let old = upgrade.load(&upgrade.old, "old");
    old.goes_on("before").await;

    // Who has written to a table keeps its constraint from being replaced until the end of the transaction.
    let long = upgrade.app.database.connect().await.begin().await.unwrap();
    let touch = format!("UPDATE task SET priority = 1 WHERE id = {}", upgrade.app.literal(&upgrade.spare));
    long.execute_unprepared(&touch).await.unwrap();
    let migrating = tokio::spawn(output_of(upgrade.next(&["migrate"])));
    wait_until("the step to wait", async || upgrade.step_waits().await).await;
    old.goes_on("while the step cannot be taken").await;
    assert!(!migrating.is_finished(), "{:?}", migrating.await);
    assert_eq!((upgrade.instance().await, upgrade.states().await), (before, states), "before the step");
    long.commit().await.unwrap();
    assert_success(&migrating.await.unwrap());
    assert_eq!((upgrade.instance().await, upgrade.states().await), (after, grown.clone()), "after the step");
    old.goes_on("alone over the new schema").await;

    let new_server = upgrade.serve_next().await;
    let new = upgrade.load(&new_server, "new");
    old.goes_on("beside the new build").await;
    new.goes_on("beside the old build").await;
    upgrade.set_state(NEW_STATE).await.expect("the new state");
    upgrade.set_state("QUEUED").await.expect("an old state");
    let refused = upgrade.set_state("NEVER").await.expect_err("a state of neither build");
    assert!(refused.contains("task_state"), "{refused}");
    // As where a replica of the old build starts late.
    assert_success(&upgrade.app.database.migrate().await);
    assert_eq!((upgrade.instance().await, upgrade.states().await), (after, grown), "after the old build's migrate");
    let late = upgrade.app.database.serve();
    wait_until("another server of the old build", async || is_ready(&late).await).await;

    upgrade.assert_all_there(old.stop().await + new.stop().await).await;
}

async fn a_step_is_taken_back_under_load_once_no_row_needs_it(database: Database) {
    let upgrade = Upgrade::begin(database).await;
    let (before, states) = (upgrade.instance().await, upgrade.states().await);
    assert_success(&output_of(upgrade.next(&["migrate"])).await);
    let (after, grown) = (upgrade.instance().await, upgrade.states().await);
    let new_server = upgrade.serve_next().await;
    let (old, new) = (upgrade.load(&upgrade.old, "old"), upgrade.load(&new_server, "new"));

    upgrade.set_state(NEW_STATE).await.expect("the new state");
    let refused = output_of(upgrade.next(&["step-back"])).await;
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && message.contains("task_state"), "{message}");
    assert_eq!((upgrade.instance().await, upgrade.states().await), (after, grown), "while a task is in the new state");
    old.goes_on("after the step could not be taken back").await;
    new.goes_on("after the step could not be taken back").await;
    let made_by_new = new.stop().await;

    upgrade.set_state("QUEUED").await.expect("an old state");
    assert_success(&output_of(upgrade.next(&["step-back"])).await);
    assert_eq!((upgrade.instance().await, upgrade.states().await), (before, states), "after the step was taken back");
    let waits = (StatusCode::SERVICE_UNAVAILABLE, json!("the schema is older than this build: run 'concord migrate'"));
    assert_eq!(new_server.readiness().await, Some(waits), "the new build over the old schema");
    old.goes_on("after the step was taken back").await;
    assert_success(&output_of(upgrade.next(&["migrate"])).await);
    assert!(is_ready(&new_server).await, "the step was taken again");

    upgrade.assert_all_there(old.stop().await + made_by_new).await;
}

/// An installation of this build, and the next build for it.
struct Upgrade {
    app: TestApp,
    old: Serving,
    next: NextBuild,
    /// Where people work.
    project: Project,
    /// A task of a project where nobody does.
    spare: String,
}

impl Upgrade {
    async fn begin(database: Database) -> Self {
        let next = NextBuild::make().await;
        let app = TestApp::new(database).await;
        let boss = app.admin().await;
        let (project, quiet) = (app.project(&boss, Media::Text).await, app.project(&boss, Media::Text).await);
        let spare = quiet.text_tasks(1).await.remove(0);
        let old = app.database.serve();
        wait_until("the old build to be ready", async || is_ready(&old).await).await;
        Self { app, old, next, project, spare }
    }

    /// The next build, with these arguments.
    fn next(&self, arguments: &[&str]) -> std::process::Command {
        self.next.command(&self.app.database, arguments)
    }

    async fn serve_next(&self) -> Serving {
        let server = Serving::start(self.next(&["serve"]));
        wait_until("the new build to be ready", async || is_ready(&server).await).await;
        server
    }

    fn load(&self, server: &Serving, name: &'static str) -> Load {
        let manager = self.project.manager.at(server);
        Load::start(server, &Project { manager, ..self.project.clone() }, name)
    }

    /// Version and oldest reader of the schema.
    async fn instance(&self) -> (i32, i32) {
        self.app.rows("SELECT schema_version, oldest_reader FROM instance").await.remove(0)
    }

    /// The states that a task may be in, by the one constraint that lists them.
    async fn states(&self) -> BTreeSet<String> {
        let sql = "SELECT conname::text, pg_get_constraintdef(oid) FROM pg_constraint
          WHERE conrelid = 'task'::regclass AND conname LIKE 'task_state%'";
        let found: Vec<(String, String)> = self.app.rows(sql).await;
        let [(name, definition)] = &found[..] else { panic!("constraints: {found:?}") };
        assert!(name == "task_state" && !definition.contains("NOT VALID"), "{found:?}");
        definition.split('\'').skip(1).step_by(2).map(str::to_owned).collect()
    }

    /// Whether somebody who wants to change the constraint waits for the table.
    async fn step_waits(&self) -> bool {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
          AND query LIKE '%task_state_grown%' AND wait_event_type = 'Lock'";
        self.app.rows::<(i64,)>(sql).await == [(1,)]
    }

    /// Puts the spare task into a state, as a build that knows it would.
    async fn set_state(&self, state: &str) -> Result<(), String> {
        let sql = format!("UPDATE task SET state = '{state}' WHERE id = {}", self.app.literal(&self.spare));
        let done = self.app.use_cases().db.execute_unprepared(&sql).await;
        done.map(|_| ()).map_err(|error| error.to_string())
    }

    /// As many tasks are there as answers said, and the counters know them.
    async fn assert_all_there(&self, made: i64) {
        let count = format!("SELECT count(*) FROM task WHERE project_id = {}", self.app.literal(&self.project.id));
        assert_eq!(self.app.rows::<(i64,)>(&count).await, [(made,)]);
        assert_counters(&self.app, &self.project).await;
    }
}

/// People who work through one server without a pause. Each answer is what it always is and comes in time, and the
/// server is ready all the while.
struct Load {
    stop: Arc<AtomicBool>,
    /// Rounds made, by client.
    rounds: Vec<Arc<AtomicU64>>,
    clients: Vec<JoinHandle<i64>>,
    watcher: JoinHandle<()>,
}

impl Load {
    fn start(server: &Serving, project: &Project, name: &'static str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let rounds: Vec<Arc<AtomicU64>> = (0..CLIENTS).map(|_| Arc::default()).collect();
        let client = |(number, rounds): (usize, &Arc<AtomicU64>)| {
            let (project, stop, rounds) = (project.clone(), stop.clone(), rounds.clone());
            tokio::spawn(async move {
                let mut made = 0;
                while !stop.load(Ordering::Relaxed) {
                    let round = rounds.load(Ordering::Relaxed);
                    made += work(&project, &format!("{name}-{number}-{round}")).await;
                    rounds.store(round + 1, Ordering::Relaxed);
                }
                made
            })
        };
        let clients = rounds.iter().enumerate().map(client).collect();
        let watcher = tokio::spawn(watch(format!("{}/readyz", server.url), stop.clone()));
        Self { stop, rounds, clients, watcher }
    }

    /// Waits until every client has made whole rounds that began after this.
    async fn goes_on(&self, when: &str) {
        let made = || self.rounds.iter().map(|rounds| rounds.load(Ordering::Relaxed));
        let want: Vec<u64> = made().map(|rounds| rounds + 5).collect();
        wait_until(&format!("the clients to go on {when}"), async || {
            let broken = self.watcher.is_finished() || self.clients.iter().any(JoinHandle::is_finished);
            assert!(!broken, "a client failed {when}: see above");
            made().zip(&want).all(|(made, want)| made >= *want)
        })
        .await;
    }

    /// Lets everybody finish; gives how many tasks they made.
    async fn stop(self) -> i64 {
        self.stop.store(true, Ordering::Relaxed);
        self.watcher.await.unwrap();
        let mut made = 0;
        for client in self.clients {
            made += client.await.unwrap();
        }
        made
    }
}

/// One round: makes tasks, changes them, puts one away, looks at them; gives how many were made.
async fn work(project: &Project, name: &str) -> i64 {
    let task = |n: u8| json!({ "externalId": format!("{name}-{n}"), "data": { "text": "a cell" } });
    let created = in_time("createTasks", project.create_tasks(json!([task(1), task(2)]))).await;
    let ids: Vec<String> = created.get("createTasks.tasks").as_array().unwrap().iter().map(id_of).collect();
    let input = json!({ "taskIds": ids, "priority": 7 });
    let changed = in_time("updateTasks", project.manager.mutate("updateTasks", input, "tasks { priority }")).await;
    assert_eq!(changed.get("updateTasks.tasks"), &json!([{ "priority": 7 }, { "priority": 7 }]));
    let archived = in_time("archiveTasks", project.archive(vec![ids[0].clone()], true)).await;
    assert_eq!(archived.get("archiveTasks.tasks.0.state"), "ARCHIVED");
    let query = "query($project: ID!, $ids: [ID!]!) {
        nodes(ids: $ids) { ... on Task { state priority } }
        tasks(projectId: $project, first: 20) { nodes { state slots { state } } }
        project(id: $project) { taskCounts { state count } }
    }";
    let seen = in_time("query", project.manager.send(query, json!({ "project": project.id, "ids": ids }))).await;
    let want = json!([{ "state": "ARCHIVED", "priority": 7 }, { "state": "QUEUED", "priority": 7 }]);
    assert_eq!(seen.get("nodes"), &want);
    created.get("createTasks.created").as_i64().unwrap()
}

async fn in_time<T>(what: &str, request: impl Future<Output = T>) -> T {
    timeout(PATIENCE, request).await.unwrap_or_else(|_| panic!("{what} took longer than {PATIENCE:?}"))
}

/// Asks again and again whether a server is ready.
async fn watch(url: String, stop: Arc<AtomicBool>) {
    let http = reqwest::Client::builder().timeout(PATIENCE).build().unwrap();
    while !stop.load(Ordering::Relaxed) {
        let response = http.get(&url).send().await.unwrap();
        let status = response.status();
        assert_eq!(status, StatusCode::OK, "{}", response.text().await.unwrap());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn is_ready(server: &Serving) -> bool {
    server.readiness().await.is_some_and(|(status, _)| status == StatusCode::OK)
}

#[track_caller]
fn assert_success(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
