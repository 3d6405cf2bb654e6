//! The queue with its front in Redis: the first slots of each project, from which a claim takes one without walking the
//! database's index. The database leases it all the same, and answers alone whenever the front is empty, unsure or away.
//!
//! A slot that a claim takes out is in flight: away from others, until it is forgotten after the commit, given back, or
//! time brings it back. Nothing here holds anybody up: changes are told to Redis beside the requests, and while this
//! process has one to tell, its claims ask the database.

mod front;
mod index;
mod member;
mod memory;

use std::{collections::BTreeMap, sync::Arc};

pub use front::{Front, FrontError, Inspection};
pub use index::Extent;
use tokio::sync::mpsc;

use super::{ClaimQueue, SqlQueue};
use crate::{
    backend::redis::Redis,
    domain::{
        ids::{ProjectId, TaskId},
        limits,
    },
    repo::{
        Db, RepoError, Txn,
        queue::{self, Claimer, Leased, Position},
    },
    telemetry::Metrics,
};

/// The body over Redis.
#[derive(Debug)]
pub struct RedisQueue {
    front: Arc<Front>,
    changes: mpsc::Sender<(ProjectId, Change)>,
}

/// What the index has to be told.
#[derive(Debug)]
enum Change {
    /// Slots of these tasks may wait, or wait elsewhere.
    Offered(Vec<TaskId>),
    /// A slot waits here no longer.
    Forgotten(Position),
    /// Slots that a claim took out and passed over: why, the database knows.
    PassedOver(Vec<Position>),
}

impl RedisQueue {
    /// Over the index in `redis` of what waits in `db`. Has to be called where tasks can be spawned.
    #[must_use]
    pub fn new(redis: Redis, db: Db, metrics: Metrics) -> Self {
        let (changes, told) = mpsc::channel(limits::FRONT_CHANGES);
        let front = Arc::new(Front::new(redis, db, metrics));
        tokio::spawn(tell(front.clone(), told));
        Self { front, changes }
    }

    /// Has the index told of a change; until it is, claims here do not rely on it.
    fn tell(&self, project: ProjectId, change: Change) {
        self.front.memory.waits(project);
        if self.changes.try_send((project, change)).is_err() {
            self.front.memory.lose(project);
            self.front.memory.told(project, 1);
        }
    }

    /// The first of the front's slots that the person may hold; none when there is none, or nobody knows.
    async fn take_from_front(&self, txn: &Txn, claimer: Claimer) -> Result<Option<Leased>, RepoError> {
        let Front { index, memory, .. } = &*self.front;
        if !memory.is_sure(claimer.project) {
            if memory.is_unsure(claimer.project) {
                self.front.ask_look(claimer.project);
            }
            return Ok(None);
        }
        if memory.asks_in_vain(claimer) {
            return Ok(None);
        }
        let first_look = if claimer.overlaps { limits::FRONT_FIRST_LOOK } else { 1 };
        for slots in [first_look, limits::FRONT_LOOKED_AT - first_look] {
            let Ok(taken) = index.take(claimer.project, slots).await else { return Ok(None) };
            if taken.as_ref().is_none_or(|taken| taken.is_part && taken.left < limits::FRONT_LOW) {
                self.front.ask_look(claimer.project);
            }
            let Some(positions) = taken.map(|taken| taken.positions).filter(|positions| !positions.is_empty()) else {
                return Ok(None);
            };
            if let Some(leased) = self.lease_of(txn, claimer, &positions, slots).await? {
                return Ok(Some(leased));
            }
        }
        memory.asked_in_vain(claimer);
        Ok(None)
    }

    /// Leases the first of these slots that the person may hold, and gives the others back.
    async fn lease_of(
        &self,
        txn: &Txn,
        claimer: Claimer,
        positions: &[Position],
        slots: usize,
    ) -> Result<Option<Leased>, RepoError> {
        // Always as many, so that the database meets the same few statements.
        let last = positions.last().copied();
        let padded: Vec<Position> = positions.iter().copied().chain(last.into_iter().cycle()).take(slots).collect();
        let leased = queue::lease_of(txn, claimer, &padded).await?;
        let is_leased = |position: &Position| {
            leased
                .as_ref()
                .is_some_and(|Leased { slot, .. }| (slot.task, slot.number) == (position.task, position.number))
        };
        let reached = positions.iter().position(is_leased).unwrap_or(positions.len());
        let (passed_over, left) = positions.split_at(reached);
        // At once: whoever claims next is to find them in their places. Without an answer, time brings them back.
        if let Some(left) = left.get(1..).filter(|left| !left.is_empty()) {
            let _ = self.front.index.offer(claimer.project, left).await;
        }
        if !passed_over.is_empty() {
            self.tell(claimer.project, Change::PassedOver(passed_over.to_vec()));
        }
        Ok(leased)
    }
}

