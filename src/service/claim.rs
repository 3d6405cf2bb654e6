//! Claiming: the next slot for somebody, or a slot of one task; taking one's own submission back.

use std::time::Instant;

use chrono::TimeDelta;

use crate::{
    backend::presence::Selection,
    domain::{
        ids::{ProjectId, SessionId, TaskId},
        life_cycle::{self, Event, Life},
        limits,
        permission::Action,
        words::{EventType, NoTaskReason, ProjectState, SessionRole, SlotState, TaskState},
    },
    live::Changes,
    repo::{
        News, RepoError, Txn, assignment,
        assignment::NewAssignment,
        queue::{self, Claimer, Desk, Leased, Place},
        session::{self, NewSession, Session},
        slot::Slot,
        task as task_repo,
        task::{Task, TaskChanges},
    },
    service::{
        App, ServiceError, Viewer,
        locked::{self, Change, Locked, Written},
        presence,
        project::no_project,
        secret, suggested,
        validate::{self, must},
        vector_epoch,
    },
};

/// Asks for work.
#[derive(Clone, Debug)]
pub struct Claim {
    /// In which project.
    pub project: ProjectId,
    /// One task by name; the queue's next one when there is none.
    pub task: Option<TaskId>,
    /// Makes the claim repeatable: the same request gets the same session for a day.
    pub request_id: Option<String>,
}

/// A session, or why there is none.
pub type Claimed = Result<Session, NoTaskReason>;

/// Leases a slot to the viewer: what waits for them first, then the queue's next one; or a slot of one task. For a task the
/// viewer holds already another session under the same fence.
///
/// # Errors
/// [`ServiceError::NotFound`], [`ServiceError::Forbidden`], [`ServiceError::Transition`] in an archived project,
/// [`ServiceError::Invalid`] for a request id that is malformed or made another claim.
#[tracing::instrument(skip_all, fields(user.id = %viewer.user.id, project.id = %claim.project))]
pub async fn claim(app: &App, viewer: &Viewer, claim: Claim) -> Result<Claimed, ServiceError> {
    check_request_id(claim.request_id.as_deref())?;
    let started = Instant::now();
    let mut attempts = Attempts::new(claim.request_id.as_deref());
    let claimed = loop {
        let attempt = try_claim(app, viewer, &claim).await?;
        if let Some(claimed) = attempts.answer(app, viewer, attempt).await? {
            break claimed;
        }
    };
    app.metrics.claimed("task", outcome(&claimed), started.elapsed());
    opened(app, &claimed).await;
    Ok(claimed)
}

/// One attempt of a claim.
pub(crate) enum Attempt {
    /// Answered.
    Done(Claimed),
    /// The request id is in use by a claim that is not seen from here: in another project, or a day ago.
    Known,
    /// Nothing was to be had but this task, which another transaction held.
    Held(TaskId, NoTaskReason),
}

/// The attempts of one claim, until there is an answer: a task that others hold is waited for, and nobody is told that
/// there is nothing while somebody else only saves.
pub(crate) struct Attempts<'a> {
    request_id: Option<&'a str>,
    left: u32,
}

impl<'a> Attempts<'a> {
    pub(crate) fn new(request_id: Option<&'a str>) -> Self {
        Self { request_id, left: limits::CLAIM_ATTEMPTS }
    }

    /// The answer after an attempt; none: it is worth another one.
    pub(crate) async fn answer(
        &mut self,
        app: &App,
        viewer: &Viewer,
        attempt: Attempt,
    ) -> Result<Option<Claimed>, ServiceError> {
        self.left = self.left.saturating_sub(1);
        match (attempt, self.request_id) {
            (Attempt::Done(claimed), _) => Ok(Some(claimed)),
            (Attempt::Held(_, reason), _) if self.left == 0 => Ok(Some(Err(reason))),
            (Attempt::Held(task, _), _) => {
                // In a transaction of its own: waiting while holding another task could be waited for in turn.
                task_repo::lock(&app.db.begin().await?, viewer.scope(), task).await?;
                Ok(None)
            }
            (Attempt::Known, Some(request_id)) if self.left > 0 => {
                session::forget_request(&app.db, viewer.user.id, request_id).await?;
                Ok(None)
            }
            (Attempt::Known, _) => Err(made_another_claim()),
        }
    }
}

