//! For each place of the schema that takes an id: a call that gives it one.

use concord::domain::cursor::EventCursor;
use serde_json::{Value, json};

use crate::{
    harness::{new_annotation, span},
    tenant_isolation::tenant::Tenant,
};

/// Ids of one kind in a project.
type IdsOf = fn(&Tenant) -> Vec<String>;

/// A call with one id of another project in it; everything else in it is the asker's own.
pub(super) struct Case {
    /// `Mutation.setMember(input.userId)`
    pub(super) place: &'static str,
    /// The ids of the other project to try.
    pub(super) ids: IdsOf,
    pub(super) document: &'static str,
    /// From the asker's own project and the id.
    pub(super) variables: fn(&Tenant, &str) -> Value,
    /// What a manager is answered: an error's code, or `""` for data without the thing.
    pub(super) manager_gets: &'static str,
}

/// Fields of the roots that take no id.
pub(super) const WITHOUT_IDS: [&str; 9] = [
    "Query.annotationKinds",
    "Query.projects",
    "Query.users",
    "Query.viewer",
    "Mutation.createAccessToken",
    "Mutation.createProject",
    "Mutation.createUser",
    "Mutation.signIn",
    "Mutation.signOut",
];

/// The place whose ids are never looked up: what a client names there is shown as it named it, whatever it is.
pub(super) const NOT_LOOKED_UP: &str = "Mutation.heartbeat(input.selectedAnnotationId)";

/// Each implementation of Node with its ids in a project.
pub(super) const NODES: [(&str, IdsOf); 13] = [
    ("AccessToken", |b| vec![b.spare_token.clone()]),
    ("Annotation", |b| b.annotations.clone()),
    ("Assignment", |b| b.assignments.clone()),
    ("Asset", |b| vec![b.ready.clone(), b.pending.clone()]),
    ("Conflict", conflict),
    ("Job", job),
    ("LabelingSession", session),
    ("Project", project),
    ("Review", |b| vec![b.review.clone()]),
    ("Snapshot", |b| vec![b.snapshot.clone()]),
    ("Task", |b| b.tasks.clone()),
    ("Template", |b| b.templates.clone()),
    ("User", Tenant::people),
];

fn nodes(b: &Tenant) -> Vec<String> {
    NODES.iter().flat_map(|(_, ids)| ids(b)).collect()
}

fn session(b: &Tenant) -> Vec<String> {
    vec![b.session.id.clone()]
}

fn conflict(b: &Tenant) -> Vec<String> {
    vec![b.disputed.conflict.clone()]
}

fn job(b: &Tenant) -> Vec<String> {
    vec![b.job.clone()]
}

fn project(b: &Tenant) -> Vec<String> {
    vec![b.project.id.clone()]
}

/// The cursor before everything that happened in a project.
fn front(project: &str) -> String {
    EventCursor::new(1, project.parse().unwrap(), vec![0; 8]).to_string()
}

fn annotator(b: &Tenant) -> Vec<String> {
    vec![b.annotator.id.clone()]
}

