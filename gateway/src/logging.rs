use std::io::{self, IsTerminal};

use tracing_subscriber::{EnvFilter, Layer, filter::LevelFilter, layer::SubscriberExt, util::SubscriberInitExt};

use crate::settings::{Log, LogFormat};

/// Sends the log to standard error, as text on a terminal and as JSON otherwise.
///
/// # Errors
/// When the filter does not parse, or a log is set up already.
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
    // A line for each migration, and each notice of PostgreSQL about its tables, is for those who look for details; how
    // many migrations there were is logged anyway.
    let filter = if is_verbose {
        filter
    } else {
        filter.add_directive("sea_orm_migration=warn".parse()?).add_directive("sqlx::postgres::notice=warn".parse()?)
    };
    // The filter is the whole registry's. One layer's own loses the next event after a library has only asked whether it
    // would be logged, as sqlx does.
    tracing_subscriber::registry().with(filter).with(layer).try_init()?;
    Ok(())
}
