//! Snapshots of a slot's work: taking one, going back to one; and whether the work is complete.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::{
    domain::{
        ids::{AnnotationId, SessionId, SnapshotId, UserId},
        version_vector::{Dot, VersionVector},
        words::SnapshotReason,
    },
    repo::{
        RepoError, Txn, annotation,
        annotation::Annotation,
        asset::TaskAsset,
        session::Session,
        snapshot as repo,
        snapshot::{Shown, Snapshot},
        task::Task,
    },
    service::{
        App, ServiceError, Viewer,
        annotation::{self as saving, AnnotationEdit, EditAction, EditResult},
        canvas::{self, Canvas, Texts},
        edit_batch::Batch,
        labeling_session, lease,
        locked::Locked,
        secret,
    },
};

/// Keeps what the live annotations of a slot of a locked task are, at the task's version, which has been raised already.
///
/// # Errors
/// [`ServiceError`] of the database.
pub(crate) async fn take(
    txn: &Txn,
    locked: &Locked,
    slot: i32,
    reason: SnapshotReason,
    fence: i32,
    by: Option<UserId>,
) -> Result<Snapshot, ServiceError> {
    let snapshot = Snapshot {
        id: SnapshotId::generate(),
        task: locked.task.id,
        slot,
        project: locked.project.id,
        version: locked.task.version,
        reason,
        by,
        at: locked.now,
        fence,
    };
    repo::take(txn, &snapshot).await?;
    Ok(snapshot)
}

/// Every required tool of the task's template has a live annotation in the slot.
///
/// # Errors
/// [`ServiceError::Incomplete`] names those that have none.
pub(crate) async fn must_be_complete(app: &App, txn: &Txn, locked: &Locked, slot: i32) -> Result<(), ServiceError> {
    let template = canvas::template(app, txn, locked.task.template).await?;
    let required: Vec<&str> =
        template.tools.iter().filter(|tool| tool.required).map(|tool| tool.name.as_str()).collect();
    if required.is_empty() {
        return Ok(());
    }
    let used = annotation::tools_in_use(txn, locked.task.id, slot).await?;
    let unused: Vec<String> =
        required.into_iter().filter(|tool| !used.contains(*tool)).map(|tool| format!("{tool:?}")).collect();
    if unused.is_empty() {
        return Ok(());
    }
    let message = format!("nothing was made yet with what is required: {}", unused.join(", "));
    Err(ServiceError::Incomplete { field: "sessionId".to_owned(), message })
}

/// How often a restore begins anew to read texts it needs.
const ATTEMPTS: usize = 3;

/// What a restore did.
#[derive(Clone, Debug)]
pub struct Restored {
    /// The edits it took, in order; none when the slot says already what the snapshot shows.
    pub results: Vec<EditResult>,
    /// The task now.
    pub task: Task,
}

/// Brings a slot back to what a snapshot of it shows, under the fence of the viewer's session: by ordinary edits on the
/// present state, with an actor of their own, so that what others and the session itself do meanwhile is merged with them
/// as with anybody's. What the slot said in front of it is kept as a snapshot. Repeated with nothing in between, it finds
/// nothing to do.
///
/// # Errors
/// [`ServiceError::NotFound`] when the session is not the viewer's or there is no such snapshot in its slot,
/// [`ServiceError::Forbidden`], [`ServiceError::LeaseLost`], [`ServiceError::Transition`] while the session is PAUSED or the
/// project archived.
#[tracing::instrument(skip_all, fields(user.id = %viewer.user.id, session.id = %session, snapshot.id = %snapshot))]
pub async fn restore(
    app: &App,
    viewer: &Viewer,
    snapshot: SnapshotId,
    session: SessionId,
    fence: i32,
) -> Result<Restored, ServiceError> {
    let mut texts = Texts::new();
    for _ in 0..ATTEMPTS {
        match attempt(app, viewer, snapshot, (session, fence), texts.clone()).await? {
            Ok(restored) => return Ok(restored),
            // Outside the transaction: while it holds its locks, nobody waits for the storage.
            Err(missing) => {
                for asset in missing {
                    texts.insert(asset.id, canvas::text(app, &asset).await?);
                }
            }
        }
    }
    Err(ServiceError::Unavailable("the texts of the task are changing at this moment"))
}

