//! Labeling: claiming, signs of life, and how a turn ends.

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object, SimpleObject};
use chrono::{DateTime, Utc};

use crate::{
    backend::presence::Selection,
    domain::ids::SessionId,
    graphql::{
        context::{Ctx, id},
        error::ApiError,
        types::{
            session::LabelingSession,
            snapshot::Snapshot,
            task::Task,
            words::{NoTaskReason, SessionState},
        },
    },
    service::{claim, join, labeling_session, lease, turn},
};

#[derive(Default)]
pub(super) struct LabelingMutation;

/// Asks for work.
#[derive(InputObject)]
pub(super) struct ClaimTaskInput {
    /// In which project.
    pub(super) project_id: ID,
    /// One task by name; the queue's next one when absent. For a task you hold already you get another session under the
    /// same fence.
    pub(super) task_id: Option<ID>,
    /// Any text of up to 200 characters that makes the claim repeatable: the same one gets the same session for a day.
    pub(super) request_id: Option<String>,
}

impl ClaimTaskInput {
    pub(super) fn parse(self) -> Result<claim::Claim, ApiError> {
        Ok(claim::Claim {
            project: id("projectId", &self.project_id)?,
            task: self.task_id.map(|task| id("taskId", &task)).transpose()?,
            request_id: self.request_id,
        })
    }
}

/// A session, or why there is none.
#[derive(SimpleObject)]
struct ClaimTaskPayload {
    /// Your session on the slot; null when there is none for you now.
    session: Option<LabelingSession>,
    /// Why there is none.
    reason: Option<NoTaskReason>,
}

/// Asks to work beside somebody.
#[derive(InputObject)]
struct JoinTaskInput {
    /// The task.
    task_id: ID,
    /// The slot's number; when absent the one that is held, in a review all that wait for a verdict.
    slot: Option<i32>,
}

/// You are in.
#[derive(SimpleObject)]
struct JoinTaskPayload {
    /// Your session, with an actor of its own, under the fence of whoever holds the slot or the review.
    session: LabelingSession,
}

/// A sign of life.
#[derive(InputObject)]
struct HeartbeatInput {
    /// Your session.
    session_id: ID,
    /// Its fence.
    fence: i32,
    /// The annotation you have selected, for those who follow `presence`; null for none. When it is absent it stays as it was.
    /// It may be one that you have not saved yet: it is not looked up.
    selected_annotation_id: MaybeUndefined<ID>,
}

/// How long the lease runs now.
#[derive(SimpleObject)]
struct HeartbeatPayload {
    /// When it runs out without another sign of life.
    expires_at: DateTime<Utc>,
}

/// Pauses a session or goes on.
#[derive(InputObject)]
struct SetSessionStateInput {
    /// Your session.
    session_id: ID,
    /// Its fence.
    fence: i32,
    /// ACTIVE or PAUSED.
    state: SessionState,
    /// The session's revision as you know it.
    expected_revision: i32,
}

/// The session as it is now.
#[derive(SimpleObject)]
struct SetSessionStatePayload {
    /// The session.
    session: LabelingSession,
}

/// Gives a slot or a review back.
#[derive(InputObject)]
struct ReleaseTaskInput {
    /// Your session.
    session_id: ID,
    /// Its fence.
    fence: i32,
}

/// The task as it is now.
#[derive(SimpleObject)]
struct ReleaseTaskPayload {
    /// The task.
    task: Task,
}

/// Takes a slot or a review away from whoever holds it.
#[derive(InputObject)]
struct RevokeLeaseInput {
    /// The task.
    task_id: ID,
    /// The slot's number; the review when absent.
    slot: Option<i32>,
    /// Why; the event shows it.
    reason: Option<String>,
}

/// The task as it is now.
#[derive(SimpleObject)]
struct RevokeLeasePayload {
    /// The task.
    task: Task,
}

