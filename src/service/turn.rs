//! How a turn on a slot ends: handed in, skipped, given back, or taken away.
//!
//! The submit, skip or release that ended a holding gives the same answer when it is repeated under its fence: a client
//! that saw no answer may ask again.

use crate::{
    domain::{
        ids::{SessionId, TaskId},
        life_cycle::Event,
        limits,
        permission::Action,
        text,
        words::{AssignmentState, ReviewPolicy, SessionRole, SlotState, SnapshotReason, TaskState},
    },
    repo::{
        RepoError, Txn, assignment,
        conflict::OpenIn,
        session::Session,
        snapshot::{self as snapshot_repo, Snapshot},
        task::Task,
    },
    service::{
        App, ServiceError, Viewer, conflict, labeling_session, lease,
        locked::{Change, Locked},
        snapshot,
        validate::{self, must},
    },
};

/// Hands the slot in. Takes its holder, with every required tool used and no conflict open.
///
/// # Errors
/// [`ServiceError::NotFound`], [`ServiceError::LeaseLost`], [`ServiceError::Incomplete`], [`ServiceError::ConflictOpen`], [`ServiceError::Forbidden`] for
/// who only joined, [`ServiceError::Transition`] in an archived project.
#[tracing::instrument(skip_all, fields(user.id = %viewer.user.id, session.id = %id))]
pub async fn submit(app: &App, viewer: &Viewer, id: SessionId, fence: i32) -> Result<(Task, Snapshot), ServiceError> {
    let (txn, session, locked) = lease::begin(app, viewer, id).await?;
    let done = [AssignmentState::Submitted, AssignmentState::Accepted, AssignmentState::Rejected];
    if let Some(slot) = ended_before(&txn, viewer, &session, fence, &locked, &done).await? {
        let taken = snapshot_repo::find_of_fence(&txn, locked.task.id, slot, fence, SnapshotReason::Submit).await?;
        return Ok((locked.task, taken.ok_or(RepoError::NotFound)?));
    }
    let (index, number) = must_be_held(&session, fence, &locked)?;
    snapshot::must_be_complete(app, &txn, &locked, number).await?;
    // What came late is for the reviewer; where nobody reviews, it is for whoever hands in.
    let has_review = locked.project.review == ReviewPolicy::Required;
    let counts = |open: OpenIn| if has_review { open.others } else { open.others + open.late };
    conflict::must_be_resolved(&txn, &locked, &[number], counts).await?;
    let mut change = Change::of(locked, Some(viewer.user.id));
    change.apply(Event::Submitted(index))?;
    conflict::must_be_resolved(&txn, &change.after, &change.accepted(), |open| open.others + open.late).await?;
    let written = change.write(&txn).await?;
    let by = Some(viewer.user.id);
    let taken = snapshot::take(&txn, &written.locked, number, SnapshotReason::Submit, fence, by).await?;
    let task = written.commit(app, txn).await?;
    labeling_session::forget(app, &session).await;
    Ok((task, taken))
}

/// Closes the slot without work. Takes its holder and a reason.
///
/// # Errors
/// As [`submit`]; [`ServiceError::Invalid`] for a reason that is empty or too long; [`ServiceError::ConflictOpen`] when the
/// rest of the task would be accepted with one.
#[tracing::instrument(skip_all, fields(user.id = %viewer.user.id, session.id = %id))]
pub async fn skip(app: &App, viewer: &Viewer, id: SessionId, fence: i32, reason: &str) -> Result<Task, ServiceError> {
    let reason = check_reason("reason", reason)?;
    let (txn, session, locked) = lease::begin(app, viewer, id).await?;
    if ended_before(&txn, viewer, &session, fence, &locked, &[AssignmentState::Skipped]).await?.is_some() {
        return Ok(locked.task);
    }
    let (index, _) = must_be_held(&session, fence, &locked)?;
    let mut change = Change::of(locked, Some(viewer.user.id));
    change.apply(Event::Skipped(index))?;
    conflict::must_be_resolved(&txn, &change.after, &change.accepted(), |open| open.others + open.late).await?;
    change.after.slots[index].skip_reason = Some(reason);
    let task = change.write(&txn).await?.commit(app, txn).await?;
    labeling_session::forget(app, &session).await;
    Ok(task)
}

/// Gives a slot, or a review, back before it is done.
///
/// # Errors
/// As [`submit`].
#[tracing::instrument(skip_all, fields(user.id = %viewer.user.id, session.id = %id))]
pub async fn release(app: &App, viewer: &Viewer, id: SessionId, fence: i32) -> Result<Task, ServiceError> {
    let (txn, session, locked) = lease::begin(app, viewer, id).await?;
    if session.role == SessionRole::Reviewer {
        return release_review(app, viewer, txn, &session, fence, locked).await;
    }
    if ended_before(&txn, viewer, &session, fence, &locked, &[AssignmentState::Released]).await?.is_some() {
        return Ok(locked.task);
    }
    let (index, _) = must_be_held(&session, fence, &locked)?;
    let mut change = Change::of(locked, Some(viewer.user.id));
    change.free(index, AssignmentState::Released)?;
    let task = change.write(&txn).await?.commit(app, txn).await?;
    labeling_session::forget(app, &session).await;
    Ok(task)
}

