//! Presences in the memory of this process, which is the only one. They are gone when it ends.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, Utc};

use super::{Noted, PresenceError, PresenceStore, Present, Selection};
use crate::domain::{
    ids::{SessionId, TaskId},
    limits,
};

/// The embedded default: at most [`limits::KEPT_PRESENCES`] of all tasks, of which the one silent for longest makes room.
pub struct EmbeddedPresence {
    now: Box<dyn Fn() -> DateTime<Utc> + Send + Sync>,
    kept: Mutex<Kept>,
}

impl EmbeddedPresence {
    /// An empty store that asks `now` for the time.
    #[must_use]
    pub fn new(now: impl Fn() -> DateTime<Utc> + Send + Sync + 'static) -> Self {
        let kept = Kept { most: limits::KEPT_PRESENCES, tasks: HashMap::new(), by_expiry: BTreeSet::new() };
        Self { now: Box::new(now), kept: Mutex::new(kept) }
    }

    /// The time, and what is kept at that time.
    fn kept(&self) -> (DateTime<Utc>, MutexGuard<'_, Kept>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // Read under the lock: entries are kept in the order of their expiry.
        let now = (self.now)();
        kept.drop_expired(now);
        (now, kept)
    }
}

impl fmt::Debug for EmbeddedPresence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedPresence").finish_non_exhaustive()
    }
}

#[async_trait::async_trait]
impl PresenceStore for EmbeddedPresence {
    async fn note(&self, task: TaskId, present: Present, selection: Selection) -> Result<Noted, PresenceError> {
        let (now, mut kept) = self.kept();
        let before = kept.remove(task, present.session);
        let was_selected = before.as_ref().and_then(|before| before.selected);
        let selected = match selection {
            Selection::Kept => was_selected,
            Selection::Now(selected) => selected,
        };
        kept.keep(task, Present { selected, ..present }, now + limits::PRESENCE_TTL);
        Ok(match before {
            None => Noted::New,
            Some(_) if selected != was_selected => Noted::Changed,
            Some(_) => Noted::Same,
        })
    }

    async fn forget(&self, task: TaskId, session: SessionId) -> Result<bool, PresenceError> {
        Ok(self.kept().1.remove(task, session).is_some())
    }

    async fn of(&self, task: TaskId) -> Result<Vec<Present>, PresenceError> {
        let (_, kept) = self.kept();
        let sessions = kept.tasks.get(&task).into_iter().flat_map(BTreeMap::values);
        Ok(sessions.map(|(present, _)| present.clone()).collect())
    }
}

/// Entries by task and by expiry, the same ones.
struct Kept {
    most: usize,
    tasks: HashMap<TaskId, BTreeMap<SessionId, (Present, DateTime<Utc>)>>,
    by_expiry: BTreeSet<(DateTime<Utc>, TaskId, SessionId)>,
}

impl Kept {
    fn keep(&mut self, task: TaskId, present: Present, expires_at: DateTime<Utc>) {
        if self.by_expiry.len() >= self.most
            && let Some((_, task, session)) = self.by_expiry.first().copied()
        {
            self.remove(task, session);
        }
        let others = self.tasks.get(&task).filter(|sessions| sessions.len() >= limits::PRESENT);
        let silent = others.and_then(|sessions| sessions.iter().min_by_key(|(_, (_, expires_at))| *expires_at));
        if let Some(session) = silent.map(|(session, _)| *session) {
            self.remove(task, session);
        }
        self.by_expiry.insert((expires_at, task, present.session));
        self.tasks.entry(task).or_default().insert(present.session, (present, expires_at));
    }

    fn remove(&mut self, task: TaskId, session: SessionId) -> Option<Present> {
        let sessions = self.tasks.get_mut(&task)?;
        let (present, expires_at) = sessions.remove(&session)?;
        if sessions.is_empty() {
            self.tasks.remove(&task);
        }
        self.by_expiry.remove(&(expires_at, task, session));
        Some(present)
    }

    fn drop_expired(&mut self, now: DateTime<Utc>) {
        while let Some((expires_at, task, session)) = self.by_expiry.first().copied()
            && expires_at <= now
        {
            self.remove(task, session);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicU64, Ordering},
        },
        time::Duration,
    };

    use super::*;
    use crate::backend::{
        presence::conformance::{self, present},
        session::conformance::Advance,
    };

    /// Seconds since some day.
    #[derive(Clone, Default)]
    struct Clock(Arc<AtomicU64>);

    impl Clock {
        fn store(&self) -> EmbeddedPresence {
            let Self(seconds) = self.clone();
            let begin: DateTime<Utc> = "2026-09-26T09:00:00Z".parse().unwrap();
            EmbeddedPresence::new(move || begin + Duration::from_secs(seconds.load(Ordering::SeqCst)))
        }
    }

    #[async_trait::async_trait]
    impl Advance for Clock {
        async fn advance(&self, by: Duration) {
            self.0.fetch_add(by.as_secs(), Ordering::SeqCst);
        }
    }

    #[tokio::test]
    async fn memory_keeps_the_contract() {
        let clock = Clock::default();
        let store = Arc::new(clock.store());
        conformance::run([store.clone(), store], &clock).await;
    }

    #[tokio::test]
    async fn a_full_store_loses_the_session_that_is_silent_for_longest() {
        let clock = Clock::default();
        let store = clock.store();
        let (task, other) = (TaskId::generate(), TaskId::generate());
        let (silent, alive, new) = (present(), present(), present());
        for entry in [&silent, &alive] {
            store.note(task, entry.clone(), Selection::Kept).await.unwrap();
        }
        store.kept().1.most = 2;
        clock.advance(Duration::from_secs(1)).await;
        store.note(task, alive.clone(), Selection::Kept).await.unwrap();
        store.note(other, new.clone(), Selection::Kept).await.unwrap();
        assert_eq!((store.of(task).await.unwrap(), store.of(other).await.unwrap()), (vec![alive], vec![new]));
    }

    #[tokio::test]
    async fn what_ran_out_or_was_forgotten_takes_no_memory() {
        let clock = Clock::default();
        let store = clock.store();
        let (task, gone) = (TaskId::generate(), present());
        for entry in [&gone, &present(), &present()] {
            store.note(task, entry.clone(), Selection::Kept).await.unwrap();
            store.note(task, entry.clone(), Selection::Kept).await.unwrap();
        }
        store.forget(task, gone.session).await.unwrap();
        let sizes = || {
            let (_, kept) = store.kept();
            (kept.tasks.values().map(BTreeMap::len).sum::<usize>(), kept.by_expiry.len(), kept.tasks.len())
        };
        assert_eq!(sizes(), (2, 2, 1));
        clock.advance(limits::PRESENCE_TTL).await;
        assert_eq!(sizes(), (0, 0, 0));
    }
}
