//! `concord serve`

use tokio::signal::unix::{SignalKind, signal};

use crate::{app, cli::print, config::Config, telemetry};

pub(super) async fn run(config: &Config) -> anyhow::Result<()> {
    telemetry::init(config)?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let running = app::start(config, None).await?;
    tracing::info!(address = %running.address, admin = %running.admin_address, "listening");
    tokio::select! {
        link = running.open() => {
            running.work();
            greet(&running.server.app().public_url, link?.map(|link| link.url).as_deref())?;
        }
        _ = terminate.recv() => return running.stop().await,
        _ = interrupt.recv() => return running.stop().await,
    }
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

fn greet(public_url: &str, link: Option<&str>) -> anyhow::Result<()> {
    print(&format!("Concord serves at {public_url}"))?;
    match link {
        Some(link) => print(&format!("Sign in, once, within a day: {link}")),
        None => print("Another sign-in link: concord user sign-in-link --email admin@localhost"),
    }
}
