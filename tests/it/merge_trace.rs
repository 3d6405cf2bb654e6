//! The same requests in the same order have the same answers on either database: outcomes, fields, codes, vectors,
//! revisions, conflicts with their causes, decisions. A seed says what the requests are.

use crate::harness::{
    Database, TestApp, assert_positions_are_gap_free,
    load::in_full,
    model::{Play, Step},
    on_one_database,
};

on_one_database![postgres: the_same_order_gives_the_same_trace];

/// What the trace is to hold, or it has not met what it is about.
const MET: [&str; 16] = [
    "\"APPLIED\"",
    "\"MERGED\"",
    "\"CONFLICT\"",
    "\"CONCURRENT\"",
    "\"DELETED\"",
    "\"INVALID_MERGE\"",
    "\"OLD_EPOCH\"",
    "\"LATE\"",
    "\"ACTOR_REUSED\"",
    "\"FUTURE_VERSION\"",
    "\"GONE\"",
    "\"ID_TAKEN\"",
    "\"BAD_USER_INPUT\"",
    "\"LEASE_LOST\"",
    "\"STALE\"",
    "\"TOO_MANY_SIBLINGS\"",
];

async fn the_same_order_gives_the_same_trace(postgres: Database) {
    let (seeds, steps) = if in_full() { (5, 400) } else { (1, 90) };
    for seed in 1..=seeds {
        let other = postgres.empty_sibling();
        assert!(other.migrate().await.status.success());
        let (on_sqlite, on_postgres) =
            futures::join!(trace(Database::sqlite(), seed, steps), trace(other, seed, steps));
        for (n, (sqlite, postgres)) in on_sqlite.iter().zip(&on_postgres).enumerate() {
            let before = &on_sqlite[n.saturating_sub(2)..n];
            assert_eq!(sqlite, postgres, "seed {seed}, line {n}, after {before:#?}");
        }
        assert_eq!(on_sqlite.len(), on_postgres.len(), "seed {seed}");
        let whole = on_sqlite.join("\n");
        for met in MET {
            assert!(whole.contains(met), "seed {seed}: nothing was {met}");
        }
    }
}

/// Plays what the seed says; gives each request with its answer, and in the end all that is there.
async fn trace(database: Database, seed: u64, steps: usize) -> Vec<String> {
    let app = TestApp::new(database).await;
    let mut play = Play::begin(&app, seed).await;
    for _ in 0..steps {
        play.step().await;
    }
    play.take(Step::NextLease).await;
    play.take(Step::Crowd).await;
    play.take(Step::NextLease).await;
    for _ in 0..steps {
        play.step().await;
    }
    play.take(Step::NextLease).await;
    play.take(Step::Review).await;
    for _ in 0..steps / 4 {
        play.step().await;
    }
    play.take(Step::Accept).await;
    for _ in 0..10 {
        play.step().await;
    }
    assert_positions_are_gap_free(&app).await;
    play.end().await
}
