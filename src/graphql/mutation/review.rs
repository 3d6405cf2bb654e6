//! Reviewing.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use super::labeling::ClaimTaskInput;
use crate::{
    graphql::{
        context::{Ctx, id},
        error::ApiError,
        types::{
            review::Review,
            session::LabelingSession,
            task::Task,
            words::{NoTaskReason, ReviewVerdict},
        },
    },
    service::review,
};

#[derive(Default)]
pub(super) struct ReviewMutation;

/// Asks for a task to review.
#[derive(InputObject)]
struct ClaimReviewInput {
    /// In which project.
    project_id: ID,
    /// One task by name; the next one when absent. For a task you review already you get another session under the same
    /// fence.
    task_id: Option<ID>,
    /// Any text of up to 200 characters that makes the claim repeatable: the same one gets the same session for a day.
    request_id: Option<String>,
}

/// A session, or why there is none.
#[derive(SimpleObject)]
struct ClaimReviewPayload {
    /// Your session on the task; null when there is none for you now.
    session: Option<LabelingSession>,
    /// Why there is none.
    reason: Option<NoTaskReason>,
}

/// A judgement.
#[derive(InputObject)]
struct ReviewTaskInput {
    /// Your session of the review.
    session_id: ID,
    /// Its fence.
    fence: i32,
    /// The slot's number; all that wait for a verdict when absent.
    slot: Option<i32>,
    /// Right or wrong.
    verdict: ReviewVerdict,
    /// What the annotator should know; up to 2,000 characters.
    comment: Option<String>,
}

/// What was judged.
#[derive(SimpleObject)]
struct ReviewTaskPayload {
    /// The task as it is now.
    task: Task,
    /// The verdicts, by slot.
    reviews: Vec<Review>,
}

/// Opens a finished task again.
#[derive(InputObject)]
struct ReopenTaskInput {
    /// The task.
    task_id: ID,
    /// Why; the event shows it.
    reason: Option<String>,
}

/// The task as it is now.
#[derive(SimpleObject)]
struct ReopenTaskPayload {
    /// The task.
    task: Task,
}

#[Object]
impl ReviewMutation {
    /// Gives you a submitted task to judge, the one of the highest priority; reviewers, never of their own work. That there
    /// is nothing for you now is no error: `reason` says why. Codes: `NOT_FOUND`, `FORBIDDEN`, `BAD_USER_INPUT`,
    /// `INVALID_TRANSITION`.
    async fn claim_review(&self, ctx: &Context<'_>, input: ClaimReviewInput) -> Result<ClaimReviewPayload, ApiError> {
        let ClaimReviewInput { project_id, task_id, request_id } = input;
        let claim = ClaimTaskInput { project_id, task_id, request_id }.parse()?;
        let claimed = review::claim(ctx.app(), ctx.viewer()?, claim).await?;
        let (session, reason) = (claimed.as_ref().ok().cloned(), claimed.err());
        Ok(ClaimReviewPayload { session: session.map(LabelingSession), reason: reason.map(Into::into) })
    }

    /// Judges a slot, or all that wait for a verdict; takes who claimed the review, not who joined it. After the last verdict
    /// the task is ACCEPTED, or goes back to those whose work was rejected. The same judgement sent again gives the same
    /// answer. Codes: `NOT_FOUND`, `FORBIDDEN`, `LEASE_LOST`, `BAD_USER_INPUT`, `INVALID_TRANSITION`.
    async fn review_task(&self, ctx: &Context<'_>, input: ReviewTaskInput) -> Result<ReviewTaskPayload, ApiError> {
        let judgement = review::Judgement {
            session: id("sessionId", &input.session_id)?,
            fence: input.fence,
            slot: input.slot,
            verdict: input.verdict.into(),
            comment: input.comment,
        };
        let (task, reviews) = review::judge(ctx.app(), ctx.viewer()?, judgement).await?;
        Ok(ReviewTaskPayload { task: Task(task), reviews: reviews.into_iter().map(Review).collect() })
    }

    /// Opens an accepted, skipped or quarantined task again; managers. Accepted work goes back to its annotators in a new
    /// round. Codes: `NOT_FOUND`, `FORBIDDEN`, `BAD_USER_INPUT`, `INVALID_TRANSITION`.
    async fn reopen_task(&self, ctx: &Context<'_>, input: ReopenTaskInput) -> Result<ReopenTaskPayload, ApiError> {
        let task = id("taskId", &input.task_id)?;
        let task = review::reopen(ctx.app(), ctx.viewer()?, task, input.reason.as_deref()).await?;
        Ok(ReopenTaskPayload { task: Task(task) })
    }
}
