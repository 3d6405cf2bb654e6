//! What somebody sees of a project's events. The same rule as for rows, in `repo::scope`: who labels blind sees of a
//! slot's work only what is in their own slots.

use std::collections::{BTreeSet, HashSet};

use crate::{
    domain::ids::{TaskId, UserId},
    repo::event::StoredEvent,
};

/// What somebody sees of a project's events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Everything.
    All,
    /// Everything but the work in slots other than one's own.
    Own {
        /// Who looks.
        user: UserId,
        /// One's slots, by task and number.
        slots: HashSet<(TaskId, i32)>,
    },
}

impl Sight {
    /// Whether the event is seen.
    #[must_use]
    pub fn shows(&self, event: &StoredEvent) -> bool {
        match (self, slot_of(event)) {
            (Self::All, _) | (_, None) => true,
            // Also of a turn of one's own on a slot that is another's by now.
            (Self::Own { user, slots }, Some(slot)) => slots.contains(&slot) || is_about(event, *user),
        }
    }
}

fn is_about(event: &StoredEvent, user: UserId) -> bool {
    event.payload.get("whose").and_then(|whose| whose.as_str()) == Some(&user.to_string())
}

/// The tasks with a slot that one of the events is about.
#[must_use]
pub fn places_of(events: &[&StoredEvent]) -> Vec<TaskId> {
    let tasks: BTreeSet<TaskId> = events.iter().filter_map(|event| slot_of(event)).map(|(task, _)| task).collect();
    tasks.into_iter().collect()
}

/// The slot an event is about: such an event says its number.
fn slot_of(event: &StoredEvent) -> Option<(TaskId, i32)> {
    let number = event.payload.get("slot")?.as_i64()?;
    Some((event.task?, i32::try_from(number).ok()?))
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::{ids::ProjectId, words::EventType};

    fn event(task: Option<TaskId>, payload: Value) -> StoredEvent {
        StoredEvent {
            project: ProjectId(uuid::Uuid::nil()),
            stream: 0,
            position: 1,
            event_type: EventType::AnnotationSaved,
            task,
            by: None,
            at: DateTime::UNIX_EPOCH,
            payload,
        }
    }

    #[test]
    fn of_other_slots_nothing_is_seen() {
        let (task, other) = (TaskId::generate(), TaskId::generate());
        let user = UserId::generate();
        let own = Sight::Own { user, slots: HashSet::from([(task, 2)]) };
        for (case, event, shown) in [
            ("one's own slot", event(Some(task), json!({ "slot": 2 })), true),
            ("another slot", event(Some(task), json!({ "slot": 1 })), false),
            ("one's turn on another slot", event(Some(task), json!({ "slot": 1, "whose": user.to_string() })), true),
            ("another's turn", event(Some(task), json!({ "slot": 1, "whose": UserId::generate().to_string() })), false),
            ("that slot of another task", event(Some(other), json!({ "slot": 2 })), false),
            ("the task itself", event(Some(task), json!({ "to": "SUBMITTED" })), true),
            ("the project", event(None, json!({})), true),
        ] {
            assert_eq!(own.shows(&event), shown, "{case}");
            assert!(Sight::All.shows(&event), "{case}");
        }
        assert_eq!(places_of(&[&event(Some(task), json!({ "slot": 1 })), &event(Some(other), json!({}))]), [task]);
    }
}
