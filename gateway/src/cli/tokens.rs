//! `guildhall token`.

use clap::Subcommand;
use guildhall_accounts::NewUserToken;

use super::{explained, print_line};
use crate::wiring::Services;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Create a user token and print it; it cannot be shown again
    Create {
        /// The owner's username or verified email address
        #[arg(long, value_name = "NAME")]
        user: String,
        /// Number of days until it expires
        #[arg(long)]
        days: Option<u32>,
        /// The name of the token
        #[arg(long, default_value = "")]
        name: String,
    },
    /// Delete expired tokens and other expired data
    Prune,
}

impl Command {
    pub(super) async fn run(self, services: &Services) -> anyhow::Result<()> {
        match self {
            Self::Create { user, days, name } => {
                let new = NewUserToken { name, expires_in_days: days, ..NewUserToken::default() };
                let created = services.accounts.create_token_for(&user, new).await.map_err(explained)?;
                print_line(created.token)
            }
            Self::Prune => {
                for (what, count) in services.accounts.prune().await?.counts() {
                    print_line(format_args!("{count} {what}"))?;
                }
                Ok(())
            }
        }
    }
}
