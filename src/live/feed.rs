//! What one process has read of one project's streams: once, for everybody who follows there.
//!
//! The streams come into one order here, the path: the order in which this process read them. Whoever stands on the path
//! has seen the same as everybody else who stands there, so what they are told next can be shared. The last part of the
//! path is kept; whoever is further behind reads the database, in pages that such readers share.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::{Notify, watch};

use crate::{
    domain::{cursor::EventCursor, ids::ProjectId, limits},
    live::{Hub, read},
    repo::{
        Db, RepoError,
        event::{self, Between, StoredEvent, Streams},
    },
};

/// The reading of one project by this process.
#[derive(Debug)]
pub struct Feed {
    project: ProjectId,
    db: Db,
    hub: Arc<Hub>,
    path: Mutex<Option<Path>>,
    /// Moves with the path.
    moved: watch::Sender<()>,
    /// One look at a time; the number of the last that came to an end, and what came of it.
    look: tokio::sync::Mutex<(u64, Result<(), Failure>)>,
    /// How many looks have begun.
    begun: AtomicU64,
    /// Somebody says that there is something to read.
    woken: Arc<Notify>,
}

/// A look failed for those who waited for another's as well.
#[derive(Clone, Debug)]
enum Failure {
    NotFound,
    Other(Arc<RepoError>),
}

/// The path and where its end is.
#[derive(Debug)]
pub(super) struct Path {
    pub(super) epoch: i64,
    /// Raised when the streams are no longer those that were followed: nobody's position is known any more.
    pub(super) turn: u64,
    /// Why it was raised last.
    pub(super) reason: &'static str,
    /// The positions in front of what is kept.
    pub(super) base: Vec<i64>,
    /// What is kept of each stream.
    pub(super) streams: Vec<VecDeque<Arc<StoredEvent>>>,
    /// The streams of what is kept, in order.
    pub(super) order: VecDeque<u8>,
    /// How many events were on the path before those that are kept; a turn counts as one.
    pub(super) first: u64,
    /// What was given up of each stream when they were last looked at.
    bottoms: Vec<i64>,
    standing: Standing,
    /// What keeps it from being read on and does not pass by itself.
    fault: Option<Arc<RepoError>>,
}

/// What the path says about those who stand on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Raised with each of the others: of two, the lower one is older.
    pub number: u64,
    /// Raised when the rights of those who follow may be others, because something happened to the project itself: look at
    /// them again before going on.
    pub rights: u64,
    /// The installation's, as of the last look. Another number: look at credentials again, and at admins, before going on.
    pub sign_ins: i64,
}

impl Standing {
    fn other_rights(self) -> Self {
        Self { number: self.number + 1, rights: self.rights + 1, ..self }
    }
}

impl Path {
    fn begin(streams: &Streams) -> Self {
        Self {
            epoch: streams.epoch,
            turn: 0,
            reason: "",
            base: streams.tops(),
            streams: vec![VecDeque::new(); streams.ranges.len()],
            order: VecDeque::new(),
            first: 0,
            bottoms: streams.bottoms(),
            standing: Standing { sign_ins: streams.sign_ins, ..Standing::default() },
            fault: None,
        }
    }

    /// How many events there were.
    pub(super) fn end(&self) -> u64 {
        self.first + self.order.len() as u64
    }

    /// The positions at the end.
    pub(super) fn head(&self) -> Vec<i64> {
        self.base.iter().zip(&self.streams).map(|(base, kept)| base + kept.len() as i64).collect()
    }

    /// The cursor at the end.
    pub(super) fn cursor(&self, project: ProjectId) -> EventCursor {
        EventCursor::new(self.epoch, project, self.head())
    }