async fn try_claim(app: &App, viewer: &Viewer, claim: &Claim) -> Result<Attempt, ServiceError> {
    let txn = app.db.begin().await?;
    let desk = sit_down(&txn, viewer, claim.project, claim.request_id.as_deref(), Action::Label).await?;
    if let Some(repeated) = desk.repeated {
        return Ok(Attempt::Done(Ok(repeat(&txn, viewer, claim, repeated, SessionRole::Holder).await?)));
    }
    if let Some(task) = claim.task {
        let locked = Locked::task(&txn, viewer, task, "taskId").await?;
        if locked.project.id != claim.project {
            return Err(ServiceError::not_found("task", "taskId"));
        }
        if let Some(slot) = locked.slots.iter().find(|slot| slot.holder == Some(viewer.user.id)) {
            let screen = Screen { slot: Some(slot.number), role: SessionRole::Holder, fence: slot.lease_epoch };
            return open_another(txn, viewer, &locked.task, screen, claim.request_id.as_deref()).await;
        }
    }
    if desk.project.state != ProjectState::Active {
        return Ok(Attempt::Done(Err(NoTaskReason::ProjectPaused)));
    }
    if desk.leases >= i64::from(desk.project.max_leases) {
        return Ok(Attempt::Done(Err(NoTaskReason::LeaseLimit)));
    }
    let Some(leased) = find(app, &txn, viewer, claim, &desk).await? else {
        return nothing(&txn, viewer, claim, &desk).await;
    };
    let Some(opened) = begin_turn(&txn, viewer, claim, &desk, &leased).await? else { return Ok(Attempt::Known) };
    txn.commit().await?;
    // Its place in the queue says since when it waits only until its first lease; what comes back keeps its place.
    if leased.slot.lease_epoch == 1
        && let (Some(ends_at), Some(since)) = (leased.slot.lease_expires_at, leased.slot.waits_since())
    {
        let now = ends_at - TimeDelta::seconds(i64::from(desk.project.lease_seconds));
        app.metrics.phase("queued", locked::between(since, now));
    }
    Ok(Attempt::Done(Ok(opened)))
}

/// Why a claim found nothing.
async fn nothing(txn: &Txn, viewer: &Viewer, claim: &Claim, desk: &Desk) -> Result<Attempt, ServiceError> {
    if claim.task.is_some() {
        return Ok(Attempt::Done(Err(NoTaskReason::NotAvailable)));
    }
    let is_empty = queue::is_empty(txn, claim.project).await?;
    let reason = if is_empty { NoTaskReason::QueueEmpty } else { NoTaskReason::AllDoneByYou };
    let held = queue::held_by_others(txn, claimer(viewer, desk)).await?;
    Ok(held.map_or(Attempt::Done(Err(reason)), |task| Attempt::Held(task, reason)))
}

fn claimer(viewer: &Viewer, desk: &Desk) -> Claimer {
    Claimer {
        project: desk.project.id,
        overlaps: desk.project.overlap > 1,
        user: viewer.user.id,
        lease_seconds: desk.project.lease_seconds,
    }
}

/// One more screen on what the viewer holds already.
pub(crate) async fn open_another(
    txn: Txn,
    viewer: &Viewer,
    task: &Task,
    screen: Screen,
    request_id: Option<&str>,
) -> Result<Attempt, ServiceError> {
    must_have_room(&txn, viewer, task, &screen).await?;
    let Some(opened) = open(&txn, viewer, task, screen, request_id).await? else { return Ok(Attempt::Known) };
    txn.commit().await?;
    Ok(Attempt::Done(Ok(opened)))
}

/// The viewer has fewer screens than one may under the fence.
///
/// # Errors
/// [`ServiceError::LimitExceeded`] when not.
pub(crate) async fn must_have_room(
    txn: &Txn,
    viewer: &Viewer,
    task: &Task,
    screen: &Screen,
) -> Result<(), ServiceError> {
    let open_already = session::count_of_fence(txn, task.id, viewer.user.id, screen.role, screen.fence).await?;
    if open_already < limits::SCREENS {
        return Ok(());
    }
    Err(ServiceError::limit("taskId", limits::SCREENS, "screens under one lease"))
}

