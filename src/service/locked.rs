//! A task held by a transaction, and the one way to change where it stands: the life cycle says the states, what they
//! mean for holders, fences and reservations is said here, and rows, counters and events follow from the difference.

use std::{collections::HashMap, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use crate::{
    domain::{
        counter::Counter,
        ids::{SessionId, TaskId, UserId},
        life_cycle::{self, Event, Life},
        permission::Standing,
        words::{AssignmentState, EventType, SessionRole, SlotState, TaskState},
    },
    live::Changes,
    repo::{
        Txn, annotation::Annotation, assignment, assignment::Assignment, conflict::Conflict, places, project::Project,
        revision::Revision, session, session::Session, slot, slot::Slot, task as task_repo, task::Task,
    },
    service::{App, ServiceError, Viewer},
};

/// A task that the transaction holds, with all that a rule may ask about it.
#[derive(Clone, Debug)]
pub(crate) struct Locked {
    /// Its project.
    pub(crate) project: Project,
    /// What the asker is in it.
    pub(crate) standing: Standing,
    /// The task.
    pub(crate) task: Task,
    /// Its slots, by number.
    pub(crate) slots: Vec<Slot>,
    /// The time of the change, the same for everything it writes.
    pub(crate) now: DateTime<Utc>,
}

impl Locked {
    /// Locks the task whose id stands at `field`.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] when the viewer does not see it.
    pub(crate) async fn task(txn: &Txn, viewer: &Viewer, id: TaskId, field: &str) -> Result<Self, ServiceError> {
        let missing = || ServiceError::not_found("task", field);
        let task = task_repo::lock(txn, viewer.scope(), id).await?.ok_or_else(missing)?;
        Self::around(txn, viewer, task).await?.ok_or_else(missing)
    }

    /// Locks the task of the viewer's own session, whose id stands at `sessionId`.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] when the session is not the viewer's, or the viewer has left the project.
    pub(crate) async fn session(txn: &Txn, viewer: &Viewer, id: SessionId) -> Result<(Session, Self), ServiceError> {
        let missing = || ServiceError::not_found("session of yours", "sessionId");
        let (session, task) = session::lock_task(txn, viewer.user.id, id).await?.ok_or_else(missing)?;
        let locked = Self::around(txn, viewer, task).await?.ok_or_else(missing)?;
        Ok((session, locked))
    }

    pub(crate) async fn around(txn: &Txn, viewer: &Viewer, task: Task) -> Result<Option<Self>, ServiceError> {
        let places::Places { project, standing, slots, now } = places::read(txn, viewer.scope(), task.id).await?;
        Ok(standing.map(|standing| Self { project, standing, task, slots, now }))
    }

    /// A task that the server itself looks at; none when somebody else holds it or it is gone.
    pub(crate) async fn unattended(txn: &Txn, id: TaskId) -> Result<Option<Self>, ServiceError> {
        let Some(task) = task_repo::lock_free(txn, id).await? else { return Ok(None) };
        let places::Places { project, slots, now, .. } = places::read_all(txn, task.id).await?;
        Ok(Some(Self { project, standing: Standing::Admin, task, slots, now }))
    }

    /// The index of the slot of this number.
    pub(crate) fn index(&self, number: i32) -> Option<usize> {
        self.slots.iter().position(|slot| slot.number == number)
    }

    /// Whether the session's fence holds: its slot is LEASED under it, or its task IN_REVIEW.
    pub(crate) fn holds(&self, session: &Session) -> bool {
        match session.role {
            SessionRole::Reviewer => self.task.state == TaskState::InReview && self.task.review_epoch == session.fence,
            SessionRole::Holder | SessionRole::Collaborator => {
                let slot = session.slot.and_then(|number| self.slots.iter().find(|slot| slot.number == number));
                slot.is_some_and(|slot| slot.state == SlotState::Leased && slot.lease_epoch == session.fence)
            }
        }
    }

    /// Whether the session is of who holds the slot, or claimed the review: others joined them.
    pub(crate) fn is_of_holder(&self, session: &Session) -> bool {
        match session.role {
            SessionRole::Holder => true,
            SessionRole::Collaborator => false,
            SessionRole::Reviewer => self.task.reviewer == Some(session.user),
        }
    }

    /// When a lease or a review that begins or is renewed now runs out.
    pub(crate) fn lease_end(&self) -> DateTime<Utc> {
        self.now + TimeDelta::seconds(i64::from(self.project.lease_seconds))
    }
}

/// What the life cycle looks at.
pub(crate) fn life(task: &Task, slots: &[Slot]) -> Life {
    Life {
        state: task.state,
        round: task.round,
        quarantined: task.quarantine_reason.is_some(),
        slots: slots.iter().map(|slot| slot.state).collect(),
    }
}

/// Slots of a task in `state` that the queue hands out.
pub(crate) fn claimable(state: TaskState, slots: &[Slot]) -> i64 {
    if !hands_out(state) {
        return 0;
    }
    slots.iter().map(|slot| i64::from(slot.state == SlotState::Free)).sum()
}

fn hands_out(state: TaskState) -> bool {
    !matches!(state, TaskState::Archived | TaskState::Quarantined)
}

/// A change of where a locked task stands.
pub(crate) struct Change {
    /// As it will be written.
    pub(crate) after: Locked,
    before: (TaskState, Vec<Slot>),
    by: Option<UserId>,
    /// Why, as who did it says.
    reason: Option<String>,
    /// What turns that end without a result end as, by slot; REVOKED where nothing is said.
    freed: HashMap<i32, AssignmentState>,
}

/// What a change wrote, before it is committed.
pub(crate) struct Written {
    /// As it is now.
    pub(crate) locked: Locked,
    /// Events and counts, to be appended last.
    pub(crate) changes: Changes,
    /// Turns that ended, or were judged.
    pub(crate) turns: Vec<Assignment>,
}

impl Change {
    /// A change of `locked` by somebody, or by the server itself.
    pub(crate) fn of(locked: Locked, by: Option<UserId>) -> Self {
        let before = (locked.task.state, locked.slots.clone());
        Self { after: locked, before, by, reason: None, freed: HashMap::new() }
    }

    /// The events will say why.
    pub(crate) fn because(mut self, reason: Option<String>) -> Self {
        self.reason = reason;
        self
    }

    /// The lease of the slot at `index` ends without a result, the turn as `state`.
    ///
    /// # Errors
    /// As [`Change::apply`].
    pub(crate) fn free(&mut self, index: usize, state: AssignmentState) -> Result<(), ServiceError> {
        self.apply(Event::Freed(index))?;
        self.freed.insert(self.after.slots[index].number, state);
        Ok(())
    }

    /// Lets `event` happen.
    ///
    /// # Errors
    /// [`ServiceError::Transition`] when the life cycle does not know it in this state.
    pub(crate) fn apply(&mut self, event: Event) -> Result<(), ServiceError> {
        let Locked { project, task, slots, now, .. } = &mut self.after;
        let next = life_cycle::next(&life(task, slots), event, project.review)?;
        let lease_end = *now + TimeDelta::seconds(i64::from(project.lease_seconds));
        for (slot, state) in slots.iter_mut().zip(next.slots) {
            let was = std::mem::replace(&mut slot.state, state);
            match (was, state) {
                // Who leases it is for the caller to say.
                (SlotState::Free, SlotState::Leased) => {
                    slot.lease_expires_at = Some(lease_end);
                    (slot.reserved_for, slot.reserved_until) = (None, None);
                }
                (SlotState::Submitted, SlotState::Leased) => {
                    slot.holder = slot.submitted_by.take();
                    slot.submitted_at = None;
                    slot.lease_expires_at = Some(lease_end);
                    slot.lease_epoch += 1;
                }
                (SlotState::Leased, SlotState::Submitted | SlotState::Accepted) => {
                    slot.submitted_by = slot.holder.take();
                    slot.submitted_at = Some(*now);
                    slot.lease_expires_at = None;
                }
                (SlotState::Leased, SlotState::Free | SlotState::Skipped) => {
                    (slot.holder, slot.lease_expires_at) = (None, None);
                }
                (SlotState::Submitted | SlotState::Accepted | SlotState::Rejected, SlotState::Free) => {
                    slot.reserved_for = slot.submitted_by.take();
                    slot.reserved_until = Some(*now + TimeDelta::seconds(i64::from(project.rework_hold_seconds)));
                    slot.submitted_at = None;
                    slot.round = next.round;
                }
                (SlotState::Skipped, SlotState::Free) => {
                    slot.skip_reason = None;
                    slot.round = next.round;
                    slot.queue_number = now.timestamp_micros();
                }
                _ => {}
            }
            // What was begun under an ended lease must not end in the next one.
            let ends_early = matches!(event, Event::Archived | Event::Quarantined) && was == SlotState::Leased;
            slot.lease_epoch += i32::from(ends_early);
            slot.claimable = hands_out(next.state);
        }
        if task.state == TaskState::InReview && next.state != TaskState::InReview {
            (task.reviewer, task.review_expires_at) = (None, None);
        }
        if event == Event::Reopened {
            (task.quarantine_reason, task.expiries) = (None, 0);
        }
        (task.state, task.round) = (next.state, next.round);
        Ok(())
    }

    /// The numbers of the slots whose work it accepts.
    pub(crate) fn accepted(&self) -> Vec<i32> {
        let pairs = self.before.1.iter().zip(&self.after.slots);
        let accepted =
            pairs.filter(|(before, after)| before.state != after.state && after.state == SlotState::Accepted);
        accepted.map(|(_, after)| after.number).collect()
    }

    /// Writes the rows that differ, and says what follows for counters and events. The task's version is one more.
    ///
    /// # Errors
    /// [`ServiceError`] of the database.
    pub(crate) async fn write(self, txn: &Txn) -> Result<Written, ServiceError> {
        let Self { after: mut locked, before: (state, slots), by, reason, freed } = self;
        for (slot, _) in locked.slots.iter().zip(&slots).filter(|(after, before)| after != before) {
            slot::write(txn, slot).await?;
        }
        let mut turns = Vec::new();
        for (state, ended) in ended_turns(&slots, &locked.slots, &freed) {
            turns.extend(assignment::write(txn, locked.task.id, &ended, state, locked.now).await?);
        }
        let task = &mut locked.task;
        (task.version, task.updated_at) = (task.version + 1, locked.now);
        task_repo::write(txn, task).await?;
        let mut changes = Changes::new(task.project, by);
        let claimable = claimable(task.state, &locked.slots) - claimable(state, &slots);
        note(&mut changes, task, state, claimable, reason.as_deref());
        for (before, after) in slots.iter().zip(&locked.slots) {
            let (was, is) = (before.state == SlotState::Leased, after.state == SlotState::Leased);
            if was != is {
                let whose = if is { after.holder } else { before.holder };
                changes.task(EventType::SessionChanged, task, turn_payload(after.number, is, whose, reason.as_deref()));
            }
        }
        Ok(Written { locked, changes, turns })
    }
}

impl Written {
    /// Appends the events, commits, and tells the metrics; gives the task as it is now.
    ///
    /// # Errors
    /// [`ServiceError`] of the database.
    pub(crate) async fn commit(self, app: &App, txn: Txn) -> Result<Task, ServiceError> {
        let Self { locked, changes, turns } = self;
        changes.append(&txn).await?;
        txn.commit().await?;
        app.presence.turned(locked.task.id);
        for turn in turns.iter().filter(|turn| turn.ended_at == Some(locked.now)) {
            let how = match turn.state {
                AssignmentState::Submitted | AssignmentState::Accepted => {
                    app.metrics.phase("labeled", between(turn.started_at, locked.now));
                    "submitted"
                }
                AssignmentState::Skipped => "skipped",
                AssignmentState::Released => "released",
                AssignmentState::Expired => "expired",
                AssignmentState::Revoked => "revoked",
                AssignmentState::Leased | AssignmentState::Rejected => continue,
            };
            app.metrics.leases_ended.with_label_values(&[how]).inc();
        }
        if locked.task.state == TaskState::Accepted {
            app.metrics.phase("completed", between(locked.task.created_at, locked.now));
        }
        Ok(locked.task)
    }
}

/// How long it was; nothing when the clock was set back.
pub(crate) fn between(from: DateTime<Utc>, to: DateTime<Utc>) -> Duration {
    (to - from).to_std().unwrap_or_default()
}

/// What an event says of a turn on a slot that began or ended, and whose it is.
pub(crate) fn turn_payload(slot: i32, opened: bool, whose: Option<UserId>, reason: Option<&str>) -> serde_json::Value {
    let whose = whose.map(|user| user.to_string());
    json!({ "slot": slot, "opened": opened, "whose": whose, "reason": reason })
}

/// What an event says of a revision that was saved.
pub(crate) fn saved_payload(annotation: &Annotation, revision: &Revision) -> serde_json::Value {
    json!({
        "annotation": revision.annotation.to_string(), "revision": revision.number,
        "slot": annotation.slot, "outcome": revision.outcome,
    })
}

/// What an event says of a conflict.
pub(crate) fn conflict_payload(conflict: &Conflict) -> serde_json::Value {
    json!({
        "conflict": conflict.id.to_string(), "annotation": conflict.annotation.to_string(), "slot": conflict.slot,
    })
}

/// What a task's new state says to counters and subscribers.
pub(crate) fn note(changes: &mut Changes, task: &Task, from: TaskState, claimable: i64, reason: Option<&str>) {
    if task.state != from {
        changes.task(EventType::TaskStateChanged, task, json!({ "from": from, "to": task.state, "reason": reason }));
        changes.count(task.stream, Counter::Tasks(from), -1);
        changes.count(task.stream, Counter::Tasks(task.state), 1);
    }
    changes.count(task.stream, Counter::Claimable, claimable);
    if claimable > 0 {
        changes.waits(task.id);
    }
}

/// The turns (slot, fence) that ended or were judged between two looks at a task's slots, by what they ended as.
fn ended_turns(
    before: &[Slot],
    after: &[Slot],
    freed: &HashMap<i32, AssignmentState>,
) -> Vec<(AssignmentState, Vec<(i32, i32)>)> {
    use SlotState as S;
    let mut ended: Vec<(AssignmentState, Vec<(i32, i32)>)> = Vec::new();
    for (before, after) in before.iter().zip(after) {
        let state = match (before.state, after.state) {
            (S::Leased, S::Free) => freed.get(&before.number).copied().unwrap_or(AssignmentState::Revoked),
            (S::Leased, S::Submitted) => AssignmentState::Submitted,
            (S::Leased, S::Skipped) => AssignmentState::Skipped,
            (S::Leased | S::Submitted, S::Accepted) => AssignmentState::Accepted,
            (S::Submitted, S::Rejected | S::Free) => AssignmentState::Rejected,
            _ => continue,
        };
        let turn = (before.number, before.lease_epoch);
        match ended.iter_mut().find(|(known, _)| *known == state) {
            Some((_, turns)) => turns.push(turn),
            None => ended.push((state, vec![turn])),
        }
    }
    ended
}
