//! Speed of the house, beside a reference in the same run. `make bench` prints the table that docs/benchmarks.md keeps.
//!
//! CPU time per operation is what to compare: wall time says as much about the machine's other work.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_precision_loss,
    reason = "a panic is how a bench fails"
)]

#[path = "loads/data_set.rs"]
mod data_set;
#[path = "../tests/it/harness/keeper.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod keeper;
#[path = "loads/label_cycle.rs"]
mod label_cycle;
#[path = "support/limit.rs"]
mod limit;
#[path = "loads/live/mod.rs"]
mod live;
#[path = "support/measure.rs"]
mod measure;
#[path = "loads/merge.rs"]
mod merge;
#[path = "../tests/it/harness/postgres.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod postgres;
#[path = "support/server.rs"]
mod server;
#[path = "loads/together.rs"]
mod together;

use std::{process::Command, sync::Arc};

use measure::{cpu_ms_of_postgres, cpu_ms_of_process, median, resident_mib};
use serde_json::{Value, json};
use server::Server;

/// Tasks in the project that is read.
const TASKS: usize = 20_000;
/// Requests of one load.
const REQUESTS: usize = 30_000;
/// Connections that each send one request after another.
const CONNECTIONS: usize = 16;

fn main() {
    if live::play() {
        return;
    }
    limit::raise();
    tokio::runtime::Runtime::new().unwrap().block_on(measure_all());
}

async fn measure_all() {
    // The names after `--`, as in `cargo bench --bench house -- cycle`; all without any. `fanout=500` has its own count.
    let names: Vec<String> = std::env::args().skip(1).filter(|name| !name.starts_with('-')).collect();
    let count = |name: &str| names.iter().find_map(|wanted| wanted.strip_prefix(name)?.strip_prefix('=')?.parse().ok());
    let wanted = |name: &str| names.is_empty() || names.iter().any(|wanted| wanted.split('=').next() == Some(name));
    if wanted("start") {
        cold_start().await;
    }
    if wanted("read") {
        task_read().await;
    }
    if wanted("cycle") {
        label_cycle::cycles().await;
    }
    if wanted("queue") {
        label_cycle::queues().await;
    }
    if wanted("merge") {
        merge::run();
    }
    if wanted("together") {
        together::run().await;
    }
    if wanted("dataset") {
        data_set::run().await;
    }
    if wanted("delivery") {
        live::delivery().await;
    }
    if wanted("fanout") {
        live::fan_out(count("fanout")).await;
    }
    if wanted("idle") {
        live::idle(count("idle")).await;
    }
}

fn print(name: &str, reached: f64, unit: &str, beside: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{name:<58} {reached:>9.3} {unit:<4} {beside}");
}

/// From the start of the process to the first 200 of /readyz, and what it then holds.
async fn cold_start() {
    let (mut starts_ms, mut idle_mib) = (Vec::new(), Vec::new());
    for _ in 0..7 {
        let server = Server::start(None).await;
        starts_ms.push(server.ready_after.as_secs_f64() * 1000.0);
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        idle_mib.push(resident_mib(server.pid()));
    }
    print("cold start to ready, empty SQLite (median of 7)", median(starts_ms), "ms", "aim 500");
    print("resident memory, idle (median of 7)", median(idle_mib), "MiB", "aim 40");
}

/// "Task with template and assets" over PostgreSQL, beside the same statements by pgbench.
async fn task_read() {
    let database = postgres::Postgres::start(&[("shared_buffers", "512MB"), ("max_wal_size", "2GB")]);
    database.create("bench", None);
    let server = Server::start(Some(&database.url("bench"))).await;
    let seeded = server.seed(TASKS).await;
    server::psql(&database.url("bench"), "VACUUM ANALYZE");

    load(&server, &seeded.tasks, REQUESTS / 10).await; // warm
    let (cpu, db_cpu) = (cpu_ms_of_process(server.pid()), cpu_ms_of_postgres(&database.folder));
    let begun = std::time::Instant::now();
    load(&server, &seeded.tasks, REQUESTS).await;
    let per_second = REQUESTS as f64 / begun.elapsed().as_secs_f64();
    let cpu = (cpu_ms_of_process(server.pid()) - cpu) / REQUESTS as f64;
    let db_cpu = (cpu_ms_of_postgres(&database.folder) - db_cpu) / REQUESTS as f64;

    seeded.number_tasks(&database.url("bench"));
    let reference = pgbench(&database, &seeded.variables());
    print("task with template and assets: server CPU", cpu, "ms", "Mercurius 0.20 (another run), HTTP alone 0.014");
    print(
        "task with template and assets: database CPU",
        db_cpu,
        "ms",
        &format!("{:.2} times pgbench's {reference:.3}", db_cpu / reference),
    );
    print(
        "task with template and assets: throughput, 16 connections",
        per_second,
        "1/s",
        "wall time: as the machine allows",
    );
    drop(server);
    database.stop();
}

async fn load(server: &Server, tasks: &Arc<Vec<String>>, requests: usize) {
    const QUERY: &str = "query($id: ID!) { task(id: $id) { id state priority version data updatedAt \
        template { id name version tools { name kind labels { name color } } } \
        assets(first: 10) { nodes { id fileName contentType width height url } } } }";
    let mut workers = tokio::task::JoinSet::new();
    for worker in 0..CONNECTIONS {
        let (client, tasks) = (server.client(), tasks.clone());
        workers.spawn(async move {
            for n in 0..requests / CONNECTIONS {
                // A fixed walk that jumps about: the same ids in every run, no two workers at one place.
                let id = &tasks[(n * 7_919 + worker * 1_237) % tasks.len()];
                let answer: Value = client.send(QUERY, json!({ "id": id })).await;
                assert_eq!(&answer["data"]["task"]["id"], id, "{answer}");
            }
        });
    }
    while let Some(worker) = workers.join_next().await {
        worker.expect("every request is answered");
    }
}

/// Database CPU per transaction of the reference, in ms.
fn pgbench(database: &postgres::Postgres, variables: &[(String, String)]) -> f64 {
    let run = |transactions: usize| {
        let mut command = Command::new(postgres::programs().join("pgbench"));
        command.args(["--no-vacuum", "--protocol=prepared", "--client=8", "--jobs=1"]);
        command.arg(format!("--transactions={}", transactions / 8));
        for (name, value) in variables {
            command.arg(format!("--define={name}={value}"));
        }
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/reference/task_read.sql");
        let output = command.arg("--file").arg(script).arg(database.url("bench")).output().expect("pgbench runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    run(REQUESTS / 10);
    let before = cpu_ms_of_postgres(&database.folder);
    run(REQUESTS);
    (cpu_ms_of_postgres(&database.folder) - before) / REQUESTS as f64
}
