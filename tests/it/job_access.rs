//! Who may ask for imports and exports, see them and end them, and when that is refused.

use concord::domain::limits;
use serde_json::{Value, json};

use crate::harness::{Answer, Database, Media, Person, Project, TestApp, on_both_databases, random_like};

on_both_databases![
    a_job_says_all_it_is,
    jobs_are_for_managers,
    who_labels_blind_finds_no_result,
    a_cancelled_job_stays_cancelled,
    what_has_ended_or_shows_its_tasks_is_not_cancelled,
    so_many_jobs_wait_at_most,
    an_archived_project_exports_and_imports_nothing,
    tasks_need_a_template,
    a_source_is_a_ready_asset_of_the_project,
    an_export_is_of_some_states,
];

/// Everything of a job but its URLs.
const JOB: &str = "id kind state step done total message losses createdAt endedAt project { id } createdBy { id }";

async fn text_project(app: &TestApp) -> Project {
    app.project(&app.admin().await, Media::Text).await
}

async fn seen(person: &Person, job: &str) -> Value {
    let query = format!("query($id: ID!) {{ node(id: $id) {{ ... on Job {{ {JOB} resultUrl errorsUrl }} }} }}");
    person.send(&query, json!({ "id": job })).await.get("node").clone()
}

async fn a_job_says_all_it_is(database: Database) {
    let app = TestApp::new(database).await;
    let project = text_project(&app).await;
    let mia = project.member(&app, "mia", "MANAGER").await;
    let import = json!({
        "projectId": project.id, "format": "COCO", "annotations": "PREANNOTATE",
        "source": { "assetId": app.source(&project).await },
    });
    let begun = mia.mutate("startImport", import, &format!("job {{ {JOB} resultUrl errorsUrl }}")).await;
    let mut job = begun.get("startImport.job").clone();
    let (id, created_at) = (job["id"].as_str().unwrap().to_owned(), job["createdAt"].clone());
    assert!(id.starts_with("job_") && created_at.is_string(), "{job}");
    let want = json!({
        "id": id, "kind": "IMPORT", "state": "QUEUED", "step": null, "done": 0, "total": null, "message": null,
        "losses": [], "createdAt": created_at, "endedAt": null, "project": { "id": project.id },
        "createdBy": { "id": mia.id }, "resultUrl": null, "errorsUrl": null,
    });
    assert_eq!(job, want);
    assert_eq!(seen(&project.manager, &id).await, want);

    app.set_job(&id, "state = 'RUNNING', step = 'WRITE', done = 1500, total = 4000").await;
    let running = seen(&mia, &id).await;
    for (field, want) in
        [("state", json!("RUNNING")), ("step", json!("WRITE")), ("done", json!(1_500)), ("total", json!(4_000))]
    {
        assert_eq!(running[field], want, "{field}");
    }
    app.fail(&project, &id, "errors.jsonl", b"{}\n").await;
    app.set_job(&id, "losses = '[\"3 × pictures\"]'").await;
    job = seen(&mia, &id).await;
    for (field, want) in [
        ("state", json!("FAILED")),
        ("message", json!("wrong")),
        ("losses", json!(["3 × pictures"])),
        ("endedAt", created_at),
    ] {
        assert_eq!(job[field], want, "{field}");
    }
    assert!(job["errorsUrl"].is_string() && job["resultUrl"].is_null(), "{job}");

    let export = json!({ "states": ["ACCEPTED", "SUBMITTED"], "format": "COCO", "conflicts": "EXCLUDE", "options": { "overlap": "FIRST" } });
    let export = mia.start_export(&project, export).await;
    assert_eq!(export.text("startExport.job.kind"), "EXPORT");
    let export = export.text("startExport.job.id");
    app.succeed(&project, &export, "result.json", b"{}").await;
    let made = seen(&mia, &export).await;
    assert!(made["resultUrl"].is_string() && made["errorsUrl"].is_null(), "{made}");
    let asked: Vec<(String,)> = if app.database.is_sqlite() {
        app.rows("SELECT parameters FROM job WHERE kind = 'EXPORT'").await
    } else {
        app.rows("SELECT parameters::text FROM job WHERE kind = 'EXPORT'").await
    };
    let asked: Value = serde_json::from_str(&asked[0].0).unwrap();
    assert_eq!(
        asked,
        json!({ "format": "COCO", "states": ["ACCEPTED", "SUBMITTED"], "overlap": "FIRST", "conflicts": "EXCLUDE" })
    );
    let query = "query($id: ID!) { project(id: $id) { jobs(first: 9) { totalCount pageInfo { hasNextPage }
        edges { cursor node { id } } nodes { id } } } }";
    let listed = mia.send(query, json!({ "id": project.id })).await;
    assert_eq!(listed.get("project.jobs.totalCount"), 2);
    assert_eq!(listed.get("project.jobs.nodes"), &json!([{ "id": id }, { "id": export }]));
}

