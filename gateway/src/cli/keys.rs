//! `guildhall keys`.

use clap::Subcommand;

use super::print_line;
use crate::wiring::Services;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Create a new signing key; tokens signed with the old one stay valid until they expire
    Rotate {
        /// The old key has leaked: invalidate all tokens signed with it
        #[arg(long)]
        compromised: bool,
    },
}

impl Command {
    pub(super) async fn run(self, services: &Services) -> anyhow::Result<()> {
        let Self::Rotate { compromised } = self;
        let key = services.accounts.rotate_keys(compromised).await?;
        print_line(format_args!("Tokens are now signed with the key {key}."))?;
        if compromised {
            print_line("Tokens signed with other keys are no longer valid: everybody has to sign in again.")?;
        }
        Ok(())
    }
}
