//! What this process knows of the indexes it uses: whether claims may rely on them.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::time::Instant;

use crate::{
    domain::{
        ids::{ProjectId, UserId},
        limits,
    },
    repo::queue::Claimer,
};

/// What is remembered of projects and of people.
#[derive(Debug, Default)]
pub(super) struct Memory {
    projects: Mutex<HashMap<ProjectId, Known>>,
    /// For whom a front had nothing, and until when that counts.
    in_vain: Mutex<HashMap<(ProjectId, UserId), Instant>>,
}

#[derive(Debug)]
struct Known {
    used_at: Instant,
    /// Changes of this process that the index has not been told of yet.
    untold: usize,
    /// Changes that it was never told of; it is unsure until a look that began after the last of them.
    lost: u64,
    is_unsure: bool,
    is_looked_at: bool,
}

impl Known {
    fn new(now: Instant) -> Self {
        Self { used_at: now, untold: 0, lost: 0, is_unsure: false, is_looked_at: false }
    }

    fn is_idle(&self, now: Instant) -> bool {
        self.untold == 0 && !self.is_looked_at && now.duration_since(self.used_at) > limits::FRONT_IN_USE
    }
}

impl Memory {
    /// A claim asks for its project. Whether it can rely on the index: it knows all that this process changed.
    pub(super) fn is_sure(&self, project: ProjectId) -> bool {
        self.of(project, |known| {
            known.used_at = Instant::now();
            known.untold == 0 && !known.is_unsure
        })
    }

    /// Whether a change was lost, and a look has to say what there is.
    pub(super) fn is_unsure(&self, project: ProjectId) -> bool {
        self.of(project, |known| known.is_unsure)
    }

    /// A change waits to be told.
    pub(super) fn waits(&self, project: ProjectId) {
        self.of(project, |known| (known.used_at, known.untold) = (Instant::now(), known.untold + 1));
    }

    /// So many of them have been told, or lost.
    pub(super) fn told(&self, project: ProjectId, changes: usize) {
        self.of(project, |known| known.untold = known.untold.saturating_sub(changes));
    }

    /// A change was lost.
    pub(super) fn lose(&self, project: ProjectId) {
        self.of(project, |known| (known.lost, known.is_unsure) = (known.lost + 1, true));
    }

    /// A look begins here, unless one is under way; gives what to say when it found all.
    pub(super) fn begin_look(&self, project: ProjectId) -> Option<u64> {
        self.of(project, |known| (!std::mem::replace(&mut known.is_looked_at, true)).then_some(known.lost))
    }

    /// It ended; with what it was given at its beginning when it found all there is.
    pub(super) fn end_look(&self, project: ProjectId, found: Option<u64>) {
        self.of(project, |known| {
            known.is_looked_at = false;
            known.is_unsure &= found != Some(known.lost);
        });
    }

    /// The projects in use here; the others are forgotten.
    pub(super) fn in_use(&self) -> Vec<ProjectId> {
        let now = Instant::now();
        let mut projects = self.projects();
        projects.retain(|_, known| !known.is_idle(now));
        projects.keys().copied().collect()
    }

    /// Whether a front had nothing for this person a moment ago.
    pub(super) fn asks_in_vain(&self, claimer: Claimer) -> bool {
        let until = self.in_vain().get(&(claimer.project, claimer.user)).copied();
        until.is_some_and(|until| until > Instant::now())
    }

    /// A front has nothing for this person.
    pub(super) fn asked_in_vain(&self, claimer: Claimer) {
        let mut in_vain = self.in_vain();
        if in_vain.len() >= limits::FRONT_IN_VAIN_PEOPLE {
            in_vain.clear();
        }
        in_vain.insert((claimer.project, claimer.user), Instant::now() + limits::FRONT_IN_VAIN);
    }

    fn of<T>(&self, project: ProjectId, change: impl FnOnce(&mut Known) -> T) -> T {
        change(self.projects().entry(project).or_insert_with(|| Known::new(Instant::now())))
    }

    fn projects(&self) -> MutexGuard<'_, HashMap<ProjectId, Known>> {
        self.projects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn in_vain(&self) -> MutexGuard<'_, HashMap<(ProjectId, UserId), Instant>> {
        self.in_vain.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_relied_on_while_it_knows_all() {
        let (memory, project) = (Memory::default(), ProjectId::generate());
        assert!(memory.is_sure(project));
        memory.waits(project);
        memory.waits(project);
        memory.told(project, 1);
        assert!(!memory.is_sure(project), "one is still to be told");
        memory.told(project, 1);
        assert!(memory.is_sure(project));
        memory.lose(project);
        let mark = memory.begin_look(project);
        assert_eq!((mark, memory.begin_look(project)), (Some(1), None), "one look at a time");
        memory.lose(project);
        memory.end_look(project, mark);
        assert!(!memory.is_sure(project), "the second was lost after the look began");
        let mark = memory.begin_look(project);
        memory.end_look(project, None);
        assert!(!memory.is_sure(project), "it did not find all");
        memory.begin_look(project);
        memory.end_look(project, mark);
        assert!(memory.is_sure(project));
    }

    #[tokio::test]
    async fn what_is_remembered_is_of_one_project_and_one_person() {
        let (memory, project) = (Memory::default(), ProjectId::generate());
        let claimer = Claimer { project, overlaps: true, user: UserId::generate(), lease_seconds: 900 };
        memory.lose(project);
        memory.asked_in_vain(claimer);
        assert_eq!((memory.is_unsure(project), memory.asks_in_vain(claimer)), (true, true));
        assert_eq!(memory.in_use(), [project]);
        let other = Claimer { user: UserId::generate(), ..claimer };
        assert!(!memory.asks_in_vain(other));
        let elsewhere = Claimer { project: ProjectId::generate(), ..claimer };
        assert!(!memory.asks_in_vain(elsewhere) && memory.is_sure(elsewhere.project));
    }
}
