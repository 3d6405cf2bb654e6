//! Holding a slot or a review: signs of life, and what becomes of a lease that ran out.
//!
//! A lease that ran out and was taken by nobody is revived by its holder's next heartbeat, save or change of its session's state, if the slot could be
//! claimed by them now. A revival is a transaction of its own, in front of the one that wanted it: it has to hold the
//! person's claims before the task, as every claim does.

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    backend::{presence::Selection, session::SoftState},
    domain::{
        ids::SessionId,
        life_cycle::Event,
        permission::Action,
        words::{AssignmentState, ProjectState, SessionRole, SlotState},
    },
    repo::{Conn, Txn, assignment, queue, session as repo, session::Session, slot::Slot},
    service::{
        App, ServiceError, Viewer, labeling_session,
        locked::{Change, Locked},
        presence,
        validate::{self, must},
    },
};

/// The session's fence does not hold.
pub(crate) const LOST: &str = "the lease has ended; what was saved is kept, claim the task again to go on";

/// The fence that was sent is not the one the session was opened with.
pub(crate) const NOT_ITS_FENCE: &str = "the fence is not the session's";

/// Begins the transaction of somebody's work under a fence, reviving the lease when that is possible. The task is locked,
/// the fence holds.
///
/// # Errors
/// As [`reach`]; [`ServiceError::LeaseLost`] when the fence does not hold.
pub(crate) async fn hold(
    app: &App,
    viewer: &Viewer,
    id: SessionId,
    fence: i32,
) -> Result<(Txn, Session, Locked), ServiceError> {
    let (txn, session, locked) = reach(app, viewer, id, fence).await?;
    if !locked.holds(&session) {
        return Err(ServiceError::lease_lost(LOST));
    }
    Ok((txn, session, locked))
}

/// As [`hold`], also where the fence does not hold and the lease cannot be revived: what comes then is late.
///
/// # Errors
/// [`ServiceError::NotFound`] when the session is not the viewer's, [`ServiceError::LeaseLost`] when the fence is not the
/// session's, [`ServiceError::Forbidden`] when the viewer may not label any more, [`ServiceError::Transition`] in an
/// archived project.
pub(crate) async fn reach(
    app: &App,
    viewer: &Viewer,
    id: SessionId,
    fence: i32,
) -> Result<(Txn, Session, Locked), ServiceError> {
    let (txn, session, locked) = begin(app, viewer, id).await?;
    if fence != session.fence {
        return Err(ServiceError::lease_lost(NOT_ITS_FENCE));
    }
    validate::must_be_open(&locked.project, "sessionId")?;
    let waits = |slot: &Slot| slot.state == SlotState::Free && slot.lease_epoch == session.fence;
    let slot = session.slot.and_then(|number| locked.slots.iter().find(|slot| slot.number == number));
    let may_revive = session.role == SessionRole::Holder && slot.is_some_and(waits);
    if locked.holds(&session) || !may_revive {
        return Ok((txn, session, locked));
    }
    drop(txn);
    match revive(app, viewer, &session).await {
        Ok(()) | Err(ServiceError::LeaseLost { .. }) => begin(app, viewer, id).await,
        Err(error) => Err(error),
    }
}

/// Locks the task of a session whose viewer may still do what the session is for.
pub(crate) async fn begin(app: &App, viewer: &Viewer, id: SessionId) -> Result<(Txn, Session, Locked), ServiceError> {
    let txn = app.db.begin().await?;
    let (session, locked) = Locked::session(&txn, viewer, id).await?;
    must(locked.standing, action_of(session.role))?;
    Ok((txn, session, locked))
}

fn action_of(role: SessionRole) -> Action {
    match role {
        SessionRole::Holder | SessionRole::Collaborator => Action::Label,
        SessionRole::Reviewer => Action::Review,
    }
}

/// Leases a slot again under the fence it had, when its last lease ran out, nobody took it, and its holder could claim it
/// now.
///
/// # Errors
/// [`ServiceError::LeaseLost`] when one of that is not so.
async fn revive(app: &App, viewer: &Viewer, session: &Session) -> Result<(), ServiceError> {
    let lost = || ServiceError::lease_lost(LOST);
    if session.role != SessionRole::Holder {
        return Err(lost());
    }
    let txn = app.db.begin().await?;
    let desk = queue::desk(&txn, viewer.scope(), session.project, None).await?.ok_or_else(lost)?;
    let (_, locked) = Locked::session(&txn, viewer, session.id).await?;
    if locked.holds(session) {
        return Ok(());
    }
    let index = session.slot.and_then(|number| locked.index(number)).ok_or_else(lost)?;
    let slot = &locked.slots[index];
    let is_free = slot.state == SlotState::Free && slot.claimable && slot.lease_epoch == session.fence;
    let waits_for_another = slot.reserved_for.is_some_and(|user| user != viewer.user.id);
    let has_another = locked.slots.iter().any(|slot| {
        let is_done = matches!(slot.state, SlotState::Submitted | SlotState::Accepted);
        slot.holder == Some(viewer.user.id) || (is_done && slot.submitted_by == Some(viewer.user.id))
    });
    let has_room = desk.leases < i64::from(desk.project.max_leases) && desk.project.state == ProjectState::Active;
    if !is_free || waits_for_another || has_another || !has_room {
        return Err(lost());
    }
    let turn = assignment::find(&txn, session.task, slot.number, session.fence).await?.ok_or_else(lost)?;
    let has_skipped = assignment::has_skipped(&txn, session.task, viewer.user.id, slot.round).await?;
    if turn.state != AssignmentState::Expired || turn.annotator != viewer.user.id || has_skipped {
        return Err(lost());
    }
    let mut change = Change::of(locked, Some(viewer.user.id));
    change.apply(Event::Leased(index))?;
    change.after.slots[index].holder = Some(viewer.user.id);
    let written = change.write(&txn).await?;
    assignment::revive(&txn, turn.id).await?;
    written.changes.append(&txn).await?;
    txn.commit().await?;
    app.presence.turned(session.task);
    app.metrics.leases_revived.inc();
    Ok(())
}

