//! The `concord` binary: reads the command line and calls `cli`.

use clap::Parser;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    concord::cli::run(concord::cli::Cli::parse()).await
}
