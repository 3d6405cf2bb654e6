//! The examples of docs/errors.md that are about claiming, saving, submitting and reviewing.

use std::time::Duration;

use reqwest::{Method, header};
use serde_json::{Value, json};

use crate::harness::{
    Answer, Media, Person, Project, Session, TestApp, box_at, id_of, new_annotation, random_like, span,
};

/// Pictures to label: ana and ben label them, rita reviews, every task needs a box.
struct Scene<'a> {
    app: &'a TestApp,
    project: Project,
    asset: String,
    ana: Person,
    ben: Person,
    rita: Person,
}

impl<'a> Scene<'a> {
    async fn new(app: &'a TestApp, boss: &Person) -> Self {
        let project = app.project(boss, Media::Image).await;
        let attributes = json!([{ "name": "size", "type": "NUMBER" }, { "name": "stain", "type": "SELECT", "values": ["red", "blue"] }]);
        let boxes = json!({ "name": "Boxes", "kind": "BOUNDING_BOX", "required": true, "attributes": attributes,
            "labels": [{ "name": "cell" }, { "name": "dust" }] });
        let areas = json!({ "name": "Areas", "kind": "POLYGON", "labels": [{ "name": "area" }] });
        project.publish_tools(json!([boxes, areas])).await;
        let picture = include_bytes!("../../data/bccd/BloodImage_00012.jpg");
        let asset = app.upload(&project, "blood.jpg", "image/jpeg", picture).await;
        let ana = project.member(app, "ana", "ANNOTATOR").await;
        let ben = project.member(app, "ben", "ANNOTATOR").await;
        let rita = project.member(app, "rita", "REVIEWER").await;
        Self { app, project, asset, ana, ben, rita }
    }

    async fn task(&self) -> String {
        id_of(self.project.create_tasks(json!([{ "assetIds": [self.asset] }])).await.get("createTasks.tasks.0"))
    }

    /// Somebody at work on a new task.
    async fn at_work(&self, person: &Person) -> Session {
        self.app.at_work(&self.project, &self.task().await, person).await
    }

    /// Somebody's submission of a new task.
    async fn submitted(&self, person: &Person) -> Session {
        let session = self.at_work(person).await;
        assert_eq!(session.edit(box_at(&new_annotation(), 1.0)).await["outcome"], "APPLIED");
        person.submit(&session.screen).await.get("submitTask");
        session
    }

    async fn set_state(&self, session: &Session, state: &str, revision: &Value) -> Answer {
        let input = session.screen.with(json!({ "state": state, "expectedRevision": revision }));
        session.person.mutate("setSessionState", input, "session { revision }").await
    }

    async fn claim(&self, person: &Person, field: &str, more: Value) -> Answer {
        let mut input = json!({ "projectId": self.project.id });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        person.mutate(field, input, "session { id } reason").await
    }
}

