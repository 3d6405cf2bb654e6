//! Fifty people in one task, each with two edits a second for some time, and its holder who decides what waits: how long a
//! save takes, and what becomes of the edits. Nobody is shown an error.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use concord::domain::ids::AnnotationId;
use serde_json::{Value, json};

use crate::{
    measure::{cpu_ms_of_postgres, cpu_ms_of_process},
    postgres::Postgres,
    print,
    server::{Client, Server},
};

const PEOPLE: usize = 50;
/// Boxes that all of them edit.
const BOXES: usize = 40;
/// Between two edits of one person.
const PAUSE: Duration = Duration::from_millis(500);
/// Edits of one person.
const EDITS: usize = 60;

const CREATE: &str = "mutation($i: CreateProjectInput!) { createProject(input: $i) { project { id } } }";
const PUBLISH: &str = "mutation($i: PublishTemplateInput!) { publishTemplate(input: $i) { template { id } } }";
const TASKS: &str = "mutation($i: CreateTasksInput!) { createTasks(input: $i) { tasks { id } } }";
const CLAIM: &str = "mutation($i: ClaimTaskInput!) { claimTask(input: $i) { session { id fence actor } } }";
const JOIN: &str = "mutation($i: JoinTaskInput!) { joinTask(input: $i) { session { id fence actor } } }";
const SAVE: &str = "mutation($i: SaveAnnotationsInput!) { saveAnnotations(input: $i) {
    results { outcome code annotation { revision versionVector } } } }";
const OPEN: &str = "query($id: ID!) { task(id: $id) { openConflicts(first: 50) {
    nodes { id annotation { versionVector } } } } }";
const RESOLVE: &str = "mutation($i: ResolveConflictInput!) { resolveConflict(input: $i) { conflict { state } } }";

/// The newest vector of each box, with its revision: as if events came at once.
type Board = Arc<Mutex<Vec<(i64, Value)>>>;

/// The load on SQLite and on PostgreSQL.
pub(crate) async fn run() {
    let server = Server::start(None).await;
    load(&server, "SQLite", || 0.0).await;
    drop(server);
    let database = Postgres::start(&[("shared_buffers", "512MB"), ("max_wal_size", "2GB"), ("max_connections", "100")]);
    database.create("together", None);
    let server = Server::start(Some(&database.url("together"))).await;
    load(&server, "PostgreSQL", || cpu_ms_of_postgres(&database.folder)).await;
    drop(server);
    let log = std::fs::read_to_string(database.folder.join("log")).unwrap_or_default();
    assert!(!log.contains("deadlock"), "{log}");
    database.stop();
}

async fn load(server: &Server, name: &str, database_cpu_ms: impl Fn() -> f64) {
    let room = Room::open(server).await;
    let (cpu, database_cpu) = (cpu_ms_of_process(server.pid()), database_cpu_ms());
    let mut at_work = tokio::task::JoinSet::new();
    for (n, (person, session)) in room.people.iter().enumerate() {
        at_work.spawn(work(n, person.clone(), session.clone(), room.ids.clone(), room.board.clone()));
    }
    let (holder, task) = (room.people[0].0.clone(), room.task.clone());
    let deciding = tokio::spawn(async move { decide(&holder, &task).await });
    let (mut times_ms, mut outcomes) = (Vec::new(), BTreeMap::<String, usize>::new());
    while let Some(ended) = at_work.join_next().await {
        for (took, outcome) in ended.expect("every save is answered") {
            times_ms.push(took.as_secs_f64() * 1_000.0);
            *outcomes.entry(outcome).or_default() += 1;
        }
    }
    assert!(!deciding.is_finished(), "whoever decides is answered, too");
    deciding.abort();
    let saves = times_ms.len() as f64;
    let cpu = (cpu_ms_of_process(server.pid()) - cpu) / saves;
    let database_cpu = (database_cpu_ms() - database_cpu) / saves;
    times_ms.sort_by(f64::total_cmp);
    let at = |share: usize| times_ms[(times_ms.len() - 1) * share / 100];
    let outcomes: Vec<String> = outcomes.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect();
    let called = |what: &str| format!("{PEOPLE} people in one task, {name}: {what}");
    print(&called("save, p50"), at(50), "ms", "");
    print(&called("save, p99"), at(99), "ms", &format!("most {:.0} ms", at(100)));
    print(&called("server CPU a save"), cpu, "ms", &format!("database {database_cpu:.3} ms"));
    print(&called("edits"), saves, "", &outcomes.join(", "));
}

/// A task that everybody has open, with boxes in it.
struct Room {
    task: Value,
    people: Vec<(Client, Value)>,
    ids: Arc<Vec<String>>,
    board: Board,
}

