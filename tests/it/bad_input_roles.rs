//! Mutations by people whose role does not allow them, for every mutation of the schema.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{
    Answer, Database, Media, Person, Project, Session, TestApp, new_annotation, on_both_databases, sdl::Schema, span,
};

on_both_databases![
    every_mutation_has_a_case,
    mutations_of_managers_are_forbidden_below_and_unseen_outside,
    mutations_of_reviewers_and_annotators_are_forbidden_below_and_unseen_outside,
    mutations_of_admins_are_forbidden_to_others,
    nobody_touches_what_is_somebody_elses_own,
    nobody_works_in_the_session_of_somebody_else,
    who_loses_the_role_loses_the_sessions_with_it,
    nothing_is_done_for_nobody,
];

/// Mutations of a project's managers: the field of the error for those who do not see the project, and the selection.
const OF_MANAGERS: [(&str, &str, &str); 13] = [
    ("updateProject", "projectId", "project { id }"),
    ("setMember", "projectId", "project { id }"),
    ("publishTemplate", "template.projectId", "template { id }"),
    ("requestUploads", "projectId", "uploads { assetId }"),
    ("completeUploads", "assetIds[0]", "assets { id }"),
    ("createTasks", "projectId", "created"),
    ("updateTasks", "taskIds[0]", "tasks { id }"),
    ("revokeLease", "taskId", "task { id }"),
    ("reopenTask", "taskId", "task { id }"),
    ("archiveTasks", "taskIds[0]", "tasks { id }"),
    ("startImport", "projectId", "job { id }"),
    ("startExport", "projectId", "job { id }"),
    ("cancelJob", "jobId", "job { id }"),
];

/// Mutations of reviewers and of annotators, as above.
const OF_REVIEWERS: [(&str, &str, &str); 1] = [("claimReview", "projectId", "session { id }")];
const OF_ANNOTATORS: [(&str, &str, &str); 4] = [
    ("claimTask", "projectId", "session { id }"),
    ("joinTask", "taskId", "session { id }"),
    ("withdrawSubmission", "taskId", "session { id }"),
    ("resolveConflict", "conflictId", "conflict { id }"),
];

/// Mutations of the admins of the server.
const OF_ADMINS: [(&str, &str); 3] =
    [("createUser", "user { id }"), ("createProject", "project { id }"), ("createSignInLink", "url")];

/// Mutations of everybody's own things.
const OF_ONESELF: [(&str, &str); 4] = [
    ("updateUser", "user { id }"),
    ("signOut", "ended"),
    ("createAccessToken", "secret"),
    ("revokeAccessToken", "token { id }"),
];

/// Mutations under a session of one's own: of nobody else is it one.
const OF_HOLDERS: [(&str, &str); 8] = [
    ("saveAnnotations", "results { outcome }"),
    ("heartbeat", "expiresAt"),
    ("setSessionState", "session { id }"),
    ("restoreSnapshot", "task { id }"),
    ("submitTask", "task { id }"),
    ("skipTask", "task { id }"),
    ("releaseTask", "task { id }"),
    ("reviewTask", "task { id }"),
];

/// The only one that takes nobody.
const OF_ANYBODY: &str = "signIn";

/// A project with tasks at work and in review and a pending asset, and an input for every mutation that would do what it
/// says.
struct Scene {
    app: TestApp,
    project: Project,
    /// Who holds slots, and who has a review.
    holder: Person,
    judge: Person,
    inputs: Value,
}

