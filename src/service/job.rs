//! Jobs: asked for, followed, cancelled; and how a runner holds one.

use std::sync::Arc;

use futures::{Stream, stream};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    domain::{
        ids::{AssetId, JobId, ProjectId, TemplateId},
        limits,
        permission::{Action, Standing},
        words::{
            AssetState, ConflictExport, DatasetFormat, JobKind, JobState, JobStep, OverlapExport, PreAnnotationUse,
            Role, TaskState,
        },
    },
    repo::{
        Conn, RepoError, Txn, asset,
        job::{self as repo, End, Job, NewJob, Progress},
        project::{self, Project},
        record::Losses,
    },
    service::{
        App, ServiceError, Viewer, identity,
        project::no_project,
        signed_url::{FileId, Permit},
        template,
        validate::{self, must},
    },
};

/// The job is not this runner's any more: it was cancelled, or taken over by another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the job is not this runner's any more")]
pub struct Lost;

/// What an import is asked to do.
#[derive(Clone, Debug)]
pub struct StartImport {
    /// Into which project.
    pub project: ProjectId,
    /// What the file is.
    pub format: DatasetFormat,
    /// The uploaded file.
    pub source: AssetId,
    /// What becomes of the annotations in it.
    pub annotations: PreAnnotationUse,
}

/// What an export is asked to do.
#[derive(Clone, Debug)]
pub struct StartExport {
    /// Of which project.
    pub project: ProjectId,
    /// What the file is to be.
    pub format: DatasetFormat,
    /// Only tasks in these states; none: all but archived ones.
    pub states: Option<Vec<TaskState>>,
    /// Which results of a task.
    pub overlap: OverlapExport,
    /// What becomes of annotations with an open conflict.
    pub conflicts: ConflictExport,
}

/// The parameters of an import, as its row keeps them: what it began with stays, whatever becomes of the project.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportParameters {
    /// What the file is.
    pub format: DatasetFormat,
    source: String,
    /// What becomes of the annotations in it.
    pub annotations: PreAnnotationUse,
    template: String,
    pub(crate) overlap: i32,
}

impl ImportParameters {
    /// The uploaded file.
    ///
    /// # Errors
    /// [`ServiceError::Internal`] when the row is damaged.
    pub fn source(&self) -> Result<AssetId, ServiceError> {
        self.source.parse().map_err(|error| ServiceError::Internal(Box::new(error)))
    }

    pub(crate) fn template(&self) -> Result<TemplateId, ServiceError> {
        self.template.parse().map_err(|error| ServiceError::Internal(Box::new(error)))
    }
}

/// The parameters of an export, as its row keeps them.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportParameters {
    /// What the file is to be.
    pub format: DatasetFormat,
    /// Only tasks in these states; none: all but archived ones.
    pub states: Option<Vec<TaskState>>,
    /// Which results of a task.
    pub overlap: OverlapExport,
    /// What becomes of annotations with an open conflict.
    pub conflicts: ConflictExport,
}

/// What a job's row says it is to do.
///
/// # Errors
/// [`ServiceError::Internal`] when the row is damaged.
pub fn parameters<T: DeserializeOwned>(job: &Job) -> Result<T, ServiceError> {
    T::deserialize(&job.parameters).map_err(|error| ServiceError::Internal(Box::new(error)))
}

/// Asks for an import; takes a manager.
///
/// # Errors
/// [`ServiceError::NotFound`] for a project or an uploaded file that is not there, [`ServiceError::Forbidden`],
/// [`ServiceError::Transition`] while the project is archived or has no template, [`ServiceError::LimitExceeded`] when too
/// many jobs wait.
#[tracing::instrument(skip_all, fields(user.id = %viewer.user.id, project.id = %start.project))]
pub async fn start_import(app: &App, viewer: &Viewer, start: StartImport) -> Result<Job, ServiceError> {
    let (txn, project) = open(app, viewer, start.project).await?;
    validate::must_be_open(&project, "projectId")?;
    let template = template::current(&txn, &project).await?;
    let source = asset::find_all(&txn, viewer.scope(), &[start.source]).await?.remove(&start.source);
    let ready = source.filter(|asset| asset.project == project.id && asset.state == AssetState::Ready);
    ready.ok_or_else(|| ServiceError::not_found("READY asset of this project", "source.assetId"))?;
    let parameters = ImportParameters {
        format: start.format,
        source: start.source.to_string(),
        annotations: start.annotations,
        template: template.id.to_string(),
        overlap: project.overlap,
    };
    add(txn, viewer, &project, JobKind::Import, &parameters).await
}

