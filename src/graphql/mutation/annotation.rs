//! Saving annotations.

use async_graphql::{ComplexObject, Context, ID, InputObject, Object, OneofObject, SimpleObject};
use serde_json::Value;

use crate::{
    domain::ids::ConflictId,
    graphql::{
        context::{Ctx, id},
        error::ApiError,
        types::{
            annotation::Annotation,
            conflict::Conflict,
            geometry::GeometryInput,
            scalars::VersionVector,
            task::Task,
            words::{EditOutcome, ErrorCode},
        },
    },
    service::annotation::{self, AnnotationEdit, EditAction, NewAnnotation, SaveAnnotations},
};

#[derive(Default)]
pub(super) struct AnnotationMutation;

/// Edits to save: one transaction, taken in order.
#[derive(InputObject)]
struct SaveAnnotationsInput {
    /// Your labeling session; a queue kept over a reload is sent under its old one.
    session_id: ID,
    /// The session's fence.
    fence: i32,
    /// The edits; at most 500. One batch of a session is in flight at a time.
    edits: Vec<AnnotationEditInput>,
}

/// One edit. Sent again, it is recognised and changes nothing.
#[derive(OneofObject)]
enum AnnotationEditInput {
    /// Makes an annotation.
    Create(CreateAnnotationInput),
    /// Changes some fields of one.
    Update(UpdateAnnotationInput),
    /// Deletes one; it can be restored.
    Delete(DeleteAnnotationInput),
    /// Takes a deletion back.
    Restore(RestoreAnnotationInput),
}

/// An annotation to make.
#[derive(InputObject)]
struct CreateAnnotationInput {
    /// An id of your own making: `ann_` and a new UUIDv7 as TypeID.
    id: ID,
    /// The slot's number; required in a review of several slots, else the session's.
    slot: Option<i32>,
    /// What it is drawn on; null: the only asset of the task that suits the tool, or the text in the task's data.
    asset_id: Option<ID>,
    /// The tool.
    tool: String,
    /// One of the tool's labels.
    label: String,
    /// Where it is.
    geometry: GeometryInput,
    /// A JSON object of values by the names of the tool's attributes.
    attributes: Option<Value>,
}

/// Changes to an annotation; a field left out stays as it is.
#[derive(InputObject)]
struct UpdateAnnotationInput {
    /// Which.
    id: ID,
    /// The `versionVector` you saw, joined with your own edits of it since.
    base: VersionVector,
    /// One of the tool's labels.
    label: Option<String>,
    /// Where it is.
    geometry: Option<GeometryInput>,
    /// A JSON object of changed attributes; null removes one.
    attributes: Option<Value>,
}

/// An annotation to delete.
#[derive(InputObject)]
struct DeleteAnnotationInput {
    /// Which.
    id: ID,
    /// The `versionVector` you saw, joined with your own edits of it since.
    base: VersionVector,
}

/// A deletion to take back.
#[derive(InputObject)]
struct RestoreAnnotationInput {
    /// Which.
    id: ID,
    /// The `versionVector` you saw, joined with your own edits of it since.
    base: VersionVector,
}

/// What a save did.
#[derive(SimpleObject)]
struct SaveAnnotationsPayload {
    /// What became of each edit, in order.
    results: Vec<EditResult>,
    /// The task now.
    task: Task,
}

/// What became of one edit. A rejected one has changed nothing, and the others of its batch went on.
#[derive(SimpleObject)]
#[graphql(complex)]
pub(super) struct EditResult {
    /// The annotation.
    annotation_id: ID,
    /// What became of the edit.
    outcome: EditOutcome,
    /// Whether it had been accepted before: this is its outcome of then.
    repeated: bool,
    /// MERGED: what others changed since your base. CONFLICT: what it is about, the fields that overlap or that you wrote.
    fields: Vec<String>,
    /// Why it was rejected.
    code: Option<ErrorCode>,
    /// Where in the input the fault is.
    field: Option<String>,
    /// What to do instead.
    message: Option<String>,
    /// The annotation after the whole save; null when there is none in your slot.
    annotation: Option<Annotation>,
    #[graphql(skip)]
    waits_as: Option<ConflictId>,
}

