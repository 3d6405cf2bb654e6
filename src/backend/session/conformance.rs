//! What every body must do; each body's tests run it.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::future::join_all;
use tokio::sync::Barrier;

use super::{Change, SessionKey, SessionStore, Soft, SoftState};
use crate::domain::{
    ids::{SessionId, UserId},
    limits::SESSION_TTL,
};

/// Moves a store's time: what it keeps is older by as much, and the revisions of sessions that begin are later.
#[async_trait::async_trait]
pub(crate) trait Advance: Sync {
    async fn advance(&self, by: Duration);
}

/// What a test adds to a clock that goes on by itself.
#[derive(Clone, Default)]
pub(crate) struct Later(Arc<AtomicU64>);

impl Later {
    /// How much that is by now, in whole seconds.
    pub(crate) fn by(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::SeqCst))
    }

    pub(crate) fn move_by(&self, by: Duration) {
        self.0.fetch_add(by.as_secs(), Ordering::SeqCst);
    }
}

#[async_trait::async_trait]
impl Advance for Later {
    async fn advance(&self, by: Duration) {
        self.move_by(by);
    }
}

/// Waits until something holds.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(60), waiting).await;
    assert!(in_time.is_ok(), "waited in vain: {what}");
}

/// A little less than the time a session is kept, and the rest of it and more.
const NEARLY: Duration = Duration::from_secs(SESSION_TTL.as_secs() - 60);
const REST: Duration = Duration::from_secs(120);

/// Two ways to the same sessions, as two replicas have them (a body in one process: the same twice).
pub(crate) async fn run<S: SessionStore + 'static>(stores: [Arc<S>; 2], clock: &dyn Advance) {
    let stores = stores.map(|store| store as Arc<dyn SessionStore>);
    an_unknown_session_is_active_from_now_on(&stores, clock).await;
    a_change_takes_the_present_revision(&stores).await;
    a_change_to_what_is_counts_as_well(&stores).await;
    sessions_are_apart(&stores).await;
    a_sign_of_life_keeps_it(&stores, clock).await;
    a_look_or_a_refused_change_is_no_sign_of_life(&stores, clock).await;
    an_old_expectation_fails_after_a_loss(&stores, clock).await;
    a_session_forgotten_is_unknown(&stores, clock).await;
    all_who_ask_at_once_are_told_the_same(&stores).await;
    of_many_changes_at_once_one_is_made(&stores).await;
}

pub(crate) type Stores = [Arc<dyn SessionStore>; 2];

pub(crate) fn key() -> SessionKey {
    SessionKey { user: UserId::generate(), session: SessionId::generate() }
}

fn paused(revision: i32) -> Soft {
    Soft { state: SoftState::Paused, revision }
}

/// A session that was paused just now.
pub(crate) async fn paused_session(store: &dyn SessionStore) -> (SessionKey, Soft) {
    let key = key();
    let begun = store.read(key).await.unwrap();
    let want = paused(begun.revision + 1);
    assert_eq!(store.change(key, SoftState::Paused, begun.revision).await.unwrap(), Change::Changed(want));
    (key, want)
}

async fn an_unknown_session_is_active_from_now_on([one, other]: &Stores, clock: &dyn Advance) {
    let (first, second) = (key(), key());
    let begun = one.read(first).await.unwrap();
    assert_eq!(begun.state, SoftState::Active);
    clock.advance(Duration::from_secs(100)).await;
    assert_eq!(other.read(first).await.unwrap(), begun, "it is kept as it was first seen");
    let later = one.touch(second).await.unwrap();
    assert_eq!(later.state, SoftState::Active);
    // The rest is what the test itself takes on a clock that goes on.
    assert!((100..160).contains(&(later.revision - begun.revision)), "{begun:?} and 100 s later {later:?}");
    assert_eq!(other.read(second).await.unwrap(), later);
}

async fn a_change_takes_the_present_revision([one, other]: &Stores) {
    let key = key();
    let begun = one.read(key).await.unwrap();
    for wrong in [begun.revision - 1, begun.revision + 1, 0] {
        assert_eq!(one.change(key, SoftState::Paused, wrong).await.unwrap(), Change::Stale(begun), "{wrong}");
    }
    let want = paused(begun.revision + 1);
    assert_eq!(one.change(key, SoftState::Paused, begun.revision).await.unwrap(), Change::Changed(want));
    assert_eq!(other.read(key).await.unwrap(), want);
    assert_eq!(other.change(key, SoftState::Active, begun.revision).await.unwrap(), Change::Stale(want));
    let want = Soft { state: SoftState::Active, revision: begun.revision + 2 };
    assert_eq!(other.change(key, SoftState::Active, begun.revision + 1).await.unwrap(), Change::Changed(want));
    assert_eq!(one.read(key).await.unwrap(), want);
}

async fn a_change_to_what_is_counts_as_well([one, _]: &Stores) {
    let (key, is) = paused_session(&**one).await;
    let want = paused(is.revision + 1);
    assert_eq!(one.change(key, SoftState::Paused, is.revision).await.unwrap(), Change::Changed(want));
    assert_eq!(one.read(key).await.unwrap(), want);
}

