//! The front beside its claims: told of changes, filled and mended from the database, looked at by operators.

use std::{collections::HashSet, sync::Arc, time::Duration};

use uuid::Uuid;

use super::{
    Changes,
    index::{Extent, Index, Look, Part, Until},
    member,
    memory::Memory,
};
use crate::{
    backend::redis::{Away, Redis},
    domain::{
        ids::{ProjectId, TaskId},
        limits,
    },
    repo::{
        Db, RepoError,
        queue::{self, Position},
    },
    telemetry::Metrics,
};

/// What is known of one project's front, held against the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// How much of the queue it should hold.
    pub extent: Extent,
    /// Slots it holds.
    pub front: usize,
    /// Slots that claims took out and that have not come back.
    pub flight: usize,
    /// Slots that wait and should be there, and are neither in it nor in flight.
    pub missing: usize,
    /// Slots in it that do not wait there.
    pub ghosts: usize,
}

/// The front could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum FrontError {
    /// Redis does not answer.
    #[error(transparent)]
    Redis(#[from] Away),
    /// The database does not.
    #[error(transparent)]
    Database(#[from] RepoError),
}

/// The first slots of every project's queue, in Redis.
#[derive(Debug)]
pub struct Front {
    pub(super) index: Index,
    pub(super) memory: Memory,
    pub(super) metrics: Metrics,
    db: Db,
}

impl Front {
    pub(super) fn new(redis: Redis, db: Db, metrics: Metrics) -> Self {
        Self { index: Index::new(redis), memory: Memory::default(), metrics, db }
    }

    /// Tells it of changes, as the database has them by now.
    pub(super) async fn tell(&self, project: ProjectId, changes: Changes) -> Result<(), FrontError> {
        let Changes { offered, mut forgotten, passed_over, .. } = changes;
        let offered: HashSet<TaskId> = offered.into_iter().collect();
        let tasks: HashSet<TaskId> =
            offered.iter().copied().chain(passed_over.iter().map(|position| position.task)).collect();
        let tasks: Vec<TaskId> = tasks.into_iter().collect();
        let mut waiting = Vec::new();
        for tasks in tasks.chunks(limits::FRONT_BATCH) {
            waiting.extend(queue::waiting(&self.db, project, tasks).await?);
        }
        let known: HashSet<Position> = waiting.iter().copied().collect();
        forgotten.extend(passed_over.iter().filter(|position| !known.contains(position)));
        let looked_at: HashSet<(TaskId, i32)> =
            passed_over.iter().map(|position| (position.task, position.number)).collect();
        // Other slots of a task that was passed over may be in flight for somebody else.
        waiting.retain(|position| {
            offered.contains(&position.task) || looked_at.contains(&(position.task, position.number))
        });
        self.index.forget(project, &forgotten).await?;
        self.index.offer(project, &waiting).await?;
        Ok(())
    }

    /// Looks at the database soon, beside whoever asks.
    pub(super) fn ask_look(self: &Arc<Self>, project: ProjectId) {
        let front = self.clone();
        tokio::spawn(async move {
            if let Err(error) = front.look(project, Duration::ZERO).await {
                tracing::debug!(%project, %error, "the front could not be filled");
            }
        });
    }

    /// Makes the front what the database says: what is missing comes in, what does not wait goes. Whether it looked: not
    /// while another look is under way, nor when one ended less than `pause` ago.
    pub(super) async fn look(&self, project: ProjectId, pause: Duration) -> Result<bool, FrontError> {
        let Some(mark) = self.memory.begin_look(project) else { return Ok(false) };
        let looked = self.look_now(project, pause).await;
        self.memory.end_look(project, Some(mark).filter(|_| matches!(looked, Ok(true))));
        looked
    }

    async fn look_now(&self, project: ProjectId, pause: Duration) -> Result<bool, FrontError> {
        let token = Uuid::new_v4().to_string();
        let look = Look { project, token: &token };
        if !self.index.begin(look, pause).await? {
            return Ok(false);
        }
        // Before the database: what a claim takes out meanwhile is not put in again.
        let front = self.index.front(project).await?;
        let Head { waiting, members, until } = self.head(project).await?;
        let ghosts: Vec<String> = front.iter().filter(|member| !members.contains(*member)).cloned().collect();
        let missing: Vec<Position> =
            waiting.into_iter().filter(|position| !front.contains(&member::write(position))).collect();
        let mut parts = Vec::new();
        for ghosts in ghosts.chunks(limits::FRONT_BATCH) {
            parts.push(Part { ghosts, missing: &[], until: Until::Before, is_last: false });
        }
        for missing in missing.chunks(limits::FRONT_BATCH) {
            let until = missing.last().map_or(Until::Before, |last| Until::Here(*last));
            parts.push(Part { ghosts: &[], missing, until, is_last: false });
        }
        parts.push(Part { ghosts: &[], missing: &[], until, is_last: true });
        for part in &parts {
            if !self.index.mend(look, part).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Looks at every front in use here, unless another process just did, and measures them.
    pub(super) async fn reconcile(&self) -> Result<(), FrontError> {
        let (mut front, mut flight) = (0, 0);
        for project in self.memory.in_use() {
            let pause = if self.memory.is_unsure(project) { Duration::ZERO } else { limits::FRONT_LOOK_PAUSE };
            self.look(project, pause).await?;
            let (in_front, in_flight) = self.index.sizes(project).await?;
            (front, flight) = (front + in_front, flight + in_flight);
        }
        self.metrics.queue_front.set(front);
        self.metrics.queue_flight.set(flight);
        Ok(())
    }

    /// Whether claims of this process take from it: it was told of all that this process changed.
    #[must_use]
    pub fn is_relied_on(&self, project: ProjectId) -> bool {
        self.memory.is_sure(project)
    }

    /// Holds a project's front against the database; changes nothing. What happens meanwhile shows as a difference.
    ///
    /// # Errors
    /// [`FrontError`].
    pub async fn inspect(&self, project: ProjectId) -> Result<Inspection, FrontError> {
        let (front, flight) = (self.index.front(project).await?, self.index.flight(project).await?);
        let (extent, until) = self.index.extent(project).await?;
        let Head { waiting, members, until: walked } = self.head(project).await?;
        let is_expected = |position: &Position| match extent {
            Extent::Unknown => false,
            Extent::Part => until.is_some_and(|until| *position <= until),
            Extent::All => true,
        };
        let is_there = |member: &String| front.contains(member) || flight.contains(member);
        let missing = waiting.iter().filter(|position| is_expected(position) && !is_there(&member::write(position)));
        // Behind what was walked, nobody knows.
        let is_walked = |member: &String| match walked {
            Until::Here(last) => *member <= member::write(&last),
            Until::Before | Until::End => true,
        };
        let ghosts = front.iter().filter(|member| is_walked(member) && !members.contains(*member));
        Ok(Inspection {
            extent,
            front: front.len(),
            flight: flight.len(),
            missing: missing.count(),
            ghosts: ghosts.count(),
        })
    }

    /// Drops a project's front, and fills it from the database. Claims are answered by the database meanwhile.
    ///
    /// # Errors
    /// [`FrontError`].
    pub async fn rebuild(&self, project: ProjectId) -> Result<(), FrontError> {
        self.index.drop_all(project).await?;
        // When another process looks already, it fills the front.
        self.look(project, Duration::ZERO).await?;
        Ok(())
    }

    async fn head(&self, project: ProjectId) -> Result<Head, RepoError> {
        let waiting = queue::head(&self.db, project, limits::FRONT_SLOTS as u64).await?;
        let until = match waiting.last() {
            Some(last) if waiting.len() >= limits::FRONT_SLOTS => Until::Here(*last),
            _ => Until::End,
        };
        Ok(Head { members: waiting.iter().map(member::write).collect(), waiting, until })
    }
}

/// The first part of a queue, as the database has it.
struct Head {
    /// In the queue's order.
    waiting: Vec<Position>,
    /// The same, as they are written.
    members: HashSet<String>,
    /// Up to where it goes.
    until: Until,
}
