//! "Claim, save 5 boxes, submit" over PostgreSQL, beside pgbench's transaction of the same size; and a claim in a short
//! queue beside one in a long queue.

use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use serde_json::{Value, json};

use crate::{
    measure::{cpu_ms_of_postgres, cpu_ms_of_process, median},
    postgres::{self, Postgres},
    print,
    server::{self, Client, Server},
};

/// Tasks in the project that is labeled; as many as the reference has.
const TASKS: usize = 20_000;
/// Cycles of one load.
const CYCLES: usize = 4_000;
/// Connections of the loads, each a person of its own.
const CONNECTIONS: [usize; 2] = [8, 32];
/// Waiting slots of the two queues, and how many claims each answers.
const SHORT: usize = 1_000;
const LONG: usize = 1_000_000;
const CLAIMS: usize = 600;

const CLAIM: &str =
    "mutation($i: ClaimTaskInput!) { claimTask(input: $i) { session { id fence task { id } } reason } }";
const SAVE: &str = "mutation($i: SaveAnnotationsInput!) { saveAnnotations(input: $i) { results { outcome } } }";
const SUBMIT: &str = "mutation($i: SubmitTaskInput!) { submitTask(input: $i) { task { state } } }";
const SKIP: &str = "mutation($i: SkipTaskInput!) { skipTask(input: $i) { task { state } } }";

fn start() -> Postgres {
    Postgres::start(&[("shared_buffers", "512MB"), ("max_wal_size", "4GB"), ("max_connections", "100")])
}

/// The whole cycle with some connections, beside the reference.
pub(crate) async fn cycles() {
    let database = start();
    database.create("labeling", None);
    database.create("reference", None);
    server::psql(&database.url("reference"), include_str!("../reference/claim_submit_schema.sql"));
    let server = Server::start(Some(&database.url("labeling"))).await;
    let project = server.labeling_project("Labeling", TASKS).await;
    let people = server.annotators(&project, 32).await;
    load(&people, &project, CYCLES / 10).await; // warm
    // After it: what an empty table's statistics say makes plans that read all of it, as it grows.
    server::psql(&database.url("labeling"), "VACUUM ANALYZE");
    for connections in CONNECTIONS {
        let reference_folder = &database.folder;
        let (cpu, db_cpu) = (cpu_ms_of_process(server.pid()), cpu_ms_of_postgres(reference_folder));
        let begun = Instant::now();
        load(&people[..connections], &project, CYCLES).await;
        let per_second = CYCLES as f64 / begun.elapsed().as_secs_f64();
        let cpu = (cpu_ms_of_process(server.pid()) - cpu) / CYCLES as f64;
        let db_cpu = (cpu_ms_of_postgres(reference_folder) - db_cpu) / CYCLES as f64;
        let (reference_cpu, reference_per_second) = pgbench(&database, connections);
        let name = |what: &str| format!("claim, save 5 boxes, submit, {connections} connections: {what}");
        print(&name("server CPU"), cpu, "ms", "aim 1; Label Studio 96-138 (another run)");
        let beside = format!("{:.2} times pgbench's {reference_cpu:.3}", db_cpu / reference_cpu);
        print(&name("database CPU"), db_cpu, "ms", &beside);
        let beside = format!("pgbench {reference_per_second:.0}/s: wall time, as the machine allows");
        print(&name("throughput"), per_second, "1/s", &beside);
    }
    drop(server);
    database.stop();
}

/// Everybody labels task after task until `cycles` are done.
async fn load(people: &[Client], project: &str, cycles: usize) {
    let left = Arc::new(AtomicUsize::new(cycles));
    let mut workers = tokio::task::JoinSet::new();
    for person in people {
        let (person, left, project) = (person.clone(), left.clone(), project.to_owned());
        workers.spawn(async move {
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
                cycle(&person, &project).await;
            }
        });
    }
    while let Some(worker) = workers.join_next().await {
        worker.expect("every cycle is done");
    }
}

async fn cycle(person: &Client, project: &str) {
    let session = claim(person, project).await;
    let boxes: Vec<Value> = (0..5)
        .map(|n| {
            let id = concord::domain::ids::AnnotationId::generate().to_string();
            let geometry = json!({ "boundingBox": { "x": 10 + n, "y": 20 + n, "width": 40, "height": 30 } });
            json!({ "create": { "id": id, "tool": "Boxes", "label": "car", "geometry": geometry } })
        })
        .collect();
    let (id, fence) = (&session["id"], &session["fence"]);
    let saved = person.send(SAVE, json!({ "i": { "sessionId": id, "fence": fence, "edits": boxes } })).await;
    let results = saved["data"]["saveAnnotations"]["results"].as_array().unwrap_or_else(|| panic!("{saved}"));
    assert!(results.len() == 5 && results.iter().all(|result| result["outcome"] == "APPLIED"), "{saved}");
    let submitted = person.send(SUBMIT, json!({ "i": { "sessionId": id, "fence": fence } })).await;
    assert_eq!(submitted["data"]["submitTask"]["task"]["state"], "SUBMITTED", "{submitted}");
}

