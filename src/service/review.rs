//! Reviewing: claiming a task that was handed in, judging its slots one by one or all at once, opening finished tasks
//! again. Nobody judges their own work.

use std::time::Instant;

use serde_json::json;

use crate::{
    domain::{
        ids::{ReviewId, SessionId, TaskId},
        life_cycle::Event,
        permission::Action,
        words::{
            EventType, NoTaskReason, ProjectState, ReviewVerdict, SessionRole, SlotState, SnapshotReason, TaskState,
        },
    },
    repo::{Txn, queue, review as repo, review::Review, session::Session, task::Task},
    service::{
        App, ServiceError, Viewer,
        claim::{self, Attempt, Attempts, Claim, Claimed, Screen},
        conflict, lease,
        locked::{Change, Locked, between},
        snapshot,
        turn::check_reason,
        validate::{self, must},
    },
};

/// Begins a review: of the task that waits with the highest priority, or of one task. Of a task the viewer reviews already
/// it opens another session under the same fence.
///
/// # Errors
/// [`ServiceError::NotFound`], [`ServiceError::Forbidden`], also for the viewer's own work; [`ServiceError::Transition`] in
/// an archived project; [`ServiceError::Invalid`] as of [`claim::claim`].
#[tracing::instrument(skip_all, fields(user.id = %viewer.user.id, project.id = %claim.project))]
pub async fn claim(app: &App, viewer: &Viewer, claim: Claim) -> Result<Claimed, ServiceError> {
    claim::check_request_id(claim.request_id.as_deref())?;
    let started = Instant::now();
    let mut attempts = Attempts::new(claim.request_id.as_deref());
    let claimed = loop {
        let attempt = try_claim(app, viewer, &claim).await?;
        if let Some(claimed) = attempts.answer(app, viewer, attempt).await? {
            break claimed;
        }
    };
    app.metrics.claimed("review", claim::outcome(&claimed), started.elapsed());
    claim::opened(app, &claimed).await;
    Ok(claimed)
}

async fn try_claim(app: &App, viewer: &Viewer, claim: &Claim) -> Result<Attempt, ServiceError> {
    let txn = app.db.begin().await?;
    let request_id = claim.request_id.as_deref();
    let desk = claim::sit_down(&txn, viewer, claim.project, request_id, Action::Review).await?;
    if let Some(repeated) = desk.repeated {
        return Ok(Attempt::Done(Ok(claim::repeat(&txn, viewer, claim, repeated, SessionRole::Reviewer).await?)));
    }
    let named = match claim.task {
        Some(task) => Some(Locked::task(&txn, viewer, task, "taskId").await?),
        None => None,
    };
    if let Some(locked) = &named {
        if locked.project.id != claim.project {
            return Err(ServiceError::not_found("task", "taskId"));
        }
        if locked.task.reviewer == Some(viewer.user.id) {
            return claim::open_another(txn, viewer, &locked.task, screen(locked), request_id).await;
        }
        must_be_of_others(&txn, viewer, locked).await?;
    }
    if desk.project.state != ProjectState::Active {
        return Ok(Attempt::Done(Err(NoTaskReason::ProjectPaused)));
    }
    if desk.reviews >= i64::from(desk.project.max_leases) {
        return Ok(Attempt::Done(Err(NoTaskReason::LeaseLimit)));
    }
    let locked = match named {
        Some(locked) if locked.task.state == TaskState::Submitted => Some(locked),
        Some(_) => return Ok(Attempt::Done(Err(NoTaskReason::NotAvailable))),
        None => match queue::reviewable(&txn, claim.project, viewer.user.id).await? {
            Some(task) => Locked::around(&txn, viewer, task).await?,
            None => None,
        },
    };
    let Some(locked) = locked else {
        let is_empty = queue::has_no_review(&txn, claim.project).await?;
        let reason = if is_empty { NoTaskReason::QueueEmpty } else { NoTaskReason::AllDoneByYou };
        let held = queue::review_held_by_others(&txn, claim.project, viewer.user.id).await?;
        return Ok(held.map_or(Attempt::Done(Err(reason)), |task| Attempt::Held(task, reason)));
    };
    let mut change = Change::of(locked, Some(viewer.user.id));
    change.apply(Event::ReviewClaimed)?;
    let ends_at = change.after.lease_end();
    let task = &mut change.after.task;
    task.review_epoch += 1;
    (task.reviewer, task.review_expires_at) = (Some(viewer.user.id), Some(ends_at));
    let written = change.write(&txn).await?;
    let screen = screen(&written.locked);
    let Some(opened) = claim::open(&txn, viewer, &written.locked.task, screen, request_id).await? else {
        return Ok(Attempt::Known);
    };
    written.commit(app, txn).await?;
    Ok(Attempt::Done(Ok(opened)))
}

