//! Joining: a screen on a slot that somebody else holds, or in a review that somebody else claimed.
//!
//! A joiner works with an actor of their own under the fence of that lease or review, and keeps it running; only who holds
//! it ends it. Like a second screen a join is no change of the task: it makes neither an event nor a version. Who works in a
//! task is seen by their edits.

use crate::{
    backend::presence::Selection,
    domain::{
        ids::TaskId,
        permission::Action,
        words::{CollaborationMode, SessionRole, SlotState, TaskState},
    },
    repo::{RepoError, Txn, session::Session, slot::Slot},
    service::{
        App, ServiceError, Viewer,
        claim::{self, Screen},
        locked::Locked,
        presence, review,
        validate::{self, must},
    },
};

/// Opens a session beside whoever holds a slot of the task, or in its review beside whoever claimed it. Who holds the slot
/// or the review themselves gets one more screen of their own. `number` says which slot; none: the one that is LEASED, or
/// in a review all that wait for a verdict. A lease that runs may be joined in a PAUSED project, too.
///
/// # Errors
/// [`ServiceError::NotFound`]; [`ServiceError::Forbidden`] below an annotator, in a review below a reviewer;
/// [`ServiceError::ForbiddenAt`] in an EXCLUSIVE project, and for the review of what the viewer worked on;
/// [`ServiceError::Invalid`] for a slot that is not there; [`ServiceError::Transition`] when nobody holds the slot, when it
/// is not under review, or in an archived project; [`ServiceError::LimitExceeded`] for one screen too many.
#[tracing::instrument(skip_all, fields(user.id = %viewer.user.id, task.id = %task))]
pub async fn join(app: &App, viewer: &Viewer, task: TaskId, number: Option<i32>) -> Result<Session, ServiceError> {
    let txn = app.db.begin().await?;
    let locked = Locked::task(&txn, viewer, task, "taskId").await?;
    must(locked.standing, Action::Label)?;
    validate::must_be_open(&locked.project, "taskId")?;
    let missing = || ServiceError::invalid("slot", "the task has no such slot");
    let asked = number.map(|number| locked.index(number).ok_or_else(missing)).transpose()?;
    let asked = asked.map(|index| &locked.slots[index]);
    let screen = match locked.task.state {
        TaskState::InReview => in_review(&txn, viewer, &locked, asked).await?,
        _ => beside_holder(viewer, &locked, asked)?,
    };
    claim::must_have_room(&txn, viewer, &locked.task, &screen).await?;
    let opened = claim::open(&txn, viewer, &locked.task, screen, None).await?.ok_or(RepoError::Duplicate)?;
    txn.commit().await?;
    presence::note(app, &opened, Selection::Kept).await;
    Ok(opened)
}

fn beside_holder(viewer: &Viewer, locked: &Locked, asked: Option<&Slot>) -> Result<Screen, ServiceError> {
    let is_own = |slot: &&Slot| slot.holder == Some(viewer.user.id);
    let own = asked.map_or_else(|| locked.slots.iter().find(is_own), |slot| Some(slot).filter(is_own));
    if let Some(slot) = own {
        return Ok(Screen { slot: Some(slot.number), role: SessionRole::Holder, fence: slot.lease_epoch });
    }
    if locked.project.collaboration == CollaborationMode::Exclusive {
        let message = "the project is EXCLUSIVE: who holds a slot works in it alone";
        return Err(ServiceError::ForbiddenAt { field: "taskId", message });
    }
    let is_leased = |slot: &&Slot| slot.state == SlotState::Leased;
    let leased = asked.map_or_else(|| locked.slots.iter().find(is_leased), |slot| Some(slot).filter(is_leased));
    let Some(slot) = leased else {
        let message = format!("the task is {}; nobody holds it, so claim it", locked.task.state);
        return Err(ServiceError::transition("taskId", message));
    };
    Ok(Screen { slot: Some(slot.number), role: SessionRole::Collaborator, fence: slot.lease_epoch })
}

async fn in_review(txn: &Txn, viewer: &Viewer, locked: &Locked, asked: Option<&Slot>) -> Result<Screen, ServiceError> {
    must(locked.standing, Action::Review)?;
    if locked.task.reviewer != Some(viewer.user.id) {
        review::must_be_of_others(txn, viewer, locked).await?;
    }
    let screen = review::screen(locked);
    match asked {
        None => Ok(screen),
        Some(slot) if slot.state == SlotState::Submitted => Ok(Screen { slot: Some(slot.number), ..screen }),
        Some(slot) => {
            let message = format!("the slot is {}; it waits for no verdict", slot.state);
            Err(ServiceError::transition("slot", message))
        }
    }
}
