//! Annotations and their revisions.

use async_graphql::{Context, ID, Object, SimpleObject};
use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::{
    domain::edit::Content,
    graphql::{
        context::Ctx,
        error::ApiError,
        loader::{Children, OpenConflictsOf, RevisionsOf},
        types::{
            conflict::Conflict,
            connection::{Page, Total, arguments, connection, list},
            geometry::Geometry,
            scalars::VersionVector,
            user::User,
            words::{AnnotationKind, AnnotationSource, EditOutcome},
        },
    },
    kind,
    repo::{annotation as repo, revision},
};

/// One labeled object. It belongs to a slot of its task.
pub(in crate::graphql) struct Annotation(pub(in crate::graphql) repo::Annotation);

#[Object]
impl Annotation {
    /// `ann_…`; clients make these ids themselves.
    pub(in crate::graphql) async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// The task.
    async fn task_id(&self) -> ID {
        self.0.task.to_string().into()
    }

    /// The number of its slot.
    async fn slot(&self) -> i32 {
        self.0.slot
    }

    /// What it is drawn on; null: the text in the task's data.
    async fn asset_id(&self) -> Option<ID> {
        self.0.asset.map(|asset| asset.to_string().into())
    }

    /// What it is geometrically.
    async fn kind(&self) -> AnnotationKind {
        self.0.kind.into()
    }

    /// The tool it was made with.
    async fn tool(&self) -> &str {
        &self.0.tool
    }

    /// What it is called.
    async fn label(&self) -> &str {
        &self.0.state.content.label
    }

    /// Where it is.
    async fn geometry(&self) -> Geometry {
        self.0.state.content.geometry.clone().into()
    }

    /// What else is said of it, by the names of the tool's attributes.
    async fn attributes(&self) -> Value {
        Value::Object(self.0.state.content.attributes.clone())
    }

    /// The edits in it: the base of your next one.
    async fn version_vector(&self) -> VersionVector {
        VersionVector::from(&self.0.state.vector)
    }

    /// From 1; raised by every accepted edit.
    async fn revision(&self) -> i32 {
        self.0.state.revision
    }

    /// Whether it is deleted: a tombstone, which can be restored.
    async fn deleted(&self) -> bool {
        self.0.state.content.deleted
    }

    /// Where it comes from.
    async fn source(&self) -> AnnotationSource {
        self.0.source.into()
    }

    /// How sure its source was, where that says so.
    async fn score(&self) -> Option<f64> {
        self.0.score
    }

    /// Who made it.
    async fn author(&self, ctx: &Context<'_>) -> Result<User, ApiError> {
        Ok(User(ctx.loaders().get(self.0.author).await?))
    }

    /// Who changed it last.
    async fn last_edited_by(&self, ctx: &Context<'_>) -> Result<User, ApiError> {
        Ok(User(ctx.loaders().get(self.0.last_edited_by).await?))
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// When it was last changed.
    async fn updated_at(&self) -> DateTime<Utc> {
        self.0.updated_at
    }

    /// Edits of it that wait for a person, oldest first; at most 8.
    async fn open_conflicts(&self, ctx: &Context<'_>) -> Result<Vec<Conflict>, ApiError> {
        let open = ctx.loaders().find(OpenConflictsOf(self.0.id)).await?.unwrap_or_default();
        Ok(open.into_iter().map(Conflict).collect())
    }

    /// Every state it was ever in, oldest first.
    async fn revisions(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<Page<Revision>, ApiError> {
        let page = arguments(first, after, last, before).parse(list::REVISIONS)?;
        let slice = ctx.loaders().get(RevisionsOf(self.0.id, page)).await?;
        let total = Total::Of(Children::Revisions(self.0.id));
        Ok(connection(list::REVISIONS, slice, total, |revision| revision.number, Revision))
    }
}

/// One accepted state of an annotation.
pub(in crate::graphql) struct Revision(revision::Revision);

#[Object]
impl Revision {
    /// From 1.
    async fn revision(&self) -> i32 {
        self.0.number
    }

    /// What the annotation said.
    async fn content(&self) -> AnnotationContent {
        self.0.content.clone().into()
    }

    /// What the edit wrote: `geometry`, `label`, `attributes.<name>`, `alive`.
    async fn fields(&self) -> &[String] {
        &self.0.fields
    }

    /// What became of the edit.
    async fn outcome(&self) -> EditOutcome {
        self.0.outcome.into()
    }

    /// Whose edit it was.
    async fn by(&self, ctx: &Context<'_>) -> Result<Option<User>, ApiError> {
        User::load_opt(ctx, self.0.by).await
    }

    /// When.
    async fn at(&self) -> DateTime<Utc> {
        self.0.at
    }
}

/// All that edits change of an annotation.
#[derive(SimpleObject)]
pub(in crate::graphql) struct AnnotationContent {
    /// What it is called.
    label: String,
    /// Where it is.
    geometry: Geometry,
    /// What else is said of it.
    attributes: Value,
    /// Whether it is deleted.
    deleted: bool,
}

impl From<Content<kind::Geometry>> for AnnotationContent {
    fn from(content: Content<kind::Geometry>) -> Self {
        Self {
            label: content.label,
            geometry: content.geometry.into(),
            attributes: Value::Object(content.attributes),
            deleted: content.deleted,
        }
    }
}
