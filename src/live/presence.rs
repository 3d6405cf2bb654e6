//! Who waits in this process for who is in a task: the store of presences, and a wake-up for each change, also of one that
//! another process gives a hint of. A wake-up carries nothing but what kind of change it was; since a hint may be lost, who
//! waits looks every few seconds as well.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use crate::{
    backend::{
        bus::{Bus, Hint, Topic},
        presence::{Noted, PresenceError, PresenceStore, Present, Selection},
    },
    domain::ids::{SessionId, TaskId},
};

/// Who is in which task, and who wants to know.
pub struct Presence {
    store: Arc<dyn PresenceStore>,
    bus: Arc<dyn Bus>,
    readers: Mutex<HashMap<TaskId, Readers>>,
}

/// The readers of one task; forgotten with the last.
#[derive(Default)]
struct Readers {
    /// How often something changed that the database knows more about: who may be shown is to be looked up again.
    turns: watch::Sender<u64>,
    count: usize,
}

impl fmt::Debug for Presence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presence").finish_non_exhaustive()
    }
}

impl Presence {
    /// Over a store, and the way to the other processes.
    #[must_use]
    pub fn new(store: Arc<dyn PresenceStore>, bus: Arc<dyn Bus>) -> Self {
        Self { store, bus, readers: Mutex::default() }
    }

    /// As [`PresenceStore::note`]; wakes the task's readers when it changed anything.
    ///
    /// # Errors
    /// [`PresenceError`] when the store is away.
    pub async fn note(&self, task: TaskId, present: Present, selection: Selection) -> Result<(), PresenceError> {
        match self.store.note(task, present, selection).await? {
            Noted::New => self.changed(task, true),
            Noted::Changed => self.changed(task, false),
            Noted::Same => {}
        }
        Ok(())
    }

    /// As [`PresenceStore::forget`]; wakes the task's readers when it changed anything.
    ///
    /// # Errors
    /// [`PresenceError`] when the store is away.
    pub async fn forget(&self, task: TaskId, session: SessionId) -> Result<(), PresenceError> {
        if self.store.forget(task, session).await? {
            self.changed(task, false);
        }
        Ok(())
    }

    /// As [`PresenceStore::of`].
    ///
    /// # Errors
    /// [`PresenceError`] when the store is away.
    pub async fn of(&self, task: TaskId) -> Result<Vec<Present>, PresenceError> {
        self.store.of(task).await
    }

    /// A turn on the task began or ended: other fences hold. Call it after the commit.
    pub fn turned(&self, task: TaskId) {
        self.changed(task, true);
    }

    fn changed(&self, task: TaskId, turned: bool) {
        self.heard(task, turned);
        self.bus.tell(Hint::Presence { task, turned });
    }

    /// Another process made a change in a task; whether other fences may hold, too.
    pub fn heard(&self, task: TaskId, turned: bool) {
        if let Some(readers) = self.lock().get(&task) {
            readers.turns.send_modify(|count| *count += u64::from(turned));
        }
    }

    /// Begins to wait for changes in a task. Begin before reading: what changes in between wakes.
    #[must_use]
    pub fn watch(self: &Arc<Self>, task: TaskId) -> PresenceWatch {
        let mut tasks = self.lock();
        let readers = tasks.entry(task).or_default();
        readers.count += 1;
        if readers.count == 1 {
            self.bus.follow(Topic::Presence(task));
        }
        PresenceWatch { turns: readers.turns.subscribe(), task, presence: self.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TaskId, Readers>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One reader's wait for changes in a task.
#[derive(Debug)]
pub struct PresenceWatch {
    turns: watch::Receiver<u64>,
    task: TaskId,
    presence: Arc<Presence>,
}

impl PresenceWatch {
    /// Waits for a change since [`PresenceWatch::turns`] was last asked, or since the watch began. Several become one.
    pub async fn woken(&mut self) {
        if self.turns.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Another number than before says that other fences may hold.
    pub fn turns(&mut self) -> u64 {
        *self.turns.borrow_and_update()
    }
}

impl Drop for PresenceWatch {
    fn drop(&mut self) {
        let mut tasks = self.presence.lock();
        if let Some(readers) = tasks.get_mut(&self.task) {
            readers.count -= 1;
            if readers.count == 0 {
                tasks.remove(&self.task);
                self.presence.bus.leave(Topic::Presence(self.task));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use futures::FutureExt;

    use super::*;
    use crate::{
        backend::{bus::Alone, presence::EmbeddedPresence},
        domain::{
            ids::{AnnotationId, UserId},
            words::SessionRole,
        },
    };

    fn presence() -> Arc<Presence> {
        Arc::new(Presence::new(Arc::new(EmbeddedPresence::new(|| DateTime::UNIX_EPOCH)), Arc::new(Alone)))
    }

    #[tokio::test]
    async fn a_change_wakes_the_readers_of_its_task_and_no_others() {
        let presence = presence();
        let (task, other) = (TaskId::generate(), TaskId::generate());
        let (mut reader, mut stranger) = (presence.watch(task), presence.watch(other));
        let entry = Present {
            session: SessionId::generate(),
            user: UserId::generate(),
            role: SessionRole::Holder,
            slot: Some(1),
            fence: 1,
            since: DateTime::UNIX_EPOCH,
            selected: None,
        };
        let mut woken = || (reader.woken().now_or_never().is_some(), reader.turns());
        let note = async |selection| presence.note(task, entry.clone(), selection).await.unwrap();
        let selected = Selection::Now(Some(AnnotationId::generate()));
        note(Selection::Kept).await;
        assert_eq!(woken(), (true, 1), "who comes has to be looked up");
        note(Selection::Kept).await;
        assert_eq!(woken(), (false, 1), "a sign of life changes nothing");
        note(selected).await;
        assert_eq!(woken(), (true, 1), "a selection needs no look");
        note(Selection::Now(None)).await;
        presence.turned(task);
        assert_eq!(woken(), (true, 2), "two changes are one wake-up");
        presence.forget(task, entry.session).await.unwrap();
        assert_eq!(woken(), (true, 2));
        presence.forget(task, entry.session).await.unwrap();
        assert_eq!(woken(), (false, 2), "it was gone");
        assert_eq!(stranger.woken().now_or_never(), None, "another task");
    }

    #[tokio::test]
    async fn a_task_is_forgotten_with_its_last_reader() {
        let presence = presence();
        let task = TaskId::generate();
        let (first, second) = (presence.watch(task), presence.watch(task));
        drop(first);
        assert_eq!(presence.lock().len(), 1);
        drop(second);
        presence.turned(task);
        assert_eq!(presence.lock().len(), 0);
    }
}