/// Whoever opened a session is present in its task.
pub(crate) async fn opened(app: &App, claimed: &Claimed) {
    if let Ok(session) = claimed {
        presence::note(app, session, Selection::Kept).await;
    }
}

/// What came of a claim, for the metrics.
pub(crate) fn outcome(claimed: &Claimed) -> &'static str {
    match claimed {
        Ok(_) => "claimed",
        Err(NoTaskReason::QueueEmpty) => "queue_empty",
        Err(NoTaskReason::AllDoneByYou) => "all_done_by_you",
        Err(NoTaskReason::LeaseLimit) => "lease_limit",
        Err(NoTaskReason::ProjectPaused) => "project_paused",
        Err(NoTaskReason::NotAvailable) => "not_available",
    }
}

/// Holds the viewer's claims in a project they may work in.
pub(crate) async fn sit_down(
    txn: &Txn,
    viewer: &Viewer,
    project: ProjectId,
    request_id: Option<&str>,
    action: Action,
) -> Result<Desk, ServiceError> {
    let desk = queue::desk(txn, viewer.scope(), project, request_id).await?;
    let desk = desk.ok_or_else(|| no_project("projectId"))?;
    must(desk.standing, action)?;
    validate::must_be_open(&desk.project, "projectId")?;
    Ok(desk)
}

async fn find(
    app: &App,
    txn: &Txn,
    viewer: &Viewer,
    claim: &Claim,
    desk: &Desk,
) -> Result<Option<Leased>, ServiceError> {
    let claimer = claimer(viewer, desk);
    if let Some(task) = claim.task {
        return Ok(queue::lease(txn, claimer, Place::Task(task)).await?);
    }
    if desk.reserved
        && let Some(leased) = queue::lease(txn, claimer, Place::Reserved).await?
    {
        return Ok(Some(leased));
    }
    Ok(app.queue.take(txn, claimer).await?)
}

/// What a lease that was just taken means for its task, its history and its screen. None as of [`open`].
async fn begin_turn(
    txn: &Txn,
    viewer: &Viewer,
    claim: &Claim,
    desk: &Desk,
    leased: &Leased,
) -> Result<Option<Session>, ServiceError> {
    let Leased { slot, task_state } = leased;
    // With one slot LEASED the others do not matter.
    let life = Life { state: *task_state, round: slot.round, quarantined: false, slots: vec![SlotState::Free] };
    let next = life_cycle::next(&life, Event::Leased(0), desk.project.review)?;
    let change = TaskChanges { state: Some(next.state), priority: None };
    let task = task_repo::update_all(txn, &[slot.task], change).await?.pop().ok_or(RepoError::NotFound)?;
    txn.note(News::Leased(task.project, slot.position(task.priority)));
    assignment::insert(txn, turn_of(slot, task.project, viewer)).await?;
    let screen = Screen { slot: Some(slot.number), role: SessionRole::Holder, fence: slot.lease_epoch };
    let Some(opened) = open(txn, viewer, &task, screen, claim.request_id.as_deref()).await? else { return Ok(None) };
    let mut changes = Changes::new(task.project, Some(viewer.user.id));
    locked::note(&mut changes, &task, *task_state, -1, None);
    let payload = locked::turn_payload(slot.number, true, Some(viewer.user.id), None);
    changes.task(EventType::SessionChanged, &task, payload);
    if task.suggested && slot.lease_epoch == 1 {
        suggested::copy(txn, &mut changes, &task, slot.number).await?;
    }
    if slot.lease_epoch > 1 {
        vector_epoch::cut(txn, &mut changes, &task, slot.number).await?;
    }
    changes.append(txn).await?;
    Ok(Some(opened))
}

fn turn_of(slot: &Slot, project: ProjectId, viewer: &Viewer) -> NewAssignment {
    NewAssignment {
        project,
        task: slot.task,
        slot: slot.number,
        annotator: viewer.user.id,
        round: slot.round,
        fence: slot.lease_epoch,
    }
}

/// What a session is opened for.
pub(crate) struct Screen {
    pub(crate) slot: Option<i32>,
    pub(crate) role: SessionRole,
    pub(crate) fence: i32,
}

