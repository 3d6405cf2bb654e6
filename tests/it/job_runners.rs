//! Who holds a job: one runner at a time, as long as it gives signs of life; and one import of a project at a time.

use std::{collections::BTreeSet, time::Duration};

use concord::{
    domain::{
        limits,
        words::{JobState, JobStep},
    },
    repo::job::{self as repo, End, Progress},
    service::{
        import::Written,
        job::{self, Lost},
    },
    worker,
};
use futures::future::join_all;
use serde_json::json;
use tokio::sync::watch;

use crate::harness::{Database, Media, Project, TestApp, job_id, on_both_databases};

on_both_databases![
    what_waits_longest_is_taken_first_and_by_one,
    a_silent_runner_loses_its_job,
    signs_of_life_keep_a_job,
    a_job_given_back_is_taken_at_once,
    one_import_of_a_project_runs_at_a_time,
    an_import_that_waits_lets_others_pass,
    a_cancelled_job_is_lost_to_its_runner,
    a_job_is_cancelled_or_shown_never_both,
    what_a_cancelled_import_wrote_is_deleted,
    what_is_being_shown_is_shown_to_its_end,
    a_message_of_a_job_is_bounded,
    a_job_that_was_taken_up_too_often_is_given_up,
    the_command_line_goes_on_with_an_import_that_was_left,
];

const SECOND: Duration = Duration::from_secs(1);

impl TestApp {
    /// Takes a job, any one.
    async fn take(&self, runner: &str) -> Option<String> {
        self.take_only(runner, None).await
    }

    async fn take_only(&self, runner: &str, only: Option<&str>) -> Option<String> {
        let taken = job::take(self.use_cases(), runner, only.map(job_id)).await.unwrap();
        taken.map(|job| job.id.to_string())
    }

    async fn advance_job(&self, job: &str, runner: &str, step: Option<JobStep>) -> Result<(), Lost> {
        let progress = Progress { step, done: 1, total: None };
        job::advance(self.use_cases(), job_id(job), runner, progress).await.unwrap()
    }

    async fn pulse_of(&self, job: &str, runner: &str) -> Result<(), Lost> {
        job::pulse(self.use_cases(), job_id(job), runner).await.unwrap()
    }

    async fn end_job(&self, job: &str, runner: &str) -> Result<(), Lost> {
        let message = format!("done by {runner}");
        let end = End { state: JobState::Succeeded, message, result_key: None, errors_key: None };
        job::end(self.use_cases(), job_id(job), runner, end).await.unwrap()
    }

    /// The jobs that run.
    async fn running_jobs(&self) -> i64 {
        let counted: Vec<(i64,)> = self.rows("SELECT count(*) FROM job WHERE state = 'RUNNING'").await;
        counted[0].0
    }

    async fn text_project(&self) -> Project {
        self.project(&self.admin().await, Media::Text).await
    }
}

async fn what_waits_longest_is_taken_first_and_by_one(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.text_project().await;
    let mut jobs = Vec::new();
    for _ in 0..4 {
        jobs.push(project.export().await);
        app.advance(SECOND);
        if jobs.len() == 1 && !app.database.is_sqlite() {
            // It takes the table for one row from now on, and plans to look at the others one by one.
            app.sql("ANALYZE job").await;
        }
    }
    for (taken, job) in (1..).zip(&jobs[..2]) {
        assert_eq!(app.take("a").await.as_ref(), Some(job));
        assert_eq!(app.running_jobs().await, taken);
    }
    assert_eq!(app.take_only("b", Some(&jobs[3])).await.as_ref(), Some(&jobs[3]));
    assert_eq!(app.take_only("b", Some(&jobs[0])).await, None, "another's");
    assert_eq!(app.take("b").await.as_ref(), Some(&jobs[2]));
    assert_eq!(app.take("b").await, None);

    let jobs: Vec<String> = join_all((0..12).map(|_| project.export())).await;
    let takers = (0..20).map(|taker| format!("taker {taker}")).collect::<Vec<_>>();
    let mut taken: Vec<String> =
        join_all(takers.iter().map(|taker| app.take(taker))).await.into_iter().flatten().collect();
    // Who finds only what others are just taking comes again.
    while let Some(more) = app.take("late").await {
        taken.push(more);
    }
    assert_eq!(taken.len(), jobs.len(), "each by one");
    assert_eq!(taken.into_iter().collect::<BTreeSet<_>>(), jobs.into_iter().collect());
}

