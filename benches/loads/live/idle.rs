//! Many who follow while nothing happens, over two replicas on one PostgreSQL: what each replica holds and does for them; then
//! one event for all.

use std::time::Duration;

use tokio::time::sleep;

use super::{
    room::Room,
    sockets::{Report, Sockets},
};
use crate::{
    measure::{cpu_ms_of_process, resident_mib},
    postgres::Postgres,
    print,
    server::Server,
};

/// Subscriptions of a replica.
const SUBSCRIBERS: usize = 12_000;
/// Longer than a subscription goes without word of its position.
const ALL_TOLD: Duration = Duration::from_secs(60);
const WATCHED: Duration = Duration::from_secs(20);
const PATIENCE: Duration = Duration::from_secs(30);

/// The load, with fewer subscriptions when asked for.
pub(crate) async fn run(subscribers: Option<usize>) {
    let count = subscribers.unwrap_or(SUBSCRIBERS);
    let database = Postgres::start(&[]);
    database.create("idle", None);
    let (first, second) =
        (Server::start(Some(&database.url("idle"))).await, Server::start(Some(&database.url("idle"))).await);
    let room = Room::open(&first).await;
    let mut saver = room.saver().await;
    let mut replicas = Vec::new();
    for server in [&first, &second] {
        let empty_mib = resident_mib(server.pid());
        replicas.push((server, empty_mib, Sockets::open(server.address(), room.speech(), count).await));
    }
    for (_, _, sockets) in &mut replicas {
        sockets.all_follow(ALL_TOLD).await;
    }
    let cpus: Vec<f64> = replicas.iter().map(|(server, ..)| cpu_ms_of_process(server.pid())).collect();
    sleep(WATCHED).await;
    let called = |n: usize, what: &str| format!("{count} idle on replica {n} of 2: {what}");
    for (n, (server, empty_mib, _)) in replicas.iter().enumerate() {
        let mib = resident_mib(server.pid());
        let each = (mib - empty_mib) * 1_024.0 / count as f64;
        print(&called(n + 1, "resident memory"), mib, "MiB", &format!("aim 80 MB (76.3 MiB); {each:.2} KiB for one"));
        let cpu = (cpu_ms_of_process(server.pid()) - cpus[n]) / WATCHED.as_secs_f64() / 10.0;
        print(&called(n + 1, "server CPU, of one core"), cpu, "%", "");
    }
    for (_, _, sockets) in &mut replicas {
        sockets.reset();
    }
    saver.publish(1).await;
    for (n, (server, _, sockets)) in replicas.iter_mut().enumerate() {
        sockets.all_have(1, PATIENCE).await;
        let report = sockets.report().await;
        let at = |percent| Report::percentile(&report.since_sent, percent);
        let faults = format!("{} faults {}", report.faults, report.fault.as_deref().unwrap_or_default());
        print(&called(n + 1, "one event, arrived"), report.arrived as f64, "", &faults);
        let beside = format!("p50 {:.1}, p99 {:.1} ms; then {:.1} MiB", at(50), at(99), resident_mib(server.pid()));
        print(&called(n + 1, "one event, the last one has it"), at(100), "ms", &beside);
    }
    drop(replicas);
    drop((first, second));
    database.stop();
}
