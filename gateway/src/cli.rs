//! The command line. Exit status 0: success; 1: failure or errors found; 2: usage error.

mod backup;
mod cleanup;
mod demo;
mod doctor;
mod keys;
mod migrate;
mod serve;
mod tokens;
mod users;
mod verify_room;

use std::{
    fmt::Display,
    io::{self, Write},
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};

use crate::{
    document::document,
    settings::{Settings, Sources},
    wiring::Services,
};

/// A community back end: accounts, groups, organizations and more in one program.
#[derive(Parser)]
#[command(name = "guildhall", version, about, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    overrides: Overrides,
    #[command(subcommand)]
    command: Command,
}

/// Global options; they override the settings from files and the environment.
#[derive(Args)]
struct Overrides {
    /// The data folder (`data_dir`)
    #[arg(long, global = true, value_name = "PATH")]
    data_dir: Option<String>,
    /// The database (`database.url`)
    #[arg(long, global = true, value_name = "URL")]
    database_url: Option<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server
    Serve(serve::Command),
    /// Apply migrations, or show what is pending
    Migrate {
        #[command(subcommand)]
        step: Option<migrate::Step>,
    },
    /// Create, list and change accounts
    #[command(subcommand)]
    User(users::Command),
    /// Create user tokens and delete expired ones
    #[command(subcommand)]
    Token(tokens::Command),
    /// Manage the keys that sign tokens, and those that encrypt messages
    #[command(subcommand)]
    Keys(keys::Command),
    /// Check the installation; exits with 1 if there are errors
    Doctor(doctor::Command),
    /// Delete test organizations with all their data; if one cannot be deleted, none is
    ///
    /// Without a name or ID, deletes the organizations that are marked as test data.
    CleanupTestData(cleanup::Command),
    /// Copy the embedded database; the server may be running
    ///
    /// Uploaded files are not included: they are in the folder `files` of the data folder, or in an object store. Copy
    /// that folder after the database, with any tool; uploaded files never change.
    Backup(backup::Backup),
    /// Replace the embedded database with a copy, or finish a restore by other means; the server must be stopped
    Restore(backup::Restore),
    /// Check an exported chat room without the server: it is complete and unchanged
    VerifyRoom(verify_room::Command),
    /// Inspect the settings
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Fill an empty installation with a small community, to look around in
    ///
    /// It has people, groups, posts, courses, events, messages, chat rooms and an organization with deals. A superuser who
    /// already has an account is added to it. Nothing is emailed. The server should not be running.
    Demo(demo::Command),
    /// Print the OpenAPI 3.1 document of the API
    Openapi,
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Check the settings and print the effective values, with secrets masked
    Check,
}

/// Runs the command given on the command line.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    match runtime.block_on(cli.run()) {
        Ok(code) => code,
        Err(error) => failed(&error),
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    let _ = writeln!(io::stderr(), "guildhall: {error:#}");
    ExitCode::FAILURE
}

/// Prints a line to standard output.
fn print_line(line: impl Display) -> anyhow::Result<()> {
    match writeln!(io::stdout(), "{line}") {
        // The reader has closed the pipe, as in `guildhall user list | head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => Ok(outcome?),
    }
}

/// Runs a command on the services, and closes the database afterwards.
async fn on_services(
    settings: &Settings,
    command: impl AsyncFnOnce(&Services) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let services = Services::open(settings, true).await?;
    let outcome = command(&services).await;
    services.db.close().await?;
    outcome
}

impl Cli {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let mut flags = Vec::new();
        flags.extend(self.overrides.data_dir.map(|value| ("data_dir", value)));
        flags.extend(self.overrides.database_url.map(|value| ("database.url", value)));
        if let Command::Serve(command) = &self.command {
            flags.extend(command.bind.clone().map(|value| ("server.bind", value)));
        }
        let sources = Sources::of_process(flags);
        let load = || Settings::load(&sources).map_err(anyhow::Error::msg);
        match self.command {
            Command::Serve(command) => Box::pin(command.run(&load()?, sources.missing_file())).await?,
            Command::Migrate { step } => return step.unwrap_or(migrate::Step::Up).run(&load()?).await,
            Command::User(command) => on_services(&load()?, async |services| command.run(services).await).await?,
            Command::Token(command) => on_services(&load()?, async |services| command.run(services).await).await?,
            Command::Keys(command) => on_services(&load()?, async |services| command.run(services).await).await?,
            Command::CleanupTestData(command) => {
                on_services(&load()?, async |services| command.run(services).await).await?;
            }
            Command::Doctor(command) => return command.run(&load()?).await,
            Command::Backup(command) => command.run(&load()?).await?,
            Command::Restore(command) => command.run(&load()?).await?,
            Command::Config(ConfigCommand::Check) => print_settings(&sources)?,
            Command::VerifyRoom(command) => command.run()?,
            Command::Demo(command) => Box::pin(command.run(&load()?)).await?,
            Command::Openapi => print_line(document().to_pretty_json()?)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn print_settings(sources: &Sources) -> anyhow::Result<()> {
    for (key, value) in Settings::effective(sources).map_err(anyhow::Error::msg)? {
        print_line(format_args!("{key} = {value}"))?;
    }
    Ok(())
}

/// Turns field errors into one message, with a hint about weak passwords.
fn explained(error: guildhall_accounts::Error) -> anyhow::Error {
    let error = guildhall_kernel::Error::from(error);
    if error.fields().is_empty() {
        return error.into();
    }
    let messages = error.fields().iter().map(|(field, messages)| format!("{field}: {}", messages.join(" ")));
    let mut message = messages.collect::<Vec<_>>().join("; ");
    if error.fields().contains_key("password") {
        message.push_str(" (--allow-weak-password accepts a weak password)");
    }
    anyhow::Error::msg(message)
}
