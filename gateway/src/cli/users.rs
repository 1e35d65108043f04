//! `guildhall user`.

use std::io::{self, BufRead, IsTerminal};

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use guildhall_accounts::{NewUser, SqlAccounts, WeakPassword};
use guildhall_kernel::{PageQuery, Roles};

use super::{explained, print_line};
use crate::wiring::Services;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Create an account; its email address counts as verified
    Create(NewAccount),
    /// List the accounts
    List {
        /// The page, of 100 accounts each
        #[arg(long, default_value_t = 1)]
        page: u64,
    },
    /// Set the password of an account; its sessions end
    SetPassword {
        /// The username or verified email address
        name: String,
        #[command(flatten)]
        password: Password,
    },
    /// Deactivate an account; its sessions and user tokens are revoked
    Deactivate {
        /// The username or verified email address
        name: String,
    },
    /// Activate an account again
    Activate {
        /// The username or verified email address
        name: String,
    },
}

#[derive(Args)]
pub(super) struct NewAccount {
    /// The username
    #[arg(long)]
    username: String,
    /// The email address
    #[arg(long)]
    email: String,
    /// A role; may be given several times
    #[arg(long, value_enum)]
    role: Vec<Role>,
    #[command(flatten)]
    password: Password,
}

#[derive(Args)]
pub(super) struct Password {
    /// Read the password from standard input instead of asking for it
    #[arg(long)]
    password_stdin: bool,
    /// Accept a short or common password, which can be guessed
    #[arg(long)]
    allow_weak_password: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Role {
    Teacher,
    Staff,
    Superuser,
}

impl Command {
    pub(super) async fn run(self, services: &Services) -> anyhow::Result<()> {
        let accounts = &services.accounts;
        match self {
            Self::Create(new) => new.create(accounts).await,
            Self::List { page } => list(accounts, page).await,
            Self::SetPassword { name, password } => {
                let (password, weak) = password.read()?;
                accounts.set_password(&name, &password, weak).await.map_err(explained)?;
                print_line(format_args!("Changed the password of {name}."))
            }
            Self::Deactivate { name } => {
                accounts.set_active(&name, false).await?;
                print_line(format_args!("{name} can no longer sign in."))
            }
            Self::Activate { name } => {
                accounts.set_active(&name, true).await?;
                print_line(format_args!("{name} can sign in again."))
            }
        }
    }
}

impl NewAccount {
    async fn create(self, accounts: &SqlAccounts) -> anyhow::Result<()> {
        let (password, weak) = self.password.read()?;
        let roles = Roles {
            teacher: self.role.contains(&Role::Teacher),
            staff: self.role.contains(&Role::Staff),
            superuser: self.role.contains(&Role::Superuser),
        };
        let new = NewUser {
            username: self.username,
            email: self.email,
            password,
            first_name: String::new(),
            last_name: String::new(),
        };
        let account = accounts.create_user(new, roles, weak).await.map_err(explained)?;
        print_line(format_args!("Created the account {} with the ID {}.", account.user.username, account.user.id))
    }
}

async fn list(accounts: &SqlAccounts, page: u64) -> anyhow::Result<()> {
    let page = accounts.accounts(PageQuery::new(page, 100)).await?;
    for account in page.results {
        let state = if account.details.is_active { "active" } else { "inactive" };
        let roles = serde_json::to_value(account.user.roles)?;
        let roles: Vec<_> = roles.as_array().into_iter().flatten().filter_map(|role| role.as_str()).collect();
        let user = account.user;
        print_line(format_args!(
            "{}\t{}\t{}\t{state}\t{}",
            user.id,
            user.username,
            account.details.email,
            roles.join(",")
        ))?;
    }
    Ok(())
}

/// The first line of standard input.
pub(super) fn password_from_stdin() -> anyhow::Result<String> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).context("cannot read the password from standard input")?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

impl Password {
    fn read(&self) -> anyhow::Result<(String, WeakPassword)> {
        let weak = if self.allow_weak_password { WeakPassword::Accept } else { WeakPassword::Reject };
        if self.password_stdin {
            return Ok((password_from_stdin()?, weak));
        }
        if !io::stdin().is_terminal() {
            bail!("cannot ask for the password without a terminal; use --password-stdin");
        }
        let password = rpassword::prompt_password("Password: ")?;
        if password != rpassword::prompt_password("Password again: ")? {
            bail!("the passwords do not match");
        }
        Ok((password, weak))
    }
}