/// Closes a slot without work.
#[derive(InputObject)]
struct SkipTaskInput {
    /// Your session.
    session_id: ID,
    /// Its fence.
    fence: i32,
    /// Why; up to 2,000 characters.
    reason: String,
}

/// The task as it is now.
#[derive(SimpleObject)]
struct SkipTaskPayload {
    /// The task.
    task: Task,
}

/// Hands a slot in.
#[derive(InputObject)]
struct SubmitTaskInput {
    /// Your session.
    session_id: ID,
    /// Its fence.
    fence: i32,
}

/// The slot as it was handed in.
#[derive(SimpleObject)]
struct SubmitTaskPayload {
    /// The task as it is now.
    task: Task,
    /// The slot's work as it was handed in.
    snapshot: Snapshot,
}

/// Takes a submission back.
#[derive(InputObject)]
struct WithdrawSubmissionInput {
    /// The task.
    task_id: ID,
}

/// The slot is yours again.
#[derive(SimpleObject)]
struct WithdrawSubmissionPayload {
    /// Your new session, with a new fence.
    session: LabelingSession,
}

fn session_id(id: &ID) -> Result<SessionId, ApiError> {
    self::id("sessionId", id)
}

#[Object]
impl LabelingMutation {
    /// Leases you a slot to label: one that waits for you, else the queue's next one (highest priority first, then the one
    /// that waits longest); annotators. That there is nothing for you now is no error: `reason` says why. Codes: `NOT_FOUND`,
    /// `FORBIDDEN`, `BAD_USER_INPUT`, `INVALID_TRANSITION`.
    async fn claim_task(&self, ctx: &Context<'_>, input: ClaimTaskInput) -> Result<ClaimTaskPayload, ApiError> {
        let claimed = claim::claim(ctx.app(), ctx.viewer()?, input.parse()?).await?;
        let (session, reason) = (claimed.as_ref().ok().cloned(), claimed.err());
        Ok(ClaimTaskPayload { session: session.map(LabelingSession), reason: reason.map(Into::into) })
    }

    /// Opens a session on a slot that somebody else holds, in a SHARED project; annotators. On a task in review: in that
    /// review, in any project; reviewers, who did not work on the task in its round. You save and keep the lease running as
    /// they do; only they hand in, skip, give back and judge. What you hold yourself you get one more session of. Codes:
    /// `NOT_FOUND`, `FORBIDDEN`, `BAD_USER_INPUT`, `INVALID_TRANSITION` (nobody holds it; claim it), `LIMIT_EXCEEDED`.
    async fn join_task(&self, ctx: &Context<'_>, input: JoinTaskInput) -> Result<JoinTaskPayload, ApiError> {
        let task = id("taskId", &input.task_id)?;
        let session = join::join(ctx.app(), ctx.viewer()?, task, input.slot).await?;
        Ok(JoinTaskPayload { session: LabelingSession(session) })
    }

    /// Keeps the lease, or the review, running for its whole time from now; while the session is PAUSED it runs on as it is.
    /// A lease that ran out and was taken by nobody goes on. Shows you in `presence`. Codes: `NOT_FOUND`, `FORBIDDEN`,
    /// `LEASE_LOST`, `BAD_USER_INPUT`.
    async fn heartbeat(&self, ctx: &Context<'_>, input: HeartbeatInput) -> Result<HeartbeatPayload, ApiError> {
        let session = session_id(&input.session_id)?;
        let selection = match input.selected_annotation_id {
            MaybeUndefined::Undefined => Selection::Kept,
            MaybeUndefined::Null => Selection::Now(None),
            MaybeUndefined::Value(selected) => Selection::Now(Some(id("selectedAnnotationId", &selected)?)),
        };
        let expires_at = lease::heartbeat(ctx.app(), ctx.viewer()?, session, input.fence, selection).await?;
        Ok(HeartbeatPayload { expires_at })
    }

