//! The rows of one moment, in a database of one project.

use std::collections::{BTreeMap, HashMap};

use sea_orm::{AccessMode, ConnectionTrait, DatabaseConnection, DbBackend, IsolationLevel, TransactionTrait};
use serde_json::Value;
use type_safe_id::{DynamicType, TypeSafeId};
use uuid::Uuid;

use crate::harness::{
    Database,
    load::{Names, called, ledger::Place},
    rows,
};

/// The states that a project counts its tasks by.
pub(super) const STATES: [&str; 9] =
    ["QUEUED", "IN_PROGRESS", "SUBMITTED", "IN_REVIEW", "REWORK", "ACCEPTED", "SKIPPED", "QUARANTINED", "ARCHIVED"];

#[derive(Debug)]
pub(super) struct Task {
    pub(super) state: String,
    pub(super) round: i32,
    pub(super) stream: i32,
    pub(super) reviewer: Option<Uuid>,
}

#[derive(Debug)]
pub(super) struct Slot {
    pub(super) state: String,
    pub(super) claimable: bool,
    pub(super) fence: i32,
    pub(super) holder: Option<Uuid>,
    pub(super) expires: bool,
    pub(super) submitted_by: Option<Uuid>,
}

#[derive(Debug)]
pub(super) struct Assignment {
    pub(super) person: Uuid,
    pub(super) state: String,
    pub(super) round: i32,
    pub(super) has_ended: bool,
}

#[derive(Debug)]
pub(super) struct Event {
    pub(super) stream: i32,
    pub(super) position: i64,
    pub(super) event_type: String,
    pub(super) task: Option<Uuid>,
    pub(super) payload: Value,
}

#[derive(Debug)]
pub(super) struct Stream {
    pub(super) number: i32,
    pub(super) top: i64,
    pub(super) bottom: i64,
    pub(super) claimable: i64,
    pub(super) tasks: Vec<i64>,
}

/// What an annotation is at a revision.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Content {
    pub(super) label: String,
    pub(super) geometry: Value,
    pub(super) deleted: bool,
}

#[derive(Debug)]
pub(super) struct Revision {
    pub(super) annotation: Uuid,
    pub(super) number: i32,
    pub(super) actor: String,
    pub(super) counter: i32,
    /// Whether its edit waits beside the state for a person.
    pub(super) waits: bool,
    pub(super) content: Content,
}

#[derive(Debug)]
pub(super) struct Annotation {
    pub(super) place: Place,
    pub(super) revision: i32,
    pub(super) content: Content,
}

/// The rows.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(super) names: Names,
    pub(super) tasks: BTreeMap<Uuid, Task>,
    pub(super) slots: BTreeMap<Place, Slot>,
    pub(super) turns: BTreeMap<(Place, i32), Assignment>,
    pub(super) streams: Vec<Stream>,
    pub(super) events: Vec<Event>,
    pub(super) annotations: HashMap<Uuid, Annotation>,
    pub(super) revisions: Vec<Revision>,
    /// By slot and fence: what a submission keeps.
    pub(super) submissions: HashMap<(Place, i32), Vec<Value>>,
}

impl Database {
    /// What it holds, by a connection that does not outlive the look.
    pub(crate) async fn facts(&self) -> Facts {
        let db = self.connect().await;
        let facts = Facts::read(&db).await;
        db.close().await.unwrap();
        facts
    }

    /// Every lease and review has run out long ago.
    pub(crate) async fn run_out(&self) {
        let db = self.connect().await;
        let past = "'2020-01-01T00:00:00.000000+00:00'";
        for (table, column, state) in
            [("task_slot", "lease_expires_at", "LEASED"), ("task", "review_expires_at", "IN_REVIEW")]
        {
            let sql = format!("UPDATE {table} SET {column} = {past} WHERE state = '{state}'");
            db.execute_unprepared(&sql).await.unwrap();
        }
        db.close().await.unwrap();
    }
}

impl Facts {
    /// Reads everything as of one moment.
    pub(crate) async fn read(db: &DatabaseConnection) -> Self {
        let txn = match db.get_database_backend() {
            // A deferred transaction reads the state of its first look.
            DbBackend::Sqlite => db.begin().await.unwrap(),
            _ => db.begin_with_config(Some(IsolationLevel::RepeatableRead), Some(AccessMode::ReadOnly)).await.unwrap(),
        };
        let facts = Self::read_in(&txn).await;
        txn.rollback().await.unwrap();
        facts
    }