    /// Why somebody cannot go on from a position; none when they can.
    pub(super) fn why_unknown(&self, cursor: &EventCursor, project: ProjectId) -> Option<&'static str> {
        read::why_unknown(cursor, project, self.epoch, &self.bottoms, &self.head())
    }

    /// The event of a stream at a position, where it is kept.
    pub(super) fn event(&self, stream: usize, position: i64) -> Option<&Arc<StoredEvent>> {
        let index = usize::try_from(position - self.base.get(stream)? - 1).ok()?;
        self.streams[stream].get(index)
    }

    /// Begins anew at the present: what was before is not known to continue.
    fn turn(&mut self, streams: &Streams, reason: &'static str) {
        *self = Self {
            turn: self.turn + 1,
            reason,
            first: self.end() + 1,
            standing: Standing { sign_ins: streams.sign_ins, ..self.standing.other_rights() },
            ..Self::begin(streams)
        };
    }

    fn push(&mut self, event: StoredEvent) -> bool {
        let Some(stream) = usize::try_from(event.stream).ok().filter(|stream| *stream < self.streams.len()) else {
            return false;
        };
        let next = self.base[stream] + self.streams[stream].len() as i64 + 1;
        if event.position != next {
            return false;
        }
        self.order.push_back(u8::try_from(stream).unwrap_or(u8::MAX));
        self.streams[stream].push_back(Arc::new(event));
        while self.order.len() > limits::FEED_EVENTS {
            self.forget_first();
        }
        true
    }

    fn forget_first(&mut self) {
        if let Some(stream) = self.order.pop_front().map(usize::from) {
            self.streams[stream].pop_front();
            self.base[stream] += 1;
            self.first += 1;
        }
    }
}

impl Feed {
    pub(super) fn new(project: ProjectId, db: Db, hub: Arc<Hub>) -> Arc<Self> {
        let feed = Arc::new(Self {
            project,
            db,
            hub,
            path: Mutex::new(None),
            moved: watch::Sender::new(()),
            look: tokio::sync::Mutex::new((0, Ok(()))),
            begun: AtomicU64::new(0),
            woken: Arc::default(),
        });
        tokio::spawn(drive(Arc::downgrade(&feed), feed.woken.clone()));
        feed
    }

    /// The project it reads.
    #[must_use]
    pub fn project(&self) -> ProjectId {
        self.project
    }

    pub(super) fn hub(&self) -> &Hub {
        &self.hub
    }

    pub(super) fn db(&self) -> &Db {
        &self.db
    }

    /// There may be something to read.
    pub(super) fn wake(&self) {
        self.woken.notify_one();
    }

    /// Whether what the database says of the streams is known here already.
    pub(super) fn is_at(&self, streams: &Streams) -> bool {
        let is_at = |path: &Path| {
            (path.epoch, path.standing.sign_ins) == (streams.epoch, streams.sign_ins) && path.head() == streams.tops()
        };
        self.lock().as_ref().is_some_and(is_at)
    }

    /// Whether streams have events, up to these positions, that are not known here.
    pub(super) fn is_behind(&self, tops: &BTreeMap<i32, i64>) -> bool {
        let is_behind = |path: &Path| {
            let head = path.head();
            let known = |stream: &i32| usize::try_from(*stream).ok().and_then(|stream| head.get(stream));
            tops.iter().any(|(stream, top)| known(stream).is_none_or(|known| top > known))
        };
        self.lock().as_ref().is_none_or(is_behind)
    }

    /// Hears of the path's moves from now on.
    pub(super) fn moves(&self) -> watch::Receiver<()> {
        self.moved.subscribe()
    }

