//! Soft states in the memory of this process, which is the only one. They are gone when it ends.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, Utc};

use super::{Change, SessionError, SessionKey, SessionStore, Soft, SoftState};
use crate::domain::limits;

/// The embedded default: at most [`limits::KEPT_SESSIONS`], of which the one silent for longest makes room for a new one.
pub struct EmbeddedSessions {
    now: Box<dyn Fn() -> DateTime<Utc> + Send + Sync>,
    kept: Mutex<Kept>,
}

impl EmbeddedSessions {
    /// An empty store that asks `now` for the time.
    #[must_use]
    pub fn new(now: impl Fn() -> DateTime<Utc> + Send + Sync + 'static) -> Self {
        Self { now: Box::new(now), kept: Mutex::new(Kept::new(limits::KEPT_SESSIONS)) }
    }

    /// The time, and what is kept at that time.
    fn kept(&self) -> (DateTime<Utc>, MutexGuard<'_, Kept>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // Read under the lock: sessions are kept in the order of their expiry.
        let now = (self.now)();
        kept.drop_expired(now);
        (now, kept)
    }
}

impl fmt::Debug for EmbeddedSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedSessions").finish_non_exhaustive()
    }
}

#[async_trait::async_trait]
impl SessionStore for EmbeddedSessions {
    async fn read(&self, key: SessionKey) -> Result<Soft, SessionError> {
        let (now, mut kept) = self.kept();
        Ok(kept.get_or_begin(key, now))
    }

    async fn touch(&self, key: SessionKey) -> Result<Soft, SessionError> {
        let (now, mut kept) = self.kept();
        let soft = kept.get_or_begin(key, now);
        kept.keep(key, soft, now);
        Ok(soft)
    }

    async fn change(&self, key: SessionKey, to: SoftState, expected_revision: i32) -> Result<Change, SessionError> {
        let (now, mut kept) = self.kept();
        let soft = kept.get_or_begin(key, now);
        if soft.revision != expected_revision {
            return Ok(Change::Stale(soft));
        }
        let soft = soft.changed(to);
        kept.keep(key, soft, now);
        Ok(Change::Changed(soft))
    }

    async fn forget(&self, key: SessionKey) -> Result<(), SessionError> {
        self.kept().1.forget(key);
        Ok(())
    }
}

/// Sessions by key and by expiry, the same ones.
struct Kept {
    most: usize,
    sessions: HashMap<SessionKey, (Soft, DateTime<Utc>)>,
    by_expiry: BTreeSet<(DateTime<Utc>, SessionKey)>,
}

impl Kept {
    fn new(most: usize) -> Self {
        Self { most, sessions: HashMap::new(), by_expiry: BTreeSet::new() }
    }

    fn get_or_begin(&mut self, key: SessionKey, now: DateTime<Utc>) -> Soft {
        if let Some((soft, _)) = self.sessions.get(&key) {
            return *soft;
        }
        let soft = Soft::begun(now);
        self.keep(key, soft, now);
        soft
    }

    /// Keeps a session for the whole TTL from now.
    fn keep(&mut self, key: SessionKey, soft: Soft, now: DateTime<Utc>) {
        self.forget(key);
        if self.sessions.len() >= self.most {
            self.drop_first();
        }
        let expires_at = now + limits::SESSION_TTL;
        self.sessions.insert(key, (soft, expires_at));
        self.by_expiry.insert((expires_at, key));
    }

    fn forget(&mut self, key: SessionKey) {
        if let Some((_, expires_at)) = self.sessions.remove(&key) {
            self.by_expiry.remove(&(expires_at, key));
        }
    }

    fn drop_expired(&mut self, now: DateTime<Utc>) {
        while self.by_expiry.first().is_some_and(|(expires_at, _)| *expires_at <= now) {
            self.drop_first();
        }
    }

    /// All are kept equally long: the first to expire is the one silent for longest.
    fn drop_first(&mut self) {
        if let Some((_, key)) = self.by_expiry.pop_first() {
            self.sessions.remove(&key);
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

    use super::{super::conformance, *};
    use crate::domain::ids::{SessionId, UserId};

    /// Seconds since some day.
    #[derive(Clone, Default)]
    struct Clock(Arc<AtomicU64>);

    impl Clock {
        fn sessions(&self) -> EmbeddedSessions {
            let Self(seconds) = self.clone();
            let begin: DateTime<Utc> = "2026-09-26T09:00:00Z".parse().unwrap();
            EmbeddedSessions::new(move || begin + Duration::from_secs(seconds.load(Ordering::SeqCst)))
        }
    }

    #[async_trait::async_trait]
    impl conformance::Advance for Clock {
        async fn advance(&self, by: Duration) {
            self.0.fetch_add(by.as_secs(), Ordering::SeqCst);
        }
    }

    fn key() -> SessionKey {
        SessionKey { user: UserId::generate(), session: SessionId::generate() }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn memory_keeps_the_contract() {
        let clock = Clock::default();
        let sessions = Arc::new(clock.sessions());
        conformance::run([sessions.clone(), sessions], &clock).await;
    }

    /// The gap that a lock not held throughout would leave is nanoseconds: it takes many turns to meet it.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_change_in_memory_is_one_step() {
        let sessions = Arc::new(Clock::default().sessions());
        let stores: conformance::Stores = [sessions.clone(), sessions];
        for _ in 0..20 {
            conformance::of_many_changes_at_once_one_is_made(&stores).await;
        }
    }

    #[tokio::test]
    async fn a_full_store_loses_the_session_that_is_silent_for_longest() {
        let clock = Clock::default();
        let sessions = clock.sessions();
        let (silent, touched) = (key(), key());
        for key in [silent, touched] {
            let begun = sessions.read(key).await.unwrap();
            sessions.change(key, SoftState::Paused, begun.revision).await.unwrap();
        }
        sessions.kept().1.most = 2;
        clock.0.fetch_add(60, Ordering::SeqCst);
        sessions.touch(touched).await.unwrap();

        let new = key();
        let begun = sessions.read(new).await.unwrap();
        assert_eq!(sessions.read(new).await.unwrap(), begun, "the new one is kept");
        assert_eq!(sessions.read(touched).await.unwrap().state, SoftState::Paused);
        assert_eq!(sessions.kept().1.sessions.len(), 2);
        assert_eq!(sessions.read(silent).await.unwrap().state, SoftState::Active, "it was lost");
    }

    #[tokio::test]
    async fn what_ran_out_or_was_forgotten_takes_no_memory() {
        let clock = Clock::default();
        let sessions = clock.sessions();
        let ended = key();
        for key in [ended, key(), key()] {
            sessions.touch(key).await.unwrap();
            sessions.touch(key).await.unwrap();
        }
        sessions.forget(ended).await.unwrap();
        let sizes = || {
            let (_, kept) = sessions.kept();
            (kept.sessions.len(), kept.by_expiry.len())
        };
        assert_eq!(sizes(), (2, 2));
        clock.0.fetch_add(limits::SESSION_TTL.as_secs(), Ordering::SeqCst);
        assert_eq!(sizes(), (0, 0));
    }
}