/// What somebody is told of a job by each way there is: by its id, in the project's list, as a subscription.
async fn told(person: &Person, project: &Project, job: &str) -> [String; 3] {
    let by_id = "query($id: ID!) { node(id: $id) { ... on Job { id resultUrl } } }";
    let by_id = person.send(by_id, json!({ "id": job })).await;
    let found = if by_id.get("node").is_null() { String::new() } else { by_id.text("node.resultUrl") };
    let list = "query($id: ID!) { project(id: $id) { jobs(first: 9) { nodes { id resultUrl } } } }";
    let list = person.send(list, json!({ "id": project.id })).await;
    let listed = match list.code() {
        "" if list.get("project").is_null() => String::new(),
        "" => list.text("project.jobs.nodes.0.resultUrl"),
        code => {
            assert!(!list.body.to_string().contains("/files/"), "{:#}", list.body);
            code.to_owned()
        }
    };
    let follow = "subscription($id: ID!) { jobProgress(jobId: $id) { id resultUrl } }";
    let follow = person.ask(follow, json!({ "id": job })).await;
    let followed =
        if follow.code().is_empty() { follow.text("jobProgress.resultUrl") } else { follow.code().to_owned() };
    [found, listed, followed]
}

async fn jobs_are_for_managers(database: Database) {
    let app = TestApp::new(database).await;
    let project = text_project(&app).await;
    let source = app.source(&project).await;
    let (made, waits) = (project.export().await, project.export().await);
    app.succeed(&project, &made, "result.jsonl", b"{}\n").await;
    for (name, code, field) in [
        ("VIEWER", "FORBIDDEN", ""),
        ("ANNOTATOR", "FORBIDDEN", ""),
        ("REVIEWER", "FORBIDDEN", ""),
        ("stranger", "NOT_FOUND", "projectId"),
    ] {
        let person = app.person(&name.to_lowercase()).await;
        if name != "stranger" {
            project.set_member(&person, json!(name)).await.get("setMember");
        }
        let watch = project.watch().await;
        let import = person.start_import(&project, &source).await;
        watch.refused(&format!("an import by a {name}"), &import, code, field).await;
        let export = person.start_export(&project, json!({})).await;
        watch.refused(&format!("an export by a {name}"), &export, code, field).await;
        let field = if field.is_empty() { "" } else { "jobId" };
        for job in [&waits, &made] {
            watch.refused(&format!("a cancellation by a {name}"), &person.cancel(job).await, code, field).await;
        }
        let listed = if name == "stranger" { "" } else { "FORBIDDEN" };
        assert_eq!(told(&person, &project, &made).await, ["", listed, code], "{name}");
    }
    let mia = project.member(&app, "mia", "MANAGER").await;
    let [url, listed, followed] = told(&mia, &project, &made).await;
    assert!(url.contains("/files/") && listed == url && followed == url, "{url}, {listed}, {followed}");
    mia.cancel(&waits).await.get("cancelJob");
    mia.cancel(&made).await.assert_error("INVALID_TRANSITION", "jobId");
    mia.start_import(&project, &source).await.text("startImport.job.id");
}

/// An export holds the work of all slots: whoever sees only their own must not get at it.
async fn who_labels_blind_finds_no_result(database: Database) {
    let app = TestApp::new(database).await;
    let project = app.project_with(&app.admin().await, Media::Text, json!({ "overlap": 2 })).await;
    let job = project.export().await;
    app.succeed(&project, &job, "result.jsonl", b"the work of others\n").await;
    let ana = project.member(&app, "ana", "ANNOTATOR").await;
    assert_eq!(told(&ana, &project, &job).await, ["", "FORBIDDEN", "FORBIDDEN"]);
    project.set_member(&ana, json!("MANAGER")).await.get("setMember");
    for url in told(&ana, &project, &job).await {
        let file = app.http.get(url).send().await.unwrap();
        assert_eq!(file.text().await.unwrap(), "the work of others\n");
    }
}

async fn a_cancelled_job_stays_cancelled(database: Database) {
    let app = TestApp::new(database).await;
    let project = text_project(&app).await;
    let waiting = project.export().await;
    let running = project.import(&app.source(&project).await).await;
    app.set_job(&running, "state = 'RUNNING', step = 'WRITE', runner = 'a', runner_expires_at = created_at").await;
    for job in [&waiting, &running] {
        let first = project.manager.cancel(job).await;
        assert_eq!(first.text("cancelJob.job.state"), "CANCELLED");
        assert_eq!(first.text("cancelJob.job.message"), "cancelled");
        app.advance(std::time::Duration::from_secs(5));
        assert_eq!(project.manager.cancel(job).await.get("cancelJob"), first.get("cancelJob"), "the same answer");
    }
}

async fn what_has_ended_or_shows_its_tasks_is_not_cancelled(database: Database) {
    let app = TestApp::new(database).await;
    let project = text_project(&app).await;
    let job = project.import(&app.source(&project).await).await;
    for (case, columns, want) in [
        ("one that succeeded", "state = 'SUCCEEDED', ended_at = created_at", "the job has SUCCEEDED"),
        ("one that failed", "state = 'FAILED', ended_at = created_at", "the job has FAILED"),
        ("one that shows its tasks", "state = 'RUNNING', step = 'SHOW', ended_at = NULL", "is being shown"),
    ] {
        app.set_job(&job, columns).await;
        let watch = project.watch().await;
        let refused = project.manager.cancel(&job).await;
        watch.refused(case, &refused, "INVALID_TRANSITION", "jobId").await;
        assert!(refused.message().contains(want), "{case}: {}", refused.message());
    }
    project.manager.cancel(&random_like(&job)).await.assert_refused("none", "NOT_FOUND", "jobId");
}