#[ComplexObject]
impl EditResult {
    /// CONFLICT: the edit as it waits for a person, with your other edits of the annotation that wait; null when you do not
    /// see the slot any more.
    async fn conflict(&self, ctx: &Context<'_>) -> Result<Option<Conflict>, ApiError> {
        let Some(id) = self.waits_as else { return Ok(None) };
        Ok(ctx.loaders().find(id).await?.map(Conflict))
    }
}

impl From<annotation::EditResult> for EditResult {
    fn from(result: annotation::EditResult) -> Self {
        let (code, field, message) = match result.rejection {
            Some(rejection) => (Some(rejection.code.into()), Some(rejection.field), Some(rejection.message)),
            None => (None, None, None),
        };
        Self {
            annotation_id: result.id.to_string().into(),
            outcome: result.outcome.into(),
            repeated: result.repeated,
            fields: result.fields.iter().map(ToString::to_string).collect(),
            code,
            field,
            message,
            annotation: result.annotation.map(Annotation),
            waits_as: result.conflict,
        }
    }
}

impl AnnotationEditInput {
    fn parse(self, at: &str) -> Result<AnnotationEdit, ApiError> {
        let (key, named) = match &self {
            Self::Create(new) => ("create", &new.id),
            Self::Update(update) => ("update", &update.id),
            Self::Delete(delete) => ("delete", &delete.id),
            Self::Restore(restore) => ("restore", &restore.id),
        };
        let field = |name: &str| format!("{at}.{key}.{name}");
        let annotation = id(&field("id"), named)?;
        let action = match self {
            Self::Create(new) => EditAction::Create(NewAnnotation {
                slot: new.slot,
                asset: new.asset_id.map(|asset| id(&field("assetId"), &asset)).transpose()?,
                tool: new.tool,
                label: new.label,
                geometry: new.geometry.parse(&field("geometry"))?,
                attributes: new.attributes,
            }),
            Self::Update(update) => EditAction::Update {
                base: update.base.parse_at(&field("base"))?,
                label: update.label,
                geometry: update.geometry.map(|geometry| geometry.parse(&field("geometry"))).transpose()?,
                attributes: update.attributes,
            },
            Self::Delete(delete) => EditAction::Delete { base: delete.base.parse_at(&field("base"))? },
            Self::Restore(restore) => EditAction::Restore { base: restore.base.parse_at(&field("base"))? },
        };
        Ok(AnnotationEdit { id: annotation, action })
    }
}

#[Object]
impl AnnotationMutation {
    /// Saves edits under your session's fence; it renews the lease, too. Each edit has its own outcome: a fault of one is
    /// data, with a code and a field. Edits that come after the lease has ended are kept as conflicts, unless the slot's
    /// work is final. Codes of the whole: `NOT_FOUND` (no session of yours), `FORBIDDEN`, `LEASE_LOST` (not the session's
    /// fence), `INVALID_TRANSITION`, `BAD_USER_INPUT`, `LIMIT_EXCEEDED`.
    async fn save_annotations(
        &self,
        ctx: &Context<'_>,
        input: SaveAnnotationsInput,
    ) -> Result<SaveAnnotationsPayload, ApiError> {
        let viewer = ctx.viewer()?;
        let edits = input.edits.into_iter().enumerate();
        let edits = edits.map(|(index, edit)| edit.parse(&format!("edits[{index}]")));
        let save = SaveAnnotations {
            session: id("sessionId", &input.session_id)?,
            fence: input.fence,
            edits: edits.collect::<Result<_, _>>()?,
        };
        let saved = annotation::save(ctx.app(), viewer, save).await?;
        let results = saved.results.into_iter().map(EditResult::from).collect();
        Ok(SaveAnnotationsPayload { results, task: Task(saved.task) })
    }
}
