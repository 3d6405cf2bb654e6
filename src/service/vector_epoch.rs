//! Cutting long version vectors: each screen that edits an annotation adds an actor, for ever. When a slot is leased anew
//! every fence from before has ended, so nothing in time is based on what the cut forgets.

use serde_json::json;

use crate::{
    domain::{edit::EditHash, words::EventType},
    live::Changes,
    repo::{
        RepoError, Txn, annotation,
        annotation::Annotation,
        revision::{self, Revision},
        task::Task,
    },
    service::{ServiceError, locked},
};

/// Cuts the long vectors of a slot that was just leased: one revision and one event each, which go to `changes`.
///
/// # Errors
/// [`ServiceError`] of the database.
pub(crate) async fn cut(txn: &Txn, changes: &mut Changes, task: &Task, slot: i32) -> Result<(), ServiceError> {
    let mut long = annotation::find_to_cut(txn, task.id, slot).await?;
    if long.is_empty() {
        return Ok(());
    }
    let (hash, at) = (EditHash::of(&json!("cut")), task.updated_at);
    for annotation in &mut long {
        annotation.state.cut();
        annotation.updated_at = at;
    }
    let revision = |annotation: &Annotation| {
        Revision::of_server(annotation.id, &annotation.state, hash, &[], (None, annotation.last_edited_by), at)
    };
    let revisions: Vec<Revision> = long.iter().map(revision).collect();
    if !annotation::write_all(txn, &long.iter().collect::<Vec<_>>()).await? {
        return Err(RepoError::NotFound.into());
    }
    revision::insert_many(txn, &revisions).await?;
    for (annotation, revision) in long.iter().zip(&revisions) {
        changes.task(EventType::AnnotationSaved, task, locked::saved_payload(annotation, revision));
    }
    Ok(())
}
