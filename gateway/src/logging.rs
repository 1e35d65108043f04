//! Logging.

use std::io::{self, IsTerminal};

use tracing_subscriber::{EnvFilter, Layer, filter::LevelFilter, layer::SubscriberExt, util::SubscriberInitExt};

use crate::settings::{Log, LogFormat};

/// Starts logging to standard error, by default as text on a terminal and as JSON otherwise.
///
/// # Errors
/// The filter is invalid, or logging has already been started.
pub(crate) fn start(settings: &Log) -> anyhow::Result<()> {
    let text = match settings.format {
        LogFormat::Text => true,
        LogFormat::Json => false,
        LogFormat::Auto => io::stderr().is_terminal(),
    };
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let layer = if text {
        layer.with_ansi(io::stderr().is_terminal()).with_target(false).boxed()
    } else {
        layer.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed()
    };
    let filter: EnvFilter = settings.filter.parse()?;
    let is_verbose = filter.max_level_hint().is_none_or(|level| level >= LevelFilter::DEBUG);
    // Hide the line for each migration and PostgreSQL's notices about them unless debugging; the number of migrations
    // is logged anyway.
    let filter = if is_verbose {
        filter
    } else {
        filter.add_directive("sea_orm_migration=warn".parse()?).add_directive("sqlx::postgres::notice=warn".parse()?)
    };
    // A global filter, because a per-layer filter drops the next event after a library has only asked whether it would
    // be logged, as sqlx does.
    tracing_subscriber::registry().with(filter).with(layer).try_init()?;
    Ok(())
}