    /// Pauses your session, or goes on: edits are refused while it is PAUSED, and the lease runs 15 minutes without a
    /// heartbeat; a lease that you joined is left as it is. Codes: `NOT_FOUND`, `FORBIDDEN`, `LEASE_LOST`, `STALE` (another
    /// revision by now), `BAD_USER_INPUT`.
    async fn set_session_state(
        &self,
        ctx: &Context<'_>,
        input: SetSessionStateInput,
    ) -> Result<SetSessionStatePayload, ApiError> {
        let SetSessionStateInput { session_id: session, fence, state, expected_revision } = input;
        let (session, state) = (session_id(&session)?, state.into());
        let viewer = ctx.viewer()?;
        let session = labeling_session::set_state(ctx.app(), viewer, session, fence, state, expected_revision).await?;
        Ok(SetSessionStatePayload { session: LabelingSession(session) })
    }

    /// Gives your slot, or your review, back before it is done; what was saved stays for whoever goes on. Codes:
    /// `NOT_FOUND`, `FORBIDDEN`, `LEASE_LOST`.
    async fn release_task(&self, ctx: &Context<'_>, input: ReleaseTaskInput) -> Result<ReleaseTaskPayload, ApiError> {
        let session = session_id(&input.session_id)?;
        let task = turn::release(ctx.app(), ctx.viewer()?, session, input.fence).await?;
        Ok(ReleaseTaskPayload { task: Task(task) })
    }

    /// Takes a slot, or the review, away from whoever holds it; managers. What was saved stays. Codes: `NOT_FOUND`,
    /// `FORBIDDEN`, `BAD_USER_INPUT`, `INVALID_TRANSITION`.
    async fn revoke_lease(&self, ctx: &Context<'_>, input: RevokeLeaseInput) -> Result<RevokeLeasePayload, ApiError> {
        let task = id("taskId", &input.task_id)?;
        let task = turn::revoke(ctx.app(), ctx.viewer()?, task, input.slot, input.reason.as_deref()).await?;
        Ok(RevokeLeasePayload { task: Task(task) })
    }

    /// Closes your slot without work; you are not offered the task again in its round. Codes: `NOT_FOUND`, `FORBIDDEN`,
    /// `LEASE_LOST`, `BAD_USER_INPUT`.
    async fn skip_task(&self, ctx: &Context<'_>, input: SkipTaskInput) -> Result<SkipTaskPayload, ApiError> {
        let session = session_id(&input.session_id)?;
        let task = turn::skip(ctx.app(), ctx.viewer()?, session, input.fence, &input.reason).await?;
        Ok(SkipTaskPayload { task: Task(task) })
    }

    /// Hands your slot in. Every required tool of the template must be used. Codes: `NOT_FOUND`, `FORBIDDEN`, `LEASE_LOST`,
    /// `INCOMPLETE`, `INVALID_TRANSITION`.
    async fn submit_task(&self, ctx: &Context<'_>, input: SubmitTaskInput) -> Result<SubmitTaskPayload, ApiError> {
        let session = session_id(&input.session_id)?;
        let (task, snapshot) = turn::submit(ctx.app(), ctx.viewer()?, session, input.fence).await?;
        Ok(SubmitTaskPayload { task: Task(task), snapshot: Snapshot(snapshot) })
    }

    /// Takes your own submission back before its review begins: the slot is leased to you again. Codes: `NOT_FOUND`,
    /// `FORBIDDEN`, `INVALID_TRANSITION`, `PROJECT_PAUSED`, `LIMIT_EXCEEDED`.
    async fn withdraw_submission(
        &self,
        ctx: &Context<'_>,
        input: WithdrawSubmissionInput,
    ) -> Result<WithdrawSubmissionPayload, ApiError> {
        let session = claim::withdraw(ctx.app(), ctx.viewer()?, id("taskId", &input.task_id)?).await?;
        Ok(WithdrawSubmissionPayload { session: LabelingSession(session) })
    }
}
