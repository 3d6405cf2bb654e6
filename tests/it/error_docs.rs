//! docs/errors.md says what the code does: its codes are those of the schema, its examples are sent.

mod conflicts;
mod jobs;
mod labeling;

use std::collections::BTreeSet;

use concord::{
    domain::{
        edit::Rejection,
        words::{ErrorCode, ProjectState},
    },
    service::ServiceError,
};
use reqwest::{Method, header};
use serde_json::{Value, json};

use crate::harness::{
    Answer, Database, Media, Person, Project, Session, TestApp, new_annotation, on_both_databases, sdl::Schema,
};

on_both_databases![
    the_table_of_codes_is_that_of_the_schema,
    codes_that_can_be_tried_again_are_marked,
    every_bad_input_of_the_table_is_answered_as_it_says,
    every_bad_edit_of_the_table_is_answered_as_it_says,
];

const DOCUMENT: &str = include_str!("../../docs/errors.md");

/// The rows of the table whose header begins with `first`, cell by cell, without code marks.
fn table(first: &str) -> Vec<Vec<String>> {
    let header = format!("| {first} |");
    let lines = DOCUMENT.lines().skip_while(|line| !line.starts_with(&header)).skip(2);
    let rows = lines.take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect()).collect()
}

async fn the_table_of_codes_is_that_of_the_schema(_: Database) {
    let documented: Vec<String> = table("code").into_iter().map(|row| row[0].clone()).collect();
    let once: BTreeSet<String> = documented.iter().cloned().collect();
    assert_eq!(documented.len(), once.len(), "each once");
    assert_eq!(once, Schema::read().values("ErrorCode"));
    let reasons: BTreeSet<String> = table("reason").into_iter().map(|row| row[0].clone()).collect();
    assert_eq!(reasons, Schema::read().values("NoTaskReason"));
    assert!(table("code").iter().all(|row| row.len() == 5 && !row[1].is_empty() && !row[4].is_empty()));
}

/// One error of each variant. The match has no wildcard: a new variant needs a line here, and its code a row there.
fn every_service_error() -> Vec<ServiceError> {
    let errors = vec![
        ServiceError::Unauthenticated("who"),
        ServiceError::Forbidden("no"),
        ServiceError::not_found("task", "id"),
        ServiceError::invalid("field", "wrong"),
        ServiceError::limit("field", 1, "things"),
        ServiceError::transition("field", "not now"),
        ServiceError::ForbiddenAt { field: "taskId", message: "no" },
        ServiceError::lease_lost("gone"),
        ServiceError::Incomplete { field: "sessionId".into(), message: "not yet".into() },
        ServiceError::Stale { field: "expectedRevision".into(), message: "older".into() },
        ServiceError::Rejected(Rejection::new(ErrorCode::FutureVersion, "base", "ahead")),
        ServiceError::ConflictOpen { waiting: 1 },
        ServiceError::ProjectPaused(ProjectState::Paused),
        ServiceError::TooLarge { limit_bytes: 1 },
        ServiceError::RateLimited { retry_after: std::time::Duration::from_secs(1) },
        ServiceError::Unavailable("away"),
        ServiceError::Internal("cause".into()),
    ];
    for error in &errors {
        match error {
            ServiceError::Unauthenticated(_)
            | ServiceError::Forbidden(_)
            | ServiceError::ForbiddenAt { .. }
            | ServiceError::LeaseLost { .. }
            | ServiceError::Incomplete { .. }
            | ServiceError::Stale { .. }
            // Has the code of another one in the list.
            | ServiceError::Outdated { .. }
            | ServiceError::Rejected(_)
            | ServiceError::ConflictOpen { .. }
            | ServiceError::ProjectPaused(_)
            | ServiceError::NotFound { .. }
            | ServiceError::Invalid { .. }
            | ServiceError::LimitExceeded { .. }
            | ServiceError::Transition { .. }
            | ServiceError::TooLarge { .. }
            | ServiceError::RateLimited { .. }
            | ServiceError::Unavailable(_)
            | ServiceError::Undecided(_)
            | ServiceError::Internal(_) => {}
        }
    }
    errors
}

