//! Open screens: ACTIVE or PAUSED, which is soft and lives in the session store, and COMPLETED, which follows from the
//! fence.

use chrono::{DateTime, Utc};

use crate::{
    backend::session::{Change, SessionKey, Soft, SoftState},
    domain::{ids::SessionId, limits, words::SessionState},
    repo::{session as repo, session::Session},
    service::{App, ServiceError, Viewer, lease, presence},
};

/// Pauses a session or goes on, by compare-and-swap: of many at once with the same expected revision one succeeds. While it
/// is PAUSED edits are refused and the lease runs for [`limits::PAUSE_SECONDS`] without a sign of life; the pause of somebody
/// who joined leaves the lease as it is.
///
/// # Errors
/// As of [`lease::heartbeat`]; [`ServiceError::Stale`] when the revision is another by now; [`ServiceError::Invalid`] for
/// COMPLETED, which follows from submitting.
#[tracing::instrument(skip_all, fields(user.id = %viewer.user.id, session.id = %id))]
pub async fn set_state(
    app: &App,
    viewer: &Viewer,
    id: SessionId,
    fence: i32,
    to: SessionState,
    expected_revision: i32,
) -> Result<Session, ServiceError> {
    let to = match to {
        SessionState::Active => SoftState::Active,
        SessionState::Paused => SoftState::Paused,
        SessionState::Completed => {
            let message = "must be ACTIVE or PAUSED; submit, skip or release to end a session";
            return Err(ServiceError::invalid("state", message));
        }
    };
    let (txn, session, locked) = lease::hold(app, viewer, id, fence).await?;
    let seconds = match to {
        SoftState::Active => Some(i64::from(locked.project.lease_seconds)),
        // The lease of somebody else's work is not cut short by who only looks up from it.
        SoftState::Paused => locked.is_of_holder(&session).then_some(limits::PAUSE_SECONDS),
    };
    if let Some(seconds) = seconds {
        lease::extend(&txn, &session, seconds).await?;
    }
    // Before the commit: when the swap fails nothing has happened, and when the commit fails the state was only soft.
    if let Change::Stale(now) = app.sessions.change(key(&session), to, expected_revision).await? {
        let message = format!("the session is {} in revision {} by now", SessionState::from(now.state), now.revision);
        return Err(ServiceError::Stale { field: "expectedRevision".into(), message });
    }
    txn.commit().await?;
    Ok(session)
}

/// ACTIVE or PAUSED, with its revision.
///
/// # Errors
/// [`ServiceError::Unavailable`] when the store is away.
pub async fn soft(app: &App, session: &Session) -> Result<Soft, ServiceError> {
    Ok(app.sessions.read(key(session)).await?)
}

/// Edits wait while a session is PAUSED.
///
/// # Errors
/// [`ServiceError::Transition`] then.
pub(crate) async fn must_be_active(app: &App, session: &Session) -> Result<(), ServiceError> {
    if soft(app, session).await?.state == SoftState::Paused {
        return Err(ServiceError::transition("sessionId", "the session is PAUSED; make it ACTIVE first"));
    }
    Ok(())
}

/// A sign of life of the screen itself: in the store each time, in its row at most once a minute. Gives whether it is
/// paused.
pub(crate) async fn touch(app: &App, session: &Session, now: DateTime<Utc>) -> Result<SoftState, ServiceError> {
    let soft = app.sessions.touch(key(session)).await?;
    repo::touch(&app.db, session, now).await?;
    Ok(soft.state)
}

/// The screen's turn has ended. What is left in the store when that fails runs out by itself.
pub(crate) async fn forget(app: &App, session: &Session) {
    if let Err(error) = app.sessions.forget(key(session)).await {
        tracing::warn!(%error, "a labeling session that ended is still kept");
    }
    presence::forget(app, session).await;
}

fn key(session: &Session) -> SessionKey {
    SessionKey { user: session.user, session: session.id }
}
