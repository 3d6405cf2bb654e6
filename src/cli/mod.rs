//! The command line, one file a subcommand. Commands act on behalf of the operator, who has the machine.

mod migrate;
mod serve;
mod token;
mod user;
mod watch;

use std::{collections::BTreeMap, io::Write};

use clap::{Parser, Subcommand};

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
        Command::Watch(watch) => watch::run(&config, watch).await,
        Command::Schema => Ok(()),
    }
}

/// Writes one line to standard output.
fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.trim_end().as_bytes())?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}