async fn so_many_jobs_wait_at_most(database: Database) {
    let app = TestApp::new(database).await;
    let project = text_project(&app).await;
    let source = app.source(&project).await;
    let mut jobs = Vec::new();
    for _ in 0..limits::OPEN_JOBS {
        jobs.push(project.export().await);
    }
    app.set_job(&jobs[0], "state = 'RUNNING'").await;
    let watch = project.watch().await;
    for (case, refused) in [
        ("an export", project.manager.start_export(&project, json!({})).await),
        ("an import", project.manager.start_import(&project, &source).await),
    ] {
        watch.refused(case, &refused, "LIMIT_EXCEEDED", "projectId").await;
    }
    // Of another project there may be more, and what has ended does not count.
    app.project(&project.manager, Media::Text).await.export().await;
    project.manager.cancel(&jobs[0]).await.get("cancelJob");
    project.export().await;
    // Those who ask at the same moment are counted one after the other.
    project.manager.cancel(&jobs[1]).await.get("cancelJob");
    let asked = futures::future::join_all((0..4).map(|_| project.manager.start_export(&project, json!({})))).await;
    let mut codes: Vec<&str> = asked.iter().map(Answer::code).collect();
    codes.sort_unstable();
    assert_eq!(codes, ["", "LIMIT_EXCEEDED", "LIMIT_EXCEEDED", "LIMIT_EXCEEDED"]);
}

async fn an_archived_project_exports_and_imports_nothing(database: Database) {
    let app = TestApp::new(database).await;
    let project = text_project(&app).await;
    let source = app.source(&project).await;
    let waiting = project.import(&source).await;
    project.set(json!({ "state": "ARCHIVED" })).await;
    let watch = project.watch().await;
    let refused = project.manager.start_import(&project, &source).await;
    watch.refused("an import", &refused, "INVALID_TRANSITION", "projectId").await;
    project.export().await;
    project.manager.cancel(&waiting).await.get("cancelJob");
    project.set(json!({ "state": "PAUSED" })).await;
    project.import(&source).await;
}

async fn tasks_need_a_template(database: Database) {
    let app = TestApp::new(database).await;
    let boss = app.admin().await;
    let made = boss.mutate("createProject", json!({ "name": "Bare", "mediaType": "TEXT" }), "project { id }").await;
    let project = Project { id: made.text("createProject.project.id"), manager: boss };
    let source = app.source(&project).await;
    let watch = project.watch().await;
    let refused = project.manager.start_import(&project, &source).await;
    watch.refused("an import", &refused, "INVALID_TRANSITION", "projectId").await;
    project.export().await;
    project.publish(Media::Text).await;
    project.import(&source).await;
}

async fn a_source_is_a_ready_asset_of_the_project(database: Database) {
    let app = TestApp::new(database).await;
    let project = text_project(&app).await;
    let other = app.project(&project.manager, Media::Text).await;
    let pending = project.request_upload("later.jsonl", "text/plain", 5).await;
    let rejected = project.request_upload("data.png", "image/png", 5).await;
    assert_eq!(app.put(&rejected.text("requestUploads.uploads.0.url"), "cells").await.status(), 204);
    let [pending, rejected] = [pending, rejected].map(|asked| asked.text("requestUploads.uploads.0.assetId"));
    assert_eq!(project.complete(&[&rejected]).await.text("completeUploads.assets.0.state"), "REJECTED");
    let elsewhere = app.source(&other).await;
    let watch = project.watch().await;
    for (case, source) in [
        ("of another project", &elsewhere),
        ("PENDING", &pending),
        ("REJECTED", &rejected),
        ("of nothing", &random_like(&pending)),
    ] {
        let refused = project.manager.start_import(&project, source).await;
        watch.refused(case, &refused, "NOT_FOUND", "source.assetId").await;
    }
    other.import(&elsewhere).await;
}

async fn an_export_is_of_some_states(database: Database) {
    let app = TestApp::new(database).await;
    let project = text_project(&app).await;
    let watch = project.watch().await;
    for (case, states, code, field) in [
        ("of none", json!([]), "BAD_USER_INPUT", "states"),
        ("of far too many", json!(vec!["QUEUED"; 201]), "LIMIT_EXCEEDED", "states"),
        ("of one that is none", json!(["LOST"]), "BAD_USER_INPUT", ""),
    ] {
        let refused = project.manager.start_export(&project, json!({ "states": states })).await;
        watch.refused(case, &refused, code, field).await;
    }
    for states in [json!(["ARCHIVED"]), Value::Null] {
        let asked = project.manager.start_export(&project, json!({ "states": states })).await;
        assert_eq!(asked.text("startExport.job.state"), "QUEUED");
    }
}
