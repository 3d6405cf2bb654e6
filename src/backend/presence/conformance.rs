//! What every body must do; each body's tests run it.

use std::{sync::Arc, time::Duration};

use chrono::DateTime;

use super::{Noted, PresenceStore, Present, Selection};
use crate::{
    backend::session::conformance::Advance,
    domain::{
        ids::{AnnotationId, SessionId, TaskId, UserId},
        limits::{PRESENCE_TTL, PRESENT},
        words::SessionRole,
    },
};

/// A little less than the time an entry is kept, and the rest of it and more.
const NEARLY: Duration = Duration::from_secs(PRESENCE_TTL.as_secs() - 5);
const REST: Duration = Duration::from_secs(10);

/// Two ways to the same presences, as two replicas have them (a body in one process: the same twice).
pub(crate) async fn run<S: PresenceStore + 'static>(stores: [Arc<S>; 2], clock: &dyn Advance) {
    let stores = stores.map(|store| store as Arc<dyn PresenceStore>);
    whoever_gave_a_sign_of_life_is_there(&stores).await;
    a_selection_stays_until_another_is_named(&stores).await;
    a_sign_of_life_keeps_it(&stores, clock).await;
    who_is_forgotten_is_gone(&stores).await;
    one_task_holds_so_many_and_no_more(&stores, clock).await;
}

type Stores = [Arc<dyn PresenceStore>; 2];

/// A holder's screen, opened after those made before it.
pub(crate) fn present() -> Present {
    Present {
        session: SessionId::generate(),
        user: UserId::generate(),
        role: SessionRole::Holder,
        slot: Some(2),
        fence: 3,
        since: DateTime::from_timestamp_micros(1_790_413_200_123_456).unwrap(),
        selected: None,
    }
}

async fn whoever_gave_a_sign_of_life_is_there([one, other]: &Stores) {
    let (task, elsewhere) = (TaskId::generate(), TaskId::generate());
    assert_eq!(one.of(task).await.unwrap(), []);
    let (first, third) = (present(), present());
    let second = Present { slot: None, role: SessionRole::Reviewer, ..present() };
    assert_eq!(one.note(task, second.clone(), Selection::Kept).await.unwrap(), Noted::New);
    assert_eq!(other.note(task, first.clone(), Selection::Kept).await.unwrap(), Noted::New);
    assert_eq!(other.note(elsewhere, third.clone(), Selection::Kept).await.unwrap(), Noted::New);
    for store in [one, other] {
        assert_eq!(store.note(task, first.clone(), Selection::Kept).await.unwrap(), Noted::Same);
        assert_eq!(store.of(task).await.unwrap(), [first.clone(), second.clone()].sorted());
        assert_eq!(store.of(elsewhere).await.unwrap(), std::slice::from_ref(&third));
    }
}

trait Sorted {
    fn sorted(self) -> Self;
}

impl Sorted for [Present; 2] {
    fn sorted(mut self) -> Self {
        self.sort_by_key(|present| present.session);
        self
    }
}

async fn a_selection_stays_until_another_is_named([one, other]: &Stores) {
    let (task, entry) = (TaskId::generate(), present());
    let (some, another) = (AnnotationId::generate(), AnnotationId::generate());
    for (case, selection, noted, selected) in [
        ("nothing is said at first", Selection::Kept, Noted::New, None),
        ("that there is none", Selection::Now(None), Noted::Same, None),
        ("one", Selection::Now(Some(some)), Noted::Changed, Some(some)),
        ("the same", Selection::Now(Some(some)), Noted::Same, Some(some)),
        ("nothing is said", Selection::Kept, Noted::Same, Some(some)),
        ("another", Selection::Now(Some(another)), Noted::Changed, Some(another)),
        ("none", Selection::Now(None), Noted::Changed, None),
    ] {
        assert_eq!(one.note(task, entry.clone(), selection).await.unwrap(), noted, "{case}");
        let told = other.of(task).await.unwrap();
        assert_eq!(told, [Present { selected, ..entry.clone() }], "{case}");
    }
    other.forget(task, entry.session).await.unwrap();
    assert_eq!(one.note(task, entry.clone(), Selection::Now(Some(some))).await.unwrap(), Noted::New);
    assert_eq!(other.of(task).await.unwrap(), [Present { selected: Some(some), ..entry }]);
}

async fn a_sign_of_life_keeps_it([one, other]: &Stores, clock: &dyn Advance) {
    let (task, quiet, alive) = (TaskId::generate(), present(), present());
    for entry in [&quiet, &alive] {
        one.note(task, entry.clone(), Selection::Kept).await.unwrap();
    }
    clock.advance(NEARLY).await;
    assert_eq!(one.of(task).await.unwrap().len(), 2, "a look is no sign of life");
    other.note(task, alive.clone(), Selection::Kept).await.unwrap();
    clock.advance(REST).await;
    assert_eq!(other.of(task).await.unwrap(), [alive]);
    clock.advance(NEARLY).await;
    assert_eq!(one.of(task).await.unwrap(), []);
    assert_eq!(one.note(task, quiet, Selection::Kept).await.unwrap(), Noted::New, "it comes back");
}

async fn who_is_forgotten_is_gone([one, other]: &Stores) {
    let (task, entry, stays) = (TaskId::generate(), present(), present());
    for entry in [&entry, &stays] {
        one.note(task, entry.clone(), Selection::Kept).await.unwrap();
    }
    assert!(!other.forget(TaskId::generate(), entry.session).await.unwrap(), "of another task");
    assert!(other.forget(task, entry.session).await.unwrap());
    assert!(!one.forget(task, entry.session).await.unwrap(), "it is gone");
    assert_eq!(one.of(task).await.unwrap(), [stays]);
}

async fn one_task_holds_so_many_and_no_more([one, _]: &Stores, clock: &dyn Advance) {
    let (task, silent, alive) = (TaskId::generate(), present(), present());
    for entry in [&silent, &alive] {
        one.note(task, entry.clone(), Selection::Kept).await.unwrap();
    }
    clock.advance(Duration::from_secs(1)).await;
    one.note(task, alive.clone(), Selection::Kept).await.unwrap();
    let mut last = alive.clone();
    for _ in 1..PRESENT {
        last = present();
        one.note(task, last.clone(), Selection::Kept).await.unwrap();
    }
    assert_eq!(one.note(task, last, Selection::Kept).await.unwrap(), Noted::Same, "who is there needs no room");
    let kept: Vec<SessionId> = one.of(task).await.unwrap().iter().map(|entry| entry.session).collect();
    assert_eq!(kept.len(), PRESENT);
    assert!(kept.contains(&alive.session) && !kept.contains(&silent.session), "the one silent for longest made room");
}