pub(super) const CASES: &[Case] = &[
    Case {
        place: "Query.node(id)",
        ids: nodes,
        document: "query($id: ID!) { node(id: $id) { __typename id
            ... on User { name email } ... on AccessToken { name } ... on Template { name tools { name } }
            ... on Project { name members(first: 9) { totalCount nodes { user { id } } } }
            ... on Annotation { label author { id } revisions(first: 9) { totalCount nodes { content { label } } } }
            ... on Snapshot { slot payload task { id } } ... on LabelingSession { actor fence task { id } slot { number } }
            ... on Assignment { state annotator { id } } ... on Review { verdict comment reviewer { id } }
            ... on Conflict { cause fields annotation { id } incoming { label } incomingBy { id } task { id } }
            ... on Job { kind state message resultUrl project { id } createdBy { id } }
            ... on Asset { fileName url } ... on Task { externalId slots { reservedFor { id } holder { id } } reviews { id }
              annotations(first: 9) { nodes { id } } assignments(first: 9) { totalCount nodes { id } } } } }",
        variables: |_, id| json!({ "id": id }),
        manager_gets: "",
    },
    Case {
        place: "Query.nodes(ids)",
        ids: nodes,
        document: "query($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }",
        variables: |a, id| json!({ "ids": [a.tasks[0], id, a.project.id] }),
        manager_gets: "",
    },
    Case {
        place: "Query.project(id)",
        ids: project,
        document: "query($id: ID!) { project(id: $id) { name viewerRole taskCounts { count } stats { claimable }
            templates(first: 9) { totalCount nodes { id } } assets(first: 9) { totalCount nodes { id url } } } }",
        variables: |_, id| json!({ "id": id }),
        manager_gets: "",
    },
    Case {
        place: "Query.task(id)",
        ids: |b| b.tasks.clone(),
        document: "query($id: ID!) { task(id: $id) { data project { id } template { id } assets(first: 9) { totalCount nodes { id } } } }",
        variables: |_, id| json!({ "id": id }),
        manager_gets: "",
    },
    Case {
        place: "Query.tasks(projectId)",
        ids: project,
        document: "query($id: ID!) { tasks(projectId: $id, first: 9) { totalCount nodes { id } } }",
        variables: |_, id| json!({ "id": id }),
        manager_gets: "NOT_FOUND",
    },
    Case {
        place: "Query.tasks(filter.annotatorId)",
        ids: annotator,
        document: "query($project: ID!, $id: ID!) { tasks(projectId: $project, filter: { annotatorId: $id }, first: 9) { totalCount nodes { id } } }",
        variables: |a, id| json!({ "project": a.project.id, "id": id }),
        manager_gets: "",
    },
    Case {
        place: "Query.conflicts(projectId)",
        ids: project,
        document: "query($id: ID!) { conflicts(projectId: $id, first: 9) { totalCount nodes { id incoming { label } } } }",
        variables: |_, id| json!({ "id": id }),
        manager_gets: "NOT_FOUND",
    },
    Case {
        place: "Query.eventCursor(projectId)",
        ids: project,
        document: "query($id: ID!) { eventCursor(projectId: $id) }",
        variables: |_, id| json!({ "id": id }),
        manager_gets: "NOT_FOUND",
    },
    Case {
        place: "Query.events(projectId)",
        ids: project,
        document: "query($id: ID!) { events(projectId: $id, first: 50) { nodes { id } } }",
        variables: |_, id| json!({ "id": id }),
        manager_gets: "NOT_FOUND",
    },
    Case {
        place: "Subscription.taskEvents(projectId)",
        ids: project,
        document: "subscription($id: ID!, $after: EventCursor) { taskEvents(projectId: $id, after: $after) { id } }",
        variables: |_, id| json!({ "id": id, "after": front(id) }),
        manager_gets: "NOT_FOUND",
    },
    Case {
        place: "Subscription.taskEvents(taskId)",
        ids: |b| b.tasks.clone(),
        document: "subscription($project: ID!, $id: ID!, $after: EventCursor) {
            taskEvents(projectId: $project, taskId: $id, after: $after) { id } }",
        variables: |a, id| json!({ "project": a.project.id, "id": id, "after": front(&a.project.id) }),
        manager_gets: "NOT_FOUND",
    },
    Case {
        place: "Subscription.conflictEvents(projectId)",
        ids: project,
        document: "subscription($id: ID!, $after: EventCursor) { conflictEvents(projectId: $id, after: $after) { id } }",
        variables: |_, id| json!({ "id": id, "after": front(id) }),
        manager_gets: "NOT_FOUND",
    },
    Case {
        place: "Subscription.jobProgress(jobId)",
        ids: job,
        document: "subscription($id: ID!) { jobProgress(jobId: $id) { id state resultUrl } }",
        variables: |_, id| json!({ "id": id }),
        manager_gets: "NOT_FOUND",
    },
    Case {
        place: "Subscription.presence(taskId)",
        ids: |b| b.tasks.clone(),
        document: "subscription($id: ID!) { presence(taskId: $id) { sessionId user { id } } }",
        variables: |_, id| json!({ "id": id }),
        manager_gets: "NOT_FOUND",
    },
    Case {
        place: "Mutation.startImport(input.projectId)",
        ids: project,
        document: START_IMPORT,
        variables: |a, id| import(id, &a.ready),
        manager_gets: "NOT_FOUND",
    },
    Case {
        place: "Mutation.startImport(input.source.assetId)",
        ids: |b| vec![b.ready.clone()],
        document: START_IMPORT,
        variables: |a, id| import(&a.project.id, id),
        manager_gets: "NOT_FOUND",
    },
    Case {
        place: "Mutation.startExport(input.projectId)",
        ids: project,
        document: "mutation($input: StartExportInput!) { startExport(input: $input) { job { id project { id } } } }",
        variables: |_, id| json!({ "input": { "projectId": id, "format": "JSONL" } }),
        manager_gets: "NOT_FOUND",
    },
    Case {
        place: "Mutation.cancelJob(input.jobId)",
        ids: job,
        document: "mutation($input: CancelJobInput!) { cancelJob(input: $input) { job { id state } } }",
        variables: |_, id| json!({ "input": { "jobId": id } }),
        manager_gets: "NOT_FOUND",
    },
    Case {
        place: "Mutation.updateProject(input.projectId)",
        ids: project,
        document: "mutation($input: UpdateProjectInput!) { updateProject(input: $input) { project { id name } } }",
        variables: |_, id| json!({ "input": { "projectId": id, "name": "Taken over" } }),
        manager_gets: "NOT_FOUND",
    },
    Case {
        place: "Mutation.setMember(input.projectId)",
        ids: project,
        document: SET_MEMBER,
        variables: |a, id| json!({ "input": { "projectId": id, "userId": a.viewer.id, "role": "VIEWER" } }),
        manager_gets: "NOT_FOUND",
    },
    Case {
        place: "Mutation.setMember(input.userId)",
        ids: Tenant::people,
        document: SET_MEMBER,
        variables: |a, id| json!({ "input": { "projectId": a.project.id, "userId": id, "role": "ANNOTATOR" } }),
        manager_gets: "NOT_FOUND",
    },
    Case {
        place: "Mutation.setMember(input.userId)",
        ids: annotator,
        document: SET_MEMBER,
        variables: |a, id| json!({ "input": { "projectId": a.project.id, "userId": id, "role": "MANAGER" } }),
        manager_gets: "FORBIDDEN",
    },
    Case {
        place: "Mutation.setMember(input.userId)",
        ids: |b| vec![b.viewer.id.clone()],
        document: SET_MEMBER,
        variables: |a, id| json!({ "input": { "projectId": a.project.id, "userId": id, "role": null } }),
        manager_gets: "NOT_FOUND",
    },
    Case {
        place: "Mutation.publishTemplate(input.template.projectId)",
        ids: project,
        document: "mutation($input: PublishTemplateInput!) { publishTemplate(input: $input) { template { version } } }",
        variables: |_, id| {
            let tool = json!({ "name": "Mine", "kind": "TEXT_SPAN", "labels": [{ "name": "mine" }] });
            json!({ "input": { "template": { "projectId": id, "name": "Mine", "tools": [tool] } } })
        },
        manager_gets: "NOT_FOUND",
    },
    Case {
        place: "Mutation.requestUploads(input.projectId)",
        ids: project,
        document: "mutation($input: RequestUploadsInput!) { requestUploads(input: $input) { uploads { assetId url } } }",
        variables: |_, id| {
            let file = json!({ "fileName": "a.txt", "contentType": "text/plain", "sizeBytes": 1 });
            json!({ "input": { "projectId": id, "files": [file] } })
        },
        manager_gets: "NOT_FOUND",
    },
    Case {
        place: "Mutation.completeUploads(input.assetIds)",
        ids: |b| vec![b.ready.clone(), b.pending.clone()],
        document: "mutation($input: CompleteUploadsInput!) { completeUploads(input: $input) { assets { id state url } } }",
        variables: |a, id| json!({ "input": { "assetIds": [a.ready, id] } }),
        manager_gets: "NOT_FOUND",
    },
    Case {
        place: "Mutation.createTasks(input.projectId)",
        ids: project,
        document: CREATE_TASKS,
        variables: |_, id| json!({ "input": { "projectId": id, "tasks": [{ "data": { "text": "mine" } }] } }),
        manager_gets: "NOT_FOUND",
    },
    Case {
        place: "Mutation.createTasks(input.tasks.assetIds)",
        ids: |b| vec![b.ready.clone()],
        document: CREATE_TASKS,
        variables: |a, id| json!({ "input": { "projectId": a.project.id, "tasks": [{ "assetIds": [id] }] } }),
        manager_gets: "NOT_FOUND",
    },
    Case {
        place: "Mutation.saveAnnotations(input.sessionId)",
        ids: session,
        document: SAVE,
        variables: |_, id| json!({ "input": { "sessionId": id, "fence": 99, "edits": [span(&new_annotation(), 0, "cells")] } }),
        manager_gets: "NOT_FOUND",
    },
    Case {
        place: "Mutation.saveAnnotations(input.edits.create.id)",
        ids: |b| b.annotations.clone(),
        document: SAVE,
        variables: |a, id| {
            let mut edit = span(id, 0, "cells");
            edit["create"]["tool"] = json!("Circles");
            save(a, &edit)
        },
        manager_gets: "",
    },
    Case {
        place: "Mutation.saveAnnotations(input.edits.create.assetId)",
        ids: |b| vec![b.ready.clone()],
        document: SAVE,
        variables: |a, id| {
            let mut edit = span("ann_01h455vb4pex5vsknk084sn02q", 0, "dust");
            edit["create"]["assetId"] = json!(id);
            save(a, &edit)
        },
        manager_gets: "",
    },
    Case {
        place: "Mutation.saveAnnotations(input.edits.update.id)",
        ids: |b| b.annotations.clone(),
        document: SAVE,
        variables: |a, id| save(a, &json!({ "update": { "id": id, "base": { "#": 1 }, "label": "dust" } })),
        manager_gets: "",
    },
    Case {
        place: "Mutation.saveAnnotations(input.edits.delete.id)",
        ids: |b| b.annotations.clone(),
        document: SAVE,
        variables: |a, id| save(a, &json!({ "delete": { "id": id, "base": { "#": 1 } } })),
        manager_gets: "",
    },
    Case {
        place: "Mutation.saveAnnotations(input.edits.restore.id)",
        ids: |b| b.annotations.clone(),
        document: SAVE,
        variables: |a, id| save(a, &json!({ "restore": { "id": id, "base": { "#": 1 } } })),
        manager_gets: "",
    },
    Case {
        place: "Mutation.restoreSnapshot(input.snapshotId)",
        ids: |b| vec![b.snapshot.clone()],
        document: RESTORE,
        variables: |a, id| under(a, &a.session.id, json!({ "snapshotId": id })),
        manager_gets: "NOT_FOUND",
    },
    Case {
        place: "Mutation.restoreSnapshot(input.sessionId)",
        ids: session,
        document: RESTORE,
        variables: |a, id| under(a, id, json!({ "snapshotId": a.snapshot })),
        manager_gets: "NOT_FOUND",
    },
    Case {
        place: "Mutation.resolveConflict(input.conflictId)",
        ids: conflict,
        document: "mutation($input: ResolveConflictInput!) { resolveConflict(input: $input) {
            conflict { id choice } annotation { id label } } }",
        variables: |a, id| json!({ "input": { "conflictId": id, "base": a.disputed.now, "choice": "CURRENT" } }),
        manager_gets: "NOT_FOUND",
    },
    Case {
        place: "Mutation.updateTasks(input.taskIds)",
        ids: |b| b.tasks.clone(),
        document: UPDATE_TASKS,
        variables: |a, id| json!({ "input": { "taskIds": [a.tasks[0], id], "priority": 9, "clearReservation": true } }),
        manager_gets: "NOT_FOUND",
    },
    Case {
        place: "Mutation.updateTasks(input.reservedForUserId)",
        ids: annotator,
        document: UPDATE_TASKS,
        variables: |a, id| json!({ "input": { "taskIds": [a.tasks[0]], "reservedForUserId": id } }),
        manager_gets: "NOT_FOUND",
    },
    Case {
        place: "Mutation.claimTask(input.projectId)",
        ids: project,
        document: CLAIM_TASK,
        variables: |_, id| json!({ "input": { "projectId": id, "requestId": "click" } }),
        manager_gets: "NOT_FOUND",
    },
    Case {
        place: "Mutation.claimTask(input.taskId)",
        ids: |b| b.tasks.clone(),
        document: CLAIM_TASK,
        variables: |a, id| json!({ "input": { "projectId": a.project.id, "taskId": id } }),
        manager_gets: "NOT_FOUND",
    },
    Case {
        place: "Mutation.joinTask(input.taskId)",
        ids: |b| b.tasks.clone(),
        document: "mutation($input: JoinTaskInput!) { joinTask(input: $input) { session { id actor fence slot { number } } } }",
        variables: |_, id| json!({ "input": { "taskId": id, "slot": 1 } }),
        manager_gets: "NOT_FOUND",
    },
    Case {
        place: "Mutation.claimReview(input.projectId)",
        ids: project,
        document: CLAIM_REVIEW,
        variables: |_, id| json!({ "input": { "projectId": id, "requestId": "click" } }),
        manager_gets: "NOT_FOUND",
    },
    Case {
        place: "Mutation.claimReview(input.taskId)",
        ids: |b| b.tasks.clone(),
        document: CLAIM_REVIEW,
        variables: |a, id| json!({ "input": { "projectId": a.project.id, "taskId": id } }),
        manager_gets: "NOT_FOUND",
    },
    Case {
        place: "Mutation.heartbeat(input.sessionId)",
        ids: session,
        document: "mutation($input: HeartbeatInput!) { heartbeat(input: $input) { expiresAt } }",
        variables: |a, id| under(a, id, json!({})),
        manager_gets: "NOT_FOUND",
    },
    Case {
        place: NOT_LOOKED_UP,
        ids: |b| b.annotations.clone(),
        document: "mutation($input: HeartbeatInput!) { heartbeat(input: $input) { __typename } }",
        variables: |a, id| under(a, &a.session.id, json!({ "selectedAnnotationId": id })),
        manager_gets: "",
    },
    Case {
        place: "Mutation.setSessionState(input.sessionId)",
        ids: session,
        document: "mutation($input: SetSessionStateInput!) { setSessionState(input: $input) { session { id state } } }",
        variables: |a, id| under(a, id, json!({ "state": "PAUSED", "expectedRevision": 1 })),
        manager_gets: "NOT_FOUND",
    },
    Case {
        place: "Mutation.reviewTask(input.sessionId)",
        ids: session,
        document: "mutation($input: ReviewTaskInput!) { reviewTask(input: $input) { task { id } reviews { id } } }",
        variables: |a, id| under(a, id, json!({ "verdict": "ACCEPT" })),
        manager_gets: "NOT_FOUND",
    },
    Case {
        place: "Mutation.submitTask(input.sessionId)",
        ids: session,
        document: "mutation($input: SubmitTaskInput!) { submitTask(input: $input) { task { id state } snapshot { payload } } }",
        variables: |a, id| under(a, id, json!({})),
        manager_gets: "NOT_FOUND",
    },
    Case {
        place: "Mutation.withdrawSubmission(input.taskId)",
        ids: |b| b.tasks.clone(),
        document: "mutation($input: WithdrawSubmissionInput!) { withdrawSubmission(input: $input) { session { id fence } } }",
        variables: |_, id| json!({ "input": { "taskId": id } }),
        manager_gets: "NOT_FOUND",
    },
    Case {
        place: "Mutation.revokeLease(input.taskId)",
        ids: |b| b.tasks.clone(),
        document: "mutation($input: RevokeLeaseInput!) { revokeLease(input: $input) { task { id state } } }",
        variables: |_, id| json!({ "input": { "taskId": id, "slot": 1, "reason": "mine" } }),
        manager_gets: "NOT_FOUND",
    },
    Case {
        place: "Mutation.skipTask(input.sessionId)",
        ids: session,
        document: "mutation($input: SkipTaskInput!) { skipTask(input: $input) { task { id state } } }",
        variables: |a, id| under(a, id, json!({ "reason": "mine" })),
        manager_gets: "NOT_FOUND",
    },
    Case {
        place: "Mutation.releaseTask(input.sessionId)",
        ids: session,
        document: "mutation($input: ReleaseTaskInput!) { releaseTask(input: $input) { task { id state } } }",
        variables: |a, id| under(a, id, json!({})),
        manager_gets: "NOT_FOUND",
    },
    Case {
        place: "Mutation.reopenTask(input.taskId)",
        ids: |b| b.tasks.clone(),
        document: "mutation($input: ReopenTaskInput!) { reopenTask(input: $input) { task { id state } } }",
        variables: |_, id| json!({ "input": { "taskId": id, "reason": "mine" } }),
        manager_gets: "NOT_FOUND",
    },
    Case {
        place: "Mutation.archiveTasks(input.taskIds)",
        ids: |b| b.tasks.clone(),
        document: "mutation($input: ArchiveTasksInput!) { archiveTasks(input: $input) { tasks { id state } } }",
        variables: |a, id| json!({ "input": { "taskIds": [id, a.tasks[0]], "archived": true } }),
        manager_gets: "NOT_FOUND",
    },
    Case {
        place: "Mutation.updateUser(input.userId)",
        ids: Tenant::people,
        document: "mutation($input: UpdateUserInput!) { updateUser(input: $input) { user { id name email } } }",
        variables: |_, id| json!({ "input": { "userId": id, "name": "Taken over" } }),
        manager_gets: "NOT_FOUND",
    },
    Case {
        place: "Mutation.createSignInLink(input.userId)",
        ids: Tenant::people,
        document: "mutation($input: CreateSignInLinkInput!) { createSignInLink(input: $input) { url } }",
        variables: |_, id| json!({ "input": { "userId": id } }),
        manager_gets: "FORBIDDEN",
    },
    Case {
        place: "Mutation.revokeAccessToken(input.tokenId)",
        ids: |b| vec![b.spare_token.clone()],
        document: "mutation($input: RevokeAccessTokenInput!) { revokeAccessToken(input: $input) { token { name } } }",
        variables: |_, id| json!({ "input": { "tokenId": id } }),
        manager_gets: "NOT_FOUND",
    },
];

