//! The states of tasks and slots: one pure function, [`next`], says what follows from what. Nothing else decides a state;
//! a pair of state and event that is not in its two tables is refused.
//!
//! What each state means is said at [`TaskState`] and [`SlotState`]. Between its special states (ARCHIVED, QUARANTINED,
//! IN_REVIEW) a task's state follows from its slots, see [`by_slots`].

use crate::domain::words::{ReviewPolicy, ReviewVerdict, SlotState, TaskState};

/// What the state of a task depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// Where the task stands.
    pub state: TaskState,
    /// From 1; raised when work is sent back.
    pub round: i32,
    /// Whether it expired too often and no manager has looked yet; an archived task remembers it.
    pub quarantined: bool,
    /// The states of its slots, at least one.
    pub slots: Vec<SlotState>,
}

/// Something that happens to a task; slots are named by their index, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Somebody took a slot.
    Leased(usize),
    /// A lease ended without a result: released, expired, revoked.
    Freed(usize),
    /// A slot was handed in.
    Submitted(usize),
    /// A slot was skipped.
    Skipped(usize),
    /// A slot that was handed in was taken back by whoever did.
    Withdrawn(usize),
    /// Somebody began a review.
    ReviewClaimed,
    /// A review ended before its last verdict: released, expired, revoked.
    ReviewEnded,
    /// A slot was judged.
    Judged(usize, ReviewVerdict),
    /// Its leases expired too often.
    Quarantined,
    /// A manager opened a finished or quarantined task again.
    Reopened,
    /// A manager put it away.
    Archived,
    /// A manager took it out again.
    Unarchived,
}

/// What happens to one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotEvent {
    /// Taken.
    Leased,
    /// The lease ended without a result.
    Freed,
    /// Handed in.
    Submitted,
    /// Skipped.
    Skipped,
    /// Taken back.
    Withdrawn,
    /// Judged to be right.
    Accepted,
    /// Judged to be wrong.
    Rejected,
    /// Opened for another turn.
    SentBack,
}

/// The pair is not in the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransitionError {
    /// Not in this state of the task.
    #[error("the task is {0}")]
    Task(TaskState, Event),
    /// Not in this state of the slot.
    #[error("the slot is {0}")]
    Slot(SlotState, SlotEvent),
    /// The task has no such slot.
    #[error("the task has no such slot")]
    NoSlot(usize),
}

/// The state of a slot after `event`.
///
/// # Errors
/// [`TransitionError::Slot`] when the pair is not in the table.
pub fn next_slot(state: SlotState, event: SlotEvent) -> Result<SlotState, TransitionError> {
    use {SlotEvent as E, SlotState as S};
    match (state, event) {
        (S::Free, E::Leased) | (S::Submitted, E::Withdrawn) => Ok(S::Leased),
        (S::Leased, E::Submitted) => Ok(S::Submitted),
        (S::Leased, E::Skipped) => Ok(S::Skipped),
        (S::Submitted, E::Accepted) => Ok(S::Accepted),
        (S::Submitted, E::Rejected) => Ok(S::Rejected),
        (S::Leased, E::Freed) | (S::Rejected | S::Accepted | S::Skipped, E::SentBack) => Ok(S::Free),
        (state, event) => Err(TransitionError::Slot(state, event)),
    }
}

/// Whether a task in `state` can meet `event` at all.
fn allows(state: TaskState, event: Event) -> bool {
    use {Event as E, TaskState as S};
    match event {
        E::Leased(_) | E::Quarantined => matches!(state, S::Queued | S::Rework | S::InProgress),
        E::Freed(_) | E::Submitted(_) | E::Skipped(_) => state == S::InProgress,
        E::Withdrawn(_) => matches!(state, S::InProgress | S::Submitted),
        E::ReviewClaimed => state == S::Submitted,
        E::ReviewEnded | E::Judged(..) => state == S::InReview,
        E::Reopened => matches!(state, S::Accepted | S::Skipped | S::Quarantined),
        E::Archived => state != S::Archived,
        E::Unarchived => state == S::Archived,
    }
}

