//! `concord export …`

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, ValueEnum};
use futures::TryStreamExt;
use tokio::{fs::File, io::AsyncWriteExt, sync::watch};

use super::{import::FormatName, job};
use crate::{
    app,
    config::Config,
    domain::{
        ids::ProjectId,
        words::{ConflictExport, OverlapExport},
    },
    service::job::StartExport,
};

#[derive(Debug, Args)]
pub(super) struct ExportCommand {
    /// Of which project (proj_…)
    #[arg(long)]
    project: ProjectId,
    /// What the file is to be
    #[arg(long)]
    format: FormatName,
    /// Where to write it; one that is there is replaced
    #[arg(long)]
    output: PathBuf,
    /// Which results of a task
    #[arg(long, default_value = "accepted")]
    overlap: Overlap,
    /// What becomes of annotations with an open conflict
    #[arg(long, default_value = "current")]
    conflicts: Conflicts,
    /// Who exports; the first admin when not given
    #[arg(long = "as", value_name = "EMAIL")]
    by: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Overlap {
    /// Those accepted; without review, those handed in
    Accepted,
    /// Of those the one of the lowest slot
    First,
    /// Those handed in, judged or not
    All,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Conflicts {
    /// They are left out
    Exclude,
    /// They are taken as they are now
    Current,
    /// There is no result when there is one
    Fail,
}

impl From<Conflicts> for ConflictExport {
    fn from(name: Conflicts) -> Self {
        match name {
            Conflicts::Exclude => Self::Exclude,
            Conflicts::Current => Self::Current,
            Conflicts::Fail => Self::Fail,
        }
    }
}

impl From<Overlap> for OverlapExport {
    fn from(name: Overlap) -> Self {
        match name {
            Overlap::Accepted => Self::Accepted,
            Overlap::First => Self::First,
            Overlap::All => Self::All,
        }
    }
}

pub(super) async fn run(config: &Config, command: ExportCommand, stopped: watch::Receiver<bool>) -> anyhow::Result<()> {
    let app = app::use_cases(config).await?;
    let viewer = job::operator(&app, command.by.as_deref()).await?;
    let start = StartExport {
        project: command.project,
        format: command.format.into(),
        states: None,
        overlap: command.overlap.into(),
        conflicts: command.conflicts.into(),
    };
    let job = crate::service::job::start_export(&app, &viewer, start).await?;
    let ended = job::run(app.clone(), &viewer, job, stopped).await?;
    if let Some(key) = &ended.result_key {
        let unwritable = || format!("cannot write {}", command.output.display());
        // Beside it first: nobody finds half a file under the name.
        let mut beside = command.output.clone().into_os_string();
        beside.push(".part");
        let mut file = File::create(&beside).await.with_context(unwritable)?;
        let mut bytes = app.storage.read(key, None).await?;
        while let Some(chunk) = bytes.try_next().await? {
            file.write_all(&chunk).await.with_context(unwritable)?;
        }
        file.sync_all().await.with_context(unwritable)?;
        tokio::fs::rename(&beside, &command.output).await.with_context(unwritable)?;
    }
    job::report(&ended)
}
