//! Reading what happened in a project.

use std::collections::HashSet;

use crate::{
    domain::{cursor::EventCursor, ids::ProjectId, limits, permission::Standing},
    live::{self, Replay, Sight},
    repo::{event::StoredEvent, project::Project, slot},
    service::{App, ServiceError, Viewer, project},
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
        return Ok(Sight::Own(HashSet::new()));
    }
    Ok(Sight::Own(slot::own(&app.db, viewer.user.id, &tasks).await?))
}
