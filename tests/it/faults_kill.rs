//! The server is killed in the middle of work, again and again, or its database crashes: what was answered is kept, what
//! was not is there as a whole or not at all, and whoever asks again goes on where they were.

use serde_json::json;

use crate::harness::{
    Database, Media, Project, TestApp,
    load::{Crowd, Habits, assert_kept, in_full},
    on_both_databases,
    postgres::Postgres,
    wait_until,
};

on_both_databases![
    work_goes_on_though_the_server_is_killed_five_times;
    only postgres: work_goes_on_though_the_database_crashes
];

const KILLS: usize = 5;
/// The kill after which the server stays away for longer than a lease.
const LONG: usize = 3;
const CRASHES: usize = 2;
const OVERLAP: usize = 2;
/// How often everybody comes back for what is left.
const ROUNDS: usize = 12;

const BUSY: Habits =
    Habits { die: 2, release: 4, skip: 2, heartbeat: 20, again: 10, reject: 10, bad_line: 5, draws: true };
const DILIGENT: Habits = Habits { die: 0, release: 0, skip: 0, reject: 0, ..BUSY };

async fn work_goes_on_though_the_server_is_killed_five_times(database: Database) {
    let (app, project, count, mut crowd) = prepare(database).await;
    let TestApp { running, database, .. } = app;
    running.stop().await.unwrap();
    let mut server = database.serve();
    crowd.door.move_to(&server.url);

    let (ledger, door) = (crowd.ledger.clone(), crowd.door.clone());
    let killing = async {
        for kill in 1..=KILLS {
            Crowd::ended(&ledger, kill * count * OVERLAP / (KILLS + 2)).await;
            let silences = ledger.copy().silences;
            server.kill();
            if kill == LONG {
                database.run_out().await;
            }
            server = database.serve();
            door.move_to(&server.url);
            wait_until("the server to be ready", async || server.is_ready().await).await;
            let told = ledger.copy();
            assert!(told.silences > silences, "kill {kill} hit nobody");
            let facts = database.facts().await;
            let when = format!("after kill {kill}");
            assert_kept(&when, &facts.broken_promises(count, &told, false));
        }
    };
    crowd.work(BUSY, killing).await;
    let project = Project { manager: project.manager.at(&server), ..project };
    finish(&database, &project, &mut crowd, count).await;
}

async fn work_goes_on_though_the_database_crashes(_shared: Database) {
    let postgres = Postgres::start(&[]);
    postgres.create("concord", None);
    let database = Database::at(postgres.url("concord"));
    assert!(database.migrate().await.status.success());
    let (app, project, count, mut crowd) = prepare(database).await;
    app.running.work();

    let ledger = crowd.ledger.clone();
    let crashing = async {
        for crash in 1..=CRASHES {
            Crowd::ended(&ledger, crash * count * OVERLAP / (CRASHES + 2)).await;
            postgres.crash();
            postgres.come_back();
            let told = ledger.copy();
            let facts = app.database.facts().await;
            let when = format!("after crash {crash}");
            assert_kept(&when, &facts.broken_promises(count, &told, false));
        }
    };
    crowd.work(BUSY, crashing).await;
    finish(&app.database, &project, &mut crowd, count).await;
    app.running.stop().await.unwrap();
    postgres.stop();
}

/// A project with that many tasks, and people to work in it.
async fn prepare(database: Database) -> (TestApp, Project, usize, Crowd) {
    let (count, annotators) = if in_full() { (1_000, 64) } else { (70, 16) };
    let app = TestApp::new(database).await;
    let project = app.project_with(&app.admin().await, Media::Text, json!({ "overlap": OVERLAP })).await;
    project.named_tasks("text", count).await;
    let crowd = Crowd::of(&app, &project, annotators, 2).await;
    (app, project, count, crowd)
}

/// Everybody comes back for what was left, until all of it is done and every promise was kept.
async fn finish(database: &Database, project: &Project, crowd: &mut Crowd, count: usize) {
    for round in 1..=ROUNDS {
        let facts_now = database.facts().await;
        let when = format!("after round {round}");
        assert_kept(&when, &facts_now.broken_promises(count, &crowd.book(), true));
        if facts_now.unfinished().is_empty() {
            return;
        }
        database.run_out().await;
        wait_until("abandoned leases to end", async || database.facts().await.leased() == 0).await;
        for task in database.facts().await.quarantined() {
            project.reopen(&task).await.get("reopenTask");
        }
        crowd.work(DILIGENT, async {}).await;
    }
    assert_kept("in the end", &database.facts().await.unfinished());
}
