//! Who in this process waits for a project's events. A wake-up carries nothing: whoever is woken reads the database, the
//! only truth, and whoever missed one (other processes write too) looks by itself every few seconds.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use crate::domain::ids::ProjectId;

/// The projects with readers in this process; one is forgotten with its last reader.
#[derive(Debug, Default)]
pub struct Hub(Mutex<HashMap<ProjectId, Readers>>);

#[derive(Debug, Default)]
struct Readers {
    wake: watch::Sender<()>,
    count: usize,
}

impl Hub {
    /// Wakes the readers of a project. Call it after the commit: who reads before would read nothing.
    pub fn committed(&self, project: ProjectId) {
        if let Some(readers) = self.lock().get(&project) {
            readers.wake.send_replace(());
        }
    }

    /// Begins to wait for a project's events. Begin before reading: what is committed in between wakes.
    #[must_use]
    pub fn watch(self: &Arc<Self>, project: ProjectId) -> Watch {
        let mut projects = self.lock();
        let readers = projects.entry(project).or_default();
        readers.count += 1;
        Watch { wakes: readers.wake.subscribe(), project, hub: self.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ProjectId, Readers>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One reader's wait for a project's events.
#[derive(Debug)]
pub struct Watch {
    wakes: watch::Receiver<()>,
    project: ProjectId,
    hub: Arc<Hub>,
}

impl Watch {
    /// Waits for a commit since the last wake-up, or since the watch began. Several become one.
    pub async fn woken(&mut self) {
        if self.wakes.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut projects = self.hub.lock();
        if let Some(readers) = projects.get_mut(&self.project) {
            readers.count -= 1;
            if readers.count == 0 {
                projects.remove(&self.project);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_commit_wakes_the_readers_of_its_project_and_no_others() {
        let hub = Arc::new(Hub::default());
        let (one, other) = (ProjectId::generate(), ProjectId::generate());
        let (mut first, mut second, mut stranger) = (hub.watch(one), hub.watch(one), hub.watch(other));
        assert_eq!(first.woken().now_or_never(), None, "nothing was committed");
        hub.committed(one);
        hub.committed(one);
        assert_eq!([&mut first, &mut second].map(|watch| watch.woken().now_or_never()), [Some(()); 2]);
        assert_eq!(first.woken().now_or_never(), None, "two commits are one wake-up");
        assert_eq!(stranger.woken().now_or_never(), None, "another project");
    }

    #[tokio::test]
    async fn a_project_is_forgotten_with_its_last_reader() {
        let hub = Arc::new(Hub::default());
        let project = ProjectId::generate();
        let (first, second) = (hub.watch(project), hub.watch(project));
        drop(first);
        assert_eq!(hub.lock().len(), 1);
        drop(second);
        assert_eq!(hub.lock().len(), 0);
        hub.committed(project);
        assert_eq!(hub.lock().len(), 0, "a commit makes nobody a reader");
    }
}
