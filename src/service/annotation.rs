//! Saving annotations: a batch of edits in one transaction, each with its own outcome.

use std::{collections::HashMap, time::Instant};

pub use crate::service::edit_batch::{AnnotationEdit, EditAction, EditResult, NewAnnotation};
use crate::{
    backend::presence::Selection,
    domain::{
        counter::Counter,
        ids::{AnnotationId, SessionId},
        limits,
        words::{EditOutcome, EventType, Kind},
    },
    live::Changes,
    repo::{
        Txn, annotation as repo, annotation::Annotation, asset::TaskAsset, conflict, label, revision, session,
        session::Session, task as task_repo, task::Task,
    },
    service::{
        App, ServiceError, Viewer,
        canvas::{self, Canvas, Texts},
        edit_batch::{Accepted, Background, Batch, Done},
        labeling_session, lease,
        locked::{self, Locked},
        presence, validate,
    },
};

/// How often a save begins anew: once for the texts it needs, and when ids it makes are made elsewhere at that moment.
const ATTEMPTS: usize = 4;

/// Edits to save, as they were sent.
#[derive(Clone, Debug)]
pub struct SaveAnnotations {
    /// Under which session of the viewer's.
    pub session: SessionId,
    /// The session's fence.
    pub fence: i32,
    /// The edits, in order.
    pub edits: Vec<AnnotationEdit>,
}

/// What a save did.
#[derive(Clone, Debug)]
pub struct Saved {
    /// What became of each edit, in order.
    pub results: Vec<EditResult>,
    /// The task now.
    pub task: Task,
}

/// Saves edits under the fence of the viewer's session. A fault of one edit is that edit's result; the others go on. Edits
/// that come when the fence holds no more are late: kept as conflicts, as long as the slot's work goes on.
///
/// # Errors
/// [`ServiceError::NotFound`] when the session is not the viewer's, [`ServiceError::Forbidden`],
/// [`ServiceError::LeaseLost`] for another fence than the session's, [`ServiceError::Transition`] while the session is
/// PAUSED or the project archived, [`ServiceError::Invalid`] and
/// [`ServiceError::LimitExceeded`] for the number of edits.
#[tracing::instrument(skip_all, fields(user.id = %viewer.user.id, session.id = %save.session))]
pub async fn save(app: &App, viewer: &Viewer, save: SaveAnnotations) -> Result<Saved, ServiceError> {
    let asked_at = Instant::now();
    validate::count("edits", save.edits.len(), limits::EDITS, "edits")?;
    let kinds: Vec<Kind> = save.edits.iter().filter_map(|edit| edit.action.kind()).collect();
    let saved = save_in_attempts(app, viewer, save).await;
    match &saved {
        Ok(saved) => {
            app.metrics.task_latency.with_label_values(&["saved"]).observe(asked_at.elapsed().as_secs_f64());
            for result in &saved.results {
                let outcome = result.outcome.as_str().to_lowercase();
                let outcome = if result.repeated { "repeated" } else { &outcome };
                app.metrics.edits.with_label_values(&[outcome]).inc();
            }
            // What is sent again was counted before.
            for result in saved.results.iter().filter(|result| !result.repeated) {
                if let Some(kind) = result.kind {
                    count(app, kind, result.outcome != EditOutcome::Rejected);
                }
            }
        }
        Err(_) => kinds.into_iter().for_each(|kind| count(app, kind, false)),
    }
    saved
}

fn count(app: &App, kind: Kind, succeeded: bool) {
    let kind = kind.as_str().to_lowercase();
    for status in ["started", if succeeded { "succeeded" } else { "failed" }] {
        app.metrics.annotation_throughput.with_label_values(&[kind.as_str(), status]).inc();
    }
}

async fn save_in_attempts(app: &App, viewer: &Viewer, save: SaveAnnotations) -> Result<Saved, ServiceError> {
    let mut texts = Texts::new();
    for _ in 0..ATTEMPTS {
        match attempt(app, viewer, &save, texts.clone()).await? {
            Attempt::Done(saved) => return Ok(*saved),
            // Outside the transaction: while it holds its locks, nobody waits for the storage.
            Attempt::Missing(assets) => {
                for asset in assets {
                    texts.insert(asset.id, canvas::text(app, &asset).await?);
                }
            }
            Attempt::Raced => {}
        }
    }
    Err(ServiceError::Unavailable("the same ids are being made elsewhere at this moment"))
}

