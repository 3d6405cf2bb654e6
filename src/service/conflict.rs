//! Conflicts: what people decide about edits that could not be applied.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Value, json};

use crate::{
    domain::{
        counter::Counter,
        edit::{Content, EditHash, Field, Patch, Rejection},
        ids::{ConflictId, ProjectId},
        limits,
        merge::{self, Decision},
        page::{Page, Slice},
        permission::Action,
        version_vector::VersionVector,
        words::{ConflictChoice, ConflictState, ErrorCode, EventType, SessionRole, SlotState, TaskState},
    },
    kind::Geometry,
    live::Changes,
    repo::{
        RepoError, Txn, annotation as annotation_repo,
        annotation::Annotation,
        asset::TaskAsset,
        conflict::{self as repo, Conflict, OpenIn, Resolution},
        label, queue,
        revision::{self, EditName, Revision},
        session, task as task_repo,
    },
    service::{
        App, ServiceError, Viewer,
        canvas::{self, Canvas, Texts},
        edit_batch::object,
        locked::{self, Locked},
        project,
        validate::{self, must},
    },
};

/// How often a decision begins anew to read texts it needs.
const ATTEMPTS: usize = 3;

/// A person's decision about a conflict.
#[derive(Clone, Debug)]
pub struct ResolveConflict {
    /// The conflict.
    pub conflict: ConflictId,
    /// The annotation's vector as the person saw it.
    pub base: VersionVector,
    /// How.
    pub choice: ConflictChoice,
    /// What the annotation is to say; with MERGED only.
    pub merged: Option<MergedContent>,
}

/// Fields to put over the current state.
#[derive(Clone, Debug, PartialEq)]
pub struct MergedContent {
    /// What it is called.
    pub label: Option<String>,
    /// Where it is.
    pub geometry: Option<Geometry>,
    /// Attributes to set, by name; null removes one.
    pub attributes: Option<Value>,
    /// Whether it is deleted.
    pub deleted: Option<bool>,
}

/// Decides a conflict: one new revision of the annotation, made by the server on behalf of the viewer. The same decision
/// repeated gives the same answer.
///
/// # Errors
/// [`ServiceError::NotFound`], [`ServiceError::Forbidden`], [`ServiceError::Outdated`] when the base is not the annotation's
/// vector any more, [`ServiceError::Transition`] when it was decided otherwise, nobody is there to decide, or the task or the
/// project is archived, [`ServiceError::Rejected`] when the base has seen more than there is, the result breaks the
/// template, or one more live annotation is too many.
#[tracing::instrument(skip_all, fields(user.id = %viewer.user.id, conflict.id = %command.conflict))]
pub async fn resolve(
    app: &App,
    viewer: &Viewer,
    command: ResolveConflict,
) -> Result<(Conflict, Annotation), ServiceError> {
    let decision = decision(&command)?;
    let mut texts = Texts::new();
    for _ in 0..ATTEMPTS {
        match attempt(app, viewer, &command, &decision, texts.clone()).await? {
            Attempt::Done(done) => return Ok(*done),
            // Outside the transaction: while it holds its locks, nobody waits for the storage.
            Attempt::Missing(assets) => {
                for asset in assets {
                    texts.insert(asset.id, canvas::text(app, &asset).await?);
                }
            }
        }
    }
    Err(ServiceError::Unavailable("the texts of the task are changing at this moment"))
}

enum Attempt {
    Done(Box<(Conflict, Annotation)>),
    /// These texts have to be read first.
    Missing(Vec<TaskAsset>),
}

/// What was asked for, where that makes sense.
fn decision(command: &ResolveConflict) -> Result<Decision<Geometry>, ServiceError> {
    match (command.choice, &command.merged) {
        (ConflictChoice::Current, None) => Ok(Decision::Current),
        (ConflictChoice::Incoming, None) => Ok(Decision::Incoming),
        (ConflictChoice::Merged, Some(merged)) => {
            let MergedContent { label, geometry, attributes, deleted } = merged.clone();
            let attributes = attributes.map(object).transpose().map_err(at_merged)?.unwrap_or_default();
            let patch = Patch { label, geometry: geometry.map(Geometry::canonical), attributes, deleted };
            if patch.is_empty() {
                return Err(ServiceError::invalid("merged", "give something: label, geometry, attributes or deleted"));
            }
            Ok(Decision::Merged(patch))
        }
        (ConflictChoice::Merged, None) => Err(ServiceError::invalid("merged", "must be given with MERGED")),
        (ConflictChoice::Current | ConflictChoice::Incoming, Some(_)) => {
            Err(ServiceError::invalid("merged", "must be given with MERGED only"))
        }
    }
}