impl Scene {
    async fn new(database: Database) -> Self {
        let app = TestApp::new(database).await;
        let project = app.project(&app.admin().await, Media::Text).await;
        let upload = project.request_upload("a.txt", "text/plain", 5).await;
        assert_eq!(app.put(&upload.text("requestUploads.uploads.0.url"), "hello").await.status(), 204);
        let asset = upload.text("requestUploads.uploads.0.assetId");
        let (source, job) = (app.source(&project).await, project.export().await);
        let eve = app.person("eve").await;
        let holder = project.member(&app, "holder", "ANNOTATOR").await;
        let judge = project.member(&app, "judge", "REVIEWER").await;
        let [task, to_skip, to_release, to_judge, to_review, to_withdraw, closed, _waits] =
            project.text_tasks(8).await.try_into().unwrap();
        let hold = async |task: &str| holder.try_claim_task(&project, task).await.unwrap();
        let own = hold(&task).await;
        holder.skip(&hold(&closed).await, "too dark").await.get("skipTask");
        for done in [&to_judge, &to_review, &to_withdraw] {
            holder.submit(&hold(done).await).await.get("submitTask");
        }
        let to_give_back = hold(&to_release).await;
        let [one, other] = [to_give_back.clone(), hold(&to_release).await].map(|screen| Session::of(&holder, screen));
        let disputed = one.dispute(&other, span(&new_annotation(), 0, "cell")).await;
        let judged = judge.try_claim_review(&project, json!({ "taskId": to_judge })).await.unwrap();
        let query = "query($id: ID!) { node(id: $id) { ... on LabelingSession { revision } } }";
        let revision = holder.send(query, json!({ "id": own.session })).await.get("node.revision").clone();
        let tool = json!({ "name": "Words", "kind": "TEXT_SPAN", "labels": [{ "name": "cell" }] });
        let file = json!({ "fileName": "b.txt", "contentType": "text/plain", "sizeBytes": 1 });
        let inputs = json!({
            "updateProject": { "projectId": project.id, "name": "Mine" },
            "setMember": { "projectId": project.id, "userId": eve.id, "role": "VIEWER" },
            "publishTemplate": { "template": { "projectId": project.id, "name": "Mine", "tools": [tool] } },
            "requestUploads": { "projectId": project.id, "files": [file] },
            "completeUploads": { "assetIds": [asset] },
            "createTasks": { "projectId": project.id, "tasks": [{ "data": { "text": "x" } }] },
            "updateTasks": { "taskIds": [task], "priority": 7 },
            "archiveTasks": { "taskIds": [task], "archived": true },
            "revokeLease": { "taskId": task, "slot": 1, "reason": "needed elsewhere" },
            "startImport": {
                "projectId": project.id, "format": "JSONL", "source": { "assetId": source }, "annotations": "ACCEPT",
            },
            "startExport": { "projectId": project.id, "format": "COCO" },
            "cancelJob": { "jobId": job },
            "reopenTask": { "taskId": closed, "reason": "another look" },
            "claimTask": { "projectId": project.id },
            "joinTask": { "taskId": task },
            "withdrawSubmission": { "taskId": to_withdraw },
            "resolveConflict": { "conflictId": disputed.conflict, "base": disputed.now, "choice": "INCOMING" },
            "claimReview": { "projectId": project.id },
            "saveAnnotations": own.with(json!({ "edits": [span(&new_annotation(), 0, "cell")] })),
            "heartbeat": own.input(),
            "setSessionState": own.with(json!({ "state": "ACTIVE", "expectedRevision": revision })),
            "restoreSnapshot": own.with(json!({ "snapshotId": app.snapshot(&task, 1).await })),
            "submitTask": own.input(),
            "skipTask": hold(&to_skip).await.with(json!({ "reason": "too dark" })),
            "releaseTask": to_give_back.input(),
            "reviewTask": judged.with(json!({ "verdict": "ACCEPT" })),
            "createUser": { "email": "new@example.com", "name": "New" },
            "createProject": { "name": "Mine", "mediaType": "TEXT" },
            "createSignInLink": { "userId": project.manager.id },
            "updateUser": { "userId": project.manager.id, "name": "Mine" },
            "signOut": { "everywhere": true },
            "createAccessToken": { "name": "Mine" },
            "revokeAccessToken": { "tokenId": "tok_01h455vb4pex5vsknk084sn02q" },
        });
        Self { app, project, holder, judge, inputs }
    }

    /// Whose session a mutation of [`OF_HOLDERS`] is about.
    fn owner(&self, mutation: &str) -> &Person {
        if mutation == "reviewTask" { &self.judge } else { &self.holder }
    }

    /// Somebody with a role in the project.
    async fn member(&self, role: &str) -> Person {
        self.project.member(&self.app, &role.to_lowercase(), role).await
    }

    async fn sent_by(&self, person: &Person, mutation: &str, selection: &str) -> Answer {
        person.mutate(mutation, self.inputs[mutation].clone(), selection).await
    }

