//! `concord user …`

use anyhow::Context;
use clap::Subcommand;

use crate::{
    app,
    cli::print,
    config::Config,
    repo::user as repo,
    service::{sign_in, user},
};

#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Make a user and print a link to sign in with
    Create {
        /// Address, unique
        #[arg(long)]
        email: String,
        /// What others see
        #[arg(long)]
        name: String,
        /// Admin of the whole server
        #[arg(long)]
        admin: bool,
    },
    /// Print a link that signs a user in once
    SignInLink {
        /// Whom
        #[arg(long)]
        email: String,
    },
}

pub(super) async fn run(config: &Config, command: UserCommand) -> anyhow::Result<()> {
    let app = app::use_cases(config).await?;
    let user = match command {
        UserCommand::Create { email, name, admin } => {
            user::create_unchecked(&app, user::CreateUser { email, name, admin, password: None }).await?
        }
        UserCommand::SignInLink { email } => {
            let user = repo::find_by_email(&app.db, &email.trim().to_lowercase()).await?;
            user.with_context(|| format!("there is no user {email}"))?
        }
    };
    let link = sign_in::link_for(&app, &user).await?;
    print(&link.url)
}
