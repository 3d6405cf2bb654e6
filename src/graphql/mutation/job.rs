//! Imports and exports.

use async_graphql::{Context, ID, InputObject, Object, OneofObject, SimpleObject};

use crate::{
    graphql::{
        context::{Ctx, id},
        error::ApiError,
        types::{
            job::Job,
            words::{ConflictExport, DatasetFormat, OverlapExport, PreAnnotationUse, TaskState},
        },
    },
    service::job,
};

#[derive(Default)]
pub(super) struct JobMutation;

/// Makes tasks of a data set.
#[derive(InputObject)]
struct StartImportInput {
    /// Into which project.
    project_id: ID,
    /// What the file is.
    format: DatasetFormat,
    /// Where it is.
    source: ImportSourceInput,
    /// What becomes of the annotations in it.
    annotations: PreAnnotationUse,
}

/// Where a data set is.
#[derive(OneofObject)]
enum ImportSourceInput {
    /// An uploaded file, READY in the project.
    AssetId(ID),
}

/// The job that was begun.
#[derive(SimpleObject)]
struct StartImportPayload {
    /// The job.
    job: Job,
}

/// Makes a data set of tasks.
#[derive(InputObject)]
struct StartExportInput {
    /// Of which project.
    project_id: ID,
    /// What the file is to be.
    format: DatasetFormat,
    /// Only tasks in these states; all but ARCHIVED when absent.
    states: Option<Vec<TaskState>>,
    /// What becomes of annotations with an open conflict; CURRENT when absent. The job's message says how many there are.
    conflicts: Option<ConflictExport>,
    /// What else is to be said.
    options: Option<FormatOptionsInput>,
}

/// What else can be said about a data set.
#[derive(InputObject)]
struct FormatOptionsInput {
    /// Which results of a task; ACCEPTED when absent.
    overlap: Option<OverlapExport>,
}

/// The job that was begun.
#[derive(SimpleObject)]
struct StartExportPayload {
    /// The job.
    job: Job,
}

/// Ends a job.
#[derive(InputObject)]
struct CancelJobInput {
    /// The job.
    job_id: ID,
}

/// The job as it is now.
#[derive(SimpleObject)]
struct CancelJobPayload {
    /// The job.
    job: Job,
}

#[Object]
impl JobMutation {
    /// Makes tasks of a data set that was uploaded; managers. The whole file is checked first: when anything in it is wrong
    /// nothing is imported and `errorsUrl` of the job says what. The tasks appear when all of them are written; one whose
    /// external id is known is left as it is. Follow it with `jobProgress`. Codes: `NOT_FOUND`, `FORBIDDEN`,
    /// `BAD_USER_INPUT`, `INVALID_TRANSITION`, `LIMIT_EXCEEDED`.
    async fn start_import(&self, ctx: &Context<'_>, input: StartImportInput) -> Result<StartImportPayload, ApiError> {
        let ImportSourceInput::AssetId(source) = &input.source;
        let start = job::StartImport {
            project: id("projectId", &input.project_id)?,
            format: input.format.into(),
            source: id("source.assetId", source)?,
            annotations: input.annotations.into(),
        };
        Ok(StartImportPayload { job: Job(job::start_import(ctx.app(), ctx.viewer()?, start).await?) })
    }

    /// Makes a data set of the project's tasks; managers. `resultUrl` of the job is where it is once it has SUCCEEDED, and
    /// `losses` what the format could not carry. Codes: `NOT_FOUND`, `FORBIDDEN`, `BAD_USER_INPUT`, `LIMIT_EXCEEDED`.
    async fn start_export(&self, ctx: &Context<'_>, input: StartExportInput) -> Result<StartExportPayload, ApiError> {
        let overlap = input.options.and_then(|options| options.overlap).unwrap_or(OverlapExport::Accepted);
        let start = job::StartExport {
            project: id("projectId", &input.project_id)?,
            format: input.format.into(),
            states: input.states.map(|states| states.into_iter().map(Into::into).collect()),
            overlap: overlap.into(),
            conflicts: input.conflicts.unwrap_or(ConflictExport::Current).into(),
        };
        Ok(StartExportPayload { job: Job(job::start_export(ctx.app(), ctx.viewer()?, start).await?) })
    }

    /// Ends a job that waits or runs; managers. What an import has written so far is deleted. Sent again it gives the same
    /// answer. Codes: `NOT_FOUND`, `FORBIDDEN`, `INVALID_TRANSITION`.
    async fn cancel_job(&self, ctx: &Context<'_>, input: CancelJobInput) -> Result<CancelJobPayload, ApiError> {
        let job = id("jobId", &input.job_id)?;
        Ok(CancelJobPayload { job: Job(job::cancel(ctx.app(), ctx.viewer()?, job).await?) })
    }
}
