//! Snapshots of a slot's work, and whether the work is complete.

use crate::{
    domain::{
        ids::{SnapshotId, UserId},
        words::SnapshotReason,
    },
    repo::{Txn, annotation, snapshot as repo, snapshot::Snapshot},
    service::{App, ServiceError, canvas, locked::Locked},
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