async fn codes_that_can_be_tried_again_are_marked(_: Database) {
    let rows = table("code");
    let given: BTreeSet<&str> = every_service_error().iter().map(|error| error.code().as_str()).collect();
    // UNAVAILABLE is, but where the end was not seen: its row says so.
    let undecided = ServiceError::Undecided("who knows");
    assert_eq!((undecided.code(), undecided.retry_after()), (ErrorCode::Unavailable, None));
    for error in every_service_error() {
        let code = error.code().as_str();
        let row = rows.iter().find(|row| row[0] == code).unwrap_or_else(|| panic!("{code} is not documented"));
        assert_eq!(row[3], if error.retry_after().is_some() { "yes" } else { "no" }, "{code}");
        assert!(!row[2].is_empty(), "{code} has a status");
    }
    for code in OF_EDITS {
        assert!(!given.contains(code) && rows.iter().any(|row| row[0] == *code && row[2] == "–"), "{code}");
    }
    assert!(rows.iter().all(|row| !row[2].is_empty()), "each code has a status, or none outside GraphQL");
    let below = DOCUMENT.lines().skip_while(|line| !line.starts_with("| code |"));
    let below: Vec<&str> =
        below.skip_while(|line| line.starts_with('|')).take_while(|line| !line.starts_with('#')).collect();
    let below = below.join(" ");
    let [gone, actor, id, siblings] = OF_EDITS;
    let sentence = format!("`{gone}`, `{actor}`, `{id}` and `{siblings}` are never errors");
    assert!(below.contains(&sentence), "{sentence:?} is not in {below:?}");
}

/// Codes that stand in the result of an edit and nowhere else.
const OF_EDITS: [&str; 4] = ["GONE", "ACTOR_REUSED", "ID_TAKEN", "TOO_MANY_SIBLINGS"];

