//! `concord` with one more migration step (the feature `next-schema`): the build to come in `it/rolling_migration.rs`.
//! It has one command more, `step-back`, which takes that step back.

use clap::Parser;
use concord::repo::{
    Connect,
    schema::{self, Direction},
};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    if std::env::args().nth(1).as_deref() == Some("step-back") {
        let connect = Connect { url: std::env::var("DATABASE_URL")?, max_connections: 1, pooled: false };
        return Ok(schema::migrate(&connect, Direction::Back).await?);
    }
    concord::cli::run(concord::cli::Cli::parse()).await
}
