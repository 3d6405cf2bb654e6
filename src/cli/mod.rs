//! The command line, one file a subcommand. Commands act on behalf of the operator, who has the machine.

mod export;
mod import;
mod job;
mod migrate;
mod queue;
mod serve;
mod token;
mod user;
mod watch;

use std::{collections::BTreeMap, io::Write};

use clap::{Parser, Subcommand};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch::{Receiver, channel},
};

use crate::{config::Config, graphql};

/// A live labeling server.
#[derive(Debug, Parser)]
#[command(
    name = "concord",
    version,
    about,
    after_help = "Configured by environment variables or a file: see docs/configuration.md."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the server
    Serve(serve::Serve),
    /// Bring the database's schema up to date
    Migrate,
    /// Make users and sign-in links
    #[command(subcommand)]
    User(user::UserCommand),
    /// Make access tokens
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Make tasks of a data set, and follow it to its end
    Import(import::ImportCommand),
    /// Make a data set of a project's tasks, and follow it to its end
    Export(export::ExportCommand),
    /// Look at the index of what waits that Redis holds, or make it anew
    #[command(subcommand)]
    Queue(queue::QueueCommand),
    /// Print what happens in a project, as it happens: a line of JSON for each event
    Watch(watch::Watch),
    /// Print the GraphQL schema
    Schema,
}

/// Does what the command line says.
///
/// # Errors
/// What went wrong, in a sentence for the terminal.
pub async fn run(cli: Cli) -> anyhow::Result<()> {
    if matches!(cli.command, Command::Schema) {
        return print(&graphql::sdl());
    }
    let environment: BTreeMap<String, String> = std::env::vars().collect();
    let config = Config::load(environment)?;
    match cli.command {
        Command::Serve(serve) => serve::run(&config, &serve).await,
        Command::Migrate => migrate::run(&config).await,
        Command::User(command) => user::run(&config, command).await,
        Command::Token(command) => token::run(&config, command).await,
        Command::Import(command) => import::run(&config, command, interrupted()?).await,
        Command::Export(command) => export::run(&config, command, interrupted()?).await,
        Command::Queue(command) => queue::run(&config, command).await,
        Command::Watch(watch) => watch::run(&config, watch).await,
        Command::Schema => Ok(()),
    }
}

/// Turns true when the command is asked to stop.
fn interrupted() -> anyhow::Result<Receiver<bool>> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let (stop, stopped) = channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        let _ = stop.send(true);
        // Kept, so that nobody takes the end of this task for a stop.
        stop.closed().await;
    });
    Ok(stopped)
}

/// Writes one line to standard output.
fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.trim_end().as_bytes())?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}
