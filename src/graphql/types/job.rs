//! Jobs.

use async_graphql::{Context, ID, Object};
use chrono::{DateTime, Utc};

use crate::{
    graphql::{
        context::Ctx,
        error::ApiError,
        types::{
            project::Project,
            scalars::SafeInt,
            user::User,
            words::{JobState, JobStep},
        },
    },
    repo,
    service::job::{self, JobFile},
};

/// Slow work: an import or an export. Managers see it.
pub(in crate::graphql) struct Job(pub(in crate::graphql) repo::job::Job);

#[Object]
impl Job {
    /// `job_…`
    pub(in crate::graphql) async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// `IMPORT` or `EXPORT`.
    async fn kind(&self) -> &str {
        self.0.kind.as_str()
    }

    /// How it stands.
    async fn state(&self) -> JobState {
        self.0.state.into()
    }

    /// What an import does now, or did last: `done` counts within it. Null before it begins, and of an export.
    async fn step(&self) -> Option<JobStep> {
        self.0.step.map(Into::into)
    }

    /// Its project.
    async fn project(&self, ctx: &Context<'_>) -> Result<Project, ApiError> {
        Ok(Project(ctx.loaders().get(self.0.project).await?))
    }

    /// Tasks done so far.
    async fn done(&self) -> SafeInt {
        SafeInt(self.0.done)
    }

    /// Tasks in all; null while that is not known.
    async fn total(&self) -> Option<SafeInt> {
        self.0.total.map(SafeInt)
    }

    /// How it ended, in a sentence; null while it has not.
    async fn message(&self) -> Option<&str> {
        self.0.message.as_deref()
    }

    /// Where to GET what an export made, for at least an hour; null while there is nothing.
    async fn result_url(&self, ctx: &Context<'_>) -> Result<Option<String>, ApiError> {
        Ok(job::file_url(ctx.app(), &self.0, JobFile::Result).await?)
    }

    /// Where to GET what was wrong with the file of an import, for at least an hour: a JSON object (`line`, `field`,
    /// `message`) a line, at most 100; null while nothing was.
    async fn errors_url(&self, ctx: &Context<'_>) -> Result<Option<String>, ApiError> {
        Ok(job::file_url(ctx.app(), &self.0, JobFile::Errors).await?)
    }

    /// What the format could not carry, in sentences.
    async fn losses(&self) -> &[String] {
        &self.0.losses
    }

    /// Who asked for it.
    async fn created_by(&self, ctx: &Context<'_>) -> Result<Option<User>, ApiError> {
        User::load_opt(ctx, Some(self.0.by)).await
    }

    /// When it was asked for.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// When it ended.
    async fn ended_at(&self) -> Option<DateTime<Utc>> {
        self.0.ended_at
    }
}