    async fn read_in(txn: &impl ConnectionTrait) -> Self {
        let place = |task, slot| Place { task, slot };
        let found = rows::<(Uuid, Option<String>, String, i32, i32, Option<Uuid>)>;
        let tasks = found(txn, "SELECT id, external_id, state, round, stream, reviewer_id FROM task").await;
        let people = rows::<(Uuid, String)>(txn, "SELECT id, name FROM \"user\"").await;
        let names = tasks.iter().filter_map(|row| Some((row.0, row.1.clone()?))).chain(people).collect();
        let tasks = tasks
            .into_iter()
            .map(|(id, _, state, round, stream, reviewer)| (id, Task { state, round, stream, reviewer }));
        let found = rows::<(Uuid, i32, String, bool, i32, Option<Uuid>, bool, Option<Uuid>)>;
        let sql = "SELECT task_id, number, state, claimable, lease_epoch, holder_id, lease_expires_at IS NOT NULL,
          submitted_by FROM task_slot";
        let slots = found(txn, sql).await.into_iter().map(
            |(task, number, state, claimable, fence, holder, expires, submitted_by)| {
                (place(task, number), Slot { state, claimable, fence, holder, expires, submitted_by })
            },
        );
        let found = rows::<(Uuid, i32, i32, Uuid, String, i32, bool)>;
        let sql = "SELECT task_id, slot, lease_epoch, annotator_id, state, round, ended_at IS NOT NULL FROM assignment";
        let turns = found(txn, sql).await.into_iter().map(|(task, slot, fence, person, state, round, has_ended)| {
            ((place(task, slot), fence), Assignment { person, state, round, has_ended })
        });
        let counters = STATES.map(|state| format!("tasks_{}", state.to_lowercase())).join(", ");
        let sql = format!("SELECT number, {counters} FROM event_stream ORDER BY number");
        let found = rows::<(i32, i64, i64, i64, i64, i64, i64, i64, i64, i64)>;
        let counters = found(txn, &sql).await.into_iter();
        let counters = counters.map(|(_, a, b, c, d, e, f, g, h, i)| vec![a, b, c, d, e, f, g, h, i]);
        let streams = rows::<(i32, i64, i64, i64)>(
            txn,
            "SELECT number, top, bottom, claimable FROM event_stream ORDER BY number",
        );
        let streams = streams.await.into_iter().zip(counters).map(|((number, top, bottom, claimable), tasks)| Stream {
            number,
            top,
            bottom,
            claimable,
            tasks,
        });
        let found = rows::<(i32, i64, String, Option<Uuid>, Value)>;
        let sql = "SELECT stream, position, type, task_id, payload FROM event ORDER BY stream, position";
        let events = found(txn, sql).await.into_iter().map(|(stream, position, event_type, task, payload)| Event {
            stream,
            position,
            event_type,
            task,
            payload,
        });
        let found = rows::<(Uuid, Uuid, i32, i32, String, Value, bool)>;
        let sql = "SELECT id, task_id, slot, revision, label, geometry, deleted FROM annotation";
        let annotations =
            found(txn, sql).await.into_iter().map(|(id, task, slot, revision, label, geometry, deleted)| {
                let content = Content { label, geometry, deleted };
                (id, Annotation { place: place(task, slot), revision, content })
            });
        let found = rows::<(Uuid, i32, String, i32, bool, String, Value, bool)>;
        let sql = "SELECT annotation_id, revision, actor, counter, outcome = 'CONFLICT', label, geometry, deleted
                   FROM annotation_revision";
        let revisions = found(txn, sql).await.into_iter().map(|row| {
            let (annotation, number, actor, counter, waits, label, geometry, deleted) = row;
            let content = Content { label, geometry, deleted };
            Revision { annotation, number, actor, counter, waits, content }
        });
        let found = rows::<(Uuid, i32, i32, Value)>;
        let sql = "SELECT task_id, slot, fence, payload FROM annotation_snapshots WHERE reason = 'SUBMIT'";
        let submissions = found(txn, sql)
            .await
            .into_iter()
            .map(|(task, slot, fence, payload)| ((place(task, slot), fence), payload.as_array().unwrap().clone()));
        Self {
            names,
            tasks: tasks.collect(),
            slots: slots.collect(),
            turns: turns.collect(),
            streams: streams.collect(),
            events: events.collect(),
            annotations: annotations.collect(),
            revisions: revisions.collect(),
            submissions: submissions.collect(),
        }
    }

    /// Slots on which somebody has to work, and tasks that wait for a reviewer.
    pub(crate) fn unfinished(&self) -> Vec<String> {
        let is_open = |task: &&Task| !matches!(task.state.as_str(), "ACCEPTED" | "SKIPPED");
        let tasks = self.tasks.iter().filter(|(_, task)| is_open(task));
        tasks.map(|(id, task)| format!("{} is {}", called(&self.names, *id), task.state)).collect()
    }

    /// Leases that nobody has ended.
    pub(crate) fn leased(&self) -> usize {
        self.slots.values().filter(|slot| slot.state == "LEASED").count()
    }

    /// Turns whose lease ran out.
    pub(crate) fn expired(&self) -> usize {
        self.turns.values().filter(|turn| turn.state == "EXPIRED").count()
    }

    /// The ids of tasks that wait for a manager.
    pub(crate) fn quarantined(&self) -> Vec<String> {
        let id = |id: &Uuid| TypeSafeId::from_type_and_uuid(DynamicType::new("task").unwrap(), *id).to_string();
        self.tasks.iter().filter(|(_, task)| task.state == "QUARANTINED").map(|(task, _)| id(task)).collect()
    }
}