async fn release_review(
    app: &App,
    viewer: &Viewer,
    txn: Txn,
    session: &Session,
    fence: i32,
    locked: Locked,
) -> Result<Task, ServiceError> {
    let is_latest = fence == session.fence && locked.task.review_epoch == fence;
    if is_latest && locked.task.state == TaskState::Submitted {
        return Ok(locked.task);
    }
    validate::must_be_open(&locked.project, "sessionId")?;
    lease::must_hold(session, fence, &locked)?;
    if !locked.is_of_holder(session) {
        return Err(ServiceError::Forbidden("only who claimed the review gives it back"));
    }
    let mut change = Change::of(locked, Some(viewer.user.id));
    change.apply(Event::ReviewEnded)?;
    change.write(&txn).await?.commit(app, txn).await
}

/// Takes a slot, or with no slot the review, away from whoever holds it. Takes a manager. What was saved stays.
///
/// # Errors
/// [`ServiceError::NotFound`], [`ServiceError::Forbidden`], [`ServiceError::Invalid`] for a slot that is not there,
/// [`ServiceError::Transition`] when nobody holds it.
#[tracing::instrument(skip_all, fields(user.id = %viewer.user.id, task.id = %id))]
pub async fn revoke(
    app: &App,
    viewer: &Viewer,
    id: TaskId,
    number: Option<i32>,
    reason: Option<&str>,
) -> Result<Task, ServiceError> {
    let reason = reason.map(|reason| check_reason("reason", reason)).transpose()?;
    let txn = app.db.begin().await?;
    let locked = Locked::task(&txn, viewer, id, "taskId").await?;
    must(locked.standing, Action::ManageTasks)?;
    validate::must_be_open(&locked.project, "taskId")?;
    let mut change = Change::of(locked, Some(viewer.user.id)).because(reason);
    match number {
        Some(number) => {
            let missing = || ServiceError::invalid("slot", "the task has no such slot");
            let index = change.after.index(number).ok_or_else(missing)?;
            if change.after.slots[index].state != SlotState::Leased {
                let message = format!("the slot is {}; nobody holds it", change.after.slots[index].state);
                return Err(ServiceError::transition("slot", message));
            }
            change.free(index, AssignmentState::Revoked)?;
            change.after.slots[index].lease_epoch += 1;
        }
        None => {
            if change.after.task.state != TaskState::InReview {
                let message = format!("the task is {}; name the slot whose lease is to end", change.after.task.state);
                return Err(ServiceError::transition("taskId", message));
            }
            change.apply(Event::ReviewEnded)?;
            change.after.task.review_epoch += 1;
        }
    }
    change.write(&txn).await?.commit(app, txn).await
}

/// The slot of a session that only its holder ends, whose fence holds: its index and number.
fn must_be_held(session: &Session, fence: i32, locked: &Locked) -> Result<(usize, i32), ServiceError> {
    validate::must_be_open(&locked.project, "sessionId")?;
    if session.role != SessionRole::Holder {
        return Err(ServiceError::Forbidden("only the holder of the slot ends its turn"));
    }
    lease::must_hold(session, fence, locked)?;
    let number = session.slot.ok_or_else(|| ServiceError::lease_lost(lease::LOST))?;
    let index = locked.index(number).ok_or_else(|| ServiceError::lease_lost(lease::LOST))?;
    Ok((index, number))
}

/// The slot whose turn this very request ended before, if it ended it as one of `states`.
async fn ended_before(
    txn: &Txn,
    viewer: &Viewer,
    session: &Session,
    fence: i32,
    locked: &Locked,
    states: &[AssignmentState],
) -> Result<Option<i32>, ServiceError> {
    let Some(number) = session.slot.filter(|_| fence == session.fence && session.role == SessionRole::Holder) else {
        return Ok(None);
    };
    if locked.holds(session) {
        return Ok(None);
    }
    let turn = assignment::find(txn, session.task, number, fence).await?;
    let is_same = |turn: &assignment::Assignment| turn.annotator == viewer.user.id && states.contains(&turn.state);
    Ok(turn.filter(is_same).map(|turn| turn.slot))
}

/// A reason that people read: not empty, no control characters but line breaks.
pub(crate) fn check_reason(field: &str, reason: &str) -> Result<String, ServiceError> {
    text::prose(reason, limits::REASON_CHARS).map_err(|error| ServiceError::invalid(field, error))
}
