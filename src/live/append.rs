//! What one change adds to its project's streams, written as the last statements of its transaction.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    domain::{
        counter::Counter,
        ids::{ProjectId, TaskId, UserId},
        words::EventType,
    },
    repo::{News, RepoError, Txn, event, event::NewEvent, task::Task},
};

/// The stream of what concerns the project itself.
const PROJECT_STREAM: i32 = 0;

/// Events and counts of one change in one project, collected until the transaction is about to commit.
#[derive(Debug)]
#[must_use = "changes that are not appended are lost"]
pub struct Changes {
    project: ProjectId,
    by: Option<UserId>,
    events: Vec<NewEvent>,
    counts: BTreeMap<i32, BTreeMap<Counter, i64>>,
    waiting: Vec<TaskId>,
}

impl Changes {
    /// Nothing yet, in `project`, caused by `by` (nobody when the server itself acts).
    pub fn new(project: ProjectId, by: Option<UserId>) -> Self {
        Self { project, by, events: Vec::new(), counts: BTreeMap::new(), waiting: Vec::new() }
    }

    /// Something happened to the project itself.
    pub fn project(&mut self, event_type: EventType, payload: Value) {
        self.events.push(NewEvent { stream: PROJECT_STREAM, event_type, task: None, payload });
    }

    /// Something happened to a task.
    pub fn task(&mut self, event_type: EventType, task: &Task, payload: Value) {
        self.events.push(NewEvent { stream: task.stream, event_type, task: Some(task.id), payload });
    }

    /// A counter of a task's stream moves.
    pub fn count(&mut self, stream: i32, counter: Counter, delta: i64) {
        *self.counts.entry(stream).or_default().entry(counter).or_default() += delta;
    }

    /// Slots of a task may wait in the queue now, or at another place of it: whoever keeps an index is told after the commit.
    pub fn waits(&mut self, task: TaskId) {
        self.waiting.push(task);
    }

    /// Takes the positions, stream by stream in ascending order (the lock order), and writes everything. The caller
    /// commits right after: until then the streams are locked.
    ///
    /// # Errors
    /// [`RepoError`] of the database.
    pub async fn append(self, txn: &Txn) -> Result<(), RepoError> {
        let Self { project, by, events, mut counts, waiting } = self;
        if !waiting.is_empty() {
            txn.note(News::Waiting(project, waiting));
        }
        let mut streams: BTreeMap<i32, Vec<NewEvent>> = BTreeMap::new();
        for event in events {
            streams.entry(event.stream).or_default().push(event);
        }
        // Counters move with their stream, whether or not it gets an event.
        for stream in counts.keys() {
            streams.entry(*stream).or_default();
        }
        let mut deltas = |stream| -> Vec<(Counter, i64)> {
            counts.remove(&stream).unwrap_or_default().into_iter().filter(|(_, delta)| *delta != 0).collect()
        };
        if streams.len() == 1
            && let Some((stream, events)) = streams.pop_first()
        {
            let has_events = !events.is_empty();
            let top = event::append(txn, project, by, stream, events, &deltas(stream)).await?;
            if has_events {
                txn.note(News::Events(project, BTreeMap::from([(stream, top)])));
            }
            return Ok(());
        }
        let (mut placed, mut tops) = (Vec::new(), BTreeMap::new());
        for (stream, events) in streams {
            let count = i64::try_from(events.len()).unwrap_or(i64::MAX);
            let top = event::take_positions(txn, project, stream, count, &deltas(stream)).await?;
            if count > 0 {
                tops.insert(stream, top);
            }
            placed.extend((top - count + 1..).zip(events));
        }
        if !tops.is_empty() {
            txn.note(News::Events(project, tops));
        }
        event::insert(txn, project, by, placed).await
    }
}
