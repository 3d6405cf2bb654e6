//! Snapshots of a slot's work.

use async_graphql::{Context, ID, Object};
use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::{
    graphql::{
        context::Ctx,
        error::ApiError,
        loader::PayloadOf,
        types::{task::Task, user::User, words::SnapshotReason},
    },
    repo::snapshot as repo,
};

/// What the live annotations of a slot were at a version of its task.
pub(in crate::graphql) struct Snapshot(pub(in crate::graphql) repo::Snapshot);

#[Object]
impl Snapshot {
    /// `snap_…`
    pub(in crate::graphql) async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// The task as it is now.
    async fn task(&self, ctx: &Context<'_>) -> Result<Task, ApiError> {
        Ok(Task(ctx.loaders().get(self.0.task).await?))
    }

    /// The slot's number.
    async fn slot(&self) -> i32 {
        self.0.slot
    }

    /// The task's version it shows.
    async fn version(&self) -> i32 {
        self.0.version
    }

    /// Why it was taken.
    async fn reason(&self) -> SnapshotReason {
        self.0.reason.into()
    }

    /// Who caused it; null: the server itself.
    async fn by(&self, ctx: &Context<'_>) -> Result<Option<User>, ApiError> {
        User::load_opt(ctx, self.0.by).await
    }

    /// When.
    async fn at(&self) -> DateTime<Utc> {
        self.0.at
    }

    /// The annotations by id, each an object with `id`, `assetId`, `kind`, `tool`, `label`, `geometry` (an object under
    /// the name of the kind, as in its input), `attributes`, `versionVector`, `revision`, `source`, `score`, `authorId`.
    async fn payload(&self, ctx: &Context<'_>) -> Result<Value, ApiError> {
        let shown = ctx.loaders().get(PayloadOf(self.0.id)).await?;
        Ok(shown.iter().map(repo::Shown::to_json).collect())
    }
}