fn at_merged(mut rejection: Rejection) -> ServiceError {
    rejection.field = format!("merged.{}", rejection.field);
    ServiceError::Rejected(rejection)
}

async fn attempt(
    app: &App,
    viewer: &Viewer,
    command: &ResolveConflict,
    decision: &Decision<Geometry>,
    texts: Texts,
) -> Result<Attempt, ServiceError> {
    let missing = || ServiceError::not_found("conflict", "conflictId");
    let txn = app.db.begin().await?;
    let task = repo::task_of(&txn, viewer.scope(), command.conflict).await?.ok_or_else(missing)?;
    let mut locked = Locked::task(&txn, viewer, task, "conflictId").await?;
    // Read under the lock, with whatever was decided meanwhile.
    let found = repo::find_visible(&txn, viewer.scope(), &[command.conflict]).await?.pop();
    let mut conflict = found.ok_or_else(missing)?;
    let (mut found, live) = annotation_repo::find_for_saving(&txn, task, &[conflict.annotation]).await?;
    let mut annotation = found.remove(&conflict.annotation).ok_or(RepoError::NotFound)?;
    let hash = EditHash::of(&json!({ "resolve": {
        "conflict": conflict.id.to_string(), "choice": command.choice, "merged": match decision {
            Decision::Merged(patch) => Some(patch),
            Decision::Current | Decision::Incoming => None,
        },
    } }));
    if let Some(resolution) = &conflict.resolution
        && resolution.by == viewer.user.id
        && was_made(&txn, &annotation, resolution, hash).await?
    {
        return Ok(Attempt::Done(Box::new((conflict, annotation))));
    }
    validate::must_be_open(&locked.project, "conflictId")?;
    let joined_under = must_decide_in(&txn, viewer, &locked, conflict.slot).await?;
    if command.base < annotation.state.vector {
        return Err(ServiceError::Outdated { field: "base", current: Box::new(annotation) });
    }
    if let Some(resolution) = &conflict.resolution {
        let message = format!("the conflict was resolved already, as {}", resolution.choice);
        return Err(ServiceError::transition("conflictId", message));
    }

    let patch = decision.patch(&conflict.sibling.patch);
    let before = annotation.state.content.clone();
    let locked_task = locked.task.clone();
    let mut canvas = Canvas::of(app, &txn, &locked_task, texts).await?;
    let drawn: HashSet<_> = annotation.asset.map(|asset| (annotation.kind, asset)).into_iter().collect();
    let missing = canvas.lay_out(app, &drawn).await;
    if !missing.is_empty() {
        return Ok(Attempt::Missing(missing));
    }
    let tool = canvas.tool(&annotation.tool).ok_or(RepoError::NotFound)?;
    if let Decision::Merged(patch) = decision {
        Canvas::must_have_attributes(tool, &patch.attributes).map_err(at_merged)?;
    }
    let check = |content: &Content<Geometry>| canvas.check(tool, annotation.asset, content, true);
    let has_room = live < limits::TASK_ANNOTATIONS;
    let resolved = merge::resolve(&mut annotation.state, &command.base, &patch, has_room, check);
    let (_, changed) = resolved.map_err(|rejection| match (rejection.code, decision) {
        (ErrorCode::BadUserInput, Decision::Merged(_)) => at_merged(rejection),
        (ErrorCode::BadUserInput, _) => ServiceError::Rejected(Rejection { field: "choice".to_owned(), ..rejection }),
        _ => ServiceError::Rejected(rejection),
    })?;
    let (by, now) = (viewer.user.id, locked.now);
    annotation.updated_at = now;
    if !changed.is_empty() {
        annotation.last_edited_by = by;
    }
    conflict.resolution = Some(Box::new(Resolution {
        by,
        at: now,
        choice: command.choice,
        incoming: before.clone().with(conflict.sibling.patch.clone()),
        current: before.clone(),
        revision: annotation.state.revision,
    }));
    if let Some(fence) = joined_under {
        session::note_decision(&txn, &locked.task, by, fence).await?;
    }
    write(&txn, &mut locked, &conflict, &annotation, &before, (hash, &changed), viewer).await?;
    txn.commit().await?;
    app.metrics.conflicts_resolved.with_label_values(&[&command.choice.as_str().to_lowercase()]).inc();
    Ok(Attempt::Done(Box::new((conflict, annotation))))
}

/// Whether the decision that was made is this very one.
async fn was_made(
    txn: &Txn,
    annotation: &Annotation,
    resolution: &Resolution,
    hash: EditHash,
) -> Result<bool, ServiceError> {
    let name = EditName::Revision(annotation.id, resolution.revision);
    let known = revision::find_known(txn, &HashSet::from([name.clone()])).await?;
    Ok(known.get(&name).is_some_and(|known| known.hash == hash))
}