    /// Each mutation is forbidden to these members, and not to be told from one of nothing for who is no member.
    async fn forbidden(&self, mutations: &[(&str, &str, &str)], members: &[Person], outsider: &Person) {
        let watch = self.project.watch().await;
        for (mutation, field, selection) in mutations {
            for person in members {
                let answer = self.sent_by(person, mutation, selection).await;
                watch.refused(&format!("{mutation} by {}", person.email), &answer, "FORBIDDEN", "").await;
            }
            let answer = self.sent_by(outsider, mutation, selection).await;
            watch.refused(&format!("{mutation} by an outsider"), &answer, "NOT_FOUND", field).await;
        }
    }
}

async fn every_mutation_has_a_case(_: Database) {
    let by_role = OF_MANAGERS.iter().chain(&OF_REVIEWERS).chain(&OF_ANNOTATORS).map(|(mutation, ..)| *mutation);
    let others = OF_ADMINS.iter().chain(&OF_ONESELF).chain(&OF_HOLDERS).map(|(mutation, _)| *mutation);
    let cases: BTreeSet<String> = by_role.chain(others).chain([OF_ANYBODY]).map(str::to_owned).collect();
    assert_eq!(cases, Schema::read().fields("Mutation"));
}

async fn mutations_of_managers_are_forbidden_below_and_unseen_outside(database: Database) {
    let scene = Scene::new(database).await;
    let below = [scene.member("VIEWER").await, scene.member("ANNOTATOR").await, scene.member("REVIEWER").await];
    scene.forbidden(&OF_MANAGERS, &below, &scene.app.person("outsider").await).await;
    // Each input was sound: the manager may send it.
    for (mutation, _, selection) in OF_MANAGERS {
        scene.sent_by(&scene.project.manager, mutation, selection).await.get(mutation);
    }
}

async fn mutations_of_reviewers_and_annotators_are_forbidden_below_and_unseen_outside(database: Database) {
    let scene = Scene::new(database).await;
    let (viewer, annotator) = (scene.member("VIEWER").await, scene.member("ANNOTATOR").await);
    let outsider = scene.app.person("outsider").await;
    scene.forbidden(&OF_ANNOTATORS, std::slice::from_ref(&viewer), &outsider).await;
    scene.forbidden(&OF_REVIEWERS, &[viewer, annotator], &outsider).await;
    // Each input was sound.
    for (cases, person) in [(&OF_ANNOTATORS[..], &scene.holder), (&OF_REVIEWERS[..], &scene.judge)] {
        for (mutation, _, selection) in cases {
            let thing = selection.split(' ').next().unwrap();
            scene.sent_by(person, mutation, selection).await.text(&format!("{mutation}.{thing}.id"));
        }
    }
}

async fn mutations_of_admins_are_forbidden_to_others(database: Database) {
    let scene = Scene::new(database).await;
    let manager = scene.member("MANAGER").await;
    let watch = scene.project.watch().await;
    for (mutation, selection) in OF_ADMINS {
        let answer = scene.sent_by(&manager, mutation, selection).await;
        watch.refused(&format!("{mutation} by a manager"), &answer, "FORBIDDEN", "").await;
    }
    let everybody = manager.send("{ users(first: 1) { nodes { id } } }", json!({})).await;
    watch.refused("the list of users for a manager", &everybody, "FORBIDDEN", "").await;
    for (mutation, selection) in OF_ADMINS {
        scene.sent_by(&scene.project.manager, mutation, selection).await.get(mutation);
    }
}