/// Opens a session for one more screen, with an actor of its own. None when the request id is in use: the transaction has
/// failed then.
pub(crate) async fn open(
    txn: &Txn,
    viewer: &Viewer,
    task: &Task,
    screen: Screen,
    request_id: Option<&str>,
) -> Result<Option<Session>, ServiceError> {
    let new = NewSession {
        project: task.project,
        task: task.id,
        slot: screen.slot,
        user: viewer.user.id,
        actor: secret::actor()?,
        role: screen.role,
        fence: screen.fence,
        request_id: request_id.map(str::to_owned),
    };
    match session::insert(txn, new).await {
        Ok(opened) => Ok(Some(opened)),
        Err(RepoError::Duplicate) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The session that this very request opened before.
pub(crate) async fn repeat(
    txn: &Txn,
    viewer: &Viewer,
    claim: &Claim,
    session: SessionId,
    role: SessionRole,
) -> Result<Session, ServiceError> {
    let opened = session::find_own(txn, viewer.user.id, &[session]).await?.pop().ok_or(RepoError::NotFound)?;
    let is_same =
        opened.role == role && opened.project == claim.project && claim.task.is_none_or(|task| task == opened.task);
    if is_same { Ok(opened) } else { Err(made_another_claim()) }
}

pub(crate) fn made_another_claim() -> ServiceError {
    ServiceError::invalid("requestId", "made another claim within the last day")
}

pub(crate) fn check_request_id(request_id: Option<&str>) -> Result<(), ServiceError> {
    let Some(request_id) = request_id else { return Ok(()) };
    let chars = request_id.chars().take(limits::CLAIM_REQUEST_ID_CHARS + 1).count();
    if chars == 0 || chars > limits::CLAIM_REQUEST_ID_CHARS || request_id.contains('\0') {
        let message = format!("must have from 1 to {} characters, none of them NUL", limits::CLAIM_REQUEST_ID_CHARS);
        return Err(ServiceError::invalid("requestId", message));
    }
    Ok(())
}

/// Takes the viewer's own submission back, before its review began: the slot is leased to them again.
///
/// # Errors
/// [`ServiceError::NotFound`], [`ServiceError::Forbidden`], [`ServiceError::Transition`] when there is nothing of theirs to
/// take back, [`ServiceError::ProjectPaused`], [`ServiceError::LimitExceeded`] when they hold as many slots as one may.
#[tracing::instrument(skip_all, fields(user.id = %viewer.user.id, task.id = %task))]
pub async fn withdraw(app: &App, viewer: &Viewer, task: TaskId) -> Result<Session, ServiceError> {
    let missing = || ServiceError::not_found("task", "taskId");
    let project = task_repo::find(&app.db, viewer.scope(), task).await?.ok_or_else(missing)?.project;
    let txn = app.db.begin().await?;
    let desk = sit_down(&txn, viewer, project, None, Action::Label).await?;
    let locked = Locked::task(&txn, viewer, task, "taskId").await?;
    let own = locked
        .slots
        .iter()
        .position(|slot| slot.state == SlotState::Submitted && slot.submitted_by == Some(viewer.user.id));
    let Some(index) = own else {
        let state = locked.task.state;
        return Err(ServiceError::transition("taskId", format!("the task is {state} without a submission of yours")));
    };
    if locked.task.state == TaskState::InReview {
        return Err(ServiceError::transition("taskId", "the task is IN_REVIEW; its reviewer can send it back"));
    }
    if desk.project.state != ProjectState::Active {
        return Err(ServiceError::ProjectPaused(desk.project.state));
    }
    if desk.leases >= i64::from(desk.project.max_leases) {
        return Err(ServiceError::limit("taskId", desk.project.max_leases, "slots of a project at once"));
    }
    let mut change = Change::of(locked, Some(viewer.user.id));
    change.apply(Event::Withdrawn(index))?;
    let Written { locked, mut changes, turns } = change.write(&txn).await?;
    let slot = &locked.slots[index];
    assignment::insert(&txn, turn_of(slot, project, viewer)).await?;
    let screen = Screen { slot: Some(slot.number), role: SessionRole::Holder, fence: slot.lease_epoch };
    let opened = open(&txn, viewer, &locked.task, screen, None).await?.ok_or(RepoError::Duplicate)?;
    vector_epoch::cut(&txn, &mut changes, &locked.task, slot.number).await?;
    Written { locked, changes, turns }.commit(app, txn).await?;
    presence::note(app, &opened, Selection::Kept).await;
    Ok(opened)
}