    /// What has to be looked at again before anybody is told more.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.known_standing().unwrap_or_default()
    }

    /// As [`Feed::standing`]; none when nothing was ever read here, so that what happens is not on the path.
    #[must_use]
    pub fn known_standing(&self) -> Option<Standing> {
        self.lock().as_ref().map(|path| path.standing)
    }

    /// How many events the path has, kept or not: what was made known since raises it.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.lock().as_ref().map_or(0, Path::end)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Option<Path>> {
        self.path.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads up to the present: everything committed before the call is on the path afterwards. Many who call at once share
    /// one reading.
    ///
    /// # Errors
    /// [`RepoError`] of the database; [`RepoError::NotFound`] when there is no such project.
    pub async fn look(&self) -> Result<(), RepoError> {
        // One that has begun before may have read before.
        let wanted = self.begun.load(Ordering::SeqCst) + 1;
        let mut last = self.look.lock().await;
        if last.0 < wanted {
            let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
            // Boxed: only one of those who wait here reads.
            let read = Box::pin(self.read_on()).await;
            let read = read.map_err(|error| match error {
                RepoError::NotFound => Failure::NotFound,
                error => Failure::Other(Arc::new(error)),
            });
            self.note(&read);
            *last = (number, read);
        }
        match &last.1 {
            Ok(()) => Ok(()),
            Err(Failure::NotFound) => Err(RepoError::NotFound),
            Err(Failure::Other(error)) => Err(RepoError::Shared(error.clone())),
        }
    }

    /// Keeps what is in the way of reading on, for those who follow; in the log it is said once.
    fn note(&self, read: &Result<(), Failure>) {
        let fault = match read {
            Ok(()) => None,
            Err(Failure::NotFound) => Some(Arc::new(RepoError::NotFound)),
            Err(Failure::Other(error)) if matches!(**error, RepoError::Unavailable(_)) => return,
            Err(Failure::Other(error)) => Some(error.clone()),
        };
        let mut guard = self.lock();
        let Some(path) = guard.as_mut() else { return };
        let text = |fault: &Option<Arc<RepoError>>| fault.as_ref().map(ToString::to_string);
        if text(&fault) != text(&path.fault) {
            if let Some(error) = &fault {
                tracing::error!(%error, project = %self.project, "cannot read events");
            }
            path.fault = fault;
            drop(guard);
            self.moved.send_replace(());
        }
    }

    /// Whether what happens comes onto the path.
    ///
    /// # Errors
    /// What does not pass by itself: an event that this build does not understand, a fault. It is tried again all the same.
    pub fn goes_on(&self) -> Result<(), RepoError> {
        let fault = self.lock().as_ref().and_then(|path| path.fault.clone());
        fault.map_or(Ok(()), |fault| Err(RepoError::Shared(fault)))
    }

    async fn read_on(&self) -> Result<(), RepoError> {
        let streams = event::streams(&self.db, self.project).await?;
        loop {
            let Some(behind) = self.behind(&streams) else { return Ok(()) };
            let found = event::between(&self.db, self.project, &behind, limits::LIVE_PAGE as u64 + 1).await?;
            let has_all = found.len() <= limits::LIVE_PAGE;
            let mut page = read::merge_by_time(found);
            page.truncate(limits::LIVE_PAGE);
            self.append(&streams, page, has_all);
            if has_all {
                return Ok(());
            }
        }
    }

    /// What there is to read; none when there is nothing.
    fn behind(&self, streams: &Streams) -> Option<Vec<Between>> {
        let mut guard = self.lock();
        let path = guard.get_or_insert_with(|| Path::begin(streams));
        let (head, tops) = (path.head(), streams.tops());
        let reason = if path.epoch != streams.epoch {
            Some(read::RESTORED)
        } else if head.len() != tops.len() || head.iter().zip(&tops).any(|(head, top)| head > top) {
            Some(read::AHEAD)
        } else {
            None
        };
        if let Some(reason) = reason {
            path.turn(streams, reason);
        }
        let have_ended = path.standing.sign_ins != streams.sign_ins;
        if have_ended {
            path.standing.sign_ins = streams.sign_ins;
            path.standing.number += 1;
        }
        path.bottoms = streams.bottoms();
        let head = path.head();
        drop(guard);
        if have_ended || reason.is_some() {
            self.moved.send_replace(());
        }
        let pairs = (0..).zip(head.into_iter().zip(tops)).filter(|(_, (head, top))| top > head);
        let behind: Vec<_> = pairs.map(|(stream, (after, to))| Between { stream, after, to }).collect();
        (!behind.is_empty()).then_some(behind)
    }

    fn append(&self, streams: &Streams, page: Vec<StoredEvent>, has_all: bool) {
        let mut guard = self.lock();
        let Some(path) = guard.as_mut() else { return };
        // Of a page that is not the last, what comes behind may be about rights and have been committed before.
        if !has_all || page.iter().any(|event| event.task.is_none()) {
            path.standing = path.standing.other_rights();
        }
        for event in page {
            if !path.push(event) {
                path.turn(streams, read::NO_LONGER_KEPT);
                break;
            }
        }
        drop(guard);
        self.moved.send_replace(());
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        // Its driver notices that it is gone.
        self.woken.notify_one();
        self.hub.left(self.project);
    }
}

/// Reads on whenever somebody wakes the feed, until it is gone.
async fn drive(feed: Weak<Feed>, woken: Arc<Notify>) {
    loop {
        woken.notified().await;
        let Some(feed) = feed.upgrade() else { return };
        if let Err(error) = feed.look().await {
            // The hub's poll wakes it again.
            tracing::debug!(%error, project = %feed.project, "cannot read events");
        }
    }
}