/// The task and its slots after `event`. With `review` NONE the submission or skip that leaves nothing open accepts what
/// was handed in at once.
///
/// # Errors
/// [`TransitionError`] when the task, or the slot the event is about, is not in a state for it.
pub fn next(life: &Life, event: Event, review: ReviewPolicy) -> Result<Life, TransitionError> {
    if !allows(life.state, event) {
        return Err(TransitionError::Task(life.state, event));
    }
    let mut next = life.clone();
    match event {
        Event::Leased(slot) => next.turn(slot, SlotEvent::Leased)?,
        Event::Freed(slot) => next.turn(slot, SlotEvent::Freed)?,
        Event::Submitted(slot) => next.turn(slot, SlotEvent::Submitted)?,
        Event::Skipped(slot) => next.turn(slot, SlotEvent::Skipped)?,
        Event::Withdrawn(slot) => next.turn(slot, SlotEvent::Withdrawn)?,
        Event::Judged(slot, ReviewVerdict::Accept) => next.turn(slot, SlotEvent::Accepted)?,
        Event::Judged(slot, ReviewVerdict::Reject) => next.turn(slot, SlotEvent::Rejected)?,
        Event::Quarantined | Event::Archived => next.turn_all(SlotState::Leased, SlotEvent::Freed)?,
        Event::Reopened if life.state == TaskState::Accepted => {
            next.round += 1;
            next.turn_all(SlotState::Accepted, SlotEvent::SentBack)?;
        }
        Event::Reopened => next.turn_all(SlotState::Skipped, SlotEvent::SentBack)?,
        Event::ReviewClaimed | Event::ReviewEnded | Event::Unarchived => {}
    }
    next.quarantined = (life.quarantined || event == Event::Quarantined) && event != Event::Reopened;
    next.state = match event {
        Event::Archived => TaskState::Archived,
        Event::ReviewClaimed => TaskState::InReview,
        Event::Judged(..) if next.has(SlotState::Submitted) => TaskState::InReview,
        _ if next.quarantined => TaskState::Quarantined,
        _ => next.settle(event, review)?,
    };
    Ok(next)
}

/// The state of a task that is neither archived nor quarantined nor in review.
#[must_use]
pub fn by_slots(slots: &[SlotState], round: i32) -> TaskState {
    let has = |state| slots.contains(&state);
    if has(SlotState::Leased) || (has(SlotState::Free) && has(SlotState::Submitted)) {
        TaskState::InProgress
    } else if has(SlotState::Free) {
        if round == 1 { TaskState::Queued } else { TaskState::Rework }
    } else if has(SlotState::Submitted) {
        TaskState::Submitted
    } else if has(SlotState::Accepted) {
        TaskState::Accepted
    } else {
        TaskState::Skipped
    }
}

impl Life {
    fn has(&self, state: SlotState) -> bool {
        self.slots.contains(&state)
    }

    fn turn(&mut self, slot: usize, event: SlotEvent) -> Result<(), TransitionError> {
        let state = self.slots.get_mut(slot).ok_or(TransitionError::NoSlot(slot))?;
        *state = next_slot(*state, event)?;
        Ok(())
    }

    /// Every slot in `state` meets `event`.
    fn turn_all(&mut self, state: SlotState, event: SlotEvent) -> Result<(), TransitionError> {
        for slot in self.slots.iter_mut().filter(|slot| **slot == state) {
            *slot = next_slot(*slot, event)?;
        }
        Ok(())
    }

    /// The state that follows from the slots, once what waits for nothing more has moved on: finished work is accepted
    /// where nobody reviews, rejected work goes back when no other slot is open.
    fn settle(&mut self, event: Event, review: ReviewPolicy) -> Result<TaskState, TransitionError> {
        if self.slots.iter().all(|slot| !matches!(slot, SlotState::Free | SlotState::Leased)) {
            if review == ReviewPolicy::None && matches!(event, Event::Submitted(_) | Event::Skipped(_)) {
                self.turn_all(SlotState::Submitted, SlotEvent::Accepted)?;
            }
            if self.has(SlotState::Rejected) && !self.has(SlotState::Submitted) {
                self.round += 1;
                self.turn_all(SlotState::Rejected, SlotEvent::SentBack)?;
            }
        }
        Ok(by_slots(&self.slots, self.round))
    }
}

#[cfg(test)]
mod diagram;
#[cfg(test)]
mod tests;