/// The examples of the table by what is sent, with the answer to each.
async fn examples(app: &TestApp, project: &Project) -> Vec<(&'static str, Answer)> {
    let boss = &project.manager;
    let (viewer, eve) = (app.person("viewer").await, app.person("eve").await);
    project.set_member(&viewer, json!("VIEWER")).await.get("setMember");
    let task = project.text_tasks(1).await.remove(0);
    let session = app.at_work(project, &task, boss).await;
    let stolen = Session { person: viewer.clone(), ..session.clone() };
    let deletion = |base: Value| json!({ "delete": { "id": new_annotation(), "base": base } });
    let upload = project.request_upload("a.txt", "text/plain", 5).await;
    let (asset, url) = (upload.text("requestUploads.uploads.0.assetId"), upload.text("requestUploads.uploads.0.url"));
    let ask = async |by: &Person, query: &str| by.send(query, json!({})).await;
    let create = async |task: Value| project.create_tasks(json!([task])).await;
    let publish = async |labels: Value, attributes: Value| {
        let tool = json!({ "name": "Words", "kind": "TEXT_SPAN", "labels": labels, "attributes": attributes });
        let template = json!({ "projectId": project.id, "name": "New", "tools": [tool] });
        boss.mutate("publishTemplate", json!({ "template": template }), "template { id }").await
    };
    let raw = async |method: Method, content_type: &str, body: String| {
        let request = boss.request(method).header(header::CONTENT_TYPE, content_type).body(body);
        Answer::read(request.send().await.unwrap()).await
    };
    let json_type = "application/json";
    let rename = |id: &str| json!({ "projectId": id, "name": "x" });
    let renaming =
        format!("mutation {{ updateProject(input: {{ projectId: \"{}\" }}) {{ project {{ id }} }} }}", project.id);
    let forged = app.url(&format!("/graphql?{}", serde_urlencoded::to_string([("query", &renaming)]).unwrap()));
    let bomb: String = (0..30).map(|n| format!("fragment f{n} on Query {{ ...f{0} ...f{0} }} ", n + 1)).collect();
    let large = "x".repeat(20_000_000);
    let label = json!([{ "name": "cell" }]);
    let choice = json!([{ "name": "size", "type": "SELECT" }]);
    vec![
        ("an id that is none", ask(boss, "{ task(id: \"garbage\") { id } }").await),
        ("an id of another kind", ask(boss, &format!("{{ task(id: \"{}\") {{ id }} }}", project.id)).await),
        ("a mutation with an id of nothing, or of what you do not see", eve.mutate("updateProject", rename(&project.id), "project { id }").await),
        ("a mutation that your role does not allow", viewer.mutate("updateProject", rename(&project.id), "project { id }").await),
        ("a page of more than 200", ask(boss, "{ projects(first: 201) { nodes { id } } }").await),
        ("a page of both ends, or of none", ask(boss, "{ projects { nodes { id } } }").await),
        ("a cursor of another list", ask(boss, "{ projects(first: 1, after: \"garbage\") { nodes { id } } }").await),
        ("more than 1,000 tasks", project.create_tasks(json!(vec![json!({}); 1_001])).await),
        ("a priority out of range", create(json!({ "data": { "text": "x" }, "priority": 1_000_001 })).await),
        ("an external id twice in one request", project.create_tasks(json!(vec![json!({ "externalId": "a", "data": { "text": "x" } }); 2])).await),
        ("an external id that is too long", create(json!({ "externalId": "x".repeat(501), "data": { "text": "x" } })).await),
        ("data that is no object", create(json!({ "data": [] })).await),
        ("data of more than 256 KiB", create(json!({ "data": { "text": "x".repeat(300_000) } })).await),
        ("an asset that is not READY, or of another project", create(json!({ "assetIds": [asset] })).await),
        ("a task that shows nothing", create(json!({})).await),
        ("a person who cannot label", boss.mutate("updateTasks", json!({ "taskIds": [task], "reservedForUserId": viewer.id }), "tasks { id }").await),
        ("more than 100 files", boss.mutate("requestUploads", json!({ "projectId": project.id, "files": vec![json!({ "fileName": "a", "contentType": "a/b", "sizeBytes": 1 }); 101] }), "uploads { assetId }").await),
        ("the completion of an upload that was never made", project.complete(&[&asset]).await),
        ("more bytes than announced", Answer::read(app.put(&url, "too many").await).await),
        ("a signed URL that was changed or is too old", Answer::read(app.put(&url.replace("signature=", "signature=0"), "x").await).await),
        ("two labels of one name", publish(json!([{ "name": "cell" }, { "name": "cell" }]), json!([])).await),
        ("an attribute without its values", publish(label, choice).await),
        ("a name with a control character or a NUL", boss.mutate("createAccessToken", json!({ "name": "a\0" }), "secret").await),
        ("a name that is too long", boss.mutate("createAccessToken", json!({ "name": "x".repeat(201) }), "secret").await),
        ("no edits", session.save(json!([])).await),
        ("more than 500 edits", session.save(json!(vec![deletion(json!({ "#": 1 })); 501])).await),
        ("a version vector that is none", session.save(json!([deletion(json!({}))])).await),
        ("a fence that is not the session's", session.save_under(99, json!([deletion(json!({ "#": 1 }))])).await),
        ("a labeling session of somebody else", stolen.save(json!([deletion(json!({ "#": 1 }))])).await),
        ("a body of more than 8 MiB", raw(Method::POST, json_type, json!({ "query": "", "variables": { "x": large } }).to_string()).await),
        ("a batch", raw(Method::POST, json_type, "[]".to_owned()).await),
        ("a form or text", raw(Method::POST, "text/plain", "{}".to_owned()).await),
        ("a method other than POST and GET", raw(Method::DELETE, json_type, "{}".to_owned()).await),
        ("a mutation by GET", Answer::read(app.http.get(forged).bearer_auth(&boss.token).send().await.unwrap()).await),
        ("an Accept that is not JSON", Answer::read(boss.request(Method::POST).header(header::ACCEPT, "text/html").send().await.unwrap()).await),
        ("fields nested too deep", ask(boss, &format!("{}{}", "{ a ".repeat(17), "}".repeat(17))).await),
        ("too many aliases", ask(boss, &format!("{{ viewer {{ {} }} }}", (0..101).map(|n| format!("a{n}: id ")).collect::<String>())).await),
        ("too many root fields", ask(boss, &format!("{{ {} }}", (0..21).map(|n| format!("a{n}: __typename ")).collect::<String>())).await),
        ("too long a document", ask(boss, &format!("{{ {} }}", "id ".repeat(10_000))).await),
        ("fragments that multiply", ask(boss, &format!("{{ ...f0 }} {bomb}")).await),
        ("fragments in a circle", ask(boss, "{ ...f } fragment f on Query { ...f }").await),
        ("too costly a document", ask(boss, "{ projects(first: 200) { nodes { members(first: 200) { nodes { role } } } } }").await),
        ("a variable too few", ask(boss, "query($id: ID!) { task(id: $id) { id } }").await),
        ("a subscription of two fields", ask(boss, "subscription { a: taskEvents(projectId: \"x\") { id } b: taskEvents(projectId: \"x\") { id } }").await),
        ("a subscription by POST or GET", ask(boss, "subscription { taskEvents(projectId: \"x\") { id } }").await),
        ("an event cursor that is none", boss.ask("subscription($id: ID!) { taskEvents(projectId: $id, after: \"garbage\") { id } }", json!({ "id": project.id })).await),
        ("no credential", app.anonymous("{ viewer { id } }", json!({})).await),
        ("a token that is unknown, expired or revoked", ask(&boss.with_token("cat_x"), "{ viewer { id } }").await),
        ("a sign-in link that was used or is too old", app.anonymous("mutation { signIn(input: { link: \"x\" }) { token } }", json!({})).await),
    ]
}

