//! What the server does by itself, beside requests: loops that do one round of a use case, wait, and begin again. A round
//! that fails is logged and tried again. Every replica runs them all; rows that one holds the others pass over.

pub mod jobs;

use std::{future::Future, sync::Arc, time::Duration};

use tokio::sync::watch;

use crate::{
    domain::limits,
    service::{App, ServiceError, job, retention, upkeep},
};

/// Runs every loop until `stopped` says so; a round that runs then is finished.
pub async fn run(app: Arc<App>, stopped: watch::Receiver<bool>) {
    tokio::join!(
        every("reaper", limits::REAP_INTERVAL, stopped.clone(), || upkeep::reap(&app)),
        every("reconciler", limits::RECONCILE_INTERVAL, stopped.clone(), || upkeep::reconcile(&app)),
        every("survey", limits::SURVEY_INTERVAL, stopped.clone(), || upkeep::survey(&app)),
        every("retention", limits::RETENTION_INTERVAL, stopped.clone(), || retention::give_up(&app)),
        every("sweeper", limits::RECONCILE_INTERVAL, stopped.clone(), || sweep(&app)),
        jobs::run(app.clone(), stopped.clone()),
    );
}

/// Deletes what cancelled and failed imports left.
async fn sweep(app: &App) -> Result<(), ServiceError> {
    while job::sweep(app).await? > 0 {}
    Ok(())
}

async fn every<F>(name: &'static str, pause: Duration, mut stopped: watch::Receiver<bool>, round: impl Fn() -> F)
where
    F: Future<Output = Result<(), ServiceError>>,
{
    loop {
        if let Err(error) = round().await {
            tracing::warn!(worker = name, %error, "a round failed");
        }
        // An error says that nobody can tell any more: the server is gone.
        if tokio::time::timeout(pause, stopped.wait_for(|stopped| *stopped)).await.is_ok() {
            return;
        }
    }
}
