//! `concord token …`

use anyhow::Context;
use clap::Subcommand;

use crate::{app, cli::print, config::Config, repo::user, service::access_token};

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Make an access token for a user and print it, and nothing else
    Create {
        /// Whose
        #[arg(long)]
        email: String,
        /// What it is for
        #[arg(long, default_value = "command line")]
        name: String,
        /// When it ends; never when not given
        #[arg(long)]
        expires_in_days: Option<i32>,
    },
}

pub(super) async fn run(config: &Config, command: TokenCommand) -> anyhow::Result<()> {
    let TokenCommand::Create { email, name, expires_in_days } = command;
    let app = app::use_cases(config).await?;
    let user = user::find_by_email(&app.db, &email.trim().to_lowercase()).await?;
    let user = user.with_context(|| format!("there is no user {email}"))?;
    let (_, secret) = access_token::create_for(&app, &user, &name, expires_in_days).await?;
    print(&secret)
}
