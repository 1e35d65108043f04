//! `guildhall keys`.

use std::cell::Cell;

use anyhow::ensure;
use clap::Subcommand;
use guildhall_kernel::{Error, cipher::Reencrypted};

use super::print_line;
use crate::wiring::Services;

/// After how many rows the progress is printed.
const REPORTED_ROWS: u64 = 10_000;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Create a new signing key; tokens signed with the old one stay valid until they expire
    Rotate {
        /// The old key has leaked: invalidate all tokens signed with it
        #[arg(long)]
        compromised: bool,
    },
    /// Encrypt all stored messages and events with the first key of `encryption.keys`; decrypt them if encryption is
    /// off
    ///
    /// The server may be running with the same settings. If it is interrupted, run it again: it goes on with the rest.
    Reencrypt,
}

impl Command {
    pub(super) async fn run(self, services: &Services) -> anyhow::Result<()> {
        match self {
            Self::Rotate { compromised } => rotate(services, compromised).await,
            Self::Reencrypt => reencrypt(services).await,
        }
    }
}

async fn rotate(services: &Services, compromised: bool) -> anyhow::Result<()> {
    let key = services.accounts.rotate_keys(compromised).await?;
    print_line(format_args!("Tokens are now signed with the key {key}."))?;
    if compromised {
        print_line("Tokens signed with other keys are no longer valid: everybody has to sign in again.")?;
    }
    Ok(())
}

async fn reencrypt(services: &Services) -> anyhow::Result<()> {
    let reported = Cell::new(0);
    let report = |column, outcome: Reencrypted| {
        if outcome.changed < reported.get() {
            reported.set(0);
        }
        if outcome.changed - reported.get() >= REPORTED_ROWS {
            reported.set(outcome.changed);
            // Progress is not essential: a closed output is ignored.
            let _ = print_line(format_args!("{column}: {} rows", outcome.changed));
        }
    };
    let mut all = services.messaging.reencrypt(report).await.map_err(Error::from)?;
    all += services.streams.reencrypt(report).await?;
    print_line(match services.keys.current() {
        Some(key) => format!("Encrypted {} rows with the key {key}.", all.changed),
        None => format!("Decrypted {} rows.", all.changed),
    })?;
    ensure!(
        all.unreadable == 0,
        "{} rows cannot be read and were left as they are; `guildhall doctor` lists missing keys",
        all.unreadable
    );
    Ok(())
}
