//! Work under a lease: a session on a slot, and what its user saves in it.

use concord::{
    domain::{
        ids::{ProjectId, SnapshotId},
        words::SnapshotReason,
    },
    repo::{Conn, snapshot},
};
use serde_json::{Map, Value, json};

use crate::harness::{Answer, Person, Project, TestApp, labeling::Screen, random_like};

/// A labeling session and the person whose it is.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) person: Person,
    pub(crate) id: String,
    pub(crate) fence: i64,
    pub(crate) actor: String,
    pub(crate) screen: Screen,
}

impl TestApp {
    /// Somebody takes a slot of a task and opens it.
    pub(crate) async fn at_work(&self, project: &Project, task: &str, person: &Person) -> Session {
        let screen = person.try_claim_task(project, task).await.expect("a slot is free");
        Session::of(person, screen)
    }

    /// Somebody reviews a task: those at work hand theirs in, what nobody holds is skipped.
    pub(crate) async fn reviewing(
        &self,
        project: &Project,
        task: &str,
        at_work: &[&Session],
        person: &Person,
    ) -> Session {
        for session in at_work {
            session.person.submit(&session.screen).await.get("submitTask");
        }
        let sam = project.member(self, "sam", "ANNOTATOR").await;
        while let Ok(screen) = sam.try_claim_task(project, task).await {
            sam.skip(&screen, "two are enough").await.get("skipTask");
        }
        let screen = person.try_claim_review(project, json!({ "taskId": task })).await.expect("it waits for a review");
        Session::of(person, screen)
    }

    /// Takes a snapshot of a slot's work as it is now; gives its id.
    pub(crate) async fn snapshot(&self, task: &str, slot: i32) -> String {
        let (project, version): (uuid::Uuid, i32) = {
            let sql = format!("SELECT project_id, version FROM task WHERE id = {}", self.literal(task));
            self.rows(&sql).await.remove(0)
        };
        let db = &self.use_cases().db;
        let snapshot = snapshot::Snapshot {
            id: SnapshotId::generate(),
            task: task.parse().unwrap(),
            slot,
            project: ProjectId(project),
            version,
            reason: SnapshotReason::Submit,
            by: None,
            at: db.clock().process_now(),
            fence: 1,
        };
        snapshot::take(db, &snapshot).await.unwrap();
        snapshot.id.to_string()
    }

    /// Somebody joins whoever holds a task, or reviews it.
    pub(crate) async fn joined(&self, task: &str, person: &Person) -> Session {
        let joined = person.join_with(task, json!({})).await;
        Session::of(person, Screen::read(joined.get("joinTask.session")))
    }

    /// The person opens the task a second time, as after a reload.
    pub(crate) async fn second_screen(&self, project: &Project, task: &str, first: &Session) -> Session {
        self.at_work(project, task, &first.person).await
    }
}

/// What a save gives back of each edit.
const RESULT: &str = "annotationId outcome repeated fields code field message conflict { id } annotation {
    id slot revision deleted label tool kind versionVector attributes assetId
    geometry { __typename ... on BoundingBox { x y width height rotation } ... on TextSpan { start end text } } }";

impl Session {
    pub(crate) fn of(person: &Person, screen: Screen) -> Self {
        let Screen { session, fence, actor, .. } = screen.clone();
        Self { person: person.clone(), id: session, fence, actor, screen }
    }

    /// Saves edits.
    pub(crate) async fn save(&self, edits: Value) -> Answer {
        self.save_under(self.fence, edits).await
    }

    /// Saves edits under a fence that may be another one.
    pub(crate) async fn save_under(&self, fence: i64, edits: Value) -> Answer {
        let input = json!({ "sessionId": self.id, "fence": fence, "edits": edits });
        self.person.mutate("saveAnnotations", input, &format!("results {{ {RESULT} }} task {{ id version }}")).await
    }

    /// Saves one edit and gives its result.
    pub(crate) async fn edit(&self, edit: Value) -> Value {
        self.save(json!([edit])).await.get("saveAnnotations.results.0").clone()
    }

    /// A vector that has seen so many of this session's edits and nothing else.
    pub(crate) fn seen(&self, edits: i64) -> Value {
        let mut vector = Map::from_iter([("#".to_owned(), json!(1))]);
        if edits > 0 {
            vector.insert(self.actor.clone(), json!(edits));
        }
        Value::Object(vector)
    }
}

/// A new id for an annotation.
pub(crate) fn new_annotation() -> String {
    random_like("ann_01h455vb4pex5vsknk084sn02q")
}

/// The creation of a box named `cell`.
pub(crate) fn box_at(id: &str, x: f64) -> Value {
    let geometry = json!({ "boundingBox": { "x": x, "y": 1.0, "width": 5.0, "height": 4.0 } });
    json!({ "create": { "id": id, "tool": "Boxes", "label": "cell", "geometry": geometry } })
}

/// The creation of a span named `cell`.
pub(crate) fn span(id: &str, start: usize, text: &str) -> Value {
    let geometry = json!({ "textSpan": { "start": start, "end": start + text.chars().count(), "text": text } });
    json!({ "create": { "id": id, "tool": "Words", "label": "cell", "geometry": geometry } })
}