enum Attempt {
    Done(Box<Saved>),
    /// These texts have to be read first.
    Missing(Vec<TaskAsset>),
    /// An id that was free is in use now.
    Raced,
}

async fn attempt(app: &App, viewer: &Viewer, save: &SaveAnnotations, texts: Texts) -> Result<Attempt, ServiceError> {
    let (txn, session, mut locked) = lease::reach(app, viewer, save.session, save.fence).await?;
    if locked.holds(&session) {
        labeling_session::must_be_active(app, &session).await?;
        lease::renew(&txn, &session, &mut locked).await?;
    }

    let ids: Vec<AnnotationId> = save.edits.iter().map(|edit| edit.id).collect();
    let found = repo::find_for_saving(&txn, locked.task.id, &ids).await?;
    let task = locked.task.clone();
    let canvas = Canvas::of(app, &txn, &task, texts).await?;
    let mut batch = Batch::new(&locked, &session, canvas, found);
    let drawn = batch.drawn(&save.edits);
    let missing = batch.canvas().lay_out(app, &drawn).await;
    if !missing.is_empty() {
        return Ok(Attempt::Missing(missing));
    }
    let questions = batch.questions(&save.edits);
    batch.learn(Background {
        known: revision::find_known(&txn, &questions.names).await?,
        past: revision::look_back(&txn, &questions.states, &questions.dots).await?,
        conflicts: match locked.task.open_conflicts {
            0 => HashMap::new(),
            _ => conflict::open_of(&txn, batch.found()).await?,
        },
    });
    let done = batch.run(save.edits.clone());
    if !write(&txn, &session, &mut locked, &done).await? {
        return Ok(Attempt::Raced);
    }
    // Also where nothing was accepted: the lease runs on.
    txn.commit().await?;
    if locked.holds(&session) {
        presence::note(app, &session, Selection::Kept).await;
    }
    for conflict in done.accepted.conflicts.values() {
        app.metrics.conflicts_raised.with_label_values(&[&conflict.sibling.cause.as_str().to_lowercase()]).inc();
    }
    Ok(Attempt::Done(Box::new(Saved { results: done.results, task: locked.task })))
}

/// Writes what a batch has accepted, if anything, and raises the task's version. Whether it could: not, when an id was
/// taken elsewhere in the meantime.
pub(crate) async fn write(
    txn: &Txn,
    session: &Session,
    locked: &mut Locked,
    done: &Done,
) -> Result<bool, ServiceError> {
    let Done { annotations, accepted, .. } = done;
    if accepted.revisions.is_empty() {
        return Ok(true);
    }
    (locked.task.version, locked.task.updated_at) = (locked.task.version + 1, locked.now);
    locked.task.open_conflicts += accepted.raised;
    let changed: Vec<&Annotation> = accepted.changed.iter().filter_map(|id| annotations.get(id)).collect();
    if !repo::write_all(txn, &changed).await? {
        return Ok(false);
    }
    session::note_save(txn, session, locked.task.round, !locked.holds(session)).await?;
    write_about(txn, locked, accepted, annotations).await?;
    Ok(true)
}

/// Writes what goes with changed annotations: their revisions, conflicts, the numbers by label, the task's version, the
/// events.
async fn write_about(
    txn: &Txn,
    locked: &Locked,
    accepted: &Accepted,
    annotations: &HashMap<AnnotationId, Annotation>,
) -> Result<(), ServiceError> {
    let task = &locked.task;
    revision::insert(txn, &accepted.revisions).await?;
    conflict::write_all(txn, &accepted.conflicts.values().collect::<Vec<_>>()).await?;
    label::move_of_task(txn, task.project, task.id, &accepted.labels).await?;
    task_repo::write_version(txn, task).await?;
    let mut changes = Changes::new(task.project, accepted.revisions.first().and_then(|revision| revision.by));
    for revision in &accepted.revisions {
        let Some(annotation) = annotations.get(&revision.annotation) else { continue };
        let is_deleted = revision.content.deleted;
        let event = if is_deleted { EventType::AnnotationDeleted } else { EventType::AnnotationSaved };
        changes.task(event, task, locked::saved_payload(annotation, revision));
    }
    for conflict in accepted.conflicts.values() {
        changes.task(EventType::ConflictRaised, task, locked::conflict_payload(conflict));
    }
    changes.count(task.stream, Counter::OpenConflicts, accepted.raised.into());
    Ok(changes.append(txn).await?)
}
