//! Two people at one box: a SHARED project, ana who holds its task, ben who joined her.

use serde_json::{Map, Value, json};

use crate::harness::{Answer, Media, Person, Project, Session, TestApp, box_at, new_annotation};

/// A SHARED project of pictures with a task that ana holds and ben joined, and a box in it that both have seen.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) project: Project,
    pub(crate) task: String,
    pub(crate) ana: Session,
    pub(crate) ben: Session,
    /// The box: at x = 1, named `cell`.
    pub(crate) id: String,
    /// Its vector when both saw it.
    pub(crate) seen: Value,
}

impl TestApp {
    pub(crate) async fn shared_box(&self) -> Shared {
        self.shared_box_with(json!({})).await
    }

    /// As [`TestApp::shared_box`], with more settings of the project.
    pub(crate) async fn shared_box_with(&self, settings: Value) -> Shared {
        let mut all = json!({ "collaboration": "SHARED" });
        all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let project = self.project_with(&self.admin().await, Media::Image, all).await;
        // An attribute that only some labels have, one of a few values, and one of numbers.
        let attributes = json!([
            { "name": "size", "type": "NUMBER" },
            { "name": "stain", "type": "SELECT", "values": ["red", "blue"], "appliesTo": ["cell"] },
            { "name": "note", "type": "TEXT" },
        ]);
        let labels = json!([{ "name": "cell" }, { "name": "dust" }, { "name": "fold" }]);
        let tool = json!({ "name": "Boxes", "kind": "BOUNDING_BOX", "labels": labels, "attributes": attributes });
        project.publish_tools(json!([tool])).await;
        let [picture] = self.ready_images(&project, 1).await.try_into().unwrap();
        let made = project.create_tasks(json!([{ "assetIds": [picture] }])).await;
        let task = made.text("createTasks.tasks.0.id");
        let ana = project.member(self, "ana", "ANNOTATOR").await;
        let ben = project.member(self, "ben", "ANNOTATOR").await;
        let (ana, id) = (self.at_work(&project, &task, &ana).await, new_annotation());
        assert_eq!(ana.edit(box_at(&id, 1.0)).await["outcome"], "APPLIED");
        let (ben, seen) = (self.joined(&task, &ben).await, ana.seen(1));
        Shared { project, task, ana, ben, id, seen }
    }
}

impl Shared {
    /// The same people at another box of the task.
    pub(crate) async fn another_box(&self) -> Self {
        let id = new_annotation();
        assert_eq!(self.ana.edit(box_at(&id, 1.0)).await["outcome"], "APPLIED");
        Self { id, ..self.clone() }
    }

    /// Another person of the project who joined.
    pub(crate) async fn joined_by(&self, app: &TestApp, name: &str) -> Session {
        app.joined(&self.task, &self.project.member(app, name, "ANNOTATOR").await).await
    }

    pub(crate) fn moved(&self, base: &Value, x: f64) -> Value {
        let geometry = json!({ "boundingBox": { "x": x, "y": 1.0, "width": 5.0, "height": 4.0 } });
        json!({ "update": { "id": self.id, "base": base, "geometry": geometry } })
    }

    pub(crate) fn renamed(&self, base: &Value, label: &str) -> Value {
        json!({ "update": { "id": self.id, "base": base, "label": label } })
    }

    pub(crate) fn said(&self, base: &Value, attributes: &Value) -> Value {
        json!({ "update": { "id": self.id, "base": base, "attributes": attributes } })
    }

    pub(crate) fn deleted(&self, base: &Value) -> Value {
        json!({ "delete": { "id": self.id, "base": base } })
    }

    /// The box as somebody sees it now.
    pub(crate) async fn seen_by(&self, person: &Person) -> Value {
        let query = "query($id: ID!) { node(id: $id) { ... on Annotation { label deleted attributes revision
            versionVector lastEditedBy { name } openConflicts { id cause fields } geometry { ... on BoundingBox { x } } } } }";
        person.send(query, json!({ "id": self.id })).await.get("node").clone()
    }

    /// The box as it is: where, its name, its vector.
    pub(crate) async fn now(&self) -> (f64, String, Value) {
        let seen = self.seen_by(&self.ana.person).await;
        let label = seen["label"].as_str().unwrap().to_owned();
        (seen["geometry"]["x"].as_f64().unwrap(), label, seen["versionVector"].clone())
    }

    /// Ana moves the box to x = 2, ben to x = 3 without having seen it; gives ben's conflict.
    pub(crate) async fn disputed(&self) -> String {
        assert_eq!(self.ana.edit(self.moved(&self.seen, 2.0)).await["outcome"], "APPLIED");
        let result = self.ben.edit(self.moved(&self.seen, 3.0)).await;
        assert_eq!(result["outcome"], "CONFLICT", "{result:#}");
        result["conflict"]["id"].as_str().unwrap().to_owned()
    }
}

/// A vector that has seen these edits more.
pub(crate) fn plus(base: &Value, more: &[(&Session, i64)]) -> Value {
    let mut vector: Map<String, Value> = base.as_object().unwrap().clone();
    for (session, counter) in more {
        vector.insert(session.actor.clone(), json!(counter));
    }
    Value::Object(vector)
}

/// What a test wants to know of a conflict.
const CONFLICT: &str = "id state cause fields raisedAt resolvedAt choice baseVector task { id openConflictCount }
    base { label deleted attributes geometry { ... on BoundingBox { x } } }
    current { label deleted attributes geometry { ... on BoundingBox { x } } }
    incoming { label deleted attributes geometry { ... on BoundingBox { x } } }
    incomingBy { name } currentBy { name } resolvedBy { name } annotation { id versionVector }";

impl Person {
    /// A conflict.
    pub(crate) async fn conflict(&self, id: &str) -> Value {
        let query = format!("query($id: ID!) {{ node(id: $id) {{ ... on Conflict {{ {CONFLICT} }} }} }}");
        self.send(&query, json!({ "id": id })).await.get("node").clone()
    }

    /// Decides a conflict.
    pub(crate) async fn resolve(&self, conflict: &str, base: &Value, choice: &str, merged: Value) -> Answer {
        let mut input = json!({ "conflictId": conflict, "base": base, "choice": choice });
        if !merged.is_null() {
            input["merged"] = merged;
        }
        let selection = format!(
            "conflict {{ {CONFLICT} }} annotation {{ label deleted attributes revision versionVector lastEditedBy {{ name }}
             geometry {{ ... on BoundingBox {{ x }} }} }}"
        );
        self.mutate("resolveConflict", input, &selection).await
    }
}