/// Asks for an export; takes a manager.
///
/// # Errors
/// [`ServiceError::NotFound`], [`ServiceError::Forbidden`], [`ServiceError::Invalid`], [`ServiceError::LimitExceeded`] when
/// too many jobs wait.
#[tracing::instrument(skip_all, fields(user.id = %viewer.user.id, project.id = %start.project))]
pub async fn start_export(app: &App, viewer: &Viewer, start: StartExport) -> Result<Job, ServiceError> {
    let (txn, project) = open(app, viewer, start.project).await?;
    if let Some(states) = &start.states {
        validate::count("states", states.len(), limits::FILTER_VALUES, "states")?;
    }
    let StartExport { format, states, overlap, conflicts, .. } = start;
    let parameters = ExportParameters { format, states, overlap, conflicts };
    add(txn, viewer, &project, JobKind::Export, &parameters).await
}

async fn open(app: &App, viewer: &Viewer, id: ProjectId) -> Result<(Txn, Project), ServiceError> {
    let txn = app.db.begin().await?;
    // Exclusively: so that the number of jobs cannot grow between the count and the insert.
    let (project, standing) = project::lock(&txn, viewer.scope(), id).await?.ok_or_else(|| no_project("projectId"))?;
    must(standing, Action::RunJobs)?;
    Ok((txn, project))
}

async fn add(
    txn: Txn,
    viewer: &Viewer,
    project: &Project,
    kind: JobKind,
    parameters: &impl Serialize,
) -> Result<Job, ServiceError> {
    if repo::count_open(&txn, project.id).await? >= limits::OPEN_JOBS {
        return Err(ServiceError::limit("projectId", limits::OPEN_JOBS, "jobs of a project that wait or run"));
    }
    let parameters = serde_json::to_value(parameters).map_err(|error| ServiceError::Internal(Box::new(error)))?;
    let job = repo::insert(&txn, NewJob { project: project.id, kind, parameters, by: viewer.user.id }).await?;
    txn.commit().await?;
    Ok(job)
}

/// Ends a job that waits or runs; takes a manager. What an import has written so far is deleted. One that was cancelled
/// before is given as it is.
///
/// # Errors
/// [`ServiceError::NotFound`], [`ServiceError::Forbidden`], [`ServiceError::Transition`] when it has ended, or an import
/// shows its tasks already.
#[tracing::instrument(skip_all, fields(user.id = %viewer.user.id, job.id = %id))]
pub async fn cancel(app: &App, viewer: &Viewer, id: JobId) -> Result<Job, ServiceError> {
    let txn = app.db.begin().await?;
    let job = repo::lock(&txn, viewer.scope(), id).await?.ok_or_else(|| no_job("jobId"))?;
    let (_, standing) = project::find(&txn, viewer.scope(), job.project).await?.ok_or_else(|| no_job("jobId"))?;
    must(standing, Action::RunJobs)?;
    match (job.state, job.step) {
        (JobState::Cancelled, _) => return Ok(job),
        (JobState::Running, Some(JobStep::Show)) => {
            return Err(ServiceError::transition(
                "jobId",
                "everything is written and is being shown; archive the tasks",
            ));
        }
        (JobState::Queued | JobState::Running, _) => {}
        (JobState::Succeeded | JobState::Failed, _) => {
            return Err(ServiceError::transition("jobId", format!("the job has {}", job.state)));
        }
    }
    let job = repo::cancel(&txn, id).await?;
    txn.commit().await?;
    Ok(job)
}

fn no_job(field: &str) -> ServiceError {
    ServiceError::not_found("job", field)
}

/// Whether somebody of this role, or an admin, sees jobs.
///
/// # Errors
/// [`ServiceError::Forbidden`] for everybody below a manager.
pub fn must_see_jobs(viewer: &Viewer, role: Option<Role>) -> Result<(), ServiceError> {
    let standing = if viewer.user.admin { Standing::Admin } else { Standing::Member(role.unwrap_or(Role::Viewer)) };
    must(standing, Action::RunJobs)
}

/// How a job stands; takes a manager.
///
/// # Errors
/// [`ServiceError::NotFound`], [`ServiceError::Forbidden`].
pub async fn get(app: &App, viewer: &Viewer, id: JobId) -> Result<Job, ServiceError> {
    let job = repo::find_visible(&app.db, viewer.scope(), id).await?.ok_or_else(|| no_job("jobId"))?;
    let found = project::find(&app.db, viewer.scope(), job.project).await?;
    let (_, standing) = found.ok_or_else(|| no_job("jobId"))?;
    must(standing, Action::RunJobs)?;
    Ok(job)
}

/// How a job stands, whenever that changes, until it has ended: then its last state once.
///
/// # Errors
/// As [`get`]. The stream ends with an error when the viewer may not see the job any more.
pub async fn follow(
    app: Arc<App>,
    viewer: Viewer,
    id: JobId,
) -> Result<impl Stream<Item = Result<Job, ServiceError>> + Send + use<>, ServiceError> {
    let next = Some(get(&app, &viewer, id).await?);
    let following = Following { app, viewer, id, told: None, next };
    Ok(stream::try_unfold(following, async |mut following| {
        let job = following.next().await?;
        Ok(job.map(|job| (job, following)))
    }))
}