/// The session's fence is the one that was sent, and holds.
///
/// # Errors
/// [`ServiceError::LeaseLost`] when not.
pub(crate) fn must_hold(session: &Session, fence: i32, locked: &Locked) -> Result<(), ServiceError> {
    if fence != session.fence {
        return Err(ServiceError::lease_lost(NOT_ITS_FENCE));
    }
    if locked.holds(session) { Ok(()) } else { Err(ServiceError::lease_lost(LOST)) }
}

/// Moves the end of a held lease or review, inside the transaction that holds the task. A save renews too, but not the
/// row for every one: only once a tenth of the lease has passed.
///
/// # Errors
/// [`ServiceError`] of the database.
pub(crate) async fn renew(txn: &Txn, session: &Session, locked: &mut Locked) -> Result<(), ServiceError> {
    let (end, seconds) = (locked.lease_end(), i64::from(locked.project.lease_seconds));
    let index = session.slot.and_then(|number| locked.index(number));
    let ends_at = match (session.role, index) {
        (SessionRole::Reviewer, _) => &mut locked.task.review_expires_at,
        (SessionRole::Holder | SessionRole::Collaborator, Some(index)) => &mut locked.slots[index].lease_expires_at,
        (SessionRole::Holder | SessionRole::Collaborator, None) => return Ok(()),
    };
    if ends_at.is_some_and(|at| end - at <= TimeDelta::milliseconds(seconds * 100)) {
        return Ok(());
    }
    *ends_at = extend(txn, session, seconds).await?;
    Ok(())
}

/// The end of the session's lease or review, `seconds` from now; none when its fence does not hold.
pub(crate) async fn extend(
    conn: &impl Conn,
    session: &Session,
    seconds: i64,
) -> Result<Option<DateTime<Utc>>, ServiceError> {
    let ends_at = match session.slot.filter(|_| session.role != SessionRole::Reviewer) {
        Some(slot) => queue::renew_lease(conn, (session.task, slot), session.fence, seconds).await?,
        None => queue::renew_review(conn, session.task, session.fence, seconds).await?,
    };
    Ok(ends_at)
}

/// A sign of life: the lease, or the review, runs its whole time again from now; while the session is PAUSED it runs on as
/// it is, and its user is present in the task with what they have selected. No event and no version of the task.
///
/// # Errors
/// [`ServiceError::NotFound`] when the session is not the viewer's, [`ServiceError::LeaseLost`], [`ServiceError::Forbidden`],
/// [`ServiceError::Transition`] in an archived project.
#[tracing::instrument(skip_all, fields(user.id = %viewer.user.id, session.id = %id))]
pub async fn heartbeat(
    app: &App,
    viewer: &Viewer,
    id: SessionId,
    fence: i32,
    selection: Selection,
) -> Result<DateTime<Utc>, ServiceError> {
    let (session, ends_at) = keep(app, viewer, id, fence).await?;
    presence::note(app, &session, selection).await;
    Ok(ends_at)
}

/// The session, and when its lease or review runs out from now on.
async fn keep(app: &App, viewer: &Viewer, id: SessionId, fence: i32) -> Result<(Session, DateTime<Utc>), ServiceError> {
    let missing = || ServiceError::not_found("session of yours", "sessionId");
    let at_work = repo::find_at_work(&app.db, viewer.scope(), id).await?.ok_or_else(missing)?;
    let session = at_work.session;
    must(at_work.standing, action_of(session.role))?;
    if at_work.project_state == ProjectState::Archived {
        return Err(ServiceError::transition("sessionId", validate::ARCHIVED));
    }
    if fence != session.fence {
        return Err(ServiceError::lease_lost(NOT_ITS_FENCE));
    }
    let soft = labeling_session::touch(app, &session, at_work.now).await?;
    if soft == SoftState::Paused
        && let Some(ends_at) = at_work.ends_at
    {
        return Ok((session, ends_at));
    }
    if let Some(ends_at) = extend(&app.db, &session, i64::from(at_work.lease_seconds)).await? {
        return Ok((session, ends_at));
    }
    let (txn, session, locked) = hold(app, viewer, id, fence).await?;
    let ends_at = extend(&txn, &session, i64::from(locked.project.lease_seconds)).await?;
    txn.commit().await?;
    Ok((session, ends_at.ok_or_else(|| ServiceError::lease_lost(LOST))?))
}