#[async_trait::async_trait]
impl ClaimQueue for RedisQueue {
    async fn take(&self, txn: &Txn, claimer: Claimer) -> Result<Option<Leased>, RepoError> {
        let found = |by: &str| self.front.metrics.queue_found.with_label_values(&[by]).inc();
        if let Some(leased) = self.take_from_front(txn, claimer).await? {
            found("front");
            return Ok(Some(leased));
        }
        let leased = SqlQueue.take(txn, claimer).await?;
        if leased.is_some() {
            found("sql");
        }
        Ok(leased)
    }

    fn offer(&self, project: ProjectId, tasks: Vec<TaskId>) {
        self.tell(project, Change::Offered(tasks));
    }

    fn forget(&self, project: ProjectId, position: Position) {
        // One that is lost stays as a ghost.
        let _ = self.changes.try_send((project, Change::Forgotten(position)));
    }

    async fn reconcile(&self) -> Result<(), RepoError> {
        match self.front.reconcile().await {
            Err(FrontError::Database(error)) => Err(error),
            // The database answers meanwhile.
            Ok(()) | Err(FrontError::Redis(_)) => Ok(()),
        }
    }

    fn front(&self) -> Option<&Front> {
        Some(&self.front)
    }
}

/// Changes in one project, of which the index is told together.
#[derive(Debug, Default)]
struct Changes {
    offered: Vec<TaskId>,
    forgotten: Vec<Position>,
    passed_over: Vec<Position>,
    /// How many were waited for.
    awaited: usize,
}

impl Changes {
    fn add(&mut self, change: Change) {
        self.awaited += usize::from(!matches!(change, Change::Forgotten(_)));
        match change {
            Change::Offered(tasks) => self.offered.extend(tasks),
            Change::Forgotten(position) => self.forgotten.push(position),
            Change::PassedOver(positions) => self.passed_over.extend(positions),
        }
    }
}

/// Tells the index of changes, until nobody makes any more.
async fn tell(front: Arc<Front>, mut told: mpsc::Receiver<(ProjectId, Change)>) {
    let mut some = Vec::new();
    while told.recv_many(&mut some, limits::FRONT_BATCH).await > 0 {
        let mut projects: BTreeMap<ProjectId, Changes> = BTreeMap::new();
        for (project, change) in some.drain(..) {
            projects.entry(project).or_default().add(change);
        }
        for (project, changes) in projects {
            let awaited = changes.awaited;
            if let Err(error) = front.tell(project, changes).await {
                tracing::debug!(%project, %error, "the front was not told of a change");
                if awaited > 0 {
                    front.memory.lose(project);
                }
            }
            front.memory.told(project, awaited);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{backend::servers::redis::shared, config::RedisAddress, repo::Connect};

    #[tokio::test]
    async fn claims_do_not_rely_on_the_front_before_it_is_told() {
        let redis = Redis::new(&RedisAddress::parse(&shared().url()).unwrap()).unwrap();
        let db = Db::connect(&Connect { url: "sqlite::memory:".to_owned(), max_connections: 1, pooled: false })
            .await
            .unwrap();
        let queue = RedisQueue::new(redis, db, Metrics::new().unwrap());
        let project = ProjectId::generate();
        let position = Position { priority: 0, queue_number: 0, task: TaskId::generate(), number: 1 };
        queue.forget(project, position);
        assert!(queue.front.is_relied_on(project), "a ghost does no harm");
        // Nobody else has a turn before the next await.
        queue.offer(project, vec![position.task]);
        assert!(!queue.front.is_relied_on(project));
        for _ in 0..=limits::FRONT_CHANGES {
            queue.offer(project, Vec::new());
        }
        assert!(queue.front.memory.is_unsure(project), "there was no room for some");
    }
}
