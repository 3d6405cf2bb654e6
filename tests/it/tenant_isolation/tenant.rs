//! One of two projects of the same shape, each run by people of its own.

use serde_json::{Value, json};

use crate::harness::{Disputed, Media, Person, Project, Session, TestApp, id_of, new_annotation, span};

/// A project with everything in it that can have an id.
pub(super) struct Tenant {
    pub(super) project: Project,
    pub(super) viewer: Person,
    pub(super) annotator: Person,
    pub(super) reviewer: Person,
    /// An access token of the manager's that nothing uses.
    pub(super) spare_token: String,
    /// Template versions, oldest first.
    pub(super) templates: Vec<String>,
    pub(super) ready: String,
    pub(super) pending: String,
    /// Where the READY asset can be read and the PENDING one written.
    pub(super) read_url: String,
    pub(super) write_url: String,
    /// With an asset, with an external id, with neither; the second is reserved.
    pub(super) tasks: Vec<String>,
    /// The asker at work: the manager on the first task, unless it is the annotator on the second.
    pub(super) session: Session,
    annotators: Session,
    /// Of the first task; the second one is deleted.
    pub(super) annotations: Vec<String>,
    /// Of the first task.
    pub(super) snapshot: String,
    /// One more annotation of the first task, with an open conflict.
    pub(super) disputed: Disputed,
    /// Turns on the first task, one of the annotator's and one of the manager's.
    pub(super) assignments: Vec<String>,
    /// Of the last task, which is accepted.
    pub(super) review: String,
    /// An export that waits.
    pub(super) job: String,
}

impl Tenant {
    /// Makes the project; `admin` makes it and leaves it.
    pub(super) async fn new(app: &TestApp, admin: &Person, name: &str) -> Self {
        let made = app.project(admin, Media::Text).await;
        let manager = app.person(&format!("{name}-manager")).await;
        made.set_member(&manager, json!("MANAGER")).await.get("setMember");
        made.set_member(admin, Value::Null).await.get("setMember");
        let project = Project { id: made.id, manager };
        let mut people = Vec::new();
        for role in ["VIEWER", "ANNOTATOR", "REVIEWER"] {
            let person = app.person(&format!("{name}-{}", role.to_lowercase())).await;
            project.set_member(&person, json!(role)).await.get("setMember");
            people.push(person);
        }
        let [viewer, annotator, reviewer] = people.try_into().unwrap();
        project.publish(Media::Text).await;
        let ready = app.upload(&project, "cells.txt", "text/plain", b"cells and dust").await;
        let pending = project.request_upload("later.txt", "text/plain", 5).await;
        let tasks = json!([{ "assetIds": [ready] }, { "externalId": "known", "data": { "text": "a" } }, { "data": { "text": "b" } }]);
        let tasks = project.create_tasks(tasks).await;
        let tasks: Vec<String> = tasks.get("createTasks.tasks").as_array().unwrap().iter().map(id_of).collect();
        let reserve = json!({ "taskIds": [tasks[1]], "reservedForUserId": annotator.id });
        project.manager.mutate("updateTasks", reserve, "tasks { id }").await.get("updateTasks");
        app.held_by(&tasks[0], &annotator).await;
        // The turn remembered above had the first fence.
        app.set_slot(&tasks[0], "lease_epoch = 1").await;
        let session = app.at_work(&project, &tasks[0], &project.manager).await;
        let annotators = app.at_work(&project, &tasks[1], &annotator).await;
        let annotations = vec![new_annotation(), new_annotation()];
        let deletion = json!({ "delete": { "id": annotations[1], "base": session.seen(1) } });
        let edits = json!([span(&annotations[0], 0, "cells"), span(&annotations[1], 0, "cells"), deletion]);
        session.save(edits).await.get("saveAnnotations.results.2.annotation.id");
        let snapshot = app.snapshot(&tasks[0], 1).await;
        let second = app.second_screen(&project, &tasks[0], &session).await;
        let disputed = session.dispute(&second, span(&new_annotation(), 0, "cells")).await;
        annotators.edit(span(&new_annotation(), 0, "a")).await;
        let done = app.at_work(&project, &tasks[2], &annotator).await;
        annotator.submit(&done.screen).await.get("submitTask");
        let review = reviewer.claim_review(&project).await;
        let judged = reviewer.judge(&review, "ACCEPT", json!({ "comment": "fine" })).await;
        let query = "query($id: ID!) { task(id: $id) { assignments(first: 9) { nodes { id } } } }";
        let turns = project.manager.send(query, json!({ "id": tasks[0] })).await;
        for task in &tasks[..2] {
            // No lease is renewed while answers are compared.
            app.set_slot(task, "lease_expires_at = '2999-01-01T00:00:00+00:00'").await;
        }
        let spare = project.manager.mutate("createAccessToken", json!({ "name": "spare" }), "token { id }").await;
        let query = "query($id: ID!, $asset: ID!) { project(id: $id) { templates(last: 9) { nodes { id } } } node(id: $asset) { ... on Asset { url } } }";
        let seen = project.manager.send(query, json!({ "id": project.id, "asset": ready })).await;
        let mut templates: Vec<String> =
            seen.get("project.templates.nodes").as_array().unwrap().iter().map(id_of).collect();
        templates.reverse();
        Self {
            viewer,
            annotator,
            reviewer,
            spare_token: spare.text("createAccessToken.token.id"),
            templates,
            read_url: seen.text("node.url"),
            write_url: pending.text("requestUploads.uploads.0.url"),
            pending: pending.text("requestUploads.uploads.0.assetId"),
            ready,
            tasks,
            session,
            annotators,
            annotations,
            snapshot,
            disputed,
            assignments: turns.get("task.assignments.nodes").as_array().unwrap().iter().map(id_of).collect(),
            review: judged.text("reviewTask.reviews.0.id"),
            job: project.export().await,
            project,
        }
    }

    /// The annotator is the one who asks.
    pub(super) fn with_annotator_asking(mut self) -> Self {
        self.session = self.annotators.clone();
        self
    }

    pub(super) fn manager(&self) -> &Person {
        &self.project.manager
    }

    /// The ids of everybody in it.
    pub(super) fn people(&self) -> Vec<String> {
        [&self.viewer, &self.annotator, &self.reviewer, self.manager()].map(|person| person.id.clone()).to_vec()
    }

    /// Everything that a change could leave a trace in.
    pub(super) async fn state(&self) -> Value {
        let query = "query($id: ID!) {
            eventCursor(projectId: $id)
            project(id: $id) {
                name state template { version } members(first: 50) { nodes { role user { id name } } }
                assets(first: 50) { nodes { id state } } jobs(first: 50) { nodes { id state } }
            }
            tasks(projectId: $id, first: 50) { nodes { id state priority version slots { state holder { id } reservedFor { id } }
              assignments(first: 9) { nodes { state } } reviews { id }
              annotations(first: 50, includeDeleted: true) { nodes { id revision } } snapshots(first: 9) { nodes { id } } } }
            conflicts(projectId: $id, first: 9) { nodes { id state } }
            viewer { accessTokens { id } sessions { id state } }
        }";
        let answer = self.manager().send(query, json!({ "id": self.project.id })).await;
        answer.get("project.name");
        answer.body
    }
}
