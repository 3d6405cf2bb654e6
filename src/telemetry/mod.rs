//! What operators see: log lines and metrics.

pub mod metrics;

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, util::SubscriberInitExt};

pub use metrics::Metrics;

use crate::config::{Config, Mode};

/// Sends log lines to standard error: readable ones in development, JSON in release.
///
/// # Errors
/// When the filter is not understood, or a subscriber is set already.
pub fn init(config: &Config) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&config.log_level)?;
    let lines =
        tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let lines = match config.mode {
        Mode::Development => lines.compact().with_target(false).boxed(),
        Mode::Release => lines.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed(),
    };
    tracing_subscriber::registry().with(filter).with(lines).try_init()?;
    Ok(())
}