/// Requests that are refused, with their answers.
pub(super) async fn requests(app: &TestApp, boss: &Person) -> Vec<(&'static str, Answer)> {
    let scene = Scene::new(app, boss).await;
    let Scene { project, ana, ben, rita, .. } = &scene;
    let mut examples = leases(&scene).await;

    let own = scene.submitted(rita).await;
    examples.push((
        "a claim to review one's own work",
        scene.claim(rita, "claimReview", json!({ "taskId": own.screen.task })).await,
    ));
    examples.extend(joining(&scene).await);
    let done = scene.submitted(ana).await;
    let withdraw = async |person: &Person| {
        person.mutate("withdrawSubmission", json!({ "taskId": done.screen.task }), "session { id }").await
    };
    examples.push(("the withdrawal of what is not yours", withdraw(ben).await));
    project.set(json!({ "state": "PAUSED" })).await;
    examples.push(("a withdrawal in a project that is PAUSED", withdraw(ana).await));
    project.set(json!({ "state": "ACTIVE" })).await;
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(scene.at_work(ana).await);
    }
    examples.push(("a withdrawal by who holds as many slots as one may", withdraw(ana).await));
    let review = rita.try_claim_review(project, json!({ "taskId": done.screen.task })).await.unwrap();
    examples.push(("a withdrawal once the review has begun", withdraw(ana).await));
    rita.judge(&review, "REJECT", json!({})).await.get("reviewTask");
    examples
        .push(("a verdict in a session that reviews nothing", ana.judge(&held[0].screen, "ACCEPT", json!({})).await));
    let of_two = app.project_with(boss, Media::Text, json!({ "overlap": 2 })).await;
    let [task] = of_two.text_tasks(1).await.try_into().unwrap();
    for (person, role) in [(ana, "ANNOTATOR"), (ben, "ANNOTATOR"), (rita, "REVIEWER")] {
        of_two.set_member(person, json!(role)).await.get("setMember");
    }
    for person in [ana, ben] {
        person.submit(&person.claim(&of_two).await).await.get("submitTask");
    }
    let review = rita.claim_review(&of_two).await;
    rita.judge(&review, "REJECT", json!({ "slot": 1 })).await.get("reviewTask");
    let again = rita.judge(&review, "ACCEPT", json!({ "slot": 1 })).await;
    examples.push(("a verdict on a slot that waits for none", again));
    examples.push(("joining a review in a slot that was judged", boss.join_with(&task, json!({ "slot": 1 })).await));
    examples.push(("a slot that the task does not have", of_two.revoke(&task, Some(3)).await));
    examples.push(("the revocation of what nobody holds", of_two.revoke(&task, Some(1)).await));
    examples.push(("reopening what is not finished", of_two.reopen(&task).await));

    project.set(json!({ "state": "ARCHIVED" })).await;
    examples
        .push(("a claim, or any work, in a project that is ARCHIVED", scene.claim(ana, "claimTask", json!({})).await));
    examples
}

/// Of those who join.
async fn joining(scene: &Scene<'_>) -> Vec<(&'static str, Answer)> {
    let Scene { app, project, ana, ben, rita, .. } = scene;
    let mut examples = Vec::new();
    let waiting = scene.task().await;
    let held = scene.at_work(ana).await.screen.task;
    let join = async |person: &Person, task: &str, more: Value| person.join_with(task, more).await;
    examples.push(("joining who holds a task of an EXCLUSIVE project", join(ben, &held, json!({})).await));
    project.set(json!({ "collaboration": "SHARED" })).await;
    examples.push(("joining a task that nobody holds", join(ben, &waiting, json!({})).await));
    project.archive(vec![waiting], true).await.get("archiveTasks");
    examples.push(("joining in a slot that the task does not have", join(ben, &held, json!({ "slot": 2 })).await));
    let joined = app.joined(&held, ben).await;
    examples.push(("a submission by who only joined", ben.submit(&joined.screen).await));
    for _ in 1..50 {
        app.joined(&held, ben).await;
    }
    examples.push(("one screen too many under one lease", join(ben, &held, json!({})).await));
    let handed_in = scene.submitted(ana).await.screen.task;
    let rolf = project.member(app, "rolf", "REVIEWER").await;
    rita.try_claim_review(project, json!({ "taskId": handed_in })).await.unwrap();
    examples.push(("joining a review below a reviewer", join(ben, &handed_in, json!({})).await));
    let joined = app.joined(&handed_in, &rolf).await;
    examples.push(("a verdict by who only joined the review", rolf.judge(&joined.screen, "ACCEPT", json!({})).await));
    let own = scene.submitted(rita).await.screen.task;
    rolf.try_claim_review(project, json!({ "taskId": own })).await.unwrap();
    examples.push(("joining the review of one's own work", join(rita, &own, json!({})).await));
    project.archive(vec![held, handed_in, own], true).await.get("archiveTasks");
    project.set(json!({ "collaboration": "EXCLUSIVE" })).await;
    examples
}

