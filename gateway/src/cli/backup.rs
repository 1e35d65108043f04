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
    #[arg(required_unless_present = "finish")]
    path: Option<PathBuf>,
    /// Instead, finish a restore by PostgreSQL's own program: clients do not continue from events that were lost
    #[arg(long, conflicts_with = "path")]
    finish: bool,
}

impl Restore {
    pub(super) async fn run(self, settings: &Settings) -> anyhow::Result<()> {
        if let Some(path) = self.path {
            let previous = backup::restore(settings, &path).await?;
            print_line(format_args!("Restored the database from {}.", path.display()))?;
            if let Some(previous) = previous {
                print_line(format_args!("The previous database was moved to {}.", previous.display()))?;
            }
        } else {
            backup::finish(settings).await?;
            print_line("Clients that reconnect are notified that events were lost.")?;
        }
        print_line(
            "Sessions and tokens revoked since the copy was made are valid again. \
             To end every session, run: guildhall keys rotate --compromised",
        )
    }
}