async fn claim(person: &Client, project: &str) -> Value {
    let claimed = person.send(CLAIM, json!({ "i": { "projectId": project } })).await;
    let session = &claimed["data"]["claimTask"]["session"];
    assert!(session.is_object(), "{claimed}");
    session.clone()
}

/// Database CPU per transaction of the reference in ms, and its transactions a second.
fn pgbench(database: &Postgres, clients: usize) -> (f64, f64) {
    let url = database.url("reference");
    let run = |transactions: usize| {
        // Every transaction finds its task ready, as the reference's own load does.
        server::psql(&url, "UPDATE task SET status = 'ready', version = 1");
        server::psql(&url, "VACUUM ANALYZE task");
        let mut command = Command::new(postgres::programs().join("pgbench"));
        command.args(["--no-vacuum", "--protocol=prepared", "--jobs=1"]);
        command.args([format!("--client={clients}"), format!("--transactions={}", transactions / clients)]);
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/reference/claim_submit.sql");
        let cpu = cpu_ms_of_postgres(&database.folder);
        let begun = Instant::now();
        let output = command.arg("--file").arg(script).arg(&url).output().expect("pgbench runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let per_second = transactions as f64 / begun.elapsed().as_secs_f64();
        ((cpu_ms_of_postgres(&database.folder) - cpu) / transactions as f64, per_second)
    };
    run(CYCLES / 10);
    run(CYCLES)
}

/// A claim with a thousand waiting slots and with a million, in turns.
pub(crate) async fn queues() {
    let database = start();
    database.create("queues", None);
    let server = Server::start(Some(&database.url("queues"))).await;
    let mut queues = Vec::new();
    for (name, waiting) in [("Short", SHORT + CLAIMS), ("Long", 1_000)] {
        let project = server.labeling_project(name, waiting.div_ceil(1_000) * 1_000).await;
        let person = server.annotators(&project, 1).await.remove(0);
        queues.push((project, person));
    }
    // The rest of the long queue by SQL: copies of its first task.
    server::psql(&database.url("queues"), &lengthen(&queues[1].0, LONG - 1_000));
    server::psql(&database.url("queues"), "VACUUM ANALYZE");
    let mut times_ms = [Vec::new(), Vec::new()];
    let mut cpu_ms = [0.0, 0.0];
    for round in 0..=6 {
        for (which, (project, person)) in queues.iter().enumerate() {
            let cpu = cpu_ms_of_postgres(&database.folder);
            for _ in 0..CLAIMS / 6 {
                let begun = Instant::now();
                let session = claim(person, project).await;
                let took = begun.elapsed();
                let skip = json!({ "sessionId": session["id"], "fence": session["fence"], "reason": "bench" });
                person.send(SKIP, json!({ "i": skip })).await;
                if round > 0 {
                    times_ms[which].push(took.as_secs_f64() * 1_000.0);
                }
            }
            if round > 0 {
                cpu_ms[which] += cpu_ms_of_postgres(&database.folder) - cpu;
            }
        }
    }
    let [short, long] = times_ms.map(|mut times| {
        times.push(0.0); // an odd number
        median(times)
    });
    print("claim with 1,000 waiting slots (median)", short, "ms", "one connection");
    print("claim with 1,000,000 waiting slots (median)", long, "ms", &format!("{:.2} times, aim 1.5", long / short));
    let [short, long] = cpu_ms.map(|cpu| cpu / CLAIMS as f64);
    print("claim and skip with 1,000 waiting slots: database CPU", short, "ms", "");
    let beside = format!("{:.2} times", long / short);
    print("claim and skip with 1,000,000 waiting slots: database CPU", long, "ms", &beside);
    drop(server);
    database.stop();
}

/// SQL that gives a project `count` more waiting tasks like its first.
fn lengthen(project: &str, count: usize) -> String {
    let project = project.parse::<concord::domain::ids::ProjectId>().unwrap().0;
    format!(
        "CREATE TEMPORARY TABLE model AS SELECT * FROM task WHERE project_id = '{project}' ORDER BY id LIMIT 1;
         CREATE TEMPORARY TABLE more AS
           SELECT gen_random_uuid() AS id, n FROM generate_series(1, {count}) n;
         INSERT INTO task SELECT (jsonb_populate_record(model, jsonb_build_object('id', more.id, 'external_id', NULL))).*
           FROM model, more;
         INSERT INTO task_slot (task_id, number, project_id, state, round, claimable, priority, queue_number, lease_epoch)
           SELECT id, 1, '{project}', 'FREE', 1, true, 0, 4000000000000000 + n, 0 FROM more;
         UPDATE event_stream SET tasks_queued = tasks_queued + {count}, claimable = claimable + {count}
           WHERE project_id = '{project}' AND number = 0"
    )
}