/// One viewer's following of one job.
struct Following {
    app: Arc<App>,
    viewer: Viewer,
    id: JobId,
    told: Option<Job>,
    next: Option<Job>,
}

impl Following {
    async fn next(&mut self) -> Result<Option<Job>, ServiceError> {
        if self.told.as_ref().is_some_and(|told| told.ended_at.is_some()) {
            return Ok(None);
        }
        loop {
            let job = match self.next.take() {
                Some(job) => job,
                None => {
                    tokio::time::sleep(limits::JOB_POLL).await;
                    match self.look().await {
                        Ok(job) => job,
                        // It goes on when the database is back.
                        Err(ServiceError::Unavailable(_)) => continue,
                        Err(error) => return Err(error),
                    }
                }
            };
            if self.told.as_ref() != Some(&job) {
                self.told = Some(job.clone());
                return Ok(Some(job));
            }
        }
    }

    async fn look(&self) -> Result<Job, ServiceError> {
        let viewer = identity::again(&self.app, &self.viewer).await?;
        get(&self.app, &viewer, self.id).await
    }
}

/// Which file of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobFile {
    /// What an export made.
    Result,
    /// What was wrong with the file of an import, a JSON object a line.
    Errors,
}

/// A URL under which a file of a job can be read for a while, when there is one; the caller has seen the job.
///
/// # Errors
/// [`ServiceError`] of the database, from which the signing key comes once.
pub async fn file_url(app: &App, job: &Job, file: JobFile) -> Result<Option<String>, ServiceError> {
    let (key, permit) = match file {
        JobFile::Result => (&job.result_key, Permit::Result),
        JobFile::Errors => (&job.errors_key, Permit::Errors),
    };
    if key.is_none() {
        return Ok(None);
    }
    Ok(Some(app.urls().await?.sign(permit, FileId::Job(job.id), app.db.clock().process_now()).0))
}

/// Takes a job that waits, or that its runner left, for `runner`; of one id only, when that is given. None when there is
/// none to be had now.
///
/// # Errors
/// [`ServiceError`] of the database.
pub async fn take(app: &App, runner: &str, only: Option<JobId>) -> Result<Option<Job>, ServiceError> {
    match repo::take(&app.db, runner, only).await {
        Ok(job) => Ok(job),
        // Another import of the project runs.
        Err(RepoError::Duplicate) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A sign of life of the runner, and how far it has come.
///
/// # Errors
/// [`ServiceError`] of the database.
pub async fn advance(
    app: &App,
    job: JobId,
    runner: &str,
    progress: Progress,
) -> Result<Result<(), Lost>, ServiceError> {
    Ok(if repo::advance(&app.db, job, runner, progress).await? { Ok(()) } else { Err(Lost) })
}

/// A sign of life of the runner.
///
/// # Errors
/// [`ServiceError`] of the database.
pub async fn pulse(app: &App, job: JobId, runner: &str) -> Result<Result<(), Lost>, ServiceError> {
    Ok(if repo::renew(&app.db, job, runner).await? { Ok(()) } else { Err(Lost) })
}

/// Keeps what the format could not carry.
///
/// # Errors
/// [`ServiceError`] of the database.
pub async fn note_losses(
    app: &App,
    job: JobId,
    runner: &str,
    losses: &Losses,
) -> Result<Result<(), Lost>, ServiceError> {
    Ok(if repo::note_losses(&app.db, job, runner, losses.sentences()).await? { Ok(()) } else { Err(Lost) })
}

/// Ends a job. Its message has at most [`limits::MESSAGE_CHARS`] characters: texts of the file are quoted in some.
///
/// # Errors
/// [`ServiceError`] of the database.
pub async fn end(app: &App, job: JobId, runner: &str, mut end: End) -> Result<Result<(), Lost>, ServiceError> {
    if let Some((at, _)) = end.message.char_indices().nth(limits::MESSAGE_CHARS) {
        end.message.truncate(at);
        end.message.push('…');
    }
    Ok(if repo::end(&app.db, job, runner, end).await? { Ok(()) } else { Err(Lost) })
}

/// Gives a job back to whoever comes next: this process stops.
///
/// # Errors
/// [`ServiceError`] of the database.
pub async fn give_back(app: &App, job: JobId, runner: &str) -> Result<(), ServiceError> {
    Ok(repo::give_back(&app.db, job, runner).await?)
}

/// Deletes what imports that were cancelled or failed have written, some at a time; gives how much.
///
/// # Errors
/// [`ServiceError`] of the database.
pub async fn sweep(app: &App) -> Result<u64, ServiceError> {
    Ok(repo::delete_hidden(&app.db, limits::SWEPT_TASKS).await?)
}
