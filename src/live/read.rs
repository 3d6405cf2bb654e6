//! Reading a project's streams on from a cursor, page by page, without a gap: what cannot be continued says so.

use std::{collections::VecDeque, sync::Arc};

use crate::{
    domain::{cursor::EventCursor, ids::ProjectId},
    repo::{
        Db, RepoError,
        event::{self, Between, StoredEvent},
    },
};

/// Where a project's streams are now: read it before the data, continue from it after.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn cursor(db: &Db, project: ProjectId) -> Result<EventCursor, RepoError> {
    let streams = event::streams(db, project).await?;
    Ok(EventCursor::new(streams.epoch, project, streams.tops()))
}

/// One event and the reader's position after it.
#[derive(Clone, Debug, PartialEq)]
pub struct Position {
    /// The event.
    pub event: StoredEvent,
    /// Everything up to here has been seen.
    pub cursor: EventCursor,
}

/// One page of a replay.
#[derive(Clone, Debug, PartialEq)]
pub struct Replay {
    /// Why the reader's position could not be continued, when it could not: what was missed is unknown and the page
    /// starts at the current position.
    pub resync: Option<&'static str>,
    /// The events in the order of their streams, merged by time.
    pub events: Vec<Position>,
    /// The reader's position after the page.
    pub cursor: EventCursor,
    /// Whether more events stand behind the page already.
    pub has_more: bool,
}

/// Reads up to `limit` events behind `after`, from the oldest kept one when there is none.
///
/// # Errors
/// [`RepoError`] of the database.
pub async fn replay(
    db: &Db,
    project: ProjectId,
    after: Option<EventCursor>,
    limit: usize,
) -> Result<Replay, RepoError> {
    let streams = event::streams(db, project).await?;
    let mut cursor = after.unwrap_or_else(|| EventCursor::new(streams.epoch, project, streams.bottoms()));
    let resync = |reason| {
        let cursor = EventCursor::new(streams.epoch, project, streams.tops());
        Replay { resync: Some(reason), events: Vec::new(), cursor, has_more: false }
    };
    if let Some(reason) = why_unknown(&cursor, project, streams.epoch, &streams.bottoms(), &streams.tops()) {
        return Ok(resync(reason));
    }
    let pairs = streams.ranges.iter().zip(&cursor.positions).filter(|(range, seen)| range.top > **seen);
    let behind: Vec<_> =
        pairs.map(|(range, seen)| Between { stream: range.stream, after: *seen, to: range.top }).collect();
    let found = event::between(db, project, &behind, limit as u64 + 1).await?;
    if !is_continued(&behind, &found) {
        return Ok(resync(NO_LONGER_KEPT));
    }
    let mut merged = merge_by_time(found);
    let has_more = merged.len() > limit;
    merged.truncate(limit);
    let mut events = Vec::with_capacity(merged.len());
    for event in merged {
        if let Some(position) = usize::try_from(event.stream).ok().and_then(|at| cursor.positions.get_mut(at)) {
            *position = event.position;
        }
        events.push(Position { event, cursor: cursor.clone() });
    }
    Ok(Replay { resync: None, events, cursor, has_more })
}

pub(super) const NO_LONGER_KEPT: &str = "the events behind the cursor are no longer kept";
pub(super) const RESTORED: &str = "the installation was restored since";
pub(super) const AHEAD: &str = "the cursor is ahead of the database";
const OF_ANOTHER_PROJECT: &str = "the cursor is of another project";

/// Whether every stream goes on right behind the position it was read from: between the look at the ranges and the read
/// its oldest events may have been given up.
fn is_continued(behind: &[Between], found: &[StoredEvent]) -> bool {
    behind.iter().all(|between| {
        let next = found.iter().find(|event| event.stream == between.stream);
        next.is_some_and(|event| event.position == between.after + 1)
    })
}

/// Why what happened behind a cursor is not known; `bottoms` and `tops` are those of the project's streams.
pub(super) fn why_unknown(
    cursor: &EventCursor,
    project: ProjectId,
    epoch: i64,
    bottoms: &[i64],
    tops: &[i64],
) -> Option<&'static str> {
    if !cursor.is_of(project) || cursor.positions.len() != tops.len() {
        return Some(OF_ANOTHER_PROJECT);
    }
    if cursor.epoch != epoch {
        return Some(RESTORED);
    }
    if cursor.positions.iter().zip(bottoms).any(|(seen, bottom)| seen < bottom) {
        return Some(NO_LONGER_KEPT);
    }
    cursor.positions.iter().zip(tops).any(|(seen, top)| seen > top).then_some(AHEAD)
}

/// Which of the next events of streams comes first.
pub(super) fn earliest<'e>(fronts: impl IntoIterator<Item = &'e Arc<StoredEvent>>) -> Option<&'e Arc<StoredEvent>> {
    fronts.into_iter().min_by_key(|event| (event.at, event.stream))
}

/// Merges streams, each in its own order, by the time of their next events.
pub(super) fn merge_by_time(events: Vec<StoredEvent>) -> Vec<StoredEvent> {
    let mut streams: Vec<VecDeque<StoredEvent>> = Vec::new();
    for event in events {
        match streams.last_mut() {
            Some(stream) if stream.back().is_some_and(|last| last.stream == event.stream) => stream.push_back(event),
            _ => streams.push(VecDeque::from([event])),
        }
    }
    let mut merged = Vec::new();
    while let Some(next) = streams.iter_mut().min_by_key(|stream| stream.front().map(|event| (event.at, event.stream)))
    {
        merged.extend(next.pop_front());
        streams.retain(|stream| !stream.is_empty());
    }
    merged
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::domain::words::EventType;

    fn at(stream: i32, position: i64, seconds: i64) -> StoredEvent {
        StoredEvent {
            project: ProjectId(uuid::Uuid::nil()),
            stream,
            position,
            event_type: EventType::TaskCreated,
            task: None,
            by: None,
            at: DateTime::from_timestamp(seconds, 0).unwrap(),
            payload: serde_json::Value::Null,
        }
    }

    #[test]
    fn streams_merge_by_time_and_keep_their_own_order() {
        // Stream 1's second event has an earlier time than its first: a clock that was set back.
        let merged = merge_by_time(vec![at(0, 1, 10), at(0, 2, 30), at(1, 1, 20), at(1, 2, 15)]);
        let order: Vec<_> = merged.iter().map(|event| (event.stream, event.position)).collect();
        assert_eq!(order, [(0, 1), (1, 1), (1, 2), (0, 2)]);
    }

    #[test]
    fn a_position_that_cannot_be_continued_says_why() {
        let (bottoms, tops) = ([5, 0], [9, 3]);
        let (project, other) = (ProjectId::generate(), ProjectId::generate());
        let cursor = |epoch, positions: &[i64]| EventCursor::new(epoch, project, positions.to_vec());
        for (case, cursor, known) in [
            ("at the bottom", cursor(1, &[5, 0]), true),
            ("at the top", cursor(1, &[9, 3]), true),
            ("below the bottom", cursor(1, &[4, 0]), false),
            ("above the top", cursor(1, &[9, 4]), false),
            ("of another epoch", cursor(2, &[9, 3]), false),
            ("of another number of streams", cursor(1, &[9]), false),
            ("of another project", EventCursor::new(1, other, vec![9, 3]), false),
        ] {
            assert_eq!(why_unknown(&cursor, project, 1, &bottoms, &tops).is_none(), known, "{case}");
        }
    }
}