/// Of a lease while it runs, and after.
async fn leases(scene: &Scene<'_>) -> Vec<(&'static str, Answer)> {
    let Scene { app, project, ana, ben, .. } = scene;
    let mut examples = Vec::new();
    let session = scene.at_work(ana).await;
    examples.push(("a session that is somebody else's", ben.heartbeat(&session.screen).await));
    examples.push((
        "a fence that is not the session's",
        session.save_under(99, json!([box_at(&new_annotation(), 1.0)])).await,
    ));
    let many: Vec<Value> = (0..501).map(|_| box_at(&new_annotation(), 1.0)).collect();
    examples.push(("more than 500 edits", session.save(json!(many)).await));
    examples.push(("an id of an annotation that is none", session.save(json!([box_at("garbage", 1.0)])).await));
    let base = json!({ "delete": { "id": new_annotation(), "base": { "a": 1 } } });
    examples.push(("a base that is no version vector", session.save(json!([base])).await));
    for (what, number) in
        [("a number that JSON cannot say, such as NaN", "NaN"), ("a number out of range, such as infinity", "1e999")]
    {
        examples.push((what, with_number(&session, number).await));
    }
    let query = "query($id: ID!) { node(id: $id) { ... on LabelingSession { revision } } }";
    let known = ana.send(query, json!({ "id": session.id })).await.get("node.revision").clone();
    let paused = scene.set_state(&session, "PAUSED", &known).await;
    examples.push(("a pause with an old revision", scene.set_state(&session, "PAUSED", &known).await));
    examples.push(("an edit while the session is PAUSED", session.save(json!([box_at(&new_annotation(), 1.0)])).await));
    let revision = paused.get("setSessionState.session.revision");
    scene.set_state(&session, "ACTIVE", revision).await.get("setSessionState");
    examples.push(("a session made COMPLETED", scene.set_state(&session, "COMPLETED", revision).await));
    examples.push(("a submission with a required tool unused", ana.submit(&session.screen).await));
    examples.push(("skipping without a reason", ana.skip(&session.screen, " ").await));
    let request = json!({ "taskId": session.screen.task, "requestId": "click" });
    scene.claim(ana, "claimTask", request).await.text("claimTask.session.id");
    let other = json!({ "taskId": scene.task().await, "requestId": "click" });
    examples.push(("a request id that made another claim", scene.claim(ana, "claimTask", other).await));
    let long = json!({ "requestId": "x".repeat(201) });
    examples.push(("a request id that is too long", scene.claim(ana, "claimTask", long).await));

    app.advance(Duration::from_secs(901));
    let selection = session.screen.with(json!({ "selectedAnnotationId": session.id }));
    examples.push((
        "a heartbeat with a selection that is no annotation's id",
        ana.mutate("heartbeat", selection, "expiresAt").await,
    ));
    app.reap().await;
    let taken = app.at_work(project, &session.screen.task, ben).await;
    examples.push((
        "a heartbeat after the lease ran out and somebody else took the slot",
        ana.heartbeat(&session.screen).await,
    ));
    project.revoke(&taken.screen.task, Some(1)).await.get("revokeLease");
    examples.push(("a submission under a fence that was lost", ben.submit(&taken.screen).await));
    examples
}

/// A save in whose JSON a coordinate is this text.
async fn with_number(session: &Session, number: &str) -> Answer {
    let query = "mutation($input: SaveAnnotationsInput!) { saveAnnotations(input: $input) { results { outcome } } }";
    let input =
        json!({ "sessionId": session.id, "fence": session.fence, "edits": [box_at(&new_annotation(), 4_711.0)] });
    let body = json!({ "query": query, "variables": { "input": input } }).to_string();
    assert!(body.contains("4711.0"));
    let request = session.person.request(Method::POST).header(header::CONTENT_TYPE, "application/json");
    Answer::read(request.body(body.replace("4711.0", number)).send().await.unwrap()).await
}

