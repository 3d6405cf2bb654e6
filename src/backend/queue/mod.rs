//! How a claim finds its slot. The slots are rows of the database; a body only says which one is next.
//!
//! Contract: [`ClaimQueue::take`] leases, inside the claim's transaction and under the task's lock, the first slot in the
//! queue's order (priority descending, then the time at which it began to wait) that the person may hold: one of a task
//! of which they hold, handed in or got accepted no other slot, and which they did not skip in its round. What a person
//! gave back or lost is offered to others first, and to the same person when nothing else is left. Two transactions never
//! get the same slot; a task that another transaction holds right now is passed over: before the claim says that
//! there is nothing, it waits for such a task and asks again. A body that keeps an index holds no truth in it: whatever
//! it says is checked against the row, which repeats that the slot is FREE; and it never says that there is nothing.
//!
//! An index is told of changes after their commit. A claim in the process that made a change sees it at once; claims in
//! other processes keep to the order as of a moment ago, at worst as of the last [`ClaimQueue::reconcile`].

mod redis;
mod sql;

pub use redis::{Extent, Front, FrontError, Inspection, RedisQueue};
pub use sql::SqlQueue;

use crate::{
    domain::ids::{ProjectId, TaskId},
    repo::{
        RepoError, Txn,
        queue::{Claimer, Leased, Position},
    },
};

/// Finds the next slot.
#[async_trait::async_trait]
pub trait ClaimQueue: Send + Sync {
    /// Leases the next slot of the project for the person; none when nothing that waits may be theirs.
    ///
    /// # Errors
    /// [`RepoError`] of the database.
    async fn take(&self, txn: &Txn, claimer: Claimer) -> Result<Option<Leased>, RepoError>;

    /// Slots of these tasks of a project may wait since a commit, or wait at another place. Does not block.
    fn offer(&self, project: ProjectId, tasks: Vec<TaskId>) {
        let _ = (project, tasks);
    }

    /// The slot that waited here was leased by a commit. Does not block.
    fn forget(&self, project: ProjectId, position: Position) {
        let _ = (project, position);
    }

    /// Holds the index, if there is one, against the database, and mends it.
    ///
    /// # Errors
    /// [`RepoError`] of the database.
    async fn reconcile(&self) -> Result<(), RepoError> {
        Ok(())
    }

    /// The index in Redis, if there is one.
    fn front(&self) -> Option<&Front> {
        None
    }
}
