//! Deciding conflicts, going back to snapshots.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use serde_json::Value;

use super::annotation::EditResult;
use crate::{
    graphql::{
        context::{Ctx, id},
        error::ApiError,
        types::{
            annotation::Annotation, conflict::Conflict, geometry::GeometryInput, scalars::VersionVector, task::Task,
            words::ConflictChoice,
        },
    },
    service::{
        conflict::{self, MergedContent, ResolveConflict},
        snapshot,
    },
};

#[derive(Default)]
pub(super) struct ConflictMutation;

/// A decision about a conflict.
#[derive(InputObject)]
struct ResolveConflictInput {
    /// The conflict.
    conflict_id: ID,
    /// The annotation's `versionVector` as you saw it.
    base: VersionVector,
    /// CURRENT keeps what is there, INCOMING puts the edit's fields over it, MERGED the fields of `merged`.
    choice: ConflictChoice,
    /// With MERGED, and only then.
    merged: Option<ResolvedContentInput>,
}

/// Fields to put over the current state; a field left out stays as it is.
#[derive(InputObject)]
struct ResolvedContentInput {
    /// One of the tool's labels.
    label: Option<String>,
    /// Where it is.
    geometry: Option<GeometryInput>,
    /// A JSON object of changed attributes; null removes one.
    attributes: Option<Value>,
    /// Whether it is deleted.
    deleted: Option<bool>,
}

/// The conflict, decided.
#[derive(SimpleObject)]
struct ResolveConflictPayload {
    /// The conflict now.
    conflict: Conflict,
    /// The annotation now.
    annotation: Annotation,
}

/// Goes back to a snapshot.
#[derive(InputObject)]
struct RestoreSnapshotInput {
    /// A snapshot of your session's slot.
    snapshot_id: ID,
    /// Your labeling session, or your session of a review.
    session_id: ID,
    /// The session's fence.
    fence: i32,
}

/// What going back took.
#[derive(SimpleObject)]
struct RestoreSnapshotPayload {
    /// The task now.
    task: Task,
    /// The edits it took, in order, as if you had saved them; none when there was nothing to do.
    results: Vec<EditResult>,
}

#[Object]
impl ConflictMutation {
    /// Decides a conflict: the annotation has one new revision, made by the server for you. While the slot is LEASED that is
    /// for who holds it or works in it with the holder, once it is handed in for reviewers who did not work on the task.
    /// Sent again it gives the same answer. Codes: `NOT_FOUND`, `FORBIDDEN`, `STALE` (`extensions.annotation` is the current
    /// state), `FUTURE_VERSION`, `INVALID_TRANSITION` (decided otherwise, or the slot's work is final), `BAD_USER_INPUT`
    /// (also when the result breaks the template), `LIMIT_EXCEEDED`.
    async fn resolve_conflict(
        &self,
        ctx: &Context<'_>,
        input: ResolveConflictInput,
    ) -> Result<ResolveConflictPayload, ApiError> {
        let merged = input.merged.map(|merged| -> Result<MergedContent, ApiError> {
            Ok(MergedContent {
                label: merged.label,
                geometry: merged.geometry.map(|geometry| geometry.parse("merged.geometry")).transpose()?,
                attributes: merged.attributes,
                deleted: merged.deleted,
            })
        });
        let command = ResolveConflict {
            conflict: id("conflictId", &input.conflict_id)?,
            base: input.base.parse_at("base")?,
            choice: input.choice.into(),
            merged: merged.transpose()?,
        };
        let (conflict, annotation) = conflict::resolve(ctx.app(), ctx.viewer()?, command).await?;
        Ok(ResolveConflictPayload { conflict: Conflict(conflict), annotation: Annotation(annotation) })
    }

    /// Brings a slot back to what a snapshot shows, by ordinary edits of your session: what others do meanwhile merges with
    /// them. What the slot says now is kept as a snapshot first. Codes: `NOT_FOUND`, `FORBIDDEN`, `LEASE_LOST`,
    /// `INVALID_TRANSITION`, `BAD_USER_INPUT`.
    async fn restore_snapshot(
        &self,
        ctx: &Context<'_>,
        input: RestoreSnapshotInput,
    ) -> Result<RestoreSnapshotPayload, ApiError> {
        let (snapshot, session) = (id("snapshotId", &input.snapshot_id)?, id("sessionId", &input.session_id)?);
        let restored = snapshot::restore(ctx.app(), ctx.viewer()?, snapshot, session, input.fence).await?;
        let results = restored.results.into_iter().map(EditResult::from).collect();
        Ok(RestoreSnapshotPayload { task: Task(restored.task), results })
    }
}
