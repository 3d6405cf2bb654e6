//! `concord queue …`

use anyhow::Context;
use clap::Subcommand;

use crate::{
    app,
    backend::queue::{Extent, Front, Inspection},
    cli::print,
    config::Config,
    domain::ids::ProjectId,
    repo::queue::{self, Waiting},
};

#[derive(Debug, Subcommand)]
pub(super) enum QueueCommand {
    /// Print what waits in the database, what its index in Redis holds, and how they differ
    Inspect {
        /// Only this project
        project: Option<ProjectId>,
    },
    /// Drop the index in Redis and make it anew from the database; claims go on meanwhile
    Rebuild {
        /// Only this project
        project: Option<ProjectId>,
    },
}

pub(super) async fn run(config: &Config, command: QueueCommand) -> anyhow::Result<()> {
    let app = app::use_cases(config).await?;
    let front =
        app.queue.front().context("there is no index: the queue is in the database alone (REDIS_URL is not set)")?;
    let (only, rebuild) = match command {
        QueueCommand::Inspect { project } => (project, false),
        QueueCommand::Rebuild { project } => (project, true),
    };
    let projects = queue::waiting_slots(&app.db, only).await?;
    if let (Some(only), true) = (only, projects.is_empty()) {
        anyhow::bail!("there is no project {only}");
    }
    for waiting in projects {
        if rebuild {
            front.rebuild(waiting.project).await?;
        }
        show(front, &waiting).await?;
    }
    Ok(())
}

async fn show(front: &Front, waiting: &Waiting) -> anyhow::Result<()> {
    let Waiting { project, name, slots } = waiting;
    let Inspection { extent, front, flight, missing, ghosts } = front.inspect(*project).await?;
    let extent = match extent {
        Extent::Unknown => "not in use",
        Extent::Part => "its first part",
        Extent::All => "all of it",
    };
    print(&format!(
        "{project} {name:?}: {slots} wait; in Redis {extent}: {front} in front, {flight} in flight, {missing} missing, \
         {ghosts} that do not wait"
    ))
}
