//! Many people who claim, give back, skip, hand in, judge and vanish at the same time: nobody meets anybody else in a
//! slot, nothing is lost, and all of it is finished in the end.

use std::time::Duration;

use serde_json::json;

use crate::harness::{
    Database, Media, TestApp, assert_counters,
    load::{Crowd, Facts, Habits, assert_kept, in_full},
    on_every_queue,
};

on_every_queue![sixty_four_people_finish_every_task, sixty_four_people_finish_every_task_of_three_slots];

const CLAIMERS: usize = 64;
const REVIEWERS: usize = 6;
/// Tasks in full length: a debug build takes minutes for them.
const FULL: usize = 2_000;
/// Those that are there first.
const EARLY: usize = 30;
/// A little longer than a lease.
const LEASE: Duration = Duration::from_secs(901);
/// How often everybody comes back for what is left.
const ROUNDS: usize = 12;

async fn sixty_four_people_finish_every_task(database: Database) {
    finish(database, 1, if in_full() { FULL } else { 500 }).await;
}

async fn sixty_four_people_finish_every_task_of_three_slots(database: Database) {
    finish(database, 3, if in_full() { FULL } else { 150 }).await;
}

async fn finish(database: Database, overlap: usize, count: usize) {
    let app = TestApp::new(database).await;
    let project = app.project_with(&app.admin().await, Media::Text, json!({ "overlap": overlap })).await;
    let mut crowd = Crowd::of(&app, &project, CLAIMERS, REVIEWERS).await;
    let db = app.database.connect().await;
    app.running.work();

    let busy = Habits { die: 3, release: 5, skip: 2, heartbeat: 20, again: 5, reject: 10, bad_line: 3, draws: false };
    // While less people are there than a task has slots, much is left that nobody of them may have.
    project.named_tasks("early", EARLY).await;
    crowd.begin(overlap.div_ceil(2), busy).await;
    for (part, begin) in (EARLY..count).step_by(1_000).enumerate() {
        project.named_tasks(&format!("text-{part}"), (count - begin).min(1_000)).await;
    }
    let ledger = crowd.ledger.clone();
    crowd
        .work(busy, async {
            for quarter in 1..4 {
                Crowd::ended(&ledger, overlap * count * quarter / 4).await;
                // Every lease runs out, those of the living too.
                app.advance(LEASE);
                app.reap().await;
            }
        })
        .await;
    for round in 1..=ROUNDS {
        let facts = Facts::read(&db).await;
        let when = format!("after round {round}");
        assert_kept(&when, &facts.broken_promises(count, &crowd.book(), true));
        assert_counters(&app, &project).await;
        if facts.unfinished().is_empty() {
            return;
        }
        // Those who died do so without a word.
        app.advance(LEASE);
        app.reap().await;
        for task in Facts::read(&db).await.quarantined() {
            project.reopen(&task).await.get("reopenTask");
        }
        crowd.work(Habits { die: 0, release: 0, skip: 0, reject: 0, ..busy }, async {}).await;
    }
    assert_kept("in the end", &Facts::read(&db).await.unfinished());
}
