//! The examples of `examples/live`, run as people copy them, over connections that break.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Command,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};

use futures::future::join_all;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::harness::{Program, Project, Proxy, TestApp, id_of, load::Dice, python_command, wait_until};

/// How long a line may take before a test gives up: far more than it does on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);
/// How many times shorter than as they are written the pauses of the examples are.
const HASTE: u32 = 20;
/// How many events the writers may be ahead of the reader: some are read from the database, some come as they happen.
const AHEAD: usize = 150;
/// The tasks that one request changes.
const TASKS: usize = 10;
const WRITERS: usize = 3;

/// A file of `examples/live`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Example {
    GraphqlWs,
    GraphqlSse,
    Apollo,
    Urql,
    PythonGql,
}

impl Example {
    fn command(self) -> Command {
        if self == Self::PythonGql {
            return python_command("follow.py");
        }
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/node");
        assert!(folder.join("node_modules/graphql-ws").is_dir(), "the clients are not installed: run 'make setup'");
        let mut node = Command::new("node");
        node.arg(folder.join("follow.mjs"));
        node
    }

    fn name(self) -> &'static str {
        match self {
            Self::GraphqlWs => "graphql-ws",
            Self::GraphqlSse => "graphql-sse",
            Self::Apollo => "apollo",
            Self::Urql => "urql",
            Self::PythonGql => "python_gql",
        }
    }

    /// Starts to follow a project at this URL from here on.
    pub(crate) fn follow(self, url: &str, project: &Project, after: &str) -> Program {
        let scene = json!({
            "example": self.name(), "url": url, "token": project.manager.token, "project": project.id, "after": after,
            "haste": HASTE,
        });
        let mut command = self.command();
        command.arg(scene.to_string());
        Program::start(command)
    }
}

/// How often an example is cut off, during how many events.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Journey {
    pub(crate) cuts: usize,
    pub(crate) events: usize,
}

impl Journey {
    /// Several write, the example reads, and is cut off at random: it gets every event, in order per task.
    pub(crate) async fn of(self, example: Example, app: &TestApp, project: &Project) {
        let start = project.cursor().await;
        let made =
            join_all((0..WRITERS).map(|n| async move { project.named_tasks(&format!("writer-{n}"), TASKS).await }));
        let tasks = made.await;
        let events = self.events.next_multiple_of(WRITERS * TASKS);
        let proxy = Proxy::of(app.running.address).await;
        let mut program = example.follow(&proxy.url, project, &start);
        let heard = AtomicUsize::new(0);
        let priority = AtomicU64::new(1);
        let write = async |tasks: &Vec<String>| {
            for round in 1..events / WRITERS / TASKS {
                let written = round * TASKS * WRITERS;
                wait_until("the reader", async || written < heard.load(Ordering::Relaxed) + AHEAD).await;
                let next = priority.fetch_add(1, Ordering::Relaxed);
                let change = json!({ "taskIds": tasks, "priority": next });
                project.manager.mutate("updateTasks", change, "tasks { id }").await.get("updateTasks");
            }
        };
        let read = self.read(&mut program, &proxy, events, &heard);
        let (all, _) = tokio::join!(read, join_all(tasks.iter().map(write)));
        let told = project.all_events(Some(&start), 200).await;
        assert_eq!(told.len(), events);
        let mut seen = BTreeSet::new();
        let once: Vec<Value> = all.iter().filter(|event| seen.insert(id_of(event))).cloned().collect();
        assert_eq!(by_task(&once), by_task(&told), "each event once, in order per task");
        let again = all.len() - once.len();
        assert!(again < 2 * self.cuts, "{again} events came again after {} cuts", self.cuts);
        program.tell("stop");
        let nothing = timeout(DEADLINE, program.line()).await.expect("waited in vain for its end");
        assert_eq!(nothing, None);
        let (status, errors) = program.end();
        assert!(status.success(), "{errors}");
    }

    /// What the program is told until it has heard of all events.
    async fn read(self, program: &mut Program, proxy: &Proxy, events: usize, heard: &AtomicUsize) -> Vec<Value> {
        let mut dice = Dice::new(self.events as u64);
        let (mut all, mut ids, mut cuts, mut next_cut) = (Vec::new(), BTreeSet::new(), 0, 1);
        while ids.len() < events {
            let event = event(program).await;
            if event["type"] == "CURSOR_MOVED" {
                continue;
            }
            ids.insert(id_of(&event));
            all.push(event);
            heard.store(ids.len(), Ordering::Relaxed);
            if ids.len() >= next_cut && cuts < self.cuts {
                proxy.cut().await;
                cuts += 1;
                // On average twice as far as is left for each of the other cuts would let it come out too long.
                let left = (events - ids.len()) / (self.cuts - cuts + 1);
                next_cut = ids.len() + 1 + dice.roll(2 * left as u64) as usize;
            }
        }
        assert_eq!(cuts, self.cuts, "all cuts came before the end");
        all
    }
}

async fn event(program: &mut Program) -> Value {
    let line = timeout(DEADLINE, program.line()).await.expect("waited in vain for an event");
    let Some(line) = line else { panic!("it ended: {:?}", program.end()) };
    let said: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON: {line}"));
    assert!(said["event"].is_object(), "{said:#}");
    said["event"].clone()
}

fn by_task(events: &[Value]) -> BTreeMap<String, Vec<String>> {
    let mut by_task: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in events {
        by_task.entry(event["taskId"].to_string()).or_default().push(id_of(event));
    }
    by_task
}