/// Nobody reviews what they worked on in its round, as its holder or beside one.
///
/// # Errors
/// [`ServiceError::ForbiddenAt`] then.
pub(crate) async fn must_be_of_others(txn: &Txn, viewer: &Viewer, locked: &Locked) -> Result<(), ServiceError> {
    if queue::has_worked(txn, locked.task.id, viewer.user.id).await? {
        let message = "you worked on it in this round; somebody else reviews it";
        return Err(ServiceError::ForbiddenAt { field: "taskId", message });
    }
    Ok(())
}

/// A review is of one slot when only one waits for a verdict.
pub(crate) fn screen(locked: &Locked) -> Screen {
    let mut waiting = locked.slots.iter().filter(|slot| slot.state == SlotState::Submitted).map(|slot| slot.number);
    let slot = waiting.next().filter(|_| waiting.next().is_none());
    Screen { slot, role: SessionRole::Reviewer, fence: locked.task.review_epoch }
}

/// A reviewer's judgement, as it was sent.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// The reviewer's session.
    pub session: SessionId,
    /// The fence of the review.
    pub fence: i32,
    /// Of which slot; of all that wait for one when there is none.
    pub slot: Option<i32>,
    /// Right or wrong.
    pub verdict: ReviewVerdict,
    /// What the annotator should know.
    pub comment: Option<String>,
}

/// Judges a slot, or all that wait for a verdict. With the last verdict the task is accepted, or goes back to those whose
/// work was rejected. The same judgement repeated under its fence gives the same answer.
///
/// # Errors
/// [`ServiceError::NotFound`], [`ServiceError::Forbidden`] also for who only joined, [`ServiceError::LeaseLost`],
/// [`ServiceError::Invalid`], [`ServiceError::Transition`] when the slot waits for no verdict, or in an archived project.
#[tracing::instrument(skip_all, fields(user.id = %viewer.user.id, session.id = %judgement.session))]
pub async fn judge(app: &App, viewer: &Viewer, judgement: Judgement) -> Result<(Task, Vec<Review>), ServiceError> {
    let comment = judgement.comment.as_deref().map(|comment| check_reason("comment", comment)).transpose()?;
    let (txn, session, locked) = lease::begin(app, viewer, judgement.session).await?;
    if session.role != SessionRole::Reviewer {
        return Err(ServiceError::invalid("sessionId", "must be the session of a review; see claimReview"));
    }
    if let Some(given) = given_before(&txn, viewer, &session, &judgement, &locked).await? {
        return Ok((locked.task, given));
    }
    validate::must_be_open(&locked.project, "sessionId")?;
    lease::must_hold(&session, judgement.fence, &locked)?;
    if !locked.is_of_holder(&session) {
        return Err(ServiceError::Forbidden("only who claimed the review judges"));
    }
    let judged = waiting(&locked, judgement.slot)?;
    if judgement.verdict == ReviewVerdict::Accept {
        let slots: Vec<i32> = judged.iter().map(|index| locked.slots[*index].number).collect();
        conflict::must_be_resolved(&txn, &locked, &slots, |open| open.late + open.others).await?;
    }
    let before = locked.slots.clone();
    let mut change = Change::of(locked, Some(viewer.user.id));
    for index in &judged {
        change.apply(Event::Judged(*index, judgement.verdict))?;
    }
    if change.after.task.state == TaskState::InReview {
        change.after.task.review_expires_at = Some(change.after.lease_end());
    }
    let mut written = change.write(&txn).await?;
    let now = written.locked.now;
    let review = |index: &usize| Review {
        id: ReviewId::generate(),
        task: session.task,
        slot: before[*index].number,
        verdict: judgement.verdict,
        comment: comment.clone(),
        reviewer: viewer.user.id,
        round: before[*index].round,
        fence: session.fence,
        at: now,
    };
    let reviews: Vec<Review> = judged.iter().map(review).collect();
    repo::insert_all(&txn, &written.locked.task, &reviews).await?;
    for review in &reviews {
        let by = Some(viewer.user.id);
        let (locked, reason) = (&written.locked, SnapshotReason::Verdict);
        snapshot::take(&txn, locked, review.slot, reason, session.fence, by).await?;
        let payload = json!({ "review": review.id.to_string(), "slot": review.slot });
        written.changes.task(EventType::ReviewRecorded, &written.locked.task, payload);
    }
    let task = written.commit(app, txn).await?;
    for submitted_at in judged.iter().filter_map(|index| before[*index].submitted_at) {
        app.metrics.phase("reviewed", between(submitted_at, now));
    }
    Ok((task, reviews))
}

