//! Ids that are malformed, of another kind or of nothing, at every place where the API takes an id.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{
    Answer, Database, Media, Project, Session, TestApp, new_annotation, on_both_databases, sdl::Schema,
};

on_both_databases![
    every_id_argument_of_the_schema_has_a_case,
    a_malformed_id_is_bad_input_at_its_field,
    an_unknown_id_is_not_found_or_null,
    more_ids_than_allowed_are_refused_before_any_is_looked_up,
];

/// What the answer for a well-formed id of nothing is.
enum Unknown {
    NotFound,
    Null(&'static str),
    Empty(&'static str),
    Taken(&'static str),
}
use Unknown::{Empty, Null, Taken};

const NOT_FOUND: Unknown = Unknown::NotFound;

/// One place for an id: its path in the schema, its field in errors, the kind of id, what an unknown one gives, and a
/// document with the id as `$id`.
const PLACES: &[(&str, &str, &str, Unknown, &str)] = &[
    ("node.id", "id", "task", Null("node"), "query($id: ID!) { node(id: $id) { id } }"),
    ("nodes.ids", "ids[0]", "asset", Null("nodes.0"), "query($id: ID!) { nodes(ids: [$id]) { id } }"),
    ("project.id", "id", "proj", Null("project"), "query($id: ID!) { project(id: $id) { id } }"),
    ("task.id", "id", "task", Null("task"), "query($id: ID!) { task(id: $id) { id } }"),
    (
        "tasks.projectId",
        "projectId",
        "proj",
        NOT_FOUND,
        "query($id: ID!) { tasks(projectId: $id, first: 1) { nodes { id } } }",
    ),
    (
        "tasks.filter.annotatorId",
        "filter.annotatorId",
        "user",
        Empty("tasks.nodes"),
        "query($id: ID!, $project: ID!) { tasks(projectId: $project, first: 1, filter: { annotatorId: $id }) { nodes { id } } }",
    ),
    ("eventCursor.projectId", "projectId", "proj", NOT_FOUND, "query($id: ID!) { eventCursor(projectId: $id) }"),
    (
        "events.projectId",
        "projectId",
        "proj",
        NOT_FOUND,
        "query($id: ID!) { events(projectId: $id, first: 1) { hasMore } }",
    ),
    (
        "conflicts.projectId",
        "projectId",
        "proj",
        NOT_FOUND,
        "query($id: ID!) { conflicts(projectId: $id, first: 1) { nodes { id } } }",
    ),
    (
        "conflictEvents.projectId",
        "projectId",
        "proj",
        NOT_FOUND,
        "subscription($id: ID!) { conflictEvents(projectId: $id) { id } }",
    ),
    (
        "resolveConflict.conflictId",
        "conflictId",
        "conf",
        NOT_FOUND,
        "mutation($id: ID!, $seen: VersionVector!) { resolveConflict(input: { conflictId: $id, base: $seen, choice: CURRENT }) { conflict { id } } }",
    ),
    (
        "restoreSnapshot.snapshotId",
        "snapshotId",
        "snap",
        NOT_FOUND,
        "mutation($id: ID!, $session: ID!) { restoreSnapshot(input: { snapshotId: $id, sessionId: $session, fence: 1 }) { task { id } } }",
    ),
    (
        "restoreSnapshot.sessionId",
        "sessionId",
        "sess",
        NOT_FOUND,
        "mutation($id: ID!, $snapshot: ID!) { restoreSnapshot(input: { snapshotId: $snapshot, sessionId: $id, fence: 1 }) { task { id } } }",
    ),
    (
        "taskEvents.projectId",
        "projectId",
        "proj",
        NOT_FOUND,
        "subscription($id: ID!) { taskEvents(projectId: $id) { id } }",
    ),
    (
        "taskEvents.taskId",
        "taskId",
        "task",
        NOT_FOUND,
        "subscription($id: ID!, $project: ID!) { taskEvents(projectId: $project, taskId: $id) { id } }",
    ),
    (
        "createSignInLink.userId",
        "userId",
        "user",
        NOT_FOUND,
        "mutation($id: ID!) { createSignInLink(input: { userId: $id }) { url } }",
    ),
    (
        "updateUser.userId",
        "userId",
        "user",
        NOT_FOUND,
        "mutation($id: ID!) { updateUser(input: { userId: $id, name: \"Eve\" }) { user { id } } }",
    ),
    (
        "revokeAccessToken.tokenId",
        "tokenId",
        "tok",
        NOT_FOUND,
        "mutation($id: ID!) { revokeAccessToken(input: { tokenId: $id }) { token { id } } }",
    ),
    (
        "updateProject.projectId",
        "projectId",
        "proj",
        NOT_FOUND,
        "mutation($id: ID!) { updateProject(input: { projectId: $id, name: \"Mine\" }) { project { id } } }",
    ),
    (
        "setMember.projectId",
        "projectId",
        "proj",
        NOT_FOUND,
        "mutation($id: ID!, $user: ID!) { setMember(input: { projectId: $id, userId: $user, role: VIEWER }) { project { id } } }",
    ),
    (
        "setMember.userId",
        "userId",
        "user",
        NOT_FOUND,
        "mutation($id: ID!, $project: ID!) { setMember(input: { projectId: $project, userId: $id, role: VIEWER }) { project { id } } }",
    ),
    (
        "publishTemplate.template.projectId",
        "template.projectId",
        "proj",
        NOT_FOUND,
        "mutation($id: ID!) { publishTemplate(input: { template: { projectId: $id, name: \"New\", tools: [{ name: \"Words\", kind: TEXT_SPAN, labels: [{ name: \"cell\" }] }] } }) { template { id } } }",
    ),
    (
        "requestUploads.projectId",
        "projectId",
        "proj",
        NOT_FOUND,
        "mutation($id: ID!) { requestUploads(input: { projectId: $id, files: [{ fileName: \"a.txt\", contentType: \"text/plain\", sizeBytes: 1 }] }) { uploads { assetId } } }",
    ),
    (
        "completeUploads.assetIds",
        "assetIds[1]",
        "asset",
        NOT_FOUND,
        "mutation($id: ID!, $asset: ID!) { completeUploads(input: { assetIds: [$asset, $id] }) { assets { id } } }",
    ),
    (
        "createTasks.projectId",
        "projectId",
        "proj",
        NOT_FOUND,
        "mutation($id: ID!) { createTasks(input: { projectId: $id, tasks: [{ data: { text: \"x\" } }] }) { created } }",
    ),
    (
        "createTasks.tasks.assetIds",
        "tasks[1].assetIds[1]",
        "asset",
        NOT_FOUND,
        "mutation($id: ID!, $project: ID!, $asset: ID!) { createTasks(input: { projectId: $project, tasks: [{ data: { text: \"x\" } }, { assetIds: [$asset, $id] }] }) { created } }",
    ),
    (
        "updateTasks.taskIds",
        "taskIds[1]",
        "task",
        NOT_FOUND,
        "mutation($id: ID!, $task: ID!) { updateTasks(input: { taskIds: [$task, $id], priority: 7 }) { tasks { id } } }",
    ),
    (
        "updateTasks.reservedForUserId",
        "reservedForUserId",
        "user",
        NOT_FOUND,
        "mutation($id: ID!, $task: ID!) { updateTasks(input: { taskIds: [$task], priority: 7, reservedForUserId: $id }) { tasks { id } } }",
    ),
    (
        "saveAnnotations.sessionId",
        "sessionId",
        "sess",
        NOT_FOUND,
        "mutation($id: ID!, $annotation: ID!, $seen: VersionVector!) { saveAnnotations(input: { sessionId: $id, fence: 1, edits: [{ delete: { id: $annotation, base: $seen } }] }) { task { id } } }",
    ),
    (
        "saveAnnotations.edits.create.id",
        "edits[0].create.id",
        "ann",
        Null("saveAnnotations.results.0.annotation"),
        "mutation($id: ID!, $session: ID!) { saveAnnotations(input: { sessionId: $session, fence: 1, edits: [{ create: { id: $id, tool: \"Circles\", label: \"cell\", geometry: { textSpan: { start: 0, end: 4, text: \"cell\" } } } }] }) { results { annotation { id } } } }",
    ),
    (
        "saveAnnotations.edits.create.assetId",
        "edits[0].create.assetId",
        "asset",
        Null("saveAnnotations.results.0.annotation"),
        "mutation($id: ID!, $session: ID!, $annotation: ID!) { saveAnnotations(input: { sessionId: $session, fence: 1, edits: [{ create: { id: $annotation, assetId: $id, tool: \"Words\", label: \"cell\", geometry: { textSpan: { start: 0, end: 4, text: \"cell\" } } } }] }) { results { annotation { id } } } }",
    ),
    (
        "saveAnnotations.edits.update.id",
        "edits[0].update.id",
        "ann",
        Null("saveAnnotations.results.0.annotation"),
        "mutation($id: ID!, $session: ID!, $seen: VersionVector!) { saveAnnotations(input: { sessionId: $session, fence: 1, edits: [{ update: { id: $id, base: $seen, label: \"dust\" } }] }) { results { annotation { id } } } }",
    ),
    (
        "saveAnnotations.edits.delete.id",
        "edits[0].delete.id",
        "ann",
        Null("saveAnnotations.results.0.annotation"),
        "mutation($id: ID!, $session: ID!, $seen: VersionVector!) { saveAnnotations(input: { sessionId: $session, fence: 1, edits: [{ delete: { id: $id, base: $seen } }] }) { results { annotation { id } } } }",
    ),
    (
        "saveAnnotations.edits.restore.id",
        "edits[0].restore.id",
        "ann",
        Null("saveAnnotations.results.0.annotation"),
        "mutation($id: ID!, $session: ID!, $seen: VersionVector!) { saveAnnotations(input: { sessionId: $session, fence: 1, edits: [{ restore: { id: $id, base: $seen } }] }) { results { annotation { id } } } }",
    ),
    (
        "claimTask.projectId",
        "projectId",
        "proj",
        NOT_FOUND,
        "mutation($id: ID!) { claimTask(input: { projectId: $id }) { session { id } reason } }",
    ),
    (
        "claimTask.taskId",
        "taskId",
        "task",
        NOT_FOUND,
        "mutation($id: ID!, $project: ID!) { claimTask(input: { projectId: $project, taskId: $id, requestId: \"click\" }) { session { id } reason } }",
    ),
    (
        "heartbeat.sessionId",
        "sessionId",
        "sess",
        NOT_FOUND,
        "mutation($id: ID!) { heartbeat(input: { sessionId: $id, fence: 1 }) { expiresAt } }",
    ),
    (
        "heartbeat.selectedAnnotationId",
        "selectedAnnotationId",
        "ann",
        Taken("heartbeat.expiresAt"),
        "mutation($id: ID!, $session: ID!) { heartbeat(input: { sessionId: $session, fence: 1, selectedAnnotationId: $id }) { expiresAt } }",
    ),
    (
        "setSessionState.sessionId",
        "sessionId",
        "sess",
        NOT_FOUND,
        "mutation($id: ID!) { setSessionState(input: { sessionId: $id, fence: 1, state: PAUSED, expectedRevision: 1 }) { session { id } } }",
    ),
    (
        "releaseTask.sessionId",
        "sessionId",
        "sess",
        NOT_FOUND,
        "mutation($id: ID!) { releaseTask(input: { sessionId: $id, fence: 1 }) { task { id } } }",
    ),
    (
        "skipTask.sessionId",
        "sessionId",
        "sess",
        NOT_FOUND,
        "mutation($id: ID!) { skipTask(input: { sessionId: $id, fence: 1, reason: \"too dark\" }) { task { id } } }",
    ),
    (
        "submitTask.sessionId",
        "sessionId",
        "sess",
        NOT_FOUND,
        "mutation($id: ID!) { submitTask(input: { sessionId: $id, fence: 1 }) { task { id } } }",
    ),
    (
        "joinTask.taskId",
        "taskId",
        "task",
        NOT_FOUND,
        "mutation($id: ID!) { joinTask(input: { taskId: $id, slot: 1 }) { session { id } } }",
    ),
    (
        "withdrawSubmission.taskId",
        "taskId",
        "task",
        NOT_FOUND,
        "mutation($id: ID!) { withdrawSubmission(input: { taskId: $id }) { session { id } } }",
    ),
    (
        "revokeLease.taskId",
        "taskId",
        "task",
        NOT_FOUND,
        "mutation($id: ID!) { revokeLease(input: { taskId: $id, slot: 1 }) { task { id } } }",
    ),
    (
        "claimReview.projectId",
        "projectId",
        "proj",
        NOT_FOUND,
        "mutation($id: ID!) { claimReview(input: { projectId: $id }) { session { id } reason } }",
    ),
    (
        "claimReview.taskId",
        "taskId",
        "task",
        NOT_FOUND,
        "mutation($id: ID!, $project: ID!) { claimReview(input: { projectId: $project, taskId: $id, requestId: \"click\" }) { session { id } reason } }",
    ),
    (
        "reviewTask.sessionId",
        "sessionId",
        "sess",
        NOT_FOUND,
        "mutation($id: ID!) { reviewTask(input: { sessionId: $id, fence: 1, verdict: ACCEPT }) { task { id } } }",
    ),
    (
        "reopenTask.taskId",
        "taskId",
        "task",
        NOT_FOUND,
        "mutation($id: ID!) { reopenTask(input: { taskId: $id }) { task { id } } }",
    ),
    (
        "archiveTasks.taskIds",
        "taskIds[1]",
        "task",
        NOT_FOUND,
        "mutation($id: ID!, $task: ID!) { archiveTasks(input: { taskIds: [$task, $id], archived: true }) { tasks { id } } }",
    ),
    (
        "startImport.projectId",
        "projectId",
        "proj",
        NOT_FOUND,
        "mutation($id: ID!, $asset: ID!) { startImport(input: { projectId: $id, format: JSONL, source: { assetId: $asset }, annotations: ACCEPT }) { job { id } } }",
    ),
    (
        "startImport.source.assetId",
        "source.assetId",
        "asset",
        NOT_FOUND,
        "mutation($id: ID!, $project: ID!) { startImport(input: { projectId: $project, format: JSONL, source: { assetId: $id }, annotations: ACCEPT }) { job { id } } }",
    ),
    (
        "startExport.projectId",
        "projectId",
        "proj",
        NOT_FOUND,
        "mutation($id: ID!) { startExport(input: { projectId: $id, format: JSONL }) { job { id } } }",
    ),
    (
        "cancelJob.jobId",
        "jobId",
        "job",
        NOT_FOUND,
        "mutation($id: ID!) { cancelJob(input: { jobId: $id }) { job { id } } }",
    ),
    ("presence.taskId", "taskId", "task", NOT_FOUND, "subscription($id: ID!) { presence(taskId: $id) { sessionId } }"),
    ("jobProgress.jobId", "jobId", "job", NOT_FOUND, "subscription($id: ID!) { jobProgress(jobId: $id) { id } }"),
];

/// The part of an id behind its kind.
const SUFFIX: &str = "01h455vb4pex5vsknk084sn02q";

/// A project with a task and a READY asset, and somebody outside it.
struct Scene {
    app: TestApp,
    project: Project,
    known: Value,
}

impl Scene {
    async fn new(database: Database) -> Self {
        let app = TestApp::new(database).await;
        let project = app.project(&app.admin().await, Media::Text).await;
        let task = project.text_tasks(1).await.remove(0);
        let asset = app.upload(&project, "a.txt", "text/plain", b"hello").await;
        let ana = app.person("ana").await;
        let Session { id: session, fence, .. } = app.at_work(&project, &task, &project.manager).await;
        assert_eq!(fence, 1);
        let known = json!({
            "project": project.id, "task": task, "asset": asset, "user": ana.id, "session": session,
            "annotation": new_annotation(), "seen": { "#": 1 }, "snapshot": app.snapshot(&task, 1).await,
        });
        Self { app, project, known }
    }

    async fn send(&self, document: &str, id: &Value) -> Answer {
        let mut variables = self.known.clone();
        variables["id"] = id.clone();
        self.project.manager.ask(document, variables).await
    }
}

async fn every_id_argument_of_the_schema_has_a_case(_: Database) {
    let cases: BTreeSet<String> = PLACES.iter().map(|(path, ..)| (*path).to_owned()).collect();
    assert_eq!(cases, Schema::read().id_arguments());
}

async fn a_malformed_id_is_bad_input_at_its_field(database: Database) {
    let scene = Scene::new(database).await;
    let watch = scene.project.watch().await;
    for (path, field, kind, _, document) in PLACES {
        let other = if *kind == "user" { "proj" } else { "user" };
        // `node` takes every kind there is.
        let other = if path.starts_with("node") { "cat" } else { other };
        for (case, id) in [
            ("empty", json!("")),
            ("a word", json!("garbage")),
            ("a number", json!(42)),
            ("without its kind", json!(SUFFIX)),
            ("of another kind", json!(format!("{other}_{SUFFIX}"))),
            ("of its kind in capitals", json!(format!("{}_{SUFFIX}", kind.to_uppercase()))),
            ("cut off", json!(format!("{kind}_01h455"))),
            ("past the last one", json!(format!("{kind}_8zzzzzzzzzzzzzzzzzzzzzzzzz"))),
            ("with a NUL", json!(format!("{kind}_{SUFFIX}\0"))),
            ("with a quote", json!(format!("{kind}_' OR '1'='1"))),
            ("of 100,000 characters", json!(format!("{kind}_{}", "0".repeat(100_000)))),
        ] {
            let answer = scene.send(document, &id).await;
            watch.refused(&format!("{path}, {case}"), &answer, "BAD_USER_INPUT", field).await;
        }
    }
    // The answer shows what an id looks like.
    let answer = scene.send(PLACES[3].4, &json!("garbage")).await;
    assert!(answer.message().contains("task_01h4"), "{}", answer.message());
}

async fn an_unknown_id_is_not_found_or_null(database: Database) {
    let scene = Scene::new(database).await;
    let watch = scene.project.watch().await;
    for (path, field, kind, unknown, document) in PLACES {
        let answer = scene.send(document, &json!(format!("{kind}_{SUFFIX}"))).await;
        match unknown {
            Unknown::NotFound => watch.refused(path, &answer, "NOT_FOUND", field).await,
            Null(at) => assert_eq!(answer.get(at), &Value::Null, "{path}"),
            Empty(at) => assert_eq!(answer.get(at), &json!([]), "{path}"),
            // Not looked up: there need be nothing of it yet.
            Taken(at) => assert!(answer.get(at).is_string(), "{path}"),
        }
        watch.unchanged(path).await;
    }
    for kind in concord::domain::ids::AnyId::PREFIXES {
        let id = json!(format!("{kind}_{SUFFIX}"));
        assert_eq!(scene.send(PLACES[0].4, &id).await.get("node"), &Value::Null, "{kind}");
    }
}

async fn more_ids_than_allowed_are_refused_before_any_is_looked_up(database: Database) {
    let scene = Scene::new(database).await;
    let watch = scene.project.watch().await;
    let many = |kind: &str, count: usize| json!(vec![format!("{kind}_{SUFFIX}"); count]);
    let variables = |kind: &str, count: usize| json!({ "ids": many(kind, count) });
    for (case, code, field, kind, count, document) in [
        ("201 nodes", "LIMIT_EXCEEDED", "ids", "task", 201, "query($ids: [ID!]!) { nodes(ids: $ids) { id } }"),
        (
            "101 completed uploads",
            "LIMIT_EXCEEDED",
            "assetIds",
            "asset",
            101,
            "mutation($ids: [ID!]!) { completeUploads(input: { assetIds: $ids }) { assets { id } } }",
        ),
        (
            "no completed upload",
            "BAD_USER_INPUT",
            "assetIds",
            "asset",
            0,
            "mutation($ids: [ID!]!) { completeUploads(input: { assetIds: $ids }) { assets { id } } }",
        ),
        (
            "1,001 updated tasks",
            "LIMIT_EXCEEDED",
            "taskIds",
            "task",
            1_001,
            "mutation($ids: [ID!]!) { updateTasks(input: { taskIds: $ids, priority: 1 }) { tasks { id } } }",
        ),
        (
            "no updated task",
            "BAD_USER_INPUT",
            "taskIds",
            "task",
            0,
            "mutation($ids: [ID!]!) { updateTasks(input: { taskIds: $ids, priority: 1 }) { tasks { id } } }",
        ),
        (
            "1,001 archived tasks",
            "LIMIT_EXCEEDED",
            "taskIds",
            "task",
            1_001,
            "mutation($ids: [ID!]!) { archiveTasks(input: { taskIds: $ids, archived: true }) { tasks { id } } }",
        ),
        (
            "no archived task",
            "BAD_USER_INPUT",
            "taskIds",
            "task",
            0,
            "mutation($ids: [ID!]!) { archiveTasks(input: { taskIds: $ids, archived: true }) { tasks { id } } }",
        ),
    ] {
        let answer = scene.project.manager.send(document, variables(kind, count)).await;
        watch.refused(case, &answer, code, field).await;
    }
    let filter = "query($project: ID!, $ids: [String!]!) { tasks(projectId: $project, first: 1, filter: { externalIds: $ids }) { nodes { id } } }";
    let filtered = |ids: Value| scene.project.manager.send(filter, json!({ "project": scene.project.id, "ids": ids }));
    let too_many = filtered(json!(vec!["x"; 201])).await;
    watch.refused("201 external ids", &too_many, "LIMIT_EXCEEDED", "filter.externalIds").await;
    let with_nul = filtered(json!(["a\0b"])).await;
    watch.refused("an external id with a NUL", &with_nul, "BAD_USER_INPUT", "filter").await;
    drop(scene.app);
}
