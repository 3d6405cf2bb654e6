//! What somebody who follows a project is told, and when somebody who is told nothing is told where they are.

use std::time::Duration;

use crate::{
    domain::{cursor::EventCursor, ids::TaskId, limits, words::EventType},
    live::Position,
    repo::event::StoredEvent,
};

/// What a follower is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// Something happened.
    Event(Position),
    /// Nothing that passed the filter; the position has moved all the same.
    Moved(EventCursor),
    /// What happened before the cursor is unknown.
    Resync {
        /// Why.
        reason: &'static str,
        /// The position that following goes on from.
        cursor: EventCursor,
    },
}

/// Which events a follower is told of.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only those about this task.
    pub task: Option<TaskId>,
    /// Only those of these types.
    pub types: Option<Vec<EventType>>,
}

impl Filter {
    /// Whether the follower is told of an event.
    #[must_use]
    pub fn passes(&self, event: &StoredEvent) -> bool {
        self.task.is_none_or(|task| event.task == Some(task))
            && self.types.as_ref().is_none_or(|types| types.contains(&event.event_type))
    }
}

/// When a position is told without an event: at regular times, and after many events that were filtered out.
#[derive(Clone, Copy, Debug)]
pub struct Notices {
    filtered: usize,
    due: Duration,
}

impl Notices {
    /// The first is due half a minute from now; times are the process's uptime.
    #[must_use]
    pub fn new(now: Duration) -> Self {
        Self { filtered: 0, due: now + limits::CURSOR_NOTICE }
    }

    /// When the next one is due.
    #[must_use]
    pub fn due(&self) -> Duration {
        self.due
    }

    /// Whether it is due.
    #[must_use]
    pub fn is_due(&self, now: Duration) -> bool {
        now >= self.due || self.filtered >= limits::FILTERED_EVENTS
    }

    /// An event was told, which has the position in it.
    pub fn told(&mut self) {
        self.filtered = 0;
    }

    /// An event was filtered out.
    pub fn filtered(&mut self) {
        self.filtered += 1;
    }

    /// A notice was given.
    pub fn given(&mut self, now: Duration) {
        *self = Self::new(now);
    }
}
