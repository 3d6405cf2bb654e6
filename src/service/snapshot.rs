//! Placeholder.
use crate::{
    domain::{
        ids::{TaskId, UserId},
        words::SnapshotReason,
    },
    repo::{Txn, snapshot::Snapshot},
    service::{App, ServiceError, locked::Locked},
};
pub(crate) async fn take(
    _: &Txn,
    _: &Locked,
    _: i32,
    _: SnapshotReason,
    _: i32,
    _: Option<UserId>,
) -> Result<Snapshot, ServiceError> {
    Ok(Snapshot)
}
pub(crate) async fn must_be_complete(_: &App, _: &Txn, _: &Locked, _: i32) -> Result<(), ServiceError> {
    Ok(())
}
pub(crate) async fn find_of_turn(_: &Txn, _: TaskId, _: i32, _: i32) -> Result<Snapshot, ServiceError> {
    Ok(Snapshot)
}
