//! The `concord` binary: reads the command line and calls `cli`.

use clap::Parser;
use tikv_jemallocator::Jemalloc;

/// Leaves less behind between the small things that many open sockets keep than the system's: .cargo/config.toml sets it up.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    concord::cli::run(concord::cli::Cli::parse()).await
}
