//! How long an event takes from its commit to somebody else's socket, on a machine with nothing else to do.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{
    room::Room,
    sockets::{Report, Sockets},
};
use crate::{postgres::Postgres, print, server::Server};

/// Sockets of different people.
const SOCKETS: usize = 4;
const EVENTS: usize = 200;
const PAUSE: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(20);
/// Fewer events when they take longer than this in all.
const LONG: Duration = Duration::from_secs(30);

/// The load on SQLite, on PostgreSQL, and with another replica in between.
pub(crate) async fn run() {
    let server = Server::start(None).await;
    load("SQLite", &server, &server).await;
    drop(server);
    let database = Postgres::start(&[]);
    database.create("delivery", None);
    let (server, other) =
        (Server::start(Some(&database.url("delivery"))).await, Server::start(Some(&database.url("delivery"))).await);
    load("PostgreSQL", &server, &server).await;
    load("PostgreSQL, other replica", &server, &other).await;
    drop((server, other));
    database.stop();
}

async fn load(name: &str, server: &Server, followed: &Server) {
    let room = Room::open(server).await;
    let mut saver = room.saver().await;
    let mut sockets = Sockets::open(followed.address(), room.speech(), SOCKETS).await;
    // Until one arrives, which shows that all follow.
    let mut round = 1;
    saver.publish(round).await;
    while !sockets.all_have(round, Duration::from_secs(5)).await {
        assert!(round < 5, "nobody follows");
        round += 1;
        saver.publish(round).await;
    }
    sockets.reset();
    let begun = Instant::now();
    for _ in 0..EVENTS {
        if begun.elapsed() > LONG {
            break;
        }
        sleep(PAUSE).await;
        round += 1;
        saver.publish(round).await;
        assert!(sockets.all_have(round, PATIENCE).await, "an event is lost");
    }
    let report = sockets.report().await;
    assert!(report.faults == 0, "{:?}", report.fault);
    for (what, times) in [
        // The event's own time is that of its row: the commit, which ends with a flush to the disk, is within.
        ("event's time to arrival", &report.since_at),
        ("before the save to arrival", &report.since_sent),
    ] {
        for (percent, called, aim) in
            [(50, "p50", "aim 5 from the commit on"), (99, "p99", "aim 20 from the commit on")]
        {
            let beside = format!("{aim}; most {:.1}", Report::percentile(times, 100));
            print(&format!("{name}: {what}, {called}"), Report::percentile(times, percent), "ms", &beside);
        }
    }
}