/// The slots a judgement is about, by index.
fn waiting(locked: &Locked, number: Option<i32>) -> Result<Vec<usize>, ServiceError> {
    let Some(number) = number else {
        let waits = |index: &usize| locked.slots[*index].state == SlotState::Submitted;
        return Ok((0..locked.slots.len()).filter(waits).collect());
    };
    let missing = || ServiceError::invalid("slot", "the task has no such slot");
    let index = locked.index(number).ok_or_else(missing)?;
    let state = locked.slots[index].state;
    if state == SlotState::Submitted {
        return Ok(vec![index]);
    }
    Err(ServiceError::transition("slot", format!("the slot is {state}; it waits for no verdict")))
}

/// What this very judgement gave before: the same verdict of the slot, or of all slots when it names none.
async fn given_before(
    txn: &Txn,
    viewer: &Viewer,
    session: &Session,
    judgement: &Judgement,
    locked: &Locked,
) -> Result<Option<Vec<Review>>, ServiceError> {
    if judgement.fence != session.fence || (judgement.slot.is_none() && locked.holds(session)) {
        return Ok(None);
    }
    let mut given = repo::given(txn, session.task, session.fence, viewer.user.id).await?;
    given.retain(|review| {
        review.verdict == judgement.verdict && judgement.slot.is_none_or(|number| review.slot == number)
    });
    Ok(Some(given).filter(|given| !given.is_empty()))
}

/// Opens a finished, skipped or quarantined task again; takes a manager. Accepted work goes back to its annotators in a new
/// round.
///
/// # Errors
/// [`ServiceError::NotFound`], [`ServiceError::Forbidden`], [`ServiceError::Transition`] when the task is not finished.
#[tracing::instrument(skip_all, fields(user.id = %viewer.user.id, task.id = %id))]
pub async fn reopen(app: &App, viewer: &Viewer, id: TaskId, reason: Option<&str>) -> Result<Task, ServiceError> {
    let reason = reason.map(|reason| check_reason("reason", reason)).transpose()?;
    let txn = app.db.begin().await?;
    let locked = Locked::task(&txn, viewer, id, "taskId").await?;
    must(locked.standing, Action::ManageTasks)?;
    validate::must_be_open(&locked.project, "taskId")?;
    let before = locked.slots.clone();
    let mut change = Change::of(locked, Some(viewer.user.id)).because(reason);
    change.apply(Event::Reopened)?;
    let written = change.write(&txn).await?;
    for (slot, _) in before.iter().zip(&written.locked.slots).filter(|(before, after)| before.state != after.state) {
        let by = Some(viewer.user.id);
        let (locked, reason) = (&written.locked, SnapshotReason::Reopen);
        snapshot::take(&txn, locked, slot.number, reason, slot.lease_epoch, by).await?;
    }
    written.commit(app, txn).await
}
