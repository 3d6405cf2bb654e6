//! Jobs: taken up, done, given back when this process stops. Codecs are blocking and run on threads for that; what they
//! read and write lies in a scratch folder of the job's own.

mod export;
mod import;
mod scratch;

use std::{io::ErrorKind, panic::AssertUnwindSafe, sync::Arc};

use futures::FutureExt;
use tokio::{sync::watch, task::JoinSet};

use crate::{
    domain::{
        ids::JobId,
        limits,
        words::{JobKind, JobState},
    },
    repo::job::{End, Job},
    service::{App, ServiceError, job},
};

/// Does jobs until `stopped` says so, [`limits::RUNNING_JOBS`] at once.
pub(super) async fn run(app: Arc<App>, stopped: watch::Receiver<bool>) {
    let mut runners = JoinSet::new();
    for _ in 0..limits::RUNNING_JOBS {
        runners.spawn(serve(app.clone(), stopped.clone()));
    }
    runners.join_all().await;
}

async fn serve(app: Arc<App>, mut stopped: watch::Receiver<bool>) {
    let runner = Runner::new(app);
    loop {
        let taken = runner.take_and_run(None, &stopped).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "looking for jobs failed");
            false
        });
        if taken && !*stopped.borrow() {
            continue;
        }
        if tokio::time::timeout(limits::JOB_POLL, stopped.wait_for(|stopped| *stopped)).await.is_ok() {
            return;
        }
    }
}

/// Does one job here and now, as the command line does; any that waits when no id is given. Whether one could be taken.
///
/// # Errors
/// [`ServiceError`] of the database; what goes wrong with the job itself is the job's message.
pub async fn run_one(app: Arc<App>, only: Option<JobId>, stopped: watch::Receiver<bool>) -> Result<bool, ServiceError> {
    Runner::new(app).take_and_run(only, &stopped).await
}

/// Who holds a job.
struct Runner {
    app: Arc<App>,
    name: String,
}

/// Why a job was not brought to its end here.
enum Stop {
    /// It is not this runner's any more.
    Lost,
    /// This process stops.
    Leaving,
    /// Something went wrong.
    Fault(ServiceError),
}

impl From<job::Lost> for Stop {
    fn from(_: job::Lost) -> Self {
        Self::Lost
    }
}

impl From<ServiceError> for Stop {
    fn from(error: ServiceError) -> Self {
        Self::Fault(error)
    }
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) {
            return Self::Fault(ServiceError::Unavailable("the folder for temporary files is full"));
        }
        Self::Fault(ServiceError::Internal(Box::new(error)))
    }
}

/// What a job is done with.
struct Work<'a> {
    app: &'a App,
    job: Job,
    runner: &'a str,
    stopped: &'a watch::Receiver<bool>,
}

impl Work<'_> {
    /// To be asked between two steps.
    fn must_go_on(&self) -> Result<(), Stop> {
        if *self.stopped.borrow() { Err(Stop::Leaving) } else { Ok(()) }
    }
}

impl Runner {
    fn new(app: Arc<App>) -> Self {
        Self { app, name: JobId::generate().to_string() }
    }

    async fn take_and_run(&self, only: Option<JobId>, stopped: &watch::Receiver<bool>) -> Result<bool, ServiceError> {
        let Some(job) = job::take(&self.app, &self.name, only).await? else { return Ok(false) };
        let id = job.id;
        tracing::info!(job.id = %id, job.kind = %job.kind, project.id = %job.project, "job begins");
        let work = Work { app: &self.app, job, runner: &self.name, stopped };
        if work.job.attempts > limits::JOB_ATTEMPTS {
            let message = format!("given up after {} attempts", limits::JOB_ATTEMPTS);
            self.end(id, failed(message)).await?;
            return Ok(true);
        }
        // A panic ends this job, not the loops beside it.
        let done = tokio::select! {
            done = AssertUnwindSafe(do_it(work)).catch_unwind() => done.unwrap_or_else(|_| Err(panicked())),
            lost = self.hold(id) => Err(lost),
        };
        match done {
            Ok(end) => self.end(id, end).await?,
            Err(Stop::Lost) => tracing::info!(job.id = %id, "job was cancelled or taken over"),
            Err(Stop::Leaving) => job::give_back(&self.app, id, &self.name).await?,
            // What is away may come back: whoever takes the job up then goes on.
            Err(Stop::Fault(error @ (ServiceError::Unavailable(_) | ServiceError::Undecided(_)))) => {
                tracing::warn!(job.id = %id, %error, "job interrupted");
                tokio::time::sleep(limits::JOB_PULSE).await;
                job::give_back(&self.app, id, &self.name).await?;
            }
            Err(Stop::Fault(error)) => {
                if let ServiceError::Internal(cause) = &error {
                    tracing::error!(job.id = %id, %cause, "job failed");
                }
                self.end(id, failed(error.to_string())).await?;
            }
        }
        Ok(true)
    }

    /// Gives signs of life until the job is another's.
    async fn hold(&self, id: JobId) -> Stop {
        loop {
            tokio::time::sleep(limits::JOB_PULSE).await;
            match job::pulse(&self.app, id, &self.name).await {
                Ok(Ok(())) | Err(ServiceError::Unavailable(_)) => {}
                Ok(Err(job::Lost)) => return Stop::Lost,
                Err(error) => return Stop::Fault(error),
            }
        }
    }

    async fn end(&self, id: JobId, end: End) -> Result<(), ServiceError> {
        let (state, message) = (end.state, end.message.clone());
        match job::end(&self.app, id, &self.name, end).await? {
            Ok(()) => tracing::info!(job.id = %id, job.state = %state, message, "job ended"),
            Err(job::Lost) => tracing::info!(job.id = %id, "job was cancelled or taken over"),
        }
        Ok(())
    }
}

async fn do_it(work: Work<'_>) -> Result<End, Stop> {
    match work.job.kind {
        JobKind::Import => import::run(work).await,
        JobKind::Export => export::run(work).await,
    }
}

fn panicked() -> Stop {
    std::io::Error::other("the job panicked").into()
}

fn failed(message: String) -> End {
    End { state: JobState::Failed, message, result_key: None, errors_key: None }
}
