//! Reading what happened in a project, and following what happens.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures::{Stream, StreamExt, stream};

use crate::{
    domain::{
        cursor::EventCursor,
        ids::{ProjectId, TaskId},
        limits,
        permission::Standing,
        words::EventType,
    },
    live::{self, Filter, Follower, Replay, Sight, Told},
    repo::{
        Conn, Scope,
        event::StoredEvent,
        project::{self as project_repo, Project},
        slot, task,
    },
    service::{App, ServiceError, Viewer, identity, project},
};

/// Where a project's streams are now.
///
/// # Errors
/// [`ServiceError::NotFound`] when the viewer does not see the project.
pub async fn cursor(app: &App, viewer: &Viewer, project: ProjectId) -> Result<EventCursor, ServiceError> {
    let (project, _) = project::get(app, viewer, project).await?;
    Ok(live::cursor(&app.db, project.id).await?)
}

/// Up to `first` events behind `after`, from the oldest kept one when there is no cursor.
///
/// # Errors
/// [`ServiceError::NotFound`] when the viewer does not see the project, [`ServiceError::Invalid`] for a bad `first`.
pub async fn page(
    app: &App,
    viewer: &Viewer,
    project: ProjectId,
    after: Option<EventCursor>,
    first: i32,
) -> Result<Replay, ServiceError> {
    let (project, standing) = project::get(app, viewer, project).await?;
    let limit = usize::try_from(first).ok().filter(|first| (1..=limits::PAGE_ROWS as usize).contains(first));
    let limit =
        limit.ok_or_else(|| ServiceError::invalid("first", format!("must be from 1 to {}", limits::PAGE_ROWS)))?;
    let mut replay = live::replay(&app.db, project.id, after, limit).await?;
    // What is left out is behind the page's cursor all the same.
    let seen: Vec<&StoredEvent> = replay.events.iter().map(|position| &position.event).collect();
    let sight = sight(app, viewer, &project, standing, &seen).await?;
    replay.events.retain(|position| sight.shows(&position.event));
    Ok(replay)
}

/// What of these events of a project its viewer sees.
///
/// # Errors
/// [`ServiceError`] of the database.
pub(crate) async fn sight(
    app: &App,
    viewer: &Viewer,
    project: &Project,
    standing: Standing,
    events: &[&StoredEvent],
) -> Result<Sight, ServiceError> {
    if !standing.is_blind(project.overlap) {
        return Ok(Sight::All);
    }
    let tasks = live::places_of(events);
    if tasks.is_empty() {
        return Ok(Sight::Own { user: viewer.user.id, slots: HashSet::new() });
    }
    Ok(Sight::Own { user: viewer.user.id, slots: slot::own(&app.db, viewer.user.id, &tasks).await? })
}

/// What somebody wants to follow.
#[derive(Clone, Debug)]
pub struct Follow {
    /// The project.
    pub project: ProjectId,
    /// Only events about this task.
    pub task: Option<TaskId>,
    /// Only events of these types.
    pub types: Option<Vec<EventType>>,
    /// Where to go on; now when there is none.
    pub after: Option<EventCursor>,
}

/// What happens in a project, as it happens, without an end: each event once, in order per task.
///
/// The stream ends with an error within seconds when the viewer may not see the project any more. What is committed after
/// that is never told. While the database is away nothing is told either; it goes on when it is back.
///
/// # Errors
/// [`ServiceError::NotFound`] when the viewer does not see the project or the task, [`ServiceError::LimitExceeded`] for
/// too many types.
#[tracing::instrument(skip_all, fields(user.id = %viewer.user.id, project.id = %follow.project))]
pub async fn follow(
    app: Arc<App>,
    viewer: Viewer,
    follow: Follow,
) -> Result<impl Stream<Item = Result<Told, ServiceError>> + Send + use<>, ServiceError> {
    let Follow { project, task, types, after } = follow;
    if types.as_ref().is_some_and(|types| types.len() > limits::FILTER_VALUES) {
        return Err(ServiceError::limit("types", limits::FILTER_VALUES, "types"));
    }
    let (project, _) = project::get(&app, &viewer, project).await?;
    if let Some(task) = task {
        must_be_task_of(&app, viewer.scope(), project.id, task).await?;
    }
    let follower = Follower::new(&app.db, &app.hub, project.id, Filter { task, types }, after).await?;
    Ok(Following::new(app, Some(viewer), project.id, follower).stream())
}

