//! How a project is doing. Counters are read; what takes a walk over rows is computed at most once a minute a project.

use std::time::Duration;

use crate::{
    domain::ids::ProjectId,
    repo::{
        RepoError,
        stats::{self as repo, Walked},
    },
    service::{App, ServiceError},
};

/// How long a walk's result stands.
const FRESH: Duration = Duration::from_secs(60);
/// Projects whose results are kept.
const PROJECTS: u64 = 10_000;

/// The last results.
#[derive(Debug)]
pub(crate) struct Cache(moka::future::Cache<ProjectId, Walked>);

impl Default for Cache {
    fn default() -> Self {
        Self(moka::future::Cache::builder().time_to_live(FRESH).max_capacity(PROJECTS).build())
    }
}

/// What takes a walk over rows, for a project the asker may see. Askers at the same time share one walk.
///
/// # Errors
/// [`ServiceError`] of the database.
pub async fn walked(app: &App, project: ProjectId) -> Result<Walked, ServiceError> {
    let walk = repo::walk(&app.db, project);
    let result = app.stats.0.try_get_with(project, walk).await;
    result.map_err(|error| match &*error {
        RepoError::Unavailable(_) => ServiceError::Unavailable("the database is not available"),
        other => ServiceError::Internal(other.to_string().into()),
    })
}
