//! The states of tasks and slots: the one pure function that says what a task's state is, given its slots.
//!
//! Nothing else decides a state. What each state means is said at [`TaskState`] and [`SlotState`].

use crate::domain::words::{SlotState, TaskState};

/// What the rule looks at.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The states of the task's slots, at least one.
    pub slots: &'a [SlotState],
    /// The task's round, from 1; a later one means it was sent back before.
    pub round: i32,
    /// Whether it expired too often and no manager has looked yet.
    pub quarantined: bool,
}

/// The state of a task that is neither archived nor in review.
#[must_use]
pub fn by_slots(facts: Facts<'_>) -> TaskState {
    let has = |state| facts.slots.contains(&state);
    if facts.quarantined {
        TaskState::Quarantined
    } else if has(SlotState::Leased) || (has(SlotState::Free) && has(SlotState::Submitted)) {
        TaskState::InProgress
    } else if has(SlotState::Free) {
        if facts.round == 1 { TaskState::Queued } else { TaskState::Rework }
    } else if has(SlotState::Submitted) {
        TaskState::Submitted
    } else if has(SlotState::Accepted) {
        TaskState::Accepted
    } else {
        TaskState::Skipped
    }
}

/// The state a slot has once its task is archived: leases end, finished work stays.
#[must_use]
pub fn slot_when_archived(slot: SlotState) -> SlotState {
    match slot {
        SlotState::Leased => SlotState::Free,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use SlotState as S;
    use TaskState as T;

    use super::*;

    #[test]
    fn a_tasks_state_follows_from_its_slots() {
        for (case, slots, round, want) in [
            ("waiting", &[S::Free][..], 1, T::Queued),
            ("waiting again", &[S::Free], 2, T::Rework),
            ("one at work", &[S::Free, S::Leased], 1, T::InProgress),
            ("one done, one open", &[S::Free, S::Submitted], 1, T::InProgress),
            ("one accepted, one open again", &[S::Accepted, S::Free], 2, T::Rework),
            ("all done", &[S::Submitted, S::Submitted], 1, T::Submitted),
            ("one done, one skipped", &[S::Submitted, S::Skipped], 1, T::Submitted),
            ("one accepted, one to be judged", &[S::Accepted, S::Submitted], 2, T::Submitted),
            ("accepted", &[S::Accepted, S::Skipped], 1, T::Accepted),
            ("skipped", &[S::Skipped], 1, T::Skipped),
        ] {
            assert_eq!(by_slots(Facts { slots, round, quarantined: false }), want, "{case}");
            assert_eq!(by_slots(Facts { slots, round, quarantined: true }), T::Quarantined, "{case}, quarantined");
        }
    }

    #[test]
    fn archiving_ends_leases_only() {
        for slot in [S::Free, S::Submitted, S::Skipped, S::Accepted, S::Rejected] {
            assert_eq!(slot_when_archived(slot), slot);
        }
        assert_eq!(slot_when_archived(S::Leased), S::Free);
    }
}