/// Edits that are refused, with the result of each.
pub(super) async fn edits(app: &TestApp, boss: &Person) -> Vec<(&'static str, Value)> {
    let scene = Scene::new(app, boss).await;
    let session = scene.at_work(&scene.ana).await;
    let (known, deleted, elsewhere) = (new_annotation(), new_annotation(), new_annotation());
    let deletion = json!({ "delete": { "id": deleted, "base": session.seen(1) } });
    session.save(json!([box_at(&known, 1.0), box_at(&deleted, 1.0), deletion])).await.get("saveAnnotations");
    scene.at_work(&scene.ben).await.edit(box_at(&elsewhere, 1.0)).await;

    let sized = |x: f64, width: f64| {
        let geometry = json!({ "boundingBox": { "x": x, "y": 1.0, "width": width, "height": 5.0 } });
        with("geometry", geometry)
    };
    let area = |parts: Value| json!({ "create": { "id": new_annotation(), "tool": "Areas", "label": "area", "geometry": { "polygon": { "parts": parts } } } });
    let square = json!([[10, 10], [90, 10], [90, 90], [10, 90]]);
    let update = |id: &str, base: Value| json!({ "update": { "id": id, "base": base, "label": "dust" } });
    let mut examples = Vec::new();
    for (what, edit) in [
        ("a box outside the picture", sized(639.0, 5.0)),
        ("a box without a size", sized(1.0, 0.0)),
        ("a box of a negative size", sized(1.0, -5.0)),
        ("a polygon of two points", area(json!([{ "outer": [[1, 1], [2, 2]] }]))),
        ("a ring that crosses itself", area(json!([{ "outer": [[1, 1], [9, 9], [9, 1], [1, 9]] }]))),
        (
            "a hole outside its outline",
            area(json!([{ "outer": square, "holes": [[[200, 200], [210, 200], [210, 210]]] }])),
        ),
        ("a tool that the template does not have", with("tool", json!("Circles"))),
        ("a label that the template does not have", with("label", json!("bus"))),
        ("a label of another tool", with("label", json!("area"))),
        (
            "a geometry of another kind than the tool's",
            with("geometry", json!({ "classification": { "values": ["cell"] } })),
        ),
        ("an attribute that the tool does not have", with("attributes", json!({ "wings": 2 }))),
        ("an attribute of the wrong type", with("attributes", json!({ "size": "two" }))),
        ("an attribute's value that is not listed", with("attributes", json!({ "stain": "green" }))),
        ("an asset that is not the task's", with("assetId", json!(random_like(&scene.asset)))),
        ("an update that changes nothing", json!({ "update": { "id": known, "base": session.seen(1) } })),
        ("an id in use elsewhere", box_at(&elsewhere, 1.0)),
        ("an update of what is not in your slot", update(&elsewhere, json!({ "#": 1 }))),
        ("a base that has seen what is not there", update(&known, session.seen(7))),
        ("another edit under a number used before", update(&known, json!({ "#": 1 }))),
        ("an update of what was deleted", update(&deleted, session.seen(2))),
    ] {
        examples.push((what, session.edit(edit).await));
    }
    app.sql("UPDATE task_label SET annotations = 20000").await;
    examples.push(("an annotation more than a task may have", session.edit(box_at(&new_annotation(), 1.0)).await));
    // The family is 5 code points, 8 UTF-16 units and 18 bytes long.
    let text = app.project(boss, Media::Text).await;
    let task = json!([{ "data": { "text": "👩‍👩‍👧 Ana sees" } }]);
    let task = id_of(text.create_tasks(task).await.get("createTasks.tasks.0"));
    let session = app.at_work(&text, &task, boss).await;
    for (what, edit) in [
        ("a span that quotes another text", span(&new_annotation(), 6, "Ann")),
        ("a span counted in UTF-16 behind an emoji", span(&new_annotation(), 9, "Ana")),
        ("a span beyond the text", span(&new_annotation(), 600, "Ana")),
    ] {
        examples.push((what, session.edit(edit).await));
    }
    examples
}

/// The creation of a box of which one thing is other than it should be.
fn with(key: &str, value: Value) -> Value {
    let mut edit = box_at(&new_annotation(), 1.0);
    edit["create"][key] = value;
    edit
}