async fn a_silent_runner_loses_its_job(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.text_project().await;
    let job = project.import(&app.source(&project).await).await;
    assert_eq!(app.take("a").await.as_ref(), Some(&job));
    assert_eq!(app.advance_job(&job, "a", Some(JobStep::Write)).await, Ok(()));
    app.advance(limits::JOB_LEASE - SECOND);
    assert_eq!(app.take("b").await, None, "it is held");
    app.advance(2 * SECOND);
    assert_eq!(app.take("b").await.as_ref(), Some(&job), "its runner is gone");
    assert_eq!(app.advance_job(&job, "a", Some(JobStep::Write)).await, Err(Lost));
    assert_eq!(app.pulse_of(&job, "a").await, Err(Lost));
    assert_eq!(app.end_job(&job, "a").await, Err(Lost));
    job::give_back(app.use_cases(), job_id(&job), "a").await.unwrap();
    assert_eq!(app.take("c").await, None, "who lost it cannot give it back");
    assert_eq!(app.end_job(&job, "b").await, Ok(()));
    assert_eq!(project.job_state(&job).await, "SUCCEEDED");
    assert_eq!(app.end_job(&job, "b").await, Err(Lost), "it has ended");
    app.advance(10 * limits::JOB_LEASE);
    assert_eq!(app.take("c").await, None, "what has ended is not taken");
}

async fn signs_of_life_keep_a_job(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.text_project().await;
    let job = project.export().await;
    assert_eq!(app.take("a").await.as_ref(), Some(&job));
    for round in 0..6 {
        app.advance(limits::JOB_LEASE - SECOND);
        assert_eq!(app.take("b").await, None, "round {round}");
        let alive = if round % 2 == 0 { app.pulse_of(&job, "a").await } else { app.advance_job(&job, "a", None).await };
        assert_eq!(alive, Ok(()), "round {round}");
    }
    // Late, but nobody came: it is still its.
    app.advance(2 * limits::JOB_LEASE);
    assert_eq!(app.pulse_of(&job, "a").await, Ok(()));
    assert_eq!(app.take("b").await, None);
}

async fn a_job_given_back_is_taken_at_once(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.text_project().await;
    let job = project.import(&app.source(&project).await).await;
    assert_eq!(app.take("a").await.as_ref(), Some(&job));
    job::give_back(app.use_cases(), job_id(&job), "b").await.unwrap();
    assert_eq!(app.take("b").await, None, "it was not its to give");
    job::give_back(app.use_cases(), job_id(&job), "a").await.unwrap();
    assert_eq!(app.take("b").await.as_ref(), Some(&job));
    assert_eq!(app.pulse_of(&job, "a").await, Err(Lost));
}

async fn one_import_of_a_project_runs_at_a_time(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.text_project().await;
    let source = app.source(&project).await;
    let (first, second) = (project.import(&source).await, project.import(&source).await);
    // Two at once: whoever is late gets nothing, and no error.
    let takers = ["a", "b", "c", "d"];
    let taken: Vec<String> = join_all(takers.map(|taker| app.take(taker))).await.into_iter().flatten().collect();
    assert_eq!((taken.len(), app.running_jobs().await), (1, 1), "{taken:?}");
    let waits = if taken[0] == first { &second } else { &first };
    assert_eq!(app.take("e").await, None);
    assert_eq!(app.take_only("e", Some(waits)).await, None);
    app.advance(limits::JOB_LEASE + SECOND);
    assert_eq!(app.take_only("e", Some(waits)).await, None, "the one that was left comes first");
    assert_eq!(app.take("e").await.as_ref(), Some(&taken[0]));
    assert_eq!(app.end_job(&taken[0], "e").await, Ok(()));
    assert_eq!(app.take("e").await.as_ref(), Some(waits));
}

