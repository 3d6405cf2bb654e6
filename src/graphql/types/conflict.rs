//! Edits that wait for a person.

use async_graphql::{Context, ID, Object};
use chrono::{DateTime, Utc};

use crate::{
    domain::edit::Content,
    graphql::{
        context::Ctx,
        error::ApiError,
        loader::AnnotationNow,
        types::{
            annotation::{Annotation, AnnotationContent},
            scalars::VersionVector,
            task::Task,
            user::User,
            words::{ConflictCause, ConflictChoice, ConflictState},
        },
    },
    kind::Geometry,
    repo::conflict as repo,
};

/// An edit that could not be applied, kept beside the current state until a person decides: with `resolveConflict`.
pub(in crate::graphql) struct Conflict(pub(in crate::graphql) repo::Conflict);

#[Object]
impl Conflict {
    /// `conf_…`
    pub(in crate::graphql) async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// The task.
    async fn task(&self, ctx: &Context<'_>) -> Result<Task, ApiError> {
        Ok(Task(ctx.loaders().get(self.0.task).await?))
    }

    /// The annotation as it is now; its `versionVector` is the base of your decision.
    async fn annotation(&self, ctx: &Context<'_>) -> Result<Annotation, ApiError> {
        Ok(Annotation(ctx.loaders().get(AnnotationNow(self.0.annotation)).await?))
    }

    /// Whether it waits.
    async fn state(&self) -> ConflictState {
        self.0.state().into()
    }

    /// Why it waits.
    async fn cause(&self) -> ConflictCause {
        self.0.sibling.cause.into()
    }

    /// What it is about: the fields that overlap, or that the edit writes: `geometry`, `label`, `attributes.<name>`,
    /// `alive`.
    async fn fields(&self) -> Vec<String> {
        self.0.sibling.fields.iter().map(ToString::to_string).collect()
    }

    /// What the edit's author saw; null where that is not known any more.
    async fn base(&self) -> Option<AnnotationContent> {
        self.0.base.clone().map(Into::into)
    }

    /// What the author had seen, of several edits before the first.
    async fn base_vector(&self) -> VersionVector {
        VersionVector::from(&self.0.sibling.base)
    }

    /// What the annotation says while the conflict is open; what it said in front of the decision after that.
    async fn current(&self, ctx: &Context<'_>) -> Result<AnnotationContent, ApiError> {
        Ok(self.present(ctx).await?.into())
    }

    /// What the annotation would say with INCOMING; with the decision made, what it would have said.
    async fn incoming(&self, ctx: &Context<'_>) -> Result<AnnotationContent, ApiError> {
        Ok(self.0.incoming(&self.present(ctx).await?).into())
    }

    /// Whose edit it is.
    async fn incoming_by(&self, ctx: &Context<'_>) -> Result<User, ApiError> {
        User::load(ctx, self.0.incoming_by).await
    }

    /// Whose work it met.
    async fn current_by(&self, ctx: &Context<'_>) -> Result<User, ApiError> {
        User::load(ctx, self.0.current_by).await
    }

    /// When the edit came; of several, the first.
    async fn raised_at(&self) -> DateTime<Utc> {
        self.0.raised_at
    }

    /// Who decided; null while it is open.
    async fn resolved_by(&self, ctx: &Context<'_>) -> Result<Option<User>, ApiError> {
        User::load_opt(ctx, self.0.resolution.as_ref().map(|resolution| resolution.by)).await
    }

    /// When it was decided.
    async fn resolved_at(&self) -> Option<DateTime<Utc>> {
        self.0.resolution.as_ref().map(|resolution| resolution.at)
    }

    /// How it was decided.
    async fn choice(&self) -> Option<ConflictChoice> {
        self.0.resolution.as_ref().map(|resolution| resolution.choice.into())
    }
}

impl Conflict {
    async fn present(&self, ctx: &Context<'_>) -> Result<Content<Geometry>, ApiError> {
        match &self.0.resolution {
            Some(resolution) => Ok(resolution.current.clone()),
            None => Ok(ctx.loaders().get(AnnotationNow(self.0.annotation)).await?.state.content),
        }
    }
}
