//! Following a job over the socket: its state now and whenever it changes, once it has ended, and no longer than one may.

use concord::{
    domain::words::{JobState, JobStep},
    repo::{
        job::{End, Progress},
        record::Losses,
    },
    service::job::{self, Lost},
};
use serde_json::{Value, json};

use crate::harness::{Database, Media, Project, Socket, TestApp, job_id, on_both_databases, wait_until};

on_both_databases![
    an_ended_job_tells_its_state_once,
    a_running_job_tells_its_changes,
    a_cancelled_job_tells_so_and_completes,
    who_manages_no_more_is_told_nothing_more,
];

const FOLLOW: &str = "subscription($id: ID!) { jobProgress(jobId: $id) { id state step done total message losses } }";

impl Project {
    async fn follow_job(&self, job: &str) -> Socket {
        self.manager.subscribe(FOLLOW, json!({ "id": job })).await
    }
}

impl Socket {
    /// What is told next of a job: state, step, done, total.
    async fn progress(&mut self) -> [Value; 4] {
        let message = self.next().await;
        let job = &message["payload"]["data"]["jobProgress"];
        assert!(message["type"] == "next" && job.is_object(), "no job: {message}");
        ["state", "step", "done", "total"].map(|field| job[field].clone())
    }

    async fn completes(&mut self) {
        assert_eq!(self.next().await, json!({ "type": "complete", "id": "1" }));
    }
}

fn waiting() -> [Value; 4] {
    [json!("QUEUED"), Value::Null, json!(0), Value::Null]
}

fn ended(state: JobState) -> End {
    End { state, message: "1 task made".to_owned(), result_key: None, errors_key: None }
}

async fn an_ended_job_tells_its_state_once(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    for state in ["SUCCEEDED", "FAILED", "CANCELLED"] {
        let job = project.export().await;
        app.set_job(&job, &format!("state = '{state}', done = 7, total = 7, ended_at = created_at")).await;
        let mut socket = project.follow_job(&job).await;
        assert_eq!(socket.progress().await, [json!(state), Value::Null, json!(7), json!(7)]);
        socket.completes().await;
        // The id is free again.
        socket.subscribe("1", FOLLOW, json!({ "id": job })).await;
        assert_eq!(socket.progress().await[0], state);
    }
}

async fn a_running_job_tells_its_changes(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let source = app.source(&project).await;
    let job = project.import(&source).await;
    let mut socket = project.follow_job(&job).await;
    assert_eq!(socket.progress().await, waiting());
    let (cases, id) = (app.use_cases(), job_id(&job));
    assert_eq!(job::take(cases, "a", None).await.unwrap().unwrap().id, id);
    assert_eq!(socket.progress().await[0], "RUNNING");
    for (step, word, done, total) in [
        (JobStep::Validate, "VALIDATE", 500, None),
        (JobStep::Write, "WRITE", 500, Some(700)),
        (JobStep::Show, "SHOW", 700, Some(700)),
    ] {
        let progress = Progress { step: Some(step), done, total };
        assert_eq!(job::advance(cases, id, "a", progress).await.unwrap(), Ok(()));
        assert_eq!(socket.progress().await, [json!("RUNNING"), json!(word), json!(done), json!(total)]);
        // A sign of life is none of its changes, also when it is looked at in between.
        assert_eq!(job::pulse(cases, id, "a").await.unwrap(), Ok(()));
        let before = app.statements();
        wait_until("another look at the job", async || app.statements() >= before + 8).await;
    }
    let mut losses = Losses::default();
    losses.add("rotations");
    assert_eq!(job::note_losses(cases, id, "a", &losses).await.unwrap(), Ok(()));
    assert_eq!(job::end(cases, id, "a", ended(JobState::Succeeded)).await.unwrap(), Ok(()));
    let mut last = socket.next().await["payload"]["data"]["jobProgress"].clone();
    if last["state"] == "RUNNING" {
        // It was looked at between the two.
        last = socket.next().await["payload"]["data"]["jobProgress"].clone();
    }
    let told = [&last["state"], &last["message"], &last["losses"]];
    assert_eq!(told, [&json!("SUCCEEDED"), &json!("1 task made"), &json!(["1 × rotations"])]);
    socket.completes().await;
}

async fn a_cancelled_job_tells_so_and_completes(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let job = project.export().await;
    let mut sockets = [project.follow_job(&job).await, project.follow_job(&job).await];
    for socket in &mut sockets {
        assert_eq!(socket.progress().await, waiting());
    }
    job::take(app.use_cases(), "a", None).await.unwrap().expect("it waits");
    for socket in &mut sockets {
        assert_eq!(socket.progress().await[0], "RUNNING");
    }
    project.manager.cancel(&job).await.get("cancelJob");
    for socket in &mut sockets {
        assert_eq!(socket.progress().await[0], "CANCELLED");
        socket.completes().await;
    }
    let late = job::end(app.use_cases(), job_id(&job), "a", ended(JobState::Succeeded)).await.unwrap();
    assert_eq!(late, Err(Lost));
}

async fn who_manages_no_more_is_told_nothing_more(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project(&app.admin().await, Media::Text).await;
    let boss = &project.manager;
    let job = project.export().await;
    for (case, code, field, closed) in [
        ("reviewer", "FORBIDDEN", "", None),
        ("taken out", "NOT_FOUND", "jobId", None),
        ("disabled", "UNAUTHENTICATED", "", Some(4403)),
        ("token revoked", "UNAUTHENTICATED", "", Some(4403)),
        ("no admin any more", "NOT_FOUND", "jobId", Some(1013)),
    ] {
        let who = app.person(&case.replace(' ', "-")).await;
        let update = async |change: &str, value: bool| {
            let input = json!({ "userId": who.id, change: value });
            boss.mutate("updateUser", input, "user { id }").await.get("updateUser");
        };
        if case == "no admin any more" {
            update("admin", true).await;
        } else {
            project.set_member(&who, json!("MANAGER")).await.get("setMember");
        }
        let mut socket = who.subscribe(FOLLOW, json!({ "id": job })).await;
        assert_eq!(socket.progress().await, waiting(), "{case}");
        match case {
            "reviewer" => drop(project.set_member(&who, json!("REVIEWER")).await.get("setMember")),
            "taken out" => drop(project.set_member(&who, Value::Null).await.get("setMember")),
            "disabled" => update("disabled", true).await,
            "token revoked" => {
                let tokens = who.send("{ viewer { accessTokens { id } } }", json!({})).await;
                let token = json!({ "tokenId": tokens.text("viewer.accessTokens.0.id") });
                who.mutate("revokeAccessToken", token, "__typename").await.get("revokeAccessToken");
            }
            _ => update("admin", false).await,
        }
        socket.ends_with(case, closed, [code, field]).await;
    }
}
