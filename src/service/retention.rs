//! Events are kept for a while and up to a number; then their streams give them up, the oldest first.
//!
//! A walk along the streams of all projects, some in each round, in short transactions: first a stream's bottom is raised,
//! then what is below it is deleted. A round that is cut off anywhere is continued by the next one, here or in another
//! process; several at once do the same twice.

use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    config::EventRetention,
    domain::limits,
    repo::{
        clock,
        retention::{self as repo, Kept, StreamId},
    },
    service::{App, ServiceError},
};

/// What is kept, and how far this process has come in giving up the rest.
#[derive(Debug)]
pub(crate) struct Retention {
    kept: EventRetention,
    /// The last stream that was looked at; none: the walk begins anew.
    behind: Mutex<Option<StreamId>>,
}

impl Retention {
    pub(crate) fn new(kept: EventRetention) -> Self {
        Self { kept, behind: Mutex::default() }
    }

    fn behind(&self) -> MutexGuard<'_, Option<StreamId>> {
        self.behind.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One round: deletes what is too old or too many in the next [`limits::RETENTION_STREAMS`] streams, up to
/// [`limits::RETENTION_BATCHES`] times [`limits::RETENTION_EVENTS`] events.
///
/// # Errors
/// [`ServiceError`] of the database; what was deleted before it stays so.
pub async fn give_up(app: &App) -> Result<(), ServiceError> {
    let behind = *app.retention.behind();
    let streams = repo::look(&app.db, behind, limits::RETENTION_STREAMS).await?;
    let cutoff = clock::read(&app.db).await? - TimeDelta::days(i64::from(app.retention.kept.days));
    let mut round = Round { app, cutoff, batches: limits::RETENTION_BATCHES, deleted: 0 };
    let ended = round.walk(&streams).await;
    if round.deleted > 0 {
        tracing::info!(events = round.deleted, "old events deleted");
    }
    // None: from the beginning again.
    let is_last = (streams.len() as u64) < limits::RETENTION_STREAMS;
    if ended? && is_last {
        *app.retention.behind() = None;
    }
    Ok(())
}

struct Round<'a> {
    app: &'a App,
    /// Events before it are too old.
    cutoff: DateTime<Utc>,
    /// Statements that may still delete.
    batches: usize,
    deleted: u64,
}

impl Round<'_> {
    /// Whether there was time for all of them.
    async fn walk(&mut self, streams: &[Kept]) -> Result<bool, ServiceError> {
        for kept in streams {
            match self.shorten(kept).await {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(error @ ServiceError::Unavailable(_)) => return Err(error),
                // One stream that cannot be shortened must not keep the others from it.
                Err(error) => tracing::error!(project.id = %kept.stream.0, %error, "old events could not be deleted"),
            }
            *self.app.retention.behind() = Some(kept.stream);
        }
        Ok(true)
    }

    /// Shortens one stream; whether there was time for all of it.
    async fn shorten(&mut self, kept: &Kept) -> Result<bool, ServiceError> {
        let mut bottom = kept.bottom;
        // Behind this one there may be rows; those below the bottom were left by a round that was cut off.
        let mut gone = kept.first.map_or(bottom, |first| bottom.min(first - 1));
        loop {
            while gone < bottom {
                if self.batches == 0 {
                    return Ok(false);
                }
                self.batches -= 1;
                let upto = bottom.min(gone + limits::RETENTION_EVENTS);
                let txn = self.app.db.begin().await?;
                let deleted = repo::delete(&txn, kept.stream, gone, upto).await?;
                txn.commit().await?;
                self.deleted += deleted;
                self.app.metrics.events_deleted.inc_by(deleted);
                gone = upto;
            }
            let next = self.next_bottom(kept, bottom).await?;
            if next == bottom {
                return Ok(true);
            }
            let txn = self.app.db.begin().await?;
            repo::raise_bottom(&txn, kept.stream, next).await?;
            txn.commit().await?;
            bottom = next;
        }
    }

    /// Up to where a stream whose bottom is this may be given up; by age only as far as one statement deletes, because each
    /// event on the way is looked at.
    async fn next_bottom(&self, kept: &Kept, bottom: i64) -> Result<i64, ServiceError> {
        let too_many = kept.top - i64::from(self.app.retention.kept.count);
        if too_many > bottom {
            return Ok(too_many);
        }
        let is_young = bottom == kept.bottom && kept.since.is_some_and(|since| since >= self.cutoff);
        let upto = kept.top.min(bottom + limits::RETENTION_EVENTS);
        if is_young || upto == bottom {
            return Ok(bottom);
        }
        let young = repo::first_since(&self.app.db, kept.stream, (bottom, upto), self.cutoff).await?;
        Ok(young.map_or(upto, |position| position - 1))
    }
}
