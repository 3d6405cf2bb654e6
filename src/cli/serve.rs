//! `concord serve`

use anyhow::Context;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    app::{self, Running},
    cli::print,
    config::{Config, Mode},
    service::{
        demo::{self, Demo},
        sign_in,
    },
    telemetry,
};

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Make a project with pictures, people and some finished work to try things on, unless it is there
    #[arg(long)]
    demo: bool,
}

pub(super) async fn run(config: &Config, serve: &Serve) -> anyhow::Result<()> {
    if serve.demo && config.mode == Mode::Release {
        anyhow::bail!("--demo is for trying things out, not for release mode; it takes CONCORD_MODE=development");
    }
    telemetry::init(config)?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let running = app::start(config, None).await?;
    tracing::info!(address = %running.address, admin = %running.admin_address, "listening");
    let begun = tokio::select! {
        begun = begin(&running, serve) => Some(begun),
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
    };
    let Some(begun) = begun else { return running.stop().await };
    begun?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping; a second signal stops at once");
    tokio::select! {
        stopped = running.stop() => stopped,
        _ = terminate.recv() => anyhow::bail!("stopped at once"),
        _ = interrupt.recv() => anyhow::bail!("stopped at once"),
    }
}

/// Opens the doors and says what is behind them.
async fn begin(running: &Running, serve: &Serve) -> anyhow::Result<()> {
    let mut link = running.open().await?;
    running.work();
    let app = running.server.app();
    let mut tried = None;
    if serve.demo {
        let demo = demo::make(app).await.context("cannot make the demo (--demo)")?;
        if link.is_none() {
            link = Some(sign_in::link_for(app, &demo.manager).await?);
        }
        tried = Some(demo);
    }
    greet(&app.public_url, link.as_ref())?;
    tried.map_or(Ok(()), |demo| print(&what_to_try(&demo)))
}

fn greet(public_url: &str, link: Option<&sign_in::Link>) -> anyhow::Result<()> {
    print(&format!("Concord serves at {public_url}"))?;
    match link {
        Some(link) => print(&format!("Sign in, once, within a day: {}", link.url)),
        None => print("Another sign-in link: concord user sign-in-link --email admin@localhost"),
    }
}

fn what_to_try(demo: &Demo) -> String {
    // As it was called, so that the commands work as they stand.
    let concord = std::env::args().next().unwrap_or_else(|| "concord".to_owned());
    let mut text = format!("\nTo try: the project \"{}\", {}\n", demo.project.name, demo.project.id);
    text += "  the API         open the link; the tabs of GraphiQL hold what to send\n";
    for (person, role) in &demo.people {
        let what = format!("as {}, {}", person.name, role.as_str().to_lowercase());
        text += &format!("  {what:<20}{concord} user sign-in-link --email {}\n", person.email);
    }
    text += &format!("  {:<20}{concord} watch --project {}\n", "what happens", demo.project.id);
    text + "  to read             README.md, docs/labeling.md, docs/api.md"
}