async fn sessions_are_apart([one, _]: &Stores) {
    let (key, is) = paused_session(&**one).await;
    for other in [SessionKey { user: UserId::generate(), ..key }, SessionKey { session: SessionId::generate(), ..key }]
    {
        assert_eq!(one.read(other).await.unwrap().state, SoftState::Active);
        one.forget(other).await.unwrap();
    }
    assert_eq!(one.read(key).await.unwrap(), is);
}

async fn a_sign_of_life_keeps_it([one, other]: &Stores, clock: &dyn Advance) {
    let (key, is) = paused_session(&**one).await;
    clock.advance(NEARLY).await;
    assert_eq!(other.touch(key).await.unwrap(), is);
    clock.advance(NEARLY).await;
    let again = paused(is.revision + 1);
    assert_eq!(one.change(key, SoftState::Paused, is.revision).await.unwrap(), Change::Changed(again));
    clock.advance(NEARLY).await;
    assert_eq!(other.read(key).await.unwrap(), again);
    clock.advance(REST).await;
    assert_eq!(other.read(key).await.unwrap().state, SoftState::Active, "without one it is lost");
}

async fn a_look_or_a_refused_change_is_no_sign_of_life([one, _]: &Stores, clock: &dyn Advance) {
    let (key, is) = paused_session(&**one).await;
    clock.advance(NEARLY).await;
    assert_eq!(one.read(key).await.unwrap(), is);
    assert_eq!(one.change(key, SoftState::Active, 0).await.unwrap(), Change::Stale(is));
    clock.advance(REST).await;
    assert_eq!(one.read(key).await.unwrap().state, SoftState::Active);
}

async fn an_old_expectation_fails_after_a_loss([one, other]: &Stores, clock: &dyn Advance) {
    let (key, is) = paused_session(&**one).await;
    clock.advance(NEARLY + REST).await;
    let Change::Stale(begun) = one.change(key, SoftState::Paused, is.revision).await.unwrap() else {
        panic!("changed although it was lost");
    };
    assert_eq!(begun.state, SoftState::Active);
    assert!(begun.revision > is.revision, "{begun:?} after {is:?}");
    assert_eq!(other.read(key).await.unwrap(), begun);
    let want = paused(begun.revision + 1);
    assert_eq!(other.change(key, SoftState::Paused, begun.revision).await.unwrap(), Change::Changed(want));
}

async fn a_session_forgotten_is_unknown([one, other]: &Stores, clock: &dyn Advance) {
    let (key, is) = paused_session(&**one).await;
    one.forget(key).await.unwrap();
    one.forget(key).await.unwrap();
    clock.advance(Duration::from_secs(10)).await;
    let begun = other.read(key).await.unwrap();
    assert_eq!(begun.state, SoftState::Active);
    assert!(begun.revision > is.revision, "{begun:?} after {is:?}");
}

/// How many ask at once.
const CROWD: usize = 64;

async fn all_who_ask_at_once_are_told_the_same(stores: &Stores) {
    let key = key();
    let asked = (0..CROWD).map(|asker| {
        let store = stores[asker % 2].clone();
        tokio::spawn(async move {
            match asker % 3 {
                0 => store.read(key).await.unwrap(),
                1 => store.touch(key).await.unwrap(),
                _ => match store.change(key, SoftState::Paused, -1).await.unwrap() {
                    Change::Changed(soft) | Change::Stale(soft) => soft,
                },
            }
        })
    });
    let told: HashSet<_> = join_all(asked).await.into_iter().map(|soft| soft.unwrap().revision).collect();
    assert_eq!(told.len(), 1, "{told:?}");
}

/// How many change one session at once, and how often each succeeds: often enough to meet every gap between them.
const RACERS: usize = 8;
const CHANGES: usize = 250;

pub(crate) async fn of_many_changes_at_once_one_is_made(stores: &Stores) {
    let key = key();
    let begun = stores[0].read(key).await.unwrap();
    let start = Arc::new(Barrier::new(RACERS));
    let racers = (0..RACERS).map(|racer| {
        let (store, start) = (stores[racer % 2].clone(), start.clone());
        tokio::spawn(async move {
            let (mut expected, mut made) = (begun.revision, Vec::new());
            start.wait().await;
            while made.len() < CHANGES {
                match store.change(key, SoftState::Paused, expected).await.unwrap() {
                    Change::Changed(soft) => {
                        assert_eq!(soft, paused(expected + 1));
                        expected = soft.revision;
                        made.push(expected);
                    }
                    Change::Stale(soft) => {
                        assert!(soft.revision > expected, "{soft:?} refuses {expected}");
                        expected = soft.revision;
                    }
                }
                tokio::task::yield_now().await;
            }
            made
        })
    });
    let mut made: Vec<_> = join_all(racers).await.into_iter().flat_map(Result::unwrap).collect();
    made.sort_unstable();
    let last = begun.revision + i32::try_from(RACERS * CHANGES).unwrap();
    assert!(made.into_iter().eq(begun.revision + 1..=last), "each revision was given once");
    assert_eq!(stores[1].read(key).await.unwrap(), paused(last));
}