/// One project's imports must not hold up everybody else.
async fn an_import_that_waits_lets_others_pass(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.text_project().await;
    let other = app.project(&project.manager, Media::Text).await;
    let (source, others) = (app.source(&project).await, app.source(&other).await);
    let mut jobs = Vec::new();
    for wanted in ["import", "import", "import of another project", "export"] {
        jobs.push(match wanted {
            "import" => project.import(&source).await,
            "export" => project.export().await,
            _ => other.import(&others).await,
        });
        app.advance(SECOND);
    }
    assert_eq!(app.take("a").await.as_ref(), Some(&jobs[0]));
    assert_eq!(app.take("b").await.as_ref(), Some(&jobs[2]));
    assert_eq!(app.take("c").await.as_ref(), Some(&jobs[3]));
    assert_eq!(app.take("d").await, None);
    project.manager.cancel(&jobs[0]).await.get("cancelJob");
    assert_eq!(app.take("d").await.as_ref(), Some(&jobs[1]));
}

async fn a_cancelled_job_is_lost_to_its_runner(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.text_project().await;
    let job = project.import(&app.source(&project).await).await;
    assert_eq!(app.take("a").await.as_ref(), Some(&job));
    project.manager.cancel(&job).await.get("cancelJob");
    assert_eq!(app.advance_job(&job, "a", Some(JobStep::Write)).await, Err(Lost));
    assert_eq!(app.pulse_of(&job, "a").await, Err(Lost));
    assert_eq!(app.end_job(&job, "a").await, Err(Lost));
    app.advance(2 * limits::JOB_LEASE);
    assert_eq!(app.take("b").await, None);
    assert_eq!(project.job_state(&job).await, "CANCELLED");
}

async fn a_job_is_cancelled_or_shown_never_both(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.text_project().await;
    let source = app.source(&project).await;
    for round in 0..8 {
        let job = project.import(&source).await;
        assert_eq!(app.take("a").await.as_ref(), Some(&job));
        let show = app.advance_job(&job, "a", Some(JobStep::Show));
        let (cancelled, shown) = tokio::join!(project.manager.cancel(&job), show);
        match shown {
            Ok(()) => cancelled.assert_refused(&format!("round {round}"), "INVALID_TRANSITION", "jobId"),
            Err(Lost) => assert_eq!(cancelled.text("cancelJob.job.state"), "CANCELLED", "round {round}"),
        }
        let _ = app.end_job(&job, "a").await;
        let want = if shown.is_ok() { "SUCCEEDED" } else { "CANCELLED" };
        assert_eq!(project.job_state(&job).await, want, "round {round}");
    }
}

async fn what_a_cancelled_import_wrote_is_deleted(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.text_project().await;
    let source = app.source(&project).await;
    let (cancelled, running) = (project.import(&source).await, project.import(&source).await);
    let mut tasks = project.text_tasks(1).await;
    if !app.database.is_sqlite() {
        app.sql("ANALYZE task, job").await;
    }
    tasks.extend(project.named_tasks("more", 3).await);
    for (task, job) in [(&tasks[0], &cancelled), (&tasks[1], &cancelled), (&tasks[2], &running)] {
        app.set_task(task, &format!("import_job = {}", app.literal(job))).await;
    }
    let sweep = async || job::sweep(app.use_cases()).await.unwrap();
    assert_eq!(sweep().await, 0, "both may go on");
    project.manager.cancel(&cancelled).await.get("cancelJob");
    assert_eq!(repo::delete_hidden(&app.use_cases().db, 1).await.unwrap(), 1, "no more at once than it was told");
    assert_eq!((sweep().await, sweep().await), (1, 0));
    let left: Vec<(i64,)> = app.rows("SELECT count(*) FROM task WHERE import_job IS NOT NULL").await;
    assert_eq!(left, [(1,)], "of the import that may go on");
    let query = "query($id: ID!) { tasks(projectId: $id, first: 9) { totalCount nodes { id } } }";
    let seen = project.manager.send(query, json!({ "id": project.id })).await;
    assert_eq!(seen.get("tasks.nodes"), &json!([{ "id": tasks[3] }]), "what is hidden is seen by nobody");
}

