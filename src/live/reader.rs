//! Somebody's way through a project's events: from a cursor on, each once, in order per task, without an end.

use std::{collections::VecDeque, sync::Arc};

use futures::future::try_join_all;
use tokio::sync::watch;

use crate::{
    domain::cursor::EventCursor,
    live::{
        Feed,
        feed::Path,
        read::{self, NO_LONGER_KEPT},
    },
    repo::{
        RepoError,
        event::{Between, StoredEvent},
    },
};

/// A reader of a project's events.
#[derive(Debug)]
pub struct Reader {
    feed: Arc<Feed>,
    /// Everything up to here was given.
    cursor: EventCursor,
    turn: u64,
    place: Place,
    moves: watch::Receiver<()>,
}

#[derive(Debug)]
enum Place {
    /// On the path, behind so many events: the cursor is what everybody's is there.
    OnPath(u64),
    /// Behind a point of it, which is so many events along and at these positions.
    Behind {
        end: u64,
        head: Vec<i64>,
        /// What was read of each stream and not given.
        read: Vec<VecDeque<Arc<StoredEvent>>>,
    },
}

/// What comes next.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// This event.
    Event(Arc<StoredEvent>),
    /// What happened behind the cursor is not known; it has moved to the present.
    Resync(&'static str),
    /// Nothing yet.
    Nothing,
}

enum Step {
    Give(Next),
    Load(Vec<Between>),
}

impl Reader {
    /// Begins behind `after`; at the present when there is none, or when it cannot be continued: then the second is why.
    ///
    /// # Errors
    /// [`RepoError`] of the database; [`RepoError::NotFound`] when there is no such project.
    pub async fn begin(feed: Arc<Feed>, after: Option<EventCursor>) -> Result<(Self, Option<&'static str>), RepoError> {
        let moves = feed.moves();
        // Whatever was committed when somebody took the cursor is known here now.
        feed.look().await?;
        // Under one lock: a cursor that is known is one of this path.
        let (turn, place, cursor, reason) = {
            let guard = feed.lock();
            let path = guard.as_ref().ok_or(RepoError::NotFound)?;
            let reason = after.as_ref().and_then(|after| path.why_unknown(after, feed.project()));
            match after.filter(|_| reason.is_none()) {
                Some(after) => (path.turn, Place::behind(path), after, None),
                None => (path.turn, Place::OnPath(path.end()), path.cursor(feed.project()), reason),
            }
        };
        Ok((Self { feed, cursor, turn, place, moves }, reason))
    }

    /// At the end of what the feed has read; none when it never has.
    #[must_use]
    pub fn at_present(feed: Arc<Feed>) -> Option<Self> {
        let moves = feed.moves();
        let (turn, place, cursor) = {
            let guard = feed.lock();
            let path = guard.as_ref()?;
            (path.turn, Place::OnPath(path.end()), path.cursor(feed.project()))
        };
        Some(Self { feed, cursor, turn, place, moves })
    }

    /// Everything up to here was given.
    #[must_use]
    pub fn cursor(&self) -> &EventCursor {
        &self.cursor
    }

    /// How many events of the path are behind the reader; none while it is not on it.
    #[must_use]
    pub fn place(&self) -> Option<u64> {
        match self.place {
            Place::OnPath(at) => Some(at),
            Place::Behind { .. } => None,
        }
    }

    /// What comes next.
    ///
    /// # Errors
    /// [`RepoError`] of the database; nothing is lost, it may be asked again.
    pub async fn next(&mut self) -> Result<Next, RepoError> {
        loop {
            let step = {
                let feed = self.feed.clone();
                let guard = feed.lock();
                let path = guard.as_ref().ok_or(RepoError::NotFound)?;
                self.step(path)
            };
            match step {
                Step::Give(next) => return Ok(next),
                Step::Load(missing) => {
                    let project = self.feed.project();
                    let pages = self.feed.hub().pages();
                    let load = |between| pages.load(self.feed.db(), project, between);
                    let loaded = try_join_all(missing.iter().copied().map(load)).await?;
                    let gone = loaded.iter().any(Vec::is_empty);
                    if let Place::Behind { read, .. } = &mut self.place {
                        for (between, events) in missing.iter().zip(loaded) {
                            if let Some(read) = usize::try_from(between.stream).ok().and_then(|at| read.get_mut(at)) {
                                read.extend(events);
                            }
                        }
                    }
                    if gone {
                        return Ok(self.resync(NO_LONGER_KEPT));
                    }
                }
            }
        }
    }

    /// Waits until there may be more than [`Next::Nothing`].
    pub async fn wait(&mut self) {
        // The feed, which this keeps, has the other end.
        let _ = self.moves.changed().await;
    }

    fn resync(&mut self, reason: &'static str) -> Next {
        let feed = self.feed.clone();
        if let Some(path) = feed.lock().as_ref() {
            self.jump_to_present(path);
        }
        Next::Resync(reason)
    }

    fn jump_to_present(&mut self, path: &Path) {
        self.turn = path.turn;
        self.cursor = path.cursor(self.feed.project());
        self.place = Place::OnPath(path.end());
    }

    fn step(&mut self, path: &Path) -> Step {
        if self.turn != path.turn {
            self.jump_to_present(path);
            return Step::Give(Next::Resync(path.reason));
        }
        loop {
            match &mut self.place {
                Place::OnPath(at) if *at >= path.end() => return Step::Give(Next::Nothing),
                Place::OnPath(at) => {
                    let kept = at.checked_sub(path.first).and_then(|index| usize::try_from(index).ok());
                    let stream = kept.and_then(|index| path.order.get(index)).map(|stream| usize::from(*stream));
                    let event = stream.and_then(|stream| path.event(stream, self.cursor.positions[stream] + 1));
                    let Some(event) = event.cloned() else {
                        // Too slow for what is kept.
                        self.place = Place::behind(path);
                        continue;
                    };
                    *at += 1;
                    return Step::Give(self.give(event));
                }
                Place::Behind { end, head, read } => {
                    let streams: Vec<usize> =
                        (0..head.len()).filter(|stream| self.cursor.positions[*stream] < head[*stream]).collect();
                    if streams.is_empty() {
                        self.place = Place::OnPath(*end);
                        continue;
                    }
                    let mut missing = Vec::new();
                    let mut fronts = Vec::new();
                    for stream in streams {
                        let after = self.cursor.positions[stream];
                        match read[stream].front().or_else(|| path.event(stream, after + 1)) {
                            Some(event) => fronts.push(event),
                            None => missing.push(Between {
                                stream: i32::try_from(stream).unwrap_or(i32::MAX),
                                after,
                                to: path.base[stream].min(head[stream]),
                            }),
                        }
                    }
                    if !missing.is_empty() {
                        return Step::Load(missing);
                    }
                    let Some(event) = read::earliest(fronts).cloned() else { return Step::Give(Next::Nothing) };
                    if let Some(read) = usize::try_from(event.stream).ok().and_then(|stream| read.get_mut(stream)) {
                        read.pop_front();
                    }
                    return Step::Give(self.give(event));
                }
            }
        }
    }

    fn give(&mut self, event: Arc<StoredEvent>) -> Next {
        if let Some(seen) = usize::try_from(event.stream).ok().and_then(|at| self.cursor.positions.get_mut(at)) {
            *seen = event.position;
        }
        Next::Event(event)
    }
}

impl Place {
    fn behind(path: &Path) -> Self {
        let read = vec![VecDeque::new(); path.base.len()];
        Self::Behind { end: path.end(), head: path.head(), read }
    }
}