/// As [`follow`], on behalf of the operator, who has the machine and sees everything. What other processes commit is seen
/// within `poll`. Without `after` the first thing told is the position that it begins at, so that there is one to go on
/// from before anything has happened.
///
/// # Errors
/// [`ServiceError::NotFound`] when there is no such project or task.
#[tracing::instrument(skip_all, fields(project.id = %follow.project))]
pub async fn follow_unchecked(
    app: Arc<App>,
    follow: Follow,
    poll: Duration,
) -> Result<impl Stream<Item = Result<Told, ServiceError>> + Send + use<>, ServiceError> {
    let Follow { project, task, types, after } = follow;
    let found = project_repo::find(&app.db, identity::OPERATOR, project).await?;
    let (project, _) = found.ok_or_else(|| project::no_project("projectId"))?;
    if let Some(task) = task {
        must_be_task_of(&app, identity::OPERATOR, project.id, task).await?;
    }
    let begins_now = after.is_none();
    let follower = Follower::new(&app.db, &app.hub, project.id, Filter { task, types }, after).await?.polling(poll);
    let begin = begins_now.then(|| Ok(Told::Moved(follower.cursor().clone())));
    Ok(stream::iter(begin).chain(Following::new(app, None, project.id, follower).stream()))
}

async fn must_be_task_of(app: &App, scope: Scope, project: ProjectId, task: TaskId) -> Result<(), ServiceError> {
    let found = task::find(&app.db, scope, task).await?.filter(|task| task.project == project);
    found.map(drop).ok_or_else(|| ServiceError::not_found("task", "taskId"))
}

/// The following of one project.
struct Following {
    app: Arc<App>,
    /// Whose; none: the operator's, whose rights do not end.
    viewer: Option<Viewer>,
    project: ProjectId,
    follower: Follower,
    /// Until when the last look at the viewer's rights counts, in the process's uptime.
    trusted_until: Duration,
}

impl Following {
    fn new(app: Arc<App>, viewer: Option<Viewer>, project: ProjectId, follower: Follower) -> Self {
        let trusted_until = app.db.clock().uptime() + limits::ACCESS_TRUST;
        Self { app, viewer, project, follower, trusted_until }
    }

    fn stream(self) -> impl Stream<Item = Result<Told, ServiceError>> + Send + use<> {
        stream::try_unfold(self, async |mut following| {
            let told = following.next().await?;
            Ok(Some((told, following)))
        })
    }

    async fn next(&mut self) -> Result<Told, ServiceError> {
        loop {
            if self.app.db.clock().uptime() >= self.trusted_until {
                match self.must_still_see().await {
                    Ok(sight) => {
                        self.follower.see(sight);
                        self.trusted_until = self.app.db.clock().uptime() + limits::ACCESS_TRUST;
                    }
                    Err(ServiceError::Unavailable(_)) => {
                        tokio::time::sleep(limits::EVENT_POLL).await;
                        continue;
                    }
                    Err(error) => return Err(error),
                }
            }
            if let Some(told) = self.follower.take() {
                return Ok(told);
            }
            self.follower.wait().await;
            match self.follower.read().await.map_err(ServiceError::from) {
                Ok(()) | Err(ServiceError::Unavailable(_)) => {}
                Err(error) => return Err(error),
            }
            if self.follower.has_read() {
                // Looked at after the events were read: who lost the right before one of them was committed is not told
                // of it.
                self.trusted_until = Duration::ZERO;
            }
        }
    }

    /// What the viewer sees of what was read.
    async fn must_still_see(&self) -> Result<Sight, ServiceError> {
        let Some(viewer) = &self.viewer else { return Ok(Sight::All) };
        let now = identity::again(&self.app, viewer).await?;
        if viewer.user.admin && !now.user.admin {
            // Everything the stream shows is shown with the rights it was begun with.
            return Err(ServiceError::Forbidden("you are no admin any more; subscribe again"));
        }
        let (project, standing) = project::get(&self.app, &now, self.project).await?;
        sight(&self.app, &now, &project, standing, &self.follower.unread()).await
    }
}
