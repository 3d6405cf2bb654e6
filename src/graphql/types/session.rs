//! Labeling sessions: one open screen each.

use async_graphql::{Context, ID, Object};
use chrono::{DateTime, Utc};

use crate::{
    domain::words,
    graphql::{
        context::Ctx,
        error::ApiError,
        loader::SlotsOf,
        types::{
            task::{Slot, Task},
            words::{SessionRole, SessionState},
        },
    },
    repo::{self, task::Task as TaskRow},
    service::labeling_session,
};

/// One open screen on a slot, or on a task in review. Only its own user sees it.
pub(in crate::graphql) struct LabelingSession(pub(in crate::graphql) repo::session::Session);

impl LabelingSession {
    async fn task_row(&self, ctx: &Context<'_>) -> Result<TaskRow, ApiError> {
        ctx.loaders().get(self.0.task).await
    }

    async fn slot_row(&self, ctx: &Context<'_>) -> Result<Option<repo::slot::Slot>, ApiError> {
        let Some(number) = self.0.slot else { return Ok(None) };
        let slots = ctx.loaders().find(SlotsOf(self.0.task)).await?.unwrap_or_default();
        Ok(slots.into_iter().find(|slot| slot.number == number))
    }

    /// When the lease or review runs out; none when the session's fence does not hold.
    async fn ends_at(&self, ctx: &Context<'_>) -> Result<Option<DateTime<Utc>>, ApiError> {
        if self.0.role == words::SessionRole::Reviewer {
            let task = self.task_row(ctx).await?;
            return Ok(task.review_expires_at.filter(|_| task.review_epoch == self.0.fence));
        }
        let slot = self.slot_row(ctx).await?.filter(|slot| slot.lease_epoch == self.0.fence);
        Ok(slot.and_then(|slot| slot.lease_expires_at))
    }
}

#[Object]
impl LabelingSession {
    /// `sess_…`
    pub(in crate::graphql) async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// What it works on.
    async fn task(&self, ctx: &Context<'_>) -> Result<Task, ApiError> {
        Ok(Task(self.task_row(ctx).await?))
    }

    /// The slot it works on; null in a review of several slots.
    async fn slot(&self, ctx: &Context<'_>) -> Result<Option<Slot>, ApiError> {
        Ok(self.slot_row(ctx).await?.map(Slot))
    }

    /// In which part you have the task open.
    async fn role(&self) -> SessionRole {
        self.0.role.into()
    }

    /// Names you as an author in version vectors: your next edit of an annotation counts this entry up by one.
    async fn actor(&self) -> &str {
        &self.0.actor
    }

    /// Send it with every write. It holds until the slot's next lease, or until the slot is handed in, skipped, released
    /// or taken away; then writes answer `LEASE_LOST`.
    async fn fence(&self) -> i32 {
        self.0.fence
    }

    /// COMPLETED once its fence does not hold any more.
    async fn state(&self, ctx: &Context<'_>) -> Result<SessionState, ApiError> {
        if self.ends_at(ctx).await?.is_none() {
            return Ok(SessionState::Completed);
        }
        let soft = labeling_session::soft(ctx.app(), &self.0).await?;
        Ok(words::SessionState::from(soft.state).into())
    }

    /// Of its state: give it to `setSessionState`.
    async fn revision(&self, ctx: &Context<'_>) -> Result<i32, ApiError> {
        Ok(labeling_session::soft(ctx.app(), &self.0).await?.revision)
    }

    /// When the lease or review runs out unless you give a sign of life (send a heartbeat every third of the lease time);
    /// once it has ended, when the screen counts as left.
    async fn expires_at(&self, ctx: &Context<'_>) -> Result<DateTime<Utc>, ApiError> {
        Ok(self.ends_at(ctx).await?.unwrap_or(self.0.expires_at))
    }
}