/// Whoever goes on with an import that shows its tasks does not begin anew: its file may be gone, and were it not the last
/// step any more, somebody could cancel it when half of its tasks are seen.
async fn what_is_being_shown_is_shown_to_its_end(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.text_project().await;
    let source = app.source(&project).await;
    let job = project.import(&source).await;
    let tasks = project.text_tasks(3).await;
    // The first one was shown before its runner was killed.
    for task in &tasks[1..] {
        app.set_task(task, &format!("import_job = {}", app.literal(&job))).await;
    }
    let written = serde_json::to_value(Written { batches: 1, records: 4, made: 3 }).unwrap();
    repo::insert_checkpoint(&app.use_cases().db, job_id(&job), 1, written).await.unwrap();
    assert_eq!(app.take("a").await.as_ref(), Some(&job));
    let losses = vec!["2 × rotations".to_owned()];
    assert!(repo::note_losses(&app.use_cases().db, job_id(&job), "a", losses).await.unwrap());
    assert_eq!(app.advance_job(&job, "a", Some(JobStep::Show)).await, Ok(()));
    app.advance(limits::JOB_LEASE + SECOND);
    app.sql(&format!("UPDATE asset SET state = 'REJECTED' WHERE id = {}", app.literal(&source))).await;

    let (_stop, stopped) = watch::channel(false);
    assert!(worker::jobs::run_one(app.use_cases().clone(), Some(job_id(&job)), stopped).await.unwrap());
    let query = "query($id: ID!, $job: ID!) { tasks(projectId: $id, first: 9) { totalCount }
        node(id: $job) { ... on Job { state step message losses } } }";
    let seen = project.manager.send(query, json!({ "id": project.id, "job": job })).await;
    let want = json!({
        "state": "SUCCEEDED", "step": "SHOW", "message": "3 tasks made, 1 known before and left as they are",
        "losses": ["2 × rotations"],
    });
    assert_eq!((seen.get("node"), seen.get("tasks.totalCount")), (&want, &json!(3)));
}

async fn a_message_of_a_job_is_bounded(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.text_project().await;
    let job = project.export().await;
    assert_eq!(app.take("a").await.as_ref(), Some(&job));
    let message = "ä".repeat(100_000);
    let end = End { state: JobState::Failed, message, result_key: None, errors_key: None };
    assert_eq!(job::end(app.use_cases(), job_id(&job), "a", end).await.unwrap(), Ok(()));
    let query = "query($id: ID!) { node(id: $id) { ... on Job { message } } }";
    let told = project.manager.send(query, json!({ "id": job })).await.text("node.message");
    assert_eq!(told, format!("{}…", "ä".repeat(limits::MESSAGE_CHARS)));
}

async fn a_job_that_was_taken_up_too_often_is_given_up(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.text_project().await;
    let job = project.export().await;
    app.set_job(&job, &format!("attempts = {}", limits::JOB_ATTEMPTS)).await;
    let (_stop, stopped) = watch::channel(false);
    assert!(worker::jobs::run_one(app.use_cases().clone(), None, stopped).await.unwrap());
    let ended = project.manager.ended(&job).await;
    let told = [&ended["state"], &ended["message"]];
    assert_eq!(told, [&json!("FAILED"), &json!(format!("given up after {} attempts", limits::JOB_ATTEMPTS))]);
}

/// A killed command, and no server: the next command of the project does not wait for it for ever.
async fn the_command_line_goes_on_with_an_import_that_was_left(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.text_project().await;
    let left = project.import(&app.source(&project).await).await;
    assert_eq!(app.take("killed").await.as_ref(), Some(&left));
    app.set_job(&left, "runner_expires_at = '2000-01-01 00:00:00+00:00'").await;
    let file = app.database.folder().join("more.jsonl");
    std::fs::write(&file, "{\"data\":{\"text\":\"more\"}}\n").unwrap();
    let (succeeded, said) = app.database.import(&project.id, "jsonl", "ignore", &[file.to_str().unwrap()]).await;
    assert!(succeeded && said.contains("1 task made"), "{said}");
    assert_eq!(project.job_state(&left).await, "SUCCEEDED");
}
