//! `guildhall demo`.

use std::fmt::Write;

use clap::Args;
use guildhall_kernel::secret;

use super::{print_line, users::password_from_stdin};
use crate::{demo, settings::Settings};

#[derive(Args)]
pub(super) struct Command {
    /// Read the password of everybody in it from standard input, instead of a random one
    #[arg(long)]
    password_stdin: bool,
}

impl Command {
    pub(super) async fn run(self, settings: &Settings) -> anyhow::Result<()> {
        let password = if self.password_stdin { password_from_stdin()? } else { random_password()? };
        let sign_ins = demo::fill(settings, &password).await?;
        print_line(format_args!(
            "Created the demo. Run `guildhall serve`, and sign in with the password {password} as"
        ))?;
        for sign_in in sign_ins {
            print_line(format_args!("{:>10}  {}", sign_in.username, sign_in.part))?;
        }
        Ok(())
    }
}

fn random_password() -> anyhow::Result<String> {
    let mut password = String::new();
    for byte in secret::random::<8>()? {
        write!(password, "{byte:02x}")?;
    }
    Ok(password)
}
