//! Two changes of one task at the same moment: the second sees what the first made of it.

use std::time::Duration;

use concord::repo::Txn;
use sea_orm::ConnectionTrait;
use serde_json::json;

use crate::harness::{Database, Media, Person, Project, TestApp, assert_counters, on_one_database, wait_until};

// SQLite lets one change begin after the other.
on_one_database![
    postgres: a_task_archived_while_somebody_claims_it_stays_archived,
    postgres: a_claim_counts_from_what_the_change_before_it_left,
    postgres: a_slot_reserved_while_somebody_claims_it_waits_for_its_person,
    postgres: a_lease_kept_while_it_is_being_ended_is_kept,
];

/// A project of one task, and what others do to it by hand.
struct Scene {
    app: TestApp,
    project: Project,
    task: String,
    ana: Person,
    ben: Person,
}

impl Scene {
    async fn new(database: Database, overlap: i32) -> Self {
        let app = TestApp::new(database).await;
        let project = app.project_with(&app.admin().await, Media::Text, json!({ "overlap": overlap })).await;
        let [task] = project.text_tasks(1).await.try_into().unwrap();
        let (ana, ben) =
            (project.member(&app, "ana", "ANNOTATOR").await, project.member(&app, "ben", "ANNOTATOR").await);
        Self { app, project, task, ana, ben }
    }

    /// A change that has been made and not committed; `TASK`, `PROJECT` and `BEN` stand for their ids.
    async fn change(&self, statements: &[&str]) -> Txn {
        let txn = self.app.use_cases().db.begin().await.unwrap();
        for statement in statements {
            let sql = statement
                .replace("TASK", &self.app.literal(&self.task))
                .replace("PROJECT", &self.app.literal(&self.project.id))
                .replace("BEN", &self.app.literal(&self.ben.id));
            txn.execute_unprepared(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        }
        txn
    }

    /// Commits once somebody waits for the change.
    async fn commit_when_waited_for(&self, txn: Txn) {
        let waiting =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        wait_until("somebody to wait", async || self.app.rows::<(i64,)>(waiting).await == [(1,)]).await;
        txn.commit().await.unwrap();
    }
}

/// Moves the counters of the task's stream.
const COUNT: &str = "UPDATE event_stream SET DELTAS WHERE project_id = PROJECT
    AND number = (SELECT stream FROM task WHERE id = TASK)";

async fn a_task_archived_while_somebody_claims_it_stays_archived(database: Database) {
    let scene = Scene::new(database, 1).await;
    let count = COUNT.replace(
        "DELTAS",
        "tasks_queued = tasks_queued - 1, tasks_archived = tasks_archived + 1, claimable = claimable - 1",
    );
    let archived = scene
        .change(&[
            "UPDATE task SET state = 'ARCHIVED' WHERE id = TASK",
            "UPDATE task_slot SET claimable = false WHERE task_id = TASK",
            &count,
        ])
        .await;
    let (claimed, ()) = futures::join!(scene.ana.try_claim(&scene.project), scene.commit_when_waited_for(archived));
    assert_eq!(claimed, Err("QUEUE_EMPTY".into()));
    assert_eq!(scene.project.stands(&scene.task).await, "ARCHIVED [FREE]");
    assert_counters(&scene.app, &scene.project).await;
}

async fn a_claim_counts_from_what_the_change_before_it_left(database: Database) {
    let scene = Scene::new(database, 2).await;
    scene.ana.claim(&scene.project).await;
    let count = COUNT.replace(
        "DELTAS",
        "tasks_in_progress = tasks_in_progress - 1, tasks_queued = tasks_queued + 1, claimable = claimable + 1",
    );
    let released = scene
        .change(&[
            "UPDATE task SET state = 'QUEUED' WHERE id = TASK",
            "UPDATE task_slot SET state = 'FREE', holder_id = NULL, lease_expires_at = NULL
               WHERE task_id = TASK AND state = 'LEASED'",
            "UPDATE assignment SET state = 'RELEASED', ended_at = started_at WHERE task_id = TASK",
            &count,
        ])
        .await;
    let (claimed, ()) = futures::join!(scene.ben.try_claim(&scene.project), scene.commit_when_waited_for(released));
    claimed.expect("both slots are free");
    assert_eq!(scene.project.stands(&scene.task).await, "IN_PROGRESS [LEASED, FREE]");
    assert_counters(&scene.app, &scene.project).await;
}

async fn a_slot_reserved_while_somebody_claims_it_waits_for_its_person(database: Database) {
    let scene = Scene::new(database, 1).await;
    let reserved = scene
        .change(&[
            "UPDATE task SET version = version + 1 WHERE id = TASK",
            "UPDATE task_slot SET reserved_for = BEN WHERE task_id = TASK",
        ])
        .await;
    let (claimed, ()) = futures::join!(scene.ana.try_claim(&scene.project), scene.commit_when_waited_for(reserved));
    claimed.expect_err("it waits for ben");
    assert_eq!(scene.ben.claim(&scene.project).await.task, scene.task);
}

async fn a_lease_kept_while_it_is_being_ended_is_kept(database: Database) {
    let scene = Scene::new(database, 1).await;
    let screen = scene.ana.claim(&scene.project).await;
    scene.app.advance(Duration::from_secs(901));
    // As a heartbeat does it: the slot's row alone.
    let kept = scene
        .change(&["UPDATE task_slot SET lease_expires_at = lease_expires_at + interval '1 hour' WHERE task_id = TASK"])
        .await;
    futures::join!(scene.app.reap(), scene.commit_when_waited_for(kept));
    assert_eq!(scene.project.stands(&scene.task).await, "IN_PROGRESS [LEASED]");
    scene.ana.submit(&screen).await.get("submitTask");
    assert_counters(&scene.app, &scene.project).await;
}
