//! Who has a task open. An entry is a labeling session whose fence holds and that gave a sign of life a short while ago;
//! it lives beside the database (`backend/presence`), makes no event and no version, and may be lost at any time.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures::{Stream, stream};
use tokio::time::Instant;

use crate::{
    backend::presence::{Present, Selection},
    domain::{
        ids::TaskId,
        limits,
        words::{SessionRole, SlotState, TaskState},
    },
    live::PresenceWatch,
    repo::{Conn, places, session::Session, slot::Slot, task},
    service::{App, ServiceError, Viewer, identity},
};

/// A sign of life of a session. What it is a part of has happened already: a store that is away takes nothing from it.
pub(crate) async fn note(app: &App, session: &Session, selection: Selection) {
    let present = Present {
        session: session.id,
        user: session.user,
        role: session.role,
        slot: session.slot,
        fence: session.fence,
        since: session.created_at,
        selected: None,
    };
    if let Err(error) = app.presence.note(session.task, present, selection).await {
        tracing::warn!(%error, "a sign of life is not shown");
    }
}

/// Its screen shows the task no longer. What is left when that fails is not shown: its fence does not hold.
pub(crate) async fn forget(app: &App, session: &Session) {
    if let Err(error) = app.presence.forget(session.task, session.id).await {
        tracing::warn!(%error, "a labeling session that ended is still kept as present");
    }
}

/// Who has a task open, now and whenever that changes: the whole list each time, in the order in which they opened it, at
/// most once every [`limits::PRESENCE_PACE`]. Who labels blind is told of their own slots only.
///
/// The stream ends with an error within seconds when the viewer may not see the task any more.
///
/// # Errors
/// [`ServiceError::NotFound`] when the viewer does not see the task.
#[tracing::instrument(skip_all, fields(user.id = %viewer.user.id, task.id = %task))]
pub async fn follow(
    app: Arc<App>,
    viewer: Viewer,
    task: TaskId,
) -> Result<impl Stream<Item = Result<Vec<Present>, ServiceError>> + Send + use<>, ServiceError> {
    let mut watch = app.presence.watch(task);
    let turns = watch.turns();
    let place = Place::look(&app, &viewer, task).await?;
    let trusted_until = app.db.clock().uptime() + limits::ACCESS_TRUST;
    let following = Following { app, viewer, task, watch, turns, place, trusted_until, told: None };
    Ok(stream::try_unfold(following, async |mut following| {
        let present = following.next().await?;
        Ok(Some((present, following)))
    }))
}

/// What of a task's presences is shown to somebody, as the database says it.
struct Place {
    /// The fence of the review that runs.
    review: Option<i32>,
    slots: Vec<Slot>,
    /// The slots whose people the viewer sees; none: everybody.
    own: Option<HashSet<i32>>,
}

impl Place {
    async fn look(app: &App, viewer: &Viewer, id: TaskId) -> Result<Self, ServiceError> {
        let missing = || ServiceError::not_found("task", "taskId");
        let task = task::find(&app.db, viewer.scope(), id).await?.ok_or_else(missing)?;
        let around = places::read(&app.db, viewer.scope(), id).await?;
        let is_blind = around.standing.ok_or_else(missing)?.is_blind(around.project.overlap);
        let is_own = |slot: &&Slot| [slot.holder, slot.submitted_by, slot.reserved_for].contains(&Some(viewer.user.id));
        let own = || around.slots.iter().filter(is_own).map(|slot| slot.number).collect();
        Ok(Self {
            review: Some(task.review_epoch).filter(|_| task.state == TaskState::InReview),
            own: is_blind.then(own),
            slots: around.slots,
        })
    }

    fn shows(&self, present: &Present) -> bool {
        let holds = match present.role {
            SessionRole::Reviewer => self.review == Some(present.fence),
            SessionRole::Holder | SessionRole::Collaborator => {
                let slot = self.slots.iter().find(|slot| Some(slot.number) == present.slot);
                slot.is_some_and(|slot| slot.state == SlotState::Leased && slot.lease_epoch == present.fence)
            }
        };
        let is_seen = |own: &HashSet<i32>| present.slot.is_some_and(|slot| own.contains(&slot));
        holds && self.own.as_ref().is_none_or(is_seen)
    }
}

/// One viewer's following of one task.
struct Following {
    app: Arc<App>,
    viewer: Viewer,
    task: TaskId,
    watch: PresenceWatch,
    /// Those of the watch at the last look at the database.
    turns: u64,
    place: Place,
    /// Until when that look counts, in the process's uptime.
    trusted_until: Duration,
    told: Option<(Vec<Present>, Instant)>,
}

impl Following {
    async fn next(&mut self) -> Result<Vec<Present>, ServiceError> {
        loop {
            if let Some((_, at)) = &self.told {
                let may_tell_at = *at + limits::PRESENCE_PACE;
                // A wake-up in vain is nothing; one that is missed costs a poll.
                let _ = tokio::time::timeout(limits::PRESENCE_POLL, self.watch.woken()).await;
                tokio::time::sleep_until(may_tell_at).await;
            }
            let present = match self.present().await {
                Ok(present) => present,
                // It goes on when the database, or the store, is back.
                Err(ServiceError::Unavailable(_)) => {
                    tokio::time::sleep(limits::PRESENCE_POLL).await;
                    continue;
                }
                Err(error) => return Err(error),
            };
            if self.told.as_ref().is_none_or(|(told, _)| *told != present) {
                self.told = Some((present.clone(), Instant::now()));
                return Ok(present);
            }
        }
    }

    async fn present(&mut self) -> Result<Vec<Present>, ServiceError> {
        let (turns, uptime) = (self.watch.turns(), self.app.db.clock().uptime());
        if turns != self.turns || uptime >= self.trusted_until {
            let viewer = identity::again(&self.app, &self.viewer).await?;
            if self.viewer.user.admin && !viewer.user.admin {
                // The people in it are shown with the rights it was begun with.
                return Err(ServiceError::Forbidden("you are no admin any more; subscribe again"));
            }
            self.place = Place::look(&self.app, &viewer, self.task).await?;
            (self.turns, self.trusted_until) = (turns, uptime + limits::ACCESS_TRUST);
        }
        let mut present = self.app.presence.of(self.task).await?;
        present.retain(|present| self.place.shows(present));
        Ok(present)
    }
}
