//! The soft state of labeling sessions: whether one is ACTIVE or PAUSED, and the revision of that. The session itself is
//! a row of the database; its soft state has no other home than this store, under `session_id:<user>:<session>`.
//!
//! Contract: a session is kept for 30 minutes (`limits::SESSION_TTL`) after its last sign of life: a touch or a change,
//! not a look and not a refused change. One that is not kept (never seen, run out, forgotten, lost with the store) begins
//! as [`Soft::begun`] says, and from then on it is kept: whoever asks next is told the same. Of all changes that expect
//! one revision exactly one is made, whichever replica they come through.
//!
//! Losing it is safe because a revision begins at the time: as long as a session is changed less often than once a
//! second, what was given out before the loss is behind it, and whoever still expects that is shown what is now.

use std::fmt;

use chrono::{DateTime, Utc};

use crate::domain::{
    ids::{SessionId, UserId},
    words::SessionState,
};

#[cfg(test)]
pub(super) mod conformance;
mod degradable;
mod embedded;
mod redis;

pub use self::redis::RedisSessions;
pub use degradable::DegradableSessions;
pub use embedded::EmbeddedSessions;

/// Whose session, and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionKey {
    /// Its user.
    pub user: UserId,
    /// Its id.
    pub session: SessionId,
}

impl fmt::Display for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "session_id:{}:{}", self.user, self.session)
    }
}

/// What a session that has not ended may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SoftState {
    /// Edits are taken.
    Active,
    /// Edits wait.
    Paused,
}

impl From<SoftState> for SessionState {
    fn from(state: SoftState) -> Self {
        match state {
            SoftState::Active => Self::Active,
            SoftState::Paused => Self::Paused,
        }
    }
}

/// The soft state of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Soft {
    /// Whether it is paused.
    pub state: SoftState,
    /// Raised by every change; not negative.
    pub revision: i32,
}

impl Soft {
    /// A session that is first met, or met again after its loss: ACTIVE, the revision is the time in seconds since 1970
    /// (from 2038 on, without the highest bit).
    #[must_use]
    pub fn begun(now: DateTime<Utc>) -> Self {
        let seconds = now.timestamp() & i64::from(i32::MAX);
        Self { state: SoftState::Active, revision: i32::try_from(seconds).unwrap_or(0) }
    }

    /// After a change to `state`: the revision is one more, after the highest it is 0.
    #[must_use]
    pub fn changed(self, state: SoftState) -> Self {
        Self { state, revision: self.revision.checked_add(1).unwrap_or(0) }
    }
}

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was made; the session is now so.
    Changed(Soft),
    /// It expected another revision than that of the session, which is so.
    Stale(Soft),
}

/// Why the store could not answer.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The store is away. A change may have been made or not: its revision tells.
    #[error("the session store is not available: {0}")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The home of soft states.
#[async_trait::async_trait]
pub trait SessionStore: Send + Sync {
    /// The session as it is now.
    async fn read(&self, key: SessionKey) -> Result<Soft, SessionError>;

    /// A sign of life: the session as it is now, kept for the whole TTL from now.
    async fn touch(&self, key: SessionKey) -> Result<Soft, SessionError>;

    /// Makes the session `to` (which it may be already), if its revision is still the one expected.
    async fn change(&self, key: SessionKey, to: SoftState, expected_revision: i32) -> Result<Change, SessionError>;

    /// Keeps the session no longer: it has ended. That it was not kept is no error.
    async fn forget(&self, key: SessionKey) -> Result<(), SessionError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_begins_at_the_time_and_stays_a_number_of_the_api() {
        for (time, revision) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-09-26T09:00:00.999Z", 1_790_413_200),
            ("2038-01-19T03:14:07Z", i32::MAX),
            ("2038-01-19T03:14:09Z", 1),
        ] {
            let begun = Soft::begun(time.parse().unwrap());
            assert_eq!(begun, Soft { state: SoftState::Active, revision }, "{time}");
        }
        let last = Soft { state: SoftState::Active, revision: i32::MAX };
        assert_eq!(last.changed(SoftState::Paused), Soft { state: SoftState::Paused, revision: 0 });
    }

    #[test]
    fn a_key_names_the_user_and_the_session() {
        let key = SessionKey { user: UserId::generate(), session: SessionId::generate() };
        assert_eq!(key.to_string(), format!("session_id:{}:{}", key.user, key.session));
    }
}
