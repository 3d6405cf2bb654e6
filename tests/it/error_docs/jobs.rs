//! The examples of docs/errors.md that are about imports and exports.

use concord::domain::limits;
use serde_json::json;

use crate::harness::{Answer, Media, Person, Project, TestApp, random_like};

/// Requests that are refused, with their answers.
pub(super) async fn requests(app: &TestApp, boss: &Person) -> Vec<(&'static str, Answer)> {
    let project = app.project(boss, Media::Text).await;
    let source = app.source(&project).await;
    let rita = project.member(app, "rita-of-jobs", "REVIEWER").await;
    let bare = boss.mutate("createProject", json!({ "name": "Bare", "mediaType": "TEXT" }), "project { id }").await;
    let bare = Project { id: bare.text("createProject.project.id"), manager: boss.clone() };
    let bare_source = app.source(&bare).await;
    let job = project.import(&source).await;
    let mut examples = vec![
        ("an import or an export below a manager", rita.start_export(&project, json!({})).await),
        ("an import of what is not READY, or of another project", boss.start_import(&project, &bare_source).await),
        ("an import into a project without a template", boss.start_import(&bare, &bare_source).await),
        ("an export of no states at all", boss.start_export(&project, json!({ "states": [] })).await),
        ("the end of a job of nothing, or that you do not see", boss.cancel(&random_like(&job)).await),
    ];
    app.set_job(&job, "state = 'RUNNING', step = 'SHOW'").await;
    examples.push(("the end of an import that shows its tasks", boss.cancel(&job).await));
    app.succeed(&project, &job, "result.jsonl", b"").await;
    examples.push(("the end of a job that has ended", boss.cancel(&job).await));
    let query = "query($id: ID!) { node(id: $id) { ... on Job { resultUrl } } }";
    let url = boss.send(query, json!({ "id": job })).await.text("node.resultUrl");
    let get = async |url: &str| Answer::read(app.http.get(url).send().await.unwrap()).await;
    examples.push(("a signed URL whose id is none", get(&url.replace(&job, "garbage")).await));
    examples.push(("a signed URL used for something else", get(&url.replace("permit=result", "permit=read")).await));
    app.set_job(&job, "result_key = NULL").await;
    examples.push(("a signed URL of a file that is gone", get(&url).await));
    for _ in 0..limits::OPEN_JOBS {
        project.export().await;
    }
    examples.push(("more jobs than may wait", boss.start_export(&project, json!({})).await));
    project.set(json!({ "state": "ARCHIVED" })).await;
    examples.push(("an import into a project that is ARCHIVED", boss.start_import(&project, &source).await));
    examples
}