const SAVE: &str = "mutation($input: SaveAnnotationsInput!) { saveAnnotations(input: $input) {
    results { annotationId outcome code field message annotation { id label author { id } } } } }";

const RESTORE: &str = "mutation($input: RestoreSnapshotInput!) { restoreSnapshot(input: $input) {
    task { id version } results { annotationId outcome } } }";

const CLAIM_TASK: &str =
    "mutation($input: ClaimTaskInput!) { claimTask(input: $input) { session { id actor task { id } } reason } }";
const CLAIM_REVIEW: &str =
    "mutation($input: ClaimReviewInput!) { claimReview(input: $input) { session { id actor task { id } } reason } }";

/// A session under the fence of the asker's own, which is that of the other project's too, and more.
fn under(a: &Tenant, session: &str, mut more: Value) -> Value {
    more["sessionId"] = json!(session);
    more["fence"] = json!(a.session.fence);
    json!({ "input": more })
}

/// One edit in the session of the asker.
fn save(a: &Tenant, edit: &Value) -> Value {
    json!({ "input": { "sessionId": a.session.id, "fence": a.session.fence, "edits": [edit] } })
}

fn import(project: &str, source: &str) -> Value {
    json!({ "input": { "projectId": project, "format": "JSONL", "source": { "assetId": source }, "annotations": "IGNORE" } })
}

