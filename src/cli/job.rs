//! What commands that run a job share: the job is done in this process, and its progress is shown.

use std::{
    io::{IsTerminal, Write},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use futures::TryStreamExt;
use tokio::sync::watch;

use super::print;
use crate::{
    domain::{
        ids::JobId,
        words::{JobKind, JobState, JobStep},
    },
    repo::{job::Job, user},
    service::{App, Viewer, job},
    worker,
};

/// How often progress is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// How often it is printed where there is no terminal.
const LINE: Duration = Duration::from_secs(5);

/// On whose behalf the operator acts.
pub(super) async fn operator(app: &App, email: Option<&str>) -> anyhow::Result<Viewer> {
    let user = match email {
        Some(email) => {
            let found = user::find_by_email(&app.db, &email.trim().to_lowercase()).await?;
            found.with_context(|| format!("there is no user {email}"))?
        }
        None => user::first_admin(&app.db).await?.context("there is no admin yet; start the server once")?,
    };
    Ok(Viewer::on_behalf_of(user))
}

/// Does a job here, or waits for the server that took it up before; gives it as it ended. When `stopped` says so it is
/// left to whoever goes on with it.
pub(super) async fn run(
    app: Arc<App>,
    viewer: &Viewer,
    begun: Job,
    stopped: watch::Receiver<bool>,
) -> anyhow::Result<Job> {
    let id = begun.id;
    print(&format!("{} {id}", begun.kind.as_str().to_lowercase()))?;
    let work = tokio::spawn(work(app.clone(), id, stopped.clone()));
    let mut bar = Bar::new("tasks");
    loop {
        let job = job::get(&app, viewer, id).await?;
        if job.ended_at.is_some() {
            bar.end()?;
            work.abort();
            return Ok(job);
        }
        let (done, total) = (usize::try_from(job.done)?, job.total.map(usize::try_from).transpose()?);
        bar.name = match (job.step, job.kind) {
            (Some(JobStep::Validate), _) => "checked",
            (Some(JobStep::Write), _) => "written",
            (Some(JobStep::Show), _) => "shown",
            (None, JobKind::Import) => "waiting",
            (None, JobKind::Export) => "exported",
        };
        bar.show(done, total)?;
        if *stopped.borrow() {
            let _ = work.await;
            anyhow::bail!("stopped; the job goes on where a server runs: {id}");
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Does a job until somebody ends this: also once it was given back because something was away. While it cannot be had, as
/// when another import of its project was left unfinished, other jobs that wait are done.
async fn work(app: Arc<App>, id: JobId, stopped: watch::Receiver<bool>) {
    while !*stopped.borrow() {
        let done = match worker::jobs::run_one(app.clone(), Some(id), stopped.clone()).await {
            Ok(false) => worker::jobs::run_one(app.clone(), None, stopped.clone()).await,
            done => done,
        };
        if let Err(error) = done {
            tracing::warn!(%error, "looking for jobs failed");
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Says how a job ended.
///
/// # Errors
/// When it did not succeed.
pub(super) fn report(job: &Job) -> anyhow::Result<()> {
    for loss in &job.losses {
        print(&format!("not carried over: {loss}"))?;
    }
    let message = job.message.clone().unwrap_or_default();
    anyhow::ensure!(job.state == JobState::Succeeded, "{message}");
    print(&message)
}

/// Prints a small file of the storage.
pub(super) async fn print_lines(app: &App, key: &str) -> anyhow::Result<()> {
    let mut bytes = app.storage.read(key, None).await?;
    let mut text = Vec::new();
    while let Some(chunk) = bytes.try_next().await? {
        text.extend_from_slice(&chunk);
    }
    print(&String::from_utf8_lossy(&text))
}

/// How far something has come: one line that is written over on a terminal, a line now and then elsewhere.
pub(super) struct Bar {
    pub(super) name: &'static str,
    is_terminal: bool,
    printed: Option<Instant>,
    is_open: bool,
}

impl Bar {
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, is_terminal: std::io::stderr().is_terminal(), printed: None, is_open: false }
    }

    pub(super) fn show(&mut self, done: usize, total: Option<usize>) -> std::io::Result<()> {
        let mut out = std::io::stderr().lock();
        if self.is_terminal {
            self.is_open = true;
            let width = 30;
            let filled = total.filter(|total| *total > 0).map_or(0, |total| done.min(total) * width / total);
            let bar = format!("{}{}", "#".repeat(filled), ".".repeat(width - filled));
            let of = total.map_or(String::new(), |total| format!(" of {total}"));
            // Erases what was longer before.
            write!(out, "\r{:<9} [{bar}] {done}{of}\x1b[K", self.name)?;
            return out.flush();
        }
        if self.printed.is_none_or(|printed| printed.elapsed() >= LINE) {
            self.printed = Some(Instant::now());
            let of = total.map_or(String::new(), |total| format!(" of {total}"));
            writeln!(out, "{}: {done}{of}", self.name)?;
        }
        Ok(())
    }

    pub(super) fn end(&mut self) -> std::io::Result<()> {
        if std::mem::take(&mut self.is_open) {
            writeln!(std::io::stderr().lock())?;
        }
        Ok(())
    }
}
