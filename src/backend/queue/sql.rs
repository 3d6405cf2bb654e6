//! The queue as the database itself: a walk along the partial index of free slots, one statement that also leases.

use super::ClaimQueue;
use crate::repo::{
    RepoError, Txn,
    queue::{self, Claimer, Leased, Place},
};

/// The body that is always right: the default, and what an index falls back on.
#[derive(Clone, Copy, Debug, Default)]
pub struct SqlQueue;

#[async_trait::async_trait]
impl ClaimQueue for SqlQueue {
    async fn take(&self, txn: &Txn, claimer: Claimer) -> Result<Option<Leased>, RepoError> {
        match queue::lease(txn, claimer, Place::Queue).await? {
            None => queue::lease(txn, claimer, Place::Again).await,
            found => Ok(found),
        }
    }
}
