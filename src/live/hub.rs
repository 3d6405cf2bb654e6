//! The feeds of this process, and what wakes them: commits of its own at once, those of other processes by a look at all
//! projects together every few seconds. A wake-up carries nothing: whoever is woken reads the database, the only truth.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, Once, PoisonError, Weak},
};

use crate::{
    domain::{ids::ProjectId, limits},
    live::{Feed, pages::Pages},
    repo::{Db, RepoError, event},
};

/// The feeds of the projects that somebody follows here; one is forgotten with its last follower.
#[derive(Debug)]
pub struct Hub {
    db: Db,
    feeds: Mutex<HashMap<ProjectId, Weak<Feed>>>,
    pages: Pages,
    /// The poll has begun.
    polled: Once,
}

/// Projects of one look.
const AT_ONCE: usize = 500;

impl Hub {
    /// No feeds yet.
    #[must_use]
    pub fn new(db: Db) -> Arc<Self> {
        Arc::new(Self { db, feeds: Mutex::default(), pages: Pages::default(), polled: Once::new() })
    }

    /// Wakes the feed of a project. Call it after the commit: who reads before would read nothing.
    pub fn committed(&self, project: ProjectId) {
        if let Some(feed) = self.lock().get(&project).and_then(Weak::upgrade) {
            feed.wake();
        }
    }

    /// The feed of a project.
    #[must_use]
    pub fn feed(self: &Arc<Self>, project: ProjectId) -> Arc<Feed> {
        let mut feeds = self.lock();
        if let Some(feed) = feeds.get(&project).and_then(Weak::upgrade) {
            return feed;
        }
        self.polled.call_once(|| drop(tokio::spawn(poll(Arc::downgrade(self)))));
        feeds.retain(|_, feed| feed.strong_count() > 0);
        let feed = Feed::new(project, self.db.clone(), self.clone());
        feeds.insert(project, Arc::downgrade(&feed));
        feed
    }

    pub(super) fn pages(&self) -> &Pages {
        &self.pages
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ProjectId, Weak<Feed>>> {
        self.feeds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn alive(&self) -> Vec<Arc<Feed>> {
        let mut feeds = self.lock();
        feeds.retain(|_, feed| feed.strong_count() > 0);
        feeds.values().filter_map(Weak::upgrade).collect()
    }

    /// Wakes the feeds of which the database knows more, or something else.
    async fn look(&self, feeds: &[Arc<Feed>]) -> Result<(), RepoError> {
        for feeds in feeds.chunks(AT_ONCE) {
            let projects: Vec<ProjectId> = feeds.iter().map(|feed| feed.project()).collect();
            let tops = event::streams_of(&self.db, &projects).await?;
            for feed in feeds {
                if !tops.get(&feed.project()).is_some_and(|streams| feed.is_at(streams)) {
                    feed.wake();
                }
            }
        }
        Ok(())
    }
}

async fn poll(hub: Weak<Hub>) {
    loop {
        tokio::time::sleep(limits::EVENT_POLL).await;
        let Some(hub) = hub.upgrade() else { return };
        if let Err(error) = hub.look(&hub.alive()).await {
            tracing::debug!(%error, "cannot look for events of other processes");
        }
    }
}
