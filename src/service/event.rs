//! Reading what happened in a project.

use crate::{
    domain::{cursor::EventCursor, ids::ProjectId, limits},
    live::{self, Replay},
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
    let (project, _) = project::get(app, viewer, project).await?;
    let limit = usize::try_from(first).ok().filter(|first| (1..=limits::PAGE_ROWS as usize).contains(first));
    let limit =
        limit.ok_or_else(|| ServiceError::invalid("first", format!("must be from 1 to {}", limits::PAGE_ROWS)))?;
    Ok(live::replay(&app.db, project.id, after, limit).await?)
}