async fn attempt(
    app: &App,
    viewer: &Viewer,
    id: SnapshotId,
    (session, fence): (SessionId, i32),
    texts: Texts,
) -> Result<Result<Restored, Vec<TaskAsset>>, ServiceError> {
    let missing = || ServiceError::not_found("snapshot of the session's slot", "snapshotId");
    let (txn, session, mut locked) = lease::hold(app, viewer, session, fence).await?;
    labeling_session::must_be_active(app, &session).await?;
    lease::renew(&txn, &session, &mut locked).await?;
    let snapshot = repo::find_visible(&txn, viewer.scope(), &[id]).await?.pop().ok_or_else(missing)?;
    if snapshot.task != locked.task.id {
        return Err(missing());
    }
    let shown = repo::payloads(&txn, &[id]).await?.remove(&id).unwrap_or_default();
    let ids: Vec<AnnotationId> = shown.iter().map(Shown::id).collect();
    let (found, live) = annotation::find_for_restoring(&txn, locked.task.id, snapshot.slot, &ids).await?;
    // As a screen of its own: the session's next edits may be under way already, with the numbers they take.
    let screen = Session { actor: secret::actor()?, ..session.clone() };
    let edits = edits(&screen.actor, shown, &found);
    let task = locked.task.clone();
    let canvas = Canvas::of(app, &txn, &task, texts).await?;
    let mut batch = Batch::new(&locked, &screen, canvas, (found, live));
    if !batch.holds(snapshot.slot) {
        return Err(missing());
    }
    let drawn = batch.drawn(&edits);
    let missing = batch.canvas().lay_out(app, &drawn).await;
    if !missing.is_empty() {
        return Ok(Err(missing));
    }
    if !edits.is_empty() {
        take(&txn, &locked, snapshot.slot, SnapshotReason::Restore, session.fence, Some(viewer.user.id)).await?;
    }
    let done = batch.run(edits);
    if !saving::write(&txn, &session, &mut locked, &done).await? {
        return Err(RepoError::NotFound.into());
    }
    txn.commit().await?;
    Ok(Ok(Restored { results: done.results, task: locked.task }))
}

/// What leads from the annotations of a slot to those shown: deletions first, they make room for the others.
fn edits(actor: &str, shown: Vec<Shown>, now: &HashMap<AnnotationId, Annotation>) -> Vec<AnnotationEdit> {
    let kept: HashMap<AnnotationId, Shown> = shown.into_iter().map(|shown| (shown.id(), shown)).collect();
    let mut superfluous: Vec<&Annotation> =
        now.values().filter(|found| !found.state.content.deleted && !kept.contains_key(&found.id)).collect();
    superfluous.sort_unstable_by_key(|found| found.id);
    let delete = |found: &&Annotation| AnnotationEdit {
        id: found.id,
        action: EditAction::Delete { base: found.state.vector.clone() },
    };
    let mut edits: Vec<AnnotationEdit> = superfluous.iter().map(delete).collect();
    let mut kept: Vec<(AnnotationId, Shown)> = kept.into_iter().collect();
    kept.sort_unstable_by_key(|(id, _)| *id);
    for (id, shown) in kept {
        let Some(found) = now.get(&id) else { continue };
        let mut base = found.state.vector.clone();
        if found.state.content.deleted {
            let dot = Dot::after(&base, actor);
            edits.push(AnnotationEdit { id, action: EditAction::Restore { base: base.clone() } });
            base = base.with(&dot);
        }
        edits.extend(update(base, shown, found).map(|action| AnnotationEdit { id, action }));
    }
    edits
}

/// What of an annotation differs from what is shown; none when nothing does.
fn update(base: VersionVector, shown: Shown, found: &Annotation) -> Option<EditAction> {
    let content = &found.state.content;
    let label = Some(shown.label).filter(|label| *label != content.label);
    let geometry = Some(shown.geometry).filter(|geometry| *geometry != content.geometry);
    let gone = content.attributes.keys().filter(|name| !shown.attributes.contains_key(*name));
    let mut attributes: Map<String, Value> = gone.map(|name| (name.clone(), Value::Null)).collect();
    attributes.extend(shown.attributes.into_iter().filter(|(name, value)| content.attributes.get(name) != Some(value)));
    if label.is_none() && geometry.is_none() && attributes.is_empty() {
        return None;
    }
    Some(EditAction::Update { base, label, geometry, attributes: Some(Value::Object(attributes)) })
}