async fn every_bad_input_of_the_table_is_answered_as_it_says(database: Database) {
    let another = same_kind(&database);
    let app = TestApp::new(database).await;
    let boss = app.admin().await;
    let project = app.project(&boss, Media::Text).await;
    let mut sent = Vec::new();
    let mut all = examples(&app, &project).await;
    all.extend(labeling::requests(&app, &boss).await);
    all.extend(conflicts::requests(another).await);
    all.extend(jobs::requests(&app, &boss).await);
    for (what, answer) in all {
        answer.assert_refused(what, answer.code(), answer.field());
        sent.push(row(what, answer.code(), answer.field(), answer.message()));
    }
    assert_documented("what you send", &sent);
}

/// Another database for people and projects of the same names.
fn same_kind(database: &Database) -> Database {
    if database.is_sqlite() { Database::sqlite() } else { Database::postgres() }
}

async fn every_bad_edit_of_the_table_is_answered_as_it_says(database: Database) {
    let another = same_kind(&database);
    let app = TestApp::new(database).await;
    let boss = app.admin().await;
    let mut sent = Vec::new();
    let mut all = labeling::edits(&app, &boss).await;
    all.extend(conflicts::edits(another).await);
    for (what, result) in all {
        assert_eq!(result["outcome"], "REJECTED", "{what}: {result:#}");
        let text = |key: &str| result[key].as_str().unwrap_or_else(|| panic!("{what}: no {key} in {result:#}"));
        sent.push(row(what, text("code"), text("field"), text("message")));
    }
    assert_documented("what an edit says", &sent);
    let given: BTreeSet<&str> = sent.iter().map(|row| row[1].as_str()).collect();
    assert!(OF_EDITS.iter().all(|code| given.contains(code)), "{given:?}");
}

/// A row as the tables have it: without code marks, and with `…` for a number that is another one every time.
fn row(what: &str, code: &str, field: &str, message: &str) -> Vec<String> {
    let is_particular = |word: &str| word.len() > 8 && word.bytes().all(|byte| byte.is_ascii_digit());
    let words = message.split(' ').map(|word| if is_particular(word) { "…" } else { word });
    let message = words.collect::<Vec<_>>().join(" ");
    [what, code, field, &message].map(|cell| cell.replace('`', "")).to_vec()
}

fn assert_documented(header: &str, sent: &[Vec<String>]) {
    let rows = |rows: &[Vec<String>]| rows.iter().map(|row| format!("| {} |", row.join(" | "))).collect::<Vec<_>>();
    assert!(rows(&table(header)) == rows(sent), "the table should be:\n{}", rows(sent).join("\n"));
}
