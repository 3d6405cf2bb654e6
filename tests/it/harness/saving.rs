//! Work under a lease: a session on a slot, and what its user saves in it.

use std::sync::atomic::{AtomicU64, Ordering};

use concord::{
    domain::{
        ids::{ProjectId, SnapshotId},
        words::SnapshotReason,
    },
    repo::{Conn, snapshot},
};
use serde_json::{Map, Value, json};

use crate::harness::{Answer, Person, Project, TestApp, random_like};

/// A labeling session and the person whose it is.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) person: Person,
    pub(crate) id: String,
    pub(crate) fence: i64,
    pub(crate) actor: String,
}

static SESSIONS: AtomicU64 = AtomicU64::new(0);

impl TestApp {
    /// Somebody takes the first free slot of a task; gives the session and its fence.
    pub(crate) async fn leased(&self, project: &Project, task: &str, person: &Person) -> (String, i64) {
        let (project, task, user) = (self.literal(&project.id), self.literal(task), self.literal(&person.id));
        let free = format!(
            "SELECT number, lease_epoch + 1 FROM task_slot WHERE task_id = {task} AND state = 'FREE' ORDER BY number"
        );
        let (slot, fence) = self.rows::<(i32, i32)>(&free).await.remove(0);
        let lease = format!("SELECT CAST(lease_seconds AS bigint) FROM project WHERE id = {project}");
        let end = self.seconds_from_now(self.rows::<(i64,)>(&lease).await[0].0);
        self.sql(&format!(
            "UPDATE task_slot SET state = 'LEASED', lease_epoch = {fence}, holder_id = {user}, lease_expires_at = {end},
               reserved_for = NULL WHERE task_id = {task} AND number = {slot}"
        ))
        .await;
        self.sql(&format!("UPDATE task SET state = 'IN_PROGRESS' WHERE id = {task}")).await;
        let turn = self.literal(&random_like("asgn_01h455vb4pex5vsknk084sn02q"));
        self.sql(&format!(
            "INSERT INTO assignment (id, task_id, slot, project_id, annotator_id, state, round, lease_epoch, started_at)
             VALUES ({turn}, {task}, {slot}, {project}, {user}, 'LEASED', 1, {fence}, {end})"
        ))
        .await;
        self.sql(&format!(
            "UPDATE event_stream SET claimable = claimable - 1
             WHERE project_id = {project} AND number = (SELECT stream FROM task WHERE id = {task})"
        ))
        .await;
        let session = self.open_session(&project, &task, &format!("{slot}"), &user, "HOLDER", i64::from(fence)).await;
        (session, i64::from(fence))
    }

    /// Somebody reviews a task: its leased slots count as handed in by their holders.
    pub(crate) async fn reviewing(&self, project: &Project, task: &str, person: &Person) -> Session {
        let (project, task, user) = (self.literal(&project.id), self.literal(task), self.literal(&person.id));
        let end = self.seconds_from_now(900);
        self.sql(&format!(
            "UPDATE task_slot SET state = 'SUBMITTED', submitted_by = holder_id, submitted_at = lease_expires_at,
               holder_id = NULL, lease_expires_at = NULL WHERE task_id = {task} AND state = 'LEASED'"
        ))
        .await;
        self.sql(&format!(
            "UPDATE task SET state = 'IN_REVIEW', reviewer_id = {user}, review_epoch = review_epoch + 1,
               review_expires_at = {end} WHERE id = {task}"
        ))
        .await;
        let slots = format!("SELECT count(*) FROM task_slot WHERE task_id = {task}");
        let slot = if self.rows::<(i64,)>(&slots).await == [(1,)] { "1" } else { "NULL" };
        let fence = self.rows::<(i32,)>(&format!("SELECT review_epoch FROM task WHERE id = {task}")).await[0].0;
        let id = self.open_session(&project, &task, slot, &user, "REVIEWER", i64::from(fence)).await;
        self.session(id, i64::from(fence), person).await
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

    /// The person opens the task a second time, as after a reload.
    pub(crate) async fn second_screen(&self, project: &Project, task: &str, first: &Session) -> Session {
        let (project, task, user) = (self.literal(&project.id), self.literal(task), self.literal(&first.person.id));
        let id = self.open_session(&project, &task, "1", &user, "HOLDER", first.fence).await;
        self.session(id, first.fence, &first.person).await
    }

    async fn open_session(&self, project: &str, task: &str, slot: &str, user: &str, role: &str, fence: i64) -> String {
        let id = random_like("sess_01h455vb4pex5vsknk084sn02q");
        let (row, end) = (self.literal(&id), self.seconds_from_now(1_800));
        let actor = format!("actor{:03}", SESSIONS.fetch_add(1, Ordering::Relaxed));
        self.sql(&format!(
            "INSERT INTO labeling_session (id, task_id, slot, project_id, user_id, actor, role, fence, created_at, expires_at)
             VALUES ({row}, {task}, {slot}, {project}, {user}, '{actor}', '{role}', {fence}, {end}, {end})"
        ))
        .await;
        id
    }

    /// A session as its user works with it.
    pub(crate) async fn session(&self, id: String, fence: i64, person: &Person) -> Session {
        let actor = format!("SELECT actor FROM labeling_session WHERE id = {}", self.literal(&id));
        let (actor,) = self.rows::<(String,)>(&actor).await.remove(0);
        Session { person: person.clone(), id, fence, actor }
    }

    /// Somebody takes a task and opens it.
    pub(crate) async fn at_work(&self, project: &Project, task: &str, person: &Person) -> Session {
        let (id, fence) = self.leased(project, task, person).await;
        self.session(id, fence, person).await
    }

    fn seconds_from_now(&self, seconds: i64) -> String {
        let at = self.use_cases().db.clock().process_now() + chrono::TimeDelta::seconds(seconds);
        format!("'{}'", at.to_rfc3339_opts(chrono::SecondsFormat::Micros, false))
    }
}

/// What a save gives back of each edit.
const RESULT: &str = "annotationId outcome repeated fields code field message annotation {
    id slot revision deleted label tool kind versionVector attributes assetId
    geometry { __typename ... on BoundingBox { x y width height rotation } ... on TextSpan { start end text } } }";

impl Session {
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
