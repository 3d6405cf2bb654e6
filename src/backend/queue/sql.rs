//! The queue as the database itself: a walk along the partial index of free slots, one statement that also leases.

use super::ClaimQueue;
use crate::repo::{
    RepoError, Txn,
    queue::{self, Claimer, Held, Leased, Place},
};

/// The body that is always right: the default, and what an index falls back on.
#[derive(Clone, Copy, Debug, Default)]
pub struct SqlQueue;

#[async_trait::async_trait]
impl ClaimQueue for SqlQueue {
    async fn take(&self, txn: &Txn, claimer: Claimer) -> Result<Option<Leased>, RepoError> {
        for place in [Place::Queue, Place::Again] {
            if let Some(leased) = queue::lease(txn, claimer, place, Held::Skip).await? {
                return Ok(Some(leased));
            }
        }
        if queue::is_empty(txn, claimer.project).await? {
            return Ok(None);
        }
        // What is left may have been passed over: nobody is told that there is nothing while somebody else saves.
        queue::lease(txn, claimer, Place::Again, Held::Wait).await
    }
}
