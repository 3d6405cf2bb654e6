//! Who has a task open, and what they have selected: soft state that is nowhere else and makes no event. It says who gave a
//! sign of life; whether their fence still holds is for the reader to look up.
//!
//! Contract: an entry is one labeling session in its task. It is kept for `limits::PRESENCE_TTL` after its last note and then
//! gone, as it is when it is forgotten or the store is lost: the next note brings it back. Of one task at most
//! `limits::PRESENT` entries are kept; the one silent for longest makes room. Whichever replica notes or forgets, all read
//! the same from then on. Nobody is told of a change: who makes one wakes the readers of their own process
//! (`live::Presence`), the others look every few seconds.

use chrono::{DateTime, Utc};

use crate::domain::{
    ids::{AnnotationId, SessionId, TaskId, UserId},
    words::SessionRole,
};

#[cfg(test)]
mod conformance;
mod degradable;
mod embedded;
mod redis;

pub use self::redis::RedisPresence;
pub use degradable::DegradablePresence;
pub use embedded::EmbeddedPresence;

/// One open screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Present {
    /// The session; they sort in the order in which they were opened.
    pub session: SessionId,
    /// Whose.
    pub user: UserId,
    /// In which part the user has the task open.
    pub role: SessionRole,
    /// The slot's number; none in a review of several slots.
    pub slot: Option<i32>,
    /// The fence it works under.
    pub fence: i32,
    /// When it was opened.
    pub since: DateTime<Utc>,
    /// What its user has selected.
    pub selected: Option<AnnotationId>,
}

/// What a sign of life says of the selection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// Nothing: it is as it was, at first none.
    Kept,
    /// It is now this, or none.
    Now(Option<AnnotationId>),
}

/// What a note changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// The session was not there.
    New,
    /// It was, with another selection.
    Changed,
    /// Nothing but how long it is kept.
    Same,
}

/// Why the store could not answer.
#[derive(Debug, thiserror::Error)]
pub enum PresenceError {
    /// The store is away.
    #[error("the presence store is not available: {0}")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The home of presences.
#[async_trait::async_trait]
pub trait PresenceStore: Send + Sync {
    /// A sign of life of a session of the task, kept for the whole TTL from now. Of `present` all but the selection is taken
    /// as it is.
    async fn note(&self, task: TaskId, present: Present, selection: Selection) -> Result<Noted, PresenceError>;

    /// Keeps the session no longer; whether it was there.
    async fn forget(&self, task: TaskId, session: SessionId) -> Result<bool, PresenceError>;

    /// Everybody who is in the task, in the order of their sessions.
    async fn of(&self, task: TaskId) -> Result<Vec<Present>, PresenceError>;
}