/// Writes a decision: the annotation with its revision, the conflict, the counts, the events.
async fn write(
    txn: &Txn,
    locked: &mut Locked,
    conflict: &Conflict,
    annotation: &Annotation,
    before: &Content<Geometry>,
    (hash, changed): (EditHash, &[Field]),
    viewer: &Viewer,
) -> Result<(), ServiceError> {
    let (task, by) = (&mut locked.task, Some(viewer.user.id));
    (task.version, task.updated_at) = (task.version + 1, locked.now);
    task.open_conflicts -= 1;
    let revision = Revision::of_server(annotation.id, &annotation.state, hash, changed, by, locked.now);
    let revision = Revision { conflict: Some(conflict.id), ..revision };
    annotation_repo::write_all(txn, &[annotation]).await?;
    revision::insert(txn, std::slice::from_ref(&revision)).await?;
    repo::write_all(txn, &[conflict]).await?;
    let mut labels = BTreeMap::new();
    for (content, moves) in [(before, -1), (&annotation.state.content, 1)] {
        if !content.deleted {
            *labels.entry(content.label.clone()).or_default() += moves;
        }
    }
    label::move_of_task(txn, task.project, task.id, &labels).await?;
    task_repo::write_version(txn, task).await?;
    let mut changes = Changes::new(task.project, by);
    let saved =
        if annotation.state.content.deleted { EventType::AnnotationDeleted } else { EventType::AnnotationSaved };
    changes.task(saved, task, locked::saved_payload(annotation, &revision));
    changes.task(EventType::ConflictResolved, task, locked::conflict_payload(conflict));
    changes.count(task.stream, Counter::OpenConflicts, -1);
    Ok(changes.append(txn).await?)
}

/// The viewer may decide what is in this slot: who holds it, or works in it with the holder; once it is handed in or
/// skipped, a reviewer who did not work on the task. Gives the fence under which the viewer joined.
async fn must_decide_in(txn: &Txn, viewer: &Viewer, locked: &Locked, number: i32) -> Result<Option<i32>, ServiceError> {
    if locked.task.state == TaskState::Archived {
        return Err(ServiceError::transition("conflictId", "the task is ARCHIVED; nothing in it changes"));
    }
    let slot = locked.slots.iter().find(|slot| slot.number == number).ok_or(RepoError::NotFound)?;
    match slot.state {
        SlotState::Leased => {
            must(locked.standing, Action::Label)?;
            let (task, user, fence) = (locked.task.id, viewer.user.id, slot.lease_epoch);
            if slot.holder == Some(user) {
                return Ok(None);
            }
            if session::count_of_fence(txn, task, user, SessionRole::Collaborator, fence).await? > 0 {
                return Ok(Some(fence));
            }
            Err(ServiceError::Forbidden("who holds the slot decides its conflicts"))
        }
        SlotState::Submitted | SlotState::Skipped => {
            must(locked.standing, Action::Review)?;
            if queue::has_worked(txn, locked.task.id, viewer.user.id).await? {
                return Err(ServiceError::Forbidden("you worked on the task in this round; another reviewer decides"));
            }
            Ok(None)
        }
        SlotState::Free | SlotState::Accepted | SlotState::Rejected => {
            let message = format!("the slot is {}; its holder or its reviewer decides", slot.state);
            Err(ServiceError::transition("conflictId", message))
        }
    }
}

/// No conflict is open in the slots that are to be closed.
///
/// # Errors
/// [`ServiceError::ConflictOpen`] says how many there are.
pub(crate) async fn must_be_resolved(
    txn: &Txn,
    locked: &Locked,
    slots: &[i32],
    counts: impl Fn(OpenIn) -> i64,
) -> Result<(), ServiceError> {
    if locked.task.open_conflicts == 0 {
        return Ok(());
    }
    let open = repo::count_open(txn, locked.task.id).await?;
    let waiting: i64 = slots.iter().filter_map(|slot| open.get(slot).copied()).map(counts).sum();
    if waiting == 0 { Ok(()) } else { Err(ServiceError::ConflictOpen { waiting }) }
}

/// A page of the conflicts of a project that the viewer may see.
///
/// # Errors
/// [`ServiceError::NotFound`] when the viewer does not see the project.
pub async fn page(
    app: &App,
    viewer: &Viewer,
    project: ProjectId,
    state: Option<ConflictState>,
    page: &Page<uuid::Uuid>,
) -> Result<Slice<Conflict>, ServiceError> {
    let (project, _) = project::get(app, viewer, project).await?;
    Ok(repo::page(&app.db, viewer.scope(), project.id, state, page).await?)
}
