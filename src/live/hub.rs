//! The feeds of this process, and what wakes them: commits of its own at once, those of other processes by the hints they
//! give, and by a look at all projects together every few seconds, since a hint may be lost. Whoever is woken reads the
//! database, the only truth.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, Once, PoisonError, Weak},
};

use tokio::{sync::Notify, time::timeout};

use crate::{
    backend::bus::{Bus, Hint, Topic},
    domain::{ids::ProjectId, limits},
    live::{Feed, pages::Pages},
    repo::{Db, RepoError, event},
};

/// The feeds of the projects that somebody follows here; one is forgotten with its last follower.
pub struct Hub {
    db: Db,
    bus: Arc<dyn Bus>,
    feeds: Mutex<HashMap<ProjectId, Weak<Feed>>>,
    pages: Pages,
    /// The poll has begun.
    polled: Once,
    /// Look now.
    hurry: Arc<Notify>,
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").finish_non_exhaustive()
    }
}

/// Projects of one look.
const AT_ONCE: usize = 500;

impl Hub {
    /// No feeds yet.
    #[must_use]
    pub fn new(db: Db, bus: Arc<dyn Bus>) -> Arc<Self> {
        let (feeds, pages) = (Mutex::default(), Pages::default());
        Arc::new(Self { db, bus, feeds, pages, polled: Once::new(), hurry: Arc::default() })
    }

    /// A project has events up to these positions. Wakes its feed, here and in the other processes. Call it after the commit:
    /// who reads before would read nothing.
    pub fn committed(&self, project: ProjectId, tops: BTreeMap<i32, i64>) {
        if let Some(feed) = self.feed_of(project) {
            feed.wake();
        }
        self.bus.tell(Hint::Events(project, tops));
    }

    /// Another process committed events up to these positions.
    pub fn heard(&self, project: ProjectId, tops: &BTreeMap<i32, i64>) {
        if let Some(feed) = self.feed_of(project).filter(|feed| feed.is_behind(tops)) {
            feed.wake();
        }
    }

    /// There may be more than anybody said: look now.
    pub fn hurry(&self) {
        self.hurry.notify_one();
    }

    fn feed_of(&self, project: ProjectId) -> Option<Arc<Feed>> {
        self.lock().get(&project).and_then(Weak::upgrade)
    }

    /// The feed of a project.
    #[must_use]
    pub fn feed(self: &Arc<Self>, project: ProjectId) -> Arc<Feed> {
        let mut feeds = self.lock();
        if let Some(feed) = feeds.get(&project).and_then(Weak::upgrade) {
            return feed;
        }
        self.polled.call_once(|| drop(tokio::spawn(poll(Arc::downgrade(self), self.hurry.clone()))));
        feeds.retain(|_, feed| feed.strong_count() > 0);
        let feed = Feed::new(project, self.db.clone(), self.clone());
        feeds.insert(project, Arc::downgrade(&feed));
        self.bus.follow(Topic::Events(project));
        feed
    }

    /// A feed is gone.
    pub(super) fn left(&self, project: ProjectId) {
        self.bus.leave(Topic::Events(project));
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

async fn poll(hub: Weak<Hub>, hurry: Arc<Notify>) {
    loop {
        let _ = timeout(limits::EVENT_POLL, hurry.notified()).await;
        let Some(hub) = hub.upgrade() else { return };
        if let Err(error) = hub.look(&hub.alive()).await {
            tracing::debug!(%error, "cannot look for events of other processes");
        }
    }
}