const START_IMPORT: &str =
    "mutation($input: StartImportInput!) { startImport(input: $input) { job { id project { id } } } }";
const SET_MEMBER: &str =
    "mutation($input: SetMemberInput!) { setMember(input: $input) { member { role user { id name email } } } }";
const CREATE_TASKS: &str =
    "mutation($input: CreateTasksInput!) { createTasks(input: $input) { created existing tasks { id } } }";
const UPDATE_TASKS: &str = "mutation($input: UpdateTasksInput!) { updateTasks(input: $input) { tasks { id priority slots { reservedFor { id } } } } }";

/// A list with pages: its field, the path to it in the answer, and a document with ID and PAGE to be replaced.
pub(super) struct List {
    pub(super) field: &'static str,
    pub(super) path: &'static str,
    pub(super) id: fn(&Tenant) -> &str,
    pub(super) document: &'static str,
}

/// Lists that only admins read.
pub(super) const ADMIN_LISTS: [(&str, &str); 1] = [("Query.users", "{ users(PAGE) { nodes { id } } }")];

pub(super) const LISTS: &[List] = &[
    List {
        field: "Query.projects",
        path: "projects",
        id: |t| &t.project.id,
        document: "{ projects(PAGE) { edges { cursor node { id } } } }",
    },
    List {
        field: "Query.tasks",
        path: "tasks",
        id: |t| &t.project.id,
        document: r#"{ tasks(projectId: "ID", orderBy: PRIORITY, PAGE) { edges { cursor node { id } } } }"#,
    },
    List {
        field: "Query.tasks",
        path: "tasks",
        id: |t| &t.project.id,
        document: r#"{ tasks(projectId: "ID", orderBy: CREATED, PAGE) { edges { cursor node { id } } } }"#,
    },
    List {
        field: "Query.tasks",
        path: "tasks",
        id: |t| &t.project.id,
        document: r#"{ tasks(projectId: "ID", orderBy: UPDATED, PAGE) { edges { cursor node { id } } } }"#,
    },
    List {
        field: "Query.conflicts",
        path: "conflicts",
        id: |t| &t.project.id,
        document: r#"{ conflicts(projectId: "ID", PAGE) { edges { cursor node { id } } } }"#,
    },
    List {
        field: "Project.templates",
        path: "project.templates",
        id: |t| &t.project.id,
        document: r#"{ project(id: "ID") { templates(PAGE) { edges { cursor node { id } } } } }"#,
    },
    List {
        field: "Project.members",
        path: "project.members",
        id: |t| &t.project.id,
        document: r#"{ project(id: "ID") { members(PAGE) { edges { cursor node { user { id } } } } } }"#,
    },
    List {
        field: "Project.assets",
        path: "project.assets",
        id: |t| &t.project.id,
        document: r#"{ project(id: "ID") { assets(PAGE) { edges { cursor node { id } } } } }"#,
    },
    List {
        field: "Project.jobs",
        path: "project.jobs",
        id: |t| &t.project.id,
        document: r#"{ project(id: "ID") { jobs(PAGE) { edges { cursor node { id } } } } }"#,
    },
    List {
        field: "Task.assets",
        path: "task.assets",
        id: |t| &t.tasks[0],
        document: r#"{ task(id: "ID") { assets(PAGE) { edges { cursor node { id } } } } }"#,
    },
    List {
        field: "Task.annotations",
        path: "task.annotations",
        id: |t| &t.tasks[0],
        document: r#"{ task(id: "ID") { annotations(includeDeleted: true, PAGE) { edges { cursor node { id } } } } }"#,
    },
    List {
        field: "Task.openConflicts",
        path: "task.openConflicts",
        id: |t| &t.tasks[0],
        document: r#"{ task(id: "ID") { openConflicts(PAGE) { edges { cursor node { id } } } } }"#,
    },
    List {
        field: "Task.assignments",
        path: "task.assignments",
        id: |t| &t.tasks[0],
        document: r#"{ task(id: "ID") { assignments(PAGE) { edges { cursor node { id } } } } }"#,
    },
    List {
        field: "Task.snapshots",
        path: "task.snapshots",
        id: |t| &t.tasks[0],
        document: r#"{ task(id: "ID") { snapshots(PAGE) { edges { cursor node { id } } } } }"#,
    },
    List {
        field: "Annotation.revisions",
        path: "node.revisions",
        id: |t| &t.annotations[1],
        document: r#"{ node(id: "ID") { ... on Annotation { revisions(PAGE) { edges { cursor node { revision by { id } } } } } } }"#,
    },
];
