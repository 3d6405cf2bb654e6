//! Keeping a lease, or a review, by working under it.

use chrono::TimeDelta;

use crate::{
    domain::words::SessionRole,
    repo::{Txn, session::Session, slot, task as task_repo},
    service::{ServiceError, Viewer, locked::Locked},
};

/// The session's fence holds, and what it holds runs on: its expiry is moved when that moves it by more than a tenth of
/// the lease, so that saves in quick succession do not each write it.
///
/// # Errors
/// [`ServiceError::LeaseLost`] when the fence does not hold.
pub(crate) async fn keep(
    txn: &Txn,
    _viewer: &Viewer,
    session: &Session,
    fence: i32,
    mut locked: Locked,
) -> Result<Locked, ServiceError> {
    if fence != session.fence {
        return Err(ServiceError::lease_lost("the fence is not the session's"));
    }
    if !locked.holds(session) {
        let message = "the lease has ended; what was saved is kept, claim the task again to go on";
        return Err(ServiceError::lease_lost(message));
    }
    let end = locked.lease_end();
    let tenth = TimeDelta::seconds(i64::from(locked.project.lease_seconds)) / 10;
    match session.role {
        SessionRole::Holder | SessionRole::Collaborator => {
            let held = session.slot.and_then(|number| locked.index(number)).map(|index| &mut locked.slots[index]);
            if let Some(held) = held.filter(|held| held.lease_expires_at.is_none_or(|at| end - at > tenth)) {
                held.lease_expires_at = Some(end);
                slot::write(txn, held).await?;
            }
        }
        SessionRole::Reviewer => {
            if locked.task.review_expires_at.is_none_or(|at| end - at > tenth) {
                locked.task.review_expires_at = Some(end);
                task_repo::write(txn, &locked.task).await?;
            }
        }
    }
    Ok(locked)
}