impl Room {
    async fn open(server: &Server) -> Self {
        let client = server.client();
        let shared = json!({ "i": { "name": "Together", "mediaType": "IMAGE", "collaboration": "SHARED" } });
        let project = client.send(CREATE, shared).await["data"]["createProject"]["project"]["id"].clone();
        let tool = json!({ "name": "Boxes", "kind": "BOUNDING_BOX", "labels": [{ "name": "car" }, { "name": "van" }],
            "attributes": [{ "name": "note", "type": "TEXT" }] });
        let template = json!({ "projectId": project, "name": "Together", "tools": [tool] });
        client.send(PUBLISH, json!({ "i": { "template": template } })).await;
        let project = project.as_str().expect("the project is made").to_owned();
        let picture = include_bytes!("../../tests/data/bccd/BloodImage_00012.jpg").to_vec();
        let asset = client.upload_file(&project, "cells.jpg", "image/jpeg", picture).await;
        let tasks = json!({ "i": { "projectId": project, "tasks": [{ "assetIds": [asset] }] } });
        let task = client.send(TASKS, tasks).await["data"]["createTasks"]["tasks"][0]["id"].clone();
        let mut people = Vec::new();
        for person in server.annotators(&project, PEOPLE).await {
            let opened = if people.is_empty() {
                person.send(CLAIM, json!({ "i": { "projectId": project, "taskId": task } })).await
            } else {
                person.send(JOIN, json!({ "i": { "taskId": task } })).await
            };
            let session =
                opened["data"].as_object().and_then(|data| data.values().next()).map(|it| it["session"].clone());
            people.push((person, session.unwrap_or_else(|| panic!("{opened}"))));
        }
        let ids: Vec<String> = (0..BOXES).map(|_| AnnotationId::generate().to_string()).collect();
        let create = |id: &String| json!({ "create": { "id": id, "tool": "Boxes", "label": "car", "geometry": geometry(1, 1) } });
        let (holder, session) = &people[0];
        let edits: Vec<Value> = ids.iter().map(create).collect();
        let results = save(holder, session, edits).await;
        let board = results.iter().map(|result| seen(&result["annotation"])).collect();
        Self { task, people, ids: Arc::new(ids), board: Arc::new(Mutex::new(board)) }
    }
}

fn seen(annotation: &Value) -> (i64, Value) {
    (annotation["revision"].as_i64().expect("an annotation is shown"), annotation["versionVector"].clone())
}

fn geometry(person: usize, edit: usize) -> Value {
    json!({ "boundingBox": { "x": 1 + person, "y": 1 + edit, "width": 40, "height": 30 } })
}

async fn save(person: &Client, session: &Value, edits: Vec<Value>) -> Vec<Value> {
    let input = json!({ "sessionId": session["id"], "fence": session["fence"], "edits": edits });
    let saved = person.send(SAVE, json!({ "i": input })).await;
    let results = saved["data"]["saveAnnotations"]["results"].as_array();
    results.unwrap_or_else(|| panic!("an error is shown: {saved}")).clone()
}

/// One person's edits, at their pace: how long each save took, and what became of it.
async fn work(
    n: usize,
    person: Client,
    session: Value,
    ids: Arc<Vec<String>>,
    board: Board,
) -> Vec<(Duration, String)> {
    let mut done = Vec::with_capacity(EDITS);
    // Not all at the same moment.
    tokio::time::sleep(PAUSE * u32::try_from(n).unwrap() / u32::try_from(PEOPLE).unwrap()).await;
    let mut pace = tokio::time::interval(PAUSE);
    for edit in 0..EDITS {
        pace.tick().await;
        // A fixed walk that jumps about: the same boxes in every run.
        let one = (edit * 7_919 + n * 1_237) % BOXES;
        let base = board.lock().unwrap()[one].1.clone();
        let mut update = match edit % 5 {
            0 => json!({ "label": if n.is_multiple_of(2) { "car" } else { "van" } }),
            1 => json!({ "attributes": { "note": format!("{n}'s note {edit}") } }),
            _ => json!({ "geometry": geometry(n, edit) }),
        };
        (update["id"], update["base"]) = (json!(ids[one]), base);
        let begun = Instant::now();
        let results = save(&person, &session, vec![json!({ "update": update })]).await;
        let took = begun.elapsed();
        let (revision, vector) = seen(&results[0]["annotation"]);
        let mut board = board.lock().unwrap();
        if board[one].0 < revision {
            board[one] = (revision, vector);
        }
        let words = [&results[0]["outcome"], &results[0]["code"]].into_iter().filter_map(Value::as_str);
        done.push((took, words.collect::<Vec<_>>().join(" ")));
    }
    done
}

/// Decides whatever waits, twice a second, until it is stopped.
async fn decide(holder: &Client, task: &Value) {
    let mut pace = tokio::time::interval(PAUSE);
    loop {
        pace.tick().await;
        let open = holder.send(OPEN, json!({ "id": task })).await;
        let open = open["data"]["task"]["openConflicts"]["nodes"].as_array().expect("conflicts are shown").clone();
        for conflict in open {
            let base = &conflict["annotation"]["versionVector"];
            let input = json!({ "conflictId": conflict["id"], "base": base, "choice": "INCOMING" });
            let decided = holder.send(RESOLVE, json!({ "i": input })).await;
            // Somebody edited it since: the next look sees that.
            let code = &decided["errors"][0]["extensions"]["code"];
            assert!(code.is_null() || code == "STALE", "{decided}");
        }
    }
}
