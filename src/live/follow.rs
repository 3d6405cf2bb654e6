//! Following a project's streams from a cursor on, without an end: pages out of the database, one at a time, and waiting
//! for more. Who asks and whether they still may is for the caller, who stands between reading and telling.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use crate::{
    domain::{
        cursor::EventCursor,
        ids::{ProjectId, TaskId},
        limits,
        words::EventType,
    },
    live::{Hub, Position, Sight, Watch, cursor, replay},
    repo::{Conn, Db, RepoError, event::StoredEvent},
};

/// What a follower is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// Something happened.
    Event(Position),
    /// Nothing that passed the filter; the position has moved all the same.
    Moved(EventCursor),
    /// What happened before the cursor is unknown.
    Resync {
        /// Why.
        reason: &'static str,
        /// The position that following goes on from.
        cursor: EventCursor,
    },
}

/// Which events a follower is told of.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only those about this task.
    pub task: Option<TaskId>,
    /// Only those of these types.
    pub types: Option<Vec<EventType>>,
}

impl Filter {
    fn passes(&self, event: &StoredEvent) -> bool {
        self.task.is_none_or(|task| event.task == Some(task))
            && self.types.as_ref().is_none_or(|types| types.contains(&event.event_type))
    }
}

/// A reader that goes on. [`Follower::take`] until nothing is left, [`Follower::wait`], [`Follower::read`], and again.
#[derive(Debug)]
pub struct Follower {
    db: Db,
    watch: Watch,
    project: ProjectId,
    filter: Filter,
    /// Everything up to here was told or filtered out.
    cursor: EventCursor,
    /// Read, not told yet: at most a page.
    page: VecDeque<Position>,
    /// What of the page may be told.
    sight: Sight,
    resync: Option<Told>,
    has_more: bool,
    /// How often to look for what nothing woke for.
    poll: Duration,
    /// Events filtered out since the follower was last told a position.
    filtered: usize,
    /// When the next notice of the position is due, in the process's uptime.
    notice_at: Duration,
}

impl Follower {
    /// Follows from `after` on; from now on when there is none.
    ///
    /// # Errors
    /// [`RepoError`] of the database.
    pub async fn new(
        db: &Db,
        hub: &Arc<Hub>,
        project: ProjectId,
        filter: Filter,
        after: Option<EventCursor>,
    ) -> Result<Self, RepoError> {
        // Before the first look at the database: what is committed after that look wakes.
        let watch = hub.watch(project);
        let cursor = match after {
            Some(after) => after,
            None => cursor(db, project).await?,
        };
        Ok(Self {
            watch,
            project,
            filter,
            cursor,
            page: VecDeque::new(),
            sight: Sight::All,
            resync: None,
            has_more: true,
            poll: limits::EVENT_POLL,
            filtered: 0,
            notice_at: db.clock().uptime() + limits::CURSOR_NOTICE,
            db: db.clone(),
        })
    }

    /// The same, looking for what other processes wrote this often.
    #[must_use]
    pub fn polling(self, poll: Duration) -> Self {
        Self { poll, ..self }
    }

    /// Everything up to here was told or filtered out.
    #[must_use]
    pub fn cursor(&self) -> &EventCursor {
        &self.cursor
    }

    /// Whether something was read that [`Follower::take`] has not looked at.
    #[must_use]
    pub fn has_read(&self) -> bool {
        self.resync.is_some() || !self.page.is_empty()
    }

    /// What was read and not told yet.
    #[must_use]
    pub fn unread(&self) -> Vec<&StoredEvent> {
        self.page.iter().map(|position| &position.event).collect()
    }

    /// What of the events that were read may be told; the caller says so after each [`Follower::read`].
    pub fn see(&mut self, sight: Sight) {
        self.sight = sight;
    }

    /// The next thing to tell, out of what has been read; none: wait.
    pub fn take(&mut self) -> Option<Told> {
        if let Some(resync) = self.resync.take() {
            return Some(resync);
        }
        if self.db.clock().uptime() >= self.notice_at {
            return Some(self.moved());
        }
        while let Some(position) = self.page.pop_front() {
            self.cursor = position.cursor.clone();
            if self.filter.passes(&position.event) && self.sight.shows(&position.event) {
                self.filtered = 0;
                return Some(Told::Event(position));
            }
            self.filtered += 1;
            if self.filtered == limits::FILTERED_EVENTS {
                return Some(self.moved());
            }
        }
        None
    }

    fn moved(&mut self) -> Told {
        self.filtered = 0;
        self.notice_at = self.db.clock().uptime() + limits::CURSOR_NOTICE;
        Told::Moved(self.cursor.clone())
    }

    /// Waits until there may be more to read or to tell: not at all when more is known to stand behind the last page.
    pub async fn wait(&mut self) {
        if self.has_more {
            return;
        }
        let notice = self.notice_at.saturating_sub(self.db.clock().uptime());
        tokio::select! {
            () = self.watch.woken() => {}
            () = tokio::time::sleep(self.poll.min(notice)) => {}
        }
    }

    /// Reads the next page; there must be nothing left to take. After an error the next wait is a real one.
    ///
    /// # Errors
    /// [`RepoError`] of the database.
    pub async fn read(&mut self) -> Result<(), RepoError> {
        self.has_more = false;
        let page = replay(&self.db, self.project, Some(self.cursor.clone()), limits::LIVE_PAGE).await?;
        if let Some(reason) = page.resync {
            self.cursor = page.cursor.clone();
            self.filtered = 0;
            self.resync = Some(Told::Resync { reason, cursor: page.cursor });
        }
        self.page = page.events.into();
        self.has_more = page.has_more;
        Ok(())
    }
}
