//! `guildhall backup` and `guildhall restore`.

use std::path::PathBuf;

use clap::Args;

use super::print_line;
use crate::{backup, settings::Settings};

#[derive(Args)]
pub(super) struct Backup {
    /// The file to write
    path: PathBuf,
    /// Replace an existing file
    #[arg(long)]
    force: bool,
}

impl Backup {
    pub(super) async fn run(self, settings: &Settings) -> anyhow::Result<()> {
        let bytes = backup::backup(settings, &self.path, self.force).await?;
        print_line(format_args!("Copied {bytes} bytes to {} and verified the copy.", self.path.display()))
    }
}

#[derive(Args)]
pub(super) struct Restore {
    /// The file to read
    path: PathBuf,
}

impl Restore {
    pub(super) async fn run(self, settings: &Settings) -> anyhow::Result<()> {
        let previous = backup::restore(settings, &self.path).await?;
        print_line(format_args!("Restored the database from {}.", self.path.display()))?;
        if let Some(previous) = previous {
            print_line(format_args!("The previous database was moved to {}.", previous.display()))?;
        }
        print_line(
            "Sessions and tokens revoked since the copy was made are valid again. \
             To end every session, run: guildhall keys rotate --compromised",
        )
    }
}