async fn nobody_touches_what_is_somebody_elses_own(database: Database) {
    let scene = Scene::new(database).await;
    let (viewer, outsider) = (scene.member("VIEWER").await, scene.app.person("outsider").await);
    let made = outsider.mutate("createAccessToken", json!({ "name": "mine" }), "token { id }").await;
    let token = made.text("createAccessToken.token.id");
    let watch = scene.project.watch().await;
    for (case, person, mutation, input, code, field) in [
        ("a colleague's name", &viewer, "updateUser", scene.inputs["updateUser"].clone(), "FORBIDDEN", ""),
        ("a stranger's name", &outsider, "updateUser", scene.inputs["updateUser"].clone(), "NOT_FOUND", "userId"),
        ("one's own rights", &viewer, "updateUser", json!({ "userId": viewer.id, "admin": true }), "FORBIDDEN", ""),
        ("being disabled", &viewer, "updateUser", json!({ "userId": viewer.id, "disabled": false }), "FORBIDDEN", ""),
        ("another's token", &viewer, "revokeAccessToken", json!({ "tokenId": token }), "NOT_FOUND", "tokenId"),
    ] {
        let selection = if mutation == "updateUser" { "user { id }" } else { "token { id }" };
        let answer = person.mutate(mutation, input, selection).await;
        watch.refused(case, &answer, code, field).await;
    }
    let boss = &scene.project.manager;
    for (case, change, field) in [
        ("an admin gives up the rights", json!({ "userId": boss.id, "admin": false }), "admin"),
        ("an admin locks themselves out", json!({ "userId": boss.id, "disabled": true }), "disabled"),
    ] {
        let answer = boss.mutate("updateUser", change, "user { id }").await;
        watch.refused(case, &answer, "INVALID_TRANSITION", field).await;
    }
    assert_eq!(outsider.send("{ viewer { id } }", json!({})).await.text("viewer.id"), outsider.id);
}

async fn nobody_works_in_the_session_of_somebody_else(database: Database) {
    let scene = Scene::new(database).await;
    let others = [
        scene.member("VIEWER").await,
        scene.member("REVIEWER").await,
        scene.member("MANAGER").await,
        scene.app.person("outsider").await,
        scene.project.manager.clone(),
    ];
    let watch = scene.project.watch().await;
    for (mutation, selection) in OF_HOLDERS {
        for person in &others {
            let answer = scene.sent_by(person, mutation, selection).await;
            watch.refused(&format!("{mutation} by {}", person.email), &answer, "NOT_FOUND", "sessionId").await;
        }
    }
    for (mutation, selection) in OF_HOLDERS {
        scene.sent_by(scene.owner(mutation), mutation, selection).await.get(mutation);
    }
}

async fn who_loses_the_role_loses_the_sessions_with_it(database: Database) {
    let scene = Scene::new(database).await;
    for (role, code, field) in [(json!("VIEWER"), "FORBIDDEN", ""), (Value::Null, "NOT_FOUND", "sessionId")] {
        for person in [&scene.holder, &scene.judge] {
            scene.project.set_member(person, role.clone()).await.get("setMember");
        }
        let watch = scene.project.watch().await;
        for (mutation, selection) in OF_HOLDERS {
            let answer = scene.sent_by(scene.owner(mutation), mutation, selection).await;
            watch.refused(&format!("{mutation} by who is {role} now"), &answer, code, field).await;
        }
    }
    // A reviewer who labels from now on judges no more.
    scene.project.set_member(&scene.judge, json!("ANNOTATOR")).await.get("setMember");
    scene.sent_by(&scene.judge, "reviewTask", "task { id }").await.assert_error("FORBIDDEN", "");
}

async fn nothing_is_done_for_nobody(database: Database) {
    let scene = Scene::new(database).await;
    let watch = scene.project.watch().await;
    let by_role = OF_MANAGERS.iter().chain(&OF_REVIEWERS).chain(&OF_ANNOTATORS);
    let by_role = by_role.map(|(mutation, _, selection)| (*mutation, *selection));
    for (mutation, selection) in by_role.chain(OF_ADMINS).chain(OF_ONESELF).chain(OF_HOLDERS) {
        let name = format!("{}{}Input", mutation[..1].to_uppercase(), &mutation[1..]);
        let document = format!("mutation($input: {name}!) {{ {mutation}(input: $input) {{ {selection} }} }}");
        let answer = scene.app.anonymous(&document, json!({ "input": scene.inputs[mutation] })).await;
        watch.refused(mutation, &answer, "UNAUTHENTICATED", "").await;
    }
    for query in [
        "{ viewer { id } }",
        "{ users(first: 1) { nodes { id } } }",
        "{ projects(first: 1) { nodes { id } } }",
        "{ project(id: \"proj_01h455vb4pex5vsknk084sn02q\") { id } }",
        "{ node(id: \"proj_01h455vb4pex5vsknk084sn02q\") { id } }",
    ] {
        let answer = scene.app.anonymous(query, json!({})).await;
        watch.refused(query, &answer, "UNAUTHENTICATED", "").await;
    }
}
