//! `guildhall migrate`.

use std::process::ExitCode;

use clap::Subcommand;
use guildhall_migration::all;

use super::print_line;
use crate::{settings::Settings, wiring::Services};

#[derive(Subcommand)]
pub(super) enum Step {
    /// Apply pending migrations (the default)
    Up,
    /// Revert the newest migrations
    Down {
        /// How many migrations to revert
        #[arg(long, default_value_t = 1)]
        steps: u32,
    },
    /// List the migrations; exits with 1 if any are pending
    Status,
    /// Revert all migrations and apply them again: ALL DATA IS LOST
    Fresh {
        /// Confirm that all data will be lost
        #[arg(long, required = true)]
        yes: bool,
    },
}

impl Step {
    pub(super) async fn run(self, settings: &Settings) -> anyhow::Result<ExitCode> {
        let (db, _in_use) = Services::database(settings).await?;
        match self {
            Self::Up => db.migrate(all).await?,
            Self::Down { steps } => db.migrate_down(all, steps).await?,
            Self::Fresh { .. } => db.migrate_fresh(all).await?,
            Self::Status => {}
        }
        let status = db.migration_status(all).await?;
        db.close().await?;
        for (name, applied) in &status {
            print_line(format_args!("{} {name}", if *applied { "applied" } else { "pending" }))?;
        }
        let pending = matches!(self, Self::Status) && status.iter().any(|(_, applied)| !applied);
        Ok(if pending { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}
